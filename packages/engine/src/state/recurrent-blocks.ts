// Memory for recurrent blocks (10 MiB in a 3B model): those that sessions advance, and the copies that
// snapshots hold. Touching memory for the first time is almost free on bare metal, but takes 12 µs per page
// in some virtual machines: 30 ms per block. There, one block is touched ahead, a little at a time between
// other work, so that no fork or snapshot waits for it.
import { nextTurn } from '#platform';
import type { Arena } from '../memory/arena.ts';

/** A read-only copy: in the arena, or outside it where it does not crowd out sessions. */
export type RecurrentCopy = { readonly address: number } | { readonly bytes: Uint8Array };

/**
 * At most this many copies lie in the arena, and none when less than `ROOM_FOR_SESSIONS` bytes are free in
 * it.
 */
const COPIES_INSIDE = 8;
const ROOM_FOR_SESSIONS = 2 ** 29;
const PAGE = 4096;
/** Pages touched before other work gets a turn: less than a millisecond where memory is slow. */
const PAGES_PER_TURN = 64;
const SAMPLES = 16;
/** Milliseconds per touched page above which blocks are touched ahead. */
const SLOW_PAGE_MS = 0.0015;

export class RecurrentBlocks {
  readonly byteLength: number;
  readonly #arena: Arena;
  #ready: number | null = null;
  #preparing = false;
  #copiesInside = 0;

  constructor(arena: Arena, byteLength: number) {
    this.#arena = arena;
    this.byteLength = byteLength;
  }

  /** A block for the caller alone, with undefined contents. */
  take(): number {
    const ready = this.#ready;
    if (ready === null) return this.#arena.allocate(this.byteLength, 'recurrent state');
    this.#ready = null;
    this.prepare();
    return ready;
  }

  giveBack(address: number): void {
    if (this.#ready === null) this.#ready = address;
    else this.#arena.free(address);
  }

  bytesAt(address: number): Uint8Array {
    return this.#arena.views.u8.subarray(address, address + this.byteLength);
  }

  copyOf(address: number): RecurrentCopy {
    if (this.#copiesInside >= COPIES_INSIDE || !this.#hasRoom)
      return { bytes: this.bytesAt(address).slice() };
    const copy = this.take();
    this.#copiesInside++;
    this.#arena.views.u8.copyWithin(copy, address, address + this.byteLength);
    return { address: copy };
  }

  bytesOf(copy: RecurrentCopy): Uint8Array {
    return 'bytes' in copy ? copy.bytes : this.bytesAt(copy.address);
  }

  discard(copy: RecurrentCopy): void {
    const address = this.takeOver(copy);
    if (address !== null) this.giveBack(address);
  }

  /**
   * Hands the copy's block to its last holder, who may write it; null when the copy lies outside the arena.
   */
  takeOver(copy: RecurrentCopy): number | null {
    if ('bytes' in copy) return null;
    this.#copiesInside--;
    return copy.address;
  }

  /** Prepares a block for the next `take`, touched where touching takes long. */
  prepare(): void {
    if (this.#preparing || this.#ready !== null || !this.#hasRoom || this.byteLength === 0) return;
    this.#preparing = true;
    this.#touchAhead()
      .catch(() => {}) // no memory left: whoever needs it says so
      .finally(() => (this.#preparing = false));
  }

  async #touchAhead(): Promise<void> {
    const block = this.#arena.allocate(this.byteLength, 'recurrent state');
    const pages = Math.floor(this.byteLength / PAGE);
    const touch = (page: number) => {
      this.#arena.views.u8[block + page * PAGE] = 0;
    };
    await nextTurn();
    const began = performance.now();
    for (let i = 0; i < SAMPLES; i++) touch(Math.floor((i * pages) / SAMPLES));
    const isSlow = performance.now() - began > SAMPLES * SLOW_PAGE_MS;
    for (let page = 0; isSlow && page < pages && this.#ready === null; page++) {
      if (page % PAGES_PER_TURN === 0) await nextTurn();
      touch(page);
    }
    this.giveBack(block);
  }

  get #hasRoom(): boolean {
    return this.#arena.roomBytes >= ROOM_FOR_SESSIONS;
  }
}
