// Conformance of the backward of Mamba-2's scan, with the op that adds up its partial sums.
import { after, before, describe, it } from 'node:test';
import { ssdBackwardScratchBytes } from '../../src/plan/ops/scratch.ts';
import { BUILDS, checkOp, Image, KernelMachine, type Output, randomSource } from './harness.ts';

const THREADS = [1, 3];
const LENGTHS = [[0], [1], [2, 1], [3, 0, 5, 1], [33]];
const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

interface Sizes {
  readonly heads: number;
  readonly headSize: number;
  readonly groups: number;
  readonly parts: number;
  readonly states: number;
}

function backwardCase(sizes: Sizes, lengths: readonly number[], seed: number) {
  const { heads, headSize, groups, parts, states } = sizes;
  const next = randomSource(seed);
  const value = () => next() * 2 - 1;
  const image = new Image();
  const rows = sum(lengths);
  const channels = heads * headSize;
  const padded = (states + 3) & ~3;
  const step = image.step(lengths.map((length) => ({ rows: length })));
  const stride = channels + 2 * groups * states + 1;
  const x = image.floats(rows * stride, value);
  const threadBytes = ssdBackwardScratchBytes(Math.max(...lengths), headSize, states);
  const fields = {
    rows: step.rows,
    segments: step.segments,
    x,
    xStride: stride,
    dt: image.floats(rows * (heads + 1), () => next() * 6 - 4),
    dtStride: heads + 1,
    dtBias: image.floats(heads, value),
    b: x + channels * 4,
    c: x + (channels + groups * states) * 4,
    bcStride: stride,
    a: image.floats(heads, () => -Math.exp(next() * 4 - 3)),
    d: image.floats(heads, value),
    ...sizes,
    leastStep: seed % 3 ? 0 : 0.1,
    mostStep: seed % 3 ? Number.POSITIVE_INFINITY : 0.9,
    dy: image.floats(rows * (channels + 2), value),
    dyStride: channels + 2,
    dx: image.floats(rows * (channels + 3), value),
    dxStride: channels + 3,
    ddt: image.floats(rows * (heads + 4), value),
    ddtStride: heads + 4,
    dALog: image.floats(heads, value),
    dD: image.floats(heads, value),
    dDtBias: image.floats(heads, value),
    partials: image.floats(groups * parts * rows * 2 * padded, value),
    scratch: image.reserve(threadBytes * 3),
    threadBytes,
  };
  const near = { type: 'f32', relative: 2e-5, absolute: 3e-5 } as const;
  const rowsOf = (address: number, stride: number, columns: number): Output[] =>
    Array.from({ length: rows }, (_, r) => ({
      address: address + r * stride * 4,
      byteLength: columns * 4,
      ...near,
    }));
  const outputs: Output[] = [
    ...rowsOf(fields.dx, fields.dxStride, channels),
    ...rowsOf(fields.ddt, fields.ddtStride, heads),
    ...[fields.dALog, fields.dD, fields.dDtBias].map((address) => ({
      address,
      byteLength: heads * 4,
      ...near,
      absolute: 2e-4,
    })),
    { address: fields.partials, byteLength: groups * parts * rows * 2 * padded * 4, ...near },
  ];
  return { image, fields, outputs, scratch: { address: fields.scratch, byteLength: threadBytes * 3 } };
}

for (const build of BUILDS) {
  describe(`Mamba-2 backward kernels, ${build}`, () => {
    let machine: KernelMachine;
    before(async () => (machine = await KernelMachine.create(build, 3)));
    after(() => machine.close());

    it('ssdScanBackward: odd heads, groups, parts and states, several segments', () => {
      for (const [heads, headSize, groups, parts] of [
        [1, 1, 1, 1],
        [3, 5, 1, 2],
        [4, 16, 2, 2],
        [6, 7, 2, 1],
        [10, 12, 5, 2],
      ] as const)
        for (const states of [1, 4, 7, 8, 13, 24])
          for (const [i, lengths] of LENGTHS.entries())
            checkOp(machine, THREADS, {
              ...backwardCase({ heads, headSize, groups, parts, states }, lengths, heads + states + i),
              kind: 'ssdScanBackward',
              label: `${heads} heads of ${headSize}, ${groups} groups of ${parts} parts, ${states} states, rows ${lengths}`,
            });
    });

    it('scanReduce: several sets of columns', () => {
      for (const sets of [1, 3])
        for (const states of [1, 4, 7, 16]) {
          const next = randomSource(states);
          const image = new Image();
          const rows = 5;
          const groups = 3;
          const bcStride = sets * states + 2;
          const { rows: count } = image.step([{ rows }]);
          const length = sets * groups * rows * 2 * ((states + 3) & ~3);
          const fields = {
            rows: count,
            partials: image.floats(length, next),
            sets,
            groups,
            states,
            db: image.floats(rows * bcStride, next),
            dc: image.floats(rows * bcStride, next),
            bcStride,
          };
          const outputs = [fields.db, fields.dc].flatMap((address) =>
            Array.from({ length: rows }, (_, r) => ({
              address: address + r * bcStride * 4,
              byteLength: sets * states * 4,
              type: 'f32' as const,
              relative: 1e-6,
            })),
          );
          checkOp(machine, THREADS, {
            image,
            kind: 'scanReduce',
            fields,
            outputs,
            label: `${sets} sets of ${states}`,
          });
        }
    });
  });
}
