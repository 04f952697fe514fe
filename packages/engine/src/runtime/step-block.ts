// The step block in the arena (layout: plan/step.ts), and what is written into it before a plan is replayed.
import type { Arena } from '../memory/arena.ts';
import { SEGMENT, SEGMENT_WORDS, type StepLayout, stepLayout } from '../plan/step.ts';
import type { SessionState } from '../state/session-state.ts';

/** Sessions in one replay. */
export const MAX_SEGMENTS = 64;
/** Rows in one replay of the head. */
export const MAX_LOGIT_ROWS = 32;

/** A run of rows of one session. */
export interface SegmentRows {
  readonly state: SessionState;
  readonly rowStart: number;
  readonly rowCount: number;
  /** Ops leave the recurrent state as it is. */
  readonly held: boolean;
}

/** The step block of one arena, which says where its part of each state lies. */
export class StepBlock {
  readonly layout: StepLayout;
  readonly address: number;
  readonly #arena: Arena;
  /** The arena's number. */
  readonly #index: number;

  constructor(arena: Arena, index: number, maxRows: number) {
    this.#arena = arena;
    this.#index = index;
    this.layout = stepLayout(maxRows, MAX_SEGMENTS, MAX_LOGIT_ROWS);
    this.address = arena.allocate(this.layout.byteLength, 'step data');
  }

  /** The states must be prepared for their rows. `rows`: one more than the last row of any segment. */
  writeSegments(segments: readonly SegmentRows[], rows: number, slots: number): void {
    const { u32 } = this.#arena.views;
    segments.forEach(({ state, rowStart, rowCount, held }, s) => {
      const at = this.#word(this.layout.segments) + s * SEGMENT_WORDS;
      u32[at + SEGMENT.rowStart] = rowStart;
      u32[at + SEGMENT.rowCount] = rowCount;
      const part = state.parts[this.#index]!;
      u32[at + SEGMENT.position] = state.position;
      u32[at + SEGMENT.recurrent] = part.recurrent;
      u32[at + SEGMENT.held] = held ? 1 : 0;
      u32.set(part.tableAddresses, at + SEGMENT.pageTables);
      for (let i = 0; i < rowCount; i++) {
        u32[this.#word(this.layout.rowSegment) + rowStart + i] = s;
        u32[this.#word(this.layout.positions) + rowStart + i] = state.position + i;
      }
    });
    u32[this.#word(this.layout.rows)] = rows;
    u32[this.#word(this.layout.slots)] = slots;
    u32[this.#word(this.layout.segmentCount)] = segments.length;
  }

  writeTokens(tokens: readonly number[], rowStart: number): void {
    this.#arena.views.u32.set(tokens, this.#word(this.layout.tokens) + rowStart);
  }

  /** Token types of `count` rows; zeros where none are given. */
  writeTypes(types: readonly number[] | undefined, rowStart: number, count: number): void {
    const { u32 } = this.#arena.views;
    const at = this.#word(this.layout.types) + rowStart;
    if (types) u32.set(types, at);
    else u32.fill(0, at, at + count);
  }

  /** The rows that the next run of the head takes. */
  writeLogitRows(rows: readonly number[]): void {
    const { u32 } = this.#arena.views;
    u32[this.#word(this.layout.logitRows)] = rows.length;
    u32.set(rows, this.#word(this.layout.logitIndices));
  }

  #word(byteOffset: number): number {
    return (this.address + byteOffset) >>> 2;
  }
}
