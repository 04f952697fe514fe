// The segment table of a step block, as kernels read it (see plan/step.ts): records of 16 words, and their
// number in the third word before the first record.
import {
  PAGE_SHIFT,
  SEGMENT_BYTES,
  SEGMENT_HELD,
  SEGMENT_PAGE_TABLES,
  SEGMENT_RECURRENT,
  SEGMENT_ROW_COUNT,
  SEGMENT_ROW_START,
} from '../constants';

// @inline
export function segmentCount(segments: usize): i32 {
  return load<i32>(segments - 12);
}

// @inline
export function segmentAt(segments: usize, index: i32): usize {
  return segments + <usize>index * SEGMENT_BYTES;
}

// @inline
export function rowStart(segment: usize): i32 {
  return load<i32>(segment, SEGMENT_ROW_START);
}

// @inline
export function rowCount(segment: usize): i32 {
  return load<i32>(segment, SEGMENT_ROW_COUNT);
}

/** Where the session's recurrent state of one layer lies. */
// @inline
export function recurrentState(segment: usize, stateOffset: usize): usize {
  return load<usize>(segment, SEGMENT_RECURRENT) + stateOffset;
}

/** Whether the rows are a draft: their results are wanted, but the state stays as it is. */
// @inline
export function isHeld(segment: usize): bool {
  return load<i32>(segment, SEGMENT_HELD) != 0;
}

/** The cache page of cache group `group` that holds `position`. */
// @inline
export function cachePage(segment: usize, group: i32, position: i32): usize {
  const table = <usize>load<u32>(segment + ((<usize>group) << 2), SEGMENT_PAGE_TABLES);
  return <usize>load<u32>(table + ((<usize>(position >> PAGE_SHIFT)) << 2));
}
