// Reference kernel for training: the backward of softmax attention within each segment. With p the
// probabilities and delta = dy . y for each query:  dv += p dy;  ds = p (dy . v - delta) scale;  dq += ds k;
// dk += ds q. A sink's gradient is its own p times -delta: it has a score, but no value.

import { floatsAt, liveRows, type MemoryViews } from '../../memory/memory-views.ts';
import type { OpFields } from '../../plan/ops.ts';
import { type Segment, segmentsOf } from './kernels-mamba.ts';

export function attentionBackward(m: MemoryViews, op: OpFields<'attentionBackward'>): void {
  if (liveRows(m, op.rows) === 0) return;
  for (const segment of segmentsOf(m, op.segments))
    for (let kvHead = 0; kvHead < op.kvHeads; kvHead++) backwardHead(m, op, segment, kvHead);
}

function dot(x: ArrayLike<number>, y: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i]! * y[i]!;
  return sum;
}

function addScaled(to: Float64Array, start: number, x: ArrayLike<number>, factor: number): void {
  for (let i = 0; i < x.length; i++) to[start + i] = to[start + i]! + factor * x[i]!;
}

function backwardHead(
  m: MemoryViews,
  op: OpFields<'attentionBackward'>,
  segment: Segment,
  kvHead: number,
): void {
  const { headSize } = op;
  const { rowStart, rowCount } = segment;
  const vector = (address: number, stride: number, t: number, head: number) =>
    floatsAt(m, address + ((rowStart + t) * stride + head * headSize) * 4, headSize);
  const dk = new Float64Array(rowCount * headSize);
  const dv = new Float64Array(rowCount * headSize);
  const group = op.heads / op.kvHeads;
  for (let head = kvHead * group; head < (kvHead + 1) * group; head++) {
    for (let t = 0; t < rowCount; t++) {
      const q = vector(op.q, op.qStride, t, head);
      const dy = vector(op.dy, op.dyStride, t, head);
      const first = op.window ? Math.max(0, t - op.window + 1) : 0;
      const scores = Float64Array.from(
        { length: t - first + 1 },
        (_, i) => dot(q, vector(op.k, op.kStride, first + i, kvHead)) * op.scale,
      );
      const sink = op.sinks ? m.f32[(op.sinks >>> 2) + head]! : Number.NEGATIVE_INFINITY;
      const peak = scores.reduce((max, s) => Math.max(max, s), sink);
      const weights = scores.map((s) => Math.exp(s - peak));
      const total = weights.reduce((sum, w) => sum + w, Math.exp(sink - peak));
      const delta = dot(dy, vector(op.y, op.yStride, t, head));
      if (op.sinks)
        m.f32[(op.sinkShares >>> 2) + (rowStart + t) * op.heads + head] =
          (-Math.exp(sink - peak) / total) * delta;
      const dq = new Float64Array(headSize);
      weights.forEach((weight, i) => {
        const p = weight / total;
        const v = vector(op.v, op.vStride, first + i, kvHead);
        const ds = p * (dot(dy, v) - delta) * op.scale;
        addScaled(dv, (first + i) * headSize, dy, p);
        addScaled(dk, (first + i) * headSize, q, ds);
        addScaled(dq, 0, vector(op.k, op.kStride, first + i, kvHead), ds);
      });
      vector(op.dq, op.dqStride, t, head).set(dq);
    }
  }
  for (let t = 0; t < rowCount; t++) {
    vector(op.dk, op.dkStride, t, kvHead).set(dk.subarray(t * headSize, (t + 1) * headSize));
    vector(op.dv, op.dvStride, t, kvHead).set(dv.subarray(t * headSize, (t + 1) * headSize));
  }
}
