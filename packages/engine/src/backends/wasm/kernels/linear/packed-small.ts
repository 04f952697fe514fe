// Two to four rows of activations at once (drafts to verify, few sessions) straight from the packed tile, 8 of its 16 rows at a time; all
// 16 where packed-direct.ts serves. Making a panel would cost more than the product here. Sums as in packed-tile.ts, bit for bit.
import { madd } from '../common/common';
import { BLOCK_CODES, CODE_SCALE, CODE_SUM, START_16, START_32, START_8 } from './packed-codes';
import {
  BIT_4, constant, dot, fourthSix, HALF_BIAS, HALF_LIMIT, highCodes, highHalves, lowCodes, lowHalves, NIBBLES, ONES, SIGN, SIX_BITS, SIXTEENS, TOP_BITS,
  total,
} from './packed-dot';
import { Q4_0, Q4_K, Q5_0, Q5_K } from './layouts.gen';
import { spreadFactors, spreadHalfScales } from './packed-scales';
import { addBoth, addScaled, HALVES, partial, storeSums, TWO_NIBBLES } from './packed-tile';

/** Q4_0, Q4_K, Q5_0 and Q5_K. */
// @inline
function nibbleProduct(type: i32, K: i32, tile: usize, half: usize, x: usize, blocks: i32, sums: usize, room: usize): void {
  const zero = i32x4.splat(0), ones = constant(ONES), nibbles = constant(NIBBLES), bit = constant(BIT_4);
  const sign = constant(SIGN), bias = constant(HALF_BIAS), limit = constant(HALF_LIMIT);
  const five = type == Q5_0 || type == Q5_K, minimum = type == Q4_K || type == Q5_K;
  let y0 = zero, y1 = zero, y2 = zero, y3 = zero, z0 = zero, z1 = zero, z2 = zero, z3 = zero;
  let w = tile + half * 32;
  let s = minimum ? room : tile + (five ? 320 : 256) + half * 16;
  for (let b = 0; b < blocks; b++) {
    if (minimum && (b & 7) == 0) {
      spreadHalfScales(tile, half, room, five ? 16 : 0);
      tile += five ? 2816 : 2304;
      s = room;
      w += 256;
    }
    const start = x + <usize>K * (five ? START_16 : START_8);
    let a0 = type == Q4_K ? zero : v128.load32_splat(start), b0 = a0;
    let a1 = type == Q4_K || K < 2 ? zero : v128.load32_splat(start, 4), b1 = a1;
    let a2 = type == Q4_K || K < 3 ? zero : v128.load32_splat(start, 8), b2 = a2;
    let a3 = type == Q4_K || K < 4 ? zero : v128.load32_splat(start, 12), b3 = a3;
    let f0 = five ? v128.load(w, 256) : zero, f1 = five ? v128.load(w, 272) : zero;
    const stop = w + 256;
    do {
      const v0 = v128.load(w), v1 = v128.load(w, 16);
      const l0 = lowCodes(five, v0, f0, nibbles, bit), l1 = lowCodes(five, v1, f1, nibbles, bit);
      const x0 = v128.load32_splat(x); a0 = dot(a0, x0, l0); b0 = dot(b0, x0, l1);
      const x1 = v128.load32_splat(x, 4); a1 = dot(a1, x1, l0); b1 = dot(b1, x1, l1);
      if (K > 2) { const x2 = v128.load32_splat(x, 8); a2 = dot(a2, x2, l0); b2 = dot(b2, x2, l1); }
      if (K > 3) { const x3 = v128.load32_splat(x, 12); a3 = dot(a3, x3, l0); b3 = dot(b3, x3, l1); }
      const h0 = highCodes(five, v0, f0, nibbles, bit), h1 = highCodes(five, v1, f1, nibbles, bit);
      const high = x + <usize>K * 16;
      const u0 = v128.load32_splat(high); a0 = dot(a0, u0, h0); b0 = dot(b0, u0, h1);
      const u1 = v128.load32_splat(high, 4); a1 = dot(a1, u1, h0); b1 = dot(b1, u1, h1);
      if (K > 2) { const u2 = v128.load32_splat(high, 8); a2 = dot(a2, u2, h0); b2 = dot(b2, u2, h1); }
      if (K > 3) { const u3 = v128.load32_splat(high, 12); a3 = dot(a3, u3, h0); b3 = dot(b3, u3, h1); }
      if (five) { f0 = i16x8.shr_u(f0, 1); f1 = i16x8.shr_u(f1, 1); }
      w += 64;
      x += <usize>K * 4;
    } while (w < stop);
    const h = v128.load(s);
    const s0 = minimum ? h : lowHalves(h, sign, bias, limit);
    const s1 = minimum ? v128.load(s, 16) : highHalves(h, sign, bias, limit);
    const scale = x + <usize>K * (CODE_SCALE - 16), sum = x + <usize>K * (CODE_SUM - 16);
    const c0 = v128.load32_splat(scale); y0 = addScaled(a0, ones, c0, s0, y0); z0 = addScaled(b0, ones, c0, s1, z0);
    const c1 = v128.load32_splat(scale, 4); y1 = addScaled(a1, ones, c1, s0, y1); z1 = addScaled(b1, ones, c1, s1, z1);
    if (K > 2) { const c2 = v128.load32_splat(scale, 8); y2 = addScaled(a2, ones, c2, s0, y2); z2 = addScaled(b2, ones, c2, s1, z2); }
    if (K > 3) { const c3 = v128.load32_splat(scale, 12); y3 = addScaled(a3, ones, c3, s0, y3); z3 = addScaled(b3, ones, c3, s1, z3); }
    if (minimum) {
      const m0 = v128.load(s, 32), m1 = v128.load(s, 48);
      const d0 = v128.load32_splat(sum); y0 = madd(d0, m0, y0); z0 = madd(d0, m1, z0);
      const d1 = v128.load32_splat(sum, 4); y1 = madd(d1, m0, y1); z1 = madd(d1, m1, z1);
      if (K > 2) { const d2 = v128.load32_splat(sum, 8); y2 = madd(d2, m0, y2); z2 = madd(d2, m1, z2); }
      if (K > 3) { const d3 = v128.load32_splat(sum, 12); y3 = madd(d3, m0, y3); z3 = madd(d3, m1, z3); }
    }
    w += (five ? 64 : 0) + (minimum ? 0 : 32);
    s += minimum ? 64 : five ? 352 : 288;
    x += <usize>K * (BLOCK_CODES - 16);
  }
  storeSums(sums, 0, y0, z0);
  storeSums(sums, 1, y1, z1);
  if (K > 2) storeSums(sums, 2, y2, z2);
  if (K > 3) storeSums(sums, 3, y3, z3);
}

/** Q6_K, 16 columns a pass: three steps whose codes are the low six bits, and a fourth from the bits above those. */
// @inline
function sixProduct(K: i32, tile: usize, half: usize, x: usize, blocks: i32, sums: usize, room: usize): void {
  const zero = i32x4.splat(0), six = constant(SIX_BITS), top = constant(TOP_BITS);
  const sign = constant(SIGN), bias = constant(HALF_BIAS), limit = constant(HALF_LIMIT);
  let y0 = zero, y1 = zero, y2 = zero, y3 = zero, z0 = zero, z1 = zero, z2 = zero, z3 = zero;
  let w = tile + half * 32, factors = tile;
  for (let b = 0; b < blocks; b++) {
    if ((b & 7) == 0) {
      const h = v128.load(tile + half * 16);
      const s0 = lowHalves(h, sign, bias, limit), s1 = highHalves(h, sign, bias, limit);
      v128.store(room, s0);
      v128.store(room, s1, 16);
      factors = tile + 32 + half * 8;
      tile += 3360;
      w += 288;
    }
    let c0 = zero, c1 = zero, c2 = zero, c3 = zero, d0 = zero, d1 = zero, d2 = zero, d3 = zero;
    let start = x + <usize>K * START_32;
    const middle = w + 192;
    for (;;) {
      let a0 = v128.load32_splat(start), b0 = a0;
      let a1 = v128.load32_splat(start, 4), b1 = a1;
      let a2 = K < 3 ? zero : v128.load32_splat(start, 8), b2 = a2;
      let a3 = K < 4 ? zero : v128.load32_splat(start, 12), b3 = a3;
      const set = w, stop = w + 192;
      do {
        const l0 = v128.and(v128.load(w), six), l1 = v128.and(v128.load(w, 16), six);
        const x0 = v128.load32_splat(x); a0 = dot(a0, x0, l0); b0 = dot(b0, x0, l1);
        const x1 = v128.load32_splat(x, 4); a1 = dot(a1, x1, l0); b1 = dot(b1, x1, l1);
        if (K > 2) { const x2 = v128.load32_splat(x, 8); a2 = dot(a2, x2, l0); b2 = dot(b2, x2, l1); }
        if (K > 3) { const x3 = v128.load32_splat(x, 12); a3 = dot(a3, x3, l0); b3 = dot(b3, x3, l1); }
        w += 64;
        x += <usize>K * 4;
      } while (w < stop);
      const l0 = fourthSix(v128.load(set), v128.load(set, 64), v128.load(set, 128), top);
      const l1 = fourthSix(v128.load(set, 16), v128.load(set, 80), v128.load(set, 144), top);
      const x0 = v128.load32_splat(x); a0 = dot(a0, x0, l0); b0 = dot(b0, x0, l1);
      const x1 = v128.load32_splat(x, 4); a1 = dot(a1, x1, l0); b1 = dot(b1, x1, l1);
      if (K > 2) { const x2 = v128.load32_splat(x, 8); a2 = dot(a2, x2, l0); b2 = dot(b2, x2, l1); }
      if (K > 3) { const x3 = v128.load32_splat(x, 12); a3 = dot(a3, x3, l0); b3 = dot(b3, x3, l1); }
      x += <usize>K * 4;
      spreadFactors(factors, room + 32);
      const f0 = v128.load(room, 32), f1 = v128.load(room, 48);
      factors += 16;
      if (w == middle) {
        start += <usize>K * 4;
        c0 = partial(HALVES, a0, f0); d0 = partial(HALVES, b0, f1);
        c1 = partial(HALVES, a1, f0); d1 = partial(HALVES, b1, f1);
        if (K > 2) { c2 = partial(HALVES, a2, f0); d2 = partial(HALVES, b2, f1); }
        if (K > 3) { c3 = partial(HALVES, a3, f0); d3 = partial(HALVES, b3, f1); }
        continue;
      }
      const s0 = v128.load(room), s1 = v128.load(room, 16);
      const e0 = v128.load32_splat(x); y0 = addBoth(HALVES, c0, a0, f0, e0, s0, y0); z0 = addBoth(HALVES, d0, b0, f1, e0, s1, z0);
      const e1 = v128.load32_splat(x, 4); y1 = addBoth(HALVES, c1, a1, f0, e1, s0, y1); z1 = addBoth(HALVES, d1, b1, f1, e1, s1, z1);
      if (K > 2) { const e2 = v128.load32_splat(x, 8); y2 = addBoth(HALVES, c2, a2, f0, e2, s0, y2); z2 = addBoth(HALVES, d2, b2, f1, e2, s1, z2); }
      if (K > 3) { const e3 = v128.load32_splat(x, 12); y3 = addBoth(HALVES, c3, a3, f0, e3, s0, y3); z3 = addBoth(HALVES, d3, b3, f1, e3, s1, z3); }
      break;
    }
    x += <usize>K * (BLOCK_CODES - 32);
  }
  storeSums(sums, 0, y0, z0);
  storeSums(sums, 1, y1, z1);
  if (K > 2) storeSums(sums, 2, y2, z2);
  if (K > 3) storeSums(sums, 3, y3, z3);
}

/** Q8_0: all steps with low nibbles, then with high ones. */
// @inline
function byteProduct(K: i32, tile: usize, half: usize, x: usize, blocks: i32, sums: usize): void {
  const zero = i32x4.splat(0), nibbles = constant(NIBBLES), ones = constant(ONES), sixteens = constant(SIXTEENS);
  const sign = constant(SIGN), bias = constant(HALF_BIAS), limit = constant(HALF_LIMIT);
  let y0 = zero, y1 = zero, y2 = zero, y3 = zero, z0 = zero, z1 = zero, z2 = zero, z3 = zero;
  let w = tile + half * 32, s = tile + 512 + half * 16;
  for (; blocks > 0; blocks--) {
    let a0 = zero, b0 = zero, a1 = zero, b1 = zero, a2 = zero, b2 = zero, a3 = zero, b3 = zero;
    const stop = w + 512;
    let v = w, u = x;
    do {
      const l0 = v128.and(v128.load(v), nibbles), l1 = v128.and(v128.load(v, 16), nibbles);
      const x0 = v128.load32_splat(u); a0 = dot(a0, x0, l0); b0 = dot(b0, x0, l1);
      const x1 = v128.load32_splat(u, 4); a1 = dot(a1, x1, l0); b1 = dot(b1, x1, l1);
      if (K > 2) { const x2 = v128.load32_splat(u, 8); a2 = dot(a2, x2, l0); b2 = dot(b2, x2, l1); }
      if (K > 3) { const x3 = v128.load32_splat(u, 12); a3 = dot(a3, x3, l0); b3 = dot(b3, x3, l1); }
      v += 64;
      u += <usize>K * 4;
    } while (v < stop);
    const c0 = total(a0, ones), d0 = total(b0, ones), c1 = total(a1, ones), d1 = total(b1, ones);
    const c2 = total(a2, ones), d2 = total(b2, ones), c3 = total(a3, ones), d3 = total(b3, ones);
    const start = x + <usize>K * START_8;
    a0 = v128.load32_splat(start); b0 = a0;
    a1 = v128.load32_splat(start, 4); b1 = a1;
    if (K > 2) { a2 = v128.load32_splat(start, 8); b2 = a2; }
    if (K > 3) { a3 = v128.load32_splat(start, 12); b3 = a3; }
    do {
      const v0 = v128.load(w), v1 = v128.load(w, 16);
      const h0 = v128.and(i16x8.shr_u(v0, 4), nibbles), h1 = v128.and(i16x8.shr_u(v1, 4), nibbles);
      const x0 = v128.load32_splat(x); a0 = dot(a0, x0, h0); b0 = dot(b0, x0, h1);
      const x1 = v128.load32_splat(x, 4); a1 = dot(a1, x1, h0); b1 = dot(b1, x1, h1);
      if (K > 2) { const x2 = v128.load32_splat(x, 8); a2 = dot(a2, x2, h0); b2 = dot(b2, x2, h1); }
      if (K > 3) { const x3 = v128.load32_splat(x, 12); a3 = dot(a3, x3, h0); b3 = dot(b3, x3, h1); }
      w += 64;
      x += <usize>K * 4;
    } while (w < stop);
    const h = v128.load(s), s0 = lowHalves(h, sign, bias, limit), s1 = highHalves(h, sign, bias, limit), f = sixteens;
    const e0 = v128.load32_splat(x); y0 = addBoth(TWO_NIBBLES, c0, a0, f, e0, s0, y0); z0 = addBoth(TWO_NIBBLES, d0, b0, f, e0, s1, z0);
    const e1 = v128.load32_splat(x, 4); y1 = addBoth(TWO_NIBBLES, c1, a1, f, e1, s0, y1); z1 = addBoth(TWO_NIBBLES, d1, b1, f, e1, s1, z1);
    if (K > 2) { const e2 = v128.load32_splat(x, 8); y2 = addBoth(TWO_NIBBLES, c2, a2, f, e2, s0, y2); z2 = addBoth(TWO_NIBBLES, d2, b2, f, e2, s1, z2); }
    if (K > 3) { const e3 = v128.load32_splat(x, 12); y3 = addBoth(TWO_NIBBLES, c3, a3, f, e3, s0, y3); z3 = addBoth(TWO_NIBBLES, d3, b3, f, e3, s1, z3); }
    w += 32;
    s += 544;
    x += <usize>K * (BLOCK_CODES - 32);
  }
  storeSums(sums, 0, y0, z0);
  storeSums(sums, 1, y1, z1);
  if (K > 2) storeSums(sums, 2, y2, z2);
  if (K > 3) storeSums(sums, 3, y3, z3);
}

// One function for each type and number of rows; see packed-tile.ts.
function q4_0x2(w: usize, half: usize, x: usize, n: i32, sums: usize, room: usize): void { nibbleProduct(Q4_0, 2, w, half, x, n, sums, room); }
function q4_0x3(w: usize, half: usize, x: usize, n: i32, sums: usize, room: usize): void { nibbleProduct(Q4_0, 3, w, half, x, n, sums, room); }
function q4_0x4(w: usize, half: usize, x: usize, n: i32, sums: usize, room: usize): void { nibbleProduct(Q4_0, 4, w, half, x, n, sums, room); }
function q4_Kx2(w: usize, half: usize, x: usize, n: i32, sums: usize, room: usize): void { nibbleProduct(Q4_K, 2, w, half, x, n, sums, room); }
function q4_Kx3(w: usize, half: usize, x: usize, n: i32, sums: usize, room: usize): void { nibbleProduct(Q4_K, 3, w, half, x, n, sums, room); }
function q4_Kx4(w: usize, half: usize, x: usize, n: i32, sums: usize, room: usize): void { nibbleProduct(Q4_K, 4, w, half, x, n, sums, room); }
function q5_0x2(w: usize, half: usize, x: usize, n: i32, sums: usize, room: usize): void { nibbleProduct(Q5_0, 2, w, half, x, n, sums, room); }
function q5_0x3(w: usize, half: usize, x: usize, n: i32, sums: usize, room: usize): void { nibbleProduct(Q5_0, 3, w, half, x, n, sums, room); }
function q5_0x4(w: usize, half: usize, x: usize, n: i32, sums: usize, room: usize): void { nibbleProduct(Q5_0, 4, w, half, x, n, sums, room); }
function q5_Kx2(w: usize, half: usize, x: usize, n: i32, sums: usize, room: usize): void { nibbleProduct(Q5_K, 2, w, half, x, n, sums, room); }
function q5_Kx3(w: usize, half: usize, x: usize, n: i32, sums: usize, room: usize): void { nibbleProduct(Q5_K, 3, w, half, x, n, sums, room); }
function q5_Kx4(w: usize, half: usize, x: usize, n: i32, sums: usize, room: usize): void { nibbleProduct(Q5_K, 4, w, half, x, n, sums, room); }
function q6_Kx2(w: usize, half: usize, x: usize, n: i32, sums: usize, room: usize): void { sixProduct(2, w, half, x, n, sums, room); }
function q6_Kx3(w: usize, half: usize, x: usize, n: i32, sums: usize, room: usize): void { sixProduct(3, w, half, x, n, sums, room); }
function q6_Kx4(w: usize, half: usize, x: usize, n: i32, sums: usize, room: usize): void { sixProduct(4, w, half, x, n, sums, room); }
function q8_0x2(w: usize, half: usize, x: usize, n: i32, sums: usize, room: usize): void { byteProduct(2, w, half, x, n, sums); }
function q8_0x3(w: usize, half: usize, x: usize, n: i32, sums: usize, room: usize): void { byteProduct(3, w, half, x, n, sums); }
function q8_0x4(w: usize, half: usize, x: usize, n: i32, sums: usize, room: usize): void { byteProduct(4, w, half, x, n, sums); }

/** Rows 8 half…8 half + 7 of the tile at `w` times K = 2…4 rows: sums[k * 8 + row]. `room` is SCALE_ROOM bytes. */
export function multiplySmall(type: i32, K: i32, w: usize, half: usize, x: usize, blocks: i32, sums: usize, room: usize): void {
  switch (type * 3 + K - 2) {
    case 0: q4_0x2(w, half, x, blocks, sums, room); break;
    case 1: q4_0x3(w, half, x, blocks, sums, room); break;
    case 2: q4_0x4(w, half, x, blocks, sums, room); break;
    case 3: q4_Kx2(w, half, x, blocks, sums, room); break;
    case 4: q4_Kx3(w, half, x, blocks, sums, room); break;
    case 5: q4_Kx4(w, half, x, blocks, sums, room); break;
    case 6: q5_0x2(w, half, x, blocks, sums, room); break;
    case 7: q5_0x3(w, half, x, blocks, sums, room); break;
    case 8: q5_0x4(w, half, x, blocks, sums, room); break;
    case 9: q5_Kx2(w, half, x, blocks, sums, room); break;
    case 10: q5_Kx3(w, half, x, blocks, sums, room); break;
    case 11: q5_Kx4(w, half, x, blocks, sums, room); break;
    case 12: q6_Kx2(w, half, x, blocks, sums, room); break;
    case 13: q6_Kx3(w, half, x, blocks, sums, room); break;
    case 14: q6_Kx4(w, half, x, blocks, sums, room); break;
    case 15: q8_0x2(w, half, x, blocks, sums, room); break;
    case 16: q8_0x3(w, half, x, blocks, sums, room); break;
    case 17: q8_0x4(w, half, x, blocks, sums, room); break;
  }
}
