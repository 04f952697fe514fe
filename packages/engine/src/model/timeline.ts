// A sequence of tokens, the state that they led to, and the earlier positions that can be gone back to. Knows
// neither the session it belongs to nor the model that reads it on.
//
// The last token may be pending: sampled, so that it belongs to the sequence, but not read. It is read
// together with whatever follows, so nothing that was generated is ever lost, and nothing is read for an
// answer that nobody continues.

import { UsageError } from '../errors.ts';
import type { ReuseReport } from '../generate/types.ts';
import type { SessionState } from '../state/session-state.ts';
import type { PrefixStore } from './prefix-store.ts';
import { type Moment, momentOf, putBack, Snapshot } from './snapshot.ts';

/** Checkpoints that a timeline keeps by itself, so that going back does not mean reading everything again. */
const MAX_CHECKPOINTS = 8;

interface Mark {
  readonly snapshot: Snapshot;
  /** Whether the timeline made it for itself: it stays when it is pinned no more. */
  readonly isOwn: boolean;
  /** Calls of `checkpoint(true)` whose handle is not closed. */
  pins: number;
}

/** A position that the session can go back to without evaluating anything, kept by the session. */
export interface SessionCheckpoint extends Disposable {
  /** Tokens up to there. */
  readonly position: number;
  /**
   * Bytes that it occupies by itself, without cache pages, which it shares with the session. 0 once it is
   * gone.
   */
  readonly byteLength: number;
  /**
   * Whether it stays until it is closed. Others are evicted as the session grows: eight are kept, older ones
   * sparser.
   */
  readonly pinned: boolean;
  /**
   * Lets go of it. Each `session.checkpoint()` pins by itself: the position stays while another one at the
   * same position is open, or where the session had kept it by itself. Closed in the session's list, it is
   * gone.
   */
  close(): void;
}

export class Timeline {
  readonly state: SessionState;
  #tokens: number[];
  #pending: boolean;
  /** After the last token, while they are known. */
  #logits: Float32Array | null;
  #checkpoints: Mark[] = [];
  /** What keeps it busy, as the end of a sentence. */
  #claim: string | null = null;
  #closed = false;

  constructor(state: SessionState, moment: Moment) {
    this.state = state;
    this.#tokens = [...moment.tokens];
    this.#pending = moment.pending;
    this.#logits = moment.logits;
  }

  static empty(state: SessionState): Timeline {
    return new Timeline(state, { tokens: [], pending: false, logits: null });
  }

  /** The whole sequence, the pending token included. */
  get tokens(): readonly number[] {
    return this.#tokens;
  }

  get length(): number {
    return this.#tokens.length;
  }

  /** How many of the tokens the state has taken in. */
  get readLength(): number {
    return this.#tokens.length - (this.#pending ? 1 : 0);
  }

  get pendingToken(): number | null {
    return this.#pending ? this.#tokens.at(-1)! : null;
  }

  get logits(): Float32Array | null {
    return this.#logits;
  }

  get checkpoints(): readonly SessionCheckpoint[] {
    return this.#checkpoints.map((mark) => this.#present(mark, () => this.#drop(mark)));
  }

  /** Bytes of checkpoints, without the pages that they share with the state. */
  get checkpointBytes(): number {
    return this.#checkpoints.reduce((sum, { snapshot }) => sum + snapshot.byteLength, 0);
  }

  /** Throws UsageError unless it is open and nothing is under way. */
  assertFree(): void {
    if (this.#closed)
      throw new UsageError('session is closed: create or restore another one', { code: 'closed' });
    if (this.#claim) throw new UsageError(`session is busy: ${this.#claim}`, { code: 'busy' });
  }

  /** Reserves it until `release`. `remedy`: what others are told meanwhile. */
  claim(remedy: string): void {
    this.assertFree();
    this.#claim = remedy;
  }

  release(): void {
    this.#claim = null;
  }

  /** What to read so that `tokens` follow: the pending token comes first. */
  withPending(tokens: readonly number[]): readonly number[] {
    return this.#pending ? [this.#tokens.at(-1)!, ...tokens] : tokens;
  }

  /** The state was advanced by these tokens, a pending one first. */
  consumed(tokens: readonly number[]): void {
    let i = 0;
    if (this.#pending && tokens.length) {
      this.#pending = false;
      i = 1;
    }
    for (; i < tokens.length; i++) this.#tokens.push(tokens[i]!);
    this.#logits = null;
  }

  /** Appends a token that was sampled and is not read yet. */
  hold(token: number): void {
    this.#tokens.push(token);
    this.#pending = true;
    this.#logits = null;
  }

  /** The logits after the last token were computed. */
  know(logits: Float32Array): void {
    this.#logits = logits;
  }

  snapshot(): Snapshot {
    const tokens = this.#tokens.slice();
    return new Snapshot(this.state, { tokens, pending: this.#pending, logits: this.#logits });
  }

  /** What others may start from: without the pending token. */
  snapshotOfRead(): Snapshot {
    const tokens = this.#tokens.slice(0, this.readLength);
    return new Snapshot(this.state, { tokens, pending: false, logits: this.#logits });
  }

  /** Becomes what the snapshot recorded. */
  restore(snapshot: Snapshot): void {
    putBack(snapshot, this.state);
    const { tokens, pending, logits } = momentOf(snapshot);
    this.#tokens = [...tokens];
    this.#pending = pending;
    this.#logits = logits;
    this.#dropDivergedCheckpoints();
  }

  /** Goes back to the last checkpoint, or to the start: the state was left half advanced. */
  retreat(): void {
    const mark = this.#checkpoints.at(-1);
    try {
      if (mark) this.restore(mark.snapshot);
      else this.#reset();
    } catch {
      this.#reset(); // needs no memory
    }
  }

  fork(): Timeline {
    return new Timeline(this.state.fork(), {
      tokens: this.#tokens,
      pending: this.#pending,
      logits: this.#logits,
    });
  }

  /**
   * Marks the present position; a pinned mark stays until it is closed or the sequence no longer leads there.
   */
  checkpoint(pinned = false): SessionCheckpoint {
    let mark = this.#checkpoints.at(-1);
    if (mark?.snapshot.position !== this.length) {
      mark = { snapshot: this.snapshot(), isOwn: !pinned, pins: pinned ? 1 : 0 };
      this.#checkpoints.push(mark);
      this.#thinCheckpoints();
    } else if (pinned) mark.pins++;
    if (!pinned) return this.#present(mark, () => this.#drop(mark));
    return this.#present(mark, () => {
      mark.pins--;
      if (mark.pins === 0 && !mark.isOwn) this.#drop(mark);
    });
  }

  /**
   * Goes back, without reading anything, to the furthest position whose tokens are the first of `tokens` and
   * at most `limit` of them. What is left of `tokens`, from `length` on, is the caller's to read.
   */
  alignTo(tokens: readonly number[], limit: number, prefixes: PrefixStore | null): ReuseReport {
    const common = Math.min(commonLength(this.#tokens, tokens), limit);
    if (common < this.readLength) {
      const mark = this.#checkpoints.filter(({ snapshot }) => snapshot.position <= common).at(-1);
      if (mark) this.restore(mark.snapshot);
      else this.#reset();
    } else if (common < this.length) {
      this.#tokens.pop();
      this.#pending = false;
      this.#dropDivergedCheckpoints();
    }
    const shared = prefixes?.longest(tokens, limit);
    if (shared && shared.position > this.readLength) this.restore(shared);
    const reusedTokens = this.readLength;
    const reason =
      this.length < common ? `the nearest checkpoint before position ${common} is at ${this.length}` : null;
    return { reusedTokens, computedTokens: tokens.length - reusedTokens, reason };
  }

  /**
   * As alignTo, for tokens that an answer is wanted to: where their last logits are still known, nothing is
   * left to read. Otherwise what is left is never empty.
   */
  alignForAnswer(tokens: readonly number[], prefixes: PrefixStore | null): ReuseReport {
    const isAnswerable = (moment: Moment) =>
      moment.logits !== null &&
      moment.tokens.length === tokens.length &&
      commonLength(moment.tokens, tokens) === tokens.length;
    const shared = prefixes?.longest(tokens, tokens.length) ?? null;
    const snapshots = this.#checkpoints.map(({ snapshot }) => snapshot);
    const known = [...snapshots, ...(shared ? [shared] : [])].find((s) => isAnswerable(momentOf(s)));
    const here = { tokens: this.#tokens, pending: this.#pending, logits: this.#logits };
    if (!known && !isAnswerable(here)) return this.alignTo(tokens, tokens.length - 1, prefixes);
    if (known) this.restore(known);
    return { reusedTokens: tokens.length, computedTokens: 0, reason: null };
  }

  close(): void {
    if (this.#closed) return;
    this.assertFree();
    this.#closed = true;
    for (const { snapshot } of this.#checkpoints.splice(0)) snapshot.close();
    this.state.dispose();
  }

  #reset(): void {
    this.state.reset();
    this.#tokens = [];
    this.#pending = false;
    this.#logits = null;
    this.#dropDivergedCheckpoints();
  }

  /** A handle on a mark; `release` runs when it is closed. */
  #present(mark: Mark, release: () => void): SessionCheckpoint {
    let isOpen = true;
    const isPresent = () => isOpen && this.#checkpoints.includes(mark);
    const close = () => {
      if (isOpen) release();
      isOpen = false;
    };
    return {
      position: mark.snapshot.position,
      get byteLength() {
        return isPresent() ? mark.snapshot.byteLength : 0;
      },
      get pinned() {
        return isPresent() && mark.pins > 0;
      },
      close,
      [Symbol.dispose]: close,
    };
  }

  #drop(mark: Mark): void {
    this.#checkpoints = this.#checkpoints.filter((other) => other !== mark);
    mark.snapshot.close();
  }

  /**
   * Evicts the checkpoint whose loss makes the smallest gap relative to its distance from the end: old ones
   * grow sparse.
   */
  #thinCheckpoints(): void {
    const free = this.#checkpoints.filter(({ pins }) => pins === 0);
    if (free.length <= MAX_CHECKPOINTS) return;
    let least = Number.POSITIVE_INFINITY;
    let evicted = free[0]!;
    for (let i = 0; i < free.length - 1; i++) {
      const before = i === 0 ? 0 : free[i - 1]!.snapshot.position;
      const gap = (free[i + 1]!.snapshot.position - before) / (this.length - before + 1);
      if (gap < least) {
        least = gap;
        evicted = free[i]!;
      }
    }
    this.#drop(evicted);
  }

  #dropDivergedCheckpoints(): void {
    this.#checkpoints = this.#checkpoints.filter(({ snapshot }) => {
      if (commonLength(snapshot.tokens, this.#tokens) === snapshot.position) return true;
      snapshot.close();
      return false;
    });
  }
}

function commonLength(a: readonly number[], b: readonly number[]): number {
  const length = Math.min(a.length, b.length);
  let i = 0;
  while (i < length && a[i] === b[i]) i++;
  return i;
}
