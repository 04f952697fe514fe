// Types with codes of 2 or 3 bits: groups of 256 columns in 8 blocks of 32.
//
//   2 bits  128 B a block   byte (c >> 4) * 64 + r * 4 + c % 4 holds column c at bit 2 (c % 16 >> 2)
//   bit 2    64 B           byte r * 4 + c % 4, bit c >> 2; of 3 bits, behind those
//
// A step of codes is 64 B, as everywhere; four steps share a set of 64 B, 16 columns. Headers of 16 rows:
//
//   Q2_K    d f16 32 B, dmin f16 32 B, then for each 16 columns 16 B of nibbles: scale low, minimum high
//   Q3_K    d f16 32 B, then 16 values of 6 bits for each row in four sets of 48 B (minimum.ts has their picture)
//   TQ2_0   d f16 32 B
//
// TQ1_0 becomes TQ2_0 while it is loaded: 2.06 bits for each weight, not 1.69.
//
// File formats: ggml's block_q2_K, block_q3_K and block_tq2_0 (ggml-common.h). All have byte l of half h hold columns
// 128 h + 32 j + l in bits 2 j.
import { copyHalf, get6, put6 } from './bits.ts';
import type { Layout } from './layout.ts';

const SETS = 128;

interface File {
  /** Where two-bit codes are in a block of the file, and their third bits. */
  readonly codes: number;
  readonly high?: number;
  readonly d: number;
}

type Header = Pick<Layout, 'pack' | 'unpack'>;

/** The layout of such a type; `head` packs what is in its header but d. */
function quarters(
  data: Pick<Layout, 'type' | 'scale' | 'minimum' | 'start' | 'header'>,
  file: File,
  head: Header | null,
): Layout {
  const { codes, high, d } = file;
  const block = high === undefined ? SETS : SETS + 64;
  /** For each column: where its bits are in the file, and in the group. */
  const columns = Array.from({ length: 256 }, (_, k) => {
    const [i, c] = [k >> 5, k & 31];
    return {
      low: codes + 32 * (i >> 2) + c,
      lowBit: 2 * (i & 3),
      third: (high ?? 0) + c,
      thirdBit: i,
      set: data.header + i * block + (c >> 4) * 64 + (c & 3),
      setBit: 2 * ((c & 15) >> 2),
      plane: data.header + i * block + SETS + (c & 3),
      planeBit: c >> 2,
    };
  });
  const put = (to: Uint8Array, at: number, bit: number, width: number, value: number) => {
    to[at] = (to[at]! & ~(width << bit)) | (value << bit);
  };
  const get = (from: Uint8Array, at: number, bit: number, width: number) => (from[at]! >> bit) & width;
  return {
    ...data,
    columns: 256,
    block,
    bits: high === undefined ? 2 : 3,
    scales: 0,
    pack(from, group, r) {
      copyHalf(from, d, group, r * 2);
      head?.pack(from, group, r);
      for (const at of columns) {
        put(group, at.set + r * 4, at.setBit, 3, get(from, at.low, at.lowBit, 3));
        if (high !== undefined) put(group, at.plane + r * 4, at.planeBit, 1, get(from, at.third, at.thirdBit, 1));
      }
    },
    unpack(group, to, r) {
      to.fill(0);
      copyHalf(group, r * 2, to, d);
      head?.unpack(group, to, r);
      for (const at of columns) {
        put(to, at.low, at.lowBit, 3, get(group, at.set + r * 4, at.setBit, 3));
        if (high !== undefined) put(to, at.third, at.thirdBit, 1, get(group, at.plane + r * 4, at.planeBit, 1));
      }
    },
  };
}

const Q2_FACTORS = 64;

export const Q2_K = quarters(
  { type: 'Q2_K', scale: 'factors', minimum: true, header: 320 },
  { codes: 16, d: 80 },
  {
    pack(block, group, r) {
      copyHalf(block, 82, group, 32 + r * 2);
      for (let k = 0; k < 16; k++) group[Q2_FACTORS + k * 16 + r] = block[k]!;
    },
    unpack(group, block, r) {
      copyHalf(group, 32 + r * 2, block, 82);
      for (let k = 0; k < 16; k++) block[k] = group[Q2_FACTORS + k * 16 + r]!;
    },
  },
);

const Q3_SETS = 32;
const q3Set = (r: number, k: number): number => Q3_SETS + (k >> 2) * 48 + r;

export const Q3_K = quarters(
  { type: 'Q3_K', scale: 'factors', minimum: false, start: 4, header: 224 },
  { codes: 32, high: 0, d: 108 },
  {
    pack(block, group, r) {
      for (let k = 0; k < 16; k++) {
        const low = (block[96 + (k & 7)]! >> ((k >> 3) * 4)) & 15;
        const high = (block[104 + (k & 3)]! >> ((k >> 2) * 2)) & 3;
        put6(group, q3Set(r, k), 16, k % 4, low | (high << 4));
      }
    },
    unpack(group, block, r) {
      for (let k = 0; k < 16; k++) {
        const value = get6(group, q3Set(r, k), 16, k % 4);
        block[96 + (k & 7)]! |= (value & 15) << ((k >> 3) * 4);
        block[104 + (k & 3)]! |= (value >> 4) << ((k >> 2) * 2);
      }
    },
  },
);

export const TQ2_0 = quarters(
  { type: 'TQ2_0', scale: 'group', minimum: false, start: 1, header: 32 },
  { codes: 0, d: 64 },
  null,
);
