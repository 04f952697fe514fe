// Speculation that cannot change the answer: a draft of the next tokens is evaluated together with the
// sampled one, in one pass over the weights, and the logits after each drafted token are kept. When the
// sampler then asks for just that token, its logits are there already; when it asks for another, the state
// goes back to before the draft. The sampler never sees anything but the logits of the tokens that it chose
// (Leviathan et al. 2023 verify with probabilities; with a fixed draft, sampling first and comparing is the
// same thing).
//
// Going back costs no extra pass: the confirmed tokens are read again as part of the next one.
import type { NgramDraft } from './ngram-draft.ts';
import type { TokenSession } from './types.ts';

/** The real session, as far as drafting needs it. */
export interface RewindableSession extends Omit<TokenSession, 'next' | 'position'> {
  /**
   * Reads tokens and returns the logits after each of the last `logitRows`; the next call may overwrite them.
   */
  read(tokens: readonly number[], logitRows: number): Promise<Float32Array>;
  snapshot(): StatePoint;
  restore(point: StatePoint): void;
}

/** A state to return to. */
export interface StatePoint {
  close(): void;
}

/** Tokens in one pass beyond which reading is no longer nearly free. */
const MAX_ROWS = 12;
/** Steps without drafts after a run of misses: doubled each time, up to the maximum. */
const FIRST_PAUSE = 4;
const MAX_PAUSE = 128;

export interface LookaheadOptions {
  /** Draft whenever the text repeats itself; otherwise only while that proves faster. */
  readonly always?: boolean | undefined;
  readonly contextLength?: number | undefined;
  readonly now?: (() => number) | undefined;
}

export interface LookaheadStatistics {
  drafted: number;
  accepted: number;
  passes: number;
}

export class LookaheadSession implements TokenSession {
  readonly statistics: LookaheadStatistics = { drafted: 0, accepted: 0, passes: 0 };
  readonly #session: RewindableSession;
  readonly #draft: NgramDraft;
  readonly #pace: Pace;
  readonly #contextLength: number;
  /** All tokens that the caller knows to be read. */
  readonly #known: number[];
  /** State before the last drafted pass; null when none can be wrong. */
  #before: StatePoint | null = null;
  /**
   * What that pass read, and how many of it are confirmed. Rows of `#logits` are those of the last tokens.
   */
  #read: number[] = [];
  #confirmed = 0;
  #logits: Float32Array = new Float32Array(0);
  #rows = 0;

  constructor(session: RewindableSession, draft: NgramDraft, options: LookaheadOptions = {}) {
    this.#session = session;
    this.#contextLength = options.contextLength ?? Number.POSITIVE_INFINITY;
    this.#draft = draft;
    this.#known = [...session.tokens];
    this.#pace = new Pace(options.always ?? false, options.now ?? (() => performance.now()));
  }

  get position(): number {
    return this.#known.length;
  }

  get tokens(): readonly number[] {
    return this.#known;
  }

  /** Only before the first token is asked for: no draft is under way. */
  get logits(): Float32Array | null {
    return this.#session.logits;
  }

  async prefill(tokens: readonly number[], signal?: AbortSignal): Promise<Float32Array> {
    try {
      return await this.#session.prefill(tokens, signal);
    } finally {
      for (const token of this.#session.tokens.slice(this.#known.length)) this.#known.push(token);
    }
  }

  async end(pending: number | null): Promise<void> {
    await this.#settle();
    await this.#session.end(pending);
  }

  /**
   * Brings the session to exactly the tokens that are known to be read: it may be ahead, by a draft, or behind,
   * where a pass failed.
   */
  async #settle(): Promise<void> {
    try {
      const isAhead = this.#session.tokens.length > this.#known.length;
      if (this.#before && isAhead) this.#session.restore(this.#before);
      const missing = this.#known.slice(this.#session.tokens.length);
      if (missing.length) await this.#session.read(missing, 1);
    } finally {
      this.#forget();
    }
  }

  async next(token: number): Promise<Float32Array> {
    this.#known.push(token);
    try {
      return await this.#next(token);
    } catch (error) {
      this.#known.pop();
      throw error;
    }
  }

  async #next(token: number): Promise<Float32Array> {
    if (this.#read[this.#confirmed] === token && this.#before) {
      this.statistics.accepted++;
      this.#confirmed++;
      return this.#row(this.#confirmed - 1);
    }
    const again = this.#goBack();
    const room = Math.min(MAX_ROWS - again.length - 1, this.#contextLength - this.#known.length);
    const draft = room > 0 && this.#pace.mayDraft() ? this.#draft.draft(this.#known).slice(0, room) : [];
    if (draft.length && !this.#before) this.#before = this.#session.snapshot();
    if (!draft.length) this.#forget();
    const read = [...again, token, ...draft];
    const began = this.#pace.start();
    this.#logits = await this.#session.read(read, draft.length + 1);
    this.#pace.passed(began, read.length, draft.length);
    this.statistics.passes++;
    this.statistics.drafted += draft.length;
    this.#rows = draft.length + 1;
    this.#read = draft.length ? read : [];
    this.#confirmed = draft.length ? again.length + 1 : 0;
    return this.#logits.subarray(0, this.#logits.length / this.#rows);
  }

  /**
   * Undoes a draft that was not followed to its end; returns the confirmed tokens that must be read again.
   */
  #goBack(): number[] {
    const { length } = this.#read;
    if (!this.#before) return [];
    this.#pace.outcome(this.#confirmed - (length - this.#rows) - 1, this.#rows - 1);
    if (this.#confirmed === length) {
      this.#forget();
      return [];
    }
    this.#session.restore(this.#before);
    const again = this.#read.slice(0, this.#confirmed);
    this.#read = [];
    this.#confirmed = 0;
    return again;
  }

  /** Logits after the i-th token of the last pass. */
  #row(i: number): Float32Array {
    const size = this.#logits.length / this.#rows;
    const row = i - (this.#read.length - this.#rows);
    return this.#logits.subarray(row * size, (row + 1) * size);
  }

  #forget(): void {
    this.#before?.close();
    this.#before = null;
    this.#read = [];
    this.#confirmed = 0;
  }
}

/** Decides whether a draft is worth reading: compares tokens a millisecond with and without. */
class Pace {
  readonly #always: boolean;
  readonly #now: () => number;
  #single = 0;
  #drafted = 0;
  #perDraft = 0;
  #pause = 0;
  #nextPause = FIRST_PAUSE;

  constructor(always: boolean, now: () => number) {
    this.#always = always;
    this.#now = now;
  }

  start(): number {
    return this.#now();
  }

  mayDraft(): boolean {
    if (this.#always) return true;
    if (this.#single === 0) return false; // one plain step first, to compare with
    if (this.#pause > 0) {
      this.#pause--;
      return false;
    }
    return true;
  }

  passed(began: number, rows: number, drafted: number): void {
    const elapsed = this.#now() - began;
    if (drafted > 0) this.#drafted = blend(this.#drafted, elapsed);
    else if (rows === 1) this.#single = blend(this.#single, elapsed);
  }

  /**
   * What became of a draft: `accepted` of `drafted` tokens. Pauses when drafting has been slower than not.
   */
  outcome(accepted: number, drafted: number): void {
    if (drafted === 0) return;
    this.#perDraft = blend(this.#perDraft, accepted + 1);
    const pays = this.#perDraft * this.#single > this.#drafted * 1.05;
    if (pays) this.#nextPause = FIRST_PAUSE;
    else {
      this.#pause = this.#nextPause;
      this.#nextPause = Math.min(MAX_PAUSE, this.#nextPause * 2);
    }
  }
}

const blend = (average: number, value: number): number =>
  average === 0 ? value : average * 0.7 + value * 0.3;
