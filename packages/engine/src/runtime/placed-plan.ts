// A plan with its place in the arenas: memory for its values, and its records, which kernels read.
import type { Backend } from '../backends/backend.ts';
import type { Arena } from '../memory/arena.ts';
import { encodeOps, placeBuffers } from '../plan/encode.ts';
import { type Plan, type PlanPart, partsOfPlan, type RowSet } from '../plan/plan.ts';
import { StepBlock } from './step-block.ts';

const ALIGNMENT = 64;

/** What all plans of a runtime share in one arena. */
export class Workplace {
  readonly arena: Arena;
  readonly step: StepBlock;
  /** Memory that ops work in. */
  readonly scratch: number;
  readonly scratchBytes: number;

  /** With scratch for the ops of `plan` in arena number `index`. */
  constructor(backend: Backend, plan: Plan, index: number) {
    this.arena = backend.arenas[index]!;
    this.step = new StepBlock(this.arena, index, backend.maxRows);
    const bytes = opsIn(plan, index).map((i) => backend.scratchBytes(plan.ops[i]!));
    this.scratchBytes = Math.max(0, ...bytes);
    this.scratch = this.arena.allocate(this.scratchBytes + ALIGNMENT, 'scratch');
  }
}

/** Where a buffer lies. */
export interface BufferPlace {
  readonly arena: Arena;
  readonly address: number;
}

export interface PlacedPlan {
  readonly plan: Plan;
  readonly parts: readonly PlanPart[];
  /** Of each op, its record's address in its arena, and that arena's number. */
  readonly records: readonly number[];
  readonly arenas: readonly number[];
  /** Bytes of its values. */
  readonly byteLength: number;
  placeOf(buffer: number): BufferPlace;
  /** Gives its memory back. */
  free(): void;
}

/** Allocates its values for `rows` and writes its records. Values in `kept` share their memory with no other. */
export function placePlan(
  plan: Plan,
  rows: Readonly<Record<RowSet, number>>,
  workplaces: readonly Workplace[],
  kept?: ReadonlySet<number>,
): PlacedPlan {
  const records = new Array<number>(plan.ops.length).fill(0);
  const taken: { readonly arena: Arena; readonly address: number }[] = [];
  const free = () => {
    for (const { arena, address } of taken) arena.free(address);
  };
  const allocate = (arena: Arena, bytes: number, what: string) => {
    const address = arena.allocate(bytes, what);
    taken.push({ arena, address });
    return address;
  };
  const placeIn = ({ arena, step, scratch, scratchBytes }: Workplace, index: number) => {
    const placement = placeBuffers(plan, (set) => rows[set], kept, index);
    const activations = allocate(arena, placement.byteLength, 'activations');
    const own = opsIn(plan, index);
    const { words, starts } = encodeOps(
      own.map((i) => plan.ops[i]!),
      { step: step.address, stepLayout: step.layout, activations, placement, scratch, scratchBytes },
    );
    const program = allocate(arena, words.byteLength, 'program');
    arena.views.u32.set(words, program >>> 2);
    for (const [i, op] of own.entries()) records[op] = program + starts[i]! * 4;
    return { arena, activations, placement };
  };
  try {
    const places = workplaces.map(placeIn);
    const parts = partsOfPlan(plan);
    return {
      plan,
      parts,
      records,
      arenas: parts.flatMap(({ arena, start, end }) => new Array<number>(end - start).fill(arena)),
      byteLength: places.reduce((sum, { placement }) => sum + placement.byteLength, 0),
      placeOf(buffer) {
        const { arena, activations, placement } = places[plan.buffers[buffer]!.arena]!;
        return { arena, address: activations + placement.offsets[buffer]! };
      },
      free,
    };
  } catch (error) {
    free();
    throw error;
  }
}

/** The ops that work in an arena, as indices of the plan's. */
const opsIn = (plan: Plan, index: number): number[] =>
  partsOfPlan(plan).flatMap(({ arena, start, end }) =>
    arena === index ? Array.from({ length: end - start }, (_, i) => start + i) : [],
  );
