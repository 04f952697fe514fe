// Q8_0: groups of 32 columns, 544 B a tile's group.
//
//   bytes   512 B   byte (c >> 2) * 64 + r * 4 + c % 4: the code + 128
//   scales   32 B   f16, one for each row
//
// A step of codes is 64 B of columns 4s…, read twice, as the dot product takes weights below 128: the high nibbles,
// which count 16 times and carry the offset of 8, and the low ones.
import { copyHalf } from './bits.ts';
import type { Layout } from './layout.ts';

const SCALES = 512;
const at = (c: number, r: number): number => (c >> 2) * 64 + r * 4 + (c % 4);

export const Q8_0: Layout = {
  type: 'Q8_0',
  columns: 32,
  header: 0,
  block: 544,
  bits: 8,
  scale: 'half',
  scales: SCALES,
  minimum: false,
  start: 8,
  file: { codes: 2 },
  pack(block, group, r) {
    for (let c = 0; c < 32; c++) group[at(c, r)] = block[2 + c]! ^ 0x80;
    copyHalf(block, 0, group, SCALES + r * 2);
  },
  unpack(group, block, r) {
    for (let c = 0; c < 32; c++) block[2 + c] = group[at(c, r)]! ^ 0x80;
    copyHalf(group, SCALES + r * 2, block, 0);
  },
};
