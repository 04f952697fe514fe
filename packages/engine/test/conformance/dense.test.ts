// Conformance of the dense f32 kernels with the reference: every raw weight layout, odd sizes, every build,
// threads.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { ARENA_BASE, compileBuild, instantiateKernels } from '../../src/backends/wasm/load-kernels.ts';
import { dequantize } from '../../src/formats/dequantize.ts';
import { byteLengthOf, TENSOR_TYPES } from '../../src/formats/tensor-types.ts';
import type { TensorType } from '../../src/formats/types.ts';
import { ACTIVATION_ID } from '../../src/plan/activation.ts';
import { layoutId, rawTypeOf } from '../../src/plan/layouts.ts';
import { rawLinearScratchBytes } from '../../src/plan/ops/scratch.ts';
import { BUILDS, checkOp, Image, KernelMachine, randomSource } from './harness.ts';

const THREADS = [1, 3];
const GOLDEN_FOLDER = new URL('../../../../fixtures/golden/gguf/quants/', import.meta.url);
const GOLDEN = (
  JSON.parse(readFileSync(new URL('index.json', GOLDEN_FOLDER), 'utf8')) as {
    types: { [type in TensorType]?: { raw: string; extreme?: { raw: string } } };
  }
).types;
const RAW_TYPES: TensorType[] = [];
for (let id = 0, type = rawTypeOf(id); type; type = rawTypeOf(++id)) RAW_TYPES.push(type);

/**
 * Weights of a type: golden blocks (random bits in every field but the scales), repeated; floats for plain
 * types.
 */
function weightBytes(type: TensorType, count: number, next: () => number): Uint8Array {
  if (type === 'F32') return new Uint8Array(Float32Array.from({ length: count }, () => next() - 0.5).buffer);
  if (type === 'F16' || type === 'BF16') {
    // Exponents around 2^-4, every mantissa.
    const base = type === 'F16' ? 0x2800 : 0x3d80;
    return new Uint8Array(
      Uint16Array.from({ length: count }, () => (next() * 0x7ff) | base | (next() < 0.5 ? 0x8000 : 0)).buffer,
    );
  }
  const bytes = new Uint8Array(byteLengthOf(type, count));
  const golden = readFileSync(new URL(`${type}.bin`, GOLDEN_FOLDER));
  const block = TENSOR_TYPES[type].blockBytes;
  for (let at = 0; at < bytes.length; at += block) {
    const from = Math.floor((next() * golden.length) / block) * block;
    bytes.set(golden.subarray(from, from + block), at);
  }
  return bytes;
}

/** A type's blocks in fixtures/golden/gguf/quants. */
function goldenBlocks(type: TensorType): Uint8Array[] {
  const { raw, extreme } = GOLDEN[type]!;
  const ordinary = new Uint8Array(readFileSync(new URL(raw, GOLDEN_FOLDER)));
  return extreme ? [ordinary, Uint8Array.from(Buffer.from(extreme.raw, 'base64'))] : [ordinary];
}

for (const build of BUILDS) {
  describe(`dense kernels, ${build}`, () => {
    let machine: KernelMachine;
    before(async () => (machine = await KernelMachine.create(build, 3)));
    after(() => machine.close());

    const linearCase = (
      type: TensorType,
      rows: number,
      columns: number,
      outputs: number,
      options: { bias?: boolean; accumulate?: boolean } = {},
    ) => {
      const next = randomSource(rows * 7 + columns * 3 + outputs);
      const image = new Image();
      const weights = weightBytes(type, columns * outputs, next);
      const xStride = columns + 3;
      const yStride = outputs + 5;
      const x = image.floats(Math.max(rows, 1) * xStride, () => next() - 0.5);
      const weight = image.put(weights);
      const bias = options.bias ? image.floats(outputs, next) : 0;
      const y = image.floats(Math.max(rows, 1) * yStride, next);
      const bytes = rawLinearScratchBytes(columns) * 3;
      const scratch = { address: image.reserve(bytes), byteLength: bytes };
      const fields = {
        rows: image.words(rows),
        x,
        xStride,
        weight,
        layout: layoutId({ type, packed: false }),
        outputs,
        columns,
        bias,
        y,
        yStride,
        accumulate: options.accumulate ? 1 : 0,
        scratch: scratch.address,
        threadBytes: rawLinearScratchBytes(columns),
      };
      // Rounding errors of random sums of n terms: n * 2^-24 * their magnitude, times a constant.
      const absolute = 3e-8 * (columns + 10) * largest(type, weights, columns * outputs);
      const outputsOf = Array.from({ length: rows }, (_, r) => ({
        address: y + r * yStride * 4,
        byteLength: outputs * 4,
        type: 'f32' as const,
        absolute,
        relative: 1e-6,
      }));
      const label = `${type} ${rows}×${columns}→${outputs}`;
      checkOp(machine, THREADS, { image, kind: 'linear', fields, outputs: outputsOf, scratch, label });
    };

    it('linear: every raw layout, few and many rows', () => {
      for (const type of RAW_TYPES) {
        const columns = TENSOR_TYPES[type].blockLength * 3;
        for (const rows of [0, 1, 3, 17]) linearCase(type, rows, columns, 21);
      }
    });

    it('linear: columns beyond one piece', () => {
      for (const type of ['F32', 'F16', 'Q8_0', 'Q4_K'] as const)
        for (const rows of [1, 2, 13, 21]) linearCase(type, rows, 1280, 70);
      // More than a thread's scratch has room for.
      linearCase('BF16', 3, 12_283, 9);
      linearCase('F16', 2, 18_420, 9);
    });

    it('linear: odd sizes, bias, accumulation', () => {
      for (const type of ['F32', 'F16', 'BF16'] as const)
        for (const columns of [1, 3, 7, 20, 42, 45, 517])
          for (const outputs of [1, 3, 8, 42, 67])
            for (const rows of [1, 2, 7, 16, 19]) {
              linearCase(type, rows, columns, outputs, {
                bias: rows % 2 === 1,
                accumulate: columns % 2 === 1,
              });
            }
    });

    it('embed: every raw layout, scaled or not, and a token outside the vocabulary', () => {
      for (const type of RAW_TYPES) {
        const columns = type === 'F16' || type === 'F32' ? 43 : TENSOR_TYPES[type].blockLength * 2;
        const next = randomSource(columns);
        const image = new Image();
        const table = image.put(weightBytes(type, columns * 9, next));
        const y = image.floats(5 * (columns + 1), next);
        const fields = {
          rows: image.words(4),
          tokens: image.words(8, 0, 3, 3, 1),
          table,
          layout: layoutId({ type, packed: false }),
          columns,
          vocabulary: 9,
          scale: columns === 43 ? 1.25 : 1,
          y,
          yStride: columns + 1,
        };
        const outputs = Array.from({ length: 4 }, (_, r) => ({
          address: y + r * (columns + 1) * 4,
          byteLength: columns * 4,
          type: 'f32' as const,
        }));
        checkOp(machine, THREADS, { image, kind: 'embed', fields, outputs, label: type });
      }
    });

    it('dequantises the golden blocks, and ones with extreme scales, bit by bit', () => {
      for (const type of RAW_TYPES.filter((name) => name !== 'F32')) {
        for (const raw of goldenBlocks(type)) {
          const { blockLength, blockBytes } = TENSOR_TYPES[type];
          const columns = (raw.length / blockBytes) * blockLength;
          const image = new Image();
          const fields = {
            rows: image.words(1),
            tokens: image.words(0),
            table: image.put(raw),
            layout: layoutId({ type, packed: false }),
            columns,
            vocabulary: 1,
            scale: 1,
            y: image.reserve(columns * 4),
            yStride: columns,
          };
          // A product of a float and a NaN keeps no payload: compare values, not bits.
          checkOp(machine, [1], {
            image,
            kind: 'embed',
            fields,
            outputs: [{ address: fields.y, byteLength: columns * 4, type: 'f32' }],
            label: `golden ${type}`,
          });
        }
      }
    });

    it('keeps its static data below the arena', async () => {
      const memory = new WebAssembly.Memory({ initial: 16, maximum: 65_536, shared: true });
      instantiateKernels(await compileBuild(build, true), memory);
      assert(!new Uint8Array(memory.buffer, ARENA_BASE).some((byte) => byte !== 0));
    });

    it('16-bit floats: every half, infinities and NaNs included, and products with them', () => {
      const halves = Uint16Array.from({ length: 65_536 }, (_, i) => i);
      const finite = halves.filter((bits) => (bits & 0x7c00) !== 0x7c00);
      const layout = layoutId({ type: 'F16', packed: false });
      for (const table of [halves, finite]) {
        const image = new Image();
        const columns = table.length;
        const y = image.reserve(columns * 4);
        const fields = {
          rows: image.words(1),
          tokens: image.words(0),
          table: image.put(new Uint8Array(table.buffer, 0, columns * 2)),
          layout,
          columns,
          vocabulary: 1,
          scale: 1,
          y,
          yStride: columns,
        };
        const outputs = [{ address: y, byteLength: columns * 4, type: 'f32' as const }];
        checkOp(machine, [1], { image, kind: 'embed', fields, outputs, label: `${columns} halves` });
      }
      const image = new Image();
      const columns = 24;
      const weights = new Uint16Array(3 * columns).fill(0x3c00);
      weights.set([0x7c00], columns + 2);
      weights.set([0x7c00, 0xfc00], 2 * columns + 5);
      const scratch = {
        address: image.reserve(rawLinearScratchBytes(columns) * 3),
        byteLength: rawLinearScratchBytes(columns) * 3,
      };
      const y = image.floats(6, () => 0);
      const fields = {
        rows: image.words(2),
        x: image.floats(2 * columns, () => 1),
        xStride: columns,
        weight: image.put(new Uint8Array(weights.buffer)),
        layout,
        outputs: 3,
        columns,
        bias: 0,
        y,
        yStride: 3,
        accumulate: 0,
        scratch: scratch.address,
        threadBytes: rawLinearScratchBytes(columns),
      };
      const outputs = [{ address: y, byteLength: 24, type: 'f32' as const }];
      checkOp(machine, THREADS, {
        image,
        kind: 'linear',
        fields,
        outputs,
        scratch,
        label: 'infinite weights, 2 rows',
      });
      const one = { ...fields, rows: image.words(1) };
      checkOp(machine, THREADS, {
        image,
        kind: 'linear',
        fields: one,
        outputs,
        scratch,
        label: 'infinite weights, 1 row',
      });
    });

    it('gatedActivation: every activation, over the whole range', () => {
      for (const activation of Object.values(ACTIVATION_ID))
        for (const columns of [1, 6, 7, 8, 21, 2051]) {
          const next = randomSource(columns);
          const image = new Image();
          const stride = columns + 1;
          const gate = image.floats(4 * stride, () => (next() - 0.5) * (next() < 0.2 ? 200 : 12));
          // Gate and up may be one value: the squared ReLU.
          const up = columns % 3 ? image.floats(4 * stride, () => next() * 2 - 1) : gate;
          const y = columns % 2 ? gate : image.floats(4 * stride, next);
          const fields = {
            rows: image.words(3),
            gate,
            gateStride: stride,
            up,
            upStride: stride,
            y,
            yStride: stride,
            columns,
            activation,
          };
          const outputs = Array.from({ length: 3 }, (_, r) => ({
            address: y + r * stride * 4,
            byteLength: columns * 4,
            type: 'f32' as const,
            // The reference's erf has an error of 1.2e-7, times the gate and up.
            absolute: activation === ACTIVATION_ID.gelu ? (up === gate ? 3e-4 : 3e-6) : 1e-9,
            relative: 1e-6,
          }));
          checkOp(machine, THREADS, {
            image,
            kind: 'gatedActivation',
            fields,
            outputs,
            label: `${activation} ${columns}`,
          });
        }
    });

    it('add and gatherRows', () => {
      for (const columns of [1, 7, 42, 2049]) {
        const next = randomSource(columns);
        const image = new Image();
        const stride = columns + 2;
        const x = image.floats(6 * stride, next);
        const y = image.floats(6 * stride, next);
        const rows = image.words(5);
        const indices = image.words(5, 0, 3, 3, 1);
        const outputs = Array.from({ length: 5 }, (_, r) => ({
          address: y + r * stride * 4,
          byteLength: columns * 4,
          type: 'f32' as const,
          relative: 1e-7,
        }));
        const common = { rows, x, xStride: stride, y, yStride: stride, columns };
        checkOp(machine, THREADS, { image, kind: 'add', fields: common, outputs, label: `${columns}` });
        checkOp(machine, THREADS, {
          image,
          kind: 'gatherRows',
          fields: { ...common, indices },
          outputs,
          label: `${columns}`,
        });
      }
    });

    it('does nothing without rows', () => {
      const image = new Image();
      const rows = image.words(0);
      const x = image.floats(64, () => 1);
      const y = image.floats(64, () => 1);
      const common = { rows, x, xStride: 8, y, yStride: 8, columns: 8 };
      checkOp(machine, [3], { image, kind: 'add', fields: common, outputs: [], label: 'no rows' });
      checkOp(machine, [3], {
        image,
        kind: 'gatherRows',
        fields: { ...common, indices: x },
        outputs: [],
        label: 'no rows',
      });
    });
  });
}

/** The largest magnitude of the weights: what absolute errors of sums scale with. */
function largest(type: TensorType, bytes: Uint8Array, count: number): number {
  const values = new Float32Array(count);
  assert.equal(byteLengthOf(type, count), bytes.byteLength);
  dequantize(type, bytes, values);
  return values.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
}
