// A worker thread of harness.ts: runs kernels that the main thread names in the control block.
// Words: 0 generation, 1 kernel, 2 op address, 3 threads, 4 workers that are done.
import { workerData } from 'node:worker_threads';
import { instantiateKernels } from '../../src/backends/wasm/load-kernels.ts';

interface Start {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly control: Int32Array<SharedArrayBuffer>;
  readonly thread: number;
}

const { module, memory, control, thread } = workerData as Start;
const kernels = instantiateKernels(module, memory);
const names = Object.keys(kernels);
let generation = 0;
for (;;) {
  Atomics.wait(control, 0, generation);
  generation = Atomics.load(control, 0);
  if (thread < control[3]!) kernels[names[control[1]!]!]!(control[2]!, thread, control[3]!);
  Atomics.add(control, 4, 1);
  Atomics.notify(control, 4);
}
