// A worker thread of the backend: loads weights when asked to, then serves programs. Runs in Node and in browsers.
import { onMessage, openHandle, postToOwner } from '#platform';
import type { ByteSource } from '../../formats/types.ts';
import { createStage, jobBytes, runLoadJob, type Stage } from '../../model/load-job.ts';
import { instantiateKernels, type KernelExports } from './load-kernels.ts';
import { packJob } from './pack-job.ts';
import { createPacker, type Packer } from './packed/packer.ts';
import { KernelThread } from './thread.ts';
import type { FromWorker, ToWorker } from './worker-messages.ts';

let exports: KernelExports;
let memory: WebAssembly.Memory;
let thread: KernelThread;
let pack: Packer;
let stage: Stage = createStage();
const sources = new Map<string | object, Promise<ByteSource>>();

const post = (message: FromWorker) => postToOwner(message);

async function handle(message: ToWorker): Promise<void> {
  if (message.kind === 'start') {
    memory = message.memory;
    exports = instantiateKernels(message.module, memory);
    pack = createPacker(message.module, true);
    thread = new KernelThread(exports, memory, message.thread);
    post({ kind: 'ready' });
  } else if (message.kind === 'load') {
    const { job } = message;
    const key = job.source.kind === 'path' ? job.source.path : job.source;
    if (!sources.has(key)) sources.set(key, openHandle(job.source, job.name));
    await runLoadJob(job, await sources.get(key)!, memory.buffer, stage, (piece, raw) =>
      packJob(piece, raw, memory, pack),
    );
    post({ kind: 'loaded', byteLength: jobBytes(job) });
  } else if (message.kind === 'probe') {
    exports.readBytes!(message.address, message.byteLength);
    post({ kind: 'probed' });
  } else {
    await Promise.all([...sources.values()].map(async (source) => (await source).close()));
    sources.clear();
    stage = createStage();
    post({ kind: 'ready' });
    thread.serve(message.program);
    post({ kind: 'ready' });
  }
}

onMessage((message) => {
  handle(message as ToWorker).catch((error: unknown) => {
    const { name, message: text } = error instanceof Error ? error : new Error(String(error));
    post({ kind: 'failed', name, message: text });
  });
});
