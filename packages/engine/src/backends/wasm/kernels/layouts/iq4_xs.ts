// IQ4_XS: groups of 256 columns, whose 8 blocks of 32 have a scale of 6 bits, less 32, each. 2,176 B a tile's group.
//
//   d       32 B   f16, one for each row
//   6-bit   96 B   8 values for each row in two sets of 48 B (minimum.ts has their picture)
//   8 blocks of nibbles as IQ4_NL's
//
// File format: ggml's block_iq4_xs (ggml-common.h). IQ3_S and IQ3_XXS become such blocks before they are packed.
import { EXPANSIONS } from '../../../../formats/quants/expand.ts';
import { IQ4_LEVELS } from '../../../../formats/quants/table-blocks.ts';
import { copyHalf, get6, getCode, put6, putCode } from './bits.ts';
import type { Layout } from './layout.ts';

const SETS = 32;
const HEADER = 128;
const BLOCK = 256;
const setOf = (r: number, k: number): number => SETS + (k >> 2) * 48 + r;
/** The nibble of column c of block i in the file. */
const nibbleAt = (i: number, c: number): number => 8 + 16 * i + (c % 16);

/** What IQ4_XS has in common with types that are expanded to blocks like its own. */
const COMMON = {
  columns: 256,
  header: HEADER,
  block: BLOCK,
  bits: 4,
  scale: 'group',
  scales: 0,
  minimum: false,
  pack(block: Uint8Array, group: Uint8Array, r: number) {
    copyHalf(block, 0, group, r * 2);
    const upper = block[2]! | (block[3]! << 8);
    for (let k = 0; k < 8; k++) {
      const low = (block[4 + (k >> 1)]! >> (4 * (k & 1))) & 15;
      put6(group, setOf(r, k), 16, k % 4, low | (((upper >> (2 * k)) & 3) << 4));
    }
    for (let i = 0; i < 8; i++)
      for (let c = 0; c < 32; c++)
        putCode(group, HEADER + i * BLOCK, r, c, (block[nibbleAt(i, c)]! >> (c < 16 ? 0 : 4)) & 15, 4);
  },
  unpack(group: Uint8Array, block: Uint8Array, r: number) {
    block.fill(0);
    copyHalf(group, r * 2, block, 0);
    let upper = 0;
    for (let k = 0; k < 8; k++) {
      const value = get6(group, setOf(r, k), 16, k % 4);
      block[4 + (k >> 1)]! |= (value & 15) << (4 * (k & 1));
      upper |= (value >> 4) << (2 * k);
    }
    block[2] = upper & 255;
    block[3] = upper >> 8;
    for (let i = 0; i < 8; i++)
      for (let c = 0; c < 32; c++)
        block[nibbleAt(i, c)]! |= getCode(group, HEADER + i * BLOCK, r, c, 4) << (c < 16 ? 0 : 4);
  },
} as const satisfies Partial<Layout>;

export const IQ4_XS: Layout = { ...COMMON, type: 'IQ4_XS', levels: [...IQ4_LEVELS], start: 8 };

/** Rows arrive expanded (formats/quants/expand.ts). */
const expanded = (type: 'IQ3_S' | 'IQ3_XXS', start: 8 | 16): Layout => ({
  ...COMMON,
  type,
  start,
  ...EXPANSIONS[type]!,
});
export const IQ3_S = expanded('IQ3_S', 16);
export const IQ3_XXS = expanded('IQ3_XXS', 8);
