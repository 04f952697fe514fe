// The trainer that studies use: the lab's own training runtime behind the interface of trainer.ts. Everything
// stays in memory; a cell is short enough to be started again when it is cut off.
import type { LoadModelOptions } from '@marimba/engine';
import type { JsonObject } from '@marimba/engine/formats';
import { createBackend } from '@marimba/engine/plan';
import type { TrainingBatch } from '../data/batches.ts';
import { likeliest, logSumExp } from '../evaluate/probabilities.ts';
import { exportHuggingFace } from '../export/huggingface.ts';
import { initialise, smallDeviation } from '../train/initialise.ts';
import { TrainingRuntime } from '../train/runtime.ts';
import { learningRateAt } from '../train/schedule.ts';
import type { BatchEvaluation, TrainCell, TrainingRequest } from './trainer.ts';

/** Weight of the load-balancing loss of routed layers, as Jamba's and Mixtral's configurations set it. */
const BALANCE_LOSS = 0.01;
const EPSILON = 1e-8;
const RATE_FLOOR = 0.1;
const DECAY_SHARE = 0.2;

export function createTrainCell(threads: number, backend: LoadModelOptions['backend'] = 'wasm'): TrainCell {
  return async (request) => {
    const { spec, seed, largest, batches } = request;
    const trained = batches(0).tokens.length;
    const maxTokens = Math.max(trained, largest.length);
    const runtime = await TrainingRuntime.create(spec, await createBackend({ threads, backend }), {
      maxTokens,
      balanceLoss: BALANCE_LOSS,
    });
    try {
      initialise(runtime.store, spec, seed, smallDeviation(spec.hiddenSize));
      const record = await trainSteps(runtime, request);
      return {
        ...record,
        evaluate: (batch) =>
          evaluateInParts(runtime, batch, Math.max(1, Math.floor(maxTokens / batch.length))),
        save: async (folder) => {
          await exportHuggingFace(runtime.store, spec, { ...request.config } as JsonObject, folder);
        },
        close: () => runtime.close(),
      };
    } catch (error) {
      await runtime.close();
      throw error;
    }
  };

  async function trainSteps(runtime: TrainingRuntime, { budget, batches, signal, onStep }: TrainingRequest) {
    const {
      steps,
      warmupSteps,
      schedule: kind,
      learningRate: peak,
      weightDecay,
      clipNorm,
      adamBetas,
    } = budget;
    const schedule = { kind, peak, floor: RATE_FLOOR, steps, warmupSteps, decayShare: DECAY_SHARE };
    const optimizer = {
      beta1: adamBetas[0],
      beta2: adamBetas[1],
      epsilon: EPSILON,
      weightDecay,
      maxNorm: clipNorm,
    };
    const losses: number[] = [];
    const gradientNorms: number[] = [];
    for (let step = 0; step < steps; step++) {
      signal?.throwIfAborted();
      const report = await runtime.step([batches(step)], {
        ...optimizer,
        learningRate: learningRateAt(schedule, step),
      });
      losses.push(report.loss);
      gradientNorms.push(report.gradientNorm);
      // A loss that is not a number is a finding of the study, not a failure of it; no step can mend it.
      if (!Number.isFinite(report.loss)) break;
      onStep?.(step + 1, report.loss);
    }
    return { losses, gradientNorms };
  }
}

/** A batch that is larger than the plan goes through it in several pieces. */
async function evaluateInParts(
  runtime: TrainingRuntime,
  batch: TrainingBatch,
  sequences: number,
): Promise<BatchEvaluation> {
  const predictions = new Int32Array(batch.tokens.length).fill(-1);
  let loss = 0;
  for (let first = 0; first < batch.sequences; first += sequences) {
    const from = first * batch.length;
    const to = Math.min(batch.sequences, first + sequences) * batch.length;
    const part = {
      sequences: (to - from) / batch.length,
      length: batch.length,
      tokens: batch.tokens.subarray(from, to),
      targets: batch.targets.subarray(from, to),
      documentStarts: batch.documentStarts.filter((at) => at >= from && at < to).map((at) => at - from),
    };
    const v = runtime.spec.vocabularySize;
    const logits = await runtime.logits(part);
    let row = 0;
    part.targets.forEach((target, i) => {
      if (target < 0) return;
      loss += logSumExp(logits, row * v, v) - logits[row * v + target]!;
      predictions[from + i] = likeliest(logits, row * v, v);
      row++;
    });
  }
  return { loss, predictions };
}
