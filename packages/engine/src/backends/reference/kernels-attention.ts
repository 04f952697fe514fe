// Reference kernels of attention over a paged cache, and rotary positions (Su et al. 2021, in the
// rotate-halves form).
import { f16ToF32, f32ToF16 } from '../../formats/half.ts';
import { floatsAt, liveRows, type MemoryViews } from '../../memory/memory-views.ts';
import {
  type CacheType,
  headPlaneBytes,
  PAGE_SHIFT,
  PAGE_TOKENS,
  planeBytes,
} from '../../plan/cache-layout.ts';
import type { OpFields } from '../../plan/ops.ts';
import { type Segment, segmentsOf } from './kernels-mamba.ts';

const CACHE_TYPES: readonly CacheType[] = ['f32', 'f16', 'q8'];

export function rope(m: MemoryViews, op: OpFields<'rope'>): void {
  const rows = liveRows(m, op.rows);
  const half = op.rotary / 2;
  const frequencies = floatsAt(m, op.inverseFrequencies, half);
  for (let r = 0; r < rows; r++) {
    const position = m.u32[(op.positions >>> 2) + r]!;
    for (let head = 0; head < op.heads; head++) {
      const x = floatsAt(m, op.x + (r * op.xStride + head * op.headSize) * 4, op.headSize);
      for (let i = 0; i < half; i++) {
        const angle = position * frequencies[i]!;
        const cos = Math.cos(angle) * op.attentionScale;
        const sin = Math.sin(angle) * op.attentionScale;
        const low = x[i]!;
        const high = x[i + half]!;
        x[i] = low * cos - high * sin;
        x[i + half] = high * cos + low * sin;
      }
    }
  }
}

interface CacheOp {
  readonly cacheType: number;
  readonly kvHeads: number;
  readonly headSize: number;
  readonly group: number;
  readonly layerOffset: number;
}

/** Address of the codes of (plane, head, position) in a segment's cache, and of the head's plane. */
function locate(m: MemoryViews, op: CacheOp, segment: Segment, plane: 0 | 1, head: number, position: number) {
  const type = CACHE_TYPES[op.cacheType]!;
  const page = m.u32[(segment.pageTables[op.group]! >>> 2) + (position >>> PAGE_SHIFT)]!;
  const headPlane =
    page +
    op.layerOffset +
    plane * planeBytes(type, op.kvHeads, op.headSize) +
    head * headPlaneBytes(type, op.headSize);
  const slot = position & (PAGE_TOKENS - 1);
  const elementBytes = { f32: 4, f16: 2, q8: 1 }[type];
  const scale = headPlane + headPlaneBytes(type, op.headSize) - PAGE_TOKENS * 4 + slot * 4;
  return { type, at: headPlane + slot * op.headSize * elementBytes, scale };
}

function store(m: MemoryViews, where: ReturnType<typeof locate>, values: Float32Array): void {
  if (where.type === 'f32') floatsAt(m, where.at, values.length).set(values);
  else if (where.type === 'f16') values.forEach((v, i) => (m.u16[(where.at >>> 1) + i] = f32ToF16(v)));
  else {
    const peak = values.reduce((max, v) => Math.max(max, Math.abs(v)), 0);
    const scale = Math.fround(peak / 127);
    m.f32[where.scale >>> 2] = scale;
    values.forEach((v, i) => (m.i8[where.at + i] = scale === 0 ? 0 : Math.round(v / scale)));
  }
}

function fetch(m: MemoryViews, where: ReturnType<typeof locate>, out: Float64Array): void {
  for (let i = 0; i < out.length; i++) {
    if (where.type === 'f32') out[i] = m.f32[(where.at >>> 2) + i]!;
    else if (where.type === 'f16') out[i] = f16ToF32(m.u16[(where.at >>> 1) + i]!);
    else out[i] = m.i8[where.at + i]! * m.f32[where.scale >>> 2]!;
  }
}

export function cacheStore(m: MemoryViews, op: OpFields<'cacheStore'>): void {
  const rows = liveRows(m, op.rows);
  const segments = segmentsOf(m, op.segments);
  for (let r = 0; r < rows; r++) {
    const segment = segments[m.u32[(op.rowSegment >>> 2) + r]!]!;
    const position = m.u32[(op.positions >>> 2) + r]!;
    for (let head = 0; head < op.kvHeads; head++) {
      const k = floatsAt(m, op.k + (r * op.kStride + head * op.headSize) * 4, op.headSize);
      const v = floatsAt(m, op.v + (r * op.vStride + head * op.headSize) * 4, op.headSize);
      store(m, locate(m, op, segment, 0, head, position), k);
      store(m, locate(m, op, segment, 1, head, position), v);
    }
  }
}

export function attention(m: MemoryViews, op: OpFields<'attention'>): void {
  const rows = liveRows(m, op.rows);
  const segments = segmentsOf(m, op.segments);
  const key = new Float64Array(op.headSize);
  const sum = new Float64Array(op.headSize);
  for (let r = 0; r < rows; r++) {
    const segment = segments[m.u32[(op.rowSegment >>> 2) + r]!]!;
    const position = m.u32[(op.positions >>> 2) + r]!;
    const first = op.window ? Math.max(0, position - op.window + 1) : 0;
    for (let head = 0; head < op.heads; head++) {
      const kvHead = Math.floor(head / (op.heads / op.kvHeads));
      const q = floatsAt(m, op.q + (r * op.qStride + head * op.headSize) * 4, op.headSize);
      const scores = Float64Array.from({ length: position - first + 1 }, (_, i) => {
        fetch(m, locate(m, op, segment, 0, kvHead, first + i), key);
        return key.reduce((dot, k, j) => dot + k * q[j]!, 0) * op.scale;
      });
      const sink = op.sinks ? m.f32[(op.sinks >>> 2) + head]! : Number.NEGATIVE_INFINITY;
      const peak = scores.reduce((max, s) => Math.max(max, s), sink);
      let total = Math.exp(sink - peak);
      sum.fill(0);
      scores.forEach((score, i) => {
        const weight = Math.exp(score - peak);
        total += weight;
        fetch(m, locate(m, op, segment, 1, kvHead, first + i), key);
        for (let j = 0; j < op.headSize; j++) sum[j] = sum[j]! + weight * key[j]!;
      });
      const y = floatsAt(m, op.y + (r * op.yStride + head * op.headSize) * 4, op.headSize);
      for (let j = 0; j < op.headSize; j++) y[j] = sum[j]! / total;
    }
  }
}
