// What decoders of raw layouts have in common: 16 codes of a block to f32.
import { halfToFloat } from '../common/math';

// @inline
export function halfSplat(from: usize): v128 {
  return f32x4.splat(halfToFloat(load<u16>(from)));
}

/** Writes 16 signed bytes times `scale`. */
// @inline
export function storeScaled(to: usize, bytes: v128, scale: v128): void {
  const low = i16x8.extend_low_i8x16_s(bytes);
  const high = i16x8.extend_high_i8x16_s(bytes);
  v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(low)), scale));
  v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(low)), scale), 16);
  v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(high)), scale), 32);
  v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(high)), scale), 48);
}

/** Writes 16 bytes times `scale`, rounded, plus `offset`. */
// @inline
export function storeAffine(to: usize, bytes: v128, scale: v128, offset: v128): void {
  const low = i16x8.extend_low_i8x16_u(bytes);
  const high = i16x8.extend_high_i8x16_u(bytes);
  v128.store(to, f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(low)), scale), offset));
  v128.store(to, f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_u(low)), scale), offset), 16);
  v128.store(to, f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(high)), scale), offset), 32);
  v128.store(to, f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_u(high)), scale), offset), 48);
}

// @inline
export function lowNibbles(bytes: v128): v128 {
  return v128.and(bytes, i8x16.splat(15));
}

// @inline
export function highNibbles(bytes: v128): v128 {
  return v128.and(i16x8.shr_u(bytes, 4), i8x16.splat(15));
}

/** 0xff or 0 in byte i for bit i of the 16 low bits of `bits`. */
// @inline
export function spreadBits(bits: u32): v128 {
  const copies = i8x16.shuffle(i32x4.splat(<i32>bits), i32x4.splat(0), 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
  const masks = i8x16(1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128);
  return i8x16.eq(v128.and(copies, masks), masks);
}

/** Writes 16 signed bytes times `scale`, negated where a bit of `signs` is one. */
// @inline
export function storeSigned(to: usize, bytes: v128, signs: u32, scale: v128): void {
  const negative = spreadBits(signs);
  storeScaled(to, i8x16.sub(v128.xor(bytes, negative), negative), scale);
}
