// Llama-style transformers (Touvron et al. 2023): attention with RoPE and a gated feed-forward. Covers Llama
// 1–3, Mistral (sliding window), Qwen 2 (biases on q, k, v) and Qwen 3 (head norms).
import type { ConfigReader } from '../../formats/config-reader.ts';
import { type AttentionSpec, attentionFromGguf, plainAttention } from '../../layers/attention.ts';
import { type DenseSpec, denseFromGguf } from '../../layers/dense.ts';
import { expertsFromGguf, plainExperts } from '../../layers/experts.ts';
import type { FeedForwardSpec } from '../../layers/index.ts';
import type { Family, GgufWriting, TensorShapes } from '../family.ts';
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

function fromHuggingFace(c: ConfigReader): ModelSpec {
  const type = c.text('model_type', ['llama', 'mistral', 'qwen2', 'qwen3']);
  const feedForward = readDense(c, c.flag('mlp_bias', false));
  return {
    family: 'llama',
    name: type,
    layers: readAttention(c, type).map((mixer) => ({ mixers: [mixer], feedForward })),
    ...UNSCALED,
    normEpsilon: c.number('rms_norm_eps', 0, 1, 1e-6),
    ...huggingFaceCommon(c, { tiedHead: false, contextLength: 2048 }),
  };
}

/** A gated feed-forward with SiLU. */
export const readDense = (c: ConfigReader, bias: boolean): DenseSpec => ({
  kind: 'dense',
  size: c.size('intermediate_size'),
  gated: true,
  activation: readSilu(c),
  bias,
});

/** Attention of each layer, which differs between kinds of model in biases, norms on heads and windows. */
export function readAttention(
  c: ConfigReader,
  type: 'llama' | 'mistral' | 'mixtral' | 'qwen2' | 'qwen3' | 'qwen3_moe',
  otherwise: { readonly kvHeads?: number; readonly theta?: number } = {},
): AttentionSpec[] {
  const { heads, kvHeads, headSize } = readHeads(c, otherwise);
  const rope = readRope(c, headSize, otherwise.theta);
  // Qwen 3 always has the norms, which its coders' files also say.
  if (type.startsWith('qwen3')) c.refuse({ use_qk_norm: [true] });
  const bias = c.flag('attention_bias', false);
  const attention: AttentionSpec = {
    ...plainAttention(heads, kvHeads, headSize),
    rope,
    inputBias: bias || type === 'qwen2',
    outputBias: bias && type !== 'qwen2',
    headNorms: type.startsWith('qwen3') ? 'perHead' : 'none',
  };
  const count = c.size('num_hidden_layers', undefined, 4096);
  return layerWindows(c, type, count).map((window) => ({ ...attention, window }));
}

/**
 * The window of each layer: as `layer_types` lists them, else that of Mistral and of models with experts in
 * all, Qwen's above `max_window_layers`.
 */
function layerWindows(c: ConfigReader, type: string, count: number): (number | null)[] {
  const qwen = type.startsWith('qwen');
  const slides = c.flag('use_sliding_window', !qwen) && c.has('sliding_window');
  // A Mistral configuration without the field means 4096 (transformers' default); with null it means none.
  const unsaid = type === 'mistral' && c.raw('sliding_window') === undefined ? 4096 : null;
  const window = slides ? c.size('sliding_window', undefined, 2 ** 31) : unsaid;
  const types = readLayerTypes(c, count, ['full_attention', 'sliding_attention']);
  if (types)
    return types.map((found) => {
      if (found === 'full_attention') return null;
      if (window === null) c.fail('layer_types', 'full_attention without a sliding_window', found);
      return window;
    });
  // Llama has no windows: Hugging Face ignores the field there.
  const dense = type === 'qwen2' || type === 'qwen3';
  const first = type === 'llama' ? count : dense ? c.integer('max_window_layers', 0, 4096, 28) : 0;
  return Array.from({ length: count }, (_, i) => (i >= first ? window : null));
}

/** The architecture `llama` is Mixtral's too: a file with experts is one of those. */
export function fromGguf(c: ConfigReader, arch: string, shapeOf: TensorShapes): ModelSpec {
  return {
    family: 'llama',
    name: arch,
    hiddenSize: c.size(`${arch}.embedding_length`),
    ...UNSCALED,
    normEpsilon: c.number(`${arch}.attention.layer_norm_rms_epsilon`, 0, 1),
    layers: Array.from({ length: c.size(`${arch}.block_count`, undefined, 4096) }, (_, i): LayerSpec => {
      const layer = ggufLayer(c, arch, shapeOf, i);
      const routed = layer.shapeOf('ffn_gate_inp.weight') !== undefined;
      return {
        mixers: [attentionFromGguf(layer)],
        feedForward: routed ? expertsFromGguf(layer, { renormalize: 0 }) : denseFromGguf(layer),
      };
    }),
    ...ggufCommon(c, arch, shapeOf),
  };
}

export const LIMITS = ({ layers }: ModelSpec): string[] =>
  allOfKind(layers, 'attention').some(({ window }) => window !== null)
    ? ['a sliding window, which llama.cpp ignores (the same up to that many tokens)']
    : [];

/**
 * Architectures of Qwen differ from Llama's in whether rows of q and k lie in pairs, and in what the loader
 * asks for.
 */
export const writing = (
  kind: FeedForwardSpec['kind'],
  holds: (attention: AttentionSpec) => boolean,
  more: Pick<GgufWriting, 'limits' | 'keys'> = {},
): GgufWriting => ({
  mixers: ['attention'],
  misfit: (spec) =>
    modelMisfit(spec) ??
    layerMisfit(spec, (layer) => misfit(layer, kind, holds)) ??
    uneven(spec.layers, 'layers'),
  ...more,
});

function misfit(
  { mixers, feedForward }: LayerSpec,
  kind: FeedForwardSpec['kind'],
  holds: (attention: AttentionSpec) => boolean,
): Misfit {
  const [mixer, ...more] = mixers;
  if (mixer?.kind !== 'attention' || !mixer.rope || more.length) return 'other than one rotary attention';
  if (feedForward?.kind !== kind) return kind === 'dense' ? 'no dense feed-forward' : 'no experts';
  if (mixer.headNorms !== 'none' && (mixer.inputBias || mixer.outputBias)) return 'head norms and biases';
  if (!holds(mixer)) return 'other biases or head norms';
  const { heads, kvHeads, headSize } = mixer;
  return (
    ropeMisfit(mixer) ??
    differsFrom(mixer, plainAttention(heads, kvHeads, headSize), [
      'rope',
      'window',
      'inputBias',
      'outputBias',
      'headNorms',
    ]) ??
    forwardMisfit(feedForward)
  );
}

/** Experts are those of Mixtral: shares of a softmax over the chosen. */
function forwardMisfit(feedForward: FeedForwardSpec): Misfit {
  const { kind, size } = feedForward;
  if (kind === 'dense')
    return differsFrom(feedForward, { kind, size, gated: true, activation: 'silu' }, ['bias']);
  const { count, topK } = feedForward;
  return differsFrom(feedForward, { ...plainExperts(size, count, topK), renormalize: 0 });
}

export const llama: Family = {
  name: 'llama',
  huggingFaceTypes: ['llama', 'mistral', 'qwen2', 'qwen3'],
  fromHuggingFace,
  fromGguf,
  gguf: [
    { architecture: 'qwen3', names: GGUF_NAMES, write: writing('dense', (a) => a.headNorms === 'perHead') },
    {
      architecture: 'qwen2',
      names: GGUF_NAMES,
      write: writing('dense', (a) => a.inputBias && !a.outputBias && a.headNorms === 'none'),
    },
    {
      architecture: 'llama',
      names: GGUF_NAMES,
      pairedQk: true,
      write: writing('dense', (a) => a.headNorms === 'none', { limits: LIMITS }),
    },
    { architecture: 'mistral', names: GGUF_NAMES },
  ],
  huggingFaceNames: {
    ...TRANSFORMER_NAMES,
    inputNorm: ['model.layers.N.input_layernorm.weight'],
    feedForwardNorm: ['model.layers.N.post_attention_layernorm.weight'],
  },
};
