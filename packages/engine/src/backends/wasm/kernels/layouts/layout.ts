// What packing and the kernels' templates know of a weight type. A layout is data: the templates in kernels/linear write
// every kernel of a type from it.
import type { TensorType } from '../../../../formats/types.ts';

/** How one block of a file's quantised row lies in a group of a packed tile. Numbers are bytes. */
export interface Layout {
  readonly type: TensorType;
  /** Columns of a group: those of a block of the file. */
  readonly columns: 32 | 256;
  /** Of a group of 16 rows, before its codes: what its blocks of 32 columns share. */
  readonly header: number;
  /** Of a block of 32 columns and 16 rows in a group. */
  readonly block: number;
  /** Of a code. */
  readonly bits: 2 | 3 | 4 | 5 | 6 | 8;
  /** What each code stands for: int8. Without them it is the code itself, less an offset where `start` says so. */
  readonly levels?: readonly number[];
  /** What a header's scales are multiplied by besides. */
  readonly factor?: number;
  /**
   * What a block is multiplied by: an f16 or a power of two (its exponent as ggml counts it, a byte) for each row in
   * every block; what `spread` and the type's name make of the group's header (linear/packed-scales.gen.ts): an f32
   * for each block; or an int8 for every 16 columns, all of which an f32 multiplies.
   */
  readonly scale: 'half' | 'exponent' | 'group' | 'factors';
  /** Where these are, from the start of a block that has its own, else of the group. */
  readonly scales: number;
  /**
   * Whether each block of 32 columns has a minimum (of 16, where those have a scale): f16 that are added, 32 bytes behind
   * the scales, or those of a header, subtracted.
   */
  readonly minimum: boolean;
  /** What is taken from each code, by the accumulators' start value (kernels/linear/packed-codes.ts). */
  readonly start?: 1 | 4 | 8 | 16 | 32;
  /** Where codes are in a block of the file, and their fifth bits: of blocks of 32 columns that begin with their scales. */
  readonly file?: { readonly codes: number; readonly high?: number };
  /** `block` is one block of the file, `group` the 16 rows' group that holds it, r the row in the tile. */
  pack(block: Uint8Array, group: Uint8Array, r: number): void;
  unpack(group: Uint8Array, block: Uint8Array, r: number): void;
}

/** Of a group of 16 rows. */
export const groupBytes = ({ columns, header, block }: Layout): number => header + (columns / 32) * block;

/** Of ± this an accumulator of i16 takes 16 products with activations (linear/packed-dot.ts). */
const LARGEST = 16;

/**
 * Whether a code is two digits, of which the higher one counts 16 times: two products. Of Q8_0 they are the nibbles; of
 * levels the code less 8, and what is missing.
 */
export const hasTwoDigits = ({ bits, levels }: Layout): boolean =>
  bits === 8 || (levels?.some((level) => Math.abs(level) > LARGEST) ?? false);

/** The table that codes are looked up in: levels, or their lower digits, with the offset of START_16. */
export const lookupTable = (layout: Layout): readonly number[] =>
  layout.levels!.map((level, code) => level + 16 - (hasTwoDigits(layout) ? 16 * (code - 8) : 0));
