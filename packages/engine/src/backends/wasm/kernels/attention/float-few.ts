// Attention in f32 of one or two queries to a page: turning the page into tiles would cost more than it
// saves, so rows of keys and values are multiplied as they lie. 2.5 times as fast so with an f16 cache, 3.7
// with an 8-bit one.
//
// A thread's area: queries [2][H] times scale * log2(e), sums [Q][P], totals, peaks, scores [4][64], keys
// [64][H], values [64][P].

import { exp2Negative, horizontalMax, horizontalSum } from '../common/math';
import { CACHE_F32, PAGE_TOKENS } from '../constants';
import { addRows, dotTile } from '../linear/tiles';
import { fetchRows } from './float-rows';
import { Item, positionAt } from './item-record';
import { firstVisible } from './shape';
import { MASKED } from './softmax';

/**
 * Scores of one or two queries with positions [first, end) of a page; those of whole groups of four around
 * them mean nothing.
 */
export function scoreFew(item: Item, plane: usize, first: i32, end: i32): void {
  const headSize = item.headSize,
    queries = item.queries,
    scores = item.scores;
  const row = (<usize>headSize) << 2;
  let keys = item.rest;
  if (item.cacheType == CACHE_F32) keys = plane;
  else fetchRows(item, plane, first, end, 0, headSize, keys + <usize>first * row, row);
  memory.fill(scores, 0, 4 * PAGE_TOKENS * 4);
  const q1 = item.count > 1 ? queries + row : queries;
  for (let slot = first & ~3; slot < end; slot += 4) {
    const at = scores + ((<usize>slot) << 2);
    dotTile(keys + <usize>slot * row, row, queries, q1, headSize, at, at + PAGE_TOKENS * 4);
  }
}

/** Scores become weights; `start` is the page's first position. */
export function weighFew(item: Item, start: i32, first: i32, end: i32): void {
  const padded = item.padded;
  for (let i = 0; i < item.count; i++) {
    const position = positionAt(item, i);
    const low = max(first, firstVisible(item.op, position) - start);
    const high = min(end, position + 1 - start);
    const word = (<usize>i) << 2;
    const sums = item.sums + <usize>i * ((<usize>padded) << 2);
    weigh(
      item.scores + <usize>i * (PAGE_TOKENS * 4),
      low,
      high,
      end,
      sums,
      padded,
      item.peaks + word,
      item.totals + word,
    );
  }
}

/** Scores [low, high) of one query become weights under the new peak; the rest up to `end` becomes 0. */
function weigh(
  scores: usize,
  low: i32,
  high: i32,
  end: i32,
  sums: usize,
  padded: i32,
  peak: usize,
  total: usize,
): void {
  const aligned = (end + 3) & ~3;
  for (let i = min(low, aligned) - 1; i >= 0; i--) store<f32>(scores + ((<usize>i) << 2), MASKED);
  for (let i = max(high, 0); i < aligned; i++) store<f32>(scores + ((<usize>i) << 2), MASKED);
  const stop = scores + ((<usize>aligned) << 2);
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
  const last = sums + ((<usize>padded) << 2);
  for (let at = sums; at < last; at += 16) v128.store(at, f32x4.mul(v128.load(at), rescale));
}

/** sums[query] += weights[query][first…end) * values of the page. */
export function addFew(item: Item, plane: usize, first: i32, end: i32): void {
  const headSize = item.headSize,
    padded = item.padded;
  const row = (<usize>padded) << 2;
  let values = item.rest + ((<usize>(PAGE_TOKENS * headSize)) << 2);
  if (item.cacheType == CACHE_F32 && padded == headSize) values = plane;
  else fetchRows(item, plane, first, end, 0, headSize, values + <usize>first * row, row);
  for (let i = 0; i < item.count; i++)
    addRows(
      item.scores + ((<usize>(i * PAGE_TOKENS + first)) << 2),
      values + <usize>first * row,
      row,
      end - first,
      item.sums + <usize>i * row,
    );
}
