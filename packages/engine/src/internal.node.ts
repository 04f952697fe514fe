// What the project's own command line needs beyond the public exports: headers without weights, the recorded plan, the
// hub's cache. Unstable on purpose: any release may change or remove it. Applications use '@marimba/engine'.

export { readSpec } from './architecture/families/index.ts';
export type { Backend } from './backends/backend.ts';
export { codesByteLength } from './backends/wasm/packed/codes.ts';
export { packingRules } from './backends/wasm/packing-rules.ts';
export { parseJsonObject } from './formats/json.ts';
export { byteLengthOf, TENSOR_TYPE_NAMES } from './formats/tensor-types.ts';
export {
  type CachedModel,
  defaultCacheFolder,
  listCachedModels,
  removeCachedModel,
} from './hub/cache.node.ts';
export { type PulledModel, type PullOptions, pullModel } from './hub/download.node.ts';
export type { PullProgress } from './hub/progress.ts';
export { createBackend } from './load-model.ts';
export { readText, type TextSide } from './model/text-side.ts';
export { PAGE_TOKENS } from './plan/cache-layout.ts';
export { type PlacedWeight, type Plan, PlanBuilder } from './plan/plan.ts';
export { openSource } from './platform/open-source.node.ts';
export { forward, type PlacedWeights } from './runtime/forward.ts';
export { Runtime } from './runtime/runtime.ts';
export { type StateLayout, stateLayout } from './state/state-layout.ts';
export {
  chooseLayout,
  type FoundWeight,
  findWeights,
  matrixShape,
  neededWeights,
  resolveActivations,
  targetType,
} from './weights/weights.ts';
