// Packed weights: 16 rows of a quantised matrix interleaved for the int8 dot-product kernels, at the file's own size. This is
// the definition and the plain reference of packing; the kernels that pack while loading give the same bytes.
//
// A matrix is tiles of 16 rows, the last one filled up with zero rows; a tile is one contiguous stream of groups of columns (32,
// or 256 for K-quants). r is the row in its tile, c the column in its block of 32, i a block of 32 in its group of 256:
//
//   codes  nibbles of 32 columns, 256 B: byte (c % 16 >> 2) * 64 + r * 4 + c % 4 holds column c low and c + 16 high
//   bit 4  64 B: byte r * 4 + c % 4, bit c >> 2
//   six    6-bit codes of 32 columns, 384 B: in sets of 16 columns, 192 B each, and 4 values v[c % 16 >> 2] for each r and c % 4: byte
//          j * 64 + r * 4 + c % 4 holds v[j] and, above it, bits 2j, 2j + 1 of v[3], j = 0…2
//   bytes  512 B: byte (c >> 2) * 64 + r * 4 + c % 4
//   f16    32 B: one for each row
//   6-bit  192 B: 16 values v a row, in four sets of 48 B: byte j * 16 + r holds v[j] and bits 2j, 2j + 1 of v[3], j = 0…2
//   int8   256 B: byte (2 i + (c >> 4)) * 16 + r
//
//   Q4_0   codes, f16 scale                                                  288 B a group
//   Q5_0   codes, bit 4, f16 scale                                           352 B
//   Q8_0   bytes (value + 128), f16 scale                                    544 B
//   Q4_K   f16 d, f16 dmin, 6-bit (8 scales, then 8 minima), 8 x codes      2304 B
//   Q5_K   f16 d, f16 dmin, 6-bit, 8 x (codes, bit 4)                       2816 B
//   Q6_K   f16 d, int8 scales, 8 x six                                      3360 B
//
// So every byte belongs to one row, and rows can be packed in any order. F16 stays raw: its rows are a stream already.
import { TENSOR_TYPES } from '../../../formats/tensor-types.ts';
import type { TensorType } from '../../../formats/types.ts';
import { BLOCK_PACKERS, type BlockPacker } from './blocks.ts';

export const TILE_OUTPUTS = 16;

const packerOf = (type: TensorType): BlockPacker => {
  const packer = BLOCK_PACKERS.get(type);
  if (packer === undefined) throw new RangeError(`${type}: expected a type with a packed layout.`);
  return packer;
};

/** True when a matrix of this type and shape has a packed form: any rows, whole groups of columns. */
export const canPack = (type: TensorType, rows: number, columns: number): boolean =>
  BLOCK_PACKERS.has(type) && rows > 0 && columns > 0 && columns % TENSOR_TYPES[type].blockLength === 0;

const groupsOf = (type: TensorType, columns: number): number => columns / TENSOR_TYPES[type].blockLength;
const tileBytes = (type: TensorType, columns: number): number =>
  groupsOf(type, columns) * TENSOR_TYPES[type].blockBytes * TILE_OUTPUTS;

/** Bytes of a packed matrix: the file's, with rows rounded up to 16. */
export const packedByteLength = (type: TensorType, rows: number, columns: number): number =>
  Math.ceil(rows / TILE_OUTPUTS) * tileBytes(packerOf(type).type, columns);

/**
 * Packs rows rowStart… of a matrix of `rows` rows: `raw` holds `rowCount` rows in the file's format, `out` the whole packed
 * matrix. The last row brings the zero rows that fill the last tile.
 */
export function packRows(
  type: TensorType,
  raw: Uint8Array,
  rowStart: number,
  rowCount: number,
  rows: number,
  columns: number,
  out: Uint8Array,
): void {
  const packer = packerOf(type);
  const groups = groupsOf(type, columns);
  const { blockBytes } = TENSOR_TYPES[type];
  const rowBytes = groups * blockBytes;
  const zero = new Uint8Array(blockBytes);
  const place = (row: number, source: Uint8Array | null) => {
    const tile = Math.floor(row / TILE_OUTPUTS) * tileBytes(type, columns);
    for (let g = 0; g < groups; g++) {
      const group = out.subarray(
        tile + g * blockBytes * TILE_OUTPUTS,
        tile + (g + 1) * blockBytes * TILE_OUTPUTS,
      );
      packer.pack(source?.subarray(g * blockBytes, (g + 1) * blockBytes) ?? zero, group, row % TILE_OUTPUTS);
    }
  };
  for (let i = 0; i < rowCount; i++) place(rowStart + i, raw.subarray(i * rowBytes, (i + 1) * rowBytes));
  if (rowStart + rowCount < rows) return;
  for (let row = rows; row % TILE_OUTPUTS !== 0; row++) place(row, null);
}

/** One row of a packed matrix, back in the file's format. */
export function unpackRow(type: TensorType, packed: Uint8Array, row: number, columns: number): Uint8Array {
  const packer = packerOf(type);
  const { blockBytes } = TENSOR_TYPES[type];
  const groups = groupsOf(type, columns);
  const tile = Math.floor(row / TILE_OUTPUTS) * tileBytes(type, columns);
  const raw = new Uint8Array(groups * blockBytes);
  for (let g = 0; g < groups; g++) {
    const group = packed.subarray(
      tile + g * blockBytes * TILE_OUTPUTS,
      tile + (g + 1) * blockBytes * TILE_OUTPUTS,
    );
    packer.unpack(group, raw.subarray(g * blockBytes, (g + 1) * blockBytes), row % TILE_OUTPUTS);
  }
  return raw;
}
