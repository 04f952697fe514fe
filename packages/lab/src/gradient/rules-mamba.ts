// Rules of the Mamba mixers' own ops.
import { SCAN_GROUPS, scanBackwardScratchBytes, ssdBackwardScratchBytes } from '@marimba/engine/plan';
import { numberOf, type Rule } from './rule.ts';

export const causalConv: Rule<'causalConv'> = ({ fields, set }, tape) => {
  const { x, xStride, weight, bias, width, activation, segments } = fields;
  const channels = numberOf(fields.channels);
  const dy = tape.gradient(fields.y, channels);
  if (!dy) return;
  tape.append('causalConvBackward', set, {
    segments,
    x,
    xStride,
    weight,
    bias,
    channels,
    width,
    activation,
    dy,
    dyStride: fields.yStride,
    dx: tape.fresh(x, channels),
    dxStride: xStride,
    dWeight: tape.context.weightGradient(numberOf(weight)),
    dBias: numberOf(bias) ? tape.context.weightGradient(numberOf(bias)) : 0,
  });
};

export const selectiveScan: Rule<'selectiveScan'> = ({ fields, set }, tape) => {
  const { segments, u, uStride, dt, dtStride, dtBias, b, c, bcStride, z, zStride, a, d } = fields;
  const { context } = tape;
  const channels = numberOf(fields.channels);
  const states = numberOf(fields.states);
  const dy = tape.gradient(fields.y, channels);
  if (!dy) return;
  const groups = Math.min(SCAN_GROUPS, Math.ceil(channels / 4));
  const padded = (states + 3) & ~3;
  const partials = tape.temporary(set, (rows) => groups * rows * 2 * padded * 4);
  const threadBytes = scanBackwardScratchBytes(context.maxRows, states);
  tape.append('selectiveScanBackward', set, {
    segments,
    u,
    uStride,
    dt,
    dtStride,
    dtBias,
    b,
    c,
    bcStride,
    z,
    zStride,
    a,
    d,
    channels,
    states,
    dy,
    dyStride: fields.yStride,
    du: tape.fresh(u, channels),
    duStride: uStride,
    ddt: tape.fresh(dt, channels),
    ddtStride: dtStride,
    dz: tape.fresh(z, channels),
    dzStride: zStride,
    dALog: context.decayGradient(numberOf(a)),
    dD: context.weightGradient(numberOf(d)),
    dDtBias: numberOf(dtBias) ? context.weightGradient(numberOf(dtBias)) : 0,
    partials,
    groups,
    threadBytes,
  });
  tape.append('scanReduce', set, {
    partials,
    sets: 1,
    groups,
    states,
    db: tape.fresh(b, states),
    dc: tape.fresh(c, states),
    bcStride,
  });
};

export const ssdScan: Rule<'ssdScan'> = ({ fields, set }, tape) => {
  const { x, xStride, dt, dtStride, dtBias, b, c, bcStride, a, d } = fields;
  const { context } = tape;
  const [heads, headSize, groups, states] = [fields.heads, fields.headSize, fields.groups, fields.states].map(
    numberOf,
  ) as [number, number, number, number];
  const dy = tape.gradient(fields.y, heads * headSize);
  if (!dy) return;
  const parts = Math.min(heads / groups, Math.ceil(SCAN_GROUPS / groups));
  const padded = (states + 3) & ~3;
  const partials = tape.temporary(set, (rows) => groups * parts * rows * 2 * padded * 4);
  tape.append('ssdScanBackward', set, {
    segments: fields.segments,
    x,
    xStride,
    dt,
    dtStride,
    dtBias,
    b,
    c,
    bcStride,
    a,
    d,
    heads,
    headSize,
    groups,
    states,
    leastStep: fields.leastStep,
    mostStep: fields.mostStep,
    dy,
    dyStride: fields.yStride,
    dx: tape.fresh(x, heads * headSize),
    dxStride: xStride,
    ddt: tape.fresh(dt, heads),
    ddtStride: dtStride,
    dALog: context.decayGradient(numberOf(a)),
    dD: context.weightGradient(numberOf(d)),
    dDtBias: context.weightGradient(numberOf(dtBias)),
    partials,
    parts,
    threadBytes: ssdBackwardScratchBytes(context.maxRows, headSize, states),
  });
  tape.append('scanReduce', set, {
    partials,
    sets: groups,
    groups: parts,
    states,
    db: tape.fresh(b, groups * states),
    dc: tape.fresh(c, groups * states),
    bcStride,
  });
};
