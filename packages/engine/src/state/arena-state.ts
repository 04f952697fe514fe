// What one arena holds of a session's state, as a value: it can be prepared for writing, advanced, copied and
// restored. It knows nothing of tokens, models or other arenas.
//
// Copy-on-write: a forked or restored state refers to its source, a snapshot with the same contents. The
// recurrent part is copied to a block of the state's own only before it is advanced; the last holder of a
// snapshot takes over its block instead.
import type { Arena } from '../memory/arena.ts';
import { PAGE_SHIFT } from '../plan/cache-layout.ts';
import type { PagePool } from './page-pool.ts';
import type { RecurrentBlocks, RecurrentCopy } from './recurrent-blocks.ts';
import type { ArenaLayout } from './state-layout.ts';

/**
 * An arena's part of a state at one position; it never changes. Shares cache pages with sessions, copies the
 * recurrent part.
 */
export interface ArenaSnapshot {
  readonly position: number;
  /** Null before the first token: all zeros. */
  recurrent: RecurrentCopy | null;
  /** Per cache group, the page of every 64 positions; 0 for pages that a window has passed. */
  readonly pages: readonly (readonly number[])[];
  /** Number of references. At 0 its memory is freed. */
  holders: number;
}

/** The memory of states in one arena. */
export interface ArenaMemory {
  readonly layout: ArenaLayout;
  readonly arena: Arena;
  readonly pages: PagePool;
  readonly recurrent: RecurrentBlocks;
}

/** Pages of a group that a state has: from `first` on, `count` of them. */
export interface PageRange {
  readonly first: number;
  readonly count: number;
}

interface PageTable {
  pages: number[];
  /** Address of the same numbers in the arena, for kernels. */
  address: number;
  capacity: number;
}

export class ArenaState {
  readonly #memory: ArenaMemory;
  readonly #tables: PageTable[];
  #position = 0;
  /** The recurrent block to advance; null until one is needed. */
  #block: number | null = null;
  /**
   * A snapshot with the contents of this state, if there is one. It may have been freed since, unless it is
   * the source.
   */
  #snapshot: ArenaSnapshot | null = null;
  /** Whether that snapshot is the copy-on-write source: the state holds it, and the block is out of date. */
  #copyPending = false;

  /** The state before the first token. */
  constructor(memory: ArenaMemory) {
    this.#memory = memory;
    this.#tables = memory.layout.groups.map(() => ({ pages: [], address: 0, capacity: 0 }));
    this.#setSource(this.#empty());
  }

  /** A state at `position` with a page range for each cache group; the caller fills block and pages. */
  static unfilled(memory: ArenaMemory, position: number, ranges: readonly PageRange[]): ArenaState {
    const state = new ArenaState(memory);
    try {
      state.#dropSource();
      state.#block = memory.recurrent.take();
      state.#position = position;
      for (const [g, { first, count }] of ranges.entries()) {
        const table = state.#tables[g]!;
        const { pageBytes } = memory.layout.groups[g]!;
        table.pages = new Array<number>(first).fill(0);
        for (let i = 0; i < count; i++) table.pages.push(memory.pages.allocateUncleared(pageBytes));
        state.#publish(table, 0);
      }
      return state;
    } catch (error) {
      state.dispose();
      throw error;
    }
  }

  /** Tokens that this state has consumed. */
  get position(): number {
    return this.#position;
  }

  /** Address of the recurrent block. Only after `prepare`. */
  get recurrent(): number {
    if (this.#block === null || this.#copyPending) throw new Error('state: read before prepare()');
    return this.#block;
  }

  /** The recurrent part, read-only. A view: not valid after an allocation. */
  get recurrentBytes(): Uint8Array {
    const { recurrent } = this.#memory;
    if (!this.#copyPending) return recurrent.bytesAt(this.recurrent);
    const copy = this.#snapshot?.recurrent;
    return copy ? recurrent.bytesOf(copy) : new Uint8Array(recurrent.byteLength);
  }

  /** Address of each cache group's page table. */
  get tableAddresses(): number[] {
    return this.#tables.map((table) => table.address);
  }

  /**
   * Makes room for `count` more positions: allocates block and pages, and copies what is shared and will be
   * written.
   */
  prepare(count: number): void {
    this.#copySource();
    this.#snapshot = null;
    const first = this.#position >> PAGE_SHIFT;
    const last = (this.#position + count - 1) >> PAGE_SHIFT;
    this.#memory.layout.groups.forEach((group, g) => {
      const table = this.#tables[g]!;
      for (let i = first; i <= last; i++) {
        const page = table.pages[i];
        table.pages[i] = page
          ? this.#memory.pages.writable(page, group.pageBytes)
          : this.#memory.pages.allocate(group.pageBytes);
      }
      this.#publish(table, first);
    });
  }

  /** Counts `count` positions as consumed and releases pages that no window reaches any more. */
  advance(count: number): void {
    this.#position += count;
    this.#memory.layout.groups.forEach((group, g) => {
      if (group.window === null) return;
      const table = this.#tables[g]!;
      const oldest = Math.max(0, this.#position - group.window + 1) >> PAGE_SHIFT;
      for (let i = oldest - 1; i >= 0 && table.pages[i]; i--) {
        this.#memory.pages.release(table.pages[i]!);
        table.pages[i] = 0;
      }
    });
  }

  /** Returns to the state before the first token. */
  reset(): void {
    this.#releasePages();
    this.#position = 0;
    this.#setSource(this.#empty());
  }

  /**
   * Copies the recurrent part, unless nothing has changed since the last snapshot. The caller must `discard`
   * it.
   */
  snapshot(): ArenaSnapshot {
    if (this.#snapshot && this.#snapshot.holders > 0) {
      this.#snapshot.holders++;
      return this.#snapshot;
    }
    const snapshot = {
      position: this.#position,
      recurrent: this.#memory.recurrent.copyOf(this.recurrent),
      pages: this.#tables.map((table) => [...table.pages]),
      holders: 1,
    };
    this.#retainPages(snapshot.pages);
    this.#snapshot = snapshot;
    return snapshot;
  }

  /** Makes room for a page table as long as the snapshot's: then restoring it needs no memory. */
  reserve(snapshot: ArenaSnapshot): void {
    this.#tables.forEach((table, g) => {
      this.#publish(table, 0, snapshot.pages[g]!.length);
    });
  }

  /** Restores what the snapshot recorded. The snapshot stays valid. */
  restore(snapshot: ArenaSnapshot): void {
    this.#retainPages(snapshot.pages);
    this.#releasePages();
    this.#tables.forEach((table, g) => {
      table.pages = [...snapshot.pages[g]!];
    });
    for (const table of this.#tables) this.#publish(table, 0);
    this.#position = snapshot.position;
    snapshot.holders++;
    this.#setSource(snapshot);
  }

  /** Releases a snapshot; the caller must not use it again. */
  discard(snapshot: ArenaSnapshot): void {
    if (--snapshot.holders > 0) return;
    if (snapshot.recurrent) this.#memory.recurrent.discard(snapshot.recurrent);
    this.#releaseAll(snapshot.pages);
  }

  /** Bytes of its own recurrent block (0 without one) and of its cache pages. */
  memory(): { recurrentBytes: number; ownPageBytes: number; sharedPageBytes: number } {
    let [ownPageBytes, sharedPageBytes] = [0, 0];
    this.#memory.layout.groups.forEach(({ pageBytes }, g) => {
      for (const page of this.pages(g)) {
        if (!page) continue;
        if (this.#memory.pages.isShared(page)) sharedPageBytes += pageBytes;
        else ownPageBytes += pageBytes;
      }
    });
    const recurrentBytes = this.#block === null ? 0 : this.#memory.recurrent.byteLength;
    return { recurrentBytes, ownPageBytes, sharedPageBytes };
  }

  /** Addresses of the pages of group `g` in order; 0 for those that a window has passed. */
  pages(g: number): readonly number[] {
    return this.#tables[g]!.pages;
  }

  /** The bytes of page `i` of group `g`. A view: not valid after an allocation. */
  pageBytes(g: number, i: number): Uint8Array {
    const page = this.#tables[g]!.pages[i]!;
    return this.#memory.arena.views.u8.subarray(page, page + this.#memory.layout.groups[g]!.pageBytes);
  }

  dispose(): void {
    this.#dropSource();
    this.#releasePages();
    for (const table of this.#tables) if (table.address) this.#memory.arena.free(table.address);
    if (this.#block !== null) this.#memory.recurrent.giveBack(this.#block);
  }

  #empty(): ArenaSnapshot {
    return { position: 0, recurrent: null, pages: this.#tables.map(() => []), holders: 1 };
  }

  /** Takes the recurrent part from `snapshot`, of which this state already counts as a holder. */
  #setSource(snapshot: ArenaSnapshot): void {
    this.#dropSource();
    this.#snapshot = snapshot;
    this.#copyPending = true;
  }

  #dropSource(): void {
    if (this.#copyPending) this.discard(this.#snapshot!);
    this.#copyPending = false;
    this.#snapshot = null;
  }

  /** Copies the source's recurrent part into the state's own block, or takes over its block. */
  #copySource(): void {
    if (!this.#copyPending) return;
    const { recurrent } = this.#memory;
    const snapshot = this.#snapshot!;
    const copy = snapshot.recurrent;
    const block = copy && snapshot.holders === 1 ? recurrent.takeOver(copy) : null;
    if (block !== null) {
      if (this.#block !== null) recurrent.giveBack(this.#block);
      this.#block = block;
      snapshot.recurrent = null;
    } else {
      this.#block ??= recurrent.take();
      if (copy) recurrent.bytesAt(this.#block).set(recurrent.bytesOf(copy));
      else recurrent.bytesAt(this.#block).fill(0);
    }
    this.#dropSource();
  }

  #retainPages(pages: ArenaSnapshot['pages']): void {
    for (const list of pages) for (const page of list) if (page) this.#memory.pages.retain(page);
  }

  #releaseAll(pages: ArenaSnapshot['pages']): void {
    for (const list of pages) for (const page of list) if (page) this.#memory.pages.release(page);
  }

  #releasePages(): void {
    this.#releaseAll(this.#tables.map((table) => table.pages));
    for (const table of this.#tables) table.pages = [];
  }

  /** Writes the table's entries into the arena, from index `first`, where `length` entries have room. */
  #publish(table: PageTable, first: number, length = table.pages.length): void {
    if (length > table.capacity) {
      const capacity = Math.max(16, table.capacity * 2, length);
      const address = this.#memory.arena.allocate(capacity * 4, 'page table');
      if (table.address) this.#memory.arena.free(table.address);
      table.address = address;
      table.capacity = capacity;
      first = 0;
    }
    this.#memory.arena.views.u32.set(table.pages.slice(first), (table.address >>> 2) + first);
  }
}
