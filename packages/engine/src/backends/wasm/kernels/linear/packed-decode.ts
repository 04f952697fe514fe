// One row of activations times 16 rows of packed weights: what generating one token at a time spends its time in, bound by
// memory. Reads the packed tile as one contiguous stream. See layouts/ for the tiles' picture, and
// packed-tile.ts for why loops are not unrolled and for the order of float sums.
import { madd } from '../common/common';
import { BLOCK_CODES, CODE_SCALE, START_16, START_8 } from './packed-codes';
import { decodeQ4_K, decodeQ5_K, decodeQ6_K } from './packed-decode-k';
import {
  BIT_4, constant, dot, HALF_BIAS, HALF_LIMIT, highHalves, lowHalves, NIBBLES, nibbleTotal, ONES, SIGN, SIXTEENS, total,
} from './packed-dot';
import { Q4_0, Q4_K, Q5_0, Q5_K, Q6_K } from './layouts.gen';

function decodeQ4_0(w: usize, x: usize, blocks: i32, sums: usize): void {
  const nibbles = constant(NIBBLES), ones = constant(ONES), sign = constant(SIGN), bias = constant(HALF_BIAS), limit = constant(HALF_LIMIT);
  let y0 = f32x4.splat(0), y1 = y0, y2 = y0, y3 = y0;
  for (; blocks > 0; blocks--) {
    let a0 = v128.load32_splat(x, START_8), a1 = a0, a2 = a0, a3 = a0;
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
    const scale = v128.load32_splat(x, CODE_SCALE - 16);
    const h = v128.load(w), g = v128.load(w, 16);
    y0 = madd(f32x4.convert_i32x4_s(total(a0, ones)), f32x4.mul(scale, lowHalves(h, sign, bias, limit)), y0);
    y1 = madd(f32x4.convert_i32x4_s(total(a1, ones)), f32x4.mul(scale, highHalves(h, sign, bias, limit)), y1);
    y2 = madd(f32x4.convert_i32x4_s(total(a2, ones)), f32x4.mul(scale, lowHalves(g, sign, bias, limit)), y2);
    y3 = madd(f32x4.convert_i32x4_s(total(a3, ones)), f32x4.mul(scale, highHalves(g, sign, bias, limit)), y3);
    w += 32;
    x += BLOCK_CODES - 16;
  }
  v128.store(sums, y0);
  v128.store(sums, y1, 16);
  v128.store(sums, y2, 32);
  v128.store(sums, y3, 48);
}

function decodeQ5_0(w: usize, x: usize, blocks: i32, sums: usize): void {
  const nibbles = constant(NIBBLES), ones = constant(ONES), bit = constant(BIT_4);
  const sign = constant(SIGN), bias = constant(HALF_BIAS), limit = constant(HALF_LIMIT);
  let y0 = f32x4.splat(0), y1 = y0, y2 = y0, y3 = y0;
  for (; blocks > 0; blocks--) {
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
    const scale = v128.load32_splat(x, CODE_SCALE - 16);
    const h = v128.load(w, 64), g = v128.load(w, 80);
    y0 = madd(f32x4.convert_i32x4_s(total(a0, ones)), f32x4.mul(scale, lowHalves(h, sign, bias, limit)), y0);
    y1 = madd(f32x4.convert_i32x4_s(total(a1, ones)), f32x4.mul(scale, highHalves(h, sign, bias, limit)), y1);
    y2 = madd(f32x4.convert_i32x4_s(total(a2, ones)), f32x4.mul(scale, lowHalves(g, sign, bias, limit)), y2);
    y3 = madd(f32x4.convert_i32x4_s(total(a3, ones)), f32x4.mul(scale, highHalves(g, sign, bias, limit)), y3);
    w += 96;
    x += BLOCK_CODES - 16;
  }
  v128.store(sums, y0);
  v128.store(sums, y1, 16);
  v128.store(sums, y2, 32);
  v128.store(sums, y3, 48);
}

function decodeQ8_0(w: usize, x: usize, blocks: i32, sums: usize): void {
  const nibbles = constant(NIBBLES), ones = constant(ONES), sixteens = constant(SIXTEENS);
  const sign = constant(SIGN), bias = constant(HALF_BIAS), limit = constant(HALF_LIMIT);
  let y0 = f32x4.splat(0), y1 = y0, y2 = y0, y3 = y0;
  for (; blocks > 0; blocks--) {
    let a0 = i32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
    let b0 = v128.load32_splat(x, START_8), b1 = b0, b2 = b0, b3 = b0;
    const stop = w + 512;
    do {
      const w0 = v128.load(w), w1 = v128.load(w, 16), w2 = v128.load(w, 32), w3 = v128.load(w, 48);
      const x0 = v128.load32_splat(x);
      a0 = dot(a0, x0, v128.and(w0, nibbles));
      a1 = dot(a1, x0, v128.and(w1, nibbles));
      a2 = dot(a2, x0, v128.and(w2, nibbles));
      a3 = dot(a3, x0, v128.and(w3, nibbles));
      b0 = dot(b0, x0, v128.and(i16x8.shr_u(w0, 4), nibbles));
      b1 = dot(b1, x0, v128.and(i16x8.shr_u(w1, 4), nibbles));
      b2 = dot(b2, x0, v128.and(i16x8.shr_u(w2, 4), nibbles));
      b3 = dot(b3, x0, v128.and(i16x8.shr_u(w3, 4), nibbles));
      w += 64;
      x += 4;
    } while (w < stop);
    const scale = v128.load32_splat(x, CODE_SCALE - 32);
    const i0 = nibbleTotal(b0, a0, ones, sixteens), i1 = nibbleTotal(b1, a1, ones, sixteens);
    const i2 = nibbleTotal(b2, a2, ones, sixteens), i3 = nibbleTotal(b3, a3, ones, sixteens);
    const h = v128.load(w), g = v128.load(w, 16);
    y0 = madd(f32x4.convert_i32x4_s(i0), f32x4.mul(scale, lowHalves(h, sign, bias, limit)), y0);
    y1 = madd(f32x4.convert_i32x4_s(i1), f32x4.mul(scale, highHalves(h, sign, bias, limit)), y1);
    y2 = madd(f32x4.convert_i32x4_s(i2), f32x4.mul(scale, lowHalves(g, sign, bias, limit)), y2);
    y3 = madd(f32x4.convert_i32x4_s(i3), f32x4.mul(scale, highHalves(g, sign, bias, limit)), y3);
    w += 32;
    x += BLOCK_CODES - 32;
  }
  v128.store(sums, y0);
  v128.store(sums, y1, 16);
  v128.store(sums, y2, 32);
  v128.store(sums, y3, 48);
}

/** 16 rows of weights times one row of activations, into sums[16]. `room` is SCALE_ROOM bytes. */
export function decodeTile(type: i32, w: usize, x: usize, blocks: i32, sums: usize, room: usize): void {
  if (type == Q4_0) decodeQ4_0(w, x, blocks, sums);
  else if (type == Q4_K) decodeQ4_K(w, x, blocks, sums, room);
  else if (type == Q5_0) decodeQ5_0(w, x, blocks, sums);
  else if (type == Q5_K) decodeQ5_K(w, x, blocks, sums, room);
  else if (type == Q6_K) decodeQ6_K(w, x, blocks, sums, room);
  else decodeQ8_0(w, x, blocks, sums);
}
