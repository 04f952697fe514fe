// Reference kernel of the gradient of gated DeltaNet's scan. Backwards in time, dS being the gradient of the
// state after a token, with D = e^g S the decayed state before it and delta = beta (v - D^T k):
//   dS += q dy^T;  dq = S dy;  ddelta = dS^T k;  dv = beta ddelta;  dbeta = ddelta^T (v - D^T k)
//   dk = dS delta - D dv;  dD = dS - k dv^T;  dg = sum of D * dD;  dS of the token before = e^g dD

import { floatsAt, liveRows, type MemoryViews } from '../../memory/memory-views.ts';
import type { OpFields } from '../../plan/ops.ts';
import { keyHeadOf, sigmoid } from './kernels-delta.ts';
import { type Segment, segmentsOf, softplus } from './kernels-mamba.ts';

type Fields = OpFields<'deltaScanBackward'>;

const dot = (x: ArrayLike<number>, y: ArrayLike<number>): number =>
  Array.from(x).reduce((sum, value, i) => sum + value * y[i]!, 0);

/** to += x factor */
function addTo(to: Float64Array, x: ArrayLike<number>, factor: number): void {
  for (let i = 0; i < to.length; i++) to[i]! += x[i]! * factor;
}

/** The gradient of x, given that of y = x / sqrt(sum of squares + epsilon) * scale. */
function throughLength(x: Float32Array, dy: Float64Array, epsilon: number, scale: number): Float64Array {
  const inverse = 1 / Math.sqrt(dot(x, x) + epsilon);
  const along = dot(x, dy) * inverse ** 2;
  return dy.map((d, i) => scale * inverse * (d - along * x[i]!));
}

export function deltaScanBackward(m: MemoryViews, op: Fields): void {
  if (liveRows(m, op.rows) === 0) return;
  const { keyHeads, valueHeads, keySize } = op;
  for (const segment of segmentsOf(m, op.segments)) {
    for (let head = 0; head < keyHeads; head++) {
      const sums = Array.from({ length: segment.rowCount }, () => ({
        dq: new Float64Array(keySize),
        dk: new Float64Array(keySize),
      }));
      for (let j = 0; j < valueHeads; j++) if (keyHeadOf(op, j) === head) valueHead(m, op, segment, j, sums);
      sums.forEach(({ dq, dk }, t) => {
        const at = ((segment.rowStart + t) * op.qkvStride + head * keySize) * 4;
        const to = ((segment.rowStart + t) * op.dqkvStride + head * keySize) * 4;
        const q = floatsAt(m, op.q + at, keySize);
        const k = floatsAt(m, op.k + at, keySize);
        floatsAt(m, op.dq + to, keySize).set(throughLength(q, dq, op.epsilon, 1 / Math.sqrt(keySize)));
        floatsAt(m, op.dk + to, keySize).set(throughLength(k, dk, op.epsilon, 1));
      });
    }
  }
}

/** What the forward computes of one row of a value head. */
interface Row {
  readonly q: Float64Array;
  readonly k: Float64Array;
  readonly beta: number;
  readonly raw: number;
  readonly decay: number;
  /** The columns of S before the row. */
  readonly before: readonly Float64Array[];
  /** v - D^T k */
  readonly lacking: Float64Array;
}

/** One value head of a segment: adds the gradients of q and k to `sums`, which are of the divided vectors. */
function valueHead(
  m: MemoryViews,
  op: Fields,
  { rowStart, rowCount }: Segment,
  j: number,
  sums: readonly { dq: Float64Array; dk: Float64Array }[],
): void {
  const { keySize, valueSize } = op;
  const number = (address: number) => m.f32[address >>> 2]!;
  const a = number(op.a + j * 4);
  const bias = number(op.dtBias + j * 4);
  const rows = forwardRows(m, op, { rowStart, rowCount }, j, { a, bias });
  const dS = Array.from({ length: valueSize }, () => new Float64Array(keySize));
  let dALog = 0;
  let dDtBias = 0;
  for (let t = rowCount - 1; t >= 0; t--) {
    const { q, k, beta, raw, decay, before, lacking } = rows[t]!;
    const { dq, dk } = sums[t]!;
    const row = rowStart + t;
    let dBeta = 0;
    let dg = 0;
    dS.forEach((column, c) => {
      const dy = number(op.dy + (row * op.dyStride + j * valueSize + c) * 4);
      const held = before[c]!.map((s) => s * decay);
      addTo(column, q, dy);
      addTo(dq, held, dy);
      addTo(dq, k, beta * lacking[c]! * dy);
      const dDelta = dot(column, k);
      dBeta += dDelta * lacking[c]!;
      addTo(dk, column, beta * lacking[c]!);
      addTo(dk, held, -beta * dDelta);
      addTo(column, k, -beta * dDelta);
      dg += dot(held, column);
      column.forEach((d, i) => (column[i] = d * decay));
      m.f32[(op.dv >>> 2) + row * op.dqkvStride + j * valueSize + c] = beta * dDelta;
    });
    const dRaw = dg * a * sigmoid(raw);
    m.f32[(op.db >>> 2) + row * op.dbStride + j] = dBeta * beta * (1 - beta);
    m.f32[(op.ddt >>> 2) + row * op.ddtStride + j] = dRaw;
    dDtBias += dRaw;
    dALog += dg * a * softplus(raw);
  }
  m.f32[(op.dALog >>> 2) + j]! += dALog;
  m.f32[(op.dDtBias >>> 2) + j]! += dDtBias;
}

function forwardRows(
  m: MemoryViews,
  op: Fields,
  { rowStart, rowCount }: Pick<Segment, 'rowStart' | 'rowCount'>,
  j: number,
  { a, bias }: { a: number; bias: number },
): Row[] {
  const { keySize, valueSize, epsilon } = op;
  const shift = keyHeadOf(op, j) * keySize;
  let S = Array.from({ length: valueSize }, () => new Float64Array(keySize));
  return Array.from({ length: rowCount }, (_, t): Row => {
    const row = rowStart + t;
    const floats = (address: number, stride: number, first: number, length: number) =>
      floatsAt(m, address + (row * stride + first) * 4, length);
    const divided = (address: number, scale: number) => {
      const x = Float64Array.from(floats(address, op.qkvStride, shift, keySize));
      const length = Math.sqrt(dot(x, x) + epsilon);
      return x.map((value) => (value / length) * scale);
    };
    const q = divided(op.q, 1 / Math.sqrt(keySize));
    const k = divided(op.k, 1);
    const v = floats(op.v, op.qkvStride, j * valueSize, valueSize);
    const raw = floats(op.dt, op.dtStride, j, 1)[0]! + bias;
    const decay = Math.exp(a * softplus(raw));
    const beta = sigmoid(floats(op.b, op.bStride, j, 1)[0]!);
    const before = S;
    const lacking = Float64Array.from(v, (value, c) => value - decay * dot(before[c]!, k));
    S = before.map((column, c) => column.map((s, i) => s * decay + k[i]! * beta * lacking[c]!));
    return { q, k, beta, raw, decay, before, lacking };
  });
}
