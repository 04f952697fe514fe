// A session: one conversation's tokens and the state that they led to. It can be read further, forked, put
// back to an earlier position, saved and restored; always exactly.

import { StateError } from '../errors.ts';
import type { JsonValue } from '../formats/types.ts';
import type { Generation } from '../generate/generation.ts';
import type { GenerateOptions, GenerateResult, ReuseReport } from '../generate/types.ts';
import type { OutputValue } from '../grammar/output.ts';
import type { LogitsWanted } from '../runtime/pieces.ts';
import { type SaveOptions, type SaveTarget, saveState } from '../state/save-state.ts';
import { type HeldTokens, plainData } from '../state/state-file.ts';
import { stateToBytes } from '../state/state-transfer.ts';
import { assertArray, type ModelCore, type Prompt } from './core.ts';
import type { Snapshot } from './snapshot.ts';
import type { SessionCheckpoint, Timeline } from './timeline.ts';

/** What one session is to read in a step. */
export interface StepRequest {
  /** Must belong to the model; at most once per step. */
  readonly session: Session;
  /** Token ids, at least one. */
  readonly tokens: readonly number[];
  /** After which of the tokens logits are computed. Default: 'last'. */
  readonly logits?: LogitsWanted | undefined;
  /**
   * Where the logits go: rows × vocabulary floats, a row per token asked for. Default: a fresh array, whose
   * pages the system must provide first.
   */
  readonly into?: Float32Array | undefined;
}

/** What a step computed for one session. */
export interface StepResult {
  /**
   * Shape [rows, vocabulary], a row per token that was asked for; null for 'none'. The caller's to keep;
   * `into`, where that was given.
   */
  readonly logits: Float32Array | null;
}

/** Bytes of the arena that a session occupies. */
export interface SessionMemory {
  /**
   * The recurrent state: the same at every length; 0 before the first token and while it is another session's
   * copy.
   */
  readonly recurrentBytes: number;
  /** Cache pages that only this session holds. */
  readonly ownPageBytes: number;
  /** Cache pages that forks, snapshots, checkpoints or the prefix cache hold, too. */
  readonly sharedPageBytes: number;
  /** Recurrent states and logits of the checkpoints. */
  readonly checkpointBytes: number;
}

/** For operations that can be stopped. */
export interface AbortOptions {
  /**
   * When it aborts, the promise rejects with its reason; the session then holds the tokens that it says it
   * holds.
   */
  readonly signal?: AbortSignal | undefined;
}

let timelineOf: (session: Session) => Timeline;
let coreOfSession: (session: Session) => ModelCore;

/**
 * One conversation of a model, made by `model.createSession()`. It is a value: fork it for several answers,
 * rewind it for another try, save it for another process. One thing at a time: while a step or a generation
 * runs, everything else throws UsageError ("session is busy").
 *
 * @example
 * using session = model.createSession();
 * const generation = session.generate('Once upon a time', { maxTokens: 50 });
 * for await (const { text } of generation) process.stdout.write(text);
 */
export class Session implements Disposable {
  static {
    timelineOf = (session) => session.#timeline;
    coreOfSession = (session) => session.#core;
  }

  readonly #core: ModelCore;
  readonly #timeline: Timeline;
  /** What was saved with it, if it was restored; otherwise null. */
  readonly data: JsonValue | null;

  /** Made by `model.createSession()`. */
  constructor(core: ModelCore, timeline: Timeline, data: JsonValue | null = null) {
    this.#core = core;
    this.#timeline = timeline;
    this.data = data;
  }

  /**
   * Everything that the session holds: what it has read, and what it has generated. The last token may not
   * have been evaluated yet; it is, together with whatever follows. A copy: it stays as it is.
   */
  get tokens(): readonly number[] {
    return this.#timeline.tokens.slice();
  }

  /** How many tokens it holds. */
  get position(): number {
    return this.#timeline.length;
  }

  /**
   * Logits after the last token, shape [vocabulary], while they are known: after a prompt, or back at its
   * end. Not to be written.
   */
  get logits(): Float32Array | null {
    return this.#timeline.logits;
  }

  /**
   * Positions that can be gone back to without evaluating anything, in order. Kept by the session, and by
   * `checkpoint()`.
   */
  get checkpoints(): readonly SessionCheckpoint[] {
    return this.#timeline.checkpoints;
  }

  /** What the session occupies now. */
  memory(): SessionMemory {
    const { recurrentBytes, ownPageBytes, sharedPageBytes } = this.#timeline.state.memory();
    const { checkpointBytes } = this.#timeline;
    return { recurrentBytes, ownPageBytes, sharedPageBytes, checkpointBytes };
  }

  /**
   * Appends tokens and returns the logits after the last one, shape [vocabulary], the caller's to keep.
   * Throws UsageError for an empty list, ids outside the vocabulary and more tokens than the context holds.
   */
  async prefill(tokens: readonly number[], { signal }: AbortOptions = {}): Promise<Float32Array> {
    const timeline = this.#timeline;
    this.#core.checkTokens(tokens, timeline.length);
    const mine = [...tokens]; // the caller's may change meanwhile
    return this.#core.alone(timeline, () => this.#core.prefill(timeline, timeline.withPending(mine), signal));
  }

  /**
   * Generates an answer to a prompt: text or token ids, which are appended to what the session holds, or the
   * `messages` of a whole conversation, of which only what the session does not hold yet is evaluated. `[]`
   * samples another answer where the logits are known: after `maxTokens: 0`, or back at the end of a prompt.
   *
   * Nothing runs before the Generation is iterated or asked for its `result`. Throws UsageError for options
   * that do not exist or are out of range, and for text or messages that the model has no tokenizer or
   * template for.
   *
   * @example
   * const messages = [{ role: 'user' as const, content: 'Why do marimbas have resonators?' }];
   * const generation = session.generate({ messages }, { maxTokens: 200 });
   * for await (const { text } of generation) process.stdout.write(text);
   *
   * @example
   * const { value } = await session.complete('A date: ', { output: { regex: '\\d{4}-\\d{2}-\\d{2}' } });
   */
  generate<const Options extends GenerateOptions>(
    prompt: Prompt,
    options?: Options,
  ): Generation<OutputValue<Options>> {
    return this.#core.generate(this.#timeline, prompt, options) as Generation<OutputValue<Options>>;
  }

  /** `generate(prompt, options).result`: the whole answer at once. */
  complete<const Options extends GenerateOptions>(
    prompt: Prompt,
    options?: Options,
  ): Promise<GenerateResult<OutputValue<Options>>> {
    return this.generate(prompt, options).result;
  }

  /**
   * A new session that holds the same. Copies the recurrent state at most; cache pages are shared until they
   * are written.
   */
  fork(): Session {
    this.#timeline.assertFree();
    return new Session(this.#core, this.#timeline.fork());
  }

  /** Saves the present position, to restore here or in another session of the model. */
  snapshot(): Snapshot {
    this.#timeline.assertFree();
    return this.#timeline.snapshot();
  }

  /** Returns to a snapshot. Throws UsageError when it is closed or belongs to another model. */
  restore(snapshot: Snapshot): void {
    this.#timeline.assertFree();
    this.#timeline.restore(snapshot);
  }

  /**
   * Keeps the present position as one that `rewind` returns to without evaluating anything, until it is
   * closed or the session goes back before it. Prompts and answers keep some by themselves, unpinned.
   */
  checkpoint(): SessionCheckpoint {
    this.#timeline.assertFree();
    return this.#timeline.checkpoint(true);
  }

  /**
   * Goes back to an earlier position: to the nearest checkpoint before it, and evaluates the tokens from
   * there again. Throws StateError for a position that the session has not reached.
   */
  async rewind(position: number, options: AbortOptions = {}): Promise<ReuseReport> {
    if (!Number.isInteger(position) || position < 0 || position > this.position)
      throw new StateError(`position: expected a whole number from 0 to ${this.position}, found ${position}`);
    return this.setTokens(this.tokens.slice(0, position), options);
  }

  /**
   * Makes the session hold exactly these tokens, reusing as much of its state as they have in common with
   * what it has read. Computes no logits: use `prefill` for tokens that you want an answer to.
   */
  async setTokens(tokens: readonly number[], { signal }: AbortOptions = {}): Promise<ReuseReport> {
    assertArray(tokens);
    if (tokens.length) this.#core.checkTokens(tokens, 0);
    return this.#core.alone(this.#timeline, () => this.#core.align(this.#timeline, tokens, signal));
  }

  /** The session as bytes, for `model.restoreSession`, in Node or in a browser. */
  save({ data }: Pick<SaveOptions, 'data'> = {}): Uint8Array {
    this.#timeline.assertFree();
    return stateToBytes(this.#timeline.state, this.#held(data), this.#core.stateOwner);
  }

  /**
   * Writes the same bytes without a copy of the whole in memory, for `model.restoreSessionFrom`: to a path
   * (Node), to a `FileSystemFileHandle` (browsers, also of the origin private file system), or to a stream,
   * which is closed at the end. A file is replaced once all is written. Rejects with the signal's reason when
   * aborted, and with the target's own error.
   */
  async saveTo(target: SaveTarget, { data, signal }: SaveOptions = {}): Promise<void> {
    const { state } = this.#timeline;
    const { stateOwner, runtime } = this.#core;
    await this.#core.alone(this.#timeline, () =>
      saveState(state, this.#held(data), stateOwner, runtime.stateMemory, target, signal),
    );
  }

  /** Gives the session's memory back. Throws UsageError while something runs. */
  close(): void {
    this.#timeline.close();
  }

  /** `close()`, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  #held(data: JsonValue | undefined): HeldTokens {
    const { tokens, pendingToken } = this.#timeline;
    return { tokens, pendingToken, data: data === undefined ? null : plainData(data) };
  }
}

export { coreOfSession, timelineOf };
