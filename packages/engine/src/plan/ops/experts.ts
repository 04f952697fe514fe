// Ops of routed experts. A slot is one (row, expert) pair; slots lie sorted by expert.
import { layoutId, PACKED_BASE } from '../layouts.ts';
import { addressOf, matrix, type PlanBuilder } from '../plan.ts';
import type { PlacedWeight, Value } from '../recorded.ts';
import { linearInput, linearScratchBytes, target } from './dense.ts';
import { address, defineOp, integer, matrixFields } from './op.ts';

/** What `route` finds out, for the ops that follow it. */
export interface Routing {
  readonly offsets: Value;
  readonly slotRows: Value;
  readonly slotOf: Value;
  readonly weights: Value;
  readonly experts: number;
  readonly topK: number;
}

/**
 * Softmax over expert logits, top-k, and the rows sorted by expert: slots offsets[e]…offsets[e+1] are expert
 * e's, slotRows[slot] the row, slotOf[row * topK + k] the slot, weights[row * topK + k] the routing weight.
 */
export const routeOp = defineOp(
  'route',
  {
    rows: address,
    ...matrixFields('x'),
    experts: integer,
    topK: integer,
    renormalize: integer,
    ids: address,
    weights: address,
    offsets: address,
    slotRows: address,
    slotOf: address,
  },
  { cost: (op) => ({ exponentialsPerRow: op.experts }) },
);

export function route(p: PlanBuilder, logits: Value, topK: number, renormalize: boolean): Routing {
  const experts = logits.columns;
  const ids = p.value(topK);
  const weights = p.value(topK);
  const offsets = p.fixed(experts + 1);
  const slotRows = p.value(1, 'slots');
  const slotOf = p.value(topK);
  p.record(
    routeOp,
    { set: 'rows', reads: [logits], writes: [ids, weights, offsets, slotRows, slotOf] },
    {
      ...matrix('x', logits),
      experts,
      topK,
      renormalize: renormalize ? 1 : 0,
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

/** y[r] += sum over k of weights[r,k] * x[slotOf[r,k]] */
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
  },
  { cost: (op) => ({ bytesPerRow: op.columns * 4 * (op.topK + 2) }) },
);

/** `to` + the weighted sum of each row's slots of x, in the place of `to` unless values are kept. */
export function combineExperts(p: PlanBuilder, to: Value, x: Value, routing: Routing): Value {
  const { topK, slotOf, weights } = routing;
  const y = target(p, to);
  p.record(
    combineExpertsOp,
    { set: 'rows', reads: [x, y, slotOf, weights], writes: [y] },
    {
      topK,
      slotOf: addressOf(slotOf),
      weights: addressOf(weights),
      ...matrix('x', x),
      ...matrix('y', y),
      columns: y.columns,
    },
  );
  return y;
}
