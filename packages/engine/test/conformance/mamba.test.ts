// Conformance of the Mamba kernels (causalConv, selectiveScan, ssdScan), and the partition test: any cut of a sequence
// into steps, in any company, gives the same outputs and the same state.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { ACTIVATION_ID } from '../../src/plan/activation.ts';
import { scanScratchBytes, ssdScratchBytes } from '../../src/plan/ops/scratch.ts';
import { encodeOp, type OpFields, opOf, wordsOf } from '../../src/plan/ops.ts';
import { assertSameNumbers } from '../same-numbers.ts';
import { BUILDS, checkOp, Image, KernelMachine, randomSource } from './harness.ts';
import { checkHeld } from './held.ts';

const THREADS = [1, 3];
const rowsOf = (
  address: number,
  rows: number,
  stride: number,
  columns: number,
  relative: number,
  absolute: number,
) =>
  Array.from({ length: rows }, (_, r) => ({
    address: address + r * stride * 4,
    byteLength: columns * 4,
    type: 'f32' as const,
    relative,
    absolute,
  }));
const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

type StateOp = 'causalConv' | 'selectiveScan' | 'ssdScan';

interface Case<K extends StateOp> {
  readonly image: Image;
  readonly fields: OpFields<K>;
  readonly states: readonly number[];
  readonly stateLength: number;
}

function convCase(
  channels: number,
  width: number,
  lengths: readonly number[],
  seed: number,
  { bias = true, activates = true } = {},
): Case<'causalConv'> {
  const next = randomSource(seed);
  const value = () => next() * 2 - 1;
  const image = new Image();
  const rows = sum(lengths);
  const stateLength = (width - 1) * channels;
  const states = lengths.map(() => image.floats(stateLength + 3, value));
  const step = image.step(lengths.map((length, s) => ({ rows: length, recurrent: states[s]! - 128 })));
  const xStride = channels * 2 + 1;
  const yStride = channels + 3;
  const fields = {
    rows: step.rows,
    segments: step.segments,
    x: image.floats(rows * xStride, value),
    xStride,
    y: image.floats(rows * yStride, value),
    yStride,
    weight: image.floats(width * channels, value),
    bias: bias ? image.floats(channels, value) : 0,
    channels,
    width,
    activation: ACTIVATION_ID[activates ? 'silu' : 'none'],
    stateOffset: 128,
  };
  return { image, fields, states, stateLength };
}

function scanCase(
  channels: number,
  states: number,
  lengths: readonly number[],
  seed: number,
): Case<'selectiveScan'> {
  const next = randomSource(seed);
  const value = () => next() * 2 - 1;
  const image = new Image();
  const rows = sum(lengths);
  const stateLength = Math.ceil(channels / 4) * states * 4;
  const padded = (make: () => number) =>
    Float32Array.from({ length: stateLength }, (_, i) =>
      Math.floor(i / (states * 4)) * 4 + (i & 3) < channels ? make() : 0,
    );
  const addresses = lengths.map(() => image.put(padded(value)));
  const step = image.step(lengths.map((length, s) => ({ rows: length, recurrent: addresses[s]! - 64 })));
  const buffer = (extra: number, make = value) => image.floats(rows * (channels + extra), make);
  const bcStride = 2 * states + 5;
  const bc = image.floats(rows * bcStride, value);
  const fields = {
    rows: step.rows,
    segments: step.segments,
    u: buffer(2),
    uStride: channels + 2,
    dt: buffer(1, () => next() * 12 - 8),
    dtStride: channels + 1,
    dtBias: seed % 2 ? image.floats(channels, value) : 0,
    b: bc,
    c: bc + states * 4,
    bcStride,
    z: buffer(3, () => next() * 10 - 5),
    zStride: channels + 3,
    a: image.put(padded(() => -Math.exp(next() * 4 - 1))),
    d: image.floats(channels, value),
    y: buffer(4),
    yStride: channels + 4,
    channels,
    states,
    stateOffset: 64,
    scratch: image.reserve(scanScratchBytes(states) * 3),
    threadBytes: scanScratchBytes(states),
  };
  return { image, fields, states: addresses, stateLength };
}

const scratchOf = ({ scratch, states }: OpFields<'selectiveScan'>) => ({
  address: scratch,
  byteLength: scanScratchBytes(states) * 3,
});

/** Widths, each with SiLU and without, except the longest. */
const WIDTHS = [
  ...[2, 3, 4, 5].flatMap((width) => [[width, true] as const, [width, false] as const]),
  [8, false] as const,
];

interface SsdSizes {
  readonly heads: number;
  readonly headSize: number;
  readonly groups: number;
  readonly states: number;
}

function ssdCase(sizes: SsdSizes, lengths: readonly number[], seed: number): Case<'ssdScan'> {
  const { heads, headSize, groups, states } = sizes;
  const next = randomSource(seed);
  const value = () => next() * 2 - 1;
  const image = new Image();
  const rows = sum(lengths);
  const channels = heads * headSize;
  const stateLength = channels * states;
  const addresses = lengths.map(() => image.floats(stateLength, value));
  const step = image.step(lengths.map((length, s) => ({ rows: length, recurrent: addresses[s]! - 64 })));
  // x, b and c lie side by side, as the convolution leaves them.
  const stride = channels + 2 * groups * states + 3;
  const x = image.floats(rows * stride, value);
  const fields = {
    rows: step.rows,
    segments: step.segments,
    x,
    xStride: stride,
    dt: image.floats(rows * (heads + 2), () => next() * 12 - 8),
    dtStride: heads + 2,
    dtBias: image.floats(heads, value),
    b: x + channels * 4,
    c: x + (channels + groups * states) * 4,
    bcStride: stride,
    a: image.floats(heads, () => -Math.exp(next() * 4 - 1)),
    d: image.floats(heads, value),
    y: image.floats(rows * (channels + 5), value),
    yStride: channels + 5,
    ...sizes,
    leastStep: seed % 3 ? 0 : 0.01,
    mostStep: seed % 3 ? Number.POSITIVE_INFINITY : 0.7,
    stateOffset: 64,
    scratch: image.reserve(ssdScratchBytes(states) * 3),
    threadBytes: ssdScratchBytes(states),
  };
  return { image, fields, states: addresses, stateLength };
}

const LENGTHS = [[0], [1], [2, 1], [3, 0, 5, 1], [33]];

for (const build of BUILDS) {
  describe(`Mamba kernels, ${build}`, () => {
    let machine: KernelMachine;
    before(async () => (machine = await KernelMachine.create(build, 3)));
    after(() => machine.close());

    it('causalConv: widths, odd channels, several segments, segments shorter than the width', () => {
      for (const channels of [1, 3, 4, 42, 70, 129])
        for (const [width, activates] of WIDTHS)
          for (const [i, lengths] of LENGTHS.entries()) {
            const { image, fields, states, stateLength } = convCase(
              channels,
              width,
              lengths,
              channels + width + i,
              { bias: i % 2 === 0, activates },
            );
            const outputs = [
              ...rowsOf(fields.y, sum(lengths), fields.yStride, channels, 1e-6, 1e-6),
              ...states.map((address) => ({ address, byteLength: stateLength * 4, type: 'u32' as const })),
            ];
            checkOp(machine, THREADS, {
              image,
              kind: 'causalConv',
              fields,
              outputs,
              label: `${channels} channels, width ${width}, activation ${activates}, rows ${lengths}`,
            });
          }
    });

    it('selectiveScan: odd channels and states, several segments', () => {
      for (const channels of [1, 3, 4, 7, 42, 70, 302])
        for (const states of [1, 4, 16, 20])
          for (const [i, lengths] of LENGTHS.entries()) {
            const {
              image,
              fields: apart,
              states: addresses,
              stateLength,
            } = scanCase(channels, states, lengths, channels + states + i);
            // Plans that keep no values have the result written over the input.
            const fields = (channels + i) % 2 ? { ...apart, y: apart.u, yStride: apart.uStride } : apart;
            const outputs = [
              ...rowsOf(fields.y, sum(lengths), fields.yStride, channels, 1e-5, 1e-5),
              ...addresses.map((address) => ({
                address,
                byteLength: stateLength * 4,
                type: 'f32' as const,
                relative: 3e-6,
                absolute: 3e-6,
              })),
            ];
            checkOp(machine, THREADS, {
              image,
              kind: 'selectiveScan',
              fields,
              outputs,
              scratch: scratchOf(fields),
              label: `${channels} channels, ${states} states, rows ${lengths}`,
            });
          }
    });

    it('selectiveScan: extreme steps neither overflow nor leave the range', () => {
      const { image, fields, states, stateLength } = scanCase(9, 4, [40], 5);
      const dt = new Float32Array(image.bytes.buffer, fields.dt, 40 * fields.dtStride);
      dt.set(Array.from(dt, (_, i) => [-200, -88, -30, 0, 21, 90, 1e4][i % 7]!));
      const outputs = [
        ...rowsOf(fields.y, 40, fields.yStride, 9, 1e-5, 1e-4),
        ...states.map((address) => ({
          address,
          byteLength: stateLength * 4,
          type: 'f32' as const,
          relative: 1e-5,
          absolute: 1e-4,
        })),
      ];
      const scratch = scratchOf(fields);
      checkOp(machine, [2], { image, kind: 'selectiveScan', fields, outputs, scratch, label: 'extremes' });
    });

    it('ssdScan: odd heads, groups and states, several segments', () => {
      for (const [heads, headSize, groups] of [
        [1, 1, 1],
        [2, 3, 1],
        [3, 16, 3],
        [6, 7, 2],
        [4, 26, 1],
        [10, 12, 5],
      ] as const)
        for (const states of [1, 4, 7, 8, 13, 24, 40])
          for (const [i, lengths] of LENGTHS.entries()) {
            const sizes = { heads, headSize, groups, states };
            const seed = heads + states + i;
            const { image, fields: apart, states: addresses, stateLength } = ssdCase(sizes, lengths, seed);
            const fields = seed % 2 ? { ...apart, y: apart.x, yStride: apart.xStride } : apart;
            const outputs = [
              ...rowsOf(fields.y, sum(lengths), fields.yStride, heads * headSize, 1e-5, 1e-5),
              ...addresses.map((address) => ({
                address,
                byteLength: stateLength * 4,
                type: 'f32' as const,
                relative: 3e-6,
                absolute: 3e-6,
              })),
            ];
            checkOp(machine, THREADS, {
              image,
              kind: 'ssdScan',
              fields,
              outputs,
              scratch: { address: fields.scratch, byteLength: ssdScratchBytes(fields.states) * 3 },
              label: `${heads} heads of ${headSize}, ${groups} groups, ${states} states, rows ${lengths}`,
            });
          }
    });

    it('ssdScan: extreme steps neither overflow nor leave the range', () => {
      const { image, fields, states, stateLength } = ssdCase(
        { heads: 3, headSize: 5, groups: 1, states: 6 },
        [40],
        5,
      );
      const dt = new Float32Array(image.bytes.buffer, fields.dt, 40 * fields.dtStride);
      dt.set(Array.from(dt, (_, i) => [-200, -88, -30, 0, 21, 90, 1e4][i % 7]!));
      const near = { type: 'f32' as const, relative: 1e-5, absolute: 1e-4 };
      const outputs = [
        ...rowsOf(fields.y, 40, fields.yStride, 15, 1e-5, 1e-4),
        ...states.map((address) => ({ address, byteLength: stateLength * 4, ...near })),
      ];
      const scratch = { address: fields.scratch, byteLength: ssdScratchBytes(fields.states) * 3 };
      checkOp(machine, [2], { image, kind: 'ssdScan', fields, outputs, scratch, label: 'extremes' });
    });

    it('drafts leave the state as it is, and give what reading gives', () => {
      for (const [i, lengths] of [[2], [13, 5], [40]].entries()) {
        for (const [width, activates] of WIDTHS)
          checkHeld(machine, 'causalConv', convCase(21, width, lengths, i, { activates }), lengths);
        for (const channels of [3, 42, 302])
          checkHeld(machine, 'selectiveScan', scanCase(channels, 5 + i, lengths, i), lengths);
        for (const headSize of [3, 26, 70])
          checkHeld(
            machine,
            'ssdScan',
            ssdCase({ heads: 4, headSize, groups: 2, states: 13 }, lengths, i),
            lengths,
          );
      }
    });

    it('any cut of a sequence gives the same outputs and state', () => {
      for (let seed = 0; seed < 18; seed++) {
        const next = randomSource(seed + 77);
        const channels = 1 + Math.floor(next() * 40);
        const length = 23;
        const cuts: number[] = [];
        for (let left = length; left > 0; ) {
          const part = Math.min(left, 1 + Math.floor(next() * 6));
          cuts.push(part);
          left -= part;
        }
        const [width, activates] = WIDTHS[seed % WIDTHS.length]!;
        const conv = convCase(channels, width, [length], seed, { activates });
        assertSameNumbers(
          runCut(machine, 'causalConv', conv, cuts),
          runCut(machine, 'causalConv', conv, [length]),
          `conv of width ${width}, cuts ${cuts}`,
        );
        const scan = scanCase(channels, 1 + (seed % 20), [length], seed);
        assertSameNumbers(
          runCut(machine, 'selectiveScan', scan, cuts),
          runCut(machine, 'selectiveScan', scan, [length]),
          `scan, cuts ${cuts}`,
        );
        const groups = 1 + (seed % 3);
        const sizes = {
          heads: groups * (1 + (seed % 2)),
          headSize: 1 + Math.floor(next() * 40),
          groups,
          states: 1 + Math.floor(next() * 40),
        };
        const ssd = ssdCase(sizes, [length], seed);
        for (const threads of [1, 2, 3])
          assertSameNumbers(
            runCut(machine, 'ssdScan', ssd, cuts, threads),
            runCut(machine, 'ssdScan', ssd, [length]),
            `ssd, cuts ${cuts}, ${threads} threads`,
          );
      }
    });
  });
}

/**
 * Runs the rows of the case's one segment in several steps; returns all outputs and the final state, as bits.
 */
function runCut<K extends StateOp>(
  machine: KernelMachine,
  kind: K,
  { image, fields, states, stateLength }: Case<K>,
  cuts: readonly number[],
  threads = 2,
): Uint32Array {
  const op = Math.ceil(image.end / 64) * 64;
  const memory = new Uint8Array(machine.memory.buffer);
  memory.set(image.bytes.subarray(65_536, op), 65_536);
  const words = new Uint32Array(machine.memory.buffer);
  encodeOp(kind, fields, words, op >>> 2);
  const { rows: rowsAt, segments, y: yAt, yStride } = fields as OpFields<StateOp>;
  assert.ok(op + wordsOf(opOf(kind)) * 4 < memory.byteLength);
  let start = 0;
  for (const rows of cuts) {
    words[rowsAt >>> 2] = rows;
    words[segments >>> 2] = start;
    words[(segments >>> 2) + 1] = rows;
    machine.run(kind, op, threads);
    start += rows;
  }
  const y = words.slice(yAt >>> 2, (yAt >>> 2) + start * yStride);
  const state = words.slice(states[0]! >>> 2, (states[0]! >>> 2) + stateLength);
  return Uint32Array.of(...y, ...state);
}
