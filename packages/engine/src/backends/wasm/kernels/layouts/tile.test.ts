import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { EXPANDED_BLOCK, EXPANSIONS, expand } from '../../../../formats/quants/expand.ts';
import { byteLengthOf, TENSOR_TYPES } from '../../../../formats/tensor-types.ts';
import type { TensorType } from '../../../../formats/types.ts';
import type { LoadJob } from '../../../load/load-job.ts';
import { ARENA_BASE, instantiateKernels } from '../../load-kernels.ts';
import { randomNumbers } from '../../packed/harness.ts';
import { LAYOUTS } from './index.ts';
import { packStage } from './packer.ts';
import { canPack, packedByteLength, packRows, unpackRow } from './tile.ts';

const TYPES: readonly TensorType[] = LAYOUTS.map(({ type }) => type);

const randomBytes = (count: number, seed: number): Uint8Array => {
  const random = randomNumbers(seed);
  return Uint8Array.from({ length: count }, () => random() * 256);
};

/** Rows as they are packed: the file's, or what they are expanded to first. */
const packable = (type: TensorType, raw: Uint8Array): Uint8Array => (EXPANSIONS[type] ? expand(type, raw) : raw);

describe('packed layouts', () => {
  for (const type of TYPES) {
    const columns = TENSOR_TYPES[type].blockLength * 3;
    const rowBytes = byteLengthOf(type, columns);

    test(`${type}: unpacking gives the file's bytes back, however the rows were cut`, () => {
      for (const rows of [1, 15, 16, 17, 50]) {
        const raw = randomBytes(rows * rowBytes, rows);
        const whole = new Uint8Array(packedByteLength(type, rows, columns)).fill(0xaa);
        packRows(type, raw, 0, rows, rows, columns, whole);
        for (let row = 0; row < rows; row++) {
          const expected = packable(type, raw.subarray(row * rowBytes, (row + 1) * rowBytes));
          assert.deepEqual(unpackRow(type, whole, row, columns), expected);
        }
        const inParts = new Uint8Array(whole.length).fill(0x55);
        const cut = Math.floor(rows / 3);
        packRows(type, raw.subarray(cut * rowBytes), cut, rows - cut, rows, columns, inParts);
        packRows(type, raw.subarray(0, cut * rowBytes), 0, cut, rows, columns, inParts);
        assert.deepEqual(inParts, whole);
      }
    });

    test(`${type}: as large as the file or its expanded rows, rows rounded up to 16`, () => {
      const packedRow = EXPANSIONS[type] ? 3 * EXPANDED_BLOCK : rowBytes;
      assert.equal(packedByteLength(type, 32, columns), 32 * packedRow);
      assert.equal(packedByteLength(type, 33, columns), 48 * packedRow);
    });

    for (const build of ['relaxed', 'pairs', 'baseline']) {
      test(`${type}: the ${build} kernels pack the same bytes`, () => {
        const module = new WebAssembly.Module(
          readFileSync(new URL(`../../build/kernels.${build}.wasm`, import.meta.url)),
        );
        const memory = new WebAssembly.Memory({ initial: 64, maximum: 65_536, shared: true });
        const stageBytes = 2 ** 20;
        const stage = packStage(instantiateKernels(module, memory), memory, ARENA_BASE, stageBytes);
        const address = ARENA_BASE + stageBytes;
        for (const [rows, wide] of [
          [1, 1],
          [16, 2],
          [50, 3],
          [96, 1200 / TENSOR_TYPES[type].blockLength],
        ] as const) {
          const columns = Math.ceil(wide) * TENSOR_TYPES[type].blockLength;
          const rowBytes = byteLengthOf(type, columns);
          const raw = randomBytes(rows * rowBytes, rows);
          const expected = new Uint8Array(packedByteLength(type, rows, columns));
          packRows(type, raw, 0, rows, rows, columns, expected);
          const actual = new Uint8Array(memory.buffer, address, expected.length + 64).fill(0xaa);
          const put = (rowStart: number, row: number, count: number) => {
            const from = (rowStart + row) * rowBytes;
            stage.bytes.set(packable(type, raw.subarray(from, from + count * rowBytes)));
            stage.pack({ target: type, rowStart, columns, address } as LoadJob, row, count);
          };
          if (rows > 32) {
            put(32, 0, rows - 32);
            put(0, 16, 16);
            put(0, 0, 16);
          } else put(0, 0, rows);
          assert.deepEqual(actual.slice(0, expected.length), expected, `${rows} rows of ${columns}`);
          assert.deepEqual(actual.slice(expected.length), new Uint8Array(64).fill(0xaa), 'nothing beyond');
        }
      });
    }
  }

  test('only whole blocks of types with a packed form', () => {
    assert.equal(canPack('Q4_0', 3, 160), true);
    assert.equal(canPack('Q4_0', 3, 161), false);
    assert.equal(canPack('Q4_K', 3, 160), false);
    assert.equal(canPack('F16', 3, 160), false);
    assert.equal(canPack('TQ1_0', 16, 256), false);
  });
});
