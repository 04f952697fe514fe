// A model's sizes as GGUF metadata. Keys and types are those that llama.cpp's converter writes
// (gguf-py/gguf/constants.py, convert_hf_to_gguf.py). Layers say their own keys (`ggufKeys` in layers/); here
// they are put together.

import { type ModelSpec, partsOf } from '../architecture/spec.ts';
import { ModelError } from '../errors.ts';
import { f32, i32List, type TypedMetadataValue, u32 } from '../formats/gguf-values.ts';
import { LAYERS, layerOf } from '../layers/index.ts';
import type { FileType } from '../weights/recipe.ts';
import type { WritableForm } from './gguf-architecture.ts';

export type Metadata = Map<string, TypedMetadataValue>;

/** Everything under `<architecture>.`. Throws ModelError for sizes that differ between layers. */
export function architectureMetadata(spec: ModelSpec, { architecture, write }: WritableForm): Metadata {
  const keys = new Map<string, TypedMetadataValue>([
    ['block_count', u32(spec.layers.length)],
    ['context_length', u32(spec.contextLength)],
    ['embedding_length', u32(spec.hiddenSize)],
    ['feed_forward_length', u32(0)],
    ['vocab_size', u32(spec.vocabularySize)],
    ['attention.head_count', u32(0)],
    ['attention.layer_norm_rms_epsilon', f32(spec.normEpsilon)],
  ]);
  const own = write.keys?.(spec) ?? {};
  for (const [key, values] of layerKeys(spec))
    if (!Object.hasOwn(own, key))
      keys.set(key, oneValue(key, values, write.perLayer?.includes(key) ?? false));
  // llama.cpp's converter leaves out head sizes that follow from the hidden size.
  const [heads, headSize] = ['attention.head_count', 'attention.key_length'].map(
    (key) => keys.get(key)?.value,
  );
  if (Number(heads) * Number(headSize) === spec.hiddenSize) {
    keys.delete('attention.key_length');
    keys.delete('attention.value_length');
  }
  for (const [key, value] of Object.entries(own))
    if (value) keys.set(key, value);
    else keys.delete(key);
  return new Map([...keys].map(([key, value]) => [`${architecture}.${key}`, value]));
}

/**
 * The value of each key in each layer, undefined in layers without it. Kind by kind, in the order of
 * `LAYERS`.
 */
function layerKeys({ layers }: ModelSpec): Map<string, (TypedMetadataValue | undefined)[]> {
  const found = new Map<string, (TypedMetadataValue | undefined)[]>();
  for (const kind of Object.keys(LAYERS))
    for (const [i, layer] of layers.entries())
      for (const part of partsOf(layer).filter((one) => one.kind === kind))
        for (const [key, value] of Object.entries(layerOf(part).ggufKeys(part))) {
          const values = found.get(key) ?? layers.map(() => undefined);
          values[i] = value;
          found.set(key, values);
        }
  return found;
}

function oneValue(
  key: string,
  values: readonly (TypedMetadataValue | undefined)[],
  perLayer: boolean,
): TypedMetadataValue {
  const own = values.filter((value) => value !== undefined);
  const different = new Set(own.map((value) => JSON.stringify(value)));
  if (perLayer && (own.length < values.length || different.size > 1))
    return i32List(values.map((value) => Number(value?.value ?? 0)));
  if (different.size > 1)
    throw new ModelError(
      `GGUF: ${key}: expected one value for all layers, found ${[...different].join(', ')}. Keep this model as a Hugging Face folder.`,
    );
  return own[0]!;
}

/**
 * "668K", or "4x281K" with experts, as gguf-py's utility.size_label counts: without and with one expert of
 * each layer.
 */
export function sizeLabel(parameters: number, expertParameters: number, experts: number): string {
  if (experts <= 1) return rounded(parameters);
  return `${experts}x${rounded(parameters - expertParameters + expertParameters / experts)}`;
}

function rounded(count: number): string {
  const [size, suffix] =
    (
      [
        [1e12, 'T'],
        [1e9, 'B'],
        [1e6, 'M'],
      ] as const
    ).find(([s]) => count > s) ?? ([1e3, 'K'] as const);
  const scaled = count / size;
  const digits = Math.max(2 - `${Math.round(scaled)}`.replace(/^0+/, '').length, 0);
  return `${scaled.toFixed(digits)}${suffix}`;
}

/** llama.h, `enum llama_ftype`: what most of the file's weights are. */
export const FILE_TYPE_ID: Readonly<Record<FileType, number>> = {
  f32: 0,
  f16: 1,
  q4_0: 2,
  q4_1: 3,
  q8_0: 7,
  q5_0: 8,
  q5_1: 9,
  q2_K: 10,
  q3_K_S: 11,
  q3_K: 12,
  q3_K_L: 13,
  q4_K_S: 14,
  q4_K: 15,
  q5_K_S: 16,
  q5_K: 17,
  q6_K: 18,
  iq4_nl: 25,
  iq4_xs: 30,
  bf16: 32,
  mxfp4: 38,
};
