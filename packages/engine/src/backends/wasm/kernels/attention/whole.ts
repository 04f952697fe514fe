// Softmax attention of whole texts to themselves, without a cache: keys and values are rows of the step, read where
// they lie. The softmax is kept online over blocks of 64 positions, with the tiles of attention over a cache in f32
// (float.ts): an item is up to QUERIES queries that share a KV head, of rows of one segment.
//
// A thread's area has the same layout as there: the item's record, then queries, sums, totals, peaks, factors,
// scores; the rest holds strips of keys or values where they cannot be read in place, and room for 16 vectors.

import { liveRows, nextChunk, rowAt } from '../common/common';
import { rowCount, rowStart, segmentAt, segmentCount } from '../common/step';
import { ATTENTION_QUERIES, PAGE_TOKENS } from '../constants';
import { WholeAttention } from '../op-records';
import { packFloats } from './float';
import { STRIP } from './float-rows';
import { addSixteen, scoreFour, scoreSixteen } from './float-tiles.gen';
import { placeParts, writeResult } from './item';
import { Item } from './item-record';
import { inSixteen, maskScores, NO_PEAK, weighScores } from './softmax';

export function wholeAttention(op: WholeAttention, thread: i32, threads: i32): void {
  if (liveRows(op) == 0) return;
  const kvHeads = op.kvHeads;
  const group = op.heads / kvHeads;
  const perItem = max(1, ATTENTION_QUERIES / group);
  const item = changetype<Item>(op.scratch + <usize>thread * <usize>op.threadBytes);
  item.headSize = op.headSize;
  item.padded = (op.headSize + 15) & ~15;
  item.group = group;
  const segments = op.segments;
  let items = 0;
  for (let s = 0, count = segmentCount(segments); s < count; s++) items += itemsOf(segments, s, perItem) * kvHeads;
  let s = 0;
  let before = 0;
  for (let chunk = nextChunk(op); chunk < items; chunk = nextChunk(op)) {
    let inSegment = itemsOf(segments, s, perItem) * kvHeads;
    while (chunk >= before + inSegment) {
      before += inSegment;
      inSegment = itemsOf(segments, ++s, perItem) * kvHeads;
    }
    item.segment = segmentAt(segments, s);
    item.kvHead = (chunk - before) % kvHeads;
    item.firstRow = rowStart(item.segment) + ((chunk - before) / kvHeads) * perItem;
    attendRows(op, item, min(item.firstRow + perItem, rowStart(item.segment) + rowCount(item.segment)));
  }
}

// @inline
function itemsOf(segments: usize, s: i32, perItem: i32): i32 {
  return (rowCount(segmentAt(segments, s)) + perItem - 1) / perItem;
}

function attendRows(op: WholeAttention, item: Item, endRow: i32): void {
  item.count = (endRow - item.firstRow) * item.group;
  placeParts(item);
  loadQueries(op, item, endRow);
  packFloats(item);
  memory.fill(item.sums, 0, item.peaks - item.sums);
  for (let i = 0; i < item.aligned; i++) store<f32>(item.peaks + ((<usize>i) << 2), NO_PEAK);
  const start = rowStart(item.segment);
  const end = start + rowCount(item.segment);
  const reach = op.reach;
  item.from = reach ? max(start, item.firstRow - reach) : start;
  item.to = reach ? min(end, endRow + reach) : end;
  for (let row = item.from; row < item.to; row += PAGE_TOKENS)
    attendBlock(op, item, row, min(PAGE_TOKENS, item.to - row));
  for (let i = 0; i < item.count; i++) {
    const head = item.kvHead * item.group + (i % item.group);
    const y = rowAt(op.y, op.yStride, item.firstRow + i / item.group) + ((<usize>(head * item.headSize)) << 2);
    const sum = item.sums + <usize>i * ((<usize>item.padded) << 2);
    writeResult(y, sum, item.headSize, load<f32>(item.totals + ((<usize>i) << 2)));
  }
}

/** Rows of H floats where sums will be, times scale * log2(e), so that scores are exponents of two. */
function loadQueries(op: WholeAttention, item: Item, endRow: i32): void {
  const floats = item.group * item.headSize;
  const scale: f32 = op.scale * <f32>1.4426950408889634;
  let to = item.sums;
  for (let row = item.firstRow; row < endRow; row++) {
    const q = rowAt(op.q, op.qStride, row) + ((<usize>(item.kvHead * floats)) << 2);
    for (let i = 0; i < floats; i++, to += 4) store<f32>(to, load<f32>(q + ((<usize>i) << 2)) * scale);
  }
}

/** \`count\` rows from \`row\` on, at most 64. */
function attendBlock(op: WholeAttention, item: Item, row: i32, count: i32): void {
  scoreBlock(op, item, row, count);
  const end = (count + 3) & ~3;
  const reach = op.reach;
  if (reach != 0 || end != count)
    for (let i = 0; i < item.count; i++) {
      const own = item.firstRow + i / item.group;
      const low = reach ? max(0, own - reach - row) : 0;
      const high = reach ? min(count, own + reach + 1 - row) : count;
      if (low > 0 || high < end) maskScores(item.scores, i, item.aligned, 0, end, low, high);
    }
  weighScores(item, 0, end);
  addBlock(op, item, row, count);
}

/** Scores with rows in groups of four: those behind the last row mean nothing. */
function scoreBlock(op: WholeAttention, item: Item, row: i32, count: i32): void {
  const headSize = item.headSize,
    padded = item.padded,
    aligned = item.aligned,
    queries = item.queries,
    scores = item.scores,
    strip = item.rest;
  const column = (<usize>(item.kvHead * headSize)) << 2;
  const room = strip + ((<usize>(STRIP * max(padded, 64))) << 2);
  for (let start = 0; start < count; start += STRIP) {
    const stop = min(count, start + STRIP);
    let keys = rowAt(op.k, op.kStride, row + start) + column;
    let stride = op.kStride << 2;
    // Tiles take eight columns and four rows at a time.
    if ((headSize & 7) != 0 || (stop & 3) != 0) {
      copyRows(keys, stride, stop - start, headSize, strip, (<usize>padded) << 2);
      keys = strip;
      stride = (<usize>padded) << 2;
    }
    const reach = (stop - start + 3) & ~3;
    let q = 0;
    for (; inSixteen(q, aligned); q += 16) {
      const block = queries + <usize>((q * padded) << 2);
      const to = scores + ((<usize>q) << 8) + ((<usize>start) << 6);
      for (let p = 0; p < reach; p += 4)
        scoreSixteen(keys + <usize>p * stride, stride, block, headSize, to + ((<usize>p) << 6));
    }
    for (; q < aligned; q += 4) {
      const block = queries + <usize>((q * padded) << 2);
      const to = scores + ((<usize>q) << 8) + ((<usize>start) << 4);
      for (let p = 0; p < reach; p += 2)
        scoreFour(keys + <usize>p * stride, stride, block, (headSize + 7) >> 3, to + ((<usize>p) << 4), room);
    }
  }
}

/** sums += weights times the values of the rows, 16 columns at a time. */
function addBlock(op: WholeAttention, item: Item, row: i32, count: i32): void {
  const headSize = item.headSize,
    padded = item.padded,
    aligned = item.aligned,
    strip = item.rest;
  const sumStride = (<usize>padded) << 2;
  for (let column = 0; column < headSize; column += STRIP) {
    const columns = min(STRIP, headSize - column);
    let values = rowAt(op.v, op.vStride, row) + ((<usize>(item.kvHead * headSize + column)) << 2);
    let stride = op.vStride << 2;
    if (columns < STRIP) {
      copyRows(values, stride, count, columns, strip, (<usize>STRIP) << 2);
      values = strip;
      stride = (<usize>STRIP) << 2;
    }
    for (let q = 0; q < aligned; q += 4) {
      const wide = inSixteen(q, aligned);
      const lane = wide ? q & 15 : 0;
      const weights = item.scores + ((<usize>(q - lane)) << 8) + ((<usize>lane) << 2);
      const to = item.sums + <usize>q * sumStride + ((<usize>column) << 2);
      addSixteen(weights, wide ? 64 : 16, values, stride, count, to, sumStride);
    }
  }
}

/** Rows of \`columns\` floats to \`to\`, with zeros up to the stride. */
function copyRows(from: usize, fromStride: usize, count: i32, columns: i32, to: usize, stride: usize): void {
  const bytes = (<usize>columns) << 2;
  for (let i = 0; i < count; i++, from += fromStride, to += stride) {
    memory.copy(to, from, bytes);
    memory.fill(to + bytes, 0, stride - bytes);
  }
}
