// What a model costs by its recorded plan: bytes moved and products made for a token at some depth, and from
// these and two figures of a machine (memory bandwidth, products a second) how long it must take at least.
import { type CacheType, ModelError, type ModelSpec } from '@marimba/engine';
import { codesByteLength, derivedVectors } from '@marimba/engine/architecture';
import { forward, type PlacedWeights, type Plan, PlanBuilder, stateLayout } from '@marimba/engine/plan';
import type { DescribedWeight } from './weights.ts';

export interface Machine {
  readonly bytesPerSecond: number;
  readonly macsPerSecond: number;
}

export interface StepCost {
  /** For one step of `rows` tokens at the given depth. */
  readonly bytes: number;
  readonly macs: number;
}

/** A polynomial exponential takes about as long as this many products. */
const MACS_PER_EXPONENTIAL = 16;

/** The plan of a model whose weights are only described: no addresses, but every op and its cost. */
export function planOf(spec: ModelSpec, weights: readonly DescribedWeight[], cacheType: CacheType): Plan {
  const places = new Map(weights.map(({ layer, role, placed }) => [`${layer}.${role}`, placed]));
  for (const { layer, role, columns } of derivedVectors(spec))
    places.set(`${layer}.${role}`, {
      address: 0,
      layout: { type: 'F32', packed: false },
      rows: 1,
      columns,
      byteLength: columns * 4,
    });
  const find: PlacedWeights['find'] = (layer, role) => places.get(`${layer}.${role}`) ?? null;
  const placed: PlacedWeights = {
    find,
    get(layer, role) {
      const weight = find(layer, role);
      if (!weight) throw new ModelError(`model: expected a weight ${role} in layer ${layer}, found none`);
      return weight;
    },
  };
  return forward(new PlanBuilder({ codesByteLength }), spec, placed, stateLayout(spec, cacheType));
}

/**
 * One step that reads `rows` tokens, the first of them at position `depth`, and wants the logits of
 * `logitRows`.
 */
export function costOfStep(plan: Plan, depth: number, rows = 1, logitRows = 1): StepCost {
  let bytes = 0;
  let macs = 0;
  plan.ops.forEach(({ cost }, index) => {
    const live = index < plan.headStart ? rows : logitRows;
    if (live === 0) return;
    const positions = cost.window > 0 ? Math.min(depth + rows / 2, cost.window) : depth + rows / 2;
    // A pass over the cache serves all rows of a prompt's piece, as the weights do.
    // So does one pass over the recurrent state, which is read and written.
    bytes +=
      cost.weightBytes +
      2 * cost.stateBytes +
      cost.bytesPerRow * live +
      cost.cacheBytesPerPosition * positions;
    macs +=
      (cost.macsPerRow + cost.exponentialsPerRow * MACS_PER_EXPONENTIAL + cost.macsPerPosition * positions) *
      live;
  });
  return { bytes, macs };
}

export interface SpeedForecast {
  readonly decodeTokensPerSecond: number;
  readonly promptTokensPerSecond: number;
}

const PROMPT_ROWS = 256;

/** Bytes and products overlap at best, so the slower of the two bounds the step. */
export function forecast(plan: Plan, depth: number, machine: Machine): SpeedForecast {
  const seconds = ({ bytes, macs }: StepCost) =>
    Math.max(bytes / machine.bytesPerSecond, macs / machine.macsPerSecond);
  return {
    decodeTokensPerSecond: 1 / seconds(costOfStep(plan, depth)),
    promptTokensPerSecond: PROMPT_ROWS / seconds(costOfStep(plan, depth, PROMPT_ROWS, 0)),
  };
}
