// The rule of every op of the forward: which ops compute the gradients of its operands. Each rule is given the op as
// recorded, and appends to the tape.
import type { OpKind, RecordedOp } from '@marimba/engine/plan';
import { numberOf, type Rule, samePlace } from './rule.ts';
import * as attention from './rules-attention.ts';
import * as delta from './rules-delta.ts';
import * as experts from './rules-experts.ts';
import * as mamba from './rules-mamba.ts';
import type { Tape } from './tape.ts';

const copy: Rule<'copy'> = ({ fields, set }, tape) => {
  const columns = numberOf(fields.columns);
  const dy = tape.gradient(fields.y, columns);
  if (!dy || tape.alias(fields.x, fields.y)) return;
  const { at, accumulate } = tape.target(fields.x, columns);
  tape.append(accumulate ? 'add' : 'copy', set, {
    x: dy,
    xStride: fields.yStride,
    y: at,
    yStride: fields.xStride,
    columns,
  });
};

/** y += x, where y is already a copy. */
const add: Rule<'add'> = ({ fields, set }, tape) => {
  const columns = numberOf(fields.columns);
  const dy = tape.gradient(fields.y, columns);
  if (!dy) return;
  const { at, accumulate } = tape.target(fields.x, columns);
  tape.append(accumulate ? 'add' : 'copy', set, {
    x: dy,
    xStride: fields.yStride,
    y: at,
    yStride: fields.xStride,
    columns,
  });
};

const embed: Rule<'embed'> = ({ fields, set }, tape) => {
  const columns = numberOf(fields.columns);
  const dy = tape.gradient(fields.y, columns);
  if (!dy) return;
  tape.append('embedBackward', set, {
    tokens: fields.tokens,
    dy,
    dyStride: fields.yStride,
    columns,
    vocabulary: fields.vocabulary,
    scale: fields.scale,
    skipToken: tape.context.skipToken < 0 ? 0xffff_ffff : tape.context.skipToken,
    dTable: tape.context.weightGradient(numberOf(fields.table)),
  });
};

/** With `accumulate`, y += x, where y is already a copy. */
const rmsNorm: Rule<'rmsNorm'> = ({ fields, set }, tape) => {
  const { columns, groups, x, xStride, weight, weightStride, epsilon, offset, scale } = fields;
  const width = numberOf(columns) * numberOf(groups);
  const dy = tape.gradient(fields.y, width);
  if (!dy) return;
  const inverse = tape.temporary(set, (rows) => rows * numberOf(groups) * 4);
  const dx = tape.target(x, width);
  const common = { x, xStride, weightStride, columns, groups, dy, dyStride: fields.yStride, inverse };
  tape.append('rmsNormBackward', set, {
    ...common,
    weight,
    epsilon,
    offset,
    scale,
    dx: dx.at,
    dxStride: xStride,
    accumulate: dx.accumulate,
  });
  tape.append('rmsNormWeightBackward', set, {
    ...common,
    dWeight: tape.context.weightGradient(numberOf(weight)),
  });
};

const linear: Rule<'linear'> = ({ fields, set }, tape) => {
  const { x, xStride, weight, outputs, columns, bias } = fields;
  if (numberOf(fields.layout) !== 0)
    throw new Error('gradient: expected weights in f32, found another format');
  const dy = tape.gradient(fields.y, numberOf(outputs));
  if (!dy) return;
  const common = { dy, dyStride: fields.yStride, outputs, columns };
  tape.append('linearBackwardWeight', set, {
    ...common,
    x,
    xStride,
    dWeight: tape.context.weightGradient(numberOf(weight)),
    dBias: numberOf(bias) ? tape.context.weightGradient(numberOf(bias)) : 0,
  });
  const dx = tape.target(x, numberOf(columns));
  tape.append('linearBackwardInput', set, {
    ...common,
    weight,
    dx: dx.at,
    dxStride: xStride,
    accumulate: dx.accumulate,
  });
};

const gatedActivation: Rule<'gatedActivation'> = ({ fields, set }, tape) => {
  const { gate, gateStride, up, upStride, activation } = fields;
  const columns = numberOf(fields.columns);
  const dy = tape.gradient(fields.y, columns);
  if (!dy) return;
  tape.append('gatedActivationBackward', set, {
    gate,
    gateStride,
    up,
    upStride,
    dy,
    dyStride: fields.yStride,
    columns,
    activation,
    dGate: tape.fresh(gate, columns),
    dGateStride: gateStride,
    dUp: samePlace(gate, up) ? 0 : tape.fresh(up, columns),
    dUpStride: upStride,
  });
};

const gatherRows: Rule<'gatherRows'> = ({ fields }, tape) => {
  const columns = numberOf(fields.columns);
  const dy = tape.gradient(fields.y, columns);
  if (!dy) return;
  tape.append('gatherRowsBackward', 'rows', {
    indexCount: { step: 'logitRows' },
    indices: fields.indices,
    dy,
    dyStride: fields.yStride,
    dx: tape.fresh(fields.x, columns),
    dxStride: fields.xStride,
    columns,
  });
};

const RULES: { readonly [K in OpKind]?: Rule<K> } = {
  copy,
  add,
  embed,
  rmsNorm,
  linear,
  gatedActivation,
  gatherRows,
  ...attention,
  ...delta,
  ...experts,
  ...mamba,
};

type AnyRule = (op: RecordedOp, tape: Tape) => void;

const others = new Map<string, AnyRule>();

/** Gives an op of one's own its rule. */
export function registerRule(kind: string, rule: AnyRule): void {
  others.set(kind, rule);
}

/** Appends the backward of recorded ops, last first. */
export function appendBackward(tape: Tape, ops: readonly RecordedOp[]): void {
  for (const op of [...ops].reverse()) {
    const rule = (RULES as Partial<Record<string, AnyRule>>)[op.kind] ?? others.get(op.kind);
    if (!rule) throw new Error(`gradient: op ${op.kind} has no rule`);
    tape.label(`${op.label} backward`);
    rule(op, tape);
  }
}
