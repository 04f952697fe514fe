// A plan with its place in the arena: memory for its values, and its records, which kernels read.
import type { Backend } from '../backends/backend.ts';
import { encodePlan, placeBuffers } from '../plan/encode.ts';
import type { Plan, RowSet } from '../plan/plan.ts';
import type { StepBlock } from './step-block.ts';

/** Memory that ops work in, shared by all plans of a runtime. */
export interface Scratch {
  readonly address: number;
  readonly byteLength: number;
}

export interface PlacedPlan {
  readonly plan: Plan;
  /** Addresses of the ops' records. */
  readonly records: readonly number[];
  /** Bytes of its values. */
  readonly byteLength: number;
  addressOf(buffer: number): number;
  /** Gives its memory back. */
  free(): void;
}

export const scratchBytesOf = (backend: Backend, plan: Plan): number =>
  plan.ops.reduce((max, op) => Math.max(max, backend.scratchBytes(op)), 0);

/** Allocates its values for `rows` and writes its records. Values in `kept` share their memory with no other. */
export function placePlan(
  backend: Backend,
  plan: Plan,
  rows: Readonly<Record<RowSet, number>>,
  where: { readonly step: StepBlock; readonly scratch: Scratch },
  kept?: ReadonlySet<number>,
): PlacedPlan {
  const { arena } = backend;
  const placement = placeBuffers(plan, (set) => rows[set], kept);
  const activations = arena.allocate(placement.byteLength, 'activations');
  const { words, starts } = encodePlan(plan, {
    step: where.step.address,
    stepLayout: where.step.layout,
    activations,
    placement,
    scratch: where.scratch.address,
    scratchBytes: where.scratch.byteLength,
  });
  let program: number;
  try {
    program = arena.allocate(words.byteLength, 'program');
  } catch (error) {
    arena.free(activations);
    throw error;
  }
  arena.views.u32.set(words, program >>> 2);
  return {
    plan,
    records: starts.map((start) => program + start * 4),
    byteLength: placement.byteLength,
    addressOf: (buffer) => activations + placement.offsets[buffer]!,
    free: () => {
      for (const address of [program, activations]) arena.free(address);
    },
  };
}
