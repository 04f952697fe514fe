// Which rows of a file's tensor make up a weight. Most weights are a whole tensor; some files keep several in
// one (a gate and its matrix head by head, all experts under each other), or in another order (RoPE's pairs).
// A row is the last dimension; a vector's rows are its values.

import type { TensorEntry } from './types.ts';

/** Rows that lie at even distances: `times` runs of `rows` rows, `every` rows from one start to the next. */
export interface RowRun {
  /** The first row in the tensor. */
  readonly row: number;
  readonly rows: number;
  readonly times: number;
  readonly every: number;
  /** What these rows are multiplied by. */
  readonly scale: number;
}

/** Rows of one tensor, from top to bottom. */
export interface RowSource {
  readonly tensor: TensorEntry;
  /** Null: all of them, as they are. */
  readonly runs: readonly RowRun[] | null;
}

/** `blocks` times the `sections`, which are counted in rows, under each other. */
export interface RowLayout {
  readonly blocks: number;
  readonly sections: readonly number[];
  /** The sections that are meant: each is gathered over all blocks before the next follows. */
  readonly take: readonly number[];
}

export const whole = (tensor: TensorEntry): RowSource => ({ tensor, runs: null });

/** `count` rows from `row` on. */
export const run = (row: number, rows: number, scale = 1): RowRun => ({
  row,
  rows,
  times: 1,
  every: rows,
  scale,
});

/** Values in a row of a tensor of this shape. */
export const rowLength = (shape: readonly number[]): number => (shape.length > 1 ? shape.at(-1)! : 1);

export const countRows = (runs: readonly RowRun[]): number =>
  runs.reduce((sum, { rows, times }) => sum + rows * times, 0);

export const layoutRows = ({ blocks, sections }: RowLayout): number =>
  blocks * sections.reduce((sum, rows) => sum + rows, 0);

/** The sections that a layout takes. */
export function takenRows({ blocks, sections, take }: RowLayout): RowRun[] {
  const every = sections.reduce((sum, rows) => sum + rows, 0);
  return take.map((section) => {
    const row = sections.slice(0, section).reduce((sum, rows) => sum + rows, 0);
    return joined({ row, rows: sections[section]!, times: blocks, every, scale: 1 });
  });
}

/** Runs that follow each other without a gap are one. */
const joined = (one: RowRun): RowRun =>
  one.times > 1 && one.every === one.rows ? run(one.row, one.rows * one.times, one.scale) : one;

/** The rows from `start` on, `count` of them. */
export function sliceRuns(runs: readonly RowRun[], start: number, count: number): RowRun[] {
  const found: RowRun[] = [];
  let before = 0;
  for (const one of runs) {
    const size = one.rows * one.times;
    const from = Math.max(0, start - before);
    const to = Math.min(size, start + count - before);
    if (from < to) found.push(...sliceRun(one, from, to));
    before += size;
  }
  return found;
}

/** A piece of the first run, whole runs, and a piece of the last, as far as there are any. */
function sliceRun(one: RowRun, from: number, to: number): RowRun[] {
  const { rows, every, scale } = one;
  const at = (index: number) => one.row + Math.floor(index / rows) * every + (index % rows);
  const wholeFrom = Math.ceil(from / rows);
  const wholeTo = Math.floor(to / rows);
  if (wholeFrom > wholeTo) return [run(at(from), to - from, scale)];
  const found: RowRun[] = [];
  if (from < wholeFrom * rows) found.push(run(at(from), wholeFrom * rows - from, scale));
  if (wholeFrom < wholeTo)
    found.push(joined({ row: at(wholeFrom * rows), rows, times: wholeTo - wholeFrom, every, scale }));
  if (wholeTo * rows < to) found.push(run(at(wholeTo * rows), to - wholeTo * rows, scale));
  return found;
}

/** The rows `outer` of the rows `inner`. */
export function composeRuns(outer: readonly RowRun[], inner: readonly RowRun[]): RowRun[] {
  const [only, ...more] = inner;
  return outer.flatMap((one) => {
    if (only && !more.length && only.times === 1)
      return [{ ...one, row: only.row + one.row, scale: one.scale * only.scale }];
    return Array.from({ length: one.times }, (_, i) =>
      sliceRuns(inner, one.row + i * one.every, one.rows).map((piece) => ({
        ...piece,
        scale: piece.scale * one.scale,
      })),
    ).flat();
  });
}

/** The row in the tensor of every row, in order. */
export function* rowNumbers(
  runs: readonly RowRun[],
): Generator<{ readonly row: number; readonly scale: number }> {
  for (const { row, rows, times, every, scale } of runs)
    for (let i = 0; i < times; i++) for (let j = 0; j < rows; j++) yield { row: row + i * every + j, scale };
}

/**
 * GGUF's llama converter puts the rows that RoPE rotates together side by side: row t · half + j of each head
 * becomes row 2j + t. The rows of such a tensor in the order of halves.
 */
export function halvesOfPairs(rows: number, headSize: number): RowRun[] {
  return heads(rows, headSize).flatMap((head) =>
    [0, 1].map((t) => ({ row: head + t, rows: 1, times: headSize / 2, every: 2, scale: 1 })),
  );
}

/** The other way: the rows of halves in the order of pairs. */
export function pairsOfHalves(rows: number, headSize: number): RowRun[] {
  const half = headSize / 2;
  return heads(rows, headSize).flatMap((head) =>
    Array.from({ length: half }, (_, j) => ({ row: head + j, rows: 1, times: 2, every: half, scale: 1 })),
  );
}

const heads = (rows: number, headSize: number): number[] =>
  Array.from({ length: rows / headSize }, (_, head) => head * headSize);

const tensorRows = ({ shape }: TensorEntry, columns: number): number =>
  shape.reduce((product, size) => product * size, 1) / columns;

/** Rows that a source has, of `columns` values each. */
export const sourceRows = ({ tensor, runs }: RowSource, columns: number): number =>
  runs ? countRows(runs) : tensorRows(tensor, columns);

/** The runs of a source, written out. */
export const runsOf = (source: RowSource, columns: number): readonly RowRun[] =>
  source.runs ?? [run(0, sourceRows(source, columns))];

/** Rows of several sources that follow each other. */
export function sliceSources(
  sources: readonly RowSource[],
  columns: number,
  start: number,
  count: number,
): RowSource[] {
  const found: RowSource[] = [];
  let before = 0;
  for (const source of sources) {
    const size = sourceRows(source, columns);
    const from = Math.max(0, start - before);
    const to = Math.min(size, start + count - before);
    if (from === 0 && to === size) found.push(source);
    else if (from < to)
      found.push({ tensor: source.tensor, runs: sliceRuns(runsOf(source, columns), from, to - from) });
    before += size;
  }
  return found;
}

/** Bytes that a source takes in its file. */
export const bytesOf = ({ tensor, runs }: RowSource, columns: number): number =>
  runs ? (tensor.byteLength * countRows(runs)) / tensorRows(tensor, columns) : tensor.byteLength;

/** Rows are read with all that lies between them while that is at most this many times as much. */
const SPARSE = 4;

/** Reads rows of `rowBytes` bytes in their order, from a tensor that starts at `offset`; not yet scaled. */
export async function readRuns(
  runs: readonly RowRun[],
  rowBytes: number,
  offset: number,
  read: (offset: number, into: Uint8Array) => Promise<void> | void,
): Promise<Uint8Array> {
  const count = countRows(runs);
  const first = runs.reduce((least, { row }) => Math.min(least, row), Number.POSITIVE_INFINITY);
  const end = runs.reduce(
    (most, { row, rows, times, every }) => Math.max(most, row + (times - 1) * every + rows),
    0,
  );
  const near = end - first <= SPARSE * count ? new Uint8Array((end - first) * rowBytes) : null;
  if (near) await read(offset + first * rowBytes, near);
  if (near && runs.length === 1 && runs[0]!.times === 1) return near;
  const out = new Uint8Array(count * rowBytes);
  let at = 0;
  for (const { row, rows, times, every } of runs) {
    const byteLength = rows * rowBytes;
    for (let i = 0; i < times; i++, at += byteLength) {
      const start = (row + i * every) * rowBytes;
      const from = start - first * rowBytes;
      if (near) out.set(near.subarray(from, from + byteLength), at);
      else await read(offset + start, out.subarray(at, at + byteLength));
    }
  }
  return out;
}

/** The factor of each row; to be asked in order. */
export function rowScales(runs: readonly RowRun[]): (row: number) => number {
  let at = 0;
  let end = 0;
  let scale = 1;
  return (row) => {
    for (; row >= end && at < runs.length; at++) {
      end += runs[at]!.rows * runs[at]!.times;
      scale = runs[at]!.scale;
    }
    return scale;
  };
}
