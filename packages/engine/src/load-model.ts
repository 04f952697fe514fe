// From a name to a model that runs: opens the files, reads the configuration, brings the weights into place.
import { openSource } from '#open-source';
import { holdYoungGeneration, nextTurn } from '#platform';
import { readSpec } from './architecture/families/index.ts';
import type { Backend } from './backends/backend.ts';
import { ReferenceBackend } from './backends/reference/backend.ts';
import { WasmBackend } from './backends/wasm/backend.ts';
import { UsageError } from './errors.ts';
import { ConfigReader } from './formats/config-reader.ts';
import type { Checkpoint } from './formats/types.ts';
import type { GenerateOptions } from './generate/types.ts';
import { Model } from './model/model.ts';
import { readText } from './model/text-side.ts';
import { CACHE_TYPE_ID, type CacheType } from './plan/cache-layout.ts';
import type { LoadProgress } from './progress.ts';
import { Runtime } from './runtime/runtime.ts';
import { stateLayout } from './state/state-layout.ts';
import { fingerprint } from './weights/fingerprint.ts';
import { placeWeights } from './weights/place.ts';
import { type ActivationPrecision, QUANTIZE_TYPES, type QuantizeType } from './weights/weights.ts';

export interface LoadModelOptions {
  /** `wasm` (default) is fast; `reference` is plain TypeScript with double accumulation. */
  readonly backend?: 'wasm' | 'reference' | undefined;
  /** Worker threads of the wasm backend. Default: one a processor, at most 8. */
  readonly threads?: number | undefined;
  /** Which build of the kernels. Default: relaxed where the engine has relaxed SIMD. */
  readonly variant?: 'relaxed' | 'baseline' | undefined;
  /** Quantise the matrices of a 16- or 32-bit checkpoint while they are read. */
  readonly quantize?: QuantizeType | undefined;
  /**
   * How activations meet quantised weights: `f32` is exact for the weights as stored; `int8` rounds activations to 8 bits
   * with a scale for every 32, several times faster; `auto` (default) takes int8 in models with a hidden size of 512 or more.
   */
  readonly activations?: ActivationPrecision | undefined;
  /** Format of the attention cache. Default f16. */
  readonly cacheType?: CacheType | undefined;
  /** Longest context to allow. Default: what the model was made for. */
  readonly contextLength?: number | undefined;
  /** Tokens of a prompt that are read in one pass. Default 256 (wasm). */
  readonly batchTokens?: number | undefined;
  /**
   * Called at once with the first thing that takes time, then as it goes on: `resolve` and `download` for hub names and
   * addresses, `start` for threads, `load` for weights. At most some ten times per second and phase, and at every retry.
   */
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
  /** Memory for prefixes that sessions of this model share with each other. Default 256 MiB; 0 switches it off. */
  readonly prefixCacheBytes?: number | undefined;
  /** For hub names. */
  readonly token?: string | undefined;
  readonly endpoint?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A path, URL or hub name; files picked in a browser; or files that are already open. */
export type ModelSource =
  | string
  | URL
  | Blob
  | readonly { readonly name: string; readonly blob: Blob }[]
  | Checkpoint;

export async function loadModel(source: ModelSource, options: LoadModelOptions = {}): Promise<Model> {
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
    const { family, spec } = readSpec(checkpoint);
    const openMs = lap();
    backend = await createBackend(options);
    const threadsMs = lap();
    const weights = placeWeights(checkpoint, family, spec, backend, {
      quantize: options.quantize ?? null,
      activations: options.activations ?? 'auto',
      onProgress: options.onProgress,
      signal,
    });
    // Takes its memory before loading begins, which must not see memory that cannot be shared grow under it.
    const runtime = new Runtime(backend, spec, weights, stateLayout(spec, options.cacheType ?? 'f16'));
    // While threads read the weights, this one reads the vocabulary.
    const [weightsLap, vocabularyLap] = [stopwatch(), stopwatch()];
    const loading = weights.load().then(weightsLap);
    loading.catch(() => {}); // reported where it is awaited
    await nextTurn();
    const { tokenizer, chatTemplate } = await readText(checkpoint, spec);
    const vocabularyMs = vocabularyLap();
    const mark = await fingerprint(checkpoint, spec, weights.list);
    const weightsMs = await loading;
    await runtime.install();
    return new Model({
      name: checkpoint.name,
      spec,
      weights,
      runtime,
      tokenizer,
      chatTemplate,
      fingerprint: mark,
      recommended: recommendedOptions(checkpoint),
      contextLength: options.contextLength ?? spec.contextLength,
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
  const maxRows = options.batchTokens === undefined ? {} : { maxRows: options.batchTokens };
  if (options.backend === 'reference') return new ReferenceBackend(maxRows);
  const { onProgress } = options;
  return WasmBackend.create({
    onStart: (loaded, total) =>
      onProgress?.({ phase: 'start', unit: 'threads', loaded, total, note: null, retry: null }),
    ...(options.threads === undefined ? {} : { threads: options.threads }),
    ...(options.variant === undefined ? {} : { variant: options.variant }),
    ...maxRows,
  });
}

const isCheckpoint = (source: ModelSource): source is Checkpoint =>
  typeof source === 'object' && 'kind' in source && 'tensors' in source;

function checkOptions(options: LoadModelOptions): void {
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
  positive('contextLength', options.contextLength, 2 ** 31);
  positive('batchTokens', options.batchTokens, 4096);
  const { prefixCacheBytes: prefix } = options;
  if (prefix !== undefined && !(prefix >= 0))
    throw new UsageError(`prefixCacheBytes: expected 0 or more, found ${prefix}`);
}

/** The sampling that the model's own files recommend (generation_config.json). */
function recommendedOptions(checkpoint: Checkpoint): GenerateOptions {
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
