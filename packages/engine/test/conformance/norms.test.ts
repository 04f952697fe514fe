// RMS norm and its gradients: with weights shared by slices or one for each, offsets, factors and sums, in every
// build against the reference; and the reference's gradients against central differences.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import {
  rmsNormBackward,
  rmsNormWeightBackward,
} from '../../src/backends/reference/kernels-backward-dense.ts';
import { rmsNorm } from '../../src/backends/reference/kernels-dense.ts';
import type { MemoryViews } from '../../src/memory/memory-views.ts';
import { BUILDS, checkOp, Image, KernelMachine, randomSource } from './harness.ts';

const THREADS = [1, 3];
const ROWS = 5;
const COLUMNS = [1, 3, 4, 7, 16, 20, 42, 160, 2560];

/** What varies besides the sizes. */
const FORMS = [
  { groups: 1, own: false, offset: 0, scale: 1, accumulate: 0 },
  { groups: 1, own: false, offset: 1, scale: 0.25, accumulate: 1 },
  { groups: 3, own: false, offset: 1, scale: 1, accumulate: 0 },
  { groups: 3, own: true, offset: 0, scale: 1.5, accumulate: 1 },
] as const;

type Form = (typeof FORMS)[number];
const labelOf = (columns: number, form: Form) => `${columns} columns, ${JSON.stringify(form)}`;

function sizesOf(columns: number, { groups, own, offset, scale }: Form) {
  return { columns, groups, weightStride: own ? columns : 0, epsilon: 1e-3, offset, scale };
}

for (const build of BUILDS) {
  describe(`norms, ${build}`, () => {
    let machine: KernelMachine;
    before(async () => (machine = await KernelMachine.create(build, 3)));
    after(() => machine.close());

    const operands = (columns: number, form: Form) => {
      const next = randomSource(columns + form.groups);
      const image = new Image();
      const width = columns * form.groups;
      const matrix = (spare: number) => ({
        stride: width + spare,
        address: image.floats(ROWS * (width + spare), () => next() * 4 - 2),
      });
      const weight = image.floats(form.own ? width : columns, next);
      return { image, next, width, matrix, weight, rows: image.words(ROWS) };
    };
    const rowsOf = (at: { address: number; stride: number }, width: number, absolute: number) =>
      Array.from({ length: ROWS }, (_, r) => ({
        address: at.address + r * at.stride * 4,
        byteLength: width * 4,
        type: 'f32' as const,
        relative: 2e-6,
        absolute,
      }));

    it('rmsNorm: every form, odd columns, in place', () => {
      for (const columns of COLUMNS)
        for (const form of FORMS) {
          const { image, width, matrix, weight, rows } = operands(columns, form);
          const x = matrix(2);
          const y = columns % 2 && !form.accumulate ? x : matrix(1);
          checkOp(machine, THREADS, {
            image,
            kind: 'rmsNorm',
            fields: {
              ...sizesOf(columns, form),
              rows,
              x: x.address,
              xStride: x.stride,
              y: y.address,
              yStride: y.stride,
              weight,
              accumulate: form.accumulate,
            },
            // Sums of opposite signs lose digits.
            outputs: rowsOf(y, width, form.accumulate ? 1e-6 : 0),
            label: labelOf(columns, form),
          });
        }
    });

    it('rmsNormBackward and rmsNormWeightBackward: every form', () => {
      for (const columns of COLUMNS)
        for (const form of FORMS) {
          const { image, next, width, matrix, weight, rows } = operands(columns, form);
          const [x, dy, dx] = [matrix(2), matrix(1), matrix(3)];
          const inverse = image.floats(ROWS * form.groups, () => next() + 0.5);
          const given = {
            x: x.address,
            xStride: x.stride,
            dy: dy.address,
            dyStride: dy.stride,
            rows,
            inverse,
          };
          checkOp(machine, THREADS, {
            image,
            kind: 'rmsNormBackward',
            fields: {
              ...sizesOf(columns, form),
              ...given,
              weight,
              dx: dx.address,
              dxStride: dx.stride,
              accumulate: form.accumulate,
            },
            outputs: [
              ...rowsOf(dx, width, 4e-6),
              { address: inverse, byteLength: ROWS * form.groups * 4, type: 'f32', relative: 2e-6 },
            ],
            label: labelOf(columns, form),
          });
          const count = form.own ? width : columns;
          const dWeight = image.floats(count, next);
          const { weightStride, groups } = sizesOf(columns, form);
          checkOp(machine, THREADS, {
            image,
            kind: 'rmsNormWeightBackward',
            fields: { ...given, weightStride, columns, groups, dWeight },
            outputs: [
              { address: dWeight, byteLength: count * 4, type: 'f32', relative: 2e-6, absolute: 4e-6 },
            ],
            label: labelOf(columns, form),
          });
        }
    });

    it('rmsNorm does nothing without rows', () => {
      const { image, matrix, weight } = operands(8, FORMS[1]);
      const [x, y] = [matrix(0), matrix(0)];
      checkOp(machine, [3], {
        image,
        kind: 'rmsNorm',
        fields: {
          ...sizesOf(8, FORMS[1]),
          rows: image.words(0),
          x: x.address,
          xStride: x.stride,
          y: y.address,
          yStride: y.stride,
          weight,
          accumulate: 1,
        },
        outputs: [],
        label: 'no rows',
      });
    });
  });
}

describe('gradients of the norm on the reference', () => {
  for (const form of FORMS)
    it(`equal central differences: ${labelOf(7, form)}`, () => {
      const sizes = sizesOf(7, form);
      const width = 7 * form.groups;
      const next = randomSource(width);
      // In double: the kernels address floats by element, whatever their width.
      const f32 = new Float64Array(1024);
      const u32 = Uint32Array.of(ROWS);
      const m = { f32, u32 } as unknown as MemoryViews;
      let end = 0;
      const take = (count: number, fill = () => next() * 2 - 1) => {
        const start = end;
        for (; end < start + count; end++) f32[end] = fill();
        return { start, address: start * 4, count };
      };
      const [x, dy, target] = [take(ROWS * width), take(ROWS * width), take(ROWS * width)];
      const weight = take(form.own ? width : 7);
      const [y, dx] = [take(ROWS * width), take(ROWS * width, () => 0)];
      const [inverse, dWeight] = [take(ROWS * form.groups), take(weight.count, () => 0)];
      const common = { rows: 0, x: x.address, xStride: width, ...sizes };
      /** The sum that dy is the gradient of: dy · y, with `target` under y. */
      const loss = () => {
        f32.copyWithin(y.start, target.start, target.start + target.count);
        rmsNorm(m, {
          ...common,
          y: y.address,
          yStride: width,
          weight: weight.address,
          accumulate: form.accumulate,
        });
        let sum = 0;
        for (let i = 0; i < y.count; i++) sum += f32[y.start + i]! * f32[dy.start + i]!;
        return sum;
      };
      const gradient = { dy: dy.address, dyStride: width, inverse: inverse.address };
      rmsNormBackward(m, {
        ...common,
        ...gradient,
        weight: weight.address,
        dx: dx.address,
        dxStride: width,
        accumulate: 1,
      });
      rmsNormWeightBackward(m, { ...common, ...gradient, dWeight: dWeight.address });
      const compare = (of: { start: number; count: number }, gradients: { start: number }) => {
        for (let i = 0; i < of.count; i++) {
          const held = f32[of.start + i]!;
          const moved = (by: number) => {
            f32[of.start + i] = held + by;
            return loss();
          };
          const expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
          f32[of.start + i] = held;
          const found = f32[gradients.start + i]!;
          assert.ok(Math.abs(found - expected) < 1e-7, `${i}: expected ${expected}, found ${found}`);
        }
      };
      compare(x, dx);
      compare(weight, dWeight);
    });
});
