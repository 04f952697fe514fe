// Quantises a model into a GGUF file and reports what was lost: `marimba quantize` without the terminal.
import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import { readSpec } from '../architecture/families/index.ts';
import { UsageError } from '../errors.ts';
import {
  bitsPerWeightOf,
  refuseSameFile,
  sourceBytes,
  type WriteProgress,
  writeGguf,
} from '../export/write-gguf.node.ts';
import type { Checkpoint } from '../formats/types.ts';
import type { LoadModelOptions } from '../load-model.ts';
import { readText } from '../model/text-side.ts';
import { openSource } from '../platform/open-source.node.ts';
import type { FileType } from '../weights/recipe.ts';
import type { KeepRule } from './keep-rules.ts';
import {
  type DamageOptions,
  type DamageProgress,
  type ModelDamage,
  measureDamage,
} from './measure-damage.node.ts';
import { planOutput } from './plan-output.ts';
import {
  divergenceWarnings,
  type TensorDamage,
  tensorDamage,
  tensorWarnings,
  type Warning,
} from './report.ts';

export interface QuantizeModelOptions
  extends Pick<LoadModelOptions, 'token' | 'endpoint' | 'threads' | 'backend' | 'onProgress'> {
  readonly type: FileType;
  readonly keep?: readonly KeepRule[] | undefined;
  readonly overwrite?: boolean | undefined;
  /** Compare the models on a text afterwards; `false` skips the comparison. */
  readonly compare?: Pick<DamageOptions, 'text' | 'maxTokens'> | false | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onWrite?: ((progress: WriteProgress) => void) | undefined;
  readonly onCompare?: ((progress: DamageProgress) => void) | undefined;
}

export interface QuantizeReport {
  readonly source: string;
  readonly output: string;
  readonly type: FileType;
  readonly architecture: string;
  readonly sourceBytes: number;
  readonly byteLength: number;
  readonly bitsPerWeight: number;
  readonly writeMs: number;
  readonly notes: readonly string[];
  readonly tensors: readonly TensorDamage[];
  /** Null when it was skipped, or could not be measured: then `notes` says why. */
  readonly damage: ModelDamage | null;
  readonly warnings: readonly Warning[];
}

export async function quantizeModel(
  source: string,
  out: string,
  options: QuantizeModelOptions,
): Promise<QuantizeReport> {
  const checkpoint = await openSource(source, options);
  const started = performance.now();
  try {
    await refuseSameFile(checkpoint, out);
    if (options.compare && options.compare.text !== undefined) await needTokenizer(checkpoint);
    const contents = await planOutput(checkpoint, options);
    const { threads, overwrite, signal } = options;
    const written = await writeGguf(contents, out, {
      threads,
      overwrite,
      signal,
      onProgress: options.onWrite,
    });
    const tensors = tensorDamage(contents.tensors, written.tensors, written.losses);
    const writeMs = performance.now() - started;
    const compared = await compare(source, out, options);
    return {
      source: checkpoint.name,
      output: resolve(out),
      type: options.type,
      architecture: contents.architecture,
      sourceBytes: contents.tensors.reduce((sum, tensor) => sum + sourceBytes(tensor), 0),
      byteLength: written.byteLength,
      bitsPerWeight: bitsPerWeightOf(contents.tensors),
      writeMs,
      tensors,
      damage: compared.damage,
      notes: [...contents.notes, ...compared.notes],
      warnings: [
        ...tensorWarnings(contents.tensors, tensors),
        ...(compared.damage ? divergenceWarnings(compared.damage, tensors) : []),
      ],
    };
  } finally {
    await checkpoint.close();
  }
}

/** Refuses a text without a tokenizer before the work begins. */
async function needTokenizer(checkpoint: Checkpoint): Promise<void> {
  const { tokenizer } = await readText(checkpoint, readSpec(checkpoint).spec);
  if (!tokenizer)
    throw new UsageError(
      `${checkpoint.name}: expected a model with a tokenizer to read the text, found none. Leave the text out.`,
    );
}

/** Compares the models. The file is written by now, so a failure becomes a note. */
async function compare(
  source: string,
  out: string,
  options: QuantizeModelOptions,
): Promise<{ damage: ModelDamage | null; notes: string[] }> {
  const { compare: wanted = {}, threads, backend, token, endpoint, signal, onCompare } = options;
  if (wanted === false) return { damage: null, notes: [] };
  const scratch = `${resolve(out)}.${randomUUID().slice(0, 8)}.logits`;
  try {
    const load = { threads, backend, token, endpoint };
    const damage = await measureDamage(source, out, scratch, {
      ...wanted,
      load,
      signal,
      onProgress: onCompare,
    });
    return { damage, notes: inputNotes(damage) };
  } catch (error) {
    if (signal?.aborted || error instanceof UsageError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    return { damage: null, notes: [`the models could not be compared: ${reason}`] };
  }
}

function inputNotes({ input, comparedWith }: ModelDamage): string[] {
  const notes: string[] = [];
  if (input === 'random tokens')
    notes.push(
      'the model has no tokenizer: divergence was measured on seeded random tokens, which says less than a text',
    );
  if (comparedWith === 'q8_0')
    notes.push('the original does not fit in memory: divergence was measured against it at 8 bits (q8_0)');
  return notes;
}
