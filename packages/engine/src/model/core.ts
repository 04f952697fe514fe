// What the sessions of one model share: the runtime that reads tokens into their timelines, the prefixes that
// they may start from, and what is known about text. Knows neither Session nor Model; both are thin faces of
// it.
//
// The walk of a prompt: Session.generate → ModelCore.generate → the loop (generate/) → ReadingSession →
// ModelCore.read → Runtime.step, and back the same way.

import { type ModelSpec, readsWhole } from '../architecture/spec.ts';
import type { EmbeddingRules } from '../embed/settings.ts';
import { ModelError, UsageError } from '../errors.ts';
import type { JsonObject } from '../formats/types.ts';
import { checkPrompt, type DraftFit, generate, type ReadySession } from '../generate/generate.ts';
import type { Generation } from '../generate/generation.ts';
import { type DraftingSession, LookaheadSession } from '../generate/lookahead.ts';
import { createNgramDraft, type NgramDraft, noDraft } from '../generate/ngram-draft.ts';
import { isToken } from '../generate/options.ts';
import type { GenerateOptions, ReuseReport, SamplingOptions } from '../generate/types.ts';
import { Masks } from '../grammar/mask/masks.ts';
import { GrammarVocabulary } from '../grammar/mask/vocabulary.ts';
import { type LogitsWanted, logitRows, type Piece } from '../runtime/pieces.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { StateOwner } from '../state/state-file.ts';
import type { ChatMessage } from '../tokenizer/chat-messages.ts';
import type { ChatTemplate } from '../tokenizer/chat-template.ts';
import type { Tokenizer } from '../tokenizer/types.ts';
import type { ModelWeights } from '../weights/place.ts';
import { PrefixStore } from './prefix-store.ts';
import type { Timeline } from './timeline.ts';

/** What to generate from: text, token ids, or a conversation that the model's chat template lays out. */
export type Prompt =
  | string
  | readonly number[]
  | {
      /** Rendered with the model's chat template. */
      readonly messages: readonly ChatMessage[];
      /** JSON schemas of functions, for templates that know tools. Default: none. */
      readonly tools?: readonly JsonObject[] | undefined;
      /** Further variables of the chat template, such as `enable_thinking` or `documents`. Default: none. */
      readonly variables?: Readonly<Record<string, unknown>> | undefined;
    };

/** What a timeline is to read in a step. */
export interface ReadRequest {
  readonly timeline: Timeline;
  readonly tokens: readonly number[];
  readonly logits?: LogitsWanted | undefined;
  readonly into?: Float32Array | undefined;
  /** The timeline stays where it is until `accept`. */
  readonly draft?: boolean | undefined;
}

/** For whoever keeps something in step with a generation. */
export interface GenerationWatch {
  readonly begun?: () => void;
  readonly ended?: ReadySession['release'];
}

export interface CoreParts {
  readonly name: string;
  readonly spec: ModelSpec;
  readonly weights: ModelWeights;
  readonly runtime: Runtime;
  readonly fingerprint: string;
  readonly tokenizer: Tokenizer | null;
  readonly chatTemplate: ChatTemplate | null;
  readonly notes: readonly string[];
  readonly recommended: SamplingOptions;
  readonly embedding: EmbeddingRules;
  readonly contextLength: number;
  /** Memory for prefixes that sessions share; 0 for none. */
  readonly prefixCacheBytes: number;
}

/** Within a long prompt a checkpoint is kept after this many tokens. */
const CHECKPOINT_TOKENS = 4096;

const BUSY_READING = 'await the running step first';
const BUSY_GENERATING = 'await the result of the running generation first, or close it';

export class ModelCore {
  readonly name: string;
  readonly spec: ModelSpec;
  readonly weights: ModelWeights;
  readonly runtime: Runtime;
  readonly fingerprint: string;
  readonly tokenizer: Tokenizer | null;
  readonly chatTemplate: ChatTemplate | null;
  readonly notes: readonly string[];
  readonly recommended: SamplingOptions;
  readonly embedding: EmbeddingRules;
  readonly contextLength: number;
  readonly vocabularySize: number;
  /** Where generation ends: the configuration's end tokens and those that the tokenizer knows. */
  readonly endTokens: readonly number[];
  /** Null when sharing is switched off. */
  readonly prefixes: PrefixStore | null;
  #closing: Promise<void> | null = null;
  #masks: Masks | null = null;

  constructor(parts: CoreParts) {
    this.name = parts.name;
    this.spec = parts.spec;
    this.weights = parts.weights;
    this.runtime = parts.runtime;
    this.fingerprint = parts.fingerprint;
    this.tokenizer = parts.tokenizer;
    this.chatTemplate = parts.chatTemplate;
    this.notes = parts.notes;
    this.recommended = parts.recommended;
    this.embedding = parts.embedding;
    this.contextLength = parts.contextLength;
    this.vocabularySize = parts.spec.vocabularySize;
    const ends = new Set([...parts.spec.endTokens, ...(parts.tokenizer?.special.eos ?? [])]);
    this.endTokens = [...ends].filter((token) => token < this.vocabularySize);
    this.prefixes = parts.prefixCacheBytes > 0 ? new PrefixStore(parts.prefixCacheBytes) : null;
  }

  get stateOwner(): StateOwner {
    const { fingerprint, contextLength } = this;
    return { layout: this.runtime.layout, fingerprint, contextLength };
  }

  /** Made when an output is first held to a format: sorting a large vocabulary takes a while. */
  get masks(): Masks | null {
    const { tokenizer, vocabularySize, endTokens } = this;
    if (tokenizer) this.#masks ??= new Masks(new GrammarVocabulary(tokenizer, vocabularySize, endTokens));
    return this.#masks;
  }

  assertOpen(): void {
    if (this.#closing !== null)
      throw new UsageError(`model ${this.name} is closed: load it again`, { code: 'closed' });
  }

  /** Waits for what is under way, then stops the threads and gives all memory back. */
  close(): Promise<void> {
    this.#closing ??= this.runtime.idle().then(() => this.runtime.backend.close());
    return this.#closing;
  }

  /**
   * Reserves the timelines, and reads into all of them with shared passes over the weights. Pending tokens
   * are read first, and give no logits.
   */
  async step(requests: readonly ReadRequest[], signal?: AbortSignal): Promise<(Float32Array | null)[]> {
    const claimed: Timeline[] = [];
    try {
      for (const { timeline, tokens } of requests) {
        assertTokens(tokens);
        timeline.claim(BUSY_READING);
        claimed.push(timeline);
      }
      return await this.read(requests.map(afterPending), signal);
    } finally {
      for (const timeline of claimed) timeline.release();
    }
  }

  /** Reads into timelines that the caller has reserved. Where a token is pending, `tokens` begin with it. */
  async read(requests: readonly ReadRequest[], signal?: AbortSignal): Promise<(Float32Array | null)[]> {
    this.assertOpen();
    for (const request of requests) this.#check(request);
    return this.runtime.step(requests.map(piece), signal);
  }

  /** Reads the first `count` tokens of the draft that the timeline was given last. */
  async accept(timeline: Timeline, draft: readonly number[], count: number): Promise<void> {
    this.assertOpen();
    try {
      await this.runtime.accept(timeline.state, count);
    } catch (error) {
      timeline.retreat();
      throw error;
    }
    timeline.consumed(draft.slice(0, count));
  }

  /**
   * Reads a prompt of any length, with checkpoints on the way. Returns the logits after its last token. Where
   * a token is pending, `tokens` begin with it.
   */
  async prefill(timeline: Timeline, tokens: readonly number[], signal?: AbortSignal): Promise<Float32Array> {
    for (let from = 0; ; from += CHECKPOINT_TOKENS) {
      timeline.checkpoint();
      const chunk = tokens.slice(from, from + CHECKPOINT_TOKENS);
      const last = from + chunk.length >= tokens.length;
      const [logits] = await this.read([{ timeline, tokens: chunk, logits: last ? 'last' : 'none' }], signal);
      if (last) return logits!;
    }
  }

  /**
   * Makes the timeline hold exactly these tokens, reusing as much as they have in common with what it has
   * read.
   */
  async align(timeline: Timeline, tokens: readonly number[], signal?: AbortSignal): Promise<ReuseReport> {
    signal?.throwIfAborted();
    const report = timeline.alignTo(tokens, tokens.length, this.prefixes);
    if (timeline.length < tokens.length) {
      const missing = timeline.withPending(tokens.slice(timeline.length));
      await this.read([{ timeline, tokens: missing, logits: 'none' }], signal);
      timeline.checkpoint();
    }
    return report;
  }

  /** Runs `work` while nothing else may use the timeline. */
  async alone<T>(timeline: Timeline, work: () => Promise<T>): Promise<T> {
    timeline.claim(BUSY_READING);
    try {
      return await work();
    } finally {
      timeline.release();
    }
  }

  /** Lets other sessions start from here, if there is memory for it. */
  share(timeline: Timeline): void {
    if (!this.prefixes || !timeline.readLength) return;
    try {
      this.prefixes.add(timeline.snapshotOfRead());
    } catch (error) {
      // A cache must not fail the answer that would have filled it.
      if (!(error instanceof ModelError && error.code === 'out-of-memory')) throw error;
    }
  }

  generate(
    timeline: Timeline,
    prompt: Prompt,
    options: GenerateOptions = {},
    watch: GenerationWatch = {},
  ): Generation {
    this.assertOpen();
    timeline.assertFree();
    const start = timeline.length;
    const encoded = this.#encodePrompt(prompt, start);
    if (encoded.kind === 'whole') checkPrompt({ position: 0, logits: null }, this, encoded.tokens);
    else
      checkPrompt(
        { position: timeline.readLength, logits: timeline.logits },
        this,
        timeline.withPending(encoded.tokens),
      );
    const { speculate = 'auto' } = options ?? {};
    const release: ReadySession['release'] = (generated) => {
      timeline.release();
      watch.ended?.(generated);
    };
    const begin = (fitting: DraftFit | null): ReadySession => {
      timeline.assertFree();
      watch.begun?.();
      timeline.claim(BUSY_GENERATING);
      try {
        // Another generation may have gone first: then a text is not the session's first any more.
        const isMoved = typeof prompt === 'string' && timeline.length !== start;
        const current = isMoved ? this.#encodePrompt(prompt, timeline.length) : encoded;
        const aligned = bringInLine(timeline, current, this.prefixes);
        const session = new LookaheadSession(
          new ReadingSession(this, timeline),
          speculate === false ? noDraft : fittingDraft(createNgramDraft(), fitting),
          { always: speculate === true, contextLength: this.contextLength },
        );
        return { session, ...aligned, readLength: () => timeline.readLength, release };
      } catch (error) {
        release({ tokens: [], text: '' });
        throw error;
      }
    };
    return generate(begin, this, options);
  }

  /**
   * The tokens of a text that follows `position` tokens: only the first text of a session gets a start token.
   */
  encode(text: string, position: number): number[] {
    return this.needTokenizer().encode(text, position === 0 ? {} : { addBos: false });
  }

  /** Throws UsageError unless these are token ids that fit the context after `held` others. */
  checkTokens(tokens: readonly number[], held: number): void {
    assertTokens(tokens);
    const bad = tokens.find((token) => !isToken(token, this.vocabularySize));
    if (bad !== undefined)
      throw new UsageError(
        `token ${bad}: expected a whole number below the vocabulary size ${this.vocabularySize}`,
      );
    if (held + tokens.length > this.contextLength)
      throw new UsageError(
        `expected at most ${this.contextLength} tokens of context, found ${held + tokens.length}. ` +
          'Start a new session, or load the model with a longer contextLength.',
      );
  }

  /** Throws UsageError for models that give no logits. */
  needHead(what: string): void {
    const { name, spec } = this;
    if (!spec.headless) return;
    const kind = readsWhole(spec) ? 'is an encoder' : 'has no output head';
    throw new UsageError(`${name} ${kind}: it turns texts into vectors (model.embed) and has no ${what}`);
  }

  needTokenizer(): Tokenizer {
    if (!this.tokenizer)
      throw new UsageError(
        `${this.name} has no tokenizer: ${this.notes.find((note) => note.includes('tokenizer')) ?? 'pass token ids instead of text'}`,
      );
    return this.tokenizer;
  }

  needTemplate(): ChatTemplate {
    if (!this.chatTemplate)
      throw new UsageError(`${this.name} has no chat template: pass text or token ids to session.generate`);
    return this.chatTemplate;
  }

  #encodePrompt(prompt: Prompt, position: number): EncodedPrompt {
    if (typeof prompt === 'string') return { kind: 'append', tokens: this.encode(prompt, position) };
    if (Array.isArray(prompt)) return { kind: 'append', tokens: [...prompt] };
    if (typeof prompt !== 'object' || prompt === null || !('messages' in prompt))
      throw new UsageError(
        `prompt: expected text, an array of token ids or { messages }, found ${describe(prompt)}`,
      );
    const { messages, tools, variables } = prompt;
    if (!Array.isArray(messages))
      throw new UsageError(`prompt.messages: expected an array of messages, found ${describe(messages)}`);
    const template = this.needTemplate();
    const { tokens } = template.encode(messages, this.needTokenizer(), {
      ...variables,
      addGenerationPrompt: true,
      tools,
    });
    return { kind: 'whole', tokens };
  }

  #check({ timeline, tokens, logits = 'last', into }: ReadRequest): void {
    this.checkTokens(tokens, timeline.readLength);
    const isNumber = Number.isInteger(logits) && (logits as number) >= 0;
    if (!isNumber && !['none', 'last', 'all'].includes(logits as string))
      throw new UsageError(
        `logits: expected 'none', 'last', 'all' or a whole number from 0, found ${String(logits)}`,
      );
    const size = logitRows({ tokens, logits }) * this.vocabularySize;
    if (into && into.length !== size)
      throw new UsageError(`into: expected room for ${size} logits, found ${into.length}`);
  }
}

/** Drafts cut where an output format would not allow them. */
function fittingDraft(draft: NgramDraft, fitting: DraftFit | null): NgramDraft {
  if (!fitting) return draft;
  return {
    draft(tokens) {
      const drafted = draft.draft(tokens);
      return drafted.slice(0, fitting(drafted));
    },
  };
}

/** A value in a message: its kind where it is large. */
export function describe(value: unknown): string {
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}

/** A prompt as tokens: to append to whatever the session holds, or the whole that it is to hold. */
interface EncodedPrompt {
  readonly kind: 'append' | 'whole';
  readonly tokens: readonly number[];
}

function bringInLine(timeline: Timeline, { kind, tokens }: EncodedPrompt, prefixes: PrefixStore | null) {
  if (kind === 'append') {
    const promptTokens = timeline.withPending(tokens);
    const reuse = { reusedTokens: timeline.readLength, computedTokens: promptTokens.length, reason: null };
    return { reuse, promptTokens };
  }
  const reuse = timeline.alignForAnswer(tokens, prefixes);
  return { reuse, promptTokens: timeline.withPending(tokens.slice(timeline.length)) };
}

/** Throws UsageError unless it is an array, empty or not. */
export function assertArray(tokens: readonly number[]): void {
  if (!Array.isArray(tokens))
    throw new UsageError(`tokens: expected an array of token ids, found ${describe(tokens)}`);
}

function assertTokens(tokens: readonly number[]): void {
  assertArray(tokens);
  if (!tokens.length) throw new UsageError('tokens: expected at least one token per session, found none');
}

/**
 * The same request, with a pending token before its tokens. The tokens are copied: the caller's array may
 * change meanwhile.
 */
function afterPending({ timeline, tokens, logits, into }: ReadRequest): ReadRequest {
  if (timeline.pendingToken === null) return { timeline, tokens: [...tokens], logits, into };
  const most = tokens.length;
  const wanted = logits === 'all' ? most : typeof logits === 'number' ? Math.min(logits, most) : logits;
  return { timeline, tokens: timeline.withPending(tokens), logits: wanted, into };
}

function piece({ timeline, tokens, logits = 'last', into, draft }: ReadRequest): Piece {
  let done = 0;
  return {
    state: timeline.state,
    tokens,
    logits,
    into,
    draft,
    consumed(count) {
      timeline.consumed(tokens.slice(done, count));
      done = count;
    },
    failed: () => timeline.retreat(),
  };
}

/** A timeline as generation uses it: what it has read, without a pending token. */
class ReadingSession implements DraftingSession {
  readonly #core: ModelCore;
  readonly #timeline: Timeline;
  /** Room for one row of logits, used again by each step. */
  #row: Float32Array | undefined;
  /** What was read ahead and is not decided on. */
  #draft: readonly number[] = [];

  constructor(core: ModelCore, timeline: Timeline) {
    this.#core = core;
    this.#timeline = timeline;
  }

  get tokens(): readonly number[] {
    return this.#timeline.tokens.slice(0, this.#timeline.readLength);
  }

  get logits(): Float32Array | null {
    return this.#timeline.logits;
  }

  /** The end of a prompt becomes a checkpoint, so that another answer needs no evaluation. */
  async prefill(tokens: readonly number[], signal?: AbortSignal): Promise<Float32Array> {
    const timeline = this.#timeline;
    const isShort = tokens.length === 1; // not worth a checkpoint
    const request = { timeline, tokens };
    const logits = isShort
      ? (await this.#core.read([request], signal))[0]!
      : await this.#core.prefill(timeline, tokens, signal);
    timeline.know(logits);
    if (isShort) return logits;
    timeline.checkpoint();
    this.#core.share(timeline);
    return logits;
  }

  async read(tokens: readonly number[], rows: number): Promise<Float32Array> {
    const into = rows === 1 ? this.#row : undefined;
    const [logits] = await this.#core.read([{ timeline: this.#timeline, tokens, logits: rows, into }]);
    if (rows === 1) this.#row = logits!;
    return logits!;
  }

  get draftLimit(): number {
    return this.#core.runtime.draftRows;
  }

  async draft(tokens: readonly number[]): Promise<Float32Array> {
    const request = { timeline: this.#timeline, tokens, logits: 'all', draft: true } as const;
    const [logits] = await this.#core.read([request]);
    this.#draft = tokens;
    return logits!;
  }

  async accept(count: number): Promise<void> {
    await this.#core.accept(this.#timeline, this.#draft, count);
  }

  async end(pending: number | null): Promise<void> {
    this.#core.share(this.#timeline);
    if (pending !== null) this.#timeline.hold(pending);
  }
}
