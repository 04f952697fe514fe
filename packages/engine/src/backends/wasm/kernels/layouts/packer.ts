// Packing at loading speed: the kernels' packing routine, from a stage in the arena straight into the matrix's place.
// Same bytes as layout.ts's packRows.

import type { LinearMemory } from '../../../../memory/arena.ts';
import { layoutId } from '../../../../plan/layouts.ts';
import type { LoadJob, PackStage } from '../../../load/load-job.ts';
import type { KernelExports } from '../../load-kernels.ts';

/** A stage of `byteLength` bytes at `address`, for one thread. */
export function packStage(
  kernels: KernelExports,
  memory: LinearMemory,
  address: number,
  byteLength: number,
): PackStage {
  return {
    bytes: new Uint8Array(memory.buffer, address, byteLength),
    pack({ target, rowStart, columns, address: matrix }: LoadJob, row, rows) {
      kernels.packRows!(layoutId({ type: target, packed: true }), address, rowStart + row, rows, columns, matrix);
    },
  };
}
