// One item of attention: the queries of some rows and one KV head against a range of the cache (see
// attention.ts).
//
// A thread's area: the item's record (item-record.ts), then, all f32, H = headSize, P = H rounded up to 16, Q = queries rounded up to 4. What lies in
// each part is said by the path that an item takes: float.ts (f32), float-few.ts (the same, one or two
// queries), bytes-tiles.ts or codes.ts (8-bit caches, in integers).
//   queries [Q][P], times scale * log2(e), so that scores are exponents of two
//   sums    [Q][P]; totals, peaks, two factors and a limit of each query [Q]
//   scores  [Q][128]; weights [Q][64]
//   the rest: what is made of a page's keys and values

import { address } from '../common/common';
import { exp2Negative } from '../common/math';
import { ATTENTION_ITEM_BYTES, CACHE_Q8, PAGE_TOKENS } from '../constants';
import { wideTiles } from '../linear/tiles';
import {
  ATTENTION_HEADS,
  ATTENTION_POSITIONS,
  ATTENTION_Q,
  ATTENTION_Q_STRIDE,
  ATTENTION_SCALE,
  ATTENTION_SINKS,
  ATTENTION_Y,
  ATTENTION_Y_STRIDE,
} from '../op-layout';
import { attendBytes } from './bytes';
import { packBytes, sumRows } from './bytes-queries';
import { QUAD_DOT, takesUnsignedBytes } from './bytes-tiles';
import { addCodes, limitPage, packQueries, scalesOf, scoreCodes, weighCodes } from './codes';
import { attendFloats, packFloats } from './float';
import { Item, keysAt, positionAt } from './item-record';
import { FEW_QUERIES, firstVisible, PAIR_TOKENS, partialBytes } from './shape';
import { NO_PEAK } from './softmax';

/**
 * Attends rows [firstRow, endRow) to the positions of [from, to) that they see. The result goes to y, or
 * where `partials` is not 0 to record `index` of `splits`. Rows that see nothing of the range leave a record
 * of weight 0.
 */
export function attendItem(item: Item, endRow: i32, partials: usize, splits: i32, index: i32): void {
  const op = item.op,
    kvHead = item.kvHead,
    firstRow = item.firstRow;
  const headSize = item.headSize,
    padded = item.padded,
    group = item.group;
  const count = (endRow - firstRow) * group;
  item.count = count;
  placeParts(item);
  findRange(item, endRow);
  const bytes = QUAD_DOT && takesUnsignedBytes();
  const integers = wideTiles && (bytes || count >= FEW_QUERIES) && item.cacheType == CACHE_Q8;
  loadQueries(item, endRow, !integers && count < FEW_QUERIES ? item.queries : item.sums);
  if (integers) {
    if (bytes) packBytes(item);
    else packQueries(item);
  } else if (count >= FEW_QUERIES) packFloats(item);
  memory.fill(item.sums, 0, item.peaks - item.sums);
  for (let i = 0; i < item.aligned; i++) store<f32>(item.peaks + ((<usize>i) << 2), NO_PEAK);
  let sums = item.sums;
  if (!integers) {
    attendFloats(item);
  } else if (bytes) {
    attendPairs(item);
    sumRows(item);
    sums = item.queries;
  } else {
    for (let start = item.from & ~(PAGE_TOKENS - 1); start < item.to; start += PAGE_TOKENS) attendCodes(item, start);
  }
  const totals = item.totals,
    peaks = item.peaks;
  for (let i = 0; i < count; i++) {
    const row = firstRow + i / group;
    const head = kvHead * group + (i % group);
    const word = (<usize>i) << 2;
    const sum = sums + <usize>i * ((<usize>padded) << 2);
    if (partials == 0) {
      const y =
        address(op, ATTENTION_Y) +
        ((<usize>(<u32>row * load<u32>(op + ATTENTION_Y_STRIDE) + <u32>(head * headSize))) << 2);
      writeResult(y, sum, headSize, withSink(op, head, load<f32>(peaks + word), load<f32>(totals + word)));
    } else {
      const record =
        partials + <usize>((row * load<i32>(op + ATTENTION_HEADS) + head) * splits + index) * partialBytes(op);
      const bytes = (<usize>padded) << 2;
      memory.copy(record, sum, bytes);
      store<f32>(record + bytes, load<f32>(peaks + word));
      store<f32>(record + bytes, load<f32>(totals + word), 4);
    }
  }
}

/** The parts of a thread's area. */
export function placeParts(item: Item): void {
  const padded = item.padded,
    aligned = (item.count + 3) & ~3;
  item.aligned = aligned;
  item.queries = changetype<usize>(item) + ATTENTION_ITEM_BYTES;
  item.sums = item.queries + ((<usize>(aligned * padded)) << 2);
  item.totals = item.sums + ((<usize>(aligned * padded)) << 2);
  item.peaks = item.totals + ((<usize>aligned) << 2);
  item.factors = item.peaks + ((<usize>aligned) << 2);
  item.weightFactors = item.factors + ((<usize>aligned) << 2);
  item.limits = item.factors + ((<usize>aligned) << 3);
  item.scores = item.limits + ((<usize>aligned) << 2);
  item.weights = item.scores + ((<usize>(aligned * PAIR_TOKENS)) << 2);
  item.rest = item.weights + ((<usize>(aligned * PAIR_TOKENS)) << 1);
}

/** Narrows the range to what some row sees, and finds what every row sees. */
function findRange(item: Item, endRow: i32): void {
  const positions = address(item.op, ATTENTION_POSITIONS);
  let least = i32.MAX_VALUE;
  let greatest = 0;
  let latest = 0;
  let lowest = i32.MAX_VALUE;
  for (let row = item.firstRow; row < endRow; row++) {
    const position = load<i32>(positions + ((<usize>row) << 2));
    const visible = firstVisible(item.op, position);
    least = min(least, visible);
    latest = max(latest, visible);
    lowest = min(lowest, position);
    greatest = max(greatest, position);
  }
  item.from = max(item.from, least);
  item.to = min(item.to, greatest + 1);
  item.latest = latest;
  item.lowest = lowest;
}

/** An 8-bit cache by byte dots, a pair of pages at a time. */
function attendPairs(item: Item): void {
  item.values = item.rest;
  item.starts = item.rest + <usize>(PAIR_TOKENS * item.padded);
  item.scales = item.starts + PAGE_TOKENS * 4;
  item.zeros = item.scales + PAIR_TOKENS * 4;
  item.room = item.zeros + 64;
  memory.fill(item.zeros, 0, 64);
  for (let start = item.from & ~(PAIR_TOKENS - 1); start < item.to; start += PAIR_TOKENS) {
    const whole = start >= max(item.from, item.latest) && start + PAIR_TOKENS <= min(item.to, item.lowest + 1);
    attendBytes(item, start, whole);
  }
}

/** The page of an 8-bit cache that begins at `start`, in integers. */
function attendCodes(item: Item, start: i32): void {
  const headSize = item.headSize;
  const first = max(0, item.from - start);
  const end = min(PAGE_TOKENS, item.to - start);
  const keyPlane = keysAt(item, start),
    valuePlane = keyPlane + item.between;
  const keyScales = scalesOf(keyPlane, headSize),
    valueScales = scalesOf(valuePlane, headSize);
  item.values = item.rest + ((<usize>(PAGE_TOKENS * item.padded)) << 1);
  const limits = item.values + ((<usize>(PAGE_TOKENS * item.padded)) << 1);
  const zeros = limits + 3 * PAGE_TOKENS * 4;
  item.room = zeros + PAGE_TOKENS * 4;
  scoreCodes(item, keyPlane, first, end);
  memory.fill(zeros, 0, PAGE_TOKENS * 4);
  let limited = -1;
  for (let i = 0; i < item.count; i++) {
    const position = positionAt(item, i);
    const low = max(first, firstVisible(item.op, position) - start);
    const high = min(end, position + 1 - start);
    if (low == 0 && high == PAGE_TOKENS) {
      weighCodes(item, i, keyScales, zeros, valueScales);
      continue;
    }
    const row = i / item.group;
    if (limited != row) limitPage(limits, keyScales, valueScales, low, high);
    limited = row;
    weighCodes(item, i, limits, limits + PAGE_TOKENS * 4, limits + 2 * PAGE_TOKENS * 4);
  }
  addCodes(item, valuePlane, first, end);
}

function loadQueries(item: Item, endRow: i32, to: usize): void {
  const op = item.op,
    kvHead = item.kvHead;
  const floats = item.group * item.headSize;
  const scale: f32 = load<f32>(op + ATTENTION_SCALE) * <f32>1.4426950408889634;
  for (let row = item.firstRow; row < endRow; row++) {
    const q =
      address(op, ATTENTION_Q) +
      ((<usize>(<u32>row * load<u32>(op + ATTENTION_Q_STRIDE) + <u32>(kvHead * floats))) << 2);
    for (let i = 0; i < floats; i++, to += 4) store<f32>(to, load<f32>(q + ((<usize>i) << 2)) * scale);
  }
}

/**
 * The total with the share of a head's sink, under the peak of what the row has seen. A sink far above it makes
 * the total infinite and the result 0, its limit.
 */
export function withSink(op: usize, head: i32, peak: f32, total: f32): f32 {
  const sinks = address(op, ATTENTION_SINKS);
  if (sinks == 0) return total;
  const above = load<f32>(sinks + ((<usize>head) << 2)) * <f32>1.4426950408889634 - peak;
  const share = f32x4.extract_lane(exp2Negative(f32x4.splat(-Mathf.abs(above))), 0);
  return total + (above > 0 ? <f32>1 / share : share);
}

export function writeResult(y: usize, sum: usize, headSize: i32, total: f32): void {
  for (let i = 0; i < headSize; i++) store<f32>(y + ((<usize>i) << 2), load<f32>(sum + ((<usize>i) << 2)) / total);
}
