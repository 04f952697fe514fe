// What an evaluation asks: items of four kinds, each with an id that stays the same from run to run, and what
// is kept of each answer. A suite is a named list of items with the rule that sums them up.
import type { Tokenizer } from '@marimba/engine';

interface ItemBase {
  /** Unique within its suite, the same in every run. */
  readonly id: string;
  /** Sums are also made by group: the length of a haystack, say. */
  readonly group?: string;
}

/** One of several continuations is right; the model's is the one it finds likeliest. */
export interface ChoiceItem extends ItemBase {
  readonly kind: 'choice';
  readonly prompt: string;
  readonly choices: readonly string[];
  readonly answer: number;
}

/** The model writes; each of `answers` is looked for in what it wrote. */
export interface FreeItem extends ItemBase {
  readonly kind: 'free';
  readonly prompt: string;
  readonly answers: readonly string[];
  /**
   * `any`: one of them is what was said (articles, case and punctuation aside). `all`: they all occur in it
   * as words.
   */
  readonly match: 'any' | 'all';
  readonly maxTokens: number;
}

/** Token for token: a synthetic task. `answers` are indices in `tokens`. */
export interface SequenceItem extends ItemBase {
  readonly kind: 'sequence';
  readonly tokens: readonly number[];
  readonly answers: readonly number[];
}

/** A window of text whose every token is to be predicted. */
export interface TextItem extends ItemBase {
  readonly kind: 'text';
  readonly tokens: readonly number[];
  /** Tokens before this one are context only. */
  readonly scoredFrom: number;
  /** UTF-8 bytes of the scored tokens. */
  readonly byteLength: number;
}

export type EvalItem = ChoiceItem | FreeItem | SequenceItem | TextItem;

/** A line of a transcript. */
export interface Outcome {
  readonly id: string;
  readonly group?: string;
  /** Right or wrong as a whole; null for text. */
  readonly correct: boolean | null;
  /**
   * What paired comparisons use, larger is better: share of right answers, or minus the loss in nats per
   * token.
   */
  readonly score: number;
  /** Right among scored, for items with several answers. */
  readonly right?: number;
  readonly scored?: number;
  /** Nats, tokens and bytes of text. */
  readonly loss?: number;
  readonly tokens?: number;
  readonly bytes?: number;
  /** Right without length normalisation (choices). */
  readonly correctUnnormalised?: boolean;
  /** For people: what was asked, said and expected. */
  readonly asked?: string;
  readonly said?: string | readonly number[];
  readonly expected?: string | readonly number[];
  readonly logLikelihoods?: readonly number[];
}

export interface Suite {
  readonly name: string;
  readonly title: string;
  readonly source: string;
  /** Accuracy by guessing; null where there is no such thing. */
  readonly chance: number | null;
  /** Groups are lengths in tokens: report the longest at which the model still works. */
  readonly lengths?: readonly number[];
  readonly items: readonly EvalItem[];
}

/** What building a suite may need to know of the model. */
export interface SuiteTarget {
  readonly name: string;
  readonly vocabularySize: number;
  readonly contextLength: number;
  readonly tokenizer: Tokenizer | null;
}

export interface SuiteOptions {
  /** Items of a synthetic or long-text suite (for each length). Default 100, or 10 for each length. */
  readonly items?: number | undefined;
  readonly seed?: number | undefined;
  /** Lengths in tokens of text-needle and text-variables. */
  readonly lengths?: readonly number[] | undefined;
  /** Tokens of a perplexity window. Default 1024. */
  readonly window?: number | undefined;
  /** Stop reading a text after this many tokens. */
  readonly maxTokens?: number | undefined;
  /** Worked examples in front of each question, taken from the file's first lines. */
  readonly shots?: number | undefined;
}
