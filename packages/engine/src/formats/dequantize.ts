// Decodes weights to float32, for every format that the engine reads. Bit-exact with the formats' reference
// decoder (gguf-py), checked against its vectors. The fast paths of the backends never come through here:
// this is what the reference backend uses, what repacking starts from and what kernels are tested against.

import {
  dequantizeIQ1_M,
  dequantizeIQ1_S,
  dequantizeIQ2_S,
  dequantizeIQ2_XS,
  dequantizeIQ2_XXS,
  dequantizeIQ3_S,
  dequantizeIQ3_XXS,
} from './quants/codebook-blocks.ts';
import {
  dequantizeQ2_K,
  dequantizeQ3_K,
  dequantizeQ4_K,
  dequantizeQ5_K,
  dequantizeQ6_K,
} from './quants/k-blocks.ts';
import {
  dequantizeBf16,
  dequantizeF16,
  dequantizeF32,
  dequantizeQ4_0,
  dequantizeQ4_1,
  dequantizeQ5_0,
  dequantizeQ5_1,
  dequantizeQ8_0,
} from './quants/simple-blocks.ts';
import {
  dequantizeIQ4_NL,
  dequantizeIQ4_XS,
  dequantizeMXFP4,
  dequantizeNVFP4,
  dequantizeQ1_0,
  dequantizeQ2_0,
  dequantizeTQ1_0,
  dequantizeTQ2_0,
} from './quants/table-blocks.ts';
import { TENSOR_TYPES } from './tensor-types.ts';
import type { TensorType } from './types.ts';

type Decoder = (bytes: Uint8Array, blocks: number, out: Float32Array, to: number) => void;

const decoders: { readonly [type in TensorType]: Decoder } = {
  F32: dequantizeF32,
  F16: dequantizeF16,
  BF16: dequantizeBf16,
  Q4_0: dequantizeQ4_0,
  Q4_1: dequantizeQ4_1,
  Q5_0: dequantizeQ5_0,
  Q5_1: dequantizeQ5_1,
  Q8_0: dequantizeQ8_0,
  Q2_K: dequantizeQ2_K,
  Q3_K: dequantizeQ3_K,
  Q4_K: dequantizeQ4_K,
  Q5_K: dequantizeQ5_K,
  Q6_K: dequantizeQ6_K,
  IQ4_NL: dequantizeIQ4_NL,
  IQ4_XS: dequantizeIQ4_XS,
  TQ1_0: dequantizeTQ1_0,
  TQ2_0: dequantizeTQ2_0,
  MXFP4: dequantizeMXFP4,
  IQ2_XXS: dequantizeIQ2_XXS,
  IQ2_XS: dequantizeIQ2_XS,
  IQ2_S: dequantizeIQ2_S,
  IQ3_XXS: dequantizeIQ3_XXS,
  IQ3_S: dequantizeIQ3_S,
  IQ1_S: dequantizeIQ1_S,
  IQ1_M: dequantizeIQ1_M,
  NVFP4: dequantizeNVFP4,
  Q1_0: dequantizeQ1_0,
  Q2_0: dequantizeQ2_0,
};

/**
 * Decodes all of `bytes`, a whole number of blocks, into `out` from `outOffset`. `bytes` may start at any
 * address. Throws RangeError when it is not whole blocks or `out` is too short.
 */
export function dequantize(type: TensorType, bytes: Uint8Array, out: Float32Array, outOffset = 0): void {
  const { blockLength, blockBytes } = TENSOR_TYPES[type];
  const blocks = bytes.byteLength / blockBytes;
  if (!Number.isInteger(blocks)) {
    throw new RangeError(
      `${type}: expected a multiple of ${blockBytes} bytes, found ${bytes.byteLength}. Pass whole blocks.`,
    );
  }
  if (!(outOffset >= 0 && outOffset + blocks * blockLength <= out.length)) {
    throw new RangeError(
      `${type}: expected room for ${blocks * blockLength} values from ${outOffset}, found an array of ${out.length}.`,
    );
  }
  decoders[type](bytes, blocks, out, outOffset);
}
