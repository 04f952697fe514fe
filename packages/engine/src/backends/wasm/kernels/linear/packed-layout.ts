// Sizes of packed weights. The picture of each type's tile is in packed/layout.ts. Types by their place in PACKED_TYPES
// (plan/layouts.ts).
// @inline
export const Q4_0: i32 = 0;
// @inline
export const Q4_K: i32 = 1;
// @inline
export const Q5_0: i32 = 2;
// @inline
export const Q5_K: i32 = 3;
// @inline
export const Q6_K: i32 = 4;
// @inline
export const Q8_0: i32 = 5;

/** Rows of weights in a tile. */
// @inline
export const TILE_OUTPUTS: i32 = 16;

/** Bytes of 16 rows. */
// @inline
export function packedTileBytes(type: i32, columns: i32): usize {
  if (type == Q4_0) return <usize>(columns >> 5) * 288;
  if (type == Q5_0) return <usize>(columns >> 5) * 352;
  if (type == Q8_0) return <usize>(columns >> 5) * 544;
  if (type == Q4_K) return <usize>(columns >> 8) * 2304;
  if (type == Q5_K) return <usize>(columns >> 8) * 2816;
  return <usize>(columns >> 8) * 3360;
}
