// Every op in plain TypeScript with double accumulation: the truth that faster kernels are compared with.

import type { MemoryViews } from '../../memory/memory-views.ts';
import type { OpFields, OpKind } from '../../plan/ops.ts';
import * as attention from './kernels-attention.ts';
import * as attentionBackward from './kernels-backward-attention.ts';
import * as deltaBackward from './kernels-backward-delta.ts';
import * as denseBackward from './kernels-backward-dense.ts';
import * as expertsBackward from './kernels-backward-experts.ts';
import * as mambaBackward from './kernels-backward-mamba.ts';
import * as ssdBackward from './kernels-backward-ssd.ts';
import * as delta from './kernels-delta.ts';
import * as dense from './kernels-dense.ts';
import * as encoder from './kernels-encoder.ts';
import * as experts from './kernels-experts.ts';
import * as mamba from './kernels-mamba.ts';
import * as training from './kernels-training.ts';

/** Ops that exist only for packed weights, which this backend never has. */
type FastPathOnly = 'quantizeRows';

type KernelTable = {
  readonly [K in Exclude<OpKind, FastPathOnly>]: (m: MemoryViews, op: OpFields<K>) => void;
};

/** By kind: every kernel of a family's files, under its own name. */
export const referenceKernels: KernelTable = {
  ...attention,
  ...attentionBackward,
  ...delta,
  ...deltaBackward,
  ...dense,
  ...denseBackward,
  ...encoder,
  ...experts,
  ...expertsBackward,
  ...mamba,
  ...mambaBackward,
  ...ssdBackward,
  ...training,
};

type AnyKernel = (m: MemoryViews, op: Record<string, number>) => void;

const others = new Map<string, AnyKernel>();

/** Gives an op of one's own (registerOp) its kernel in this backend. */
export function registerReferenceKernel(kind: string, kernel: AnyKernel): void {
  others.set(kind, kernel);
}

export const referenceKernelOf = (kind: string): AnyKernel | undefined =>
  ((referenceKernels as Partial<Record<string, unknown>>)[kind] as AnyKernel | undefined) ?? others.get(kind);
