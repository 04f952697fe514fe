// The state of one session in the arena, as a value: it can be prepared for writing, advanced, copied and put back. Knows
// nothing of tokens or models.
//
// A state that was forked or put back refers to the snapshot that it equals, and has its recurrent part written to a block of its own when
// it is about to be advanced: the snapshot's own block when nobody else needs that any more.
import type { Arena } from '../memory/arena.ts';
import { PAGE_SHIFT } from '../plan/cache-layout.ts';
import type { PagePool } from './page-pool.ts';
import type { RecurrentBlocks, RecurrentCopy } from './recurrent-blocks.ts';
import type { StateLayout } from './state-layout.ts';

/** A session's state at one position, unchanging. Cache pages are shared with sessions, the recurrent part is copied. */
export interface StateSnapshot {
  readonly position: number;
  /** Null before the first token, where it is all zeros. */
  recurrent: RecurrentCopy | null;
  /** For each cache group, the page of every 64 positions; 0 where a window has passed. */
  readonly pages: readonly (readonly number[])[];
  /** How many refer to it. Without any, its memory is given back. */
  holders: number;
}

/** Where states have their memory. */
export interface StateMemory {
  readonly arena: Arena;
  readonly pages: PagePool;
  readonly recurrent: RecurrentBlocks;
}

interface PageTable {
  pages: number[];
  /** The same numbers in the arena, where kernels look them up. */
  address: number;
  capacity: number;
}

export class SessionState {
  readonly layout: StateLayout;
  readonly #memory: StateMemory;
  readonly #tables: PageTable[];
  #position = 0;
  /** The block to advance, once there is one. */
  #block: number | null = null;
  /** A snapshot that equals this state, if there is one. It may have been given back since. */
  #equal: StateSnapshot | null = null;
  /** Whether the recurrent part is the snapshot's, not yet the block's. The state is one of its holders then. */
  #behind = false;

  /** The state before the first token. */
  constructor(layout: StateLayout, memory: StateMemory) {
    this.layout = layout;
    this.#memory = memory;
    this.#tables = layout.groups.map(() => ({ pages: [], address: 0, capacity: 0 }));
    this.#follow(this.#beginning());
  }

  /** A state from elsewhere: the caller has filled the block and the pages, which were allocated in the same memory. */
  static of(
    layout: StateLayout,
    memory: StateMemory,
    contents: { position: number; block: number; pages: number[][] },
  ): SessionState {
    const state = new SessionState(layout, memory);
    state.#leave();
    state.#block = contents.block;
    state.#position = contents.position;
    contents.pages.forEach((list, g) => {
      state.#tables[g]!.pages = list;
      state.#publish(state.#tables[g]!, 0);
    });
    return state;
  }

  /** Whether both lie in the memory of the same model, so that one can be put into the place of the other. */
  sharesMemoryWith(other: SessionState): boolean {
    return this.#memory === other.#memory;
  }

  /** Tokens that this state has consumed. */
  get position(): number {
    return this.#position;
  }

  /** Address of the recurrent block of a state that was prepared. */
  get recurrent(): number {
    if (this.#block === null || this.#behind) throw new Error('state: expected one that was prepared');
    return this.#block;
  }

  /** The recurrent part as it is now, not to be written. */
  get recurrentBytes(): Uint8Array {
    const { recurrent } = this.#memory;
    if (!this.#behind) return recurrent.bytesAt(this.recurrent);
    const copy = this.#equal?.recurrent;
    return copy ? recurrent.bytesOf(copy) : new Uint8Array(recurrent.byteLength);
  }

  /** Address of each cache group's page table. */
  get tableAddresses(): number[] {
    return this.#tables.map((table) => table.address);
  }

  /** Makes room for `count` more positions: block and pages exist, and only this session holds those that will be written. */
  prepare(count: number): void {
    this.#catchUp();
    this.#equal = null;
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

  /** Counts `count` positions as consumed and lets go of pages that no window reaches any more. */
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

  /** Back to the state before the first token. */
  reset(): void {
    this.#releasePages();
    this.#position = 0;
    this.#follow(this.#beginning());
  }

  /** Costs a copy of the recurrent part, unless nothing has changed since the last one. To be discarded. */
  snapshot(): StateSnapshot {
    if (this.#equal && this.#equal.holders > 0) {
      this.#equal.holders++;
      return this.#equal;
    }
    const snapshot = {
      position: this.#position,
      recurrent: this.#memory.recurrent.copyOf(this.recurrent),
      pages: this.#tables.map((table) => [...table.pages]),
      holders: 1,
    };
    this.#retainPages(snapshot.pages);
    this.#equal = snapshot;
    return snapshot;
  }

  /** Becomes what the snapshot recorded. The snapshot stays valid. */
  restore(snapshot: StateSnapshot): void {
    this.#retainPages(snapshot.pages);
    this.#releasePages();
    this.#tables.forEach((table, g) => {
      table.pages = [...snapshot.pages[g]!];
    });
    for (const table of this.#tables) this.#publish(table, 0);
    this.#position = snapshot.position;
    snapshot.holders++;
    this.#follow(snapshot);
  }

  /** A state of its own that goes on from here. */
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

  /** Lets go of a snapshot; the caller must not use it again. */
  discard(snapshot: StateSnapshot): void {
    if (--snapshot.holders > 0) return;
    if (snapshot.recurrent) this.#memory.recurrent.discard(snapshot.recurrent);
    this.#letGoOf(snapshot.pages);
  }

  /** What it occupies: its recurrent block, where it has one of its own, and its cache pages. */
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

  /** Bytes of the pages of group `g`, in order, with 0 for those that a window has passed. For saving and inspection. */
  pages(g: number): readonly number[] {
    return this.#tables[g]!.pages;
  }

  /** See Arena. */
  get staysInPlace(): boolean {
    return this.#memory.arena.staysInPlace;
  }

  /** A page of group `g`. Not to be kept across an allocation. */
  pageBytes(g: number, page: number): Uint8Array {
    return this.#memory.arena.views.u8.subarray(page, page + this.layout.groups[g]!.pageBytes);
  }

  dispose(): void {
    this.#leave();
    this.#releasePages();
    for (const table of this.#tables) if (table.address) this.#memory.arena.free(table.address);
    if (this.#block !== null) this.#memory.recurrent.giveBack(this.#block);
  }

  #beginning(): StateSnapshot {
    return { position: 0, recurrent: null, pages: this.#tables.map(() => []), holders: 1 };
  }

  /** From here on the recurrent part is that of a snapshot which this state was made a holder of. */
  #follow(snapshot: StateSnapshot): void {
    this.#leave();
    this.#equal = snapshot;
    this.#behind = true;
  }

  #leave(): void {
    if (this.#behind) this.discard(this.#equal!);
    this.#behind = false;
    this.#equal = null;
  }

  /** Brings the recurrent part into the state's own block. */
  #catchUp(): void {
    if (!this.#behind) return;
    const { recurrent } = this.#memory;
    const snapshot = this.#equal!;
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
    this.#leave();
  }

  #retainPages(pages: StateSnapshot['pages']): void {
    for (const list of pages) for (const page of list) if (page) this.#memory.pages.retain(page);
  }

  #letGoOf(pages: StateSnapshot['pages']): void {
    for (const list of pages) for (const page of list) if (page) this.#memory.pages.release(page);
  }

  #releasePages(): void {
    this.#letGoOf(this.#tables.map((table) => table.pages));
    for (const table of this.#tables) table.pages = [];
  }

  /** Writes the table's entries from index `first` on into the arena. */
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
