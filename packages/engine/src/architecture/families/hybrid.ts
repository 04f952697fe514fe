// Any mix of Mamba, full and windowed attention, dense or routed feed-forwards, described layer by layer: what the lab
// trains when no published family can express it. config.json: `"model_type": "marimba"`, Jamba's size fields, and
//   layer_types         "mamba" | "full_attention" | "sliding_attention", one a layer (with `sliding_window`)
//   feed_forward_types  "dense" | "experts" | "none", one a layer (optional: all dense)
//   rope_theta          a number, or null for no positions (optional: null)
//   mamba_inner_norms   true (Jamba) or false (optional: true)
// Tensor names are Jamba's.
import type { ConfigReader } from '../config-reader.ts';
import type { Family } from '../family.ts';
import type { AttentionSpec, DenseSpec, ExpertsSpec, LayerSpec, MambaSpec, ModelSpec } from '../spec.ts';
import { jamba } from './jamba.ts';

/** A list with one of the allowed words for each layer. */
function words<T extends string>(c: ConfigReader, field: string, allowed: readonly T[], count?: number): T[] {
  const value = c.raw(field);
  if (!Array.isArray(value) || value.length === 0 || value.length > 4096)
    c.fail(field, 'a list with one entry a layer', value);
  if (count !== undefined && value.length !== count)
    c.fail(field, `${count} entries, one a layer`, `${value.length} entries`);
  return value.map(
    (v: unknown) => allowed.find((a) => a === v) ?? c.fail(field, `entries among ${allowed.join(', ')}`, v),
  );
}

function fromHuggingFace(c: ConfigReader): ModelSpec {
  const hiddenSize = c.size('hidden_size');
  const heads = c.size('num_attention_heads', 1);
  const kvHeads = c.size('num_key_value_heads', heads);
  if (heads % kvHeads) c.fail('num_key_value_heads', `a divisor of num_attention_heads ${heads}`, kvHeads);
  const headSize = c.size('head_dim', Math.floor(hiddenSize / heads), 4096);
  const normEpsilon = c.number('rms_norm_eps', 0, 1, 1e-6);
  const types = words(c, 'layer_types', ['mamba', 'full_attention', 'sliding_attention'] as const);
  const forwards = c.has('feed_forward_types')
    ? words(c, 'feed_forward_types', ['dense', 'experts', 'none'] as const, types.length)
    : types.map(() => 'dense' as const);
  const rotates = c.has('rope_theta');
  if (rotates && headSize % 2) c.fail('head_dim', 'an even number (RoPE rotates halves)', headSize);
  const attention = (window: number | null): AttentionSpec => ({
    kind: 'attention',
    heads,
    kvHeads,
    headSize,
    window,
    rope: rotates ? { theta: c.number('rope_theta', 1, 1e12), rotary: headSize, scaling: null } : null,
    inputBias: false,
    outputBias: false,
    headNorms: false,
  });
  const mamba = (): MambaSpec => ({
    kind: 'mamba',
    innerSize: c.size('mamba_expand', 2, 64) * hiddenSize,
    stateSize: c.size('mamba_d_state', 16, 4096),
    convWidth: c.size('mamba_d_conv', 4, 64),
    dtRank: c.size('mamba_dt_rank', Math.ceil(hiddenSize / 16)),
    convBias: c.flag('mamba_conv_bias', true),
    projectionBias: c.flag('mamba_proj_bias', false),
    innerNorms: c.flag('mamba_inner_norms', true) ? 'weighted' : 'none',
    innerNormEpsilon: normEpsilon,
  });
  const dense = (): DenseSpec => ({
    kind: 'dense',
    size: c.size('intermediate_size'),
    activation: 'silu',
    bias: false,
  });
  const experts = (): ExpertsSpec => {
    const count = c.size('num_experts', undefined, 4096);
    return {
      kind: 'experts',
      size: c.size('intermediate_size'),
      count,
      topK: c.size('num_experts_per_tok', 2, count),
      renormalize: false,
      activation: 'silu',
    };
  };
  const layers = types.map(
    (type, i): LayerSpec => ({
      mixer:
        type === 'mamba'
          ? mamba()
          : attention(type === 'sliding_attention' ? c.size('sliding_window', undefined, 2 ** 31) : null),
      feedForward: forwards[i] === 'dense' ? dense() : forwards[i] === 'experts' ? experts() : null,
    }),
  );
  const vocabularySize = c.size('vocab_size');
  return {
    family: 'marimba',
    name: 'marimba',
    vocabularySize,
    hiddenSize,
    normEpsilon,
    layers,
    embeddingScale: 1,
    tiedHead: c.flag('tie_word_embeddings', false),
    contextLength: c.size('max_position_embeddings', 262_144, 2 ** 31),
    beginToken: c.tokens('bos_token_id', vocabularySize)[0] ?? null,
    endTokens: c.tokens('eos_token_id', vocabularySize),
  };
}

export const hybrid: Family = {
  name: 'marimba',
  huggingFaceTypes: ['marimba'],
  ggufArchitectures: [],
  fromHuggingFace,
  fromGguf: (c) => c.fail('general.architecture', 'a family that GGUF files have', 'marimba'),
  ggufPermutedQk: [],
  huggingFaceNames: jamba.huggingFaceNames,
};
