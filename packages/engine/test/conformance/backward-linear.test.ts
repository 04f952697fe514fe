// Conformance of the gradients of linear maps with the reference: sizes around those of tiles, panels and
// blocks.
import { after, before, describe, it } from 'node:test';
import { GEMM_SCRATCH_BYTES } from '../../src/plan/ops/scratch.ts';
import { BUILDS, checkOp, Image, KernelMachine, randomSource } from './harness.ts';

const THREADS = [1, 3];
/** rows, outputs, columns */
const SIZES = [
  [1, 1, 1],
  [3, 5, 7],
  [4, 16, 16],
  [5, 24, 9],
  [17, 33, 25],
  [130, 21, 141],
  [300, 140, 40],
] as const;

for (const build of BUILDS) {
  describe(`gradients of linear maps, ${build}`, () => {
    let machine: KernelMachine;
    before(async () => (machine = await KernelMachine.create(build, 3)));
    after(() => machine.close());

    const operands = (rows: number, outputs: number, columns: number) => {
      const next = randomSource(rows + outputs * 3 + columns * 5);
      const image = new Image();
      const bytes = GEMM_SCRATCH_BYTES * 3;
      return {
        image,
        next,
        scratch: { address: image.reserve(bytes), byteLength: bytes },
        rows: image.words(rows),
        dyStride: outputs + 3,
        dy: image.floats(rows * (outputs + 3), () => next() - 0.5),
      };
    };

    it('linearBackwardInput: replaces or adds', () => {
      for (const [rows, outputs, columns] of SIZES)
        for (const accumulate of [0, 1]) {
          const { image, next, scratch, ...common } = operands(rows, outputs, columns);
          const weight = image.floats(outputs * columns, () => next() - 0.5);
          const dxStride = columns + 2;
          const dx = image.floats(rows * dxStride, next);
          const fields = { ...common, weight, outputs, columns, dx, dxStride, accumulate };
          checkOp(machine, THREADS, {
            image,
            kind: 'linearBackwardInput',
            fields: { ...fields, scratch: scratch.address },
            // Between rows lie canaries that nothing may touch.
            outputs: Array.from({ length: rows }, (_, r) => ({
              address: dx + r * dxStride * 4,
              byteLength: columns * 4,
              type: 'f32' as const,
              absolute: 3e-8 * (outputs + 30),
            })),
            scratch,
            label: `${rows} × ${outputs} → ${columns}, accumulate ${accumulate}`,
          });
        }
    });

    it('linearBackwardWeight: with and without a bias', () => {
      for (const [rows, outputs, columns] of SIZES)
        for (const bias of [false, true]) {
          const { image, next, scratch, ...common } = operands(rows, outputs, columns);
          const xStride = columns + 1;
          const x = image.floats(rows * xStride, () => next() - 0.5);
          const dWeight = image.floats(outputs * columns, next);
          const dBias = image.floats(outputs, next);
          const fields = { ...common, x, xStride, outputs, columns, dWeight, dBias: bias ? dBias : 0 };
          const output = { type: 'f32' as const, absolute: 3e-8 * (rows + 30) };
          checkOp(machine, THREADS, {
            image,
            kind: 'linearBackwardWeight',
            fields: { ...fields, scratch: scratch.address },
            outputs: [
              { ...output, address: dWeight, byteLength: outputs * columns * 4 },
              ...(bias ? [{ ...output, address: dBias, byteLength: outputs * 4 }] : []),
            ],
            scratch,
            label: `${outputs} × ${columns} from ${rows} rows${bias ? ', bias' : ''}`,
          });
        }
    });
  });
}
