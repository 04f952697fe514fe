// Which published family can hold a model: Hugging Face's Jamba, Mamba and Llama each describe their layers
// by a rule, and a layer list that follows none of them stays in this project's own form (model_type
// marimba), with the reason.
import type { AttentionSpec, LayerSpec, MambaSpec, ModelSpec } from '@marimba/engine';
import { allOfKind, differsFrom, hasKind, plainExperts } from '@marimba/engine/architecture';
import type { JsonObject } from '@marimba/engine/formats';

export interface PublishedForm {
  /** config.json. */
  readonly config: JsonObject;
  readonly architecture: string | null;
  /** Why no published family fits; empty when one does. */
  readonly reasons: readonly string[];
}

/** transformers' classes of model types whose configurations may come without. */
const ARCHITECTURES: ReadonlyMap<unknown, string> = new Map([
  ['jamba', 'JambaForCausalLM'],
  ['mamba', 'MambaForCausalLM'],
  ['llama', 'LlamaForCausalLM'],
  ['lfm2', 'Lfm2ForCausalLM'],
  ['lfm2_moe', 'Lfm2MoeForCausalLM'],
]);

/** `config` is the one that the model was made from: the answer when nothing else fits. */
export function publishedForm(spec: ModelSpec, config: JsonObject): PublishedForm {
  const [named = ARCHITECTURES.get(config.model_type)] = Array.isArray(config.architectures)
    ? config.architectures
    : [];
  const own = config.model_type === 'marimba' ? undefined : named;
  if (typeof own === 'string')
    return { config: withArchitecture(config, own), architecture: own, reasons: [] };
  const reasons: string[] = [];
  const unusual = unsaid(spec);
  if (unusual) return { config, architecture: null, reasons: [unusual] };
  for (const attempt of [asMamba, asLlama, asJamba]) {
    const result = attempt(spec);
    if (typeof result !== 'string') return result;
    reasons.push(result);
  }
  return { config, architecture: null, reasons };
}

const withArchitecture = (config: JsonObject, architecture: string): JsonObject => ({
  ...config,
  architectures: [architecture],
  torch_dtype: 'float32',
});

const common = (spec: ModelSpec): JsonObject => ({
  vocab_size: spec.vocabularySize,
  hidden_size: spec.hiddenSize,
  num_hidden_layers: spec.layers.length,
  tie_word_embeddings: spec.tiedHead,
  bos_token_id: spec.beginToken,
  eos_token_id: spec.endTokens[0] ?? null,
  pad_token_id: null,
  hidden_act: 'silu',
  torch_dtype: 'float32',
});

const same = (values: readonly unknown[]): boolean =>
  values.every((value) => JSON.stringify(value) === JSON.stringify(values[0]));
const oneMixerEach = (spec: ModelSpec) => spec.layers.every(({ mixers }) => mixers.length === 1);

function asMamba(spec: ModelSpec): PublishedForm | string {
  const [mixer, ...rest] = allOfKind(spec.layers, 'mamba');
  if (!mixer || rest.length + 1 < spec.layers.length || !oneMixerEach(spec))
    return 'Mamba: it has layers other than Mamba';
  if (spec.layers.some((l) => l.feedForward)) return 'Mamba: it has feed-forwards';
  if (!same([mixer, ...rest]) || mixer.innerNorms !== 'none') return 'Mamba: it has norms inside Mamba';
  return {
    architecture: 'MambaForCausalLM',
    reasons: [],
    config: {
      ...common(spec),
      architectures: ['MambaForCausalLM'],
      model_type: 'mamba',
      intermediate_size: mixer.innerSize,
      state_size: mixer.stateSize,
      conv_kernel: mixer.convWidth,
      expand: mixer.innerSize / spec.hiddenSize,
      time_step_rank: mixer.dtRank,
      use_conv_bias: mixer.convBias,
      use_bias: mixer.projectionBias,
      layer_norm_epsilon: spec.normEpsilon,
      residual_in_fp32: true,
    },
  };
}

/** What none of the three has a field for. */
function unsaid({ embeddingScale, residualScale, logitScale, normOffset, layers }: ModelSpec): string | null {
  if (embeddingScale !== 1 || residualScale !== 1 || logitScale !== 1)
    return 'its embeddings, residual or logits are scaled';
  if (normOffset !== 0) return 'its norms are zero-centred';
  return layers.some(({ norms = 'before' }) => norms !== 'before')
    ? 'it has norms on results of layers'
    : null;
}

/** What both transformer rules need of attention. */
function plainAttention(spec: ModelSpec, mixers: readonly AttentionSpec[]): string | null {
  if (!same(mixers)) return 'its attention layers differ';
  const [mixer] = mixers;
  if (!mixer) return null;
  if (mixer.window !== null) return 'it has a window';
  if (mixer.scale !== 1 / Math.sqrt(mixer.headSize)) return 'its attention has a scale of its own';
  if (mixer.headNorms !== 'none' || mixer.inputBias || mixer.outputBias)
    return 'its attention has norms or biases';
  return mixer.headSize * mixer.heads === spec.hiddenSize
    ? null
    : 'its heads do not add up to the hidden size';
}

function asLlama(spec: ModelSpec): PublishedForm | string {
  const mixers = allOfKind(spec.layers, 'attention');
  const [mixer] = mixers;
  const forwards = spec.layers.map((l) => l.feedForward);
  const [forward] = forwards;
  if (!mixer || mixers.length < spec.layers.length || !oneMixerEach(spec))
    return 'Llama: it has layers other than attention';
  const problem = plainAttention(spec, mixers);
  if (problem) return `Llama: ${problem}`;
  if (!mixer.rope || mixer.rope.scaling || mixer.rope.rotary !== mixer.headSize)
    return 'Llama: it has no rotary positions, or scaled ones';
  if (
    !same(forwards) ||
    forward?.kind !== 'dense' ||
    forward.bias ||
    !forward.gated ||
    forward.activation !== 'silu'
  )
    return 'Llama: its feed-forwards are not dense SwiGLU';
  return {
    architecture: 'LlamaForCausalLM',
    reasons: [],
    config: {
      ...common(spec),
      architectures: ['LlamaForCausalLM'],
      model_type: 'llama',
      intermediate_size: forward.size,
      num_attention_heads: mixer.heads,
      num_key_value_heads: mixer.kvHeads,
      rms_norm_eps: spec.normEpsilon,
      rope_theta: mixer.rope.theta,
      max_position_embeddings: spec.contextLength,
      attention_bias: false,
      mlp_bias: false,
    },
  };
}

/** Jamba's layers have one mixer each, Mamba or attention. */
function otherMixers(spec: ModelSpec): string | null {
  if (!oneMixerEach(spec)) return 'it has layers without a mixer, or with several';
  const other = spec.layers.some((layer) => !hasKind(layer, 'mamba') && !hasKind(layer, 'attention'));
  return other ? 'it has mixers other than Mamba and attention' : null;
}

function asJamba(spec: ModelSpec): PublishedForm | string {
  const { layers } = spec;
  const attention = allOfKind(spec.layers, 'attention');
  const mambas = allOfKind(spec.layers, 'mamba');
  const problem = otherMixers(spec) ?? plainAttention(spec, attention) ?? mambaProblem(spec, mambas);
  if (problem) return `Jamba: ${problem}`;
  if (attention.some((mixer) => mixer.rope)) return 'Jamba: it has rotary positions';
  const attends = period(layers, (layer) => hasKind(layer, 'attention'));
  if (!attends) return 'Jamba: its attention layers do not come at one period';
  const routed = period(layers, (layer) => hasKind(layer, 'experts'));
  if (!routed) return 'Jamba: its routed layers do not come at one period';
  const forwards = layers.map((l) => l.feedForward);
  const sizes = new Set(forwards.map((f) => f?.size));
  if (sizes.size !== 1 || sizes.has(undefined))
    return 'Jamba: its feed-forwards are missing or of different sizes';
  const experts = allOfKind(layers, 'experts');
  if (
    !same(experts) ||
    experts.some((e) => differsFrom(e, plainExperts(e.size, e.count, e.topK))) ||
    forwards.some((f) => f?.activation !== 'silu' || !f.gated || (f.kind === 'dense' && f.bias))
  )
    return 'Jamba: its feed-forwards differ';
  const [mixer] = attention;
  const [mamba] = mambas;
  const heads = mixer?.heads ?? 1;
  return {
    architecture: 'JambaForCausalLM',
    reasons: [],
    config: {
      ...common(spec),
      architectures: ['JambaForCausalLM'],
      model_type: 'jamba',
      intermediate_size: forwards[0]?.size ?? 0,
      attn_layer_period: attends.period,
      attn_layer_offset: attends.offset,
      num_attention_heads: heads,
      num_key_value_heads: mixer?.kvHeads ?? heads,
      expert_layer_period: routed.period,
      expert_layer_offset: routed.offset,
      num_experts: experts[0]?.count ?? 1,
      num_experts_per_tok: experts[0]?.topK ?? 1,
      ...mambaFields(spec, mamba),
      rms_norm_eps: spec.normEpsilon,
      max_position_embeddings: spec.contextLength,
      use_mamba_kernels: false,
      sliding_window: null,
      num_logits_to_keep: 1,
    },
  };
}

function mambaProblem(spec: ModelSpec, mambas: readonly MambaSpec[]): string | null {
  if (!same(mambas)) return 'its Mamba layers differ';
  const [mamba] = mambas;
  if (!mamba) return null;
  if (mamba.innerNorms !== 'weighted') return 'its Mamba layers have no norms inside';
  return Number.isInteger(mamba.innerSize / spec.hiddenSize)
    ? null
    : 'its Mamba layers are no whole multiple of the hidden size';
}

const mambaFields = (spec: ModelSpec, mamba: MambaSpec | undefined): JsonObject =>
  mamba
    ? {
        mamba_d_state: mamba.stateSize,
        mamba_d_conv: mamba.convWidth,
        mamba_expand: mamba.innerSize / spec.hiddenSize,
        mamba_dt_rank: mamba.dtRank,
        mamba_conv_bias: mamba.convBias,
        mamba_proj_bias: mamba.projectionBias,
      }
    : {};

/** The rule i % period = offset that picks the same layers; one beyond the last layer picks none. */
function period(
  layers: readonly LayerSpec[],
  picks: (layer: LayerSpec) => boolean,
): { period: number; offset: number } | null {
  const picked = layers.map(picks);
  const offset = picked.indexOf(true);
  if (offset < 0) return { period: layers.length + 1, offset: layers.length };
  for (let size = offset + 1; size <= layers.length; size++)
    if (picked.every((p, i) => p === (i % size === offset))) return { period: size, offset };
  return null;
}
