// Qwen3-Next (Qwen Team 2025) and Qwen 3.5, 3.6 and 3.8, dense and with experts: gated DeltaNet in three of
// four layers, gated attention with RoPE on a quarter of each head in the fourth, zero-centred norms. Field
// names are those of config.json; a model with vision keeps them in `text_config` and its language model's
// tensors under `model.language_model.`. Vision and multi-token prediction (`mtp.*`, `nextn` blocks) are not
// read.
//
// What differs: Qwen3-Next keeps q, k, v and z of its DeltaNet in one matrix, key head by key head, as b and
// a; GGUF files of the later models have their value heads tiled: head j reads key head j mod key heads.

import type { ConfigReader } from '../../formats/config-reader.ts';
import { type AttentionSpec, attentionFromGguf, plainAttention } from '../../layers/attention.ts';
import { deltaNetFrom, deltaNetFromGguf } from '../../layers/delta-net.ts';
import { denseFromGguf, plainDense } from '../../layers/dense.ts';
import { type ExpertsSpec, plainExperts } from '../../layers/experts.ts';
import type { GgufLayer } from '../../layers/layer.ts';
import type { RopeSpec } from '../../layers/rope.ts';
import type { Family, TensorShapes } from '../family.ts';
import { type LayerSpec, type ModelSpec, UNSCALED } from '../spec.ts';
import { ggufCommon, ggufLayer } from './gguf.ts';
import {
  huggingFaceCommon,
  readHeads,
  readLayerTypes,
  readPartialFactor,
  readRopeScaling,
  readTheta,
  ropeParameters,
} from './huggingface.ts';
import { writing } from './qwen3-next-gguf.ts';
import { HUGGING_FACE_NAMES, NEXT_GGUF_NAMES, NEXT_NAMES, TILED_GGUF_NAMES } from './qwen3-next-names.ts';

const HUGGING_FACE_TYPES = [
  'qwen3_next',
  'qwen3_5',
  'qwen3_5_text',
  'qwen3_5_moe',
  'qwen3_5_moe_text',
] as const;

const isDense = (type: string): boolean => type === 'qwen3_5' || type === 'qwen3_5_text';

function fromHuggingFace(outer: ConfigReader): ModelSpec {
  const c = outer.object('text_config') ?? outer;
  const type = outer.text('model_type', HUGGING_FACE_TYPES);
  const count = c.size('num_hidden_layers', undefined, 4096);
  c.refuse({
    hidden_act: ['silu'],
    attention_bias: [false],
    attn_output_gate: [true],
  });
  const attention = attentionOf(c, type);
  const delta = deltaNetFrom(c);
  const isRouted = routedLayers(c, type, count);
  const layers = layerTypes(c, count).map(
    (kind, i): LayerSpec => ({
      mixers: [kind === 'full_attention' ? attention : delta],
      feedForward: isRouted[i] ? expertsOf(c, type) : plainDense(c.size('intermediate_size')),
    }),
  );
  const common = huggingFaceCommon(c, { tiedHead: false, contextLength: 32_768 });
  return {
    family: type === 'qwen3_next' ? 'qwen3-next' : 'qwen3.5',
    name: type,
    layers,
    ...UNSCALED,
    normOffset: 1,
    normEpsilon: c.number('rms_norm_eps', 0, 1, 1e-6),
    ...common,
    tiedHead: outer.flag('tie_word_embeddings', common.tiedHead),
    endTokens: [...new Set([...common.endTokens, ...outer.tokens('eos_token_id', common.vocabularySize)])],
  };
}

function attentionOf(c: ConfigReader, type: string): AttentionSpec {
  const { heads, kvHeads, headSize } = readHeads(c, { kvHeads: isDense(type) ? 4 : 2, headSize: 256 });
  return {
    ...plainAttention(heads, kvHeads, headSize),
    rope: readPartialRope(c, headSize),
    headNorms: 'perHead',
    outputGate: true,
  };
}

/**
 * In one `rope_parameters` or in fields of its own; stretched by YaRN for contexts beyond those of training.
 * Texts have equal positions in all of mRoPE's sections.
 */
function readPartialRope(c: ConfigReader, headSize: number): RopeSpec {
  const stretched = ropeParameters(c);
  const kind = stretched?.raw('rope_type') ?? stretched?.raw('type') ?? 'default';
  const scaling = kind === 'default' || kind === 'mrope' ? null : readRopeScaling(stretched, c);
  const factor = readPartialFactor(c, 0.25);
  const rotary = Math.floor(headSize * factor);
  if (rotary < 2 || rotary % 2)
    c.fail('partial_rotary_factor', `an even number of the ${headSize} channels of a head`, factor);
  return { theta: readTheta(c, 10_000), rotary, scaling };
}

function layerTypes(c: ConfigReader, count: number): ('linear_attention' | 'full_attention')[] {
  const types = readLayerTypes(c, count, ['linear_attention', 'full_attention']);
  const interval = c.size('full_attention_interval', 4, 4096);
  return (
    types ??
    Array.from({ length: count }, (_, i) => ((i + 1) % interval ? 'linear_attention' : 'full_attention'))
  );
}

/** Which layers have experts. Qwen3-Next may leave some dense. */
function routedLayers(c: ConfigReader, type: string, count: number): boolean[] {
  if (isDense(type)) return new Array<boolean>(count).fill(false);
  const isNext = type === 'qwen3_next';
  const dense = isNext ? (c.raw('mlp_only_layers') ?? []) : [];
  if (!Array.isArray(dense)) c.fail('mlp_only_layers', 'a list of layers', dense);
  const step = isNext ? c.size('decoder_sparse_step', 1, 4096) : 1;
  const experts = c.integer('num_experts', isNext ? 0 : 1, 4096);
  return Array.from({ length: count }, (_, i) => experts > 0 && !dense.includes(i) && (i + 1) % step === 0);
}

/** The later models always rescale the weights of the chosen experts. */
function expertsOf(c: ConfigReader, type: string): ExpertsSpec {
  const count = c.size('num_experts', undefined, 4096);
  const rescales = type !== 'qwen3_next' || c.flag('norm_topk_prob', true);
  return {
    ...plainExperts(c.size('moe_intermediate_size'), count, c.size('num_experts_per_tok', undefined, count)),
    renormalize: rescales ? 0 : null,
    shared: { size: c.size('shared_expert_intermediate_size'), gate: true },
  };
}

function fromGguf(c: ConfigReader, arch: string, shapeOf: TensorShapes): ModelSpec {
  const key = (name: string) => `${arch}.${name}`;
  const all = c.size(key('block_count'), undefined, 4096);
  const count = all - c.integer(key('nextn_predict_layers'), 0, all - 1, 0);
  const layers = recurrentLayers(c, key, all)
    .slice(0, count)
    .map((isRecurrent, i): LayerSpec => {
      const layer = ggufLayer(c, arch, shapeOf, i);
      const mixer = isRecurrent
        ? deltaNetFromGguf(layer, arch !== 'qwen3next')
        : ({ ...attentionFromGguf(layer), outputGate: true, headNorms: 'perHead' } as const);
      const routed = layer.shapeOf('ffn_gate_inp.weight');
      return { mixers: [mixer], feedForward: routed ? expertsFromGguf(layer) : denseFromGguf(layer) };
    });
  return {
    family: arch === 'qwen3next' ? 'qwen3-next' : 'qwen3.5',
    name: arch,
    hiddenSize: c.size(key('embedding_length')),
    layers,
    ...UNSCALED,
    normEpsilon: c.number(key('attention.layer_norm_rms_epsilon'), 0, 1),
    ...ggufCommon(c, arch, shapeOf),
  };
}

/** A list where the file has one, else every layer but each `full_attention_interval`th. */
function recurrentLayers(c: ConfigReader, key: (name: string) => string, count: number): boolean[] {
  const list = c.raw(key('attention.recurrent_layers'));
  if (list === undefined) {
    const interval = c.size(key('full_attention_interval'), 4, 4096);
    return Array.from({ length: count }, (_, i) => (i + 1) % interval !== 0);
  }
  if (!Array.isArray(list) || list.length !== count || list.some((one) => typeof one !== 'boolean'))
    c.fail(key('attention.recurrent_layers'), `${count} times true or false, one per layer`, list);
  return list as boolean[];
}

function expertsFromGguf({ config: c, architecture }: GgufLayer): ExpertsSpec {
  const count = c.size(`${architecture}.expert_count`, undefined, 4096);
  const size = c.size(`${architecture}.expert_feed_forward_length`);
  return {
    ...plainExperts(size, count, c.size(`${architecture}.expert_used_count`, undefined, count)),
    renormalize: 0,
    shared: { size: c.size(`${architecture}.expert_shared_feed_forward_length`), gate: true },
  };
}

export const qwen3Next: Family = {
  name: 'qwen3-next',
  huggingFaceTypes: ['qwen3_next'],
  fromHuggingFace,
  fromGguf,
  huggingFaceNames: NEXT_NAMES,
  gguf: [{ architecture: 'qwen3next', names: NEXT_GGUF_NAMES, write: writing('qwen3next', 'experts') }],
};

export const qwen35: Family = {
  name: 'qwen3.5',
  huggingFaceTypes: ['qwen3_5', 'qwen3_5_text', 'qwen3_5_moe', 'qwen3_5_moe_text'],
  fromHuggingFace,
  fromGguf,
  huggingFaceNames: HUGGING_FACE_NAMES,
  gguf: [
    { architecture: 'qwen35', names: TILED_GGUF_NAMES, write: writing('qwen35', 'dense') },
    { architecture: 'qwen35moe', names: TILED_GGUF_NAMES, write: writing('qwen35moe', 'experts') },
  ],
};
