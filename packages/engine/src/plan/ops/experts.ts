// Ops of routed experts and of the expert that they share. A slot is one (row, expert) pair; slots lie sorted
// by expert.
import { layoutId, PACKED_BASE } from '../layouts.ts';
import { addressOf, matrix, type PlanBuilder } from '../plan.ts';
import type { PlacedWeight, Value } from '../recorded.ts';
import { linearInput, linearScratchBytes, target } from './dense.ts';
import { address, defineOp, float, integer, matrixFields } from './op.ts';

/** What `route` finds out, for the ops that follow it. */
export interface Routing {
  readonly offsets: Value;
  readonly slotRows: Value;
  readonly slotOf: Value;
  readonly weights: Value;
  readonly experts: number;
  readonly topK: number;
}

/** How a router's logits become the choice of experts and their weights. */
export interface RoutingRule {
  /** Experts that each token passes through. */
  readonly topK: number;
  /** The score of each expert: softmax over all logits, or the sigmoid of its own. */
  readonly score: RouterScore;
  /** The experts lie in this many equal groups (1: no groups). */
  readonly groupCount: number;
  /** Only experts of so many groups are chosen: those whose best two scores have the largest sums. */
  readonly groupsUsed: number;
  /** The weights are the chosen scores divided by (their sum + this number); null: the scores. */
  readonly renormalize: number | null;
  /** Factor of all weights. */
  readonly weightScale: number;
}

/** What a router makes of its logits. */
export type RouterScore = 'softmax' | 'sigmoid';

const SCORE_ID = { softmax: 0, sigmoid: 1 } as const satisfies Record<RouterScore, number>;

/** Floats of the kernels' workspace: scores, values to choose by, and those of groups. */
export const routeWorkspace = (experts: number): number => 3 * Math.ceil(experts / 4) * 4;

/**
 * Scores of expert logits (0 softmax, 1 sigmoid), top-k by score + choiceBias, and the rows sorted by expert:
 * slots offsets[e]…offsets[e+1] are expert e's, slotRows[slot] the row, slotOf[row * topK + k] the slot,
 * weights[row * topK + k] the routing weight. Of equals the lower expert is chosen.
 */
export const routeOp = defineOp(
  'route',
  {
    rows: address,
    ...matrixFields('x'),
    experts: integer,
    topK: integer,
    score: integer,
    choiceBias: address,
    groupCount: integer,
    groupsUsed: integer,
    renormalize: integer,
    epsilon: float,
    weightScale: float,
    workspace: address,
    ids: address,
    weights: address,
    offsets: address,
    slotRows: address,
    slotOf: address,
  },
  { cost: (op) => ({ exponentialsPerRow: op.experts }) },
);

export function route(
  p: PlanBuilder,
  logits: Value,
  rule: RoutingRule,
  choiceBias: PlacedWeight | null,
): Routing {
  const experts = logits.columns;
  const { topK, renormalize } = rule;
  const ids = p.value(topK);
  const weights = p.value(topK);
  const offsets = p.fixed(experts + 1);
  const slotRows = p.value(1, 'slots');
  const slotOf = p.value(topK);
  const workspace = p.fixed(routeWorkspace(experts));
  p.record(
    routeOp,
    { set: 'rows', reads: [logits], writes: [ids, weights, offsets, slotRows, slotOf, workspace] },
    {
      ...matrix('x', logits),
      experts,
      topK,
      score: SCORE_ID[rule.score],
      choiceBias: choiceBias?.address ?? 0,
      groupCount: rule.groupCount,
      groupsUsed: rule.groupsUsed,
      renormalize: renormalize === null ? 0 : 1,
      epsilon: renormalize ?? 0,
      weightScale: rule.weightScale,
      workspace: addressOf(workspace),
      ids: addressOf(ids),
      weights: addressOf(weights),
      offsets: addressOf(offsets),
      slotRows: addressOf(slotRows),
      slotOf: addressOf(slotOf),
    },
  );
  return { offsets, slotRows, slotOf, weights, experts, topK };
}

/**
 * For every slot of every expert: y[slot] = W_expert x[slotRows ? slotRows[slot] : slot]. Expert e's weight
 * lies at weight + e * expertBytes. `x` as in linear.
 */
export const expertLinearOp = defineOp(
  'expertLinear',
  {
    rows: address,
    offsets: address,
    slotRows: address,
    experts: integer,
    ...matrixFields('x'),
    weight: address,
    expertBytes: address,
    layout: integer,
    outputs: integer,
    columns: integer,
    ...matrixFields('y'),
    scratch: address,
    threadBytes: address,
  },
  {
    cost: (op, { topK }) => ({
      weightBytes: op.expertBytes * topK,
      macsPerRow: op.outputs * op.columns * topK,
      byteProductsPerMac: op.layout >= PACKED_BASE ? 1 : 0,
      bytesPerRow: (op.outputs + op.columns) * 4 * topK,
    }),
    scratchBytes: linearScratchBytes,
  },
);

/** Each routed slot through its expert's matrix. `x` holds tokens ('rows') or earlier slots ('slots'). */
export function expertLinear(p: PlanBuilder, x: Value, routing: Routing, weight: PlacedWeight): Value {
  const { experts, topK, offsets, slotRows } = routing;
  const outputs = weight.rows / experts;
  const y = p.value(outputs, 'slots');
  const input = linearInput(p, x, weight);
  p.record(
    expertLinearOp,
    { set: 'rows', reads: [input, offsets, slotRows], writes: [y], topK },
    {
      offsets: addressOf(offsets),
      slotRows: x.set === 'rows' ? addressOf(slotRows) : 0,
      experts,
      ...matrix('x', input),
      weight: weight.address,
      expertBytes: weight.byteLength / experts,
      layout: layoutId(weight.layout),
      outputs,
      columns: weight.columns,
      ...matrix('y', y),
    },
  );
  return y;
}

/** y[r] = (accumulate ? y[r] : 0) + sum over k of weights[r,k] * x[slotOf[r,k]] */
export const combineExpertsOp = defineOp(
  'combineExperts',
  {
    rows: address,
    topK: integer,
    slotOf: address,
    weights: address,
    ...matrixFields('x'),
    ...matrixFields('y'),
    columns: integer,
    accumulate: integer,
  },
  { cost: (op) => ({ bytesPerRow: op.columns * 4 * (op.topK + 2) }) },
);

/**
 * The weighted sum of each row's slots of x; with `addTo`, the sum with it (in its place unless values are
 * kept).
 */
export function combineExperts(p: PlanBuilder, x: Value, routing: Routing, addTo: Value | null): Value {
  const { topK, slotOf, weights } = routing;
  const y = addTo ? target(p, addTo) : p.value(x.columns);
  p.record(
    combineExpertsOp,
    { set: 'rows', reads: addTo ? [x, y, slotOf, weights] : [x, slotOf, weights], writes: [y] },
    {
      topK,
      slotOf: addressOf(slotOf),
      weights: addressOf(weights),
      ...matrix('x', x),
      ...matrix('y', y),
      columns: y.columns,
      accumulate: addTo ? 1 : 0,
    },
  );
  return y;
}

/** y[r] = sigmoid(gate[r]) x[r], with one gate per row. May run in place. */
export const gateRowsOp = defineOp(
  'gateRows',
  {
    rows: address,
    ...matrixFields('x'),
    ...matrixFields('gate'),
    ...matrixFields('y'),
    columns: integer,
  },
  { cost: (op) => ({ bytesPerRow: op.columns * 8, exponentialsPerRow: 1 }) },
);

/** Each row of x times the sigmoid of its gate [T, 1], over x unless values are kept. */
export function gateRows(p: PlanBuilder, x: Value, gate: Value): Value {
  const y = p.overwrite(x, x.columns, x.set);
  p.record(
    gateRowsOp,
    { set: x.set, reads: [x, gate], writes: [y] },
    { ...matrix('x', x), ...matrix('gate', gate), ...matrix('y', y), columns: x.columns },
  );
  return y;
}
