// The loop: read the prompt, then sample, report, feed back, until something says stop.
//
// What the session holds. A token is sampled from the logits of the one before it and fed only when the next
// one is wanted. So while an event is out the session has read everything except the last sampled token.
// However a generation ends, that token is left to the session as pending: it counts among the session's
// tokens and is read with whatever follows. An end token and the tokens of a stop string are no exception.
//
// What the text holds. The events' texts joined are the result's text. Text that could begin a stop string,
// or lacks bytes of its last character, is held back, and the last event brings what remains; there is one
// event per token and none without. After an abort there is no further event, so what was held back then is
// left out of the text.

import { UsageError } from '../errors.ts';
import type { AllowedTokens } from './allowed.ts';
import { type Constraint, createConstraint } from './constraint.ts';
import { type EventSource, Generation } from './generation.ts';
import { allowedLogprob, createLogprobReader, type LogprobReader } from './logprobs.ts';
import { isToken, resolveStops, type StopSettings, withRecommended } from './options.ts';
import { createSampler, type Sampler } from './sampler.ts';
import { createTextStream, type TextStream, textOfToken } from './text-stream.ts';
import type {
  FinishReason,
  GenerateEvent,
  GenerateOptions,
  GenerateResult,
  GenerateTimings,
  GenerateUsage,
  ReuseReport,
  TokenModel,
  TokenSession,
} from './types.ts';

/** A session that was made ready to generate: nobody else may use it until it is released. */
export interface ReadySession {
  readonly session: TokenSession;
  /** Tokens to read before the first is sampled. Empty: the session's own logits are sampled from. */
  readonly promptTokens: readonly number[];
  readonly reuse: ReuseReport;
  /** Tokens that the session has read: grows while a prompt is read. */
  readLength(): number;
  /** Called once, whichever way the generation ended, with what it generated. */
  release(generated: { readonly tokens: readonly number[]; readonly text: string }): void;
}

/**
 * Generates with `model` in the session that `begin` makes ready, once the generation starts. Throws
 * UsageError at once for invalid options. The generation fails with UsageError, before anything is read, for
 * an empty prompt where no logits are known, a token outside the vocabulary, and a prompt that does not fit
 * the context.
 */
export function generate(
  begin: (fitting: DraftFit | null) => ReadySession,
  model: TokenModel,
  options: GenerateOptions = {},
): Generation {
  const complete = withRecommended(options, model.recommended);
  const stops = resolveStops(complete, model.vocabularySize);
  const sampler = createSampler(complete, model.vocabularySize, model.tokenizer);
  const text = createTextStream(model.tokenizer, stops.stop);
  const ends = [...stops.stopTokens, ...(stops.ignoreEos ? [] : model.endTokens)];
  const constraint = createConstraint(complete.output, model, ends);
  const from = complete.output?.from ?? null;
  return new Generation(new TokenLoop(begin, model, { stops, sampler, text, constraint, from }));
}

/** How many of these tokens an output format would allow next. */
export type DraftFit = (tokens: readonly number[]) => number;

interface Parts {
  readonly stops: StopSettings;
  readonly sampler: Sampler;
  readonly text: TextStream;
  /** Null where any text will do. */
  readonly constraint: Constraint | null;
  /** Where in the session's tokens the constrained text begins; null: with the first generated one. */
  readonly from: number | null;
}

class TokenLoop implements EventSource {
  readonly #begin: (fitting: DraftFit | null) => ReadySession;
  readonly #model: TokenModel;
  readonly #parts: Parts;
  readonly #report: Reporter | null;
  readonly #clock = createClock();
  readonly #tokens: number[] = [];
  /** Stops the reading of a prompt that nobody waits for any more. */
  readonly #cancelled = new AbortController();
  #ready: ReadySession | null = null;
  #released = false;
  #promptTokens = 0;
  #text = '';
  /** Chosen, and not read yet: the last one, and those before it that left no choice. */
  #pending: number[] = [];
  /** What must come next, for lack of a choice. */
  #forced: number[] = [];
  #result: GenerateResult | null = null;

  constructor(begin: (fitting: DraftFit | null) => ReadySession, model: TokenModel, parts: Parts) {
    this.#begin = begin;
    this.#model = model;
    this.#parts = parts;
    this.#report = createReporter(parts.stops.logprobs, model);
  }

  get signal(): AbortSignal | null {
    return this.#parts.stops.signal;
  }

  get result(): GenerateResult | null {
    return this.#result;
  }

  get seed(): number {
    return this.#parts.sampler.seed;
  }

  get usage(): GenerateUsage {
    const { reusedTokens } = this.#reuse;
    return { promptTokens: this.#promptTokens, reusedTokens, generatedTokens: this.#tokens.length };
  }

  get promptTokensRead(): number {
    return Math.min(this.#promptTokens, this.#ready?.readLength() ?? 0);
  }

  get timings(): GenerateTimings {
    return this.#clock.timings(this.#tokens.length);
  }

  get #reuse(): ReuseReport {
    return this.#ready?.reuse ?? { reusedTokens: 0, computedTokens: 0, reason: null };
  }

  cancel(): void {
    this.#cancelled.abort();
  }

  async step(): Promise<GenerateEvent | null> {
    if (this.#result) return null;
    try {
      return await this.#step();
    } catch (error) {
      const { aborted, reason } = this.#cancelled.signal;
      if (!aborted || error !== reason) {
        await this.#release().catch(() => {}); // the first error says why
        throw error;
      }
      await this.#release();
      this.#result = this.#summary('cancel');
      return null;
    }
  }

  async #step(): Promise<GenerateEvent | null> {
    this.#throwIfStopped();
    this.#clock.resume();
    const chosen = await this.#choose();
    if (!chosen) return null;
    const { token, report } = chosen;
    this.#parts.sampler.accept(token);
    const position = this.#ready!.session.position + this.#pending.length;
    this.#tokens.push(token);
    this.#pending.push(token);
    const { text, finishReason, ending } = settle(
      token,
      position,
      this.#tokens.length,
      this.#model,
      this.#parts,
    );
    this.#text += text;
    const event = { token, text, position, ...report };
    this.#clock.pause();
    if (finishReason) await this.#finish(finishReason, ending);
    return event;
  }

  /** The next token: one that must come, or a sample. Null when there is none. */
  async #choose(): Promise<{ token: number; report: Report } | null> {
    const { sampler, constraint } = this.#parts;
    const isFirst = this.#ready === null;
    let logits = isFirst ? await this.#start() : null;
    this.#throwIfStopped();
    if (isFirst && !logits) return null;
    if (!this.#forced.length) this.#forced = constraint?.forced() ?? [];
    const forced = this.#forced.shift();
    // What must come needs no logits, unless they are reported; it is read with what comes after it.
    if (forced !== undefined && !this.#report) return { token: forced, report: {} };
    // The threads read while the mask is computed here.
    const reading = logits ?? this.#feedBack(this.#ready!);
    const allowed = allowedBy(constraint);
    logits = await reading;
    this.#throwIfStopped();
    if (allowed instanceof Error) throw allowed;
    const token = forced ?? sampler.sample(logits, allowed).token;
    return { token, report: this.#report?.(logits, token, allowed) ?? {} };
  }

  /** Reads the prompt. Null when that is all that was wanted, or all that fits. */
  async #start(): Promise<Float32Array | null> {
    const { sampler, stops } = this.#parts;
    const { constraint } = this.#parts;
    const ready = this.#begin(constraint && ((tokens) => constraint.fitting(tokens)));
    const { session, promptTokens } = ready;
    try {
      checkPrompt(session, this.#model, promptTokens);
      this.#continueOutput([...session.tokens, ...promptTokens]);
    } catch (error) {
      ready.release({ tokens: [], text: '' });
      throw error;
    }
    this.#ready = ready;
    this.#promptTokens = session.position + promptTokens.length;
    for (const token of session.tokens) sampler.accept(token);
    for (const token of promptTokens) sampler.accept(token);
    const cancelled = this.#cancelled.signal;
    const signal = stops.signal ? AbortSignal.any([stops.signal, cancelled]) : cancelled;
    const logits = promptTokens.length ? await session.prefill(promptTokens, signal) : session.logits;
    this.#clock.promptRead();
    if (constraint?.isOver) await this.#finish('stop');
    else if (stops.maxTokens === 0) await this.#finish('length');
    else if (session.position >= this.#model.contextLength) await this.#finish('context');
    else return logits;
    return null;
  }

  /** Brings the constraint to where an answer that was begun before has come. */
  #continueOutput(tokens: readonly number[]): void {
    const { constraint, from } = this.#parts;
    if (!constraint || from === null) return;
    if (from > tokens.length)
      throw new UsageError(
        `option output.from: expected at most ${tokens.length} (all tokens), found ${from}`,
      );
    for (const token of tokens.slice(from)) constraint.accept(token);
  }

  /** Without the signal: a single step is short, and half of one would leave the pending token in doubt. */
  async #feedBack({ session }: ReadySession): Promise<Float32Array> {
    const logits = await session.next(...this.#pending);
    this.#pending = [];
    return logits;
  }

  #throwIfStopped(): void {
    this.signal?.throwIfAborted();
    this.#cancelled.signal.throwIfAborted();
  }

  async #finish(finishReason: FinishReason, ending: Ending = {}): Promise<void> {
    await this.#release();
    const { constraint } = this.#parts;
    const isWhole = finishReason === 'stop' && ending.stopString === undefined && constraint?.isComplete;
    this.#result = { ...this.#summary(finishReason, ending), ...(isWhole ? await constraint.meaning() : {}) };
  }

  /** Leaves the session as the header says. What it was told before is what it holds, also after an error. */
  async #release(): Promise<void> {
    const ready = this.#ready;
    if (!ready || this.#released) return;
    this.#released = true;
    const last = this.#pending.pop() ?? null;
    try {
      if (this.#pending.length) await ready.session.next(...this.#pending);
      await ready.session.end(last);
    } finally {
      ready.release({ tokens: this.#tokens, text: this.#text });
    }
  }

  #summary(finishReason: FinishReason, ending: Ending = {}): GenerateResult {
    return {
      tokens: this.#tokens,
      text: this.#text,
      finishReason,
      ...ending,
      usage: this.usage,
      reuse: this.#reuse,
      seed: this.seed,
      timings: this.timings,
    };
  }
}

/** What may come next, or why that cannot be said: an error waits for the pass that is under way. */
function allowedBy(constraint: Constraint | null): AllowedTokens | Error | null {
  try {
    return constraint?.allowed() ?? null;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

interface Ending {
  readonly stopString?: string;
  readonly stopToken?: number;
}

interface Step {
  readonly text: string;
  readonly finishReason: FinishReason | null;
  readonly ending: Ending;
}

/** What a sampled token means: the text that it releases, and whether it is the last one. */
function settle(
  token: number,
  position: number,
  count: number,
  model: TokenModel,
  { stops, text, constraint }: Parts,
): Step {
  const isEnd = stops.stopTokens.has(token) || (!stops.ignoreEos && model.endTokens.includes(token));
  // An end token's own text is never shown, even where the tokenizer does not call it special.
  if (isEnd) return { text: text.end().text, finishReason: 'stop', ending: { stopToken: token } };
  constraint?.accept(token);
  const match = text.push(token);
  if (match.stop !== null)
    return { text: match.text, finishReason: 'stop', ending: { stopString: match.stop } };
  const isCut = count >= stops.maxTokens ? 'length' : position + 1 >= model.contextLength ? 'context' : null;
  const finishReason = constraint?.isOver ? 'stop' : isCut;
  if (!finishReason) return { text: match.text, finishReason, ending: {} };
  const rest = text.end();
  const whole = match.text + rest.text;
  if (rest.stop !== null) return { text: whole, finishReason: 'stop', ending: { stopString: rest.stop } };
  return { text: whole, finishReason, ending: {} };
}

type Report = Pick<GenerateEvent, 'logprob' | 'top' | 'allowedLogprob'>;
type Reporter = (logits: Float32Array, token: number, allowed: AllowedTokens | null) => Report;

/** The log-probabilities of an event, if they are asked for. */
function createReporter(
  alternatives: number | null,
  { vocabularySize, tokenizer }: TokenModel,
): Reporter | null {
  if (alternatives === null) return null;
  const reader: LogprobReader = createLogprobReader(alternatives, vocabularySize);
  return (logits, token, allowed) => {
    const { logprob, top } = reader.read(logits, token);
    const named = top.map((one) => ({ ...one, text: textOfToken(tokenizer, one.token) }));
    if (!allowed) return { logprob, top: named };
    return { logprob, top: named, allowedLogprob: allowedLogprob(logits, allowed) };
  };
}

/** Throws UsageError unless these tokens can follow what the session has read. */
export function checkPrompt(
  session: Pick<TokenSession, 'position' | 'logits'>,
  model: TokenModel,
  promptTokens: readonly number[],
): void {
  if (promptTokens.length === 0 && !session.logits) {
    const remedy =
      session.position > 0
        ? 'Rewind by one token and pass that token again, or go back to the end of a prompt.'
        : "Pass at least one token; the tokenizer's start token is enough.";
    throw new UsageError(`prompt: expected at least one token, found none. ${remedy}`);
  }
  const wrong = promptTokens.findIndex((token) => !isToken(token, model.vocabularySize));
  if (wrong >= 0) {
    throw new UsageError(
      `prompt[${wrong}]: expected a token id from 0 to ${model.vocabularySize - 1}, found ${promptTokens[wrong]}. ` +
        "Was the text encoded with another model's tokenizer?",
    );
  }
  const needed = session.position + promptTokens.length;
  if (needed > model.contextLength) {
    throw new UsageError(
      `prompt: expected at most ${model.contextLength} tokens in the context, found ${needed} ` +
        `(${session.position} in the session and ${promptTokens.length} new). ` +
        'Shorten it, or load the model with a longer contextLength.',
    );
  }
}

/**
 * Keeps the consumer's own time, between an event and the request for the next, out of the decoding speed.
 */
function createClock() {
  let start: number | null = null;
  let promptMs = 0;
  let firstTokenMs = 0;
  let decodeMs = 0;
  let since = 0;
  let events = 0;
  return {
    resume() {
      since = performance.now();
      start ??= since;
    },
    promptRead() {
      promptMs = performance.now() - start!;
    },
    /** The next event is ready; the consumer's time begins. */
    pause() {
      const now = performance.now();
      if (events++ === 0) firstTokenMs = now - start!;
      else decodeMs += now - since;
    },
    timings(tokenCount: number): GenerateTimings {
      const tokensPerSecond = tokenCount > 1 && decodeMs > 0 ? ((tokenCount - 1) / decodeMs) * 1000 : 0;
      return { promptMs, firstTokenMs, decodeMs, tokensPerSecond };
    },
  };
}
