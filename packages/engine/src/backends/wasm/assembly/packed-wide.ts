// 16 rows of weights times 4 rows of activations, for processors whose byte dot is one instruction. It has a latency of four cycles and
// two start in each, so eight accumulators of 256 bits must be under way; the 8 x 4 tile of packed-tile.ts has four (1.2 x slower at 256
// rows, and 1.45 x at 8 rows, with a panel to make). Float sums stay in memory between blocks: registers are full. Emulated dots need
// registers of their own and would spill, so only the build for those instructions comes here, and only where V8 merges pairs of
// vectors.
//
// Weights come from a panel, or for a few tiles of activations from the packed tile itself. The order of sums is that of
// packed-tile.ts, bit for bit.
import { madd } from './common';
import { fetchAhead } from './packed-ahead';
import { BLOCK_CODES, START_16, START_8 } from './packed-codes';
import { constant, dot, HALF_BIAS, HALF_LIMIT, highHalves, lowHalves, NIBBLES, SIGN } from './packed-dot';
import { Q4_0, Q4_K } from './packed-layout';
import { spreadMinimumScales } from './packed-scales';
import { wideTiles } from './tiles';
import { HALVES, MINIMUM, MINIMUM_16, OFFSET_16, OFFSET_8, panelBlockBytes, TWO_NIBBLES } from './packed-tile';

/** Bytes of the result: [half of the tile][row of activations][8 rows of weights]. */
export const WIDE_SUMS_BYTES: usize = 256;

/** Whether 16 rows are multiplied by 4: in 128-bit registers the tile would need 22 of 16 (59 GMAC/s where 8 x 4 has 70). */
// @ts-ignore: decorator
@inline export function isWide(): bool {
  return ASC_FEATURE_RELAXED_SIMD && !PAIR_DOT && wideTiles;
}

// @ts-ignore: decorator
@inline function clear(sums: usize): void {
  const zero = i32x4.splat(0);
  for (let p = sums; p < sums + WIDE_SUMS_BYTES; p += 32) {
    v128.store(p, zero);
    v128.store(p, zero, 16);
  }
}

/**
 * Adds a block's integers of 8 rows of weights to the float sums of one row of activations: scaled, and with `minimum` d * m after
 * that. Offsets are literal and both stores come last, or the 256-bit pass would not see pairs.
 */
// @ts-ignore: decorator
@inline function addBlock(
  sums: usize, row: i32, a: v128, b: v128, scale: v128, s0: v128, s1: v128, minimum: bool, d: v128, m0: v128, m1: v128,
): void {
  const p = row == 0 ? v128.load(sums) : row == 1 ? v128.load(sums, 32) : row == 2 ? v128.load(sums, 64) : v128.load(sums, 96);
  const q = row == 0 ? v128.load(sums, 16) : row == 1 ? v128.load(sums, 48) : row == 2 ? v128.load(sums, 80) : v128.load(sums, 112);
  let y = madd(f32x4.convert_i32x4_s(a), f32x4.mul(scale, s0), p);
  let z = madd(f32x4.convert_i32x4_s(b), f32x4.mul(scale, s1), q);
  if (minimum) {
    y = madd(d, m0, y);
    z = madd(d, m1, z);
  }
  if (row == 0) { v128.store(sums, y); v128.store(sums, z, 16); }
  else if (row == 1) { v128.store(sums, y, 32); v128.store(sums, z, 48); }
  else if (row == 2) { v128.store(sums, y, 64); v128.store(sums, z, 80); }
  else { v128.store(sums, y, 96); v128.store(sums, z, 112); }
}

/**
 * Panels whose block is one pass. `w` is the first half of the panel and `half` the distance to the second; `more` is the second
 * half of `sums`, an argument so that its address is not folded into offsets.
 */
// @ts-ignore: decorator
@inline function onePass(kind: i32, w: usize, half: usize, x: usize, blocks: i32, sums: usize, more: usize): void {
  clear(sums);
  const zero = i32x4.splat(0);
  const minimum = kind == MINIMUM || kind == MINIMUM_16;
  let v = w + half;
  for (; blocks > 0; blocks--) {
    fetchAhead();
    const start = x + 4 * (kind == OFFSET_8 ? START_8 : START_16);
    let a0 = kind == MINIMUM ? zero : v128.load32_splat(start), b0 = a0, c0 = a0, d0 = a0;
    let a1 = kind == MINIMUM ? zero : v128.load32_splat(start, 4), b1 = a1, c1 = a1, d1 = a1;
    let a2 = kind == MINIMUM ? zero : v128.load32_splat(start, 8), b2 = a2, c2 = a2, d2 = a2;
    let a3 = kind == MINIMUM ? zero : v128.load32_splat(start, 12), b3 = a3, c3 = a3, d3 = a3;
    const stop = w + 256;
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
    const s0 = v128.load(w), s1 = v128.load(w, 16), t0 = v128.load(v), t1 = v128.load(v, 16);
    const m0 = minimum ? v128.load(w, 32) : zero, m1 = minimum ? v128.load(w, 48) : zero;
    const n0 = minimum ? v128.load(v, 32) : zero, n1 = minimum ? v128.load(v, 48) : zero;
    const e0 = v128.load32_splat(x), e1 = v128.load32_splat(x, 4), e2 = v128.load32_splat(x, 8), e3 = v128.load32_splat(x, 12);
    const g0 = minimum ? v128.load32_splat(x, 16) : zero, g1 = minimum ? v128.load32_splat(x, 20) : zero;
    const g2 = minimum ? v128.load32_splat(x, 24) : zero, g3 = minimum ? v128.load32_splat(x, 28) : zero;
    addBlock(sums, 0, a0, b0, e0, s0, s1, minimum, g0, m0, m1); addBlock(more, 0, c0, d0, e0, t0, t1, minimum, g0, n0, n1);
    addBlock(sums, 1, a1, b1, e1, s0, s1, minimum, g1, m0, m1); addBlock(more, 1, c1, d1, e1, t0, t1, minimum, g1, n0, n1);
    addBlock(sums, 2, a2, b2, e2, s0, s1, minimum, g2, m0, m1); addBlock(more, 2, c2, d2, e2, t0, t1, minimum, g2, n0, n1);
    addBlock(sums, 3, a3, b3, e3, s0, s1, minimum, g3, m0, m1); addBlock(more, 3, c3, d3, e3, t0, t1, minimum, g3, n0, n1);
    w += panelBlockBytes(kind) - 256;
    v += panelBlockBytes(kind) - 256;
    x += 96;
  }
}

/** Panels of nibbles: the high ones first, times 16, then the low ones into the same accumulators. */
// @ts-ignore: decorator
@inline function twoNibbles(w: usize, half: usize, x: usize, blocks: i32, sums: usize, more: usize): void {
  clear(sums);
  const zero = i32x4.splat(0);
  let v = w + half;
  for (; blocks > 0; blocks--) {
    fetchAhead();
    const start = x + 4 * START_8;
    let a0 = v128.load32_splat(start), b0 = a0, c0 = a0, d0 = a0;
    let a1 = v128.load32_splat(start, 4), b1 = a1, c1 = a1, d1 = a1;
    let a2 = v128.load32_splat(start, 8), b2 = a2, c2 = a2, d2 = a2;
    let a3 = v128.load32_splat(start, 12), b3 = a3, c3 = a3, d3 = a3;
    const stop = w + 512;
    w += 256;
    v += 256;
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
    w -= 512;
    v -= 512;
    x -= 128;
    a0 = i32x4.shl(a0, 4); b0 = i32x4.shl(b0, 4); c0 = i32x4.shl(c0, 4); d0 = i32x4.shl(d0, 4);
    a1 = i32x4.shl(a1, 4); b1 = i32x4.shl(b1, 4); c1 = i32x4.shl(c1, 4); d1 = i32x4.shl(d1, 4);
    a2 = i32x4.shl(a2, 4); b2 = i32x4.shl(b2, 4); c2 = i32x4.shl(c2, 4); d2 = i32x4.shl(d2, 4);
    a3 = i32x4.shl(a3, 4); b3 = i32x4.shl(b3, 4); c3 = i32x4.shl(c3, 4); d3 = i32x4.shl(d3, 4);
    const end = w + 256;
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
    } while (w < end);
    const s0 = v128.load(w, 256), s1 = v128.load(w, 272), t0 = v128.load(v, 256), t1 = v128.load(v, 272);
    const e0 = v128.load32_splat(x), e1 = v128.load32_splat(x, 4), e2 = v128.load32_splat(x, 8), e3 = v128.load32_splat(x, 12);
    addBlock(sums, 0, a0, b0, e0, s0, s1, false, zero, zero, zero); addBlock(more, 0, c0, d0, e0, t0, t1, false, zero, zero, zero);
    addBlock(sums, 1, a1, b1, e1, s0, s1, false, zero, zero, zero); addBlock(more, 1, c1, d1, e1, t0, t1, false, zero, zero, zero);
    addBlock(sums, 2, a2, b2, e2, s0, s1, false, zero, zero, zero); addBlock(more, 2, c2, d2, e2, t0, t1, false, zero, zero, zero);
    addBlock(sums, 3, a3, b3, e3, s0, s1, false, zero, zero, zero); addBlock(more, 3, c3, d3, e3, t0, t1, false, zero, zero, zero);
    w += 288;
    v += 288;
    x += 96;
  }
}

/** A block of 32 columns at `w`, K = 2…4 rows of activations at `x`; `s` is where Q4_K's scales of the block are. */
// @ts-ignore: decorator
@inline function directBlock(type: i32, K: i32, w: usize, x: usize, s: usize, sums: usize, more: usize): void {
  const zero = i32x4.splat(0), nibbles = constant(NIBBLES);
  const minimum = type == Q4_K;
  const start = x + <usize>K * START_8;
  let a0 = minimum ? zero : v128.load32_splat(start), b0 = a0, c0 = a0, d0 = a0;
  let a1 = minimum ? zero : v128.load32_splat(start, 4), b1 = a1, c1 = a1, d1 = a1;
  let a2 = minimum || K < 3 ? zero : v128.load32_splat(start, 8), b2 = a2, c2 = a2, d2 = a2;
  let a3 = minimum || K < 4 ? zero : v128.load32_splat(start, 12), b3 = a3, c3 = a3, d3 = a3;
  const stop = w + 256;
  do {
    const u0 = v128.load(w), u1 = v128.load(w, 16), u2 = v128.load(w, 32), u3 = v128.load(w, 48);
    const l0 = v128.and(u0, nibbles), l1 = v128.and(u1, nibbles), l2 = v128.and(u2, nibbles), l3 = v128.and(u3, nibbles);
    const x0 = v128.load32_splat(x); a0 = dot(a0, x0, l0); b0 = dot(b0, x0, l1); c0 = dot(c0, x0, l2); d0 = dot(d0, x0, l3);
    const x1 = v128.load32_splat(x, 4); a1 = dot(a1, x1, l0); b1 = dot(b1, x1, l1); c1 = dot(c1, x1, l2); d1 = dot(d1, x1, l3);
    if (K > 2) { const x2 = v128.load32_splat(x, 8); a2 = dot(a2, x2, l0); b2 = dot(b2, x2, l1); c2 = dot(c2, x2, l2); d2 = dot(d2, x2, l3); }
    if (K > 3) { const x3 = v128.load32_splat(x, 12); a3 = dot(a3, x3, l0); b3 = dot(b3, x3, l1); c3 = dot(c3, x3, l2); d3 = dot(d3, x3, l3); }
    const h0 = v128.and(i16x8.shr_u(u0, 4), nibbles), h1 = v128.and(i16x8.shr_u(u1, 4), nibbles);
    const h2 = v128.and(i16x8.shr_u(u2, 4), nibbles), h3 = v128.and(i16x8.shr_u(u3, 4), nibbles);
    const high = x + <usize>K * 16;
    const y0 = v128.load32_splat(high); a0 = dot(a0, y0, h0); b0 = dot(b0, y0, h1); c0 = dot(c0, y0, h2); d0 = dot(d0, y0, h3);
    const y1 = v128.load32_splat(high, 4); a1 = dot(a1, y1, h0); b1 = dot(b1, y1, h1); c1 = dot(c1, y1, h2); d1 = dot(d1, y1, h3);
    if (K > 2) { const y2 = v128.load32_splat(high, 8); a2 = dot(a2, y2, h0); b2 = dot(b2, y2, h1); c2 = dot(c2, y2, h2); d2 = dot(d2, y2, h3); }
    if (K > 3) { const y3 = v128.load32_splat(high, 12); a3 = dot(a3, y3, h0); b3 = dot(b3, y3, h1); c3 = dot(c3, y3, h2); d3 = dot(d3, y3, h3); }
    w += 64;
    x += <usize>K * 4;
  } while (w < stop);
  x += <usize>K * 16;
  const sign = constant(SIGN), bias = constant(HALF_BIAS), limit = constant(HALF_LIMIT);
  const h = v128.load(minimum ? s : w), g = v128.load(minimum ? s : w, 16);
  const s0 = minimum ? h : lowHalves(h, sign, bias, limit), s1 = minimum ? g : highHalves(h, sign, bias, limit);
  const t0 = minimum ? v128.load(s, 32) : lowHalves(g, sign, bias, limit);
  const t1 = minimum ? v128.load(s, 48) : highHalves(g, sign, bias, limit);
  const m0 = minimum ? v128.load(s, 64) : zero, m1 = minimum ? v128.load(s, 80) : zero;
  const n0 = minimum ? v128.load(s, 96) : zero, n1 = minimum ? v128.load(s, 112) : zero;
  const sum = x + <usize>K * 4;
  const e0 = v128.load32_splat(x), g0 = minimum ? v128.load32_splat(sum) : zero;
  addBlock(sums, 0, a0, b0, e0, s0, s1, minimum, g0, m0, m1); addBlock(more, 0, c0, d0, e0, t0, t1, minimum, g0, n0, n1);
  const e1 = v128.load32_splat(x, 4), g1 = minimum ? v128.load32_splat(sum, 4) : zero;
  addBlock(sums, 1, a1, b1, e1, s0, s1, minimum, g1, m0, m1); addBlock(more, 1, c1, d1, e1, t0, t1, minimum, g1, n0, n1);
  if (K > 2) {
    const e2 = v128.load32_splat(x, 8), g2 = minimum ? v128.load32_splat(sum, 8) : zero;
    addBlock(sums, 2, a2, b2, e2, s0, s1, minimum, g2, m0, m1); addBlock(more, 2, c2, d2, e2, t0, t1, minimum, g2, n0, n1);
  }
  if (K > 3) {
    const e3 = v128.load32_splat(x, 12), g3 = minimum ? v128.load32_splat(sum, 12) : zero;
    addBlock(sums, 3, a3, b3, e3, s0, s1, minimum, g3, m0, m1); addBlock(more, 3, c3, d3, e3, t0, t1, minimum, g3, n0, n1);
  }
}

/**
 * Q4_0 and Q4_K straight from the packed tile at `w`, K = 2…4 rows of activations and as many more at `next`, if that is not 0. Both
 * go block by block, not one after the other, so that memory is never idle; and each has load instructions of its own, as the
 * first one's prefetches would stop where it went back. `room` is SCALE_ROOM bytes.
 */
// @ts-ignore: decorator
@inline function direct(
  type: i32, K: i32, both: bool, w: usize, x: usize, next: usize, blocks: i32, sums: usize, more: usize, nextSums: usize, nextMore: usize,
  room: usize,
): void {
  clear(sums);
  if (both) clear(nextSums);
  let s = room;
  for (let block = 0; block < blocks; block++) {
    if (type == Q4_K && (block & 7) == 0) {
      spreadMinimumScales(w, room, 0);
      s = room;
      w += 256;
    }
    directBlock(type, K, w, x, s, sums, more);
    x += <usize>K * BLOCK_CODES;
    if (both) {
      directBlock(type, K, w, next, s, nextSums, nextMore);
      next += <usize>K * BLOCK_CODES;
    }
    if (type == Q4_K) s += 128;
    w += type == Q4_K ? 256 : 288;
  }
}

function offset8(w: usize, half: usize, x: usize, blocks: i32, sums: usize, more: usize): void { onePass(OFFSET_8, w, half, x, blocks, sums, more); }
function offset16(w: usize, half: usize, x: usize, blocks: i32, sums: usize, more: usize): void { onePass(OFFSET_16, w, half, x, blocks, sums, more); }
function minimum(w: usize, half: usize, x: usize, blocks: i32, sums: usize, more: usize): void { onePass(MINIMUM, w, half, x, blocks, sums, more); }
function minimum16(w: usize, half: usize, x: usize, blocks: i32, sums: usize, more: usize): void { onePass(MINIMUM_16, w, half, x, blocks, sums, more); }
function nibbles(w: usize, half: usize, x: usize, blocks: i32, sums: usize, more: usize): void { twoNibbles(w, half, x, blocks, sums, more); }
function q4_0x2(w: usize, x: usize, n: i32, sums: usize, more: usize, room: usize): void { direct(Q4_0, 2, false, w, x, 0, n, sums, more, 0, 0, room); }
function q4_0x3(w: usize, x: usize, n: i32, sums: usize, more: usize, room: usize): void { direct(Q4_0, 3, false, w, x, 0, n, sums, more, 0, 0, room); }
function q4_0x4(w: usize, x: usize, n: i32, sums: usize, more: usize, room: usize): void { direct(Q4_0, 4, false, w, x, 0, n, sums, more, 0, 0, room); }
function q4_0x8(w: usize, x: usize, y: usize, n: i32, a: usize, b: usize, c: usize, d: usize, room: usize): void { direct(Q4_0, 4, true, w, x, y, n, a, b, c, d, room); }
function q4_Kx2(w: usize, x: usize, n: i32, sums: usize, more: usize, room: usize): void { direct(Q4_K, 2, false, w, x, 0, n, sums, more, 0, 0, room); }
function q4_Kx3(w: usize, x: usize, n: i32, sums: usize, more: usize, room: usize): void { direct(Q4_K, 3, false, w, x, 0, n, sums, more, 0, 0, room); }
function q4_Kx4(w: usize, x: usize, n: i32, sums: usize, more: usize, room: usize): void { direct(Q4_K, 4, false, w, x, 0, n, sums, more, 0, 0, room); }
function q4_Kx8(w: usize, x: usize, y: usize, n: i32, a: usize, b: usize, c: usize, d: usize, room: usize): void { direct(Q4_K, 4, true, w, x, y, n, a, b, c, d, room); }

/** Whether `multiplyPanelWide` has the kind; HALVES gains little (1.0 to 1.1 x), since factors cost it as much as dots. */
// @ts-ignore: decorator
@inline export function hasWidePanel(kind: i32): bool {
  return kind != HALVES;
}

/** A panel times 4 rows of activations. */
export function multiplyPanelWide(kind: i32, w: usize, half: usize, x: usize, blocks: i32, sums: usize): void {
  const more = sums + 128;
  switch (kind) {
    case OFFSET_8: offset8(w, half, x, blocks, sums, more); break;
    case OFFSET_16: offset16(w, half, x, blocks, sums, more); break;
    case MINIMUM: minimum(w, half, x, blocks, sums, more); break;
    case MINIMUM_16: minimum16(w, half, x, blocks, sums, more); break;
    case TWO_NIBBLES: nibbles(w, half, x, blocks, sums, more); break;
  }
}

/** The packed tile at `w` (Q4_0 or Q4_K) times K = 2…4 rows of activations. */
export function multiplyTileWide(type: i32, K: i32, w: usize, x: usize, blocks: i32, sums: usize, room: usize): void {
  const more = sums + 128;
  if (type == Q4_0) {
    if (K == 2) q4_0x2(w, x, blocks, sums, more, room);
    else if (K == 3) q4_0x3(w, x, blocks, sums, more, room);
    else q4_0x4(w, x, blocks, sums, more, room);
  } else {
    if (K == 2) q4_Kx2(w, x, blocks, sums, more, room);
    else if (K == 3) q4_Kx3(w, x, blocks, sums, more, room);
    else q4_Kx4(w, x, blocks, sums, more, room);
  }
}

/** The packed tile at `w` times 4 rows at `x` and 4 at `next`; the latter's sums come behind the former's. */
export function multiplyTileTwice(type: i32, w: usize, x: usize, next: usize, blocks: i32, sums: usize, room: usize): void {
  const behind = sums + WIDE_SUMS_BYTES;
  if (type == Q4_0) q4_0x8(w, x, next, blocks, sums, sums + 128, behind, behind + 128, room);
  else q4_Kx8(w, x, next, blocks, sums, sums + 128, behind, behind + 128, room);
}
