// Conformance of routed feed-forwards: route, expertLinear over every kind of occupancy, combineExperts.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { ARENA_BASE } from '../../src/backends/wasm/load-kernels.ts';
import { byteLengthOf } from '../../src/formats/tensor-types.ts';
import type { TensorType } from '../../src/formats/types.ts';
import { viewsOf } from '../../src/memory/memory-views.ts';
import { layoutId } from '../../src/plan/layouts.ts';
import { routeWorkspace } from '../../src/plan/ops/experts.ts';
import { rawLinearScratchBytes } from '../../src/plan/ops/scratch.ts';
import { encodeOp, type OpFields } from '../../src/plan/ops.ts';
import { BUILDS, checkOp, Image, KernelMachine, randomSource } from './harness.ts';

const THREADS = [1, 3];

interface RouteShape extends Partial<OpFields<'route'>> {
  readonly experts: number;
  readonly topK: number;
  readonly rows: number;
  /** Largest bias for the choice; 0: none. */
  readonly bias?: number;
  logit(next: () => number): number;
}

function routeFields(image: Image, { bias = 0, logit, ...shape }: RouteShape): OpFields<'route'> {
  const { experts, topK, rows } = shape;
  const next = randomSource(experts + topK + rows);
  const stride = experts + 2;
  return {
    score: 0,
    choiceBias: bias ? image.floats(experts, () => (next() - 0.5) * bias) : 0,
    groupCount: 1,
    groupsUsed: 1,
    renormalize: 0,
    epsilon: 0,
    weightScale: 1,
    ...shape,
    rows: image.words(rows),
    x: image.floats(rows * stride, () => logit(next)),
    xStride: stride,
    workspace: image.reserve(routeWorkspace(experts) * 4),
    ids: image.reserve(rows * topK * 4),
    weights: image.reserve(rows * topK * 4),
    offsets: image.reserve((experts + 1) * 4),
    slotRows: image.reserve(rows * topK * 4),
    slotOf: image.reserve(rows * topK * 4),
  };
}

for (const build of BUILDS) {
  describe(`expert kernels, ${build}`, () => {
    let machine: KernelMachine;
    before(async () => (machine = await KernelMachine.create(build, 3)));
    after(() => machine.close());

    it('route by softmax: ties, renormalisation, all experts or one, no rows', () => {
      for (const [experts, topK] of [
        [1, 1],
        [3, 1],
        [4, 2],
        [16, 2],
        [7, 7],
        [130, 9],
      ] as const)
        for (const renormalize of [0, 1])
          for (const rows of [0, 1, 5, 60])
            checkRoute({ experts, topK, renormalize, rows, logit: (next) => Math.round(next() * 8) - 4 });
    });

    it('route by sigmoid: ties, divisors with and without an epsilon, a factor', () => {
      for (const [experts, topK] of [
        [1, 1],
        [6, 6],
        [32, 4],
        [129, 8],
      ] as const)
        for (const [renormalize, epsilon] of [
          [0, 0],
          [1, 1e-20],
          [1, 0.5],
        ] as const)
          for (const rows of [1, 7]) {
            const rule = { score: 1, renormalize, epsilon, weightScale: 2.5 };
            checkRoute({ experts, topK, rows, ...rule, logit: (next) => Math.round(next() * 8) - 4 });
          }
    });

    it('route: a bias for the choice alone, groups of any size', () => {
      for (const [experts, topK, groupCount, groupsUsed] of [
        [5, 2, 1, 1],
        [6, 2, 2, 1],
        [6, 3, 6, 4],
        [12, 4, 4, 4],
        [15, 4, 5, 2],
        [128, 6, 8, 4],
      ] as const)
        for (const score of [0, 1])
          for (const bias of [0, 3]) {
            const rule = { score, bias, groupCount, groupsUsed, renormalize: 1, epsilon: 1e-6 };
            checkRoute({ experts, topK, rows: 9, ...rule, logit: (next) => next() * 6 - 3 });
          }
    });

    it('route: logits that are no numbers still give legal experts', () => {
      for (const [score, groupCount] of [
        [0, 1],
        [1, 1],
        [1, 3],
      ] as const) {
        const image = new Image();
        const fields = routeFields(image, {
          experts: 6,
          topK: 2,
          rows: 2,
          score,
          groupCount,
          groupsUsed: 1,
          logit: () => Number.NaN,
        });
        const op = image.end;
        const { u8, u32 } = viewsOf(machine.memory.buffer);
        u8.set(image.bytes.subarray(ARENA_BASE, op), ARENA_BASE);
        encodeOp('route', fields, u32, op >>> 2);
        machine.run('route', op, 1);
        const ids = [...u32.subarray(fields.ids >>> 2, (fields.ids >>> 2) + 4)];
        assert.ok(
          ids.every((id) => id < 6),
          `expected experts below 6, found ${ids}`,
        );
      }
    });

    function checkRoute(shape: RouteShape): void {
      const image = new Image();
      const { experts, topK, rows } = shape;
      const fields = routeFields(image, shape);
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
      const scratch = { address: fields.workspace, byteLength: routeWorkspace(experts) * 4 };
      checkOp(machine, THREADS, {
        image,
        kind: 'route',
        fields,
        outputs,
        scratch,
        label: JSON.stringify(shape),
      });
    }

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
            threadBytes: rawLinearScratchBytes(columns),
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

    it('gateRows: odd widths, its own place or another', () => {
      for (const columns of [1, 42, 261])
        for (const inPlace of [true, false]) {
          const next = randomSource(columns);
          const image = new Image();
          const [rows, stride] = [5, columns + 3];
          const x = image.floats(rows * stride, () => next() - 0.5);
          const fields = {
            rows: image.words(rows),
            x,
            xStride: stride,
            gate: image.floats(rows * 2, () => next() * 20 - 10),
            gateStride: 2,
            y: inPlace ? x : image.floats(rows * stride, next),
            yStride: stride,
            columns,
          };
          const outputs = Array.from({ length: rows }, (_, r) => ({
            address: fields.y + r * stride * 4,
            byteLength: columns * 4,
            type: 'f32' as const,
            relative: 1e-6,
          }));
          checkOp(machine, THREADS, { image, kind: 'gateRows', fields, outputs, label: `${columns}` });
        }
    });

    it('combineExperts: added to a sum, or alone', () => {
      for (const [columns, accumulate] of [
        [1, 1],
        [42, 0],
        [42, 1],
        [2050, 0],
        [2050, 1],
      ] as const) {
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
          accumulate,
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
