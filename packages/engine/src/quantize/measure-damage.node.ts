// Runs the original and the quantised model over one text and compares their predictions. Both may not fit in
// memory together, so the logits of the original wait in a temporary file next to the new model.
import { type FileHandle, open, rm } from 'node:fs/promises';
import { ModelError, UsageError } from '../errors.ts';
import { type LoadModelOptions, loadModel } from '../load-model.ts';
import type { Model } from '../model/model.ts';
import type { ModelSource } from '../platform/source.ts';
import { type Divergence, DivergenceMeter, seededTokens } from './damage.ts';
import { SAMPLE_TEXT } from './sample-text.ts';

export interface DamageOptions {
  /** Default: a passage of Moby-Dick; seeded random tokens where the model has no tokenizer. */
  readonly text?: string | undefined;
  /** Maximum number of tokens of the text to compare. Default 256. */
  readonly maxTokens?: number | undefined;
  readonly load?: Pick<LoadModelOptions, 'threads' | 'token' | 'endpoint' | 'backend'> | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: DamageProgress) => void) | undefined;
}

export interface DamageProgress {
  readonly model: 'original' | 'quantised';
  readonly doneTokens: number;
  readonly totalTokens: number;
}

export interface ModelDamage extends Divergence {
  /** What the models read. */
  readonly input: 'text' | 'passage' | 'random tokens';
  /** `q8_0` when the original did not fit in memory as it is. */
  readonly comparedWith: 'original' | 'q8_0';
}

const CHUNK = 32;

/**
 * Writes the original's logits to `scratch`, a path that must not exist, and removes it at the end. Computes
 * exactly (f32 activations and cache), so that only the weights differ. Throws ModelError when one of the
 * models does not fit in memory.
 */
export async function measureDamage(
  original: ModelSource,
  quantised: ModelSource,
  scratch: string,
  options: DamageOptions = {},
): Promise<ModelDamage> {
  const file = await open(scratch, 'wx+');
  try {
    const { model, comparedWith } = await loadOriginal(original, options);
    const input = await closing(model, async () => {
      const chosen = chooseTokens(model, options);
      await eachRow(model, chosen.tokens, 'original', options, (logits, position) =>
        writeRow(file, logits, position),
      );
      return chosen;
    });
    const second = await loadModel(quantised, exact(options));
    const meter = new DivergenceMeter();
    await closing(second, async () => {
      if (second.vocabularySize !== model.vocabularySize)
        throw new ModelError(
          `${second.name}: expected a vocabulary of ${model.vocabularySize} as in ${model.name}, found ${second.vocabularySize}`,
        );
      const first = new Float32Array(second.vocabularySize);
      await eachRow(second, input.tokens, 'quantised', options, async (logits, position) => {
        await readRow(file, first, position);
        meter.add(
          first,
          logits,
          input.kind === 'random tokens' ? null : (input.tokens[position + 1] ?? null),
        );
      });
    });
    return { ...meter.result(), input: input.kind, comparedWith };
  } finally {
    await file.close();
    await rm(scratch, { force: true });
  }
}

const exact = ({ load, signal, maxTokens = 256 }: DamageOptions): LoadModelOptions => ({
  ...load,
  activations: 'f32',
  cacheType: 'f32',
  batchTokens: CHUNK,
  prefixCacheBytes: 0,
  contextLength: maxTokens,
  signal,
});

async function loadOriginal(
  source: ModelSource,
  options: DamageOptions,
): Promise<{ model: Model; comparedWith: 'original' | 'q8_0' }> {
  try {
    return { model: await loadModel(source, exact(options)), comparedWith: 'original' };
  } catch (error) {
    if (!(error instanceof ModelError && error.code === 'out-of-memory')) throw error;
    return { model: await loadModel(source, { ...exact(options), quantize: 'q8_0' }), comparedWith: 'q8_0' };
  }
}

async function closing<T>(model: Model, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } finally {
    await model.close();
  }
}

function chooseTokens(
  model: Model,
  { text, maxTokens = 256 }: DamageOptions,
): { tokens: number[]; kind: ModelDamage['input'] } {
  if (!model.tokenizer) {
    if (text !== undefined)
      throw new UsageError(
        `${model.name}: expected a model with a tokenizer to read the text, found none. Leave the text out.`,
      );
    return { tokens: seededTokens(maxTokens, model.vocabularySize), kind: 'random tokens' };
  }
  const tokens = model.encode(text ?? SAMPLE_TEXT).slice(0, maxTokens);
  if (tokens.length < 2) throw new UsageError(`text: expected at least two tokens, found ${tokens.length}`);
  return { tokens, kind: text === undefined ? 'passage' : 'text' };
}

async function eachRow(
  model: Model,
  tokens: readonly number[],
  which: DamageProgress['model'],
  { signal, onProgress }: DamageOptions,
  visit: (logits: Float32Array, position: number) => Promise<void>,
): Promise<void> {
  const session = model.createSession();
  for (let from = 0; from < tokens.length; from += CHUNK) {
    const chunk = tokens.slice(from, from + CHUNK);
    const [result] = await model.step([{ session, tokens: chunk, logits: 'all' }], { signal });
    const logits = result!.logits!;
    const size = model.vocabularySize;
    for (let i = 0; i < chunk.length; i++) await visit(logits.subarray(i * size, (i + 1) * size), from + i);
    onProgress?.({ model: which, doneTokens: from + chunk.length, totalTokens: tokens.length });
  }
}

const bytesOf = (row: Float32Array) => new Uint8Array(row.buffer, row.byteOffset, row.byteLength);

async function writeRow(file: FileHandle, row: Float32Array, position: number): Promise<void> {
  const bytes = bytesOf(row);
  for (let done = 0; done < bytes.length; )
    done += (await file.write(bytes, done, bytes.length - done, position * bytes.length + done)).bytesWritten;
}

async function readRow(file: FileHandle, into: Float32Array, position: number): Promise<void> {
  const bytes = bytesOf(into);
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await file.read(bytes, done, bytes.length - done, position * bytes.length + done);
    if (!bytesRead)
      throw new ModelError(
        'logits of the original model: expected whole rows in the temporary file, found it cut short. Run it again.',
      );
    done += bytesRead;
  }
}
