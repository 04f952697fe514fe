// Ops of encoders: learned positions and token types, LayerNorm, activations without a gate, and attention of
// whole texts to themselves, without a cache.
import { ACTIVATION_ID, type Activation } from '../activation.ts';
import { matrix, type PlanBuilder } from '../plan.ts';
import type { PlacedWeight, Value } from '../recorded.ts';
import { hasExponential } from './dense.ts';
import { address, defineOp, float, integer, matrixFields } from './op.ts';
import { attentionScratchBytes } from './scratch.ts';

/** y[r] += table[indices[r]]; the table is f32. */
export const addRowsOp = defineOp(
  'addRows',
  { rows: address, indices: address, table: address, columns: integer, ...matrixFields('y') },
  { cost: (op) => ({ bytesPerRow: op.columns * 12 }) },
);

/** Adds rows of a table to x, by each row's position or token type. */
export function addRows(p: PlanBuilder, x: Value, table: PlacedWeight, by: 'positions' | 'types'): void {
  p.record(
    addRowsOp,
    { set: x.set, reads: [x], writes: [x] },
    { indices: { step: by }, table: table.address, columns: x.columns, ...matrix('y', x) },
  );
}

/** y = (x - mean(x)) / sqrt(variance(x) + epsilon) * weight + bias (0: none). May run in place. */
export const layerNormOp = defineOp(
  'layerNorm',
  {
    rows: address,
    ...matrixFields('x'),
    ...matrixFields('y'),
    weight: address,
    bias: address,
    columns: integer,
    epsilon: float,
  },
  { cost: (op) => ({ bytesPerRow: op.columns * 8 }) },
);

/** LayerNorm (Ba et al. 2016) of rows; with `into`, written there, which may be x. */
export function layerNorm(
  p: PlanBuilder,
  x: Value,
  weights: { readonly weight: PlacedWeight; readonly bias: PlacedWeight | null },
  epsilon: number,
  into?: Value,
): Value {
  const y = p.overwrite(into, x.columns, x.set);
  p.record(
    layerNormOp,
    { set: x.set, reads: [x], writes: [y] },
    {
      ...matrix('x', x),
      ...matrix('y', y),
      weight: weights.weight.address,
      bias: weights.bias?.address ?? 0,
      columns: x.columns,
      epsilon,
    },
  );
  return y;
}

/** y = activation(x). May run in place. */
export const activateOp = defineOp(
  'activate',
  { rows: address, ...matrixFields('x'), ...matrixFields('y'), columns: integer, activation: integer },
  {
    cost: (op) => ({
      bytesPerRow: op.columns * 8,
      exponentialsPerRow: hasExponential(op.activation) ? op.columns : 0,
    }),
  },
);

/** Writes over x. */
export function activate(p: PlanBuilder, x: Value, activation: Activation): Value {
  const y = p.overwrite(x, x.columns, x.set);
  p.record(
    activateOp,
    { set: x.set, reads: [x], writes: [y] },
    { ...matrix('x', x), ...matrix('y', y), columns: x.columns, activation: ACTIVATION_ID[activation] },
  );
  return y;
}

/**
 * Softmax attention of each row over all rows of its segment, or those at most `reach` (0: all) to either side.
 * Keys and values are rows of the step, so a segment must be a whole text.
 */
export const wholeAttentionOp = defineOp(
  'wholeAttention',
  {
    rows: address,
    segments: address,
    ...matrixFields('q'),
    ...matrixFields('k'),
    ...matrixFields('v'),
    ...matrixFields('y'),
    heads: integer,
    kvHeads: integer,
    headSize: integer,
    scale: float,
    reach: integer,
    scratch: address,
    threadBytes: address,
  },
  {
    cost: (op) => ({
      bytesPerRow: op.heads * op.headSize * 16,
      macsPerPosition: 2 * op.heads * op.headSize,
      window: op.reach ? 2 * op.reach + 1 : 0,
    }),
    scratchBytes: (op, threads) => attentionScratchBytes(op, threads, 0),
  },
);

export interface WholeAttentionOptions {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headSize: number;
  /** Positions that a row sees, itself and as many to either side; null: all. */
  readonly window: number | null;
  /** Multiplies the scores. */
  readonly scale: number;
}

export function attendWhole(
  p: PlanBuilder,
  q: Value,
  k: Value,
  v: Value,
  options: WholeAttentionOptions,
): Value {
  const { window, ...sizes } = options;
  const y = p.value(q.columns);
  p.record(
    wholeAttentionOp,
    { set: q.set, reads: [q, k, v], writes: [y] },
    {
      segments: { step: 'segments' },
      ...matrix('q', q),
      ...matrix('k', k),
      ...matrix('v', v),
      ...matrix('y', y),
      ...sizes,
      reach: window === null ? 0 : (window - 1) / 2,
    },
  );
  return y;
}
