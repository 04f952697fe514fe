// Converts some rows of a tensor from their format and order to those of the new file, and measures the
// rounding. Jobs survive structured cloning, so that worker threads carry them out in parallel.
import { FormatError } from '../errors.ts';
import { dequantize } from '../formats/dequantize.ts';
import { quantize, type WritableTensorType } from '../formats/quantize.ts';
import { countRows, type RowRun, rowNumbers, rowScales } from '../formats/rows.ts';
import { byteLengthOf } from '../formats/tensor-types.ts';
import type { SourceHandle, TensorType } from '../formats/types.ts';

export interface ConvertJob {
  /** Which tensor of the layout this belongs to. */
  readonly tensor: number;
  /** For messages: file and tensor. */
  readonly name: string;
  readonly source: SourceHandle;
  /** Of the tensor's data. */
  readonly offset: number;
  readonly type: TensorType;
  /** Which rows of the tensor. */
  readonly runs: readonly RowRun[];
  readonly columns: number;
  readonly target: TensorType;
  /** Hugging Face stores A_log, GGUF A = −exp(A_log). */
  readonly negateExp: boolean;
  /** Added to every value: Hugging Face may store norms zero-centred. */
  readonly add: number;
  /** The columns in their new order; null: as they are. */
  readonly columnRuns: readonly RowRun[] | null;
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

/** `raw`: the rows of the job, as they are in the source. */
export function convertRows(job: ConvertJob, raw: Uint8Array): { bytes: Uint8Array; loss: Loss } {
  const { type, target, columns, runs } = job;
  const scaled = runs.some(({ scale }) => scale !== 1);
  const isCopy = type === target && !scaled && !job.negateExp && !job.add && !job.columnRuns;
  if (isCopy) return { bytes: raw, loss: NO_LOSS };
  const values = new Float32Array(countRows(runs) * columns);
  dequantize(type, raw, values);
  if (scaled) scaleRows(values, job);
  if (job.columnRuns) reorderColumns(values, columns, job.columnRuns);
  if (job.negateExp) for (let i = 0; i < values.length; i++) values[i] = -Math.exp(values[i]!);
  if (job.add) for (let i = 0; i < values.length; i++) values[i] = values[i]! + job.add;
  checkFinite(job, values, 'finite weights', 'The file is damaged.');
  const bytes = new Uint8Array(byteLengthOf(target, values.length));
  quantize(target as WritableTensorType, values, bytes);
  return { bytes, loss: target === 'F32' ? NO_LOSS : lossOf(job, values, bytes) };
}

function scaleRows(values: Float32Array, { runs, columns }: ConvertJob): void {
  const scaleOf = rowScales(runs);
  for (let row = 0; row * columns < values.length; row++) {
    const scale = scaleOf(row);
    for (let i = row * columns; i < (row + 1) * columns; i++) values[i] = values[i]! * scale;
  }
}

function reorderColumns(values: Float32Array, columns: number, runs: readonly RowRun[]): void {
  const order = Uint32Array.from([...rowNumbers(runs)], ({ row }) => row);
  for (let row = 0; row < values.length; row += columns) {
    const old = values.slice(row, row + columns);
    order.forEach((from, to) => (values[row + to] = old[from]!));
  }
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
