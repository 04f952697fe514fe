// What the parts of an item of attention have in common, at the start of a thread's area: functions take one address
// instead of a dozen arguments. Of a path's own are the places after `rest`; its file says what lies there.

import { cachePage } from '../common/step';
import {
  ATTENTION_CACHE_TYPE,
  ATTENTION_GROUP,
  ATTENTION_HEAD_SIZE,
  ATTENTION_KV_HEADS,
  ATTENTION_LAYER_OFFSET,
  ATTENTION_POSITIONS,
} from '../op-layout';
import { headPlaneBytes } from './cache-layout';
import { groupOf, paddedHead } from './shape';

// @unmanaged
export class Item {
  /** The record of the op. */
  op: usize;
  segment: usize;
  kvHead: i32;
  cacheType: i32;
  headSize: i32;
  /** The head size rounded up to 16, and queries of one KV head per row. */
  padded: i32;
  group: i32;
  firstRow: i32;
  /** Queries, and these rounded up to 4. */
  count: i32;
  aligned: i32;
  /** Positions [from, to); every query sees those from `latest` to `lowest`. */
  from: i32;
  to: i32;
  latest: i32;
  lowest: i32;
  /** From a head's keys in a page to its values. */
  between: usize;
  /** Whether the page at hand is of halves that are all finite. */
  finite: bool;
  /** See item.ts. */
  queries: usize;
  sums: usize;
  totals: usize;
  peaks: usize;
  factors: usize;
  weightFactors: usize;
  limits: usize;
  scores: usize;
  weights: usize;
  rest: usize;
  values: usize;
  starts: usize;
  scales: usize;
  zeros: usize;
  room: usize;
}

/** What the op says of an item. */
export function describeItem(item: Item, op: usize): void {
  item.op = op;
  item.cacheType = load<i32>(op + ATTENTION_CACHE_TYPE);
  item.headSize = load<i32>(op + ATTENTION_HEAD_SIZE);
  item.padded = paddedHead(op);
  item.group = groupOf(op);
  item.between = <usize>load<i32>(op + ATTENTION_KV_HEADS) * headPlaneBytes(item.cacheType, item.headSize);
}

/** The keys of the item's KV head in the page of `position`. */
export function keysAt(item: Item, position: i32): usize {
  const page = cachePage(item.segment, load<i32>(item.op, ATTENTION_GROUP), position);
  const layer = <usize>load<u32>(item.op + ATTENTION_LAYER_OFFSET);
  return page + layer + <usize>item.kvHead * headPlaneBytes(item.cacheType, item.headSize);
}

/** Where query `i` stands. */
// @inline
export function positionAt(item: Item, i: i32): i32 {
  return load<i32>(load<usize>(item.op, ATTENTION_POSITIONS) + ((<usize>(item.firstRow + i / item.group)) << 2));
}
