// The product that prompts spend their time in: 8 rows of weights times 1…4 rows of activations, over all columns.
// Weights come as half a panel (packed-panel.ts): bytes already below 128, scales already f32, one contiguous stream.
//
// The inner loop takes one step (4 columns): two vectors of weights, one broadcast of activations per row, 2 x 4 accumulators. It
// is not unrolled: V8's scheduler would chain the dots of one accumulator and spill (1.5 x slower). Vectors of the same kind lie
// side by side and are stored in pairs with nothing between: this is the pattern that V8's 256-bit pass
// (--experimental-wasm-revectorize) merges into one AVX2 instruction, 1.6 x faster where the flag is on.
//
// The order of float sums over columns is that of the decode kernels, so a row's result does not depend on which kernel
// made it.
import { madd } from '../common/common';
import { fetchAhead } from './packed-ahead';
import { CODE_SCALE, CODE_SUM, START_16, START_32, START_8 } from './packed-codes';
import { CONSTANTS, dot, ONES, scaledTotal, SIXTEENS, total } from './packed-dot';

// Kinds of panel, by what a block of 32 columns and 8 rows holds:
//   OFFSET_8, OFFSET_16   256 B codes, 32 B scales
//   MINIMUM, MINIMUM_16   256 B codes, 32 B scales, 32 B minima
//   HALVES                128 B codes of columns 0…15, 32 B factors (f32, or each twice as i16), the same of columns 16…31, 32 B scales
//   NIBBLES               256 B low nibbles, 256 B high nibbles, 32 B scales
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
export function panelBlockBytes(kind: i32): usize {
  return kind <= OFFSET_16 ? 288 : kind <= MINIMUM_16 ? 320 : kind == HALVES ? 352 : 544;
}

/** Bytes of one tile's result: [row of activations][8 rows of weights]. */
export const SUMS_BYTES: usize = 128;

// By immediate offsets: the 256-bit pass sees neighbours only where the base is the same.
// @inline
export function storeSums(sums: usize, row: i32, a: v128, b: v128): void {
  if (row == 0) { v128.store(sums, a); v128.store(sums, b, 16); }
  else if (row == 1) { v128.store(sums, a, 32); v128.store(sums, b, 48); }
  else if (row == 2) { v128.store(sums, a, 64); v128.store(sums, b, 80); }
  else { v128.store(sums, a, 96); v128.store(sums, b, 112); }
}

/** Adds one block's integers to a float sum. */
// @inline
export function addScaled(i: v128, ones: v128, scale: v128, s: v128, y: v128): v128 {
  return madd(f32x4.convert_i32x4_s(total(i, ones)), f32x4.mul(scale, s), y);
}

/** Kinds whose block is one pass: all blocks of half a panel times a tile of K rows of activations, into `sums`. */
// @inline
function onePass(kind: i32, K: i32, w: usize, x: usize, blocks: i32, sums: usize): void {
  const zero = i32x4.splat(0), ones = v128.load(CONSTANTS + ONES);
  const minimum = kind == MINIMUM || kind == MINIMUM_16;
  let y0 = zero, y1 = zero, y2 = zero, y3 = zero, z0 = zero, z1 = zero, z2 = zero, z3 = zero;
  for (; blocks > 0; blocks--) {
    fetchAhead();
    const start = x + <usize>K * (kind == OFFSET_8 ? START_8 : START_16);
    let a0 = kind == MINIMUM ? zero : v128.load32_splat(start), b0 = a0;
    let a1 = kind == MINIMUM || K < 2 ? zero : v128.load32_splat(start, 4), b1 = a1;
    let a2 = kind == MINIMUM || K < 3 ? zero : v128.load32_splat(start, 8), b2 = a2;
    let a3 = kind == MINIMUM || K < 4 ? zero : v128.load32_splat(start, 12), b3 = a3;
    const stop = w + 256;
    do {
      const w0 = v128.load(w), w1 = v128.load(w, 16);
      const x0 = v128.load32_splat(x);
      a0 = dot(a0, x0, w0); b0 = dot(b0, x0, w1);
      if (K > 1) { const x1 = v128.load32_splat(x, 4); a1 = dot(a1, x1, w0); b1 = dot(b1, x1, w1); }
      if (K > 2) { const x2 = v128.load32_splat(x, 8); a2 = dot(a2, x2, w0); b2 = dot(b2, x2, w1); }
      if (K > 3) { const x3 = v128.load32_splat(x, 12); a3 = dot(a3, x3, w0); b3 = dot(b3, x3, w1); }
      w += 32;
      x += <usize>K * 4;
    } while (w < stop);
    const s0 = v128.load(w), s1 = v128.load(w, 16);
    const c0 = v128.load32_splat(x);
    y0 = addScaled(a0, ones, c0, s0, y0); z0 = addScaled(b0, ones, c0, s1, z0);
    if (K > 1) { const c1 = v128.load32_splat(x, 4); y1 = addScaled(a1, ones, c1, s0, y1); z1 = addScaled(b1, ones, c1, s1, z1); }
    if (K > 2) { const c2 = v128.load32_splat(x, 8); y2 = addScaled(a2, ones, c2, s0, y2); z2 = addScaled(b2, ones, c2, s1, z2); }
    if (K > 3) { const c3 = v128.load32_splat(x, 12); y3 = addScaled(a3, ones, c3, s0, y3); z3 = addScaled(b3, ones, c3, s1, z3); }
    if (minimum) {
      const m0 = v128.load(w, 32), m1 = v128.load(w, 48);
      const sum = x + <usize>K * (CODE_SUM - CODE_SCALE);
      const d0 = v128.load32_splat(sum);
      y0 = madd(d0, m0, y0); z0 = madd(d0, m1, z0);
      if (K > 1) { const d1 = v128.load32_splat(sum, 4); y1 = madd(d1, m0, y1); z1 = madd(d1, m1, z1); }
      if (K > 2) { const d2 = v128.load32_splat(sum, 8); y2 = madd(d2, m0, y2); z2 = madd(d2, m1, z2); }
      if (K > 3) { const d3 = v128.load32_splat(sum, 12); y3 = madd(d3, m0, y3); z3 = madd(d3, m1, z3); }
    }
    w += panelBlockBytes(kind) - 256;
    x += <usize>K * 24;
  }
  storeSums(sums, 0, y0, z0);
  if (K > 1) storeSums(sums, 1, y1, z1);
  if (K > 2) storeSums(sums, 2, y2, z2);
  if (K > 3) storeSums(sums, 3, y3, z3);
}

/**
 * Kinds whose block is two passes: half the steps each, with factors of their own (HALVES), or all steps with low, then high
 * nibbles. As onePass otherwise.
 */
// @inline
function twoPasses(kind: i32, K: i32, w: usize, x: usize, blocks: i32, sums: usize): void {
  const zero = i32x4.splat(0), ones = v128.load(CONSTANTS + ONES), sixteens = v128.load(CONSTANTS + SIXTEENS);
  const nibbles = kind == TWO_NIBBLES;
  let y0 = zero, y1 = zero, y2 = zero, y3 = zero, z0 = zero, z1 = zero, z2 = zero, z3 = zero;
  for (; blocks > 0; blocks--) {
    fetchAhead();
    const first = x + <usize>K * START_32, second = x + <usize>K * (nibbles ? START_8 : START_32 + 4);
    let a0 = nibbles ? zero : v128.load32_splat(first), b0 = a0;
    let a1 = nibbles || K < 2 ? zero : v128.load32_splat(first, 4), b1 = a1;
    let a2 = nibbles || K < 3 ? zero : v128.load32_splat(first, 8), b2 = a2;
    let a3 = nibbles || K < 4 ? zero : v128.load32_splat(first, 12), b3 = a3;
    let stop = w + (nibbles ? 256 : 128);
    do {
      const w0 = v128.load(w), w1 = v128.load(w, 16);
      const x0 = v128.load32_splat(x);
      a0 = dot(a0, x0, w0); b0 = dot(b0, x0, w1);
      if (K > 1) { const x1 = v128.load32_splat(x, 4); a1 = dot(a1, x1, w0); b1 = dot(b1, x1, w1); }
      if (K > 2) { const x2 = v128.load32_splat(x, 8); a2 = dot(a2, x2, w0); b2 = dot(b2, x2, w1); }
      if (K > 3) { const x3 = v128.load32_splat(x, 12); a3 = dot(a3, x3, w0); b3 = dot(b3, x3, w1); }
      w += 32;
      x += <usize>K * 4;
    } while (w < stop);
    const f0 = nibbles ? ones : v128.load(w), f1 = nibbles ? ones : v128.load(w, 16);
    if (!nibbles) w += 32;
    const c0 = partial(kind, a0, f0), d0 = partial(kind, b0, f1);
    const c1 = K > 1 ? partial(kind, a1, f0) : zero, d1 = K > 1 ? partial(kind, b1, f1) : zero;
    const c2 = K > 2 ? partial(kind, a2, f0) : zero, d2 = K > 2 ? partial(kind, b2, f1) : zero;
    const c3 = K > 3 ? partial(kind, a3, f0) : zero, d3 = K > 3 ? partial(kind, b3, f1) : zero;
    a0 = v128.load32_splat(second); b0 = a0;
    if (K > 1) { a1 = v128.load32_splat(second, 4); b1 = a1; }
    if (K > 2) { a2 = v128.load32_splat(second, 8); b2 = a2; }
    if (K > 3) { a3 = v128.load32_splat(second, 12); b3 = a3; }
    if (nibbles) x -= <usize>K * 32;
    stop = w + (nibbles ? 256 : 128);
    do {
      const w0 = v128.load(w), w1 = v128.load(w, 16);
      const x0 = v128.load32_splat(x);
      a0 = dot(a0, x0, w0); b0 = dot(b0, x0, w1);
      if (K > 1) { const x1 = v128.load32_splat(x, 4); a1 = dot(a1, x1, w0); b1 = dot(b1, x1, w1); }
      if (K > 2) { const x2 = v128.load32_splat(x, 8); a2 = dot(a2, x2, w0); b2 = dot(b2, x2, w1); }
      if (K > 3) { const x3 = v128.load32_splat(x, 12); a3 = dot(a3, x3, w0); b3 = dot(b3, x3, w1); }
      w += 32;
      x += <usize>K * 4;
    } while (w < stop);
    const g0 = nibbles ? sixteens : v128.load(w), g1 = nibbles ? sixteens : v128.load(w, 16);
    const scales = w + (nibbles ? 0 : 32);
    const s0 = v128.load(scales), s1 = v128.load(scales, 16);
    const e0 = v128.load32_splat(x);
    y0 = addBoth(kind, c0, a0, g0, e0, s0, y0); z0 = addBoth(kind, d0, b0, g1, e0, s1, z0);
    if (K > 1) { const e1 = v128.load32_splat(x, 4); y1 = addBoth(kind, c1, a1, g0, e1, s0, y1); z1 = addBoth(kind, d1, b1, g1, e1, s1, z1); }
    if (K > 2) { const e2 = v128.load32_splat(x, 8); y2 = addBoth(kind, c2, a2, g0, e2, s0, y2); z2 = addBoth(kind, d2, b2, g1, e2, s1, z2); }
    if (K > 3) { const e3 = v128.load32_splat(x, 12); y3 = addBoth(kind, c3, a3, g0, e3, s0, y3); z3 = addBoth(kind, d3, b3, g1, e3, s1, z3); }
    w = scales + 32;
    x += <usize>K * 24;
  }
  storeSums(sums, 0, y0, z0);
  if (K > 1) storeSums(sums, 1, y1, z1);
  if (K > 2) storeSums(sums, 2, y2, z2);
  if (K > 3) storeSums(sums, 3, y3, z3);
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
  if (kind == HALVES && !PAIR_DOT) return madd(madd(f32x4.convert_i32x4_s(sum), factors, first), f32x4.mul(scale, s), y);
  return madd(f32x4.convert_i32x4_s(i32x4.add(first, scaledTotal(sum, factors))), f32x4.mul(scale, s), y);
}

// One function for each kind and number of rows: in branches of one function, Binaryen folds the copies into one again, with
// the number of rows a variable.
function offset8x1(w: usize, x: usize, blocks: i32, sums: usize): void { onePass(OFFSET_8, 1, w, x, blocks, sums); }
function offset8x2(w: usize, x: usize, blocks: i32, sums: usize): void { onePass(OFFSET_8, 2, w, x, blocks, sums); }
function offset8x3(w: usize, x: usize, blocks: i32, sums: usize): void { onePass(OFFSET_8, 3, w, x, blocks, sums); }
function offset8x4(w: usize, x: usize, blocks: i32, sums: usize): void { onePass(OFFSET_8, 4, w, x, blocks, sums); }
function offset16x1(w: usize, x: usize, blocks: i32, sums: usize): void { onePass(OFFSET_16, 1, w, x, blocks, sums); }
function offset16x2(w: usize, x: usize, blocks: i32, sums: usize): void { onePass(OFFSET_16, 2, w, x, blocks, sums); }
function offset16x3(w: usize, x: usize, blocks: i32, sums: usize): void { onePass(OFFSET_16, 3, w, x, blocks, sums); }
function offset16x4(w: usize, x: usize, blocks: i32, sums: usize): void { onePass(OFFSET_16, 4, w, x, blocks, sums); }
function minimumx1(w: usize, x: usize, blocks: i32, sums: usize): void { onePass(MINIMUM, 1, w, x, blocks, sums); }
function minimumx2(w: usize, x: usize, blocks: i32, sums: usize): void { onePass(MINIMUM, 2, w, x, blocks, sums); }
function minimumx3(w: usize, x: usize, blocks: i32, sums: usize): void { onePass(MINIMUM, 3, w, x, blocks, sums); }
function minimumx4(w: usize, x: usize, blocks: i32, sums: usize): void { onePass(MINIMUM, 4, w, x, blocks, sums); }
function minimum16x1(w: usize, x: usize, blocks: i32, sums: usize): void { onePass(MINIMUM_16, 1, w, x, blocks, sums); }
function minimum16x2(w: usize, x: usize, blocks: i32, sums: usize): void { onePass(MINIMUM_16, 2, w, x, blocks, sums); }
function minimum16x3(w: usize, x: usize, blocks: i32, sums: usize): void { onePass(MINIMUM_16, 3, w, x, blocks, sums); }
function minimum16x4(w: usize, x: usize, blocks: i32, sums: usize): void { onePass(MINIMUM_16, 4, w, x, blocks, sums); }
function halvesx1(w: usize, x: usize, blocks: i32, sums: usize): void { twoPasses(HALVES, 1, w, x, blocks, sums); }
function halvesx2(w: usize, x: usize, blocks: i32, sums: usize): void { twoPasses(HALVES, 2, w, x, blocks, sums); }
function halvesx3(w: usize, x: usize, blocks: i32, sums: usize): void { twoPasses(HALVES, 3, w, x, blocks, sums); }
function halvesx4(w: usize, x: usize, blocks: i32, sums: usize): void { twoPasses(HALVES, 4, w, x, blocks, sums); }
function twoNibblesx1(w: usize, x: usize, blocks: i32, sums: usize): void { twoPasses(TWO_NIBBLES, 1, w, x, blocks, sums); }
function twoNibblesx2(w: usize, x: usize, blocks: i32, sums: usize): void { twoPasses(TWO_NIBBLES, 2, w, x, blocks, sums); }
function twoNibblesx3(w: usize, x: usize, blocks: i32, sums: usize): void { twoPasses(TWO_NIBBLES, 3, w, x, blocks, sums); }
function twoNibblesx4(w: usize, x: usize, blocks: i32, sums: usize): void { twoPasses(TWO_NIBBLES, 4, w, x, blocks, sums); }

/** 8 rows of weights (half a panel) times K rows of activations: sums[k * 8 + row]. */
export function multiplyTile(kind: i32, K: i32, w: usize, x: usize, blocks: i32, sums: usize): void {
  switch (kind * 4 + K - 1) {
    case 0: offset8x1(w, x, blocks, sums); break;
    case 1: offset8x2(w, x, blocks, sums); break;
    case 2: offset8x3(w, x, blocks, sums); break;
    case 3: offset8x4(w, x, blocks, sums); break;
    case 4: offset16x1(w, x, blocks, sums); break;
    case 5: offset16x2(w, x, blocks, sums); break;
    case 6: offset16x3(w, x, blocks, sums); break;
    case 7: offset16x4(w, x, blocks, sums); break;
    case 8: minimumx1(w, x, blocks, sums); break;
    case 9: minimumx2(w, x, blocks, sums); break;
    case 10: minimumx3(w, x, blocks, sums); break;
    case 11: minimumx4(w, x, blocks, sums); break;
    case 12: minimum16x1(w, x, blocks, sums); break;
    case 13: minimum16x2(w, x, blocks, sums); break;
    case 14: minimum16x3(w, x, blocks, sums); break;
    case 15: minimum16x4(w, x, blocks, sums); break;
    case 16: halvesx1(w, x, blocks, sums); break;
    case 17: halvesx2(w, x, blocks, sums); break;
    case 18: halvesx3(w, x, blocks, sums); break;
    case 19: halvesx4(w, x, blocks, sums); break;
    case 20: twoNibblesx1(w, x, blocks, sums); break;
    case 21: twoNibblesx2(w, x, blocks, sums); break;
    case 22: twoNibblesx3(w, x, blocks, sums); break;
    case 23: twoNibblesx4(w, x, blocks, sums); break;
  }
}
