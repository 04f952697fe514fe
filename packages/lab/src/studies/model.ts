// From a study's few words about a model to a configuration that the engine's marimba family reads, and its
// layer list.
import type { ModelSpec } from '@marimba/engine';
import { ConfigReader, marimba, neededWeights } from '@marimba/engine/architecture';
import { parsePattern } from './pattern.ts';

/** Sizes that all models of a study share unless one says otherwise. */
export interface ModelSizes {
  /** Layers. */
  readonly depth: number;
  /** Width of the residual stream. */
  readonly hidden: number;
  /** Query heads of attention layers. */
  readonly heads: number;
  /** Default: as many as heads. */
  readonly kvHeads?: number;
  /** Default: hidden / heads. */
  readonly headSize?: number;
  /** Inner size of the dense feed-forward and of each expert; 0: no feed-forward. */
  readonly feedForward: number;
  /** States per channel of Mamba and Mamba-2. Default 16. */
  readonly state?: number;
  /** Inner width of Mamba and Mamba-2, as a multiple of `hidden`. Default 2. */
  readonly expand?: number;
  /** Taps of the causal convolution in Mamba, Mamba-2 and gated DeltaNet. Default 4. */
  readonly convWidth?: number;
  /** Taps of a short convolution (LFM2), a mixer by itself. Default 3. */
  readonly shortConvWidth?: number;
  /** Positions that W layers see. Default 32. */
  readonly window?: number;
  /** Experts in layers with an `e`. Default 4. */
  readonly experts?: number;
  /** Experts that each token takes. Default 1. */
  readonly topK?: number;
  /** RMS norms on dt, B and C. Default true, as Jamba. */
  readonly innerNorms?: boolean;
  /** RoPE's base; null (default): no positions. */
  readonly rope?: number | null;
}

/** A model of a study: its layers, and sizes that differ from the study's. */
export interface StudyModel extends Partial<ModelSizes> {
  /** Unique in the study; tables and claims use it. */
  readonly name: string;
  /**
   * Mixers from first to last: letters (M Mamba, S Mamba-2, D gated DeltaNet, C short convolution, V moving
   * average, A attention, W windowed attention; `e` after one for experts; `MMMA*2` repeats), or words such as
   * "none", "all", "every 8, in the middle", "2 at the start", which say where attention stands among Mamba
   * layers, or with a letter before them among others: "S: every 8, in the middle".
   */
  readonly layers: string;
  /** Where this model stands on the axes that the report plots: { attention: '1:8', place: 'middle' }. */
  readonly axes?: Readonly<Record<string, string>>;
}

export type ModelConfig = Readonly<Record<string, string | number | boolean | null | readonly string[]>>;

/** The content of config.json. Throws UsageError for a pattern that cannot be read. */
export function modelConfig(
  model: StudyModel,
  sizes: ModelSizes,
  vocabularySize: number,
  contextLength: number,
): ModelConfig {
  const { name: _, layers, axes: __, ...changes } = model;
  const size = { ...sizes, ...changes };
  const choices = parsePattern(layers, size.depth);
  const mixers = new Set(choices.map(({ mixer }) => mixer));
  return {
    model_type: 'marimba',
    vocab_size: vocabularySize,
    hidden_size: size.hidden,
    intermediate_size: Math.max(1, size.feedForward),
    num_hidden_layers: size.depth,
    num_attention_heads: size.heads,
    num_key_value_heads: size.kvHeads ?? size.heads,
    ...(size.headSize === undefined ? {} : { head_dim: size.headSize }),
    layer_types: choices.map((c) => c.mixer),
    feed_forward_types: choices.map((c) =>
      size.feedForward === 0 ? 'none' : c.experts ? 'experts' : 'dense',
    ),
    sliding_window: size.window ?? 32,
    num_experts: size.experts ?? 4,
    num_experts_per_tok: size.topK ?? 1,
    mamba_d_state: size.state ?? 16,
    mamba_expand: size.expand ?? 2,
    mamba_d_conv: size.convWidth ?? 4,
    mamba_inner_norms: size.innerNorms ?? true,
    ...ownFields(mixers, size),
    rope_theta: size.rope ?? null,
    rms_norm_eps: 1e-6,
    tie_word_embeddings: true,
    max_position_embeddings: contextLength,
  };
}

/** Fields of mixers that most models lack: a cell's id depends on all that its configuration says. */
function ownFields(mixers: ReadonlySet<string>, size: ModelSizes): ModelConfig {
  const width = size.convWidth ?? 4;
  return {
    ...(mixers.has('mamba2')
      ? { mamba2_d_state: size.state ?? 16, mamba2_expand: size.expand ?? 2, mamba2_d_conv: width }
      : {}),
    ...(mixers.has('linear_attention') ? { linear_conv_kernel_dim: width } : {}),
    ...(mixers.has('conv') ? { conv_L_cache: size.shortConvWidth ?? 3 } : {}),
  };
}

export const specOf = (name: string, config: ModelConfig): ModelSpec =>
  marimba.fromHuggingFace(new ConfigReader(`study model ${name}`, (field) => config[field]));

export interface ParameterCount {
  readonly total: number;
  /** Those that one token goes through: of experts, only the chosen ones. */
  readonly active: number;
}

export function countParameters(spec: ModelSpec): ParameterCount {
  let total = 0;
  let active = 0;
  for (const { shape, experts } of neededWeights(spec)) {
    const size = shape.reduce((product, d) => product * d, 1);
    total += size;
    active += experts ? (size * experts.topK) / experts.count : size;
  }
  return { total, active };
}
