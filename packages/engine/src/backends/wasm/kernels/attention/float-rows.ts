// Keys and values of a page as f32, for attention in f32: whole rows, or strips of 16 columns. V8 13.6 merges
// two v128.load16x4_s into one that gives other numbers, so halves are loaded and extended.

import { CACHE_F16, CACHE_F32 } from '../constants';
import { dequantizeF16, widenHalves } from '../linear/dequantize';
import { headCodeBytes } from './cache-layout';
import { Item } from './item-record';

/** Columns of a strip of values. */
// @inline
export const STRIP: i32 = 16;

/** `count` columns of one position of a KV head, from `column` on. */
// @inline
export function fetchColumns(
  cacheType: i32,
  plane: usize,
  slot: i32,
  headSize: i32,
  column: i32,
  count: i32,
  to: usize,
): void {
  const at = <usize>(slot * headSize + column);
  if (cacheType == CACHE_F32) memory.copy(to, plane + (at << 2), (<usize>count) << 2);
  else if (cacheType == CACHE_F16) dequantizeF16(plane + (at << 1), to, count);
  else {
    const scale = v128.load32_splat(plane + headCodeBytes(cacheType, headSize) + ((<usize>slot) << 2));
    widenCodes(plane + at, scale, to, count);
  }
}

function widenCodes(from: usize, scale: v128, to: usize, count: i32): void {
  for (; count >= 8; count -= 8) {
    const codes = v128.load8x8_s(from);
    v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(codes)), scale));
    v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(codes)), scale), 16);
    from += 8;
    to += 32;
  }
  for (; count > 0; count--) {
    store<f32>(to, <f32>load<i8>(from) * f32x4.extract_lane(scale, 0));
    from++;
    to += 4;
  }
}

/**
 * Positions [first, end) as rows of `count` floats, `stride` bytes apart. Where halves are finite, heads
 * are whole strips, and rows lie side by side.
 */
export function fetchRows(
  item: Item,
  plane: usize,
  first: i32,
  end: i32,
  column: i32,
  count: i32,
  to: usize,
  stride: usize,
): void {
  const headSize = item.headSize,
    cacheType = item.cacheType;
  if (!item.finite) {
    for (let slot = first; slot < end; slot++, to += stride)
      fetchColumns(cacheType, plane, slot, headSize, column, count, to);
    return;
  }
  const from = plane + ((<usize>(first * headSize + column)) << 1);
  if (count == headSize) widenHalves(from, 2 * STRIP, ((end - first) * headSize) / STRIP, to);
  else widenHalves(from, (<usize>headSize) << 1, end - first, to);
}

const MAGNITUDE: usize = memory.data<u32>([0x7fff7fff], 16);

/**
 * Whether neither keys nor values of `byteLength` bytes, a multiple of 32, hold infinities or NaNs. Done a
 * page ahead of its use, it also brings the page near: products read too slowly for prefetchers.
 */
export function finiteHalves(keys: usize, values: usize, byteLength: usize, room: usize): bool {
  const magnitude = v128.load32_splat(MAGNITUDE);
  const end = keys + byteLength;
  let k0 = i32x4.splat(0),
    k1 = k0,
    k2 = k0,
    k3 = k0,
    v0 = k0,
    v1 = k0,
    v2 = k0,
    v3 = k0;
  for (; keys + 64 <= end; keys += 64, values += 64) {
    k0 = i16x8.max_s(k0, v128.and(v128.load(keys), magnitude));
    k1 = i16x8.max_s(k1, v128.and(v128.load(keys, 16), magnitude));
    v0 = i16x8.max_s(v0, v128.and(v128.load(values), magnitude));
    v1 = i16x8.max_s(v1, v128.and(v128.load(values, 16), magnitude));
    k2 = i16x8.max_s(k2, v128.and(v128.load(keys, 32), magnitude));
    k3 = i16x8.max_s(k3, v128.and(v128.load(keys, 48), magnitude));
    v2 = i16x8.max_s(v2, v128.and(v128.load(values, 32), magnitude));
    v3 = i16x8.max_s(v3, v128.and(v128.load(values, 48), magnitude));
  }
  v128.store(room, k0);
  v128.store(room, k1, 16);
  v128.store(room, v0, 32);
  v128.store(room, v1, 48);
  v128.store(room, k2, 64);
  v128.store(room, k3, 80);
  v128.store(room, v2, 96);
  v128.store(room, v3, 112);
  if (keys < end) {
    v128.store(room, v128.and(v128.load(keys), magnitude), 128);
    v128.store(room, v128.and(v128.load(keys, 16), magnitude), 144);
    v128.store(room, v128.and(v128.load(values), magnitude), 160);
    v128.store(room, v128.and(v128.load(values, 16), magnitude), 176);
  } else memory.fill(room + 128, 0, 64);
  let greatest = v128.load(room);
  for (let at: usize = 16; at < 192; at += 16) greatest = i16x8.max_s(greatest, v128.load(room + at));
  return !v128.any_true(i16x8.ge_s(greatest, i16x8.splat(0x7c00)));
}
