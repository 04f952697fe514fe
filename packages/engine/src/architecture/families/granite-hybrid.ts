// Granite 4.0 (IBM 2025): Mamba-2 layers with a few attention layers, mostly without positions, and factors on
// embeddings, scores, residuals and logits. Every layer has a feed-forward that all tokens pass through, alone
// or beside routed experts. Field names and defaults are those of transformers' GraniteMoeHybridConfig.
// GGUF files of the architecture `granitehybrid` also hold Bamba, whose file has no factors (bamba.ts).
import type { ConfigReader } from '../../formats/config-reader.ts';
import { f32, flag, type TypedMetadataValue, u32 } from '../../formats/gguf-values.ts';
import type { RowLayout } from '../../formats/rows.ts';
import { type AttentionSpec, plainAttention } from '../../layers/attention.ts';
import { type DenseSpec, denseFromGguf } from '../../layers/dense.ts';
import { type ExpertsSpec, expertsFromGguf, plainExperts } from '../../layers/experts.ts';
import type { FeedForwardSpec } from '../../layers/index.ts';
import type { GgufLayer } from '../../layers/layer.ts';
import { bambaSizes, type Mamba2Spec, mamba2FromGguf, mamba2Names } from '../../layers/mamba2.ts';
import type { Family, TensorShapes } from '../family.ts';
import {
  differsFrom,
  layerMisfit,
  type Misfit,
  mamba2Limits,
  mamba2Misfit,
  modelMisfit,
  uneven,
} from '../gguf-writing.ts';
import { GGUF_NAMES, type TensorRows } from '../roles.ts';
import { allOfKind, type LayerSpec, type ModelSpec, UNSCALED } from '../spec.ts';
import { ggufCommon, ggufLayer } from './gguf.ts';
import { huggingFaceCommon, readHeads, readRope, readSilu } from './huggingface.ts';

/** Factors are divided by and squared; this keeps them far from the ends of f32. */
const LEAST = 1e-6;
const MOST = 1e6;

function fromHuggingFace(c: ConfigReader): ModelSpec {
  readSilu(c);
  c.refuse({ normalization_function: ['rmsnorm'] });
  // transformers takes the mean over all channels, whatever the number of groups.
  const mamba: Mamba2Spec = { ...bambaSizes(c), norm: 'afterGate', normGroups: 1 };
  const attention = readAttention(c);
  const feedForward = readFeedForward(c);
  const layers = readTypes(c).map(
    (attends): LayerSpec => ({ mixers: [attends ? attention : mamba], feedForward }),
  );
  return {
    family: 'granite-hybrid',
    name: 'granitemoehybrid',
    layers,
    ...UNSCALED,
    embeddingScale: c.number('embedding_multiplier', LEAST, MOST, 1),
    residualScale: c.number('residual_multiplier', LEAST, MOST, 1),
    logitScale: 1 / c.number('logits_scaling', LEAST, MOST, 1),
    normEpsilon: c.number('rms_norm_eps', 0, 1, 1e-6),
    ...huggingFaceCommon(c, { tiedHead: false, contextLength: 2048 }),
  };
}

const WORDS = new Map<unknown, boolean>([
  ['mamba', false],
  ['linear_attention', false],
  ['attention', true],
  ['full_attention', true],
]);

/** Which layers attend; all are Mamba-2 where the file has no list. */
function readTypes(c: ConfigReader): boolean[] {
  const count = c.size('num_hidden_layers', undefined, 4096);
  const field = c.has('layer_types') ? 'layer_types' : 'layers_block_type';
  const types = c.raw(field);
  if (types === undefined || types === null) return new Array<boolean>(count).fill(false);
  if (!Array.isArray(types) || types.length !== count)
    c.fail(field, `a list of ${count} entries, one per layer`, types);
  return types.map((type: unknown) => {
    const attends = WORDS.get(type);
    if (attends === undefined) c.fail(field, `entries among ${[...WORDS.keys()].join(', ')}`, type);
    return attends;
  });
}

function readAttention(c: ConfigReader): AttentionSpec {
  const { heads, kvHeads, headSize } = readHeads(c);
  const rotates = c.text('position_embedding_type', ['nope', 'rope'], 'nope') === 'rope';
  const bias = c.flag('attention_bias', false);
  return {
    ...plainAttention(heads, kvHeads, headSize),
    rope: rotates ? readRope(c, headSize) : null,
    scale: c.number('attention_multiplier', LEAST, MOST, 1),
    inputBias: bias,
    outputBias: bias,
  };
}

/** The softmax over the chosen experts' logits equals their shares of the softmax over all. */
const routed = (size: number, count: number, topK: number, shared: number | null): ExpertsSpec => ({
  ...plainExperts(size, count, topK),
  renormalize: 0,
  shared: shared === null ? null : { size: shared, gate: false },
});

const dense = (size: number): DenseSpec => ({
  kind: 'dense',
  gated: true,
  size,
  activation: 'silu',
  bias: false,
});

function readFeedForward(c: ConfigReader): FeedForwardSpec {
  const count = c.integer('num_local_experts', 0, 4096, 8);
  const shared = c.size('shared_intermediate_size', 1024);
  if (!count) return dense(shared);
  return routed(c.size('intermediate_size', 11_008), count, c.size('num_experts_per_tok', 2, count), shared);
}

function fromGguf(c: ConfigReader, arch: string, shapeOf: TensorShapes): ModelSpec {
  const key = (name: string) => `${arch}.${name}`;
  const count = c.size(key('block_count'), undefined, 4096);
  const heads = c.sharedSize(key('attention.head_count'), count);
  const kvHeads = c.perLayer(key('attention.head_count_kv'), count, 0, heads); // 0: a Mamba-2 layer
  const scale = (name: string) => c.number(key(name), LEAST, MOST, 1);
  return {
    family: 'granite-hybrid',
    name: arch,
    hiddenSize: c.size(key('embedding_length')),
    layers: kvHeads.map((kv, i): LayerSpec => {
      const layer = ggufLayer(c, arch, shapeOf, i);
      return {
        mixers: [kv ? attentionFromGguf(layer, heads, kv) : mamba2FromGguf(layer)],
        feedForward: feedForwardFromGguf(layer),
      };
    }),
    ...UNSCALED,
    embeddingScale: scale('embedding_scale'),
    residualScale: scale('residual_scale'),
    logitScale: 1 / scale('logit_scale'),
    normEpsilon: c.number(key('attention.layer_norm_rms_epsilon'), 0, 1),
    ...ggufCommon(c, arch, shapeOf),
  };
}

/** Whether RoPE turns heads is said by `rope.scaling.finetuned`. */
function attentionFromGguf(layer: GgufLayer, heads: number, kvHeads: number): AttentionSpec {
  const { config: c, architecture, shapeOf } = layer;
  const key = (name: string) => `${architecture}.${name}`;
  if (heads % kvHeads)
    c.fail(key('attention.head_count_kv'), `divisors of head_count ${heads}, or 0`, kvHeads);
  const hiddenSize = c.size(key('embedding_length'));
  const headSize = c.size(key('attention.key_length'), Math.floor(hiddenSize / heads), 4096);
  const rotary = c.size(key('rope.dimension_count'), headSize, headSize);
  const rotates = c.flag(key('rope.scaling.finetuned'), true);
  if (rotates && rotary % 2) c.fail(key('rope.dimension_count'), 'an even number', rotary);
  const plain = plainAttention(heads, kvHeads, headSize);
  return {
    ...plain,
    rope: rotates ? { theta: c.number(key('rope.freq_base'), 1, 1e12, 10_000), rotary, scaling: null } : null,
    scale: c.number(key('attention.scale'), LEAST, MOST, plain.scale),
    inputBias: shapeOf('attn_q.bias') !== undefined,
    outputBias: shapeOf('attn_output.bias') !== undefined,
  };
}

function feedForwardFromGguf(layer: GgufLayer): FeedForwardSpec {
  const { config: c, architecture, shapeOf } = layer;
  if (!shapeOf('ffn_gate_inp.weight')) return denseFromGguf(layer);
  const { size, count, topK } = expertsFromGguf(layer);
  const shared = shapeOf('ffn_up_shexp.weight')
    ? c.size(`${architecture}.expert_shared_feed_forward_length`)
    : null;
  return routed(size, count, topK, shared);
}

function misfit(spec: ModelSpec): Misfit {
  const { layers } = spec;
  const attention = allOfKind(layers, 'attention');
  const mamba = allOfKind(layers, 'mamba2');
  return (
    modelMisfit(spec, ['embeddingScale', 'residualScale', 'logitScale']) ??
    layerMisfit(spec, (layer) => mixerMisfit(layer) ?? forwardMisfit(layer)) ??
    (mamba.length ? null : 'attention in every layer') ??
    (attention.length ? null : 'no attention') ??
    uneven(mamba, 'Mamba-2 sizes') ??
    uneven(
      attention.map((one) => ({ ...one, kvHeads: 0 })),
      'kinds of attention',
    ) ??
    uneven(
      layers.map(({ feedForward }) => feedForward),
      'feed-forwards',
    )
  );
}

function mixerMisfit({ mixers: [mixer, ...more] }: LayerSpec): Misfit {
  if (!mixer || more.length) return 'other than one mixer';
  if (mixer.kind === 'mamba2') return mamba2Misfit(mixer);
  if (mixer.kind !== 'attention') return 'another mixer than Mamba-2 and attention';
  if (mixer.rope?.scaling) return 'stretched rotary positions';
  const { heads, kvHeads, headSize } = mixer;
  const said = ['rope', 'scale', 'inputBias', 'outputBias'] as const;
  return differsFrom(mixer, plainAttention(heads, kvHeads, headSize), said);
}

function forwardMisfit({ feedForward }: LayerSpec): Misfit {
  if (!feedForward) return 'no feed-forward';
  if (feedForward.kind === 'dense') return differsFrom(feedForward, dense(feedForward.size), ['bias']);
  const { size, count, topK, shared } = feedForward;
  return differsFrom(feedForward, routed(size, count, topK, shared?.size ?? null));
}

function keys(spec: ModelSpec): Record<string, TypedMetadataValue | null> {
  const [attention] = allOfKind(spec.layers, 'attention');
  const [experts] = allOfKind(spec.layers, 'experts');
  const scale = (name: string, value: number) => (value === 1 ? {} : { [name]: f32(value) });
  const ownScale = attention && attention.scale !== 1 / Math.sqrt(attention.headSize);
  return {
    ...scale('embedding_scale', spec.embeddingScale),
    ...scale('residual_scale', spec.residualScale),
    ...scale('logit_scale', 1 / spec.logitScale),
    ...(ownScale ? { 'attention.scale': f32(attention.scale) } : {}),
    'rope.scaling.finetuned': flag(attention?.rope != null),
    ...(experts?.shared ? { expert_shared_feed_forward_length: u32(experts.shared.size) } : {}),
  };
}

function limits(spec: ModelSpec): string[] {
  const attention = allOfKind(spec.layers, 'attention');
  const partial = attention.some(({ rope, headSize }) => rope && rope.rotary < headSize);
  return [
    ...mamba2Limits(spec, { twiceHidden: true }),
    ...(partial ? ['rotary positions in a part of each head, which llama.cpp turns otherwise'] : []),
  ];
}

const LAYER = 'model.layers.N.';

/** `a` above `b` in one tensor, once for each expert: the gate and its values. */
const half = (tensor: string, index: 0 | 1, layout: (spec: ModelSpec) => [blocks: number, size: number]) =>
  [
    {
      tensor: `${LAYER}${tensor}.input_linear.weight`,
      rows(spec: ModelSpec): RowLayout {
        const [blocks, size] = layout(spec);
        return { blocks, sections: [size, size], take: [index] };
      },
    },
  ] satisfies TensorRows[];

function expertRows(spec: ModelSpec): [number, number] {
  const [experts] = allOfKind(spec.layers, 'experts');
  return experts ? [experts.count, experts.size] : [1, 1];
}

/** The feed-forward of all tokens: the only one, or beside the experts. */
function sharedRows({ layers }: ModelSpec): [number, number] {
  const [experts] = allOfKind(layers, 'experts');
  return [1, experts?.shared?.size ?? allOfKind(layers, 'dense')[0]?.size ?? 1];
}

export const graniteHybrid: Family = {
  name: 'granite-hybrid',
  huggingFaceTypes: ['granitemoehybrid'],
  fromHuggingFace,
  fromGguf,
  gguf: [
    {
      architecture: 'granitehybrid',
      names: GGUF_NAMES,
      pairedQk: true,
      write: {
        mixers: ['mamba2', 'attention'],
        misfit,
        perLayer: ['attention.head_count_kv'],
        keys,
        limits,
      },
    },
  ],
  huggingFaceNames: {
    embedding: ['model.embed_tokens.weight'],
    finalNorm: ['model.norm.weight'],
    head: ['lm_head.weight'],
    inputNorm: [`${LAYER}input_layernorm.weight`],
    feedForwardNorm: [`${LAYER}post_attention_layernorm.weight`],
    ...mamba2Names(`${LAYER}mamba.`),
    q: [`${LAYER}self_attn.q_proj.weight`],
    k: [`${LAYER}self_attn.k_proj.weight`],
    v: [`${LAYER}self_attn.v_proj.weight`],
    o: [`${LAYER}self_attn.o_proj.weight`],
    qBias: [`${LAYER}self_attn.q_proj.bias`],
    kBias: [`${LAYER}self_attn.k_proj.bias`],
    vBias: [`${LAYER}self_attn.v_proj.bias`],
    oBias: [`${LAYER}self_attn.o_proj.bias`],
    gate: half('shared_mlp', 0, sharedRows),
    up: half('shared_mlp', 1, sharedRows),
    down: [`${LAYER}shared_mlp.output_linear.weight`],
    sharedGate: half('shared_mlp', 0, sharedRows),
    sharedUp: half('shared_mlp', 1, sharedRows),
    sharedDown: [`${LAYER}shared_mlp.output_linear.weight`],
    router: [`${LAYER}block_sparse_moe.router.layer.weight`],
    expertGate: half('block_sparse_moe', 0, expertRows),
    expertUp: half('block_sparse_moe', 1, expertRows),
    expertDown: [`${LAYER}block_sparse_moe.output_linear.weight`],
  },
};
