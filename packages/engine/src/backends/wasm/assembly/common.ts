// What every kernel uses. A kernel is `export function NAME(op: usize, thread: i32, threads: i32): void`, NAME being the
// op kind of plan/ops.ts; `op` is the address of its record.

/** A record's second word: chunks handed out so far. The driver zeroes it before each run. */
const WORK_COUNTER: usize = 4;

/**
 * The next chunk of this op for the calling thread; at or past the last one there is nothing left. Chunks are claimed, not
 * assigned, so a thread that the system has put aside delays nobody.
 */
// @ts-ignore: decorator
@inline export function nextChunk(op: usize): i32 {
  return <i32>atomic.add<u32>(op, 1, WORK_COUNTER);
}

/** How many rows are live: the record's first field is the address of the count. */
// @ts-ignore: decorator
@inline export function liveRows(op: usize): i32 {
  return load<i32>(<usize>load<u32>(op, 8));
}

/** A field that holds an address. */
// @ts-ignore: decorator
@inline export function address(op: usize, field: usize): usize {
  return <usize>load<u32>(op + field);
}

/** a * b + c: one rounding where the hardware has it, two on the baseline build. */
// @ts-ignore: decorator
@inline export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}
