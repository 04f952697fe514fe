// Reference kernels of gated DeltaNet (Yang et al. 2024, section 3), with the state carried between steps.

import { floatsAt, liveRows, type MemoryViews } from '../../memory/memory-views.ts';
import type { OpFields } from '../../plan/ops.ts';
import { segmentsOf, softplus } from './kernels-mamba.ts';

export const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** The key head that serves value head j. */
export const keyHeadOf = (
  { tiled, keyHeads, valueHeads }: { tiled: number; keyHeads: number; valueHeads: number },
  j: number,
): number => (tiled ? j % keyHeads : Math.floor((j * keyHeads) / valueHeads));

/** x / sqrt(sum of squares + epsilon) * scale */
const normalized = (x: ArrayLike<number>, epsilon: number, scale: number): Float64Array => {
  const squares = Array.from(x).reduce((sum, value) => sum + value * value, 0);
  return Float64Array.from(x, (value) => (value / Math.sqrt(squares + epsilon)) * scale);
};

/**
 * Where S of a value head has key channel i of column j: columns in groups of four, in which eight keys of
 * one column follow those of another; columns and keys that are left over come after the others.
 */
export function placeInState(keySize: number, valueSize: number, j: number, i: number): number {
  const inGroup = j < (valueSize & ~3);
  if (!inGroup) return j * keySize + i;
  const whole = keySize & ~7;
  const group = (j & ~3) * keySize;
  return i < whole
    ? group + (i & ~7) * 4 + (j & 3) * 8 + (i & 7)
    : group + whole * 4 + (j & 3) * (keySize - whole) + (i - whole);
}

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
  const { valueHeads, keySize, valueSize, epsilon } = op;
  const a = floatsAt(m, op.a, valueHeads);
  const dtBias = floatsAt(m, op.dtBias, valueHeads);
  for (const segment of segmentsOf(m, op.segments)) {
    for (let j = 0; j < valueHeads; j++) {
      const keyHead = keyHeadOf(op, j);
      const size = valueSize * keySize;
      const state = floatsAt(m, segment.recurrent + op.stateOffset + j * size * 4, size);
      const place = (n: number) => placeInState(keySize, valueSize, Math.floor(n / keySize), n % keySize);
      const S = Float64Array.from(state, (_, n) => state[place(n)]!);
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
      if (!segment.held) S.forEach((value, n) => (state[place(n)] = value));
    }
  }
}
