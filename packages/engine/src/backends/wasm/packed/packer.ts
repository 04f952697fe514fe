// Packing at loading speed: the kernels' packing routine in a small memory of its own, so that it needs no room in the arena. Rows go in and
// out by the megabyte, which stays in the second-level cache. Same bytes as layout.ts's packRows.
import { byteLengthOf } from '../../../formats/tensor-types.ts';
import type { TensorType } from '../../../formats/types.ts';
import { layoutId } from '../../../plan/layouts.ts';
import { ARENA_BASE, instantiateKernels } from '../load-kernels.ts';
import { packedByteLength, packRows, TILE_OUTPUTS } from './layout.ts';

/** As packRows of layout.ts. */
export type Packer = typeof packRows;

const PAGE = 65_536;
const SLICE_BYTES = 512 * 1024;

/** A packer for one thread. `shared` says whether the module imports shared memory (see load-kernels.ts). */
export function createPacker(module: WebAssembly.Module, shared: boolean): Packer {
  const memory = new WebAssembly.Memory({ initial: 16, maximum: 65_536, shared });
  const kernels = instantiateKernels(module, memory);
  return (type, raw, rowStart, rowCount, rows, columns, out) => {
    if (rowStart % TILE_OUTPUTS !== 0 || (rowCount % TILE_OUTPUTS !== 0 && rowStart + rowCount < rows)) {
      packRows(type, raw, rowStart, rowCount, rows, columns, out);
      return;
    }
    const rowBytes = byteLengthOf(type, columns);
    const slice = Math.max(1, Math.floor(SLICE_BYTES / (rowBytes * TILE_OUTPUTS))) * TILE_OUTPUTS;
    const sliceBytes = packedByteLength(type, slice, columns);
    const missing = ARENA_BASE + 2 * sliceBytes - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / PAGE));
    const bytes = new Uint8Array(memory.buffer);
    const packed = ARENA_BASE + sliceBytes;
    for (let row = 0; row < rowCount; row += slice) {
      const count = Math.min(slice, rowCount - row);
      bytes.set(raw.subarray(row * rowBytes, (row + count) * rowBytes), ARENA_BASE);
      kernels.packRows!(
        layoutId({ type: type as TensorType, packed: true }),
        ARENA_BASE,
        0,
        count,
        columns,
        packed,
      );
      const written = packedByteLength(type, count, columns);
      out.set(bytes.subarray(packed, packed + written), (rowStart + row) * rowBytes);
    }
  };
}
