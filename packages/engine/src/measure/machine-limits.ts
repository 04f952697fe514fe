// What this machine could do at most, by loops that do nothing else, in the same WebAssembly, on the same number of threads: how fast
// memory is read that was allocated the same way as a model's (a token must read every weight once), and how many products
// of bytes and of f32 are added up in a second. For measurements only.
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
import type { WorkerThread } from '../platform/worker-thread.ts';

export interface ReadLimitOptions {
  readonly threads: number;
  /** Bytes read in one pass, by all threads together. Far larger than any cache: default 1 GiB. */
  readonly byteLength?: number;
}

export interface ReadLimit {
  readonly threads: number;
  readonly byteLength: number;
  /** One figure for each pass, in bytes per second: of the way of reading that was faster over all passes. */
  readonly bytesPerSecond: readonly number[];
}

/** Memory and threads to read it, kept at hand: where speeds change within seconds, passes belong between what they are compared with. */
export interface ReadProbe extends ReadLimit {
  /** Reads all of the memory once in each way. */
  pass(): Promise<void>;
  close(): Promise<void>;
}

/** Products a second, each added to a sum, all threads together. */
export interface Peaks {
  readonly bytes: number;
  readonly floats: number;
}

/** The reading loops take so many bytes a round. */
const ROUND = 512;
const READING: readonly ProbeKernel[] = ['readBytes', 'readQuarters'];

/** Products of a round, as kernels/peak.ts has them; some milliseconds of them in a run, the best of several counts. */
export const ROUND_PRODUCTS = { multiplyBytes: 320, multiplyFloats: 80 } as const;
export const PEAK_ROUNDS = 2 ** 21;
export const PEAK_RUNS = 12;
/** Of a thread: results and factors. */
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
  // Untouched pages would all be the system's one page of zeros, and read from the cache.
  arena.views.u8.fill(1, address, address + byteLength);
  const probes = await startProbes(arena, threads);
  const seconds = READING.map((): number[] => []);
  const pass = async () => {
    for (const [k, kernel] of READING.entries())
      seconds[k]!.push(await probes.run(kernel, address, slice, slice));
  };
  await pass();
  // That one let the engine compile the loops well.
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
  /** Every thread does `count`, each at its own address, `step` bytes apart. Seconds until the last one is ready. */
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
