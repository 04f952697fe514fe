// What differs between Node and browsers, Node's half. The browser's half has the same exports. Worker
// threads load this file too, and loading takes its time on each: opening models is in open-source.node.ts.
import { randomUUID } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { availableParallelism, freemem, totalmem } from 'node:os';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { parentPort, Worker } from 'node:worker_threads';
import { crc32 as nativeCrc32 } from 'node:zlib';
import { ModelError } from '../errors.ts';
import { ThreadFailure } from './thread-failure.ts';
import type { MachineMemory, WideSimd, WorkerThread } from './types.ts';

export { openHandle } from '../formats/byte-source.node.ts';

/** A file that ships with this package. */
export async function readAsset(url: URL): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await readFile(url).catch((cause: unknown) => {
    const code = cause instanceof Error && 'code' in cause ? `${cause.code}` : `${cause}`;
    throw new ModelError(
      `${basename(fileURLToPath(url))}: expected the kernels of @marimba/engine, found ${code === 'ENOENT' ? 'no such file' : code}. ` +
        'Run npm run build:kernels in a checkout; elsewhere install @marimba/engine again.',
      { code: 'missing-kernels', cause },
    );
  });
  return new Uint8Array(bytes);
}

/** System calls take so many parts at most. */
const MAX_PARTS = 1024;

/**
 * Writes a file of these parts, one behind the other. A file of that name is replaced once all is written.
 */
export async function writeParts(
  path: string,
  parts: readonly Uint8Array[],
  signal?: AbortSignal,
): Promise<void> {
  const partial = `${path}.${randomUUID()}.partial`;
  try {
    const file = await open(partial, 'w');
    try {
      for (let left = [...parts]; left.length; ) {
        signal?.throwIfAborted();
        const { bytesWritten } = await file.writev(left.slice(0, MAX_PARTS));
        left = partsAfter(left, bytesWritten);
      }
    } finally {
      await file.close();
    }
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}

/** A system call may write less than it was given. */
function partsAfter(parts: readonly Uint8Array[], byteLength: number): Uint8Array[] {
  let done = 0;
  while (done < parts.length && byteLength >= parts[done]!.byteLength)
    byteLength -= parts[done++]!.byteLength;
  const left = parts.slice(done);
  return left.length ? [left[0]!.subarray(byteLength), ...left.slice(1)] : [];
}

/** After what is already waiting to run has run. */
export const nextTurn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

const isTestedV8 = process.versions.v8.startsWith('13.6.');

/**
 * Lets V8 merge neighbouring 128-bit operations of the kernels into 256-bit AVX2 ones: prompts 1.5 x,
 * decoding in cache 1.7 x faster (kernels/linear/packed-tile.gen.ts). It is an experiment of V8's, so only the
 * version that all tests pass on gets it (Node 24's, x86). Call before compiling kernels; holds for the whole
 * process. `wanted` false, and MARIMBA_WIDE_SIMD=0, leave the flag as it is. Returns whether kernels may
 * count on it.
 */
export function allowWideSimd(wanted: WideSimd = 'auto'): boolean {
  const tested = process.arch === 'x64' && isTestedV8;
  const allowed = tested && wanted !== false && process.env.MARIMBA_WIDE_SIMD !== '0';
  if (allowed) setFlagsFromString('--experimental-wasm-revectorize');
  return allowed;
}

let holding = 0;

/**
 * Keeps V8's young generations at their size until the returned function is called. While a model is loaded
 * they would grow, by what the vocabulary leaves behind, to 32 MiB in the main thread and 3 in each worker,
 * which V8 keeps. Holds for the whole process.
 */
export function holdYoungGeneration(): () => void {
  const factor = (value: number) => {
    if (isTestedV8) setFlagsFromString(`--semi-space-growth-factor=${value}`);
  };
  if (holding++ === 0) factor(1);
  return () => {
    if (--holding === 0) factor(2); // V8's own
  };
}

/** CRC-32 of `bytes`, continuing from that of what came before: session/crc32.ts, 8 times faster. */
export const crc32 = (bytes: Uint8Array, previous = 0): number => nativeCrc32(bytes, previous >>> 0);

export const processorCount = (): number => availableParallelism();

/**
 * All memory, or what the control group allows, and of it what this process may still take: what the system has
 * free or can make free (MemAvailable on Linux). macOS keeps little free and makes room on demand: there it is
 * all that this process has not taken.
 */
export function machineMemory(): MachineMemory {
  // 0 or more than there is: no limit. What other processes of the group take is not known.
  const limit = process.constrainedMemory();
  const totalBytes = limit > 0 ? Math.min(limit, totalmem()) : totalmem();
  const others = totalBytes - process.memoryUsage.rss();
  return { totalBytes, freeBytes: process.platform === 'darwin' ? others : Math.min(others, freemem()) };
}

/** Whether memory can be shared with worker threads. */
export const canShareMemory = (): boolean => true;

export function startWorker(): WorkerThread {
  const worker = new Worker(new URL('../backends/wasm/worker.ts', import.meta.url));
  const failure = new ThreadFailure();
  const onExit = (code: number) => failure.report(new Error(`ended with exit code ${code}`));
  worker.on('error', (error) => failure.report(error)).on('exit', onExit);
  return {
    post: (message) => worker.postMessage(message),
    onNext(listener, failed) {
      const settle = (act: () => void) => {
        worker.off('message', onMessage);
        failure.off(onError);
        act();
      };
      const onMessage = (message: unknown) => settle(() => listener(message));
      const onError = (error: Error) => settle(() => failed(error));
      worker.on('message', onMessage);
      failure.on(onError);
    },
    onFailure: (listener) => failure.on(listener),
    hold: (on) => (on ? worker.ref() : worker.unref()),
    terminate: async () => void (await worker.off('exit', onExit).terminate()),
  };
}

/** Inside a worker: messages from whoever started it, and back. */
export const onMessage = (listener: (message: unknown) => void): void =>
  void parentPort?.on('message', listener);
export const postToOwner = (message: unknown): void => parentPort?.postMessage(message);
