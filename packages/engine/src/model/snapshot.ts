// A session's state at one position, to come back to.

import { UsageError } from '../errors.ts';
import type { SessionState, StateSnapshot } from '../state/session-state.ts';

/** What a timeline is at one position. */
export interface Moment {
  /** Everything that the session holds, the pending token included. */
  readonly tokens: readonly number[];
  /** Whether the last of the tokens is held but not read yet. */
  readonly pending: boolean;
  readonly logits: Float32Array | null;
}

/** Addresses are below it. */
const ARENA_SPAN = 2 ** 32;

let momentOf: (snapshot: Snapshot) => Moment;
let putBack: (snapshot: Snapshot, state: SessionState) => void;
let pagesOf: (snapshot: Snapshot) => Iterable<[page: number, byteLength: number]>;

/**
 * A saved position, to restore or branch from: `session.snapshot()` takes it, `session.restore(snapshot)`
 * returns to it, in this session or another of the same model. It shares its cache pages with the session
 * until these are written. Call `close()` when done, or declare it with `using`.
 */
export class Snapshot implements Disposable {
  static {
    momentOf = (snapshot) => snapshot.#moment;
    putBack = (snapshot, state) => snapshot.#applyTo(state);
    pagesOf = (snapshot) => snapshot.#pages();
  }

  readonly #moment: Moment;
  readonly #state: SessionState;
  #snapshot: StateSnapshot | null;

  /** Taken by `session.snapshot()`. */
  constructor(state: SessionState, moment: Moment) {
    this.#moment = moment;
    this.#state = state;
    this.#snapshot = state.snapshot();
  }

  /** The session's tokens at that position. */
  get tokens(): readonly number[] {
    return this.#moment.tokens;
  }

  /** How many tokens. */
  get position(): number {
    return this.tokens.length;
  }

  /**
   * Bytes that this snapshot alone occupies; its cache pages are shared with the session. 0 once it is
   * closed.
   */
  get byteLength(): number {
    if (!this.#snapshot) return 0;
    const isCopied = this.#snapshot.some(({ recurrent }) => recurrent !== null);
    const recurrent = isCopied ? this.#state.layout.recurrentBytes : 0;
    return recurrent + (this.#moment.logits?.byteLength ?? 0);
  }

  /** Gives its memory back. It cannot be restored afterwards. */
  close(): void {
    if (this.#snapshot) this.#state.discard(this.#snapshot);
    this.#snapshot = null;
  }

  /** `close()`, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  #applyTo(state: SessionState): void {
    if (!this.#snapshot) throw new UsageError('snapshot is closed: take another one', { code: 'closed' });
    if (!state.sharesMemoryWith(this.#state))
      throw new UsageError('snapshot belongs to another model: take one of this model', {
        code: 'other-model',
      });
    state.restore(this.#snapshot);
  }

  *#pages(): Generator<[page: number, byteLength: number]> {
    const { arenas } = this.#state.layout;
    for (const [a, { pages }] of (this.#snapshot ?? []).entries())
      for (const [g, list] of pages.entries())
        for (const page of list) if (page) yield [a * ARENA_SPAN + page, arenas[a]!.groups[g]!.pageBytes];
  }
}

/**
 * `putBack` makes a state what the snapshot recorded; `pagesOf` lists each cache page it holds, by a
 * number that no other page of the model has, and its size.
 */
export { momentOf, pagesOf, putBack };
