// Llama-style transformers (Touvron et al. 2023): attention with RoPE and a gated feed-forward. Covers Llama
// 1–3, Mistral (sliding window), Qwen 2 (biases on q, k, v) and Qwen 3 (head norms).
import type { ConfigReader } from '../../formats/config-reader.ts';
import { type AttentionSpec, attentionFromGguf, plainAttention } from '../../layers/attention.ts';
import { denseFromGguf } from '../../layers/dense.ts';
import type { Family, GgufWriting, TensorShapes } from '../family.ts';
import { differsFrom, layerMisfit, type Misfit, modelMisfit, ropeMisfit, uneven } from '../gguf-writing.ts';
import { GGUF_NAMES } from '../roles.ts';
import { allOfKind, type LayerSpec, type ModelSpec, UNSCALED } from '../spec.ts';
import { ggufCommon, ggufLayer } from './gguf.ts';
import { huggingFaceCommon, readHeads, readLayerTypes, readRope, TRANSFORMER_NAMES } from './huggingface.ts';

function fromHuggingFace(c: ConfigReader): ModelSpec {
  const type = c.text('model_type', ['llama', 'mistral', 'qwen2', 'qwen3']);
  const { heads, kvHeads, headSize } = readHeads(c);
  const rope = readRope(c, headSize);
  const windowed = layerWindows(c, type, c.size('num_hidden_layers', undefined, 4096));
  const bias = c.flag('attention_bias', false);
  const size = c.size('intermediate_size');
  const activation = c.text('hidden_act', ['silu'], 'silu');
  const layers = windowed.map(
    (window): LayerSpec => ({
      mixers: [
        {
          ...plainAttention(heads, kvHeads, headSize),
          window,
          rope,
          inputBias: bias || type === 'qwen2',
          outputBias: bias && type !== 'qwen2',
          headNorms: type === 'qwen3' ? 'perHead' : 'none',
        },
      ],
      feedForward: { kind: 'dense', size, gated: true, activation, bias: c.flag('mlp_bias', false) },
    }),
  );
  return {
    family: 'llama',
    name: type,
    layers,
    ...UNSCALED,
    normEpsilon: c.number('rms_norm_eps', 0, 1, 1e-6),
    ...huggingFaceCommon(c, { tiedHead: false, contextLength: 2048 }),
  };
}

/**
 * The window of each layer: as `layer_types` lists them, else Mistral's in all, Qwen's above
 * `max_window_layers`.
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
  const first = type === 'mistral' ? 0 : qwen ? c.integer('max_window_layers', 0, 4096, 28) : count;
  return Array.from({ length: count }, (_, i) => (i >= first ? window : null));
}

function fromGguf(c: ConfigReader, arch: string, shapeOf: TensorShapes): ModelSpec {
  const layer = ggufLayer(c, arch, shapeOf, 0);
  const block: LayerSpec = { mixers: [attentionFromGguf(layer)], feedForward: denseFromGguf(layer) };
  return {
    family: 'llama',
    name: arch,
    hiddenSize: c.size(`${arch}.embedding_length`),
    ...UNSCALED,
    normEpsilon: c.number(`${arch}.attention.layer_norm_rms_epsilon`, 0, 1, 1e-6),
    layers: Array.from({ length: c.size(`${arch}.block_count`, undefined, 4096) }, () => block),
    ...ggufCommon(c, arch, shapeOf),
  };
}

const LIMITS: GgufWriting['limits'] = ({ layers }) =>
  allOfKind(layers, 'attention').some(({ window }) => window !== null)
    ? ['a sliding window, which llama.cpp ignores (the same up to that many tokens)']
    : [];

/**
 * Architectures of Qwen differ from Llama's in whether rows of q and k lie in pairs, and in what the loader
 * asks for.
 */
const writing = (
  holds: (attention: AttentionSpec) => boolean,
  limits?: GgufWriting['limits'],
): GgufWriting => ({
  mixers: ['attention'],
  misfit: (spec) =>
    modelMisfit(spec) ?? layerMisfit(spec, (layer) => misfit(layer, holds)) ?? uneven(spec.layers, 'layers'),
  ...(limits ? { limits } : {}),
});

function misfit({ mixers, feedForward }: LayerSpec, holds: (attention: AttentionSpec) => boolean): Misfit {
  const [mixer, ...more] = mixers;
  if (mixer?.kind !== 'attention' || !mixer.rope || more.length) return 'other than one rotary attention';
  if (feedForward?.kind !== 'dense') return 'no dense feed-forward';
  const { size, bias } = feedForward;
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
    differsFrom(feedForward, { kind: 'dense', size, gated: true, activation: 'silu', bias })
  );
}

export const llama: Family = {
  name: 'llama',
  huggingFaceTypes: ['llama', 'mistral', 'qwen2', 'qwen3'],
  fromHuggingFace,
  fromGguf,
  gguf: [
    { architecture: 'qwen3', names: GGUF_NAMES, write: writing((a) => a.headNorms === 'perHead') },
    {
      architecture: 'qwen2',
      names: GGUF_NAMES,
      write: writing((a) => a.inputBias && !a.outputBias && a.headNorms === 'none'),
    },
    {
      architecture: 'llama',
      names: GGUF_NAMES,
      pairedQk: true,
      write: writing((a) => a.headNorms === 'none', LIMITS),
    },
    { architecture: 'mistral', names: GGUF_NAMES },
  ],
  huggingFaceNames: {
    ...TRANSFORMER_NAMES,
    inputNorm: ['model.layers.N.input_layernorm.weight'],
    feedForwardNorm: ['model.layers.N.post_attention_layernorm.weight'],
  },
};
