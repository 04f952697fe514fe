// Activations for the packed kernels: int8 with one f32 scale per 32 columns. See plan/codes.ts for the picture:
// tiles of up to 4 rows; a tile of K rows holds, for each block of 32 columns, 64 K bytes:
//
//   8 steps x K rows x 4 bytes     step s is columns 4s…4s+3
//   8 words x K rows x 4 bytes     scale f32 | scale * sum f32 | start values: -8 sum, -16 sum,
//                                  -32 sum of columns 0…15, -32 sum of columns 16…31 |
//                                  scale * sum f32 of columns 0…15, of columns 16…31
//
// A start value fits the accumulators of packed-dot.ts: one i32, or for pairs two i16 (columns 4s, 4s+1 and 4s+2,
// 4s+3).
import { liveRows, nextChunk } from '../common/common';
import { ROUNDING } from '../common/math';
import { QuantizeRows } from '../op-records';

// @inline
export const TILE_ROWS: i32 = 4;
// @inline
export const BLOCK_CODES: usize = 64;
// @inline
export const CODE_SCALE: usize = 32;
// @inline
export const CODE_SUM: usize = 36;
// @inline
export const START_8: usize = 40;
// @inline
export const START_16: usize = 44;
// @inline
export const START_32: usize = 48;
/** Two words. */
// @inline
export const HALF_SUMS: usize = 56;

/** Bytes of one row's codes; rows of a tile interleave. */
// @inline
export function rowCodes(columns: i32): usize {
  return <usize>(columns >> 5) * BLOCK_CODES;
}

/** How many rows the tile of row `row` holds, of `rows` in all. */
// @inline
export function tileWidth(row: i32, rows: i32): i32 {
  return min(TILE_ROWS, rows - (row & -TILE_ROWS));
}

/** A start value for accumulators from the sums of both column pairs. */
// @inline
function startValue(first: i32, second: i32, offset: i32): i32 {
  if (PAIR_DOT) return ((-offset * first) & 0xffff) | ((-offset * second) << 16);
  return -offset * (first + second);
}

/**
 * 32 floats at `x` into row `lane` of a tile of `width` rows, `block` being the tile's block. 1.5 * 2^23 added to a
 * float rounds it to the nearest integer (ties to even), which then lies in its low bits.
 */
export function quantizeBlock(x: usize, block: usize, lane: i32, width: i32): void {
  const x0 = v128.load(x),
    x1 = v128.load(x, 16),
    x2 = v128.load(x, 32),
    x3 = v128.load(x, 48);
  const x4 = v128.load(x, 64),
    x5 = v128.load(x, 80),
    x6 = v128.load(x, 96),
    x7 = v128.load(x, 112);
  // Magnitudes as integers: doubled bits, so without the sign. NaN is then the largest of all and ends up in the
  // scale. (V8 spends six instructions on an f32x4.max.)
  let m = i32x4.max_u(
    i32x4.max_u(i32x4.max_u(i32x4.shl(x0, 1), i32x4.shl(x1, 1)), i32x4.max_u(i32x4.shl(x2, 1), i32x4.shl(x3, 1))),
    i32x4.max_u(i32x4.max_u(i32x4.shl(x4, 1), i32x4.shl(x5, 1)), i32x4.max_u(i32x4.shl(x6, 1), i32x4.shl(x7, 1))),
  );
  m = i32x4.max_u(m, i8x16.shuffle(m, m, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  const bits = max(<u32>i32x4.extract_lane(m, 0), <u32>i32x4.extract_lane(m, 1));
  const largest = reinterpret<f32>(bits >> 1);
  const scale = largest / 127;
  const inverse = f32x4.splat(largest > 1e-34 ? 127 / largest : 0);
  const magic = v128.load32_splat(ROUNDING);
  const q0 = rounded(x0, x1, inverse, magic),
    q1 = rounded(x2, x3, inverse, magic);
  const q2 = rounded(x4, x5, inverse, magic),
    q3 = rounded(x6, x7, inverse, magic);
  const low = i8x16.narrow_i16x8_s(q0, q1),
    high = i8x16.narrow_i16x8_s(q2, q3);
  const stride = <usize>width * 4;
  let p = block + <usize>lane * 4;
  if (width == 1) {
    v128.store(p, low);
    v128.store(p, high, 16);
  } else {
    storeWords(p, stride, low);
    storeWords(p + 4 * stride, stride, high);
  }
  p += 8 * stride;
  // i16 lanes of q: columns mod 8. Sums per column mod 4 pair: lanes 0,1,4,5 and 2,3,6,7.
  const a = i32x4.extadd_pairwise_i16x8_s(i16x8.add(q0, q1));
  const b = i32x4.extadd_pairwise_i16x8_s(i16x8.add(q2, q3));
  const a0 = i32x4.extract_lane(a, 0) + i32x4.extract_lane(a, 2),
    a1 = i32x4.extract_lane(a, 1) + i32x4.extract_lane(a, 3);
  const b0 = i32x4.extract_lane(b, 0) + i32x4.extract_lane(b, 2),
    b1 = i32x4.extract_lane(b, 1) + i32x4.extract_lane(b, 3);
  store<f32>(p, scale);
  store<f32>(p + stride, scale * <f32>(a0 + a1 + b0 + b1));
  store<f32>(p + 6 * stride, scale * <f32>(a0 + a1));
  store<f32>(p + 7 * stride, scale * <f32>(b0 + b1));
  store<i32>(p + 2 * stride, startValue(a0 + b0, a1 + b1, 8));
  store<i32>(p + 3 * stride, startValue(a0 + b0, a1 + b1, 16));
  store<i32>(p + 4 * stride, startValue(a0, a1, 32));
  store<i32>(p + 5 * stride, startValue(b0, b1, 32));
}

// @inline
function storeWords(p: usize, stride: usize, words: v128): void {
  v128.store32_lane(p, words, 0);
  v128.store32_lane(p + stride, words, 1);
  v128.store32_lane(p + 2 * stride, words, 2);
  v128.store32_lane(p + 3 * stride, words, 3);
}

// @inline
function rounded(a: v128, b: v128, inverse: v128, magic: v128): v128 {
  const i = i32x4.sub(f32x4.add(f32x4.mul(a, inverse), magic), magic);
  const j = i32x4.sub(f32x4.add(f32x4.mul(b, inverse), magic), magic);
  return i16x8.narrow_i32x4_s(i, j);
}

/** Columns that one chunk quantises: of a wide single row, several threads take a part each. */
const CHUNK_COLUMNS: i32 = 2048;

export function quantizeRows(op: QuantizeRows, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  const columns = op.columns;
  const x = op.x;
  const codes = op.codes;
  const stride = op.xStride << 2;
  const parts = (columns + CHUNK_COLUMNS - 1) / CHUNK_COLUMNS;
  const chunks = ((rows + TILE_ROWS - 1) / TILE_ROWS) * parts;
  for (let chunk = nextChunk(op); chunk < chunks; chunk = nextChunk(op)) {
    const row = (chunk / parts) * TILE_ROWS;
    const width = tileWidth(row, rows);
    const tile = codes + <usize>row * rowCodes(columns);
    const first = (chunk % parts) * CHUNK_COLUMNS;
    const end = min(first + CHUNK_COLUMNS, columns);
    for (let lane = 0; lane < width; lane++) {
      const from = x + <usize>(row + lane) * stride;
      for (let c = first; c < end; c += 32) {
        quantizeBlock(from + ((<usize>c) << 2), tile + <usize>(c >> 5) * BLOCK_CODES * <usize>width, lane, width);
      }
    }
  }
}

/** Copies one row's codes out of `codes` (`rows` rows) into lane `lane` of a tile of `width` rows. */
export function copyRowCodes(
  codes: usize,
  row: i32,
  rows: i32,
  columns: i32,
  tile: usize,
  lane: i32,
  width: i32,
): void {
  const fromStride = <usize>tileWidth(row, rows) * 4;
  const toStride = <usize>width * 4;
  let from = codes + <usize>(row & -TILE_ROWS) * rowCodes(columns) + <usize>(row & (TILE_ROWS - 1)) * 4;
  let to = tile + <usize>lane * 4;
  for (let n = (columns >> 5) * <i32>(BLOCK_CODES >> 2); n > 0; n--) {
    store<u32>(to, load<u32>(from));
    from += fromStride;
    to += toStride;
  }
}
