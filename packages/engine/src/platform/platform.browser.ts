// What differs between Node and browsers, the browser's half. Node's half has the same exports.
import { ModelError, UsageError } from '../errors.ts';
import { ThreadFailure } from './thread-failure.ts';
import type { MachineMemory, WideSimd, WorkerThread } from './types.ts';

export { openHandle } from '../formats/byte-source.ts';
export { crc32 } from './crc32.ts';

/** A file that ships with this package. */
export async function readAsset(url: URL): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(url).catch((cause: unknown) => {
    throw new ModelError(`${url}: the kernels of @marimba/engine cannot be fetched. ${remedy(url)}`, {
      code: 'missing-kernels',
      cause,
    });
  });
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (response.ok && isWebAssembly(bytes)) return bytes;
  // Development servers answer with a page and 200 for files that they do not have.
  const found = response.ok ? 'found another file' : `the server answered ${response.status}`;
  throw new ModelError(`${url}: expected the kernels of @marimba/engine, ${found}. ${remedy(url)}`, {
    code: 'missing-kernels',
  });
}

const isWebAssembly = (bytes: Uint8Array): boolean =>
  bytes[0] === 0 && bytes[1] === 0x61 && bytes[2] === 0x73 && bytes[3] === 0x6d;

/**
 * The line to add to the bundler's configuration; the package's README says the same. `kernels` is where the
 * compiled kernels were asked for; what else a bundler must put into place lies relative to that.
 */
function remedy(kernels: URL | null): string {
  if (kernels?.pathname.includes('/.vite/'))
    return "Add to Vite's configuration: optimizeDeps: { exclude: ['@marimba/engine'] }.";
  const [folder, worker] = kernels
    ? [new URL('./', kernels), new URL('../../backends/wasm/worker.js', kernels)]
    : ['build/ beside your script', '../backends/wasm/worker.js beside it'];
  return (
    'For bundlers that leave new URL(…, import.meta.url) alone, as esbuild does: copy ' +
    `node_modules/@marimba/engine/backends/wasm/build to ${folder} and bundle ` +
    `node_modules/@marimba/engine/backends/wasm/worker.js to ${worker}.`
  );
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
export const allowWideSimd = (_wanted?: WideSimd): boolean => false;

/** Node's alone, likewise. */
export const holdYoungGeneration = (): (() => void) => () => {};

export const processorCount = (): number => navigator.hardwareConcurrency || 2;

/** Browsers do not say. */
export const machineMemory = (): MachineMemory | null => null;

/** Whether memory can be shared with worker threads: only on cross-origin isolated pages. */
export const canShareMemory = (): boolean => globalThis.crossOriginIsolated === true;

export function startWorker(): WorkerThread {
  const worker = new Worker(new URL('../backends/wasm/worker.ts', import.meta.url), { type: 'module' });
  // A script that cannot be loaded fails before anyone listens for messages.
  const failure = new ThreadFailure();
  worker.addEventListener('error', (event) =>
    failure.report(event.message ? new Error(event.message) : scriptMissing()),
  );
  return {
    post: (message) => worker.postMessage(message),
    onNext(listener, failed) {
      const settle = (act: () => void) => {
        failure.off(onError);
        worker.removeEventListener('message', onNext);
        act();
      };
      const onNext = (event: MessageEvent) => settle(() => listener(event.data));
      const onError = (error: Error) => settle(() => failed(error));
      worker.addEventListener('message', onNext);
      failure.on(onError);
    },
    onFailure: (listener) => failure.on(listener),
    hold: () => {},
    terminate: async () => worker.terminate(),
  };
}

/** Browsers say no more than that a worker's script did not load. */
const scriptMissing = (): ModelError =>
  new ModelError(`The worker script of @marimba/engine cannot be loaded. ${remedy(null)}`, {
    code: 'missing-kernels',
  });

/** Inside a worker: messages from whoever started it, and back. */
export const onMessage = (listener: (message: unknown) => void): void =>
  globalThis.addEventListener('message', (event) => listener((event as MessageEvent).data));
export const postToOwner = (message: unknown): void => globalThis.postMessage(message);
