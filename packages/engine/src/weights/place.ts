// Brings a model's weights into a backend's arena: chooses layouts, reserves memory, and streams the files
// straight into place, so that peak memory stays close to the final size.

import type { Family } from '../architecture/family.ts';
import type { Role } from '../architecture/roles.ts';
import type { ModelSpec } from '../architecture/spec.ts';
import type { ActivationPrecision, Backend } from '../backends/backend.ts';
import { type LoadJob, separateHalves } from '../backends/load/load-job.ts';
import { ModelError } from '../errors.ts';
import { dequantize } from '../formats/dequantize.ts';
import { byteLengthOf } from '../formats/tensor-types.ts';
import type { Checkpoint, TensorEntry } from '../formats/types.ts';
import { arrange, arrangedShape, sizeOf } from '../layers/arrange.ts';
import { floatsAt } from '../memory/memory-views.ts';
import type { PlacedWeight } from '../plan/plan.ts';
import type { WeightsProgress } from '../progress.ts';
import type { PlacedWeights } from '../runtime/forward.ts';
import {
  chooseLayout,
  derivedVectors,
  type FoundWeight,
  findWeights,
  type QuantizeType,
  quantizeNote,
  resolveActivations,
  targetType,
} from './weights.ts';

export interface LoadOptions {
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

/**
 * Finds every weight in the files and reserves its memory, which is all that a plan needs. `load` then reads
 * them. Throws ModelError when a weight is missing or has another shape.
 */
export function placeWeights(
  checkpoint: Checkpoint,
  family: Family,
  spec: ModelSpec,
  backend: Backend,
  options: LoadOptions,
): ModelWeights {
  options.signal?.throwIfAborted();
  const found = findWeights(checkpoint, family, spec);
  const permuted = isPermuted(checkpoint, family);
  const table = new Map<string, PlacedWeight>();
  const jobs: LoadJob[] = [];
  const fills: Fill[] = [];
  const list: (FoundWeight & { placed: PlacedWeight })[] = [];
  for (const weight of found) {
    const placed =
      weight.kind === 'vector'
        ? placeVector(checkpoint, weight, backend, permuted, fills)
        : placeMatrix(weight, spec, backend, options, permuted, jobs);
    table.set(`${weight.layer}.${weight.role}`, placed);
    list.push({ ...weight, placed });
  }
  placeDerived(spec, table, backend, fills);
  const find = (layer: number, role: Role) => table.get(`${layer}.${role}`) ?? null;
  return {
    find,
    get(layer, role) {
      const weight = find(layer, role);
      if (!weight) throw new ModelError(`model: expected a weight ${role} in layer ${layer}, found none`);
      return weight;
    },
    byteLength: list.reduce((sum, w) => sum + w.placed.byteLength, 0),
    list,
    load: () => load(found, jobs, fills, backend, options),
  };
}

/** Reads one vector to its place. */
type Fill = (scratch: Scratch) => Promise<void> | void;

/** One buffer for all vectors, one after the other: a buffer each would take a hundred times the memory. */
class Scratch {
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

async function load(
  found: readonly FoundWeight[],
  jobs: readonly LoadJob[],
  fills: readonly Fill[],
  backend: Backend,
  { quantize = null, onProgress, signal }: LoadOptions,
): Promise<void> {
  const totalBytes = found.reduce((sum, w) => sum + w.tensors.reduce((s, t) => s + t.byteLength, 0), 0);
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

const isPermuted = (checkpoint: Checkpoint, family: Family): boolean =>
  checkpoint.kind === 'gguf' &&
  family.ggufPermutedQk.includes(`${checkpoint.metadata.get('general.architecture')}`);

function placeMatrix(
  weight: FoundWeight,
  spec: ModelSpec,
  backend: Backend,
  options: LoadOptions,
  permuted: boolean,
  jobs: LoadJob[],
): PlacedWeight {
  const { rows, columns } = arrangedShape(weight);
  const experts = weight.experts?.count ?? 1;
  const type = targetType(weight, options.quantize ?? null);
  const activations = resolveActivations(options.activations ?? 'auto', spec.hiddenSize);
  const { layout, byteLength } = chooseLayout(type, rows / experts, columns, activations, backend.packing);
  const name = `layer ${weight.layer} ${weight.role}`;
  const address = backend.arena.allocate(byteLength * experts, name);
  const head = permuted ? (weight.rotaryHead ?? 0) : 0;
  for (let e = 0; e < experts; e++) {
    const entry = weight.tensors.length === experts ? weight.tensors[e]! : weight.tensors[0]!;
    const firstRow = weight.tensors.length === experts ? 0 : e * (rows / experts);
    const matrix = {
      address: address + e * byteLength,
      matrixRows: rows / experts,
      columns,
      target: type,
      packed: layout.packed,
    };
    jobs.push(...splitRows(entry, firstRow, matrix, head));
  }
  return { address, layout, rows, columns, byteLength: byteLength * experts };
}

type Destination = Pick<LoadJob, 'address' | 'matrixRows' | 'columns' | 'target' | 'packed'>;

function splitRows(
  entry: TensorEntry,
  firstRow: number,
  matrix: Destination,
  interleavedHead: number,
): LoadJob[] {
  const source = entry.source.handle;
  if (!source) throw new ModelError(`${entry.source.name}: expected a source that threads can open`);
  const rowBytes = byteLengthOf(entry.type, matrix.columns);
  const jobBytes = source.kind === 'blob' ? BLOB_JOB_BYTES : JOB_BYTES;
  const groups = Math.max(1, Math.floor(jobBytes / (rowBytes * ROW_GROUP)));
  const step = interleavedHead ? matrix.matrixRows : groups * ROW_GROUP;
  const jobs: LoadJob[] = [];
  for (let rowStart = 0; rowStart < matrix.matrixRows; rowStart += step) {
    jobs.push({
      source,
      name: `${entry.source.name}: tensor ${entry.name}`,
      offset: entry.offset + (firstRow + rowStart) * rowBytes,
      type: entry.type,
      rows: Math.min(step, matrix.matrixRows - rowStart),
      rowStart,
      interleavedHead,
      ...matrix,
    });
  }
  return jobs;
}

/** Vectors become f32, in the order that their kernel reads. */
function placeVector(
  checkpoint: Checkpoint,
  weight: FoundWeight,
  backend: Backend,
  permuted: boolean,
  fills: Fill[],
): PlacedWeight {
  const isLog = weight.logOfNegative && checkpoint.kind === 'huggingface';
  const { rows, columns, count } = arrangedShape(weight);
  const address = backend.arena.allocate(count * 4, `layer ${weight.layer} ${weight.role}`);
  fills.push(async (scratch) => {
    const values = await readVector(weight.tensors[0]!, permuted ? (weight.rotaryHead ?? 0) : 0, scratch);
    if (isLog) for (let i = 0; i < values.length; i++) values[i] = -Math.exp(values[i]!);
    arrange(weight, values, floatsAt(backend.arena.views, address, count));
  });
  return { address, layout: { type: 'F32', packed: false }, rows, columns, byteLength: count * 4 };
}

/** The values, valid until the next call. */
async function readVector(
  entry: TensorEntry,
  interleavedHead: number,
  scratch: Scratch,
): Promise<Float32Array> {
  const raw = scratch.raw(entry.byteLength);
  await entry.source.read(entry.offset, raw);
  const values = scratch.values(sizeOf(entry.shape));
  dequantize(entry.type, raw, values);
  if (!interleavedHead) return values;
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return new Float32Array(separateHalves(bytes, 4, interleavedHead).buffer);
}

/** Allocates a vector and fills it at once. */
function placeFloats(values: Float32Array, backend: Backend, what: string): PlacedWeight {
  const address = backend.arena.allocate(values.byteLength, what);
  floatsAt(backend.arena.views, address, values.length).set(values);
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
  fills: Fill[],
): void {
  for (const { layer, role, values } of derivedVectors(spec)) {
    const key = `${layer}.${role}`;
    const stored = table.get(key);
    const placed = placeFloats(values(null), backend, `layer ${layer} ${role}`);
    table.set(key, placed);
    if (!stored) continue;
    // Fills run in order: the stored vector has been read by then.
    fills.push(() => {
      const { views } = backend.arena;
      const found = floatsAt(views, stored.address, stored.columns);
      floatsAt(views, placed.address, placed.columns).set(values(found));
    });
  }
}
