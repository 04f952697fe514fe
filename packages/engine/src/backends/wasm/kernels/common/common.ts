// What every kernel uses. A kernel is `export function NAME(op: RECORD, thread: i32, threads: i32): void`,
// NAME being the op kind of plan/ops.ts and RECORD the class of its record (op-records.ts, generated); `op`
// is the record's address.
import { Op, RowsOp } from '../op-records';

/**
 * The next chunk of this op for the calling thread; at or past the last one there is nothing left. Chunks are
 * claimed, not assigned, so a thread that the system has put aside delays nobody.
 */
// @inline
export function nextChunk<T>(op: T): i32 {
  return <i32>atomic.add<u32>(changetype<usize>(op), 1, offsetof<Op>('claimed'));
}

/** The range that `claimRange` claimed last. */
export let rangeFirst: i32 = 0;
export let rangeEnd: i32 = 0;

/**
 * Claims a range of items for the calling thread: three quarters of what is left, shared by all threads, in
 * every round, but at least `least` items. Changing place in memory costs 1 to 2 us (the counter, then
 * prefetchers that start anew): weights read from memory in pieces of 128 KiB by two threads come at 37 GB/s,
 * so at 60. The last ranges are small, so that threads finish together.
 */
export function claimRange<T>(op: T, items: i32, threads: i32, least: i32): bool {
  let turn = nextChunk(op);
  let first: i32 = 0;
  let size: i32 = 0;
  for (;;) {
    size = max(least, ((items - first) * 3) / (4 * threads));
    if (turn < threads) break;
    turn -= threads;
    first += size * threads;
    if (first >= items) return false;
  }
  first += turn * size;
  if (first >= items) return false;
  rangeFirst = first;
  rangeEnd = min(items, first + size);
  return true;
}

/** How many rows are live: the record's first field is the address of the count. */
// @inline
export function liveRows<T>(op: T): i32 {
  return load<i32>(changetype<RowsOp>(op).rows);
}

/** A field that holds an address. */
// @inline
export function address(op: usize, field: usize): usize {
  return <usize>load<u32>(op + field);
}

/** Row `row` of [rows][stride] floats. */
// @inline
export function rowAt(rows: usize, stride: usize, row: i32): usize {
  return rows + ((<usize>row * stride) << 2);
}

/** a * b + c: one rounding where the hardware has it, two on the baseline build. */
// @inline
export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}
