// One piece of loading: some rows of one matrix, from a file into the arena in their run-time layout. Jobs survive
// structured cloning, so that worker threads carry them out in parallel; each touches only its own rows.
import { FormatError } from '../errors.ts';
import { dequantize } from '../formats/dequantize.ts';
import { quantize, type WritableTensorType } from '../formats/quantize.ts';
import { byteLengthOf } from '../formats/tensor-types.ts';
import type { ByteSource, SourceHandle, TensorType } from '../formats/types.ts';

export interface LoadJob {
  readonly source: SourceHandle;
  /** For messages: file and tensor. */
  readonly name: string;
  /** Where the first of these rows starts in the file. */
  readonly offset: number;
  readonly type: TensorType;
  readonly rows: number;
  readonly columns: number;
  /** Format in memory; other than `type` when quantised while loading. */
  readonly target: TensorType;
  readonly packed: boolean;
  /** The matrix's address, its height, and where these rows go in it. */
  readonly address: number;
  readonly matrixRows: number;
  readonly rowStart: number;
  /** Size of heads whose rows are interleaved for RoPE (GGUF llama), 0 when they are not. */
  readonly interleavedHead: number;
}

/** Puts the rows, in their file format, where the packed layout wants them. */
export type PackRows = (job: LoadJob, raw: Uint8Array) => void;

/** Gives out one buffer again and again, so that loading leaves no trail of garbage behind it. */
export type Stage = (byteLength: number) => Uint8Array;

export function createStage(): Stage {
  let buffer = new Uint8Array(0);
  return (byteLength) => {
    if (buffer.byteLength < byteLength) buffer = new Uint8Array(byteLength);
    return buffer.subarray(0, byteLength);
  };
}

export const jobBytes = (job: LoadJob): number => job.rows * byteLengthOf(job.type, job.columns);

/** Carries out a job, alone on its stage. `memory` is the arena; `pack` is only called for packed targets. */
export async function runLoadJob(
  job: LoadJob,
  source: ByteSource,
  memory: ArrayBufferLike,
  stage: Stage,
  pack: PackRows,
): Promise<void> {
  const targetRowBytes = byteLengthOf(job.target, job.columns);
  const destination = () =>
    new Uint8Array(memory, job.address + job.rowStart * targetRowBytes, job.rows * targetRowBytes);
  if (!job.packed && job.type === job.target && !job.interleavedHead) {
    await source.read(job.offset, destination());
    return;
  }
  let raw = stage(jobBytes(job));
  await source.read(job.offset, raw);
  if (job.interleavedHead)
    raw = separateHalves(raw, byteLengthOf(job.type, job.columns), job.interleavedHead);
  if (job.type !== job.target) raw = convert(job, raw);
  if (job.packed) pack(job, raw);
  else destination().set(raw);
}

/**
 * GGUF's llama converter stores row 2j + t of each head where Hugging Face has row t * half + j (rotated pairs side by
 * side). Puts the rows back into halves.
 */
export function separateHalves(raw: Uint8Array, rowBytes: number, headSize: number): Uint8Array {
  const out = new Uint8Array(raw.length);
  const half = headSize / 2;
  for (let row = 0; row < raw.length / rowBytes; row++) {
    const within = row % headSize;
    const to = row - within + (within % 2) * half + (within >> 1);
    out.set(raw.subarray(row * rowBytes, (row + 1) * rowBytes), to * rowBytes);
  }
  return out;
}

function convert(job: LoadJob, raw: Uint8Array): Uint8Array {
  const from = byteLengthOf(job.type, job.columns);
  const to = byteLengthOf(job.target, job.columns);
  const out = new Uint8Array(job.rows * to);
  const values = new Float32Array(job.columns);
  for (let row = 0; row < job.rows; row++) {
    dequantize(job.type, raw.subarray(row * from, (row + 1) * from), values);
    if (!values.every(Number.isFinite))
      throw new FormatError(
        `${job.name}: row ${job.rowStart + row}: expected finite weights to quantise, found NaN or infinity. The file is damaged.`,
      );
    quantize(job.target as WritableTensorType, values, out.subarray(row * to, (row + 1) * to));
  }
  return out;
}
