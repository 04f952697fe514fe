// A moving average per channel: the plainest recurrence, and so the floor under every other mixer in a study
// (gated like the mixer of Mega: Ma et al. 2022, section 3.1, with one dimension). With a learned step δ > 0
// per channel,
//
//   h ← exp(-δ) h + δ u,   y = h silu(z)
//
// which for small δ is the exponential moving average with the factor exp(-δ), as 1 - exp(-δ) ≈ δ. It is
// Mamba's selective scan without selection: A = -1, B = C = 1, D = 0 and dt = δ for every token, so it needs
// no ops of its own. No published family has it and GGUF has no names for it: such models live in folders of
// this project's own form.

import { ModelError } from '../errors.ts';
import { linear, rmsNorm } from '../plan/ops/dense.ts';
import { scanStateBytes, selectiveScan } from '../plan/ops/mamba.ts';
import { type DerivedVector, type Layer, matrix, vector } from './layer.ts';
import { initialStep } from './mamba.ts';

/** A moving average per channel. */
export interface EmaSpec {
  readonly kind: 'ema';
  /** Number of channels. */
  readonly innerSize: number;
}

export type EmaRole = 'emaIn' | 'emaStep' | 'emaOut' | 'emaZeros' | 'emaOne' | 'emaA';

export const ema: Layer<EmaSpec, EmaRole, 'average'> = {
  letter: () => 'V',
  title: () => 'moving average',

  tensors: ({ innerSize }, hiddenSize) => [
    matrix('emaIn', [2 * innerSize, hiddenSize]),
    vector('emaStep', [innerSize], { initial: initialStep }),
    matrix('emaOut', [hiddenSize, innerSize], { initial: 'residual' }),
  ],

  derived({ innerSize }): DerivedVector<EmaRole>[] {
    const constant = (role: EmaRole, columns: number, value: number): DerivedVector<EmaRole> => ({
      role,
      columns,
      values: () => new Float32Array(columns).fill(value),
    });
    return [
      constant('emaZeros', innerSize, 0),
      constant('emaOne', 1, 1),
      constant('emaA', Math.ceil(innerSize / 4) * 4, -1), // in blocks of four channels, as the scan reads it
    ];
  },

  state: ({ innerSize }) => ({ recurrent: { average: scanStateBytes(innerSize, 1) } }),

  record({ plan: p, weight, normEpsilon, state }, { innerSize }, input, addTo) {
    const uz = linear(p, input, weight('emaIn')); // [T, 2 inner]: u, then the gate z
    const u = p.slice(uz, 0, innerSize);
    const z = p.slice(uz, innerSize, innerSize);
    const zeros = weight('emaZeros');
    const one = () => linear(p, u, zeros, { bias: weight('emaOne') }); // [T, 1]
    const y = selectiveScan(p, {
      b: one(),
      c: one(),
      dt: rmsNorm(p, u, zeros, normEpsilon), // [T, inner] of zeros: what remains of dt is its bias
      dtBias: weight('emaStep'),
      u,
      z,
      a: weight('emaA'),
      d: zeros,
      states: 1,
      stateOffset: state('average'),
    }); // [T, inner]
    return linear(p, y, weight('emaOut'), { addTo });
  },

  ggufNames: {},

  ownNames: {
    emaIn: ['model.layers.N.ema.in_proj.weight'],
    emaStep: ['model.layers.N.ema.step'],
    emaOut: ['model.layers.N.ema.out_proj.weight'],
    emaZeros: [],
    emaOne: [],
    emaA: [],
  },

  ggufKeys() {
    throw new ModelError('GGUF: expected layers that it has keys for, found moving averages (ema)');
  },

  ownWords: { V: 'ema' },

  fromOwn: (c): EmaSpec => ({
    kind: 'ema',
    innerSize: c.size('ema_expand', 1, 64) * c.size('hidden_size'),
  }),
};
