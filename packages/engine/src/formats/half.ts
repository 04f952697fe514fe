// Converts between numbers and 16-bit floats as bits in an integer: IEEE 754 binary16 (F16) and bfloat16
// (BF16).

const f32 = new Float32Array(1);
const u32 = new Uint32Array(f32.buffer);

/** For sign and exponent (the top six bits): the value of one unit of the mantissa. */
const unit = new Float64Array(64);
/** And the mantissa's implicit leading one: 1024, or 0 for subnormals. */
const leading = new Int32Array(64);
for (let top = 0; top < 64; top++) {
  const exponent = top & 31;
  unit[top] = (top < 32 ? 1 : -1) * 2 ** (Math.max(exponent, 1) - 25);
  leading[top] = exponent === 0 ? 0 : 1024;
}

/** Exact. */
export function f16ToF32(bits: number): number {
  const mantissa = bits & 1023;
  if ((bits & 0x7c00) === 0x7c00) return mantissa ? Number.NaN : bits & 0x8000 ? -Infinity : Infinity;
  const top = bits >> 10;
  return (mantissa + leading[top]!) * unit[top]!;
}

/**
 * Rounds a float32 value to the nearest half, ties to even; too large becomes infinity. NaN stays NaN
 * (quiet).
 */
export function f32ToF16(value: number): number {
  f32[0] = value;
  const bits = u32[0]!;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude >= 0x7f800000) return sign | (magnitude > 0x7f800000 ? 0x7e00 : 0x7c00);
  // At and above 65520, halfway from the largest half to the next step, the nearest is infinity.
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude < 0x38800000) return sign | subnormalMantissa(value);
  // Rebias the exponent (127 → 15), then round the 13 bits that go: a carry into the exponent is right as it
  // is.
  const rebased = magnitude - 0x38000000;
  return sign | ((rebased + 0xfff + ((rebased >> 13) & 1)) >> 13);
}

/** Below 2^-14 a half counts units of 2^-24. Rounding up to 1024 gives the smallest normal number's bits. */
function subnormalMantissa(value: number): number {
  const units = Math.abs(value) * 2 ** 24;
  const floor = Math.floor(units);
  const rest = units - floor;
  return rest > 0.5 || (rest === 0.5 && (floor & 1) === 1) ? floor + 1 : floor;
}

/** Exact: bfloat16 is the upper half of a float32. */
export function bf16ToF32(bits: number): number {
  u32[0] = bits << 16;
  return f32[0]!;
}

/** Rounds a float32 value to the nearest bfloat16, ties to even. NaN stays NaN (quiet). */
export function f32ToBf16(value: number): number {
  f32[0] = value;
  const bits = u32[0]!;
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** A little-endian half at a byte offset, which need not be even. */
export function readF16(bytes: Uint8Array, at: number): number {
  return f16ToF32(bytes[at]! | (bytes[at + 1]! << 8));
}

export function writeF16(bytes: Uint8Array, at: number, value: number): void {
  const bits = f32ToF16(value);
  bytes[at] = bits & 255;
  bytes[at + 1] = bits >> 8;
}
