// The loop: read the prompt, then sample, report, feed back, until something says stop.
//
// What the session holds. A token is sampled from the logits of the one before it and fed only when the next one is
// wanted. So while an event is out, and at the end, the session has everything except the last sampled token: the
// result names it as `pendingToken`, and `continueFrom` puts it before the tokens of the next turn. A consumer that
// breaks out of the stream leaves the same state, with the last event's token pending. Only an abort can find nothing
// pending: while the prompt is read, or after a step whose logits were then not used.
//
// What the text holds. The events' texts joined are the result's text. Text that could begin a stop string, or lacks
// bytes of its last character, is held back, and the last event brings what remains; there is one event for every token
// and none without. After an abort there is no further event, so what was held back then is left out of the text.

import { UsageError } from '../errors.ts';
import { createLogprobReader, type LogprobReader } from './logprobs.ts';
import { isToken, resolveStops, type StopSettings } from './options.ts';
import { createSampler, type Sampler } from './sampler.ts';
import { createTextStream, type TextStream, textOfToken } from './text-stream.ts';
import type {
  FinishReason,
  GenerateEvent,
  GenerateOptions,
  GenerateResult,
  GenerateTimings,
  TokenModel,
  TokenSession,
} from './types.ts';

/**
 * Appends `promptTokens` to the session and generates from there. Throws UsageError at once, before anything is fed, for
 * invalid options, an empty prompt, a token outside the vocabulary and a prompt that does not fit the context.
 * While it runs nothing else may feed the session.
 */
export function generate(
  session: TokenSession,
  model: TokenModel,
  promptTokens: readonly number[],
  options: GenerateOptions = {},
): AsyncGenerator<GenerateEvent, GenerateResult, void> {
  checkPrompt(session, model, promptTokens);
  const stops = resolveStops(options, model.vocabularySize);
  const sampler = createSampler(options, model.vocabularySize, model.tokenizer);
  const text = createTextStream(model.tokenizer, stops.stop);
  return run(session, model, promptTokens, { stops, sampler, text });
}

/** The prompt that continues a finished generation: its pending token, if there is one, and then `next`. */
export function continueFrom(
  result: Pick<GenerateResult, 'pendingToken'>,
  next: readonly number[] = [],
): number[] {
  return result.pendingToken === undefined ? [...next] : [result.pendingToken, ...next];
}

interface Parts {
  readonly stops: StopSettings;
  readonly sampler: Sampler;
  readonly text: TextStream;
}

async function* run(
  session: TokenSession,
  model: TokenModel,
  promptTokens: readonly number[],
  { stops, sampler, text }: Parts,
): AsyncGenerator<GenerateEvent, GenerateResult, void> {
  const reusedTokens = session.position;
  const clock = createClock();
  const tokens: number[] = [];
  let joined = '';
  let pending = false;
  const finish = (finishReason: FinishReason, ending: Ending = {}): GenerateResult => ({
    tokens,
    text: joined,
    finishReason,
    ...ending,
    ...(pending ? { pendingToken: tokens[tokens.length - 1] } : {}),
    promptTokens: reusedTokens + promptTokens.length,
    reusedTokens,
    seed: sampler.seed,
    timings: clock.timings(tokens.length),
  });

  for (const token of session.tokens) sampler.accept(token);
  for (const token of promptTokens) sampler.accept(token);
  let logits = await feedPrompt(session, promptTokens, stops.signal);
  clock.promptRead();
  if (logits === null || stops.signal?.aborted) return finish('abort');
  if (stops.maxTokens === 0) return finish('length');
  if (session.position >= model.contextLength) return finish('context');

  const report = createReporter(stops.logprobs, model);
  for (;;) {
    const { token } = sampler.sample(logits);
    sampler.accept(token);
    const position = session.position;
    const step = settle(token, position, tokens.push(token), { stops, model, text });
    joined += step.text;
    pending = true;
    const event = { token, text: step.text, position, ...report(logits, token) };
    clock.pause();
    yield event;
    clock.resume();
    if (step.finishReason) return finish(step.finishReason, step.ending);
    if (stops.signal?.aborted) return finish('abort');
    // Without the signal: a single step is short, and half of one would leave the pending token in doubt.
    logits = await session.prefillForLogits([token]);
    pending = false;
    if (stops.signal?.aborted) return finish('abort');
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
  { stops, model, text }: { stops: StopSettings; model: TokenModel; text: TextStream },
): Step {
  const isEnd = stops.stopTokens.has(token) || (!stops.ignoreEos && model.endTokens.includes(token));
  // An end token's own text is never shown, even where the tokenizer does not call it special.
  if (isEnd) return { text: text.end().text, finishReason: 'stop', ending: { stopToken: token } };
  const match = text.push(token);
  if (match.stop !== null)
    return { text: match.text, finishReason: 'stop', ending: { stopString: match.stop } };
  const finishReason =
    count >= stops.maxTokens ? 'length' : position + 1 >= model.contextLength ? 'context' : null;
  if (!finishReason) return { text: match.text, finishReason, ending: {} };
  const rest = text.end();
  const whole = match.text + rest.text;
  if (rest.stop !== null) return { text: whole, finishReason: 'stop', ending: { stopString: rest.stop } };
  return { text: whole, finishReason, ending: {} };
}

/** Null when the signal ended it. */
async function feedPrompt(
  session: TokenSession,
  promptTokens: readonly number[],
  signal: AbortSignal | null,
): Promise<Float32Array | null> {
  if (!signal) return session.prefillForLogits(promptTokens);
  if (signal.aborted) return null;
  try {
    return await session.prefillForLogits(promptTokens, signal);
  } catch (error) {
    const isAbort = error === signal.reason || (error instanceof Error && error.name === 'AbortError');
    if (signal.aborted && isAbort) return null;
    throw error;
  }
}

type Report = Pick<GenerateEvent, 'logprob' | 'top'>;

/** The log-probabilities of an event, if they are asked for. */
function createReporter(
  alternatives: number | null,
  { vocabularySize, tokenizer }: TokenModel,
): (logits: Float32Array, token: number) => Report {
  if (alternatives === null) return () => ({});
  const reader: LogprobReader = createLogprobReader(alternatives, vocabularySize);
  return (logits, token) => {
    const { logprob, top } = reader.read(logits, token);
    return { logprob, top: top.map((one) => ({ ...one, text: textOfToken(tokenizer, one.token) })) };
  };
}

function checkPrompt(session: TokenSession, model: TokenModel, promptTokens: readonly number[]): void {
  if (promptTokens.length === 0) {
    const remedy =
      session.position > 0
        ? 'Pass the pending token of the last result (continueFrom), or rewind by one token and pass that token again.'
        : 'Pass at least one token; the start token will do.';
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
        `(${session.position} in the session and ${promptTokens.length} new). Shorten it or load the model with a longer context.`,
    );
  }
}

/** Keeps the consumer's own time, between an event and the request for the next, out of the decoding speed. */
function createClock() {
  const start = performance.now();
  let promptMs = 0;
  let firstTokenMs = 0;
  let decodeMs = 0;
  let since: number | null = null;
  return {
    promptRead() {
      promptMs = performance.now() - start;
    },
    /** The next event is ready; the consumer's time begins. */
    pause() {
      const now = performance.now();
      if (since === null) firstTokenMs = now - start;
      else decodeMs += now - since;
    },
    resume() {
      since = performance.now();
    },
    timings(tokenCount: number): GenerateTimings {
      const tokensPerSecond = tokenCount > 1 && decodeMs > 0 ? ((tokenCount - 1) / decodeMs) * 1000 : 0;
      return { promptMs, firstTokenMs, decodeMs, tokensPerSecond };
    },
  };
}
