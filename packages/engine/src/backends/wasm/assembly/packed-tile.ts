// The product that prompts spend their time in: 8 rows of weights times 1…4 rows of activations, over all columns.
// Weights come as half a panel (packed-panel.ts): bytes already below 128, scales already f32, one contiguous stream.
//
// The inner loop takes one step (4 columns): two vectors of weights, one broadcast of activations per row, 2 x 4 accumulators. It
// is not unrolled: V8's scheduler would chain the dots of one accumulator and spill (1.5 x slower). Vectors of the same kind lie
// side by side and are stored in pairs with nothing between: this is the pattern that V8's 256-bit pass
// (--experimental-wasm-revectorize) merges into one AVX2 instruction, 1.6 x faster where the flag is on.
//
// Float sums live in memory between blocks: registers are for the integer accumulators. Their order over columns is that of
// the decode kernels, so a row's result does not depend on which kernel made it.
import { madd } from './common';
import { CODE_SCALE, CODE_SUM, START_16, START_32, START_8 } from './packed-codes';
import { CONSTANTS, dot, ONES, scaledTotal, SIXTEENS, total } from './packed-dot';

// Kinds of panel, by what a block of 32 columns and 8 rows holds:
//   OFFSET_8, OFFSET_16   256 B codes, 32 B scales
//   MINIMUM, MINIMUM_16   256 B codes, 32 B scales, 32 B minima
//   HALVES                256 B codes, 32 B factors of columns 0…15 (each twice as i16), 32 B of 16…31, 32 B scales
//   NIBBLES               256 B low nibbles, 256 B high nibbles, 32 B scales
// @ts-ignore: decorator
@inline export const OFFSET_8: i32 = 0;
// @ts-ignore: decorator
@inline export const OFFSET_16: i32 = 1;
// @ts-ignore: decorator
@inline export const MINIMUM: i32 = 2;
// @ts-ignore: decorator
@inline export const MINIMUM_16: i32 = 3;
// @ts-ignore: decorator
@inline export const HALVES: i32 = 4;
// @ts-ignore: decorator
@inline export const TWO_NIBBLES: i32 = 5;

// @ts-ignore: decorator
@inline export function panelBlockBytes(kind: i32): usize {
  return kind <= OFFSET_16 ? 288 : kind <= MINIMUM_16 ? 320 : kind == HALVES ? 352 : 544;
}

/** Floats of one tile's result: [row of activations][8 rows of weights], then as many i32 of partial sums. */
export const SUMS_BYTES: usize = 256;
// @ts-ignore: decorator
@inline const PARTIAL: usize = 128;

// What becomes of the integers of a pass over part of a block.
// @ts-ignore: decorator
@inline const ONLY: i32 = 0;
// @ts-ignore: decorator
@inline const FIRST: i32 = 1;
// @ts-ignore: decorator
@inline const LAST: i32 = 2;

// The sums of one row, 4 outputs each, by immediate offsets: the 256-bit pass sees neighbours only where the base is the same.
// @ts-ignore: decorator
@inline function loadSums(sums: usize, row: i32, second: bool): v128 {
  if (row == 0) return second ? v128.load(sums, 16) : v128.load(sums);
  if (row == 1) return second ? v128.load(sums, 48) : v128.load(sums, 32);
  if (row == 2) return second ? v128.load(sums, 80) : v128.load(sums, 64);
  return second ? v128.load(sums, 112) : v128.load(sums, 96);
}

// @ts-ignore: decorator
@inline function storeSums(sums: usize, row: i32, a: v128, b: v128): void {
  if (row == 0) { v128.store(sums, a); v128.store(sums, b, 16); }
  else if (row == 1) { v128.store(sums, a, 32); v128.store(sums, b, 48); }
  else if (row == 2) { v128.store(sums, a, 64); v128.store(sums, b, 80); }
  else { v128.store(sums, a, 96); v128.store(sums, b, 112); }
}

/** One row of activations' integers of a pass, into the float sums or the partial ones. */
// @ts-ignore: decorator
@inline function settle(
  stage: i32, kind: i32, K: i32, row: i32, a: v128, b: v128, f0: v128, f1: v128, s0: v128, s1: v128,
  scales: usize, words: usize, sums: usize,
): void {
  const plain = kind <= MINIMUM_16 || (kind == TWO_NIBBLES && stage == FIRST);
  let i0 = plain ? total(a, f0) : scaledTotal(a, f0);
  let i1 = plain ? total(b, f1) : scaledTotal(b, f1);
  if (stage == FIRST) {
    storeSums(sums + PARTIAL, row, i0, i1);
    return;
  }
  if (stage == LAST) {
    i0 = i32x4.add(i0, loadSums(sums + PARTIAL, row, false));
    i1 = i32x4.add(i1, loadSums(sums + PARTIAL, row, true));
  }
  const scale = v128.load32_splat(words + <usize>K * (CODE_SCALE - 32) + <usize>row * 4);
  let y0 = madd(f32x4.convert_i32x4_s(i0), f32x4.mul(scale, s0), loadSums(sums, row, false));
  let y1 = madd(f32x4.convert_i32x4_s(i1), f32x4.mul(scale, s1), loadSums(sums, row, true));
  if (kind == MINIMUM || kind == MINIMUM_16) {
    const sum = v128.load32_splat(words + <usize>K * (CODE_SUM - 32) + <usize>row * 4);
    y0 = madd(sum, v128.load(scales, 32), y0);
    y1 = madd(sum, v128.load(scales, 48), y1);
  }
  storeSums(sums, row, y0, y1);
}

/** Steps from `w` to `stop`, with the activations at `x`; `start` is where the start values lie, 0 for none. */
// @ts-ignore: decorator
@inline function pass(
  stage: i32, kind: i32, K: i32, w: usize, bytes: usize, x: usize, start: usize, factors: usize, scales: usize,
  words: usize, sums: usize,
): void {
  const zero = i32x4.splat(0);
  const plain = kind == MINIMUM || (kind == TWO_NIBBLES && stage == FIRST);
  let a0 = plain ? zero : v128.load32_splat(start), b0 = plain ? zero : v128.load32_splat(start);
  let a1 = plain || K < 2 ? zero : v128.load32_splat(start, 4), b1 = plain || K < 2 ? zero : v128.load32_splat(start, 4);
  let a2 = plain || K < 3 ? zero : v128.load32_splat(start, 8), b2 = plain || K < 3 ? zero : v128.load32_splat(start, 8);
  let a3 = plain || K < 4 ? zero : v128.load32_splat(start, 12), b3 = plain || K < 4 ? zero : v128.load32_splat(start, 12);
  const stop = w + bytes;
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
  const f0 = v128.load(factors), f1 = v128.load(factors + (kind == HALVES ? 16 : 0));
  const s0 = v128.load(scales), s1 = v128.load(scales, 16);
  settle(stage, kind, K, 0, a0, b0, f0, f1, s0, s1, scales, words, sums);
  if (K > 1) settle(stage, kind, K, 1, a1, b1, f0, f1, s0, s1, scales, words, sums);
  if (K > 2) settle(stage, kind, K, 2, a2, b2, f0, f1, s0, s1, scales, words, sums);
  if (K > 3) settle(stage, kind, K, 3, a3, b3, f0, f1, s0, s1, scales, words, sums);
}

/** All blocks of half a panel times a tile of K rows of activations, into `sums`. */
// @ts-ignore: decorator
@inline function product(kind: i32, K: i32, panel: usize, x: usize, blocks: i32, sums: usize): void {
  memory.fill(sums, 0, <usize>K * 32);
  const ones = (CONSTANTS + ONES);
  for (; blocks > 0; blocks--) {
    const words = x + <usize>K * 32;
    if (kind <= MINIMUM_16) {
      const start = words + <usize>K * ((kind == OFFSET_8 ? START_8 : START_16) - 32);
      pass(ONLY, kind, K, panel, 256, x, start, ones, panel + 256, words, sums);
    } else if (kind == HALVES) {
      const start = words + <usize>K * (START_32 - 32);
      pass(FIRST, kind, K, panel, 128, x, start, panel + 256, panel + 320, words, sums);
      pass(LAST, kind, K, panel + 128, 128, x + <usize>K * 16, start + <usize>K * 4, panel + 288, panel + 320, words, sums);
    } else {
      const start = words + <usize>K * (START_8 - 32);
      pass(FIRST, kind, K, panel, 256, x, 0, ones, panel + 512, words, sums);
      pass(LAST, kind, K, panel + 256, 256, x, start, (CONSTANTS + SIXTEENS), panel + 512, words, sums);
    }
    panel += panelBlockBytes(kind);
    x += <usize>K * 56;
  }
}

// One function for each kind and number of rows: in branches of one function, Binaryen folds the copies into one again, with
// the number of rows a variable.
function offset8x1(w: usize, x: usize, blocks: i32, sums: usize): void { product(OFFSET_8, 1, w, x, blocks, sums); }
function offset8x2(w: usize, x: usize, blocks: i32, sums: usize): void { product(OFFSET_8, 2, w, x, blocks, sums); }
function offset8x3(w: usize, x: usize, blocks: i32, sums: usize): void { product(OFFSET_8, 3, w, x, blocks, sums); }
function offset8x4(w: usize, x: usize, blocks: i32, sums: usize): void { product(OFFSET_8, 4, w, x, blocks, sums); }
function offset16x1(w: usize, x: usize, blocks: i32, sums: usize): void { product(OFFSET_16, 1, w, x, blocks, sums); }
function offset16x2(w: usize, x: usize, blocks: i32, sums: usize): void { product(OFFSET_16, 2, w, x, blocks, sums); }
function offset16x3(w: usize, x: usize, blocks: i32, sums: usize): void { product(OFFSET_16, 3, w, x, blocks, sums); }
function offset16x4(w: usize, x: usize, blocks: i32, sums: usize): void { product(OFFSET_16, 4, w, x, blocks, sums); }
function minimumx1(w: usize, x: usize, blocks: i32, sums: usize): void { product(MINIMUM, 1, w, x, blocks, sums); }
function minimumx2(w: usize, x: usize, blocks: i32, sums: usize): void { product(MINIMUM, 2, w, x, blocks, sums); }
function minimumx3(w: usize, x: usize, blocks: i32, sums: usize): void { product(MINIMUM, 3, w, x, blocks, sums); }
function minimumx4(w: usize, x: usize, blocks: i32, sums: usize): void { product(MINIMUM, 4, w, x, blocks, sums); }
function minimum16x1(w: usize, x: usize, blocks: i32, sums: usize): void { product(MINIMUM_16, 1, w, x, blocks, sums); }
function minimum16x2(w: usize, x: usize, blocks: i32, sums: usize): void { product(MINIMUM_16, 2, w, x, blocks, sums); }
function minimum16x3(w: usize, x: usize, blocks: i32, sums: usize): void { product(MINIMUM_16, 3, w, x, blocks, sums); }
function minimum16x4(w: usize, x: usize, blocks: i32, sums: usize): void { product(MINIMUM_16, 4, w, x, blocks, sums); }
function halvesx1(w: usize, x: usize, blocks: i32, sums: usize): void { product(HALVES, 1, w, x, blocks, sums); }
function halvesx2(w: usize, x: usize, blocks: i32, sums: usize): void { product(HALVES, 2, w, x, blocks, sums); }
function halvesx3(w: usize, x: usize, blocks: i32, sums: usize): void { product(HALVES, 3, w, x, blocks, sums); }
function halvesx4(w: usize, x: usize, blocks: i32, sums: usize): void { product(HALVES, 4, w, x, blocks, sums); }
function twoNibblesx1(w: usize, x: usize, blocks: i32, sums: usize): void { product(TWO_NIBBLES, 1, w, x, blocks, sums); }
function twoNibblesx2(w: usize, x: usize, blocks: i32, sums: usize): void { product(TWO_NIBBLES, 2, w, x, blocks, sums); }
function twoNibblesx3(w: usize, x: usize, blocks: i32, sums: usize): void { product(TWO_NIBBLES, 3, w, x, blocks, sums); }
function twoNibblesx4(w: usize, x: usize, blocks: i32, sums: usize): void { product(TWO_NIBBLES, 4, w, x, blocks, sums); }

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
