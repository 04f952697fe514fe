// The fast backend: WebAssembly kernels over shared memory, one worker a thread. Where memory cannot be shared (a page
// without cross-origin isolation) the calling thread does all the work, pausing now and then to let the page breathe.
import { allowWideSimd, canShareMemory, openHandle, processorCount, startWorker } from '#platform';
import { ModelError, reviveError, UsageError } from '../../errors.ts';
import { Arena } from '../../memory/arena.ts';
import { codesByteLength } from '../../plan/codes.ts';
import { decodeOp, OP_KINDS } from '../../plan/ops.ts';
import { numbersOf, type RecordedOp } from '../../plan/plan.ts';
import { TurnClock } from '../../platform/turn-clock.ts';
import type { WorkerThread } from '../../platform/types.ts';
import type { Backend, BackendOptions, OpTimes, Program, StepLoad } from '../backend.ts';
import { jobBytes, type LoadJob, OpenSources, runLoadJob, stageBytes } from '../load/load-job.ts';
import { CLOSED, COMMAND, CONTROL, CONTROL_BYTES, MAX_OPS, progress } from './control.ts';
import { packStage } from './kernels/layouts/packer.ts';
import {
  ARENA_BASE,
  compileKernels,
  hasRelaxedSimd,
  instantiateKernels,
  type KernelVariant,
} from './load-kernels.ts';
import { packingRules } from './packing-rules.ts';
import { Schedule } from './schedule.ts';
import { type InstalledProgram, KernelThread, sharedNow } from './thread.ts';
import type { FromWorker, ToWorker } from './worker-messages.ts';

const MAX_ROWS = 256;
const MAX_THREADS = 64;

export class WasmBackend implements Backend {
  readonly name = 'wasm';
  readonly arenas: Arena[];
  readonly threads: number;
  readonly description: string;
  readonly maxRows: number;
  readonly packing;
  readonly traits = { codesByteLength };
  readonly #module: WebAssembly.Module;
  readonly #wide: boolean;
  readonly #workers: WorkerThread[] = [];
  readonly #control: number;
  readonly #local: KernelThread | null;
  readonly #turns = new TurnClock();
  #program: InstalledProgram | null = null;
  #schedule: Schedule | null = null;
  #serving = false;
  #generation = 0;
  #failure: Error | null = null;
  #profiling = false;
  /** Of everyone who waits for threads: all of them hear of one that dies. */
  readonly #waiting = new Set<(error: Error) => void>();

  static async create(options: BackendOptions = {}): Promise<WasmBackend> {
    const variant = options.variant ?? (hasRelaxedSimd() ? 'relaxed' : 'baseline');
    if (variant === 'relaxed' && !hasRelaxedSimd())
      throw new UsageError(
        'kernels: expected an engine with relaxed SIMD for the relaxed build, found one without. Use baseline.',
      );
    const threads = options.threads ?? Math.min(processorCount(), 8);
    if (!Number.isInteger(threads) || threads < 1 || threads > MAX_THREADS)
      throw new UsageError(`threads: expected a whole number from 1 to ${MAX_THREADS}, found ${threads}`);
    const shared = canShareMemory();
    options.onStart?.(0, shared ? threads : 1);
    const compiling = compileKernels(variant, shared, options.wideSimd);
    const workers = shared ? Array.from({ length: threads }, startWorker) : [];
    try {
      const maxRows = options.maxRows ?? MAX_ROWS;
      const backend = new WasmBackend(
        variant,
        await compiling,
        shared ? threads : 1,
        shared,
        maxRows,
        allowWideSimd(options.wideSimd),
      );
      await backend.#adopt(workers, options.onStart);
      return backend;
    } catch (error) {
      await Promise.all(workers.map((worker) => worker.terminate()));
      throw error;
    }
  }

  private constructor(
    variant: KernelVariant,
    module: WebAssembly.Module,
    threads: number,
    shared: boolean,
    maxRows: number,
    wide: boolean,
  ) {
    this.#wide = wide;
    this.#module = module;
    this.threads = threads;
    this.maxRows = maxRows;
    this.packing = packingRules;
    this.arenas = [new Arena(ARENA_BASE, shared)];
    this.#control = this.arena.allocate(CONTROL_BYTES, 'control block');
    this.arena.views.u8.fill(0, this.#control, this.#control + CONTROL_BYTES);
    const simd = `${variant} SIMD${wide ? ', 256 bits wide' : ''}`;
    this.description = `wasm: ${simd}, ${shared ? `${threads} thread${threads > 1 ? 's' : ''}` : 'calling thread only'}`;
    this.#local = shared ? null : new KernelThread(0);
    this.#local?.addArena(instantiateKernels(module, this.arena.memory, wide), this.arena.memory);
  }

  get arena(): Arena {
    return this.arenas[0]!;
  }

  addArenas(count: number): void {
    while (this.arenas.length < count) {
      const arena = new Arena(ARENA_BASE, this.#local === null);
      this.arenas.push(arena);
      const { memory } = arena;
      for (const worker of this.#workers) worker.post({ kind: 'memory', memory } satisfies ToWorker);
      this.#local?.addArena(instantiateKernels(this.#module, memory, this.#wide), memory);
    }
  }

  scratchBytes(op: RecordedOp): number {
    return op.definition.scratchBytes(numbersOf(op.fields), this.threads);
  }

  async #adopt(workers: readonly WorkerThread[], onStart: BackendOptions['onStart']): Promise<void> {
    this.#workers.push(...workers);
    for (const worker of workers) worker.onFailure((error) => this.#broken('worker thread', error));
    let ready = 0;
    await Promise.all(
      workers.map(async (worker, thread) => {
        await this.#ask(worker, {
          kind: 'start',
          module: this.#module,
          memory: this.arena.memory,
          thread,
          wide: this.#wide,
        });
        onStart?.(++ready, workers.length);
      }),
    );
    if (!workers.length) onStart?.(1, 1);
    this.#hold(false);
  }

  async load(
    jobs: readonly LoadJob[],
    done: (byteLength: number) => void,
    signal?: AbortSignal,
  ): Promise<void> {
    if (this.#failure) throw this.#failure;
    if (!this.#workers.length) return this.#loadHere(jobs, done, signal);
    await this.#pause();
    const stages = this.#allocateStages(jobs, this.threads);
    const words = this.#words();
    Atomics.store(words, CONTROL.nextJob, 0);
    const stop = () => Atomics.store(words, CONTROL.nextJob, jobs.length);
    let thrown: unknown;
    const progress = (bytes: number) => {
      try {
        done(bytes);
      } catch (error) {
        thrown ??= error;
        stop();
      }
    };
    if (signal?.aborted) stop();
    signal?.addEventListener('abort', stop);
    this.#hold(true);
    const results = await Promise.allSettled(
      this.#workers.map((worker, thread) => {
        const own = stages.map(({ address, byteLength }) => ({
          address: address + thread * byteLength,
          byteLength,
        }));
        return this.#ask(worker, { kind: 'load', jobs, control: this.#control, stages: own }, progress);
      }),
    );
    this.#hold(false);
    signal?.removeEventListener('abort', stop);
    this.#freeStages(stages);
    signal?.throwIfAborted();
    if (thrown !== undefined) throw thrown;
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  async #loadHere(
    jobs: readonly LoadJob[],
    done: (byteLength: number) => void,
    signal?: AbortSignal,
  ): Promise<void> {
    const stages = this.#allocateStages(jobs, 1);
    const sources = new OpenSources(openHandle);
    const loaders = this.arenas.map(({ memory }, a) => {
      const kernels = instantiateKernels(this.#module, memory, this.#wide);
      const { address, byteLength } = stages[a]!;
      return {
        memory: memory.buffer,
        packing: packStage(kernels, memory, address, byteLength),
        reading: null,
        source: (job: LoadJob) => sources.get(job),
      };
    });
    try {
      for (const job of jobs) {
        signal?.throwIfAborted();
        await runLoadJob(job, loaders[job.arena]!);
        done(jobBytes(job));
        await this.#turns.pause();
      }
    } finally {
      this.#freeStages(stages);
      await sources.close();
    }
  }

  /** In each arena, `count` stages of `byteLength` one behind the other. */
  #allocateStages(jobs: readonly LoadJob[], count: number): { address: number; byteLength: number }[] {
    return this.arenas.map((arena, a) => {
      const byteLength = Math.ceil(stageBytes(jobs.filter((job) => job.arena === a)) / 64) * 64;
      return { address: arena.allocate(byteLength * count, 'loading'), byteLength };
    });
  }

  #freeStages(stages: readonly { readonly address: number }[]): void {
    stages.forEach(({ address }, a) => {
      this.arenas[a]!.free(address);
    });
  }

  async install(program: Program): Promise<void> {
    this.#checkKinds(program);
    const { length } = program.records;
    if (length > MAX_OPS) throw new Error(`kernels: expected at most ${MAX_OPS} ops, found ${length}`);
    // What may fail comes first: then the threads go on with the program that they have.
    const times = this.arena.allocate((length + 1) * 8 + length, 'profile');
    const flags = times + (length + 1) * 8;
    const before = this.#program;
    await this.#pause();
    this.#schedule = program.ops ? new Schedule(program.ops) : null;
    this.#program = {
      records: program.records,
      arenas: arenasOf(program),
      kinds: this.#kindsOf(program),
      control: this.#control,
      times,
      flags,
      threads: this.threads,
    };
    const message: ToWorker = { kind: 'serve', program: this.#program };
    Atomics.store(this.#words(), CONTROL.generation, 0);
    Atomics.store(this.#words(), CONTROL.others, 0);
    Atomics.store(this.#words(), CONTROL.done, 0);
    this.#generation = 0;
    await Promise.all(this.#workers.map((worker) => this.#ask(worker, message)));
    this.#serving = this.#workers.length > 0;
    this.#hold(false);
    if (before) this.arena.free(before.times);
  }

  /** Ops of one's own have no kernels here. */
  #checkKinds(program: Program): void {
    const own = this.#kindsOf(program).findIndex((kind) => OP_KINDS[kind] === undefined);
    if (own < 0) return;
    const { u32 } = this.arenas[arenasOf(program)[own]!]!.views;
    const { kind } = decodeOp(u32, program.records[own]! >>> 2);
    throw new ModelError(
      `op ${kind}: expected one with a WebAssembly kernel, found one of your own. Use backend: 'reference'.`,
    );
  }

  #kindsOf(program: Program): number[] {
    const arenas = arenasOf(program);
    const words = this.arenas.map(({ views }) => views.u32);
    return program.records.map((address, i) => words[arenas[i]!]![address >>> 2]!);
  }

  async run(start: number, end: number, load?: StepLoad): Promise<void> {
    const program = this.#program;
    if (!program) throw new Error('wasm backend: no program is installed');
    if (this.#failure) throw this.#failure;
    if (end <= start) return;
    const { records, arenas } = program;
    const words = this.arenas.map(({ views }) => views.u32);
    for (let i = start; i < end; i++) words[arenas[i]!]![(records[i]! >>> 2) + 1] = 0; // work counters
    if (this.#local) return this.#runHere(this.#local, program, start, end);
    const flags = this.arena.views.u8.subarray(program.flags, program.flags + records.length);
    const share = this.#schedule && load ? this.#schedule.plan(start, end, load, flags) : true;
    if (!this.#schedule || !load) flags.fill(0, start, end);
    this.#hold(true);
    try {
      await this.#command(COMMAND.run, share, start, end);
    } finally {
      this.#hold(false);
    }
  }

  async #runHere(thread: KernelThread, program: InstalledProgram, start: number, end: number): Promise<void> {
    for (let i = start; i < end; i++) {
      const began = performance.now();
      try {
        thread.runAlone(program, i);
      } catch (error) {
        throw this.#broken('kernels', error as Error);
      }
      // A view of this moment: memory may have grown during a pause.
      if (this.#profiling)
        new Float64Array(this.arena.memory.buffer, program.times)[i]! += performance.now() - began;
      const pause = this.#turns.pause();
      if (pause !== null) await pause;
    }
  }

  /** Hands a command to the workers and waits, without blocking, until they have carried it out. */
  async #command(command: number, everyone: boolean, start: number, end: number): Promise<void> {
    const control = this.#words();
    this.#generation = (this.#generation + 1) | 0;
    // A thread that is late from the last run may look at any moment: nothing is open until all is in place.
    Atomics.store(control, CONTROL.progress, CLOSED);
    control[CONTROL.command] = command;
    control[CONTROL.profile] = this.#profiling ? 1 : 0;
    if (command === COMMAND.run) {
      if (this.#profiling) this.#startClock();
      Atomics.store(control, CONTROL.run, this.#generation);
      Atomics.store(control, CONTROL.end, end);
      Atomics.store(control, CONTROL.progress, progress(this.#generation, start, 0));
    }
    Atomics.store(control, CONTROL.generation, this.#generation);
    Atomics.notify(control, CONTROL.generation);
    if (everyone) {
      Atomics.add(control, CONTROL.others, 1);
      Atomics.notify(control, CONTROL.others);
    }
    if (command === COMMAND.pause) return;
    for (;;) {
      const done = Atomics.load(control, CONTROL.done);
      if (done === this.#generation) return;
      const waiting = waitForChange(control, CONTROL.done, done);
      if (waiting !== null) await this.#whileAlive(waiting);
    }
  }

  #startClock(): void {
    const { times, records } = this.#program!;
    new Float64Array(this.arena.memory.buffer, times, records.length + 1)[records.length] = sharedNow();
  }

  profile(on: boolean): OpTimes | null {
    if (!this.#program) return null;
    const { records, times } = this.#program;
    const view = new Float64Array(this.arena.memory.buffer, times, records.length);
    const soFar = this.#profiling ? view.slice() : null;
    view.fill(0);
    this.#profiling = on;
    return soFar;
  }

  async close(): Promise<void> {
    // A thread that dies now has no more to say: all are ended.
    await this.#pause().catch(() => {});
    this.#failure ??= new UsageError('model is closed: load it again', { code: 'closed' });
    await Promise.all(this.#workers.splice(0).map((worker) => worker.terminate()));
  }

  /** Brings serving workers back to their message loop. */
  async #pause(): Promise<void> {
    if (!this.#serving) return;
    this.#serving = false;
    const back = this.#workers.map((worker) => this.#ask(worker, null));
    await this.#command(COMMAND.pause, true, 0, 0);
    await Promise.all(back);
  }

  /** Sends a message (if any) and waits for the answer. */
  #ask(
    worker: WorkerThread,
    message: ToWorker | null,
    progress?: (byteLength: number) => void,
  ): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    const answered = new Promise<void>((resolve, reject) => {
      const listen = () =>
        worker.onNext((answer) => {
          const reply = answer as FromWorker;
          if (reply.kind === 'progress') {
            listen();
            progress?.(reply.byteLength);
          } else if (reply.kind !== 'failed') resolve();
          else reject(reviveError(reply.error));
        }, reject);
      listen();
      if (message) worker.post(message);
    });
    return this.#whileAlive(answered);
  }

  /** What threads were asked for; rejects when one of them dies first, whichever it is. */
  #whileAlive<T>(wanted: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject);
      void wanted.then(resolve, reject).then(() => this.#waiting.delete(reject));
    });
  }

  /**
   * Gives up for good, for the first failure: the memory is in no known state, and the other threads wait for
   * one that is no more.
   */
  #broken(subject: string, error: Error): Error {
    if (this.#failure) return this.#failure;
    this.#failure =
      error instanceof ModelError
        ? error
        : new ModelError(`${subject}: ${error.message}. Load the model again.`, {
            code: 'worker-failed',
            cause: error,
          });
    this.#serving = false;
    for (const reject of [...this.#waiting]) reject(this.#failure);
    for (const worker of this.#workers) void worker.terminate();
    return this.#failure;
  }

  #hold(on: boolean): void {
    for (const worker of this.#workers) worker.hold(on);
  }

  /** The control block. */
  #words(): Int32Array {
    return new Int32Array(this.arena.memory.buffer, this.#control, CONTROL_BYTES / 4);
  }
}

const arenasOf = ({ records, arenas }: Program): readonly number[] => arenas ?? records.map(() => 0);

/** Resolves when the word is no longer `value`; null when it already is not. */
function waitForChange(words: Int32Array, index: number, value: number): Promise<unknown> | null {
  if (typeof Atomics.waitAsync !== 'function') return new Promise((resolve) => setTimeout(resolve, 0));
  const waiting = Atomics.waitAsync(words, index, value);
  return waiting.async ? waiting.value : null;
}
