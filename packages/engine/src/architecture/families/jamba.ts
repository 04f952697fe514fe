// Jamba (Lieber et al. 2024; AI21's Jamba 1.5, Mini, Reasoning 3B, Jamba2 3B): Mamba-1 layers with an
// attention layer every `attn_layer_period`, experts every `expert_layer_period`, no positions. Field names
// are those of its config.json.
import type { ConfigReader } from '../../formats/config-reader.ts';
import { u32 } from '../../formats/gguf-values.ts';
import { plainAttention } from '../../layers/attention.ts';
import { denseFromGguf } from '../../layers/dense.ts';
import { expertsFromGguf, plainExperts } from '../../layers/experts.ts';
import { layerOf } from '../../layers/index.ts';
import { jambaSizes, mambaFromGguf } from '../../layers/mamba.ts';
import type { Family, TensorShapes } from '../family.ts';
import { differsFrom, layerMisfit, type Misfit, mambaLimits, modelMisfit, uneven } from '../gguf-writing.ts';
import { GGUF_NAMES, OWN_NAMES } from '../roles.ts';
import { allOfKind, type LayerSpec, type ModelSpec, UNSCALED } from '../spec.ts';
import { ggufCommon, ggufLayer } from './gguf.ts';
import { huggingFaceCommon, readSilu } from './huggingface.ts';

function fromHuggingFace(c: ConfigReader): ModelSpec {
  const hiddenSize = c.size('hidden_size');
  const heads = c.size('num_attention_heads');
  if (hiddenSize % heads) c.fail('num_attention_heads', `a divisor of hidden_size ${hiddenSize}`, heads);
  const kvHeads = c.size('num_key_value_heads', heads);
  if (heads % kvHeads) c.fail('num_key_value_heads', `a divisor of num_attention_heads ${heads}`, kvHeads);
  const size = c.size('intermediate_size');
  const experts = c.size('num_experts', 16, 4096);
  const topK = c.size('num_experts_per_tok', 2, 4096);
  if (experts > 1 && topK > experts) c.fail('num_experts_per_tok', `at most num_experts ${experts}`, topK);
  const attends = {
    period: c.size('attn_layer_period', 8),
    offset: c.integer('attn_layer_offset', 0, 4096, 4),
  };
  const routed = {
    period: c.size('expert_layer_period', 2),
    offset: c.integer('expert_layer_offset', 0, 4096, 1),
  };
  const activation = readSilu(c);
  const attention = plainAttention(heads, kvHeads, hiddenSize / heads);
  const mamba = { ...jambaSizes(c), innerNorms: 'weighted' } as const;
  const layers = Array.from(
    { length: c.size('num_hidden_layers', undefined, 4096) },
    (_, i): LayerSpec => ({
      mixers: [i % attends.period === attends.offset ? attention : mamba],
      feedForward:
        experts > 1 && i % routed.period === routed.offset
          ? { ...plainExperts(size, experts, topK), activation }
          : { kind: 'dense', size, gated: true, activation, bias: false },
    }),
  );
  return {
    family: 'jamba',
    name: 'jamba',
    normEpsilon: c.number('rms_norm_eps', 0, 1, 1e-6),
    layers,
    ...UNSCALED,
    ...huggingFaceCommon(c, { tiedHead: false, contextLength: 262_144 }),
  };
}

function fromGguf(c: ConfigReader, arch: string, shapeOf: TensorShapes): ModelSpec {
  const count = c.size(`${arch}.block_count`, undefined, 4096);
  const hiddenSize = c.size(`${arch}.embedding_length`);
  const heads = c.sharedSize(`${arch}.attention.head_count`, count);
  if (hiddenSize % heads)
    c.fail(`${arch}.attention.head_count`, `a divisor of embedding_length ${hiddenSize}`, heads);
  const kvHeads = c.perLayer(`${arch}.attention.head_count_kv`, count, 0, heads); // 0: a Mamba layer
  const normEpsilon = c.number(`${arch}.attention.layer_norm_rms_epsilon`, 0, 1);
  const layers = kvHeads.map((kv, i): LayerSpec => {
    if (kv > 0 && heads % kv)
      c.fail(`${arch}.attention.head_count_kv`, `divisors of head_count ${heads}, or 0`, kv);
    const layer = ggufLayer(c, arch, shapeOf, i);
    const mixer =
      kv > 0
        ? plainAttention(heads, kv, hiddenSize / heads)
        : ({ ...mambaFromGguf(layer, normEpsilon), innerNorms: 'weighted' } as const);
    const routed = layer.shapeOf('ffn_gate_inp.weight');
    return { mixers: [mixer], feedForward: routed ? expertsFromGguf(layer) : denseFromGguf(layer) };
  });
  return {
    family: 'jamba',
    name: 'jamba',
    hiddenSize,
    normEpsilon,
    layers,
    ...UNSCALED,
    ...ggufCommon(c, arch, shapeOf),
  };
}

function misfit(spec: ModelSpec): Misfit {
  const { layers, hiddenSize } = spec;
  const attention = allOfKind(layers, 'attention');
  const mamba = allOfKind(layers, 'mamba');
  const forwards = layers.map(({ feedForward }) => feedForward);
  const experts = allOfKind(layers, 'experts').map(({ count, topK }) => [count, topK]);
  return (
    modelMisfit(spec) ??
    layerMisfit(spec, (layer) => mixerMisfit(layer, hiddenSize) ?? forwardMisfit(layer)) ??
    (attention.length ? null : 'no attention') ??
    (mamba.length ? null : 'attention without positions in every layer') ??
    uneven(mamba, 'Mamba sizes') ??
    uneven(
      attention.map(({ heads }) => heads),
      'numbers of heads',
    ) ??
    uneven(
      forwards.map((forward) => forward?.size),
      'feed-forward sizes',
    ) ??
    uneven(experts, 'numbers of experts')
  );
}

function mixerMisfit({ mixers }: LayerSpec, hiddenSize: number): Misfit {
  const [mixer, ...more] = mixers;
  if (!mixer || more.length) return `${mixers.length} mixers`;
  if (mixer.kind === 'attention')
    return differsFrom(mixer, plainAttention(mixer.heads, mixer.kvHeads, hiddenSize / mixer.heads));
  if (mixer.kind !== 'mamba') return layerOf(mixer).title(mixer);
  return mixer.innerNorms === 'weighted' ? null : 'Mamba without weighted inner norms';
}

function forwardMisfit({ feedForward }: LayerSpec): Misfit {
  if (!feedForward) return 'no feed-forward';
  const { size } = feedForward;
  if (feedForward.kind === 'dense')
    return differsFrom(feedForward, { kind: 'dense', size, gated: true, activation: 'silu', bias: false });
  return differsFrom(feedForward, plainExperts(size, feedForward.count, feedForward.topK));
}

const FEED_FORWARD = ['model.layers.N.feed_forward.', 'model.layers.N.moe.'];
const both = (suffix: string) => FEED_FORWARD.map((prefix) => prefix + suffix);

export const jamba: Family = {
  name: 'jamba',
  huggingFaceTypes: ['jamba'],
  fromHuggingFace,
  fromGguf,
  gguf: [
    {
      architecture: 'jamba',
      names: GGUF_NAMES,
      write: {
        mixers: ['mamba', 'attention'],
        misfit,
        perLayer: ['attention.head_count_kv'],
        keys: ({ layers }) =>
          allOfKind(layers, 'experts').length ? {} : { expert_count: u32(1), expert_used_count: u32(1) },
        limits: mambaLimits,
      },
    },
  ],
  huggingFaceNames: {
    ...OWN_NAMES,
    feedForwardNorm: ['model.layers.N.pre_ff_layernorm.weight', 'model.layers.N.pre_moe_layernorm.weight'],
    // A routed layer of one expert is a dense layer; older checkpoints store it as expert 0.
    gate: [...both('gate_proj.weight'), ...both('experts.0.gate_proj.weight')],
    up: [...both('up_proj.weight'), ...both('experts.0.up_proj.weight')],
    down: [...both('down_proj.weight'), ...both('experts.0.down_proj.weight')],
    router: both('router.weight'),
    expertGate: both('experts.E.gate_proj.weight'),
    expertUp: both('experts.E.up_proj.weight'),
    expertDown: both('experts.E.down_proj.weight'),
  },
};
