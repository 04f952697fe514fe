// Reference kernels for training: the loss, and the optimiser AdamW (Loshchilov & Hutter 2019, Algorithm 2,
// in the form of torch.optim.AdamW).

import { floatsAt, liveRows, type MemoryViews } from '../../memory/memory-views.ts';
import { OPTIMIZER_STATE as STATE, SUM_CHUNK } from '../../plan/ops/training.ts';
import type { OpFields } from '../../plan/ops.ts';

export function crossEntropy(m: MemoryViews, op: OpFields<'crossEntropy'>): void {
  const rows = liveRows(m, op.rows);
  const meanScale = m.f32[op.meanScale >>> 2]!;
  for (let r = 0; r < rows; r++) {
    const x = floatsAt(m, op.x + r * op.xStride * 4, op.columns);
    const target = m.u32[(op.targets >>> 2) + r]!;
    let peak = Number.NEGATIVE_INFINITY;
    for (const v of x) peak = Math.max(peak, v);
    let total = 0;
    for (const v of x) total += Math.exp(v - peak);
    m.f32[(op.losses >>> 2) + r] = peak + Math.log(total) - x[target]!;
    for (let i = 0; i < op.columns; i++)
      x[i] = (Math.exp(x[i]! - peak) / total - (i === target ? 1 : 0)) * meanScale;
  }
}

export function decayFromLog(m: MemoryViews, op: OpFields<'decayFromLog'>): void {
  const length = Math.ceil(op.channels / 4) * op.states * 4;
  const a = floatsAt(m, op.a, length);
  const aLog = floatsAt(m, op.aLog, length);
  for (let i = 0; i < length; i++) {
    const channel = Math.floor(i / (op.states * 4)) * 4 + (i & 3);
    a[i] = channel < op.channels ? -Math.exp(aLog[i]!) : 0;
  }
}

export function clear(m: MemoryViews, op: OpFields<'clear'>): void {
  floatsAt(m, op.x, op.count).fill(0);
}

const doublesAt = (m: MemoryViews, address: number, length: number): Float64Array =>
  new Float64Array(m.u8.buffer, address, length);

export function sumSquares(m: MemoryViews, op: OpFields<'sumSquares'>): void {
  const x = floatsAt(m, op.x, op.count);
  const partials = doublesAt(m, op.partials, Math.ceil(op.count / SUM_CHUNK));
  partials.fill(0);
  for (let i = 0; i < op.count; i++)
    partials[Math.floor(i / SUM_CHUNK)] = partials[Math.floor(i / SUM_CHUNK)]! + x[i]! * x[i]!;
}

export function clipGradient(m: MemoryViews, op: OpFields<'clipGradient'>): void {
  const state = floatsAt(m, op.state, 16);
  const norm = Math.sqrt(doublesAt(m, op.partials, op.chunks).reduce((sum, v) => sum + v, 0));
  const maxNorm = state[STATE.maxNorm]!;
  state[STATE.norm] = norm;
  state[STATE.scale] = !Number.isFinite(state[STATE.norm]!)
    ? -1
    : maxNorm > 0 && norm > maxNorm
      ? maxNorm / norm
      : 1;
}

export function adamW(m: MemoryViews, op: OpFields<'adamW'>): void {
  const state = floatsAt(m, op.state, 16);
  const scale = state[STATE.scale]!;
  if (scale < 0) return;
  const beta1 = state[STATE.beta1]!;
  const beta2 = state[STATE.beta2]!;
  const keep = op.decays ? state[STATE.keep]! : 1;
  const parameters = floatsAt(m, op.parameters, op.count);
  const gradients = floatsAt(m, op.gradients, op.count);
  const first = floatsAt(m, op.first, op.count);
  const second = floatsAt(m, op.second, op.count);
  for (let i = 0; i < op.count; i++) {
    const g = gradients[i]! * scale;
    const mean = beta1 * first[i]! + (1 - beta1) * g;
    const square = beta2 * second[i]! + (1 - beta2) * g * g;
    first[i] = mean;
    second[i] = square;
    const step =
      (state[STATE.rate]! * mean) /
      (Math.sqrt(square) * state[STATE.rootCorrection]! + state[STATE.epsilon]!);
    parameters[i] = parameters[i]! * keep - step;
  }
}
