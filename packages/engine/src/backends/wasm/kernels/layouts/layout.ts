// What packing and the kernels' templates know of a weight type.
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
  readonly bits: 4 | 5 | 6 | 8;
  /** Where a block's f16 scales are, from the block's start; of K-quants, whose header has them, from the group's. */
  readonly scales: number;
  /** Whether a minimum is subtracted for each block. */
  readonly minimum: boolean;
  /**
   * The start value of accumulators (kernels/linear/packed-codes.ts) that takes the codes' offset out again, if they
   * have one.
   */
  readonly start?: 'START_8' | 'START_16' | 'START_32';
  /** `block` is one block of the file, `group` the 16 rows' group that holds it, r the row in the tile. */
  pack(block: Uint8Array, group: Uint8Array, r: number): void;
  unpack(group: Uint8Array, block: Uint8Array, r: number): void;
}

/** Of a group of 16 rows. */
export const groupBytes = ({ columns, header, block }: Layout): number => header + (columns / 32) * block;
