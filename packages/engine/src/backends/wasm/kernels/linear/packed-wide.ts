// 16 rows of weights times 4 rows of activations, for processors whose byte dot is one instruction. It has a latency of four cycles and
// two start in each, so eight accumulators of 256 bits must be under way; the 8 x 4 tile of packed-tile.ts has four (1.2 x slower at 256
// rows, and 1.45 x at 8 rows, with a panel to make). Float sums stay in memory between blocks: registers are full. Emulated dots need
// registers of their own and would spill, so only the build for those instructions comes here, and only where V8 merges pairs of
// vectors.
//
// Weights come from a panel; packed-direct.ts has the same tile for a few rows of activations. The order of sums is that of
// packed-tile.ts, bit for bit.
import { madd } from '../common/common';
import { fetchAhead } from './packed-ahead';
import { BLOCK_CODES, START_16, START_32, START_8 } from './packed-codes';
import { dot } from './packed-dot';
import { wideTiles } from './tiles';
import { HALVES, MINIMUM, MINIMUM_16, OFFSET_16, OFFSET_8, panelBlockBytes, storeSums, TWO_NIBBLES } from './packed-tile';

/** Bytes of the result: [half of the tile][row of activations][8 rows of weights]. */
export const WIDE_SUMS_BYTES: usize = 256;

/** Whether 16 rows are multiplied by 4: in 128-bit registers the tile would need 22 of 16 (59 GMAC/s where 8 x 4 has 70). */
// @inline
export function isWide(): bool {
  return ASC_FEATURE_RELAXED_SIMD && !PAIR_DOT && wideTiles;
}

// @inline
export function clear(sums: usize): void {
  const zero = i32x4.splat(0);
  for (let p = sums; p < sums + WIDE_SUMS_BYTES; p += 32) {
    v128.store(p, zero);
    v128.store(p, zero, 16);
  }
}

// Offsets are literal and both stores come last, or the 256-bit pass would not see pairs.
// @inline
function loadLow(p: usize, row: i32): v128 {
  return row == 0 ? v128.load(p) : row == 1 ? v128.load(p, 32) : row == 2 ? v128.load(p, 64) : v128.load(p, 96);
}
// @inline
function loadHigh(p: usize, row: i32): v128 {
  return row == 0 ? v128.load(p, 16) : row == 1 ? v128.load(p, 48) : row == 2 ? v128.load(p, 80) : v128.load(p, 112);
}

/** Adds a block of 8 rows of weights to one row's float sums: scaled, and with `minimum` d * m after that. */
// @inline
function addRow(
  sums: usize, row: i32, a: v128, b: v128, scale: v128, s0: v128, s1: v128, minimum: bool, d: v128, m0: v128, m1: v128,
): void {
  const p = loadLow(sums, row), q = loadHigh(sums, row);
  let y = madd(a, f32x4.mul(scale, s0), p);
  let z = madd(b, f32x4.mul(scale, s1), q);
  if (minimum) {
    y = madd(d, m0, y);
    z = madd(d, m1, z);
  }
  storeSums(sums, row, y, z);
}

/**
 * Adds a block's integers (as f32) of 16 rows of weights and K rows of activations to the float sums. `scales` is where the activations'
 * scales are, `minima` what their minimum is multiplied by.
 */
// @inline
export function addRows(
  K: i32, minimum: bool, sums: usize, more: usize, scales: usize, minima: usize,
  a0: v128, b0: v128, c0: v128, d0: v128, a1: v128, b1: v128, c1: v128, d1: v128,
  a2: v128, b2: v128, c2: v128, d2: v128, a3: v128, b3: v128, c3: v128, d3: v128,
  s0: v128, s1: v128, t0: v128, t1: v128, m0: v128, m1: v128, n0: v128, n1: v128,
): void {
  const e0 = v128.load32_splat(scales), g0 = minimum ? v128.load32_splat(minima) : e0;
  addRow(sums, 0, a0, b0, e0, s0, s1, minimum, g0, m0, m1); addRow(more, 0, c0, d0, e0, t0, t1, minimum, g0, n0, n1);
  if (K > 1) {
    const e1 = v128.load32_splat(scales, 4), g1 = minimum ? v128.load32_splat(minima, 4) : e1;
    addRow(sums, 1, a1, b1, e1, s0, s1, minimum, g1, m0, m1); addRow(more, 1, c1, d1, e1, t0, t1, minimum, g1, n0, n1);
  }
  if (K > 2) {
    const e2 = v128.load32_splat(scales, 8), g2 = minimum ? v128.load32_splat(minima, 8) : e2;
    addRow(sums, 2, a2, b2, e2, s0, s1, minimum, g2, m0, m1); addRow(more, 2, c2, d2, e2, t0, t1, minimum, g2, n0, n1);
  }
  if (K > 3) {
    const e3 = v128.load32_splat(scales, 12), g3 = minimum ? v128.load32_splat(minima, 12) : e3;
    addRow(sums, 3, a3, b3, e3, s0, s1, minimum, g3, m0, m1); addRow(more, 3, c3, d3, e3, t0, t1, minimum, g3, n0, n1);
  }
}

/** Blocks of two passes: what the first one has, times a factor for each row of weights, until the second is done. */
// @inline
export function keepRows(
  K: i32, between: usize, beyond: usize,
  a0: v128, b0: v128, c0: v128, d0: v128, a1: v128, b1: v128, c1: v128, d1: v128,
  a2: v128, b2: v128, c2: v128, d2: v128, a3: v128, b3: v128, c3: v128, d3: v128,
  f0: v128, f1: v128, g0: v128, g1: v128,
): void {
  storeSums(between, 0, f32x4.mul(a0, f0), f32x4.mul(b0, f1)); storeSums(beyond, 0, f32x4.mul(c0, g0), f32x4.mul(d0, g1));
  storeSums(between, 1, f32x4.mul(a1, f0), f32x4.mul(b1, f1)); storeSums(beyond, 1, f32x4.mul(c1, g0), f32x4.mul(d1, g1));
  if (K > 2) { storeSums(between, 2, f32x4.mul(a2, f0), f32x4.mul(b2, f1)); storeSums(beyond, 2, f32x4.mul(c2, g0), f32x4.mul(d2, g1)); }
  if (K > 3) { storeSums(between, 3, f32x4.mul(a3, f0), f32x4.mul(b3, f1)); storeSums(beyond, 3, f32x4.mul(c3, g0), f32x4.mul(d3, g1)); }
}

/** a * factor + what was kept of a row. Integers below 2^24, so exact. */
// @inline
export function joinLow(a: v128, factor: v128, kept: usize, row: i32): v128 {
  return madd(a, factor, loadLow(kept, row));
}
// @inline
export function joinHigh(a: v128, factor: v128, kept: usize, row: i32): v128 {
  return madd(a, factor, loadHigh(kept, row));
}

/**
 * A block of a panel, w and v in its halves, times 4 rows of activations; of HALVES 16 columns, the first of which are kept in `between`
 * (and `beyond` for v). High nibbles come before low ones, into the same accumulators.
 */
// @inline
function panelBlock(
  kind: i32, first: bool, w: usize, v: usize, x: usize, start: usize, sums: usize, more: usize, between: usize, beyond: usize,
): void {
  const zero = i32x4.splat(0);
  const minimum = kind == MINIMUM || kind == MINIMUM_16;
  let a0 = kind == MINIMUM ? zero : v128.load32_splat(start), b0 = a0, c0 = a0, d0 = a0;
  let a1 = kind == MINIMUM ? zero : v128.load32_splat(start, 4), b1 = a1, c1 = a1, d1 = a1;
  let a2 = kind == MINIMUM ? zero : v128.load32_splat(start, 8), b2 = a2, c2 = a2, d2 = a2;
  let a3 = kind == MINIMUM ? zero : v128.load32_splat(start, 12), b3 = a3, c3 = a3, d3 = a3;
  let shift = 4;
  if (kind == TWO_NIBBLES) {
    w += 256;
    v += 256;
  }
  for (;;) {
    const stop = w + (kind == HALVES ? 128 : 256);
    do {
      const w0 = v128.load(w), w1 = v128.load(w, 16), v0 = v128.load(v), v1 = v128.load(v, 16);
      const x0 = v128.load32_splat(x), x1 = v128.load32_splat(x, 4), x2 = v128.load32_splat(x, 8), x3 = v128.load32_splat(x, 12);
      a0 = dot(a0, x0, w0); b0 = dot(b0, x0, w1); c0 = dot(c0, x0, v0); d0 = dot(d0, x0, v1);
      a1 = dot(a1, x1, w0); b1 = dot(b1, x1, w1); c1 = dot(c1, x1, v0); d1 = dot(d1, x1, v1);
      a2 = dot(a2, x2, w0); b2 = dot(b2, x2, w1); c2 = dot(c2, x2, v0); d2 = dot(d2, x2, v1);
      a3 = dot(a3, x3, w0); b3 = dot(b3, x3, w1); c3 = dot(c3, x3, v0); d3 = dot(d3, x3, v1);
      w += 32;
      v += 32;
      x += 16;
    } while (w < stop);
    if (kind != TWO_NIBBLES || shift == 0) break;
    a0 = i32x4.shl(a0, shift); b0 = i32x4.shl(b0, shift); c0 = i32x4.shl(c0, shift); d0 = i32x4.shl(d0, shift);
    a1 = i32x4.shl(a1, shift); b1 = i32x4.shl(b1, shift); c1 = i32x4.shl(c1, shift); d1 = i32x4.shl(d1, shift);
    a2 = i32x4.shl(a2, shift); b2 = i32x4.shl(b2, shift); c2 = i32x4.shl(c2, shift); d2 = i32x4.shl(d2, shift);
    a3 = i32x4.shl(a3, shift); b3 = i32x4.shl(b3, shift); c3 = i32x4.shl(c3, shift); d3 = i32x4.shl(d3, shift);
    shift = 0;
    w -= 512;
    v -= 512;
    x -= 128;
  }
  a0 = f32x4.convert_i32x4_s(a0); b0 = f32x4.convert_i32x4_s(b0); c0 = f32x4.convert_i32x4_s(c0); d0 = f32x4.convert_i32x4_s(d0);
  a1 = f32x4.convert_i32x4_s(a1); b1 = f32x4.convert_i32x4_s(b1); c1 = f32x4.convert_i32x4_s(c1); d1 = f32x4.convert_i32x4_s(d1);
  a2 = f32x4.convert_i32x4_s(a2); b2 = f32x4.convert_i32x4_s(b2); c2 = f32x4.convert_i32x4_s(c2); d2 = f32x4.convert_i32x4_s(d2);
  a3 = f32x4.convert_i32x4_s(a3); b3 = f32x4.convert_i32x4_s(b3); c3 = f32x4.convert_i32x4_s(c3); d3 = f32x4.convert_i32x4_s(d3);
  if (kind == HALVES) {
    const f0 = v128.load(w), f1 = v128.load(w, 16), g0 = v128.load(v), g1 = v128.load(v, 16);
    if (first) {
      keepRows(4, between, beyond, a0, b0, c0, d0, a1, b1, c1, d1, a2, b2, c2, d2, a3, b3, c3, d3, f0, f1, g0, g1);
      return;
    }
    a0 = joinLow(a0, f0, between, 0); b0 = joinHigh(b0, f1, between, 0); c0 = joinLow(c0, g0, beyond, 0); d0 = joinHigh(d0, g1, beyond, 0);
    a1 = joinLow(a1, f0, between, 1); b1 = joinHigh(b1, f1, between, 1); c1 = joinLow(c1, g0, beyond, 1); d1 = joinHigh(d1, g1, beyond, 1);
    a2 = joinLow(a2, f0, between, 2); b2 = joinHigh(b2, f1, between, 2); c2 = joinLow(c2, g0, beyond, 2); d2 = joinHigh(d2, g1, beyond, 2);
    a3 = joinLow(a3, f0, between, 3); b3 = joinHigh(b3, f1, between, 3); c3 = joinLow(c3, g0, beyond, 3); d3 = joinHigh(d3, g1, beyond, 3);
  }
  const nibbles = kind == TWO_NIBBLES, halves = kind == HALVES;
  const s0 = nibbles ? v128.load(w, 256) : halves ? v128.load(w, 32) : v128.load(w), s1 = nibbles ? v128.load(w, 272) : halves ? v128.load(w, 48) : v128.load(w, 16);
  const t0 = nibbles ? v128.load(v, 256) : halves ? v128.load(v, 32) : v128.load(v), t1 = nibbles ? v128.load(v, 272) : halves ? v128.load(v, 48) : v128.load(v, 16);
  const m0 = minimum ? v128.load(w, 32) : zero, m1 = minimum ? v128.load(w, 48) : zero;
  const n0 = minimum ? v128.load(v, 32) : zero, n1 = minimum ? v128.load(v, 48) : zero;
  addRows(
    4, minimum, sums, more, x, x + 16, a0, b0, c0, d0, a1, b1, c1, d1, a2, b2, c2, d2, a3, b3, c3, d3, s0, s1, t0, t1, m0, m1, n0, n1,
  );
}

/**
 * A panel times 4 rows of activations. `w` is the first half of the panel and `half` the distance to the second; `more` is the second
 * half of `sums` and `beyond` that of `between`: arguments, so that their addresses are not folded into offsets.
 */
// @inline
function panel(kind: i32, w: usize, half: usize, x: usize, blocks: i32, sums: usize, more: usize, between: usize, beyond: usize): void {
  clear(sums);
  let v = w + half;
  for (; blocks > 0; blocks--) {
    fetchAhead();
    const start = x + 4 * (kind == HALVES ? START_32 : kind == OFFSET_8 || kind == TWO_NIBBLES ? START_8 : START_16);
    if (kind == HALVES) {
      panelBlock(kind, true, w, v, x, start, sums, more, between, beyond);
      panelBlock(kind, false, w + 160, v + 160, x + 64, start + 16, sums, more, between, beyond);
    } else {
      panelBlock(kind, false, w, v, x, start, sums, more, between, beyond);
    }
    w += panelBlockBytes(kind);
    v += panelBlockBytes(kind);
    x += 4 * BLOCK_CODES;
  }
}

function offset8(w: usize, h: usize, x: usize, n: i32, a: usize, b: usize, c: usize, d: usize): void { panel(OFFSET_8, w, h, x, n, a, b, c, d); }
function offset16(w: usize, h: usize, x: usize, n: i32, a: usize, b: usize, c: usize, d: usize): void { panel(OFFSET_16, w, h, x, n, a, b, c, d); }
function minimum(w: usize, h: usize, x: usize, n: i32, a: usize, b: usize, c: usize, d: usize): void { panel(MINIMUM, w, h, x, n, a, b, c, d); }
function minimum16(w: usize, h: usize, x: usize, n: i32, a: usize, b: usize, c: usize, d: usize): void { panel(MINIMUM_16, w, h, x, n, a, b, c, d); }
function halves(w: usize, h: usize, x: usize, n: i32, a: usize, b: usize, c: usize, d: usize): void { panel(HALVES, w, h, x, n, a, b, c, d); }
function nibbles(w: usize, h: usize, x: usize, n: i32, a: usize, b: usize, c: usize, d: usize): void { panel(TWO_NIBBLES, w, h, x, n, a, b, c, d); }

/** A panel times 4 rows of activations; `between` is WIDE_SUMS_BYTES of room. */
export function multiplyPanelWide(kind: i32, w: usize, half: usize, x: usize, blocks: i32, sums: usize, between: usize): void {
  const more = sums + 128, beyond = between + 128;
  switch (kind) {
    case OFFSET_8: offset8(w, half, x, blocks, sums, more, between, beyond); break;
    case OFFSET_16: offset16(w, half, x, blocks, sums, more, between, beyond); break;
    case MINIMUM: minimum(w, half, x, blocks, sums, more, between, beyond); break;
    case MINIMUM_16: minimum16(w, half, x, blocks, sums, more, between, beyond); break;
    case HALVES: halves(w, half, x, blocks, sums, more, between, beyond); break;
    case TWO_NIBBLES: nibbles(w, half, x, blocks, sums, more, between, beyond); break;
  }
}
