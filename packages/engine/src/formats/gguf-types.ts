// Constants and helpers that GGUF's reader and writer share. Source: the GGUF specification
// (ggml/docs/gguf.md), versions 2 and 3, which differ only in that 3 may be big-endian (refused here: no
// model is published so).

import type { MetadataType } from './gguf-values.ts';

/** "GGUF" as a little-endian u32. */
export const GGUF_MAGIC = 0x46554747;
export const DEFAULT_ALIGNMENT = 32;
export const MAX_DIMENSIONS = 4;
/**
 * The specification's limit for metadata keys; names of tensors are held to it too (ggml itself stops at 63).
 */
export const MAX_NAME_BYTES = 65535;

/**
 * The fewest bytes that one value can take, by type: strings have a length, arrays an element type and a
 * count.
 */
export const MIN_VALUE_BYTES: { readonly [type in MetadataType]: number } = {
  u8: 1,
  i8: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  f32: 4,
  bool: 1,
  string: 8,
  array: 12,
  u64: 8,
  i64: 8,
  f64: 8,
};

/** Rounds an offset up to the next multiple of the alignment. */
export function alignUp(offset: number, alignment: number): number {
  return Math.ceil(offset / alignment) * alignment;
}

/** A name from a file for a message: quoted, with control characters escaped, cut when long. */
export function quoted(name: string): string {
  return JSON.stringify(name.length > 100 ? `${name.slice(0, 100)}…` : name);
}
