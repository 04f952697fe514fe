// @marimba/engine: runs hybrid language models in Node and in browsers. Start with `loadModel`. Public: changes follow
// semantic versioning.

export { type LayerSpec, layerStrip, type ModelSpec } from './architecture/spec.ts';
export type { ActivationPrecision } from './backends/backend.ts';
export {
  type ErrorCode,
  type ErrorDetails,
  FormatError,
  type FormatErrorCode,
  HubError,
  type HubErrorCode,
  MarimbaError,
  ModelError,
  type ModelErrorCode,
  StateError,
  type StateErrorCode,
  UsageError,
  type UsageErrorCode,
} from './errors.ts';
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
export type { AttentionSpec } from './layers/attention.ts';
export type { DenseSpec } from './layers/dense.ts';
export type { ExpertsSpec } from './layers/experts.ts';
export type { MambaSpec } from './layers/mamba.ts';
export { type LoadModelOptions, loadModel } from './load-model.ts';
export type { Model } from './model/model.ts';
export type { Prompt, ReuseReport, Session, Snapshot, StepRequest, StepResult } from './model/session.ts';
export type { CacheType } from './plan/cache-layout.ts';
export type { ModelSource } from './platform/source.ts';
export type {
  DownloadProgress,
  LoadProgress,
  PullProgress,
  ResolveProgress,
  Retry,
  StartProgress,
  WeightsProgress,
} from './progress.ts';
export type { LogitsWanted } from './runtime/runtime.ts';
export type { ChatMessage, ChatTemplate, ChatToolCall } from './tokenizer/chat-template.ts';
export type { Tokenizer } from './tokenizer/types.ts';
export { QUANTIZE_TYPES, type QuantizeType } from './weights/weights.ts';
