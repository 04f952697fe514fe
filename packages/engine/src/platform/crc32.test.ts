import assert from 'node:assert/strict';
import { it } from 'node:test';
import { crc32 as native } from 'node:zlib';
import { crc32 } from './crc32.ts';

it('is the CRC-32 of zlib, for every length and continued from any cut', () => {
  const bytes = Uint8Array.from({ length: 300 }, (_, i) => (i * 131 + (i >> 3)) & 255);
  for (let length = 0; length <= bytes.length; length++)
    assert.equal(crc32(bytes.subarray(0, length)), native(bytes.subarray(0, length)), `${length} bytes`);
  for (let cut = 0; cut <= bytes.length; cut += 7)
    assert.equal(crc32(bytes.subarray(cut), crc32(bytes.subarray(0, cut))), native(bytes));
});
