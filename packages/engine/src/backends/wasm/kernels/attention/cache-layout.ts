// Sizes of the attention cache's pages: plan/cache-layout.ts says how a page looks.
import { CACHE_F16, CACHE_F32, CACHE_Q8, PAGE_TOKENS } from '../constants';

/** Bytes of the codes of one KV head in a plane, scales not counted. */
// @inline
export function headCodeBytes(cacheType: i32, headSize: i32): usize {
  const elementShift = cacheType == CACHE_F32 ? 2 : cacheType == CACHE_F16 ? 1 : 0;
  return <usize>((((PAGE_TOKENS * headSize) << elementShift) + 15) & ~15);
}

// @inline
export function headPlaneBytes(cacheType: i32, headSize: i32): usize {
  return headCodeBytes(cacheType, headSize) + (cacheType == CACHE_Q8 ? <usize>(PAGE_TOKENS * 4) : 0);
}
