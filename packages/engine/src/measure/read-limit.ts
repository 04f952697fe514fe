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
  readonly passes?: number;
}

export interface ReadLimit {
  readonly threads: number;
  readonly byteLength: number;
  /** One figure for each pass, in bytes per second: of the way of reading that was faster then. */
  readonly bytesPerSecond: readonly number[];
}

/** The reading loops take so many bytes a round. */
const ROUND = 512;
const KERNELS: readonly ReadKernel[] = ['readBytes', 'readQuarters'];

export async function measureReadLimit(options: ReadLimitOptions): Promise<ReadLimit> {
  const threads = canShareMemory() ? options.threads : 1;
  const slice = Math.floor((options.byteLength ?? 2 ** 30) / threads / ROUND) * ROUND;
  const byteLength = slice * threads;
  const arena = new Arena(ARENA_BASE, canShareMemory());
  const address = arena.allocate(byteLength, 'memory to read');
  // Untouched pages would all be the system's one page of zeros, and read from the cache.
  arena.views.u8.fill(1, address, address + byteLength);
  const probe = await startProbe(arena, threads);
  try {
    const bytesPerSecond: number[] = [];
    for (let pass = -1; pass < (options.passes ?? 7); pass++) {
      let best = 0;
      for (const kernel of KERNELS) {
        const began = performance.now();
        await probe.read(kernel, address, slice);
        best = Math.max(best, byteLength / ((performance.now() - began) / 1000));
      }
      // The first pass lets the engine compile the loops well.
      if (pass >= 0) bytesPerSecond.push(best);
    }
    return { threads, byteLength, bytesPerSecond };
  } finally {
    await probe.close();
  }
}

interface Probe {
  /** Every thread reads its own `slice` bytes, one after the other from `address` on. */
  read(kernel: ReadKernel, address: number, slice: number): Promise<void>;
  close(): Promise<void>;
}

async function startProbe(arena: Arena, threads: number): Promise<Probe> {
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
