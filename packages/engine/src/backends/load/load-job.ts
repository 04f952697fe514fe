// One piece of loading: some rows of one matrix, from a file into the arena in their run-time layout. Jobs
// survive structured cloning, so that worker threads carry them out in parallel; each touches only its own
// rows.
import { FormatError } from '../../errors.ts';
import type { WritableTensorType } from '../../formats/quantize.ts';
import { EXPANDED_BLOCK, EXPANSIONS, expand } from '../../formats/quants/expand.ts';
import { type RowRun, readRuns, rowScales } from '../../formats/rows.ts';
import { byteLengthOf } from '../../formats/tensor-types.ts';
import type { ByteSource, SourceHandle, TensorType } from '../../formats/types.ts';
import { type ReadingChoice, readInPlace } from './read-in-place.ts';

export interface LoadJob {
  readonly source: SourceHandle;
  /** For messages: file and tensor. */
  readonly name: string;
  /** Where the first of these rows starts in the file; where row 0 of `runs` does. */
  readonly offset: number;
  readonly type: TensorType;
  readonly rows: number;
  readonly columns: number;
  /** Format in memory; other than `type` when quantised while loading. */
  readonly target: TensorType;
  readonly packed: boolean;
  /** The arena's number, the matrix's address in it, its height, and where these rows go in it. */
  readonly arena: number;
  readonly address: number;
  readonly matrixRows: number;
  readonly rowStart: number;
  /** Where these rows are in the file when they do not follow each other there, or are scaled. */
  readonly runs: readonly RowRun[] | null;
}

/** Where rows wait to be packed: memory of the arena that the kernels read from. */
export interface PackStage {
  readonly bytes: Uint8Array;
  /** Packs the `rows` rows that lie at the stage's beginning as rows row… of the job. */
  pack(job: LoadJob, row: number, rows: number): void;
}

/** What a thread loads with. `packing` is null where packed layouts are not used. */
export interface Loader {
  readonly memory: ArrayBufferLike;
  readonly packing: PackStage | null;
  /** Null where only the usual way of reading is wanted. */
  readonly reading: ReadingChoice | null;
  source(job: LoadJob): Promise<ByteSource>;
}

/** A file is opened once, however many jobs read from it. */
export class OpenSources {
  readonly #open = new Map<string | object, Promise<ByteSource>>();
  readonly #openHandle: (handle: SourceHandle, name: string) => Promise<ByteSource>;

  constructor(openHandle: (handle: SourceHandle, name: string) => Promise<ByteSource>) {
    this.#openHandle = openHandle;
  }

  get({ source, name }: LoadJob): Promise<ByteSource> {
    const key = source.kind === 'path' ? source.path : source;
    let open = this.#open.get(key);
    if (!open) this.#open.set(key, (open = this.#openHandle(source, name)));
    return open;
  }

  async close(): Promise<void> {
    const sources = await Promise.allSettled(this.#open.values());
    this.#open.clear();
    await Promise.all(sources.map((s) => (s.status === 'fulfilled' ? s.value.close() : null)));
  }
}

/** Rows per packed tile. */
const TILE_ROWS = 16;
/** Small enough to stay in a processor's second-level cache between being read and being packed. */
const STAGE_BYTES = 256 * 1024;

/** Whether rows are expanded on their way into a packed layout. */
const isExpanded = ({ target, packed }: LoadJob): boolean => packed && EXPANSIONS[target] !== undefined;

const rowBytesOf = (job: LoadJob) =>
  isExpanded(job) ? (job.columns / 256) * EXPANDED_BLOCK : byteLengthOf(job.target, job.columns);

export const jobBytes = (job: LoadJob): number => job.rows * byteLengthOf(job.type, job.columns);

/** How large a stage the jobs need, 0 when none of them packs. */
export const stageBytes = (jobs: readonly LoadJob[]): number =>
  jobs.reduce(
    (most, job) => (job.packed ? Math.max(most, STAGE_BYTES, TILE_ROWS * rowBytesOf(job)) : most),
    0,
  );

/** Carries out a job, alone on its stage. */
export async function runLoadJob(job: LoadJob, loader: Loader): Promise<void> {
  const source = await loader.source(job);
  const asTheyAre = job.type === job.target && !job.runs && !isExpanded(job);
  const read = source.readNow ?? source.read;
  if (asTheyAre && !job.packed) return read(job.offset, destination(job, loader));
  if (asTheyAre && source.readNow) {
    if (!(await packInPlace(job, loader, source))) await packThroughStage(job, loader, source.readNow);
    return;
  }
  let raw = job.runs
    ? await readRuns(job.runs, byteLengthOf(job.type, job.columns), job.offset, read)
    : new Uint8Array(jobBytes(job));
  // In one go: a Blob takes milliseconds to answer, however little it is asked for.
  if (!job.runs) await read(job.offset, raw);
  if (job.type !== job.target || job.runs?.some(({ scale }) => scale !== 1)) raw = await convert(job, raw);
  if (isExpanded(job)) raw = expand(job.target, raw);
  const start = (row: number) => row * rowBytesOf(job);
  if (!job.packed) destination(job, loader).set(raw);
  else
    await packPieces(job, loader, (row, into) =>
      into.set(raw.subarray(start(row), start(row) + into.byteLength)),
    );
}

const destination = (job: LoadJob, { memory }: Loader): Uint8Array =>
  new Uint8Array(memory, job.address + job.rowStart * rowBytesOf(job), job.rows * rowBytesOf(job));

/** False when the job is not to be read directly, or cannot be. */
async function packInPlace(job: LoadJob, loader: Loader, source: ByteSource): Promise<boolean> {
  const { reading } = loader;
  if (!reading?.direct) return false;
  const began = performance.now();
  const copy = readInPlace(source, job.offset, destination(job, loader));
  if (!copy) {
    reading.refuseDirect();
    return false;
  }
  await packPieces(job, loader, (row, into) => copy(job.offset + row * rowBytesOf(job), into));
  reading.addDirect(jobBytes(job), performance.now() - began);
  return true;
}

async function packThroughStage(
  job: LoadJob,
  loader: Loader,
  readNow: (offset: number, into: Uint8Array) => void,
): Promise<void> {
  let readMs = 0;
  const began = performance.now();
  await packPieces(job, loader, (row, into) => {
    const since = performance.now();
    readNow(job.offset + row * rowBytesOf(job), into);
    readMs += performance.now() - since;
  });
  loader.reading?.addBuffered(jobBytes(job), performance.now() - began, readMs);
}

/** `fill` brings rows in their final format, from row `row` of the job on. */
async function packPieces(
  job: LoadJob,
  { packing }: Loader,
  fill: (row: number, into: Uint8Array) => Promise<void> | void,
): Promise<void> {
  if (!packing) throw new Error(`${job.name}: expected a backend that packs weights, found one without`);
  const rowBytes = rowBytesOf(job);
  const step = Math.floor(packing.bytes.byteLength / (rowBytes * TILE_ROWS)) * TILE_ROWS;
  for (let row = 0; row < job.rows; row += step) {
    const rows = Math.min(step, job.rows - row);
    await fill(row, packing.bytes.subarray(0, rows * rowBytes));
    packing.pack(job, row, rows);
  }
}

/** Its modules are loaded when needed: most models are quantised already, and every thread loads its own. */
async function convert(job: LoadJob, raw: Uint8Array): Promise<Uint8Array> {
  if (job.type === 'TQ1_0' && job.target === 'TQ2_0') {
    const { ternaryCodes } = await import('../../formats/quants/ternary.ts');
    return ternaryCodes(raw);
  }
  const { dequantize } = await import('../../formats/dequantize.ts');
  const { quantize } = await import('../../formats/quantize.ts');
  const from = byteLengthOf(job.type, job.columns);
  const to = byteLengthOf(job.target, job.columns);
  const out = new Uint8Array(job.rows * to);
  const values = new Float32Array(job.columns);
  const scaleOf = rowScales(job.runs ?? []);
  for (let row = 0; row < job.rows; row++) {
    dequantize(job.type, raw.subarray(row * from, (row + 1) * from), values);
    const scale = scaleOf(row);
    if (scale !== 1) for (let i = 0; i < values.length; i++) values[i] = values[i]! * scale;
    if (!values.every(fits[job.target] ?? Number.isFinite))
      throw new FormatError(
        `${job.name}: row ${job.rowStart + row}: expected finite weights that ${job.target} can hold, found others. ` +
          'The file is damaged, or its weights too large for this format.',
      );
    quantize(job.target as WritableTensorType, values, out.subarray(row * to, (row + 1) * to));
  }
  return out;
}

/** What rounds to infinity in F16 begins half a step above its largest value. */
const fits: { readonly [type in TensorType]?: (value: number) => boolean } = {
  F16: (value) => Math.abs(value) < 65_520,
};
