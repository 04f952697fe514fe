// Every op in plain TypeScript with double accumulation: the truth that faster kernels are compared with.

import type { MemoryViews } from '../../memory/memory-views.ts';
import type { OpFields, OpKind } from '../../plan/ops.ts';
import * as attention from './kernels-attention.ts';
import * as attentionBackward from './kernels-backward-attention.ts';
import * as denseBackward from './kernels-backward-dense.ts';
import * as expertsBackward from './kernels-backward-experts.ts';
import * as mambaBackward from './kernels-backward-mamba.ts';
import * as dense from './kernels-dense.ts';
import * as experts from './kernels-experts.ts';
import * as mamba from './kernels-mamba.ts';
import * as training from './kernels-training.ts';

/** Ops that exist only for packed weights, which this backend never has. */
type FastPathOnly = 'quantizeRows';

type KernelTable = {
  readonly [K in Exclude<OpKind, FastPathOnly>]: (m: MemoryViews, op: OpFields<K>) => void;
};

export const referenceKernels: KernelTable = {
  embed: dense.embed,
  rmsNorm: dense.rmsNorm,
  linear: dense.linear,
  causalConv: mamba.causalConv,
  selectiveScan: mamba.selectiveScan,
  rope: attention.rope,
  cacheStore: attention.cacheStore,
  attention: attention.attention,
  gatedActivation: dense.gatedActivation,
  add: dense.add,
  route: experts.route,
  expertLinear: dense.expertLinear,
  combineExperts: experts.combineExperts,
  gatherRows: dense.gatherRows,
  copy: denseBackward.copy,
  embedBackward: denseBackward.embedBackward,
  rmsNormBackward: denseBackward.rmsNormBackward,
  rmsNormWeightBackward: denseBackward.rmsNormWeightBackward,
  linearBackwardInput: denseBackward.linearBackwardInput,
  linearBackwardWeight: denseBackward.linearBackwardWeight,
  expertLinearBackwardInput: denseBackward.expertLinearBackwardInput,
  expertLinearBackwardWeight: denseBackward.expertLinearBackwardWeight,
  gatedActivationBackward: denseBackward.gatedActivationBackward,
  gatherRowsBackward: denseBackward.gatherRowsBackward,
  sumSlots: expertsBackward.sumSlots,
  combineExpertsBackward: expertsBackward.combineExpertsBackward,
  routeBackward: expertsBackward.routeBackward,
  causalConvBackward: mambaBackward.causalConvBackward,
  selectiveScanBackward: mambaBackward.selectiveScanBackward,
  scanReduce: mambaBackward.scanReduce,
  attentionBackward: attentionBackward.attentionBackward,
  crossEntropy: training.crossEntropy,
  decayFromLog: training.decayFromLog,
  clear: training.clear,
  sumSquares: training.sumSquares,
  clipGradient: training.clipGradient,
  adamW: training.adamW,
};

type AnyKernel = (m: MemoryViews, op: Record<string, number>) => void;

const others = new Map<string, AnyKernel>();

/** Gives an op of one's own (registerOp) its kernel in this backend. */
export function registerReferenceKernel(kind: string, kernel: AnyKernel): void {
  others.set(kind, kernel);
}

export const referenceKernelOf = (kind: string): AnyKernel | undefined =>
  ((referenceKernels as Partial<Record<string, unknown>>)[kind] as AnyKernel | undefined) ?? others.get(kind);
