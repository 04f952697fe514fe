// Snapshots at message boundaries, shared by all sessions of a model: a conversation that arrives as plain
// tokens (as over HTTP), or that begins like another one, starts from the longest prefix that was read
// before. The least recently used snapshots are evicted when the memory budget is exceeded.
import { pagesOf, type Snapshot } from './snapshot.ts';

interface Entry {
  readonly snapshot: Snapshot;
  readonly hash: number;
  used: number;
}

/** FNV-1a over token ids; the tokens themselves are compared before an entry is used. */
const START = 0x811c9dc5;
const extend = (hash: number, token: number): number => Math.imul(hash ^ token, 0x01000193) >>> 0;

export class PrefixStore {
  readonly budgetBytes: number;
  #entries: Entry[] = [];
  #clock = 0;

  constructor(budgetBytes: number) {
    this.budgetBytes = budgetBytes;
  }

  /** Bytes held by the stored snapshots; cache pages that several of them share are counted once. */
  get usedBytes(): number {
    const pages = new Map<number, number>();
    let bytes = 0;
    for (const { snapshot } of this.#entries) {
      bytes += snapshot.byteLength;
      for (const [page, pageBytes] of pagesOf(snapshot)) pages.set(page, pageBytes);
    }
    for (const pageBytes of pages.values()) bytes += pageBytes;
    return bytes;
  }

  get size(): number {
    return this.#entries.length;
  }

  /** Takes over a snapshot (and closes it in time). Returns false when the same tokens are stored already. */
  add(snapshot: Snapshot): boolean {
    const hash = snapshot.tokens.reduce(extend, START);
    const same = this.#entries.find(
      (e) =>
        e.hash === hash &&
        isPrefix(e.snapshot.tokens, snapshot.tokens) &&
        e.snapshot.position === snapshot.position,
    );
    if (same) {
      same.used = ++this.#clock;
      snapshot.close();
      return false;
    }
    this.#entries.push({ snapshot, hash, used: ++this.#clock });
    while (this.#entries.length && this.usedBytes > this.budgetBytes) this.#evict();
    return true;
  }

  /** The longest stored snapshot whose tokens are the first of `tokens`, at most `limit` of them. */
  longest(tokens: readonly number[], limit: number): Snapshot | null {
    const lengths = new Set(this.#entries.map((e) => e.snapshot.position));
    const hashes = new Map<number, number>();
    let hash = START;
    for (let i = 0; i < Math.min(limit, tokens.length); i++) {
      hash = extend(hash, tokens[i]!);
      if (lengths.has(i + 1)) hashes.set(i + 1, hash);
    }
    const fitting = this.#entries
      .filter((e) => hashes.get(e.snapshot.position) === e.hash && isPrefix(e.snapshot.tokens, tokens))
      .sort((a, b) => b.snapshot.position - a.snapshot.position)[0];
    if (!fitting) return null;
    fitting.used = ++this.#clock;
    return fitting.snapshot;
  }

  clear(): void {
    for (const { snapshot } of this.#entries.splice(0)) snapshot.close();
  }

  #evict(): void {
    const oldest = this.#entries.reduce((least, e) => (e.used < least.used ? e : least));
    this.#entries = this.#entries.filter((e) => e !== oldest);
    oldest.snapshot.close();
  }
}

const isPrefix = (prefix: readonly number[], tokens: readonly number[]): boolean =>
  prefix.length <= tokens.length && prefix.every((token, i) => tokens[i] === token);
