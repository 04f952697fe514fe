// Q4_K and Q5_K: groups of 256 columns, whose 8 blocks of 32 have a scale and a minimum of 6 bits each.
//
//   d       32 B   f16, one for each row
//   dmin    32 B   f16
//   6-bit  192 B   16 values v for each row (8 scales, then 8 minima) in four sets of 48 B: byte j * 16 + r holds v[j]
//                  and, above it, bits 2j, 2j + 1 of v[3], j = 0…2
//   8 blocks of nibbles as Q4_0's (in Q5_K behind bits 4, as Q5_0's)
//
// File format: ggml's block_q4_K and block_q5_K (ggml-common.h), 12 bytes of scales and minima.
import { copyHalf, get6, getCode, put6, putCode } from './bits.ts';
import type { Layout } from './layout.ts';

const MINIMA = 32;
const SETS = 64;
export const HEADER = 256;

/** The set of the k-th of a row's sixteen 6-bit values. */
const setOf = (r: number, k: number): number => SETS + (k >> 2) * 48 + r;

/** The k-th value in the file: the last four of scales and of minima are split over two places. */
function fileScale(scales: Uint8Array, k: number): number {
  const i = k % 8;
  const low = k < 8;
  if (i < 4) return scales[low ? i : i + 4]! & 63;
  return low ? (scales[i + 4]! & 15) | ((scales[i - 4]! >> 6) << 4) : (scales[i + 4]! >> 4) | ((scales[i]! >> 6) << 4);
}

function fileScales(values: readonly number[], scales: Uint8Array): void {
  for (let i = 0; i < 4; i++) {
    scales[i] = values[i]! | ((values[i + 4]! >> 4) << 6);
    scales[i + 4] = values[i + 8]! | ((values[i + 12]! >> 4) << 6);
    scales[i + 8] = (values[i + 4]! & 15) | ((values[i + 12]! & 15) << 4);
  }
}

/**
 * Packing of a type with `bits` bits a code in blocks of `step` bytes, whose nibbles begin at `nibbles` in the file.
 */
export const packMinimum = (bits: 4 | 5, step: number, nibbles: number): Pick<Layout, 'pack' | 'unpack'> => ({
  pack(block, group, r) {
    copyHalf(block, 0, group, r * 2);
    copyHalf(block, 2, group, MINIMA + r * 2);
    for (let k = 0; k < 16; k++) put6(group, setOf(r, k), 16, k % 4, fileScale(block.subarray(4, 16), k));
    for (let i = 0; i < 8; i++) {
      for (let c = 0; c < 32; c++) {
        const nibble = (block[nibbles + (i >> 1) * 32 + c]! >> (4 * (i & 1))) & 15;
        const high = bits === 5 ? (block[16 + c]! >> i) & 1 : 0;
        putCode(group, HEADER + i * step, r, c, nibble | (high << 4), bits);
      }
    }
  },
  unpack(group, block, r) {
    block.fill(0);
    copyHalf(group, r * 2, block, 0);
    copyHalf(group, MINIMA + r * 2, block, 2);
    fileScales(
      Array.from({ length: 16 }, (_, k) => get6(group, setOf(r, k), 16, k % 4)),
      block.subarray(4, 16),
    );
    for (let i = 0; i < 8; i++) {
      for (let c = 0; c < 32; c++) {
        const code = getCode(group, HEADER + i * step, r, c, bits);
        block[nibbles + (i >> 1) * 32 + c]! |= (code & 15) << (4 * (i & 1));
        if (bits === 5) block[16 + c]! |= (code >> 4) << i;
      }
    }
  },
});
