// Drafts: an op that carries state gives the results of reading the rows and leaves the state as it was. Run
// again on the first of the rows, it takes in just those.
import assert from 'node:assert/strict';
import { encodeOp, type OpFields, type OpKind } from '../../src/plan/ops.ts';
import { SEGMENT, SEGMENT_WORDS } from '../../src/plan/step.ts';
import { assertSameNumbers, firstDifference } from '../same-numbers.ts';
import type { Image, KernelMachine } from './harness.ts';

export interface StateCase<K extends OpKind> {
  readonly image: Image;
  readonly fields: OpFields<K>;
  /** One address per segment. */
  readonly states: readonly number[];
  /** Floats of each state. */
  readonly stateLength: number;
}

/** `lengths`: rows of each segment. The op must not write over what it reads. */
export function checkHeld<K extends OpKind>(
  machine: KernelMachine,
  kind: K,
  { image, fields, states, stateLength }: StateCase<K>,
  lengths: readonly number[],
): void {
  const { segments, y, yStride } = fields as Record<'segments' | 'y' | 'yStride', number>;
  const op = Math.ceil(image.end / 64) * 64;
  const words = new Uint32Array(machine.memory.buffer);
  const rows = lengths.reduce((sum, n) => sum + n, 0);
  const reset = () => {
    new Uint8Array(machine.memory.buffer).set(image.bytes.subarray(65_536, op), 65_536);
    encodeOp(kind, fields, words, op >>> 2);
  };
  const run = (threads: number, held: boolean, counts: readonly number[]) => {
    counts.forEach((count, s) => {
      words[(segments >>> 2) + s * SEGMENT_WORDS + SEGMENT.rowCount] = count;
      words[(segments >>> 2) + s * SEGMENT_WORDS + SEGMENT.held] = held ? 1 : 0;
    });
    machine.run(kind, op, threads);
  };
  const state = () => states.flatMap((at) => [...words.slice(at >>> 2, (at >>> 2) + stateLength)]);
  const results = () => words.slice(y >>> 2, (y >>> 2) + rows * yStride);
  const fewer = lengths.map((n) => Math.ceil(n / 2));
  reset();
  const before = state();
  run(1, false, lengths);
  const read = { state: state(), results: results() };
  assert.ok(firstDifference(read.state, before) >= 0);
  reset();
  run(1, false, fewer);
  const half = state();
  for (const threads of [1, 3]) {
    const label = `${kind}, ${machine.build}, ${threads} threads, rows ${lengths}`;
    reset();
    run(threads, true, lengths);
    assertSameNumbers(state(), before, `${label}: the state moved`);
    assertSameNumbers(results(), read.results, `${label}: other results`);
    run(threads, false, fewer);
    assertSameNumbers(state(), half, `${label}: taking in half of the rows`);
    assert.ok(firstDifference(half, read.state) >= 0);
  }
}
