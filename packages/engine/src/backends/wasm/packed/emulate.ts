// What the packed kernels compute, in plain TypeScript: the reference of their tests.
import { dequantize } from '../../../formats/dequantize.ts';
import { TENSOR_TYPES } from '../../../formats/tensor-types.ts';
import type { TensorType } from '../../../formats/types.ts';
import { CODE_BLOCK_COLUMNS } from '../../../plan/codes.ts';

/** One row of activations as the kernels see it: codes and one scale per 32 columns. */
export interface RowCodes {
  readonly codes: Int8Array;
  readonly scales: Float32Array;
}

const f32 = Math.fround;

/** Nearest integer, ties to even. */
const nearest = (value: number): number => {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
};

export function quantizeRow(x: Float32Array): RowCodes {
  const codes = new Int8Array(x.length);
  const scales = new Float32Array(x.length / CODE_BLOCK_COLUMNS);
  for (let block = 0; block < scales.length; block++) {
    const values = x.subarray(block * CODE_BLOCK_COLUMNS, (block + 1) * CODE_BLOCK_COLUMNS);
    const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const inverse = largest > f32(1e-34) ? f32(127 / largest) : 0;
    scales[block] = largest / 127;
    values.forEach((value, c) => {
      codes[block * CODE_BLOCK_COLUMNS + c] = nearest(f32(value * inverse));
    });
  }
  return { codes, scales };
}

/** The activations that the codes stand for. */
export const decodeRow = ({ codes, scales }: RowCodes): Float64Array =>
  Float64Array.from(codes, (code, c) => code * scales[Math.floor(c / CODE_BLOCK_COLUMNS)]!);

/** Rows of a quantised matrix as f32. */
export function weightRows(type: TensorType, raw: Uint8Array, rows: number, columns: number): Float32Array[] {
  const { blockLength, blockBytes } = TENSOR_TYPES[type];
  const rowBytes = (columns / blockLength) * blockBytes;
  return Array.from({ length: rows }, (_, row) => {
    const values = new Float32Array(columns);
    dequantize(type, raw.subarray(row * rowBytes, (row + 1) * rowBytes), values);
    return values;
  });
}

/**
 * Products in doubles, and the sum of each one's absolute terms: what a rounding error is measured against.
 */
export interface Products {
  readonly values: Float64Array;
  readonly magnitudes: Float64Array;
}

/** For each row, all outputs of the codes' values and the dequantised weights. */
export function linearCodes(rows: readonly RowCodes[], weights: readonly Float32Array[]): Products[] {
  return rows.map((row) => {
    const x = decodeRow(row);
    const values = Float64Array.from(weights, (w) => w.reduce((sum, value, c) => sum + value * x[c]!, 0));
    const magnitudes = Float64Array.from(weights, (w) =>
      w.reduce((sum, value, c) => sum + Math.abs(value * x[c]!), 0),
    );
    return { values, magnitudes };
  });
}
