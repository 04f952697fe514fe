import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { Sha256 } from './sha256.ts';

const reference = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

test('the example of FIPS 180-4', () => {
  const digest = new Sha256().update(new TextEncoder().encode('abc')).digest();
  assert.equal(digest, 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
});

test('every length around the block size, in any cuts', () => {
  const bytes = Uint8Array.from({ length: 300 }, (_, index) => (index * 7919) >> 3);
  for (let length = 0; length <= bytes.length; length++) {
    const part = bytes.subarray(0, length);
    const hash = new Sha256();
    for (let start = 0, step = 1; start < length; start += step, step = (step * 5) % 71)
      hash.update(part.subarray(start, Math.min(length, start + step)));
    assert.equal(hash.digest(), reference(part), `length ${length}`);
  }
});

test('a longer text', () => {
  const bytes = new Uint8Array(1 << 20).fill(0xa5);
  assert.equal(new Sha256().update(bytes).digest(), reference(bytes));
});
