// Reference kernels of routed feed-forwards: softmax over all experts, then the top k (Jamba does not
// renormalise).

import { floatsAt, liveRows, type MemoryViews } from '../../memory/memory-views.ts';
import type { OpFields } from '../../plan/ops.ts';

export function route(m: MemoryViews, op: OpFields<'route'>): void {
  const rows = liveRows(m, op.rows);
  const { experts, topK } = op;
  const ids = m.u32.subarray(op.ids >>> 2, (op.ids >>> 2) + rows * topK);
  const weights = floatsAt(m, op.weights, rows * topK);
  for (let r = 0; r < rows; r++) {
    const x = floatsAt(m, op.x + r * op.xStride * 4, experts);
    const peak = x.reduce((max, v) => Math.max(max, v), Number.NEGATIVE_INFINITY);
    const exps = Float64Array.from(x, (v) => Math.exp(v - peak));
    const total = exps.reduce((sum, v) => sum + v, 0);
    const order = Array.from(x.keys())
      .sort((i, j) => x[j]! - x[i]! || i - j)
      .slice(0, topK);
    const chosen = op.renormalize ? order.reduce((sum, e) => sum + exps[e]!, 0) : total;
    order.forEach((e, k) => {
      ids[r * topK + k] = e;
      weights[r * topK + k] = exps[e]! / chosen;
    });
  }
  sortByExpert(m, op, ids, rows);
}

function sortByExpert(m: MemoryViews, op: OpFields<'route'>, ids: Uint32Array, rows: number): void {
  const offsets = m.u32.subarray(op.offsets >>> 2, (op.offsets >>> 2) + op.experts + 1);
  offsets.fill(0);
  for (const e of ids) offsets[e + 1] = offsets[e + 1]! + 1;
  for (let e = 0; e < op.experts; e++) offsets[e + 1] = offsets[e + 1]! + offsets[e]!;
  const next = offsets.slice(0, op.experts);
  for (let i = 0; i < rows * op.topK; i++) {
    const slot = next[ids[i]!]!;
    next[ids[i]!] = slot + 1;
    m.u32[(op.slotOf >>> 2) + i] = slot;
    m.u32[(op.slotRows >>> 2) + slot] = Math.floor(i / op.topK);
  }
}

export function combineExperts(m: MemoryViews, op: OpFields<'combineExperts'>): void {
  const rows = liveRows(m, op.rows);
  for (let r = 0; r < rows; r++) {
    const y = floatsAt(m, op.y + r * op.yStride * 4, op.columns);
    for (let i = 0; i < op.columns; i++) {
      let sum = y[i]!;
      for (let k = 0; k < op.topK; k++) {
        const slot = m.u32[(op.slotOf >>> 2) + r * op.topK + k]!;
        sum += m.f32[(op.weights >>> 2) + r * op.topK + k]! * m.f32[(op.x >>> 2) + slot * op.xStride + i]!;
      }
      y[i] = sum;
    }
  }
}
