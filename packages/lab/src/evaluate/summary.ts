// What a suite's outcomes add up to, with 95 % intervals: Wilson's for shares of right answers, Student's
// over windows for losses.
import { type Interval, meanInterval, wilson } from '../statistics.ts';
import type { Outcome, Suite } from './items.ts';

/**
 * RULER calls a length effective when the model keeps the score that Llama 2 7B has at 4K, 85.6 %; we round
 * down.
 */
export const EFFECTIVE_ACCURACY = 0.85;

/** A proportion with Wilson's 95 % interval, whose units are items. */
export interface Share extends Interval {
  /** From 0 to 1. */
  readonly value: number;
  /** Right answers; an item may have several. */
  readonly right: number;
  /** All answers that were scored. */
  readonly count: number;
}

/** What a suite's outcomes add up to. */
export interface SuiteSummary {
  /** The suite's name, such as `recall:small`. */
  readonly name: string;
  /** A heading for reports. */
  readonly title: string;
  /** Where the questions come from: a paper, or a file. */
  readonly source: string;
  /** Items that were asked. */
  readonly items: number;
  /** Accuracy by guessing, from 0 to 1; null where there is no such thing. */
  readonly chance: number | null;
  /** Answers that are right: items with several answers count each of them. Null for text. */
  readonly accuracy: Share | null;
  /** Items of which every answer is right. */
  readonly whole: Share | null;
  /** Multiple choice without length normalisation. */
  readonly accuracyUnnormalised: Share | null;
  /** Accuracy of each group of items: by length, for instance. */
  readonly groups: Readonly<Record<string, Share>>;
  /** Losses of text; null where a suite has none. */
  readonly text: TextSummary | null;
  /** Longest tested length up to which the accuracy is at least 85 %; 0 when not even at the shortest. */
  readonly effectiveLength: number | null;
}

/** How well a model predicts text. */
export interface TextSummary {
  /** Scored tokens. */
  readonly tokens: number;
  /** UTF-8 bytes of the scored tokens. */
  readonly bytes: number;
  /** Mean over tokens, in nats per token. */
  readonly loss: number;
  /** 95 % Student interval of the loss over windows, in nats per token; infinite for one window. */
  readonly lossInterval: Interval;
  /** exp(loss): compares models with the same tokenizer only. */
  readonly perplexity: number;
  /** Loss in bits per UTF-8 byte: compares models with different tokenizers too. */
  readonly bitsPerByte: number;
}

export function summariseSuite(suite: Suite, outcomes: readonly Outcome[]): SuiteSummary {
  const judged = outcomes.filter((o) => o.correct !== null);
  const names = [...new Set(judged.flatMap((o) => o.group ?? []))];
  const groups = Object.fromEntries(
    names.map((name) => [name, answersOf(judged.filter((o) => o.group === name))]),
  );
  const unnormalised = judged.filter((o) => o.correctUnnormalised !== undefined);
  return {
    name: suite.name,
    title: suite.title,
    source: suite.source,
    items: outcomes.length,
    chance: suite.chance,
    accuracy: judged.length ? answersOf(judged) : null,
    whole: judged.length ? share(judged.filter((o) => o.correct).length, judged.length) : null,
    accuracyUnnormalised: unnormalised.length
      ? share(unnormalised.filter((o) => o.correctUnnormalised).length, unnormalised.length)
      : null,
    groups,
    text: textSummary(outcomes.filter((o) => o.loss !== undefined)),
    effectiveLength: suite.lengths ? effectiveLength(suite.lengths, groups) : null,
  };
}

/**
 * Answers within an item are not independent; the interval takes items as the units, so that it is not too
 * narrow.
 */
function answersOf(outcomes: readonly Outcome[]): Share {
  const value = outcomes.reduce((sum, o) => sum + o.score, 0) / outcomes.length;
  const right = outcomes.reduce((sum, o) => sum + (o.right ?? (o.correct ? 1 : 0)), 0);
  const count = outcomes.reduce((sum, o) => sum + (o.scored ?? 1), 0);
  return { value, right, count, ...wilson(value * outcomes.length, outcomes.length) };
}

const share = (right: number, count: number): Share => ({
  value: right / count,
  right,
  count,
  ...wilson(right, count),
});

export function effectiveLength(lengths: readonly number[], groups: Readonly<Record<string, Share>>): number {
  let reached = 0;
  for (const length of lengths.toSorted((a, b) => a - b)) {
    if ((groups[`${length}`]?.value ?? 0) < EFFECTIVE_ACCURACY) break;
    reached = length;
  }
  return reached;
}

function textSummary(outcomes: readonly Outcome[]): TextSummary | null {
  if (!outcomes.length) return null;
  const total = (of: (o: Outcome) => number | undefined) =>
    outcomes.reduce((sum, o) => sum + (of(o) ?? 0), 0);
  const [nats, tokens, bytes] = [total((o) => o.loss), total((o) => o.tokens), total((o) => o.bytes)];
  const loss = nats / tokens;
  const { low, high } = meanInterval(outcomes.map((o) => o.loss! / o.tokens!));
  return {
    tokens,
    bytes,
    loss,
    lossInterval: { low, high },
    perplexity: Math.exp(loss),
    bitsPerByte: nats / Math.LN2 / bytes,
  };
}
