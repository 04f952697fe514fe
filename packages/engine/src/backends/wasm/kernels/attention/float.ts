// A page of the cache in f32, of three queries or more: scores (float-tiles.gen.ts), softmax (softmax.ts), sums.
//
// Keys become f32 16 positions at a time and values 16 columns at a time, for all queries of the item, and
// stay in the nearest cache meanwhile. An f32 cache is read where it lies.
//
// A thread's area, Q = queries rounded up to 4, H = head size, P = H rounded up to 16:
//   queries [block of 16][H][16], [block of 4][steps of 8 columns][4][8]
//   sums    [Q][P]; totals [Q], peaks [Q]
//   scores  [block][64 positions][16 or 4], then weights
//   strip   [16 positions][P] or [64 positions][16 columns]; room for 16 vectors

import { CACHE_F16, CACHE_F32, PAGE_TOKENS } from '../constants';
import { addFew, scoreFew, weighFew } from './float-few';
import { fetchRows, finiteHalves, STRIP } from './float-rows';
import { addSixteen, scoreFour, scoreSixteen } from './float-tiles.gen';
import { Item, keysAt, positionAt } from './item-record';
import { FEW_QUERIES, firstVisible } from './shape';
import { inSixteen, maskScores, weighScores } from './softmax';

/** Keys and values become f32 in the rest of the area. */
export function attendFloats(item: Item): void {
  const from = item.from,
    to = item.to,
    few = item.count < FEW_QUERIES;
  const begin = from & ~(PAGE_TOKENS - 1);
  item.finite = begin < to && lookAt(item, begin);
  for (let start = begin; start < to; start += PAGE_TOKENS) {
    const first = max(0, from - start);
    const end = min(PAGE_TOKENS, to - start);
    const keys = keysAt(item, start),
      values = keys + item.between;
    const following = start + PAGE_TOKENS;
    const next = following < to && lookAt(item, following);
    if (few) {
      scoreFew(item, keys, first, end);
      weighFew(item, start, first, end);
      addFew(item, values, first, end);
    } else {
      scorePage(item, keys, first, end);
      const low = first & ~3,
        high = (end + 3) & ~3;
      if (start + low < item.latest || start + high > item.lowest + 1) {
        for (let i = 0; i < item.count; i++) {
          const position = positionAt(item, i);
          const visible = max(first, firstVisible(item.op, position) - start);
          maskScores(item.scores, i, item.aligned, low, high, visible, min(end, position + 1 - start));
        }
      }
      weighScores(item, low, high);
      addPage(item, values, first, end);
    }
    item.finite = next;
  }
}

/**
 * Reads what the item sees of the page that begins at `start`: whether it is of halves that are all finite
 * (finiteHalves).
 */
function lookAt(item: Item, start: i32): bool {
  const headSize = item.headSize;
  if (item.cacheType != CACHE_F16 || (headSize & (STRIP - 1)) != 0) return false;
  const first = max(0, item.from - start);
  const keys = keysAt(item, start) + ((<usize>(first * headSize)) << 1);
  const bytes = (<usize>((min(PAGE_TOKENS, item.to - start) - first) * headSize)) << 1;
  return finiteHalves(keys, keys + item.between, bytes, item.rest);
}

/** Queries from rows of H floats, where sums will be, to blocks. */
export function packFloats(item: Item): void {
  const count = item.count,
    aligned = item.aligned,
    headSize = item.headSize,
    padded = item.padded,
    to = item.queries;
  let from = item.sums;
  memory.fill(to, 0, (<usize>(aligned * padded)) << 2);
  for (let q = 0; q < count; q++) {
    const wide = inSixteen(q, aligned);
    const lane = q & (wide ? 15 : 3);
    const block = to + <usize>(((q - lane) * padded) << 2);
    for (let column = 0; column < headSize; column++, from += 4) {
      const at = wide ? (column << 4) + lane : ((column & ~7) << 2) + (lane << 3) + (column & 7);
      store<f32>(block + ((<usize>at) << 2), load<f32>(from));
    }
  }
}

/**
 * Scores of all queries with positions [first, end) of a page; those of whole groups of four around them mean
 * nothing.
 */
function scorePage(item: Item, plane: usize, first: i32, end: i32): void {
  const headSize = item.headSize,
    padded = item.padded,
    aligned = item.aligned,
    cacheType = item.cacheType;
  const queries = item.queries,
    scores = item.scores,
    strip = item.rest;
  const inPlace = cacheType == CACHE_F32 && (headSize & 7) == 0;
  const row = (<usize>(inPlace ? headSize : padded)) << 2;
  const room = strip + ((<usize>(STRIP * max(padded, 64))) << 2);
  if (!inPlace && headSize < padded) memory.fill(strip, 0, (<usize>(STRIP * padded)) << 2);
  for (let start = first & ~3; start < end; start += STRIP) {
    const stop = min(end, start + STRIP);
    let keys = strip;
    if (inPlace) keys = plane + <usize>start * row;
    else fetchRows(item, plane, start, stop, 0, headSize, strip, row);
    const reach = (stop - start + 3) & ~3;
    let q = 0;
    for (; inSixteen(q, aligned); q += 16) {
      const block = queries + <usize>((q * padded) << 2);
      const to = scores + ((<usize>q) << 8) + ((<usize>start) << 6);
      for (let p = 0; p < reach; p += 4)
        scoreSixteen(keys + <usize>p * row, row, block, headSize, to + ((<usize>p) << 6));
    }
    for (; q < aligned; q += 4) {
      const block = queries + <usize>((q * padded) << 2);
      const to = scores + ((<usize>q) << 8) + ((<usize>start) << 4);
      for (let p = 0; p < reach; p += 2)
        scoreFour(keys + <usize>p * row, row, block, (headSize + 7) >> 3, to + ((<usize>p) << 4), room);
    }
  }
}

/** sums += weights of positions [first, end) times the values of a page. */
function addPage(item: Item, plane: usize, first: i32, end: i32): void {
  const headSize = item.headSize,
    padded = item.padded,
    aligned = item.aligned,
    cacheType = item.cacheType;
  const weights = item.scores,
    sums = item.sums,
    strip = item.rest;
  const steps = end - first;
  const stride = (<usize>padded) << 2;
  for (let column = 0; column < headSize; column += STRIP) {
    const columns = min(STRIP, headSize - column);
    let values = strip;
    let row = (<usize>STRIP) << 2;
    if (cacheType == CACHE_F32 && columns == STRIP) {
      row = (<usize>headSize) << 2;
      values = plane + <usize>first * row + ((<usize>column) << 2);
    } else fetchRows(item, plane, first, end, column, columns, strip, row);
    for (let q = 0; q < aligned; q += 4) {
      const wide = inSixteen(q, aligned);
      const lane = wide ? q & 15 : 0;
      const step: usize = wide ? 64 : 16;
      const at = weights + ((<usize>(q - lane)) << 8) + ((<usize>lane) << 2) + <usize>first * step;
      addSixteen(at, step, values, row, steps, sums + <usize>q * stride + ((<usize>column) << 2), stride);
    }
  }
}
