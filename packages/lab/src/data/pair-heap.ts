// A max-heap of pairs by their present count, ties to the smaller key. Counts change while pairs wait, so
// entries remember the count they were pushed with, and stale ones are dropped when they come up: whoever
// changes a count pushes it again.

export class PairHeap {
  readonly #counts: ReadonlyMap<number, number>;
  readonly #keys: number[] = [];
  readonly #priorities: number[] = [];

  constructor(counts: ReadonlyMap<number, number>) {
    this.#counts = counts;
  }

  push(key: number): void {
    const priority = this.#counts.get(key) ?? 0;
    if (priority <= 0) return;
    let i = this.#keys.length;
    this.#keys.push(key);
    this.#priorities.push(priority);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!this.#before(i, parent)) return;
      this.#swap(i, parent);
      i = parent;
    }
  }

  /** The key with the highest present count, null when there is none. */
  pop(): number | null {
    while (this.#keys.length) {
      const key = this.#keys[0]!;
      const priority = this.#priorities[0]!;
      this.#removeFirst();
      if (this.#counts.get(key) === priority) return key;
    }
    return null;
  }

  #removeFirst(): void {
    const key = this.#keys.pop()!;
    const priority = this.#priorities.pop()!;
    if (!this.#keys.length) return;
    this.#keys[0] = key;
    this.#priorities[0] = priority;
    for (let i = 0; ; ) {
      const left = 2 * i + 1;
      if (left >= this.#keys.length) return;
      const child = left + 1 < this.#keys.length && this.#before(left + 1, left) ? left + 1 : left;
      if (!this.#before(child, i)) return;
      this.#swap(child, i);
      i = child;
    }
  }

  #before(a: number, b: number): boolean {
    const difference = this.#priorities[a]! - this.#priorities[b]!;
    return difference !== 0 ? difference > 0 : this.#keys[a]! < this.#keys[b]!;
  }

  #swap(a: number, b: number): void {
    [this.#keys[a], this.#keys[b]] = [this.#keys[b]!, this.#keys[a]!];
    [this.#priorities[a], this.#priorities[b]] = [this.#priorities[b]!, this.#priorities[a]!];
  }
}
