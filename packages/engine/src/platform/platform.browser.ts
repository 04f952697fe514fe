// What differs between Node and browsers, the browser's half. Node's half has the same exports.
import { UsageError } from '../errors.ts';
import type { WorkerThread } from './worker-thread.ts';

export { openHandle } from '../formats/byte-source.ts';
export { crc32 } from './crc32.ts';

/** A file that ships with this package. */
export async function readAsset(url: URL): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(url);
  if (!response.ok)
    throw new Error(`${url}: expected the kernels of this package, the server answered ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

export async function writeParts(
  path: string,
  _parts: readonly Uint8Array[],
  _signal?: AbortSignal,
): Promise<void> {
  throw new UsageError(
    `${path}: expected Node, found a browser, which cannot write files by path. Pass a FileSystemFileHandle, for instance of navigator.storage.getDirectory().`,
  );
}

/** After what is already waiting to run has run: a message, since nested timers are held back for 4 ms. */
export const nextTurn = (): Promise<void> =>
  new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });

/** Node's alone: a page cannot ask its engine for 256-bit SIMD. */
export type WideSimd = 'auto' | false;
export const allowWideSimd = (_wanted?: WideSimd): boolean => false;

/** Node's alone, likewise. */
export const holdYoungGeneration = (): (() => void) => () => {};

export const processorCount = (): number => navigator.hardwareConcurrency || 2;

/** Whether memory can be shared with worker threads: only on cross-origin isolated pages. */
export const canShareMemory = (): boolean => globalThis.crossOriginIsolated === true;

export function startWorker(): WorkerThread {
  const worker = new Worker(new URL('../backends/wasm/worker.ts', import.meta.url), { type: 'module' });
  return {
    post: (message) => worker.postMessage(message),
    onNext(listener, failed) {
      const ended = new AbortController();
      const settle = (act: () => void) => {
        ended.abort();
        act();
      };
      const { signal } = ended;
      worker.addEventListener('message', (event) => settle(() => listener(event.data)), { signal });
      worker.addEventListener('error', (event) => settle(() => failed(new Error(event.message))), { signal });
    },
    onFailure: (listener) => worker.addEventListener('error', (event) => listener(new Error(event.message))),
    hold: () => {},
    terminate: async () => worker.terminate(),
  };
}

/** Inside a worker: messages from whoever started it, and back. */
export const onMessage = (listener: (message: unknown) => void): void =>
  globalThis.addEventListener('message', (event) => listener((event as MessageEvent).data));
export const postToOwner = (message: unknown): void => globalThis.postMessage(message);
