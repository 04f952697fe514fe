import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from './half.ts';

/** From the definition (IEEE 754-2019, 3.4): sign, biased exponent, fraction. */
function halfByDefinition(bits: number): number {
  const sign = bits >> 15 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = (bits & 1023) / 1024;
  if (exponent === 31) return fraction ? Number.NaN : sign * Infinity;
  return exponent ? sign * 2 ** (exponent - 15) * (1 + fraction) : sign * 2 ** -14 * fraction;
}

test('all 65,536 halves: value by definition, and back to the same bits', () => {
  for (let bits = 0; bits < 65536; bits++) {
    const value = f16ToF32(bits);
    assert(Object.is(value, halfByDefinition(bits)), `bits ${bits}`);
    assert.equal(f32ToF16(value), Number.isNaN(value) ? 0x7e00 : bits);
  }
});

test('rounds to the nearest half, ties to even, on both sides of every midpoint', () => {
  for (let bits = 0; bits < 0x7c00; bits++) {
    const low = f16ToF32(bits);
    const high = bits + 1 === 0x7c00 ? 65536 : f16ToF32(bits + 1);
    const middle = (low + high) / 2;
    const tiny = (high - low) / 1024;
    assert.equal(f32ToF16(middle - tiny), bits);
    assert.equal(f32ToF16(middle), bits & 1 ? bits + 1 : bits);
    assert.equal(f32ToF16(middle + tiny), bits + 1);
    assert.equal(f32ToF16(-middle), 0x8000 | (bits & 1 ? bits + 1 : bits));
  }
  assert.equal(f32ToF16(1e30), 0x7c00);
  assert.equal(f32ToF16(1e-40), 0);
});

test('all 65,536 bfloat16 values survive; rounding is to nearest even', () => {
  for (let bits = 0; bits < 65536; bits++) {
    const value = bf16ToF32(bits);
    if (Number.isNaN(value)) assert(Number.isNaN(bf16ToF32(f32ToBf16(value))));
    else assert.equal(f32ToBf16(value), bits);
  }
  assert.equal(f32ToBf16(1 + 2 ** -8), 0x3f80);
  assert.equal(f32ToBf16(1 + 2 ** -8 + 2 ** -20), 0x3f81);
  assert.equal(f32ToBf16(1 + 2 ** -7 + 2 ** -8), 0x3f82);
  assert.equal(f32ToBf16(-3.4028234e38), 0xff80);
});
