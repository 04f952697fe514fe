// The Mamba-1 mixer (Gu & Dao 2023, section 3 and figure 3); Jamba (Lieber et al. 2024) adds RMS norms on dt,
// B and C.
//
// Paper letters, as in docs/glossary.md: x and z are the halves of in_proj, dt is the step size, B and C are
// the input and output maps of the state, A is its decay, D the skip.

import type { ConfigReader } from '../formats/config-reader.ts';
import { flag, u32 } from '../formats/gguf-values.ts';
import { linear, rmsNorm } from '../plan/ops/dense.ts';
import { causalConv, convStateBytes, scanStateBytes, selectiveScan } from '../plan/ops/mamba.ts';
import { type DerivedVector, type GgufLayer, type Initial, type Layer, matrix, vector } from './layer.ts';

/** A selective state-space layer (Mamba-1; Gu and Dao 2023). */
export interface MambaSpec {
  /** Tag of the union of layer kinds. */
  readonly kind: 'mamba';
  /** Channels of the convolution and the scan (`d_inner`). */
  readonly innerSize: number;
  /** State values per channel (`d_state`). */
  readonly stateSize: number;
  /** Taps of the causal convolution (`d_conv`). */
  readonly convWidth: number;
  /** Rank of the projection that dt comes from. */
  readonly dtRank: number;
  /** A bias on the convolution. */
  readonly convBias: boolean;
  /** Biases on the input and output projections. */
  readonly projectionBias: boolean;
  /** RMS norms on dt, B and C after x_proj: Jamba's have weights, FalconMamba's do not, Mamba has none. */
  readonly innerNorms: 'weighted' | 'plain' | 'none';
  /** Epsilon of the inner norms. */
  readonly innerNormEpsilon: number;
}

export type MambaRole =
  | 'inProj'
  | 'inProjBias'
  | 'convWeight'
  | 'convBias'
  | 'xProj'
  | 'dtProj'
  | 'dtProjBias'
  | 'dtNorm'
  | 'bNorm'
  | 'cNorm'
  | 'a'
  | 'd'
  | 'outProj'
  | 'outProjBias';

/** The last inputs of the convolution, and the scan's h. */
type MambaState = 'conv' | 'scan';

/** softplus(dt's bias) starts log-uniform between these (Gu & Dao 2023, section 3.6, and their code). */
const DT_MIN = 0.001;
const DT_MAX = 0.1;

const inverseSoftplus = (y: number): number => y + Math.log(-Math.expm1(-y));

export const initialStep: Initial = (random) => () =>
  inverseSoftplus(Math.exp(Math.log(DT_MIN) + random() * Math.log(DT_MAX / DT_MIN)));

const innerNorms = (m: MambaSpec) =>
  [
    ['dtNorm', m.dtRank],
    ['bNorm', m.stateSize],
    ['cNorm', m.stateSize],
  ] as const;

export const mamba: Layer<MambaSpec, MambaRole, MambaState> = {
  letter: () => 'M',
  title: () => 'Mamba',

  tensors(m, hiddenSize) {
    const { innerSize: inner, stateSize: states, dtRank } = m;
    const uniform = (fanIn: number) => (random: () => number) => () => (2 * random() - 1) / Math.sqrt(fanIn);
    return [
      matrix('inProj', [2 * inner, hiddenSize]),
      vector('convWeight', [inner, m.convWidth], { order: 'transposed', initial: uniform(m.convWidth) }),
      ...(m.convBias ? [vector('convBias', [inner])] : []),
      matrix('xProj', [dtRank + 2 * states, inner], { precision: 'atLeast8Bits' }),
      matrix('dtProj', [inner, dtRank], { precision: 'atLeast8Bits', initial: uniform(dtRank) }),
      vector('dtProjBias', [inner], { initial: initialStep }),
      ...(m.innerNorms === 'weighted'
        ? innerNorms(m).map(([role, size]) => vector(role, [size], { initial: 'ones' }))
        : []),
      // A starts as -(1 … N) in every channel.
      vector('a', [inner, states], {
        order: 'channelBlocks',
        logOfNegative: true,
        initial: () => (i) => Math.log((i % states) + 1),
      }),
      vector('d', [inner], { initial: 'ones' }),
      matrix('outProj', [hiddenSize, inner], { initial: 'residual' }),
      ...(m.projectionBias ? [vector('inProjBias', [2 * inner]), vector('outProjBias', [hiddenSize])] : []),
    ];
  },

  /** Norms without weights (FalconMamba) are norms whose weights are 1. */
  derived(m): DerivedVector<MambaRole>[] {
    if (m.innerNorms !== 'plain') return [];
    return innerNorms(m).map(([role, columns]) => ({
      role,
      columns,
      values: () => new Float32Array(columns).fill(1),
    }));
  },

  state: (m) => ({
    recurrent: {
      conv: convStateBytes(m.innerSize, m.convWidth),
      scan: scanStateBytes(m.innerSize, m.stateSize),
    },
  }),

  record({ plan: p, weight, find, state }, m, input, addTo) {
    // [T, 2 inner]: x, then the gate z
    const xz = linear(p, input, weight('inProj'), { bias: find('inProjBias') });
    const xIn = p.slice(xz, 0, m.innerSize);
    const conv = { weight: weight('convWeight'), bias: find('convBias'), stateOffset: state('conv') };
    const x = causalConv(p, xIn, conv); // [T, inner]
    const z = p.slice(xz, m.innerSize, m.innerSize);
    const dtBC = linear(p, x, weight('xProj')); // [T, dtRank + 2 states]
    let dtLow = p.slice(dtBC, 0, m.dtRank);
    let b = p.slice(dtBC, m.dtRank, m.stateSize);
    let c = p.slice(dtBC, m.dtRank + m.stateSize, m.stateSize);
    if (m.innerNorms !== 'none') {
      dtLow = rmsNorm(p, dtLow, weight('dtNorm'), m.innerNormEpsilon, { into: dtLow });
      b = rmsNorm(p, b, weight('bNorm'), m.innerNormEpsilon, { into: b });
      c = rmsNorm(p, c, weight('cNorm'), m.innerNormEpsilon, { into: c });
    }
    const dt = linear(p, dtLow, weight('dtProj'), { into: xIn }); // [T, inner]; the scan adds its bias
    const y = selectiveScan(p, {
      u: x,
      dt,
      dtBias: find('dtProjBias'),
      b,
      c,
      z,
      a: weight('a'),
      d: weight('d'),
      states: m.stateSize,
      stateOffset: state('scan'),
    }); // [T, inner]
    return linear(p, y, weight('outProj'), { bias: find('outProjBias'), addTo });
  },

  ggufNames: {
    inProj: ['blk.N.ssm_in.weight'],
    inProjBias: ['blk.N.ssm_in.bias'],
    convWeight: ['blk.N.ssm_conv1d.weight'],
    convBias: ['blk.N.ssm_conv1d.bias'],
    xProj: ['blk.N.ssm_x.weight'],
    dtProj: ['blk.N.ssm_dt.weight'],
    dtProjBias: ['blk.N.ssm_dt.bias'],
    dtNorm: ['blk.N.ssm_dt_norm.weight', 'blk.N.ssm_dt_norm'],
    bNorm: ['blk.N.ssm_b_norm.weight', 'blk.N.ssm_b_norm'],
    cNorm: ['blk.N.ssm_c_norm.weight', 'blk.N.ssm_c_norm'],
    a: ['blk.N.ssm_a'],
    d: ['blk.N.ssm_d'],
    outProj: ['blk.N.ssm_out.weight'],
    outProjBias: ['blk.N.ssm_out.bias'],
  },

  ownNames: {
    inProj: ['model.layers.N.mamba.in_proj.weight'],
    inProjBias: ['model.layers.N.mamba.in_proj.bias'],
    convWeight: ['model.layers.N.mamba.conv1d.weight'],
    convBias: ['model.layers.N.mamba.conv1d.bias'],
    xProj: ['model.layers.N.mamba.x_proj.weight'],
    dtProj: ['model.layers.N.mamba.dt_proj.weight'],
    dtProjBias: ['model.layers.N.mamba.dt_proj.bias'],
    dtNorm: ['model.layers.N.mamba.dt_layernorm.weight'],
    bNorm: ['model.layers.N.mamba.b_layernorm.weight', 'model.layers.N.mamba.B_layernorm.weight'],
    cNorm: ['model.layers.N.mamba.c_layernorm.weight', 'model.layers.N.mamba.C_layernorm.weight'],
    a: ['model.layers.N.mamba.A_log'],
    d: ['model.layers.N.mamba.D'],
    outProj: ['model.layers.N.mamba.out_proj.weight'],
    outProjBias: ['model.layers.N.mamba.out_proj.bias'],
  },

  ggufKeys: (m) => ({
    'ssm.conv_kernel': u32(m.convWidth),
    'ssm.inner_size': u32(m.innerSize),
    'ssm.state_size': u32(m.stateSize),
    'ssm.time_step_rank': u32(m.dtRank),
    // Jamba's norms have weights, which say it themselves.
    ...(m.innerNorms === 'weighted' ? {} : { 'ssm.dt_b_c_rms': flag(m.innerNorms === 'plain') }),
  }),

  ownWords: { M: 'mamba' },

  fromOwn: (c): MambaSpec => ({
    ...jambaSizes(c),
    innerNorms: c.flag('mamba_inner_norms', true) ? 'weighted' : 'none',
  }),
};

/** The size fields of Jamba's config.json, which this project's own form shares. */
export function jambaSizes(c: ConfigReader): Omit<MambaSpec, 'innerNorms'> {
  const hiddenSize = c.size('hidden_size');
  const rank = Math.ceil(hiddenSize / 16);
  return {
    kind: 'mamba',
    innerSize: c.size('mamba_expand', 2, 64) * hiddenSize,
    stateSize: c.size('mamba_d_state', 16, 4096),
    convWidth: c.size('mamba_d_conv', 4, 64),
    dtRank: c.raw('mamba_dt_rank') === 'auto' ? rank : c.size('mamba_dt_rank', rank),
    convBias: c.flag('mamba_conv_bias', true),
    projectionBias: c.flag('mamba_proj_bias', false),
    innerNormEpsilon: c.number('rms_norm_eps', 0, 1, 1e-6),
  };
}

/**
 * A layer's sizes in GGUF metadata. llama.cpp has one epsilon for all norms: FalconMamba's own two cannot be
 * said.
 */
export function mambaFromGguf({ config: c, architecture, shapeOf }: GgufLayer, epsilon: number): MambaSpec {
  return {
    kind: 'mamba',
    innerSize: c.size(`${architecture}.ssm.inner_size`),
    stateSize: c.size(`${architecture}.ssm.state_size`, undefined, 4096),
    convWidth: c.size(`${architecture}.ssm.conv_kernel`, undefined, 64),
    dtRank: c.size(`${architecture}.ssm.time_step_rank`),
    convBias: shapeOf('ssm_conv1d.bias') !== undefined,
    projectionBias: shapeOf('ssm_in.bias') !== undefined,
    innerNorms: c.flag(`${architecture}.ssm.dt_b_c_rms`, false) ? 'plain' : 'none',
    innerNormEpsilon: epsilon,
  };
}
