// Reference kernels for training: the backward of the Mamba-1 mixer's convolution and selective scan. Both compute again
// what the forward did not keep; segments start with zero state.
//
// With ds the gradient of C h + D u and g that of h (carried backwards: g = ds C + exp(dt' A) g' of the next row):
//   dC = ds h     dB = g dt u     dA = g dt exp(dt A) h_before     ddt = sum of g (A exp(dt A) h_before + B u)
//   du = D ds + sum of g dt B     dD = ds u

import { floatsAt, liveRows, type MemoryViews } from '../../memory/memory-views.ts';
import { ACTIVATION_ID } from '../../plan/activation.ts';
import type { OpFields } from '../../plan/ops.ts';
import { sigmoid, siluAndSlope } from './kernels-backward-dense.ts';
import { type Segment, segmentsOf } from './kernels-mamba.ts';

export function causalConvBackward(m: MemoryViews, op: OpFields<'causalConvBackward'>): void {
  if (liveRows(m, op.rows) === 0) return;
  const { channels, width } = op;
  const weight = floatsAt(m, op.weight, width * channels);
  const dWeight = new Float64Array(width * channels);
  const dBias = new Float64Array(channels);
  for (const { rowStart, rowCount } of segmentsOf(m, op.segments)) {
    const x = (t: number, c: number): number =>
      t < 0 ? 0 : m.f32[(op.x >>> 2) + (rowStart + t) * op.xStride + c]!;
    const dyAt = (t: number, c: number): number => (op.dy >>> 2) + (rowStart + t) * op.dyStride + c;
    for (let t = 0; t < rowCount; t++) {
      for (let c = 0; c < channels; c++) {
        let sum = op.bias ? m.f32[(op.bias >>> 2) + c]! : 0;
        for (let k = 0; k < width; k++) sum += weight[k * channels + c]! * x(t + k - (width - 1), c);
        const slope = op.activation === ACTIVATION_ID.silu ? siluAndSlope(sum)[1] : 1;
        const gradient = m.f32[dyAt(t, c)]! * slope;
        m.f32[dyAt(t, c)] = gradient;
        dBias[c] = dBias[c]! + gradient;
        for (let k = 0; k < width; k++)
          dWeight[k * channels + c] = dWeight[k * channels + c]! + gradient * x(t + k - (width - 1), c);
      }
    }
    for (let t = 0; t < rowCount; t++) {
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let k = 0; k < width; k++) {
          const from = t - k + (width - 1);
          if (from < rowCount) sum += weight[k * channels + c]! * m.f32[dyAt(from, c)]!;
        }
        m.f32[(op.dx >>> 2) + (rowStart + t) * op.dxStride + c] = sum;
      }
    }
  }
  add(floatsAt(m, op.dWeight, dWeight.length), dWeight);
  if (op.dBias) add(floatsAt(m, op.dBias, channels), dBias);
}

function add(target: Float32Array, values: ArrayLike<number>): void {
  for (let i = 0; i < values.length; i++) target[i] = target[i]! + values[i]!;
}

const softplus = (x: number): number => (x > 20 ? x : Math.log1p(Math.exp(x)));

/** Gradients of B and C of one segment, summed over a group's channels: [rows][states]. */
interface GroupSums {
  readonly db: Float64Array;
  readonly dc: Float64Array;
}

export function selectiveScanBackward(m: MemoryViews, op: OpFields<'selectiveScanBackward'>): void {
  const rows = liveRows(m, op.rows);
  if (rows === 0) return;
  const { states, groups } = op;
  const blocks = Math.ceil(op.channels / 4);
  const padded = (states + 3) & ~3;
  for (let group = 0; group < groups; group++) {
    const first = Math.floor((group * blocks) / groups) * 4;
    const end = Math.min(op.channels, Math.floor(((group + 1) * blocks) / groups) * 4);
    for (const segment of segmentsOf(m, op.segments)) {
      const sums = {
        db: new Float64Array(segment.rowCount * states),
        dc: new Float64Array(segment.rowCount * states),
      };
      for (let channel = first; channel < end; channel++) scanChannel(m, op, segment, channel, sums);
      for (let t = 0; t < segment.rowCount; t++) {
        const to = op.partials + (group * rows + segment.rowStart + t) * 2 * padded * 4;
        floatsAt(m, to, 2 * padded).fill(0);
        floatsAt(m, to, states).set(sums.db.subarray(t * states, (t + 1) * states));
        floatsAt(m, to + padded * 4, states).set(sums.dc.subarray(t * states, (t + 1) * states));
      }
    }
  }
}

function scanChannel(
  m: MemoryViews,
  op: OpFields<'selectiveScanBackward'>,
  segment: Segment,
  i: number,
  sums: GroupSums,
): void {
  const { states } = op;
  const { rowStart, rowCount } = segment;
  const at = (address: number, stride: number, t: number) => (address >>> 2) + (rowStart + t) * stride;
  const lane = (n: number) => ((i >>> 2) * states + n) * 4 + (i & 3);
  const a = Float64Array.from({ length: states }, (_, n) => m.f32[(op.a >>> 2) + lane(n)]!);
  const d = m.f32[(op.d >>> 2) + i]!;
  const bias = op.dtBias ? m.f32[(op.dtBias >>> 2) + i]! : 0;
  const h = new Float64Array((rowCount + 1) * states);
  const dts = new Float64Array(rowCount);
  for (let t = 0; t < rowCount; t++) {
    const u = m.f32[at(op.u, op.uStride, t) + i]!;
    const dt = softplus(m.f32[at(op.dt, op.dtStride, t) + i]! + bias);
    dts[t] = dt;
    for (let n = 0; n < states; n++)
      h[(t + 1) * states + n] =
        Math.exp(dt * a[n]!) * h[t * states + n]! + dt * m.f32[at(op.b, op.bcStride, t) + n]! * u;
  }
  const carried = new Float64Array(states);
  const dA = new Float64Array(states);
  let dD = 0;
  let dBias = 0;
  for (let t = rowCount - 1; t >= 0; t--) {
    const u = m.f32[at(op.u, op.uStride, t) + i]!;
    const dt = dts[t]!;
    const dy = m.f32[at(op.dy, op.dyStride, t) + i]!;
    const [gate, slope] = siluAndSlope(m.f32[at(op.z, op.zStride, t) + i]!);
    const ds = dy * gate;
    let s = d * u;
    let du = d * ds;
    let ddt = 0;
    for (let n = 0; n < states; n++) {
      const b = m.f32[at(op.b, op.bcStride, t) + n]!;
      const c = m.f32[at(op.c, op.bcStride, t) + n]!;
      const now = h[(t + 1) * states + n]!;
      const decay = Math.exp(dt * a[n]!);
      const kept = decay * h[t * states + n]!;
      const g = carried[n]! + ds * c;
      s += c * now;
      sums.dc[t * states + n] = sums.dc[t * states + n]! + ds * now;
      sums.db[t * states + n] = sums.db[t * states + n]! + g * dt * u;
      dA[n] = dA[n]! + g * dt * kept;
      ddt += g * (a[n]! * kept + b * u);
      du += g * dt * b;
      carried[n] = g * decay;
    }
    dD += ds * u;
    const raw = ddt * sigmoid(m.f32[at(op.dt, op.dtStride, t) + i]! + bias);
    dBias += raw;
    m.f32[at(op.du, op.duStride, t) + i] = du;
    m.f32[at(op.ddt, op.ddtStride, t) + i] = raw;
    m.f32[at(op.dz, op.dzStride, t) + i] = dy * s * slope;
  }
  // a = -exp(aLog), so the gradient of aLog is dA a.
  for (let n = 0; n < states; n++)
    m.f32[(op.dALog >>> 2) + lane(n)] = m.f32[(op.dALog >>> 2) + lane(n)]! + dA[n]! * a[n]!;
  m.f32[(op.dD >>> 2) + i] = m.f32[(op.dD >>> 2) + i]! + dD;
  if (op.dDtBias) m.f32[(op.dDtBias >>> 2) + i] = m.f32[(op.dDtBias >>> 2) + i]! + dBias;
}

export function scanReduce(m: MemoryViews, op: OpFields<'scanReduce'>): void {
  const rows = liveRows(m, op.rows);
  const { sets, groups, states } = op;
  const padded = (states + 3) & ~3;
  for (let r = 0; r < rows; r++) {
    for (let column = 0; column < sets * states; column++) {
      const set = Math.floor(column / states);
      let db = 0;
      let dc = 0;
      for (let group = 0; group < groups; group++) {
        const row = (set * groups + group) * rows + r;
        const at = (op.partials >>> 2) + row * 2 * padded + (column % states);
        db += m.f32[at]!;
        dc += m.f32[at + padded]!;
      }
      m.f32[(op.db >>> 2) + r * op.bcStride + column] = db;
      m.f32[(op.dc >>> 2) + r * op.bcStride + column] = dc;
    }
  }
}
