import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dequantize } from './dequantize.ts';
import { quantize, WRITABLE_TENSOR_TYPES, type WritableTensorType } from './quantize.ts';
import { byteLengthOf, TENSOR_TYPES } from './tensor-types.ts';

/** Relative root-mean-square error on Gaussian values that each format must stay below. */
const largestError: { [type in WritableTensorType]: number } = {
  F32: 1e-30,
  F16: 3e-4,
  BF16: 3e-3,
  Q4_0: 0.1,
  Q4_1: 0.09,
  Q5_0: 0.05,
  Q5_1: 0.045,
  Q8_0: 0.007,
  Q2_K: 0.32,
  Q3_K: 0.19,
  Q4_K: 0.08,
  Q5_K: 0.04,
  Q6_K: 0.025,
  IQ4_NL: 0.1,
  IQ4_XS: 0.1,
  MXFP4: 0.12,
};

/** A small deterministic generator (mulberry32) with a normal distribution on top (Box–Muller). */
function gaussian(count: number, seed: number): Float32Array {
  const uniform = () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return Float32Array.from(
    { length: count },
    () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
  );
}

function roundTrip(type: WritableTensorType, values: Float32Array): Float32Array {
  const bytes = new Uint8Array(byteLengthOf(type, values.length));
  quantize(type, values, bytes);
  const back = new Float32Array(values.length);
  dequantize(type, bytes, back);
  return back;
}

function relativeError(values: Float32Array, back: Float32Array): number {
  let error = 0;
  let total = 0;
  values.forEach((value, i) => {
    error += (value - back[i]!) ** 2;
    total += value ** 2;
  });
  return Math.sqrt(error / total);
}

for (const type of WRITABLE_TENSOR_TYPES) {
  test(`${type}: error on Gaussian values of several sizes`, () => {
    for (const scale of [0.02, 1, 300]) {
      const values = gaussian(8192, 3).map((value) => value * scale);
      const error = relativeError(values, roundTrip(type, values));
      assert(error < largestError[type], `scale ${scale}: ${error}`);
    }
  });

  test(`${type}: zeros stay zero, constants stay near`, () => {
    assert.deepEqual(roundTrip(type, new Float32Array(256)).map(Math.abs), new Float32Array(256));
    for (const constant of [1, -1, 0.37, -250]) {
      const values = new Float32Array(256).fill(constant);
      const error = relativeError(values, roundTrip(type, values));
      // Powers of two for scales leave a constant up to a sixth off.
      assert(error < (type === 'MXFP4' ? 0.15 : 0.02), `${constant}: ${error}`);
    }
  });

  test(`${type}: values far on one side of zero`, () => {
    // Groups of one block on both sides too: a k-quant's minimums share one sign, so some lines must pass
    // through zero.
    for (const signOf of [() => 1, () => -1, (i: number) => (i & 64 ? 1 : -1)]) {
      const values = gaussian(8192, 9).map((value, i) => signOf(i) * (12 + value));
      const error = relativeError(values, roundTrip(type, values));
      assert(error < largestError[type], `${error}`);
    }
  });

  test(`${type}: what it wrote survives being written again`, () => {
    // Blocks that use their full range of codes are fixed points; quantised Gaussian data is nearly always
    // such.
    const once = roundTrip(type, gaussian(8192, 5));
    const error = relativeError(once, roundTrip(type, once));
    assert(error < largestError[type] * 0.6, `${error}`);
  });

  test(`${type}: huge and tiny values stay finite`, () => {
    if (type === 'F16') return assert.equal(roundTrip('F16', new Float32Array(1).fill(3e38))[0], Infinity);
    for (const magnitude of [3e38, 1e30, 1e9, 1e-9, 1e-30, 1e-45]) {
      const values = gaussian(512, 7).map((value) => Math.sign(value) * magnitude);
      values[40] = 0;
      const back = roundTrip(type, values);
      back.forEach((value, i) => {
        assert(Number.isFinite(value), `${magnitude}: ${value}`);
        // A step of the smallest half scale may be left over, never a value out of all proportion.
        assert(Math.abs(value) <= Math.abs(values[i]!) * 2 + magnitude + 2e-5);
      });
    }
  });

  test(`${type}: refuses partial blocks and short outputs`, () => {
    const { blockLength, blockBytes } = TENSOR_TYPES[type];
    assert.throws(
      () => quantize(type, new Float32Array(blockLength), new Uint8Array(blockBytes - 1)),
      RangeError,
    );
    if (blockLength === 1) return;
    assert.throws(
      () => quantize(type, new Float32Array(blockLength - 1), new Uint8Array(blockBytes)),
      RangeError,
    );
  });
}

/** Values that a format represents exactly, in blocks that use the full range of codes and of scale codes. */
const exact: { [type in WritableTensorType]?: (i: number) => number } = {
  F16: (i) => (i - 128) / 64,
  BF16: (i) => (i - 128) / 64,
  Q8_0: (i) => ((i * 5) % 32) * 8 - 121,
  Q4_0: (i) => ((i % 16) - 8) * 0.25,
  Q4_1: (i) => (i % 16) * 0.25 - 3,
  Q5_0: (i) => ((i % 32) - 16) * 0.125,
  Q5_1: (i) => (i % 32) * 0.5 + 7,
  Q2_K: (i) => (i % 4) * (15 - (i >> 4)) * 0.5 - 0.25 * (i >> 4),
  Q3_K: (i) => ((i % 8) - 4) * ((i >> 4) * 4 - 32) * 0.25,
  Q4_K: (i) => (i % 16) * (63 - (i >> 5)) * 0.5 - 0.25 * (63 - 3 * (i >> 5)),
  Q5_K: (i) => (i % 32) * (63 - (i >> 5)) * 0.5 - 0.25 * (63 - 3 * (i >> 5)),
};
for (const [type, valueAt] of Object.entries(exact) as [WritableTensorType, (i: number) => number][]) {
  test(`${type}: exactly representable values survive`, () => {
    const values = Float32Array.from({ length: 512 }, (_, i) => valueAt(i & 255));
    const plusZero = (value: number) => value + 0;
    if (type === 'Q8_0') for (let i = 0; i < 512; i += 32) values[i] = -127;
    assert.deepEqual(roundTrip(type, values).map(plusZero), values.map(plusZero));
  });
}

test('Q6_K, IQ4 and MXFP4: exactly representable values survive', () => {
  const q6 = Float32Array.from(
    { length: 256 },
    (_, i) => (((i * 7) % 63) - 31) * ((i >> 4) * 8 - 128) * 2 ** -9,
  );
  for (let group = 0; group < 16; group++) q6[group * 16] = -32 * (group * 8 - 128) * 2 ** -9;
  assert.deepEqual(roundTrip('Q6_K', q6), q6);
  const levels = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];
  const iq4 = Float32Array.from({ length: 32 }, (_, i) => levels[i % 16]! * 0.5);
  assert.deepEqual(roundTrip('IQ4_NL', iq4), iq4);
  const groups = Float32Array.from({ length: 256 }, (_, i) => levels[i % 16]! * ((i >> 5) * 9 - 32) * 0.125);
  assert.deepEqual(roundTrip('IQ4_XS', groups), groups);
  const doubled = [0, 1, 2, 3, 4, 6, 8, 12];
  const e2m1 = Float32Array.from(
    { length: 64 },
    (_, i) => doubled[i % 8]! * (i & 8 ? -1 : 1) * 2 ** (i >> 5) || 0,
  );
  assert.deepEqual(roundTrip('MXFP4', e2m1), e2m1);
});
