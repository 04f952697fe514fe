// One thread's part in running programs: walks the ops, calls their kernels, meets the others between ops.
import { OP_KINDS } from '../../plan/ops.ts';
import { COMMAND, CONTROL, IDLE_SPINS } from './control.ts';
import type { Kernel, KernelExports } from './load-kernels.ts';

export interface InstalledProgram {
  /** Address of each op's record. */
  readonly records: readonly number[];
  readonly kinds: readonly number[];
  /** Address of the control block. */
  readonly control: number;
  /** Address of one f64 for each op: milliseconds, written by thread 0 while profiling. */
  readonly times: number;
}

export class KernelThread {
  readonly #kernels: readonly Kernel[];
  readonly #barrier: (control: number, threads: number) => void;
  readonly #memory: WebAssembly.Memory;
  readonly #thread: number;
  readonly #threads: number;

  constructor(exports: KernelExports, memory: WebAssembly.Memory, thread: number, threads: number) {
    this.#kernels = OP_KINDS.map((kind) => exports[kind] as unknown as Kernel);
    this.#barrier = exports.barrier as unknown as (control: number, threads: number) => void;
    this.#memory = memory;
    this.#thread = thread;
    this.#threads = threads;
  }

  /** Runs ops start…end with the other threads; returns when all of them are through. */
  run(program: InstalledProgram, start: number, end: number, profile: boolean): void {
    const threads = this.#threads;
    for (let i = start; i < end; i++) {
      const began = profile ? performance.now() : 0;
      this.#kernels[program.kinds[i]!]!(program.records[i]!, this.#thread, threads);
      if (threads > 1) this.#barrier(program.control, threads);
      if (profile && this.#thread === 0) {
        const times = new Float64Array(this.#memory.buffer, program.times, program.records.length);
        times[i] = times[i]! + performance.now() - began;
      }
    }
  }

  /** A worker's life: waits for commands and carries them out until told to pause. */
  serve(program: InstalledProgram): void {
    const control = new Int32Array(this.#memory.buffer, program.control, 16);
    let seen = 0;
    for (;;) {
      for (let i = 0; i < IDLE_SPINS && Atomics.load(control, CONTROL.generation) === seen; i++);
      while (Atomics.load(control, CONTROL.generation) === seen) Atomics.wait(control, CONTROL.generation, seen);
      seen = Atomics.load(control, CONTROL.generation);
      if (control[CONTROL.command] === COMMAND.pause) return;
      this.run(program, control[CONTROL.start]!, control[CONTROL.end]!, control[CONTROL.profile] === 1);
      if (this.#thread === 0) {
        Atomics.store(control, CONTROL.done, seen);
        Atomics.notify(control, CONTROL.done);
      }
    }
  }
}
