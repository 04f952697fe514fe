// A page of the cache in f32, of three queries or more: scores (float-tiles.ts), softmax (softmax.ts), sums.
//
// Keys become f32 16 positions at a time and values 16 columns at a time, for all queries of the item, and
// stay in the nearest cache meanwhile. An f32 cache is read where it lies.
//
// A thread's area, Q = queries rounded up to 4, H = head size, P = H rounded up to 16:
//   queries [block of 16][H][16], [block of 4][steps of 8 columns][4][8]
//   sums    [Q][P]; totals [Q], peaks [Q]
//   scores  [block][64 positions][16 or 4], then weights
//   strip   [16 positions][P] or [64 positions][16 columns]; room for 16 vectors
import { FEW_QUERIES, firstVisible, groupOf, paddedHead } from './shape';
import { addFew, scoreFew, weighFew } from './float-few';
import { fetchRows, finiteHalves, STRIP } from './float-rows';
import { addSixteen, scoreFour, scoreSixteen } from './float-tiles';
import { inSixteen, maskScores, weighScores } from './softmax';
import { headPlaneBytes } from './cache-layout';
import { CACHE_F16, CACHE_F32, PAGE_TOKENS } from '../constants';
import { address } from '../common/common';
import {
  ATTENTION_CACHE_TYPE, ATTENTION_GROUP, ATTENTION_HEAD_SIZE, ATTENTION_KV_HEADS, ATTENTION_LAYER_OFFSET,
  ATTENTION_POSITIONS,
} from '../op-layout';
import { cachePage } from '../common/step';

/**
 * Positions [from, to) of the cache; every query of the item sees those from `latest` to `lowest`. `page` is
 * where keys and values become f32.
 */
export function attendFloats(
  op: usize, segment: usize, kvHead: i32, from: i32, to: i32, latest: i32, lowest: i32, firstRow: i32, count: i32,
  queries: usize, sums: usize, totals: usize, peaks: usize, scores: usize, page: usize,
): void {
  const headSize = load<i32>(op + ATTENTION_HEAD_SIZE);
  const padded = paddedHead(op);
  const group = groupOf(op);
  const aligned = (count + 3) & ~3;
  const positions = address(op, ATTENTION_POSITIONS) + (<usize>firstRow << 2);
  const between = <usize>load<i32>(op + ATTENTION_KV_HEADS) * headPlaneBytes(
    load<i32>(op + ATTENTION_CACHE_TYPE), headSize,
  );
  const begin = from & ~(PAGE_TOKENS - 1);
  let finite = begin < to && lookAt(op, segment, kvHead, begin, from, to, between, page);
  for (let start = begin; start < to; start += PAGE_TOKENS) {
    const first = max(0, from - start);
    const end = min(PAGE_TOKENS, to - start);
    const keys = keysAt(op, segment, kvHead, start);
    const following = start + PAGE_TOKENS;
    const next = following < to && lookAt(op, segment, kvHead, following, from, to, between, page);
    if (count < FEW_QUERIES) {
      const values = page + (<usize>(PAGE_TOKENS * headSize) << 2);
      scoreFew(op, keys, finite, first, end, queries, count, scores, page);
      weighFew(op, positions, group, start, first, end, count, scores, sums, padded, totals, peaks);
      addFew(op, keys + between, finite, first, end, scores, count, padded, sums, values);
    } else {
      scorePage(op, keys, finite, first, end, queries, aligned, padded, scores, page);
      const low = first & ~3, high = (end + 3) & ~3;
      if (start + low < latest || start + high > lowest + 1) {
        for (let i = 0; i < count; i++) {
          const position = load<i32>(positions + (<usize>(i / group) << 2));
          const visible = max(first, firstVisible(op, position) - start);
          maskScores(scores, i, aligned, low, high, visible, min(end, position + 1 - start));
        }
      }
      weighScores(scores, low, high, aligned, sums, padded, totals, peaks, page);
      addPage(op, keys + between, finite, first, end, scores, aligned, padded, sums, page);
    }
    finite = next;
  }
}

/** The keys of a KV head in the page of `position`. */
function keysAt(op: usize, segment: usize, kvHead: i32, position: i32): usize {
  const page = cachePage(
    segment, load<i32>(op, ATTENTION_GROUP), position,
  ) + <usize>load<u32>(op + ATTENTION_LAYER_OFFSET);
  return page + <usize>kvHead * headPlaneBytes(
    load<i32>(op + ATTENTION_CACHE_TYPE), load<i32>(op + ATTENTION_HEAD_SIZE),
  );
}

/**
 * Reads what [from, to) has in the page that begins at `start`: whether it is of halves that are all finite
 * (finiteHalves).
 */
function lookAt(
  op: usize, segment: usize, kvHead: i32, start: i32, from: i32, to: i32, between: usize, room: usize,
): bool {
  const headSize = load<i32>(op + ATTENTION_HEAD_SIZE);
  if (load<i32>(op + ATTENTION_CACHE_TYPE) != CACHE_F16 || (headSize & (STRIP - 1)) != 0) return false;
  const first = max(0, from - start);
  const keys = keysAt(op, segment, kvHead, start) + (<usize>(first * headSize) << 1);
  return finiteHalves(keys, keys + between, <usize>((min(PAGE_TOKENS, to - start) - first) * headSize) << 1, room);
}

/** Queries from rows of H floats, `count` of them, to the blocks of `aligned`. */
export function packFloats(from: usize, count: i32, aligned: i32, headSize: i32, padded: i32, to: usize): void {
  memory.fill(to, 0, <usize>(aligned * padded) << 2);
  for (let q = 0; q < count; q++) {
    const wide = inSixteen(q, aligned);
    const lane = q & (wide ? 15 : 3);
    const block = to + <usize>((q - lane) * padded << 2);
    for (let column = 0; column < headSize; column++, from += 4) {
      const at = wide ? (column << 4) + lane : ((column & ~7) << 2) + (lane << 3) + (column & 7);
      store<f32>(block + (<usize>at << 2), load<f32>(from));
    }
  }
}

/**
 * Scores of all queries with positions [first, end) of a page; those of whole groups of four around them mean
 * nothing.
 */
function scorePage(
  op: usize, plane: usize, finite: bool, first: i32, end: i32, queries: usize, aligned: i32, padded: i32,
  scores: usize, strip: usize,
): void {
  const headSize = load<i32>(op + ATTENTION_HEAD_SIZE);
  const cacheType = load<i32>(op + ATTENTION_CACHE_TYPE);
  const inPlace = cacheType == CACHE_F32 && (headSize & 7) == 0;
  const row = <usize>(inPlace ? headSize : padded) << 2;
  const room = strip + (<usize>(STRIP * max(padded, 64)) << 2);
  if (!inPlace && headSize < padded) memory.fill(strip, 0, <usize>(STRIP * padded) << 2);
  for (let start = first & ~3; start < end; start += STRIP) {
    const stop = min(end, start + STRIP);
    let keys = strip;
    if (inPlace) keys = plane + <usize>start * row;
    else fetchRows(cacheType, finite, plane, start, stop, headSize, 0, headSize, strip, row);
    const reach = (stop - start + 3) & ~3;
    let q = 0;
    for (; inSixteen(q, aligned); q += 16) {
      const block = queries + <usize>(q * padded << 2);
      const to = scores + (<usize>q << 8) + (<usize>start << 6);
      for (let p = 0; p < reach; p += 4)
        scoreSixteen(keys + <usize>p * row, row, block, headSize, to + (<usize>p << 6));
    }
    for (; q < aligned; q += 4) {
      const block = queries + <usize>(q * padded << 2);
      const to = scores + (<usize>q << 8) + (<usize>start << 4);
      for (let p = 0; p < reach; p += 2)
        scoreFour(keys + <usize>p * row, row, block, (headSize + 7) >> 3, to + (<usize>p << 4), room);
    }
  }
}

/** sums += weights of positions [first, end) times the values of a page. */
function addPage(
  op: usize, plane: usize, finite: bool, first: i32, end: i32, weights: usize, aligned: i32, padded: i32, sums: usize,
  strip: usize,
): void {
  const headSize = load<i32>(op + ATTENTION_HEAD_SIZE);
  const cacheType = load<i32>(op + ATTENTION_CACHE_TYPE);
  const steps = end - first;
  const stride = <usize>padded << 2;
  for (let column = 0; column < headSize; column += STRIP) {
    const columns = min(STRIP, headSize - column);
    let values = strip;
    let row = <usize>STRIP << 2;
    if (cacheType == CACHE_F32 && columns == STRIP) {
      row = <usize>headSize << 2;
      values = plane + <usize>first * row + (<usize>column << 2);
    } else fetchRows(cacheType, finite, plane, first, end, headSize, column, columns, strip, row);
    for (let q = 0; q < aligned; q += 4) {
      const wide = inSixteen(q, aligned);
      const lane = wide ? q & 15 : 0;
      const step: usize = wide ? 64 : 16;
      const at = weights + (<usize>(q - lane) << 8) + (<usize>lane << 2) + <usize>first * step;
      addSixteen(at, step, values, row, steps, sums + <usize>q * stride + (<usize>column << 2), stride);
    }
  }
}

