// How one block of a file's quantised row lies in a group of a packed tile, for each type; layout.ts has the picture.
// File formats: ggml's quantisation blocks (ggml-common.h). A block is taken apart into its parts (codes, scales), and
// the parts put in place; unpacking goes the same way back.
import type { TensorType } from '../../../formats/types.ts';

/** `block` is one block of the file, `group` the 16 rows' group that holds it, r the row in the tile. */
export interface BlockPacker {
  readonly type: TensorType;
  pack(block: Uint8Array, group: Uint8Array, r: number): void;
  unpack(group: Uint8Array, block: Uint8Array, r: number): void;
}

/** Columns of 32 codes and where their bits go; `get` and `set` are the two directions. */
const nibbleAt = (c: number, r: number): number => ((c % 16) >> 2) * 64 + r * 4 + (c % 4);

function putCode(group: Uint8Array, at: number, r: number, c: number, code: number, bits: 4 | 5): void {
  const n = at + nibbleAt(c, r);
  group[n] = c < 16 ? (group[n]! & 0xf0) | (code & 15) : (group[n]! & 0x0f) | ((code & 15) << 4);
  if (bits === 5) {
    const b = at + 256 + r * 4 + (c % 4);
    group[b] = (group[b]! & ~(1 << (c >> 2))) | ((code >> 4) << (c >> 2));
  }
}

function getCode(group: Uint8Array, at: number, r: number, c: number, bits: 4 | 5): number {
  const nibble = (group[at + nibbleAt(c, r)]! >> (c < 16 ? 0 : 4)) & 15;
  if (bits === 5) return nibble | (((group[at + 256 + r * 4 + (c % 4)]! >> (c >> 2)) & 1) << 4);
  return nibble;
}

const copyHalf = (from: Uint8Array, at: number, to: Uint8Array, into: number): void => {
  to[into] = from[at]!;
  to[into + 1] = from[at + 1]!;
};

/** The k-th of four 6-bit values in three bytes, `stride` apart from `set` on. */
function put6(group: Uint8Array, set: number, stride: number, k: number, value: number): void {
  if (k < 3) {
    const b = set + k * stride;
    group[b] = (group[b]! & 0xc0) | value;
    return;
  }
  for (let j = 0; j < 3; j++)
    group[set + j * stride] = (group[set + j * stride]! & 0x3f) | (((value >> (2 * j)) & 3) << 6);
}

function get6(group: Uint8Array, set: number, stride: number, k: number): number {
  if (k < 3) return group[set + k * stride]! & 63;
  return [0, 1, 2].reduce((value, j) => value | ((group[set + j * stride]! >> 6) << (2 * j)), 0);
}

/** The set of the k-th of a row's sixteen 6-bit scales. */
const scaleSet = (r: number, k: number): number => 64 + (k >> 2) * 48 + r;

/** The set of column c's code in block b of Q6_K. */
const codeSet = (b: number, r: number, c: number): number => 288 + b * 384 + (c >> 4) * 192 + r * 4 + (c % 4);

const Q4_0: BlockPacker = {
  type: 'Q4_0',
  pack(block, group, r) {
    for (let c = 0; c < 32; c++) putCode(group, 0, r, c, (block[2 + (c % 16)]! >> (c < 16 ? 0 : 4)) & 15, 4);
    copyHalf(block, 0, group, 256 + r * 2);
  },
  unpack(group, block, r) {
    for (let c = 0; c < 16; c++)
      block[2 + c] = getCode(group, 0, r, c, 4) | (getCode(group, 0, r, c + 16, 4) << 4);
    copyHalf(group, 256 + r * 2, block, 0);
  },
};

const Q5_0: BlockPacker = {
  type: 'Q5_0',
  pack(block, group, r) {
    for (let c = 0; c < 32; c++) {
      const high = (block[2 + (c >> 3)]! >> (c & 7)) & 1;
      putCode(group, 0, r, c, ((block[6 + (c % 16)]! >> (c < 16 ? 0 : 4)) & 15) | (high << 4), 5);
    }
    copyHalf(block, 0, group, 320 + r * 2);
  },
  unpack(group, block, r) {
    block.fill(0);
    for (let c = 0; c < 32; c++) {
      const code = getCode(group, 0, r, c, 5);
      block[6 + (c % 16)]! |= (code & 15) << (c < 16 ? 0 : 4);
      block[2 + (c >> 3)]! |= (code >> 4) << (c & 7);
    }
    copyHalf(group, 320 + r * 2, block, 0);
  },
};

const Q8_0: BlockPacker = {
  type: 'Q8_0',
  pack(block, group, r) {
    for (let c = 0; c < 32; c++) group[(c >> 2) * 64 + r * 4 + (c % 4)] = block[2 + c]! ^ 0x80;
    copyHalf(block, 0, group, 512 + r * 2);
  },
  unpack(group, block, r) {
    for (let c = 0; c < 32; c++) block[2 + c] = group[(c >> 2) * 64 + r * 4 + (c % 4)]! ^ 0x80;
    copyHalf(group, 512 + r * 2, block, 0);
  },
};

/** Q4_K and Q5_K: 12 bytes of eight 6-bit scales and eight minima, the last four of each split over two places. */
function fileScale(scales: Uint8Array, k: number): number {
  const i = k % 8;
  const low = k < 8;
  if (i < 4) return scales[low ? i : i + 4]! & 63;
  return low
    ? (scales[i + 4]! & 15) | ((scales[i - 4]! >> 6) << 4)
    : (scales[i + 4]! >> 4) | ((scales[i]! >> 6) << 4);
}

function fileScales(values: readonly number[], scales: Uint8Array): void {
  for (let i = 0; i < 4; i++) {
    scales[i] = values[i]! | ((values[i + 4]! >> 4) << 6);
    scales[i + 4] = values[i + 8]! | ((values[i + 12]! >> 4) << 6);
    scales[i + 8] = (values[i + 4]! & 15) | ((values[i + 12]! & 15) << 4);
  }
}

const minimumQuant = (type: 'Q4_K' | 'Q5_K'): BlockPacker => {
  const bits = type === 'Q4_K' ? 4 : 5;
  const step = type === 'Q4_K' ? 256 : 320;
  const nibbles = type === 'Q4_K' ? 16 : 48;
  return {
    type,
    pack(block, group, r) {
      copyHalf(block, 0, group, r * 2);
      copyHalf(block, 2, group, 32 + r * 2);
      for (let k = 0; k < 16; k++)
        put6(group, scaleSet(r, k), 16, k % 4, fileScale(block.subarray(4, 16), k));
      for (let i = 0; i < 8; i++) {
        for (let c = 0; c < 32; c++) {
          const nibble = (block[nibbles + (i >> 1) * 32 + c]! >> (4 * (i & 1))) & 15;
          const high = bits === 5 ? (block[16 + c]! >> i) & 1 : 0;
          putCode(group, 256 + i * step, r, c, nibble | (high << 4), bits);
        }
      }
    },
    unpack(group, block, r) {
      block.fill(0);
      copyHalf(group, r * 2, block, 0);
      copyHalf(group, 32 + r * 2, block, 2);
      fileScales(
        Array.from({ length: 16 }, (_, k) => get6(group, scaleSet(r, k), 16, k % 4)),
        block.subarray(4, 16),
      );
      for (let i = 0; i < 8; i++) {
        for (let c = 0; c < 32; c++) {
          const code = getCode(group, 256 + i * step, r, c, bits);
          block[nibbles + (i >> 1) * 32 + c]! |= (code & 15) << (4 * (i & 1));
          if (bits === 5) block[16 + c]! |= (code >> 4) << i;
        }
      }
    },
  };
};

/** Q6_K: column 32 i + c of a half of 128 columns; its place in ql and qh. */
const lowAt = (half: number, i: number, c: number): number => half * 64 + (i & 1) * 32 + c;

const Q6_K: BlockPacker = {
  type: 'Q6_K',
  pack(block, group, r) {
    copyHalf(block, 208, group, r * 2);
    for (let k = 0; k < 16; k++) group[32 + k * 16 + r] = block[192 + k]!;
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
    for (let k = 0; k < 16; k++) block[192 + k] = group[32 + k * 16 + r]!;
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

export const BLOCK_PACKERS: ReadonlyMap<TensorType, BlockPacker> = new Map(
  [Q4_0, Q5_0, Q8_0, minimumQuant('Q4_K'), minimumQuant('Q5_K'), Q6_K].map((packer) => [packer.type, packer]),
);
