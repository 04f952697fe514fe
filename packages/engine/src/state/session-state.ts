// The state of one session in the arena, as a value: it can be prepared for writing, advanced, copied and
// restored. It knows nothing of tokens or models.
//
// Copy-on-write: a forked or restored state refers to its source, a snapshot with the same contents. The
// recurrent part is copied to a block of the state's own only before it is advanced; the last holder of a
// snapshot takes over its block instead.
import type { Arena } from '../memory/arena.ts';
import { PAGE_SHIFT } from '../plan/cache-layout.ts';
import type { PagePool } from './page-pool.ts';
import type { RecurrentBlocks, RecurrentCopy } from './recurrent-blocks.ts';
import type { StateLayout } from './state-layout.ts';

/**
 * A session's state at one position; it never changes. Shares cache pages with sessions, copies the recurrent
 * part.
 */
export interface StateSnapshot {
  readonly position: number;
  /** Null before the first token: all zeros. */
  recurrent: RecurrentCopy | null;
  /** Per cache group, the page of every 64 positions; 0 for pages that a window has passed. */
  readonly pages: readonly (readonly number[])[];
  /** Number of references. At 0 its memory is freed. */
  holders: number;
}

/** The memory of a model's states. */
export interface StateMemory {
  readonly arena: Arena;
  readonly pages: PagePool;
  readonly recurrent: RecurrentBlocks;
}

interface PageTable {
  pages: number[];
  /** Address of the same numbers in the arena, for kernels. */
  address: number;
  capacity: number;
}

export class SessionState {
  readonly layout: StateLayout;
  readonly #memory: StateMemory;
  readonly #tables: PageTable[];
  #position = 0;
  /** The recurrent block to advance; null until one is needed. */
  #block: number | null = null;
  /**
   * A snapshot with the contents of this state, if there is one. It may have been freed since, unless it is
   * the source.
   */
  #snapshot: StateSnapshot | null = null;
  /** Whether that snapshot is the copy-on-write source: the state holds it, and the block is out of date. */
  #copyPending = false;

  /** The state before the first token. */
  constructor(layout: StateLayout, memory: StateMemory) {
    this.layout = layout;
    this.#memory = memory;
    this.#tables = layout.groups.map(() => ({ pages: [], address: 0, capacity: 0 }));
    this.#setSource(this.#empty());
  }

  /** A state whose block and pages the caller has allocated in the same memory and filled. */
  static of(
    layout: StateLayout,
    memory: StateMemory,
    contents: { position: number; block: number; pages: number[][] },
  ): SessionState {
    const state = new SessionState(layout, memory);
    state.#dropSource();
    state.#block = contents.block;
    state.#position = contents.position;
    contents.pages.forEach((list, g) => {
      state.#tables[g]!.pages = list;
      state.#publish(state.#tables[g]!, 0);
    });
    return state;
  }

  /** Whether both belong to the same loaded model, so that one can be restored from the other. */
  sharesMemoryWith(other: SessionState): boolean {
    return this.#memory === other.#memory;
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
    this.layout.groups.forEach((group, g) => {
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
    this.layout.groups.forEach((group, g) => {
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
  snapshot(): StateSnapshot {
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

  /** Restores what the snapshot recorded. The snapshot stays valid. */
  restore(snapshot: StateSnapshot): void {
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

  /** An independent state that continues from here. */
  fork(): SessionState {
    const fork = new SessionState(this.layout, this.#memory);
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
    if (--snapshot.holders > 0) return;
    if (snapshot.recurrent) this.#memory.recurrent.discard(snapshot.recurrent);
    this.#releaseAll(snapshot.pages);
  }

  /** Bytes of its own recurrent block (0 without one) and of its cache pages. */
  memory(): { recurrentBytes: number; ownPageBytes: number; sharedPageBytes: number } {
    let [ownPageBytes, sharedPageBytes] = [0, 0];
    this.layout.groups.forEach(({ pageBytes }, g) => {
      for (const page of this.pages(g)) {
        if (!page) continue;
        if (this.#memory.pages.isShared(page)) sharedPageBytes += pageBytes;
        else ownPageBytes += pageBytes;
      }
    });
    const recurrentBytes = this.#block === null ? 0 : this.#memory.recurrent.byteLength;
    return { recurrentBytes, ownPageBytes, sharedPageBytes };
  }

  /**
   * Addresses of the pages of group `g` in order; 0 for those that a window has passed. For saving and
   * inspection.
   */
  pages(g: number): readonly number[] {
    return this.#tables[g]!.pages;
  }

  /** See Arena. */
  get staysInPlace(): boolean {
    return this.#memory.arena.staysInPlace;
  }

  /** The bytes of a page of group `g`. A view: not valid after an allocation. */
  pageBytes(g: number, page: number): Uint8Array {
    return this.#memory.arena.views.u8.subarray(page, page + this.layout.groups[g]!.pageBytes);
  }

  dispose(): void {
    this.#dropSource();
    this.#releasePages();
    for (const table of this.#tables) if (table.address) this.#memory.arena.free(table.address);
    if (this.#block !== null) this.#memory.recurrent.giveBack(this.#block);
  }

  #empty(): StateSnapshot {
    return { position: 0, recurrent: null, pages: this.#tables.map(() => []), holders: 1 };
  }

  /** Takes the recurrent part from `snapshot`, of which this state already counts as a holder. */
  #setSource(snapshot: StateSnapshot): void {
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

  #retainPages(pages: StateSnapshot['pages']): void {
    for (const list of pages) for (const page of list) if (page) this.#memory.pages.retain(page);
  }

  #releaseAll(pages: StateSnapshot['pages']): void {
    for (const list of pages) for (const page of list) if (page) this.#memory.pages.release(page);
  }

  #releasePages(): void {
    this.#releaseAll(this.#tables.map((table) => table.pages));
    for (const table of this.#tables) table.pages = [];
  }

  /** Writes the table's entries into the arena, from index `first`. */
  #publish(table: PageTable, first: number): void {
    if (table.pages.length > table.capacity) {
      const capacity = Math.max(16, table.capacity * 2, table.pages.length);
      const address = this.#memory.arena.allocate(capacity * 4, 'page table');
      if (table.address) this.#memory.arena.free(table.address);
      table.address = address;
      table.capacity = capacity;
      first = 0;
    }
    this.#memory.arena.views.u32.set(table.pages.slice(first), (table.address >>> 2) + first);
  }
}
