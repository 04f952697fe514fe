// Measures the machine's limits with WebAssembly loops that do nothing else, on as many threads as a model
// has: the speed of reading memory that was allocated like a model's (a token reads every weight once), and
// the products of bytes and of f32 that are summed per second. For measurements only.
import { allowWideSimd, canShareMemory, startWorker } from '#platform';
import {
  ARENA_BASE,
  compileKernels,
  hasRelaxedSimd,
  instantiateKernels,
  type KernelVariant,
} from '../backends/wasm/load-kernels.ts';
import type { FromWorker, ProbeKernel, ToWorker } from '../backends/wasm/worker-messages.ts';
import { reviveError } from '../errors.ts';
import { Arena } from '../memory/arena.ts';
import type { WorkerThread } from '../platform/types.ts';

export interface ReadLimitOptions {
  readonly threads: number;
  /** Bytes read in one pass, by all threads together. Far larger than any cache: default 1 GiB. */
  readonly byteLength?: number | undefined;
}

export interface ReadLimit {
  readonly threads: number;
  readonly byteLength: number;
  /** Bytes per second of each pass, for the way of reading that was faster over all passes. */
  readonly bytesPerSecond: readonly number[];
}

/**
 * Memory and threads, kept between passes: where speeds change within seconds, run passes between what you
 * compare them with.
 */
export interface ReadProbe extends ReadLimit {
  /** Reads all of the memory once in each way. */
  pass(): Promise<void>;
  close(): Promise<void>;
}

/** Products per second, each added to a sum, of all threads together. */
export interface Peaks {
  readonly bytes: number;
  readonly floats: number;
}

/** Bytes per round of the reading loops. */
const ROUND = 512;
const READING: readonly ProbeKernel[] = ['readBytes', 'readQuarters'];

/**
 * Products per round of kernels/common/peak.ts. A run takes some milliseconds; the best of several counts.
 */
export const ROUND_PRODUCTS = { multiplyBytes: 320, multiplyFloats: 80 } as const;
export const PEAK_ROUNDS = 2 ** 21;
export const PEAK_RUNS = 12;
/** Bytes per thread: results and factors. */
const PEAK_BYTES = 64 + 11 * 32;

export async function measureReadLimit(options: ReadLimitOptions & { passes?: number }): Promise<ReadLimit> {
  const probe = await openReadProbe(options);
  try {
    for (let pass = 0; pass < (options.passes ?? 7); pass++) await probe.pass();
    const { threads, byteLength, bytesPerSecond } = probe;
    return { threads, byteLength, bytesPerSecond };
  } finally {
    await probe.close();
  }
}

export async function openReadProbe(options: ReadLimitOptions): Promise<ReadProbe> {
  const threads = canShareMemory() ? options.threads : 1;
  const slice = Math.floor((options.byteLength ?? 2 ** 30) / threads / ROUND) * ROUND;
  const byteLength = slice * threads;
  const arena = new Arena(ARENA_BASE, canShareMemory());
  const address = arena.allocate(byteLength, 'memory to read');
  // Untouched pages would all map to the system's one page of zeros, and come from the cache.
  arena.views.u8.fill(1, address, address + byteLength);
  const probes = await startProbes(arena, threads);
  const seconds = READING.map((): number[] => []);
  const pass = async () => {
    for (const [k, kernel] of READING.entries())
      seconds[k]!.push(await probes.run(kernel, address, slice, slice));
  };
  await pass();
  // The first pass only made V8 optimise the loops.
  for (const list of seconds) list.pop();
  return {
    threads,
    byteLength,
    pass,
    get bytesPerSecond() {
      const [first, second] = seconds as [number[], number[]];
      return (sum(first) < sum(second) ? first : second).map((s) => byteLength / s);
    },
    close: () => probes.close(),
  };
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** Best of several runs: what disturbs one only makes it slower. */
export async function measurePeaks(options: {
  threads: number;
  variant?: KernelVariant | undefined;
}): Promise<Peaks> {
  const threads = canShareMemory() ? options.threads : 1;
  const arena = new Arena(ARENA_BASE, canShareMemory());
  const address = arena.allocate(threads * PEAK_BYTES, 'factors');
  arena.views.f32.fill(1, address / 4, (address + threads * PEAK_BYTES) / 4);
  const probes = await startProbes(arena, threads, options.variant);
  const peak = async (kernel: keyof typeof ROUND_PRODUCTS) => {
    let best = Number.POSITIVE_INFINITY;
    for (let run = 0; run < PEAK_RUNS; run++)
      best = Math.min(best, await probes.run(kernel, address, PEAK_BYTES, PEAK_ROUNDS));
    return (threads * PEAK_ROUNDS * ROUND_PRODUCTS[kernel]) / best;
  };
  try {
    return { bytes: await peak('multiplyBytes'), floats: await peak('multiplyFloats') };
  } finally {
    await probes.close();
  }
}

interface Probes {
  /**
   * Every thread runs `count` rounds at its own address, `step` bytes apart. Returns seconds until the last
   * one ends.
   */
  run(kernel: ProbeKernel, address: number, step: number, count: number): Promise<number>;
  close(): Promise<void>;
}

async function startProbes(arena: Arena, threads: number, variant?: KernelVariant): Promise<Probes> {
  const module = await compileKernels(
    variant ?? (hasRelaxedSimd() ? 'relaxed' : 'baseline'),
    canShareMemory(),
  );
  const timed = async (work: () => unknown): Promise<number> => {
    const began = performance.now();
    await work();
    return (performance.now() - began) / 1000;
  };
  if (!canShareMemory()) {
    const kernels = instantiateKernels(module, arena.memory);
    return {
      run: (kernel, address, _step, count) => timed(() => kernels[kernel]!(address, count)),
      close: async () => {},
    };
  }
  const wide = allowWideSimd();
  const workers = Array.from({ length: threads }, startWorker);
  await Promise.all(
    workers.map((worker, thread) =>
      ask(worker, { kind: 'start', module, memory: arena.memory, thread, wide }),
    ),
  );
  return {
    run: (kernel, address, step, count) =>
      timed(() =>
        Promise.all(
          workers.map((worker, i) =>
            ask(worker, { kind: 'probe', kernel, address: address + i * step, count }),
          ),
        ),
      ),
    close: async () => void (await Promise.all(workers.map((worker) => worker.terminate()))),
  };
}

function ask(worker: WorkerThread, message: ToWorker): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.onNext((answer) => {
      const reply = answer as FromWorker;
      if (reply.kind === 'failed') reject(reviveError(reply.error));
      else resolve();
    }, reject);
    worker.post(message);
  });
}
