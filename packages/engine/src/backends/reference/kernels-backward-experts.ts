// Reference kernels for training: the backward of routed feed-forwards (their matrix products are in
// kernels-backward-dense.ts), and the load-balancing loss of the Switch Transformer (Fedus et al. 2022,
// equations 4-6).

import { floatsAt, liveRows, type MemoryViews } from '../../memory/memory-views.ts';
import type { OpFields } from '../../plan/ops.ts';
import { routerScores } from './kernels-experts.ts';

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

export function gateRowsBackward(m: MemoryViews, op: OpFields<'gateRowsBackward'>): void {
  const rows = liveRows(m, op.rows);
  for (let r = 0; r < rows; r++) {
    const gate = 1 / (1 + Math.exp(-m.f32[(op.gate >>> 2) + r * op.gateStride]!));
    const x = floatsAt(m, op.x + r * op.xStride * 4, op.columns);
    const dy = floatsAt(m, op.dy + r * op.dyStride * 4, op.columns);
    const dx = floatsAt(m, op.dx + r * op.dxStride * 4, op.columns);
    let dot = 0;
    for (let i = 0; i < op.columns; i++) {
      dot += dy[i]! * x[i]!;
      dx[i] = gate * dy[i]!;
    }
    m.f32[(op.dGate >>> 2) + r * op.dGateStride] = dot * gate * (1 - gate);
  }
}

export function routeBackward(m: MemoryViews, op: OpFields<'routeBackward'>): void {
  const rows = liveRows(m, op.rows);
  const { experts, topK } = op;
  const offsets = m.u32.subarray(op.offsets >>> 2, (op.offsets >>> 2) + experts + 1);
  // What a share costs: scale * experts * (share of rows that chose the expert) / rows.
  const price = Float64Array.from(
    { length: experts },
    (_, e) => (op.scale * experts * (offsets[e + 1]! - offsets[e]!)) / rows / rows,
  );
  for (let r = 0; r < rows; r++) {
    const scores = routerScores(floatsAt(m, op.x + r * op.xStride * 4, experts), op.score);
    const total = scores.reduce((sum, v) => sum + v, 0);
    const loss = scores.reduce((sum, v, e) => sum + (price[e]! * v) / total, 0);
    const dScores = scores.map((_, e) => (price[e]! - loss) / total);
    const ids = m.u32.subarray((op.ids >>> 2) + r * topK, (op.ids >>> 2) + (r + 1) * topK);
    const dWeights = Array.from(ids, (_, k) => op.weightScale * m.f32[(op.dWeights >>> 2) + r * topK + k]!);
    const divisor = op.renormalize ? ids.reduce((sum, e) => sum + scores[e]!, 0) + op.epsilon : 1;
    const routed = dWeights.reduce((sum, d, k) => sum + d * scores[ids[k]!]!, 0);
    ids.forEach((e, k) => {
      const throughSum = op.renormalize ? routed / divisor / divisor : 0;
      dScores[e] = dScores[e]! + dWeights[k]! / divisor - throughSum;
    });
    const dot = scores.reduce((sum, v, e) => sum + v * dScores[e]!, 0);
    const dx = floatsAt(m, op.dx + r * op.dxStride * 4, experts);
    for (let e = 0; e < experts; e++)
      dx[e] = scores[e]! * (op.score === 1 ? (1 - scores[e]!) * dScores[e]! : dScores[e]! - dot);
    m.f32[(op.losses >>> 2) + r] = loss;
  }
}
