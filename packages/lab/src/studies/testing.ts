// A trainer that learns nothing and guesses by a fixed rule, for tests of what surrounds training: it
// predicts the right token for a share of positions that grows with the number of attention layers, so that
// results differ from model to model.
import { appendFileSync } from 'node:fs';
import { allOfKind } from '@marimba/engine/architecture';
import type { TrainCell } from './trainer.ts';

export function createTrainCell(): TrainCell {
  return async ({ spec, batches, budget, seed, onStep }) => {
    const log = process.env.MARIMBA_TEST_LOG;
    if (log) appendFileSync(log, `${spec.layers.length} ${seed}\n`);
    if (process.env.MARIMBA_TEST_CRASH === `${seed}`) process.exit(9);
    const attention = allOfKind(spec.layers, 'attention').length / spec.layers.length;
    for (let step = 0; step < budget.steps; step++) {
      batches(step);
      onStep?.(step + 1, 1);
    }
    return {
      losses: Array.from({ length: budget.steps }, (_, i) => 5 - i / budget.steps),
      gradientNorms: Array.from({ length: budget.steps }, () => 1),
      async evaluate({ targets }) {
        const scored = targets.filter((t) => t >= 0).length;
        const predictions = targets.map((target, i) =>
          target < 0 ? -1 : ((i * 7919 + seed) % 100) / 100 < 0.1 + 0.8 * Math.sqrt(attention) ? target : 0,
        );
        return { loss: scored * (3 - attention), predictions };
      },
      async close() {},
    };
  };
}
