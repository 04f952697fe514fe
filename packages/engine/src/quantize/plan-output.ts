// What goes into the new file, before anything is written: from a Hugging Face checkpoint everything is
// translated; from a GGUF file names and metadata are kept as they are and only formats change. Reads headers
// and the tokenizer, no weights.

import { readSpec } from '../architecture/families/index.ts';
import type { ModelSpec } from '../architecture/spec.ts';
import { ModelError } from '../errors.ts';
import {
  fileTypeMetadata,
  type GgufContents,
  type GgufModel,
  type GgufTensor,
  ggufContents,
  isQuantizable,
} from '../export/gguf-model.ts';
import { isWritableType } from '../formats/quantize.ts';
import { whole } from '../formats/rows.ts';
import type { Checkpoint, GgufCheckpoint, HuggingFaceCheckpoint, TensorType } from '../formats/types.ts';
import { type FileType, storedType } from '../weights/recipe.ts';
import { type FoundWeight, findWeights } from '../weights/weights.ts';
import { applyKeepRules, type KeepRule } from './keep-rules.ts';

export interface OutputOptions {
  readonly type: FileType;
  readonly keep?: readonly KeepRule[] | undefined;
}

/** Throws ModelError for a model that GGUF cannot express, UsageError for rules that match nothing. */
export async function planOutput(
  checkpoint: Checkpoint,
  { type, keep = [] }: OutputOptions,
): Promise<GgufContents> {
  const { family, spec } = readSpec(checkpoint);
  const found = findWeights(checkpoint, family, spec);
  const contents =
    checkpoint.kind === 'gguf'
      ? fromGguf(checkpoint, found, type)
      : ggufContents(await huggingFaceModel(checkpoint, spec, found), type);
  const kept = applyKeepRules(contents.tensors, keep);
  const tensors = contents.tensors.map((tensor) => ({
    ...tensor,
    type: kept.get(tensor.name) ?? tensor.type,
  }));
  for (const { name, sourceType, type: stored } of tensors)
    if (stored !== sourceType && !isWritableType(stored))
      throw new ModelError(`${name}: expected a format that can be written, found ${stored}`);
  return { ...contents, tensors, notes: [...contents.notes, ...requantised(tensors)] };
}

async function huggingFaceModel(
  checkpoint: HuggingFaceCheckpoint,
  spec: ModelSpec,
  weights: readonly FoundWeight[],
): Promise<GgufModel> {
  const tokenizer = {
    json: await checkpoint.tokenizerJson(),
    config: await checkpoint.tokenizerConfig(),
    chatTemplates: await checkpoint.chatTemplates(),
  };
  return { name: checkpoint.name, spec, weights, tokenizer };
}

const isFloat = (type: TensorType) => type === 'F32' || type === 'F16' || type === 'BF16';

function requantised(tensors: readonly GgufTensor[]): string[] {
  const twice = tensors.filter((t) => t.sourceType !== t.type && !isFloat(t.sourceType));
  if (!twice.length) return [];
  const types = [...new Set(twice.map((t) => t.sourceType))].join(', ');
  return [
    `${twice.length} tensors were already quantised (${types}) and are quantised again: errors add up, and the report only measures the second. ` +
      'Start from a 16- or 32-bit model if there is one.',
  ];
}

function fromGguf(checkpoint: GgufCheckpoint, found: readonly FoundWeight[], type: FileType): GgufContents {
  const weights = new Map<string, FoundWeight[]>();
  for (const weight of found) {
    const { name } = weight.sources[0]!.tensor;
    weights.set(name, [...(weights.get(name) ?? []), weight]);
  }
  const tensors = [...checkpoint.tensors.values()].map((entry): GgufTensor => {
    const held = weights.get(entry.name) ?? [];
    const [weight] = held;
    const quantizable = weight !== undefined && held.every(isQuantizable);
    return {
      name: entry.name,
      role: weight?.role ?? null,
      layer: weight?.layer ?? -1,
      shape: entry.shape,
      type: quantizable ? storedType(weight, type) : entry.type,
      sourceType: entry.type,
      quantizable,
      parts: [whole(entry)],
      negateExp: false,
      add: 0,
      columnRuns: null,
    };
  });
  // Parts become one file; an earlier quantiser's importance matrix (`quantize.*`) says nothing about this
  // one.
  const own = [...checkpoint.typedMetadata].filter(
    ([key]) => !/^(split|quantize)\.|^general\.alignment$/.test(key),
  );
  const unknown = tensors.filter((t) => t.role === null).map((t) => t.name);
  const notes = unknown.length
    ? [
        `tensors that this engine does not use are copied as they are: ${unknown.slice(0, 5).join(', ')}${unknown.length > 5 ? ' …' : ''}`,
      ]
    : [];
  return {
    architecture: `${checkpoint.metadata.get('general.architecture')}`,
    metadata: new Map([...own, ...fileTypeMetadata(type)]),
    tensors,
    notes,
  };
}
