// A pair of pages of an 8-bit cache by byte dots (bytes-tiles.ts): scores, softmax and sums of all queries of
// an item.
import { firstVisible, groupOf, paddedHead, PAIR_TOKENS } from './shape';
import { copyScales, largestScale, maskBytes, weighBytes } from './bytes-softmax';
import { addBytes, interleaveBytes, scoreBytes } from './bytes-tiles';
import { scalesOf } from './codes';
import { headPlaneBytes } from './cache-layout';
import { CACHE_Q8, PAGE_TOKENS } from '../constants';
import { address } from '../common/common';
import {
  ATTENTION_GROUP, ATTENTION_HEAD_SIZE, ATTENTION_KV_HEADS, ATTENTION_LAYER_OFFSET, ATTENTION_POSITIONS,
} from '../op-layout';
import { cachePage } from '../common/step';

/** The part [from, to) of a pair of pages of an 8-bit cache that starts at `start`, by byte dots. */
export function attendBytes(
  op: usize, segment: usize, kvHead: i32, start: i32, from: i32, to: i32, firstRow: i32, count: i32, whole: bool,
  queries: usize, sums: usize, totals: usize, peaks: usize, factors: usize, limits: usize, scores: usize,
  weights: usize, values: usize,
): void {
  const headSize = load<i32>(op + ATTENTION_HEAD_SIZE);
  const padded = paddedHead(op);
  const group = groupOf(op);
  const aligned = (count + 3) & ~3;
  const positions = address(op, ATTENTION_POSITIONS);
  const headBytes = headPlaneBytes(CACHE_Q8, headSize);
  const between = <usize>load<i32>(op + ATTENTION_KV_HEADS) * headBytes;
  const starts = values + <usize>(PAIR_TOKENS * padded);
  const scales = starts + PAGE_TOKENS * 4;
  const zeros = scales + PAIR_TOKENS * 4;
  const room = zeros + 64;
  const weightFactors = factors + (<usize>aligned << 2);
  const first = max(0, from - start);
  const end = min(PAIR_TOKENS, to - start);
  for (let slot = 0; slot < PAIR_TOKENS; slot += PAGE_TOKENS) {
    const low = max(0, first - slot);
    const high = min(PAGE_TOKENS, end - slot);
    if (low >= high) {
      memory.fill(scales + (<usize>slot << 2), 0, PAGE_TOKENS * 4);
      continue;
    }
    const keyPlane = planeOf(op, segment, kvHead, start + slot);
    const valuePlane = keyPlane + between;
    if (start + slot + PAGE_TOKENS < to)
      touchPlanes(planeOf(op, segment, kvHead, start + slot + PAGE_TOKENS), between, headBytes, room);
    scoreBytes(
      keyPlane, scalesOf(keyPlane, headSize), slot, low, high, aligned, headSize, queries, factors, scores, starts,
      room,
    );
    copyScales(scalesOf(valuePlane, headSize), low, high, scales + (<usize>slot << 2));
    interleaveBytes(valuePlane, low >> 2, (high + 3) >> 2, headSize, padded, values + <usize>(slot * padded));
  }
  const most = largestScale(scales);
  const reach = end <= PAGE_TOKENS ? PAGE_TOKENS : PAIR_TOKENS;
  for (let i = 0; i < count; i++) {
    let limit = most;
    if (!whole) {
      const position = load<i32>(positions + (<usize>(firstRow + i / group) << 2));
      const low = max(first, firstVisible(op, position) - start);
      limit = maskBytes(scores, i, aligned, low, min(end, position + 1 - start), reach, scales);
    }
    store<f32>(limits + (<usize>i << 2), limit);
  }
  weighBytes(scores, reach, scales, limits, aligned, padded, sums, totals, peaks, weightFactors, weights, room);
  addBytes(first >> 2, (end + 3) >> 2, aligned, padded, weights, weightFactors, sums, values, zeros, room);
}

/** The keys of a head in the page of `position`. */
function planeOf(op: usize, segment: usize, kvHead: i32, position: i32): usize {
  const page = cachePage(
    segment, load<i32>(op, ATTENTION_GROUP), position,
  ) + <usize>load<u32>(op + ATTENTION_LAYER_OFFSET);
  return page + <usize>kvHead * headPlaneBytes(CACHE_Q8, load<i32>(op + ATTENTION_HEAD_SIZE));
}

/**
 * Reads a word of every line of the next page's keys and values, in turns, so that all are on their way at
 * the same time. Products read too slowly for prefetchers: of few queries, the waits at the beginnings of
 * planes and of the system's pages took a fifth of the time. 1.05 to 1.1 times as fast, one row at 128K;
 * lines of keys first and values after them, or every second or fourth line, give less.
 */
function touchPlanes(keys: usize, between: usize, byteLength: usize, room: usize): void {
  let sum = 0;
  for (const end = keys + byteLength; keys < end; keys += 64) sum |= load<i32>(keys) | load<i32>(keys + between);
  store<i32>(room, sum);
}
