// Packed weights: 16 rows of a quantised matrix interleaved for the int8 dot-product kernels, at the file's own size.
// This is the definition and the plain reference of packing; the kernels that pack while loading give the same bytes.
//
// A matrix is tiles of 16 rows, the last one filled up with zero rows; a tile is one contiguous stream of groups of
// columns (32, or 256 for K-quants). What a group holds, each type's file says (q4_0.ts …).
//
// So every byte belongs to one row, and rows can be packed in any order. F16 stays raw: its rows are a stream already.
import { EXPANSIONS, expand } from '../../../../formats/quants/expand.ts';
import { TENSOR_TYPES } from '../../../../formats/tensor-types.ts';
import type { TensorType } from '../../../../formats/types.ts';
import { groupBytes, LAYOUTS, type Layout } from './index.ts';

export const TILE_OUTPUTS = 16;

const BY_TYPE: ReadonlyMap<TensorType, Layout> = new Map(LAYOUTS.map((layout) => [layout.type, layout]));

const layoutOf = (type: TensorType): Layout => {
  const layout = BY_TYPE.get(type);
  if (layout === undefined) throw new RangeError(`${type}: expected a type with a packed layout`);
  return layout;
};

/** True when a matrix of this type and shape has a packed form: any rows, whole groups of columns. */
export const canPack = (type: TensorType, rows: number, columns: number): boolean =>
  BY_TYPE.has(type) && rows > 0 && columns > 0 && columns % TENSOR_TYPES[type].blockLength === 0;

const groupsOf = (type: TensorType, columns: number): number => columns / TENSOR_TYPES[type].blockLength;
/** Of a row in a group: a block of the file, or what it is expanded to. */
const packedBlock = (type: TensorType): number => groupBytes(layoutOf(type)) / TILE_OUTPUTS;
const tileBytes = (type: TensorType, columns: number): number =>
  groupsOf(type, columns) * packedBlock(type) * TILE_OUTPUTS;

/** Bytes of a packed matrix: the file's, or those that its rows are expanded to, with rows rounded up to 16. */
export const packedByteLength = (type: TensorType, rows: number, columns: number): number =>
  Math.ceil(rows / TILE_OUTPUTS) * tileBytes(layoutOf(type).type, columns);

/**
 * Packs rows rowStart… of a matrix of `rows` rows: `raw` holds `rowCount` rows in the file's format, `out` the whole
 * packed matrix. The last row brings the zero rows that fill the last tile.
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
  const layout = layoutOf(type);
  const groups = groupsOf(type, columns);
  const blockBytes = packedBlock(type);
  const rowBytes = groups * blockBytes;
  if (EXPANSIONS[type]) raw = expand(type, raw);
  const zero = new Uint8Array(blockBytes);
  const place = (row: number, source: Uint8Array | null) => {
    const tile = Math.floor(row / TILE_OUTPUTS) * tileBytes(type, columns);
    for (let g = 0; g < groups; g++) {
      const group = out.subarray(tile + g * blockBytes * TILE_OUTPUTS, tile + (g + 1) * blockBytes * TILE_OUTPUTS);
      layout.pack(source?.subarray(g * blockBytes, (g + 1) * blockBytes) ?? zero, group, row % TILE_OUTPUTS);
    }
  };
  for (let i = 0; i < rowCount; i++) place(rowStart + i, raw.subarray(i * rowBytes, (i + 1) * rowBytes));
  if (rowStart + rowCount < rows) return;
  for (let row = rows; row % TILE_OUTPUTS !== 0; row++) place(row, null);
}

/** One row of a packed matrix, back in the file's format, or as it was expanded. */
export function unpackRow(type: TensorType, packed: Uint8Array, row: number, columns: number): Uint8Array {
  const layout = layoutOf(type);
  const blockBytes = packedBlock(type);
  const groups = groupsOf(type, columns);
  const tile = Math.floor(row / TILE_OUTPUTS) * tileBytes(type, columns);
  const raw = new Uint8Array(groups * blockBytes);
  for (let g = 0; g < groups; g++) {
    const group = packed.subarray(tile + g * blockBytes * TILE_OUTPUTS, tile + (g + 1) * blockBytes * TILE_OUTPUTS);
    layout.unpack(group, raw.subarray(g * blockBytes, (g + 1) * blockBytes), row % TILE_OUTPUTS);
  }
  return raw;
}
