// Rules of routed feed-forwards. Gradients of rows that several experts read are collected per slot and then
// summed in the order of a row's choices, never by several threads at once.
import type { Operand, OpOf } from '@marimba/engine/plan';
import { numberOf, type Rule } from './rule.ts';
import type { Tape } from './tape.ts';

/**
 * What a routed layer's rules leave for those of the ops before them: the walk meets combineExperts first,
 * route last.
 */
interface Routed {
  readonly slotOf: Operand;
  readonly topK: number;
  readonly dWeights: Operand;
}
const routedLayer = new WeakMap<Tape, Routed>();

export const combineExperts: Rule<'combineExperts'> = ({ fields, set }, tape) => {
  const { slotOf, weights, x, xStride } = fields;
  const columns = numberOf(fields.columns);
  const topK = numberOf(fields.topK);
  const dy = tape.gradient(fields.y, columns);
  if (!dy) return;
  const dWeights = tape.temporary('rows', (rows) => rows * topK * 4);
  tape.append('combineExpertsBackward', set, {
    topK,
    slotOf,
    weights,
    x,
    xStride,
    dy,
    dyStride: fields.yStride,
    columns,
    dx: tape.fresh(x, columns),
    dxStride: xStride,
    dWeights,
  });
  routedLayer.set(tape, { slotOf, topK, dWeights });
};

export const expertLinear: Rule<'expertLinear'> = (op, tape) => {
  const { offsets, experts, slotRows, x, xStride, weight, expertBytes, outputs } = op.fields;
  if (numberOf(op.fields.layout) !== 0)
    throw new Error('gradient: expected weights in f32, found another format');
  const columns = numberOf(op.fields.columns);
  const dy = tape.gradient(op.fields.y, numberOf(outputs));
  if (!dy) return;
  const common = { offsets, experts, dy, dyStride: op.fields.yStride, outputs, columns, expertBytes };
  const layer = routedLayer.get(tape);
  if (!layer) throw new Error('gradient: expected combineExperts after expertLinear');
  const { topK } = layer;
  tape.append(
    'expertLinearBackwardWeight',
    'rows',
    {
      ...common,
      slotRows,
      x,
      xStride,
      dWeight: tape.context.weightGradient(numberOf(weight)),
    },
    { topK },
  );
  const input = (dx: Operand, dxStride: Operand) =>
    tape.append('expertLinearBackwardInput', 'rows', { ...common, weight, dx, dxStride }, { topK });
  if (slotRows === 0) input(tape.fresh(x, columns), xStride);
  else intoRows(op, tape, columns, layer, input);
};

function intoRows(
  op: OpOf<'expertLinear'>,
  tape: Tape,
  columns: number,
  layer: Routed,
  input: (dx: Operand, stride: Operand) => void,
): void {
  const slots = tape.temporary('slots', (rows) => rows * columns * 4);
  input(slots, columns);
  const { at, accumulate } = tape.target(op.fields.x, columns);
  tape.append('sumSlots', 'rows', {
    topK: layer.topK,
    slotOf: layer.slotOf,
    x: slots,
    xStride: columns,
    y: at,
    yStride: op.fields.xStride,
    columns,
    accumulate,
  });
}

export const route: Rule<'route'> = ({ fields, set }, tape) => {
  const layer = routedLayer.get(tape);
  if (!layer) return;
  routedLayer.delete(tape);
  const { x, xStride, topK, score, renormalize, epsilon, weightScale, ids, offsets } = fields;
  const experts = numberOf(fields.experts);
  const { scale, lossesOfLayer } = tape.context.balance;
  tape.append('routeBackward', set, {
    x,
    xStride,
    experts,
    topK,
    score,
    renormalize,
    epsilon,
    weightScale,
    ids,
    offsets,
    dWeights: layer.dWeights,
    dx: tape.fresh(x, experts),
    dxStride: xStride,
    scale,
    losses: lossesOfLayer(),
  });
};

export const gateRows: Rule<'gateRows'> = ({ fields, set }, tape) => {
  const { x, xStride, gate, gateStride } = fields;
  const columns = numberOf(fields.columns);
  const dy = tape.gradient(fields.y, columns);
  if (!dy) return;
  tape.append('gateRowsBackward', set, {
    x,
    xStride,
    gate,
    gateStride,
    dy,
    dyStride: fields.yStride,
    columns,
    dx: tape.fresh(x, columns),
    dxStride: xStride,
    dGate: tape.fresh(gate, 1),
    dGateStride: gateStride,
  });
};
