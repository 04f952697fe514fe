// Two to sixteen rows of activations straight from the packed tile, 16 rows of weights at once, where packed-wide.ts serves: a panel would
// cost more than it saves. Of five rows and more, packed-few.ts takes most tiles of Q4_0 and Q4_K. Sums as in packed-tile.ts, bit for bit.
//
// One load instruction walks over all codes of the tile, as prefetchers follow instructions (packed-decode-k.ts).
import { BLOCK_CODES, CODE_SCALE, CODE_SUM, START_16, START_32, START_8 } from './packed-codes';
import {
  BIT_4, constant, dot, fourthSix, HALF_BIAS, HALF_LIMIT, highCodes, highHalves, lowCodes, lowHalves, NIBBLES, SIGN, SIX_BITS, TOP_BITS,
} from './packed-dot';
import {
  Q4_0, Q4_0_BLOCK, Q4_K, Q4_K_BLOCK, Q5_0, Q5_0_BLOCK, Q5_K, Q5_K_BLOCK, Q6_K, Q6_K_BLOCK, Q8_0, Q8_0_BLOCK,
} from './layouts.gen';
import { spreadHalves, spreadMinimumScales } from './packed-scales';
import { addRows, clear, joinHigh, joinLow, keepRows, WIDE_SUMS_BYTES } from './packed-wide';

// @inline
function float(i: v128): v128 {
  return f32x4.convert_i32x4_s(i);
}

/**
 * A block of Q4_0, Q4_K, Q5_0 or Q5_K. `s` is where the block's scales and minima are, if it has minima. Where `w` is not a block but a
 * group's scales, they are only touched.
 */
// @inline
export function nibbleBlock(type: i32, K: i32, touch: bool, w: usize, x: usize, s: usize, sums: usize, more: usize): void {
  const zero = i32x4.splat(0), nibbles = constant(NIBBLES), bit = constant(BIT_4);
  const five = type == Q5_0 || type == Q5_K, minimum = type == Q4_K || type == Q5_K;
  const start = x + <usize>K * (five ? START_16 : START_8);
  let a0 = type == Q4_K ? zero : v128.load32_splat(start), b0 = a0, c0 = a0, d0 = a0;
  let a1 = type == Q4_K || K < 2 ? zero : v128.load32_splat(start, 4), b1 = a1, c1 = a1, d1 = a1;
  let a2 = type == Q4_K || K < 3 ? zero : v128.load32_splat(start, 8), b2 = a2, c2 = a2, d2 = a2;
  let a3 = type == Q4_K || K < 4 ? zero : v128.load32_splat(start, 12), b3 = a3, c3 = a3, d3 = a3;
  let f0 = five ? v128.load(w, 256) : zero, f1 = five ? v128.load(w, 272) : zero;
  let f2 = five ? v128.load(w, 288) : zero, f3 = five ? v128.load(w, 304) : zero;
  const stop = w + 256;
  do {
    const u0 = v128.load(w), u1 = v128.load(w, 16), u2 = v128.load(w, 32), u3 = v128.load(w, 48);
    const l0 = lowCodes(five, u0, f0, nibbles, bit), l1 = lowCodes(five, u1, f1, nibbles, bit), l2 = lowCodes(five, u2, f2, nibbles, bit), l3 = lowCodes(five, u3, f3, nibbles, bit);
    const x0 = v128.load32_splat(x); a0 = dot(a0, x0, l0); b0 = dot(b0, x0, l1); c0 = dot(c0, x0, l2); d0 = dot(d0, x0, l3);
    if (K > 1) { const x1 = v128.load32_splat(x, 4); a1 = dot(a1, x1, l0); b1 = dot(b1, x1, l1); c1 = dot(c1, x1, l2); d1 = dot(d1, x1, l3); }
    if (K > 2) { const x2 = v128.load32_splat(x, 8); a2 = dot(a2, x2, l0); b2 = dot(b2, x2, l1); c2 = dot(c2, x2, l2); d2 = dot(d2, x2, l3); }
    if (K > 3) { const x3 = v128.load32_splat(x, 12); a3 = dot(a3, x3, l0); b3 = dot(b3, x3, l1); c3 = dot(c3, x3, l2); d3 = dot(d3, x3, l3); }
    const h0 = highCodes(five, u0, f0, nibbles, bit), h1 = highCodes(five, u1, f1, nibbles, bit), h2 = highCodes(five, u2, f2, nibbles, bit), h3 = highCodes(five, u3, f3, nibbles, bit);
    const high = x + <usize>K * 16;
    const y0 = v128.load32_splat(high); a0 = dot(a0, y0, h0); b0 = dot(b0, y0, h1); c0 = dot(c0, y0, h2); d0 = dot(d0, y0, h3);
    if (K > 1) { const y1 = v128.load32_splat(high, 4); a1 = dot(a1, y1, h0); b1 = dot(b1, y1, h1); c1 = dot(c1, y1, h2); d1 = dot(d1, y1, h3); }
    if (K > 2) { const y2 = v128.load32_splat(high, 8); a2 = dot(a2, y2, h0); b2 = dot(b2, y2, h1); c2 = dot(c2, y2, h2); d2 = dot(d2, y2, h3); }
    if (K > 3) { const y3 = v128.load32_splat(high, 12); a3 = dot(a3, y3, h0); b3 = dot(b3, y3, h1); c3 = dot(c3, y3, h2); d3 = dot(d3, y3, h3); }
    if (five) { f0 = i16x8.shr_u(f0, 1); f1 = i16x8.shr_u(f1, 1); f2 = i16x8.shr_u(f2, 1); f3 = i16x8.shr_u(f3, 1); }
    w += 64;
    x += <usize>K * 4;
  } while (w < stop);
  if (minimum && touch) return;
  x += <usize>K * 16;
  const sign = constant(SIGN), bias = constant(HALF_BIAS), limit = constant(HALF_LIMIT);
  const h = minimum ? v128.load(s) : type == Q5_0 ? v128.load(w, 64) : v128.load(w);
  const g = minimum ? v128.load(s, 16) : type == Q5_0 ? v128.load(w, 80) : v128.load(w, 16);
  const s0 = minimum ? h : lowHalves(h, sign, bias, limit), s1 = minimum ? g : highHalves(h, sign, bias, limit);
  const t0 = minimum ? v128.load(s, 32) : lowHalves(g, sign, bias, limit);
  const t1 = minimum ? v128.load(s, 48) : highHalves(g, sign, bias, limit);
  const m0 = minimum ? v128.load(s, 64) : zero, m1 = minimum ? v128.load(s, 80) : zero;
  const n0 = minimum ? v128.load(s, 96) : zero, n1 = minimum ? v128.load(s, 112) : zero;
  addRows(
    K, minimum, sums, more, x, x + <usize>K * (CODE_SUM - CODE_SCALE),
    float(a0), float(b0), float(c0), float(d0), float(a1), float(b1), float(c1), float(d1),
    float(a2), float(b2), float(c2), float(d2), float(a3), float(b3), float(c3), float(d3), s0, s1, t0, t1, m0, m1, n0, n1,
  );
}

/** A block of Q8_0: the high nibbles first, times 16, then the low ones into the same accumulators. */
// @inline
function byteBlock(K: i32, w: usize, x: usize, sums: usize, more: usize): void {
  const zero = i32x4.splat(0), nibbles = constant(NIBBLES);
  const start = x + <usize>K * START_8;
  let a0 = v128.load32_splat(start), b0 = a0, c0 = a0, d0 = a0;
  let a1 = v128.load32_splat(start, 4), b1 = a1, c1 = a1, d1 = a1;
  let a2 = K < 3 ? zero : v128.load32_splat(start, 8), b2 = a2, c2 = a2, d2 = a2;
  let a3 = K < 4 ? zero : v128.load32_splat(start, 12), b3 = a3, c3 = a3, d3 = a3;
  let p = w, y = x;
  const stop = w + 512;
  do {
    const u0 = v128.load(p), u1 = v128.load(p, 16), u2 = v128.load(p, 32), u3 = v128.load(p, 48);
    const h0 = v128.and(i16x8.shr_u(u0, 4), nibbles), h1 = v128.and(i16x8.shr_u(u1, 4), nibbles);
    const h2 = v128.and(i16x8.shr_u(u2, 4), nibbles), h3 = v128.and(i16x8.shr_u(u3, 4), nibbles);
    const x0 = v128.load32_splat(y); a0 = dot(a0, x0, h0); b0 = dot(b0, x0, h1); c0 = dot(c0, x0, h2); d0 = dot(d0, x0, h3);
    const x1 = v128.load32_splat(y, 4); a1 = dot(a1, x1, h0); b1 = dot(b1, x1, h1); c1 = dot(c1, x1, h2); d1 = dot(d1, x1, h3);
    if (K > 2) { const x2 = v128.load32_splat(y, 8); a2 = dot(a2, x2, h0); b2 = dot(b2, x2, h1); c2 = dot(c2, x2, h2); d2 = dot(d2, x2, h3); }
    if (K > 3) { const x3 = v128.load32_splat(y, 12); a3 = dot(a3, x3, h0); b3 = dot(b3, x3, h1); c3 = dot(c3, x3, h2); d3 = dot(d3, x3, h3); }
    p += 64;
    y += <usize>K * 4;
  } while (p < stop);
  a0 = i32x4.shl(a0, 4); b0 = i32x4.shl(b0, 4); c0 = i32x4.shl(c0, 4); d0 = i32x4.shl(d0, 4);
  a1 = i32x4.shl(a1, 4); b1 = i32x4.shl(b1, 4); c1 = i32x4.shl(c1, 4); d1 = i32x4.shl(d1, 4);
  if (K > 2) { a2 = i32x4.shl(a2, 4); b2 = i32x4.shl(b2, 4); c2 = i32x4.shl(c2, 4); d2 = i32x4.shl(d2, 4); }
  if (K > 3) { a3 = i32x4.shl(a3, 4); b3 = i32x4.shl(b3, 4); c3 = i32x4.shl(c3, 4); d3 = i32x4.shl(d3, 4); }
  do {
    const u0 = v128.load(w), u1 = v128.load(w, 16), u2 = v128.load(w, 32), u3 = v128.load(w, 48);
    const l0 = v128.and(u0, nibbles), l1 = v128.and(u1, nibbles), l2 = v128.and(u2, nibbles), l3 = v128.and(u3, nibbles);
    const x0 = v128.load32_splat(x); a0 = dot(a0, x0, l0); b0 = dot(b0, x0, l1); c0 = dot(c0, x0, l2); d0 = dot(d0, x0, l3);
    const x1 = v128.load32_splat(x, 4); a1 = dot(a1, x1, l0); b1 = dot(b1, x1, l1); c1 = dot(c1, x1, l2); d1 = dot(d1, x1, l3);
    if (K > 2) { const x2 = v128.load32_splat(x, 8); a2 = dot(a2, x2, l0); b2 = dot(b2, x2, l1); c2 = dot(c2, x2, l2); d2 = dot(d2, x2, l3); }
    if (K > 3) { const x3 = v128.load32_splat(x, 12); a3 = dot(a3, x3, l0); b3 = dot(b3, x3, l1); c3 = dot(c3, x3, l2); d3 = dot(d3, x3, l3); }
    w += 64;
    x += <usize>K * 4;
  } while (w < stop);
  const sign = constant(SIGN), bias = constant(HALF_BIAS), limit = constant(HALF_LIMIT);
  const h = v128.load(w), g = v128.load(w, 16);
  addRows(
    K, false, sums, more, x, 0,
    float(a0), float(b0), float(c0), float(d0), float(a1), float(b1), float(c1), float(d1),
    float(a2), float(b2), float(c2), float(d2), float(a3), float(b3), float(c3), float(d3),
    lowHalves(h, sign, bias, limit), highHalves(h, sign, bias, limit), lowHalves(g, sign, bias, limit), highHalves(g, sign, bias, limit),
    zero, zero, zero, zero,
  );
}

/**
 * The first or last 16 columns of a block of Q6_K: three steps whose codes are the low six bits, and a fourth from the bits above those. The
 * last ones add to the sums; `s` is where d is as f32.
 */
// @inline
function sixPass(
  K: i32, last: i32, w: usize, block: usize, factors: usize, s: usize, sums: usize, more: usize, between: usize, beyond: usize,
): void {
  const start = block + <usize>K * (START_32 + 4 * last);
  let x = block + <usize>K * 16 * last;
  w += 192 * last;
  const zero = i32x4.splat(0), six = constant(SIX_BITS), top = constant(TOP_BITS);
  let a0 = v128.load32_splat(start), b0 = a0, c0 = a0, d0 = a0;
  let a1 = v128.load32_splat(start, 4), b1 = a1, c1 = a1, d1 = a1;
  let a2 = K < 3 ? zero : v128.load32_splat(start, 8), b2 = a2, c2 = a2, d2 = a2;
  let a3 = K < 4 ? zero : v128.load32_splat(start, 12), b3 = a3, c3 = a3, d3 = a3;
  let p = w;
  const stop = w + 192;
  do {
    const l0 = v128.and(v128.load(p), six), l1 = v128.and(v128.load(p, 16), six);
    const l2 = v128.and(v128.load(p, 32), six), l3 = v128.and(v128.load(p, 48), six);
    const x0 = v128.load32_splat(x); a0 = dot(a0, x0, l0); b0 = dot(b0, x0, l1); c0 = dot(c0, x0, l2); d0 = dot(d0, x0, l3);
    const x1 = v128.load32_splat(x, 4); a1 = dot(a1, x1, l0); b1 = dot(b1, x1, l1); c1 = dot(c1, x1, l2); d1 = dot(d1, x1, l3);
    if (K > 2) { const x2 = v128.load32_splat(x, 8); a2 = dot(a2, x2, l0); b2 = dot(b2, x2, l1); c2 = dot(c2, x2, l2); d2 = dot(d2, x2, l3); }
    if (K > 3) { const x3 = v128.load32_splat(x, 12); a3 = dot(a3, x3, l0); b3 = dot(b3, x3, l1); c3 = dot(c3, x3, l2); d3 = dot(d3, x3, l3); }
    p += 64;
    x += <usize>K * 4;
  } while (p < stop);
  const l0 = fourthSix(v128.load(w), v128.load(w, 64), v128.load(w, 128), top), l1 = fourthSix(v128.load(w, 16), v128.load(w, 80), v128.load(w, 144), top);
  const l2 = fourthSix(v128.load(w, 32), v128.load(w, 96), v128.load(w, 160), top), l3 = fourthSix(v128.load(w, 48), v128.load(w, 112), v128.load(w, 176), top);
  const x0 = v128.load32_splat(x); a0 = dot(a0, x0, l0); b0 = dot(b0, x0, l1); c0 = dot(c0, x0, l2); d0 = dot(d0, x0, l3);
  const x1 = v128.load32_splat(x, 4); a1 = dot(a1, x1, l0); b1 = dot(b1, x1, l1); c1 = dot(c1, x1, l2); d1 = dot(d1, x1, l3);
  if (K > 2) { const x2 = v128.load32_splat(x, 8); a2 = dot(a2, x2, l0); b2 = dot(b2, x2, l1); c2 = dot(c2, x2, l2); d2 = dot(d2, x2, l3); }
  if (K > 3) { const x3 = v128.load32_splat(x, 12); a3 = dot(a3, x3, l0); b3 = dot(b3, x3, l1); c3 = dot(c3, x3, l2); d3 = dot(d3, x3, l3); }
  a0 = float(a0); b0 = float(b0); c0 = float(c0); d0 = float(d0);
  a1 = float(a1); b1 = float(b1); c1 = float(c1); d1 = float(d1);
  if (K > 2) { a2 = float(a2); b2 = float(b2); c2 = float(c2); d2 = float(d2); }
  if (K > 3) { a3 = float(a3); b3 = float(b3); c3 = float(c3); d3 = float(d3); }
  const f = last ? v128.load(factors, 16) : v128.load(factors), low = i16x8.extend_low_i8x16_s(f), high = i16x8.extend_high_i8x16_s(f);
  const f0 = float(i32x4.extend_low_i16x8_s(low)), f1 = float(i32x4.extend_high_i16x8_s(low));
  const g0 = float(i32x4.extend_low_i16x8_s(high)), g1 = float(i32x4.extend_high_i16x8_s(high));
  if (!last) {
    keepRows(K, between, beyond, a0, b0, c0, d0, a1, b1, c1, d1, a2, b2, c2, d2, a3, b3, c3, d3, f0, f1, g0, g1);
    return;
  }
  a0 = joinLow(a0, f0, between, 0); b0 = joinHigh(b0, f1, between, 0); c0 = joinLow(c0, g0, beyond, 0); d0 = joinHigh(d0, g1, beyond, 0);
  a1 = joinLow(a1, f0, between, 1); b1 = joinHigh(b1, f1, between, 1); c1 = joinLow(c1, g0, beyond, 1); d1 = joinHigh(d1, g1, beyond, 1);
  if (K > 2) { a2 = joinLow(a2, f0, between, 2); b2 = joinHigh(b2, f1, between, 2); c2 = joinLow(c2, g0, beyond, 2); d2 = joinHigh(d2, g1, beyond, 2); }
  if (K > 3) { a3 = joinLow(a3, f0, between, 3); b3 = joinHigh(b3, f1, between, 3); c3 = joinLow(c3, g0, beyond, 3); d3 = joinHigh(d3, g1, beyond, 3); }
  addRows(
    K, false, sums, more, block + <usize>K * CODE_SCALE, 0, a0, b0, c0, d0, a1, b1, c1, d1, a2, b2, c2, d2, a3, b3, c3, d3,
    v128.load(s), v128.load(s, 16), v128.load(s, 32), v128.load(s, 48), zero, zero, zero, zero,
  );
}

// @inline
function block(
  type: i32, K: i32, touch: bool, w: usize, x: usize, s: usize, factors: usize, sums: usize, more: usize, between: usize, beyond: usize,
): void {
  if (type == Q6_K) {
    sixPass(K, 0, w, x, factors, s, sums, more, between, beyond);
    sixPass(K, 1, w, x, factors, s, sums, more, between, beyond);
  } else if (type == Q8_0) {
    byteBlock(K, w, x, sums, more);
  } else {
    nibbleBlock(type, K, touch, w, x, s, sums, more);
  }
}

// @inline
export function blockBytes(type: i32): usize {
  return type == Q4_0 ? Q4_0_BLOCK
    : type == Q4_K ? Q4_K_BLOCK
    : type == Q5_0 ? Q5_0_BLOCK
    : type == Q5_K ? Q5_K_BLOCK
    : type == Q6_K ? Q6_K_BLOCK
    : Q8_0_BLOCK;
}

/**
 * The packed tile at `w` times 2, 3, 4 or 8 rows of activations. Of 8, both fours go block by block, not one after the other, so that
 * memory is never idle; and each has load instructions of its own, as the first one's prefetches would stop where it went back.
 *
 * Scales of Q4_K and Q5_K are touched by the instructions that read codes before others read them (2 rows of Q4_K from memory 1.5 x, 4 rows
 * 1.2 x). Where products take longer than memory does, with 8 rows, that would cost more than it gains.
 */
// @inline
function direct(
  type: i32, rows: i32, w: usize, x: usize, blocks: i32, sums: usize, more: usize, nextSums: usize, nextMore: usize, room: usize,
  between: usize, beyond: usize,
): void {
  const eight = rows == 8, K = eight ? 4 : rows;
  const minimum = type == Q4_K || type == Q5_K, size = minimum || type == Q6_K ? 8 : 1;
  clear(sums);
  if (eight) clear(nextSums);
  let next = x + 4 * BLOCK_CODES * <usize>blocks, factors = w;
  for (; blocks > 0; blocks -= size) {
    let s = room;
    if (type == Q6_K) {
      spreadHalves(w, room);
      factors = w + 32;
      w += 288;
    }
    if (minimum && eight) {
      spreadMinimumScales(w, room, type == Q4_K ? 0 : 16);
      w += 256;
    }
    for (let i = minimum && !eight ? -1 : 0; i < size; i++) {
      block(type, K, i < 0, w, x, s, factors, sums, more, between, beyond);
      if (minimum && i < 0) {
        spreadMinimumScales(w, room, type == Q4_K ? 0 : 16);
        w += 256;
        continue;
      }
      x += <usize>K * BLOCK_CODES;
      if (eight) {
        block(type, K, false, w, next, s, factors, nextSums, nextMore, between, beyond);
        next += 4 * BLOCK_CODES;
      }
      if (minimum) s += 128;
      factors += 32;
      w += blockBytes(type);
    }
  }
}

// One function for each type and number of rows; see packed-tile.ts.
function q4_0x2(w: usize, x: usize, n: i32, a: usize, b: usize, c: usize, d: usize, r: usize, e: usize, f: usize): void { direct(Q4_0, 2, w, x, n, a, b, c, d, r, e, f); }
function q4_0x3(w: usize, x: usize, n: i32, a: usize, b: usize, c: usize, d: usize, r: usize, e: usize, f: usize): void { direct(Q4_0, 3, w, x, n, a, b, c, d, r, e, f); }
function q4_0x4(w: usize, x: usize, n: i32, a: usize, b: usize, c: usize, d: usize, r: usize, e: usize, f: usize): void { direct(Q4_0, 4, w, x, n, a, b, c, d, r, e, f); }
function q4_0x8(w: usize, x: usize, n: i32, a: usize, b: usize, c: usize, d: usize, r: usize, e: usize, f: usize): void { direct(Q4_0, 8, w, x, n, a, b, c, d, r, e, f); }
function q4_Kx2(w: usize, x: usize, n: i32, a: usize, b: usize, c: usize, d: usize, r: usize, e: usize, f: usize): void { direct(Q4_K, 2, w, x, n, a, b, c, d, r, e, f); }
function q4_Kx3(w: usize, x: usize, n: i32, a: usize, b: usize, c: usize, d: usize, r: usize, e: usize, f: usize): void { direct(Q4_K, 3, w, x, n, a, b, c, d, r, e, f); }
function q4_Kx4(w: usize, x: usize, n: i32, a: usize, b: usize, c: usize, d: usize, r: usize, e: usize, f: usize): void { direct(Q4_K, 4, w, x, n, a, b, c, d, r, e, f); }
function q4_Kx8(w: usize, x: usize, n: i32, a: usize, b: usize, c: usize, d: usize, r: usize, e: usize, f: usize): void { direct(Q4_K, 8, w, x, n, a, b, c, d, r, e, f); }
function q5_0x2(w: usize, x: usize, n: i32, a: usize, b: usize, c: usize, d: usize, r: usize, e: usize, f: usize): void { direct(Q5_0, 2, w, x, n, a, b, c, d, r, e, f); }
function q5_0x3(w: usize, x: usize, n: i32, a: usize, b: usize, c: usize, d: usize, r: usize, e: usize, f: usize): void { direct(Q5_0, 3, w, x, n, a, b, c, d, r, e, f); }
function q5_0x4(w: usize, x: usize, n: i32, a: usize, b: usize, c: usize, d: usize, r: usize, e: usize, f: usize): void { direct(Q5_0, 4, w, x, n, a, b, c, d, r, e, f); }
function q5_0x8(w: usize, x: usize, n: i32, a: usize, b: usize, c: usize, d: usize, r: usize, e: usize, f: usize): void { direct(Q5_0, 8, w, x, n, a, b, c, d, r, e, f); }
function q5_Kx2(w: usize, x: usize, n: i32, a: usize, b: usize, c: usize, d: usize, r: usize, e: usize, f: usize): void { direct(Q5_K, 2, w, x, n, a, b, c, d, r, e, f); }
function q5_Kx3(w: usize, x: usize, n: i32, a: usize, b: usize, c: usize, d: usize, r: usize, e: usize, f: usize): void { direct(Q5_K, 3, w, x, n, a, b, c, d, r, e, f); }
function q5_Kx4(w: usize, x: usize, n: i32, a: usize, b: usize, c: usize, d: usize, r: usize, e: usize, f: usize): void { direct(Q5_K, 4, w, x, n, a, b, c, d, r, e, f); }
function q5_Kx8(w: usize, x: usize, n: i32, a: usize, b: usize, c: usize, d: usize, r: usize, e: usize, f: usize): void { direct(Q5_K, 8, w, x, n, a, b, c, d, r, e, f); }
function q6_Kx2(w: usize, x: usize, n: i32, a: usize, b: usize, c: usize, d: usize, r: usize, e: usize, f: usize): void { direct(Q6_K, 2, w, x, n, a, b, c, d, r, e, f); }
function q6_Kx3(w: usize, x: usize, n: i32, a: usize, b: usize, c: usize, d: usize, r: usize, e: usize, f: usize): void { direct(Q6_K, 3, w, x, n, a, b, c, d, r, e, f); }
function q6_Kx4(w: usize, x: usize, n: i32, a: usize, b: usize, c: usize, d: usize, r: usize, e: usize, f: usize): void { direct(Q6_K, 4, w, x, n, a, b, c, d, r, e, f); }
function q6_Kx8(w: usize, x: usize, n: i32, a: usize, b: usize, c: usize, d: usize, r: usize, e: usize, f: usize): void { direct(Q6_K, 8, w, x, n, a, b, c, d, r, e, f); }
function q8_0x2(w: usize, x: usize, n: i32, a: usize, b: usize, c: usize, d: usize, r: usize, e: usize, f: usize): void { direct(Q8_0, 2, w, x, n, a, b, c, d, r, e, f); }
function q8_0x3(w: usize, x: usize, n: i32, a: usize, b: usize, c: usize, d: usize, r: usize, e: usize, f: usize): void { direct(Q8_0, 3, w, x, n, a, b, c, d, r, e, f); }
function q8_0x4(w: usize, x: usize, n: i32, a: usize, b: usize, c: usize, d: usize, r: usize, e: usize, f: usize): void { direct(Q8_0, 4, w, x, n, a, b, c, d, r, e, f); }
function q8_0x8(w: usize, x: usize, n: i32, a: usize, b: usize, c: usize, d: usize, r: usize, e: usize, f: usize): void { direct(Q8_0, 8, w, x, n, a, b, c, d, r, e, f); }

/**
 * The packed tile at `w` times 2, 3, 4 or 8 rows of activations; the second four's sums come behind the first four's. `room` is SCALE_ROOM
 * bytes, `between` WIDE_SUMS_BYTES.
 */
export function multiplyDirect(type: i32, rows: i32, w: usize, x: usize, blocks: i32, sums: usize, room: usize, between: usize): void {
  const a = sums, b = a + 128, c = sums + WIDE_SUMS_BYTES, d = c + 128, e = between, f = e + 128;
  switch (type * 4 + (rows == 8 ? 3 : rows - 2)) {
    case 0: q4_0x2(w, x, blocks, a, b, c, d, room, e, f); break;
    case 1: q4_0x3(w, x, blocks, a, b, c, d, room, e, f); break;
    case 2: q4_0x4(w, x, blocks, a, b, c, d, room, e, f); break;
    case 3: q4_0x8(w, x, blocks, a, b, c, d, room, e, f); break;
    case 4: q4_Kx2(w, x, blocks, a, b, c, d, room, e, f); break;
    case 5: q4_Kx3(w, x, blocks, a, b, c, d, room, e, f); break;
    case 6: q4_Kx4(w, x, blocks, a, b, c, d, room, e, f); break;
    case 7: q4_Kx8(w, x, blocks, a, b, c, d, room, e, f); break;
    case 8: q5_0x2(w, x, blocks, a, b, c, d, room, e, f); break;
    case 9: q5_0x3(w, x, blocks, a, b, c, d, room, e, f); break;
    case 10: q5_0x4(w, x, blocks, a, b, c, d, room, e, f); break;
    case 11: q5_0x8(w, x, blocks, a, b, c, d, room, e, f); break;
    case 12: q5_Kx2(w, x, blocks, a, b, c, d, room, e, f); break;
    case 13: q5_Kx3(w, x, blocks, a, b, c, d, room, e, f); break;
    case 14: q5_Kx4(w, x, blocks, a, b, c, d, room, e, f); break;
    case 15: q5_Kx8(w, x, blocks, a, b, c, d, room, e, f); break;
    case 16: q6_Kx2(w, x, blocks, a, b, c, d, room, e, f); break;
    case 17: q6_Kx3(w, x, blocks, a, b, c, d, room, e, f); break;
    case 18: q6_Kx4(w, x, blocks, a, b, c, d, room, e, f); break;
    case 19: q6_Kx8(w, x, blocks, a, b, c, d, room, e, f); break;
    case 20: q8_0x2(w, x, blocks, a, b, c, d, room, e, f); break;
    case 21: q8_0x3(w, x, blocks, a, b, c, d, room, e, f); break;
    case 22: q8_0x4(w, x, blocks, a, b, c, d, room, e, f); break;
    case 23: q8_0x8(w, x, blocks, a, b, c, d, room, e, f); break;
  }
}
