// One thread's part in running programs: walks the ops, calls their kernels, meets the others between ops.
import { OP_KINDS } from '../../plan/ops.ts';
import { COMMAND, CONTROL, IDLE_SPINS } from './control.ts';
import type { Kernel, KernelExports } from './load-kernels.ts';
import { MEET, SOLO } from './schedule.ts';

export interface InstalledProgram {
  /** Address of each op's record. */
  readonly records: readonly number[];
  readonly kinds: readonly number[];
  /** Address of the control block. */
  readonly control: number;
  /** Address of one f64 for each op: milliseconds, written by thread 0 while profiling. */
  readonly times: number;
  /** Address of one byte for each op: its flags in the present run (schedule.ts). */
  readonly flags: number;
}

export class KernelThread {
  readonly #kernels: readonly Kernel[];
  readonly #barrier: (control: number, threads: number) => void;
  readonly #memory: WebAssembly.Memory;
  readonly #thread: number;

  constructor(exports: KernelExports, memory: WebAssembly.Memory, thread: number) {
    this.#kernels = OP_KINDS.map((kind) => exports[kind] as unknown as Kernel);
    this.#barrier = exports.barrier as unknown as (control: number, threads: number) => void;
    this.#memory = memory;
    this.#thread = thread;
  }

  /** Runs ops start…end with the other threads; returns when this thread's part is done, thread 0 when all are through. */
  run(program: InstalledProgram, start: number, end: number, participants: number, profile: boolean): void {
    const thread = this.#thread;
    const flags = new Uint8Array(this.#memory.buffer, program.flags, program.records.length);
    const times =
      profile && thread === 0
        ? new Float64Array(this.#memory.buffer, program.times, program.records.length)
        : null;
    for (let i = start; i < end; i++) {
      const began = times ? performance.now() : 0;
      const flag = flags[i]!;
      if (thread === 0 || !(flag & SOLO))
        this.#kernels[program.kinds[i]!]!(program.records[i]!, thread, participants);
      if (flag & MEET) this.#barrier(program.control, participants);
      if (times) times[i] = times[i]! + performance.now() - began;
    }
  }

  /** A worker's life: waits for commands and carries them out until told to pause. */
  serve(program: InstalledProgram): void {
    const control = new Int32Array(this.#memory.buffer, program.control, 16);
    const word = this.#thread === 0 ? CONTROL.generation : CONTROL.others;
    let seen = 0;
    for (;;) {
      for (let i = 0; i < IDLE_SPINS && Atomics.load(control, word) === seen; i++);
      while (Atomics.load(control, word) === seen) Atomics.wait(control, word, seen);
      seen = Atomics.load(control, word);
      if (control[CONTROL.command] === COMMAND.pause) return;
      const { start, end, participants, profile } = CONTROL;
      this.run(program, control[start]!, control[end]!, control[participants]!, control[profile] === 1);
      if (this.#thread === 0) {
        Atomics.store(control, CONTROL.done, seen);
        Atomics.notify(control, CONTROL.done);
      }
    }
  }
}
