// Finished cells, one JSON line each, appended as they finish. A run that is killed leaves at most half a
// line at the end, which the next run cuts off; every whole line stays and is never computed again.
import { appendFile, mkdir, open, readFile, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { FormatError, UsageError } from '@marimba/engine';
import { diskError } from '../data/token-file.ts';
import type { ModelCost } from './costs.ts';

/** A trained and tested cell: one model on one task with one seed. A line of results.jsonl. */
export interface CellResult {
  /** Hash of what is trained and how; names do not change it. */
  readonly id: string;
  /** Seeds the first weights and the data. */
  readonly seed: number;
  /** M, A, W and e: which layers it had. */
  readonly layers: string;
  /**
   * accuracy, format, loss (nats per token), bitsPerByte, "accuracy at length=256" …; and of training:
   * finalLoss, spikes … `diverged` is 1 when one of them was not finite and is left out.
   */
  readonly metrics: Readonly<Record<string, number>>;
  /** What guessing scores; null where there is no such thing. */
  readonly chance: number | null;
  /** Number of parameters, all experts included. */
  readonly parameters: number;
  /** Parameters that one token goes through: of experts, the chosen ones. */
  readonly activeParameters: number;
  /** Tokens read in training, repeats included. */
  readonly trainingTokens: number;
  /** Floating-point operations of training, forward and backward, counted from the plan. */
  readonly trainingFlops: number;
  /** Wall-clock time of training; depends on the machine and its load. */
  readonly trainingMs: number;
  /** What decoding with the model costs. */
  readonly cost: ModelCost;
  /** Mean training loss of each tenth of the run, in nats per token. */
  readonly curve: readonly number[];
  /** ISO 8601, UTC. */
  readonly finishedAt: string;
}

const FILE = 'results.jsonl';
const LOCK = 'running.lock';

export class ResultStore {
  readonly folder: string;
  readonly #results: Map<string, CellResult>;

  private constructor(folder: string, results: Map<string, CellResult>) {
    this.folder = folder;
    this.#results = results;
  }

  /**
   * Opens the results in a folder for adding to them. Only one process may: throws UsageError when another
   * does.
   */
  static async open(folder: string): Promise<ResultStore> {
    try {
      await mkdir(folder, { recursive: true });
    } catch (error) {
      throw diskError(folder, error);
    }
    await lock(join(folder, LOCK));
    try {
      return new ResultStore(folder, await readResults(folder, { repair: true }));
    } catch (error) {
      await rm(join(folder, LOCK), { force: true });
      throw error;
    }
  }

  get all(): ReadonlyMap<string, CellResult> {
    return this.#results;
  }

  async add(result: CellResult): Promise<void> {
    const path = join(this.folder, FILE);
    try {
      await appendFile(path, `${JSON.stringify(result)}\n`);
    } catch (error) {
      throw diskError(path, error);
    }
    this.#results.set(result.id, result);
  }

  async close(): Promise<void> {
    await rm(join(this.folder, LOCK), { force: true });
  }
}

/** Results by cell id. Throws FormatError, naming the line, for a line that is no result. */
export async function readResults(
  folder: string,
  options: { repair?: boolean } = {},
): Promise<Map<string, CellResult>> {
  const path = join(folder, FILE);
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return Buffer.alloc(0);
    throw error;
  });
  const whole = bytes.lastIndexOf(10) + 1;
  if (options.repair && whole < bytes.length) await truncate(path, whole);
  const results = new Map<string, CellResult>();
  bytes
    .subarray(0, whole)
    .toString('utf8')
    .split('\n')
    .forEach((line, i) => {
      if (line === '') return;
      const result = parseResult(line);
      if (!result)
        throw new FormatError(
          `${path}:${i + 1}: expected a finished cell, found ${JSON.stringify(line.slice(0, 60))}. Remove that line; the cell is then run again.`,
        );
      results.set(result.id, result);
    });
  return results;
}

function parseResult(line: string): CellResult | null {
  try {
    const value = JSON.parse(line) as Partial<CellResult> | null;
    return typeof value?.id === 'string' &&
      typeof value.metrics === 'object' &&
      typeof value.cost === 'object'
      ? (value as CellResult)
      : null;
  } catch {
    return null;
  }
}

/** A file with our process number; one whose process is gone was left by a crash and is taken over. */
async function lock(path: string): Promise<void> {
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      const file = await open(path, 'wx');
      await file.writeFile(`${process.pid}\n`);
      await file.close();
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw diskError(path, error);
    }
    const owner = Number(await readFile(path, 'utf8').catch(() => ''));
    if (owner > 0 && owner !== process.pid && isRunning(owner))
      throw new UsageError(
        `${path}: expected no other run in this folder, found process ${owner}. Wait for it, or give another --out folder.`,
      );
    await rm(path, { force: true });
  }
  throw new UsageError(`${path}: another run in this folder started at the same time. Try again.`);
}

function isRunning(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
