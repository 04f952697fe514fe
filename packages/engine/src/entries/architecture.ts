// @marimba/engine/architecture: what a checkpoint's headers say about its model: the spec, the family that
// wrote it, and its weights by role with the layout each would be loaded in. Reads no weights.
// For the workspace's own packages: any release may change it. Applications use '@marimba/engine'.

export { type ReadSpec, readSpec } from '../architecture/families/index.ts';
export { marimba } from '../architecture/families/marimba.ts';
export type { Family } from '../architecture/family.ts';
export { differsFrom } from '../architecture/gguf-writing.ts';
export { OWN_NAMES, type Role, withLayer } from '../architecture/roles.ts';
export {
  allOfKind,
  expertsPerToken,
  hasKind,
  mixerLetters,
  partsOf,
  UNSCALED,
} from '../architecture/spec.ts';
export { packingRules } from '../backends/wasm/packing-rules.ts';
export { type EmbeddingRules, readEmbeddingRules } from '../embed/settings.ts';
export { ggufForm, llamaCppLimits } from '../export/gguf-architecture.ts';
export { ggufContents, memoryTensor } from '../export/gguf-model.ts';
export type { TokenizerFiles } from '../export/gguf-tokenizer.ts';
export { ConfigReader } from '../formats/config-reader.ts';
export { arrange, arrangedShape, restore, sizeOf } from '../layers/arrange.ts';
export { plainAttention } from '../layers/attention.ts';
export { plainExperts } from '../layers/experts.ts';
export { layerOf, MIXER_WORDS } from '../layers/index.ts';
export { readText, type TextSide } from '../model/text-side.ts';
export { codesByteLength } from '../plan/codes.ts';
export { type MemoryPlan, planMemory } from '../weights/memory-plan.ts';
export { unplacedWeights } from '../weights/place.ts';
export { readValues, Scratch } from '../weights/read-values.ts';
export {
  chooseLayout,
  derivedVectors,
  type FoundWeight,
  fileBytes,
  fileType,
  findWeights,
  layoutOf,
  type NeededWeight,
  neededWeights,
  quantizeNote,
  resolveActivations,
  scaledRows,
  targetType,
} from '../weights/weights.ts';
