// Q5_0: groups of 32 columns, 352 B a tile's group.
//
//   nibbles 256 B   as Q4_0's
//   bit 4    64 B   byte r * 4 + c % 4, bit c >> 2
//   scales   32 B   f16, one for each row
//
// A step of codes is as Q4_0's; bit 0 of the fifth bits belongs to its low nibbles, bit 4 to its high ones, and each
// step shifts them down by one. The offset is 16.
import { copyHalf, getCode, putCode } from './bits.ts';
import type { Layout } from './layout.ts';

const SCALES = 320;

export const Q5_0: Layout = {
  type: 'Q5_0',
  columns: 32,
  header: 0,
  block: 352,
  bits: 5,
  scales: SCALES,
  minimum: false,
  start: 'START_16',
  pack(block, group, r) {
    for (let c = 0; c < 32; c++) {
      const high = (block[2 + (c >> 3)]! >> (c & 7)) & 1;
      putCode(group, 0, r, c, ((block[6 + (c % 16)]! >> (c < 16 ? 0 : 4)) & 15) | (high << 4), 5);
    }
    copyHalf(block, 0, group, SCALES + r * 2);
  },
  unpack(group, block, r) {
    block.fill(0);
    for (let c = 0; c < 32; c++) {
      const code = getCode(group, 0, r, c, 5);
      block[6 + (c % 16)]! |= (code & 15) << (c < 16 ? 0 : 4);
      block[2 + (c >> 3)]! |= (code >> 4) << (c & 7);
    }
    copyHalf(group, SCALES + r * 2, block, 0);
  },
};
