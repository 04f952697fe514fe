// Byte-pair encoding: of all neighbouring pairs with a merge, the one of lowest rank is joined first,
// leftmost among equals, until none is left. Symbols form a linked list, candidates a binary heap: O(n log
// n), where the textbook scan is O(n²). Everything lives in typed arrays that are reused, so a word costs no
// allocation. Source: Sennrich et al. 2016, arXiv:1508.07909; the tie rule is that of Hugging Face tokenizers
// and SentencePiece alike.

/**
 * Merges by rank, in columns: a vocabulary has up to half a million, which would be 40 MB of objects to
 * collect.
 */
export class MergeList {
  #words = new Int32Array(4096);
  length = 0;

  add(left: number, right: number, rank: number, result: number): void {
    const at = this.length++ * 4;
    if (at === this.#words.length) {
      const words = new Int32Array(2 * at);
      words.set(this.#words);
      this.#words = words;
    }
    this.#words[at] = left;
    this.#words[at + 1] = right;
    this.#words[at + 2] = rank;
    this.#words[at + 3] = result;
  }

  forEach(visit: (left: number, right: number, rank: number, result: number) => void): void {
    const words = this.#words;
    for (let at = 0; at < this.length * 4; at += 4)
      visit(words[at]!, words[at + 1]!, words[at + 2]!, words[at + 3]!);
  }
}

/**
 * Merges: (left, right) → rank and joined token, in an open-addressing table (a JavaScript Map is 3x slower,
 * and larger).
 */
export class MergeTable {
  readonly #mask: number;
  readonly #lefts: Int32Array;
  readonly #rights: Int32Array;
  readonly #ranks: Int32Array;
  readonly #results: Int32Array;

  /** `capacity`: the most different pairs that will be added. */
  constructor(capacity: number) {
    let size = 16;
    while (size < capacity * 2) size *= 2;
    this.#mask = size - 1;
    this.#lefts = new Int32Array(size).fill(-1);
    this.#rights = new Int32Array(size);
    this.#ranks = new Int32Array(size);
    this.#results = new Int32Array(size);
  }

  /** Keeps the first rank of a pair. */
  add(left: number, right: number, rank: number, result: number): void {
    const slot = this.find(left, right);
    if (slot >= 0) return;
    const free = ~slot;
    this.#lefts[free] = left;
    this.#rights[free] = right;
    this.#ranks[free] = rank;
    this.#results[free] = result;
  }

  /** Slot of a pair, or the complement of the free slot where it would go. */
  find(left: number, right: number): number {
    let slot = (Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)) >>> 0;
    slot = (slot ^ (slot >>> 15)) & this.#mask;
    while (this.#lefts[slot] !== -1) {
      if (this.#lefts[slot] === left && this.#rights[slot] === right) return slot;
      slot = (slot + 1) & this.#mask;
    }
    return ~slot;
  }

  rank(slot: number): number {
    return this.#ranks[slot]!;
  }

  result(slot: number): number {
    return this.#results[slot]!;
  }
}

/** Ranks and positions share one double in the heap: 2^22 ranks × 2^31 positions = 2^53. */
export const MOST_RANKS = 2 ** 22;
const POSITIONS = 2 ** 31;

export class Merger {
  readonly #table: MergeTable;
  #capacity = 0;
  #symbols = new Int32Array(0);
  #next = new Int32Array(0);
  #previous = new Int32Array(0);
  /** Table slot of the merge of this symbol with its right neighbour; −1 for none. */
  #slots = new Int32Array(0);
  #heap = new Float64Array(0);
  #heapSize = 0;

  constructor(table: MergeTable) {
    this.#table = table;
  }

  /** Room for the initial symbols of a word: write them here, then call `merge`. */
  symbols(length: number): Int32Array {
    if (length > this.#capacity) {
      this.#capacity = Math.max(64, length * 2);
      this.#symbols = new Int32Array(this.#capacity);
      this.#next = new Int32Array(this.#capacity);
      this.#previous = new Int32Array(this.#capacity);
      this.#slots = new Int32Array(this.#capacity);
      // Every symbol starts with one candidate, and every merge adds at most two and takes one out.
      this.#heap = new Float64Array(this.#capacity * 2 + 2);
    }
    return this.#symbols;
  }

  /** Merges the first `length` symbols in place and returns how many are left, in order, at the front. */
  merge(length: number): number {
    const symbols = this.#symbols;
    const next = this.#next;
    const previous = this.#previous;
    const slots = this.#slots;
    this.#heapSize = 0;
    for (let i = 0; i < length; i++) {
      next[i] = i + 1;
      previous[i] = i - 1;
    }
    for (let i = 0; i < length; i++) this.#consider(i, length);
    while (this.#heapSize > 0) {
      const candidate = this.#pop();
      const position = candidate % POSITIONS;
      const slot = slots[position]!;
      // A candidate is stale when its symbol was swallowed or has another neighbour by now.
      if (slot < 0 || this.#table.rank(slot) !== (candidate - position) / POSITIONS) continue;
      const swallowed = next[position]!;
      const after = next[swallowed]!;
      symbols[position] = this.#table.result(slot);
      slots[swallowed] = -1;
      next[position] = after;
      if (after < length) previous[after] = position;
      this.#consider(position, length);
      if (previous[position]! >= 0) this.#consider(previous[position]!, length);
    }
    let count = 0;
    for (let i = 0; i < length; i = next[i]!) symbols[count++] = symbols[i]!;
    return count;
  }

  /** Looks up the merge of a symbol with its right neighbour and queues it. */
  #consider(position: number, length: number): void {
    const right = this.#next[position]!;
    const slot = right < length ? this.#table.find(this.#symbols[position]!, this.#symbols[right]!) : -1;
    this.#slots[position] = slot < 0 ? -1 : slot;
    if (slot >= 0) this.#push(this.#table.rank(slot) * POSITIONS + position);
  }

  #push(candidate: number): void {
    const heap = this.#heap;
    let index = this.#heapSize++;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (heap[parent]! <= candidate) break;
      heap[index] = heap[parent]!;
      index = parent;
    }
    heap[index] = candidate;
  }

  #pop(): number {
    const heap = this.#heap;
    const top = heap[0]!;
    const last = heap[--this.#heapSize]!;
    const size = this.#heapSize;
    let index = 0;
    for (let child = 1; child < size; child = 2 * index + 1) {
      if (child + 1 < size && heap[child + 1]! < heap[child]!) child++;
      if (heap[child]! >= last) break;
      heap[index] = heap[child]!;
      index = child;
    }
    heap[index] = last;
    return top;
  }
}
