// The op contract: every operation a plan may hold, and the layout of its record in the arena. A record is a row of
// u32 words: word 0 the kind, word 1 the counter of claimed chunks (zero when a run starts), then one word a field. Both
// backends read the same records, so a kernel is a function of (record address, thread, thread count) and nothing else.
// The classes through which kernels read them, `kernels/op-records.ts`, are generated from here.
//
// Conventions, for all ops:
// - Addresses are byte offsets into the arena; 0 means "absent". Strides count f32 elements. Floats are f32 bits.
// - `rows` is the ADDRESS of a u32: how many rows are live in this step (0 is legal: do nothing).
// - Activations are f32, row-major, [rows][stride]; a slice of columns is an address with the parent's stride.
// - A step's rows belong to segments (one per session): see step.ts. State ops walk segments; the rest ignore them.
// - An op may be run by several threads at once, which share its work by rows or columns; ops run in order, each
//   seeing all that earlier ops wrote.
// Long because it is one table: every record that a kernel may be handed, in the order of their numbers.

const SCHEMA = {
  /** y[r] = scale * table[tokens[r]] */
  embed: ['rows', 'tokens', 'table', 'layout', 'columns', 'vocabulary', 'scale', 'y', 'yStride'],
  /** Each of `groups` slices of `columns`: y = x / sqrt(mean(x^2) + epsilon) * weight. May run in place. */
  rmsNorm: ['rows', 'x', 'xStride', 'y', 'yStride', 'weight', 'columns', 'groups', 'epsilon'],
  /** Rows to int8 with one scale per 32 columns (see codes.ts); the input of `linear` on packed weights. */
  quantizeRows: ['rows', 'x', 'xStride', 'columns', 'codes'],
  /** y = (accumulate ? y : 0) + x W^T + bias. `x` is f32 for raw layouts, codes of quantizeRows for packed ones. */
  linear: [
    'rows',
    'x',
    'xStride',
    'weight',
    'layout',
    'outputs',
    'columns',
    'bias',
    'y',
    'yStride',
    'accumulate',
    'scratch',
  ],
  /** Depthwise causal convolution of width `width` over the rows of each segment, then SiLU. Carries its last width-1 inputs. */
  causalConv: [
    'rows',
    'segments',
    'x',
    'xStride',
    'y',
    'yStride',
    'weight',
    'bias',
    'channels',
    'width',
    'stateOffset',
  ],
  /**
   * Mamba-1: dt = softplus(dtRaw + dtBias); h = exp(dt A) h + dt B u; y = (C h + D u) * silu(z).
   * `a` is -exp(A_log) and h the state, both in blocks of 4 channels: [ceil(channels/4)][states][4].
   */
  selectiveScan: [
    'rows',
    'segments',
    'u',
    'uStride',
    'dt',
    'dtStride',
    'dtBias',
    'b',
    'c',
    'bcStride',
    'z',
    'zStride',
    'a',
    'd',
    'y',
    'yStride',
    'channels',
    'states',
    'stateOffset',
    'scratch',
  ],
  /** In place, halves rotated (x[i], x[i + rotary/2]) by position * inverseFrequencies[i]. */
  rope: [
    'rows',
    'positions',
    'x',
    'xStride',
    'heads',
    'headSize',
    'rotary',
    'inverseFrequencies',
    'attentionScale',
  ],
  /** Writes k and v of the step's rows into the cache pages of their sessions. Layout: see session/cache-layout.ts. */
  cacheStore: [
    'rows',
    'segments',
    'rowSegment',
    'positions',
    'k',
    'kStride',
    'v',
    'vStride',
    'kvHeads',
    'headSize',
    'group',
    'layerOffset',
    'cacheType',
  ],
  /** Softmax attention of each row over its session's cache, positions 0…own (or the last `window` of them). */
  attention: [
    'rows',
    'segments',
    'rowSegment',
    'positions',
    'q',
    'qStride',
    'y',
    'yStride',
    'heads',
    'kvHeads',
    'headSize',
    'scale',
    'window',
    'group',
    'layerOffset',
    'cacheType',
    'scratch',
    'scratchBytes',
  ],
  /** y = activation(gate) * up. May run in place on either input. */
  gatedActivation: ['rows', 'gate', 'gateStride', 'up', 'upStride', 'y', 'yStride', 'columns', 'activation'],
  /** y += x */
  add: ['rows', 'x', 'xStride', 'y', 'yStride', 'columns'],
  /**
   * Softmax over expert logits, top-k, and the rows sorted by expert: slots offsets[e]…offsets[e+1] are expert e's,
   * slotRows[slot] the row, slotOf[row * topK + k] the slot, weights[row * topK + k] the routing weight.
   */
  route: [
    'rows',
    'x',
    'xStride',
    'experts',
    'topK',
    'renormalize',
    'ids',
    'weights',
    'offsets',
    'slotRows',
    'slotOf',
  ],
  /**
   * For every slot of every expert: y[slot] = W_expert x[slotRows ? slotRows[slot] : slot]. Expert e's weight lies at
   * weight + e * expertBytes. `x` as in linear.
   */
  expertLinear: [
    'rows',
    'offsets',
    'slotRows',
    'experts',
    'x',
    'xStride',
    'weight',
    'expertBytes',
    'layout',
    'outputs',
    'columns',
    'y',
    'yStride',
    'scratch',
  ],
  /** y[r] += sum over k of weights[r,k] * x[slotOf[r,k]] */
  combineExperts: ['rows', 'topK', 'slotOf', 'weights', 'x', 'xStride', 'y', 'yStride', 'columns'],
  /** y[r] = x[indices[r]] */
  gatherRows: ['rows', 'indices', 'x', 'xStride', 'y', 'yStride', 'columns'],

  // Training from here on: the backward of the ops above, the loss and the optimiser. `dx` is the gradient of `x`, with x's
  // shape. `accumulate`: add to what dx holds. Gradients of weights are always added to; weights are F32. Segments start
  // at position 0 with zero state. Sums are made in an order that does not depend on the number of threads. Scratch holds
  // as much for each thread as its kernel wants (`threadBytes` where that depends on sizes).
  /** y = x */
  copy: ['rows', 'x', 'xStride', 'y', 'yStride', 'columns'],
  /**
   * Softmax cross-entropy of each row against targets[r]: losses[r] = log sum exp x - x[target], and x becomes its
   * gradient times the f32 at `meanScale` (1 / number of targets).
   */
  crossEntropy: ['rows', 'x', 'xStride', 'columns', 'targets', 'losses', 'meanScale'],
  /** dTable[tokens[r]] += scale * dy[r], but for rows whose token is `skipToken` (a padding token that is not trained). */
  embedBackward: [
    'rows',
    'tokens',
    'dy',
    'dyStride',
    'columns',
    'vocabulary',
    'scale',
    'skipToken',
    'dTable',
  ],
  /** Gradient of the norm's input; `inverse` [rows][groups] receives 1 / rms for rmsNormWeightBackward. */
  rmsNormBackward: [
    'rows',
    'x',
    'xStride',
    'weight',
    'columns',
    'groups',
    'epsilon',
    'dy',
    'dyStride',
    'dx',
    'dxStride',
    'accumulate',
    'inverse',
  ],
  /** dWeight += sum over rows and groups of dy * x * inverse */
  rmsNormWeightBackward: [
    'rows',
    'x',
    'xStride',
    'dy',
    'dyStride',
    'inverse',
    'columns',
    'groups',
    'dWeight',
  ],
  /** dx = (accumulate ? dx : 0) + dy W */
  linearBackwardInput: [
    'rows',
    'dy',
    'dyStride',
    'weight',
    'outputs',
    'columns',
    'dx',
    'dxStride',
    'accumulate',
    'scratch',
  ],
  /** dWeight += dy^T x; dBias += column sums of dy (0: no bias) */
  linearBackwardWeight: [
    'rows',
    'dy',
    'dyStride',
    'x',
    'xStride',
    'outputs',
    'columns',
    'dWeight',
    'dBias',
    'scratch',
  ],
  /** dx[slot] = dy[slot] W_expert */
  expertLinearBackwardInput: [
    'rows',
    'offsets',
    'experts',
    'dy',
    'dyStride',
    'weight',
    'expertBytes',
    'outputs',
    'columns',
    'dx',
    'dxStride',
    'scratch',
  ],
  /** dWeight_expert += sum over its slots of dy[slot]^T x[slotRows ? slotRows[slot] : slot] */
  expertLinearBackwardWeight: [
    'rows',
    'offsets',
    'slotRows',
    'experts',
    'dy',
    'dyStride',
    'x',
    'xStride',
    'dWeight',
    'expertBytes',
    'outputs',
    'columns',
    'scratch',
  ],
  /** y[r] = (accumulate ? y[r] : 0) + sum over k of x[slotOf[r,k]] */
  sumSlots: ['rows', 'topK', 'slotOf', 'x', 'xStride', 'y', 'yStride', 'columns', 'accumulate'],
  /** dx[slotOf[r,k]] = weights[r,k] dy[r]; dWeights[r,k] = dy[r] . x[slotOf[r,k]] */
  combineExpertsBackward: [
    'rows',
    'topK',
    'slotOf',
    'weights',
    'x',
    'xStride',
    'dy',
    'dyStride',
    'columns',
    'dx',
    'dxStride',
    'dWeights',
  ],
  /**
   * Gradient of the router's logits x through the softmax, plus that of the load-balancing loss (Fedus et al. 2022, eq. 4)
   * scale * experts * sum over e of (slots of e / rows) * mean softmax_e. losses[r] is row r's share of that loss.
   */
  routeBackward: [
    'rows',
    'x',
    'xStride',
    'experts',
    'topK',
    'renormalize',
    'ids',
    'offsets',
    'dWeights',
    'dx',
    'dxStride',
    'scale',
    'losses',
  ],
  /** Through SiLU and the convolution; dy is overwritten with the gradient before SiLU. */
  causalConvBackward: [
    'rows',
    'segments',
    'x',
    'xStride',
    'weight',
    'bias',
    'channels',
    'width',
    'dy',
    'dyStride',
    'dx',
    'dxStride',
    'dWeight',
    'dBias',
  ],
  /**
   * States are computed again from the inputs. `dALog` is the gradient of log(-a), laid out as a. The gradients of b and c
   * are left as one partial sum for each of SCAN_GROUPS runs of channel blocks, for scanReduce:
   * partials [groups][rows][b, c][states rounded up to 4].
   */
  selectiveScanBackward: [
    'rows',
    'segments',
    'u',
    'uStride',
    'dt',
    'dtStride',
    'dtBias',
    'b',
    'c',
    'bcStride',
    'z',
    'zStride',
    'a',
    'd',
    'channels',
    'states',
    'dy',
    'dyStride',
    'du',
    'duStride',
    'ddt',
    'ddtStride',
    'dz',
    'dzStride',
    'dALog',
    'dD',
    'dDtBias',
    'partials',
    'groups',
    'scratch',
    'threadBytes',
  ],
  /** db and dc from the partial sums of selectiveScanBackward. */
  scanReduce: ['rows', 'partials', 'groups', 'states', 'db', 'dc', 'bcStride'],
  /** Probabilities are computed again from q and k, the values that the cache was given. */
  attentionBackward: [
    'rows',
    'segments',
    'q',
    'qStride',
    'k',
    'kStride',
    'v',
    'vStride',
    'y',
    'yStride',
    'dy',
    'dyStride',
    'dq',
    'dqStride',
    'dk',
    'dkStride',
    'dv',
    'dvStride',
    'heads',
    'kvHeads',
    'headSize',
    'scale',
    'window',
    'scratch',
    'threadBytes',
  ],
  gatedActivationBackward: [
    'rows',
    'gate',
    'gateStride',
    'up',
    'upStride',
    'dy',
    'dyStride',
    'dGate',
    'dGateStride',
    'dUp',
    'dUpStride',
    'columns',
    'activation',
  ],
  /** dx[indices[i]] = dy[i] for i < the u32 at `indexCount`, other rows of dx 0. Indices ascend. */
  gatherRowsBackward: ['rows', 'indexCount', 'indices', 'dy', 'dyStride', 'dx', 'dxStride', 'columns'],
  /** a = -exp(aLog), both [ceil(channels/4)][states][4]; lanes behind the last channel 0. */
  decayFromLog: ['aLog', 'a', 'channels', 'states'],
  /** x[0…count] = 0 */
  clear: ['x', 'count'],
  /** partials[i] (f64) = sum of squares of the i-th SUM_CHUNK floats of x. */
  sumSquares: ['x', 'count', 'partials'],
  /** Norm of the gradient and how much to scale it by, into `state` (see OPTIMIZER_STATE). */
  clipGradient: ['partials', 'chunks', 'state'],
  /** AdamW (Loshchilov & Hutter 2019) with the numbers in `state`; `decays` 0: without weight decay. */
  adamW: ['parameters', 'gradients', 'first', 'second', 'count', 'decays', 'state'],
} as const;

/** Partial sums of selectiveScanBackward: enough that threads share the work, few enough that adding them is cheap. */
export const SCAN_GROUPS = 16;
/** Floats of one partial sum of sumSquares. */
export const SUM_CHUNK = 16_384;
/**
 * The f32 words that the optimiser's ops share. The caller writes all but scale and norm before each step. `scale` is
 * what gradients are multiplied by; negative when the norm is not finite, and then nothing is changed.
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

export type OpKind = keyof typeof SCHEMA;
export type OpFields<K extends OpKind> = Record<(typeof SCHEMA)[K][number], number>;

/** Fields whose word holds f32 bits. */
const FLOAT_FIELDS: ReadonlySet<string> = new Set(['scale', 'epsilon', 'attentionScale']);

/** Fields whose word holds a number; addresses, strides and byte counts (usize) are the rest. */
const NUMBER_FIELDS: ReadonlySet<string> = new Set([
  'accumulate',
  'activation',
  'cacheType',
  'channels',
  'chunks',
  'columns',
  'count',
  'decays',
  'experts',
  'group',
  'groups',
  'headSize',
  'heads',
  'kvHeads',
  'layout',
  'outputs',
  'renormalize',
  'rotary',
  'skipToken',
  'states',
  'topK',
  'vocabulary',
  'width',
  'window',
]);

/** The type of a field in AssemblyScript. */
export const fieldTypeOf = (name: string): 'f32' | 'i32' | 'usize' =>
  FLOAT_FIELDS.has(name) ? 'f32' : NUMBER_FIELDS.has(name) ? 'i32' : 'usize';

export const OP_KINDS = Object.keys(SCHEMA) as OpKind[];
export const HEADER_WORDS = 2;

export const fieldsOf = (kind: OpKind): readonly string[] => SCHEMA[kind];
export const wordsOf = (kind: OpKind): number => HEADER_WORDS + SCHEMA[kind].length;

const floatBits = new Float32Array(1);
const wordBits = new Uint32Array(floatBits.buffer);

/** Writes one record; returns the number of words. */
export function encodeOp<K extends OpKind>(
  kind: K,
  fields: OpFields<K>,
  words: Uint32Array,
  at: number,
): number {
  words[at] = OP_KINDS.indexOf(kind);
  words[at + 1] = 0;
  SCHEMA[kind].forEach((name, i) => {
    const value = fields[name as keyof typeof fields];
    if (FLOAT_FIELDS.has(name)) {
      floatBits[0] = value;
      words[at + HEADER_WORDS + i] = wordBits[0]!;
    } else {
      words[at + HEADER_WORDS + i] = value;
    }
  });
  return wordsOf(kind);
}

export function decodeOp(words: Uint32Array, at: number): { kind: OpKind; fields: Record<string, number> } {
  const kind = OP_KINDS[words[at]!]!;
  const fields: Record<string, number> = {};
  SCHEMA[kind].forEach((name, i) => {
    const word = words[at + HEADER_WORDS + i]!;
    if (FLOAT_FIELDS.has(name)) {
      wordBits[0] = word;
      fields[name] = floatBits[0]!;
    } else {
      fields[name] = word;
    }
  });
  return { kind, fields };
}
