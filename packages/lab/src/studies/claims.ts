// From results to verdicts. A claim is one or more statements about differences between models, each tested
// over seeds: models that share a seed saw the same data in the same order, so their difference is taken seed
// by seed and judged by Student's t interval (95 %). What the interval cannot decide is reported as
// undecided; a claim fails when one of its parts does.
import { average, type Interval, meanInterval } from '../statistics.ts';
import { studyCells } from './cells.ts';
import type { Claim, ClaimPart } from './claim.ts';
import type { CellResult } from './results.ts';
import type { Study } from './study.ts';

/**
 * What results say about a claim. "Not decidable" covers wide intervals, fewer than two seeds, and tasks that
 * were not learned.
 */
export type Verdict = 'confirmed' | 'not confirmed' | 'not decidable at this size';

/** The judgement of one part of a claim. */
export interface PartVerdict {
  /** The part in words. */
  readonly text: string;
  /** By the 95 % Student interval of the difference against the margin. */
  readonly verdict: Verdict;
  /**
   * Of `model` minus `than`, paired by seed and turned so that positive is better, in units of the metric;
   * null with fewer than two seeds.
   */
  readonly difference: (Interval & { readonly mean: number; readonly seeds: number }) | null;
  /** Mean of the metric over seeds for each of the two; null where there are no results. */
  readonly values: { readonly model: number | null; readonly than: number | null };
  /** The figures behind the verdict, in words. */
  readonly reason: string;
}

/** The judgement of a claim. */
export interface ClaimVerdict {
  /** As the study states it. */
  readonly claim: Claim;
  /** Not confirmed when any part is not; confirmed when all are. */
  readonly verdict: Verdict;
  /** In the order of the claim's parts. */
  readonly parts: readonly PartVerdict[];
}

export const RULE =
  'Differences are paired by seed (same data, same order) and judged by the 95 % Student t interval of their mean. ' +
  '"better": confirmed when the interval lies above the margin, not confirmed when it lies below. "alike": confirmed when it lies ' +
  'within ± margin, not confirmed when it lies outside. "no gain": confirmed when it lies below the margin. Anything else, and any ' +
  'task that not even the reference model learned, is not decidable at this size. A claim of several parts needs them all.';

export type Scores = (model: string, task: string, metric: string) => ReadonlyMap<number, number>;

export function judgeClaims(study: Study, results: ReadonlyMap<string, CellResult>): ClaimVerdict[] {
  const placed = studyCells(study);
  const scores: Scores = (model, task, metric) => {
    const found = placed.flatMap((p): [number, number][] => {
      const value =
        p.model === model && p.task === task ? results.get(p.cell.id)?.metrics[metric] : undefined;
      return value === undefined ? [] : [[p.seed, value]];
    });
    return new Map(found);
  };
  const chance = (task: string): number => {
    const cell = placed.find((p) => p.task === task && results.has(p.cell.id));
    return (cell && results.get(cell.cell.id)?.chance) ?? 0;
  };
  return (study.claims ?? []).map((claim) => {
    const parts = claim.parts.map((part) => judgePart(part, scores, chance(part.task)));
    return { claim, parts, verdict: combine(parts.map((p) => p.verdict)) };
  });
}

const combine = (verdicts: readonly Verdict[]): Verdict =>
  verdicts.includes('not confirmed')
    ? 'not confirmed'
    : verdicts.includes('not decidable at this size')
      ? 'not decidable at this size'
      : 'confirmed';

export function judgePart(part: ClaimPart, scores: Scores, chance: number): PartVerdict {
  const first = scores(part.model, part.task, part.metric);
  const second = scores(part.than, part.task, part.metric);
  const sign = part.smallerIsBetter ? -1 : 1;
  const differences = [...first].flatMap(([seed, value]) =>
    second.has(seed) ? [sign * (value - second.get(seed)!)] : [],
  );
  const values = {
    model: first.size ? average([...first.values()]) : null,
    than: second.size ? average([...second.values()]) : null,
  };
  const text = describe(part);
  const undecided = (reason: string): PartVerdict => ({
    text,
    verdict: 'not decidable at this size',
    difference: null,
    values,
    reason,
  });
  if (differences.length < 2)
    return undecided(`${differences.length} seed(s) with both results; at least 2 are needed`);
  const { mean, low, high, count } = meanInterval(differences);
  const difference = { mean, low, high, seeds: count };
  if (part.solvable) {
    const reached = part.solvable.by
      .map((model) => [...scores(model, part.task, part.metric).values()])
      .filter((v) => v.length);
    const best = Math.max(...reached.map(average));
    if (!(best >= chance + part.solvable.aboveChance))
      return {
        ...undecided(
          `${part.solvable.by.join(' and ')} reached at most ${reached.length ? best.toFixed(3) : 'nothing'}, chance is ${chance.toFixed(3)}: the task was not learned in this budget`,
        ),
        difference,
      };
  }
  const verdict = judge(part, low, high);
  return {
    text,
    verdict,
    difference,
    values,
    reason: `difference ${show(mean)} [${show(low)}, ${show(high)}], margin ${Number(part.margin.toPrecision(2))}`,
  };
}

function judge({ kind, margin }: ClaimPart, low: number, high: number): Verdict {
  const undecided: Verdict = 'not decidable at this size';
  switch (kind) {
    case 'better':
      return low > margin ? 'confirmed' : high < margin ? 'not confirmed' : undecided;
    case 'notBetter':
      return high < margin ? 'confirmed' : low > margin ? 'not confirmed' : undecided;
    case 'alike':
      return low > -margin && high < margin
        ? 'confirmed'
        : low > margin || high < -margin
          ? 'not confirmed'
          : undecided;
    default:
      return kind satisfies never;
  }
}

const show = (value: number): string => `${value >= 0 ? '+' : '−'}${Math.abs(value).toFixed(3)}`;

function describe({ kind, model, than, task, metric, ...part }: ClaimPart): string {
  const on = `on ${task} (${metric})`;
  const margin = Number(part.margin.toPrecision(2));
  if (kind === 'better')
    return `${model} better than ${than} ${on}${margin > 0 ? ` by more than ${margin}` : ''}`;
  if (kind === 'alike') return `${model} and ${than} within ${margin} ${on}`;
  return `${model} gains no more than ${margin} over ${than} ${on}`;
}
