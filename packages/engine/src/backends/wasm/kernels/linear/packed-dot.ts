// The int8 dot product that all packed kernels share. One "step" is 16 products: four consecutive columns of four rows.
// Lane i of a vector of weights holds row i's four columns as bytes; the activations are the same four columns,
// broadcast. Three ways to add a step to an accumulator, chosen when compiling, all with the same integers:
//
//   quads     i32x4.relaxed_dot_i8x16_i7x16_add_s, 4 x i32. One instruction where the processor has a byte dot product
//             that V8 uses (AVX-VNNI, ARM). Elsewhere V8 spends five on it.
//   pairs     i16x8.relaxed_dot_i8x16_i7x16_s and an i16 add, 8 x i16 (each row has two lanes). Two instructions on
//             any x86; an i16 lane has room for a whole 32-column block, see below. 1.6 x faster than quads there.
//   baseline  the same lanes as pairs, without relaxed SIMD.
//
// Weights are unsigned (0…127: the relaxed dot's second operand), activations signed, -127…127. The offset that
// makes weights unsigned (8, 16, 32) is taken out through the accumulator's start value, -offset * sum(activations).
//
// Why i16 has room: a lane gathers 16 products of a 32-column block. Additions wrap, so only the final sum counts:
// nibbles without offset 16 * 15 * 127 = 30,480; Q5 with its offset 16 * 16 * 127 = 32,512; Q6 in halves of 16
// columns, 8 * 32 * 127 = 32,512; all below 32,768. Q5 without an offset (Q5_K: 16 * 31 * 127 = 62,992) has not: it
// starts from -16 * sum like Q5_0 and its minimum is corrected by 16 scales. A single pair is at most 2 * 63 * 127 =
// 16,002.

/** Adds one step: x signed bytes, w unsigned below 128. */
// @inline
export function dot(sum: v128, x: v128, w: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) {
    if (PAIR_DOT) return i16x8.add(sum, i16x8.relaxed_dot_i8x16_i7x16_s(x, w));
    return i32x4.relaxed_dot_i8x16_i7x16_add_s(x, w, sum);
  }
  const even = i16x8.mul(i16x8.shr_s(i16x8.shl(x, 8), 8), i16x8.shr_u(i16x8.shl(w, 8), 8));
  const odd = i16x8.mul(i16x8.shr_s(x, 8), i16x8.shr_u(w, 8));
  return i16x8.add(sum, i16x8.add(even, odd));
}

/** An accumulator as one i32 per row. `ones` is the vector of that name (unused by quads). */
// @inline
export function total(sum: v128, ones: v128): v128 {
  return PAIR_DOT ? i32x4.dot_i16x8_s(sum, ones) : sum;
}

/** An accumulator times an integer factor per row: `factors` holds each row's twice as i16 (for quads too). */
// @inline
export function scaledTotal(sum: v128, factors: v128): v128 {
  if (PAIR_DOT) return i32x4.dot_i16x8_s(sum, factors);
  return i32x4.mul(sum, i32x4.shr_s(factors, 16));
}

/** 16 times one accumulator plus another, as one i32 per row. */
// @inline
export function nibbleTotal(high: v128, low: v128, ones: v128, sixteens: v128): v128 {
  if (PAIR_DOT) return i32x4.add(i32x4.dot_i16x8_s(high, sixteens), i32x4.dot_i16x8_s(low, ones));
  return i32x4.add(i32x4.shl(high, 4), low);
}

/** Bytes of a table, by nibbles. */
// @inline
export function lookUp(table: v128, nibbles: v128): v128 {
  return ASC_FEATURE_RELAXED_SIMD ? i8x16.relaxed_swizzle(table, nibbles) : i8x16.swizzle(table, nibbles);
}

/**
 * Four powers of two, 2^(e - 128), as f32; zero where they would be subnormal, e below 2. `least` is the vector
 * EXPONENT.
 */
// @inline
export function powersOfTwo(e: v128, least: v128): v128 {
  return i32x4.max_s(i32x4.sub(i32x4.shl(e, 23), least), i32x4.splat(0));
}

/** An accumulator's start value divided by a power of two: that of a smaller offset. Exact for multiples of it. */
// @inline
export function smallerStart(start: v128, shift: i32): v128 {
  return PAIR_DOT ? i16x8.shr_s(start, shift) : i32x4.shr_s(start, shift);
}

/** Of four 6-bit values in three bytes: the one in the top bits, lowest bits first. `top` is TOP_BITS. */
// @inline
export function fourthSix(a: v128, b: v128, c: v128, top: v128): v128 {
  const low = v128.or(i16x8.shr_u(v128.and(a, top), 2), v128.and(b, top));
  return i16x8.shr_u(v128.or(i16x8.shr_u(low, 2), v128.and(c, top)), 2);
}

/**
 * Four f16 (sign-extended) as f32, without ever computing with a subnormal (2.3 x slower decoding where scales are
 * below 2^-14, as those of K-quants often are). With the exponent rebiased, n = 2^-15 (1 + m / 1024) for a subnormal
 * whose value is 2^-14 m / 1024 = 2 n - 2^-14; for all others 2 n - 2^-14 >= n. So the value is the smaller of both,
 * compared as integers since neither is negative. Infinities and NaN come out finite: no weight scale may hold them.
 */
// @inline
function halves(h: v128, sign: v128, bias: v128, limit: v128): v128 {
  const n = i32x4.add(i32x4.shr_u(i32x4.shl(h, 17), 4), bias);
  const m = f32x4.sub(f32x4.add(n, n), limit);
  return v128.or(i32x4.min_s(n, m), v128.and(h, sign));
}

// Two halves of a vector instead of two loads: the 256-bit pass makes one instruction of them.
// @inline
export function lowHalves(h: v128, sign: v128, bias: v128, limit: v128): v128 {
  return halves(i32x4.extend_low_i16x8_s(h), sign, bias, limit);
}
// @inline
export function highHalves(h: v128, sign: v128, bias: v128, limit: v128): v128 {
  return halves(i32x4.extend_high_i16x8_s(h), sign, bias, limit);
}

/** The same for one f16. */
// @inline
export function half(p: usize): f32 {
  return reinterpret<f32>(((<i32>load<i16>(p)) << 13) & 0x8fffffff) * reinterpret<f32>(0x77800000);
}
