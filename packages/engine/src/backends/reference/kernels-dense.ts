// Reference kernels: embedding, norms, linear maps, gated activations. Sums are kept in double.
import { dequantize } from '../../formats/dequantize.ts';
import { byteLengthOf } from '../../formats/tensor-types.ts';
import { floatsAt, liveRows, type MemoryViews } from '../../memory/memory-views.ts';
import { rawTypeOf } from '../../plan/layouts.ts';
import type { OpFields } from '../../plan/ops.ts';

/** One row of a weight matrix in a raw layout, as f32. */
function weightRow(m: MemoryViews, matrix: number, layout: number, row: number, out: Float32Array): void {
  const type = rawTypeOf(layout);
  if (!type) throw new Error(`reference: expected a raw weight layout, found id ${layout}`);
  const bytes = byteLengthOf(type, out.length);
  const start = matrix + row * bytes;
  if (type === 'F32') out.set(floatsAt(m, start, out.length));
  else dequantize(type, m.u8.subarray(start, start + bytes), out);
}

export function embed(m: MemoryViews, op: OpFields<'embed'>): void {
  const rows = liveRows(m, op.rows);
  const values = new Float32Array(op.columns);
  for (let r = 0; r < rows; r++) {
    weightRow(m, op.table, op.layout, m.u32[(op.tokens >>> 2) + r]!, values);
    const y = floatsAt(m, op.y + r * op.yStride * 4, op.columns);
    for (let i = 0; i < op.columns; i++) y[i] = values[i]! * op.scale;
  }
}

export function rmsNorm(m: MemoryViews, op: OpFields<'rmsNorm'>): void {
  const rows = liveRows(m, op.rows);
  for (let r = 0; r < rows; r++) {
    for (let g = 0; g < op.groups; g++) {
      const weight = floatsAt(m, op.weight + g * op.weightStride * 4, op.columns);
      const x = floatsAt(m, op.x + (r * op.xStride + g * op.columns) * 4, op.columns);
      const y = floatsAt(m, op.y + (r * op.yStride + g * op.columns) * 4, op.columns);
      let squares = 0;
      for (let i = 0; i < op.columns; i++) squares += x[i]! * x[i]!;
      const scale = op.scale / Math.sqrt(squares / op.columns + op.epsilon);
      for (let i = 0; i < op.columns; i++)
        y[i] = (op.accumulate ? y[i]! : 0) + x[i]! * scale * (op.offset + weight[i]!);
    }
  }
}

/** y[r] (+)= W x[r] + bias for the rows that `inputRow` and `outputRow` name. */
function multiply(
  m: MemoryViews,
  op: Pick<OpFields<'linear'>, 'layout' | 'outputs' | 'columns' | 'x' | 'xStride' | 'y' | 'yStride'>,
  weight: number,
  pairs: readonly (readonly [input: number, output: number])[],
  bias: Float32Array | null,
  accumulate: boolean,
): void {
  const w = new Float32Array(op.columns);
  const { columns } = op;
  const inputs = pairs.map(([input]) => floatsAt(m, op.x + input * op.xStride * 4, columns));
  for (let o = 0; o < op.outputs; o++) {
    weightRow(m, weight, op.layout, o, w);
    for (let p = 0; p < pairs.length; p++) {
      const x = inputs[p]!;
      let sum = bias ? bias[o]! : 0;
      for (let i = 0; i < columns; i++) sum += w[i]! * x[i]!;
      const at = (op.y >>> 2) + pairs[p]![1] * op.yStride + o;
      m.f32[at] = accumulate ? m.f32[at]! + sum : sum;
    }
  }
}

export function linear(m: MemoryViews, op: OpFields<'linear'>): void {
  const rows = liveRows(m, op.rows);
  const bias = op.bias ? floatsAt(m, op.bias, op.outputs) : null;
  const pairs = Array.from({ length: rows }, (_, r) => [r, r] as const);
  multiply(m, op, op.weight, pairs, bias, op.accumulate !== 0);
}

export function expertLinear(m: MemoryViews, op: OpFields<'expertLinear'>): void {
  const offsets = m.u32.subarray(op.offsets >>> 2, (op.offsets >>> 2) + op.experts + 1);
  if (liveRows(m, op.rows) === 0) return;
  for (let e = 0; e < op.experts; e++) {
    const pairs: (readonly [number, number])[] = [];
    for (let slot = offsets[e]!; slot < offsets[e + 1]!; slot++)
      pairs.push([op.slotRows ? m.u32[(op.slotRows >>> 2) + slot]! : slot, slot]);
    if (pairs.length) multiply(m, op, op.weight + e * op.expertBytes, pairs, null, false);
  }
}

export const silu = (x: number): number => x / (1 + Math.exp(-x));

/**
 * Abramowitz & Stegun 7.1.26 is too coarse here; this is the series/continued fraction of Numerical Recipes'
 * erfc (1.2e-7).
 */
function erf(x: number): number {
  const z = Math.abs(x);
  const t = 1 / (1 + 0.5 * z);
  const polynomial = [
    1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587, -0.82215223,
    0.17087277,
  ];
  let sum = 0;
  for (let i = polynomial.length - 1; i >= 0; i--) sum = sum * t + polynomial[i]!;
  const tail = t * Math.exp(-z * z - 1.26551223 + sum * t);
  return x >= 0 ? 1 - tail : tail - 1;
}

const ACTIVATIONS: readonly ((x: number) => number)[] = [
  silu,
  (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x))),
  (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
  (x) => x,
  (x) => 1 / (1 + Math.exp(-x)),
  (x) => Math.max(x, 0),
];

export const activationOf = (id: number): ((x: number) => number) => ACTIVATIONS[id]!;

export function gatedActivation(m: MemoryViews, op: OpFields<'gatedActivation'>): void {
  const rows = liveRows(m, op.rows);
  const activation = ACTIVATIONS[op.activation]!;
  for (let r = 0; r < rows; r++) {
    const gate = floatsAt(m, op.gate + r * op.gateStride * 4, op.columns);
    const up = floatsAt(m, op.up + r * op.upStride * 4, op.columns);
    const y = floatsAt(m, op.y + r * op.yStride * 4, op.columns);
    for (let i = 0; i < op.columns; i++) y[i] = activation(gate[i]!) * up[i]!;
  }
}

export function add(m: MemoryViews, op: OpFields<'add'>): void {
  const rows = liveRows(m, op.rows);
  for (let r = 0; r < rows; r++) {
    const x = floatsAt(m, op.x + r * op.xStride * 4, op.columns);
    const y = floatsAt(m, op.y + r * op.yStride * 4, op.columns);
    for (let i = 0; i < op.columns; i++) y[i] = y[i]! + x[i]!;
  }
}

export function gatherRows(m: MemoryViews, op: OpFields<'gatherRows'>): void {
  const rows = liveRows(m, op.rows);
  for (let r = 0; r < rows; r++) {
    const from = m.u32[(op.indices >>> 2) + r]!;
    floatsAt(m, op.y + r * op.yStride * 4, op.columns).set(
      floatsAt(m, op.x + from * op.xStride * 4, op.columns),
    );
  }
}
