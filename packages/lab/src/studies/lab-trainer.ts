// The trainer that studies use: the lab's own training loop behind the interface of trainer.ts.
import { UsageError } from '@marimba/engine';
import type { TrainCell } from './trainer.ts';

export function createTrainCell(_threads: number): TrainCell {
  return async () => {
    throw new UsageError('study: expected a build of the lab with training, found one without');
  };
}
