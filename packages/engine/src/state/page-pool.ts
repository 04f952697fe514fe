// Pages of attention cache, shared copy-on-write: a page that more than one holder refers to is copied before
// it is written.
import type { Arena } from '../memory/arena.ts';

export class PagePool {
  readonly #arena: Arena;
  readonly #holders = new Map<number, number>();

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /**
   * A new page with one holder, filled with zeros: kernels may read beyond the last position, and must find
   * finite values.
   */
  allocate(byteLength: number): number {
    const address = this.allocateUncleared(byteLength);
    this.#arena.views.u8.fill(0, address, address + byteLength);
    return address;
  }

  /** The same with undefined contents, for a caller who writes all of it. */
  allocateUncleared(byteLength: number): number {
    const address = this.#arena.allocate(byteLength, 'attention cache');
    this.#holders.set(address, 1);
    return address;
  }

  retain(page: number): void {
    this.#holders.set(page, this.#holders.get(page)! + 1);
  }

  release(page: number): void {
    const holders = this.#holders.get(page)! - 1;
    if (holders > 0) this.#holders.set(page, holders);
    else {
      this.#holders.delete(page);
      this.#arena.free(page);
    }
  }

  /** Whether more than one holder refers to it. */
  isShared(page: number): boolean {
    return this.#holders.get(page)! > 1;
  }

  /** A page with the same contents that only the caller holds: the page itself, or a copy if it is shared. */
  writable(page: number, byteLength: number): number {
    if (this.#holders.get(page) === 1) return page;
    const copy = this.#arena.allocate(byteLength, 'attention cache');
    this.#holders.set(copy, 1);
    this.#arena.views.u8.copyWithin(copy, page, page + byteLength);
    this.release(page);
    return copy;
  }
}
