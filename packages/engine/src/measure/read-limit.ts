// How fast this machine's memory can be read by a loop that does nothing else, in the same WebAssembly, on the same number
// of threads, from memory that was allocated the same way as a model's. A token must read every weight once, so this is
// the ceiling that decoding speeds are compared with. For measurements only.
import { canShareMemory, startWorker, type WorkerThread } from '#platform';
import { Arena } from '../backends/arena.ts';
import {
  ARENA_BASE,
  compileKernels,
  hasRelaxedSimd,
  instantiateKernels,
} from '../backends/wasm/load-kernels.ts';
import type { FromWorker, ReadKernel, ToWorker } from '../backends/wasm/worker-messages.ts';

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

/** The reading loops take so many bytes a round. */
const ROUND = 512;
const KERNELS: readonly ReadKernel[] = ['readBytes', 'readQuarters'];

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
  const readers = await startReaders(arena, threads);
  const seconds = KERNELS.map((): number[] => []);
  const pass = async () => {
    for (const [k, kernel] of KERNELS.entries()) {
      const began = performance.now();
      await readers.read(kernel, address, slice);
      seconds[k]!.push((performance.now() - began) / 1000);
    }
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
    close: () => readers.close(),
  };
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

interface Readers {
  /** Every thread reads its own `slice` bytes, one after the other from `address` on. */
  read(kernel: ReadKernel, address: number, slice: number): Promise<void>;
  close(): Promise<void>;
}

async function startReaders(arena: Arena, threads: number): Promise<Readers> {
  const module = await compileKernels(hasRelaxedSimd() ? 'relaxed' : 'baseline', canShareMemory());
  if (!canShareMemory()) {
    const kernels = instantiateKernels(module, arena.memory);
    return {
      read: async (kernel, address, slice) => void kernels[kernel]!(address, slice),
      close: async () => {},
    };
  }
  const workers = Array.from({ length: threads }, startWorker);
  await Promise.all(
    workers.map((worker, thread) => ask(worker, { kind: 'start', module, memory: arena.memory, thread })),
  );
  return {
    async read(kernel, address, slice) {
      await Promise.all(
        workers.map((worker, i) =>
          ask(worker, { kind: 'probe', kernel, address: address + i * slice, byteLength: slice }),
        ),
      );
    },
    close: async () => void (await Promise.all(workers.map((worker) => worker.terminate()))),
  };
}

function ask(worker: WorkerThread, message: ToWorker): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.onNext((answer) => {
      const reply = answer as FromWorker;
      if (reply.kind === 'failed') reject(new Error(reply.message));
      else resolve();
    }, reject);
    worker.post(message);
  });
}
