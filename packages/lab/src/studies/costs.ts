// What a model costs, from the same recorded plan that runs it: operations and bytes for each op, and the
// layout of its state. Weights and attention cache count as f16 (2 bytes), recurrent state as f32, which is
// how such models are served. Results on disk hold the recurrent state apart from what depends on the
// context; `bytesToDecode` adds them up.
import type { ModelSpec } from '@marimba/engine';
import { arrangedShape, derivedVectors, neededWeights, type Role } from '@marimba/engine/architecture';
import {
  forward,
  type OpCost,
  type PlacedWeight,
  type PlacedWeights,
  type Plan,
  PlanBuilder,
  stateLayout,
} from '@marimba/engine/plan';

/** Costs of one session at one length of context. */
export interface ContextCost {
  /** Tokens before the one that is decoded. */
  readonly context: number;
  /**
   * Bytes that decoding one token moves besides the recurrent state: weights in f16, activations and
   * attention cache. `bytesToDecode` adds the state.
   */
  readonly decodeBytes: number;
  /** Multiply-adds to decode one token. */
  readonly decodeMacs: number;
  /** Attention cache in f16. */
  readonly cacheBytes: number;
}

/** What decoding with a model costs, from the plan that runs it. */
export interface ModelCost {
  /** Recurrent state of one session; the same at every context. */
  readonly stateBytes: number;
  /** One per context length that the study lists. */
  readonly contexts: readonly ContextCost[];
}

const BYTES_PER_WEIGHT = 2;

/** Bytes that decoding one token moves: all of `decodeBytes`, and the recurrent state, read once. */
export const bytesToDecode = (
  cost: Pick<ModelCost, 'stateBytes'>,
  at: Pick<ContextCost, 'decodeBytes'>,
): number => at.decodeBytes + cost.stateBytes;

export function modelCost(spec: ModelSpec, contexts: readonly number[]): ModelCost {
  const layout = stateLayout(spec, 'f16');
  const plan = recordPlan(spec);
  return {
    stateBytes: layout.recurrentBytes,
    contexts: contexts.map((context) => ({
      context,
      decodeBytes: sum(
        plan,
        (c) => c.weightBytes + c.bytesPerRow + c.cacheBytesPerPosition * seen(c, context),
      ),
      decodeMacs: sum(plan, (c) => c.macsPerRow + c.macsPerPosition * seen(c, context)),
      cacheBytes: sum(plan, (c) => c.cacheBytesPerPosition * seen(c, context)),
    })),
  };
}

/**
 * Floating-point operations of training on `tokens` tokens in sequences of `length`: forward, and twice that
 * backward.
 */
export function trainingFlops(spec: ModelSpec, tokens: number, length: number): number {
  const plan = recordPlan(spec);
  const perToken = sum(plan, (c) => {
    // Attention at position p sees min(p + 1, window) positions; this is their mean over a sequence.
    const window = c.window === 0 ? length : Math.min(c.window, length);
    const meanSeen = (window * (window + 1)) / 2 + window * (length - window);
    return c.macsPerRow + (c.macsPerPosition * meanSeen) / length;
  });
  return 2 * 3 * perToken * tokens;
}

const sum = (plan: Plan, of: (cost: OpCost) => number): number =>
  plan.ops.reduce((total, op) => total + of(op.cost), 0);
const seen = (cost: OpCost, context: number): number =>
  cost.window === 0 ? context : Math.min(cost.window, context);

/** The model's plan without its weights: enough to count with. */
function recordPlan(spec: ModelSpec): Plan {
  const placed = new Map<string, PlacedWeight>();
  const place = (layer: number, role: Role, rows: number, columns: number) =>
    placed.set(`${layer}.${role}`, {
      address: 0,
      layout: { type: 'F16', packed: false },
      rows,
      columns,
      byteLength: rows * columns * BYTES_PER_WEIGHT,
    });
  for (const weight of neededWeights(spec)) {
    const { rows, columns } = arrangedShape(weight);
    place(weight.layer, weight.role, rows, columns);
  }
  for (const { layer, role, columns } of derivedVectors(spec)) place(layer, role, 1, columns);
  const weights: PlacedWeights = {
    find: (layer, role) => placed.get(`${layer}.${role}`) ?? null,
    get: (layer, role) => placed.get(`${layer}.${role}`)!,
  };
  return forward(new PlanBuilder({ codesByteLength: () => 0 }), spec, weights, stateLayout(spec, 'f16'));
}
