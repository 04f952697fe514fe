// Reference kernels for training: the backward of embedding, norms, linear maps and gated activations.
// Formulas are the derivatives of kernels-dense.ts, term by term; sums are kept in double.

import { floatsAt, liveRows, type MemoryViews } from '../../memory/memory-views.ts';
import type { OpFields } from '../../plan/ops.ts';

export function copy(m: MemoryViews, op: OpFields<'copy'>): void {
  const rows = liveRows(m, op.rows);
  for (let r = 0; r < rows; r++)
    floatsAt(m, op.y + r * op.yStride * 4, op.columns).set(
      floatsAt(m, op.x + r * op.xStride * 4, op.columns),
    );
}

export function embedBackward(m: MemoryViews, op: OpFields<'embedBackward'>): void {
  const rows = liveRows(m, op.rows);
  for (let r = 0; r < rows; r++) {
    const token = m.u32[(op.tokens >>> 2) + r]!;
    if (token === op.skipToken || token >= op.vocabulary) continue;
    const dy = floatsAt(m, op.dy + r * op.dyStride * 4, op.columns);
    const row = floatsAt(m, op.dTable + token * op.columns * 4, op.columns);
    for (let i = 0; i < op.columns; i++) row[i] = row[i]! + op.scale * dy[i]!;
  }
}

/** y = x w / rms with w = offset + weight: dx = (w dy - x mean(w dy x) / rms^2) / rms; all times `scale`. */
export function rmsNormBackward(m: MemoryViews, op: OpFields<'rmsNormBackward'>): void {
  const rows = liveRows(m, op.rows);
  const { columns, groups } = op;
  for (let r = 0; r < rows; r++) {
    for (let g = 0; g < groups; g++) {
      const weight = floatsAt(m, op.weight + g * op.weightStride * 4, columns);
      const x = floatsAt(m, op.x + (r * op.xStride + g * columns) * 4, columns);
      const dy = floatsAt(m, op.dy + (r * op.dyStride + g * columns) * 4, columns);
      const dx = floatsAt(m, op.dx + (r * op.dxStride + g * columns) * 4, columns);
      let squares = 0;
      let dot = 0;
      for (let i = 0; i < columns; i++) {
        squares += x[i]! * x[i]!;
        dot += dy[i]! * (op.offset + weight[i]!) * x[i]!;
      }
      const inverse = 1 / Math.sqrt(squares / columns + op.epsilon);
      const pull = (dot / columns) * inverse * inverse;
      m.f32[(op.inverse >>> 2) + r * groups + g] = op.scale * inverse;
      for (let i = 0; i < columns; i++) {
        const gradient = (dy[i]! * (op.offset + weight[i]!) - x[i]! * pull) * op.scale * inverse;
        dx[i] = op.accumulate ? dx[i]! + gradient : gradient;
      }
    }
  }
}

export function rmsNormWeightBackward(m: MemoryViews, op: OpFields<'rmsNormWeightBackward'>): void {
  const rows = liveRows(m, op.rows);
  const { columns, groups } = op;
  const sums = new Float64Array(op.weightStride ? groups * columns : columns);
  for (let r = 0; r < rows; r++) {
    for (let g = 0; g < groups; g++) {
      const at = g * op.weightStride;
      const inverse = m.f32[(op.inverse >>> 2) + r * groups + g]!;
      const x = floatsAt(m, op.x + (r * op.xStride + g * columns) * 4, columns);
      const dy = floatsAt(m, op.dy + (r * op.dyStride + g * columns) * 4, columns);
      for (let i = 0; i < columns; i++) sums[at + i] = sums[at + i]! + dy[i]! * x[i]! * inverse;
    }
  }
  addTo(floatsAt(m, op.dWeight, sums.length), sums);
}

export function addColumnSums(m: MemoryViews, op: OpFields<'addColumnSums'>): void {
  const rows = liveRows(m, op.rows);
  const sums = new Float64Array(op.columns);
  for (let r = 0; r < rows; r++)
    floatsAt(m, op.x + r * op.xStride * 4, op.columns).forEach((x, i) => (sums[i] = sums[i]! + x));
  addTo(floatsAt(m, op.y, op.columns), sums);
}

function addTo(target: Float32Array, values: Float64Array): void {
  for (let i = 0; i < values.length; i++) target[i] = target[i]! + values[i]!;
}

interface InputGradient {
  readonly dy: number;
  readonly dyStride: number;
  readonly outputs: number;
  readonly columns: number;
  readonly dx: number;
  readonly dxStride: number;
}

/** One row of dx = dy W. */
function inputRow(m: MemoryViews, op: InputGradient, weight: number, row: number, accumulate: boolean): void {
  const sums = new Float64Array(op.columns);
  const dy = floatsAt(m, op.dy + row * op.dyStride * 4, op.outputs);
  for (let o = 0; o < op.outputs; o++) {
    const w = floatsAt(m, weight + o * op.columns * 4, op.columns);
    for (let i = 0; i < op.columns; i++) sums[i] = sums[i]! + dy[o]! * w[i]!;
  }
  const dx = floatsAt(m, op.dx + row * op.dxStride * 4, op.columns);
  if (accumulate) addTo(dx, sums);
  else dx.set(sums);
}

export function linearBackwardInput(m: MemoryViews, op: OpFields<'linearBackwardInput'>): void {
  const rows = liveRows(m, op.rows);
  for (let r = 0; r < rows; r++) inputRow(m, op, op.weight, r, op.accumulate !== 0);
}

interface WeightGradient {
  readonly dy: number;
  readonly dyStride: number;
  readonly x: number;
  readonly xStride: number;
  readonly outputs: number;
  readonly columns: number;
}

/** dWeight += dy^T x over the given (row of dy, row of x) pairs. */
function weightGradient(
  m: MemoryViews,
  op: WeightGradient,
  dWeight: number,
  pairs: readonly (readonly [number, number])[],
): void {
  const sums = new Float64Array(op.outputs * op.columns);
  for (const [yRow, xRow] of pairs) {
    const dy = floatsAt(m, op.dy + yRow * op.dyStride * 4, op.outputs);
    const x = floatsAt(m, op.x + xRow * op.xStride * 4, op.columns);
    for (let o = 0; o < op.outputs; o++) {
      const at = o * op.columns;
      for (let i = 0; i < op.columns; i++) sums[at + i] = sums[at + i]! + dy[o]! * x[i]!;
    }
  }
  addTo(floatsAt(m, dWeight, sums.length), sums);
}

export function linearBackwardWeight(m: MemoryViews, op: OpFields<'linearBackwardWeight'>): void {
  const rows = liveRows(m, op.rows);
  weightGradient(
    m,
    op,
    op.dWeight,
    Array.from({ length: rows }, (_, r) => [r, r] as const),
  );
  if (!op.dBias) return;
  const sums = new Float64Array(op.outputs);
  for (let r = 0; r < rows; r++) addTo64(sums, floatsAt(m, op.dy + r * op.dyStride * 4, op.outputs));
  addTo(floatsAt(m, op.dBias, op.outputs), sums);
}

function addTo64(target: Float64Array, values: Float32Array): void {
  for (let i = 0; i < values.length; i++) target[i] = target[i]! + values[i]!;
}

const offsetsOf = (m: MemoryViews, op: { readonly offsets: number; readonly experts: number }): Uint32Array =>
  m.u32.subarray(op.offsets >>> 2, (op.offsets >>> 2) + op.experts + 1);

export function expertLinearBackwardInput(m: MemoryViews, op: OpFields<'expertLinearBackwardInput'>): void {
  if (liveRows(m, op.rows) === 0) return;
  const offsets = offsetsOf(m, op);
  for (let e = 0; e < op.experts; e++)
    for (let slot = offsets[e]!; slot < offsets[e + 1]!; slot++)
      inputRow(m, op, op.weight + e * op.expertBytes, slot, false);
}

export function expertLinearBackwardWeight(m: MemoryViews, op: OpFields<'expertLinearBackwardWeight'>): void {
  if (liveRows(m, op.rows) === 0) return;
  const offsets = offsetsOf(m, op);
  for (let e = 0; e < op.experts; e++) {
    const pairs: (readonly [number, number])[] = [];
    for (let slot = offsets[e]!; slot < offsets[e + 1]!; slot++)
      pairs.push([slot, op.slotRows ? m.u32[(op.slotRows >>> 2) + slot]! : slot]);
    if (pairs.length) weightGradient(m, op, op.dWeight + e * op.expertBytes, pairs);
  }
}

export const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** Value and derivative of SiLU. */
export function siluAndSlope(x: number): readonly [value: number, slope: number] {
  const s = sigmoid(x);
  return [x * s, s * (1 + x * (1 - s))];
}

function geluTanhAndSlope(x: number): readonly [number, number] {
  const root = Math.sqrt(2 / Math.PI);
  const t = Math.tanh(root * (x + 0.044715 * x * x * x));
  return [0.5 * x * (1 + t), 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * root * (1 + 3 * 0.044715 * x * x)];
}

/** Phi by its series: exact to double for |x| < 6, and 0 or 1 beyond. */
function normalDistribution(x: number): number {
  if (Math.abs(x) > 6) return x > 0 ? 1 : 0;
  let term = x;
  let sum = x;
  for (let i = 3; Math.abs(term) > 1e-17; i += 2) sum += term *= (x * x) / i;
  return 0.5 + sum * Math.exp(-0.5 * x * x) * 0.3989422804014327;
}

function geluAndSlope(x: number): readonly [number, number] {
  const phi = normalDistribution(x);
  return [x * phi, phi + x * Math.exp(-0.5 * x * x) * 0.3989422804014327];
}

function sigmoidAndSlope(x: number): readonly [number, number] {
  const s = sigmoid(x);
  return [s, s * (1 - s)];
}

const SLOPES: readonly ((x: number) => readonly [value: number, slope: number])[] = [
  siluAndSlope,
  geluTanhAndSlope,
  geluAndSlope,
  (x) => [x, 1],
  sigmoidAndSlope,
  (x) => (x > 0 ? [x, 1] : [0, 0]),
];

export function gatedActivationBackward(m: MemoryViews, op: OpFields<'gatedActivationBackward'>): void {
  const rows = liveRows(m, op.rows);
  const activation = SLOPES[op.activation]!;
  for (let r = 0; r < rows; r++) {
    const row = (address: number, stride: number) => floatsAt(m, address + r * stride * 4, op.columns);
    const gate = row(op.gate, op.gateStride);
    const up = row(op.up, op.upStride);
    const dy = row(op.dy, op.dyStride);
    const dGate = row(op.dGate, op.dGateStride);
    const dUp = op.dUp ? row(op.dUp, op.dUpStride) : null;
    for (let i = 0; i < op.columns; i++) {
      const [value, slope] = activation(gate[i]!);
      const gradient = dy[i]!;
      if (dUp) dUp[i] = gradient * value;
      dGate[i] = gradient * (up[i]! * slope + (dUp ? 0 : value));
    }
  }
}

export function gatherRowsBackward(m: MemoryViews, op: OpFields<'gatherRowsBackward'>): void {
  const rows = liveRows(m, op.rows);
  const count = m.u32[op.indexCount >>> 2]!;
  for (let r = 0; r < rows; r++) floatsAt(m, op.dx + r * op.dxStride * 4, op.columns).fill(0);
  for (let i = 0; i < count; i++) {
    const to = m.u32[(op.indices >>> 2) + i]!;
    floatsAt(m, op.dx + to * op.dxStride * 4, op.columns).set(
      floatsAt(m, op.dy + i * op.dyStride * 4, op.columns),
    );
  }
}
