// OLMo 2 and 3 (Ai2 2024, 2025): transformers whose norms stand on the results of their parts, with norms over
// all heads of q and k at once. OLMo 3 has three layers with a window to one without, which alone is stretched
// to longer contexts. Field names and defaults are those of transformers' Olmo2Config and Olmo3Config.
import type { ConfigReader } from '../../formats/config-reader.ts';
import { flagList, type TypedMetadataValue, u32 } from '../../formats/gguf-values.ts';
import {
  type AttentionSpec,
  attentionFromGguf,
  plainAttention,
  windowFromGguf,
} from '../../layers/attention.ts';
import { type DenseSpec, denseFromGguf } from '../../layers/dense.ts';
import type { RopeSpec } from '../../layers/rope.ts';
import type { Family, TensorShapes } from '../family.ts';
import { differsFrom, layerMisfit, type Misfit, modelMisfit, ropeMisfit, uneven } from '../gguf-writing.ts';
import { GGUF_NAMES } from '../roles.ts';
import { allOfKind, type LayerSpec, type ModelSpec, UNSCALED } from '../spec.ts';
import { ggufCommon, ggufLayer, windowsFromGguf } from './gguf.ts';
import {
  huggingFaceCommon,
  readHeads,
  readLayerTypes,
  readRope,
  readRopesByType,
  readSilu,
  TRANSFORMER_NAMES,
} from './huggingface.ts';

/** Of OLMo 3's layers, every fourth has no window where files do not say. */
const PATTERN = 4;
const THETA = { olmo2: 10_000, olmo3: 500_000 };

const dense = (size: number): DenseSpec => ({
  kind: 'dense',
  gated: true,
  size,
  activation: 'silu',
  bias: false,
});

function fromHuggingFace(c: ConfigReader): ModelSpec {
  const type = c.text('model_type', ['olmo2', 'olmo3']);
  readSilu(c);
  const { heads, kvHeads, headSize } = readHeads(c);
  const bias = c.flag('attention_bias', false);
  const attention = (rope: RopeSpec, window: number | null): AttentionSpec => ({
    ...plainAttention(heads, kvHeads, headSize),
    rope,
    window,
    inputBias: bias,
    outputBias: bias,
    headNorms: 'whole',
  });
  const feedForward = dense(c.size('intermediate_size'));
  return {
    family: 'olmo',
    name: type,
    layers: mixers(c, type, headSize, attention).map((mixer) => ({
      mixers: [mixer],
      feedForward,
      norms: 'after',
    })),
    ...UNSCALED,
    normEpsilon: c.number('rms_norm_eps', 0, 1, 1e-5),
    ...huggingFaceCommon(c, { tiedHead: false, contextLength: 2048 }),
  };
}

function mixers(
  c: ConfigReader,
  type: 'olmo2' | 'olmo3',
  headSize: number,
  attention: (rope: RopeSpec, window: number | null) => AttentionSpec,
): AttentionSpec[] {
  const count = c.size('num_hidden_layers', undefined, 4096);
  if (type === 'olmo2') {
    const every = attention(readRope(c, headSize, THETA.olmo2), null);
    return Array.from({ length: count }, () => every);
  }
  const types =
    readLayerTypes(c, count, ['full_attention', 'sliding_attention']) ??
    Array.from({ length: count }, (_, i) =>
      (i + 1) % PATTERN ? ('sliding_attention' as const) : ('full_attention' as const),
    );
  const ropes = readRopesByType(c, headSize, {
    full_attention: ['rope_theta', THETA.olmo3],
    sliding_attention: ['rope_theta', THETA.olmo3],
  });
  const kinds = {
    full_attention: attention(ropes.full_attention, null),
    sliding_attention: attention(ropes.sliding_attention, c.size('sliding_window', 4096, 2 ** 31)),
  };
  return types.map((one) => kinds[one]);
}

function fromGguf(c: ConfigReader, arch: string, shapeOf: TensorShapes): ModelSpec {
  const count = c.size(`${arch}.block_count`, undefined, 4096);
  const slides = windowFromGguf(c, arch) === null ? null : windowsFromGguf(c, arch, count, PATTERN);
  const block = (index: number): LayerSpec => {
    const layer = ggufLayer(c, arch, shapeOf, index);
    const windowed = attentionFromGguf(layer);
    const theta = c.number(`${arch}.rope.freq_base_swa`, 1, 1e12, windowed.rope!.theta);
    const mixer = slides?.[index]
      ? { ...windowed, rope: { ...windowed.rope!, theta, scaling: null } }
      : { ...windowed, window: null };
    return { mixers: [mixer], feedForward: denseFromGguf(layer), norms: 'after' };
  };
  return {
    family: 'olmo',
    name: arch,
    hiddenSize: c.size(`${arch}.embedding_length`),
    layers: Array.from({ length: count }, (_, i) => block(i)),
    ...UNSCALED,
    normEpsilon: c.number(`${arch}.attention.layer_norm_rms_epsilon`, 0, 1),
    ...ggufCommon(c, arch, shapeOf),
  };
}

function misfit(spec: ModelSpec): Misfit {
  const attention = allOfKind(spec.layers, 'attention');
  const sizes = attention.map(({ rope, window, ...rest }) => rest);
  const feedForwards = spec.layers.map(({ feedForward }) => feedForward);
  return (
    modelMisfit(spec) ??
    layerMisfit(spec, (layer) => partsMisfit(layer, spec.hiddenSize), ['norms']) ??
    uneven(sizes, 'kinds of attention') ??
    uneven(feedForwards, 'feed-forwards') ??
    uneven(
      attention.filter(({ window }) => window === null),
      'rotary positions',
    ) ??
    uneven(
      attention.filter(({ window }) => window !== null),
      'windows or their positions',
    ) ??
    uneven(
      attention.map(({ rope }) => rope?.theta),
      'bases of rotary positions',
    )
  );
}

function partsMisfit({ mixers, feedForward, norms }: LayerSpec, hiddenSize: number): Misfit {
  const [mixer, ...more] = mixers;
  if (mixer?.kind !== 'attention' || !mixer.rope || more.length) return 'other than one rotary attention';
  if (norms !== 'after') return 'norms in other places than on the results';
  if (feedForward?.kind !== 'dense') return 'no dense feed-forward';
  const { heads, kvHeads, rope, window } = mixer;
  if (window !== null && rope.scaling) return 'stretched rotary positions beside a window';
  const plain: AttentionSpec = { ...plainAttention(heads, kvHeads, hiddenSize / heads), headNorms: 'whole' };
  return (
    ropeMisfit(mixer) ??
    differsFrom(mixer, plain, ['rope', 'window']) ??
    differsFrom(feedForward, dense(feedForward.size))
  );
}

/** A list says which layers have the window. */
function keys({ layers }: ModelSpec): Record<string, TypedMetadataValue> {
  const windows = allOfKind(layers, 'attention').map(({ window }) => window);
  const window = windows.find((one) => one !== null);
  if (!window) return {};
  return {
    'attention.sliding_window': u32(window),
    'attention.sliding_window_pattern': flagList(windows.map((one) => one !== null)),
  };
}

export const olmo: Family = {
  name: 'olmo',
  huggingFaceTypes: ['olmo2', 'olmo3'],
  fromHuggingFace,
  fromGguf,
  gguf: [
    {
      architecture: 'olmo2',
      names: GGUF_NAMES,
      write: {
        mixers: ['attention'],
        misfit,
        keys,
        limits: ({ tiedHead }) => (tiedHead ? ['a tied head, which llama.cpp does not load'] : []),
      },
    },
  ],
  huggingFaceNames: {
    ...TRANSFORMER_NAMES,
    postMixerNorm: ['model.layers.N.post_attention_layernorm.weight'],
    postFeedForwardNorm: ['model.layers.N.post_feedforward_layernorm.weight'],
  },
};
