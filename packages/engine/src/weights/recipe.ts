// Chooses the format of each weight, by the type names that users of llama.cpp know. The same rule serves
// quantising while loading and writing files, so both give the same model. The K mixes follow llama.cpp's _M
// ones (src/llama-quant.cpp: Q6_K for the embedding and head, and for attn_v and ffn_down where errors travel
// furthest), with one difference: the two narrow state-space matrices stay at 8 bits: they steer the
// recurrence and take almost no memory.

import { TENSOR_TYPES } from '../formats/tensor-types.ts';
import type { TensorType } from '../formats/types.ts';
import type { LayerTensor } from '../layers/layer.ts';

/** Formats that a 16- or 32-bit checkpoint can be quantised to while it loads, by the names users type. */
export const QUANTIZE_TYPES = [
  'q8_0',
  'q4_0',
  'q4_1',
  'q5_0',
  'q5_1',
  'q4_K',
  'q5_K',
  'q6_K',
  'q3_K',
  'q2_K',
  'f16',
] as const;
/** A format that weights can be quantised to while they load. */
export type QuantizeType = (typeof QUANTIZE_TYPES)[number];

/** Formats of files that `quantize` writes. */
export const FILE_TYPES = [...QUANTIZE_TYPES, 'bf16', 'f32'] as const;
export type FileType = (typeof FILE_TYPES)[number];

/** What the rule looks at. */
export interface RecipeWeight extends Pick<LayerTensor, 'shape' | 'precision'> {
  /** Gets more bits in a K mix: see `wantsMoreBits`. */
  readonly moreBits: boolean;
}

/** The format of `moreBits` weights in a K mix. */
const MORE_BITS: { readonly [type in TensorType]?: TensorType } = {
  Q2_K: 'Q4_K',
  Q3_K: 'Q5_K',
  Q4_K: 'Q6_K',
  Q5_K: 'Q6_K',
};

/**
 * Formats for rows that are not whole blocks of 256. Q8_0 for 5 bits too: its kernels are fast, those of Q5_1
 * are not.
 */
const NARROW: { readonly [type in TensorType]?: TensorType } = {
  Q2_K: 'Q4_0',
  Q3_K: 'Q4_0',
  Q4_K: 'Q5_0',
  Q5_K: 'Q8_0',
  Q6_K: 'Q8_0',
};

/** Bits per weight, scales included. */
export const bitsPerWeight = (type: TensorType): number =>
  (TENSOR_TYPES[type].blockBytes * 8) / TENSOR_TYPES[type].blockLength;

export const tensorTypeOf = (type: FileType): TensorType =>
  type.replace(/^[a-z]+/, (letters) => letters.toUpperCase()) as TensorType;

/**
 * Every attn_v, and ffn_down in the first and last eighth of the layers and every third between: llama.cpp's
 * `use_more_bits`, except that there attn_v is chosen by layer too (hybrids have few and small ones).
 */
export function wantsMoreBits(
  { precision }: Pick<LayerTensor, 'precision'>,
  layer: number,
  layers: number,
): boolean {
  if (precision !== 'moreBitsInSomeLayers') return precision === 'moreBits';
  const eighth = Math.floor(layers / 8);
  return layer < eighth || layer >= Math.floor((7 * layers) / 8) || (layer - eighth) % 3 === 2;
}

/** The format of a matrix; vectors are F32 in every file. */
export function storedType(weight: RecipeWeight, type: FileType): TensorType {
  const wanted = tensorTypeOf(type);
  if (weight.precision === 'f32') return 'F32';
  if (TENSOR_TYPES[wanted].blockLength === 1) return wanted;
  const { length, [length - 1]: columns = 1 } = weight.shape;
  return fitting(mixed(weight, wanted), columns);
}

function mixed({ precision, moreBits }: RecipeWeight, wanted: TensorType): TensorType {
  if (precision === 'atLeast8Bits') return 'Q8_0';
  if (precision === 'atLeast6Bits' && bitsPerWeight(wanted) < bitsPerWeight('Q6_K')) return 'Q6_K';
  return moreBits ? (MORE_BITS[wanted] ?? wanted) : wanted;
}

function fitting(type: TensorType, columns: number): TensorType {
  const fits = (candidate: TensorType) => columns % TENSOR_TYPES[candidate].blockLength === 0;
  if (fits(type)) return type;
  const narrow = NARROW[type] ?? 'Q8_0';
  return fits(narrow) ? narrow : 'F16';
}
