// Reference kernels of routed feed-forwards: scores, the choice of the top k, their weights, and the sum.

import { floatsAt, liveRows, type MemoryViews } from '../../memory/memory-views.ts';
import type { OpFields } from '../../plan/ops.ts';

export function route(m: MemoryViews, op: OpFields<'route'>): void {
  const rows = liveRows(m, op.rows);
  const { topK } = op;
  const ids = m.u32.subarray(op.ids >>> 2, (op.ids >>> 2) + rows * topK);
  const weights = floatsAt(m, op.weights, rows * topK);
  for (let r = 0; r < rows; r++) {
    const x = floatsAt(m, op.x + r * op.xStride * 4, op.experts);
    const scores = routerScores(x, op.score);
    const chosen = choose(m, op, x, scores);
    const sum = chosen.reduce((total, e) => total + scores[e]!, 0);
    const divisor = op.renormalize ? sum + op.epsilon : 1;
    chosen.forEach((e, k) => {
      ids[r * topK + k] = e;
      weights[r * topK + k] = (op.weightScale * scores[e]!) / divisor;
    });
  }
  sortByExpert(m, op, ids, rows);
}

/** Softmax over the logits (0), or their sigmoids (1). */
export function routerScores(logits: Float32Array, score: number): Float64Array {
  if (score === 1) return Float64Array.from(logits, (v) => 1 / (1 + Math.exp(-v)));
  const peak = logits.reduce((max, v) => Math.max(max, v), Number.NEGATIVE_INFINITY);
  const exps = Float64Array.from(logits, (v) => Math.exp(v - peak));
  const total = exps.reduce((sum, v) => sum + v, 0);
  return exps.map((v) => v / total);
}

/** Softmax alone keeps the order of the logits, which tell small scores apart. */
function choose(m: MemoryViews, op: OpFields<'route'>, logits: Float32Array, scores: Float64Array): number[] {
  const { experts, topK, groupCount, groupsUsed } = op;
  const bias = op.choiceBias ? floatsAt(m, op.choiceBias, experts) : null;
  const byLogits = op.score === 0 && !bias && groupCount === 1;
  const values = byLogits ? Float64Array.from(logits) : scores.map((s, e) => s + (bias ? bias[e]! : 0));
  const largest = (of: Float64Array, count: number) =>
    Array.from(of.keys())
      .sort((i, j) => of[j]! - of[i]! || i - j)
      .slice(0, count);
  if (groupCount > 1) {
    const size = experts / groupCount;
    const best = Float64Array.from({ length: groupCount }, (_, g) => {
      const group = values.slice(g * size, (g + 1) * size).sort();
      return group.at(-1)! + (size > 1 ? group.at(-2)! : 0);
    });
    const used = new Set(largest(best, groupsUsed));
    values.forEach((_, e) => {
      if (!used.has(Math.floor(e / size))) values[e] = Number.NEGATIVE_INFINITY;
    });
  }
  return largest(values, topK);
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
      let sum = op.accumulate ? y[i]! : 0;
      for (let k = 0; k < op.topK; k++) {
        const slot = m.u32[(op.slotOf >>> 2) + r * op.topK + k]!;
        sum += m.f32[(op.weights >>> 2) + r * op.topK + k]! * m.f32[(op.x >>> 2) + slot * op.xStride + i]!;
      }
      y[i] = sum;
    }
  }
}

export function gateRows(m: MemoryViews, op: OpFields<'gateRows'>): void {
  const rows = liveRows(m, op.rows);
  for (let r = 0; r < rows; r++) {
    const gate = 1 / (1 + Math.exp(-m.f32[(op.gate >>> 2) + r * op.gateStride]!));
    const x = floatsAt(m, op.x + r * op.xStride * 4, op.columns);
    const y = floatsAt(m, op.y + r * op.yStride * 4, op.columns);
    for (let i = 0; i < op.columns; i++) y[i] = gate * x[i]!;
  }
}
