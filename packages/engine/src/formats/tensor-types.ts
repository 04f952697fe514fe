// The element formats of weights: how many elements share a block, how many bytes a block takes, and the
// number that GGUF files store for the type. Source: the GGUF specification and ggml's type table
// (ggml/docs/gguf.md).

import type { TensorType } from './types.ts';

export interface TensorTypeInfo {
  /** Elements per block; a row is a whole number of blocks. */
  readonly blockLength: number;
  readonly blockBytes: number;
  /** The type's number in a GGUF file. */
  readonly ggmlId: number;
}

export const TENSOR_TYPES: { readonly [type in TensorType]: TensorTypeInfo } = {
  F32: { blockLength: 1, blockBytes: 4, ggmlId: 0 },
  F16: { blockLength: 1, blockBytes: 2, ggmlId: 1 },
  BF16: { blockLength: 1, blockBytes: 2, ggmlId: 30 },
  Q4_0: { blockLength: 32, blockBytes: 18, ggmlId: 2 },
  Q4_1: { blockLength: 32, blockBytes: 20, ggmlId: 3 },
  Q5_0: { blockLength: 32, blockBytes: 22, ggmlId: 6 },
  Q5_1: { blockLength: 32, blockBytes: 24, ggmlId: 7 },
  Q8_0: { blockLength: 32, blockBytes: 34, ggmlId: 8 },
  Q2_K: { blockLength: 256, blockBytes: 84, ggmlId: 10 },
  Q3_K: { blockLength: 256, blockBytes: 110, ggmlId: 11 },
  Q4_K: { blockLength: 256, blockBytes: 144, ggmlId: 12 },
  Q5_K: { blockLength: 256, blockBytes: 176, ggmlId: 13 },
  Q6_K: { blockLength: 256, blockBytes: 210, ggmlId: 14 },
  IQ4_NL: { blockLength: 32, blockBytes: 18, ggmlId: 20 },
  IQ4_XS: { blockLength: 256, blockBytes: 136, ggmlId: 23 },
  TQ1_0: { blockLength: 256, blockBytes: 54, ggmlId: 34 },
  TQ2_0: { blockLength: 256, blockBytes: 66, ggmlId: 35 },
  MXFP4: { blockLength: 32, blockBytes: 17, ggmlId: 39 },
  IQ2_XXS: { blockLength: 256, blockBytes: 66, ggmlId: 16 },
  IQ2_XS: { blockLength: 256, blockBytes: 74, ggmlId: 17 },
  IQ2_S: { blockLength: 256, blockBytes: 82, ggmlId: 22 },
  IQ3_XXS: { blockLength: 256, blockBytes: 98, ggmlId: 18 },
  IQ3_S: { blockLength: 256, blockBytes: 110, ggmlId: 21 },
  IQ1_S: { blockLength: 256, blockBytes: 50, ggmlId: 19 },
  IQ1_M: { blockLength: 256, blockBytes: 56, ggmlId: 29 },
  NVFP4: { blockLength: 64, blockBytes: 36, ggmlId: 40 },
  Q1_0: { blockLength: 128, blockBytes: 18, ggmlId: 41 },
  Q2_0: { blockLength: 64, blockBytes: 18, ggmlId: 42 },
};

export const TENSOR_TYPE_NAMES = Object.keys(TENSOR_TYPES) as readonly TensorType[];

const byGgmlId = new Map(TENSOR_TYPE_NAMES.map((type) => [TENSOR_TYPES[type].ggmlId, type]));

/** Types that GGUF defines and this engine does not read; known by name so that a refusal can say it. */
const otherGgmlNames = new Map([
  [9, 'Q8_1'],
  [15, 'Q8_K'],
  [24, 'I8'],
  [25, 'I16'],
  [26, 'I32'],
  [27, 'I64'],
  [28, 'F64'],
]);

/** The type with this number in GGUF files, or null when the engine cannot read it. */
export function typeFromGgmlId(id: number): TensorType | null {
  return byGgmlId.get(id) ?? null;
}

/** For messages: the type's name where GGUF defines one, else its number. */
export function describeGgmlId(id: number): string {
  const name = byGgmlId.get(id) ?? otherGgmlNames.get(id);
  return name === undefined ? `type number ${id}` : `${name} (type number ${id})`;
}

/** Bytes of `elementCount` elements, which must be a whole number of blocks. Throws RangeError otherwise. */
export function byteLengthOf(type: TensorType, elementCount: number): number {
  const { blockLength, blockBytes } = TENSOR_TYPES[type];
  const blocks = elementCount / blockLength;
  if (!Number.isSafeInteger(blocks) || blocks < 0 || !Number.isSafeInteger(blocks * blockBytes)) {
    throw new RangeError(`${type}: expected a multiple of ${blockLength} elements, found ${elementCount}.`);
  }
  return blocks * blockBytes;
}
