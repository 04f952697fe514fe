// The record of a run, one JSON object per line: steps, held-out losses, checkpoints. When a run resumes from
// a checkpoint, lines of steps after it are dropped, since those steps are taken again.
import { appendFile, readFile } from 'node:fs/promises';
import { diskError, writeWhole } from '../data/token-file.ts';

/**
 * What a run reports: once its start (not in the log), every step, held-out losses and checkpoints. Losses
 * are in nats per token, `activationBytes` is the memory of the step's values, `gradientNorm` is measured
 * before clipping.
 */
export type TrainingEvent =
  | {
      readonly kind: 'start';
      readonly step: number;
      readonly parameters: number;
      readonly activationBytes: number;
      readonly backend: string;
    }
  | {
      readonly kind: 'step';
      /** Steps done, this one included. */
      readonly step: number;
      readonly loss: number;
      readonly balanceLoss?: number;
      readonly gradientNorm: number;
      readonly learningRate: number;
      readonly tokens: number;
      readonly tokensPerSecond: number;
      /** Present when the gradient was not finite and nothing was changed. */
      readonly skipped?: true;
    }
  | { readonly kind: 'heldOut'; readonly step: number; readonly loss: number; readonly bitsPerByte?: number }
  | { readonly kind: 'checkpoint'; readonly step: number; readonly path: string };

export class TrainingLog {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /** Opens the record of a run that has done `step` steps. */
  static async open(path: string, step: number): Promise<TrainingLog> {
    const before = await readFile(path, 'utf8').catch(() => '');
    const kept = before.split('\n').filter((line) => stepOf(line) <= step);
    if (before) await writeWhole(path, kept.map((line) => `${line}\n`).join(''));
    return new TrainingLog(path);
  }

  async write(event: TrainingEvent): Promise<void> {
    try {
      await appendFile(this.#path, `${JSON.stringify(event)}\n`);
    } catch (error) {
      throw diskError(this.#path, error);
    }
  }
}

/** A line that was cut by a kill belongs to no step. */
function stepOf(line: string): number {
  try {
    const { step } = JSON.parse(line) as { step?: unknown };
    return typeof step === 'number' ? step : Number.POSITIVE_INFINITY;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
