// What a model costs by its recorded plan: bytes moved and products made for a token at some depth, and from
// these and two figures of a machine (memory bandwidth, products a second) how long it must take at least.
import type { CacheType, ModelSpec } from '@marimba/engine';
import { codesByteLength, unplacedWeights } from '@marimba/engine/architecture';
import { type Cost, costOfPlan } from '@marimba/engine/measure';
import { forward, type Plan, PlanBuilder, stateLayout } from '@marimba/engine/plan';
import type { DescribedWeight } from './weights.ts';

export interface Machine {
  readonly bytesPerSecond: number;
  readonly macsPerSecond: number;
}

/** A polynomial exponential takes about as long as this many products. */
const MACS_PER_EXPONENTIAL = 16;

/** The plan of a model whose weights are only described: no addresses, but every op and its cost. */
export function planOf(spec: ModelSpec, weights: readonly DescribedWeight[], cacheType: CacheType): Plan {
  const placed = unplacedWeights(spec, weights);
  return forward(new PlanBuilder({ codesByteLength }), spec, placed, stateLayout(spec, cacheType));
}

/** One pass that reads `rows` tokens, the first at position `depth`, and wants the logits of `logitRows`. */
export const costOfPass = (plan: Plan, depth: number, rows = 1, logitRows = 1): Cost =>
  costOfPlan(plan, [{ segments: [{ rows, position: depth }], logitRows }]);

/** What there is to compute, in multiply-adds. */
export const macsOf = ({ macs, exponentials }: Cost): number => macs + exponentials * MACS_PER_EXPONENTIAL;

export interface SpeedForecast {
  readonly decodeTokensPerSecond: number;
  readonly promptTokensPerSecond: number;
}

const PROMPT_ROWS = 256;

/** Bytes and products overlap at best, so the slower of the two bounds the step. */
export function forecast(plan: Plan, depth: number, machine: Machine): SpeedForecast {
  const seconds = (cost: Cost) =>
    Math.max(cost.bytes / machine.bytesPerSecond, macsOf(cost) / machine.macsPerSecond);
  return {
    decodeTokensPerSecond: 1 / seconds(costOfPass(plan, depth)),
    promptTokensPerSecond: PROMPT_ROWS / seconds(costOfPass(plan, depth, PROMPT_ROWS, 0)),
  };
}
