// A tiny training run in a process of its own, to be killed: resume-child.ts FOLDER. Prints a line after
// every step.
import { createBackend } from '@marimba/engine/plan';
import { attention, dense, experts, mamba, model, randomBatch } from '../src/gradient/testing.ts';
import { initialise } from '../src/train/initialise.ts';
import { TrainingRuntime } from '../src/train/runtime.ts';
import { train } from '../src/train/trainer.ts';

const folder = process.argv[2]!;
const spec = model([
  { mixers: [mamba()], feedForward: experts() },
  { mixers: [attention()], feedForward: dense() },
]);
const backend = await createBackend({ backend: 'wasm', threads: 2 });
const runtime = await TrainingRuntime.create(spec, backend, { maxTokens: 64, balanceLoss: 0.01 });
initialise(runtime.store, spec, 3);
const result = await train(runtime, {
  folder,
  identity: 'resume test',
  settings: {
    schedule: { kind: 'cosine', peak: 0.01, floor: 0.1, steps: 120, warmupSteps: 5, decayShare: 0.2 },
    optimizer: { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, maxNorm: 1 },
    accumulate: 2,
    evaluateEvery: 7,
    checkpointEvery: 3,
  },
  data: { batch: (n) => randomBatch(37, [20, 9, 30], n), heldOut: [randomBatch(37, [40], 1_000_000)] },
  onEvent: (event) => process.stdout.write(`${event.kind} ${event.step}\n`),
});
await runtime.close();
process.stdout.write(`end ${result.step}\n`);
