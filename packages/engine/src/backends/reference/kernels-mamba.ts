// Reference kernels of the Mamba mixers (Mamba-1: Gu & Dao 2023, section 3, Algorithm 2; Mamba-2: Dao & Gu
// 2024, section 6), with the state carried between steps.

import { floatsAt, liveRows, type MemoryViews } from '../../memory/memory-views.ts';
import { ACTIVATION_ID } from '../../plan/activation.ts';
import type { OpFields } from '../../plan/ops.ts';
import { SEGMENT, SEGMENT_WORDS } from '../../plan/step.ts';
import { silu } from './kernels-dense.ts';

export interface Segment {
  readonly rowStart: number;
  readonly rowCount: number;
  readonly position: number;
  readonly recurrent: number;
  /** The rows are a draft: the recurrent state stays as it is. */
  readonly held: boolean;
  readonly pageTables: readonly number[];
}

/**
 * The live segments of a step. `segments` is the address of the step block's segment table; its count lies 12
 * bytes before.
 */
export function segmentsOf(m: MemoryViews, segments: number): Segment[] {
  const count = m.u32[(segments >>> 2) - 3]!;
  return Array.from({ length: count }, (_, s) => {
    const at = (segments >>> 2) + s * SEGMENT_WORDS;
    return {
      rowStart: m.u32[at + SEGMENT.rowStart]!,
      rowCount: m.u32[at + SEGMENT.rowCount]!,
      position: m.u32[at + SEGMENT.position]!,
      recurrent: m.u32[at + SEGMENT.recurrent]!,
      held: m.u32[at + SEGMENT.held] !== 0,
      pageTables: [...m.u32.subarray(at + SEGMENT.pageTables, at + SEGMENT_WORDS)],
    };
  });
}

export function causalConv(m: MemoryViews, op: OpFields<'causalConv'>): void {
  if (liveRows(m, op.rows) === 0) return;
  const { channels, width } = op;
  const weight = floatsAt(m, op.weight, width * channels);
  const bias = op.bias ? floatsAt(m, op.bias, channels) : null;
  for (const segment of segmentsOf(m, op.segments)) {
    const state = floatsAt(m, segment.recurrent + op.stateOffset, (width - 1) * channels);
    const input = (t: number, c: number): number =>
      t >= 0
        ? m.f32[(op.x >>> 2) + (segment.rowStart + t) * op.xStride + c]!
        : state[(t + width - 1) * channels + c]!;
    for (let t = 0; t < segment.rowCount; t++) {
      const y = floatsAt(m, op.y + (segment.rowStart + t) * op.yStride * 4, channels);
      for (let c = 0; c < channels; c++) {
        let sum = bias ? bias[c]! : 0;
        for (let k = 0; k < width; k++) sum += weight[k * channels + c]! * input(t + k - (width - 1), c);
        y[c] = op.activation === ACTIVATION_ID.silu ? silu(sum) : sum;
      }
    }
    if (segment.held) continue;
    const next = Float32Array.from(state, (_, i) => {
      const k = Math.floor(i / channels);
      return input(segment.rowCount + k - (width - 1), i % channels);
    });
    state.set(next);
  }
}

export const softplus = (x: number): number => (x > 20 ? x : Math.log1p(Math.exp(x)));

export function selectiveScan(m: MemoryViews, op: OpFields<'selectiveScan'>): void {
  if (liveRows(m, op.rows) === 0) return;
  const { channels, states } = op;
  const stateLength = Math.ceil(channels / 4) * states * 4;
  const a = floatsAt(m, op.a, stateLength);
  const d = floatsAt(m, op.d, channels);
  const dtBias = op.dtBias ? floatsAt(m, op.dtBias, channels) : null;
  for (const segment of segmentsOf(m, op.segments)) {
    const state = floatsAt(m, segment.recurrent + op.stateOffset, stateLength);
    const h = Float64Array.from(state);
    for (let t = segment.rowStart; t < segment.rowStart + segment.rowCount; t++) {
      const row = (address: number, stride: number, length: number) =>
        floatsAt(m, address + t * stride * 4, length);
      const u = row(op.u, op.uStride, channels);
      const dtRaw = row(op.dt, op.dtStride, channels);
      const z = row(op.z, op.zStride, channels);
      const b = row(op.b, op.bcStride, states);
      const c = row(op.c, op.bcStride, states);
      const y = row(op.y, op.yStride, channels);
      for (let i = 0; i < channels; i++) {
        const dt = softplus(dtRaw[i]! + (dtBias ? dtBias[i]! : 0));
        let sum = d[i]! * u[i]!;
        for (let n = 0; n < states; n++) {
          const at = ((i >>> 2) * states + n) * 4 + (i & 3);
          h[at] = Math.exp(dt * a[at]!) * h[at]! + dt * b[n]! * u[i]!;
          sum += c[n]! * h[at]!;
        }
        y[i] = sum * silu(z[i]!);
      }
    }
    if (!segment.held) state.set(h);
  }
}

export function ssdScan(m: MemoryViews, op: OpFields<'ssdScan'>): void {
  if (liveRows(m, op.rows) === 0) return;
  const { heads, headSize, states } = op;
  const [bias, a, d] = [op.dtBias, op.a, op.d].map((at) => floatsAt(m, at, heads)) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  for (const segment of segmentsOf(m, op.segments)) {
    const state = floatsAt(m, segment.recurrent + op.stateOffset, heads * headSize * states);
    const s = Float64Array.from(state);
    for (let t = segment.rowStart; t < segment.rowStart + segment.rowCount; t++) {
      const row = (address: number, stride: number, length: number) =>
        floatsAt(m, address + t * stride * 4, length);
      const x = row(op.x, op.xStride, heads * headSize);
      const dtRaw = row(op.dt, op.dtStride, heads);
      const b = row(op.b, op.bcStride, op.groups * states);
      const c = row(op.c, op.bcStride, op.groups * states);
      const y = row(op.y, op.yStride, heads * headSize);
      for (let j = 0; j < heads; j++) {
        const group = Math.floor(j / (heads / op.groups)) * states;
        const dt = Math.min(Math.max(softplus(dtRaw[j]! + bias[j]!), op.leastStep), op.mostStep);
        const decay = Math.exp(dt * a[j]!);
        for (let i = j * headSize; i < (j + 1) * headSize; i++) {
          let sum = d[j]! * x[i]!;
          for (let n = 0; n < states; n++) {
            const at = i * states + n;
            s[at] = decay * s[at]! + dt * x[i]! * b[group + n]!;
            sum += s[at]! * c[group + n]!;
          }
          y[i] = sum;
        }
      }
    }
    if (!segment.held) state.set(s);
  }
}
