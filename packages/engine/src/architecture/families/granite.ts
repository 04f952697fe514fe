// Dense Granite (IBM 2024 to 2026: 3.x, 4.1, 4.2): transformers of the Llama kind with factors on embeddings, scores,
// residuals and logits; Granite Swash, with windows and sinks. Field names and defaults are those of transformers'
// GraniteConfig and GraniteSWAConfig. The hybrids are in granite-hybrid.ts.
import type { ConfigReader } from '../../formats/config-reader.ts';
import { f32, type TypedMetadataValue } from '../../formats/gguf-values.ts';
import { type AttentionSpec, attentionFromGguf, plainAttention } from '../../layers/attention.ts';
import { type DenseSpec, denseFromGguf } from '../../layers/dense.ts';
import type { Family, TensorShapes } from '../family.ts';
import { differsFrom, layerMisfit, type Misfit, modelMisfit, ropeMisfit, uneven } from '../gguf-writing.ts';
import { GGUF_NAMES } from '../roles.ts';
import { allOfKind, type LayerSpec, type ModelSpec, UNSCALED } from '../spec.ts';
import { ggufCommon, ggufLayer } from './gguf.ts';
import {
  huggingFaceCommon,
  readHeads,
  readLayerTypes,
  readRope,
  readSilu,
  TRANSFORMER_NAMES,
} from './huggingface.ts';

/** Factors are divided by and squared; this keeps them far from the ends of f32. */
const LEAST = 1e-6;
const MOST = 1e6;

const dense = (size: number, bias: boolean): DenseSpec => ({
  kind: 'dense',
  gated: true,
  size,
  activation: 'silu',
  bias,
});

function fromHuggingFace(c: ConfigReader): ModelSpec {
  readSilu(c);
  const type = c.text('model_type', ['granite', 'granite_swa']);
  const isSwash = type === 'granite_swa';
  const feedForward = dense(c.size('intermediate_size'), c.flag('mlp_bias', false));
  const count = c.size('num_hidden_layers', undefined, 4096);
  const attention = readAttention(c, isSwash ? { kvHeads: 4 } : {});
  const layers = isSwash ? windowed(c, attention, count) : Array.from({ length: count }, () => attention);
  return {
    family: 'granite',
    name: type,
    layers: layers.map((mixer) => ({ mixers: [mixer], feedForward })),
    ...UNSCALED,
    embeddingScale: c.number('embedding_multiplier', LEAST, MOST, 1),
    residualScale: c.number('residual_multiplier', LEAST, MOST, 1),
    logitScale: 1 / c.number('logits_scaling', LEAST, MOST, 1),
    normEpsilon: c.number('rms_norm_eps', 0, 1, isSwash ? 1e-5 : 1e-6),
    ...huggingFaceCommon(c, { tiedHead: isSwash, contextLength: isSwash ? 8192 : 2048 }),
  };
}

function readAttention(c: ConfigReader, otherwise: { readonly kvHeads?: number }): AttentionSpec {
  const { heads, kvHeads, headSize } = readHeads(c, otherwise);
  const bias = c.flag('attention_bias', false);
  return {
    ...plainAttention(heads, kvHeads, headSize),
    rope: readRope(c, headSize),
    scale: c.number('attention_multiplier', LEAST, MOST, 1),
    inputBias: bias,
    outputBias: bias,
  };
}

/**
 * Granite Swash: sinks in all heads, three layers with a window after one without where `layer_types` is
 * missing, and a base of rotary positions for each layer, 0 for none.
 */
function windowed(c: ConfigReader, attention: AttentionSpec, count: number): AttentionSpec[] {
  const window = c.size('sliding_window', 128, 2 ** 31);
  const types = readLayerTypes(c, count, ['full_attention', 'sliding_attention']);
  const thetas = c.raw('layer_rope_theta') ?? null;
  if (thetas !== null && (!Array.isArray(thetas) || thetas.length !== count))
    c.fail('layer_rope_theta', `a list of ${count} numbers, one per layer`, thetas);
  return Array.from({ length: count }, (_, i) => {
    const slides = types ? types[i] === 'sliding_attention' : i % 4 !== 0;
    const own: unknown = thetas?.[i] ?? attention.rope?.theta;
    if (typeof own !== 'number' || !(own === 0 || (own >= 1 && own <= 1e12)))
      c.fail('layer_rope_theta', 'numbers from 1 to 1e12, or 0', own);
    const rope = own === 0 || !attention.rope ? null : { ...attention.rope, theta: own };
    return { ...attention, rope, window: slides ? window : null, sinks: true };
  });
}

/** `rope.scaling.finetuned` false: no rotary positions. */
function fromGguf(c: ConfigReader, arch: string, shapeOf: TensorShapes): ModelSpec {
  const key = (name: string) => `${arch}.${name}`;
  const rotates = c.flag(key('rope.scaling.finetuned'), true);
  const scale = (name: string, otherwise = 1) => c.number(key(name), LEAST, MOST, otherwise);
  const block = (index: number): LayerSpec => {
    const layer = ggufLayer(c, arch, shapeOf, index);
    const attention = attentionFromGguf(layer);
    const rope = rotates ? attention.rope : null;
    return {
      mixers: [{ ...attention, rope, scale: scale('attention.scale', attention.scale) }],
      feedForward: denseFromGguf(layer),
    };
  };
  return {
    family: 'granite',
    name: arch,
    hiddenSize: c.size(key('embedding_length')),
    layers: Array.from({ length: c.size(key('block_count'), undefined, 4096) }, (_, i) => block(i)),
    ...UNSCALED,
    embeddingScale: scale('embedding_scale'),
    residualScale: scale('residual_scale'),
    logitScale: 1 / scale('logit_scale'),
    normEpsilon: c.number(key('attention.layer_norm_rms_epsilon'), 0, 1),
    ...ggufCommon(c, arch, shapeOf),
  };
}

const misfit = (spec: ModelSpec): Misfit =>
  modelMisfit(spec, ['embeddingScale', 'residualScale', 'logitScale']) ??
  layerMisfit(spec, partsMisfit) ??
  uneven(spec.layers, 'layers');

function partsMisfit({ mixers, feedForward }: LayerSpec): Misfit {
  const [mixer, ...more] = mixers;
  if (mixer?.kind !== 'attention' || !mixer.rope || more.length) return 'other than one rotary attention';
  if (feedForward?.kind !== 'dense') return 'no dense feed-forward';
  const { heads, kvHeads, headSize, rope } = mixer;
  if (rope.rotary !== headSize) return 'a part of each head rotated';
  const said = ['rope', 'scale', 'inputBias', 'outputBias'] as const;
  return (
    ropeMisfit(mixer) ??
    differsFrom(mixer, plainAttention(heads, kvHeads, headSize), said) ??
    differsFrom(feedForward, dense(feedForward.size, feedForward.bias))
  );
}

/** As llama.cpp's converter writes them: it asks for that of the logits even where it is 1. */
function keys(spec: ModelSpec): Record<string, TypedMetadataValue> {
  const [attention] = allOfKind(spec.layers, 'attention');
  return {
    embedding_scale: f32(spec.embeddingScale),
    residual_scale: f32(spec.residualScale),
    logit_scale: f32(1 / spec.logitScale),
    ...(attention ? { 'attention.scale': f32(attention.scale) } : {}),
  };
}

export const granite: Family = {
  name: 'granite',
  huggingFaceTypes: ['granite', 'granite_swa'],
  fromHuggingFace,
  fromGguf,
  gguf: [
    {
      architecture: 'granite',
      names: GGUF_NAMES,
      pairedQk: true,
      write: { mixers: ['attention'], misfit, keys },
    },
  ],
  huggingFaceNames: {
    ...TRANSFORMER_NAMES,
    inputNorm: ['model.layers.N.input_layernorm.weight'],
    feedForwardNorm: ['model.layers.N.post_attention_layernorm.weight'],
  },
};
