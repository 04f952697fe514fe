// Examples of a task as training batches, and as the fixed set that a trained model is tested on. The n-th
// batch follows from the seed and n alone; test examples come from a stream that training never touches.
import { createRandom } from '@marimba/engine/measure';
import type { TrainingBatch } from '../data/batches.ts';
import type { Example, TaskInstance } from './task.ts';

/** Room for steps below each seed. */
const STEPS = 2 ** 24;

const stream = (seed: number, index: number, testing: boolean) =>
  createRandom((seed * STEPS + index) * 2 + (testing ? 1 : 0));

export function taskBatches(
  task: TaskInstance,
  options: { sequences: number; seed: number },
): (step: number) => TrainingBatch {
  return (step) => {
    const random = stream(options.seed, step, false);
    const make = () => (task.generateTraining ?? task.generate).call(task, random);
    return exampleBatch(Array.from({ length: options.sequences }, make), task.maxLength - 1);
  };
}

export function testExamples(task: TaskInstance, count: number, seed = 0): Example[] {
  return Array.from({ length: count }, (_, i) => task.generate(stream(seed, i, true)));
}

/** Examples side by side, padded to `length`: inputs are all tokens but the last, targets the answers. */
export function exampleBatch(examples: readonly Example[], length: number): TrainingBatch {
  const tokens = new Uint32Array(examples.length * length);
  const targets = new Int32Array(examples.length * length).fill(-1);
  examples.forEach((example, row) => {
    tokens.set(example.tokens.slice(0, -1), row * length);
    for (const answer of example.answers) targets[row * length + answer - 1] = example.tokens[answer]!;
  });
  return {
    sequences: examples.length,
    length,
    tokens,
    targets,
    documentStarts: Uint32Array.from(examples, (_, row) => row * length),
  };
}
