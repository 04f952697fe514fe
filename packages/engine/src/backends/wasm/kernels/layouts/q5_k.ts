// Q5_K: groups of 256 columns (minimum.ts has the picture), 2,816 B a tile's group: 256 B of scales, 8 blocks of 320 B.
// A step of codes is as Q5_0's. Codes have no offset, but products start at that of 16, or i16 sums had no room
// (linear/packed-dot.ts); the minimum makes up for it.
import type { Layout } from './layout.ts';
import { HEADER, packMinimum } from './minimum.ts';

const BLOCK = 320;

export const Q5_K: Layout = {
  type: 'Q5_K',
  columns: 256,
  header: HEADER,
  block: BLOCK,
  bits: 5,
  scale: 'group',
  scales: 0,
  minimum: true,
  start: 16,
  ...packMinimum(5, BLOCK, 48),
};
