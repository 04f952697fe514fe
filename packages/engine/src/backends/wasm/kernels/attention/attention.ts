// Softmax attention over a paged cache, with the softmax kept online (Milakov & Gimelshein 2018; in blocks as
// in FlashAttention, Dao et al. 2022), so that memory does not grow with the context.
//
// The unit of work is an item: up to QUERIES queries that share a KV head (all its query heads, and as many
// rows of one segment as fit) against a range of the cache. Pages of 64 positions are dequantised once per
// item; scores and weighted values are register tiles (float-tiles.ts; 8-bit caches have their own). Few rows
// over a deep cache leave too few items for the threads, so the cache is split into ranges then; whoever
// finishes the last item merges the partial results. How it is split depends on positions and scratch size
// alone, and a row's result does not depend on its neighbours' values.
//
// Scratch: one area per thread (layout in item.ts), then the partial results, [rows][heads][splits] records
// of [headSize rounded up to 16] sums, the peak and the total.

import { address, liveRows, madd, nextChunk } from '../common/common';
import { expNegative } from '../common/math';
import { rowCount, rowStart, segmentAt, segmentCount } from '../common/step';
import { ATTENTION_SPLITS } from '../constants';
import {
  ATTENTION_HEAD_SIZE,
  ATTENTION_HEADS,
  ATTENTION_KV_HEADS,
  ATTENTION_SCRATCH,
  ATTENTION_SCRATCH_BYTES,
  ATTENTION_SEGMENTS,
  ATTENTION_Y,
  ATTENTION_Y_STRIDE,
} from '../op-layout';
import { attendItem, withSink, writeResult } from './item';
import { describeItem, Item } from './item-record';
import { firstVisible, partialBytes, positionOf, rowsPerItem, threadAreaBytes } from './shape';

/** The shortest range of a split, as a power of two, and the most splits. */
// @inline
const LEAST_SPLIT_SHIFT: i32 = 9;
// @inline
const MAX_SPLITS: i32 = ATTENTION_SPLITS;
/** A shift at which all positions share one range: no split. */
// @inline
const UNSPLIT: i32 = 31;
/**
 * Items beyond which splitting gains nothing. Also keeps both counters of the record's counter word below
 * 2^16.
 */
// @inline
const ENOUGH_ITEMS: i32 = 64;

export function attention(op: usize, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  if (rows == 0) return;
  const shift = splitShift(op, rows, threads);
  const split = shift != UNSPLIT;
  const firstSplit = split ? leastVisible(op, rows) >> shift : 0;
  const splits = split ? (greatestPosition(op, rows) >> shift) - firstSplit + 1 : 1;
  const kvHeads = load<i32>(op + ATTENTION_KV_HEADS);
  const perItem = rowsPerItem(op);
  const perBlock = kvHeads * splits;
  const segments = address(op, ATTENTION_SEGMENTS);
  const count = segmentCount(segments);
  const item = changetype<Item>(address(op, ATTENTION_SCRATCH) + <usize>thread * threadAreaBytes(op, perItem));
  describeItem(item, op);
  const partials = split ? address(op, ATTENTION_SCRATCH) + <usize>threads * threadAreaBytes(op, perItem) : 0;
  const items = countItems(segments, count, perItem) * perBlock;
  let s = 0;
  let before = 0;
  for (let chunk = claim(op, split); chunk < items; chunk = claim(op, split)) {
    let inSegment = itemsOf(segments, s, perItem) * perBlock;
    while (chunk >= before + inSegment) {
      before += inSegment;
      inSegment = itemsOf(segments, ++s, perItem) * perBlock;
    }
    const segment = segmentAt(segments, s);
    const block = (chunk - before) / perBlock;
    const kvHead = ((chunk - before) % perBlock) / splits;
    const index = (chunk - before) % splits;
    const first = rowStart(segment) + block * perItem;
    item.segment = segment;
    item.kvHead = kvHead;
    item.firstRow = first;
    item.from = split ? (firstSplit + index) << shift : 0;
    item.to = split ? item.from + (1 << shift) : i32.MAX_VALUE;
    attendItem(item, min(first + perItem, rowStart(segment) + rowCount(segment)), partials, splits, index);
    if (split && finish(op) == items) mergeAll(op, rows, shift, firstSplit, splits, partials);
  }
}

/**
 * Where ranges are merged, the counter word holds claims in its low half and finished items in its high half.
 */
// @inline
function claim(op: usize, split: bool): i32 {
  const chunk = nextChunk(op);
  return split ? chunk & 0xffff : chunk;
}

// @inline
function finish(op: usize): i32 {
  return <i32>((atomic.add<u32>(op, 0x10000, 4) >>> 16) + 1);
}

// @inline
function itemsOf(segments: usize, s: i32, perItem: i32): i32 {
  return (rowCount(segmentAt(segments, s)) + perItem - 1) / perItem;
}

function countItems(segments: usize, count: i32, perItem: i32): i32 {
  let items = 0;
  for (let s = 0; s < count; s++) items += itemsOf(segments, s, perItem);
  return items;
}

function greatestPosition(op: usize, rows: i32): i32 {
  let greatest = 0;
  for (let row = 0; row < rows; row++) greatest = max(greatest, positionOf(op, row));
  return greatest;
}

function leastVisible(op: usize, rows: i32): i32 {
  let least = i32.MAX_VALUE;
  for (let row = 0; row < rows; row++) least = min(least, firstVisible(op, positionOf(op, row)));
  return least;
}

/** Positions per range as a power of two: the smallest whose partial results fit, or UNSPLIT. */
function splitShift(op: usize, rows: i32, threads: i32): i32 {
  const perItem = rowsPerItem(op);
  const items = countItems(address(op, ATTENTION_SEGMENTS), segmentCount(address(op, ATTENTION_SEGMENTS)), perItem);
  if (items * load<i32>(op + ATTENTION_KV_HEADS) >= ENOUGH_ITEMS) return UNSPLIT;
  const areas = <usize>threads * threadAreaBytes(op, perItem);
  const scratch = <usize>load<u32>(op + ATTENTION_SCRATCH_BYTES);
  if (scratch <= areas) return UNSPLIT;
  const room = (scratch - areas) / (<usize>(rows * load<i32>(op + ATTENTION_HEADS)) * partialBytes(op));
  const least = leastVisible(op, rows);
  const greatest = greatestPosition(op, rows);
  for (let shift = LEAST_SPLIT_SHIFT; shift < 30; shift++) {
    const splits = (greatest >> shift) - (least >> shift) + 1;
    if (splits == 1) return UNSPLIT;
    if (splits <= MAX_SPLITS && <usize>splits <= room) return shift;
  }
  return UNSPLIT;
}

function mergeAll(op: usize, rows: i32, shift: i32, firstSplit: i32, splits: i32, partials: usize): void {
  const heads = load<i32>(op + ATTENTION_HEADS);
  const headSize = load<i32>(op + ATTENTION_HEAD_SIZE);
  const record = partialBytes(op);
  for (let row = 0; row < rows; row++) {
    const position = positionOf(op, row);
    const first = (firstVisible(op, position) >> shift) - firstSplit;
    const end = (position >> shift) - firstSplit + 1;
    let y = address(op, ATTENTION_Y) + ((<usize>(<u32>row * load<u32>(op + ATTENTION_Y_STRIDE))) << 2);
    let parts = partials + <usize>(row * heads * splits) * record;
    for (let head = 0; head < heads; head++) {
      mergeHead(y, headSize, parts + <usize>first * record, end - first, record, op, head);
      y += (<usize>headSize) << 2;
      parts += <usize>splits * record;
    }
  }
}

/** Peaks are in powers of two, like the scores (item.ts). The first record becomes the sum. */
function mergeHead(y: usize, headSize: i32, parts: usize, count: i32, record: usize, op: usize, head: i32): void {
  const padded = (<usize>((headSize + 15) & ~15)) << 2;
  let peak = load<f32>(parts + padded);
  for (let i = 1; i < count; i++) peak = max(peak, load<f32>(parts + <usize>i * record + padded));
  let total: f32 = 0;
  for (let i = 0; i < count; i++) {
    const part = parts + <usize>i * record;
    const exponent = (load<f32>(part + padded) - peak) * <f32>0.6931471805599453;
    const weight = expNegative(f32x4.splat(exponent));
    total += f32x4.extract_lane(weight, 0) * load<f32>(part + padded, 4);
    for (let at: usize = 0; at < padded; at += 16) {
      const value = v128.load(part + at);
      v128.store(parts + at, i == 0 ? f32x4.mul(value, weight) : madd(value, weight, v128.load(parts + at)));
    }
  }
  writeResult(y, parts, headSize, withSink(op, head, peak, total));
}
