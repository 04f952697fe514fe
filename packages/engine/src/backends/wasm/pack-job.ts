// Packing weights while they are loaded: which matrices can be packed, and doing it for one piece.
import type { LoadJob } from '../../model/load-job.ts';
import type { PackingRules } from '../../model/weights.ts';
import { hasPackedLayout } from '../../plan/layouts.ts';
import { canPack, packedByteLength } from './packed/layout.ts';
import type { Packer } from './packed/packer.ts';

export const packingRules: PackingRules = {
  canPack: (type, rows, columns) => hasPackedLayout(type) && canPack(type, rows, columns),
  packedByteLength: (type, rows, columns) => packedByteLength(type, rows, columns),
};

export function packJob(job: LoadJob, raw: Uint8Array, memory: WebAssembly.Memory, pack: Packer): void {
  const byteLength = packedByteLength(job.target, job.matrixRows, job.columns);
  const out = new Uint8Array(memory.buffer, job.address, byteLength);
  pack(job.target, raw, job.rowStart, job.rows, job.matrixRows, job.columns, out);
}
