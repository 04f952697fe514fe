// @marimba/engine: runs hybrid language models in Node and in browsers. Start with `loadModel`.

export { FormatError, HubError, ModelError, StateError, UsageError } from './errors.ts';
export type {
  Checkpoint,
  GgufCheckpoint,
  HuggingFaceCheckpoint,
  TensorEntry,
  TensorType,
} from './formats/types.ts';
export { continueFrom } from './generate/generate.ts';
export type {
  FinishReason,
  GenerateEvent,
  GenerateOptions,
  GenerateResult,
  GenerateTimings,
  SamplingOptions,
  TokenAlternative,
} from './generate/types.ts';
export { type LoadModelOptions, loadModel, type ModelSource } from './load-model.ts';
export type { LoadProgress } from './model/load.ts';
export type { Model } from './model/model.ts';
export type { LogitsWanted } from './model/runtime.ts';
export {
  type AttentionSpec,
  type DenseSpec,
  type ExpertsSpec,
  type LayerSpec,
  layerStrip,
  type MambaSpec,
  type ModelSpec,
} from './model/spec.ts';
export { type ActivationPrecision, QUANTIZE_TYPES, type QuantizeType } from './model/weights.ts';
export type { CacheType } from './session/cache-layout.ts';
export type { Prompt, ReuseReport, Session, Snapshot, StepRequest, StepResult } from './session/session.ts';
export type { ChatMessage, ChatTemplate, ChatToolCall } from './tokenizer/chat-template.ts';
export type { Tokenizer } from './tokenizer/types.ts';
