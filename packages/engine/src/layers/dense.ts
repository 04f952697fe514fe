// The gated feed-forward (Shazeer 2020): down(activation(gate x) * up x); without a gate its values gate
// themselves, which with ReLU is the squared ReLU (So et al. 2021): down(relu(up x)^2).

import type { ConfigReader } from '../formats/config-reader.ts';
import { u32 } from '../formats/gguf-values.ts';
import type { Activation } from '../plan/activation.ts';
import { gatedActivation, linear } from '../plan/ops/dense.ts';
import { activate } from '../plan/ops/encoder.ts';
import { type GgufLayer, type Layer, matrix, vector } from './layer.ts';

/**
 * A feed-forward: `down(activation(gate(x)) * up(x))` (SwiGLU where the activation is SiLU), or ungated
 * `down(activation(up(x)) * up(x))` (the squared ReLU where it is ReLU).
 */
export interface DenseSpec {
  /** Tag of the union of layer kinds. */
  readonly kind: 'dense';
  /** Inner size: rows of the gate and up matrices. */
  readonly size: number;
  /** Has a gate matrix. */
  readonly gated: boolean;
  /** Applied to the gate, or to the values themselves where there is none. */
  readonly activation: Activation;
  /** Biases on all matrices. */
  readonly bias: boolean;
  /** Without a gate, values pass through the activation alone: `down(activation(up(x)))` (BERT). */
  readonly plain?: true;
}

/** SwiGLU without biases. */
export const plainDense = (size: number): DenseSpec => ({
  kind: 'dense',
  size,
  gated: true,
  activation: 'silu',
  bias: false,
});

export type DenseRole = 'gate' | 'up' | 'down' | 'gateBias' | 'upBias' | 'downBias';

export const dense: Layer<DenseSpec, DenseRole, never> = {
  letter: () => '',
  title: () => 'feed-forward',

  tensors: ({ size, gated, bias }, hiddenSize) => [
    ...(gated ? [matrix('gate', [size, hiddenSize])] : []),
    matrix('up', [size, hiddenSize]),
    matrix('down', [hiddenSize, size], { precision: 'moreBitsInSomeLayers', initial: 'residual' }),
    ...(bias && gated ? [vector('gateBias', [size])] : []),
    ...(bias ? [vector('upBias', [size]), vector('downBias', [hiddenSize])] : []),
  ],

  record({ plan: p, weight, find }, { gated, activation, plain }, input, addTo) {
    const gate = gated ? linear(p, input, weight('gate'), { bias: find('gateBias') }) : null; // [T, size]
    const up = linear(p, input, weight('up'), { bias: find('upBias') }); // [T, size]
    const y = plain ? activate(p, up, activation) : gatedActivation(p, gate ?? up, up, activation);
    return linear(p, y, weight('down'), { bias: find('downBias'), addTo });
  },

  ggufNames: {
    gate: ['blk.N.ffn_gate.weight'],
    up: ['blk.N.ffn_up.weight'],
    down: ['blk.N.ffn_down.weight'],
    gateBias: ['blk.N.ffn_gate.bias'],
    upBias: ['blk.N.ffn_up.bias'],
    downBias: ['blk.N.ffn_down.bias'],
  },

  ownNames: {
    gate: ['model.layers.N.feed_forward.gate_proj.weight'],
    up: ['model.layers.N.feed_forward.up_proj.weight'],
    down: ['model.layers.N.feed_forward.down_proj.weight'],
    gateBias: ['model.layers.N.feed_forward.gate_proj.bias'],
    upBias: ['model.layers.N.feed_forward.up_proj.bias'],
    downBias: ['model.layers.N.feed_forward.down_proj.bias'],
  },

  ggufKeys: ({ size }) => ({ feed_forward_length: u32(size) }),

  ownWords: { '': 'dense' },

  fromOwn: (c): DenseSpec => ({
    kind: 'dense',
    size: c.size('intermediate_size'),
    ...ownActivation(c),
    bias: false,
  }),
};

/** `hidden_act` of this project's own form: silu, gated, or relu2, which is not. */
export const ownActivation = (c: ConfigReader): Pick<DenseSpec, 'gated' | 'activation'> =>
  c.text('hidden_act', ['silu', 'relu2'], 'silu') === 'silu'
    ? { gated: true, activation: 'silu' }
    : { gated: false, activation: 'relu' };

export const denseFromGguf = ({ config: c, architecture, index, shapeOf }: GgufLayer): DenseSpec => ({
  kind: 'dense',
  size: c.layerSize(
    `${architecture}.feed_forward_length`,
    index,
    c.size(`${architecture}.block_count`, undefined, 4096),
  ),
  gated: true,
  activation: 'silu',
  bias: shapeOf('ffn_gate.bias') !== undefined,
});
