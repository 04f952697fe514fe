// @marimba/engine/plan: how a model becomes work: the forward pass records ops over weights, buffers and
// carried state, and a backend runs them. Training adds its own ops to such a plan; forecasts sum up its
// costs.
// For the workspace's own packages: any release may change it. Applications use '@marimba/engine'.

export type { Backend, OpTimes, Program } from '../backends/backend.ts';
export { referenceKernelOf, registerReferenceKernel } from '../backends/reference/kernels.ts';
export { createBackend } from '../load-model.ts';
export { Arena } from '../memory/arena.ts';
export { floatsAt, type MemoryViews } from '../memory/memory-views.ts';
export { PAGE_TOKENS } from '../plan/cache-layout.ts';
export { encodeOps, placeBuffers } from '../plan/encode.ts';
export {
  address,
  defineOp,
  type Facts,
  float,
  integer,
  matrixFields,
  type Op,
  type OpCost,
  ZERO_COST,
} from '../plan/ops/op.ts';
export {
  attentionBackwardScratchBytes,
  deltaScanBackwardScratchBytes,
  scanBackwardScratchBytes,
  ssdBackwardScratchBytes,
} from '../plan/ops/scratch.ts';
export { OPTIMIZER_STATE, OPTIMIZER_STATE_BYTES, SCAN_GROUPS, SUM_CHUNK } from '../plan/ops/training.ts';
export { decodeOp, type OpFields, type OpKind, type OpOf, opOf, registerOp } from '../plan/ops.ts';
export {
  matrix,
  type Operand,
  type OperandsOf,
  type PlacedWeight,
  type Plan,
  type PlanBuffer,
  PlanBuilder,
  type PlanTraits,
  type RecordedOp,
  type RowSet,
  recorded,
} from '../plan/plan.ts';
export { SEGMENT, SEGMENT_WORDS, type StepLayout, stepLayout } from '../plan/step.ts';
export { forward, type PlacedWeights } from '../runtime/forward.ts';
export { Runtime } from '../runtime/runtime.ts';
export { type StateLayout, stateBytesAt, stateLayout } from '../state/state-layout.ts';
