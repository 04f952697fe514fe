// Bamba (IBM, Princeton, CMU and UIUC 2024): Mamba-2 layers with a few attention layers that rotate half of
// each head, each with a SwiGLU. Field names and defaults are those of transformers' BambaConfig. In GGUF it
// has the architecture of Granite 4.0 (granite-hybrid.ts).
import type { ConfigReader } from '../../formats/config-reader.ts';
import { type AttentionSpec, plainAttention } from '../../layers/attention.ts';
import { bambaSizes, type Mamba2Spec, mamba2Names } from '../../layers/mamba2.ts';
import type { Family } from '../family.ts';
import { type LayerSpec, type ModelSpec, UNSCALED } from '../spec.ts';
import { huggingFaceCommon, readHeads, readPartialFactor, readRope, readSilu } from './huggingface.ts';

function fromHuggingFace(c: ConfigReader): ModelSpec {
  readSilu(c);
  // transformers takes the mean over all channels, whatever the number of groups.
  const mamba: Mamba2Spec = { ...bambaSizes(c), norm: 'afterGate', normGroups: 1 };
  const attention = readAttention(c);
  const feedForward = {
    kind: 'dense',
    gated: true,
    size: c.size('intermediate_size', 14_336),
    activation: 'silu',
    bias: c.flag('mlp_bias', false),
  } as const;
  const attends = readAttendingLayers(c);
  return {
    family: 'bamba',
    name: 'bamba',
    layers: attends.map((one): LayerSpec => ({ mixers: [one ? attention : mamba], feedForward })),
    ...UNSCALED,
    normEpsilon: c.number('rms_norm_eps', 0, 1, 1e-5),
    ...huggingFaceCommon(c, { tiedHead: false, contextLength: 262_144 }),
  };
}

/** `attn_layer_indices` counts layers from 0; none attends where it is absent. */
function readAttendingLayers(c: ConfigReader): boolean[] {
  const count = c.size('num_hidden_layers', undefined, 4096);
  const found = c.raw('attn_layer_indices') ?? [];
  const isLayer = (index: unknown) => Number.isInteger(index) && Number(index) >= 0 && Number(index) < count;
  if (!Array.isArray(found) || !found.every(isLayer))
    c.fail('attn_layer_indices', `a list of layers below ${count}`, found);
  return Array.from({ length: count }, (_, i) => found.includes(i));
}

/** Half of each head rotates; files before transformers 5 count the dimensions in `attn_rotary_emb`. */
function readAttention(c: ConfigReader): AttentionSpec {
  const { heads, kvHeads, headSize } = readHeads(c, { kvHeads: 8 });
  const factor = readPartialFactor(c, 0.5);
  const rotary = Math.floor(headSize * factor);
  if (rotary < 2 || rotary % 2) c.fail('head_dim', `a size of which ${factor} is even`, headSize);
  if (c.has('attn_rotary_emb') && c.size('attn_rotary_emb', undefined, headSize) !== rotary)
    c.fail('attn_rotary_emb', `${rotary}: ${factor} of a head`, c.raw('attn_rotary_emb'));
  const bias = c.flag('attention_bias', false);
  return {
    ...plainAttention(heads, kvHeads, headSize),
    rope: readRope(c, rotary),
    inputBias: bias,
    outputBias: bias,
  };
}

const LAYER = 'model.layers.N.';

export const bamba: Family = {
  name: 'bamba',
  huggingFaceTypes: ['bamba'],
  fromHuggingFace,
  fromGguf: (c) => c.fail('general.architecture', 'granitehybrid', 'bamba'),
  gguf: [],
  huggingFaceNames: {
    embedding: ['model.embed_tokens.weight'],
    finalNorm: ['model.final_layernorm.weight'],
    head: ['lm_head.weight'],
    inputNorm: [`${LAYER}input_layernorm.weight`],
    feedForwardNorm: [`${LAYER}pre_ff_layernorm.weight`],
    ...mamba2Names(`${LAYER}mamba.`),
    q: [`${LAYER}self_attn.q_proj.weight`],
    k: [`${LAYER}self_attn.k_proj.weight`],
    v: [`${LAYER}self_attn.v_proj.weight`],
    o: [`${LAYER}self_attn.o_proj.weight`],
    qBias: [`${LAYER}self_attn.q_proj.bias`],
    kBias: [`${LAYER}self_attn.k_proj.bias`],
    vBias: [`${LAYER}self_attn.v_proj.bias`],
    oBias: [`${LAYER}self_attn.o_proj.bias`],
    gate: [`${LAYER}feed_forward.gate_proj.weight`],
    up: [`${LAYER}feed_forward.up_proj.weight`],
    down: [`${LAYER}feed_forward.down_proj.weight`],
    gateBias: [`${LAYER}feed_forward.gate_proj.bias`],
    upBias: [`${LAYER}feed_forward.up_proj.bias`],
    downBias: [`${LAYER}feed_forward.down_proj.bias`],
  },
};
