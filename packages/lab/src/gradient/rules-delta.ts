// Rule of gated DeltaNet's scan.
import { deltaScanBackwardScratchBytes } from '@marimba/engine/plan';
import { numberOf, type Rule } from './rule.ts';

export const deltaScan: Rule<'deltaScan'> = ({ fields, set }, tape) => {
  const { y, yStride, stateOffset: _, scratch: __, rows: ___, ...operands } = fields;
  const { q, k, v, qkvStride, b, bStride, dt, dtStride } = operands;
  const valueHeads = numberOf(operands.valueHeads);
  const keySize = numberOf(operands.keySize);
  const keys = numberOf(operands.keyHeads) * keySize;
  const values = valueHeads * numberOf(operands.valueSize);
  const dy = tape.gradient(y, values);
  if (!dy) return;
  const { context } = tape;
  tape.append('deltaScanBackward', set, {
    ...operands,
    dy,
    dyStride: yStride,
    dq: tape.fresh(q, keys),
    dk: tape.fresh(k, keys),
    dv: tape.fresh(v, values),
    dqkvStride: qkvStride,
    db: tape.fresh(b, valueHeads),
    dbStride: bStride,
    ddt: tape.fresh(dt, valueHeads),
    ddtStride: dtStride,
    dALog: context.decayGradient(numberOf(operands.a)),
    dDtBias: context.weightGradient(numberOf(operands.dtBias)),
    threadBytes: deltaScanBackwardScratchBytes(context.maxRows, keySize),
  });
};
