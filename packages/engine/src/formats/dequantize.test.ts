// Golden vectors: blocks decoded by gguf-py and ggml, the formats' references (fixtures/golden/gguf/quants).

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { dequantize } from './dequantize.ts';
import { ternaryCodes } from './quants/ternary.ts';
import { byteLengthOf, TENSOR_TYPE_NAMES, TENSOR_TYPES, typeFromGgmlId } from './tensor-types.ts';
import type { TensorType } from './types.ts';

const folder = new URL('../../../../fixtures/golden/gguf/quants/', import.meta.url);
const index = JSON.parse(readFileSync(new URL('index.json', folder), 'utf8')) as {
  types: {
    [type: string]: {
      ggml_type: number;
      block_size: number;
      block_bytes: number;
      blocks: number;
      raw: string;
      expected: string;
      /** Of blocks with extreme scales; F16 and BF16 have every kind of number in theirs. */
      extreme?: { raw: string; sha256: string };
    };
  };
};

/** Bit patterns, with every NaN the same: its payload does not survive arithmetic and means nothing. */
function bitsOf(bytes: Uint8Array): number[] {
  const values = new Float32Array(new Uint8Array(bytes).buffer);
  const bits = new Uint32Array(values.buffer);
  return [...bits].map((word, i) => (Number.isNaN(values[i]) ? -1 : word));
}

test('every block format has a vector and agrees with it on sizes', () => {
  const missing = TENSOR_TYPE_NAMES.filter((type) => !(type in index.types));
  assert.deepEqual(missing, ['F32'], 'F32 needs none: it is a copy of bits');
  for (const [name, entry] of Object.entries(index.types)) {
    const type = typeFromGgmlId(entry.ggml_type);
    assert.equal(type, name);
    assert.equal(TENSOR_TYPES[type as TensorType].blockLength, entry.block_size);
    assert.equal(TENSOR_TYPES[type as TensorType].blockBytes, entry.block_bytes);
  }
});

for (const [name, entry] of Object.entries(index.types)) {
  test(`${name}: bit-exact with the reference decoder, at any address`, () => {
    const raw = readFileSync(new URL(entry.raw, folder));
    const expected = bitsOf(readFileSync(new URL(entry.expected, folder)));
    for (const shift of [0, 1, 3]) {
      const bytes = new Uint8Array(raw.length + shift).subarray(shift);
      bytes.set(raw);
      const out = new Float32Array(expected.length + 2).fill(7);
      dequantize(name as TensorType, bytes, out, 1);
      assert.deepEqual(bitsOf(new Uint8Array(out.buffer, 4, expected.length * 4)), expected);
      assert.equal(out[0], 7);
      assert.equal(out.at(-1), 7);
    }
  });
}

for (const [name, { extreme, block_bytes, block_size }] of Object.entries(index.types)) {
  if (!extreme) continue;
  test(`${name}: scales that are zero, negative, subnormal, huge, infinite and not a number`, () => {
    const raw = Uint8Array.from(Buffer.from(extreme.raw, 'base64'));
    const out = new Float32Array((raw.length / block_bytes) * block_size);
    dequantize(name as TensorType, raw, out);
    const canonical = Uint32Array.from(bitsOf(new Uint8Array(out.buffer)), (bits) =>
      bits < 0 ? 0x7fc00000 : bits,
    );
    assert.equal(createHash('sha256').update(canonical).digest('hex'), extreme.sha256);
  });
}

test('F32 copies bits, NaN payloads too', () => {
  const bytes = Uint8Array.of(9, 1, 2, 160, 127, 0, 0, 0, 128);
  const out = new Float32Array(2);
  dequantize('F32', bytes.subarray(1), out);
  assert.deepEqual(new Uint8Array(out.buffer), bytes.slice(1));
});

test('refuses partial blocks and outputs that are too short', () => {
  assert.throws(
    () => dequantize('Q4_0', new Uint8Array(17), new Float32Array(32)),
    /Q4_0: .*multiple of 18 bytes/,
  );
  assert.throws(() => dequantize('Q4_0', new Uint8Array(18), new Float32Array(31)), RangeError);
  assert.throws(() => dequantize('Q4_0', new Uint8Array(18), new Float32Array(32), 1), RangeError);
  assert.throws(() => dequantize('Q4_0', new Uint8Array(18), new Float32Array(64), -1), RangeError);
});

test('byteLengthOf counts whole blocks only', () => {
  assert.equal(byteLengthOf('Q6_K', 512), 420);
  assert.equal(byteLengthOf('F16', 3), 6);
  for (const count of [31, -32, Number.NaN, 2 ** 60])
    assert.throws(() => byteLengthOf('Q8_0', count), RangeError);
});

test('TQ1_0 as two-bit codes of TQ2_0 stands for the same values', () => {
  const raw = new Uint8Array(readFileSync(new URL(index.types.TQ1_0!.raw, folder)));
  const count = (raw.length / TENSOR_TYPES.TQ1_0.blockBytes) * 256;
  const [expected, actual] = [new Float32Array(count), new Float32Array(count)];
  dequantize('TQ1_0', raw, expected);
  const codes = ternaryCodes(raw);
  assert.equal(codes.length, byteLengthOf('TQ2_0', count));
  dequantize('TQ2_0', codes, actual);
  assert.deepEqual(bitsOf(new Uint8Array(actual.buffer)), bitsOf(new Uint8Array(expected.buffer)));
});
