// Q4_K: groups of 256 columns (minimum.ts has the picture), 2,304 B a tile's group: 256 B of scales, 8 blocks of 256 B.
// A step of codes is as Q4_0's, without an offset.
import type { Layout } from './layout.ts';
import { HEADER, packMinimum } from './minimum.ts';

const BLOCK = 256;

export const Q4_K: Layout = {
  type: 'Q4_K',
  columns: 256,
  header: HEADER,
  block: BLOCK,
  bits: 4,
  scale: 'group',
  scales: 0,
  minimum: true,
  ...packMinimum(4, BLOCK, 16),
};
