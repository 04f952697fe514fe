// The attention cache. Its unit is a page: the keys and values of 64 consecutive positions, for every layer of one
// cache group (all attention layers with the same window). Pages are shared between sessions copy-on-write.
//
// Within a page each layer holds two planes, keys then values, at `layerOffset`. A plane holds, per KV head:
//   f32, f16   [64 positions][headSize] elements
//   q8         [64 positions][headSize] int8 codes, then [64] f32 scales; value = code * scale, codes in -127…127

export const PAGE_SHIFT = 6;
export const PAGE_TOKENS = 1 << PAGE_SHIFT;

/**
 * Format of the attention cache: `f16` halves the memory of `f32`, `q8` (8 bits with a scale per 32 values)
 * halves it again.
 */
export type CacheType = 'f32' | 'f16' | 'q8';
/** The number in op records. */
export const CACHE_TYPE_ID = { f32: 0, f16: 1, q8: 2 } as const satisfies Record<CacheType, number>;

const align = (bytes: number) => (bytes + 15) & ~15;

/** Bytes of the codes of one KV head in a plane. */
export function headPlaneBytes(type: CacheType, headSize: number): number {
  const elementBytes = { f32: 4, f16: 2, q8: 1 }[type];
  return align(PAGE_TOKENS * headSize * elementBytes) + (type === 'q8' ? PAGE_TOKENS * 4 : 0);
}

/** Bytes of one plane (keys or values of one layer). */
export const planeBytes = (type: CacheType, kvHeads: number, headSize: number): number =>
  kvHeads * headPlaneBytes(type, headSize);

/** The type that has this number in op records. */
export const cacheTypeOf = (id: number): CacheType =>
  (Object.keys(CACHE_TYPE_ID) as CacheType[]).find((type) => CACHE_TYPE_ID[type] === id)!;
