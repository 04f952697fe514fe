// The gated short convolution of LFM2 (Liquid AI 2025: arXiv 2511.23404, section 2.1). With [B | C | x] a product of
// the input,
//
//   u = B ⊙ x,   v = a causal depthwise convolution of u,   y = C ⊙ v
//
// There is no activation. What a session carries is the last width - 1 rows of u.
import { u32 } from '../formats/gguf-values.ts';
import { gatedActivation, linear } from '../plan/ops/dense.ts';
import { causalConv, convStateBytes } from '../plan/ops/mamba.ts';
import { type GgufLayer, type Layer, matrix, vector } from './layer.ts';

/** A gated short convolution, as wide as the hidden size. */
export interface ShortConvSpec {
  /** Tag of the union of layer kinds. */
  readonly kind: 'shortConv';
  /** Channels: the hidden size. */
  readonly size: number;
  /** Taps of the causal convolution (`conv_L_cache`). */
  readonly width: number;
  /** Biases on both projections and on the convolution. */
  readonly bias: boolean;
}

export type ShortConvRole =
  | 'shortConvIn'
  | 'shortConvInBias'
  | 'shortConvWeight'
  | 'shortConvBias'
  | 'shortConvOut'
  | 'shortConvOutBias';

export const shortConv: Layer<ShortConvSpec, ShortConvRole, 'inputs'> = {
  letter: () => 'C',
  title: () => 'short convolution',

  tensors: ({ size, width, bias }, hiddenSize) => [
    matrix('shortConvIn', [3 * size, hiddenSize]),
    vector('shortConvWeight', [size, width], {
      order: 'transposed',
      initial: (random) => () => (2 * random() - 1) / Math.sqrt(width),
    }),
    matrix('shortConvOut', [hiddenSize, size], { initial: 'residual' }),
    ...(bias
      ? [
          vector('shortConvInBias', [3 * size]),
          vector('shortConvBias', [size]),
          vector('shortConvOutBias', [hiddenSize]),
        ]
      : []),
  ],

  state: ({ size, width }) => ({ recurrent: { inputs: convStateBytes(size, width) } }),

  record({ plan: p, weight, find, state }, { size }, input, addTo) {
    const bcx = linear(p, input, weight('shortConvIn'), { bias: find('shortConvInBias') }); // [T, 3 size]
    const b = p.slice(bcx, 0, size);
    const c = p.slice(bcx, size, size);
    const x = p.slice(bcx, 2 * size, size);
    const u = gatedActivation(p, b, x, 'none'); // [T, size]
    const v = causalConv(p, u, {
      weight: weight('shortConvWeight'),
      bias: find('shortConvBias'),
      activation: 'none',
      stateOffset: state('inputs'),
    }); // [T, size]
    const y = gatedActivation(p, v, c, 'none'); // [T, size]
    return linear(p, y, weight('shortConvOut'), { bias: find('shortConvOutBias'), addTo });
  },

  ggufNames: {
    shortConvIn: ['blk.N.shortconv.in_proj.weight'],
    shortConvWeight: ['blk.N.shortconv.conv.weight'],
    shortConvOut: ['blk.N.shortconv.out_proj.weight'],
  },

  ownNames: {
    shortConvIn: ['model.layers.N.conv.in_proj.weight'],
    shortConvInBias: ['model.layers.N.conv.in_proj.bias'],
    shortConvWeight: ['model.layers.N.conv.conv.weight'],
    shortConvBias: ['model.layers.N.conv.conv.bias'],
    shortConvOut: ['model.layers.N.conv.out_proj.weight'],
    shortConvOutBias: ['model.layers.N.conv.out_proj.bias'],
  },

  ggufKeys: ({ width }) => ({ 'shortconv.l_cache': u32(width) }),

  ownWords: { C: 'conv' },

  fromOwn: (c): ShortConvSpec => ({
    kind: 'shortConv',
    size: c.size('hidden_size'),
    width: c.size('conv_L_cache', 3, 64),
    bias: c.flag('conv_bias', false),
  }),
};

export const shortConvFromGguf = ({ config: c, architecture: arch }: GgufLayer): ShortConvSpec => ({
  kind: 'shortConv',
  size: c.size(`${arch}.embedding_length`),
  width: c.size(`${arch}.shortconv.l_cache`, undefined, 64),
  bias: false,
});
