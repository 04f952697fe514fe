// A worker thread of the backend: loads weights when asked to, then serves programs. Runs in Node and in
// browsers.

import { onMessage, openHandle, postToOwner } from '#platform';
import { recordError } from '../../errors.ts';
import type { LinearMemory } from '../../memory/arena.ts';
import { jobBytes, type LoadJob, OpenSources, runLoadJob } from '../load/load-job.ts';
import { ReadingChoice } from '../load/read-in-place.ts';
import { CONTROL, CONTROL_BYTES } from './control.ts';
import { packStage } from './kernels/layouts/packer.ts';
import { instantiateKernels, type KernelExports } from './load-kernels.ts';
import { type InstalledProgram, KernelThread } from './thread.ts';
import type { FromWorker, ToWorker } from './worker-messages.ts';

let start: Extract<ToWorker, { kind: 'start' }>;
/** By arena. */
const memories: LinearMemory[] = [];
const instances: KernelExports[] = [];
let thread: KernelThread;
const sources = new OpenSources(openHandle);

/** Between reports of progress: hearing of each 4 MiB took a hundredth of the loading time. */
const REPORT_MS = 50;

const post = (message: FromWorker) => postToOwner(message);

async function handle(message: ToWorker): Promise<void> {
  if (message.kind === 'start') {
    start = message;
    thread = new KernelThread(message.thread);
    addMemory(message.memory);
    post({ kind: 'ready' });
  } else if (message.kind === 'memory') {
    addMemory(message.memory);
  } else if (message.kind === 'load') {
    await load(message);
    post({ kind: 'loaded' });
  } else if (message.kind === 'probe') {
    instances[0]![message.kernel]!(message.address, message.count);
    post({ kind: 'probed' });
  } else {
    await sources.close();
    post({ kind: 'ready' });
    serve(message.program);
  }
}

/** One compiled module serves every arena, instantiated over its memory. */
function addMemory(memory: LinearMemory): void {
  const exports = instantiateKernels(start.module, memory, start.wide);
  memories.push(memory);
  instances.push(exports);
  thread.addArena(exports, memory);
}

/**
 * While a program runs nobody waits for this thread's answers, and one that left in the middle of an op could
 * not go on anyway: a failure is thrown where nothing catches it, and ends the thread, which its owner hears
 * of at any time.
 */
function serve(program: InstalledProgram): void {
  try {
    thread.serve(program);
    post({ kind: 'ready' });
  } catch (error) {
    setTimeout(() => {
      throw error;
    });
  }
}

/** Claims one job after the other. After a failure nobody claims any more. */
async function load({ jobs, control, stages }: Extract<ToWorker, { kind: 'load' }>): Promise<void> {
  const words = new Int32Array(memories[0]!.buffer, control, CONTROL_BYTES / 4);
  const reading = new ReadingChoice();
  const loaders = memories.map((memory, a) => ({
    memory: memory.buffer,
    packing: packStage(instances[a]!, memory, stages[a]!.address, stages[a]!.byteLength),
    reading,
    source: (job: LoadJob) => sources.get(job),
  }));
  let [unreported, reported] = [0, performance.now()];
  const report = () => {
    post({ kind: 'progress', byteLength: unreported });
    [unreported, reported] = [0, performance.now()];
  };
  for (;;) {
    const job = jobs[Atomics.add(words, CONTROL.nextJob, 1)];
    if (!job) return report();
    try {
      await runLoadJob(job, loaders[job.arena]!);
    } catch (error) {
      Atomics.store(words, CONTROL.nextJob, jobs.length);
      throw error;
    }
    unreported += jobBytes(job);
    if (performance.now() - reported > REPORT_MS) report();
  }
}

onMessage((message) => {
  handle(message as ToWorker).catch((error: unknown) => post({ kind: 'failed', error: recordError(error) }));
});
