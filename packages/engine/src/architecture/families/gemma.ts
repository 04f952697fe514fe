// Gemma 3's text models (Gemma Team 2025): norms before and after every part, five layers with a window to one
// without, each kind with its own base of rotary positions. Files of the models that see images hold the same
// layers under a longer name. Field names and defaults are those of transformers' Gemma3TextConfig.
import type { ConfigReader } from '../../formats/config-reader.ts';
import { f32, u32 } from '../../formats/gguf-values.ts';
import {
  type AttentionSpec,
  attentionFromGguf,
  plainAttention,
  windowFromGguf,
} from '../../layers/attention.ts';
import { denseFromGguf } from '../../layers/dense.ts';
import type { Family, TensorShapes } from '../family.ts';
import { differsFrom, layerMisfit, type Misfit, modelMisfit, uneven } from '../gguf-writing.ts';
import { GGUF_NAMES, type TensorNames } from '../roles.ts';
import { allOfKind, type LayerSpec, type ModelSpec, UNSCALED } from '../spec.ts';
import { ggufCommon, ggufLayer, windowsFromGguf } from './gguf.ts';
import { type AttentionType, readLayerTypes, readRopesByType, TRANSFORMER_NAMES } from './huggingface.ts';

/** Layers without a window, and bases of rotary positions, where files do not say. */
const PATTERN = 6;
const FULL_THETA = 1_000_000;
const WINDOW_THETA = 10_000;

const ACTIVATIONS = { gelu_pytorch_tanh: 'gelu_tanh', gelu: 'gelu', silu: 'silu' } as const;

/** Every `pattern`-th layer sees all positions. */
const isFull = (layer: number, pattern: number): boolean => (layer + 1) % pattern === 0;

function fromHuggingFace(outer: ConfigReader): ModelSpec {
  const type = outer.text('model_type', ['gemma3', 'gemma3_text']);
  const c = type === 'gemma3_text' ? outer : outer.object('text_config');
  if (!c) outer.fail('text_config', 'the configuration of the text model', undefined);
  c.refuse({
    attn_logit_softcapping: [],
    final_logit_softcapping: [],
  });
  const hiddenSize = c.size('hidden_size', 2304);
  const feedForward = {
    kind: 'dense',
    gated: true,
    size: c.size('intermediate_size', 9216),
    activation:
      ACTIVATIONS[c.text('hidden_activation', ['gelu_pytorch_tanh', 'gelu', 'silu'], 'gelu_pytorch_tanh')],
    bias: false,
  } as const;
  const attention = readAttention(c);
  const headless = attention.full_attention.bidirectional ? { headless: true as const } : {};
  const layers = readTypes(c).map(
    (layer): LayerSpec => ({ mixers: [attention[layer]], feedForward, norms: 'both' }),
  );
  const vocabularySize = c.size('vocab_size', 262_208);
  const tokens = (field: string, missing: number) => {
    const found = (outer.has(field) ? outer : c).tokens(field, vocabularySize);
    return found.length ? found : [missing];
  };
  return {
    family: 'gemma3',
    name: type,
    vocabularySize,
    hiddenSize,
    layers,
    ...UNSCALED,
    ...headless,
    embeddingScale: Math.sqrt(hiddenSize),
    normOffset: 1,
    normEpsilon: c.number('rms_norm_eps', 0, 1, 1e-6),
    tiedHead: (outer.has('tie_word_embeddings') ? outer : c).flag('tie_word_embeddings', true),
    contextLength: c.size('max_position_embeddings', 131_072, 2 ** 31),
    beginToken: tokens('bos_token_id', 2)[0]!,
    endTokens: tokens('eos_token_id', 1),
  };
}

/** transformers 5 writes a `_sliding_window_pattern` too, which says nothing beside `layer_types`. */
function readTypes(c: ConfigReader): AttentionType[] {
  const count = c.size('num_hidden_layers', 26, 4096);
  const types = readLayerTypes<AttentionType>(c, count, ['full_attention', 'sliding_attention']);
  if (types) return types;
  const pattern = c.size('sliding_window_pattern', PATTERN, 4096);
  return Array.from({ length: count }, (_, i) =>
    isFull(i, pattern) ? 'full_attention' : 'sliding_attention',
  );
}

/** The attention of each type of layer. */
function readAttention(c: ConfigReader): Record<AttentionType, AttentionSpec> {
  const heads = c.size('num_attention_heads', 8);
  const kvHeads = c.size('num_key_value_heads', 4);
  if (heads % kvHeads) c.fail('num_key_value_heads', `a divisor of num_attention_heads ${heads}`, kvHeads);
  const headSize = c.size('head_dim', 256, 4096);
  const bias = c.flag('attention_bias', false);
  const ropes = readRopesByType(c, headSize, {
    full_attention: ['rope_theta', FULL_THETA],
    sliding_attention: ['rope_local_base_freq', WINDOW_THETA],
  });
  const attention = (type: AttentionType): AttentionSpec => ({
    ...plainAttention(heads, kvHeads, headSize),
    rope: ropes[type],
    inputBias: bias,
    outputBias: bias,
    headNorms: 'perHead',
    scale: 1 / Math.sqrt(c.number('query_pre_attn_scalar', 1e-3, 1e6, 256)),
  });
  const window = c.size('sliding_window', 4096, 2 ** 31);
  const sees = c.flag('use_bidirectional_attention', false) ? toBothSides : (one: AttentionSpec) => one;
  return {
    full_attention: sees(attention('full_attention')),
    sliding_attention: sees({ ...attention('sliding_attention'), window }),
  };
}

/** EmbeddingGemma: half a window to either side (transformers' Gemma3TextConfig, llama.cpp's symmetric windows). */
const toBothSides = (attention: AttentionSpec): AttentionSpec => ({
  ...attention,
  bidirectional: true,
  window: attention.window && 2 * Math.floor(attention.window / 2) + 1,
});

/** llama.cpp knows the largest model, whose scale does not follow from its heads, by its number of layers. */
const ggufScale = (hiddenSize: number, layers: number, { heads, headSize }: AttentionSpec): number =>
  1 / Math.sqrt(layers === 62 ? Math.floor(hiddenSize / heads) : headSize);

/** A base of rotary positions, under llama.cpp's name or that of ollama's converter. */
function ggufTheta(c: ConfigReader, arch: string, names: readonly [string, string], otherwise: number) {
  const [key, ollamas] = names.map((name) => `${arch}.rope.${name}`) as [string, string];
  return c.number(c.has(key) ? key : ollamas, 1, 1e12, otherwise);
}

/** ollama's converter writes a cap of 30 into every Gemma 3, though none of the models has one. */
function refuseCaps(c: ConfigReader, arch: string): void {
  const ollamas = c.has(`${arch}.rope.global.freq_base`);
  c.refuse({
    [`${arch}.final_logit_softcapping`]: ollamas ? [0, 30] : [0],
    [`${arch}.attn_logit_softcapping`]: ollamas ? [0, 50] : [0],
  });
}

function fromGguf(c: ConfigReader, arch: string, shapeOf: TensorShapes): ModelSpec {
  refuseCaps(c, arch);
  const hiddenSize = c.size(`${arch}.embedding_length`);
  const count = c.size(`${arch}.block_count`, undefined, 4096);
  const theta = ggufTheta(c, arch, ['freq_base', 'global.freq_base'], FULL_THETA);
  const localTheta = ggufTheta(c, arch, ['freq_base_swa', 'local.freq_base'], WINDOW_THETA);
  const embeds = arch === 'gemma-embedding';
  if (embeds) c.refuse({ [`${arch}.attention.causal`]: [false] });
  const sees = embeds ? toBothSides : (one: AttentionSpec) => one;
  const slides = windowFromGguf(c, arch) === null ? null : windowsFromGguf(c, arch, count, PATTERN);
  const block = (index: number): LayerSpec => {
    const layer = ggufLayer(c, arch, shapeOf, index);
    const read = attentionFromGguf(layer);
    const rope = read.rope!;
    const windowed = { ...read, scale: ggufScale(hiddenSize, count, read) };
    const mixer = slides?.[index]
      ? { ...windowed, rope: { theta: localTheta, rotary: rope.rotary, scaling: null } }
      : { ...windowed, rope: { ...rope, theta }, window: null };
    const feedForward = { ...denseFromGguf(layer), activation: 'gelu_tanh' } as const;
    return { mixers: [sees(mixer)], feedForward, norms: 'both' };
  };
  return {
    family: 'gemma3',
    name: arch,
    hiddenSize,
    ...UNSCALED,
    embeddingScale: Math.sqrt(hiddenSize),
    normEpsilon: c.number(`${arch}.attention.layer_norm_rms_epsilon`, 0, 1),
    layers: Array.from({ length: count }, (_, i) => block(i)),
    ...ggufCommon(c, arch, shapeOf),
    ...(embeds ? { headless: true } : {}),
  };
}

function misfit(spec: ModelSpec): Misfit {
  const attention = allOfKind(spec.layers, 'attention');
  const windows = attention.filter(({ window }) => window !== null);
  const whole = attention.filter(({ window }) => window === null);
  return (
    modelMisfit(spec, ['embeddingScale']) ??
    (spec.embeddingScale === Math.sqrt(spec.hiddenSize)
      ? null
      : 'embeddings scaled by another factor than the root of the hidden size') ??
    layerMisfit(spec, (layer) => partsMisfit(layer, spec), ['norms']) ??
    uneven(
      attention.map(({ heads, kvHeads, headSize }) => [heads, kvHeads, headSize]),
      'numbers of heads',
    ) ??
    uneven(
      spec.layers.map(({ feedForward }) => feedForward),
      'feed-forwards',
    ) ??
    uneven(windows, 'windows or their positions') ??
    uneven(whole, 'rotary positions') ??
    (windows.length && attention.some(({ window }, i) => (window === null) !== isFull(i, PATTERN))
      ? 'windows in other layers than five of six'
      : null)
  );
}

function partsMisfit({ mixers, feedForward, norms }: LayerSpec, { hiddenSize, layers }: ModelSpec): Misfit {
  const [mixer, ...more] = mixers;
  if (mixer?.kind !== 'attention' || !mixer.rope || more.length) return 'other than one rotary attention';
  if (norms !== 'both') return 'no norms on the results';
  if (feedForward?.kind !== 'dense') return 'no dense feed-forward';
  const { heads, kvHeads, headSize, rope } = mixer;
  const plain: AttentionSpec = {
    ...plainAttention(heads, kvHeads, headSize),
    headNorms: 'perHead',
    scale: ggufScale(hiddenSize, layers.length, mixer),
  };
  if (rope.rotary !== headSize) return 'a part of each head rotated';
  if (rope.scaling && (mixer.window !== null || rope.scaling.kind !== 'linear'))
    return `rotary positions scaled by ${rope.scaling.kind}`;
  return (
    differsFrom(mixer, plain, ['rope', 'window']) ??
    differsFrom(feedForward, {
      kind: 'dense',
      size: feedForward.size,
      gated: true,
      activation: 'gelu_tanh',
      bias: false,
    })
  );
}

/** Two bases; the window, which a model without one leaves out. */
function ggufKeys({ layers }: ModelSpec) {
  const attention = allOfKind(layers, 'attention');
  const windowed = attention.find(({ window }) => window !== null);
  const full = attention.find(({ window }) => window === null);
  return {
    'rope.freq_base': f32(full?.rope?.theta ?? FULL_THETA),
    'rope.freq_base_swa': windowed ? f32(windowed.rope?.theta ?? WINDOW_THETA) : null,
    'attention.sliding_window': windowed ? u32(windowed.window ?? 0) : null,
  };
}

/** Multimodal files, of transformers 5 and as released, put a prefix before the text model's names. */
const NAMES: TensorNames = Object.fromEntries(
  Object.entries<readonly string[]>({
    ...TRANSFORMER_NAMES,
    inputNorm: ['model.layers.N.input_layernorm.weight'],
    postMixerNorm: ['model.layers.N.post_attention_layernorm.weight'],
    feedForwardNorm: ['model.layers.N.pre_feedforward_layernorm.weight'],
    postFeedForwardNorm: ['model.layers.N.post_feedforward_layernorm.weight'],
  }).map(([role, [name = '']]) => [
    role,
    [name, name.replace('model.', 'model.language_model.'), `language_model.${name}`],
  ]),
);

export const gemma: Family = {
  name: 'gemma3',
  huggingFaceTypes: ['gemma3_text', 'gemma3'],
  fromHuggingFace,
  fromGguf,
  gguf: [
    {
      architecture: 'gemma3',
      names: GGUF_NAMES,
      write: { mixers: ['attention'], misfit, keys: ggufKeys },
    },
    { architecture: 'gemma-embedding', names: GGUF_NAMES },
  ],
  huggingFaceNames: NAMES,
};
