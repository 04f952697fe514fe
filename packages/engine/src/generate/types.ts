// What generation is asked for, what it reports, and the little that it needs of a model, a session and a tokenizer.
// The small interfaces are why everything here is tested with a scripted model.

import type { Tokenizer } from '../tokenizer/types.ts';

/**
 * How the next token is chosen. Without any option a token is drawn from the model's own distribution (temperature 1,
 * nothing cut off), which is what the OpenAI API, vLLM and transformers call neutral; a model's recommended values come
 * from its `generation_config.json` and are the caller's to pass. The order of the stages is in `sampler.ts`.
 */
export interface SamplingOptions {
  /** Divides the logits; 0 is greedy: the most likely token, the lowest id among equals. Default 1 (OpenAI, vLLM). */
  temperature?: number;
  /** Keep the k most likely tokens; 0 (default; vLLM, llama.cpp) keeps all. Fan et al. 2018, arXiv 1805.04833. */
  topK?: number;
  /** Keep the fewest most likely tokens that hold this much probability. Default 1: off. Holtzman 2019, arXiv 1904.09751. */
  topP?: number;
  /** Keep tokens at least this fraction as likely as the most likely one. Default 0: off. Nguyen 2024, arXiv 2407.01082. */
  minP?: number;
  /** Keep the tokens whose surprise is nearest the entropy, up to this mass. Default 1: off. Meister 2022, arXiv 2202.00666. */
  typicalP?: number;
  /** Now and then exclude the top choices. Off by default. */
  xtc?: XtcOptions;
  /** Divides positive logits of recent tokens, multiplies negative ones. Default 1: off. CTRL, arXiv 1909.05858 §4.1. */
  repetitionPenalty?: number;
  /** How many latest tokens (prompt included) the three penalties look at: default 64 as llama.cpp, 0 none, -1 all. */
  repetitionWindow?: number;
  /** Subtracted from a token's logit once per occurrence in the window. Default 0; range −2…2 (OpenAI API). */
  frequencyPenalty?: number;
  /** Subtracted from a token's logit once if it occurs in the window at all. Default 0; range −2…2 (OpenAI API). */
  presencePenalty?: number;
  /** Penalise tokens that would extend a verbatim repetition. Off by default. */
  dry?: DryOptions;
  /** Added to the logits of single tokens, after the penalties; −Infinity forbids a token. */
  logitBias?: Readonly<Record<number, number>>;
  /** Same seed, same options, same logits: same tokens on every platform. Default: a random one, reported in the result. */
  seed?: number;
}

/** "Exclude top choices" (text-generation-webui pull request 6335; llama.cpp `--xtc-*`). */
export interface XtcOptions {
  /** How often, 0…1. */
  probability: number;
  /** Of the tokens at least this likely, all but the least likely go. Default 0.1 (llama.cpp). */
  threshold?: number;
}

/** "Don't repeat yourself" (text-generation-webui pull request 5677; defaults of llama.cpp's `--dry-*`). */
export interface DryOptions {
  /** Strength; 0 is off. */
  multiplier: number;
  /** Growth for each further repeated token. Default 1.75. */
  base?: number;
  /** Repetitions shorter than this are free. Default 2. */
  allowedLength?: number;
  /** How many latest tokens are searched: default −1, all. */
  window?: number;
  /** Repetitions do not reach across these. Default newline, colon, quote and asterisk; none without a tokenizer. */
  breakers?: readonly string[];
}

export interface GenerateOptions extends SamplingOptions {
  /** Stop after so many tokens, an end token included. Default: no limit but the context. 0 only reads the prompt. */
  maxTokens?: number;
  /** Stop at the first of these in the text; the text ends before it. Also matches a special token by its name. */
  stop?: readonly string[];
  /** Further end tokens. They hold even with `ignoreEos`. */
  stopTokens?: readonly number[];
  /** Carry on after the model's own end tokens (transformers with `eos_token_id: null`; they are not made less likely). */
  ignoreEos?: boolean;
  /** Report log-probabilities, with this many alternatives for each token; 0 is the chosen token's only. Default: none. */
  logprobs?: number;
  /** Ends generation with finish reason `abort`, without throwing. */
  signal?: AbortSignal;
  /**
   * Reads guessed tokens (what followed the latest ones earlier in the text) along with the sampled one. The answer is the
   * same either way; `auto` (default) does it while it is faster, `true` whenever there is a guess.
   */
  speculate?: boolean | 'auto';
}

/** `stop`: an end token or a stop string. `context`: no position is left for another token. */
export type FinishReason = 'stop' | 'length' | 'abort' | 'context';

export interface TokenAlternative {
  readonly token: number;
  /** The token on its own: U+FFFD for bytes that are no whole character, its name for a special token. */
  readonly text: string;
  readonly logprob: number;
}

/** One sampled token, end tokens included. */
export interface GenerateEvent {
  readonly token: number;
  /** What can be shown now: '' while a character is incomplete or a stop string may be starting; later events catch up. */
  readonly text: string;
  /** Where the token stands in the session's sequence. */
  readonly position: number;
  /** Natural log of its probability under the unprocessed logits (softmax at temperature 1). */
  readonly logprob?: number;
  /** The most likely tokens under the unprocessed logits, best first. */
  readonly top?: readonly TokenAlternative[];
}

export interface GenerateTimings {
  /** Reading the prompt. */
  readonly promptMs: number;
  /** From the start to the first sampled token; 0 when there was none. */
  readonly firstTokenMs: number;
  /** From the first sampled token to the last, without the time that the consumer held the stream. */
  readonly decodeMs: number;
  /** Of the tokens after the first; 0 when there were none. */
  readonly tokensPerSecond: number;
}

export interface GenerateResult {
  /** Every sampled token in order; an end token is the last one. */
  readonly tokens: number[];
  /** The text of all events joined. Without a tokenizer ''. */
  readonly text: string;
  readonly finishReason: FinishReason;
  readonly stopString?: string;
  readonly stopToken?: number;
  /** The last sampled token when the session has not been fed it: what `continueFrom` puts before the next tokens. */
  readonly pendingToken?: number;
  /** All tokens before the first sampled one, whether fed now or carried by the session. */
  readonly promptTokens: number;
  /** How many of them the session already carried. */
  readonly reusedTokens: number;
  /** Repeats this result, chosen at random unless given. */
  readonly seed: number;
  readonly timings: GenerateTimings;
}

/** The part of a tokenizer that turns sampled tokens into text. */
export type GenerationTokenizer = Pick<
  Tokenizer,
  'createStreamDecoder' | 'isSpecial' | 'tokenText' | 'tokenBytes'
>;

export interface TokenModel {
  readonly vocabularySize: number;
  readonly endTokens: readonly number[];
  readonly tokenizer: GenerationTokenizer | null;
  /** Infinity where only memory limits it. */
  readonly contextLength: number;
}

export interface TokenSession {
  /** How many tokens the state has taken in. */
  readonly position: number;
  /** These tokens. */
  readonly tokens: readonly number[];
  /**
   * Appends tokens and returns the logits after the last one: a view that the next call may overwrite. Rejects with the
   * signal's reason when aborted; `position` and `tokens` then say how far it came.
   */
  prefillForLogits(tokens: readonly number[], signal?: AbortSignal): Promise<Float32Array>;
}
