// A session: one conversation's tokens and the state that they led to. It can be read further, forked, put back to an
// earlier position, saved and restored; always exactly.
import { StateError, UsageError } from '../errors.ts';
import type { JsonObject } from '../formats/types.ts';
import type { GenerateEvent, GenerateOptions, GenerateResult } from '../generate/types.ts';
import type { LogitsWanted } from '../runtime/runtime.ts';
import type { SessionState, StateSnapshot } from '../state/session-state.ts';
import type { ChatMessage } from '../tokenizer/chat-template.ts';
import type { PrefixStore } from './prefix-store.ts';

const NOTHING = new Uint8Array();

/** What a session needs of the model that it belongs to. */
export interface SessionOwner {
  readonly contextLength: number;
  readonly fingerprint: string;
  step(requests: readonly StepRequest[], options?: { signal?: AbortSignal }): Promise<StepResult[]>;
  encodeSession(state: SessionState, tokens: readonly number[]): Uint8Array;
  writeSession(
    state: SessionState,
    tokens: readonly number[],
    path: string,
    preface: Uint8Array,
  ): Promise<void>;
  generate(
    session: Session,
    prompt: Prompt,
    options: GenerateOptions,
  ): AsyncGenerator<GenerateEvent, GenerateResult, void>;
  /** Where sessions share what they have read; null when that is switched off. */
  readonly prefixes: PrefixStore | null;
}

/** What to generate from: text, tokens, or a conversation that the model's chat template lays out. */
export type Prompt =
  | string
  | readonly number[]
  | { readonly messages: readonly ChatMessage[]; readonly tools?: readonly JsonObject[] };

export interface StepRequest {
  readonly session: Session;
  readonly tokens: readonly number[];
  /** Default: 'last'. */
  readonly logits?: LogitsWanted;
  /** Where the logits go, one row of [vocabulary] for each token asked for. Default: a fresh array, whose pages the system must provide first. */
  readonly into?: Float32Array | undefined;
}

export interface StepResult {
  /** One row of [vocabulary] for each token that was asked for, null for 'none'. The caller's to keep; `into`, where that was given. */
  readonly logits: Float32Array | null;
}

/** A point that a session can be put back to, or that new sessions can start from. Dispose it when it is not needed. */
export class Snapshot {
  readonly tokens: readonly number[];
  /** Logits after the last token, when they were computed: another answer can start from them at once. */
  readonly logits: Float32Array | null;
  readonly #state: SessionState;
  #snapshot: StateSnapshot | null;

  constructor(state: SessionState, tokens: readonly number[], logits: Float32Array | null) {
    this.tokens = tokens;
    this.logits = logits;
    this.#state = state;
    this.#snapshot = state.snapshot();
  }

  get position(): number {
    return this.tokens.length;
  }

  /** Bytes that this snapshot alone occupies; its cache pages are shared with the session. */
  get byteLength(): number {
    const recurrent = this.#snapshot?.recurrent ? this.#state.layout.recurrentBytes : 0;
    return recurrent + (this.logits?.byteLength ?? 0);
  }

  /** Address and size of each cache page that it holds on to. */
  *pages(): Generator<[page: number, byteLength: number]> {
    for (const [g, pages] of (this.#snapshot?.pages ?? []).entries())
      for (const page of pages) if (page) yield [page, this.#state.layout.groups[g]!.pageBytes];
  }

  applyTo(state: SessionState): void {
    if (!this.#snapshot) throw new StateError('snapshot: expected one in use, found one that was disposed');
    if (!state.sharesMemoryWith(this.#state))
      throw new UsageError('restore: the snapshot belongs to another model: take one of this session');
    state.restore(this.#snapshot);
  }

  dispose(): void {
    if (this.#snapshot) this.#state.discard(this.#snapshot);
    this.#snapshot = null;
  }
}

/** How a session came to hold the tokens that were asked for. */
export interface ReuseReport {
  /** Tokens whose state was already there. */
  readonly reusedTokens: number;
  /** Tokens that had to be read (again). */
  readonly computedTokens: number;
  /** Why not more was reused; null when all that is shared was. */
  readonly reason: string | null;
}

/** Snapshots that a session keeps by itself, so that going back does not mean reading everything again. */
const MAX_CHECKPOINTS = 8;
/** Within a long prompt a checkpoint is kept every so many tokens. */
const CHECKPOINT_TOKENS = 4096;

export class Session {
  readonly #owner: SessionOwner;
  readonly #state: SessionState;
  #tokens: number[] = [];
  /** Logits after the last token, while they are known. */
  #logits: Float32Array | null = null;
  /** Room for one row, used again by each step of a generation. */
  #row: Float32Array | undefined;
  #checkpoints: Snapshot[] = [];
  #busy = false;
  #closed = false;

  /** Use `model.createSession()`. */
  constructor(
    owner: SessionOwner,
    state: SessionState,
    tokens: readonly number[] = [],
    logits: Float32Array | null = null,
  ) {
    this.#owner = owner;
    this.#logits = logits;
    this.#state = state;
    this.#tokens = [...tokens];
  }

  /** Whether this session was made by `owner`: states of one model mean nothing in the memory of another. */
  belongsTo(owner: SessionOwner): boolean {
    return this.#owner === owner;
  }

  /** Tokens consumed so far. */
  get position(): number {
    return this.#tokens.length;
  }

  get tokens(): readonly number[] {
    return this.#tokens;
  }

  /** Positions that can be gone back to without reading anything again. */
  get checkpoints(): readonly number[] {
    return this.#checkpoints.map((c) => c.position);
  }

  /** Reads tokens and returns the logits after the last one. */
  async prefill(tokens: readonly number[], options: { signal?: AbortSignal } = {}): Promise<Float32Array> {
    if (!tokens.length) throw new UsageError('prefill: expected at least one token, found none');
    for (let from = 0; ; from += CHECKPOINT_TOKENS) {
      this.#keepCheckpoint();
      const chunk = tokens.slice(from, from + CHECKPOINT_TOKENS);
      const last = from + chunk.length === tokens.length;
      const [result] = await this.#owner.step(
        [{ session: this, tokens: chunk, logits: last ? 'last' : 'none' }],
        options,
      );
      if (last) return result!.logits!;
    }
  }

  /** Keeps the present position as one that rewind can return to cheaply. Prefill and generate do so by themselves. */
  checkpoint(): void {
    this.#ready();
    this.#keepCheckpoint();
  }

  snapshot(): Snapshot {
    this.#ready();
    return new Snapshot(this.#state, [...this.#tokens], this.#logits);
  }

  /** A new session in the same state. Costs a copy of the recurrent state at most; cache pages are shared until written. */
  fork(): Session {
    this.#ready();
    return new Session(this.#owner, this.#state.fork(), this.#tokens, this.#logits);
  }

  /** Puts the session back to a snapshot of the same model. */
  restore(snapshot: Snapshot): void {
    this.#ready();
    snapshot.applyTo(this.#state);
    this.#tokens = [...snapshot.tokens];
    this.#logits = snapshot.logits;
    this.#dropCheckpointsBeyond(this.position, this.#tokens);
  }

  /** Goes back to an earlier position: to the nearest checkpoint before it, and reads on from there. */
  async rewind(position: number, options: { signal?: AbortSignal } = {}): Promise<ReuseReport> {
    if (!Number.isInteger(position) || position < 0 || position > this.position)
      throw new StateError(
        `rewind: position: expected a whole number from 0 to ${this.position}, found ${position}`,
      );
    return this.setTokens(this.#tokens.slice(0, position), options);
  }

  /**
   * Makes the session hold exactly these tokens, reusing as much of its state as the tokens have in common with what it has
   * read. No logits are computed; use prefill for the tokens that you want an answer to.
   */
  async setTokens(tokens: readonly number[], options: { signal?: AbortSignal } = {}): Promise<ReuseReport> {
    const report = this.alignTo(tokens, tokens.length);
    if (this.position < tokens.length) {
      const missing = tokens.slice(this.position);
      await this.#owner.step([{ session: this, tokens: missing, logits: 'none' }], options);
      this.#keepCheckpoint();
    }
    return report;
  }

  /**
   * Goes back, without reading anything, to the furthest position whose tokens are the first of `tokens` and at most
   * `limit` of them. What is left of `tokens` is the caller's to prefill.
   */
  alignTo(tokens: readonly number[], limit: number): ReuseReport {
    this.#ready();
    const common = Math.min(commonLength(this.#tokens, tokens), limit);
    if (common < this.position) {
      const checkpoint = this.#checkpoints.filter((c) => c.position <= common).at(-1);
      if (checkpoint) checkpoint.applyTo(this.#state);
      else this.#state.reset();
      this.#tokens.length = checkpoint?.position ?? 0;
      this.#logits = checkpoint?.logits ?? null;
      this.#dropCheckpointsBeyond(this.position, this.#tokens);
    }
    const shared = this.#owner.prefixes?.longest(tokens, limit);
    if (shared && shared.position > this.position) this.restore(shared);
    const reusedTokens = this.position;
    const reason =
      reusedTokens < common ? `the nearest checkpoint before position ${common} is at ${reusedTokens}` : null;
    return { reusedTokens, computedTokens: tokens.length - reusedTokens, reason };
  }

  /**
   * As alignTo, for tokens that an answer is wanted to: where their last logits are still known, nothing is left to read.
   * What is left to prefill is never empty otherwise.
   */
  alignForAnswer(tokens: readonly number[]): ReuseReport {
    this.#ready();
    const whole = (s: { tokens: readonly number[]; logits: Float32Array | null }) =>
      s.logits !== null &&
      s.tokens.length === tokens.length &&
      commonLength(s.tokens, tokens) === tokens.length;
    const shared = this.#owner.prefixes?.longest(tokens, tokens.length) ?? null;
    const known = [...this.#checkpoints, ...(shared ? [shared] : [])].find(whole);
    if (!known && !whole({ tokens: this.#tokens, logits: this.#logits }))
      return this.alignTo(tokens, tokens.length - 1);
    if (known) this.restore(known);
    return { reusedTokens: tokens.length, computedTokens: 0, reason: null };
  }

  /** Logits after the last token, while they are known: after a prompt, or back at the end of one. */
  get logits(): Float32Array | null {
    return this.#logits;
  }

  /** For generation: as prefill, and a prompt's end becomes a checkpoint, so that another answer costs no reading. */
  async prefillForLogits(tokens: readonly number[], signal?: AbortSignal): Promise<Float32Array> {
    if (tokens.length === 1) {
      const [result] = await this.#owner.step([{ session: this, tokens }], signal ? { signal } : {});
      this.#logits = result!.logits!;
      return this.#logits;
    }
    this.#logits = await this.prefill(tokens, signal ? { signal } : {});
    const logits = this.#logits;
    this.#keepCheckpoint();
    this.share();
    return logits;
  }

  /**
   * For generation: reads a few tokens and returns the logits after the last `logitRows` of them, which the next call may
   * overwrite.
   */
  async read(tokens: readonly number[], logitRows: number): Promise<Float32Array> {
    const into = logitRows === 1 ? this.#row : undefined;
    const [result] = await this.#owner.step([{ session: this, tokens, logits: logitRows, into }]);
    const logits = result!.logits!;
    if (logitRows === 1) this.#row = logits;
    return logits;
  }

  /**
   * Appends a prompt (tokens, or text in the model's own tokens) and generates from there, one event a token. With
   * `{ messages }` the session becomes that conversation, reusing what it has already read of it.
   */
  generate(
    prompt: Prompt,
    options: GenerateOptions = {},
  ): AsyncGenerator<GenerateEvent, GenerateResult, void> {
    this.#ready();
    return this.#owner.generate(this, prompt, options);
  }

  /** Lets other sessions of the model start from here. Generation does so after the prompt and after the answer. */
  share(): void {
    if (this.position) this.#owner.prefixes?.add(this.snapshot());
  }

  /** The session as bytes, for `model.restoreSession`. */
  save(): Uint8Array {
    this.#ready();
    return this.#owner.encodeSession(this.#state, this.#tokens);
  }

  /**
   * Writes the same bytes to a file, for `model.restoreSessionFrom`, without a copy of them in memory; bytes of yours before them, if you
   * give a `preface`. A file of that name is replaced once all is written. Not in a browser.
   */
  async saveTo(path: string, { preface = NOTHING }: { preface?: Uint8Array } = {}): Promise<void> {
    const state = this.begin();
    try {
      await this.#owner.writeSession(state, this.#tokens, path, preface);
    } finally {
      this.end();
    }
  }

  /** Gives the session's memory back. */
  close(): void {
    if (this.#closed) return;
    this.#ready();
    this.#closed = true;
    for (const checkpoint of this.#checkpoints.splice(0)) checkpoint.dispose();
    this.#state.dispose();
  }

  /** For the model: marks the session as taking part in a step, and hands out its state. */
  begin(): SessionState {
    this.#ready();
    this.#busy = true;
    return this.#state;
  }

  /** For the model: what the step has consumed so far. */
  consumed(tokens: readonly number[]): void {
    for (const token of tokens) this.#tokens.push(token);
    this.#logits = null;
  }

  end(): void {
    this.#busy = false;
  }

  #ready(): void {
    if (this.#closed) throw new UsageError('session: expected an open session, found one that was closed');
    if (this.#busy)
      throw new UsageError(
        'session: expected an idle session, found one with a step under way. Await it first.',
      );
  }

  #keepCheckpoint(): void {
    if (this.#checkpoints.at(-1)?.position === this.position) return;
    this.#checkpoints.push(new Snapshot(this.#state, this.#tokens.slice(), this.#logits));
    if (this.#checkpoints.length > MAX_CHECKPOINTS) this.#thinCheckpoints();
  }

  /** Drops the checkpoint whose loss makes the smallest gap relative to its distance from the end: old ones grow sparse. */
  #thinCheckpoints(): void {
    let least = Number.POSITIVE_INFINITY;
    let drop = 0;
    for (let i = 0; i < this.#checkpoints.length - 1; i++) {
      const before = i === 0 ? 0 : this.#checkpoints[i - 1]!.position;
      const gap = (this.#checkpoints[i + 1]!.position - before) / (this.position - before + 1);
      if (gap < least) {
        least = gap;
        drop = i;
      }
    }
    this.#checkpoints.splice(drop, 1)[0]!.dispose();
  }

  #dropCheckpointsBeyond(position: number, tokens: readonly number[]): void {
    this.#checkpoints = this.#checkpoints.filter((c) => {
      if (c.position <= position && commonLength(c.tokens, tokens) === c.position) return true;
      c.dispose();
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
