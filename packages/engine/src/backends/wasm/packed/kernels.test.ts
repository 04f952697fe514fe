// The packed kernels of all builds against plain TypeScript, at every size that takes another way through
// them: odd row counts, one to many rows of activations, shares of several threads. Results must not depend
// on any of these, bit for bit.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, describe, test } from 'node:test';
import { f32ToF16 } from '../../../formats/half.ts';
import { TENSOR_TYPES } from '../../../formats/tensor-types.ts';
import type { TensorType } from '../../../formats/types.ts';
import { codesByteLength, codeWordOffset, packedScratchBytes } from '../../../plan/codes.ts';
import { layoutId } from '../../../plan/layouts.ts';
import { packedByteLength, packRows } from '../kernels/layouts/tile.ts';
import { linearCodes, type Products, quantizeRow, type RowCodes, weightRows } from './emulate.ts';
import { createHarness, type Harness, randomNumbers } from './harness.ts';

/** Every build, the first one with tiles for vectors of 256 and of 128 bits. */
const BUILDS = [
  ['relaxed', true],
  ['relaxed', false],
  ['pairs', true],
  ['baseline', false],
] as const;
const MAX_ROWS = 40;

/** Where a block's f16 scales lie, or of MXFP4 its exponent. */
const SCALES: {
  readonly [type: string]: { readonly halves?: readonly number[]; readonly exponent?: number };
} = {
  Q4_0: { halves: [0] },
  Q4_1: { halves: [0, 2] },
  Q5_0: { halves: [0] },
  Q5_1: { halves: [0, 2] },
  Q8_0: { halves: [0] },
  Q4_K: { halves: [0, 2] },
  Q5_K: { halves: [0, 2] },
  Q6_K: { halves: [208] },
  IQ4_NL: { halves: [0] },
  MXFP4: { exponent: 0 },
  IQ4_XS: { halves: [0] },
  Q2_K: { halves: [80, 82] },
  Q3_K: { halves: [108] },
  TQ2_0: { halves: [64] },
  IQ3_S: { halves: [0] },
  IQ3_XXS: { halves: [0] },
};
const TYPES = (process.env.PACKED_TYPES?.split(',') ?? Object.keys(SCALES)) as TensorType[];

/** Sets the scales of all blocks: f16 as bits, exponents such that they are as large as those. */
function setScales(type: TensorType, raw: Uint8Array, half: (at: number) => number): void {
  const view = new DataView(raw.buffer);
  const { halves = [], exponent } = SCALES[type]!;
  for (let block = 0; block < raw.length; block += TENSOR_TYPES[type].blockBytes) {
    for (const at of halves) view.setUint16(block + at, half(block + at), true);
    if (exponent !== undefined) raw[block + exponent] = 113 + ((half(block) >> 10) & 31);
  }
}

/** Any bit pattern is a block, so random bytes with sensible scales reach every code. */
function randomRaw(type: TensorType, rows: number, columns: number, seed: number): Uint8Array {
  const random = randomNumbers(seed);
  const { blockLength, blockBytes } = TENSOR_TYPES[type];
  const raw = Uint8Array.from({ length: rows * (columns / blockLength) * blockBytes }, () => random() * 256);
  setScales(type, raw, () => f32ToF16((random() - 0.5) * 0.02));
  return raw;
}

const randomRows = (rows: number, columns: number, seed: number): Float32Array[] => {
  const random = randomNumbers(seed);
  return Array.from({ length: rows }, () =>
    Float32Array.from({ length: columns }, () => (random() - 0.5) * 2 ** (random() * 6)),
  );
};

interface Matrix {
  readonly layout: number;
  readonly weight: number;
  readonly outputs: number;
  readonly columns: number;
  readonly rows: readonly Float32Array[];
}

function placeMatrix(h: Harness, type: TensorType, outputs: number, columns: number, seed: number): Matrix {
  const raw = randomRaw(type, outputs, columns, seed);
  const weight = h.allocate(packedByteLength(type, outputs, columns));
  packRows(
    type,
    raw,
    0,
    outputs,
    outputs,
    columns,
    h.bytes.subarray(weight, weight + packedByteLength(type, outputs, columns)),
  );
  return {
    layout: layoutId({ type, packed: true }),
    weight,
    outputs,
    columns,
    rows: weightRows(type, raw, outputs, columns),
  };
}

/** Activations quantised by the kernel, for a step of these rows. */
function placeCodes(h: Harness, rows: readonly Float32Array[], columns: number): number {
  const stride = columns + 4;
  const x = h.allocate(Math.max(1, rows.length) * stride * 4);
  rows.forEach((row, r) => {
    h.floats.set(row, x / 4 + r * stride);
  });
  const codes = h.allocate(codesByteLength(Math.max(1, rows.length), columns));
  h.run('quantizeRows', { rows: h.count(rows.length), x, xStride: stride, columns, codes });
  return codes;
}

interface LinearOptions {
  readonly accumulate?: boolean;
  readonly bias?: number;
  readonly threads?: number;
}

/**
 * Runs `linear` into a slice of wider rows; returns the slice, having checked that nothing beside it was
 * written.
 */
function runLinear(
  h: Harness,
  m: Matrix,
  codes: number,
  rows: number,
  options: LinearOptions = {},
): Float32Array[] {
  const yStride = m.outputs + 11;
  const area = h.allocate((rows + 1) * yStride * 4);
  const y = area + 12;
  h.floats.fill(7, area / 4, area / 4 + (rows + 1) * yStride);
  const threads = options.threads ?? 1;
  const scratch = h.allocate(packedScratchBytes(m.columns, threads));
  const fields = {
    rows: h.count(rows),
    x: codes,
    xStride: 0,
    weight: m.weight,
    layout: m.layout,
    outputs: m.outputs,
    columns: m.columns,
    bias: options.bias ?? 0,
    y,
    yStride,
    accumulate: options.accumulate ? 1 : 0,
    scratch,
    threadBytes: packedScratchBytes(m.columns, 1),
  };
  // Later threads overwrite the later chunks of earlier ones, as if each had claimed its share.
  for (let thread = 0; thread < threads; thread++) h.run('linear', fields, thread, threads, thread);
  const result = Array.from({ length: rows }, (_, r) =>
    h.floats.slice(y / 4 + r * yStride, y / 4 + r * yStride + m.outputs),
  );
  const written = new Set(
    result.flatMap((_, r) => Array.from({ length: m.outputs }, (_, o) => 3 + r * yStride + o)),
  );
  for (let i = 0; i < (rows + 1) * yStride; i++) {
    if (!written.has(i))
      assert.equal(h.floats[area / 4 + i], 7, `nothing written beside the outputs, at ${i}`);
  }
  return result;
}

/**
 * Within 1e-6 of the sum of absolute terms: float32 sums of at most 24 blocks, exact integers within each.
 */
function assertClose(actual: readonly Float32Array[], expected: readonly Products[], what: string): void {
  actual.forEach((row, r) => {
    const { values, magnitudes } = expected[r]!;
    row.forEach((value, o) => {
      const error = Math.abs(value - values[o]!);
      assert.ok(
        error <= 1e-6 * magnitudes[o]!,
        `${what}: row ${r} output ${o}: expected ${values[o]}, found ${value}`,
      );
    });
  });
}

for (const [build, wide] of BUILDS) {
  describe(`packed kernels, ${build}, ${wide ? 'wide' : 'narrow'} tiles`, () => {
    let module: WebAssembly.Module;
    const harness = () => {
      const memory = new WebAssembly.Memory({ initial: 512, maximum: 65536, shared: true });
      const h = createHarness(module, memory);
      h.kernels.useWideTiles!(wide ? 1 : 0);
      return h;
    };
    before(() => {
      module = new WebAssembly.Module(
        readFileSync(new URL(`../build/kernels.${build}.wasm`, import.meta.url)),
      );
    });

    test('quantizeRows rounds to nearest with one scale per 32 columns', () => {
      const h = harness();
      for (const rows of [0, 1, 3, 4, 6, 9]) {
        const columns = 2080;
        const x = randomRows(rows, columns, rows + 1);
        if (rows > 1) x[1]!.fill(0, 32, 64);
        const codes = placeCodes(h, x, columns);
        x.forEach((row, r) => {
          const expected = quantizeRow(row);
          assert.deepEqual(readCodes(h, codes, r, rows, columns), expected, `row ${r} of ${rows}`);
        });
      }
    });

    test('NaN among the activations is NaN in the outputs, of its own row only', () => {
      const h = harness();
      const m = placeMatrix(h, 'Q4_0', 5, 64, 1);
      const x = randomRows(3, 64, 2);
      const clean = runLinear(h, m, placeCodes(h, x, 64), 3);
      x[1]![40] = Number.NaN;
      const [before, damaged, after] = runLinear(h, m, placeCodes(h, x, 64), 3);
      assert.ok(damaged!.every(Number.isNaN));
      assert.deepEqual([before, after], [clean[0], clean[2]]);
    });

    test('scales below 2^-14 (subnormal as f16) are exact', () => {
      const h = harness();
      const x = randomRows(5, 256, 4);
      for (const type of TYPES) {
        const raw = randomRaw(type, 16, 256, 8);
        setScales(type, raw, (at) => (at % 7 ? 0x8000 : 0) | ((at * 37 + 1) % 0x3ff));
        const size = packedByteLength(type, 16, 256);
        const weight = h.allocate(size);
        packRows(type, raw, 0, 16, 16, 256, h.bytes.subarray(weight, weight + size));
        const m = {
          layout: layoutId({ type, packed: true }),
          weight,
          outputs: 16,
          columns: 256,
          rows: weightRows(type, raw, 16, 256),
        };
        const expected = linearCodes(x.map(quantizeRow), m.rows);
        for (const rows of [1, 2, 5])
          assertClose(
            runLinear(h, m, placeCodes(h, x.slice(0, rows), 256), rows),
            expected,
            `${type}, ${rows} rows`,
          );
      }
    });

    for (const type of TYPES) {
      const unit = TENSOR_TYPES[type].blockLength;

      test(`${type}: every size equals the reference and itself`, () => {
        for (const [outputs, groups] of [
          [1, 1],
          [7, 3],
          [16, 2],
          [41, 1],
          [150, 3],
          [188, 2],
        ] as const) {
          const columns = groups * unit;
          const h = harness();
          const m = placeMatrix(h, type, outputs, columns, outputs);
          const x = randomRows(MAX_ROWS, columns, columns);
          const expected = linearCodes(x.map(quantizeRow), m.rows);
          const all = runLinear(h, m, placeCodes(h, x, columns), MAX_ROWS);
          assertClose(all, expected, `${outputs} x ${columns}`);
          for (const rows of [0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 14, 16]) {
            for (const threads of rows % 3 === 1 ? [1, 2, 3] : [2]) {
              const some = runLinear(h, m, placeCodes(h, x.slice(0, rows), columns), rows, { threads });
              assert.deepEqual(
                some,
                all.slice(0, rows),
                `${rows} rows, ${threads} threads of ${outputs} x ${columns}`,
              );
            }
          }
        }
      });

      test(`${type}: adds bias and earlier contents`, () => {
        const h = harness();
        const m = placeMatrix(h, type, 71, unit * 2, 5);
        const bias = h.allocate(71 * 4);
        for (let o = 0; o < 71; o++) h.floats[bias / 4 + o] = o - 20;
        for (const rows of [1, 6, 8]) {
          const x = randomRows(rows, m.columns, 9);
          const codes = placeCodes(h, x, m.columns);
          const plain = runLinear(h, m, codes, rows);
          const expect = (add: (o: number) => number[]) =>
            plain.map((row) =>
              row.map((value, o) => add(o).reduce((sum, term) => Math.fround(sum + term), value)),
            );
          assert.deepEqual(
            runLinear(h, m, codes, rows, { bias }),
            expect((o) => [o - 20]),
          );
          assert.deepEqual(
            runLinear(h, m, codes, rows, { accumulate: true }),
            expect(() => [7]),
          );
          assert.deepEqual(
            runLinear(h, m, codes, rows, { bias, accumulate: true }),
            expect((o) => [o - 20, 7]),
          );
        }
      });

      test(`${type}: extreme codes do not overflow`, () => {
        const h = harness();
        for (const fill of [0x00, 0xff, 0x7f, 0x80]) {
          const raw = new Uint8Array(64 * TENSOR_TYPES[type].blockBytes).fill(fill);
          setScales(type, raw, () => 0x3c00);
          const size = packedByteLength(type, 64, unit);
          const weight = h.allocate(size);
          packRows(type, raw, 0, 64, 64, unit, h.bytes.subarray(weight, weight + size));
          const m = {
            layout: layoutId({ type, packed: true }),
            weight,
            outputs: 64,
            columns: unit,
            rows: weightRows(type, raw, 64, unit),
          };
          const x = [-1, 1, -1, 1, 1].map((v, i) =>
            Float32Array.from({ length: unit }, (_, c) => (i < 3 ? v : c % i ? v : -v)),
          );
          const expected = linearCodes(x.map(quantizeRow), m.rows);
          assertClose(runLinear(h, m, placeCodes(h, x, unit), 5), expected, `bytes ${fill}`);
          assertClose(
            runLinear(h, m, placeCodes(h, x.slice(0, 1), unit), 1),
            expected.slice(0, 1),
            `bytes ${fill}`,
          );
        }
      });

      test(`${type}: expertLinear equals linear on each expert's rows`, () => {
        const h = harness();
        const columns = 2 * unit;
        const [experts, outputs, rows] = [3, 37, 70];
        const matrices = Array.from({ length: experts }, (_, e) =>
          placeMatrix(h, type, outputs, columns, 100 + e),
        );
        const expertBytes = matrices[1]!.weight - matrices[0]!.weight;
        const x = randomRows(rows, columns, 3);
        // Expert 0 gets every second row, expert 1 nothing, expert 2 all of them.
        const slots = [
          ...Array.from({ length: rows / 2 }, (_, i) => 2 * i),
          ...Array.from({ length: rows }, (_, i) => i),
        ];
        const slotRows = h.allocate(slots.length * 4);
        h.words.set(slots, slotRows / 4);
        const offsets = h.allocate(64);
        h.words.set([0, rows / 2, rows / 2, slots.length], offsets / 4);
        const expected = slots
          .map((row, slot) => ({ row: x[row]!, matrix: matrices[slot < rows / 2 ? 0 : 2]! }))
          .map(({ row, matrix }) => runLinear(h, matrix, placeCodes(h, [row], columns), 1)[0]!);
        const yStride = outputs + 3;
        const y = h.allocate(slots.length * yStride * 4);
        const scratch = h.allocate(packedScratchBytes(columns, 2));
        const common = {
          offsets,
          experts,
          xStride: 0,
          weight: matrices[0]!.weight,
          expertBytes,
          layout: matrices[0]!.layout,
          outputs,
          columns,
          y,
          yStride,
          scratch,
          threadBytes: packedScratchBytes(columns, 1),
        };
        const result = () =>
          slots.map((_, s) => h.floats.slice(y / 4 + s * yStride, y / 4 + s * yStride + outputs));
        const gathered = placeCodes(h, x, columns);
        for (const thread of [0, 1])
          h.run('expertLinear', { ...common, rows: h.count(rows), slotRows, x: gathered }, thread, 2, thread);
        assert.deepEqual(result(), expected);
        h.floats.fill(0, y / 4, y / 4 + slots.length * yStride);
        const bySlot = placeCodes(
          h,
          slots.map((row) => x[row]!),
          columns,
        );
        h.run('expertLinear', { ...common, rows: h.count(rows), slotRows: 0, x: bySlot }, 0, 1);
        assert.deepEqual(result(), expected);
      });

      test(`${type}: a row of the table is the file's dequantisation`, () => {
        const h = harness();
        const [outputs, columns] = [21, 2 * unit];
        const m = placeMatrix(h, type, outputs, columns, 77);
        const [tokens, y] = [h.allocate(outputs * 4), h.allocate(outputs * columns * 4)];
        for (let t = 0; t < outputs; t++) h.words[tokens / 4 + t] = outputs - 1 - t;
        h.run('embed', {
          rows: h.count(outputs),
          tokens,
          table: m.weight,
          layout: m.layout,
          columns,
          vocabulary: outputs,
          scale: 1,
          y,
          yStride: columns,
        });
        m.rows.toReversed().forEach((row, t) => {
          assert.deepEqual(h.floats.slice(y / 4 + t * columns, y / 4 + (t + 1) * columns), row, `token ${t}`);
        });
      });
    }
  });
}

function readCodes(h: Harness, codes: number, row: number, rows: number, columns: number): RowCodes {
  const at = (block: number, word: number) => (codes + codeWordOffset(row, rows, columns, block, word)) / 4;
  const blocks = columns / 32;
  const packed = Uint32Array.from({ length: blocks * 8 }, (_, i) => h.words[at(i >> 3, i & 7)]!);
  return {
    codes: new Int8Array(packed.buffer),
    scales: Float32Array.from({ length: blocks }, (_, block) => h.floats[at(block, 8)]!),
  };
}
