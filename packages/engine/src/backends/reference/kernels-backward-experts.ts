// Reference kernels for training: the backward of routed feed-forwards (their matrix products are in
// kernels-backward-dense.ts), and the load-balancing loss of the Switch Transformer (Fedus et al. 2022,
// equations 4-6).

import { floatsAt, liveRows, type MemoryViews } from '../../memory/memory-views.ts';
import type { OpFields } from '../../plan/ops.ts';

export function sumSlots(m: MemoryViews, op: OpFields<'sumSlots'>): void {
  const rows = liveRows(m, op.rows);
  for (let r = 0; r < rows; r++) {
    const y = floatsAt(m, op.y + r * op.yStride * 4, op.columns);
    for (let i = 0; i < op.columns; i++) {
      let sum = op.accumulate ? y[i]! : 0;
      for (let k = 0; k < op.topK; k++)
        sum += m.f32[(op.x >>> 2) + m.u32[(op.slotOf >>> 2) + r * op.topK + k]! * op.xStride + i]!;
      y[i] = sum;
    }
  }
}

export function combineExpertsBackward(m: MemoryViews, op: OpFields<'combineExpertsBackward'>): void {
  const rows = liveRows(m, op.rows);
  for (let r = 0; r < rows; r++) {
    const dy = floatsAt(m, op.dy + r * op.dyStride * 4, op.columns);
    for (let k = 0; k < op.topK; k++) {
      const slot = m.u32[(op.slotOf >>> 2) + r * op.topK + k]!;
      const weight = m.f32[(op.weights >>> 2) + r * op.topK + k]!;
      const x = floatsAt(m, op.x + slot * op.xStride * 4, op.columns);
      const dx = floatsAt(m, op.dx + slot * op.dxStride * 4, op.columns);
      let dot = 0;
      for (let i = 0; i < op.columns; i++) {
        dot += dy[i]! * x[i]!;
        dx[i] = weight * dy[i]!;
      }
      m.f32[(op.dWeights >>> 2) + r * op.topK + k] = dot;
    }
  }
}

export function routeBackward(m: MemoryViews, op: OpFields<'routeBackward'>): void {
  const rows = liveRows(m, op.rows);
  const { experts, topK } = op;
  const offsets = m.u32.subarray(op.offsets >>> 2, (op.offsets >>> 2) + experts + 1);
  // What a probability costs: scale * experts * (share of rows that chose the expert) / rows.
  const price = Float64Array.from(
    { length: experts },
    (_, e) => (op.scale * experts * (offsets[e + 1]! - offsets[e]!)) / rows / rows,
  );
  for (let r = 0; r < rows; r++) {
    const x = floatsAt(m, op.x + r * op.xStride * 4, experts);
    const dx = floatsAt(m, op.dx + r * op.dxStride * 4, experts);
    const peak = x.reduce((max, v) => Math.max(max, v), Number.NEGATIVE_INFINITY);
    const exps = Float64Array.from(x, (v) => Math.exp(v - peak));
    const total = exps.reduce((sum, v) => sum + v, 0);
    const ids = m.u32.subarray((op.ids >>> 2) + r * topK, (op.ids >>> 2) + (r + 1) * topK);
    const chosen = op.renormalize ? ids.reduce((sum, e) => sum + exps[e]!, 0) : total;
    let loss = 0;
    let mean = 0;
    let routed = 0;
    for (let e = 0; e < experts; e++) mean += (price[e]! * exps[e]!) / total;
    loss = mean;
    for (let e = 0; e < experts; e++) dx[e] = (exps[e]! / total) * (price[e]! - mean);
    for (let k = 0; k < topK; k++)
      routed += (m.f32[(op.dWeights >>> 2) + r * topK + k]! * exps[ids[k]!]!) / chosen;
    for (let k = 0; k < topK; k++) {
      const e = ids[k]!;
      dx[e] = dx[e]! + (m.f32[(op.dWeights >>> 2) + r * topK + k]! * exps[e]!) / chosen;
    }
    for (let e = 0; e < experts; e++)
      if (!op.renormalize || ids.includes(e)) dx[e] = dx[e]! - (routed * exps[e]!) / chosen;
    m.f32[(op.losses >>> 2) + r] = loss;
  }
}
