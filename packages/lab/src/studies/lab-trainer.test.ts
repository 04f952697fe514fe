// What a study's trainer does when training goes wrong.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dense, mamba, model, randomBatch } from '../gradient/testing.ts';
import { createTrainCell } from './lab-trainer.ts';
import type { TrainingRequest } from './trainer.ts';

test('a cell whose loss is no number any more ends at that step, with its losses', async () => {
  const seen: number[] = [];
  const request: TrainingRequest = {
    spec: model([{ mixers: [mamba()], feedForward: dense() }]),
    config: {} as TrainingRequest['config'],
    batches: (step) => randomBatch(37, [12], step),
    largest: { sequences: 1, length: 12 },
    budget: {
      steps: 50,
      sequences: 1,
      learningRate: 1e30,
      schedule: 'constant',
      warmupSteps: 0,
      weightDecay: 0,
      clipNorm: 1,
      adamBetas: [0.9, 0.95],
    },
    seed: 1,
    onStep: (step) => seen.push(step),
  };
  const cell = await createTrainCell(1, 'reference')(request);
  try {
    assert.ok(Number.isFinite(cell.losses[0]) && !Number.isFinite(cell.losses.at(-1)), `${cell.losses}`);
    assert.ok(cell.losses.length < 10 && cell.losses.slice(0, -1).every(Number.isFinite), `${cell.losses}`);
    assert.equal(cell.gradientNorms.length, cell.losses.length);
    assert.equal(seen.length, cell.losses.length - 1);
  } finally {
    await cell.close();
  }
});
