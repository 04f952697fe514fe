// Gated DeltaNet (Yang et al. 2024, arXiv 2412.06464), the mixer of three in four layers of Qwen3-Next and
// Qwen 3.5: a linear attention whose state, decaying, is corrected towards each token's value at its key.
//
// Letters as in docs/glossary.md: q, k, v pass through a short convolution with SiLU; b is how much is
// written and dt how fast the state decays, both per value head; z gates the normed output. The order of
// tensors and names is that of Hugging Face's `linear_attn`.

import type { ConfigReader } from '../formats/config-reader.ts';
import { u32 } from '../formats/gguf-values.ts';
import { type DeltaSizes, deltaScan, deltaStateBytes } from '../plan/ops/delta.ts';
import { gatedActivation, linear, rmsNorm } from '../plan/ops/dense.ts';
import { causalConv, convStateBytes } from '../plan/ops/mamba.ts';
import { type GgufLayer, type Layer, matrix, vector } from './layer.ts';
import { initialStep } from './mamba.ts';

/** A linear attention with the gated delta rule. */
export interface DeltaNetSpec extends DeltaSizes {
  /** Tag of the union of layer kinds. */
  readonly kind: 'deltaNet';
  /** Taps of the causal convolution. */
  readonly convWidth: number;
}

export type DeltaNetRole =
  | 'deltaQkv'
  | 'deltaConv'
  | 'deltaZ'
  | 'deltaB'
  | 'deltaStep'
  | 'deltaStepBias'
  | 'deltaA'
  | 'deltaNorm'
  | 'deltaOut';

/** Of the lengths of q and k: what the published code adds to the sum of squares. */
const LENGTH_EPSILON = 1e-6;
/** -A starts uniform up to this (the authors' code). */
const MOST_DECAY = 16;

const keysOf = (d: DeltaSizes): number => d.keyHeads * d.keySize;
const valuesOf = (d: DeltaSizes): number => d.valueHeads * d.valueSize;

/** Channels of the convolution: queries, keys, values. */
export const deltaChannels = (d: DeltaSizes): number => 2 * keysOf(d) + valuesOf(d);

export const deltaNet: Layer<DeltaNetSpec, DeltaNetRole, 'conv' | 'delta'> = {
  letter: () => 'D',
  title: () => 'gated DeltaNet',

  tensors(d, hiddenSize) {
    const channels = deltaChannels(d);
    const values = valuesOf(d);
    const uniform = (random: () => number) => () => (2 * random() - 1) / Math.sqrt(d.convWidth);
    const decay = (random: () => number) => () => Math.log(MOST_DECAY * (1 - random()));
    return [
      matrix('deltaQkv', [channels, hiddenSize]),
      vector('deltaConv', [channels, d.convWidth], { order: 'transposed', initial: uniform }),
      matrix('deltaZ', [values, hiddenSize]),
      matrix('deltaB', [d.valueHeads, hiddenSize], { precision: 'f32' }),
      matrix('deltaStep', [d.valueHeads, hiddenSize], { precision: 'f32' }),
      vector('deltaStepBias', [d.valueHeads], { initial: initialStep }),
      vector('deltaA', [d.valueHeads], { order: 'channelBlocks', logOfNegative: true, initial: decay }),
      vector('deltaNorm', [d.valueSize], { initial: 'ones' }),
      matrix('deltaOut', [hiddenSize, values], { precision: 'moreBits', initial: 'residual' }),
    ];
  },

  state: (d) => ({
    recurrent: { conv: convStateBytes(deltaChannels(d), d.convWidth), delta: deltaStateBytes(d) },
  }),

  record({ plan: p, weight, state, normEpsilon }, d, input, addTo) {
    const projected = linear(p, input, weight('deltaQkv')); // [T, keys | keys | values]
    const conv = { weight: weight('deltaConv'), bias: null, stateOffset: state('conv') };
    const qkv = causalConv(p, projected, conv); // [T, keys | keys | values]
    const z = linear(p, input, weight('deltaZ')); // [T, values]
    const y = deltaScan(p, {
      ...d,
      qkv,
      b: linear(p, input, weight('deltaB')), // [T, valueHeads]
      dt: linear(p, input, weight('deltaStep')), // [T, valueHeads]; the scan adds its bias
      dtBias: weight('deltaStepBias'),
      a: weight('deltaA'),
      epsilon: LENGTH_EPSILON,
      stateOffset: state('delta'),
    }); // [T, values]
    const normed = rmsNorm(p, y, weight('deltaNorm'), normEpsilon, { groups: d.valueHeads, into: y });
    return linear(p, gatedActivation(p, z, normed, 'silu'), weight('deltaOut'), { addTo });
  },

  ggufNames: {
    deltaQkv: ['blk.N.attn_qkv.weight'],
    deltaConv: ['blk.N.ssm_conv1d.weight'],
    deltaZ: ['blk.N.attn_gate.weight'],
    deltaB: ['blk.N.ssm_beta.weight'],
    deltaStep: ['blk.N.ssm_alpha.weight'],
    deltaStepBias: ['blk.N.ssm_dt.bias'],
    deltaA: ['blk.N.ssm_a'],
    deltaNorm: ['blk.N.ssm_norm.weight'],
    deltaOut: ['blk.N.ssm_out.weight'],
  },

  ownNames: {
    deltaQkv: ['model.layers.N.linear_attn.in_proj_qkv.weight'],
    deltaConv: ['model.layers.N.linear_attn.conv1d.weight'],
    deltaZ: ['model.layers.N.linear_attn.in_proj_z.weight'],
    deltaB: ['model.layers.N.linear_attn.in_proj_b.weight'],
    deltaStep: ['model.layers.N.linear_attn.in_proj_a.weight'],
    deltaStepBias: ['model.layers.N.linear_attn.dt_bias'],
    deltaA: ['model.layers.N.linear_attn.A_log'],
    deltaNorm: ['model.layers.N.linear_attn.norm.weight'],
    deltaOut: ['model.layers.N.linear_attn.out_proj.weight'],
  },

  ggufKeys: (d) => ({
    'ssm.conv_kernel': u32(d.convWidth),
    'ssm.inner_size': u32(valuesOf(d)),
    'ssm.state_size': u32(d.keySize),
    'ssm.time_step_rank': u32(d.valueHeads),
    'ssm.group_count': u32(d.keyHeads),
  }),

  ownWords: { D: 'linear_attention' },

  fromOwn(c): DeltaNetSpec {
    const heads = c.size('num_attention_heads', 1);
    return deltaNetFrom(c, { heads, headSize: Math.max(1, Math.floor(c.size('hidden_size') / heads)) });
  },
};

/** The size fields of config.json, which this project's own form shares; `usual` where it leaves them out. */
export function deltaNetFrom(
  c: ConfigReader,
  usual?: { readonly heads: number; readonly headSize: number },
): DeltaNetSpec {
  const keyHeads = c.size('linear_num_key_heads', usual?.heads, 4096);
  const valueHeads = c.size('linear_num_value_heads', usual?.heads, 4096);
  if (valueHeads % keyHeads)
    c.fail('linear_num_value_heads', `a multiple of linear_num_key_heads ${keyHeads}`, valueHeads);
  return {
    kind: 'deltaNet',
    keyHeads,
    valueHeads,
    keySize: c.size('linear_key_head_dim', usual?.headSize, 4096),
    valueSize: c.size('linear_value_head_dim', usual?.headSize, 4096),
    tiled: false,
    convWidth: c.size('linear_conv_kernel_dim', 4, 64),
  };
}

/** A layer's sizes in GGUF metadata. */
export function deltaNetFromGguf({ config: c, architecture }: GgufLayer, tiled: boolean): DeltaNetSpec {
  const key = (name: string) => `${architecture}.ssm.${name}`;
  const keyHeads = c.size(key('group_count'), undefined, 4096);
  const valueHeads = c.size(key('time_step_rank'), undefined, 4096);
  if (valueHeads % keyHeads)
    c.fail(key('time_step_rank'), `a multiple of group_count ${keyHeads}`, valueHeads);
  const values = c.size(key('inner_size'));
  if (values % valueHeads) c.fail(key('inner_size'), `a multiple of time_step_rank ${valueHeads}`, values);
  return {
    kind: 'deltaNet',
    keyHeads,
    valueHeads,
    keySize: c.size(key('state_size'), undefined, 4096),
    valueSize: values / valueHeads,
    // One value head per key head is the same in both orders.
    tiled: tiled && valueHeads > keyHeads,
    convWidth: c.size(key('conv_kernel'), undefined, 64),
  };
}
