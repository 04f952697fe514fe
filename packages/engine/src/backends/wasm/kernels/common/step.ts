// The segment table of a step block, as kernels read it (see plan/step.ts): records of 16 words, and their number in the
// third word before the first record.
import { PAGE_SHIFT } from '../attention/cache-layout';

// @ts-ignore: decorator
@inline export function segmentCount(segments: usize): i32 {
  return load<i32>(segments - 12);
}

// @ts-ignore: decorator
@inline export function segmentAt(segments: usize, index: i32): usize {
  return segments + (<usize>index << 6);
}

// @ts-ignore: decorator
@inline export function rowStart(segment: usize): i32 {
  return load<i32>(segment);
}

// @ts-ignore: decorator
@inline export function rowCount(segment: usize): i32 {
  return load<i32>(segment, 4);
}

/** Where the session's recurrent state of one layer lies. */
// @ts-ignore: decorator
@inline export function recurrentState(segment: usize, stateOffset: usize): usize {
  return load<usize>(segment, 12) + stateOffset;
}

/** The cache page of cache group `group` that holds `position`. */
// @ts-ignore: decorator
@inline export function cachePage(segment: usize, group: i32, position: i32): usize {
  const table = <usize>load<u32>(segment + (<usize>group << 2), 32);
  return <usize>load<u32>(table + (<usize>(position >> PAGE_SHIFT) << 2));
}
