// Reference kernels of encoders: rows of tables, LayerNorm, activations without a gate, attention of whole texts.
import { floatsAt, liveRows, type MemoryViews } from '../../memory/memory-views.ts';
import type { OpFields } from '../../plan/ops.ts';
import { activationOf } from './kernels-dense.ts';
import { segmentsOf } from './kernels-mamba.ts';

export function addRows(m: MemoryViews, op: OpFields<'addRows'>): void {
  const rows = liveRows(m, op.rows);
  for (let r = 0; r < rows; r++) {
    const index = m.u32[(op.indices >>> 2) + r]!;
    const added = floatsAt(m, op.table + index * op.columns * 4, op.columns);
    const y = floatsAt(m, op.y + r * op.yStride * 4, op.columns);
    for (let i = 0; i < op.columns; i++) y[i] = y[i]! + added[i]!;
  }
}

export function layerNorm(m: MemoryViews, op: OpFields<'layerNorm'>): void {
  const rows = liveRows(m, op.rows);
  const { columns } = op;
  const weight = floatsAt(m, op.weight, columns);
  const bias = op.bias ? floatsAt(m, op.bias, columns) : null;
  for (let r = 0; r < rows; r++) {
    const x = floatsAt(m, op.x + r * op.xStride * 4, columns);
    const y = floatsAt(m, op.y + r * op.yStride * 4, columns);
    let mean = 0;
    for (let i = 0; i < columns; i++) mean += x[i]! / columns;
    let variance = 0;
    for (let i = 0; i < columns; i++) variance += (x[i]! - mean) ** 2 / columns;
    const scale = 1 / Math.sqrt(variance + op.epsilon);
    for (let i = 0; i < columns; i++) y[i] = (x[i]! - mean) * scale * weight[i]! + (bias ? bias[i]! : 0);
  }
}

export function activate(m: MemoryViews, op: OpFields<'activate'>): void {
  const rows = liveRows(m, op.rows);
  const activation = activationOf(op.activation);
  for (let r = 0; r < rows; r++) {
    const x = floatsAt(m, op.x + r * op.xStride * 4, op.columns);
    const y = floatsAt(m, op.y + r * op.yStride * 4, op.columns);
    for (let i = 0; i < op.columns; i++) y[i] = activation(x[i]!);
  }
}

export function wholeAttention(m: MemoryViews, op: OpFields<'wholeAttention'>): void {
  const { headSize, reach } = op;
  const head = (matrix: 'q' | 'k' | 'v' | 'y', row: number, index: number) =>
    floatsAt(m, op[matrix] + (row * op[`${matrix}Stride`] + index * headSize) * 4, headSize);
  const sum = new Float64Array(headSize);
  for (const { rowStart, rowCount } of segmentsOf(m, op.segments))
    for (let r = rowStart; r < rowStart + rowCount; r++) {
      const first = reach ? Math.max(rowStart, r - reach) : rowStart;
      const end = reach ? Math.min(rowStart + rowCount, r + reach + 1) : rowStart + rowCount;
      for (let h = 0; h < op.heads; h++) {
        const kvHead = Math.floor(h / (op.heads / op.kvHeads));
        const q = head('q', r, h);
        const scores = Float64Array.from(
          { length: end - first },
          (_, i) => head('k', first + i, kvHead).reduce((dot, k, j) => dot + k * q[j]!, 0) * op.scale,
        );
        const peak = scores.reduce((max, score) => Math.max(max, score), Number.NEGATIVE_INFINITY);
        let total = 0;
        sum.fill(0);
        scores.forEach((score, i) => {
          const weight = Math.exp(score - peak);
          total += weight;
          const v = head('v', first + i, kvHead);
          for (let j = 0; j < headSize; j++) sum[j] = sum[j]! + weight * v[j]!;
        });
        head('y', r, h).set(sum.map((value) => value / total));
      }
    }
}
