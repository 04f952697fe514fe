// Conformance of routed feed-forwards: route, expertLinear over every kind of occupancy, combineExperts.
import { after, before, describe, it } from 'node:test';
import { byteLengthOf } from '../../src/formats/tensor-types.ts';
import type { TensorType } from '../../src/formats/types.ts';
import { layoutId } from '../../src/plan/layouts.ts';
import { rawLinearScratchBytes } from '../../src/plan/ops/scratch.ts';
import { BUILDS, checkOp, Image, KernelMachine, randomSource } from './harness.ts';

const THREADS = [1, 3];

for (const build of BUILDS) {
  describe(`expert kernels, ${build}`, () => {
    let machine: KernelMachine;
    before(async () => (machine = await KernelMachine.create(build, 3)));
    after(() => machine.close());

    it('route: ties, renormalisation, all experts or one, no rows', () => {
      for (const [experts, topK] of [
        [1, 1],
        [3, 1],
        [4, 2],
        [16, 2],
        [7, 7],
      ] as const)
        for (const renormalize of [0, 1])
          for (const rows of [0, 1, 5, 60]) {
            const next = randomSource(experts + topK + rows);
            const image = new Image();
            const stride = experts + 2;
            const fields = {
              rows: image.words(rows),
              x: image.floats(rows * stride, () => Math.round(next() * 8) - 4),
              xStride: stride,
              experts,
              topK,
              renormalize,
              ids: image.reserve(rows * topK * 4),
              weights: image.reserve(rows * topK * 4),
              offsets: image.reserve((experts + 1) * 4),
              slotRows: image.reserve(rows * topK * 4),
              slotOf: image.reserve(rows * topK * 4),
            };
            const words = (address: number, length: number) => ({
              address,
              byteLength: length * 4,
              type: 'u32' as const,
            });
            const outputs = [
              words(fields.ids, rows * topK),
              words(fields.offsets, experts + 1),
              words(fields.slotRows, rows * topK),
              words(fields.slotOf, rows * topK),
              { address: fields.weights, byteLength: rows * topK * 4, type: 'f32' as const, relative: 1e-6 },
            ];
            checkOp(machine, THREADS, {
              image,
              kind: 'route',
              fields,
              outputs,
              label: `${topK} of ${experts}, ${rows} rows`,
            });
          }
    });

    it('expertLinear: gathered rows and own slots, empty, small and crowded experts', () => {
      for (const type of ['F32', 'F16'] as const satisfies TensorType[])
        for (const gathered of [true, false]) {
          const next = randomSource(gathered ? 3 : 4);
          const image = new Image();
          const [experts, outputs, columns] = [5, 37, 45];
          const offsets = [0, 3, 3, 24, 25, 27];
          const slots = offsets.at(-1)!;
          const expertBytes = Math.ceil(byteLengthOf(type, outputs * columns) / 64) * 64 + 64;
          const values = new Uint8Array(expertBytes * experts);
          if (type === 'F32')
            new Float32Array(values.buffer).set(
              Array.from({ length: values.length / 4 }, () => next() - 0.5),
            );
          else
            new Uint16Array(values.buffer).set(
              Array.from({ length: values.length / 2 }, () => 0x2c00 | (next() * 0x3ff)),
            );
          const yStride = outputs + 2;
          const scratchBytes = rawLinearScratchBytes(columns) * 3;
          const scratch = { address: image.reserve(scratchBytes), byteLength: scratchBytes };
          const fields = {
            rows: image.words(slots),
            offsets: image.words(...offsets),
            experts,
            slotRows: gathered
              ? image.words(...Array.from({ length: slots }, () => Math.floor(next() * 9)))
              : 0,
            x: image.floats(slots * (columns + 1), () => next() - 0.5),
            xStride: columns + 1,
            weight: image.put(values),
            expertBytes,
            layout: layoutId({ type, packed: false }),
            outputs,
            columns,
            y: image.floats(slots * yStride, next),
            yStride,
            scratch: scratch.address,
          };
          const rows = Array.from({ length: slots }, (_, r) => ({
            address: fields.y + r * yStride * 4,
            byteLength: outputs * 4,
            type: 'f32' as const,
            absolute: 3e-6,
          }));
          checkOp(machine, THREADS, {
            image,
            kind: 'expertLinear',
            fields,
            outputs: rows,
            scratch,
            label: `${type} ${gathered ? 'gathered' : 'own slots'}`,
          });
        }
    });

    it('combineExperts', () => {
      for (const columns of [1, 42, 2050]) {
        const next = randomSource(columns);
        const image = new Image();
        const [rows, topK] = [4, 3];
        const stride = columns + 1;
        const fields = {
          rows: image.words(rows),
          topK,
          slotOf: image.words(...Array.from({ length: rows * topK }, (_, i) => (i * 7) % (rows * topK))),
          weights: image.floats(rows * topK, next),
          x: image.floats(rows * topK * stride, next),
          xStride: stride,
          y: image.floats(rows * stride, next),
          yStride: stride,
          columns,
        };
        const outputs = Array.from({ length: rows }, (_, r) => ({
          address: fields.y + r * stride * 4,
          byteLength: columns * 4,
          type: 'f32' as const,
          relative: 1e-6,
        }));
        checkOp(machine, THREADS, { image, kind: 'combineExperts', fields, outputs, label: `${columns}` });
      }
    });
  });
}
