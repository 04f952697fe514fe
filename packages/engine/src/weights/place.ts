// Brings a model's weights into a backend's arenas: chooses layouts, reserves memory, and streams the files
// straight into place, so that peak memory stays close to the final size.

import type { Role } from '../architecture/roles.ts';
import type { ModelSpec } from '../architecture/spec.ts';
import type { ActivationPrecision, Backend } from '../backends/backend.ts';
import type { LoadJob } from '../backends/load/load-job.ts';
import { ModelError } from '../errors.ts';
import {
  type RowRun,
  type RowSource,
  rowLength,
  run,
  sliceRuns,
  sliceSources,
  sourceRows,
} from '../formats/rows.ts';
import { byteLengthOf } from '../formats/tensor-types.ts';
import type { Checkpoint, TensorEntry } from '../formats/types.ts';
import { arrange } from '../layers/arrange.ts';
import type { Arena } from '../memory/arena.ts';
import { arenaOf, type Cuts } from '../memory/cuts.ts';
import { floatsAt } from '../memory/memory-views.ts';
import type { PlacedWeight } from '../plan/plan.ts';
import type { WeightsProgress } from '../progress.ts';
import type { PlacedWeights } from '../runtime/forward.ts';
import { readValues, Scratch } from './read-values.ts';
import {
  derivedVectors,
  type FoundWeight,
  fileBytes,
  type LayoutRules,
  layoutOf,
  type QuantizeType,
  quantizeNote,
  resolveActivations,
} from './weights.ts';

export interface LoadOptions {
  /** Default: one arena for all. The backend has them. */
  readonly cuts?: Cuts | undefined;
  readonly quantize?: QuantizeType | null | undefined;
  readonly activations?: ActivationPrecision | undefined;
  readonly onProgress?: ((progress: WeightsProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ModelWeights extends PlacedWeights {
  readonly byteLength: number;
  readonly list: readonly (FoundWeight & { readonly placed: PlacedWeight })[];
  /**
   * Loads the weights into their places: matrices on the backend's threads, vectors on the calling thread.
   */
  load(): Promise<void>;
}

/** Bytes per job: large enough to stream, small enough to stage and to share between threads. */
const JOB_BYTES = 4 * 2 ** 20;
/** Browsers take some milliseconds per read of a Blob: jobs of 4 MiB load at half the speed. */
const BLOB_JOB_BYTES = 16 * 2 ** 20;
/** Packed layouts interleave rows in groups; jobs start at multiples of this. */
const ROW_GROUP = 64;

/** Reserves memory for every weight, which is all that a plan needs. `load` then reads them. */
export function placeWeights(
  checkpoint: Checkpoint,
  found: readonly FoundWeight[],
  spec: ModelSpec,
  backend: Backend,
  options: LoadOptions,
): ModelWeights {
  options.signal?.throwIfAborted();
  const table = new Map<string, PlacedWeight>();
  const jobs: LoadJob[] = [];
  const fills: Fill[] = [];
  const list: (FoundWeight & { placed: PlacedWeight })[] = [];
  const rules = layoutRules(spec, backend, options);
  for (const weight of found) {
    const arena = arenaOf(options.cuts ?? [], weight.layer);
    const shape = layoutOf(weight, rules);
    const name = `layer ${weight.layer} ${weight.role}`;
    const placed = { ...shape, address: backend.arenas[arena]!.allocate(shape.byteLength, name) };
    if (weight.kind === 'vector') fills.push(fillOf(checkpoint, weight, backend.arenas[arena]!, placed));
    else jobs.push(...jobsOf(weight, arena, placed));
    table.set(`${weight.layer}.${weight.role}`, placed);
    list.push({ ...weight, placed });
  }
  placeDerived(spec, table, backend, options.cuts ?? [], fills);
  return {
    ...tableOf(table),
    byteLength: list.reduce((sum, w) => sum + w.placed.byteLength, 0),
    list,
    load: () => load(found, jobs, fills, backend, options),
  };
}

function tableOf(table: ReadonlyMap<string, PlacedWeight>): PlacedWeights {
  const find = (layer: number, role: Role) => table.get(`${layer}.${role}`) ?? null;
  return {
    find,
    get(layer, role) {
      const weight = find(layer, role);
      if (!weight) throw new ModelError(`model: expected a weight ${role} in layer ${layer}, found none`);
      return weight;
    },
  };
}

/** A weight as it will lie, without an address. */
export interface UnplacedWeight {
  /** -1 for the model's own. */
  readonly layer: number;
  readonly role: Role;
  readonly placed: PlacedWeight;
}

/** Enough to record a plan and sum up what it costs. */
export function unplacedWeights(spec: ModelSpec, weights: readonly UnplacedWeight[]): PlacedWeights {
  const table = new Map(weights.map(({ layer, role, placed }) => [`${layer}.${role}`, placed]));
  const layout = { type: 'F32', packed: false } as const;
  for (const { layer, role, columns } of derivedVectors(spec))
    table.set(`${layer}.${role}`, { address: 0, layout, rows: 1, columns, byteLength: columns * 4 });
  return tableOf(table);
}

/** Reads one vector to its place. */
type Fill = (scratch: Scratch) => Promise<void> | void;

async function load(
  found: readonly FoundWeight[],
  jobs: readonly LoadJob[],
  fills: readonly Fill[],
  backend: Backend,
  { quantize = null, onProgress, signal }: LoadOptions,
): Promise<void> {
  const totalBytes = found.reduce((sum, weight) => sum + fileBytes(weight), 0);
  let loadedBytes = 0;
  const report = (note: string | null = null) =>
    onProgress?.({
      phase: 'load',
      unit: 'bytes',
      loaded: loadedBytes,
      total: totalBytes,
      note,
      retry: null,
    });
  report(quantizeNote(found, quantize));
  const done = (bytes: number) => {
    loadedBytes += bytes;
    report();
  };
  const fillAll = async () => {
    const scratch = new Scratch();
    for (const fill of fills) {
      signal?.throwIfAborted();
      await fill(scratch);
    }
  };
  // Waits for both, even if one fails: the caller closes the files next.
  const results = await Promise.allSettled([backend.load(jobs, done, signal), fillAll()]);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
  loadedBytes = totalBytes;
  report();
}

export const layoutRules = (
  { hiddenSize }: ModelSpec,
  { packing }: Pick<Backend, 'packing'>,
  { quantize = null, activations = 'auto' }: Pick<LoadOptions, 'quantize' | 'activations'>,
): LayoutRules => ({ quantize, activations: resolveActivations(activations, hiddenSize), packing });

function jobsOf(weight: FoundWeight, arena: number, placed: PlacedWeight): LoadJob[] {
  const { address, layout, rows, columns, byteLength } = placed;
  const experts = weight.experts?.count ?? 1;
  const matrixRows = rows / experts;
  const jobs: LoadJob[] = [];
  for (let e = 0; e < experts; e++) {
    const matrix = {
      arena,
      address: address + (e * byteLength) / experts,
      matrixRows,
      columns,
      target: layout.type,
      packed: layout.packed,
    };
    let rowStart = 0;
    for (const source of sourcesOf(weight, e, matrixRows)) {
      jobs.push(...splitRows(source, rowStart, matrix));
      rowStart += sourceRows(source, columns);
    }
  }
  return jobs;
}

/** The rows of one expert: a tensor of its own, or a part of one that holds all of them. */
const sourcesOf = ({ sources, shape, experts }: FoundWeight, expert: number, rows: number) =>
  sources.length === (experts?.count ?? 1)
    ? [sources[expert]!]
    : sliceSources(sources, rowLength(shape), expert * rows, rows);

type Destination = Pick<LoadJob, 'arena' | 'address' | 'matrixRows' | 'columns' | 'target' | 'packed'>;

function splitRows(rowSource: RowSource, firstRow: number, matrix: Destination): LoadJob[] {
  const { tensor, runs } = rowSource;
  const source = tensor.source.handle;
  if (!source) throw new ModelError(`${tensor.source.name}: expected a source that threads can open`);
  const rows = sourceRows(rowSource, matrix.columns);
  const rowBytes = byteLengthOf(tensor.type, matrix.columns);
  const jobBytes = source.kind === 'blob' ? BLOB_JOB_BYTES : JOB_BYTES;
  const groups = Math.max(1, Math.floor(jobBytes / (rowBytes * ROW_GROUP)));
  const step = groups * ROW_GROUP;
  const jobs: LoadJob[] = [];
  for (let row = 0; row < rows; row += step) {
    const count = Math.min(step, rows - row);
    jobs.push({
      source,
      name: `${tensor.source.name}: tensor ${tensor.name}`,
      type: tensor.type,
      rows: count,
      rowStart: firstRow + row,
      ...placeIn(tensor, rowBytes, runs ? sliceRuns(runs, row, count) : [run(row, count)]),
      ...matrix,
    });
  }
  return jobs;
}

/** Where the rows of a job are in their file. One run as it is needs no gathering. */
function placeIn(
  { offset }: TensorEntry,
  rowBytes: number,
  runs: readonly RowRun[],
): Pick<LoadJob, 'offset' | 'runs'> {
  const [only, ...more] = runs;
  const asItIs = only?.times === 1 && only.scale === 1 && !more.length;
  return asItIs ? { offset: offset + only.row * rowBytes, runs: null } : { offset, runs };
}

/** Vectors become f32, in the order that their kernel reads. */
function fillOf(
  checkpoint: Checkpoint,
  weight: FoundWeight,
  arena: Arena,
  { address, byteLength }: PlacedWeight,
): Fill {
  const isLog = weight.logOfNegative && checkpoint.kind === 'huggingface';
  return async (scratch) => {
    const values = await readValues(weight.sources[0]!, rowLength(weight.shape), scratch);
    if (isLog) for (let i = 0; i < values.length; i++) values[i] = -Math.exp(values[i]!);
    arrange(weight, values, floatsAt(arena.views, address, byteLength / 4));
  };
}

/** Allocates a vector and fills it at once. */
function placeFloats(values: Float32Array, arena: Arena, what: string): PlacedWeight {
  const address = arena.allocate(values.byteLength, what);
  floatsAt(arena.views, address, values.length).set(values);
  return {
    address,
    layout: { type: 'F32', packed: false },
    rows: 1,
    columns: values.length,
    byteLength: values.byteLength,
  };
}

/**
 * Places the vectors that no file holds as such. One that is made from a vector of the file replaces it in
 * the table.
 */
function placeDerived(
  spec: ModelSpec,
  table: Map<string, PlacedWeight>,
  backend: Backend,
  cuts: Cuts,
  fills: Fill[],
): void {
  for (const { layer, role, values } of derivedVectors(spec)) {
    const key = `${layer}.${role}`;
    const stored = table.get(key);
    const arena = backend.arenas[arenaOf(cuts, layer)]!;
    const placed = placeFloats(values(null), arena, `layer ${layer} ${role}`);
    table.set(key, placed);
    if (!stored) continue;
    // Fills run in order: the stored vector has been read by then.
    fills.push(() => {
      const found = floatsAt(arena.views, stored.address, stored.columns);
      floatsAt(arena.views, placed.address, placed.columns).set(values(found));
    });
  }
}
