// Q6_K: groups of 256 columns, 3,360 B a tile's group.
//
//   d           32 B   f16, one for each row
//   factors    256 B   int8 for every 16 columns: byte (2 i + (c >> 4)) * 16 + r, i the block of 32 columns
//   8 blocks of codes, 384 B each, in sets of 16 columns, 192 B each, and 4 values v[c % 16 >> 2] for each r and c % 4:
//               byte j * 64 + r * 4 + c % 4 holds v[j] and, above it, bits 2j, 2j + 1 of v[3], j = 0…2
//
// Codes of 16 columns are three steps of 64 B, the low six bits, and a fourth from the top bits of all three. The
// offset is 32.
import { copyHalf, get6, put6 } from './bits.ts';
import type { Layout } from './layout.ts';

const FACTORS = 32;
const HEADER = 288;
const BLOCK = 384;

/** The set of column c's code in block b. */
const codeSet = (b: number, r: number, c: number): number =>
  HEADER + b * BLOCK + (c >> 4) * (BLOCK / 2) + r * 4 + (c % 4);

/** Column 32 i + c of a half of 128 columns in the file: its place in ql. */
const lowAt = (half: number, i: number, c: number): number => half * 64 + (i & 1) * 32 + c;

export const Q6_K: Layout = {
  type: 'Q6_K',
  columns: 256,
  header: HEADER,
  block: BLOCK,
  bits: 6,
  scale: 'factors',
  scales: 0,
  minimum: false,
  start: 32,
  pack(block, group, r) {
    copyHalf(block, 208, group, r * 2);
    for (let k = 0; k < 16; k++) group[FACTORS + k * 16 + r] = block[192 + k]!;
    for (let b = 0; b < 8; b++) {
      const half = b >> 2;
      const i = b & 3;
      for (let c = 0; c < 32; c++) {
        const low = (block[lowAt(half, i, c)]! >> (4 * (i >> 1))) & 15;
        const high = (block[128 + half * 32 + c]! >> (2 * i)) & 3;
        put6(group, codeSet(b, r, c), 64, (c % 16) >> 2, low | (high << 4));
      }
    }
  },
  unpack(group, block, r) {
    block.fill(0);
    copyHalf(group, r * 2, block, 208);
    for (let k = 0; k < 16; k++) block[192 + k] = group[FACTORS + k * 16 + r]!;
    for (let b = 0; b < 8; b++) {
      const half = b >> 2;
      const i = b & 3;
      for (let c = 0; c < 32; c++) {
        const code = get6(group, codeSet(b, r, c), 64, (c % 16) >> 2);
        block[lowAt(half, i, c)]! |= (code & 15) << (4 * (i >> 1));
        block[128 + half * 32 + c]! |= (code >> 4) << (2 * i);
      }
    }
  },
};
