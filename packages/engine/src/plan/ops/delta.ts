// Ops of gated DeltaNet (Yang et al. 2024, arXiv 2412.06464): a linear attention whose state S maps keys to
// values. Each token decays S, reads what S holds at its key, writes the difference to its value there, and
// reads S at its query. The state goes from step to step with its session.
import { addressOf, matrix, type PlanBuilder } from '../plan.ts';
import type { PlacedWeight, Value } from '../recorded.ts';
import { address, defineOp, float, integer, matrixFields } from './op.ts';
import { deltaScanScratchBytes } from './scratch.ts';

/** What deltaScan carries: S of each value head, in the order that the kernel wants (kernels/delta/scan.ts). */
export const deltaStateBytes = (s: DeltaSizes): number => s.valueHeads * s.valueSize * s.keySize * 4;

/** Heads and their sizes. Each key head serves `valueHeads / keyHeads` value heads. */
export interface DeltaSizes {
  readonly keyHeads: number;
  readonly valueHeads: number;
  /** Channels of a query and a key head. */
  readonly keySize: number;
  /** Channels of a value head. */
  readonly valueSize: number;
  /**
   * Which key head serves value head j: floor(j keyHeads / valueHeads), or j mod keyHeads where a file has
   * its value heads tiled.
   */
  readonly tiled: boolean;
}

/** The fields that the scan and its backward read alike. */
const OPERANDS = {
  rows: address,
  segments: address,
  q: address,
  k: address,
  v: address,
  qkvStride: integer,
  ...matrixFields('b'),
  ...matrixFields('dt'),
  dtBias: address,
  a: address,
  keyHeads: integer,
  valueHeads: integer,
  keySize: integer,
  valueSize: integer,
  tiled: integer,
  epsilon: float,
} as const;

/**
 * Per value head, with the query and key head that serve it: q, k divided by their length,
 * sqrt(sum of squares + epsilon), q by sqrt(keySize) too; beta = sigmoid(b); g = a softplus(dt + dtBias),
 * a = -exp(A_log); S = e^g S; delta = beta (v - S^T k); S = S + k delta^T; y = S^T q.
 */
export const deltaScanOp = defineOp(
  'deltaScan',
  { ...OPERANDS, ...matrixFields('y'), stateOffset: address, scratch: address, threadBytes: address },
  {
    cost: (op, { weightBytes }) => ({
      weightBytes,
      macsPerRow: 4 * op.valueHeads * op.keySize * op.valueSize,
      stateBytes: op.valueHeads * op.valueSize * op.keySize * 4,
      bytesPerRow: (2 * op.keyHeads * op.keySize + 2 * op.valueHeads * op.valueSize) * 4,
      exponentialsPerRow: 3 * op.valueHeads,
    }),
    scratchBytes: (op, threads) => deltaScanScratchBytes(op.keySize) * threads,
  },
);

export interface DeltaOperands extends DeltaSizes {
  /** [T, keyHeads keySize | keyHeads keySize | valueHeads valueSize] */
  readonly qkv: Value;
  /** [T, valueHeads], before the sigmoid. */
  readonly b: Value;
  /** [T, valueHeads], before the bias and softplus. */
  readonly dt: Value;
  readonly dtBias: PlacedWeight;
  readonly a: PlacedWeight;
  /** Of the lengths of q and k. */
  readonly epsilon: number;
  readonly stateOffset: number;
}

/** Overwrites the values in `qkv`; returns y [T, valueHeads valueSize]. */
export function deltaScan(p: PlanBuilder, operands: DeltaOperands): Value {
  const { qkv, b, dt, dtBias, a, keyHeads, valueHeads, keySize, valueSize } = operands;
  const keys = keyHeads * keySize;
  const q = p.slice(qkv, 0, keys);
  const k = p.slice(qkv, keys, keys);
  const v = p.slice(qkv, 2 * keys, valueHeads * valueSize);
  const y = p.overwrite(v, v.columns, v.set);
  p.record(
    deltaScanOp,
    {
      set: qkv.set,
      reads: [qkv, b, dt],
      writes: [y],
      weightBytes: a.byteLength + dtBias.byteLength,
    },
    {
      segments: { step: 'segments' },
      q: addressOf(q),
      k: addressOf(k),
      v: addressOf(v),
      qkvStride: qkv.stride,
      ...matrix('b', b),
      ...matrix('dt', dt),
      dtBias: dtBias.address,
      a: a.address,
      keyHeads,
      valueHeads,
      keySize,
      valueSize,
      tiled: operands.tiled ? 1 : 0,
      epsilon: operands.epsilon,
      ...matrix('y', y),
      stateOffset: operands.stateOffset,
    },
  );
  return y;
}

/**
 * Gradients of deltaScan's operands. Segments begin with S = 0; states are computed again from the inputs.
 * Those of weights are added to: `dALog`, of log(-a), and `dDtBias`. A thread has `threadBytes` of scratch
 * (deltaScanBackwardScratchBytes of the longest segment).
 */
export const deltaScanBackwardOp = defineOp(
  'deltaScanBackward',
  {
    ...OPERANDS,
    ...matrixFields('dy'),
    dq: address,
    dk: address,
    dv: address,
    dqkvStride: integer,
    ...matrixFields('db'),
    ...matrixFields('ddt'),
    dALog: address,
    dDtBias: address,
    scratch: address,
    threadBytes: address,
  },
  {
    cost: (op) => ({
      macsPerRow: 16 * op.valueHeads * op.keySize * op.valueSize,
      bytesPerRow: (4 * op.keyHeads * op.keySize + 3 * op.valueHeads * op.valueSize) * 4,
      exponentialsPerRow: 3 * op.valueHeads,
    }),
    scratchBytes: (op, threads) => op.threadBytes * threads,
  },
);
