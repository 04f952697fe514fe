// The state of one session, as a value: it can be prepared for writing, advanced, copied and restored. Each arena
// of the model holds the part of its layers; all parts are at the same position.
import type { Arena } from '../memory/arena.ts';
import { PAGE_TOKENS } from '../plan/cache-layout.ts';
import { type ArenaMemory, type ArenaSnapshot, ArenaState, type PageRange } from './arena-state.ts';
import { PagePool } from './page-pool.ts';
import { RecurrentBlocks } from './recurrent-blocks.ts';
import type { StateLayout } from './state-layout.ts';

/** A session's state at one position, by arena; it never changes. */
export type StateSnapshot = readonly ArenaSnapshot[];

/** The memory of a model's states. */
export class StateMemory {
  readonly layout: StateLayout;
  readonly arenas: readonly ArenaMemory[];

  constructor(layout: StateLayout, arenas: readonly Arena[]) {
    this.layout = layout;
    this.arenas = layout.arenas.map((part, a) => {
      const arena = arenas[a]!;
      const recurrent = new RecurrentBlocks(arena, part.recurrentBytes);
      return { layout: part, arena, pages: new PagePool(arena), recurrent };
    });
  }

  /** Prepares blocks for sessions to come; see RecurrentBlocks. */
  prepare(): void {
    for (const { recurrent } of this.arenas) recurrent.prepare();
  }

  /** Whether views of states stay valid when memory grows. */
  get staysInPlace(): boolean {
    return this.arenas.every(({ arena }) => arena.staysInPlace);
  }

  /** The arena that a view lies in, if it is one of these. */
  arenaOf({ buffer }: Uint8Array): Arena | undefined {
    return this.arenas.find(({ arena }) => arena.memory.buffer === buffer)?.arena;
  }
}

export class SessionState {
  /** By arena. */
  readonly parts: readonly ArenaState[];
  readonly #memory: StateMemory;

  /** The state before the first token, or one of these parts. */
  constructor(memory: StateMemory, parts = memory.arenas.map((part) => new ArenaState(part))) {
    this.#memory = memory;
    this.parts = parts;
  }

  /** A state at `position` with a page range for each cache group; the caller fills its `contents`. */
  static unfilled(memory: StateMemory, position: number, ranges: readonly PageRange[]): SessionState {
    const unfilled = (arena: ArenaMemory) => ArenaState.unfilled(arena, position, ranges);
    return new SessionState(
      memory,
      allOrNone(memory.arenas, unfilled, (part) => part.dispose()),
    );
  }

  get layout(): StateLayout {
    return this.#memory.layout;
  }

  /** Whether both belong to the same loaded model, so that one can be restored from the other. */
  sharesMemoryWith(other: SessionState): boolean {
    return this.#memory === other.#memory;
  }

  /** Tokens that this state has consumed. */
  get position(): number {
    return this.parts[0]!.position;
  }

  /** Makes room for `count` more positions. Where memory is short, the state is as it was. */
  prepare(count: number): void {
    for (const part of this.parts) part.prepare(count);
  }

  /** Counts `count` positions as consumed and releases pages that no window reaches any more. */
  advance(count: number): void {
    for (const part of this.parts) part.advance(count);
  }

  /** Returns to the state before the first token. */
  reset(): void {
    for (const part of this.parts) part.reset();
  }

  /**
   * Copies the recurrent part, unless nothing has changed since the last snapshot. The caller must `discard`
   * it.
   */
  snapshot(): StateSnapshot {
    return allOrNone(
      this.parts,
      (part) => part.snapshot(),
      (snapshot, a) => this.parts[a]!.discard(snapshot),
    );
  }

  /** Restores what the snapshot recorded, which stays valid. Where memory is short, the state is as it was. */
  restore(snapshot: StateSnapshot): void {
    this.parts.forEach((part, a) => {
      part.reserve(snapshot[a]!);
    });
    this.parts.forEach((part, a) => {
      part.restore(snapshot[a]!);
    });
  }

  /** An independent state that continues from here. */
  fork(): SessionState {
    const fork = new SessionState(this.#memory);
    const here = this.snapshot();
    try {
      fork.restore(here);
      return fork;
    } catch (error) {
      fork.dispose();
      throw error;
    } finally {
      this.discard(here);
    }
  }

  /** Releases a snapshot; the caller must not use it again. */
  discard(snapshot: StateSnapshot): void {
    this.parts.forEach((part, a) => {
      part.discard(snapshot[a]!);
    });
  }

  /** Bytes of its own recurrent blocks (0 without one) and of its cache pages. */
  memory(): { recurrentBytes: number; ownPageBytes: number; sharedPageBytes: number } {
    const sum = { recurrentBytes: 0, ownPageBytes: 0, sharedPageBytes: 0 };
    for (const part of this.parts) {
      const { recurrentBytes, ownPageBytes, sharedPageBytes } = part.memory();
      sum.recurrentBytes += recurrentBytes;
      sum.ownPageBytes += ownPageBytes;
      sum.sharedPageBytes += sharedPageBytes;
    }
    return sum;
  }

  /**
   * Views of what a saved session has, in its order, which no cut changes: recurrent blocks, then the pages of
   * each group, from those of `firstPages` on. Not valid after an allocation where memory may move.
   */
  contents(firstPages: readonly number[]): Uint8Array[] {
    const views = this.parts.map((part) => part.recurrentBytes);
    const end = Math.ceil(this.position / PAGE_TOKENS);
    for (const [g, first] of firstPages.entries())
      for (let i = first; i < end; i++) views.push(...this.parts.map((part) => part.pageBytes(g, i)));
    return views.filter(({ byteLength }) => byteLength > 0);
  }

  dispose(): void {
    for (const part of this.parts) part.dispose();
  }
}

/** What `make` gives for each; when it fails for one, `undo` takes back what was made before. */
function allOrNone<T, U>(
  list: readonly T[],
  make: (item: T) => U,
  undo: (made: U, index: number) => void,
): U[] {
  const made: U[] = [];
  try {
    for (const item of list) made.push(make(item));
    return made;
  } catch (error) {
    made.forEach(undo);
    throw error;
  }
}
