// Activations as the packed kernels take them: int8 with one f32 scale per block of 32 columns, scale = max|x| / 127,
// codes rounded to nearest. Written by the op `quantizeRows`, read by `linear` on packed weights.
//
// Rows come in tiles of 4, the last one holding the 1…4 that remain. A tile of K rows is a stream of blocks of 64 K
// bytes:
//
//   8 steps x K rows x 4 B   codes: step s holds columns 4s…4s+3 of each row, so one pointer serves K rows
//   K x f32                  scale
//   K x f32                  scale * sum of the codes: what a weight's minimum is multiplied by
//   4 x K x u32              start values of the kernels' accumulators: -8, -16 times the sum of codes; -32 times
//                            the sum of columns 0…15; of columns 16…31 (for weights stored with that offset).
//                            An i32, or two i16 in builds whose accumulators are i16: opaque outside the kernels.
//   2 x K x f32              scale * sum of the codes of columns 0…15; of columns 16…31
//
// A row takes columns / 32 * 64 bytes whatever its tile, so tile t starts at 4 t times that.
import { PRODUCT_BYTES } from './ops/scratch.ts';

export const CODE_TILE_ROWS = 4;
export const CODE_BLOCK_COLUMNS = 32;
export const CODE_BLOCK_BYTES = 64;

/** Bytes for the codes of up to `maxRows` rows. `columns` must be a multiple of 32. */
export const codesByteLength = (maxRows: number, columns: number): number =>
  maxRows * (columns / CODE_BLOCK_COLUMNS) * CODE_BLOCK_BYTES;

/** Address of word `word` (0…15: 8 steps, then the eight words above) of a row's block, from the start of the codes. */
export function codeWordOffset(
  row: number,
  rows: number,
  columns: number,
  block: number,
  word: number,
): number {
  const tile = row - (row % CODE_TILE_ROWS);
  const width = Math.min(CODE_TILE_ROWS, rows - tile);
  return codesByteLength(tile, columns) + (block * 16 + word) * 4 * width + (row - tile) * 4;
}

/** Scratch of a thread: sums and unpacked scales (of four tiles and 16 rows at most), */
export const FIXED_SCRATCH = 8192;
/** codes of gathered rows, */
export const GATHERED_ROWS = 32;
/** and a panel of 16 rows, 34 bytes per row and block at most. */
export const PANEL_BLOCK_BYTES = 1088;

/** Bytes that the `scratch` of `linear` and `expertLinear` needs for packed weights of up to `columns` columns. */
export const packedScratchBytes = (columns: number, threads: number): number =>
  threads *
  (PRODUCT_BYTES +
    FIXED_SCRATCH +
    codesByteLength(GATHERED_ROWS, columns) +
    (columns / CODE_BLOCK_COLUMNS) * PANEL_BLOCK_BYTES);
