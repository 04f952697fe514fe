// What goes into bytes-tiles.ts and comes out of it: queries as planes of 8 bits, sums as rows.

import { horizontalMax, horizontalSum } from '../common/math';
import { blockSize } from './bytes-tiles';
import { Item } from './item-record';

// @inline
const LIMIT: f32 = 32639;

/** Rounds the queries, [count][headSize] f32 where sums will be; the rest of the area has space for a padded one. */
export function packBytes(item: Item): void {
  const from = item.sums,
    room = item.rest,
    queries = item.queries,
    factors = item.factors;
  const count = item.count,
    headSize = item.headSize,
    padded = item.padded,
    aligned = item.aligned;
  const steps = (headSize + 3) >> 2;
  memory.fill(queries, 0, <usize>aligned * <usize>(steps << 3));
  memory.fill(factors, 0, (<usize>aligned) << 2);
  memory.fill(room, 0, (<usize>padded) << 2);
  for (let q = 0, size = 0; q < aligned; q += size) {
    size = blockSize(aligned - q);
    const block = queries + <usize>q * <usize>(steps << 3);
    for (let i = 0; i < size && q + i < count; i++) {
      memory.copy(room, from + <usize>(((q + i) * headSize) << 2), (<usize>headSize) << 2);
      const wide = size - (i & ~7) > 4;
      const at = block + <usize>((i & ~7) << 3) + <usize>((wide ? i & 7 : i & 3) << 2);
      store<f32>(
        factors + ((<usize>(q + i)) << 2),
        packQuery(room, headSize, padded, at, wide ? 32 : 16, (<usize>size) << 3),
      );
    }
  }
}

/**
 * One query: bytes of the high plane at `to`, of the low one `low` bytes on, steps of four columns `step`
 * bytes apart.
 */
function packQuery(from: usize, headSize: i32, padded: i32, to: usize, low: usize, step: usize): f32 {
  const stop = from + ((<usize>padded) << 2);
  let peaks = f32x4.splat(0),
    check = peaks;
  for (let at = from; at < stop; at += 16) {
    const x = v128.load(at);
    peaks = f32x4.pmax(peaks, f32x4.abs(x));
    check = f32x4.add(check, f32x4.mul(x, f32x4.splat(0)));
  }
  const peak = horizontalMax(peaks);
  const most = 0x7fffffff / (127 * headSize) - 1;
  const limit = min(LIMIT, <f32>most);
  const factor: f32 = peak > 0 ? limit / peak : 0;
  for (let column = 0; column < headSize; column++) {
    const code =
      i32x4.extract_lane(
        i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.splat(load<f32>(from + ((<usize>column) << 2)) * factor))),
        0,
      ) + 32896;
    const at = to + <usize>(column >> 2) * step + <usize>(column & 3);
    store<u8>(at, <u8>(code >> 8));
    store<u8>(at + low, <u8>code);
  }
  return peak / limit + horizontalSum(check);
}

/** Sums of all queries as rows of P, where the queries were. */
export function sumRows(item: Item): void {
  const sums = item.sums,
    aligned = item.aligned,
    padded = item.padded;
  let to = item.queries;
  for (let q = 0, size = 0; q < aligned; q += size) {
    size = blockSize(aligned - q);
    for (let i = 0; i < size; i++) {
      const width = size - (i & ~7) > 4 ? 8 : 4;
      let from = sums + <usize>(((q + (i & ~7)) * padded) << 2) + <usize>((width == 8 ? i & 7 : i & 3) << 2);
      for (let column = 0; column < padded; column++, to += 4, from += (<usize>width) << 2)
        store<f32>(to, load<f32>(from));
    }
  }
}
