// The state of one session in the arena, as a value: it can be prepared for writing, advanced, copied and put back. Knows
// nothing of tokens or models.
import type { Arena } from '../backends/arena.ts';
import { PAGE_SHIFT } from './cache-layout.ts';
import type { PagePool } from './page-pool.ts';
import type { StateLayout } from './state-layout.ts';

/** A copy of a session's state at one position. Cache pages are shared with the session, the recurrent part is copied. */
export interface StateSnapshot {
  readonly position: number;
  readonly recurrent: Uint8Array;
  /** For each cache group, the page of every 64 positions; 0 where a window has passed. */
  readonly pages: readonly (readonly number[])[];
}

interface PageTable {
  pages: number[];
  /** The same numbers in the arena, where kernels look them up. */
  address: number;
  capacity: number;
}

export class SessionState {
  readonly layout: StateLayout;
  readonly recurrent: number;
  readonly #arena: Arena;
  readonly #pool: PagePool;
  readonly #tables: PageTable[];
  #position = 0;

  /** The state before the first token, or with the recurrent part that lies at `origin`. */
  constructor(layout: StateLayout, arena: Arena, pool: PagePool, origin?: number) {
    this.layout = layout;
    this.#arena = arena;
    this.#pool = pool;
    this.recurrent = arena.allocate(layout.recurrentBytes, 'recurrent state');
    if (origin === undefined) this.#recurrentBytes().fill(0);
    else arena.views.u8.copyWithin(this.recurrent, origin, origin + layout.recurrentBytes);
    this.#tables = layout.groups.map(() => ({ pages: [], address: 0, capacity: 0 }));
  }

  /** Tokens that this state has consumed. */
  get position(): number {
    return this.#position;
  }

  /** Address of each cache group's page table. */
  get tableAddresses(): number[] {
    return this.#tables.map((table) => table.address);
  }

  /** Makes room for `count` more positions: pages exist, and only this session holds those that will be written. */
  prepare(count: number): void {
    const first = this.#position >> PAGE_SHIFT;
    const last = (this.#position + count - 1) >> PAGE_SHIFT;
    this.layout.groups.forEach((group, g) => {
      const table = this.#tables[g]!;
      for (let i = first; i <= last; i++) {
        const page = table.pages[i];
        table.pages[i] = page
          ? this.#pool.writable(page, group.pageBytes)
          : this.#pool.allocate(group.pageBytes);
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
        this.#pool.release(table.pages[i]!);
        table.pages[i] = 0;
      }
    });
  }

  /** Back to the state before the first token. */
  reset(): void {
    this.#releasePages();
    this.#recurrentBytes().fill(0);
    this.#position = 0;
  }

  snapshot(): StateSnapshot {
    for (const table of this.#tables) for (const page of table.pages) if (page) this.#pool.retain(page);
    return {
      position: this.#position,
      recurrent: this.#pool.copyOf(this.#recurrentBytes()),
      pages: this.#tables.map((table) => [...table.pages]),
    };
  }

  /** Becomes what the snapshot recorded. The snapshot stays valid. */
  restore(snapshot: StateSnapshot): void {
    this.#share(snapshot.position, snapshot.pages);
    this.#recurrentBytes().set(snapshot.recurrent);
  }

  /** A state of its own that goes on from here: the recurrent part is copied once, pages are shared until written. */
  fork(): SessionState {
    const fork = new SessionState(this.layout, this.#arena, this.#pool, this.recurrent);
    try {
      fork.#share(
        this.#position,
        this.#tables.map((table) => table.pages),
      );
      return fork;
    } catch (error) {
      fork.dispose();
      throw error;
    }
  }

  /** Lets go of a snapshot's pages and memory; it must not be used again. */
  discard(snapshot: StateSnapshot): void {
    this.#pool.giveBack(snapshot.recurrent);
    for (const pages of snapshot.pages) for (const page of pages) if (page) this.#pool.release(page);
  }

  /** Bytes of the pages of group `g`, in order, with 0 for those that a window has passed. For saving and inspection. */
  pages(g: number): readonly number[] {
    return this.#tables[g]!.pages;
  }

  /** Takes over a state read from a file: `pages` were allocated by the caller from the same pool. */
  adopt(position: number, pages: number[][]): void {
    this.#releasePages();
    this.#position = position;
    pages.forEach((list, g) => {
      this.#tables[g]!.pages = list;
      this.#publish(this.#tables[g]!, 0);
    });
  }

  dispose(): void {
    this.#releasePages();
    for (const table of this.#tables) if (table.address) this.#arena.free(table.address);
    this.#arena.free(this.recurrent);
  }

  #share(position: number, pages: StateSnapshot['pages']): void {
    for (const list of pages) for (const page of list) if (page) this.#pool.retain(page);
    this.#releasePages();
    this.#tables.forEach((table, g) => {
      table.pages = [...pages[g]!];
    });
    for (const table of this.#tables) this.#publish(table, 0);
    this.#position = position;
  }

  #releasePages(): void {
    for (const table of this.#tables) {
      for (const page of table.pages) if (page) this.#pool.release(page);
      table.pages = [];
    }
  }

  #recurrentBytes(): Uint8Array {
    return this.#arena.views.u8.subarray(this.recurrent, this.recurrent + this.layout.recurrentBytes);
  }

  /** Writes the table's entries from index `first` on into the arena. */
  #publish(table: PageTable, first: number): void {
    if (table.pages.length > table.capacity) {
      const capacity = Math.max(16, table.capacity * 2, table.pages.length);
      const address = this.#arena.allocate(capacity * 4, 'page table');
      if (table.address) this.#arena.free(table.address);
      table.address = address;
      table.capacity = capacity;
      first = 0;
    }
    this.#arena.views.u32.set(table.pages.slice(first), (table.address >>> 2) + first);
  }
}
