// Reference kernel for training: the backward of Mamba-2's scan. Computes the states again; segments start with
// zero state. With G the gradient of S (carried backwards: G = dy c^T + exp(dt' a) G' of the next row):
//   dc = S^T dy     db = dt G^T x     dx = D dy + dt G b     dD = dy . x
//   da = dt exp(dt a) <G, S_before>   ddt = a exp(dt a) <G, S_before> + x . G b, none where dt was clamped

import { floatsAt, liveRows, type MemoryViews } from '../../memory/memory-views.ts';
import type { OpFields } from '../../plan/ops.ts';
import { sigmoid } from './kernels-backward-dense.ts';
import { type Segment, segmentsOf } from './kernels-mamba.ts';

type Fields = OpFields<'ssdScanBackward'>;

const softplus = (x: number): number => (x > 20 ? x : Math.log1p(Math.exp(x)));

export function ssdScanBackward(m: MemoryViews, op: Fields): void {
  const rows = liveRows(m, op.rows);
  if (rows === 0) return;
  const { states, groups, parts } = op;
  const padded = (states + 3) & ~3;
  const perGroup = op.heads / groups;
  for (let unit = 0; unit < groups * parts; unit++) {
    const partials = floatsAt(m, op.partials + unit * rows * 2 * padded * 4, rows * 2 * padded);
    partials.fill(0);
    const group = Math.floor(unit / parts);
    const part = unit % parts;
    const first = group * perGroup + Math.floor((part * perGroup) / parts);
    const end = group * perGroup + Math.floor(((part + 1) * perGroup) / parts);
    for (let head = first; head < end; head++)
      for (const segment of segmentsOf(m, op.segments)) headBackward(m, op, segment, head, partials);
  }
}

/** One head of one segment; adds its gradients of b and c to `partials`, [rows][b, c][padded]. */
function headBackward(
  m: MemoryViews,
  op: Fields,
  { rowStart, rowCount }: Segment,
  head: number,
  partials: Float32Array,
): void {
  const { headSize, states } = op;
  const padded = (states + 3) & ~3;
  const at = (address: number, stride: number, t: number) => (address >>> 2) + (rowStart + t) * stride;
  const firstState = Math.floor(head / (op.heads / op.groups)) * states;
  const value = (address: number) => m.f32[(address >>> 2) + head]!;
  const [a, d, bias] = [value(op.a), value(op.d), value(op.dtBias)];
  const x = (t: number, i: number) => m.f32[at(op.x, op.xStride, t) + head * headSize + i]!;
  const dy = (t: number, i: number) => m.f32[at(op.dy, op.dyStride, t) + head * headSize + i]!;
  const b = (t: number, n: number) => m.f32[at(op.b, op.bcStride, t) + firstState + n]!;
  const c = (t: number, n: number) => m.f32[at(op.c, op.bcStride, t) + firstState + n]!;
  const raw = (t: number) => m.f32[at(op.dt, op.dtStride, t) + head]! + bias;
  const dt = (t: number) => Math.min(Math.max(softplus(raw(t)), op.leastStep), op.mostStep);
  const size = headSize * states;
  const s = new Float64Array((rowCount + 1) * size);
  for (let t = 0; t < rowCount; t++)
    for (let i = 0; i < headSize; i++)
      for (let n = 0; n < states; n++) {
        const k = i * states + n;
        s[(t + 1) * size + k] = Math.exp(dt(t) * a) * s[t * size + k]! + dt(t) * x(t, i) * b(t, n);
      }
  const g = new Float64Array(size);
  const sums = { a: 0, d: 0, bias: 0 };
  for (let t = rowCount - 1; t >= 0; t--) {
    const decay = Math.exp(dt(t) * a);
    const row = (rowStart + t) * 2 * padded;
    let kept = 0; // <G, exp(dt a) S_before>
    let driven = 0; // x . G b
    for (let i = 0; i < headSize; i++) {
      let gb = 0;
      for (let n = 0; n < states; n++) {
        const k = i * states + n;
        g[k] = g[k]! + dy(t, i) * c(t, n);
        gb += g[k]! * b(t, n);
        kept += g[k]! * decay * s[t * size + k]!;
        partials[row + n] = partials[row + n]! + dt(t) * g[k]! * x(t, i);
        partials[row + padded + n] = partials[row + padded + n]! + s[(t + 1) * size + k]! * dy(t, i);
        g[k] = decay * g[k]!;
      }
      m.f32[at(op.dx, op.dxStride, t) + head * headSize + i] = d * dy(t, i) + dt(t) * gb;
      driven += x(t, i) * gb;
      sums.d += dy(t, i) * x(t, i);
    }
    sums.a += dt(t) * kept;
    const step = softplus(raw(t));
    const inside = step >= op.leastStep && step <= op.mostStep;
    const dRaw = inside ? (a * kept + driven) * sigmoid(raw(t)) : 0;
    sums.bias += dRaw;
    m.f32[at(op.ddt, op.ddtStride, t) + head] = dRaw;
  }
  const add = (address: number, amount: number) => {
    m.f32[(address >>> 2) + head] = value(address) + amount;
  };
  add(op.dALog, sums.a * a); // a = -exp(aLog)
  add(op.dD, sums.d);
  add(op.dDtBias, sums.bias);
}
