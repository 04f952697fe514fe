// Reference kernels of gated DeltaNet (Yang et al. 2024, section 3), with the state carried between steps.

import { floatsAt, liveRows, type MemoryViews } from '../../memory/memory-views.ts';
import type { OpFields } from '../../plan/ops.ts';
import { segmentsOf, softplus } from './kernels-mamba.ts';

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** x / sqrt(sum of squares + epsilon) * scale */
const normalized = (x: ArrayLike<number>, epsilon: number, scale: number): Float64Array => {
  const squares = Array.from(x).reduce((sum, value) => sum + value * value, 0);
  return Float64Array.from(x, (value) => (value / Math.sqrt(squares + epsilon)) * scale);
};

/** One token of one value head; S is [valueSize][keySize]. Returns y. */
function step(
  S: Float64Array,
  { q, k, v, g, beta }: { q: Float64Array; k: Float64Array; v: Float32Array; g: number; beta: number },
): Float64Array {
  const keys = q.length;
  for (let i = 0; i < S.length; i++) S[i]! *= Math.exp(g);
  return Float64Array.from(v, (value, j) => {
    const column = S.subarray(j * keys, (j + 1) * keys);
    const held = column.reduce((sum, s, i) => sum + s * k[i]!, 0);
    const delta = beta * (value - held);
    column.forEach((_, i) => (column[i]! += k[i]! * delta));
    return column.reduce((sum, s, i) => sum + s * q[i]!, 0);
  });
}

export function deltaScan(m: MemoryViews, op: OpFields<'deltaScan'>): void {
  if (liveRows(m, op.rows) === 0) return;
  const { keyHeads, valueHeads, keySize, valueSize, epsilon } = op;
  const a = floatsAt(m, op.a, valueHeads);
  const dtBias = floatsAt(m, op.dtBias, valueHeads);
  for (const segment of segmentsOf(m, op.segments)) {
    for (let j = 0; j < valueHeads; j++) {
      const keyHead = op.tiled ? j % keyHeads : Math.floor((j * keyHeads) / valueHeads);
      const size = valueSize * keySize;
      const state = floatsAt(m, segment.recurrent + op.stateOffset + j * size * 4, size);
      const S = Float64Array.from(state);
      for (let t = segment.rowStart; t < segment.rowStart + segment.rowCount; t++) {
        const row = (address: number, stride: number, first: number, length: number) =>
          floatsAt(m, address + (t * stride + first) * 4, length);
        const q = row(op.q, op.qkvStride, keyHead * keySize, keySize);
        const k = row(op.k, op.qkvStride, keyHead * keySize, keySize);
        const dt = row(op.dt, op.dtStride, j, 1)[0]!;
        const y = step(S, {
          q: normalized(q, epsilon, 1 / Math.sqrt(keySize)),
          k: normalized(k, epsilon, 1),
          v: row(op.v, op.qkvStride, j * valueSize, valueSize),
          g: a[j]! * softplus(dt + dtBias[j]!),
          beta: sigmoid(row(op.b, op.bStride, j, 1)[0]!),
        });
        row(op.y, op.yStride, j * valueSize, valueSize).set(y);
      }
      if (!segment.held) state.set(S);
    }
  }
}
