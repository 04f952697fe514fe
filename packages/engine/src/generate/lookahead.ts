// Speculation that cannot change the answer: a draft of the next tokens is evaluated together with the
// sampled one, in one pass over the weights, and the logits after each drafted token are kept. When the
// sampler then asks for just that token, its logits are there already; when it asks for another, the tokens
// that it had asked for are taken in, and the rest of the draft is forgotten. The sampler never sees anything
// but the logits of the tokens that it chose (Leviathan et al. 2023 verify with probabilities; with a fixed
// draft, sampling first and comparing is the same thing).
//
// Taking tokens in is no pass over the weights: see runtime/drafts.ts.
import { ModelError } from '../errors.ts';
import { type NgramDraft, noDraft } from './ngram-draft.ts';
import type { TokenSession } from './types.ts';

/** The real session, as far as drafting needs it. */
export interface DraftingSession extends Omit<TokenSession, 'next' | 'position'> {
  /**
   * Reads tokens and returns the logits after each of the last `logitRows`; the next call may overwrite them.
   */
  read(tokens: readonly number[], logitRows: number): Promise<Float32Array>;
  /** Tokens of a draft, at most. */
  readonly draftLimit: number;
  /** Returns the logits after each of the tokens, which are not read until `accept`. */
  draft(tokens: readonly number[]): Promise<Float32Array>;
  /** Reads the first `count` tokens of the draft; it is over. */
  accept(count: number): Promise<void>;
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
  readonly #session: DraftingSession;
  #draft: NgramDraft;
  readonly #pace: Pace;
  readonly #contextLength: number;
  /** All tokens that the caller knows to be read. */
  readonly #known: number[];
  /** What was drafted and not decided on, the sampled token first, and how many of it are confirmed. */
  #drafted: readonly number[] = [];
  #confirmed = 0;
  /** After each token of the draft. */
  #logits: Float32Array = new Float32Array(0);

  constructor(session: DraftingSession, draft: NgramDraft, options: LookaheadOptions = {}) {
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
   * Brings the session to exactly the tokens that are known to be read: where a pass failed, it is behind.
   */
  async #settle(): Promise<void> {
    await this.#decide();
    const missing = this.#known.slice(this.#session.tokens.length);
    if (missing.length) await this.#session.read(missing, 1);
  }

  async next(...tokens: readonly number[]): Promise<Float32Array> {
    this.#known.push(...tokens);
    try {
      return await this.#next(tokens);
    } catch (error) {
      this.#known.length -= tokens.length;
      throw error;
    }
  }

  async #next(tokens: readonly number[]): Promise<Float32Array> {
    if (tokens.every((token, i) => this.#drafted[this.#confirmed + i] === token)) {
      this.statistics.accepted += tokens.length;
      this.#confirmed += tokens.length;
      return this.#row(this.#confirmed - 1);
    }
    await this.#decide();
    const again = this.#known.slice(this.#session.tokens.length, -tokens.length); // where taking in failed
    const limit = Math.min(MAX_ROWS, this.#session.draftLimit) - again.length - tokens.length;
    const room = Math.min(limit, this.#contextLength - this.#known.length);
    const draft = room > 0 && this.#pace.mayDraft() ? this.#draft.draft(this.#known).slice(0, room) : [];
    const sampled = [...again, ...tokens];
    if (draft.length && (await this.#ahead(sampled, draft))) return this.#row(sampled.length - 1);
    const began = this.#pace.start();
    this.statistics.passes++;
    const logits = await this.#session.read(sampled, 1);
    this.#pace.read(began, sampled.length);
    return logits;
  }

  /**
   * Whether there was memory for it. Where there is none, drafts end: what they save must not cost the
   * answer.
   */
  async #ahead(sampled: readonly number[], draft: readonly number[]): Promise<boolean> {
    const began = this.#pace.start();
    const drafted = [...sampled, ...draft];
    try {
      this.#logits = await this.#session.draft(drafted);
    } catch (error) {
      if (!(error instanceof ModelError && error.code === 'out-of-memory')) throw error;
      this.#draft = noDraft;
      return false;
    }
    this.#pace.drafted(began);
    this.#drafted = drafted;
    this.#confirmed = sampled.length;
    this.statistics.passes++;
    this.statistics.drafted += draft.length;
    return true;
  }

  /** Takes in what is confirmed of the draft. */
  async #decide(): Promise<void> {
    const drafted = this.#drafted;
    if (!drafted.length) return;
    this.#drafted = [];
    const began = this.#pace.start();
    await this.#session.accept(this.#confirmed);
    this.#pace.decided(began, this.#confirmed);
  }

  /** Logits after the i-th token of the draft. */
  #row(i: number): Float32Array {
    const size = this.#logits.length / this.#drafted.length;
    return this.#logits.subarray(i * size, (i + 1) * size);
  }
}

/** Decides whether a draft is worth reading: compares tokens a millisecond with and without. */
class Pace {
  readonly #always: boolean;
  readonly #now: () => number;
  #single = 0;
  #pass = 0;
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

  /** A pass over `rows` tokens, without a draft. */
  read(began: number, rows: number): void {
    if (rows === 1) this.#single = blend(this.#single, this.#now() - began);
  }

  /** A pass with a draft. */
  drafted(began: number): void {
    this.#pass = this.#now() - began;
  }

  /**
   * What became of the draft: `taken` of its tokens, the sampled one among them. Pauses when drafting has
   * been slower than not.
   */
  decided(began: number, taken: number): void {
    this.#drafted = blend(this.#drafted, this.#pass + this.#now() - began);
    this.#perDraft = blend(this.#perDraft, taken);
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
