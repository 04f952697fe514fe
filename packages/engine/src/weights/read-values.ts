// Reads a weight's values to f32 on the calling thread: vectors while a model loads, and whatever is trained.
import { dequantize } from '../formats/dequantize.ts';
import { type RowSource, rowNumbers } from '../formats/rows.ts';
import type { TensorEntry } from '../formats/types.ts';
import { sizeOf } from '../layers/arrange.ts';

/** One buffer for all that is read, one after the other: a buffer each would take a hundred times the memory. */
export class Scratch {
  #raw = new ArrayBuffer(0);
  #values = new Float32Array(0);

  raw(byteLength: number): Uint8Array {
    if (this.#raw.byteLength < byteLength) this.#raw = new ArrayBuffer(byteLength);
    return new Uint8Array(this.#raw, 0, byteLength);
  }

  values(count: number): Float32Array {
    if (this.#values.length < count) this.#values = new Float32Array(count);
    return this.#values.subarray(0, count);
  }
}

/** The values of a source, `columns` to a row, as its file has them; valid until the next call. */
export async function readValues(
  { tensor, runs }: RowSource,
  columns: number,
  scratch: Scratch,
): Promise<Float32Array> {
  const values = await readTensor(tensor, scratch);
  if (!runs) return values;
  const rows = [...rowNumbers(runs)];
  const picked = new Float32Array(rows.length * columns);
  for (const [i, { row, scale }] of rows.entries())
    for (let j = 0; j < columns; j++) picked[i * columns + j] = values[row * columns + j]! * scale;
  return picked;
}

async function readTensor(tensor: TensorEntry, scratch: Scratch): Promise<Float32Array> {
  const raw = scratch.raw(tensor.byteLength);
  await tensor.source.read(tensor.offset, raw);
  const values = scratch.values(sizeOf(tensor.shape));
  dequantize(tensor.type, raw, values);
  return values;
}
