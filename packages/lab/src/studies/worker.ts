// A process that computes one cell: told what by the first message, it reports steps and ends with the
// result. One process per cell costs a fraction of a second and gives all memory back; a crash takes one cell
// with it and nothing else.
import type { Cell } from './cells.ts';
import type { CellResult } from './results.ts';
import { runCell } from './run-cell.ts';
import type { TrainCell } from './trainer.ts';

export interface WorkerTask {
  readonly cell: Cell;
  readonly cacheFolder: string;
  /** A module that exports `trainCell`. */
  readonly trainer: string;
  readonly threads: number;
  /** Null: the trained model is not kept. */
  readonly modelFolder: string | null;
}

export type WorkerReport =
  | { readonly kind: 'step'; readonly step: number; readonly loss: number }
  | { readonly kind: 'done'; readonly result: CellResult }
  | { readonly kind: 'failed'; readonly message: string };

const REPORT_EVERY_MS = 500;

process.once('message', (task: WorkerTask) => void work(task));
// Without a parent nobody waits for the result.
process.on('disconnect', () => process.exit(1));

async function work({ cell, cacheFolder, trainer, threads, modelFolder }: WorkerTask): Promise<void> {
  let reported = 0;
  try {
    const { createTrainCell } = (await import(trainer)) as {
      createTrainCell: (threads: number) => TrainCell;
    };
    const result = await runCell(cell, {
      train: createTrainCell(threads),
      cacheFolder,
      modelFolder: modelFolder ?? undefined,
      onStep(step, loss) {
        const now = performance.now();
        if (now - reported < REPORT_EVERY_MS) return;
        reported = now;
        send({ kind: 'step', step, loss });
      },
    });
    send({ kind: 'done', result }, () => process.exit(0));
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    send({ kind: 'failed', message }, () => process.exit(1));
  }
}

function send(report: WorkerReport, then?: () => void): void {
  process.send?.(report, undefined, undefined, () => then?.());
}
