// Ops of training: the backward of the other families' ops, the loss and the optimiser. `@marimba/lab`
// records them.
//
// `dx` is the gradient of `x`, with x's shape. `accumulate`: add to what dx holds. Gradients of weights are
// always added to; weights are F32. Segments start at position 0 with zero state. Sums are made in an order
// that does not depend on the number of threads.
import { address, defineOp, type Facts, float, integer, matrixFields } from './op.ts';
import { GEMM_SCRATCH_BYTES } from './scratch.ts';

/**
 * Partial sums of selectiveScanBackward and ssdScanBackward: enough that threads share the work, few enough
 * that adding them is cheap.
 */
export const SCAN_GROUPS = 16;
/** Floats per partial sum of sumSquares. */
export const SUM_CHUNK = 16_384;
/**
 * The f32 words that the optimiser's ops share. The caller writes all but scale and norm before each step.
 * `scale` is what gradients are multiplied by; negative when the norm is not finite, and then nothing is
 * changed.
 */
export const OPTIMIZER_STATE = {
  scale: 0,
  norm: 1,
  maxNorm: 2,
  beta1: 3,
  beta2: 4,
  epsilon: 5,
  /** 1 - learning rate * weight decay */
  keep: 6,
  /** learning rate / (1 - beta1^t) */
  rate: 7,
  /** 1 / sqrt(1 - beta2^t) */
  rootCorrection: 8,
} as const;
export const OPTIMIZER_STATE_BYTES = 64;

/** Of the products of the backward: each costs what its forward does. */
const productCost = (op: { outputs: number; columns: number }, { topK }: Facts) => ({
  macsPerRow: op.outputs * op.columns * topK,
  bytesPerRow: (op.outputs + op.columns) * 4 * topK,
});
const product = {
  cost: productCost,
  scratchBytes: (_: unknown, threads: number) => GEMM_SCRATCH_BYTES * threads,
};
/** For ops whose scratch depends on the longest segment: the record says how much each thread has. */
const perThread = (op: { threadBytes: number }, threads: number) => op.threadBytes * threads;

/**
 * Softmax cross-entropy of each row against targets[r]: losses[r] = log sum exp x - x[target], and x becomes
 * its gradient times the f32 at `meanScale` (1 / number of targets).
 */
export const crossEntropyOp = defineOp(
  'crossEntropy',
  {
    rows: address,
    ...matrixFields('x'),
    columns: integer,
    targets: address,
    losses: address,
    meanScale: address,
  },
  { cost: (op) => ({ bytesPerRow: op.columns * 8, exponentialsPerRow: op.columns }) },
);

/**
 * dTable[tokens[r]] += scale * dy[r], except rows whose token is `skipToken` (a padding token that is not
 * trained).
 */
export const embedBackwardOp = defineOp(
  'embedBackward',
  {
    rows: address,
    tokens: address,
    ...matrixFields('dy'),
    columns: integer,
    vocabulary: integer,
    scale: float,
    skipToken: integer,
    dTable: address,
  },
  { cost: (op) => ({ bytesPerRow: op.columns * 12 }) },
);

/** Gradient of the norm's input; `inverse` [rows][groups] receives scale / rms for rmsNormWeightBackward. */
export const rmsNormBackwardOp = defineOp(
  'rmsNormBackward',
  {
    rows: address,
    ...matrixFields('x'),
    weight: address,
    weightStride: integer,
    columns: integer,
    groups: integer,
    epsilon: float,
    offset: float,
    scale: float,
    ...matrixFields('dy'),
    ...matrixFields('dx'),
    accumulate: integer,
    inverse: address,
  },
  { cost: (op) => ({ bytesPerRow: op.columns * op.groups * 16 }) },
);

/** dWeight += sum over rows, and over groups that share it, of dy * x * inverse */
export const rmsNormWeightBackwardOp = defineOp(
  'rmsNormWeightBackward',
  {
    rows: address,
    ...matrixFields('x'),
    ...matrixFields('dy'),
    inverse: address,
    weightStride: integer,
    columns: integer,
    groups: integer,
    dWeight: address,
  },
  { cost: (op) => ({ bytesPerRow: op.columns * op.groups * 8 }) },
);

/** dx = (accumulate ? dx : 0) + dy W */
export const linearBackwardInputOp = defineOp(
  'linearBackwardInput',
  {
    rows: address,
    ...matrixFields('dy'),
    weight: address,
    outputs: integer,
    columns: integer,
    ...matrixFields('dx'),
    accumulate: integer,
    scratch: address,
  },
  product,
);

/** dWeight += dy^T x; dBias += column sums of dy (0: no bias) */
export const linearBackwardWeightOp = defineOp(
  'linearBackwardWeight',
  {
    rows: address,
    ...matrixFields('dy'),
    ...matrixFields('x'),
    outputs: integer,
    columns: integer,
    dWeight: address,
    dBias: address,
    scratch: address,
  },
  product,
);

/** dx[slot] = dy[slot] W_expert */
export const expertLinearBackwardInputOp = defineOp(
  'expertLinearBackwardInput',
  {
    rows: address,
    offsets: address,
    experts: integer,
    ...matrixFields('dy'),
    weight: address,
    expertBytes: address,
    outputs: integer,
    columns: integer,
    ...matrixFields('dx'),
    scratch: address,
  },
  product,
);

/** dWeight_expert += sum over its slots of dy[slot]^T x[slotRows ? slotRows[slot] : slot] */
export const expertLinearBackwardWeightOp = defineOp(
  'expertLinearBackwardWeight',
  {
    rows: address,
    offsets: address,
    slotRows: address,
    experts: integer,
    ...matrixFields('dy'),
    ...matrixFields('x'),
    dWeight: address,
    expertBytes: address,
    outputs: integer,
    columns: integer,
    scratch: address,
  },
  product,
);

/** y[r] = (accumulate ? y[r] : 0) + sum over k of x[slotOf[r,k]] */
export const sumSlotsOp = defineOp(
  'sumSlots',
  {
    rows: address,
    topK: integer,
    slotOf: address,
    ...matrixFields('x'),
    ...matrixFields('y'),
    columns: integer,
    accumulate: integer,
  },
  { cost: (op) => ({ bytesPerRow: op.columns * 4 * (op.topK + 2) }) },
);

/** dx[slotOf[r,k]] = weights[r,k] dy[r]; dWeights[r,k] = dy[r] . x[slotOf[r,k]] */
export const combineExpertsBackwardOp = defineOp(
  'combineExpertsBackward',
  {
    rows: address,
    topK: integer,
    slotOf: address,
    weights: address,
    ...matrixFields('x'),
    ...matrixFields('dy'),
    columns: integer,
    ...matrixFields('dx'),
    dWeights: address,
  },
  { cost: (op) => ({ bytesPerRow: op.columns * 12 * op.topK }) },
);

/** dx[r] = sigmoid(gate[r]) dy[r]; dGate[r] = dy[r] . x[r] times the sigmoid's derivative. */
export const gateRowsBackwardOp = defineOp(
  'gateRowsBackward',
  {
    rows: address,
    ...matrixFields('x'),
    ...matrixFields('gate'),
    ...matrixFields('dy'),
    columns: integer,
    ...matrixFields('dx'),
    ...matrixFields('dGate'),
  },
  { cost: (op) => ({ bytesPerRow: op.columns * 12, exponentialsPerRow: 1 }) },
);

/**
 * Gradient of the router's logits x through scores and weights, plus that of the load-balancing loss (Fedus
 * et al. 2022, eq. 4) scale * experts * sum over e of (slots of e / rows) * mean share of e in a row's
 * scores. losses[r] is row r's share of that loss. The choice itself has no gradient, nor has its bias.
 */
export const routeBackwardOp = defineOp(
  'routeBackward',
  {
    rows: address,
    ...matrixFields('x'),
    experts: integer,
    topK: integer,
    score: integer,
    renormalize: integer,
    epsilon: float,
    weightScale: float,
    ids: address,
    offsets: address,
    dWeights: address,
    ...matrixFields('dx'),
    scale: float,
    losses: address,
  },
  { cost: (op) => ({ bytesPerRow: op.experts * 8, exponentialsPerRow: op.experts }) },
);

/** Through the activation and the convolution; dy is overwritten with the gradient before the activation. */
export const causalConvBackwardOp = defineOp(
  'causalConvBackward',
  {
    rows: address,
    segments: address,
    ...matrixFields('x'),
    weight: address,
    bias: address,
    channels: integer,
    width: integer,
    activation: integer,
    ...matrixFields('dy'),
    ...matrixFields('dx'),
    dWeight: address,
    dBias: address,
  },
  {
    cost: (op) => ({
      macsPerRow: 3 * op.channels * op.width,
      bytesPerRow: op.channels * 16,
      exponentialsPerRow: op.channels,
    }),
  },
);

/**
 * States are computed again from the inputs. `dALog` is the gradient of log(-a), laid out as a. The gradients
 * of b and c are left as one partial sum for each of SCAN_GROUPS runs of channel blocks, for scanReduce:
 * partials [groups][rows][b, c][states rounded up to 4].
 */
export const selectiveScanBackwardOp = defineOp(
  'selectiveScanBackward',
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
    channels: integer,
    states: integer,
    ...matrixFields('dy'),
    ...matrixFields('du'),
    ...matrixFields('ddt'),
    ...matrixFields('dz'),
    dALog: address,
    dD: address,
    dDtBias: address,
    partials: address,
    groups: integer,
    scratch: address,
    threadBytes: address,
  },
  {
    cost: (op) => ({
      macsPerRow: 12 * op.channels * op.states,
      bytesPerRow: op.channels * 32,
      exponentialsPerRow: 2 * op.channels * (op.states + 2),
    }),
    scratchBytes: perThread,
  },
);

/**
 * Of ssdScan. `dALog` is the gradient of log(-a). The gradients of b and c are left as `parts` partial sums
 * for each of the `groups` that share them, each of a run of the group's heads, for scanReduce:
 * partials [groups][parts][rows][b, c][states rounded up to 4].
 */
export const ssdScanBackwardOp = defineOp(
  'ssdScanBackward',
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
    heads: integer,
    headSize: integer,
    groups: integer,
    states: integer,
    leastStep: float,
    mostStep: float,
    ...matrixFields('dy'),
    ...matrixFields('dx'),
    ...matrixFields('ddt'),
    dALog: address,
    dD: address,
    dDtBias: address,
    partials: address,
    parts: integer,
    scratch: address,
    threadBytes: address,
  },
  {
    cost: (op) => ({
      macsPerRow: 9 * op.heads * op.headSize * op.states,
      bytesPerRow: op.heads * op.headSize * 16 + op.groups * op.states * 16,
      exponentialsPerRow: 3 * op.heads,
    }),
    scratchBytes: perThread,
  },
);

/**
 * db and dc from the partial sums of a scan's backward: `sets` times the sums of `groups` partials, of the
 * states of one set of columns each.
 */
export const scanReduceOp = defineOp(
  'scanReduce',
  {
    rows: address,
    partials: address,
    sets: integer,
    groups: integer,
    states: integer,
    db: address,
    dc: address,
    bcStride: address,
  },
  { cost: (op) => ({ bytesPerRow: op.sets * op.groups * ((op.states + 3) & ~3) * 8 }) },
);

/**
 * Probabilities are computed again from q and k, the values that the cache was given. With `sinks`,
 * `sinkShares` [rows][heads] receives what each row adds to their gradient, for addColumnSums.
 */
export const attentionBackwardOp = defineOp(
  'attentionBackward',
  {
    rows: address,
    segments: address,
    ...matrixFields('q'),
    ...matrixFields('k'),
    ...matrixFields('v'),
    ...matrixFields('y'),
    ...matrixFields('dy'),
    ...matrixFields('dq'),
    ...matrixFields('dk'),
    ...matrixFields('dv'),
    heads: integer,
    kvHeads: integer,
    headSize: integer,
    scale: float,
    window: integer,
    sinks: address,
    sinkShares: address,
    scratch: address,
    threadBytes: address,
  },
  {
    cost: (op) => ({
      macsPerPosition: 5 * op.heads * op.headSize,
      bytesPerRow: (op.heads + op.kvHeads) * op.headSize * 16,
      window: op.window,
    }),
    scratchBytes: perThread,
  },
);

/** Where gate and up are one value, `dUp` is 0 and `dGate` receives the sum of both gradients. */
/** y[i] += sum over rows of x[r][i], for a gradient of a vector. */
export const addColumnSumsOp = defineOp(
  'addColumnSums',
  { rows: address, ...matrixFields('x'), columns: integer, y: address },
  { cost: (op) => ({ bytesPerRow: op.columns * 4 }) },
);

export const gatedActivationBackwardOp = defineOp(
  'gatedActivationBackward',
  {
    rows: address,
    ...matrixFields('gate'),
    ...matrixFields('up'),
    ...matrixFields('dy'),
    ...matrixFields('dGate'),
    ...matrixFields('dUp'),
    columns: integer,
    activation: integer,
  },
  { cost: (op) => ({ bytesPerRow: op.columns * 20, exponentialsPerRow: op.columns }) },
);

/** dx[indices[i]] = dy[i] for i < the u32 at `indexCount`, other rows of dx 0. Indices ascend. */
export const gatherRowsBackwardOp = defineOp(
  'gatherRowsBackward',
  {
    rows: address,
    indexCount: address,
    indices: address,
    ...matrixFields('dy'),
    ...matrixFields('dx'),
    columns: integer,
  },
  { cost: (op) => ({ bytesPerRow: op.columns * 8 }) },
);

// Over all parameters, once per step, whatever the number of rows: what they cost is not forecast.

/** a = -exp(aLog), both [ceil(channels/4)][states][4]; lanes behind the last channel 0. */
export const decayFromLogOp = defineOp('decayFromLog', {
  aLog: address,
  a: address,
  channels: integer,
  states: integer,
});

/** x[0…count] = 0 */
export const clearOp = defineOp('clear', { x: address, count: integer });

/** partials[i] (f64) = sum of squares of the i-th SUM_CHUNK floats of x. */
export const sumSquaresOp = defineOp('sumSquares', { x: address, count: integer, partials: address });

/** Norm of the gradient and how much to scale it by, into `state` (see OPTIMIZER_STATE). */
export const clipGradientOp = defineOp('clipGradient', {
  partials: address,
  chunks: integer,
  state: address,
});

/** AdamW (Loshchilov & Hutter 2019) with the numbers in `state`; `decays` 0: without weight decay. */
export const adamWOp = defineOp('adamW', {
  parameters: address,
  gradients: address,
  first: address,
  second: address,
  count: integer,
  decays: integer,
  state: address,
});
