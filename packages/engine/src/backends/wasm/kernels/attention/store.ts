// Writes keys and values of the step's rows into the cache pages of their sessions (plan/cache-layout.ts):
// as f32, as f16 rounded to nearest even, or as int8 with one scale (largest magnitude / 127) per position
// and head. k and v are [rows][stride], KV heads side by side. One chunk is one row.
import { liveRows, nextChunk } from '../common/common';
import { floatsToHalves, horizontalMax, loadFloats } from '../common/math';
import { cachePage, segmentAt } from '../common/step';
import { CACHE_F16, CACHE_F32, PAGE_TOKENS } from '../constants';
import { CacheStore } from '../op-records';
import { headCodeBytes, headPlaneBytes } from './cache-layout';

export function cacheStore(op: CacheStore, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  const kvHeads = op.kvHeads;
  const headSize = op.headSize;
  const cacheType = op.cacheType;
  const headBytes = headPlaneBytes(cacheType, headSize);
  for (let row = nextChunk(op); row < rows; row = nextChunk(op)) {
    const word = (<usize>row) << 2;
    const segment = segmentAt(op.segments, load<i32>(op.rowSegment + word));
    const position = load<i32>(op.positions + word);
    const page = cachePage(segment, op.group, position) + op.layerOffset;
    const slot = position & (PAGE_TOKENS - 1);
    let k = op.k + ((<usize>row * op.kStride) << 2);
    let v = op.v + ((<usize>row * op.vStride) << 2);
    for (let head = 0; head < kvHeads; head++) {
      const plane = page + <usize>head * headBytes;
      storeVector(k, plane, slot, headSize, cacheType);
      storeVector(v, plane + <usize>kvHeads * headBytes, slot, headSize, cacheType);
      k += (<usize>headSize) << 2;
      v += (<usize>headSize) << 2;
    }
  }
}

function storeVector(from: usize, plane: usize, slot: i32, headSize: i32, cacheType: i32): void {
  if (cacheType == CACHE_F32) {
    memory.copy(plane + ((<usize>(slot * headSize)) << 2), from, (<usize>headSize) << 2);
  } else if (cacheType == CACHE_F16) {
    storeHalves(from, plane + ((<usize>(slot * headSize)) << 1), headSize);
  } else {
    const scale = plane + headCodeBytes(cacheType, headSize) + ((<usize>slot) << 2);
    store<f32>(scale, storeCodes(from, plane + <usize>(slot * headSize), headSize));
  }
}

function storeHalves(from: usize, to: usize, count: i32): void {
  for (; count >= 4; count -= 4) {
    const bits = floatsToHalves(v128.load(from));
    const packed = i16x8.narrow_i32x4_u(bits, bits);
    v128.store64_lane(to, packed, 0);
    from += 16;
    to += 8;
  }
  for (; count > 0; count--) {
    store<u16>(to, <u16>i32x4.extract_lane(floatsToHalves(v128.load32_zero(from)), 0));
    from += 4;
    to += 2;
  }
}

/** Writes `count` codes and returns their scale; a zero vector has scale 0 and codes 0. */
function storeCodes(from: usize, to: usize, count: i32): f32 {
  let peaks = f32x4.splat(0);
  for (let i = 0; i < count; i += 4)
    peaks = f32x4.pmax(peaks, f32x4.abs(loadFloats(from + ((<usize>i) << 2), count - i)));
  const scale = horizontalMax(peaks) / <f32>127;
  const divisor = f32x4.splat(scale == 0 ? <f32>1 : scale);
  for (let i = 0; i < count; i += 4) {
    const codes = i32x4.trunc_sat_f32x4_s(
      f32x4.nearest(f32x4.div(loadFloats(from + ((<usize>i) << 2), count - i), divisor)),
    );
    store<i8>(to + <usize>i, <i8>i32x4.extract_lane(codes, 0));
    if (i + 1 < count) store<i8>(to + <usize>i, <i8>i32x4.extract_lane(codes, 1), 1);
    if (i + 2 < count) store<i8>(to + <usize>i, <i8>i32x4.extract_lane(codes, 2), 2);
    if (i + 3 < count) store<i8>(to + <usize>i, <i8>i32x4.extract_lane(codes, 3), 3);
  }
  return scale;
}
