// Weights of raw layouts (plan/layouts.ts: a file format's own rows) to f32, with the same roundings as
// formats/dequantize.ts. Block pictures stand beside each decoder there (formats/quants/*.ts, after ggml-common.h);
// here the common formats are decoded in vectors, rare ones (dequantize-rare.ts) one value at a time.

import { halfToFloat } from '../common/math';
import {
  dequantizeIQ1M,
  dequantizeIQ1S,
  dequantizeIQ2S,
  dequantizeIQ2XS,
  dequantizeIQ2XXS,
  dequantizeIQ3S,
  dequantizeIQ3XXS,
} from './dequantize-codebook';
import {
  dequantizeIQ4NL,
  dequantizeIQ4XS,
  dequantizeMXFP4,
  dequantizeNVFP4,
  dequantizeQ1,
  dequantizeQ2,
  dequantizeQ2K,
  dequantizeQ3K,
  dequantizeTQ1,
  dequantizeTQ2,
} from './dequantize-rare';
import { halfSplat, highNibbles, lowNibbles, spreadBits, storeAffine, storeScaled } from './dequantize-vectors';

/** By layout id: elements per block as a power of two, and bytes per block. */
const BLOCK_SHIFTS: usize = memory.data<u8>([
  0, 0, 0, 5, 5, 5, 5, 5, 8, 8, 8, 8, 8, 5, 8, 8, 8, 5, 8, 8, 8, 8, 8, 8, 8, 6, 7, 6,
]);
const BLOCK_BYTES: usize = memory.data<u8>([
  4, 2, 2, 18, 20, 22, 24, 34, 84, 110, 144, 176, 210, 18, 136, 54, 66, 17, 66, 74, 82, 98, 110, 50, 56, 36, 18, 18,
]);

// @inline
export const LAYOUT_F32: i32 = 0;
// @inline
export const LAYOUT_F16: i32 = 1;
// @inline
export const LAYOUT_BF16: i32 = 2;

/** Bytes of `columns` elements, a whole number of blocks. */
export function layoutBytes(layout: i32, columns: i32): usize {
  return <usize>(columns >> <i32>load<u8>(BLOCK_SHIFTS + <usize>layout)) * <usize>load<u8>(BLOCK_BYTES + <usize>layout);
}

/** Decodes `count` elements, a whole number of blocks. */
export function dequantizeRow(layout: i32, from: usize, to: usize, count: i32): void {
  const end = to + ((<usize>count) << 2);
  switch (layout) {
    case 0:
      memory.copy(to, from, (<usize>count) << 2);
      return;
    case 1:
      dequantizeF16(from, to, count);
      return;
    case 2:
      dequantizeBF16(from, to, count);
      return;
    case 3:
      dequantizeQ4(from, to, end);
      return;
    case 4:
      dequantizeQ41(from, to, end);
      return;
    case 5:
      dequantizeQ5(from, to, end);
      return;
    case 6:
      dequantizeQ51(from, to, end);
      return;
    case 7:
      dequantizeQ8(from, to, end);
      return;
    case 8:
      dequantizeQ2K(from, to, end);
      return;
    case 9:
      dequantizeQ3K(from, to, end);
      return;
    case 10:
      dequantizeQ4K(from, to, end);
      return;
    case 11:
      dequantizeQ5K(from, to, end);
      return;
    case 12:
      dequantizeQ6K(from, to, end);
      return;
    case 13:
      dequantizeIQ4NL(from, to, end);
      return;
    case 14:
      dequantizeIQ4XS(from, to, end);
      return;
    case 15:
      dequantizeTQ1(from, to, end);
      return;
    case 16:
      dequantizeTQ2(from, to, end);
      return;
    case 17:
      dequantizeMXFP4(from, to, end);
      return;
    case 18:
      dequantizeIQ2XXS(from, to, end);
      return;
    case 19:
      dequantizeIQ2XS(from, to, end);
      return;
    case 20:
      dequantizeIQ2S(from, to, end);
      return;
    case 21:
      dequantizeIQ3XXS(from, to, end);
      return;
    case 22:
      dequantizeIQ3S(from, to, end);
      return;
    case 23:
      dequantizeIQ1S(from, to, end);
      return;
    case 24:
      dequantizeIQ1M(from, to, end);
      return;
    case 25:
      dequantizeNVFP4(from, to, end);
      return;
    case 26:
      dequantizeQ1(from, to, end);
      return;
    case 27:
      dequantizeQ2(from, to, end);
      return;
    default:
      unreachable();
  }
}

const F16_CONSTANTS: usize = memory.data<u32>([0x8fffffff, 0x7fff7fff, 0x77800000], 16);

/**
 * Eight at a time: a half's bits, widened with their sign and shifted left by 13, are an f32 whose exponent is 112 too
 * small. That is exact but for infinities and NaNs (halves from 0x7c00 up); rows that hold one are redone.
 */
export function dequantizeF16(from: usize, to: usize, count: i32): void {
  const keep = v128.load32_splat(F16_CONSTANTS);
  const magnitude = v128.load32_splat(F16_CONSTANTS + 4);
  const rebias = v128.load32_splat(F16_CONSTANTS + 8);
  let greatest = i32x4.splat(0);
  let left = count;
  for (; left >= 8; left -= 8) {
    const halves = v128.load(from);
    greatest = i16x8.max_s(greatest, v128.and(halves, magnitude));
    const low = f32x4.mul(v128.and(i32x4.shl(i32x4.extend_low_i16x8_s(halves), 13), keep), rebias);
    const high = f32x4.mul(v128.and(i32x4.shl(i32x4.extend_high_i16x8_s(halves), 13), keep), rebias);
    v128.store(to, low);
    v128.store(to, high, 16);
    from += 16;
    to += 32;
  }
  if (v128.any_true(i16x8.ge_s(greatest, i16x8.splat(0x7c00)))) {
    from -= (<usize>(count - left)) << 1;
    to -= (<usize>(count - left)) << 2;
    left = count;
  }
  for (; left > 0; left--) {
    store<f32>(to, halfToFloat(load<u16>(from)));
    from += 2;
    to += 4;
  }
}

/** `count` groups of 16 halves, `stride` bytes apart and none of them infinite or NaN, become f32 side by side. */
export function widenHalves(from: usize, stride: usize, count: i32, to: usize): void {
  const keep = v128.load32_splat(F16_CONSTANTS);
  const rebias = v128.load32_splat(F16_CONSTANTS + 8);
  for (const end = to + ((<usize>count) << 6); to < end; to += 64, from += stride) {
    const a = v128.load(from),
      b = v128.load(from, 16);
    const a0 = f32x4.mul(v128.and(i32x4.shl(i32x4.extend_low_i16x8_s(a), 13), keep), rebias);
    const a1 = f32x4.mul(v128.and(i32x4.shl(i32x4.extend_high_i16x8_s(a), 13), keep), rebias);
    const b0 = f32x4.mul(v128.and(i32x4.shl(i32x4.extend_low_i16x8_s(b), 13), keep), rebias);
    const b1 = f32x4.mul(v128.and(i32x4.shl(i32x4.extend_high_i16x8_s(b), 13), keep), rebias);
    v128.store(to, a0);
    v128.store(to, a1, 16);
    v128.store(to, b0, 32);
    v128.store(to, b1, 48);
  }
}

function dequantizeBF16(from: usize, to: usize, count: i32): void {
  for (; count >= 4; count -= 4) {
    v128.store(to, i32x4.shl(v128.load16x4_u(from), 16));
    from += 8;
    to += 16;
  }
  for (; count > 0; count--) {
    store<u32>(to, (<u32>load<u16>(from)) << 16);
    from += 2;
    to += 4;
  }
}

function dequantizeQ4(from: usize, to: usize, end: usize): void {
  for (; to < end; to += 128, from += 18) {
    const d = halfSplat(from);
    const pairs = v128.load(from, 2);
    storeScaled(to, i8x16.sub(lowNibbles(pairs), i8x16.splat(8)), d);
    storeScaled(to + 64, i8x16.sub(highNibbles(pairs), i8x16.splat(8)), d);
  }
}

function dequantizeQ41(from: usize, to: usize, end: usize): void {
  for (; to < end; to += 128, from += 20) {
    const d = halfSplat(from);
    const m = halfSplat(from + 2);
    const pairs = v128.load(from, 4);
    storeAffine(to, lowNibbles(pairs), d, m);
    storeAffine(to + 64, highNibbles(pairs), d, m);
  }
}

function dequantizeQ5(from: usize, to: usize, end: usize): void {
  for (; to < end; to += 128, from += 22) {
    const d = halfSplat(from);
    const high = load<u32>(from, 2);
    const pairs = v128.load(from, 6);
    // Without its fifth bit a value is 16 too small after the offset of -16: subtract 16 where the bit is clear.
    const sixteen = i8x16.splat(16);
    storeScaled(to, i8x16.sub(lowNibbles(pairs), v128.andnot(sixteen, spreadBits(high & 0xffff))), d);
    storeScaled(to + 64, i8x16.sub(highNibbles(pairs), v128.andnot(sixteen, spreadBits(high >> 16))), d);
  }
}

function dequantizeQ51(from: usize, to: usize, end: usize): void {
  for (; to < end; to += 128, from += 24) {
    const d = halfSplat(from);
    const m = halfSplat(from + 2);
    const high = load<u32>(from, 4);
    const pairs = v128.load(from, 8);
    const sixteen = i8x16.splat(16);
    storeAffine(to, v128.or(lowNibbles(pairs), v128.and(sixteen, spreadBits(high & 0xffff))), d, m);
    storeAffine(to + 64, v128.or(highNibbles(pairs), v128.and(sixteen, spreadBits(high >> 16))), d, m);
  }
}

function dequantizeQ8(from: usize, to: usize, end: usize): void {
  for (; to < end; to += 128, from += 34) {
    const d = halfSplat(from);
    storeScaled(to, v128.load(from, 2), d);
    storeScaled(to + 64, v128.load(from, 18), d);
  }
}

/**
 * Scale (low byte) and min (high byte) of group `group` of Q4_K and Q5_K, six bits each, from the 12 bytes at `from`.
 */
// @inline
function scaleAndMin(from: usize, group: i32): i32 {
  const at = from + <usize>(group & 3);
  const low = <i32>load<u8>(at);
  const middle = <i32>load<u8>(at, 4);
  if (group < 4) return (low & 63) | ((middle & 63) << 8);
  const high = <i32>load<u8>(at, 8);
  return (high & 15) | ((low >> 6) << 4) | (((high >> 4) | ((middle >> 6) << 4)) << 8);
}

function dequantizeQ4K(from: usize, to: usize, end: usize): void {
  for (; to < end; from += 144) {
    const d = halfToFloat(load<u16>(from));
    const dmin = halfToFloat(load<u16>(from, 2));
    for (let pair = 0; pair < 4; pair++, to += 256) {
      const even = scaleAndMin(from + 4, pair * 2);
      const odd = scaleAndMin(from + 4, pair * 2 + 1);
      const evenScale = f32x4.splat(d * <f32>(even & 255));
      const oddScale = f32x4.splat(d * <f32>(odd & 255));
      const evenMin = f32x4.splat(-(dmin * <f32>(even >> 8)));
      const oddMin = f32x4.splat(-(dmin * <f32>(odd >> 8)));
      const first = v128.load(from + <usize>(pair << 5), 16);
      const second = v128.load(from + <usize>(pair << 5), 32);
      storeAffine(to, lowNibbles(first), evenScale, evenMin);
      storeAffine(to + 64, lowNibbles(second), evenScale, evenMin);
      storeAffine(to + 128, highNibbles(first), oddScale, oddMin);
      storeAffine(to + 192, highNibbles(second), oddScale, oddMin);
    }
  }
}

function dequantizeQ5K(from: usize, to: usize, end: usize): void {
  for (; to < end; from += 176) {
    const d = halfToFloat(load<u16>(from));
    const dmin = halfToFloat(load<u16>(from, 2));
    for (let group = 0; group < 8; group++, to += 128) {
      const packed = scaleAndMin(from + 4, group);
      const scale = f32x4.splat(d * <f32>(packed & 255));
      const min = f32x4.splat(-(dmin * <f32>(packed >> 8)));
      const codes = from + <usize>((group >> 1) << 5);
      for (let half: usize = 0; half < 32; half += 16) {
        const pairs = v128.load(codes + half, 48);
        const nibbles = group & 1 ? highNibbles(pairs) : lowNibbles(pairs);
        const bit = i8x16.splat((<i8>1) << (<i8>group));
        const high = v128.and(i8x16.eq(v128.and(v128.load(from + half, 16), bit), bit), i8x16.splat(16));
        storeAffine(to + (half << 2), v128.or(nibbles, high), scale, min);
      }
    }
  }
}

/** Six-bit values of Q6_K: four low bits in `low` (a nibble each), two high bits at 2 * quarter of `high`. */
function dequantizeQ6K(from: usize, to: usize, end: usize): void {
  for (; to < end; from += 210) {
    const d = halfToFloat(load<u16>(from, 208));
    for (let group = 0; group < 16; group++, to += 64) {
      const half = <usize>(group >> 3);
      const quarter = (group >> 1) & 3;
      const within = <usize>((group & 1) << 4);
      const low = v128.load(from + half * 64 + <usize>((quarter & 1) << 5) + within);
      const high = v128.load(from + half * 32 + within, 128);
      const nibbles = quarter & 2 ? highNibbles(low) : lowNibbles(low);
      const upper = v128.and(i16x8.shr_u(high, quarter * 2), i8x16.splat(3));
      const codes = v128.or(nibbles, i16x8.shl(upper, 4));
      const scale = f32x4.splat(d * <f32>(<i32>load<i8>(from + <usize>group, 192)));
      storeScaled(to, i8x16.sub(codes, i8x16.splat(32)), scale);
    }
  }
}
