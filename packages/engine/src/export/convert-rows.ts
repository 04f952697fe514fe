// Converts some rows of a tensor from their format and order to those of the new file, and measures the
// rounding. Jobs survive structured cloning, so that worker threads carry them out in parallel.
import { FormatError } from '../errors.ts';
import { dequantize } from '../formats/dequantize.ts';
import { quantize, type WritableTensorType } from '../formats/quantize.ts';
import { byteLengthOf } from '../formats/tensor-types.ts';
import type { SourceHandle, TensorType } from '../formats/types.ts';

export interface ConvertJob {
  /** Which tensor of the layout this belongs to. */
  readonly tensor: number;
  /** For messages: file and tensor. */
  readonly name: string;
  readonly source: SourceHandle;
  readonly offset: number;
  readonly type: TensorType;
  readonly rows: number;
  readonly columns: number;
  readonly target: TensorType;
  /** Hugging Face stores A_log, GGUF A = −exp(A_log). */
  readonly negateExp: boolean;
  /** Size of heads whose rows are put in RoPE pairs (GGUF llama), 0 for none. */
  readonly interleaveHead: number;
  /** Where the result goes in the new file. */
  readonly to: number;
}

/** Rounding errors of some weights, as sums that add up over the pieces of a tensor. */
export interface Loss {
  readonly squaredError: number;
  readonly squaredSum: number;
  readonly maxError: number;
}

export const NO_LOSS: Loss = { squaredError: 0, squaredSum: 0, maxError: 0 };

export const addLoss = (a: Loss, b: Loss): Loss => ({
  squaredError: a.squaredError + b.squaredError,
  squaredSum: a.squaredSum + b.squaredSum,
  maxError: Math.max(a.maxError, b.maxError),
});

export const sourceBytes = ({ type, rows, columns }: ConvertJob): number =>
  byteLengthOf(type, rows * columns);

export function convertRows(job: ConvertJob, raw: Uint8Array): { bytes: Uint8Array; loss: Loss } {
  const { type, target, columns, rows, interleaveHead } = job;
  if (interleaveHead) raw = interleaveHalves(raw, byteLengthOf(type, columns), interleaveHead);
  if (type === target && !job.negateExp) return { bytes: raw, loss: NO_LOSS };
  const values = new Float32Array(rows * columns);
  dequantize(type, raw, values);
  if (job.negateExp) for (let i = 0; i < values.length; i++) values[i] = -Math.exp(values[i]!);
  checkFinite(job, values, 'finite weights', 'The file is damaged.');
  const bytes = new Uint8Array(byteLengthOf(target, values.length));
  quantize(target as WritableTensorType, values, bytes);
  return { bytes, loss: target === 'F32' ? NO_LOSS : lossOf(job, values, bytes) };
}

function lossOf(job: ConvertJob, values: Float32Array, bytes: Uint8Array): Loss {
  const stored = new Float32Array(values.length);
  dequantize(job.target, bytes, stored);
  checkFinite(
    job,
    stored,
    `weights that ${job.target} can hold`,
    'Choose bf16, or keep this tensor in f32 (--keep).',
  );
  let squaredError = 0;
  let squaredSum = 0;
  let maxError = 0;
  for (let i = 0; i < values.length; i++) {
    const error = stored[i]! - values[i]!;
    squaredError += error * error;
    squaredSum += values[i]! * values[i]!;
    maxError = Math.max(maxError, Math.abs(error));
  }
  return { squaredError, squaredSum, maxError };
}

function checkFinite(
  { name, columns }: ConvertJob,
  values: Float32Array,
  expected: string,
  remedy: string,
): void {
  for (let i = 0; i < values.length; i++) {
    if (Number.isFinite(values[i])) continue;
    const where = `row ${Math.floor(i / columns)} of a piece, column ${i % columns}`;
    throw new FormatError(
      `${name}: ${where}: expected ${expected}, found ${Number.isNaN(values[i]) ? 'NaN' : 'infinity'}. ${remedy}`,
    );
  }
}

/**
 * Row t · half + j of each head becomes row 2j + t: rotated pairs side by side, as llama.cpp's converter
 * writes them.
 */
function interleaveHalves(raw: Uint8Array, rowBytes: number, headSize: number): Uint8Array {
  const out = new Uint8Array(raw.length);
  const half = headSize / 2;
  for (let row = 0; row < raw.length / rowBytes; row++) {
    const within = row % headSize;
    const to = row - within + 2 * (within % half) + Math.floor(within / half);
    out.set(raw.subarray(row * rowBytes, (row + 1) * rowBytes), to * rowBytes);
  }
  return out;
}
