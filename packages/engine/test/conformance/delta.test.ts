// Conformance of gated DeltaNet's scan, and the partition test: any cut of a sequence into steps gives the
// same outputs and the same state, bit for bit.
import { after, before, describe, it } from 'node:test';
import { deltaScanBackwardScratchBytes, deltaScanScratchBytes } from '../../src/plan/ops/scratch.ts';
import { encodeOp, type OpFields } from '../../src/plan/ops.ts';
import { assertSameNumbers } from '../same-numbers.ts';
import { BUILDS, checkOp, Image, KernelMachine, randomSource } from './harness.ts';
import { checkHeld } from './held.ts';

type Fields = OpFields<'deltaScan'>;

interface Shape {
  readonly keyHeads: number;
  readonly valueHeads: number;
  readonly keySize: number;
  readonly valueSize: number;
}

interface Case {
  readonly image: Image;
  readonly fields: Fields;
  /** One address per segment. */
  readonly states: readonly number[];
  readonly stateLength: number;
}

const MAX_THREADS = 3;
const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

function scanCase(shape: Shape, lengths: readonly number[], seed: number): Case {
  const { keyHeads, valueHeads, keySize, valueSize } = shape;
  const next = randomSource(seed);
  const value = () => next() * 2 - 1;
  const image = new Image();
  const rows = sum(lengths);
  const stateLength = valueHeads * valueSize * keySize;
  const states = lengths.map(() => image.floats(stateLength, value));
  const step = image.step(lengths.map((length, s) => ({ rows: length, recurrent: states[s]! - 64 })));
  const keys = keyHeads * keySize;
  const values = valueHeads * valueSize;
  const qkvStride = 2 * keys + values + 3;
  const qkv = image.floats(rows * qkvStride, value);
  const fields: Fields = {
    rows: step.rows,
    segments: step.segments,
    q: qkv,
    k: qkv + keys * 4,
    v: qkv + 2 * keys * 4,
    qkvStride,
    b: image.floats(rows * (valueHeads + 1), () => next() * 8 - 4),
    bStride: valueHeads + 1,
    dt: image.floats(rows * (valueHeads + 2), () => next() * 8 - 6),
    dtStride: valueHeads + 2,
    dtBias: image.floats(valueHeads, value),
    a: image.floats(valueHeads, () => -Math.exp(next() * 3 - 2)),
    keyHeads,
    valueHeads,
    keySize,
    valueSize,
    tiled: seed % 2,
    epsilon: 1e-6,
    y: image.floats(rows * (values + 5), value),
    yStride: values + 5,
    stateOffset: 64,
    scratch: image.reserve(deltaScanScratchBytes(keySize) * MAX_THREADS),
    threadBytes: deltaScanScratchBytes(keySize),
  };
  return { image, fields, states, stateLength };
}

function check(machine: KernelMachine, threads: readonly number[], scan: Case, label: string): void {
  const { image, fields, states, stateLength } = scan;
  const { valueHeads, valueSize, keySize, y, yStride } = fields;
  const rows = new Uint32Array(image.bytes.buffer)[fields.rows >>> 2]!;
  const floats = (address: number, length: number) => ({
    address,
    byteLength: length * 4,
    type: 'f32' as const,
    relative: 1e-5,
    absolute: 5e-6,
  });
  checkOp(machine, threads, {
    image,
    kind: 'deltaScan',
    fields,
    outputs: [
      ...Array.from({ length: rows }, (_, r) => floats(y + r * yStride * 4, valueHeads * valueSize)),
      ...states.map((address) => floats(address, stateLength)),
    ],
    scratch: { address: fields.scratch, byteLength: deltaScanScratchBytes(keySize) * MAX_THREADS },
    label,
  });
}

function checkBackward(machine: KernelMachine, shape: Shape, lengths: readonly number[], seed: number): void {
  const { image, fields } = scanCase(shape, lengths, seed);
  const { keyHeads, valueHeads, keySize, valueSize } = shape;
  const next = randomSource(seed + 1);
  const value = () => next() * 2 - 1;
  const rows = sum(lengths);
  const threadBytes = deltaScanBackwardScratchBytes(Math.max(...lengths), keySize);
  const scratch = {
    address: image.reserve(threadBytes * MAX_THREADS),
    byteLength: threadBytes * MAX_THREADS,
  };
  const matrix = (columns: number) => image.floats(rows * (columns + 3), value);
  const keys = keyHeads * keySize;
  const values = valueHeads * valueSize;
  const dqkv = matrix(2 * keys + values);
  const { q, k, v, qkvStride, b, bStride, dt, dtStride, dtBias, a, tiled, epsilon } = fields;
  const backward = {
    ...{
      rows: fields.rows,
      segments: fields.segments,
      q,
      k,
      v,
      qkvStride,
      b,
      bStride,
      dt,
      dtStride,
      dtBias,
      a,
    },
    ...{ keyHeads, valueHeads, keySize, valueSize, tiled, epsilon },
    ...{ dy: matrix(values), dyStride: values + 3 },
    ...{ dq: dqkv, dk: dqkv + keys * 4, dv: dqkv + 2 * keys * 4, dqkvStride: 2 * keys + values + 3 },
    ...{
      db: matrix(valueHeads),
      dbStride: valueHeads + 3,
      ddt: matrix(valueHeads),
      ddtStride: valueHeads + 3,
    },
    ...{ dALog: image.floats(valueHeads, value), dDtBias: image.floats(valueHeads, value) },
    ...{ scratch: scratch.address, threadBytes },
  };
  const floats = (address: number, stride: number, columns: number, count = rows) =>
    Array.from({ length: count }, (_, r) => ({
      address: address + r * stride * 4,
      byteLength: columns * 4,
      type: 'f32' as const,
      relative: 2e-5,
      absolute: 2e-5,
    }));
  checkOp(machine, [1, MAX_THREADS], {
    image,
    kind: 'deltaScanBackward',
    fields: backward,
    outputs: [
      ...floats(dqkv, backward.dqkvStride, 2 * keys + values),
      ...floats(backward.db, backward.dbStride, valueHeads),
      ...floats(backward.ddt, backward.ddtStride, valueHeads),
      ...floats(backward.dALog, 0, valueHeads, 1),
      ...floats(backward.dDtBias, 0, valueHeads, 1),
    ],
    scratch,
    label: `${JSON.stringify(shape)}, rows ${lengths}`,
  });
}

/** Runs the rows of the case's one segment in several steps; returns all outputs and the state, as bits. */
function runCut(machine: KernelMachine, scan: Case, cuts: readonly number[], threads: number): Uint32Array {
  const { image, fields, states, stateLength } = scan;
  const op = Math.ceil(image.end / 64) * 64;
  new Uint8Array(machine.memory.buffer).set(image.bytes.subarray(65_536, op), 65_536);
  const words = new Uint32Array(machine.memory.buffer);
  encodeOp('deltaScan', fields, words, op >>> 2);
  let start = 0;
  for (const rows of cuts) {
    words[fields.rows >>> 2] = rows;
    words[fields.segments >>> 2] = start;
    words[(fields.segments >>> 2) + 1] = rows;
    machine.run('deltaScan', op, threads);
    start += rows;
  }
  const slice = (address: number, length: number) => words.slice(address >>> 2, (address >>> 2) + length);
  return Uint32Array.of(...slice(fields.y, start * fields.yStride), ...slice(states[0]!, stateLength));
}

const SHAPES: readonly Shape[] = [
  { keyHeads: 1, valueHeads: 1, keySize: 1, valueSize: 1 },
  { keyHeads: 2, valueHeads: 2, keySize: 4, valueSize: 4 },
  { keyHeads: 2, valueHeads: 4, keySize: 16, valueSize: 16 },
  { keyHeads: 2, valueHeads: 6, keySize: 13, valueSize: 7 },
  { keyHeads: 3, valueHeads: 6, keySize: 22, valueSize: 35 },
  { keyHeads: 1, valueHeads: 3, keySize: 128, valueSize: 70 },
];
const LENGTHS = [[0], [1], [2, 1], [3, 0, 6, 1], [33]];

for (const build of BUILDS) {
  describe(`gated DeltaNet kernels, ${build}`, () => {
    let machine: KernelMachine;
    before(async () => (machine = await KernelMachine.create(build, MAX_THREADS)));
    after(() => machine.close());

    it('deltaScan: odd sizes, several value heads per key head in both orders, several segments', () => {
      SHAPES.forEach((shape, n) => {
        LENGTHS.forEach((lengths, i) => {
          const scan = scanCase(shape, lengths, n + i);
          check(machine, [1, MAX_THREADS], scan, `${JSON.stringify(shape)}, rows ${lengths}`);
        });
      });
    });

    it('deltaScan: the result may lie over the values', () => {
      const scan = scanCase({ keyHeads: 2, valueHeads: 4, keySize: 10, valueSize: 37 }, [4, 9], 3);
      const fields = { ...scan.fields, y: scan.fields.v, yStride: scan.fields.qkvStride };
      check(machine, [1, MAX_THREADS], { ...scan, fields }, 'in place');
    });

    it('deltaScan: zero keys, saturated gates and steps that forget everything stay finite', () => {
      const scan = scanCase({ keyHeads: 1, valueHeads: 2, keySize: 9, valueSize: 5 }, [24], 4);
      const { image, fields } = scan;
      const floats = (address: number, length: number) =>
        new Float32Array(image.bytes.buffer, address, length);
      floats(fields.k + 3 * fields.qkvStride * 4, 9).fill(0);
      const b = floats(fields.b, 24 * fields.bStride);
      b.set(Array.from(b, (_, i) => [-200, 200, 0, 30][i % 4]!));
      const dt = floats(fields.dt, 24 * fields.dtStride);
      dt.set(Array.from(dt, (_, i) => [-200, -88, -30, 0, 21, 90, 1e4][i % 7]!));
      check(machine, [2], scan, 'extremes');
    });

    it('drafts leave the state as it is, and give what reading gives', () => {
      for (const [i, lengths] of [[2], [13, 5], [40]].entries())
        for (const shape of SHAPES) checkHeld(machine, 'deltaScan', scanCase(shape, lengths, i), lengths);
    });

    it('deltaScanBackward: odd sizes, segments of one row and of more than a chunk of states', () => {
      SHAPES.forEach((shape, n) => {
        [[0], [1], [3, 0, 17, 1], [130, 2, 64]].forEach((lengths, i) => {
          if (n < 5 || i < 3) checkBackward(machine, shape, lengths, n + i);
        });
      });
    });

    it('any cut of a sequence, by any number of threads, gives the same bits', () => {
      for (let seed = 0; seed < 12; seed++) {
        const next = randomSource(seed + 77);
        const upTo = (most: number) => 1 + Math.floor(next() * most);
        const keyHeads = upTo(3);
        const shape = { keyHeads, valueHeads: keyHeads * upTo(3), keySize: upTo(40), valueSize: upTo(70) };
        const cuts: number[] = [];
        for (let left = 23; left > 0; left -= cuts.at(-1)!) cuts.push(Math.min(left, upTo(7)));
        const scan = scanCase(shape, [23], seed);
        const whole = runCut(machine, scan, [23], 1);
        for (const threads of [1, MAX_THREADS])
          assertSameNumbers(runCut(machine, scan, cuts, threads), whole, `${JSON.stringify(shape)}, ${cuts}`);
      }
    });
  });
}
