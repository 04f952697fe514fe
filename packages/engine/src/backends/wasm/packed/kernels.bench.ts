// Speed of the packed kernels, beside a loop that only reads memory:
//
//   node kernels.bench.ts [TYPE,TYPE…] [--build relaxed|pairs|baseline] [--threads 2] [--seconds 2]
//
// The build is the one that the engine would choose. Decode: one row times matrices of 400 MB in all, so that weights come from memory;
// GB/s, and the share of the read limit of the same run; "in cache" is one small matrix again and again. Batch and prompt: 2, 8
// and 256 rows, GMAC/s. Best of many, since a shared machine only ever slows a run down.

import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { allowWideSimd } from '#platform';
import type { TensorType } from '../../../formats/types.ts';
import { codesByteLength, packedScratchBytes } from '../../../plan/codes.ts';
import { layoutId } from '../../../plan/layouts.ts';
import { encodeOp } from '../../../plan/ops.ts';
import { packedByteLength } from '../kernels/layouts/tile.ts';
import { ARENA_BASE, buildFor, instantiateKernels, type KernelExports } from '../load-kernels.ts';

const COLUMNS = 2560;
const OUTPUTS = 10_240;
/** Outputs of a matrix that fits a second-level cache. */
const CACHED_OUTPUTS = 256;
const ROWS = 256;
const WEIGHT_BYTES = 400 * 2 ** 20;
const RECORD_BYTES = 128;
const MAX_RECORDS = 64;

// Control words: run number, threads that finished it, kind of work (0 ops, 1 reading), how many records.
const CONTROL = ARENA_BASE;
const RECORDS = ARENA_BASE + 256;
const DATA = RECORDS + MAX_RECORDS * RECORD_BYTES;
const [RUN, DONE, READING, COUNT, COUNTER] = [0, 1, 2, 3, 16];

interface Shared {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly thread: number;
  readonly threads: number;
}

function work(kernels: KernelExports, { memory, thread, threads }: Shared): void {
  const control = new Int32Array(memory.buffer, CONTROL, 32);
  if (control[READING]) {
    const share = Math.floor(WEIGHT_BYTES / threads / 4096) * 4096;
    kernels.readBytes!(DATA + thread * share, share);
  } else {
    for (let i = 0; i < control[COUNT]!; i++) kernels.linear!(RECORDS + i * RECORD_BYTES, thread, threads);
  }
  Atomics.add(control, DONE, 1);
}

if (!isMainThread) {
  const shared = workerData as Shared;
  const kernels = instantiateKernels(shared.module, shared.memory);
  const control = new Int32Array(shared.memory.buffer, CONTROL, 32);
  for (let run = 0; ; ) {
    while (Atomics.load(control, RUN) === run);
    run = Atomics.load(control, RUN);
    if (run < 0) break;
    work(kernels, shared);
  }
} else {
  bench();
}

function bench(): void {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      build: { type: 'string', default: buildFor('relaxed') },
      threads: { type: 'string', default: '2' },
      seconds: { type: 'string', default: '2' },
    },
  });
  allowWideSimd();
  const module = new WebAssembly.Module(
    readFileSync(new URL(`../build/kernels.${values.build}.wasm`, import.meta.url)),
  );
  const types = (positionals[0]?.split(',') ?? [
    'Q4_0',
    'Q4_K',
    'Q5_0',
    'Q5_K',
    'Q6_K',
    'Q8_0',
  ]) as TensorType[];
  for (const threads of new Set([1, Number(values.threads)]))
    measure(module, types, threads, Number(values.seconds) * 1000);
}

function measure(
  module: WebAssembly.Module,
  types: readonly TensorType[],
  threads: number,
  limitMs: number,
): void {
  const memory = new WebAssembly.Memory({ initial: 8192, maximum: 65_536, shared: true });
  const shared = (thread: number): Shared => ({ module, memory, thread, threads });
  const kernels = instantiateKernels(module, memory);
  const workers = Array.from(
    { length: threads - 1 },
    (_, i) => new Worker(new URL(import.meta.url), { workerData: shared(i + 1) }),
  );
  const control = new Int32Array(memory.buffer, CONTROL, 32);
  const words = new Uint32Array(memory.buffer);
  const floats = new Float32Array(memory.buffer);
  // Nibbles of all kinds, scales of a normal size.
  for (let i = 0; i < WEIGHT_BYTES / 4; i++)
    words[DATA / 4 + i] = (Math.imul(i, 2_654_435_761) & 0x03ff03ff) | 0x24002400;
  const x = DATA + WEIGHT_BYTES;
  const codes = x + ROWS * COLUMNS * 4;
  const y = codes + codesByteLength(ROWS, COLUMNS);
  const scratch = y + ROWS * OUTPUTS * 4;
  if (scratch + packedScratchBytes(COLUMNS, threads) > memory.buffer.byteLength)
    throw new RangeError('memory: expected more');
  for (let i = 0; i < ROWS * COLUMNS; i++) floats[x / 4 + i] = Math.sin(i * 1.37);

  const run = () => {
    for (let i = 0; i < control[COUNT]!; i++) words[(RECORDS + i * RECORD_BYTES) / 4 + 1] = 0;
    control[DONE] = 0;
    const started = performance.now();
    Atomics.add(control, RUN, 1);
    work(kernels, shared(0));
    while (Atomics.load(control, DONE) < threads);
    return (performance.now() - started) / 1000;
  };
  const best = (ms: number) => {
    let least = Infinity;
    for (const end = performance.now() + ms; performance.now() < end; ) least = Math.min(least, run());
    return least;
  };
  const prepare = (type: TensorType, rows: number, outputs: number, copies: number) => {
    control[COUNTER] = rows;
    const counter = CONTROL + COUNTER * 4;
    encodeOp(
      'quantizeRows',
      { rows: counter, x, xStride: COLUMNS, columns: COLUMNS, codes },
      words,
      RECORDS / 4,
    );
    kernels.quantizeRows!(RECORDS, 0, 1);
    const layout = layoutId({ type, packed: true });
    for (let i = 0; i < copies; i++) {
      const weight = DATA + i * packedByteLength(type, outputs, COLUMNS);
      const fields = {
        rows: counter,
        x: codes,
        xStride: 0,
        weight,
        layout,
        outputs,
        columns: COLUMNS,
        bias: 0,
        y,
        yStride: OUTPUTS,
        accumulate: 0,
        scratch,
        threadBytes: packedScratchBytes(COLUMNS, 1),
      };
      encodeOp('linear', fields, words, (RECORDS + i * RECORD_BYTES) / 4);
    }
    control[COUNT] = copies;
  };

  control[READING] = 1;
  const limit = WEIGHT_BYTES / best(limitMs) / 1e9;
  control[READING] = 0;
  const table: Record<string, Record<string, string>> = {
    'memory read': { 'decode GB/s': limit.toFixed(1) },
  };
  for (const type of types) {
    const bytes = packedByteLength(type, OUTPUTS, COLUMNS);
    const copies = Math.min(MAX_RECORDS, Math.floor(WEIGHT_BYTES / bytes));
    prepare(type, 1, OUTPUTS, copies);
    const decode = (copies * bytes) / best(limitMs) / 1e9;
    prepare(type, 1, CACHED_OUTPUTS, 1);
    const cached = packedByteLength(type, CACHED_OUTPUTS, COLUMNS) / best(limitMs / 2) / 1e9;
    const batch = [2, 8].map((rows) => {
      prepare(type, rows, OUTPUTS, copies);
      return (rows * copies * OUTPUTS * COLUMNS) / best(limitMs / 2) / 1e9;
    });
    const rates = [8, ROWS].map((rows) => {
      prepare(type, rows, 1280, 1);
      return (rows * 1280 * COLUMNS) / best(limitMs / 2) / 1e9;
    });
    table[type] = {
      'decode GB/s': decode.toFixed(1),
      'in cache': cached.toFixed(1),
      'of limit': `${Math.round((100 * decode) / limit)} %`,
      '2 rows GMAC/s': batch[0]!.toFixed(1),
      '8 rows': batch[1]!.toFixed(1),
      '8 in cache': rates[0]!.toFixed(1),
      '256 in cache': rates[1]!.toFixed(1),
    };
  }
  process.stdout.write(`${threads} thread${threads > 1 ? 's' : ''}\n`);
  console.table(table);
  Atomics.store(control, RUN, -1);
  for (const worker of workers) void worker.terminate();
}
