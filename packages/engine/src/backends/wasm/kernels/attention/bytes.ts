// A pair of pages of an 8-bit cache by byte dots (bytes-tiles.ts): scores, softmax and sums of all queries of
// an item.

import { CACHE_Q8, PAGE_TOKENS } from '../constants';
import { copyScales, largestScale, maskBytes, weighBytes } from './bytes-softmax';
import { addBytes, interleaveBytes, scoreBytes } from './bytes-tiles';
import { headPlaneBytes } from './cache-layout';
import { scalesOf } from './codes';
import { Item, keysAt, positionAt } from './item-record';
import { firstVisible, PAIR_TOKENS } from './shape';

/** What an item sees of the pair of pages of an 8-bit cache that starts at `start`, by byte dots. */
export function attendBytes(item: Item, start: i32, whole: bool): void {
  const headSize = item.headSize,
    padded = item.padded,
    to = item.to,
    scales = item.scales;
  const first = max(0, item.from - start);
  const end = min(PAIR_TOKENS, to - start);
  for (let slot = 0; slot < PAIR_TOKENS; slot += PAGE_TOKENS) {
    const low = max(0, first - slot);
    const high = min(PAGE_TOKENS, end - slot);
    if (low >= high) {
      memory.fill(scales + ((<usize>slot) << 2), 0, PAGE_TOKENS * 4);
      continue;
    }
    const keyPlane = keysAt(item, start + slot);
    const valuePlane = keyPlane + item.between;
    const following = start + slot + PAGE_TOKENS;
    if (following < to)
      touchPlanes(keysAt(item, following), item.between, headPlaneBytes(CACHE_Q8, headSize), item.room);
    scoreBytes(item, keyPlane, slot, low, high);
    copyScales(scalesOf(valuePlane, headSize), low, high, scales + ((<usize>slot) << 2));
    interleaveBytes(valuePlane, low >> 2, (high + 3) >> 2, headSize, padded, item.values + <usize>(slot * padded));
  }
  const most = largestScale(scales);
  const reach = end <= PAGE_TOKENS ? PAGE_TOKENS : PAIR_TOKENS;
  for (let i = 0; i < item.count; i++) {
    let limit = most;
    if (!whole) {
      const position = positionAt(item, i);
      const low = max(first, firstVisible(item.op, position) - start);
      limit = maskBytes(item.scores, i, item.aligned, low, min(end, position + 1 - start), reach, scales);
    }
    store<f32>(item.limits + ((<usize>i) << 2), limit);
  }
  weighBytes(item, reach);
  addBytes(item, first >> 2, (end + 3) >> 2);
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
