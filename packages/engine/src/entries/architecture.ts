// @marimba/engine/architecture: what a checkpoint's headers say about its model: the spec, the family that wrote it, and
// its weights by role with the layout each would be loaded in. Reads no weights.
// For the workspace's own packages: any release may change it. Applications use '@marimba/engine'.

export { ConfigReader } from '../architecture/config-reader.ts';
export { hybrid } from '../architecture/families/hybrid.ts';
export { readSpec } from '../architecture/families/index.ts';
export type { Family } from '../architecture/family.ts';
export { GGUF_NAMES, type Role } from '../architecture/roles.ts';
export { ropeInverseFrequencies } from '../architecture/rope.ts';
export { codesByteLength } from '../backends/wasm/packed/codes.ts';
export { packingRules } from '../backends/wasm/packing-rules.ts';
export { readText, type TextSide } from '../model/text-side.ts';
export {
  chooseLayout,
  type FoundWeight,
  findWeights,
  matrixShape,
  type NeededWeight,
  neededWeights,
  resolveActivations,
  targetType,
} from '../weights/weights.ts';
