// Sizes that all paths of attention share: what an item holds, where its queries stand, how large a thread's
// area is.
import { address } from '../common/common';
import { ATTENTION_ITEM_BYTES, ATTENTION_QUERIES, PAGE_TOKENS } from '../constants';
import {
  ATTENTION_HEAD_SIZE,
  ATTENTION_HEADS,
  ATTENTION_KV_HEADS,
  ATTENTION_POSITIONS,
  ATTENTION_WINDOW,
} from '../op-layout';

/** Queries of one item: enough to make a page's dequantisation small beside its use. */
// @inline
const QUERIES: i32 = ATTENTION_QUERIES;
/** Below this many queries a tile of four would mostly be wasted. */
// @inline
export const FEW_QUERIES: i32 = 3;
/** Positions of a pair of pages. */
// @inline
export const PAIR_TOKENS: i32 = 128;
/** Floats that limited scales, zeros and room for partial sums take (codes.ts). */
// @inline
const LIMITS: i32 = 4 * PAGE_TOKENS + 16;

// @inline
export function groupOf(op: usize): i32 {
  return load<i32>(op + ATTENTION_HEADS) / load<i32>(op + ATTENTION_KV_HEADS);
}

// @inline
export function paddedHead(op: usize): i32 {
  return (load<i32>(op + ATTENTION_HEAD_SIZE) + 15) & ~15;
}

/** Rows of one segment that an item takes. */
// @inline
export function rowsPerItem(op: usize): i32 {
  return max(1, QUERIES / (load<i32>(op + ATTENTION_HEADS) / load<i32>(op + ATTENTION_KV_HEADS)));
}

// @inline
export function positionOf(op: usize, row: i32): i32 {
  return load<i32>(address(op, ATTENTION_POSITIONS) + ((<usize>row) << 2));
}

/** The first position that the row at `position` sees. */
// @inline
export function firstVisible(op: usize, position: i32): i32 {
  const window = load<i32>(op + ATTENTION_WINDOW);
  return window != 0 ? max(0, position - window + 1) : 0;
}

/** Bytes of a thread's area when an item has up to `rows` rows. */
export function threadAreaBytes(op: usize, rows: i32): usize {
  const headSize = load<i32>(op + ATTENTION_HEAD_SIZE);
  const padded = paddedHead(op);
  const queries = (rows * groupOf(op) + 3) & ~3;
  const floats =
    queries * (2 * padded + 5 + PAIR_TOKENS + PAIR_TOKENS / 2) +
    PAGE_TOKENS * (headSize + padded) +
    8 * headSize +
    LIMITS;
  return <usize>(ATTENTION_ITEM_BYTES + ((floats * 4 + 63) & ~63));
}

/** Bytes of the partial result of one query: sums, peak, total, padding. */
export function partialBytes(op: usize): usize {
  return <usize>((paddedHead(op) + 4) << 2);
}
