// One item of attention: the queries of some rows and one KV head against a range of the cache (see
// attention.ts).
//
// A thread's area, all f32, H = headSize, P = H rounded up to 16, Q = queries rounded up to 4. What lies in
// each part is said by the path that an item takes: float.ts (f32), float-few.ts (the same, one or two
// queries), bytes-tiles.ts or codes.ts (8-bit caches, in integers).
//   queries [Q][P], times scale * log2(e), so that scores are exponents of two
//   sums    [Q][P]; totals, peaks, two factors and a limit of each query [Q]
//   scores  [Q][128]; weights [Q][64]
//   the rest: what is made of a page's keys and values
import { FEW_QUERIES, firstVisible, groupOf, paddedHead, PAIR_TOKENS, partialBytes } from './shape';
import { packBytes, sumRows } from './bytes-queries';
import { attendBytes } from './bytes';
import { QUAD_DOT, takesUnsignedBytes } from './bytes-tiles';
import { addCodes, limitPage, packQueries, scalesOf, scoreCodes, weighCodes } from './codes';
import { attendFloats, packFloats } from './float';
import { NO_PEAK } from './softmax';
import { headPlaneBytes } from './cache-layout';
import { CACHE_Q8, PAGE_TOKENS } from '../constants';
import { address } from '../common/common';
import {
  ATTENTION_CACHE_TYPE, ATTENTION_GROUP, ATTENTION_HEAD_SIZE, ATTENTION_HEADS, ATTENTION_KV_HEADS,
  ATTENTION_LAYER_OFFSET, ATTENTION_POSITIONS, ATTENTION_Q, ATTENTION_Q_STRIDE, ATTENTION_SCALE, ATTENTION_Y,
  ATTENTION_Y_STRIDE,
} from '../op-layout';
import { cachePage } from '../common/step';
import { wideTiles } from '../linear/tiles';


/**
 * Attends rows [firstRow, endRow) to the positions of [from, to) that they see. The result goes to y, or
 * where `partials` is not 0 to record `index` of `splits`. Rows that see nothing of the range leave a record
 * of weight 0.
 */
export function attendItem(
  op: usize, segment: usize, firstRow: i32, endRow: i32, kvHead: i32, from: i32, to: i32,
  area: usize, partials: usize, splits: i32, index: i32,
): void {
  const headSize = load<i32>(op + ATTENTION_HEAD_SIZE);
  const padded = paddedHead(op);
  const group = groupOf(op);
  const count = (endRow - firstRow) * group;
  const aligned = (count + 3) & ~3;
  const positions = address(op, ATTENTION_POSITIONS);
  let sums = area + (<usize>(aligned * padded) << 2);
  const totals = sums + (<usize>(aligned * padded) << 2);
  const peaks = totals + (<usize>aligned << 2);
  const factors = peaks + (<usize>aligned << 2);
  const limits = factors + (<usize>aligned << 3);
  const scores = limits + (<usize>aligned << 2);
  const weights = scores + (<usize>(aligned * PAIR_TOKENS) << 2);
  const keys = weights + (<usize>(aligned * PAIR_TOKENS) << 1);
  let least = i32.MAX_VALUE;
  let greatest = 0;
  let latest = 0;
  let lowest = i32.MAX_VALUE;
  for (let row = firstRow; row < endRow; row++) {
    const position = load<i32>(positions + (<usize>row << 2));
    const visible = firstVisible(op, position);
    least = min(least, visible);
    latest = max(latest, visible);
    lowest = min(lowest, position);
    greatest = max(greatest, position);
  }
  from = max(from, least);
  to = min(to, greatest + 1);
  const bytes = QUAD_DOT && takesUnsignedBytes();
  const integers = wideTiles && (bytes || count >= FEW_QUERIES) && load<i32>(op + ATTENTION_CACHE_TYPE) == CACHE_Q8;
  if (integers) {
    loadQueries(op, firstRow, endRow, kvHead, sums);
    if (bytes) packBytes(sums, count, headSize, padded, area, factors, keys);
    else packQueries(sums, count, headSize, padded, area, factors, keys);
  } else if (count < FEW_QUERIES) loadQueries(op, firstRow, endRow, kvHead, area);
  else {
    loadQueries(op, firstRow, endRow, kvHead, sums);
    packFloats(sums, count, aligned, headSize, padded, area);
  }
  memory.fill(sums, 0, peaks - sums);
  for (let i = 0; i < aligned; i++) store<f32>(peaks + (<usize>i << 2), NO_PEAK);
  if (!integers) {
    attendFloats(
      op, segment, kvHead, from, to, latest, lowest, firstRow, count, area, sums, totals, peaks, scores, keys,
    );
  } else if (bytes) {
    memory.fill(keys + <usize>(PAIR_TOKENS * padded + (PAGE_TOKENS + PAIR_TOKENS) * 4), 0, 64);
    for (let start = from & ~(PAIR_TOKENS - 1); start < to; start += PAIR_TOKENS) {
      const whole = start >= max(from, latest) && start + PAIR_TOKENS <= min(to, lowest + 1);
      attendBytes(
        op, segment, kvHead, start, from, to, firstRow, count, whole, area, sums, totals, peaks, factors, limits,
        scores, weights, keys,
      );
    }
    sumRows(sums, aligned, padded, area);
    sums = area;
  } else {
    for (let start = from & ~(PAGE_TOKENS - 1); start < to; start += PAGE_TOKENS) {
      const first = max(0, from - start);
      const end = min(PAGE_TOKENS, to - start);
      const page = cachePage(
        segment, load<i32>(op, ATTENTION_GROUP), start,
      ) + <usize>load<u32>(op + ATTENTION_LAYER_OFFSET);
      attendCodes(
        op, page, kvHead, start, first, end, firstRow, count, area, sums, totals, peaks, factors, aligned, scores,
        weights, keys,
      );
    }
  }
  for (let i = 0; i < count; i++) {
    const row = firstRow + i / group;
    const head = kvHead * group + i % group;
    const word = <usize>i << 2;
    const sum = sums + <usize>i * (<usize>padded << 2);
    if (partials == 0) {
      const y = address(op, ATTENTION_Y) + (
        <usize>(<u32>row * load<u32>(op + ATTENTION_Y_STRIDE) + <u32>(head * headSize)) << 2
      );
      writeResult(y, sum, headSize, load<f32>(totals + word));
    } else {
      const record = partials + <usize>(
        (row * load<i32>(op + ATTENTION_HEADS) + head) * splits + index
      ) * partialBytes(op);
      const bytes = <usize>padded << 2;
      memory.copy(record, sum, bytes);
      store<f32>(record + bytes, load<f32>(peaks + word));
      store<f32>(record + bytes, load<f32>(totals + word), 4);
    }
  }
}

/** One page of an 8-bit cache, in integers. */
function attendCodes(
  op: usize, page: usize, kvHead: i32, start: i32, first: i32, end: i32, firstRow: i32, count: i32,
  queries: usize, sums: usize, totals: usize, peaks: usize, factors: usize, aligned: i32, scores: usize,
  weights: usize, keys: usize,
): void {
  const headSize = load<i32>(op + ATTENTION_HEAD_SIZE);
  const padded = paddedHead(op);
  const group = groupOf(op);
  const positions = address(op, ATTENTION_POSITIONS);
  const headBytes = headPlaneBytes(CACHE_Q8, headSize);
  const keyPlane = page + <usize>kvHead * headBytes;
  const valuePlane = keyPlane + <usize>load<i32>(op + ATTENTION_KV_HEADS) * headBytes;
  const keyScales = scalesOf(keyPlane, headSize);
  const valueScales = scalesOf(valuePlane, headSize);
  const weightFactors = factors + (<usize>aligned << 2);
  const values = keys + (<usize>(PAGE_TOKENS * padded) << 1);
  const limits = values + (<usize>(PAGE_TOKENS * padded) << 1);
  const zeros = limits + 3 * PAGE_TOKENS * 4;
  const room = zeros + PAGE_TOKENS * 4;
  scoreCodes(keyPlane, first, end, count, headSize, padded, queries, factors, scores, keys);
  memory.fill(zeros, 0, PAGE_TOKENS * 4);
  let limited = -1;
  for (let i = 0; i < count; i++) {
    const row = firstRow + i / group;
    const position = load<i32>(positions + (<usize>row << 2));
    const low = max(first, firstVisible(op, position) - start);
    const high = min(end, position + 1 - start);
    const whole = low == 0 && high == PAGE_TOKENS;
    if (!whole && limited != row) {
      limitPage(limits, keyScales, valueScales, low, high);
      limited = row;
    }
    const word = <usize>i << 2;
    const factor = weighCodes(
      scores + <usize>i * (PAGE_TOKENS * 4), whole ? keyScales : limits, whole ? zeros : limits + PAGE_TOKENS * 4,
      whole ? valueScales : limits + 2 * PAGE_TOKENS * 4, sums + <usize>i * (<usize>padded << 2), padded,
      peaks + word, totals + word,
      weights + (<usize>(i >> 2) << 9) + (<usize>(i & 3) << 2), room,
    );
    store<f32>(weightFactors + word, factor);
  }
  addCodes(valuePlane, first, end, count, headSize, padded, weights, weightFactors, sums, values);
}

function loadQueries(op: usize, firstRow: i32, endRow: i32, kvHead: i32, to: usize): void {
  const group = groupOf(op);
  const floats = group * load<i32>(op + ATTENTION_HEAD_SIZE);
  const scale: f32 = load<f32>(op + ATTENTION_SCALE) * <f32>1.4426950408889634;
  for (let row = firstRow; row < endRow; row++) {
    const q = address(op, ATTENTION_Q) + (
      <usize>(<u32>row * load<u32>(op + ATTENTION_Q_STRIDE) + <u32>(kvHead * floats)) << 2
    );
    for (let i = 0; i < floats; i++, to += 4) store<f32>(to, load<f32>(q + (<usize>i << 2)) * scale);
  }
}

function writeResult(y: usize, sum: usize, headSize: i32, total: f32): void {
  for (let i = 0; i < headSize; i++) store<f32>(y + (<usize>i << 2), load<f32>(sum + (<usize>i << 2)) / total);
}
