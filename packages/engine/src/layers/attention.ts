// Grouped-query attention (Vaswani et al. 2017; Ainslie et al. 2023) over all positions or a window of them,
// with or without rotary positions. Qwen 3 and Gemma 3 add an RMS norm on every head of q and k.

import type { ConfigReader } from '../formats/config-reader.ts';
import type { TypedMetadataValue } from '../formats/gguf-values.ts';
import { f32, text, u32 } from '../formats/gguf-values.ts';
import { attend, rope } from '../plan/ops/attention.ts';
import { gatedActivation, linear, rmsNorm } from '../plan/ops/dense.ts';
import { attendWhole } from '../plan/ops/encoder.ts';
import { type DerivedVector, type GgufLayer, type Layer, type LayerTensor, matrix, vector } from './layer.ts';
import {
  type RopeScaling,
  type RopeSpec,
  ropeAttentionScale,
  ropeInverseFrequencies,
  yarnAttentionFactor,
} from './rope.ts';

/** Attention over all earlier tokens, or over a window of them. */
export interface AttentionSpec {
  /** Tag of the union of layer kinds. */
  readonly kind: 'attention';
  /** Query heads. */
  readonly heads: number;
  /** Key and value heads; `heads / kvHeads` query heads share each (grouped-query attention). */
  readonly kvHeads: number;
  /** Channels per head. */
  readonly headSize: number;
  /** Each token sees the last `window` positions, itself included; null: all. */
  readonly window: number | null;
  /** Rotary position embedding; null for none (Jamba has no positions). */
  readonly rope: RopeSpec | null;
  /** Biases on q, k and v; on the output projection. */
  readonly inputBias: boolean;
  /** A bias on the output projection. */
  readonly outputBias: boolean;
  /**
   * RMS norms of q and k before RoPE: on every head alone with one weight for all (Qwen 3, Gemma 3), or over
   * all heads at once (OLMo 2).
   */
  readonly headNorms: 'none' | 'perHead' | 'whole';
  /** The heads' results are multiplied by the sigmoid of a projection of their own (Qwen 3.5). */
  readonly outputGate: boolean;
  /** Multiplies the scores before the softmax; 1 / sqrt(headSize) in most models. */
  readonly scale: number;
  /**
   * Tokens see those behind them too: all, or with a window of w as many to either side, (w − 1) / 2. Such a
   * layer keeps nothing, and reads whole texts.
   */
  readonly bidirectional?: true;
  /** A learnt score of each head that takes its share of the softmax and has no value (gpt-oss). */
  readonly sinks: boolean;
}

/** Attention over all positions, with neither rotary positions nor biases nor norms. */
export const plainAttention = (heads: number, kvHeads: number, headSize: number): AttentionSpec => ({
  kind: 'attention',
  heads,
  kvHeads,
  headSize,
  window: null,
  rope: null,
  inputBias: false,
  outputBias: false,
  headNorms: 'none',
  outputGate: false,
  scale: 1 / Math.sqrt(headSize),
  sinks: false,
});

export type AttentionRole =
  | 'q'
  | 'k'
  | 'v'
  | 'o'
  | 'qBias'
  | 'kBias'
  | 'vBias'
  | 'oBias'
  | 'qNorm'
  | 'kNorm'
  | 'attentionGate'
  | 'sinks'
  | 'ropeFactors';

export const attention: Layer<AttentionSpec, AttentionRole, never> = {
  letter: (a) => (a.window === null ? 'A' : 'W'),
  title: (a) =>
    `${a.bidirectional ? 'bidirectional ' : ''}${a.window === null ? 'attention' : 'windowed attention'}`,

  tensors(a, hiddenSize) {
    const queries = a.heads * a.headSize;
    const keys = a.kvHeads * a.headSize;
    // Converters put rows in pairs whether or not they rotate.
    const rotates = a.headSize % 2 ? {} : { rotaryHead: a.headSize };
    return [
      matrix('q', [queries, hiddenSize], rotates),
      matrix('k', [keys, hiddenSize], rotates),
      matrix('v', [keys, hiddenSize], { precision: 'moreBits' }),
      matrix('o', [hiddenSize, queries], { precision: 'moreBitsInNarrowMixes', initial: 'residual' }),
      ...(a.inputBias
        ? [vector('qBias', [queries], rotates), vector('kBias', [keys], rotates), vector('vBias', [keys])]
        : []),
      ...(a.outputBias ? [vector('oBias', [hiddenSize])] : []),
      ...headNorms(a),
      ...(a.outputGate ? [matrix('attentionGate', [queries, hiddenSize])] : []),
      ...(a.sinks ? [vector('sinks', [a.heads])] : []),
      ...(a.rope?.scaling?.kind === 'tensor' ? [vector('ropeFactors', [a.rope.rotary / 2])] : []),
    ];
  },

  /** RoPE's inverse frequencies take the place of the file's divisors. */
  derived({ rope }): DerivedVector<AttentionRole>[] {
    if (!rope) return [];
    const values = (factors: Float32Array | null) => ropeInverseFrequencies(rope, factors);
    return [{ role: 'ropeFactors', columns: rope.rotary / 2, values }];
  },

  state: ({ window, kvHeads, headSize, bidirectional }) =>
    bidirectional ? {} : { cache: { window, kvHeads, headSize } },

  record({ plan: p, weight, find, cache, normEpsilon, normOffset: offset }, a, input, addTo) {
    const { heads, kvHeads, headSize, window, scale } = a;
    let q = linear(p, input, weight('q'), { bias: find('qBias') }); // [T, heads * headSize]
    let k = linear(p, input, weight('k'), { bias: find('kBias') }); // [T, kvHeads * headSize]
    const v = linear(p, input, weight('v'), { bias: find('vBias') }); // [T, kvHeads * headSize]
    if (a.headNorms !== 'none') {
      const whole = a.headNorms === 'whole';
      q = rmsNorm(p, q, weight('qNorm'), normEpsilon, { groups: whole ? 1 : heads, offset, into: q });
      k = rmsNorm(p, k, weight('kNorm'), normEpsilon, { groups: whole ? 1 : kvHeads, offset, into: k });
    }
    if (a.rope) {
      const inverseFrequencies = weight('ropeFactors').address;
      const attentionScale = ropeAttentionScale(a.rope);
      const rotation = { headSize, rotary: a.rope.rotary, inverseFrequencies, attentionScale };
      q = rope(p, q, { heads, ...rotation });
      k = rope(p, k, { heads: kvHeads, ...rotation });
    }
    // [T, heads * headSize]
    const sizes = { heads, kvHeads, headSize, window, scale };
    const y = a.bidirectional
      ? attendWhole(p, q, k, v, sizes)
      : attend(p, q, k, v, { ...sizes, sinks: find('sinks'), cache: cache() });
    const gate = a.outputGate ? linear(p, input, weight('attentionGate')) : null; // [T, heads * headSize]
    const gated = gate ? gatedActivation(p, gate, y, 'sigmoid') : y;
    return linear(p, gated, weight('o'), { bias: find('oBias'), addTo });
  },

  ggufNames: {
    q: ['blk.N.attn_q.weight'],
    k: ['blk.N.attn_k.weight'],
    v: ['blk.N.attn_v.weight'],
    o: ['blk.N.attn_output.weight'],
    qBias: ['blk.N.attn_q.bias'],
    kBias: ['blk.N.attn_k.bias'],
    vBias: ['blk.N.attn_v.bias'],
    oBias: ['blk.N.attn_output.bias'],
    qNorm: ['blk.N.attn_q_norm.weight'],
    kNorm: ['blk.N.attn_k_norm.weight'],
    sinks: ['blk.N.attn_sinks.weight'],
    ropeFactors: ['rope_freqs.weight'],
  },

  ownNames: {
    q: ['model.layers.N.self_attn.q_proj.weight'],
    k: ['model.layers.N.self_attn.k_proj.weight'],
    v: ['model.layers.N.self_attn.v_proj.weight'],
    o: ['model.layers.N.self_attn.o_proj.weight'],
    qBias: ['model.layers.N.self_attn.q_proj.bias'],
    kBias: ['model.layers.N.self_attn.k_proj.bias'],
    vBias: ['model.layers.N.self_attn.v_proj.bias'],
    oBias: ['model.layers.N.self_attn.o_proj.bias'],
    qNorm: ['model.layers.N.self_attn.q_norm.weight'],
    kNorm: ['model.layers.N.self_attn.k_norm.weight'],
    attentionGate: ['model.layers.N.self_attn.gate_proj.weight'],
    sinks: ['model.layers.N.self_attn.sinks'],
    ropeFactors: [],
  },

  /** Head sizes are always said, though llama.cpp's converter leaves out hidden size / heads. */
  ggufKeys: ({ heads, kvHeads, headSize, window, rope }) => ({
    'attention.head_count': u32(heads),
    'attention.head_count_kv': u32(kvHeads),
    'attention.key_length': u32(headSize),
    'attention.value_length': u32(headSize),
    ...(window === null ? {} : { 'attention.sliding_window': u32(window) }),
    ...(rope ? ropeKeys(rope) : {}),
  }),

  ownWords: { A: 'full_attention', W: 'sliding_attention' },

  fromOwn(c, word): AttentionSpec {
    const hiddenSize = c.size('hidden_size');
    const heads = c.size('num_attention_heads', 1);
    const kvHeads = c.size('num_key_value_heads', heads);
    if (heads % kvHeads) c.fail('num_key_value_heads', `a divisor of num_attention_heads ${heads}`, kvHeads);
    const headSize = c.size('head_dim', Math.floor(hiddenSize / heads), 4096);
    const rotates = c.has('rope_theta');
    if (rotates && headSize % 2) c.fail('head_dim', 'an even number (RoPE rotates halves)', headSize);
    return {
      ...plainAttention(heads, kvHeads, headSize),
      window: word === 'sliding_attention' ? c.size('sliding_window', undefined, 2 ** 31) : null,
      rope: rotates ? { theta: c.number('rope_theta', 1, 1e12), rotary: headSize, scaling: null } : null,
    };
  },
};

function headNorms(a: AttentionSpec): LayerTensor<AttentionRole>[] {
  if (a.headNorms === 'none') return [];
  const norm = (role: AttentionRole, heads: number) =>
    vector(role, [a.headNorms === 'whole' ? heads * a.headSize : a.headSize], {
      offsetNorm: true,
      initial: 'ones',
    });
  return [norm('qNorm', a.heads), norm('kNorm', a.kvHeads)];
}

function ropeKeys({ theta, rotary, scaling }: RopeSpec): Record<string, TypedMetadataValue> {
  const keys = { 'rope.freq_base': f32(theta), 'rope.dimension_count': u32(rotary) };
  if (scaling?.kind !== 'linear' && scaling?.kind !== 'yarn') return keys;
  const stretched = {
    ...keys,
    'rope.scaling.type': text(scaling.kind),
    'rope.scaling.factor': f32(scaling.factor),
  };
  if (scaling.kind === 'linear') return stretched;
  return {
    ...stretched,
    'rope.scaling.original_context_length': u32(scaling.originalContextLength),
    'rope.scaling.yarn_beta_fast': f32(scaling.betaFast),
    'rope.scaling.yarn_beta_slow': f32(scaling.betaSlow),
  };
}

/** 0 means none, as a file without the key does. */
export function windowFromGguf(c: ConfigReader, arch: string): number | null {
  const field = `${arch}.attention.sliding_window`;
  return c.has(field) ? c.integer(field, 0, 2 ** 31) || null : null;
}

/**
 * Attention of one layer, with rotary positions, in GGUF metadata; biases and norms as the file has tensors
 * for them.
 */
export function attentionFromGguf({
  config: c,
  architecture: arch,
  shapeOf,
  index,
}: GgufLayer): AttentionSpec {
  const hiddenSize = c.size(`${arch}.embedding_length`);
  // Converters of hybrids write lists also where every layer attends (Granite 4.0 without Mamba-2).
  const layers = c.size(`${arch}.block_count`, undefined, 4096);
  const heads = c.layerSize(`${arch}.attention.head_count`, index, layers);
  const kvHeads = c.layerSize(`${arch}.attention.head_count_kv`, index, layers, heads);
  if (heads % kvHeads) c.fail(`${arch}.attention.head_count_kv`, `a divisor of head_count ${heads}`, kvHeads);
  const headSize = c.size(`${arch}.attention.key_length`, Math.floor(hiddenSize / heads), 4096);
  const rotary = c.size(`${arch}.rope.dimension_count`, headSize, headSize);
  if (rotary % 2) c.fail(`${arch}.rope.dimension_count`, 'an even number', rotary);
  const [normed] = shapeOf('attn_q_norm.weight') ?? [];
  return {
    kind: 'attention',
    heads,
    kvHeads,
    headSize,
    window: windowFromGguf(c, arch),
    rope: {
      theta: c.number(`${arch}.rope.freq_base`, 1, 1e12, 10_000),
      rotary,
      scaling: ropeScaling(),
    },
    inputBias: shapeOf('attn_q.bias') !== undefined,
    outputBias: shapeOf('attn_output.bias') !== undefined,
    headNorms: normed === undefined ? 'none' : normed > headSize ? 'whole' : 'perHead',
    outputGate: false,
    scale: 1 / Math.sqrt(headSize),
    sinks: shapeOf('attn_sinks.weight') !== undefined,
  };

  /** A factor without a type is linear, under its older name too; both as llama.cpp reads them. */
  function ropeScaling(): RopeScaling | null {
    const key = (name: string) => `${arch}.rope.scaling.${name}`;
    const older = `${arch}.rope.scale_linear`;
    const field = [key('factor'), older].find((name) => c.has(name) && c.raw(name) !== 0);
    const type = c.text(key('type'), ['none', 'linear', 'yarn'], field === undefined ? 'none' : 'linear');
    if (field === undefined && type === 'yarn')
      return c.fail(key('factor'), `a number, as rope.scaling.type ${type} needs it`, c.raw(key('factor')));
    const factor = field === undefined || type === 'none' ? 1 : c.number(field, 1e-3, 1e6);
    if (type !== 'yarn' && factor === 1) return shapeOf('rope_freqs.weight') ? { kind: 'tensor' } : null;
    if (shapeOf('rope_freqs.weight')) c.fail(key('type'), 'none beside a tensor rope_freqs.weight', type);
    if (type === 'linear') return { kind: 'linear', factor };
    c.refuse({ [key('yarn_ext_factor')]: [1], [key('yarn_log_multiplier')]: [0], [key('attn_factor')]: [1] });
    return {
      kind: 'yarn',
      factor,
      originalContextLength: c.size(key('original_context_length'), undefined, 2 ** 31),
      betaFast: c.number(key('yarn_beta_fast'), 1e-3, 1e6, 32),
      betaSlow: c.number(key('yarn_beta_slow'), 1e-3, 1e6, 1),
      truncate: true,
      // Also where the file says another: llama.cpp computes it from the factor.
      attentionFactor: yarnAttentionFactor(factor),
    };
  }
}
