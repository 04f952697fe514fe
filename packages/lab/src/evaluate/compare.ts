// Two models on the same items. Right or wrong is compared with McNemar's exact test, scores with a paired
// bootstrap; both look only at how each item differs, so that what is hard for both does not blur the
// comparison.
import { UsageError } from '@marimba/engine';
import { mcNemarExact, pairedBootstrap } from '../statistics.ts';
import type { Evaluation } from './run.ts';

/** Two models on one suite, compared item by item. */
export interface SuiteComparison {
  /** The suite's name, such as `recall:small`. */
  readonly name: string;
  /** Items that both answered. */
  readonly items: number;
  /**
   * The second model's mean score minus the first's (scores are shares of right answers, or minus the loss in
   * nats per token), with the 95 % interval of a paired bootstrap.
   */
  readonly difference: { readonly mean: number; readonly low: number; readonly high: number };
  /**
   * Items that only one of the two got right, and the probability of such a split by chance; null for text.
   */
  readonly mcNemar: { readonly onlyFirst: number; readonly onlySecond: number; readonly p: number } | null;
}

/**
 * Compares suites whose items are the same for both models: right and wrong answers by McNemar's exact test,
 * scores by a paired bootstrap. Leaves out text that different tokenizers cut: compare its bits per byte.
 * Throws UsageError when `second` lacks a suite of `first`.
 */
export function compareEvaluations(first: Evaluation, second: Evaluation): SuiteComparison[] {
  return first.suites.flatMap((a) => {
    const b = second.suites.find((s) => s.suite.name === a.suite.name);
    if (!b) throw new UsageError(`compare: expected ${second.model} to have been asked ${a.suite.name}`);
    const others = new Map(b.outcomes.map((o) => [o.id, o]));
    const pairs = a.outcomes.map((o) => [o, others.get(o.id)] as const);
    if (others.size !== pairs.length || pairs.some(([x, y]) => !y || x.tokens !== y.tokens)) return [];
    const judged = pairs.filter(([o]) => o.correct !== null);
    const onlyFirst = judged.filter(([x, y]) => x.correct && !y!.correct).length;
    const onlySecond = judged.filter(([x, y]) => !x.correct && y!.correct).length;
    return {
      name: a.suite.name,
      items: pairs.length,
      difference: pairedBootstrap(pairs.map(([x, y]) => y!.score - x.score)),
      mcNemar: judged.length ? { onlyFirst, onlySecond, p: mcNemarExact(onlyFirst, onlySecond) } : null,
    };
  });
}
