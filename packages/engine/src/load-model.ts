// From a name to a model that runs: opens the files, reads the configuration, brings the weights into place.
import { openSource } from '#open-source';
import { holdYoungGeneration, machineMemory, nextTurn } from '#platform';
import { readSpec } from './architecture/families/index.ts';
import { type ModelSpec, readsWhole } from './architecture/spec.ts';
import type { ActivationPrecision, Backend } from './backends/backend.ts';
import { ReferenceBackend } from './backends/reference/backend.ts';
import { WasmBackend } from './backends/wasm/backend.ts';
import { type EmbeddingRules, readEmbeddingRules } from './embed/settings.ts';
import { UsageError } from './errors.ts';
import { ConfigReader } from './formats/config-reader.ts';
import type { Checkpoint } from './formats/types.ts';
import { refuseUnknown } from './generate/options.ts';
import type { SamplingOptions } from './generate/types.ts';
import { Model } from './model/model.ts';
import { readText } from './model/text-side.ts';
import { CACHE_TYPE_ID, type CacheType } from './plan/cache-layout.ts';
import type { ModelSource } from './platform/source.ts';
import type { LoadProgress } from './progress.ts';
import { Runtime } from './runtime/runtime.ts';
import { stateLayout } from './state/state-layout.ts';
import { fingerprint } from './weights/fingerprint.ts';
import { checkFits, type MemoryPlan, planMemory } from './weights/memory-plan.ts';
import { layoutRules, placeWeights } from './weights/place.ts';
import {
  type FoundWeight,
  findWeights,
  layoutOf,
  QUANTIZE_TYPES,
  type QuantizeType,
} from './weights/weights.ts';

/** Options of `loadModel`. `undefined` is the default everywhere. */
export interface LoadModelOptions {
  /** `wasm` (default) is fast; `reference` is plain TypeScript with double accumulation. */
  readonly backend?: 'wasm' | 'reference' | undefined;
  /**
   * Worker threads of the wasm backend, 1 to 64. Default: one per logical CPU, at most 8. Pages without
   * isolation have none.
   */
  readonly threads?: number | undefined;
  /**
   * Which build of the kernels. Default: `relaxed` where the JavaScript engine has relaxed SIMD, `baseline`
   * elsewhere.
   */
  readonly variant?: 'relaxed' | 'baseline' | undefined;
  /**
   * Quantise the matrices of a 16- or 32-bit checkpoint while they are read. Those that are quantised already
   * stay as they are; a `note` of `onProgress` says so.
   */
  readonly quantize?: QuantizeType | undefined;
  /**
   * How activations meet quantised weights: `f32` is exact for the weights as stored; `int8` rounds
   * activations to 8 bits with a scale for every 32, several times faster; `auto` (default) takes int8 in
   * models with a hidden size of 512 or more.
   */
  readonly activations?: ActivationPrecision | undefined;
  /** Format of the attention cache. Default f16. */
  readonly cacheType?: CacheType | undefined;
  /**
   * Layers before which another WebAssembly memory begins, ascending: `[12, 24]` spreads the model over three.
   * Default: as few as have room for the weights, the work, and a session of `contextLength` tokens (of 32,768
   * where that is not given); one up to some 4 GiB. What is computed is the same bit for bit, and saved
   * sessions move between all of them.
   */
  readonly cuts?: readonly number[] | undefined;
  /**
   * Bytes that the model may take. Default: what the system has free, in Node; no limit in browsers, which do
   * not say. One that needs more is refused before anything is read.
   */
  readonly memoryBytes?: number | undefined;
  /** Longest context to allow, in tokens. Default: what the model was made for. */
  readonly contextLength?: number | undefined;
  /** Tokens of a prompt that are read in one pass, 1 to 4096. Default 256 (wasm), 64 (reference). */
  readonly batchTokens?: number | undefined;
  /**
   * Called at once with the first thing that takes time, then as it goes on: `resolve` and `download` for hub
   * names and addresses, `start` for threads, `load` for weights. At most some ten times per second and
   * phase, and at every retry.
   */
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
  /**
   * Bytes for prefixes that sessions of this model share with each other. Default 256 MiB; 0 switches it off.
   */
  readonly prefixCacheBytes?: number | undefined;
  /**
   * For private and gated models of the hub; sent to the endpoint only, never to where it redirects. Default:
   * HF_TOKEN in Node, none in browsers.
   */
  readonly token?: string | undefined;
  /** Another hub or a mirror. Default: HF_ENDPOINT in Node, else https://huggingface.co. */
  readonly endpoint?: string | undefined;
  /**
   * Stops downloading and loading; `loadModel` then rejects with the signal's reason. What was downloaded is
   * kept.
   */
  readonly signal?: AbortSignal | undefined;
  /**
   * `auto` (default) sets V8's flag `--experimental-wasm-revectorize` where all tests pass with it: Node 24
   * on x86, prompts about 1.5 times faster. Flags of V8 hold for the whole process, so for every other
   * WebAssembly module in it too; `false`, or MARIMBA_WIDE_SIMD=0, leaves the flag alone. The first model
   * that sets it sets it for good.
   */
  readonly wideSimd?: 'auto' | false | undefined;
}

/**
 * Loads a model and starts its threads. In Node `source` is a path, an address, a hub name (`owner/name`,
 * `owner/name@revision`, `owner/name:Q4_K_M`, `owner/name/file.gguf`) or blobs; in browsers all but the path. Hub models are
 * kept: in Node's cache folder, in a page's own storage.
 *
 * ```ts
 * const model = await loadModel('owner/name:Q4_K_M', { onProgress: (e) => console.log(e.phase, e.loaded,
 * e.total) });
 * ```
 *
 * While it runs in Node, V8's young generations are kept at their size (`--semi-space-growth-factor`, put
 * back afterwards); see `wideSimd` for the other flag. Throws UsageError for a source or option that cannot
 * mean anything, FormatError for a missing or damaged file, ModelError for a model that cannot be run or does
 * not fit, HubError for a failed download, and the signal's reason when aborted. Close the model when done:
 * its threads and memory are not collected.
 */
export async function loadModel(source: ModelSource, options: LoadModelOptions = {}): Promise<Model> {
  checkSource(source);
  checkOptions(options);
  const letGrow = holdYoungGeneration();
  try {
    return await load(source, options);
  } finally {
    letGrow();
  }
}

async function load(source: ModelSource, options: LoadModelOptions): Promise<Model> {
  const lap = stopwatch();
  const checkpoint = isCheckpoint(source) ? source : await openSource(source, options);
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
  let backend: Backend | null = null;
  try {
    const { family, spec, notes } = readSpec(checkpoint);
    const embedding = await readEmbeddingRules(checkpoint, spec);
    const contextLength = contextOf(spec, embedding, options);
    const openMs = lap();
    const batchTokens = readsWhole(spec) ? rowsOfTexts(contextLength, options) : options.batchTokens;
    backend = await createBackend({ ...options, batchTokens });
    const threadsMs = lap();
    const found = findWeights(checkpoint, family, spec);
    const { cuts } = planFor(spec, found, backend, options);
    backend.addArenas(cuts.length + 1);
    const weights = placeWeights(checkpoint, found, spec, backend, {
      cuts,
      quantize: options.quantize ?? null,
      activations: options.activations ?? 'auto',
      onProgress: options.onProgress,
      signal,
    });
    // Takes its memory before loading begins, which must not see memory that cannot be shared grow under it.
    const runtime = new Runtime(backend, spec, weights, stateLayout(spec, options.cacheType ?? 'f16', cuts));
    // While threads read the weights, this one reads the vocabulary.
    const [weightsLap, vocabularyLap] = [stopwatch(), stopwatch()];
    const loading = weights.load().then(weightsLap);
    loading.catch(() => {}); // reported where it is awaited
    await nextTurn();
    const { tokenizer, chatTemplate, notes: textNotes } = await readText(checkpoint, spec);
    const vocabularyMs = vocabularyLap();
    const mark = await fingerprint(spec, weights.list);
    const weightsMs = await loading;
    await runtime.install();
    return new Model({
      name: checkpoint.name,
      spec,
      weights,
      runtime,
      tokenizer,
      chatTemplate,
      notes: [...new Set([...notes, ...textNotes])],
      fingerprint: mark,
      recommended: recommendedOptions(checkpoint),
      embedding,
      contextLength,
      prefixCacheBytes: options.prefixCacheBytes ?? 256 * 2 ** 20,
      loadTimes: { openMs, threadsMs, weightsMs, vocabularyMs },
    });
  } catch (error) {
    stop.abort();
    await backend?.close();
    throw error;
  } finally {
    await checkpoint.close();
  }
}

/** Where the model's memory will be. Throws ModelError where there is not enough. */
function planFor(
  spec: ModelSpec,
  found: readonly FoundWeight[],
  backend: Backend,
  options: LoadModelOptions,
): MemoryPlan {
  if (options.cuts) checkCuts(options.cuts, spec);
  const rules = layoutRules(spec, backend, options);
  const weights = found.map((weight) => ({
    ...weight,
    placed: { ...layoutOf(weight, rules), address: 0 },
  }));
  const { traits, maxRows, threads } = backend;
  const cacheType = options.cacheType ?? 'f16';
  const sessionTokens = options.contextLength;
  const plan = planMemory(
    { spec, weights, cacheType, sessionTokens, traits, maxRows, threads },
    options.cuts,
  );
  checkFits(plan, options.memoryBytes ?? machineMemory()?.freeBytes ?? null);
  return plan;
}

function checkCuts(cuts: readonly number[], { layers }: ModelSpec): void {
  const isLayer = (cut: number, i: number) =>
    Number.isInteger(cut) && cut > (cuts[i - 1] ?? -1) && cut < layers.length;
  if (!Array.isArray(cuts) || !cuts.every(isLayer))
    throw new UsageError(
      `cuts: expected ascending layers from 0 to ${layers.length - 1}, found ${JSON.stringify(cuts)}`,
    );
}

/** Tokens of texts that an encoder reads in one pass, where they are short. */
const ENCODER_ROWS = 1024;

/** A text of an encoder is read in one pass, so the longest one has room in it. */
const rowsOfTexts = (contextLength: number, { batchTokens = ENCODER_ROWS }: LoadModelOptions): number =>
  Math.max(contextLength, batchTokens);

/** Encoders are made for texts of a length, and keep room for one of it. */
function contextOf(
  spec: ModelSpec,
  { maxTokens }: EmbeddingRules,
  { contextLength }: LoadModelOptions,
): number {
  if (!readsWhole(spec)) return contextLength ?? spec.contextLength;
  if (contextLength !== undefined && contextLength > spec.contextLength)
    throw new UsageError(
      `contextLength: expected at most ${spec.contextLength}, which this encoder was made for, found ${contextLength}`,
    );
  return contextLength ?? maxTokens;
}

/** Milliseconds since it was last asked. */
function stopwatch(): () => number {
  let last = performance.now();
  return () => {
    const before = last;
    last = performance.now();
    return last - before;
  };
}

export async function createBackend(options: LoadModelOptions): Promise<Backend> {
  const { threads, variant, batchTokens: maxRows } = options;
  if (options.backend === 'reference') return new ReferenceBackend({ maxRows });
  const { onProgress } = options;
  return WasmBackend.create({
    wideSimd: options.wideSimd ?? 'auto',
    onStart: (loaded, total) =>
      onProgress?.({ phase: 'start', unit: 'threads', loaded, total, note: null, retry: null }),
    threads,
    variant,
    maxRows,
  });
}

const isCheckpoint = (source: ModelSource): source is Checkpoint =>
  typeof source === 'object' && 'kind' in source && 'tensors' in source;

/** Every option by name, so that a misspelt one is refused. */
const OPTION_NAMES: Record<keyof LoadModelOptions, true> = {
  backend: true,
  threads: true,
  variant: true,
  quantize: true,
  activations: true,
  cacheType: true,
  cuts: true,
  memoryBytes: true,
  contextLength: true,
  batchTokens: true,
  onProgress: true,
  prefixCacheBytes: true,
  token: true,
  endpoint: true,
  signal: true,
  wideSimd: true,
};

const isNamedBlob = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  'name' in value &&
  typeof value.name === 'string' &&
  'blob' in value &&
  value.blob instanceof Blob;

function checkSource(source: unknown): void {
  if (typeof source === 'string' || source instanceof URL || source instanceof Blob) return;
  if (Array.isArray(source) && source.length && source.every(isNamedBlob)) return;
  if (typeof source === 'object' && source !== null && 'kind' in source && 'tensors' in source) return;
  const found = Array.isArray(source)
    ? 'another array'
    : source === null
      ? 'null'
      : `a value of type ${typeof source}`;
  throw new UsageError(
    `loadModel: expected a path, an address, a hub name (owner/name), a Blob or a list of { name, blob }, found ${found}`,
  );
}

function checkOptions(options: LoadModelOptions): void {
  if (typeof options !== 'object' || options === null)
    throw new UsageError(
      `loadModel: expected an object of options, found ${options === null ? 'null' : typeof options}`,
    );
  refuseUnknown('option', options, OPTION_NAMES);
  const oneOf = (name: string, value: string | undefined, allowed: readonly string[]) => {
    if (value !== undefined && !allowed.includes(value))
      throw new UsageError(`${name}: expected one of ${allowed.join(', ')}, found ${JSON.stringify(value)}`);
  };
  const positive = (name: string, value: number | undefined, max: number) => {
    if (value !== undefined && (!Number.isInteger(value) || value < 1 || value > max))
      throw new UsageError(`${name}: expected a whole number from 1 to ${max}, found ${value}`);
  };
  oneOf('backend', options.backend, ['wasm', 'reference']);
  oneOf('variant', options.variant, ['relaxed', 'baseline']);
  oneOf('quantize', options.quantize, QUANTIZE_TYPES);
  oneOf('activations', options.activations, ['auto', 'f32', 'int8']);
  oneOf('cacheType', options.cacheType, Object.keys(CACHE_TYPE_ID));
  if (![undefined, 'auto', false].includes(options.wideSimd))
    throw new UsageError(`wideSimd: expected 'auto' or false, found ${JSON.stringify(options.wideSimd)}`);
  positive('contextLength', options.contextLength, 2 ** 31);
  positive('batchTokens', options.batchTokens, 4096);
  for (const name of ['prefixCacheBytes', 'memoryBytes'] as const) {
    const value = options[name];
    if (value !== undefined && !(value >= 0))
      throw new UsageError(`${name}: expected 0 or more, found ${value}`);
  }
}

/** The sampling that the model's own files recommend (generation_config.json). */
function recommendedOptions(checkpoint: Checkpoint): SamplingOptions {
  if (checkpoint.kind !== 'huggingface' || !checkpoint.generationConfig) return {};
  const c = ConfigReader.ofJson(`${checkpoint.name}/generation_config.json`, checkpoint.generationConfig);
  if (!c.flag('do_sample', false)) return {};
  return {
    ...(c.has('temperature') ? { temperature: c.number('temperature', 0, 100) } : {}),
    ...(c.has('top_p') ? { topP: c.number('top_p', 0, 1) } : {}),
    ...(c.has('top_k') ? { topK: c.integer('top_k', 0, 1e6) } : {}),
    ...(c.has('min_p') ? { minP: c.number('min_p', 0, 1) } : {}),
    ...(c.has('repetition_penalty') ? { repetitionPenalty: c.number('repetition_penalty', 0, 100) } : {}),
  };
}
