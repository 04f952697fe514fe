// Q4_0: groups of 32 columns, 288 B a tile's group.
//
//   nibbles 256 B   byte (c % 16 >> 2) * 64 + r * 4 + c % 4 holds column c low and column c + 16 high
//   scales   32 B   f16, one for each row
//
// A step of codes is 64 B: low nibbles are columns 4s…, high ones columns 16 + 4s…, both with an offset of 8.
import { copyHalf, getCode, putCode } from './bits.ts';
import type { Layout } from './layout.ts';

const SCALES = 256;

export const Q4_0: Layout = {
  type: 'Q4_0',
  columns: 32,
  header: 0,
  block: 288,
  bits: 4,
  scales: SCALES,
  minimum: false,
  start: 'START_8',
  pack(block, group, r) {
    for (let c = 0; c < 32; c++) putCode(group, 0, r, c, (block[2 + (c % 16)]! >> (c < 16 ? 0 : 4)) & 15, 4);
    copyHalf(block, 0, group, SCALES + r * 2);
  },
  unpack(group, block, r) {
    for (let c = 0; c < 16; c++) block[2 + c] = getCode(group, 0, r, c, 4) | (getCode(group, 0, r, c + 16, 4) << 4);
    copyHalf(group, SCALES + r * 2, block, 0);
  },
};
