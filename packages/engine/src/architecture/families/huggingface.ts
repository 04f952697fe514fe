// What many families read the same way from config.json.
import type { ConfigReader } from '../../formats/config-reader.ts';
import { type RopeScaling, type RopeSpec, yarnAttentionFactor } from '../../layers/rope.ts';
import type { TensorNames } from '../roles.ts';

const LAYER = 'model.layers.N.';

/** Words of `layer_types` in transformers with windows. */
export type AttentionType = 'full_attention' | 'sliding_attention';

/** Sizes and tokens of the model; `otherwise` holds for fields that a file leaves out. */
export function huggingFaceCommon(
  c: ConfigReader,
  otherwise: { readonly tiedHead: boolean; readonly contextLength: number },
) {
  const vocabularySize = c.size('vocab_size');
  return {
    vocabularySize,
    hiddenSize: c.size('hidden_size'),
    tiedHead: c.flag('tie_word_embeddings', otherwise.tiedHead),
    contextLength: c.size('max_position_embeddings', otherwise.contextLength, 2 ** 31),
    beginToken: c.tokens('bos_token_id', vocabularySize)[0] ?? null,
    endTokens: c.tokens('eos_token_id', vocabularySize),
  };
}

/** `hidden_act` of models that gate with SiLU, by either of its names. */
export function readSilu(c: ConfigReader): 'silu' {
  c.text('hidden_act', ['silu', 'swish'], 'silu');
  return 'silu';
}

/** What classes take that do not follow Llama's: as many key heads as heads, which share the hidden size. */
interface HeadDefaults {
  readonly kvHeads?: number;
  readonly headSize?: number;
}

/**
 * Numbers of heads, and their size where it does not follow from the hidden size. `otherwise` is what the class
 * of the family takes where a file has no such field; null in a file means one key head for each head.
 */
export function readHeads(c: ConfigReader, otherwise: HeadDefaults = {}) {
  const hiddenSize = c.size('hidden_size');
  const heads = c.size('num_attention_heads');
  const missing = c.raw('num_key_value_heads') === undefined ? (otherwise.kvHeads ?? heads) : heads;
  const kvHeads = c.size('num_key_value_heads', missing);
  if (heads % kvHeads) c.fail('num_key_value_heads', `a divisor of num_attention_heads ${heads}`, kvHeads);
  const own = c.raw('head_dim') === undefined ? otherwise.headSize : undefined;
  if (!c.has('head_dim') && !own && hiddenSize % heads)
    c.fail('num_attention_heads', `a divisor of hidden_size ${hiddenSize}`, heads);
  return { heads, kvHeads, headSize: c.size('head_dim', own ?? Math.floor(hiddenSize / heads), 4096) };
}

/**
 * Where a file says its rotary positions: `rope_scaling` where it says anything, else `rope_parameters`; null
 * for neither. This is the order of transformers' RotaryEmbeddingConfigMixin.
 */
export function ropeParameters(c: ConfigReader): ConfigReader | null {
  const says = (field: string) => c.object(field) !== null && Object.keys(c.raw(field) as object).length > 0;
  const [older, own] = [says('rope_scaling'), says('rope_parameters')];
  return older ? c.object('rope_scaling') : own ? c.object('rope_parameters') : null;
}

/** The base of rotary positions: among their parameters, or where those do not say beside them. */
export function readTheta(c: ConfigReader, otherwise: number): number {
  const parameters = ropeParameters(c);
  return (parameters?.has('rope_theta') ? parameters : c).number('rope_theta', 1, 1e12, otherwise);
}

/** The share of each head that rotates, in the same places. */
export function readPartialFactor(c: ConfigReader, otherwise: number): number {
  // Files that say it in both places mean the inner one, and a wrong one beside it is refused.
  const own = c.number('partial_rotary_factor', 0, 1, otherwise);
  const parameters = ropeParameters(c);
  return parameters?.has('partial_rotary_factor') ? parameters.number('partial_rotary_factor', 0, 1) : own;
}

/** Rotary positions of whole heads: `rope_theta` and `rope_scaling`, or both in one `rope_parameters`. */
export function readRope(c: ConfigReader, headSize: number, theta = 10_000): RopeSpec {
  if (headSize % 2) c.fail('head_dim', 'an even number (RoPE rotates halves)', headSize);
  return { theta: readTheta(c, theta), rotary: headSize, scaling: readRopeScaling(ropeParameters(c), c) };
}

/**
 * Refuses kinds of scaling that are not understood, by name. Parameters of no kind and without a factor scale
 * nothing.
 */
export function readRopeScaling(scaling: ConfigReader | null, c: ConfigReader): RopeScaling | null {
  if (!scaling) return null;
  const field = scaling.has('rope_type') ? 'rope_type' : 'type';
  if (!scaling.has(field) && !scaling.has('factor')) return null;
  const kind = scaling.text(field, ['default', 'linear', 'llama3', 'yarn']);
  if (kind === 'default') return null;
  if (kind === 'yarn') return readYarn(scaling, c);
  const factor = scaling.number('factor', 1e-3, 1e6);
  if (kind === 'linear') return { kind, factor };
  return {
    kind,
    factor,
    lowFrequencyFactor: scaling.number('low_freq_factor', 1e-3, 1e6),
    highFrequencyFactor: scaling.number('high_freq_factor', 1e-3, 1e6),
    originalContextLength: originalContext(scaling, c),
  };
}

/** Beside the parameters, among them, or else the context length, as transformers looks for it. */
function originalContext(scaling: ConfigReader, c: ConfigReader): number {
  const field = 'original_max_position_embeddings';
  const place = c.has(field) ? c : scaling;
  if (!place.has(field) && c.has('max_position_embeddings'))
    return c.size('max_position_embeddings', undefined, 2 ** 31);
  return place.size(field, undefined, 2 ** 31);
}

function readYarn(scaling: ConfigReader, c: ConfigReader): RopeScaling {
  const originalContextLength = originalContext(scaling, c);
  const grown = c.has('max_position_embeddings') ? c.size('max_position_embeddings', undefined, 2 ** 31) : 0;
  const factor = scaling.number('factor', 1e-3, 1e6, grown ? grown / originalContextLength : undefined);
  // DeepSeek's two weights of the attention factor count where both are there.
  const weight = (field: string) => scaling.number(field, 0, 1e3, 0);
  const [above, below] = [weight('mscale'), weight('mscale_all_dim')];
  const own =
    above && below
      ? yarnAttentionFactor(factor, above) / yarnAttentionFactor(factor, below)
      : yarnAttentionFactor(factor);
  return {
    kind: 'yarn',
    factor,
    originalContextLength,
    betaFast: scaling.number('beta_fast', 0, 1e6, 32) || 32,
    betaSlow: scaling.number('beta_slow', 0, 1e6, 1) || 1,
    truncate: scaling.flag('truncate', true),
    attentionFactor: scaling.number('attention_factor', 1e-3, 1e6, own),
  };
}

/** One entry of `layer_types` for each layer; null where the file has no list. */
export function readLayerTypes<T extends string>(
  c: ConfigReader,
  count: number,
  known: readonly T[],
): T[] | null {
  const types = c.raw('layer_types');
  if (types === undefined || types === null) return null;
  if (!Array.isArray(types) || types.length !== count)
    c.fail('layer_types', `a list of ${count} entries, one per layer`, types);
  return types.map((type: unknown) => {
    const found = known.find((one) => one === type);
    if (found === undefined) c.fail('layer_types', `entries among ${known.join(', ')}`, type);
    return found;
  });
}

/**
 * `rope_parameters` by type of layer. Before transformers 5, each type's base had a field of its own, and
 * `rope_scaling` stretched the layers that see all positions. `known`: those fields, and bases where a file is
 * silent.
 */
export function readRopesByType(
  c: ConfigReader,
  rotary: number,
  known: Readonly<Record<AttentionType, readonly [field: string, theta: number]>>,
): Record<AttentionType, RopeSpec> {
  if (rotary % 2) c.fail('head_dim', 'an even number (RoPE rotates halves)', rotary);
  const parameters = c.object('rope_parameters');
  if (parameters && !parameters.has('full_attention') && !parameters.has('sliding_attention'))
    c.fail('rope_parameters', 'one entry for each type of layer', c.raw('rope_parameters'));
  const scaled = Object.keys((c.object('rope_scaling') && c.raw('rope_scaling')) ?? {}).length > 0;
  const read = (type: AttentionType, scaling: ConfigReader | null): RopeSpec => {
    const [field, theta] = known[type];
    const own = parameters?.object(type) ?? null;
    own?.refuse({ partial_rotary_factor: [1] });
    const places = [scaling, own].find((place) => place?.has('rope_theta'));
    return {
      theta: places ? places.number('rope_theta', 1, 1e12) : c.number(field, 1, 1e12, theta),
      rotary,
      scaling: readRopeScaling(scaling ?? own, c),
    };
  };
  return {
    full_attention: read('full_attention', scaled ? c.object('rope_scaling') : null),
    sliding_attention: read('sliding_attention', null),
  };
}

/** What transformers of the Llama kind call their weights, norms around their parts apart. */
export const TRANSFORMER_NAMES = {
  embedding: ['model.embed_tokens.weight'],
  finalNorm: ['model.norm.weight'],
  head: ['lm_head.weight'],
  q: [`${LAYER}self_attn.q_proj.weight`],
  k: [`${LAYER}self_attn.k_proj.weight`],
  v: [`${LAYER}self_attn.v_proj.weight`],
  o: [`${LAYER}self_attn.o_proj.weight`],
  qBias: [`${LAYER}self_attn.q_proj.bias`],
  kBias: [`${LAYER}self_attn.k_proj.bias`],
  vBias: [`${LAYER}self_attn.v_proj.bias`],
  oBias: [`${LAYER}self_attn.o_proj.bias`],
  qNorm: [`${LAYER}self_attn.q_norm.weight`],
  kNorm: [`${LAYER}self_attn.k_norm.weight`],
  sinks: [`${LAYER}self_attn.sinks`],
  gate: [`${LAYER}mlp.gate_proj.weight`],
  up: [`${LAYER}mlp.up_proj.weight`],
  down: [`${LAYER}mlp.down_proj.weight`],
  gateBias: [`${LAYER}mlp.gate_proj.bias`],
  upBias: [`${LAYER}mlp.up_proj.bias`],
  downBias: [`${LAYER}mlp.down_proj.bias`],
} as const satisfies TensorNames;
