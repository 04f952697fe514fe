// Two to four rows of activations at once (drafts to verify, few sessions): Q4_0 and Q4_K straight from the packed tile, 8 of its 16
// rows at a time; all 16 where packed-wide.ts serves. Making a panel would cost more than the product here. Sums as in packed-tile.ts, bit for bit.
import { BLOCK_CODES, CODE_SCALE, CODE_SUM, START_8 } from './packed-codes';
import { constant, dot, HALF_BIAS, HALF_LIMIT, highHalves, lowHalves, NIBBLES, ONES, SIGN } from './packed-dot';
import { Q4_0, Q4_K } from './packed-layout';
import { spreadHalfScales } from './packed-scales';
import { addScaled, storeSums } from './packed-tile';
import { madd } from './common';

// @ts-ignore: decorator
@inline function product(type: i32, K: i32, tile: usize, half: usize, x: usize, blocks: i32, sums: usize, room: usize): void {
  const zero = i32x4.splat(0), ones = constant(ONES), nibbles = constant(NIBBLES);
  const sign = constant(SIGN), bias = constant(HALF_BIAS), limit = constant(HALF_LIMIT);
  let y0 = zero, y1 = zero, y2 = zero, y3 = zero, z0 = zero, z1 = zero, z2 = zero, z3 = zero;
  let w = tile + half * 32;
  let s = type == Q4_0 ? tile + 256 + half * 16 : room;
  for (let b = 0; b < blocks; b++) {
    if (type == Q4_K && (b & 7) == 0) {
      spreadHalfScales(tile, half, room);
      tile += 2304;
      s = room;
      w += 256;
    }
    const start = x + <usize>K * START_8;
    let a0 = type == Q4_K ? zero : v128.load32_splat(start), b0 = a0;
    let a1 = type == Q4_K || K < 2 ? zero : v128.load32_splat(start, 4), b1 = a1;
    let a2 = type == Q4_K || K < 3 ? zero : v128.load32_splat(start, 8), b2 = a2;
    let a3 = type == Q4_K || K < 4 ? zero : v128.load32_splat(start, 12), b3 = a3;
    const stop = w + 256;
    do {
      const v0 = v128.load(w), v1 = v128.load(w, 16);
      const l0 = v128.and(v0, nibbles), l1 = v128.and(v1, nibbles);
      const x0 = v128.load32_splat(x);
      a0 = dot(a0, x0, l0); b0 = dot(b0, x0, l1);
      if (K > 1) { const x1 = v128.load32_splat(x, 4); a1 = dot(a1, x1, l0); b1 = dot(b1, x1, l1); }
      if (K > 2) { const x2 = v128.load32_splat(x, 8); a2 = dot(a2, x2, l0); b2 = dot(b2, x2, l1); }
      if (K > 3) { const x3 = v128.load32_splat(x, 12); a3 = dot(a3, x3, l0); b3 = dot(b3, x3, l1); }
      const h0 = v128.and(i16x8.shr_u(v0, 4), nibbles), h1 = v128.and(i16x8.shr_u(v1, 4), nibbles);
      const high = x + <usize>K * 16;
      const u0 = v128.load32_splat(high);
      a0 = dot(a0, u0, h0); b0 = dot(b0, u0, h1);
      if (K > 1) { const u1 = v128.load32_splat(high, 4); a1 = dot(a1, u1, h0); b1 = dot(b1, u1, h1); }
      if (K > 2) { const u2 = v128.load32_splat(high, 8); a2 = dot(a2, u2, h0); b2 = dot(b2, u2, h1); }
      if (K > 3) { const u3 = v128.load32_splat(high, 12); a3 = dot(a3, u3, h0); b3 = dot(b3, u3, h1); }
      w += 64;
      x += <usize>K * 4;
    } while (w < stop);
    const h = v128.load(s);
    const s0 = type == Q4_0 ? lowHalves(h, sign, bias, limit) : h;
    const s1 = type == Q4_0 ? highHalves(h, sign, bias, limit) : v128.load(s, 16);
    const scale = x + <usize>K * (CODE_SCALE - 16), sum = x + <usize>K * (CODE_SUM - 16);
    const c0 = v128.load32_splat(scale);
    y0 = addScaled(a0, ones, c0, s0, y0); z0 = addScaled(b0, ones, c0, s1, z0);
    if (K > 1) { const c1 = v128.load32_splat(scale, 4); y1 = addScaled(a1, ones, c1, s0, y1); z1 = addScaled(b1, ones, c1, s1, z1); }
    if (K > 2) { const c2 = v128.load32_splat(scale, 8); y2 = addScaled(a2, ones, c2, s0, y2); z2 = addScaled(b2, ones, c2, s1, z2); }
    if (K > 3) { const c3 = v128.load32_splat(scale, 12); y3 = addScaled(a3, ones, c3, s0, y3); z3 = addScaled(b3, ones, c3, s1, z3); }
    if (type == Q4_K) {
      const m0 = v128.load(s, 32), m1 = v128.load(s, 48);
      const d0 = v128.load32_splat(sum);
      y0 = madd(d0, m0, y0); z0 = madd(d0, m1, z0);
      if (K > 1) { const d1 = v128.load32_splat(sum, 4); y1 = madd(d1, m0, y1); z1 = madd(d1, m1, z1); }
      if (K > 2) { const d2 = v128.load32_splat(sum, 8); y2 = madd(d2, m0, y2); z2 = madd(d2, m1, z2); }
      if (K > 3) { const d3 = v128.load32_splat(sum, 12); y3 = madd(d3, m0, y3); z3 = madd(d3, m1, z3); }
    }
    if (type == Q4_0) w += 32;
    s += type == Q4_0 ? 288 : 64;
    x += <usize>K * (BLOCK_CODES - 16);
  }
  storeSums(sums, 0, y0, z0);
  if (K > 1) storeSums(sums, 1, y1, z1);
  if (K > 2) storeSums(sums, 2, y2, z2);
  if (K > 3) storeSums(sums, 3, y3, z3);
}

// One function for each type and number of rows; see packed-tile.ts.
function q4_0x2(w: usize, half: usize, x: usize, n: i32, sums: usize): void { product(Q4_0, 2, w, half, x, n, sums, 0); }
function q4_0x3(w: usize, half: usize, x: usize, n: i32, sums: usize): void { product(Q4_0, 3, w, half, x, n, sums, 0); }
function q4_0x4(w: usize, half: usize, x: usize, n: i32, sums: usize): void { product(Q4_0, 4, w, half, x, n, sums, 0); }
function q4_Kx2(w: usize, half: usize, x: usize, n: i32, sums: usize, room: usize): void { product(Q4_K, 2, w, half, x, n, sums, room); }
function q4_Kx3(w: usize, half: usize, x: usize, n: i32, sums: usize, room: usize): void { product(Q4_K, 3, w, half, x, n, sums, room); }
function q4_Kx4(w: usize, half: usize, x: usize, n: i32, sums: usize, room: usize): void { product(Q4_K, 4, w, half, x, n, sums, room); }

/** Rows 8 half…8 half + 7 of the tile at `w` times K = 2…4 rows: sums[k * 8 + row]. */
export function multiplySmall(type: i32, K: i32, w: usize, half: usize, x: usize, blocks: i32, sums: usize, room: usize): void {
  if (type == Q4_0) {
    if (K == 2) q4_0x2(w, half, x, blocks, sums);
    else if (K == 3) q4_0x3(w, half, x, blocks, sums);
    else q4_0x4(w, half, x, blocks, sums);
  } else {
    if (K == 2) q4_Kx2(w, half, x, blocks, sums, room);
    else if (K == 3) q4_Kx3(w, half, x, blocks, sums, room);
    else q4_Kx4(w, half, x, blocks, sums, room);
  }
}
