// The record of a run, one JSON object per line: steps, held-out losses, checkpoints. When a run resumes from
// a checkpoint, lines of steps after it are dropped, since those steps are taken again.
import { appendFile, readFile } from 'node:fs/promises';
import { diskError, writeWhole } from '../data/token-file.ts';

/** What a run reports: once its start (not in the log), every step, held-out losses and checkpoints. */
export type TrainingEvent =
  | {
      /** Tag of the union. */
      readonly kind: 'start';
      /** Steps that earlier runs have done. */
      readonly step: number;
      /** Number of trained parameters. */
      readonly parameters: number;
      /** Memory of the values of a step, forward and backward. */
      readonly activationBytes: number;
      /** Name and threads, for people. */
      readonly backend: string;
    }
  | {
      readonly kind: 'step';
      /** Steps done, this one included. */
      readonly step: number;
      /** Mean over the step's targets before its update, in nats per token. */
      readonly loss: number;
      /** Load-balancing loss of the experts, where there is one. */
      readonly balanceLoss?: number;
      /** L2 norm before clipping. */
      readonly gradientNorm: number;
      /** Of this step. */
      readonly learningRate: number;
      /** Tokens read in this step. */
      readonly tokens: number;
      /** Of this step; depends on the machine and its load. */
      readonly tokensPerSecond: number;
      /** Present when the gradient was not finite and nothing was changed. */
      readonly skipped?: true;
    }
  | {
      readonly kind: 'heldOut';
      readonly step: number;
      /** Mean over the held-out targets, in nats per token. */
      readonly loss: number;
      /** The same per UTF-8 byte of text. */
      readonly bitsPerByte?: number;
    }
  | {
      readonly kind: 'checkpoint';
      readonly step: number;
      /** Of the written file. */
      readonly path: string;
    };

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
