// Sizes of the attention cache's pages: session/cache-layout.ts says how a page looks.

// @ts-ignore: decorator
@inline export const PAGE_SHIFT: i32 = 6;
// @ts-ignore: decorator
@inline export const PAGE_TOKENS: i32 = 64;
// @ts-ignore: decorator
@inline export const CACHE_F32: i32 = 0;
// @ts-ignore: decorator
@inline export const CACHE_F16: i32 = 1;
// @ts-ignore: decorator
@inline export const CACHE_Q8: i32 = 2;

/** Bytes of the codes of one KV head in a plane, scales not counted. */
// @ts-ignore: decorator
@inline export function headCodeBytes(cacheType: i32, headSize: i32): usize {
  const elementShift = cacheType == CACHE_F32 ? 2 : cacheType == CACHE_F16 ? 1 : 0;
  return <usize>((((PAGE_TOKENS * headSize) << elementShift) + 15) & ~15);
}

// @ts-ignore: decorator
@inline export function headPlaneBytes(cacheType: i32, headSize: i32): usize {
  return headCodeBytes(cacheType, headSize) + (cacheType == CACHE_Q8 ? <usize>(PAGE_TOKENS * 4) : 0);
}
