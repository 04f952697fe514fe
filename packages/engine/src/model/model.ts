// A loaded model: what `loadModel` returns. It makes sessions, and takes steps for any number of them at once.

import type { ModelSpec } from '../architecture/spec.ts';
import { UsageError } from '../errors.ts';
import { generate } from '../generate/generate.ts';
import { LookaheadSession } from '../generate/lookahead.ts';
import { createNgramDraft, noDraft } from '../generate/ngram-draft.ts';
import type { GenerateEvent, GenerateOptions, GenerateResult } from '../generate/types.ts';
import { logitRows, type Piece, type Runtime } from '../runtime/runtime.ts';
import type { SessionState } from '../state/session-state.ts';
import type { StateOwner } from '../state/state-file.ts';
import { stateFromBytes, stateFromFile, stateToBytes, stateToFile } from '../state/state-transfer.ts';
import type { ChatTemplate } from '../tokenizer/chat-template.ts';
import type { Tokenizer } from '../tokenizer/types.ts';
import type { ModelWeights } from '../weights/place.ts';
import { PrefixStore } from './prefix-store.ts';
import { type Prompt, Session, type SessionOwner, type StepRequest, type StepResult } from './session.ts';

/** Milliseconds of loading, for measurements. */
export interface LoadTimes {
  /** Finding the files and reading their headers. */
  readonly openMs: number;
  /** Kernels and threads, until they are ready. */
  readonly threadsMs: number;
  /** Reading and packing the weights. */
  readonly weightsMs: number;
  /** Reading the vocabulary, while threads read weights. */
  readonly vocabularyMs: number;
}

export interface ModelParts {
  readonly name: string;
  readonly spec: ModelSpec;
  readonly weights: ModelWeights;
  readonly runtime: Runtime;
  readonly fingerprint: string;
  readonly tokenizer: Tokenizer | null;
  readonly chatTemplate: ChatTemplate | null;
  /** What the model's files recommend: temperature, top-p and so on. Not applied unless passed to generate. */
  readonly recommended: GenerateOptions;
  readonly contextLength: number;
  /** Memory for prefixes that sessions share; 0 for none. */
  readonly prefixCacheBytes: number;
  readonly loadTimes: LoadTimes;
}

export class Model implements SessionOwner {
  readonly name: string;
  readonly spec: ModelSpec;
  readonly weights: ModelWeights;
  readonly runtime: Runtime;
  readonly fingerprint: string;
  readonly tokenizer: Tokenizer | null;
  readonly chatTemplate: ChatTemplate | null;
  readonly recommended: GenerateOptions;
  readonly contextLength: number;
  readonly prefixes: PrefixStore | null;
  readonly loadTimes: LoadTimes;
  #closed = false;

  /** Use `loadModel`. */
  constructor(parts: ModelParts) {
    this.name = parts.name;
    this.spec = parts.spec;
    this.weights = parts.weights;
    this.runtime = parts.runtime;
    this.fingerprint = parts.fingerprint;
    this.tokenizer = parts.tokenizer;
    this.chatTemplate = parts.chatTemplate;
    this.recommended = parts.recommended;
    this.contextLength = parts.contextLength;
    this.loadTimes = parts.loadTimes;
    this.prefixes = parts.prefixCacheBytes > 0 ? new PrefixStore(parts.prefixCacheBytes) : null;
  }

  get vocabularySize(): number {
    return this.spec.vocabularySize;
  }

  /** Where generation ends: the configuration's end tokens and those that the tokenizer knows. */
  get endTokens(): readonly number[] {
    return [...new Set([...this.spec.endTokens, ...(this.tokenizer?.special.eos ?? [])])];
  }

  createSession(): Session {
    this.#open();
    return new Session(this, this.runtime.createState());
  }

  /** A session from what `session.save()` returned. Throws StateError, with the reason, for anything else. */
  restoreSession(bytes: Uint8Array): Session {
    this.#open();
    const { state, tokens } = stateFromBytes(bytes, this.#stateOwner, this.runtime.stateMemory);
    return new Session(this, state, tokens);
  }

  /**
   * A session from a file that `session.saveTo` wrote, or that holds what `session.save()` returned, from `offset` on: the length of the preface
   * that it was saved with. Not in a browser.
   */
  async restoreSessionFrom(path: string, { offset = 0 }: { offset?: number } = {}): Promise<Session> {
    this.#open();
    const { state, tokens } = await stateFromFile(path, this.#stateOwner, this.runtime.stateMemory, offset);
    return new Session(this, state, tokens);
  }

  /**
   * Reads tokens into several sessions with shared passes over the weights. Results never depend on what else is in the
   * step. Calls that overlap share passes over the weights, whoever made them. When aborted, rejects with the signal's reason; each session then
   * holds the tokens it says it holds.
   */
  async step(
    requests: readonly StepRequest[],
    options: { signal?: AbortSignal } = {},
  ): Promise<StepResult[]> {
    this.#open();
    this.#check(requests);
    const targets = requests.map(({ session }) => session.position);
    const states = beginAll(requests);
    try {
      const pieces = requests.map((request, i) => piece(request, states[i]!));
      return (await this.runtime.step(pieces, options.signal)).map((logits) => ({ logits }));
    } finally {
      // A rejected piece may leave others of the same call under way: they are through once the runtime is idle.
      if (requests.some(({ session, tokens }, i) => session.position !== targets[i]! + tokens.length))
        await this.runtime.idle();
      for (const { session } of requests) session.end();
    }
  }

  generate(
    session: Session,
    prompt: Prompt,
    options: GenerateOptions,
  ): AsyncGenerator<GenerateEvent, GenerateResult, void> {
    const { speculate = 'auto', ...rest } = options;
    const tokens = this.#promptTokens(session, prompt);
    const ready = tokens.length === 0 && session.logits ? { logits: session.logits } : null;
    const draft = speculate === false ? noDraft : createNgramDraft();
    const ahead = new LookaheadSession(session, draft, {
      always: speculate === true,
      contextLength: this.contextLength,
      ready,
    });
    const prompted = ready ? session.tokens.slice(-1) : tokens;
    return shareAfter(session, generate(ahead, this, prompted, rest), () => ahead.settle());
  }

  /** The tokens of a prompt, as `session.generate` would append them to a session that has read `position` tokens. */
  encode(prompt: string, position = 0): number[] {
    return this.#needTokenizer().encode(prompt, position === 0 ? {} : { addBos: false });
  }

  encodeSession(state: SessionState, tokens: readonly number[]): Uint8Array {
    return stateToBytes(state, tokens, this.#stateOwner);
  }

  async writeSession(
    state: SessionState,
    tokens: readonly number[],
    path: string,
    preface: Uint8Array,
  ): Promise<void> {
    await stateToFile(state, tokens, this.#stateOwner, path, preface);
  }

  /** Stops the threads and gives all memory back. Sessions of this model cannot be used any more. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.runtime.idle();
    await this.runtime.backend.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #promptTokens(session: Session, prompt: Prompt): readonly number[] {
    if (typeof prompt === 'string') return this.encode(prompt, session.position);
    if (!('messages' in prompt)) return prompt;
    if (!this.chatTemplate)
      throw new UsageError(
        `${this.name}: expected a model with a chat template, found none. Pass text or tokens.`,
      );
    const options = { addGenerationPrompt: true, ...(prompt.tools ? { tools: prompt.tools } : {}) };
    const { tokens } = this.chatTemplate.encode(prompt.messages, this.#needTokenizer(), options);
    session.alignForAnswer(tokens);
    return tokens.slice(session.position);
  }

  get #stateOwner(): StateOwner {
    const { fingerprint, contextLength } = this;
    return { layout: this.runtime.layout, fingerprint, contextLength };
  }

  #needTokenizer(): Tokenizer {
    if (!this.tokenizer)
      throw new UsageError(
        `${this.name}: expected a model with a tokenizer, found none. Pass token ids instead of text.`,
      );
    return this.tokenizer;
  }

  #open(): void {
    if (this.#closed) throw new UsageError(`${this.name}: expected an open model, found one that was closed`);
  }

  #check(requests: readonly StepRequest[]): void {
    const sessions = new Set(requests.map((r) => r.session));
    if (sessions.size < requests.length)
      throw new UsageError('step: expected each session once, found one twice');
    const foreign = requests.findIndex(({ session }) => !session.belongsTo(this));
    if (foreign >= 0)
      throw new UsageError(
        `step: session ${foreign + 1} of ${requests.length} belongs to another model: ` +
          `pass sessions that this model (${this.name}) created or restored`,
      );
    for (const { session, tokens, logits = 'last', into } of requests) {
      const size = logitRows({ tokens, logits }) * this.vocabularySize;
      if (into && into.length !== size)
        throw new UsageError(`step: into: expected room for ${size} logits, found ${into.length}`);
      if (!tokens.length)
        throw new UsageError('step: expected at least one token for each session, found none');
      const bad = tokens.find((t) => !Number.isInteger(t) || t < 0 || t >= this.vocabularySize);
      if (bad !== undefined)
        throw new UsageError(
          `step: token ${bad}: expected whole numbers below the vocabulary size ${this.vocabularySize}`,
        );
      if (session.position + tokens.length > this.contextLength) {
        throw new UsageError(
          `step: expected at most ${this.contextLength} tokens of context, found ${session.position + tokens.length}. ` +
            'Start a new session or raise contextLength.',
        );
      }
    }
  }
}

function beginAll(requests: readonly StepRequest[]): SessionState[] {
  const begun: Session[] = [];
  try {
    return requests.map(({ session }) => {
      const state = session.begin();
      begun.push(session);
      return state;
    });
  } catch (error) {
    for (const session of begun) session.end();
    throw error;
  }
}

function piece({ session, tokens, logits = 'last', into }: StepRequest, state: SessionState): Piece {
  let done = 0;
  return {
    state,
    tokens,
    logits,
    into,
    consumed(count) {
      session.consumed(tokens.slice(done, count));
      done = count;
    },
  };
}

/** Runs a generation; whichever way it ends, its session is brought to order and what it has read is shared. */
async function* shareAfter(
  session: Session,
  stream: AsyncGenerator<GenerateEvent, GenerateResult, void>,
  settle: () => Promise<void> = async () => {},
): AsyncGenerator<GenerateEvent, GenerateResult, void> {
  try {
    return yield* stream;
  } finally {
    await settle();
    session.share();
  }
}
