// Drafts: tokens whose results are wanted before it is known how many of them are right. A pass with drafts goes
// through a plan of its own, in which the ops that carry state leave it as it is (SEGMENT.held), and what they read
// outlives the pass. The rows that turn out right are then taken in by running those ops again on it: convolutions
// and scans, no product with a weight. So a draft needs neither a copy of the state nor a second pass, and what is
// taken in has the bits of reading it (the same ops on the same values).
//
// Keys and values of a draft lie in the cache already; going back is a matter of the position.
import type { Plan, RecordedOp, RowSet } from '../plan/plan.ts';
import type { SessionState } from '../state/session-state.ts';
import { type BufferPlace, type PlacedPlan, placePlan, type Workplace } from './placed-plan.ts';

/** Rows of a pass with drafts, at most: what the ops read is kept for this many. */
export const DRAFT_ROWS = 32;

/** A draft that waits for its answer. */
interface HeldDraft {
  readonly position: number;
  rowStart: number;
  readonly rowCount: number;
  /** What the ops read, moved out of the way of another draft; null while it lies where they read it. */
  moved: Uint8Array | null;
}

const carriesState = (op: RecordedOp): boolean => op.cost.stateBytes > 0;

export class Drafts {
  readonly placed: PlacedPlan;
  /** The ops that carry state, as indices of the plan's ops. */
  readonly stateOps: readonly number[];
  readonly #workplaces: readonly Workplace[];
  /** What the ops that carry state read, unless another of them has just written it. */
  readonly #kept: readonly (BufferPlace & { readonly rowBytes: number })[];
  readonly #held = new Map<SessionState, HeldDraft>();

  /** `plan` was recorded with `keepStateInputs`. */
  constructor(plan: Plan, rows: Readonly<Record<RowSet, number>>, workplaces: readonly Workplace[]) {
    this.#workplaces = workplaces;
    const stateful = plan.ops.filter(carriesState);
    const written = new Set(stateful.flatMap((op) => op.writes));
    const kept = new Set(stateful.flatMap((op) => op.reads).filter((buffer) => !written.has(buffer)));
    this.stateOps = plan.ops.flatMap((op, i) => (carriesState(op) ? [i] : []));
    this.placed = placePlan(plan, rows, workplaces, kept);
    this.#kept = [...kept].map((buffer) => ({
      ...this.placed.placeOf(buffer),
      rowBytes: plan.buffers[buffer]!.byteLength(1),
    }));
  }

  /** Bytes of the plan's values, and of drafts that were moved out of the way. */
  get byteLength(): number {
    const moved = [...this.#held.values()].reduce((sum, draft) => sum + (draft.moved?.byteLength ?? 0), 0);
    return this.placed.byteLength + moved;
  }

  /** To be called before a pass with drafts: its rows take the place of those of earlier ones. */
  makeRoom(): void {
    for (const draft of this.#held.values()) draft.moved ??= this.#copyOut(draft);
  }

  /** The pass that has just run held these rows of the state. */
  hold(state: SessionState, rowStart: number, rowCount: number): void {
    this.#held.set(state, { position: state.position, rowStart, rowCount, moved: null });
  }

  /** The state's draft, if it has one, is not going to be decided on. */
  forget(state: SessionState): void {
    this.#held.delete(state);
  }

  /**
   * Takes in the first `count` rows of the state's draft and forgets it. `run` runs the ops that carry state, with
   * the step as written.
   */
  async accept(state: SessionState, count: number, run: () => Promise<void>): Promise<void> {
    const draft = this.#held.get(state);
    this.#held.delete(state);
    if (!draft || draft.position !== state.position || count > draft.rowCount)
      throw new Error(`drafts: expected a draft of ${count} tokens or more at position ${state.position}`);
    if (count === 0) return;
    if (draft.moved) {
      this.makeRoom();
      this.#copyIn(draft, draft.moved);
    }
    state.prepare(count);
    const { rowStart } = draft;
    for (const { step } of this.#workplaces)
      step.writeSegments([{ state, rowStart, rowCount: count, held: false }], rowStart + count, 0);
    if (this.stateOps.length) await run();
    state.advance(count);
  }

  #copyOut({ rowStart, rowCount }: HeldDraft): Uint8Array {
    const out = new Uint8Array(this.#kept.reduce((sum, { rowBytes }) => sum + rowBytes, 0) * rowCount);
    let at = 0;
    for (const { arena, address, rowBytes } of this.#kept) {
      const start = address + rowStart * rowBytes;
      out.set(arena.views.u8.subarray(start, start + rowCount * rowBytes), at);
      at += rowCount * rowBytes;
    }
    return out;
  }

  #copyIn(draft: HeldDraft, moved: Uint8Array): void {
    draft.rowStart = 0;
    let at = 0;
    for (const { arena, address, rowBytes } of this.#kept) {
      arena.views.u8.set(moved.subarray(at, at + draft.rowCount * rowBytes), address);
      at += draft.rowCount * rowBytes;
    }
  }
}
