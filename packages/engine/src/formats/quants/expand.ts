// Formats of codebooks as codes of values: no kernel follows an index into a codebook while it multiplies, so while rows
// are packed for the int8 kernels each value becomes a 4-bit code of one of sixteen levels. The blocks of 136 bytes are
// as IQ4_XS's (table-blocks.ts), with other levels; they stand for the same values, exactly. 4.25 bits for each weight,
// where files have 3.06 (IQ3_XXS) and 3.44 (IQ3_S).

import { TENSOR_TYPES } from '../tensor-types.ts';
import type { TensorType } from '../types.ts';
import { forEachRow } from './codebook-blocks.ts';

export interface Expansion {
  /** What the codes 0 … 15 stand for. */
  readonly levels: readonly number[];
  /** What levels times the block's d and scale are multiplied by besides. */
  readonly factor: number;
}

const symmetric = (positive: readonly number[]): number[] => [
  ...positive.map((level) => -level).reverse(),
  ...positive,
];

export const EXPANSIONS: { readonly [type in TensorType]?: Expansion } = {
  IQ3_S: { levels: symmetric([1, 3, 5, 7, 9, 11, 13, 15]), factor: 1 },
  // Doubled, so that each is 16 (code − 8) and a digit of at most 12 (kernels/layouts/layout.ts).
  IQ3_XXS: { levels: symmetric([8, 24, 40, 56, 72, 88, 104, 124]), factor: 1 / 8 },
};

export const EXPANDED_BLOCK = 136;

/** Whole blocks of 256, expanded. Throws RangeError for a type that has no expansion. */
export function expand(type: TensorType, raw: Uint8Array): Uint8Array {
  const expansion = EXPANSIONS[type];
  if (!expansion) throw new RangeError(`${type}: expected IQ3_S or IQ3_XXS`);
  const { levels } = expansion;
  const { blockBytes } = TENSOR_TYPES[type];
  const blocks = raw.length / blockBytes;
  const out = new Uint8Array(blocks * EXPANDED_BLOCK);
  // Rows hold magnitudes: of the levels, or half of them.
  const codes = new Uint8Array(256);
  const unit = levels[15]! === 124 ? 2 : 1;
  for (let i = 8; i < 16; i++) codes[levels[i]! / unit] = i;
  for (let block = 0; block < blocks; block++) {
    const from = raw.subarray(block * blockBytes, (block + 1) * blockBytes);
    const to = out.subarray(block * EXPANDED_BLOCK, (block + 1) * EXPANDED_BLOCK);
    to[0] = from[0]!;
    to[1] = from[1]!;
    forEachRow(type, from, (element, magnitudes, row, scale, signs) => {
      const group = element >> 5;
      const stored = 2 * scale + 1 + 32;
      if ((element & 31) === 0) {
        to[2 + (group >> 2)]! |= (stored >> 4) << (2 * (group & 3));
        to[4 + (group >> 1)]! |= (stored & 15) << (4 * (group & 1));
      }
      for (let i = 0; i < 4; i++) {
        const magnitude = codes[magnitudes[row * 4 + i]!]!;
        const code = (signs >> i) & 1 ? 15 - magnitude : magnitude;
        const column = (element + i) & 31;
        to[8 + group * 16 + (column & 15)]! |= code << (column < 16 ? 0 : 4);
      }
    });
  }
  return out;
}
