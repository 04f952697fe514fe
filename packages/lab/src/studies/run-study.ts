// Runs a study's unfinished cells over processes and stores each result as it comes.
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { UsageError } from '@marimba/engine';
import { type Cell, distinctCells, type PlacedCell, studyCells } from './cells.ts';
import { trainingFlops } from './costs.ts';
import { specOf } from './model.ts';
import { type CellResult, ResultStore } from './results.ts';
import type { Study } from './study.ts';
import type { WorkerReport, WorkerTask } from './worker.ts';

/** Where a study stands. */
export interface StudyProgress {
  /** Cells with results, those of earlier runs included. */
  readonly finished: number;
  /** Cells that were asked for. */
  readonly total: number;
  /** Share of all the work, by operations, running cells included. */
  readonly fraction: number;
  /** Estimated milliseconds to the end; null until a step is done. */
  readonly leftMs: number | null;
  /**
   * Cells in training: steps done and wanted, and the loss of the last step in nats per token (NaN before the
   * first).
   */
  readonly running: readonly {
    readonly label: string;
    readonly step: number;
    readonly steps: number;
    readonly loss: number;
  }[];
}

/** How a study is run. */
export interface StudyOptions {
  /** Folder for results.jsonl; created if missing. One process at a time may use it. */
  readonly out: string;
  /** Cells trained side by side, each in a process of its own. */
  readonly processes: number;
  /** Threads per process. */
  readonly threadsEach: number;
  /** Keeps every trained model as a Hugging Face folder, models/ID in `out`. Default false. */
  readonly keepModels?: boolean | undefined;
  /** Parts of "model / task / seed", in any case: runs only cells that contain one of them. Default: all. */
  readonly only?: readonly string[] | undefined;
  /** Called as the study begins, then at most twice a second per running cell. */
  readonly onProgress?: ((progress: StudyProgress) => void) | undefined;
  /** Called once a cell's result is stored, with its "model / task / seed". */
  readonly onFinished?: ((label: string, result: CellResult) => void) | undefined;
  /**
   * Kills the running cells, which a later run starts again; the promise rejects with the signal's reason.
   */
  readonly signal?: AbortSignal | undefined;
  /** Where `createTrainCell` is; for tests. */
  readonly trainer?: string | undefined;
}

/** What a run of a study came to. */
export interface StudyOutcome {
  /** All results in the folder, by cell id, those of earlier runs included. */
  readonly results: ReadonlyMap<string, CellResult>;
  /** Cells that could not be computed. They are tried again by the next run. */
  readonly failures: readonly { readonly label: string; readonly message: string }[];
  /** Cells computed by this run. */
  readonly computed: number;
}

interface Running {
  readonly cell: Cell;
  readonly label: string;
  readonly child: ChildProcess;
  step: number;
  loss: number;
}

/**
 * Trains and tests every cell of a study that has no result yet, over processes, and stores each result as it
 * comes. A cell that fails is listed in `failures` and stops nothing. Throws UsageError when another process
 * uses the folder or no cell matches `only`, FormatError when results cannot be read or written, and the
 * signal's reason when stopped.
 */
export async function runStudy(study: Study, options: StudyOptions): Promise<StudyOutcome> {
  const placed = chooseCells(studyCells(study), options.only ?? []);
  const store = await ResultStore.open(options.out);
  try {
    return await new StudyRun(placed, store, options).run();
  } finally {
    await store.close();
  }
}

export const cellLabel = (p: PlacedCell): string => `${p.model} / ${p.task} / ${p.seed}`;

function chooseCells(placed: readonly PlacedCell[], only: readonly string[]): readonly PlacedCell[] {
  if (!only.length) return placed;
  const chosen = placed.filter((p) =>
    only.some((part) => cellLabel(p).toLowerCase().includes(part.toLowerCase())),
  );
  if (!chosen.length)
    throw new UsageError(
      `--only ${only.join(' ')}: expected parts of a cell's name such as ${JSON.stringify(cellLabel(placed[0]!))}, found none that match`,
    );
  return chosen;
}

class StudyRun {
  readonly #store: ResultStore;
  readonly #options: StudyOptions;
  readonly #labels: ReadonlyMap<string, string>;
  readonly #all: readonly Cell[];
  readonly #weights: ReadonlyMap<string, number>;
  readonly #running = new Set<Running>();
  readonly #failures: { label: string; message: string }[] = [];
  readonly #began = performance.now();
  #computed = 0;
  /** Work of cells that ended in this run, and the work that was left when it began. */
  #doneWeight = 0;
  readonly #wantedWeight: number;
  #fatal: unknown = null;

  constructor(placed: readonly PlacedCell[], store: ResultStore, options: StudyOptions) {
    this.#store = store;
    this.#options = options;
    this.#all = distinctCells(placed);
    this.#labels = new Map(placed.toReversed().map((p) => [p.cell.id, cellLabel(p)]));
    this.#weights = new Map(this.#all.map((cell) => [cell.id, weightOf(cell)]));
    this.#wantedWeight = this.#sum(this.#waiting());
  }

  async run(): Promise<StudyOutcome> {
    const queue = this.#waiting();
    const one = async (): Promise<void> => {
      for (let cell = queue.shift(); cell && !this.#stopped(); cell = queue.shift())
        await this.#compute(cell);
    };
    this.#report();
    await Promise.all(Array.from({ length: Math.max(1, this.#options.processes) }, one));
    if (this.#fatal) throw this.#fatal;
    this.#options.signal?.throwIfAborted();
    return { results: this.#store.all, failures: this.#failures, computed: this.#computed };
  }

  #waiting(): Cell[] {
    return this.#all.filter((cell) => !this.#store.all.has(cell.id));
  }

  #stopped(): boolean {
    return this.#fatal !== null || (this.#options.signal?.aborted ?? false);
  }

  async #compute(cell: Cell): Promise<void> {
    const label = this.#labels.get(cell.id)!;
    const child = fork(new URL(`./worker${import.meta.url.slice(-3)}`, import.meta.url), {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    const running: Running = { cell, label, child, step: 0, loss: Number.NaN };
    this.#running.add(running);
    const stop = () => child.kill('SIGKILL');
    this.#options.signal?.addEventListener('abort', stop, { once: true });
    try {
      const report = await this.#converse(running);
      if (report.kind === 'done') await this.#finish(label, report.result);
      else if (!this.#stopped()) this.#failures.push({ label, message: report.message });
    } catch (error) {
      // The result could not be stored: no use in computing more.
      this.#fatal ??= error;
      for (const { child: other } of this.#running) other.kill('SIGKILL');
    } finally {
      this.#options.signal?.removeEventListener('abort', stop);
      this.#running.delete(running);
      this.#doneWeight += this.#weights.get(cell.id)!;
      this.#report();
    }
  }

  /** Sends the task and resolves to how it ended; a process that dies without a word has failed. */
  #converse(running: Running): Promise<Exclude<WorkerReport, { kind: 'step' }>> {
    const { child, cell } = running;
    const trainer =
      this.#options.trainer ?? new URL(`./lab-trainer${import.meta.url.slice(-3)}`, import.meta.url).href;
    const task: WorkerTask = {
      cell,
      cacheFolder: join(this.#options.out, 'texts'),
      trainer,
      threads: this.#options.threadsEach,
      modelFolder: this.#options.keepModels ? join(this.#options.out, 'models', cell.id) : null,
    };
    return new Promise((resolve) => {
      let last = '';
      let ended: Exclude<WorkerReport, { kind: 'step' }> | null = null;
      child.stderr?.on('data', (text: Buffer) => (last = `${last}${text}`.slice(-600)));
      child.on('message', (report: WorkerReport) => {
        if (report.kind !== 'step') {
          ended = report;
          return;
        }
        running.step = report.step;
        running.loss = report.loss;
        this.#report();
      });
      child.on('error', (error) => resolve({ kind: 'failed', message: error.message }));
      child.on('close', (code, signal) =>
        resolve(
          ended ?? {
            kind: 'failed',
            message: `its process ended (${signal ?? `code ${code}`}) ${last.trim()}`.trim(),
          },
        ),
      );
      child.send(task, (error) => error && resolve({ kind: 'failed', message: error.message }));
    });
  }

  async #finish(label: string, result: CellResult): Promise<void> {
    await this.#store.add(result);
    this.#computed++;
    this.#options.onFinished?.(label, result);
  }

  #report(): void {
    const running = [...this.#running].map(({ label, step, cell, loss }) => ({
      label,
      step,
      steps: cell.budget.steps,
      loss,
    }));
    const partial = [...this.#running].reduce(
      (sum, r) => sum + this.#weights.get(r.cell.id)! * (r.step / r.cell.budget.steps),
      0,
    );
    const worked = this.#doneWeight + partial;
    const total = this.#sum(this.#all);
    const elapsed = performance.now() - this.#began;
    this.#options.onProgress?.({
      finished: this.#all.filter((cell) => this.#store.all.has(cell.id)).length,
      total: this.#all.length,
      fraction: total > 0 ? (total - this.#wantedWeight + worked) / total : 1,
      leftMs: worked > 0 ? (elapsed * (this.#wantedWeight - worked)) / worked : null,
      running,
    });
  }

  #sum(cells: readonly Cell[]): number {
    return cells.reduce((sum, cell) => sum + this.#weights.get(cell.id)!, 0);
  }
}

/** Operations of a cell's training, to weigh cells against each other. */
function weightOf(cell: Cell): number {
  const length = Number(cell.config.max_position_embeddings);
  return trainingFlops(
    specOf(cell.id, cell.config),
    cell.budget.steps * cell.budget.sequences * length,
    length,
  );
}
