// LFM2 and LFM2.5 (Liquid AI 2025: arXiv 2511.23404): gated short convolutions, with attention in some layers (RoPE,
// norms on heads), and after each a gated feed-forward or, in the MoE models from a certain layer on, experts
// chosen by sigmoids and a bias. Released files spell several fields in two ways. The norm after the last layer
// is called `embedding_norm`, in GGUF `token_embd_norm`.
import type { ConfigReader } from '../../formats/config-reader.ts';
import { type TypedMetadataValue, u32 } from '../../formats/gguf-values.ts';
import { type AttentionSpec, plainAttention, windowFromGguf } from '../../layers/attention.ts';
import type { DenseSpec } from '../../layers/dense.ts';
import { type ExpertsSpec, plainExperts } from '../../layers/experts.ts';
import type { FeedForwardSpec } from '../../layers/index.ts';
import type { GgufLayer } from '../../layers/layer.ts';
import type { RopeSpec } from '../../layers/rope.ts';
import { type ShortConvSpec, shortConvFromGguf } from '../../layers/short-conv.ts';
import type { Family, TensorShapes } from '../family.ts';
import { differsFrom, layerMisfit, type Misfit, modelMisfit, uneven } from '../gguf-writing.ts';
import { GGUF_NAMES, type TensorNames } from '../roles.ts';
import { allOfKind, type LayerSpec, type ModelSpec, UNSCALED } from '../spec.ts';
import { ggufCommon, ggufLayer } from './gguf.ts';
import { huggingFaceCommon, readHeads, readLayerTypes, readRope, ropeParameters } from './huggingface.ts';

const dense = (size: number): DenseSpec => ({
  kind: 'dense',
  gated: true,
  size,
  activation: 'silu',
  bias: false,
});

/** The weights of the chosen are divided by their sum + 1e-6 (transformers' Lfm2MoeSparseMoeBlock). */
const routed = (size: number, count: number, topK: number): ExpertsSpec => ({
  ...plainExperts(size, count, topK),
  score: 'sigmoid',
  choiceBias: true,
  renormalize: 1e-6,
});

/** llama.cpp's number of the sigmoid as a router's score (`expert_gating_func`). */
const SIGMOID = 2;

const attention = (heads: number, kvHeads: number, headSize: number, rope: RopeSpec): AttentionSpec => ({
  ...plainAttention(heads, kvHeads, headSize),
  rope,
  headNorms: 'perHead',
});

const wholeHeads = (theta: number, headSize: number): RopeSpec => ({
  theta,
  rotary: headSize,
  scaling: null,
});

function fromHuggingFace(c: ConfigReader): ModelSpec {
  const name = c.text('model_type', ['lfm2', 'lfm2_moe']);
  c.refuse({
    block_use_swiglu: [true],
    use_pos_enc: [true],
    hidden_act: ['silu'],
    sliding_window: [],
    mlp_bias: [false],
    attention_bias: [false],
  });
  const tied = c.has('tie_embedding') ? { tiedHead: c.flag('tie_embedding', true) } : {};
  const common = huggingFaceCommon(c, { tiedHead: true, contextLength: 128_000 });
  const mixers = { conv: shortConv(c, common.hiddenSize), full_attention: readAttention(c) };
  const feedForward = name === 'lfm2' ? () => dense(feedForwardSize(c)) : expertsAfterDense(c);
  return {
    family: 'lfm2',
    name,
    ...UNSCALED,
    normEpsilon: c.number(c.has('norm_eps') ? 'norm_eps' : 'block_norm_eps', 0, 1, 1e-5),
    ...common,
    ...tied,
    layers: layerTypes(c).map((type, i) => ({ mixers: [mixers[type]], feedForward: feedForward(i) })),
  };
}

const shortConv = (c: ConfigReader, hiddenSize: number): ShortConvSpec => ({
  kind: 'shortConv',
  size: hiddenSize,
  width: c.size('conv_L_cache', 3, 64),
  bias: c.flag('conv_bias', false),
});

function readAttention(c: ConfigReader): AttentionSpec {
  const { heads, kvHeads, headSize } = readHeads(c, { kvHeads: 8 });
  ropeParameters(c)?.refuse({ partial_rotary_factor: [1] });
  const rope = readRope(c, headSize, c.has('theta') ? c.number('theta', 1, 1e12) : 1_000_000);
  return attention(heads, kvHeads, headSize, rope);
}

/** `layer_types`, or the indices of the attention layers: all of them when neither is given. */
function layerTypes(c: ConfigReader): ('conv' | 'full_attention')[] {
  const count = c.size('num_hidden_layers', undefined, 4096);
  const types = readLayerTypes(c, count, ['conv', 'full_attention']);
  if (types) return types;
  const layers = Array.from({ length: count }, (_, i) => i);
  const full = c.raw('full_attn_idxs') ?? layers;
  if (!Array.isArray(full) || full.some((i: unknown) => !layers.includes(i as number)))
    c.fail('full_attn_idxs', `a list of layers below ${count}`, full);
  return layers.map((i) => (full.includes(i) ? 'full_attention' : 'conv'));
}

/** The size that the file names is adjusted unless it says otherwise, as in Llama's reference code. */
function feedForwardSize(c: ConfigReader): number {
  const named = c.size(c.has('block_ff_dim') ? 'block_ff_dim' : 'intermediate_size');
  if (!c.flag('block_auto_adjust_ff_dim', true)) return named;
  const size = Math.floor((2 * named) / 3);
  // With null there is no rounding either (transformers' Lfm2MLP).
  if (c.raw('block_ffn_dim_multiplier') === null) return size;
  const factor = c.number('block_ffn_dim_multiplier', 1e-3, 1e3, 1);
  const multiple = c.size('block_multiple_of', 256);
  return Math.ceil(Math.floor(factor * size) / multiple) * multiple;
}

/** The MoE models: dense in the first layers (of a size that is not adjusted), then experts. */
function expertsAfterDense(c: ConfigReader): (layer: number) => FeedForwardSpec {
  const first = c.integer('num_dense_layers', 0, 4096, 2);
  const count = c.size('num_experts', 32, 4096);
  const topK = c.size('num_experts_per_tok', Math.min(4, count), count);
  const plain = routed(c.size('moe_intermediate_size', 1792), count, topK);
  const experts: ExpertsSpec = {
    ...plain,
    choiceBias: c.flag('use_expert_bias', true),
    renormalize: c.flag('norm_topk_prob', true) ? plain.renormalize : null,
    weightScale: c.number('routed_scaling_factor', 1e-6, 1e6, 1),
  };
  const size = c.size('intermediate_size');
  return (layer) => (layer < first ? dense(size) : experts);
}

function fromGguf(c: ConfigReader, arch: string, shapeOf: TensorShapes): ModelSpec {
  const embedder = 'Embedding models (LFM2-ColBERT) are not supported.';
  if (c.raw(`${arch}.attention.causal`) === false)
    c.fail(`${arch}.attention.causal`, 'true', false, embedder);
  if (shapeOf('dense_2.weight')) c.fail('dense_2.weight', 'no such tensor', 'one', embedder);
  const count = c.size(`${arch}.block_count`, undefined, 4096);
  const hiddenSize = c.size(`${arch}.embedding_length`);
  const heads = c.sharedSize(`${arch}.attention.head_count`, count);
  const headSize = c.size(`${arch}.attention.key_length`, Math.floor(hiddenSize / heads), 4096);
  if (headSize % 2) c.fail(`${arch}.attention.key_length`, 'an even number (RoPE rotates halves)', headSize);
  const rope = wholeHeads(c.number(`${arch}.rope.freq_base`, 1, 1e12, 1_000_000), headSize);
  c.text(`${arch}.rope.scaling.type`, ['none'], 'none');
  const kvHeads = c.perLayer(`${arch}.attention.head_count_kv`, count, 0, heads); // 0: a convolution
  const window = windowFromGguf(c, arch);
  const layers = kvHeads.map((kv, i): LayerSpec => {
    if (kv > 0 && heads % kv)
      c.fail(`${arch}.attention.head_count_kv`, `divisors of head_count ${heads}, or 0`, kv);
    const layer = ggufLayer(c, arch, shapeOf, i);
    const mixer = kv > 0 ? { ...attention(heads, kv, headSize, rope), window } : shortConvFromGguf(layer);
    return { mixers: [mixer], feedForward: feedForwardFromGguf(layer) };
  });
  return {
    family: 'lfm2',
    name: arch,
    hiddenSize,
    ...UNSCALED,
    normEpsilon: c.number(`${arch}.attention.layer_norm_rms_epsilon`, 0, 1),
    layers,
    ...ggufCommon(c, arch, shapeOf),
  };
}

/** Files say neither the scale of the experts' weights nor whether they sum to 1: they mean 1, and that they do. */
function feedForwardFromGguf({ config: c, architecture: arch, shapeOf }: GgufLayer): FeedForwardSpec {
  if (shapeOf('ffn_gate_inp.weight')) {
    const gating = `${arch}.expert_gating_func`;
    if (c.integer(gating, 0, 16) !== SIGMOID) c.fail(gating, `${SIGMOID} (sigmoid)`, c.raw(gating));
    const count = c.size(`${arch}.expert_count`, undefined, 4096);
    const topK = c.size(`${arch}.expert_used_count`, undefined, count);
    return routed(c.size(`${arch}.expert_feed_forward_length`), count, topK);
  }
  // Some files name another size than their tensors have (those of ollama's converter).
  const size = shapeOf('ffn_gate.weight')?.[0];
  return dense(size ?? c.size(`${arch}.feed_forward_length`));
}

function misfit(spec: ModelSpec, hasExperts: boolean): Misfit {
  const { layers, hiddenSize } = spec;
  const convolutions = allOfKind(layers, 'shortConv');
  const attentions = allOfKind(layers, 'attention');
  const experts = allOfKind(layers, 'experts');
  const denseLayers = layers.findIndex(({ feedForward }) => feedForward?.kind === 'experts');
  return (
    modelMisfit(spec) ??
    layerMisfit(spec, (layer) => mixerMisfit(layer, hiddenSize) ?? forwardMisfit(layer, hasExperts)) ??
    (convolutions.length ? null : 'no short convolution') ??
    (attentions.length ? null : 'no attention') ??
    (experts.length || !hasExperts ? null : 'no experts') ??
    (allOfKind(layers.slice(Math.max(0, denseLayers)), 'dense').length && hasExperts
      ? 'a dense layer after one with experts'
      : null) ??
    uneven(convolutions, 'convolutions') ??
    uneven(
      attentions.map((one) => ({ ...one, kvHeads: 0 })),
      'kinds of attention',
    ) ??
    uneven(allOfKind(layers, 'dense'), 'feed-forward sizes') ??
    uneven(experts, 'experts')
  );
}

function mixerMisfit({ mixers }: LayerSpec, hiddenSize: number): Misfit {
  const [mixer, ...more] = mixers;
  if (!mixer || more.length) return `${mixers.length} mixers`;
  if (mixer.kind === 'shortConv')
    return differsFrom(mixer, { kind: 'shortConv', size: hiddenSize, bias: false }, ['width']);
  if (mixer.kind !== 'attention' || !mixer.rope) return 'other than short convolutions and rotary attention';
  const { heads, kvHeads, rope } = mixer;
  const headSize = hiddenSize / heads;
  return differsFrom(mixer, attention(heads, kvHeads, headSize, wholeHeads(rope.theta, headSize)), [
    'window',
  ]);
}

function forwardMisfit({ feedForward }: LayerSpec, hasExperts: boolean): Misfit {
  if (!feedForward) return 'no feed-forward';
  if (feedForward.kind === 'dense') return differsFrom(feedForward, dense(feedForward.size));
  if (!hasExperts) return 'experts';
  const { size, count, topK } = feedForward;
  return differsFrom(feedForward, routed(size, count, topK));
}

function expertKeys({ layers }: ModelSpec): Record<string, TypedMetadataValue> {
  const [experts] = allOfKind(layers, 'experts');
  const denseSizes = allOfKind(layers, 'dense').map(({ size }) => size);
  const size = experts?.size ?? 0;
  return {
    feed_forward_length: u32(denseSizes[0] ?? size),
    expert_feed_forward_length: u32(size),
    leading_dense_block_count: u32(denseSizes.length),
    expert_gating_func: u32(SIGMOID),
  };
}

const LAYER = 'model.layers.N.';

const GGUF: TensorNames = { ...GGUF_NAMES, finalNorm: ['token_embd_norm.weight'] };

export const lfm2: Family = {
  name: 'lfm2',
  huggingFaceTypes: ['lfm2', 'lfm2_moe'],
  fromHuggingFace,
  fromGguf,
  gguf: [
    {
      architecture: 'lfm2',
      names: GGUF,
      write: {
        mixers: ['shortConv', 'attention'],
        misfit: (spec) => misfit(spec, false),
        perLayer: ['attention.head_count_kv'],
      },
    },
    {
      architecture: 'lfm2moe',
      names: GGUF,
      write: {
        mixers: ['shortConv', 'attention'],
        misfit: (spec) => misfit(spec, true),
        perLayer: ['attention.head_count_kv', 'feed_forward_length'],
        keys: expertKeys,
      },
    },
  ],
  huggingFaceNames: {
    embedding: ['model.embed_tokens.weight'],
    finalNorm: ['model.embedding_norm.weight'],
    head: ['lm_head.weight'],
    inputNorm: [`${LAYER}operator_norm.weight`],
    feedForwardNorm: [`${LAYER}ffn_norm.weight`],
    shortConvIn: [`${LAYER}conv.in_proj.weight`],
    shortConvInBias: [`${LAYER}conv.in_proj.bias`],
    shortConvWeight: [`${LAYER}conv.conv.weight`],
    shortConvBias: [`${LAYER}conv.conv.bias`],
    shortConvOut: [`${LAYER}conv.out_proj.weight`],
    shortConvOutBias: [`${LAYER}conv.out_proj.bias`],
    q: [`${LAYER}self_attn.q_proj.weight`],
    k: [`${LAYER}self_attn.k_proj.weight`],
    v: [`${LAYER}self_attn.v_proj.weight`],
    o: [`${LAYER}self_attn.out_proj.weight`],
    qNorm: [`${LAYER}self_attn.q_layernorm.weight`],
    kNorm: [`${LAYER}self_attn.k_layernorm.weight`],
    gate: [`${LAYER}feed_forward.w1.weight`],
    up: [`${LAYER}feed_forward.w3.weight`],
    down: [`${LAYER}feed_forward.w2.weight`],
    router: [`${LAYER}feed_forward.gate.weight`],
    choiceBias: [`${LAYER}feed_forward.expert_bias`],
    expertGate: [`${LAYER}feed_forward.experts.E.w1.weight`],
    expertUp: [`${LAYER}feed_forward.experts.E.w3.weight`],
    expertDown: [`${LAYER}feed_forward.experts.E.w2.weight`],
  },
};
