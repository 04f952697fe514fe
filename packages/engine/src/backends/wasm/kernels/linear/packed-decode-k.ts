// Decode kernels of the K-quants; see packed-decode.ts.
//
// Q4_K and Q5_K begin a group of 256 columns with 256 bytes of scales. The loop over codes runs over them, too, as if they were a block,
// and its result is thrown away: the processor's prefetchers follow each load instruction, and where another one touches a line of
// the stream, they lose it. Reading the scales first, as one would, halves the speed from memory on a Zen 5 (27 GB/s to 14; in cache
// 39 to 41). The scales become f32 block by block, so that no burst of work holds up the loads behind it.
import { madd } from '../common/common';
import { BLOCK_CODES, CODE_SCALE, CODE_SUM, START_16, START_32 } from './packed-codes';
import {
  BIT_4, constant, dot, fourthSix, HALF_BIAS, HALF_LIMIT, HALF_SIGN, highHalves, lowHalves, NIBBLES, ONES, scaledTotal, SIGN, SIX_BITS, SIXTEEN, TOP_BITS, total,
} from './packed-dot';
import { doubledBytes, spreadHalves, unpackScales } from './packed-scales';

/** The group's d (at out) and -dmin (at out + 64) of 16 rows as f32: 128 bytes. */
// @inline
export function spreadGroup(w: usize, out: usize): void {
  spreadHalves(w, out);
  const sign = constant(SIGN), bias = constant(HALF_BIAS), limit = constant(HALF_LIMIT), flip = constant(HALF_SIGN);
  const k = v128.xor(v128.load(w, 32), flip), l = v128.xor(v128.load(w, 48), flip);
  const m0 = lowHalves(k, sign, bias, limit), m1 = highHalves(k, sign, bias, limit);
  const m2 = lowHalves(l, sign, bias, limit), m3 = highHalves(l, sign, bias, limit);
  v128.store(out, m0, 64);
  v128.store(out, m1, 80);
  v128.store(out, m2, 96);
  v128.store(out, m3, 112);
}

export function decodeQ4_K(w: usize, x: usize, blocks: i32, sums: usize, room: usize): void {
  const nibbles = constant(NIBBLES), ones = constant(ONES);
  let y0 = f32x4.splat(0), y1 = y0, y2 = y0, y3 = y0;
  for (; blocks > 0; blocks -= 8) {
    let s = room + 96;
    for (let block = -1; block < 8; block++) {
      let a0 = i32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
      const stop = w + 256;
      do {
        const w0 = v128.load(w), w1 = v128.load(w, 16), w2 = v128.load(w, 32), w3 = v128.load(w, 48);
        const low = v128.load32_splat(x), high = v128.load32_splat(x, 16);
        a0 = dot(a0, low, v128.and(w0, nibbles));
        a1 = dot(a1, low, v128.and(w1, nibbles));
        a2 = dot(a2, low, v128.and(w2, nibbles));
        a3 = dot(a3, low, v128.and(w3, nibbles));
        a0 = dot(a0, high, v128.and(i16x8.shr_u(w0, 4), nibbles));
        a1 = dot(a1, high, v128.and(i16x8.shr_u(w1, 4), nibbles));
        a2 = dot(a2, high, v128.and(i16x8.shr_u(w2, 4), nibbles));
        a3 = dot(a3, high, v128.and(i16x8.shr_u(w3, 4), nibbles));
        w += 64;
        x += 4;
      } while (w < stop);
      s += 16;
      if (block < 0) {
        spreadGroup(w - 256, room);
        unpackScales(w - 256, room + 128);
        x -= 16;
        continue;
      }
      const scale = v128.load32_splat(x, CODE_SCALE - 16), sum = v128.load32_splat(x, CODE_SUM - 16);
      const v = v128.load(s), v0 = i16x8.extend_low_i8x16_u(v), v1 = i16x8.extend_high_i8x16_u(v);
      const s0 = f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(v0)), v128.load(room));
      const s1 = f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_u(v0)), v128.load(room, 16));
      const s2 = f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(v1)), v128.load(room, 32));
      const s3 = f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_u(v1)), v128.load(room, 48));
      y0 = madd(f32x4.convert_i32x4_s(total(a0, ones)), f32x4.mul(scale, s0), y0);
      y1 = madd(f32x4.convert_i32x4_s(total(a1, ones)), f32x4.mul(scale, s1), y1);
      y2 = madd(f32x4.convert_i32x4_s(total(a2, ones)), f32x4.mul(scale, s2), y2);
      y3 = madd(f32x4.convert_i32x4_s(total(a3, ones)), f32x4.mul(scale, s3), y3);
      const u = v128.load(s, 128), u0 = i16x8.extend_low_i8x16_u(u), u1 = i16x8.extend_high_i8x16_u(u);
      const m0 = f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(u0)), v128.load(room, 64));
      const m1 = f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_u(u0)), v128.load(room, 80));
      const m2 = f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(u1)), v128.load(room, 96));
      const m3 = f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_u(u1)), v128.load(room, 112));
      y0 = madd(sum, m0, y0);
      y1 = madd(sum, m1, y1);
      y2 = madd(sum, m2, y2);
      y3 = madd(sum, m3, y3);
      x += BLOCK_CODES - 16;
    }
  }
  v128.store(sums, y0);
  v128.store(sums, y1, 16);
  v128.store(sums, y2, 32);
  v128.store(sums, y3, 48);
}

export function decodeQ5_K(w: usize, x: usize, blocks: i32, sums: usize, room: usize): void {
  const nibbles = constant(NIBBLES), ones = constant(ONES), bit = constant(BIT_4);
  let y0 = f32x4.splat(0), y1 = y0, y2 = y0, y3 = y0;
  for (; blocks > 0; blocks -= 8) {
    let s = room + 96;
    for (let block = -1; block < 8; block++) {
      let a0 = v128.load32_splat(x, START_16), a1 = a0, a2 = a0, a3 = a0;
      let h0 = v128.load(w, 256), h1 = v128.load(w, 272), h2 = v128.load(w, 288), h3 = v128.load(w, 304);
      const stop = w + 256;
      do {
        const w0 = v128.load(w), w1 = v128.load(w, 16), w2 = v128.load(w, 32), w3 = v128.load(w, 48);
        const low = v128.load32_splat(x), high = v128.load32_splat(x, 16);
        a0 = dot(a0, low, v128.or(v128.and(w0, nibbles), v128.and(i16x8.shl(h0, 4), bit)));
        a1 = dot(a1, low, v128.or(v128.and(w1, nibbles), v128.and(i16x8.shl(h1, 4), bit)));
        a2 = dot(a2, low, v128.or(v128.and(w2, nibbles), v128.and(i16x8.shl(h2, 4), bit)));
        a3 = dot(a3, low, v128.or(v128.and(w3, nibbles), v128.and(i16x8.shl(h3, 4), bit)));
        a0 = dot(a0, high, v128.or(v128.and(i16x8.shr_u(w0, 4), nibbles), v128.and(h0, bit)));
        a1 = dot(a1, high, v128.or(v128.and(i16x8.shr_u(w1, 4), nibbles), v128.and(h1, bit)));
        a2 = dot(a2, high, v128.or(v128.and(i16x8.shr_u(w2, 4), nibbles), v128.and(h2, bit)));
        a3 = dot(a3, high, v128.or(v128.and(i16x8.shr_u(w3, 4), nibbles), v128.and(h3, bit)));
        h0 = i16x8.shr_u(h0, 1);
        h1 = i16x8.shr_u(h1, 1);
        h2 = i16x8.shr_u(h2, 1);
        h3 = i16x8.shr_u(h3, 1);
        w += 64;
        x += 4;
      } while (w < stop);
      s += 16;
      if (block < 0) {
        spreadGroup(w - 256, room);
        unpackScales(w - 256, room + 128);
        x -= 16;
        continue;
      }
      const scale = v128.load32_splat(x, CODE_SCALE - 16), sum = v128.load32_splat(x, CODE_SUM - 16);
      const sixteen = constant(SIXTEEN);
      const v = v128.load(s), v0 = i16x8.extend_low_i8x16_u(v), v1 = i16x8.extend_high_i8x16_u(v);
      const s0 = f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(v0)), v128.load(room));
      const s1 = f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_u(v0)), v128.load(room, 16));
      const s2 = f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(v1)), v128.load(room, 32));
      const s3 = f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_u(v1)), v128.load(room, 48));
      y0 = madd(f32x4.convert_i32x4_s(total(a0, ones)), f32x4.mul(scale, s0), y0);
      y1 = madd(f32x4.convert_i32x4_s(total(a1, ones)), f32x4.mul(scale, s1), y1);
      y2 = madd(f32x4.convert_i32x4_s(total(a2, ones)), f32x4.mul(scale, s2), y2);
      y3 = madd(f32x4.convert_i32x4_s(total(a3, ones)), f32x4.mul(scale, s3), y3);
      const u = v128.load(s, 128), u0 = i16x8.extend_low_i8x16_u(u), u1 = i16x8.extend_high_i8x16_u(u);
      const m0 = f32x4.add(f32x4.mul(s0, sixteen), f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(u0)), v128.load(room, 64)));
      const m1 = f32x4.add(f32x4.mul(s1, sixteen), f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_u(u0)), v128.load(room, 80)));
      const m2 = f32x4.add(f32x4.mul(s2, sixteen), f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(u1)), v128.load(room, 96)));
      const m3 = f32x4.add(f32x4.mul(s3, sixteen), f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_u(u1)), v128.load(room, 112)));
      y0 = madd(sum, m0, y0);
      y1 = madd(sum, m1, y1);
      y2 = madd(sum, m2, y2);
      y3 = madd(sum, m3, y3);
      w += 64;
      x += BLOCK_CODES - 16;
    }
  }
  v128.store(sums, y0);
  v128.store(sums, y1, 16);
  v128.store(sums, y2, 32);
  v128.store(sums, y3, 48);
}

/** The integers of 16 columns of 4 rows, times their factor. */
// @inline
function halfBlock(start: v128, x0: v128, x1: v128, x2: v128, x3: v128, a: v128, b: v128, c: v128, factors: v128): v128 {
  const six = constant(SIX_BITS);
  const sum = dot(dot(dot(start, x0, v128.and(a, six)), x1, v128.and(b, six)), x2, v128.and(c, six));
  return scaledTotal(dot(sum, x3, fourthSix(a, b, c, constant(TOP_BITS))), factors);
}

export function decodeQ6_K(w: usize, x: usize, blocks: i32, sums: usize, room: usize): void {
  const sign = constant(SIGN), bias = constant(HALF_BIAS), limit = constant(HALF_LIMIT);
  let y0 = f32x4.splat(0), y1 = y0, y2 = y0, y3 = y0;
  for (; blocks > 0; blocks -= 8) {
    const h = v128.load(w), g = v128.load(w, 16);
    const d0 = lowHalves(h, sign, bias, limit), d1 = highHalves(h, sign, bias, limit);
    const d2 = lowHalves(g, sign, bias, limit), d3 = highHalves(g, sign, bias, limit);
    v128.store(room, d0);
    v128.store(room, d1, 16);
    v128.store(room, d2, 32);
    v128.store(room, d3, 48);
    let factors = w + 32;
    w += 288;
    const end = w + 3072;
    do {
      let i0 = i32x4.splat(0), i1 = i0, i2 = i0, i3 = i0;
      let start = x + START_32;
      const stop = w + 384;
      do {
        const a = v128.load32_splat(start);
        const x0 = v128.load32_splat(x), x1 = v128.load32_splat(x, 4), x2 = v128.load32_splat(x, 8), x3 = v128.load32_splat(x, 12);
        const e = doubledBytes(factors), f = doubledBytes(factors + 8);
        i0 = i32x4.add(i0, halfBlock(a, x0, x1, x2, x3, v128.load(w), v128.load(w, 64), v128.load(w, 128), i16x8.extend_low_i8x16_s(e)));
        i1 = i32x4.add(i1, halfBlock(a, x0, x1, x2, x3, v128.load(w, 16), v128.load(w, 80), v128.load(w, 144), i16x8.extend_high_i8x16_s(e)));
        i2 = i32x4.add(i2, halfBlock(a, x0, x1, x2, x3, v128.load(w, 32), v128.load(w, 96), v128.load(w, 160), i16x8.extend_low_i8x16_s(f)));
        i3 = i32x4.add(i3, halfBlock(a, x0, x1, x2, x3, v128.load(w, 48), v128.load(w, 112), v128.load(w, 176), i16x8.extend_high_i8x16_s(f)));
        start += 4;
        factors += 16;
        x += 16;
        w += 192;
      } while (w < stop);
      const scale = v128.load32_splat(x, CODE_SCALE - 32);
      y0 = madd(f32x4.convert_i32x4_s(i0), f32x4.mul(scale, v128.load(room)), y0);
      y1 = madd(f32x4.convert_i32x4_s(i1), f32x4.mul(scale, v128.load(room, 16)), y1);
      y2 = madd(f32x4.convert_i32x4_s(i2), f32x4.mul(scale, v128.load(room, 32)), y2);
      y3 = madd(f32x4.convert_i32x4_s(i3), f32x4.mul(scale, v128.load(room, 48)), y3);
      x += BLOCK_CODES - 32;
    } while (w < end);
  }
  v128.store(sums, y0);
  v128.store(sums, y1, 16);
  v128.store(sums, y2, 32);
  v128.store(sums, y3, 48);
}
