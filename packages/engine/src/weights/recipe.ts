// Chooses the format of each weight, by the type names that users of llama.cpp know. The same rule serves
// quantising while loading and writing files, so both give the same model. The mixes follow llama.cpp's
// (src/llama-quant.cpp: Q6_K for the embedding and head, and more bits for attn_v, attn_output and ffn_down where
// errors travel furthest; q3_K, q4_K and q5_K are its _M), with these differences: what it gives to the attn_v of
// some layers, here all have, as they are small; and the two narrow state-space matrices stay at
// 8 bits: they steer the recurrence and take almost no memory.

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
  'q4_K_S',
  'q5_K',
  'q5_K_S',
  'q6_K',
  'q3_K',
  'q3_K_S',
  'q3_K_L',
  'q2_K',
  'iq4_nl',
  'iq4_xs',
  'mxfp4',
  'f16',
] as const;
/** A format that weights can be quantised to while they load. */
export type QuantizeType = (typeof QUANTIZE_TYPES)[number];

/** Formats of files that `quantize` writes. */
export const FILE_TYPES = [...QUANTIZE_TYPES, 'bf16', 'f32'] as const;
export type FileType = (typeof FILE_TYPES)[number];

/** What the rule looks at. */
export interface RecipeWeight extends Pick<LayerTensor, 'shape' | 'precision' | 'experts'> {
  /** Gets more bits in a K mix: see `wantsMoreBits`. */
  readonly moreBits: boolean;
  /** In the first eighth of the layers. */
  readonly early: boolean;
}

/** Which formats a type mixes. */
interface Mix {
  /** Of what no other line is about. */
  readonly type: TensorType;
  /** Of matrices that are not experts. */
  readonly unlessExperts?: TensorType;
  /** Of attention's values: `moreBits`. */
  readonly values?: TensorType;
  /** Of the feed-forward's last matrix in the layers of `moreBitsInSomeLayers`, */
  readonly someDown?: TensorType;
  /** and in the first eighth of the layers, if other than that. */
  readonly earlyDown?: TensorType;
  /** Of the same in the other layers, and of attention's output. */
  readonly outputs?: TensorType;
}

/** Types that are more than the format of their name. */
const MIXES: { readonly [type in FileType]?: Mix } = {
  q2_K: { type: 'Q2_K', values: 'Q4_K', someDown: 'Q3_K', outputs: 'Q3_K' },
  q3_K_S: { type: 'Q3_K' },
  q3_K: { type: 'Q3_K', values: 'Q5_K', earlyDown: 'Q5_K', someDown: 'Q4_K', outputs: 'Q4_K' },
  q3_K_L: { type: 'Q3_K', values: 'Q5_K', someDown: 'Q5_K', outputs: 'Q5_K' },
  q4_K_S: { type: 'Q4_K', values: 'Q5_K', earlyDown: 'Q5_K' },
  q4_K: { type: 'Q4_K', values: 'Q6_K', someDown: 'Q6_K' },
  q5_K_S: { type: 'Q5_K' },
  q5_K: { type: 'Q5_K', values: 'Q6_K', someDown: 'Q6_K' },
  iq4_nl: { type: 'IQ4_NL', values: 'Q5_K', earlyDown: 'Q5_K' },
  iq4_xs: { type: 'IQ4_XS', values: 'Q5_K', earlyDown: 'Q5_K' },
  mxfp4: { type: 'MXFP4', unlessExperts: 'Q8_0' },
};

/** Formats for rows that are not whole blocks of 256: llama.cpp's. */
const NARROW: { readonly [type in TensorType]?: TensorType } = {
  Q2_K: 'Q4_0',
  Q3_K: 'Q4_0',
  Q4_K: 'Q5_0',
  Q5_K: 'Q5_1',
  Q6_K: 'Q8_0',
  IQ4_XS: 'IQ4_NL',
};

/** Bits per weight, scales included. */
export const bitsPerWeight = (type: TensorType): number =>
  (TENSOR_TYPES[type].blockBytes * 8) / TENSOR_TYPES[type].blockLength;

/** The format that a type is named after. */
export const tensorTypeOf = (type: FileType): TensorType => mixOf(type).type;

const mixOf = (type: FileType): Mix =>
  MIXES[type] ?? { type: type.replace(/^[a-z]+/, upperCase) as TensorType };
const upperCase = (letters: string): string => letters.toUpperCase();

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
  const mix = mixOf(type);
  if (weight.precision === 'f32') return 'F32';
  if (TENSOR_TYPES[mix.type].blockLength === 1) return mix.type;
  const { length, [length - 1]: columns = 1 } = weight.shape;
  return fitting(mixed(weight, mix), columns, weight.precision === 'moreBits');
}

function mixed({ precision, moreBits, early, experts }: RecipeWeight, mix: Mix): TensorType {
  const type = experts ? mix.type : (mix.unlessExperts ?? mix.type);
  const outputs = mix.outputs ?? type;
  switch (precision) {
    case 'atLeast8Bits':
      return 'Q8_0';
    case 'atLeast6Bits':
      return bitsPerWeight(type) < bitsPerWeight('Q6_K') ? 'Q6_K' : type;
    case 'moreBits':
      return mix.values ?? type;
    case 'moreBitsInSomeLayers':
      if (early && mix.earlyDown) return mix.earlyDown;
      return moreBits ? (mix.someDown ?? type) : outputs;
    case 'moreBitsInNarrowMixes':
      return outputs;
    case 'f32':
      return 'F32';
    case undefined:
      return type;
    default:
      return precision satisfies never;
  }
}

/** Attention's values, which are small, get 8 bits where rows do not fit: Q5_1 is no better than Q5_0 for many weights. */
function fitting(type: TensorType, columns: number, isValues: boolean): TensorType {
  const fits = (candidate: TensorType) => columns % TENSOR_TYPES[candidate].blockLength === 0;
  if (fits(type)) return type;
  const narrow = (isValues ? null : NARROW[type]) ?? 'Q8_0';
  return fits(narrow) ? narrow : 'F16';
}
