// Four-lane functions and small vector helpers that the f32 kernels share.
//
// Polynomials are near-minimax fits (weighted least squares on Chebyshev nodes) of the functions named beside
// them. All constants lie in memory: V8 rebuilds a v128 constant in every iteration of a loop, but loads one
// that has an address. Not-a-numbers pass through every function here.
import { madd } from './common';

// Byte offsets of the constants. Polynomials lie with their lowest degree first.
/** 2^f for f in [-0.5, 0.5], without its leading 1 (relative error 2e-9) */
// @inline
const POWER: usize = 0;
/** 1.5 * 2^23: adding it rounds to an integer. */
// @inline
const ROUND: usize = 24;
/** Exponents below this give 0. */
// @inline
const LEAST_POWER: usize = 28;
// @inline
const LOG2E: usize = 32;
/** The bound of expWithin. */
// @inline
const BOUND: usize = 36;
/** 2 atanh(s) / s as a polynomial in s^2, s in [0, 1/3] (4e-9) */
// @inline
const ATANH: usize = 44;
/** exp(z^2) erfc(z) as a polynomial in 1 / (1 + 0.4 z), z in [0, 9.3], without a constant term (4e-7) */
// @inline
const ERFC: usize = 64;
/** 2^112: from the exponent of a half to that of an f32. */
// @inline
const HALF_SCALE: usize = 96;
/** The least argument of expNegative, just above -126 ln 2. */
// @inline
const LEAST: usize = 100;
// @inline
const UNIT: usize = 104;
// @inline
const TWO: usize = 108;
// @inline
const NOTHING: usize = 112;

const CONSTANTS: usize = memory.data<f32>(
  [
    // POWER
    0.6931471824645996, 0.24022647738456726, 0.055503323674201965, 0.00961843691766262, 0.0013398875016719103,
    0.00015353356138803065,
    // ROUND, LEAST_POWER, LOG2E, BOUND, unused
    12582912.0, -127.0, 1.4426950408889634, 87.33, 0.0,
    // ATANH
    2.0, 0.6666631698608398, 0.40024909377098083, 0.27960601449012756, 0.2817833721637726,
    // ERFC
    0.22542662918567657, 0.23015950620174408, 0.1740301102399826, 0.307647705078125, -0.2010650485754013,
    0.5123958587646484, -0.30218708515167236, 0.05359194427728653,
    // HALF_SCALE, LEAST
    5.192296858534828e33, -87.33,
    // UNIT, TWO, NOTHING
    1.0, 2.0, 0.0,
  ],
  16,
);

// For kernels that write an exponential of their own.
export const EXP2_COEFFICIENTS: usize = CONSTANTS + POWER;
export const ROUNDING: usize = CONSTANTS + ROUND;
export const LEAST_EXPONENT: usize = CONSTANTS + LEAST_POWER;
export const LOG2_E: usize = CONSTANTS + LOG2E;
export const ONE: usize = CONSTANTS + UNIT;
/** Eight zeros, to be read where a bias is absent. */
export const ZEROS: usize = memory.data<f32>([0, 0, 0, 0, 0, 0, 0, 0], 16);

// @inline
function constant(offset: usize): v128 {
  return v128.load32_splat(CONSTANTS + offset);
}

/** 2^x for x <= 0; exactly 0 from -127 down. Relative error below 1.2e-7. */
// @inline
export function exp2Negative(x: v128): v128 {
  const rounding = constant(ROUND);
  x = f32x4.pmax(x, constant(LEAST_POWER));
  const shifted = f32x4.add(x, rounding);
  return scaledPower(shifted, f32x4.sub(x, f32x4.sub(shifted, rounding)));
}

/**
 * e^x for |x| <= 87.33. The fraction of x log2(e) comes from a fused product where there is one, so the
 * relative error stays below 1.2e-7 + 2e-8 |x| (1e-7 |x| on the baseline build).
 */
// @inline
function expWithin(x: v128): v128 {
  const rounding = constant(ROUND);
  const log2e = constant(LOG2E);
  const shifted = madd(x, log2e, rounding);
  return scaledPower(shifted, madd(x, log2e, f32x4.sub(rounding, shifted)));
}

/** e^x for x <= 0; 0 below -87.33. */
// @inline
export function expNegative(x: v128): v128 {
  const least = constant(LEAST);
  return v128.andnot(expWithin(f32x4.pmax(x, least)), f32x4.lt(x, least));
}

/** 2^n (1 + p(f)), n in the low bits of `shifted`. */
// @inline
function scaledPower(shifted: v128, f: v128): v128 {
  let p = madd(constant(POWER + 20), f, constant(POWER + 16));
  p = madd(p, f, constant(POWER + 12));
  p = madd(p, f, constant(POWER + 8));
  p = madd(p, f, constant(POWER + 4));
  p = madd(p, f, constant(POWER));
  p = madd(p, f, constant(UNIT));
  return i32x4.add(p, i32x4.shl(shifted, 23));
}

/** 1 / (1 + e^-x); beyond 87.33 as there, which differs from 0 and 1 by 1e-38. */
// @inline
export function sigmoid(x: v128): v128 {
  const one = constant(UNIT);
  const e = expWithin(f32x4.pmin(f32x4.pmax(f32x4.neg(x), constant(LEAST)), constant(BOUND)));
  return f32x4.div(one, f32x4.add(one, e));
}

// @inline
export function silu(x: v128): v128 {
  return f32x4.mul(x, sigmoid(x));
}

/**
 * log(1 + e^x), relative error below 1e-6: max(x, 0) + 2 atanh(e / (2 + e)) with e = exp(-|x|), at least
 * 1e-38.
 */
// @inline
export function softplus(x: v128): v128 {
  const e = expWithin(f32x4.pmax(f32x4.neg(f32x4.abs(x)), constant(LEAST)));
  const s = f32x4.div(e, f32x4.add(e, constant(TWO)));
  const w = f32x4.mul(s, s);
  let p = madd(constant(ATANH + 16), w, constant(ATANH + 12));
  p = madd(p, w, constant(ATANH + 8));
  p = madd(p, w, constant(ATANH + 4));
  p = madd(p, w, constant(ATANH));
  return madd(p, s, f32x4.pmax(x, constant(NOTHING)));
}

/** x * 0.5 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), as x times a sigmoid. */
// @inline
export function geluTanh(x: v128): v128 {
  const cubic = madd(f32x4.mul(f32x4.mul(x, x), x), f32x4.splat(0.044715), x);
  return f32x4.mul(x, sigmoid(f32x4.mul(cubic, f32x4.splat(1.5957691216057308))));
}

/** x * 0.5 (1 + erf(x / sqrt 2)); the lower tail comes from erfc, so it keeps its relative precision. */
// @inline
export function geluErf(x: v128): v128 {
  const one = constant(UNIT);
  const z = f32x4.mul(f32x4.abs(x), f32x4.splat(0.7071067811865476));
  const t = f32x4.div(one, madd(z, f32x4.splat(0.4), one));
  let p = madd(constant(ERFC + 28), t, constant(ERFC + 24));
  p = madd(p, t, constant(ERFC + 20));
  p = madd(p, t, constant(ERFC + 16));
  p = madd(p, t, constant(ERFC + 12));
  p = madd(p, t, constant(ERFC + 8));
  p = madd(p, t, constant(ERFC + 4));
  p = madd(p, t, constant(ERFC));
  const tail = f32x4.mul(f32x4.mul(f32x4.mul(p, t), f32x4.splat(0.5)), expNegative(f32x4.neg(f32x4.mul(z, z))));
  return f32x4.mul(x, v128.bitselect(tail, f32x4.sub(one, tail), i32x4.shr_s(x, 31)));
}

/** Four halves in the low 16 bits of each i32 lane to f32, exactly: subnormals, infinities and NaNs too. */
// @inline
export function halvesToFloats(bits: v128): v128 {
  const exponent = i32x4.splat(0x7c00);
  const magnitude = i32x4.shl(v128.and(bits, i32x4.splat(0x7fff)), 13);
  const special = v128.and(i32x4.eq(v128.and(bits, exponent), exponent), i32x4.splat(0x7f800000));
  const sign = i32x4.shl(v128.and(bits, i32x4.splat(0x8000)), 16);
  return v128.or(f32x4.mul(v128.or(magnitude, special), constant(HALF_SCALE)), sign);
}

/**
 * Nearest halves, ties to even, too large to infinity, NaN to a quiet NaN: in the low 16 bits of each i32
 * lane.
 */
// @inline
export function floatsToHalves(x: v128): v128 {
  const sign = v128.and(i32x4.shr_u(x, 16), i32x4.splat(0x8000));
  const magnitude = v128.and(x, i32x4.splat(0x7fffffff));
  // Normal halves: rebias the exponent, then round away the 13 low bits.
  const odd = v128.and(i32x4.shr_u(magnitude, 13), i32x4.splat(1));
  const normal = i32x4.shr_u(i32x4.add(magnitude, i32x4.add(odd, i32x4.splat(<i32>0xc8000fff))), 13);
  // Subnormal halves count units of 2^-24: adding 0.5 leaves them, rounded, in the low bits of the sum.
  const half = f32x4.splat(0.5);
  const subnormal = i32x4.sub(f32x4.add(magnitude, half), half);
  let bits = v128.bitselect(subnormal, normal, i32x4.lt_s(magnitude, i32x4.splat(0x38800000)));
  bits = v128.bitselect(i32x4.splat(0x7c00), bits, i32x4.ge_s(magnitude, i32x4.splat(0x477ff000)));
  bits = v128.bitselect(i32x4.splat(0x7e00), bits, i32x4.gt_s(magnitude, i32x4.splat(0x7f800000)));
  return v128.or(bits, sign);
}

// @inline
export function halfToFloat(bits: u32): f32 {
  return f32x4.extract_lane(halvesToFloats(i32x4.splat(<i32>bits)), 0);
}

// @inline
export function horizontalSum(v: v128): f32 {
  const pairs = f32x4.add(v, v128.shuffle<i32>(v, v, 2, 3, 0, 1));
  return f32x4.extract_lane(pairs, 0) + f32x4.extract_lane(pairs, 1);
}

// @inline
export function horizontalMax(v: v128): f32 {
  const pairs = f32x4.pmax(v, v128.shuffle<i32>(v, v, 2, 3, 0, 1));
  return max(f32x4.extract_lane(pairs, 0), f32x4.extract_lane(pairs, 1));
}

/** The sums of a, b, c and d in lanes 0…3. */
// @inline
export function horizontalSums(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(v128.shuffle<i32>(a, b, 0, 4, 1, 5), v128.shuffle<i32>(a, b, 2, 6, 3, 7));
  const cd = f32x4.add(v128.shuffle<i32>(c, d, 0, 4, 1, 5), v128.shuffle<i32>(c, d, 2, 6, 3, 7));
  return f32x4.add(v128.shuffle<i32>(ab, cd, 0, 1, 4, 5), v128.shuffle<i32>(ab, cd, 2, 3, 6, 7));
}

/** The first `count` (1…4) floats at `from`; other lanes are 0. Reads nothing behind them. */
// @inline
export function loadFloats(from: usize, count: i32): v128 {
  if (count >= 4) return v128.load(from);
  if (count == 1) return v128.load32_zero(from);
  const low = v128.load64_zero(from);
  return count == 2 ? low : v128.load32_lane(from, low, 2, 8);
}

/** Stores the first `count` (1…4) lanes and nothing behind them. */
// @inline
export function storeFloats(to: usize, value: v128, count: i32): void {
  if (count >= 4) v128.store(to, value);
  else {
    f32.store(to, f32x4.extract_lane(value, 0));
    if (count > 1) f32.store(to, f32x4.extract_lane(value, 1), 4);
    if (count > 2) f32.store(to, f32x4.extract_lane(value, 2), 8);
  }
}
