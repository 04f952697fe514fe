// The scales inside a group of 256 columns of K-quants, spread out to one f32 or i16 pair per row.
import {
  constant,
  fourthSix,
  HALF_BIAS,
  HALF_LIMIT,
  HALF_SIGN,
  highHalves,
  lowHalves,
  SIGN,
  SIX_BITS,
  TOP_BITS,
} from './packed-dot';

/** Bytes that `spreadMinimumScales` fills: 8 blocks x (16 scales, 16 minima) f32. */
export const SCALE_ROOM: usize = 1024;

/** 16 unsigned bytes, a row each, times four vectors of factors, as f32 at `out`. */
// @inline
function scaleBytes(v: v128, d0: v128, d1: v128, d2: v128, d3: v128, out: usize): void {
  const low = i16x8.extend_low_i8x16_u(v),
    high = i16x8.extend_high_i8x16_u(v);
  const y0 = f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(low)), d0);
  const y1 = f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_u(low)), d1);
  const y2 = f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(high)), d2);
  const y3 = f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_u(high)), d3);
  v128.store(out, y0);
  v128.store(out, y1, 16);
  v128.store(out, y2, 32);
  v128.store(out, y3, 48);
}

/**
 * Four 6-bit values of 16 rows (48 B at `set`) times d, 128 bytes apart at `out`. A loop: with out + 128 and so on as
 * constants, neighbouring stores have different bases, and the 256-bit pass leaves them apart.
 */
// @inline
function scaleSet(set: usize, d0: v128, d1: v128, d2: v128, d3: v128, out: usize): void {
  const six = constant(SIX_BITS);
  let p = set;
  const end = set + 48;
  do {
    scaleBytes(v128.and(v128.load(p), six), d0, d1, d2, d3, out);
    p += 16;
    out += 128;
  } while (p < end);
  const fourth = fourthSix(v128.load(set), v128.load(set, 16), v128.load(set, 32), constant(TOP_BITS));
  scaleBytes(fourth, d0, d1, d2, d3, out);
}

/**
 * Q4_K and Q5_K: the group at `w` (f16 d, f16 dmin, 6-bit values) to out[block][0…16) = d * scale, out[block][16…32) =
 * -dmin * minimum. With `offset` 16, for codes whose products start at -16 * sum, 16 scales are added to the latter.
 */
// @inline
export function spreadMinimumScales(w: usize, out: usize, offset: i32): void {
  const sign = constant(SIGN),
    bias = constant(HALF_BIAS),
    limit = constant(HALF_LIMIT);
  const h = v128.load(w),
    g = v128.load(w, 16);
  const d0 = lowHalves(h, sign, bias, limit),
    d1 = highHalves(h, sign, bias, limit);
  const d2 = lowHalves(g, sign, bias, limit),
    d3 = highHalves(g, sign, bias, limit);
  scaleSet(w + 64, d0, d1, d2, d3, out);
  scaleSet(w + 112, d0, d1, d2, d3, out + 512);
  // Minus dmin: the sign flipped while it is still an f16.
  const flip = constant(HALF_SIGN);
  const k = v128.xor(v128.load(w, 32), flip),
    l = v128.xor(v128.load(w, 48), flip);
  const m0 = lowHalves(k, sign, bias, limit),
    m1 = highHalves(k, sign, bias, limit);
  const m2 = lowHalves(l, sign, bias, limit),
    m3 = highHalves(l, sign, bias, limit);
  scaleSet(w + 160, m0, m1, m2, m3, out + 64);
  scaleSet(w + 208, m0, m1, m2, m3, out + 576);
  if (offset == 0) return;
  const sixteen = f32x4.splat(16);
  for (let end = out + SCALE_ROOM; out < end; out += 128) {
    const y0 = f32x4.add(f32x4.mul(v128.load(out), sixteen), v128.load(out, 64));
    const y1 = f32x4.add(f32x4.mul(v128.load(out, 16), sixteen), v128.load(out, 80));
    const y2 = f32x4.add(f32x4.mul(v128.load(out, 32), sixteen), v128.load(out, 96));
    const y3 = f32x4.add(f32x4.mul(v128.load(out, 48), sixteen), v128.load(out, 112));
    v128.store(out, y0, 64);
    v128.store(out, y1, 80);
    v128.store(out, y2, 96);
    v128.store(out, y3, 112);
  }
}

/** 8 unsigned bytes, a row each, times two vectors of factors. */
// @inline
function halfScaleBytes(v: v128, d0: v128, d1: v128, out: usize): void {
  const low = i16x8.extend_low_i8x16_u(v);
  const y0 = f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(low)), d0);
  const y1 = f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_u(low)), d1);
  v128.store(out, y0);
  v128.store(out, y1, 16);
}

/** Four 6-bit values of 8 rows, 64 bytes apart. */
// @inline
function halfScaleSet(set: usize, d0: v128, d1: v128, out: usize): void {
  const six = constant(SIX_BITS);
  let p = set;
  const end = set + 48;
  do {
    halfScaleBytes(v128.and(v128.load64_zero(p), six), d0, d1, out);
    p += 16;
    out += 64;
  } while (p < end);
  const v0 = v128.load64_zero(set),
    v1 = v128.load64_zero(set, 16),
    v2 = v128.load64_zero(set, 32);
  halfScaleBytes(fourthSix(v0, v1, v2, constant(TOP_BITS)), d0, d1, out);
}

/** spreadMinimumScales for 8 of the 16 rows: out[block][0…8) scales, out[block][8…16) minima. */
// @inline
export function spreadHalfScales(w: usize, half: usize, out: usize, offset: i32): void {
  const sign = constant(SIGN),
    bias = constant(HALF_BIAS),
    limit = constant(HALF_LIMIT);
  const d = w + half * 16,
    m = w + 32 + half * 16,
    set = w + 64 + half * 8;
  const h = v128.load(d),
    k = v128.xor(v128.load(m), constant(HALF_SIGN));
  const d0 = lowHalves(h, sign, bias, limit),
    d1 = highHalves(h, sign, bias, limit);
  halfScaleSet(set, d0, d1, out);
  halfScaleSet(set + 48, d0, d1, out + 256);
  const m0 = lowHalves(k, sign, bias, limit),
    m1 = highHalves(k, sign, bias, limit);
  halfScaleSet(set + 96, m0, m1, out + 32);
  halfScaleSet(set + 144, m0, m1, out + 288);
  if (offset == 0) return;
  const sixteen = f32x4.splat(16);
  for (let end = out + SCALE_ROOM / 2; out < end; out += 64) {
    const y0 = f32x4.add(f32x4.mul(v128.load(out), sixteen), v128.load(out, 32));
    const y1 = f32x4.add(f32x4.mul(v128.load(out, 16), sixteen), v128.load(out, 48));
    v128.store(out, y0, 32);
    v128.store(out, y1, 48);
  }
}

/** 16 f16 as f32. */
// @inline
export function spreadHalves(w: usize, out: usize): void {
  const sign = constant(SIGN),
    bias = constant(HALF_BIAS),
    limit = constant(HALF_LIMIT);
  const h = v128.load(w),
    g = v128.load(w, 16);
  const d0 = lowHalves(h, sign, bias, limit),
    d1 = highHalves(h, sign, bias, limit);
  const d2 = lowHalves(g, sign, bias, limit),
    d3 = highHalves(g, sign, bias, limit);
  v128.store(out, d0);
  v128.store(out, d1, 16);
  v128.store(out, d2, 32);
  v128.store(out, d3, 48);
}

/** Q6_K: 8 rows' int8 factors, each twice as i16. */
// @inline
export function doubledBytes(p: usize): v128 {
  const v = v128.load64_zero(p);
  return i8x16.shuffle(v, v, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
}

/** The factors of 16 columns, 8 rows at `from`: f32, or i16 pairs for accumulators of i16. */
// @inline
export function spreadFactors(from: usize, to: usize): void {
  if (!PAIR_DOT) {
    const h = v128.load_ext<i8>(from);
    v128.store(to, f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(h)));
    v128.store(to, f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(h)), 16);
    return;
  }
  const v = doubledBytes(from);
  v128.store(to, i16x8.extend_low_i8x16_s(v));
  v128.store(to, i16x8.extend_high_i8x16_s(v), 16);
}

/** Four 6-bit values of 16 rows (48 B at `set`) as bytes, 16 bytes apart. */
// @inline
function unpackSet(set: usize, out: usize): void {
  const six = constant(SIX_BITS);
  const a = v128.load(set),
    b = v128.load(set, 16),
    c = v128.load(set, 32);
  v128.store(out, v128.and(a, six));
  v128.store(out, v128.and(b, six), 16);
  v128.store(out, v128.and(c, six), 32);
  v128.store(out, fourthSix(a, b, c, constant(TOP_BITS)), 48);
}

/** Q4_K and Q5_K: a group's 6-bit values as bytes: out[block][0…16) scales, out[8 + block][0…16) minima. */
// @inline
export function unpackScales(w: usize, out: usize): void {
  unpackSet(w + 64, out);
  unpackSet(w + 112, out + 64);
  unpackSet(w + 160, out + 128);
  unpackSet(w + 208, out + 192);
}
