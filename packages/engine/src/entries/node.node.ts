// @marimba/engine/node: what needs Node's file system: checkpoints by path, the cache of downloaded models,
// quantising a model into a new GGUF file.
// For the workspace's own packages: any release may change it. Applications use '@marimba/engine'.

export { writeGguf } from '../export/write-gguf.node.ts';
export { openCheckpointPath } from '../formats/checkpoint.node.ts';
export {
  type CachedModel,
  defaultCacheFolder,
  listCachedModels,
  removeCachedModel,
} from '../hub/cache.node.ts';
export { type PulledModel, type PullOptions, pullModel } from '../hub/download.node.ts';
export { openSource } from '../platform/open-source.node.ts';
export { machineMemory } from '../platform/platform.node.ts';
export type { MachineMemory } from '../platform/types.ts';
export type { PullProgress } from '../progress.ts';
export { type KeepRule, parseFileType, parseKeepRule } from '../quantize/keep-rules.ts';
export {
  type QuantizeModelOptions,
  type QuantizeReport,
  quantizeModel,
} from '../quantize/quantize-model.node.ts';
export type { TensorDamage } from '../quantize/report.ts';
export { FILE_TYPES, type FileType } from '../weights/recipe.ts';
