// Encodes float32 values in a file's block formats, for quantising while loading and for writing checkpoints.
// The searches are our own; tests measure their error, which is close to that of llama.cpp's quantiser.

import { quantizeQ2_K, quantizeQ3_K, quantizeQ4_K, quantizeQ5_K, quantizeQ6_K } from './quants/k-encode.ts';
import {
  quantizeBf16,
  quantizeF16,
  quantizeF32,
  quantizeQ4_0,
  quantizeQ4_1,
  quantizeQ5_0,
  quantizeQ5_1,
  quantizeQ8_0,
} from './quants/simple-encode.ts';
import { quantizeIQ4_NL, quantizeIQ4_XS, quantizeMXFP4 } from './quants/table-encode.ts';
import { TENSOR_TYPES } from './tensor-types.ts';
import type { TensorType } from './types.ts';

type Encoder = (values: Float32Array, blocks: number, out: Uint8Array) => void;

const encoders = {
  F32: quantizeF32,
  F16: quantizeF16,
  BF16: quantizeBf16,
  Q4_0: quantizeQ4_0,
  Q4_1: quantizeQ4_1,
  Q5_0: quantizeQ5_0,
  Q5_1: quantizeQ5_1,
  Q8_0: quantizeQ8_0,
  Q2_K: quantizeQ2_K,
  Q3_K: quantizeQ3_K,
  Q4_K: quantizeQ4_K,
  Q5_K: quantizeQ5_K,
  Q6_K: quantizeQ6_K,
  IQ4_NL: quantizeIQ4_NL,
  IQ4_XS: quantizeIQ4_XS,
  MXFP4: quantizeMXFP4,
} as const satisfies { readonly [type in TensorType]?: Encoder };

/** The formats that can be written. */
export type WritableTensorType = keyof typeof encoders;

export const WRITABLE_TENSOR_TYPES = Object.keys(encoders) as readonly WritableTensorType[];

export function isWritableType(type: TensorType): type is WritableTensorType {
  return type in encoders;
}

/**
 * Encodes all of `values`, a whole number of blocks, to the start of `out`. Values must be finite: whoever
 * reads a checkpoint refuses NaN and infinity there, where the tensor's name is known. In the block formats
 * magnitudes beyond what a half-precision scale can hold saturate, and ones below it become zero; F16
 * overflows to infinity as IEEE 754 says. Throws RangeError when `values` is not whole blocks or `out` is too
 * short.
 */
export function quantize(type: WritableTensorType, values: Float32Array, out: Uint8Array): void {
  const { blockLength, blockBytes } = TENSOR_TYPES[type];
  const blocks = values.length / blockLength;
  if (!Number.isInteger(blocks)) {
    throw new RangeError(`${type}: expected a multiple of ${blockLength} values, found ${values.length}.`);
  }
  if (out.byteLength < blocks * blockBytes) {
    throw new RangeError(`${type}: expected room for ${blocks * blockBytes} bytes, found ${out.byteLength}.`);
  }
  encoders[type](values, blocks, out);
}
