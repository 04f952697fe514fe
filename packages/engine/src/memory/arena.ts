// One growable block of memory for a whole model, or the layers of it that 4 GiB hold: weights, plan, activations,
// state. Addresses are byte offsets; 0 is never returned. Freed ranges are merged and reused, first fit.
import { ModelError } from '../errors.ts';
import { type MemoryViews, viewsOf } from './memory-views.ts';

const PAGE = 65_536;
const MAX_PAGES = 65_536;
/** What WebAssembly addresses. */
export const ARENA_BYTES = MAX_PAGES * PAGE;
const ALIGNMENT = 64;

const align = (bytes: number) => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

/**
 * `WebAssembly.Memory`, spelled out because that name needs TypeScript's DOM library, which programs for Node
 * do without.
 */
export interface LinearMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

export class Arena {
  readonly memory: LinearMemory;
  /** Free ranges by address; the last one reaches to the end of memory. */
  readonly #free: { start: number; end: number }[] = [];
  readonly #sizes = new Map<number, number>();
  #views: MemoryViews;
  #used = 0;

  /** `base` is the first address to allocate; `shared` memory can be seen by worker threads. */
  constructor(base: number, shared: boolean) {
    const initial = Math.ceil(base / PAGE) + 16;
    this.memory = new WebAssembly.Memory(
      shared ? { initial, maximum: MAX_PAGES, shared: true } : { initial, maximum: MAX_PAGES },
    );
    this.#free.push({ start: align(Math.max(base, ALIGNMENT)), end: initial * PAGE });
    this.#views = viewsOf(this.memory.buffer);
  }

  /** Views of the whole memory. Do not keep them across an allocation: growing replaces them. */
  get views(): MemoryViews {
    if (
      this.#views.u8.buffer !== this.memory.buffer ||
      this.#views.u8.byteLength !== this.memory.buffer.byteLength
    )
      this.#views = viewsOf(this.memory.buffer);
    return this.#views;
  }

  /** Whether views of it stay valid when it grows. */
  get staysInPlace(): boolean {
    return !(this.memory.buffer instanceof ArrayBuffer);
  }

  /** Bytes allocated and not freed. */
  get usedBytes(): number {
    return this.#used;
  }

  /** Free bytes, ignoring fragmentation. */
  get roomBytes(): number {
    return ARENA_BYTES - this.#used;
  }

  /**
   * Allocates `byteLength` bytes, 64-byte aligned, not cleared; returns their address. Throws ModelError
   * naming `what` when memory is short.
   */
  allocate(byteLength: number, what: string): number {
    const size = align(Math.max(byteLength, 1));
    let at = this.#free.findIndex((range) => range.end - range.start >= size);
    if (at < 0) {
      this.#grow(size, what);
      at = this.#free.length - 1;
    }
    const range = this.#free[at]!;
    const address = range.start;
    range.start += size;
    if (range.start === range.end) this.#free.splice(at, 1);
    this.#sizes.set(address, size);
    this.#used += size;
    return address;
  }

  free(address: number): void {
    const size = this.#sizes.get(address);
    if (size === undefined) throw new Error(`arena: ${address} is not an allocated address`);
    this.#sizes.delete(address);
    this.#used -= size;
    let at = this.#free.findIndex((range) => range.start > address);
    if (at < 0) at = this.#free.length;
    this.#free.splice(at, 0, { start: address, end: address + size });
    this.#merge(at);
    if (at > 0) this.#merge(at - 1);
  }

  #merge(at: number): void {
    const range = this.#free[at];
    const next = this.#free[at + 1];
    if (range && next && range.end === next.start) {
      range.end = next.end;
      this.#free.splice(at + 1, 1);
    }
  }

  #grow(size: number, what: string): void {
    const end = this.memory.buffer.byteLength;
    const last = this.#free.at(-1);
    const tail = last && last.end === end ? last : null;
    const missing = size - (tail ? tail.end - tail.start : 0);
    const pages = Math.ceil(missing / PAGE);
    const total = end / PAGE + pages;
    // Grow by at least an eighth, so that a growing cache causes few new views and page faults.
    const generous = Math.min(
      MAX_PAGES - end / PAGE,
      Math.max(pages, Math.ceil(Math.min(end / PAGE / 8, 1024))),
    );
    if (total > MAX_PAGES || !this.#tryGrow(generous, pages)) {
      throw new ModelError(
        `memory: expected room for ${what} (${readable(size)}), found ${readable(ARENA_BYTES - end)} left of the 4 GiB that a WebAssembly ` +
          'memory can have. Use a smaller quantisation, a shorter context, an 8-bit cache or more cuts, or close sessions.',
        { code: 'out-of-memory' },
      );
    }
    const grown = this.memory.buffer.byteLength;
    if (tail) tail.end = grown;
    else this.#free.push({ start: end, end: grown });
  }

  #tryGrow(...pages: number[]): boolean {
    return pages.some((count) => {
      try {
        this.memory.grow(count);
        return true;
      } catch {
        return false;
      }
    });
  }
}

const readable = (bytes: number) =>
  bytes < 2 ** 20 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / 2 ** 20).toFixed(0)} MiB`;
