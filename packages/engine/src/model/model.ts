// A loaded model: what `loadModel` returns. It makes sessions, and takes steps for any number of them.

import type { LayerSpec, ModelSpec } from '../architecture/spec.ts';
import { type Embedding, type EmbedInput, type EmbedOptions, embedTexts } from '../embed/embed.ts';
import { type RankedDocument, type RerankOptions, rerankDocuments } from '../embed/rerank.ts';
import type { EmbeddingSettings } from '../embed/settings.ts';
import { UsageError } from '../errors.ts';
import type { SamplingOptions } from '../generate/types.ts';
import type { CacheType } from '../plan/cache-layout.ts';
import { PAGE_TOKENS } from '../plan/cache-layout.ts';
import { type RestoreSource, restoreState } from '../state/restore-state.ts';
import { type RestoredState, stateFromBytes } from '../state/state-transfer.ts';
import type { ChatTemplate } from '../tokenizer/chat-template.ts';
import type { Tokenizer } from '../tokenizer/types.ts';
import { Chat, type ChatOptions, chatOf, checkChatOptions } from './chat.ts';
import { type CoreParts, describe, ModelCore } from './core.ts';
import {
  type AbortOptions,
  coreOfSession,
  Session,
  type StepRequest,
  type StepResult,
  timelineOf,
} from './session.ts';
import { Timeline } from './timeline.ts';

/** How long loading took, in milliseconds. */
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

/** Bytes of memory that a model uses, and what its sessions will need. */
export interface ModelMemory {
  /** Everything in use now: weights, activations, sessions, snapshots. */
  readonly usedBytes: number;
  /** What could be in use at most: 4 GiB in each WebAssembly memory. */
  readonly limitBytes: number;
  /** All weights, in the formats they are computed with. */
  readonly weightBytes: number;
  /** Buffers between layers, and scratch. */
  readonly activationBytes: number;
  /** The recurrent state of one session, the same at every length. */
  readonly recurrentBytes: number;
  /** What each further token adds to a session's attention cache, while no window is full. */
  readonly cacheBytesPerToken: number;
  /** Prefixes that sessions share, now. */
  readonly prefixCacheBytes: number;
}

/** What a model is and how it runs, for people and reports. */
export interface ModelDescription {
  /** File, folder or repository that it was loaded from. */
  readonly name: string;
  /** The architecture's name in the files, such as `jamba` or `qwen2`. */
  readonly family: string;
  /** Numbers in all weights; a tied head counts once. */
  readonly parameters: number;
  /** From the embedding to the head. */
  readonly layers: readonly LayerSpec[];
  /** Channels of the residual stream. */
  readonly hiddenSize: number;
  /** Token ids are below it. */
  readonly vocabularySize: number;
  /** Most tokens that a session may hold. */
  readonly contextLength: number;
  /** Format of the attention cache. */
  readonly cacheType: CacheType;
  /** Kernels and threads, such as "wasm, relaxed SIMD, 4 threads". */
  readonly backend: string;
  /** Threads that compute; 1 where the calling thread does. */
  readonly threads: number;
  /** Tokens of a prompt that one pass evaluates. */
  readonly batchTokens: number;
}

let coreOf: (model: Model) => ModelCore;

/**
 * A model in memory, returned by `loadModel`. Sessions are independent of each other; calls that overlap
 * share passes over the weights, and no result depends on what else is under way.
 *
 * @example
 * await using model = await loadModel('model.gguf');
 * const { text } = await model.createSession().complete('Once upon a time', { maxTokens: 50 });
 */
export class Model implements AsyncDisposable {
  static {
    coreOf = (model) => model.#core;
  }

  readonly #core: ModelCore;
  /** How long loading took. */
  readonly loadTimes: LoadTimes;

  /** Made by `loadModel`. */
  constructor(parts: CoreParts & { readonly loadTimes: LoadTimes }) {
    this.#core = new ModelCore(parts);
    this.loadTimes = parts.loadTimes;
  }

  /** The name of its file, folder or repository. */
  get name(): string {
    return this.#core.name;
  }

  /** Its layers and sizes. */
  get spec(): ModelSpec {
    return this.#core.spec;
  }

  /** Identifies weights and configuration: saved sessions can be restored where it is equal. */
  get fingerprint(): string {
    return this.#core.fingerprint;
  }

  /** Null when the model's files have none: it then takes and gives token ids. */
  get tokenizer(): Tokenizer | null {
    return this.#core.tokenizer;
  }

  /**
   * How conversations are laid out; null when the files have no template and the vocabulary no ChatML
   * markers.
   */
  get chatTemplate(): ChatTemplate | null {
    return this.#core.chatTemplate;
  }

  /**
   * Sentences for the user about the model's files: an unknown word splitting for which the default was taken,
   * an end token outside the vocabulary. Usually empty.
   */
  get notes(): readonly string[] {
    return this.#core.notes;
  }

  /** What the model's files recommend for sampling (`generation_config.json`): the default of `generate`. */
  get recommended(): SamplingOptions {
    return this.#core.recommended;
  }

  /** The most tokens that a session can hold. */
  get contextLength(): number {
    return this.#core.contextLength;
  }

  /** How many tokens there are: the length of a row of logits. */
  get vocabularySize(): number {
    return this.#core.vocabularySize;
  }

  /** Where generation ends: the configuration's end tokens and those that the tokenizer knows. */
  get endTokens(): readonly number[] {
    return this.#core.endTokens;
  }

  /** How it turns texts into vectors, as its files say: the defaults of `embed`. */
  get embedding(): EmbeddingSettings {
    const { pooling, normalize, dimensions, maxTokens, prompts, defaultPrompt } = this.#core.embedding;
    const most = Math.min(maxTokens, this.#core.contextLength);
    return { pooling, normalize, dimensions, maxTokens: most, prompts, defaultPrompt };
  }

  /** What it occupies now. */
  get memory(): ModelMemory {
    const { runtime, weights, prefixes } = this.#core;
    const { arenas } = runtime.backend;
    const usedBytes = arenas.reduce((sum, arena) => sum + arena.usedBytes, 0);
    return {
      usedBytes,
      limitBytes: arenas.reduce((sum, arena) => sum + arena.roomBytes, usedBytes),
      weightBytes: weights.byteLength,
      activationBytes: runtime.activationBytes,
      recurrentBytes: runtime.layout.recurrentBytes,
      cacheBytesPerToken: runtime.layout.groups.reduce((sum, g) => sum + g.pageBytes / PAGE_TOKENS, 0),
      prefixCacheBytes: prefixes?.usedBytes ?? 0,
    };
  }

  /** What it is, in figures. */
  describe(): ModelDescription {
    const { name, spec, runtime, weights, contextLength } = this.#core;
    const { backend, layout } = runtime;
    return {
      name,
      family: spec.name,
      parameters: weights.list.reduce((sum, { shape }) => sum + shape.reduce((size, n) => size * n, 1), 0),
      layers: spec.layers,
      hiddenSize: spec.hiddenSize,
      vocabularySize: spec.vocabularySize,
      contextLength,
      cacheType: layout.cacheType,
      backend: backend.description,
      threads: backend.threads,
      batchTokens: backend.maxRows,
    };
  }

  /** A session that holds nothing. Costs no memory before it reads. */
  createSession(): Session {
    this.#core.assertOpen();
    this.#core.needHead('sessions');
    return new Session(this.#core, Timeline.empty(this.#core.runtime.createState()));
  }

  /** A session from what `session.save()` returned. Throws StateError, with the reason, for anything else. */
  restoreSession(bytes: Uint8Array): Session {
    this.#core.assertOpen();
    if (!(bytes instanceof Uint8Array))
      throw new UsageError(
        `restoreSession: expected the Uint8Array that session.save() returned, found ${bytes}`,
      );
    return this.#session(stateFromBytes(bytes, this.#core.stateOwner, this.#core.runtime.stateMemory));
  }

  /**
   * A session from what `session.saveTo` wrote, or that holds what `session.save()` returned: a path (Node),
   * a Blob or File, a `FileSystemFileHandle`, or a stream. It is read into place, without a copy of the
   * whole. Throws StateError, with the reason, for anything that does not fit this model; FormatError for a
   * file that cannot be read.
   */
  async restoreSessionFrom(source: RestoreSource, { signal }: AbortOptions = {}): Promise<Session> {
    this.#core.assertOpen();
    const { stateOwner, runtime } = this.#core;
    return this.#session(await restoreState(source, stateOwner, runtime.stateMemory, signal));
  }

  /**
   * A conversation through the model's chat template. Throws UsageError when the model has none.
   *
   * @example
   * const chat = model.createChat({ system: 'Answer in one sentence.' });
   * const { text } = await chat.send('Why do marimbas have resonators?').result;
   */
  createChat(options: ChatOptions = {}): Chat {
    checkChatOptions(options);
    this.#core.needHead('conversations');
    this.#core.needTemplate();
    const { system, messages = [], tools = [], variables = {}, defaults = {} } = options;
    const opening = system === undefined ? [] : [{ role: 'system' as const, content: system }];
    return new Chat(this.createSession(), {
      messages: [...opening, ...messages],
      tools,
      variables,
      defaults,
    });
  }

  /** A chat from what `chat.save()` returned. Throws StateError for anything else. */
  restoreChat(bytes: Uint8Array, { defaults = {} }: Pick<ChatOptions, 'defaults'> = {}): Chat {
    return chatOf(this.restoreSession(bytes), defaults);
  }

  /**
   * A chat from what `chat.saveTo` wrote, or that holds what `chat.save()` returned: from all that
   * `restoreSessionFrom` reads, with its errors. Throws StateError for a session that is not a chat.
   */
  async restoreChatFrom(
    source: RestoreSource,
    { defaults = {}, signal }: Pick<ChatOptions, 'defaults'> & AbortOptions = {},
  ): Promise<Chat> {
    return chatOf(await this.restoreSessionFrom(source, { signal }), defaults);
  }

  /**
   * Reads tokens into several sessions with shared passes over the weights. Results never depend on what else
   * is in the step. Throws UsageError for sessions of another model, for one that appears twice and for token
   * ids outside the vocabulary; no session has changed then. When aborted, each session holds the tokens that
   * it says it holds.
   */
  async step(requests: readonly StepRequest[], { signal }: AbortOptions = {}): Promise<StepResult[]> {
    this.#core.assertOpen();
    this.#checkSessions(requests);
    const reads = requests.map(({ session, tokens, logits, into }) => ({
      timeline: timelineOf(session),
      tokens,
      logits,
      into,
    }));
    return (await this.#core.step(reads, signal)).map((logits) => ({ logits }));
  }

  /**
   * Turns texts into vectors: the last hidden states of each text, pooled as the model's files say, in the order
   * of the texts. Texts share passes over the weights and nothing is padded; what is under way at a time is
   * bounded. A vector does not depend on the texts beside it beyond rounding, nor on the number of threads.
   * Throws UsageError for an option that cannot be meant, and where neither the files nor `pooling` say how.
   *
   * @example
   * const [query, ...passages] = await model.embed([question, ...texts]);
   */
  embed(texts: string | readonly EmbedInput[], options: EmbedOptions = {}): Promise<Embedding[]> {
    return embedTexts(this.#core, typeof texts === 'string' ? [texts] : texts, options);
  }

  /**
   * Sorts documents by how well they answer a query, the best first: by the share of yes against no that a
   * reranker gives as the next token (Qwen3-Reranker), or by the head of a cross-encoder (ms-marco-MiniLM,
   * bge-reranker). Throws UsageError for a model that has neither.
   *
   * @example
   * const [best] = await model.rerank('Why do marimbas have resonators?', passages);
   * console.log(passages[best.index], best.score);
   */
  async rerank(
    query: string,
    documents: readonly string[],
    options: RerankOptions = {},
  ): Promise<RankedDocument[]> {
    if (!this.#core.embedding.ranking) this.#core.needHead('yes or no');
    return rerankDocuments(this.#core, query, documents, options);
  }

  /**
   * Token ids of a text, as `session.generate` would append them to a session that holds `position` tokens.
   */
  encode(text: string, position = 0): number[] {
    return this.#core.encode(text, position);
  }

  /** Stops the threads and gives all memory back. Its sessions cannot be used any more. */
  async close(): Promise<void> {
    await this.#core.close();
  }

  /** `close()`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #session({ state, tokens, pendingToken, data }: RestoredState): Session {
    const moment = { tokens, pending: pendingToken !== null, logits: null };
    return new Session(this.#core, new Timeline(state, moment), data);
  }

  #checkSessions(requests: readonly StepRequest[]): void {
    if (!Array.isArray(requests))
      throw new UsageError(`step: expected an array of requests, found ${describe(requests)}`);
    const seen = new Map<Session, number>();
    for (const [i, request] of requests.entries()) {
      const which = `session ${i + 1} of ${requests.length}`;
      if (typeof request !== 'object' || request === null)
        throw new UsageError(`step: ${which}: expected { session, tokens }, found ${describe(request)}`);
      const { session } = request as StepRequest;
      if (!(session instanceof Session))
        throw new UsageError(`step: ${which}: expected a session, found ${session}`);
      if (coreOfSession(session) !== this.#core)
        throw new UsageError(
          `step: ${which} belongs to another model: ` +
            `pass sessions that this model (${this.name}) created or restored`,
          { code: 'other-model' },
        );
      if (seen.has(session)) throw new UsageError(`step: ${which} appears twice: pass each session once`);
      seen.set(session, i);
    }
  }
}

/** For measurements and tests: what a model's face does not show. */
export { coreOf };
