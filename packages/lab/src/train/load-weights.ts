// Reads the weights of a Hugging Face folder into a parameter store, and knows what each part of a parameter
// is called there.
import { type HuggingFaceCheckpoint, ModelError, type ModelSpec } from '@marimba/engine';
import {
  type Family,
  findWeights,
  readValues,
  Scratch,
  scaledRows,
  sizeOf,
  withLayer,
} from '@marimba/engine/architecture';
import {
  layoutRows,
  type RowRun,
  rowLength,
  rowNumbers,
  run,
  runsOf,
  takenRows,
} from '@marimba/engine/formats';
import type { Parameter, ParameterStore } from './parameters.ts';

/** Rows of a checkpoint's tensor: a parameter, or one expert of it. */
export interface NamedPart {
  readonly name: string;
  readonly parameter: Parameter;
  /** Range of the parameter's values in checkpoint order. */
  readonly start: number;
  readonly count: number;
  /** Where these rows are in the tensor, and what they were multiplied by. */
  readonly runs: readonly RowRun[];
  /** Rows of the whole tensor. */
  readonly rows: number;
}

/** Fills the store; returns the checkpoint's names for its parts. */
export async function loadParameters(
  checkpoint: HuggingFaceCheckpoint,
  family: Family,
  spec: ModelSpec,
  store: ParameterStore,
): Promise<NamedPart[]> {
  const found = new Map(
    findWeights(checkpoint, family, spec).map((weight) => [`${weight.layer}.${weight.role}`, weight.sources]),
  );
  const parts: NamedPart[] = [];
  const scratch = new Scratch();
  for (const parameter of store.list) {
    const sources = found.get(`${parameter.layer}.${parameter.role}`) ?? [];
    const values = new Float32Array(sizeOf(parameter.shape));
    const columns = rowLength(parameter.shape);
    let start = 0;
    for (const source of sources) {
      const read = await readValues(source, columns, scratch);
      values.set(read, start);
      const { name, shape } = source.tensor;
      const where = { runs: runsOf(source, columns), rows: sizeOf(shape) / columns };
      parts.push({ name, parameter, start, count: read.length, ...where });
      start += read.length;
    }
    if (!values.every(Number.isFinite))
      throw new ModelError(
        `${checkpoint.name}: tensor ${sources[0]?.tensor.name}: expected finite weights to train from, found NaN or infinity.`,
      );
    store.write(parameter, values);
  }
  return parts;
}

/** The names that the family's checkpoints give a parameter's parts, and their places in those tensors. */
export function partsOf(parameter: Parameter, family: Family, spec: ModelSpec): NamedPart[] {
  const { role, layer, shape } = parameter;
  const name = family.huggingFaceNames[role]?.[0];
  if (!name) throw new ModelError(`${family.name}: expected a name for the weight ${role}, found none`);
  const full = withLayer(name, layer);
  const size = sizeOf(shape);
  const rows = size / rowLength(shape);
  if (typeof name !== 'string') {
    const layout = name.rows(spec, layer);
    return [
      { name: full, parameter, start: 0, count: size, runs: takenRows(layout), rows: layoutRows(layout) },
    ];
  }
  if (!/\bE\b/.test(full))
    return [
      {
        name: full,
        parameter,
        start: 0,
        count: size,
        runs: scaledRows(parameter, spec) ?? [run(0, rows)],
        rows,
      },
    ];
  const experts = shape[0]!;
  return Array.from({ length: experts }, (_, e) => ({
    name: full.replace(/\bE\b/, `${e}`),
    parameter,
    start: (e * size) / experts,
    count: size / experts,
    runs: [run(0, rows / experts)],
    rows: rows / experts,
  }));
}

/** Calls `each` with the range of the parameter's values in every row, and the place of the row in its tensor. */
export function eachRow(
  { start, runs, parameter }: NamedPart,
  each: (from: number, to: number, place: { readonly row: number; readonly scale: number }) => void,
): void {
  const columns = rowLength(parameter.shape);
  let from = start;
  for (const place of rowNumbers(runs)) {
    each(from, from + columns, place);
    from += columns;
  }
}
