// The backend that is right rather than fast: every op in plain TypeScript on the calling thread, which is
// given back between ops so that timers, aborts and painting go on.
import { openHandle } from '#platform';
import { Arena } from '../../memory/arena.ts';
import { decodeOp } from '../../plan/ops.ts';
import { TurnClock } from '../../platform/turn-clock.ts';
import type { Backend, OpTimes, Program } from '../backend.ts';
import { jobBytes, type LoadJob, OpenSources, runLoadJob } from '../load/load-job.ts';
import { referenceKernelOf } from './kernels.ts';

const MAX_ROWS = 64;
/** The first address to allocate. */
const BASE = 65_536;

export class ReferenceBackend implements Backend {
  readonly name = 'reference';
  readonly description = 'reference: plain TypeScript, double accumulation';
  readonly arenas: Arena[] = [new Arena(BASE, false)];
  readonly arena = this.arenas[0]!;
  readonly threads = 1;
  readonly maxRows: number;
  readonly packing = null;
  readonly traits = { codesByteLength: () => 0 };
  readonly #turns = new TurnClock();
  #program: Program = { records: [], headStart: 0 };
  #times: Float64Array | null = null;

  constructor(options: { maxRows?: number | undefined } = {}) {
    this.maxRows = options.maxRows ?? MAX_ROWS;
  }

  addArenas(count: number): void {
    while (this.arenas.length < count) this.arenas.push(new Arena(BASE, false));
  }

  scratchBytes(): number {
    return 0;
  }

  async load(
    jobs: readonly LoadJob[],
    done: (byteLength: number) => void,
    signal?: AbortSignal,
  ): Promise<void> {
    const sources = new OpenSources(openHandle);
    const loaders = this.arenas.map(({ memory }) => ({
      memory: memory.buffer,
      packing: null,
      reading: null,
      source: (job: LoadJob) => sources.get(job),
    }));
    try {
      for (const job of jobs) {
        signal?.throwIfAborted();
        await runLoadJob(job, loaders[job.arena]!);
        done(jobBytes(job));
        await this.#turns.pause();
      }
    } finally {
      await sources.close();
    }
  }

  async install(program: Program): Promise<void> {
    this.#program = program;
  }

  async run(start: number, end: number): Promise<void> {
    const { records, arenas = [] } = this.#program;
    for (let i = start; i < end; i++) {
      const { views } = this.arenas[arenas[i] ?? 0]!; // anew for each op: memory may grow during a pause
      const { kind, fields } = decodeOp(views.u32, records[i]! >>> 2);
      const began = this.#times ? performance.now() : 0;
      const kernel = referenceKernelOf(kind);
      if (!kernel) throw new Error(`reference: no kernel for op ${kind}`);
      kernel(views, fields);
      if (this.#times) this.#times[i] = this.#times[i]! + performance.now() - began;
      const pause = this.#turns.pause();
      if (pause !== null) await pause;
    }
  }

  profile(on: boolean): OpTimes | null {
    const times = this.#times;
    this.#times = on ? new Float64Array(this.#program.records.length) : null;
    return times;
  }

  async close(): Promise<void> {}
}
