// One item of attention: the queries of some rows and one KV head against a range of the cache (see attention.ts).
//
// A thread's area, all f32, H = headSize, P = H rounded up to 16, Q = queries rounded up to 4:
//   queries [Q][P], times scale * log2(e), so that scores are exponents of two; rows of H floats
//   sums    [Q][P]           totals, peaks, two factors and a limit of each query [Q]
//   scores  [Q][128]         one page's scores, then weights
//   weights [Q][64]          8-bit caches: see attention-codes.ts, which has its own idea of queries, keys and values
//   keys    8 panels [H][8]  one page, lanes = positions
//   values  [64][P]          one page; an f32 cache with P = H is read where it lies
//   rows    [8][H]           on the way from the cache to a panel
import { firstVisible } from './attention';
import { packBytes, sumRows } from './attention-byte-queries';
import { attendBytes } from './attention-byte-pair';
import { PAIR_TOKENS } from './attention-byte-weights';
import { QUAD_DOT, takesUnsignedBytes } from './attention-bytes';
import { addCodes, limitPage, packQueries, scalesOf, scoreCodes, weighCodes } from './attention-codes';
import { cachePage } from './step';
import { CACHE_F16, CACHE_F32, CACHE_Q8, headCodeBytes, headPlaneBytes, PAGE_SHIFT, PAGE_TOKENS } from './cache-layout';
import { address, madd } from './common';
import { dequantizeF16 } from './dequantize';
import { exp2Negative, horizontalMax, horizontalSum } from './math';
import {
  ATTENTION_CACHE_TYPE, ATTENTION_GROUP, ATTENTION_HEAD_SIZE, ATTENTION_HEADS, ATTENTION_KV_HEADS,
  ATTENTION_LAYER_OFFSET, ATTENTION_POSITIONS, ATTENTION_Q, ATTENTION_Q_STRIDE, ATTENTION_SCALE, ATTENTION_Y,
  ATTENTION_Y_STRIDE,
} from './op-layout';
import { addRows, dotTile, packHalfPanel, panelPairTile, panelTile, wideTiles } from './tiles';

/** Below every real score, and far enough from the masked ones that their weight is 0 even where nothing else is seen. */
// @ts-ignore: decorator
@inline const NO_PEAK: f32 = -1e30;
// @ts-ignore: decorator
@inline const MASKED: f32 = -3e38;

/** Floats that limited scales, zeros and room for partial sums take (attention-codes.ts). */
// @ts-ignore: decorator
@inline const LIMITS: i32 = 4 * PAGE_TOKENS + 16;

/** Below this many queries a tile of four would mostly be wasted. */
// @ts-ignore: decorator
@inline const FEW_QUERIES: i32 = 3;

// @ts-ignore: decorator
@inline export function paddedHead(op: usize): i32 {
  return (load<i32>(op + ATTENTION_HEAD_SIZE) + 15) & ~15;
}

// @ts-ignore: decorator
@inline export function groupOf(op: usize): i32 {
  return load<i32>(op + ATTENTION_HEADS) / load<i32>(op + ATTENTION_KV_HEADS);
}

/** Bytes of a thread's area when an item has up to `rows` rows. */
export function threadAreaBytes(op: usize, rows: i32): usize {
  const headSize = load<i32>(op + ATTENTION_HEAD_SIZE);
  const padded = paddedHead(op);
  const queries = (rows * groupOf(op) + 3) & ~3;
  const floats = queries * (2 * padded + 5 + PAIR_TOKENS + PAIR_TOKENS / 2) + PAGE_TOKENS * (headSize + padded) + 8 * headSize + LIMITS;
  return <usize>((floats * 4 + 63) & ~63);
}

/** Bytes of the partial result of one query: sums, peak, total, padding. */
export function partialBytes(op: usize): usize {
  return <usize>((paddedHead(op) + 4) << 2);
}

/**
 * Attends rows [firstRow, endRow) to the positions of [from, to) that they see. The result goes to y, or where
 * `partials` is not 0 to record `index` of `splits`. Rows that see nothing of the range leave a record of weight 0.
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
  } else loadQueries(op, firstRow, endRow, kvHead, area);
  memory.fill(sums, 0, peaks - sums);
  for (let i = 0; i < aligned; i++) store<f32>(peaks + (<usize>i << 2), NO_PEAK);
  if (integers && bytes) {
    memory.fill(keys + <usize>(PAIR_TOKENS * padded + (PAGE_TOKENS + PAIR_TOKENS) * 4), 0, 64);
    for (let start = from & ~(PAIR_TOKENS - 1); start < to; start += PAIR_TOKENS) {
      const whole = start >= max(from, latest) && start + PAIR_TOKENS <= min(to, lowest + 1);
      attendBytes(
        op, segment, kvHead, start, from, to, firstRow, count, whole, area, sums, totals, peaks, factors, limits, scores, weights, keys,
      );
    }
    sumRows(sums, aligned, padded, area);
    sums = area;
    from = to;
  }
  for (let start = from & ~(PAGE_TOKENS - 1); start < to; start += PAGE_TOKENS) {
    const first = max(0, from - start);
    const end = min(PAGE_TOKENS, to - start);
    const page = cachePage(segment, load<i32>(op, ATTENTION_GROUP), start) + <usize>load<u32>(op + ATTENTION_LAYER_OFFSET);
    if (integers) {
      attendCodes(op, page, kvHead, start, first, end, firstRow, count, area, sums, totals, peaks, factors, aligned, scores, weights, keys);
      continue;
    }
    scorePage(op, page, kvHead, first, end, area, count, scores, keys);
    for (let i = 0; i < count; i++) {
      const position = load<i32>(positions + (<usize>(firstRow + i / group) << 2));
      const low = max(first, firstVisible(op, position) - start);
      const high = min(end, position + 1 - start);
      const word = <usize>i << 2;
      weigh(scores + <usize>i * (PAGE_TOKENS * 4), low, high, end, sums + <usize>i * (<usize>padded << 2), padded, peaks + word, totals + word);
    }
    addValues(op, page, kvHead, first, end, count, scores, sums, keys + (<usize>(PAGE_TOKENS * headSize) << 2));
  }
  for (let i = 0; i < count; i++) {
    const row = firstRow + i / group;
    const head = kvHead * group + i % group;
    const word = <usize>i << 2;
    const sum = sums + <usize>i * (<usize>padded << 2);
    if (partials == 0) {
      const y = address(op, ATTENTION_Y) + (<usize>(<u32>row * load<u32>(op + ATTENTION_Y_STRIDE) + <u32>(head * headSize)) << 2);
      writeResult(y, sum, headSize, load<f32>(totals + word));
    } else {
      const record = partials + <usize>((row * load<i32>(op + ATTENTION_HEADS) + head) * splits + index) * partialBytes(op);
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
  queries: usize, sums: usize, totals: usize, peaks: usize, factors: usize, aligned: i32, scores: usize, weights: usize, keys: usize,
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
      whole ? valueScales : limits + 2 * PAGE_TOKENS * 4, sums + <usize>i * (<usize>padded << 2), padded, peaks + word, totals + word,
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
    const q = address(op, ATTENTION_Q) + (<usize>(<u32>row * load<u32>(op + ATTENTION_Q_STRIDE) + <u32>(kvHead * floats)) << 2);
    for (let i = 0; i < floats; i++, to += 4) store<f32>(to, load<f32>(q + (<usize>i << 2)) * scale);
  }
}

/** Scores of all queries with positions [first, end) of a page; those of whole panels around them mean nothing. */
function scorePage(
  op: usize, page: usize, kvHead: i32, first: i32, end: i32, queries: usize, count: i32, scores: usize, keys: usize,
): void {
  const headSize = load<i32>(op + ATTENTION_HEAD_SIZE);
  const cacheType = load<i32>(op + ATTENTION_CACHE_TYPE);
  const plane = page + <usize>kvHead * headPlaneBytes(cacheType, headSize);
  const rowBytes = <usize>headSize << 2;
  const panelBytes = rowBytes << 3;
  if (count < FEW_QUERIES) {
    scoreFew(cacheType, plane, first, end, queries, count, scores, keys, headSize);
    return;
  }
  const buffer = keys + 8 * panelBytes + (<usize>(PAGE_TOKENS * paddedHead(op)) << 2);
  const firstPanel = first >> 3;
  const endPanel = (end + 7) >> 3;
  for (let p = firstPanel; p < endPanel; p++) {
    const live = min(8, end - p * 8);
    let rows = buffer;
    if (cacheType == CACHE_F32 && live == 8) rows = plane + <usize>(p * 8) * rowBytes;
    else {
      for (let i = 0; i < live; i++) fetchRow(cacheType, plane, p * 8 + i, headSize, buffer + <usize>i * rowBytes);
      memory.fill(buffer + <usize>live * rowBytes, 0, <usize>(8 - live) * rowBytes);
    }
    const panel = keys + <usize>p * panelBytes;
    packHalfPanel(rows, rows + rowBytes, rows + 2 * rowBytes, rows + 3 * rowBytes, headSize, panel);
    rows += 4 * rowBytes;
    packHalfPanel(rows, rows + rowBytes, rows + 2 * rowBytes, rows + 3 * rowBytes, headSize, panel + 16);
  }
  memory.fill(scores, 0, <usize>((count + 3) & ~3) * (PAGE_TOKENS * 4));
  for (let i = 0; i < count; i += 4) {
    const q0 = queries + <usize>i * rowBytes;
    const q1 = i + 1 < count ? q0 + rowBytes : q0;
    const q2 = i + 2 < count ? q0 + 2 * rowBytes : q0;
    const q3 = i + 3 < count ? q0 + 3 * rowBytes : q0;
    const to = scores + <usize>i * (PAGE_TOKENS * 4);
    let p = firstPanel;
    for (; wideTiles && p + 2 <= endPanel; p += 2) {
      const panel = keys + <usize>p * panelBytes;
      panelPairTile(q0, q1, q2, q3, panel, panel + panelBytes, 32, headSize, to + (<usize>p << 5), PAGE_TOKENS * 4);
    }
    for (; p < endPanel; p++)
      panelTile(q0, q1, q2, q3, keys + <usize>p * panelBytes, 32, headSize, to + (<usize>p << 5), PAGE_TOKENS * 4);
  }
}

/** One or two queries: turning the page into panels would cost more than it saves, so rows are multiplied as they lie. */
function scoreFew(
  cacheType: i32, plane: usize, first: i32, end: i32, queries: usize, count: i32, scores: usize, keys: usize, headSize: i32,
): void {
  const rowBytes = <usize>headSize << 2;
  if (cacheType == CACHE_F32) keys = plane;
  else for (let slot = first; slot < end; slot++) fetchRow(cacheType, plane, slot, headSize, keys + <usize>slot * rowBytes);
  memory.fill(scores, 0, 4 * PAGE_TOKENS * 4);
  for (let i = 0; i < count; i += 2) {
    const q0 = queries + <usize>i * rowBytes;
    const q1 = i + 1 < count ? q0 + rowBytes : q0;
    const to = scores + <usize>i * (PAGE_TOKENS * 4);
    for (let slot = first & ~3; slot < end; slot += 4) {
      const at = to + (<usize>slot << 2);
      dotTile(keys + <usize>slot * rowBytes, rowBytes, q0, q1, headSize, at, at + PAGE_TOKENS * 4);
    }
  }
}

/** One position of one KV head as f32. */
// @ts-ignore: decorator
@inline function fetchRow(cacheType: i32, plane: usize, slot: i32, headSize: i32, to: usize): void {
  if (cacheType == CACHE_F32) memory.copy(to, plane + (<usize>(slot * headSize) << 2), <usize>headSize << 2);
  else if (cacheType == CACHE_F16) dequantizeF16(plane + (<usize>(slot * headSize) << 1), to, headSize);
  else {
    const scale = v128.load32_splat(plane + headCodeBytes(cacheType, headSize) + (<usize>slot << 2));
    widenCodes(plane + <usize>(slot * headSize), scale, to, headSize);
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

/** Scores [low, high) of one query become weights under the new peak; the rest up to `end` becomes 0. */
function weigh(scores: usize, low: i32, high: i32, end: i32, sums: usize, padded: i32, peak: usize, total: usize): void {
  const aligned = (end + 3) & ~3;
  for (let i = min(low, aligned) - 1; i >= 0; i--) store<f32>(scores + (<usize>i << 2), MASKED);
  for (let i = max(high, 0); i < aligned; i++) store<f32>(scores + (<usize>i << 2), MASKED);
  const stop = scores + (<usize>aligned << 2);
  let peaks = v128.load(scores);
  for (let at = scores + 16; at < stop; at += 16) peaks = f32x4.pmax(peaks, v128.load(at));
  const before = load<f32>(peak);
  const now = max(before, horizontalMax(peaks));
  const shift = f32x4.splat(now);
  let sum = f32x4.splat(0);
  for (let at = scores; at < stop; at += 16) {
    const weight = exp2Negative(f32x4.sub(v128.load(at), shift));
    v128.store(at, weight);
    sum = f32x4.add(sum, weight);
  }
  const rescale = exp2Negative(f32x4.splat(before - now));
  store<f32>(total, load<f32>(total) * f32x4.extract_lane(rescale, 0) + horizontalSum(sum));
  if (now == before) return;
  store<f32>(peak, now);
  const last = sums + (<usize>padded << 2);
  for (let at = sums; at < last; at += 16) v128.store(at, f32x4.mul(v128.load(at), rescale));
}

/** sums[query] += weights[query][first…end) * values of the page. */
function addValues(
  op: usize, page: usize, kvHead: i32, first: i32, end: i32, count: i32, weights: usize, sums: usize, values: usize,
): void {
  const headSize = load<i32>(op + ATTENTION_HEAD_SIZE);
  const padded = paddedHead(op);
  const cacheType = load<i32>(op + ATTENTION_CACHE_TYPE);
  const headBytes = headPlaneBytes(cacheType, headSize);
  const plane = page + <usize>(load<i32>(op + ATTENTION_KV_HEADS) + kvHead) * headBytes;
  const rowBytes = <usize>padded << 2;
  if (cacheType == CACHE_F32 && padded == headSize) values = plane;
  else for (let slot = first; slot < end; slot++) fetchRow(cacheType, plane, slot, headSize, values + <usize>slot * rowBytes);
  const start = <usize>first << 2;
  if (count < FEW_QUERIES) {
    for (let i = 0; i < count; i++)
      addRows(weights + <usize>i * (PAGE_TOKENS * 4) + start, values + <usize>first * rowBytes, rowBytes, end - first, sums + <usize>i * rowBytes);
    return;
  }
  for (let i = 0; i < count; i += 4) {
    const w0 = weights + <usize>i * (PAGE_TOKENS * 4) + start;
    const to = sums + <usize>i * rowBytes;
    let column: usize = 0;
    for (; wideTiles && column + 64 <= rowBytes; column += 64) {
      const panel = values + <usize>first * rowBytes + column;
      panelPairTile(
        w0, w0 + PAGE_TOKENS * 4, w0 + PAGE_TOKENS * 8, w0 + PAGE_TOKENS * 12, panel, panel + 32, rowBytes, end - first, to + column, rowBytes,
      );
    }
    for (; column < rowBytes; column += 32) {
      const panel = values + <usize>first * rowBytes + column;
      panelTile(
        w0, w0 + PAGE_TOKENS * 4, w0 + PAGE_TOKENS * 8, w0 + PAGE_TOKENS * 12, panel, rowBytes, end - first, to + column, rowBytes,
      );
    }
  }
}

function writeResult(y: usize, sum: usize, headSize: i32, total: f32): void {
  for (let i = 0; i < headSize; i++) store<f32>(y + (<usize>i << 2), load<f32>(sum + (<usize>i << 2)) / total);
}
