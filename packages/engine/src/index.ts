// @marimba/engine: runs hybrid language models in Node and in browsers. Start with `loadModel`. Public:
// changes follow semantic versioning.

export { type EncoderSpec, type LayerSpec, layerStrip, type ModelSpec } from './architecture/spec.ts';
export type { ActivationPrecision } from './backends/backend.ts';
export type { Embedding, EmbedInput, EmbedOptions, EmbedProgress } from './embed/embed.ts';
export type { Pooling } from './embed/pooling.ts';
export type { RankedDocument, RerankOptions } from './embed/rerank.ts';
export type { EmbeddingSettings } from './embed/settings.ts';
export {
  type ErrorCode,
  type ErrorDetails,
  FormatError,
  type FormatErrorCode,
  GrammarError,
  type GrammarErrorCode,
  HubError,
  type HubErrorCode,
  MarimbaError,
  ModelError,
  type ModelErrorCode,
  type Refusal,
  StateError,
  type StateErrorCode,
  UsageError,
  type UsageErrorCode,
} from './errors.ts';
export type {
  Checkpoint,
  GgufCheckpoint,
  HuggingFaceCheckpoint,
  JsonObject,
  JsonValue,
  TensorEntry,
  TensorType,
} from './formats/types.ts';
export type { Generation, TextStream } from './generate/generation.ts';
export type {
  DryOptions,
  FinishReason,
  GenerateEvent,
  GenerateOptions,
  GenerateResult,
  GenerateTimings,
  GenerateUsage,
  ReuseReport,
  SamplingOptions,
  TokenAlternative,
  XtcOptions,
} from './generate/types.ts';
export type {
  GrammarOutput,
  OutputIssue,
  OutputOptions,
  OutputValue,
  RegexOutput,
  SchemaOutput,
} from './grammar/output.ts';
export type { StandardSchema } from './grammar/standard-schema.ts';
export type { AttentionSpec } from './layers/attention.ts';
export type { DeltaNetSpec } from './layers/delta-net.ts';
export type { DenseSpec } from './layers/dense.ts';
export type { ExpertsSpec, SharedExpertSpec } from './layers/experts.ts';
export type { FeedForwardSpec, LayerKind, MixerSpec, PartSpec, SpecOf } from './layers/index.ts';
export type { MambaSpec } from './layers/mamba.ts';
export type { Mamba2Spec } from './layers/mamba2.ts';
export type { RopeScaling, RopeSpec } from './layers/rope.ts';
export type { ShortConvSpec } from './layers/short-conv.ts';
export { type LoadModelOptions, loadModel } from './load-model.ts';
export type { Chat, ChatOptions } from './model/chat.ts';
export type { Prompt } from './model/core.ts';
export type { LoadTimes, Model, ModelDescription, ModelMemory } from './model/model.ts';
export type {
  AbortOptions,
  Session,
  SessionMemory,
  StepRequest,
  StepResult,
} from './model/session.ts';
export type { Snapshot } from './model/snapshot.ts';
export type { SessionCheckpoint } from './model/timeline.ts';
export type { Activation } from './plan/activation.ts';
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
export type { LogitsWanted } from './runtime/pieces.ts';
export type { RestoreSource } from './state/restore-state.ts';
export type { FileHandleLike, SaveOptions, SaveTarget } from './state/save-state.ts';
export type { ChatContentPart, ChatMessage, ChatRole, ChatToolCall } from './tokenizer/chat-messages.ts';
export type { ChatTemplate, ChatTemplateOptions } from './tokenizer/chat-template.ts';
export type { Tokenizer } from './tokenizer/types.ts';
export { QUANTIZE_TYPES, type QuantizeType } from './weights/weights.ts';
