// Ops that every model has: embedding, norm, matrix product, gated activation, sums and copied rows.
import { ACTIVATION_ID, type Activation } from '../activation.ts';
import { packedScratchBytes } from '../codes.ts';
import { layoutId, PACKED_BASE } from '../layouts.ts';
import { addressOf, matrix, type PlanBuilder } from '../plan.ts';
import type { PlacedWeight, Value } from '../recorded.ts';
import { address, defineOp, float, integer, matrixFields } from './op.ts';
import { rawLinearScratchBytes } from './scratch.ts';

/** y[r] = scale * table[tokens[r]] */
export const embedOp = defineOp(
  'embed',
  {
    rows: address,
    tokens: address,
    table: address,
    layout: integer,
    columns: integer,
    vocabulary: integer,
    scale: float,
    ...matrixFields('y'),
  },
  // Of the table, each row reads one row; the caller says how large the table is.
  { cost: (op, { weightBytes }) => ({ bytesPerRow: weightBytes / op.vocabulary + op.columns * 4 }) },
);

export function embed(p: PlanBuilder, table: PlacedWeight, scale: number): Value {
  const y = p.value(table.columns);
  p.record(
    embedOp,
    { set: y.set, reads: [], writes: [y], weightBytes: table.byteLength },
    {
      tokens: { step: 'tokens' },
      table: table.address,
      layout: layoutId(table.layout),
      columns: table.columns,
      vocabulary: table.rows,
      scale,
      ...matrix('y', y),
    },
  );
  return y;
}

/**
 * Each of `groups` slices of `columns`: y = (accumulate ? y : 0) + scale * x / sqrt(mean(x^2) + epsilon) *
 * (offset + weight). From one slice's weight to the next are `weightStride` floats; 0: one serves all. May
 * run in place.
 */
export const rmsNormOp = defineOp(
  'rmsNorm',
  {
    rows: address,
    ...matrixFields('x'),
    ...matrixFields('y'),
    weight: address,
    weightStride: integer,
    columns: integer,
    groups: integer,
    epsilon: float,
    offset: float,
    scale: float,
    accumulate: integer,
  },
  { cost: (op) => ({ bytesPerRow: op.columns * op.groups * (op.accumulate ? 12 : 8) }) },
);

export interface NormOptions {
  /** Equal slices of x, each normalised on its own. Default 1. */
  readonly groups?: number;
  /** Added to the weight: 1 where weights are zero-centred. Default 0. */
  readonly offset?: number;
  /** Multiplies the result. Default 1. */
  readonly scale?: number;
  /** Where the result may go; may be x. */
  readonly into?: Value;
  /** Makes the result a sum with this value (in its place unless values are kept). */
  readonly addTo?: Value;
}

/** Norm of the slices of x. A weight as wide as one slice serves all; one as wide as x has a part for each. */
export function rmsNorm(
  p: PlanBuilder,
  x: Value,
  weight: PlacedWeight,
  epsilon: number,
  options: NormOptions = {},
): Value {
  const { groups = 1, offset = 0, scale = 1, into, addTo } = options;
  const columns = x.columns / groups;
  const y = addTo ? target(p, addTo) : p.overwrite(into, x.columns, x.set);
  p.record(
    rmsNormOp,
    { set: x.set, reads: addTo ? [x, y] : [x], writes: [y] },
    {
      ...matrix('x', x),
      ...matrix('y', y),
      weight: weight.address,
      weightStride: weight.columns > columns ? columns : 0,
      columns,
      groups,
      epsilon,
      offset,
      scale,
      accumulate: addTo ? 1 : 0,
    },
  );
  return y;
}

/** Rows to int8 with one scale per 32 columns (see codes.ts); the input of `linear` on packed weights. */
export const quantizeRowsOp = defineOp(
  'quantizeRows',
  { rows: address, ...matrixFields('x'), columns: integer, codes: address },
  { cost: (op) => ({ bytesPerRow: op.columns * 5 }) },
);

/** The input of a matrix product: f32 for raw weights, int8 codes (made once per value) for packed ones. */
export function linearInput(p: PlanBuilder, x: Value, weight: PlacedWeight): Value {
  if (!weight.layout.packed) return x;
  return p.codesOf(x, (codes) =>
    p.record(
      quantizeRowsOp,
      { set: x.set, reads: [x], writes: [codes] },
      { ...matrix('x', x), columns: x.columns, codes: addressOf(codes) },
    ),
  );
}

/**
 * y = (accumulate ? y : 0) + x W^T + bias. `x` is f32 for raw layouts, codes of quantizeRows for packed ones.
 */
export const linearOp = defineOp(
  'linear',
  {
    rows: address,
    ...matrixFields('x'),
    weight: address,
    layout: integer,
    outputs: integer,
    columns: integer,
    bias: address,
    ...matrixFields('y'),
    accumulate: integer,
    scratch: address,
    threadBytes: address,
  },
  {
    cost: (op, { weightBytes }) => ({
      weightBytes,
      macsPerRow: op.outputs * op.columns,
      byteProductsPerMac: op.layout >= PACKED_BASE ? 1 : 0,
      bytesPerRow: (op.outputs + op.columns) * 4,
    }),
    scratchBytes: linearScratchBytes,
  },
);

/** Also of expertLinear. */
export function linearScratchBytes(op: { layout: number; columns: number }, threads: number): number {
  return op.layout >= PACKED_BASE
    ? packedScratchBytes(op.columns, threads)
    : rawLinearScratchBytes(op.columns) * threads;
}

/**
 * x W^T + bias; with `into`, written there; with `addTo`, the sum with it (in its place unless values are
 * kept).
 */
export function linear(
  p: PlanBuilder,
  x: Value,
  weight: PlacedWeight,
  options: { bias?: PlacedWeight | null; into?: Value; addTo?: Value | null } = {},
): Value {
  const { addTo, into, bias } = options;
  const y = addTo ? target(p, addTo) : p.overwrite(into, weight.rows, x.set);
  const input = linearInput(p, x, weight);
  p.record(
    linearOp,
    {
      set: x.set,
      reads: addTo ? [input, y] : [input],
      writes: [y],
      weightBytes: weight.byteLength,
    },
    {
      ...matrix('x', input),
      weight: weight.address,
      layout: layoutId(weight.layout),
      outputs: weight.rows,
      columns: weight.columns,
      bias: bias?.address ?? 0,
      ...matrix('y', y),
      accumulate: addTo ? 1 : 0,
    },
  );
  return y;
}

/** y = activation(gate) * up. May run in place on either input; gate and up may be one value. */
export const gatedActivationOp = defineOp(
  'gatedActivation',
  {
    rows: address,
    ...matrixFields('gate'),
    ...matrixFields('up'),
    ...matrixFields('y'),
    columns: integer,
    activation: integer,
  },
  {
    cost: (op) => ({
      bytesPerRow: op.columns * 12,
      exponentialsPerRow: hasExponential(op.activation) ? op.columns : 0,
    }),
  },
);

export const hasExponential = (id: number): boolean => id !== ACTIVATION_ID.none && id !== ACTIVATION_ID.relu;

/** Writes over `gate`. With one value as gate and up, `relu` is the squared ReLU. */
export function gatedActivation(p: PlanBuilder, gate: Value, up: Value, activation: Activation): Value {
  const y = p.overwrite(gate, gate.columns, gate.set);
  p.record(
    gatedActivationOp,
    { set: gate.set, reads: [gate, up], writes: [y] },
    {
      ...matrix('gate', gate),
      ...matrix('up', up),
      ...matrix('y', y),
      columns: gate.columns,
      activation: ACTIVATION_ID[activation],
    },
  );
  return y;
}

/** y += x */
export const addOp = defineOp(
  'add',
  { rows: address, ...matrixFields('x'), ...matrixFields('y'), columns: integer },
  { cost: (op) => ({ bytesPerRow: op.columns * 12 }) },
);

/** y = x */
export const copyOp = defineOp(
  'copy',
  { rows: address, ...matrixFields('x'), ...matrixFields('y'), columns: integer },
  { cost: (op) => ({ bytesPerRow: op.columns * 8 }) },
);

/** Where a sum with `value` goes: in its place, or into a copy when values are kept. */
export function target(p: PlanBuilder, value: Value): Value {
  if (!p.keepsValues) return value;
  const y = p.value(value.columns, value.set);
  p.record(
    copyOp,
    { set: value.set, reads: [value], writes: [y] },
    { ...matrix('x', value), ...matrix('y', y), columns: y.columns },
  );
  return y;
}

/** y[r] = x[indices[r]] */
export const gatherRowsOp = defineOp(
  'gatherRows',
  { rows: address, indices: address, ...matrixFields('x'), ...matrixFields('y'), columns: integer },
  { cost: (op) => ({ bytesPerRow: op.columns * 8 }) },
);

/** Starts the head: from here on, ops work on the rows that want logits. */
export function gatherLogitRows(p: PlanBuilder, x: Value): Value {
  p.startHead();
  const y = p.value(x.columns, 'logitRows');
  p.record(
    gatherRowsOp,
    { set: 'logitRows', reads: [x], writes: [y] },
    { indices: { step: 'logitIndices' }, ...matrix('x', x), ...matrix('y', y), columns: x.columns },
  );
  return y;
}
