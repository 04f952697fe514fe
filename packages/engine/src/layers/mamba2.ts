// The Mamba-2 mixer (Dao & Gu 2024, sections 6 and 7): one projection makes all operands, one decay and one
// step serve a whole head, and heads share B and C in groups. Its result is gated by silu(z), with an RMS
// norm of each group after the gate (Mamba-2, Granite, Nemotron-H), before it (Falcon-H1 may), or none.
//
// Paper letters, as in docs/glossary.md: z is the gate, x the input, B and C the input and output maps of the
// state, dt the step size, A the decay, D the skip.

import type { ConfigReader } from '../formats/config-reader.ts';
import { u32 } from '../formats/gguf-values.ts';
import { gatedActivation, linear, rmsNorm } from '../plan/ops/dense.ts';
import { causalConv, convStateBytes, ssdScan, ssdStateBytes } from '../plan/ops/mamba.ts';
import { type GgufLayer, type Initial, type Layer, matrix, vector } from './layer.ts';
import { initialStep } from './mamba.ts';

/** A state-space layer with a state matrix per head (Mamba-2; Dao and Gu 2024). */
export interface Mamba2Spec {
  /** Tag of the union of layer kinds. */
  readonly kind: 'mamba2';
  /** Heads, each with a decay and a step of its own. */
  readonly heads: number;
  /** Channels per head. */
  readonly headSize: number;
  /** Groups of heads that share B and C. */
  readonly groups: number;
  /** State values per channel (`state_size`, `d_state`). */
  readonly stateSize: number;
  /** Taps of the causal convolution (`conv_kernel`, `d_conv`). */
  readonly convWidth: number;
  /** A bias on the convolution. */
  readonly convBias: boolean;
  /** Biases on the input and output projections. */
  readonly projectionBias: boolean;
  /** The norm of the result: after the gate, before it, or none. */
  readonly norm: 'afterGate' | 'beforeGate' | 'none';
  /** Slices of the result that are normalised each on its own: one per group, or one. */
  readonly normGroups: number;
  /** Steps are kept between these (`time_step_limit`); 0 and Infinity: as they are. */
  readonly stepLimits: readonly [least: number, most: number];
}

export type Mamba2Role =
  | 'ssdIn'
  | 'ssdInBias'
  | 'ssdConv'
  | 'ssdConvBias'
  | 'ssdStep'
  | 'ssdA'
  | 'ssdD'
  | 'ssdNorm'
  | 'ssdOut'
  | 'ssdOutBias';

/** The last inputs of the convolution, and the scan's S. */
type Mamba2State = 'conv' | 'scan';

/** A starts as minus a number between these (Dao & Gu's code). */
const LEAST_DECAY = 1;
const MOST_DECAY = 16;

const initialDecay: Initial = (random) => () => Math.log(LEAST_DECAY + random() * (MOST_DECAY - LEAST_DECAY));

/** Channels of x, and of x, B and C together, which pass through the convolution. */
function widths({ heads, headSize, groups, stateSize }: Mamba2Spec) {
  const inner = heads * headSize;
  return { inner, shared: groups * stateSize, conv: inner + 2 * groups * stateSize };
}

export const mamba2: Layer<Mamba2Spec, Mamba2Role, Mamba2State> = {
  letter: () => 'S',
  title: () => 'Mamba-2',

  tensors(m, hiddenSize) {
    const { inner, conv } = widths(m);
    const rows = inner + conv + m.heads; // z, x, B, C, dt
    const uniform: Initial = (random) => () => (2 * random() - 1) / Math.sqrt(m.convWidth);
    return [
      matrix('ssdIn', [rows, hiddenSize]),
      vector('ssdConv', [conv, m.convWidth], { order: 'transposed', initial: uniform }),
      ...(m.convBias ? [vector('ssdConvBias', [conv])] : []),
      vector('ssdStep', [m.heads], { initial: initialStep }),
      vector('ssdA', [m.heads], {
        ggufShape: [m.heads, 1],
        order: 'channelBlocks',
        logOfNegative: true,
        initial: initialDecay,
      }),
      vector('ssdD', [m.heads], { ggufShape: [m.heads, 1], initial: 'ones' }),
      ...(m.norm === 'none'
        ? []
        : [vector('ssdNorm', [inner], { ggufShape: [m.groups, inner / m.groups], initial: 'ones' })]),
      matrix('ssdOut', [hiddenSize, inner], { initial: 'residual' }),
      ...(m.projectionBias ? [vector('ssdInBias', [rows]), vector('ssdOutBias', [hiddenSize])] : []),
    ];
  },

  state(m) {
    return {
      recurrent: {
        conv: convStateBytes(widths(m).conv, m.convWidth),
        scan: ssdStateBytes(m.heads, m.headSize, m.stateSize),
      },
    };
  },

  record({ plan: p, weight, find, state, normEpsilon }, m, input, addTo) {
    const { heads, groups, normGroups } = m;
    const { inner, shared, conv } = widths(m);
    const all = linear(p, input, weight('ssdIn'), { bias: find('ssdInBias') }); // [T, inner + conv + heads]
    const z = p.slice(all, 0, inner);
    const xBC = causalConv(p, p.slice(all, inner, conv), {
      weight: weight('ssdConv'),
      bias: find('ssdConvBias'),
      stateOffset: state('conv'),
    }); // [T, conv]
    const y = ssdScan(p, {
      x: p.slice(xBC, 0, inner),
      b: p.slice(xBC, inner, shared),
      c: p.slice(xBC, inner + shared, shared),
      dt: p.slice(all, inner + conv, heads),
      dtBias: weight('ssdStep'),
      a: weight('ssdA'),
      d: weight('ssdD'),
      heads,
      groups,
      states: m.stateSize,
      stepLimits: m.stepLimits,
      stateOffset: state('scan'),
    }); // [T, inner]
    const norm = (value: typeof y) =>
      rmsNorm(p, value, weight('ssdNorm'), normEpsilon, { groups: normGroups, into: value });
    let out = gatedActivation(p, z, m.norm === 'beforeGate' ? norm(y) : y, 'silu'); // [T, inner]
    if (m.norm === 'afterGate') out = norm(out);
    return linear(p, out, weight('ssdOut'), { bias: find('ssdOutBias'), addTo });
  },

  ggufNames: {
    ssdIn: ['blk.N.ssm_in.weight'],
    ssdInBias: ['blk.N.ssm_in.bias'],
    ssdConv: ['blk.N.ssm_conv1d.weight'],
    ssdConvBias: ['blk.N.ssm_conv1d.bias'],
    ssdStep: ['blk.N.ssm_dt.bias'],
    ssdA: ['blk.N.ssm_a'],
    ssdD: ['blk.N.ssm_d'],
    ssdNorm: ['blk.N.ssm_norm.weight'],
    ssdOut: ['blk.N.ssm_out.weight'],
    ssdOutBias: ['blk.N.ssm_out.bias'],
  },

  ownNames: mamba2Names('model.layers.N.mamba2.'),

  ggufKeys: (m) => ({
    'ssm.conv_kernel': u32(m.convWidth),
    'ssm.inner_size': u32(m.heads * m.headSize),
    'ssm.state_size': u32(m.stateSize),
    'ssm.time_step_rank': u32(m.heads), // llama.cpp's name for the number of heads here
    'ssm.group_count': u32(m.groups),
  }),

  ownWords: { S: 'mamba2' },

  fromOwn(c): Mamba2Spec {
    const inner = c.size('mamba2_expand', 2, 64) * c.size('hidden_size');
    const headSize = c.size('mamba2_d_head', commonFactor(inner, 64), inner);
    if (inner % headSize) c.fail('mamba2_d_head', `a divisor of the inner size ${inner}`, headSize);
    const heads = inner / headSize;
    const groups = readGroups(c, 'mamba2_n_groups', heads, 1);
    return {
      kind: 'mamba2',
      heads,
      headSize,
      groups,
      stateSize: c.size('mamba2_d_state', 128, 4096),
      convWidth: c.size('mamba2_d_conv', 4, 64),
      convBias: c.flag('mamba2_conv_bias', true),
      projectionBias: c.flag('mamba2_proj_bias', false),
      norm: c.flag('mamba2_norm', true) ? 'afterGate' : 'none',
      normGroups: groups,
      stepLimits: [0, Number.POSITIVE_INFINITY],
    };
  },
};

/** The names of a layer's tensors in Hugging Face files, where they begin with `prefix`. */
export function mamba2Names(prefix: string): Readonly<Record<Mamba2Role, readonly string[]>> {
  return {
    ssdIn: [`${prefix}in_proj.weight`],
    ssdInBias: [`${prefix}in_proj.bias`],
    ssdConv: [`${prefix}conv1d.weight`],
    ssdConvBias: [`${prefix}conv1d.bias`],
    ssdStep: [`${prefix}dt_bias`],
    ssdA: [`${prefix}A_log`],
    ssdD: [`${prefix}D`],
    ssdNorm: [`${prefix}norm.weight`],
    ssdOut: [`${prefix}out_proj.weight`],
    ssdOutBias: [`${prefix}out_proj.bias`],
  };
}

/** Groups of heads, as many heads in each. */
export function readGroups(c: ConfigReader, field: string, heads: number, fallback?: number): number {
  const groups = c.size(field, fallback, 4096);
  if (heads % groups) c.fail(field, `a divisor of the number of heads ${heads}`, groups);
  return groups;
}

/**
 * Sizes of the mixer as Bamba's config.json has them, and those of Granite 4.0-H. `inner`: channels of x,
 * `mamba_expand` × hidden size where the file does not say otherwise.
 */
export function bambaSizes(
  c: ConfigReader,
  inner = c.size('mamba_expand', 2, 64) * c.size('hidden_size'),
): Omit<Mamba2Spec, 'norm' | 'normGroups'> {
  const heads = c.size('mamba_n_heads', 128, 4096);
  if (inner % heads) c.fail('mamba_n_heads', `a divisor of the ${inner} channels of the mixer`, heads);
  const headSize = inner / heads;
  if (c.raw('mamba_d_head') !== 'auto' && c.size('mamba_d_head', headSize) !== headSize)
    c.fail('mamba_d_head', `${headSize}: ${inner} channels in ${heads} heads`, c.raw('mamba_d_head'));
  return {
    kind: 'mamba2',
    heads,
    headSize,
    groups: readGroups(c, 'mamba_n_groups', heads, 1),
    stateSize: c.size('mamba_d_state', 256, 4096),
    convWidth: c.size('mamba_d_conv', 4, 64),
    convBias: c.flag('mamba_conv_bias', true),
    projectionBias: c.flag('mamba_proj_bias', false),
    stepLimits: readStepLimits(c),
  };
}

/**
 * `time_step_limit` of a config.json: two numbers. Files of transformers 5 write infinity as
 * `{"__float__": "Infinity"}`, JSON having no word for it.
 */
export function readStepLimits(c: ConfigReader): Mamba2Spec['stepLimits'] {
  const field = 'time_step_limit';
  const value = c.raw(field);
  if (value === undefined || value === null) return [0, Number.POSITIVE_INFINITY];
  const [least, most, ...more] = Array.isArray(value) ? value.map(limit) : [];
  if (least === undefined || most === undefined || more.length || !(least >= 0 && most >= least))
    c.fail(field, 'the least and the most step, as two numbers from 0', value);
  return [least, most];
}

function limit(value: unknown): number {
  if (typeof value === 'number') return value;
  const word =
    typeof value === 'object' && value && Object.hasOwn(value, '__float__')
      ? (value as { readonly __float__: unknown }).__float__
      : value;
  return word === 'Infinity' || word === 'inf' ? Number.POSITIVE_INFINITY : Number.NaN;
}

/** A layer's sizes in GGUF metadata, which has no word for the place of the norm: after the gate. */
export function mamba2FromGguf({ config: c, architecture, shapeOf }: GgufLayer): Mamba2Spec {
  const key = (name: string) => `${architecture}.ssm.${name}`;
  const inner = c.size(key('inner_size'));
  const heads = c.size(key('time_step_rank'));
  if (inner % heads) c.fail(key('time_step_rank'), `a divisor of inner_size ${inner}`, heads);
  const groups = readGroups(c, key('group_count'), heads);
  return {
    kind: 'mamba2',
    heads,
    headSize: inner / heads,
    groups,
    stateSize: c.size(key('state_size'), undefined, 4096),
    convWidth: c.size(key('conv_kernel'), undefined, 64),
    convBias: shapeOf('ssm_conv1d.bias') !== undefined,
    projectionBias: shapeOf('ssm_in.bias') !== undefined,
    norm: shapeOf('ssm_norm.weight') ? 'afterGate' : 'none',
    normGroups: groups,
    stepLimits: [0, Number.POSITIVE_INFINITY],
  };
}

const commonFactor = (a: number, b: number): number => (b === 0 ? a : commonFactor(b, a % b));
