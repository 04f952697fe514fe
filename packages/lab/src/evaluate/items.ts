// What an evaluation asks: items of four kinds, each with an id that stays the same from run to run, and what
// is kept of each answer. A suite is a named list of items with the rule that sums them up.
import type { Tokenizer } from '@marimba/engine';

/** What items of all kinds have. */
interface ItemBase {
  /** Unique within its suite, the same in every run. */
  readonly id: string;
  /** Sums are also made by group: the length of a haystack, say. */
  readonly group?: string;
}

/** One of several continuations is right; the model's is the one it finds likeliest. */
export interface ChoiceItem extends ItemBase {
  /** Scored by likelihood; nothing is generated. */
  readonly kind: 'choice';
  /** Text in front of each choice. */
  readonly prompt: string;
  /** Continuations, each with the space that it begins with. */
  readonly choices: readonly string[];
  /** Index of the right choice. */
  readonly answer: number;
}

/** The model writes; each of `answers` is looked for in what it wrote. */
export interface FreeItem extends ItemBase {
  /** Answered by greedy generation. */
  readonly kind: 'free';
  /** Text that the answer continues, or the user's message with `chat`. */
  readonly prompt: string;
  /** Accepted answers, or the parts of one, as `match` says. */
  readonly answers: readonly string[];
  /**
   * `any`: one of them is what was said (articles, case and punctuation aside). `all`: they all occur in it
   * as words.
   */
  readonly match: 'any' | 'all';
  /** Ends the answer; outside a chat so does the end of its line. */
  readonly maxTokens: number;
}

/** Token for token: a synthetic task. `answers` are indices in `tokens`. */
export interface SequenceItem extends ItemBase {
  /** Scored in one pass, without generation. */
  readonly kind: 'sequence';
  /** Token ids, answers included. */
  readonly tokens: readonly number[];
  /** Indices in `tokens` of the answers, each predicted from everything before it. */
  readonly answers: readonly number[];
}

/** A window of text whose every token is to be predicted. */
export interface TextItem extends ItemBase {
  /** Scored in one pass, as a loss. */
  readonly kind: 'text';
  /** Token ids of the window. */
  readonly tokens: readonly number[];
  /** Tokens before this one are context only. */
  readonly scoredFrom: number;
  /** UTF-8 bytes of the scored tokens. */
  readonly byteLength: number;
}

/** A question to a model, in one of four kinds. */
export type EvalItem = ChoiceItem | FreeItem | SequenceItem | TextItem;

/** How a model answered an item: a line of a transcript. */
export interface Outcome {
  /** The item's id, by which transcripts and comparisons find it again. */
  readonly id: string;
  /** The item's group, where it has one. */
  readonly group?: string;
  /** Right or wrong as a whole; null for text. */
  readonly correct: boolean | null;
  /**
   * What paired comparisons use, larger is better: share of right answers, or minus the loss in nats per
   * token.
   */
  readonly score: number;
  /** Right answers, of items with several. */
  readonly right?: number;
  /** Answers that were scored, of items with several. */
  readonly scored?: number;
  /** Sum over the scored tokens of a text, in nats. */
  readonly loss?: number;
  /** Scored tokens of a text. */
  readonly tokens?: number;
  /** UTF-8 bytes of the scored tokens. */
  readonly bytes?: number;
  /** Right without length normalisation (choices). */
  readonly correctUnnormalised?: boolean;
  /** For people: the end of the prompt. */
  readonly asked?: string;
  /** For people: the model's choice or text, or its tokens. */
  readonly said?: string | readonly number[];
  /** For people: what would have been right. */
  readonly expected?: string | readonly number[];
  /** Of each choice, in nats, not normalised by length. */
  readonly logLikelihoods?: readonly number[];
}

/** Items with the rule that sums them up. `buildSuite` makes the ready ones; a plain object works too. */
export interface Suite {
  /** Names the transcript, together with a hash of the items. */
  readonly name: string;
  /** A heading for reports. */
  readonly title: string;
  /** Where the questions come from: a paper, or a file. */
  readonly source: string;
  /** Accuracy by guessing; null where there is no such thing. */
  readonly chance: number | null;
  /** Groups are lengths in tokens: report the longest at which the model still works. */
  readonly lengths?: readonly number[];
  /** In the order in which they are asked; those of one kind, side by side, share passes. */
  readonly items: readonly EvalItem[];
}

/** What building a suite may need to know of the model. */
export interface SuiteTarget {
  /** Names the model in messages. */
  readonly name: string;
  /** Synthetic tasks need at least as many tokens as they use. */
  readonly vocabularySize: number;
  /** In tokens: items are made to fit. */
  readonly contextLength: number;
  /** Null: only synthetic tasks can be asked. */
  readonly tokenizer: Tokenizer | null;
}

/** Settings of ready suites; each suite reads those that it knows. */
export interface SuiteOptions {
  /**
   * Items to ask: of a synthetic task (default 100), per length of a long-text suite (default 10), or of a
   * file of questions (default: all).
   */
  readonly items?: number | undefined;
  /** Seeds generated items. Default 0. */
  readonly seed?: number | undefined;
  /**
   * Lengths in tokens of text-needle and text-variables. Default: powers of two from 256 to 4,096, within the
   * model's context.
   */
  readonly lengths?: readonly number[] | undefined;
  /** Tokens of a perplexity window. Default 1024. */
  readonly window?: number | undefined;
  /** Ends a perplexity after this many tokens. Default: the whole text. */
  readonly maxTokens?: number | undefined;
  /** Worked examples in front of each question, taken from the file's first lines. Default 0. */
  readonly shots?: number | undefined;
}
