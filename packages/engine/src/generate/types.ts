// What generation is asked for, what it reports, and the little that it needs of a model, a session and a
// tokenizer. The small interfaces are why everything here is tested with a scripted model.

import type { Masks } from '../grammar/mask/masks.ts';
import type { OutputIssue, OutputOptions } from '../grammar/output.ts';
import type { Tokenizer } from '../tokenizer/types.ts';

/**
 * How the next token is chosen. Options that are left out (or undefined) take the value that the model's
 * files recommend (`model.recommended`), as in transformers and vLLM, and otherwise the neutral default named
 * below: a draw from the model's own distribution. The order of the stages is in `sampler.ts`.
 */
export interface SamplingOptions {
  /**
   * Divides the logits; 0 is greedy: the most likely token, the lowest id among equals. Default 1 (OpenAI,
   * vLLM).
   */
  readonly temperature?: number | undefined;
  /**
   * Keeps the k most likely tokens; 0 (default; vLLM, llama.cpp) keeps all. Fan et al. 2018, arXiv
   * 1805.04833.
   */
  readonly topK?: number | undefined;
  /**
   * Keeps the fewest most likely tokens that hold this much probability. Default 1: off.
   * Holtzman et al. 2019, arXiv 1904.09751.
   */
  readonly topP?: number | undefined;
  /**
   * Keeps tokens at least this fraction as likely as the most likely one. Default 0: off. Nguyen 2024, arXiv
   * 2407.01082.
   */
  readonly minP?: number | undefined;
  /**
   * Keeps the tokens whose surprise is nearest the entropy, up to this mass. Default 1: off. Meister 2022,
   * arXiv 2202.00666.
   */
  readonly typicalP?: number | undefined;
  /** Occasionally drops the most likely tokens (XTC). Off by default. */
  readonly xtc?: XtcOptions | undefined;
  /**
   * Divides positive logits of recent tokens, multiplies negative ones. Default 1: off. CTRL, arXiv
   * 1909.05858 §4.1.
   */
  readonly repetitionPenalty?: number | undefined;
  /**
   * How many latest tokens (prompt included) the three penalties look at: default 64 as llama.cpp, 0 none, -1
   * all.
   */
  readonly repetitionWindow?: number | undefined;
  /**
   * Subtracted from a token's logit once per occurrence in the window. Default 0; range −2…2 (OpenAI API).
   */
  readonly frequencyPenalty?: number | undefined;
  /**
   * Subtracted from a token's logit once if it occurs in the window at all. Default 0; range −2…2 (OpenAI
   * API).
   */
  readonly presencePenalty?: number | undefined;
  /** Penalises tokens that would extend a verbatim repetition (DRY). Off by default. */
  readonly dry?: DryOptions | undefined;
  /** Added to the logits of single tokens, by token id, after the penalties; −Infinity forbids a token. */
  readonly logitBias?: Readonly<Record<number, number>> | undefined;
  /**
   * Same seed, same options, same logits: same tokens on every platform. Default: random, reported in the
   * result.
   */
  readonly seed?: number | undefined;
}

/** "Exclude top choices" (text-generation-webui pull request 6335; llama.cpp `--xtc-*`). */
export interface XtcOptions {
  /** Probability of dropping, 0…1, drawn for each token. */
  readonly probability: number;
  /** Of the tokens at least this likely, all but the least likely are dropped. Default 0.1 (llama.cpp). */
  readonly threshold?: number | undefined;
}

/** "Don't repeat yourself" (text-generation-webui pull request 5677; defaults of llama.cpp's `--dry-*`). */
export interface DryOptions {
  /** Strength; 0 is off. */
  readonly multiplier: number;
  /** Growth per further repeated token. Default 1.75. */
  readonly base?: number | undefined;
  /** Repetitions shorter than this are free. Default 2. */
  readonly allowedLength?: number | undefined;
  /** How many latest tokens are searched: default −1, all. */
  readonly window?: number | undefined;
  /**
   * Repetitions do not reach across these. Default newline, colon, quote and asterisk; none without a
   * tokenizer.
   */
  readonly breakers?: readonly string[] | undefined;
}

/** What `generate` can be told: how to sample, when to stop, what to report. Unknown names are refused. */
export interface GenerateOptions extends SamplingOptions {
  /**
   * What holds for the sampling options that are left out: the values of the model's files (`recommended`,
   * the default), or the neutral defaults of SamplingOptions.
   */
  readonly sampling?: 'recommended' | 'neutral' | undefined;
  /**
   * Maximum number of tokens to generate, including the end token. Default: up to the context length. 0 only
   * reads the prompt.
   */
  readonly maxTokens?: number | undefined;
  /**
   * Stops at the first of these in the text; the text ends before it. Also matches a special token by its
   * name.
   */
  readonly stop?: readonly string[] | undefined;
  /** Further end tokens, by id. They hold even with `ignoreEos`. */
  readonly stopTokens?: readonly number[] | undefined;
  /**
   * Continues after the model's own end tokens (transformers with `eos_token_id: null`; they are not made
   * less likely).
   */
  readonly ignoreEos?: boolean | undefined;
  /**
   * Reports log-probabilities, with this many alternatives per token; 0: of the chosen token only. Default:
   * none.
   */
  readonly logprobs?: number | undefined;
  /** Ends the events; `result` rejects with the signal's reason, and what was generated stays readable. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Holds the answer to a JSON Schema, a regular expression or a grammar: only tokens that lead to a text of
   * it are ever chosen, and it ends exactly where such a text may end. JSON is compact and its numbers have no
   * exponents, unless `whitespace` and `numbers` say otherwise. Default: any text.
   */
  readonly output?: OutputOptions | undefined;
  /**
   * Evaluates guessed tokens (what followed the latest ones earlier in the text) together with the sampled
   * one. The answer is the same either way; `auto` (default) guesses while that is faster, `true` whenever
   * there is a guess.
   */
  readonly speculate?: boolean | 'auto' | undefined;
}

/**
 * Why a generation ended. `stop`: an end token or a stop string; `length`: `maxTokens`; `context`: no
 * position is left for another token; `cancel`: its consumer left it (`break`, a cancelled stream,
 * `close()`).
 */
export type FinishReason = 'stop' | 'length' | 'context' | 'cancel';

/** A token that could have been chosen instead. */
export interface TokenAlternative {
  /** Token id. */
  readonly token: number;
  /** The token on its own: U+FFFD for bytes that are no whole character, its name for a special token. */
  readonly text: string;
  /** Natural log of its probability under the unprocessed logits. */
  readonly logprob: number;
}

/** One sampled token, end tokens included. */
export interface GenerateEvent {
  /** Token id. */
  readonly token: number;
  /**
   * What can be shown now: '' while a character is incomplete or a stop string may be starting; later events
   * catch up.
   */
  readonly text: string;
  /** Index of the token in the session's sequence. */
  readonly position: number;
  /**
   * Natural log of its probability under the unprocessed logits (softmax at temperature 1). With option
   * `logprobs`.
   */
  readonly logprob?: number;
  /** The most likely tokens under the unprocessed logits, best first. With option `logprobs`. */
  readonly top?: readonly TokenAlternative[];
  /**
   * Natural log of the probability, under the unprocessed logits, of all tokens that `output` allowed here:
   * `logprob − allowedLogprob` is the token's among them. With options `logprobs` and `output`.
   */
  readonly allowedLogprob?: number;
}

/** Where the time went, in milliseconds. */
export interface GenerateTimings {
  /** Reading the prompt. */
  readonly promptMs: number;
  /** From the start to the first sampled token; 0 when there was none. */
  readonly firstTokenMs: number;
  /**
   * From the first sampled token to the last, without the time between an event and the request for the next.
   */
  readonly decodeMs: number;
  /** Of the tokens after the first; 0 when there were none. */
  readonly tokensPerSecond: number;
}

/** How many tokens a generation took in and gave out. */
export interface GenerateUsage {
  /** All tokens before the first sampled one, whether read now or held by the session before. */
  readonly promptTokens: number;
  /** How many of them needed no evaluation. */
  readonly reusedTokens: number;
  /** Sampled tokens, end tokens included. */
  readonly generatedTokens: number;
}

/** How a session came to hold the tokens that were asked for. */
export interface ReuseReport {
  /** Tokens whose state was already there. */
  readonly reusedTokens: number;
  /** Tokens that have to be evaluated (again). */
  readonly computedTokens: number;
  /** Why not more was reused; null when everything in common was. */
  readonly reason: string | null;
}

/** What a generation came to. */
export interface GenerateResult<Value = unknown> {
  /** Every sampled token in order; an end token is the last one. */
  readonly tokens: readonly number[];
  /** The text of all events joined. '' without a tokenizer. */
  readonly text: string;
  /** Why it ended. */
  readonly finishReason: FinishReason;
  /**
   * What the text means, with option `output`: the parsed JSON of a schema (what a validating library makes
   * of it, where the schema is one of its), the text of an expression or grammar. Absent when the answer was
   * cut before its end.
   */
  readonly value?: Value;
  /**
   * What a validating library finds wrong with the parsed JSON beyond its JSON Schema; then there is no
   * value.
   */
  readonly issues?: readonly OutputIssue[];
  /** The stop string that ended it. The session's tokens include it, the text does not. */
  readonly stopString?: string;
  /** The end token that ended it: also the last of `tokens`. */
  readonly stopToken?: number;
  /** How many tokens were read, reused and generated. */
  readonly usage: GenerateUsage;
  /** What the session already held of the prompt. */
  readonly reuse: ReuseReport;
  /** Repeats this result; chosen at random unless given. */
  readonly seed: number;
  /** Where the time went. */
  readonly timings: GenerateTimings;
}

/** The part of a tokenizer that turns sampled tokens into text. */
export type GenerationTokenizer = Pick<
  Tokenizer,
  'createStreamDecoder' | 'isSpecial' | 'tokenText' | 'tokenBytes' | 'encode'
>;

/** What generation needs to know of a model. */
export interface TokenModel {
  readonly vocabularySize: number;
  readonly endTokens: readonly number[];
  readonly tokenizer: GenerationTokenizer | null;
  /** Which tokens a grammar allows; null without a tokenizer. */
  readonly masks: Masks | null;
  /** Infinity where only memory limits it. */
  readonly contextLength: number;
  /** What holds for options that are left out. */
  readonly recommended: SamplingOptions;
}

/** A sequence of tokens that a model has read, and can be made to read on. */
export interface TokenSession {
  /** The tokens that were read. */
  readonly tokens: readonly number[];
  /** How many. */
  readonly position: number;
  /** Logits after the last of them, shape [vocabulary]; null while they are not known. */
  readonly logits: Float32Array | null;
  /**
   * Reads at least one token and returns the logits after the last: a view that the next call may overwrite.
   * Rejects with the signal's reason when aborted; `tokens` then says how far it came.
   */
  prefill(tokens: readonly number[], signal?: AbortSignal): Promise<Float32Array>;
  /** The same for the tokens that were just chosen, at least one. */
  next(...tokens: readonly number[]): Promise<Float32Array>;
  /**
   * Ends a generation: the session holds exactly what was read, and after it `pending`, which is read with
   * what follows.
   */
  end(pending: number | null): Promise<void>;
}
