// Conformance of encoders' ops: rows of tables, LayerNorm, activations without a gate, and attention of whole texts
// to themselves, several of them in a step.
import { after, before, describe, it } from 'node:test';
import { ACTIVATION_ID } from '../../src/plan/activation.ts';
import { attentionScratchBytes } from '../../src/plan/ops/scratch.ts';
import { BUILDS, checkOp, Image, KernelMachine, randomSource } from './harness.ts';

const THREADS = [1, 3];

const rowsOf = (address: number, stride: number, rows: number, columns: number, tolerance: object) =>
  Array.from({ length: rows }, (_, r) => ({
    address: address + r * stride * 4,
    byteLength: columns * 4,
    type: 'f32' as const,
    ...tolerance,
  }));

interface Shape {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headSize: number;
}

for (const build of BUILDS) {
  describe(`encoder kernels, ${build}`, () => {
    let machine: KernelMachine;
    before(async () => (machine = await KernelMachine.create(build, 3)));
    after(() => machine.close());

    it('addRows', () => {
      for (const columns of [1, 4, 7, 384]) {
        const next = randomSource(columns);
        const image = new Image();
        const yStride = columns + 3;
        const y = image.floats(5 * yStride, next);
        const fields = {
          rows: image.words(4),
          indices: image.words(0, 6, 2, 6),
          table: image.floats(7 * columns, next),
          columns,
          y,
          yStride,
        };
        const outputs = rowsOf(y, yStride, 4, columns, { relative: 1e-7 });
        checkOp(machine, THREADS, { image, kind: 'addRows', fields, outputs, label: `${columns}` });
      }
    });

    it('layerNorm: odd columns, with and without a bias, in place, far from zero', () => {
      for (const columns of [1, 3, 4, 7, 12, 36, 100, 768])
        for (const bias of [false, true])
          for (const centre of [0, 300]) {
            const next = randomSource(columns + centre);
            const image = new Image();
            const xStride = columns + 2;
            const x = image.floats(5 * xStride, () => centre + next() * 4 - 2);
            const isInPlace = columns % 2 === 1;
            const yStride = isInPlace ? xStride : columns + 1;
            const y = isInPlace ? x : image.floats(5 * yStride, next);
            const fields = {
              rows: image.words(5),
              x,
              xStride,
              y,
              yStride,
              weight: image.floats(columns, next),
              bias: bias ? image.floats(columns, next) : 0,
              columns,
              epsilon: 1e-5,
            };
            // A mean of 300 leaves 5 digits of the distances from it; one column's variance is all rounding.
            const tolerance = { absolute: centre ? 1e-3 : 3e-6, relative: 2e-6 };
            const outputs = rowsOf(y, yStride, 5, columns, tolerance);
            const label = `${columns} columns, centre ${centre}`;
            checkOp(machine, THREADS, { image, kind: 'layerNorm', fields, outputs, label });
          }
    });

    it('activate: every activation, over the whole range', () => {
      for (const activation of Object.values(ACTIVATION_ID))
        for (const columns of [1, 6, 8, 21, 2051]) {
          const next = randomSource(columns);
          const image = new Image();
          const stride = columns + 1;
          const x = image.floats(4 * stride, () => (next() - 0.5) * (next() < 0.2 ? 200 : 12));
          const y = columns % 2 ? x : image.floats(4 * stride, next);
          const fields = {
            rows: image.words(3),
            x,
            xStride: stride,
            y,
            yStride: stride,
            columns,
            activation,
          };
          // The reference's erf has an error of 1.2e-7, times x.
          const absolute = activation === ACTIVATION_ID.gelu ? 3e-6 : 1e-9;
          const outputs = rowsOf(y, stride, 3, columns, { absolute, relative: 1e-6 });
          checkOp(machine, THREADS, {
            image,
            kind: 'activate',
            fields,
            outputs,
            label: `${activation} ${columns}`,
          });
        }
    });

    const attend = ({ heads, kvHeads, headSize }: Shape, texts: readonly number[], reach = 0) => {
      const next = randomSource(heads + 3 * headSize + texts.length + reach);
      const image = new Image();
      const step = image.step(texts.map((rows) => ({ rows })));
      const rows = texts.reduce((sum, length) => sum + length, 0);
      const values = (columns: number, spare: number) => ({
        at: image.floats(rows * (columns + spare), () => next() * 4 - 2),
        stride: columns + spare,
      });
      // Strides of q, k, v that are multiples of four or not: rows need no alignment.
      const q = values(heads * headSize, 3);
      const k = values(kvHeads * headSize, texts.length % 2 ? 0 : 5);
      const v = values(kvHeads * headSize, 1);
      const y = values(heads * headSize, 2);
      const threads = Math.max(...THREADS);
      const byteLength = attentionScratchBytes({ heads, kvHeads, headSize }, threads, 0);
      const scratch = { address: image.reserve(byteLength), byteLength };
      const fields = {
        rows: step.rows,
        segments: step.segments,
        q: q.at,
        qStride: q.stride,
        k: k.at,
        kStride: k.stride,
        v: v.at,
        vStride: v.stride,
        y: y.at,
        yStride: y.stride,
        heads,
        kvHeads,
        headSize,
        scale: headSize ** -0.5,
        reach,
        scratch: scratch.address,
        threadBytes: byteLength / threads,
      };
      const outputs = rowsOf(y.at, y.stride, rows, heads * headSize, { absolute: 3e-6, relative: 1e-5 });
      const label = `${heads}/${kvHeads}×${headSize}, reach ${reach}, texts ${texts}`;
      checkOp(machine, THREADS, { image, kind: 'wholeAttention', fields, outputs, scratch, label });
    };

    it('wholeAttention: grouped heads, odd sizes, texts of several lengths', () => {
      for (const [heads, kvHeads, headSize] of [
        [1, 1, 7],
        [12, 12, 32],
        [4, 2, 64],
        [3, 3, 12],
        [6, 1, 24],
      ] as const)
        for (const texts of [[1], [5, 1, 0, 3], [63, 2], [64, 65], [130], [81, 17, 4]])
          attend({ heads, kvHeads, headSize }, texts);
    });

    it('wholeAttention: windows to both sides', () => {
      for (const reach of [1, 4, 64, 70])
        for (const texts of [[3, 1], [200], [64, 66, 5]])
          attend({ heads: 2, kvHeads: 1, headSize: 16 }, texts, reach);
    });

    it('wholeAttention: no rows', () => attend({ heads: 2, kvHeads: 2, headSize: 8 }, [0]));
  });
}
