// Who runs which op of a step. Sharing an op between threads costs a meeting (a microsecond or two when every thread has a
// core, far more when one has not), so ops that are smaller than that are left to thread 0, and a run of such ops needs no
// meeting in between. Products that read the same input and do not touch each other's output share one meeting too.
import { PACKED_BASE } from '../../plan/layouts.ts';
import type { Operand, RecordedOp } from '../../plan/plan.ts';
import type { StepLoad } from '../backend.ts';

export const SOLO = 1;
/** All threads meet after this op. */
export const MEET = 2;

/** Rough nanoseconds on one thread: good enough to tell a microsecond from a hundred. */
const NS = {
  weightByte: 0.05,
  packedMac: 0.015,
  rawMac: 0.06,
  byte: 0.08,
  exponential: 0.6,
  positionMac: 0.05,
};
/** Below this an op is not worth a meeting. */
const SOLO_NS = 5_000;
/** A whole step below this is run by one thread; the others are not even woken. */
const SOLO_STEP_NS = 60_000;

interface OpWork {
  readonly set: RecordedOp['set'];
  readonly fixed: number;
  readonly perRow: number;
  readonly perRowAndPosition: number;
  /** Needs no meeting before the next op, whoever runs them. */
  readonly joinsNext: boolean;
}

export class Schedule {
  readonly #work: readonly OpWork[];

  constructor(ops: readonly RecordedOp[]) {
    this.#work = ops.map((op, i) => ({ ...workOf(op), joinsNext: joins(op, ops[i + 1]) }));
  }

  /** Writes each op's flags and returns how many threads take part. */
  plan(start: number, end: number, load: StepLoad, threads: number, flags: Uint8Array): number {
    let total = 0;
    for (let i = start; i < end; i++) {
      const elapsed = this.#estimate(this.#work[i]!, load);
      flags[i] = elapsed < SOLO_NS ? SOLO : 0;
      total += elapsed;
    }
    if (threads === 1 || total < SOLO_STEP_NS) {
      flags.fill(SOLO, start, end);
      return 1;
    }
    for (let i = start; i < end; i++) {
      const solo = flags[i]! & SOLO;
      const last = i + 1 === end;
      const free =
        !last && (solo ? flags[i + 1]! & SOLO : !(flags[i + 1]! & SOLO) && this.#work[i]!.joinsNext);
      if (!free) flags[i] = flags[i]! | MEET;
    }
    return threads;
  }

  #estimate(work: OpWork, load: StepLoad): number {
    const rows = load[work.set];
    return rows === 0 ? 0 : work.fixed + rows * (work.perRow + work.perRowAndPosition * load.depth);
  }
}

const field = (op: RecordedOp, name: string): Operand | undefined =>
  (op.fields as Record<string, Operand>)[name];

function workOf(op: RecordedOp): Omit<OpWork, 'joinsNext'> {
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

/** Two products of one shape class (so that their scratch areas agree) that share no buffer except as inputs. */
function joins(op: RecordedOp, next: RecordedOp | undefined): boolean {
  if (op.kind !== 'linear' || next?.kind !== 'linear') return false;
  const alike = ['columns', 'layout'].every((name) => field(op, name) === field(next, name));
  const touches = (a: readonly number[], b: readonly number[]) => a.some((buffer) => b.includes(buffer));
  return (
    alike &&
    !touches(op.writes, next.reads) &&
    !touches(op.writes, next.writes) &&
    !touches(op.reads, next.writes)
  );
}
