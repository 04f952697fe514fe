// What products of packed weights share: kinds of panel, and how a block's integers are added to float sums.
import { madd } from '../common/common';
import { scaledTotal, total } from './packed-dot';

// Kinds of panel, by what a block of 32 columns and 8 rows holds:
//   OFFSET_8, OFFSET_16   256 B codes, 32 B scales
//   MINIMUM, MINIMUM_16   256 B codes, 32 B scales, 32 B minima
//   HALVES                128 B codes of columns 0…15, 32 B factors (f32, or each twice as i16), the same of columns
//                         16…31, 32 B scales
//   TWO_NIBBLES           256 B low nibbles, 256 B high nibbles, 32 B scales
//   HALVES_MINIMUM        as HALVES, without an offset, then 32 B minima of columns 0…15, 32 B of columns 16…31
// @inline
export const OFFSET_8: i32 = 0;
// @inline
export const OFFSET_16: i32 = 1;
// @inline
export const MINIMUM: i32 = 2;
// @inline
export const MINIMUM_16: i32 = 3;
// @inline
export const HALVES: i32 = 4;
// @inline
export const TWO_NIBBLES: i32 = 5;
// @inline
export const HALVES_MINIMUM: i32 = 6;

// @inline
export function panelBlockBytes(kind: i32): usize {
  return kind <= OFFSET_16 ? 288 : kind <= MINIMUM_16 ? 320 : kind == HALVES ? 352 : kind == TWO_NIBBLES ? 544 : 416;
}

/** Bytes of one tile's result: [row of activations][8 rows of weights]. */
export const SUMS_BYTES: usize = 128;

// By immediate offsets: the 256-bit pass sees neighbours only where the base is the same.
// @inline
export function storeSums(sums: usize, row: i32, a: v128, b: v128): void {
  if (row == 0) {
    v128.store(sums, a);
    v128.store(sums, b, 16);
  } else if (row == 1) {
    v128.store(sums, a, 32);
    v128.store(sums, b, 48);
  } else if (row == 2) {
    v128.store(sums, a, 64);
    v128.store(sums, b, 80);
  } else {
    v128.store(sums, a, 96);
    v128.store(sums, b, 112);
  }
}

/** Adds one block's integers to a float sum. */
// @inline
export function addScaled(i: v128, ones: v128, scale: v128, s: v128, y: v128): v128 {
  return madd(f32x4.convert_i32x4_s(total(i, ones)), f32x4.mul(scale, s), y);
}

/** The first pass's integers; as f32 where factors are. */
// @inline
export function partial(kind: i32, sum: v128, factors: v128): v128 {
  if (kind == TWO_NIBBLES) return total(sum, factors);
  return PAIR_DOT ? i32x4.dot_i16x8_s(sum, factors) : f32x4.mul(f32x4.convert_i32x4_s(sum), factors);
}

/** Adds both passes' integers to a float sum. */
// @inline
export function addBoth(kind: i32, first: v128, sum: v128, factors: v128, scale: v128, s: v128, y: v128): v128 {
  if (kind != TWO_NIBBLES && !PAIR_DOT)
    return madd(madd(f32x4.convert_i32x4_s(sum), factors, first), f32x4.mul(scale, s), y);
  return madd(f32x4.convert_i32x4_s(i32x4.add(first, scaledTotal(sum, factors))), f32x4.mul(scale, s), y);
}
