// Which ops of a step are worth sharing between threads. An op that takes a few microseconds is left to
// whichever thread comes first; a step that is small altogether is left to thread 0, and the others are not
// woken.
import { PACKED_BASE } from '../../plan/layouts.ts';
import type { Operand, RecordedOp } from '../../plan/plan.ts';
import type { StepLoad } from '../backend.ts';

/** Flag of an op that one thread runs alone. */
export const SOLO = 1;

/** Rough nanoseconds on one thread: good enough to tell a microsecond from a hundred. */
const NS = {
  weightByte: 0.05,
  packedMac: 0.015,
  rawMac: 0.06,
  byte: 0.08,
  exponential: 0.6,
  positionMac: 0.05,
};
/** Below this, sharing costs more than it gains. */
const SOLO_NS = 5_000;
/** A whole step below this is run by one thread; the others are not even woken. */
const SOLO_STEP_NS = 60_000;

interface OpWork {
  readonly set: RecordedOp['set'];
  readonly fixed: number;
  readonly perRow: number;
  readonly perRowAndPosition: number;
}

export class Schedule {
  readonly #work: readonly OpWork[];

  constructor(ops: readonly RecordedOp[]) {
    this.#work = ops.map(workOf);
  }

  /** Writes each op's flags and returns whether the other threads are to be woken. */
  plan(start: number, end: number, load: StepLoad, flags: Uint8Array): boolean {
    let total = 0;
    for (let i = start; i < end; i++) {
      const elapsed = this.#estimate(this.#work[i]!, load);
      flags[i] = elapsed < SOLO_NS ? SOLO : 0;
      total += elapsed;
    }
    return total >= SOLO_STEP_NS;
  }

  #estimate(work: OpWork, load: StepLoad): number {
    const rows = load[work.set];
    return rows === 0 ? 0 : work.fixed + rows * (work.perRow + work.perRowAndPosition * load.depth);
  }
}

const field = (op: RecordedOp, name: string): Operand | undefined =>
  (op.fields as Record<string, Operand>)[name];

function workOf(op: RecordedOp): OpWork {
  const { cost } = op;
  const packed = Number(field(op, 'layout') ?? 0) >= PACKED_BASE;
  return {
    set: op.set,
    fixed: cost.weightBytes * NS.weightByte,
    perRow:
      cost.macsPerRow * (packed ? NS.packedMac : NS.rawMac) +
      cost.bytesPerRow * NS.byte +
      cost.exponentialsPerRow * NS.exponential,
    perRowAndPosition: cost.macsPerPosition * NS.positionMac,
  };
}
