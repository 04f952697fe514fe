// Ops of the Mamba mixers: the short convolution, which others share, the selective scan of Mamba-1 and the
// scan of Mamba-2. All carry state of their session from step to step.
import { ACTIVATION_ID } from '../activation.ts';
import { addressOf, matrix, type PlanBuilder } from '../plan.ts';
import type { PlacedWeight, Value } from '../recorded.ts';
import { address, defineOp, float, integer, matrixFields } from './op.ts';
import { scanScratchBytes, ssdScratchBytes } from './scratch.ts';

/** What causalConv carries: its last width-1 inputs, [width-1][channels]. */
export const convStateBytes = (channels: number, width: number): number => (width - 1) * channels * 4;

/** What selectiveScan carries: h, in blocks of four channels, [ceil(channels/4)][states][4]. */
export const scanStateBytes = (channels: number, states: number): number =>
  Math.ceil(channels / 4) * states * 16;

/**
 * Depthwise causal convolution of width `width` over the rows of each segment, then SiLU or nothing. Carries
 * its last width-1 inputs.
 */
export const causalConvOp = defineOp(
  'causalConv',
  {
    rows: address,
    segments: address,
    ...matrixFields('x'),
    ...matrixFields('y'),
    weight: address,
    bias: address,
    channels: integer,
    width: integer,
    activation: integer,
    stateOffset: address,
  },
  {
    cost: (op, { weightBytes }) => ({
      weightBytes,
      macsPerRow: op.width * op.channels,
      stateBytes: convStateBytes(op.channels, op.width),
      bytesPerRow: op.channels * 8,
      exponentialsPerRow: op.activation === ACTIVATION_ID.silu ? op.channels : 0,
    }),
  },
);

export interface ConvolutionOperands {
  /** [width][channels], the oldest input's taps first. */
  readonly weight: PlacedWeight;
  readonly bias: PlacedWeight | null;
  /** SiLU (Mamba) when not said. */
  readonly activation?: 'silu' | 'none';
  readonly stateOffset: number;
}

export function causalConv(p: PlanBuilder, x: Value, operands: ConvolutionOperands): Value {
  const { weight, bias, activation = 'silu', stateOffset } = operands;
  const y = p.value(x.columns);
  p.record(
    causalConvOp,
    {
      set: x.set,
      reads: [x],
      writes: [y],
      weightBytes: weight.byteLength + (bias?.byteLength ?? 0),
    },
    {
      segments: { step: 'segments' },
      ...matrix('x', x),
      ...matrix('y', y),
      weight: weight.address,
      bias: bias?.address ?? 0,
      channels: x.columns,
      width: weight.rows,
      activation: ACTIVATION_ID[activation],
      stateOffset,
    },
  );
  return y;
}

/**
 * Mamba-1: dt = softplus(dtRaw + dtBias); h = exp(dt A) h + dt B u; y = (C h + D u) * silu(z).
 * `a` is -exp(A_log) and h the state, both in blocks of 4 channels: [ceil(channels/4)][states][4].
 */
export const selectiveScanOp = defineOp(
  'selectiveScan',
  {
    rows: address,
    segments: address,
    ...matrixFields('u'),
    ...matrixFields('dt'),
    dtBias: address,
    b: address,
    c: address,
    bcStride: address,
    ...matrixFields('z'),
    a: address,
    d: address,
    ...matrixFields('y'),
    channels: integer,
    states: integer,
    stateOffset: address,
    scratch: address,
    threadBytes: address,
  },
  {
    cost: (op, { weightBytes }) => ({
      weightBytes,
      macsPerRow: 3 * op.channels * op.states,
      stateBytes: scanStateBytes(op.channels, op.states),
      bytesPerRow: op.channels * 16,
      exponentialsPerRow: op.channels * (op.states + 2),
    }),
    scratchBytes: (op, threads) => scanScratchBytes(op.states) * threads,
  },
);

export interface ScanOperands {
  readonly u: Value;
  readonly dt: Value;
  readonly dtBias: PlacedWeight | null;
  readonly b: Value;
  readonly c: Value;
  readonly z: Value;
  readonly a: PlacedWeight;
  readonly d: PlacedWeight;
  readonly states: number;
  readonly stateOffset: number;
}

/** Overwrites `u`. */
export function selectiveScan(p: PlanBuilder, operands: ScanOperands): Value {
  const { u, dt, dtBias, b, c, z, a, d, states, stateOffset } = operands;
  const y = p.overwrite(u, u.columns, u.set);
  p.record(
    selectiveScanOp,
    {
      set: u.set,
      reads: [u, dt, b, c, z],
      writes: [y],
      weightBytes: a.byteLength + d.byteLength + (dtBias?.byteLength ?? 0),
    },
    {
      segments: { step: 'segments' },
      ...matrix('u', u),
      ...matrix('dt', dt),
      dtBias: dtBias?.address ?? 0,
      b: addressOf(b),
      c: addressOf(c),
      bcStride: b.stride,
      ...matrix('z', z),
      a: a.address,
      d: d.address,
      ...matrix('y', y),
      channels: u.columns,
      states,
      stateOffset,
    },
  );
  return y;
}

/** What ssdScan carries: S, [heads][headSize][states]. */
export const ssdStateBytes = (heads: number, headSize: number, states: number): number =>
  heads * headSize * states * 4;

/**
 * Mamba-2, for each head with x [headSize] and the b and c [states] of its group (head / (heads / groups)):
 * dt = clamp(softplus(dtRaw + dtBias)); S = exp(dt a) S + (dt x) b^T; y = S c + d x.
 * `a` is -exp(A_log) and `d` the skip, one each per head; S is the state, [heads][headSize][states]. b and c
 * are [rows][groups * states].
 */
export const ssdScanOp = defineOp(
  'ssdScan',
  {
    rows: address,
    segments: address,
    ...matrixFields('x'),
    ...matrixFields('dt'),
    dtBias: address,
    b: address,
    c: address,
    bcStride: address,
    a: address,
    d: address,
    ...matrixFields('y'),
    heads: integer,
    headSize: integer,
    groups: integer,
    states: integer,
    leastStep: float,
    mostStep: float,
    stateOffset: address,
    scratch: address,
    threadBytes: address,
  },
  {
    cost: (op, { weightBytes }) => ({
      weightBytes,
      macsPerRow: 3 * op.heads * op.headSize * op.states,
      stateBytes: ssdStateBytes(op.heads, op.headSize, op.states),
      bytesPerRow: 8 * (op.heads * op.headSize + op.groups * op.states) + 4 * op.heads,
      exponentialsPerRow: 2 * op.heads,
    }),
    scratchBytes: (op, threads) => ssdScratchBytes(op.states) * threads,
  },
);

export interface SsdOperands {
  /** [T, heads * headSize] */
  readonly x: Value;
  /** [T, heads], before the bias and softplus. */
  readonly dt: Value;
  readonly dtBias: PlacedWeight;
  /** [T, groups * states], as c: of one buffer. */
  readonly b: Value;
  readonly c: Value;
  readonly a: PlacedWeight;
  readonly d: PlacedWeight;
  readonly heads: number;
  readonly groups: number;
  readonly states: number;
  /** dt is kept between these; 0 and Infinity: as it is. */
  readonly stepLimits: readonly [least: number, most: number];
  readonly stateOffset: number;
}

/** Overwrites `x`. */
export function ssdScan(p: PlanBuilder, operands: SsdOperands): Value {
  const { x, dt, dtBias, b, c, a, d, heads, groups, states, stepLimits, stateOffset } = operands;
  const y = p.overwrite(x, x.columns, x.set);
  p.record(
    ssdScanOp,
    {
      set: x.set,
      reads: [x, dt, b, c],
      writes: [y],
      weightBytes: a.byteLength + d.byteLength + dtBias.byteLength,
    },
    {
      segments: { step: 'segments' },
      ...matrix('x', x),
      ...matrix('dt', dt),
      dtBias: dtBias.address,
      b: addressOf(b),
      c: addressOf(c),
      bcStride: b.stride,
      a: a.address,
      d: d.address,
      ...matrix('y', y),
      heads,
      headSize: x.columns / heads,
      groups,
      states,
      leastStep: stepLimits[0],
      mostStep: stepLimits[1],
      stateOffset,
    },
  );
  return y;
}
