// One thread's part in running programs. Threads do not wait for each other to *arrive*: an op is over when
// every chunk of it was claimed and everyone who entered it has left, and whoever is awake continues. So a
// thread that the system has put aside, or that is slow to wake, delays nobody unless it holds a chunk; when
// it comes back it joins the op that is open by then.
import type { LinearMemory } from '../../memory/arena.ts';
import { OP_KINDS } from '../../plan/ops.ts';
import { COMMAND, CONTROL, IDLE_SPINS, openOp, progress, threadsInside } from './control.ts';
import type { Kernel, KernelExports } from './load-kernels.ts';
import { SOLO } from './schedule.ts';

export interface InstalledProgram {
  /** The number of each op's arena, and its record's address there. */
  readonly arenas: readonly number[];
  readonly records: readonly number[];
  readonly kinds: readonly number[];
  /** How many threads there are, awake or not. */
  readonly threads: number;
  /** Address of the control block; it, times and flags are in the first arena. */
  readonly control: number;
  /**
   * Address of one f64 for each op, milliseconds spent while profiling, and one more: when the last op ended.
   */
  readonly times: number;
  /** Address of one byte for each op: its flags in the present run (schedule.ts). */
  readonly flags: number;
}

/**
 * Looks at the progress word before sleeping: tens of microseconds, which other threads usually need less of.
 */
const SPINS = 4000;

/** Milliseconds on a clock that all threads share. */
export const sharedNow = (): number => performance.timeOrigin + performance.now();

export class KernelThread {
  /** By arena and kind. */
  readonly #kernels: (readonly Kernel[])[] = [];
  /** By arena. */
  readonly #memories: LinearMemory[] = [];
  readonly #thread: number;

  constructor(thread: number) {
    this.#thread = thread;
  }

  /** The kernels over the memory of one more arena. */
  addArena(exports: KernelExports, memory: LinearMemory): void {
    this.#kernels.push(OP_KINDS.map((kind) => exports[kind] as unknown as Kernel));
    this.#memories.push(memory);
  }

  /** Of the first arena. */
  get #buffer(): ArrayBuffer {
    return this.#memories[0]!.buffer;
  }

  /** Runs one op alone; for a program that has no other threads. */
  runAlone(program: InstalledProgram, op: number): void {
    try {
      this.#kernel(program, op)(program.records[op]!, this.#thread, 1);
    } catch (error) {
      throw kernelFailed(program, op, error);
    }
  }

  /**
   * A worker's life: waits for commands and carries them out until told to pause. Throws when a kernel traps:
   * this thread is then inside an op for good, and whoever waits for that op must be told.
   */
  serve(program: InstalledProgram): void {
    const control = new Int32Array(this.#buffer, program.control, 16);
    const word = this.#thread === 0 ? CONTROL.generation : CONTROL.others;
    let seen = 0;
    for (;;) {
      for (let i = 0; i < IDLE_SPINS && Atomics.load(control, word) === seen; i++);
      while (Atomics.load(control, word) === seen) Atomics.wait(control, word, seen);
      seen = Atomics.load(control, word);
      if (control[CONTROL.command] === COMMAND.pause) return;
      try {
        this.#takePart(program, control);
      } catch (error) {
        // This thread has not left the op, so that is the one still open.
        throw kernelFailed(program, openOp(Atomics.load(control, CONTROL.progress)), error);
      }
    }
  }

  /** Takes part in whatever run is open until it is over. */
  #takePart(program: InstalledProgram, control: Int32Array): void {
    const flags = new Uint8Array(this.#buffer, program.flags, program.records.length);
    let finished = -1; // progress word, without those inside, of the op that this thread has done its share of
    for (;;) {
      const word = Atomics.load(control, CONTROL.progress);
      const op = openOp(word);
      if (op >= Atomics.load(control, CONTROL.end)) return;
      const inside = threadsInside(word);
      const taken = inside > 0 && (flags[op]! & SOLO) !== 0;
      if (taken || word - inside === finished) {
        waitForNext(control, word);
        continue;
      }
      if (Atomics.compareExchange(control, CONTROL.progress, word, word + 1) !== word) continue;
      this.#kernel(program, op)(program.records[op]!, this.#thread, program.threads);
      finished = word - inside;
      this.#leave(program, control, op);
    }
  }

  /** A kernel returns when no chunk is left to claim, so the last one to leave knows that the op is over. */
  #leave(program: InstalledProgram, control: Int32Array, op: number): void {
    // Read while this thread is still inside: the moment it has left, the next run may begin.
    const end = Atomics.load(control, CONTROL.end);
    const run = Atomics.load(control, CONTROL.run);
    for (;;) {
      const word = Atomics.load(control, CONTROL.progress);
      const last = threadsInside(word) === 1;
      if (last && control[CONTROL.profile] === 1) this.#clock(program, op);
      const next = last ? progress(word >>> 24, op + 1, 0) : word - 1;
      if (Atomics.compareExchange(control, CONTROL.progress, word, next) !== word) continue;
      if (!last) return;
      if (Atomics.load(control, CONTROL.sleepers) > 0) Atomics.notify(control, CONTROL.progress);
      if (op + 1 < end) return;
      Atomics.store(control, CONTROL.done, run);
      Atomics.notify(control, CONTROL.done);
      return;
    }
  }

  #kernel({ arenas, kinds }: InstalledProgram, op: number): Kernel {
    return this.#kernels[arenas[op]!]![kinds[op]!]!;
  }

  #clock(program: InstalledProgram, op: number): void {
    const count = program.records.length;
    const times = new Float64Array(this.#buffer, program.times, count + 1);
    const now = sharedNow();
    times[op] = times[op]! + now - times[count]!;
    times[count] = now;
  }
}

/** A trap says where in the kernels, not in which. */
const kernelFailed = ({ kinds }: InstalledProgram, op: number, cause: unknown): Error =>
  new Error(`${OP_KINDS[kinds[op]!]}: ${cause instanceof Error ? cause.message : cause}`, { cause });

/** Until another op is open than in `word`. */
function waitForNext(control: Int32Array, word: number): void {
  const open = word >>> 8;
  for (let i = 0; i < SPINS; i++) if (Atomics.load(control, CONTROL.progress) >>> 8 !== open) return;
  Atomics.add(control, CONTROL.sleepers, 1);
  for (;;) {
    const now = Atomics.load(control, CONTROL.progress);
    if (now >>> 8 !== open) break;
    Atomics.wait(control, CONTROL.progress, now);
  }
  Atomics.sub(control, CONTROL.sleepers, 1);
}
