// The training loop: steps, held-out losses, checkpoints, a record of it all. A run's folder:
//   log.jsonl          see training-log.ts
//   checkpoints/       see checkpoint.ts
// A run that was stopped or killed resumes from its last checkpoint and ends with the same bits as if nothing had happened:
// batches and rates follow from the step's number, and no sum depends on timing.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ModelError, UsageError } from '@marimba/engine';
import type { TrainingBatch } from '../data/batches.ts';
import { restoreCheckpoint, saveCheckpoint } from './checkpoint.ts';
import type { OptimizerSettings, TrainingRuntime } from './runtime.ts';
import { learningRateAt, type Schedule } from './schedule.ts';
import { type TrainingEvent, TrainingLog } from './training-log.ts';

export interface TrainerSettings {
  readonly schedule: Schedule;
  readonly optimizer: Omit<OptimizerSettings, 'learningRate'>;
  /** Micro-batches of one step. */
  readonly accumulate: number;
  /** Steps between held-out losses, and between checkpoints; 0: only at the end. */
  readonly evaluateEvery: number;
  readonly checkpointEvery: number;
}

export interface TrainerData {
  /** The n-th micro-batch of the run. Follows from n alone. */
  readonly batch: (n: number) => TrainingBatch;
  readonly heldOut: readonly TrainingBatch[];
  /** UTF-8 bytes of a held-out token, for bits per byte. */
  readonly bytesPerToken?: number;
}

export interface TrainerRun {
  readonly folder: string;
  /** Changes when model, data or settings do: a checkpoint of another run is refused. */
  readonly identity: string;
  readonly settings: TrainerSettings;
  readonly data: TrainerData;
  readonly onEvent?: ((event: TrainingEvent) => void) | undefined;
  /** Stops after the step under way, with a checkpoint. */
  readonly signal?: AbortSignal | undefined;
}

/** Where the training loop ended. */
export interface TrainerResult {
  /** Steps done, those of earlier runs included. */
  readonly step: number;
  /** False when it was stopped by its signal. */
  readonly finished: boolean;
  /** The last one measured in this run, in nats per token; null where none was. */
  readonly heldOutLoss: number | null;
}

/** Steps in a row with gradients that are not finite before a run is given up. */
const MAX_SKIPPED = 10;

/** `runtime` holds the first weights; they are replaced when the folder has a checkpoint. */
export async function train(runtime: TrainingRuntime, run: TrainerRun): Promise<TrainerResult> {
  const { settings, data, folder } = run;
  const { steps } = settings.schedule;
  await mkdir(folder, { recursive: true });
  const checkpoints = join(folder, 'checkpoints');
  let step = await restoreCheckpoint(checkpoints, runtime, run.identity);
  const log = await TrainingLog.open(join(folder, 'log.jsonl'), step);
  const emit = async (event: TrainingEvent) => {
    await log.write(event);
    run.onEvent?.(event);
  };
  const { activationBytes, backend, store } = runtime;
  run.onEvent?.({
    kind: 'start',
    step,
    parameters: store.parameterCount,
    activationBytes,
    backend: backend.description,
  });
  let heldOutLoss: number | null = null;
  let skipped = 0;
  const due = (every: number) => step === steps || (every > 0 && step % every === 0);
  while (step < steps && !run.signal?.aborted) {
    const event = await oneStep(runtime, run, step);
    step++;
    await emit(event);
    skipped = event.kind === 'step' && event.skipped ? skipped + 1 : 0;
    if (skipped === MAX_SKIPPED)
      throw new ModelError(
        `training: step ${step}: the gradient was not finite ${MAX_SKIPPED} times in a row. Lower the learning rate and start from an earlier checkpoint.`,
      );
    if (data.heldOut.length && due(settings.evaluateEvery)) {
      heldOutLoss = finite(await heldOut(runtime, data.heldOut), 'held-out loss', step);
      const bits = data.bytesPerToken ? { bitsPerByte: heldOutLoss / Math.LN2 / data.bytesPerToken } : {};
      await emit({ kind: 'heldOut', step, loss: heldOutLoss, ...bits });
    }
    if (due(settings.checkpointEvery) || run.signal?.aborted)
      await emit({
        kind: 'checkpoint',
        step,
        path: await saveCheckpoint(checkpoints, runtime, step, run.identity),
      });
  }
  return { step, finished: step === steps, heldOutLoss };
}

async function oneStep(
  runtime: TrainingRuntime,
  { settings, data }: TrainerRun,
  step: number,
): Promise<TrainingEvent> {
  const began = performance.now();
  const batches = Array.from({ length: settings.accumulate }, (_, i) =>
    data.batch(step * settings.accumulate + i),
  );
  const tokens = batches.reduce((sum, batch) => sum + batch.tokens.length, 0);
  const learningRate = learningRateAt(settings.schedule, step);
  const report = await runtime.step(batches, { ...settings.optimizer, learningRate });
  finite(report.loss, 'loss', step + 1);
  return {
    kind: 'step',
    step: step + 1,
    loss: report.loss,
    gradientNorm: report.gradientNorm,
    learningRate,
    tokens,
    tokensPerSecond: (tokens / (performance.now() - began)) * 1000,
    ...(report.balanceLoss ? { balanceLoss: report.balanceLoss } : {}),
    ...(report.updated ? {} : { skipped: true }),
  };
}

/**
 * The loss, if it is a number to go on from. A step whose gradient alone overflows is skipped, but a forward
 * pass that yields NaN would yield it again: the weights are what they were.
 */
function finite(loss: number, what: string, step: number): number {
  if (Number.isFinite(loss)) return loss;
  throw new ModelError(
    `training: step ${step}: expected a finite ${what}, found ${loss}. ` +
      'Lower the learning rate and start from an earlier checkpoint.',
  );
}

/** Mean loss over all targets of the batches. */
export async function heldOut(runtime: TrainingRuntime, batches: readonly TrainingBatch[]): Promise<number> {
  let lossSum = 0;
  let targets = 0;
  for (const batch of batches) {
    const result = await runtime.evaluate(batch);
    lossSum += result.lossSum;
    targets += result.targets;
  }
  if (targets === 0) throw new UsageError('held-out text: expected at least one target, found none');
  return lossSum / targets;
}
