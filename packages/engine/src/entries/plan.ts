// @marimba/engine/plan: how a model becomes work: the forward pass records ops over weights, buffers and carried state,
// and a backend runs them. Training adds its own ops to such a plan; forecasts sum up its costs.
// For the workspace's own packages: any release may change it. Applications use '@marimba/engine'.

export type { Backend, OpTimes, Program } from '../backends/backend.ts';
export { referenceKernels } from '../backends/reference/kernels.ts';
export {
  attentionBackwardScratchBytes,
  GEMM_SCRATCH_BYTES,
  scanBackwardScratchBytes,
} from '../backends/wasm/training-scratch.ts';
export { createBackend } from '../load-model.ts';
export { Arena } from '../memory/arena.ts';
export { floatsAt, type MemoryViews } from '../memory/memory-views.ts';
export { PAGE_TOKENS } from '../plan/cache-layout.ts';
export { encodePlan, placeBuffers } from '../plan/encode.ts';
export {
  decodeOp,
  OPTIMIZER_STATE,
  OPTIMIZER_STATE_BYTES,
  type OpFields,
  type OpKind,
  SCAN_GROUPS,
  SUM_CHUNK,
} from '../plan/ops.ts';
export {
  type OpCost,
  type Operand,
  type PlacedWeight,
  type Plan,
  type PlanBuffer,
  PlanBuilder,
  type PlanTraits,
  type RecordedOp,
  type RowSet,
} from '../plan/plan.ts';
export { FREE } from '../plan/recorded.ts';
export { SEGMENT, SEGMENT_WORDS, type StepLayout, stepLayout } from '../plan/step.ts';
export { forward, type PlacedWeights } from '../runtime/forward.ts';
export { Runtime } from '../runtime/runtime.ts';
export { type StateLayout, stateLayout } from '../state/state-layout.ts';
