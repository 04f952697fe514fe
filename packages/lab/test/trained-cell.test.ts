// A cell's model, saved and loaded by the engine, answers as it did in training's own test: the two run the
// same model.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadModel } from '@marimba/engine';
import { buildSuite, evaluate, type Study } from '../src/index.ts';
import { createTrainCell } from '../src/studies/lab-trainer.ts';
import { runCell } from '../src/studies/run-cell.ts';
import { studyCells } from '../src/tools.ts';

const folder = await mkdtemp(join(tmpdir(), 'marimba-cell-'));
after(() => rm(folder, { recursive: true }));

for (const layers of ['MAW', 'MeAM']) {
  test(`${layers}: accuracy and answers are those of the engine`, async () => {
    const study: Study = {
      name: 'cell',
      title: 'cell',
      folder,
      isShort: false,
      seeds: [3],
      models: [{ name: 'm', layers, depth: 3, window: 8 }],
      sizes: { depth: 3, hidden: 32, heads: 2, feedForward: 48, state: 4 },
      tasks: [{ task: 'recall', size: 'tiny', testExamples: 24 }],
      budget: { steps: 40, sequences: 8, learningRate: 5e-3, warmupSteps: 4 },
    };
    const [placed] = studyCells(study);
    const modelFolder = join(folder, layers);
    const result = await runCell(placed!.cell, { train: createTrainCell(1), modelFolder });
    const model = await loadModel(modelFolder, { threads: 1, cacheType: 'f32', activations: 'f32' });
    try {
      const suite = await buildSuite('recall:tiny', model, { items: 24, seed: 3 });
      const { suites } = await evaluate(model, [suite], { out: null });
      const { right, count } = suites[0]!.summary.accuracy!;
      // A tie between two tokens may fall either way.
      assert.ok(
        Math.abs(right / count - result.metrics.accuracy!) <= 1.5 / count,
        `${right} of ${count}, in training ${result.metrics.accuracy}`,
      );
      assert.ok(result.metrics.accuracy! > result.chance!, 'it learned more than guessing');
    } finally {
      await model.close();
    }
  });
}
