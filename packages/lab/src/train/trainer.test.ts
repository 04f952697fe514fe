// Schedules, settings and the loop's answers to what goes wrong.
import assert from 'node:assert/strict';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { FormatError, ModelError, UsageError } from '@marimba/engine';
import { createBackend } from '@marimba/engine/plan';
import { dense, mamba, model, randomBatch } from '../gradient/testing.ts';
import { initialise } from './initialise.ts';
import { runTraining } from './run.ts';
import { checkRunConfig, readRunConfig } from './run-config.ts';
import { TrainingRuntime } from './runtime.ts';
import { learningRateAt, type Schedule } from './schedule.ts';
import { type TrainerRun, train } from './trainer.ts';

const root = mkdtempSync(join(tmpdir(), 'marimba-trainer-'));
after(() => rmSync(root, { recursive: true, force: true }));

const schedule: Schedule = {
  kind: 'cosine',
  peak: 1,
  floor: 0.1,
  steps: 100,
  warmupSteps: 10,
  decayShare: 0.2,
};

describe('learning rates', () => {
  it('warm up linearly, then fall along a cosine to the floor', () => {
    assert.equal(learningRateAt(schedule, 0), 0.1);
    assert.equal(learningRateAt(schedule, 9), 1);
    assert.equal(learningRateAt(schedule, 10), 1);
    assert.ok(Math.abs(learningRateAt(schedule, 55) - 0.55) < 1e-12);
    assert.ok(Math.abs(learningRateAt(schedule, 100) - 0.1) < 1e-12);
  });

  it('wsd stays at its peak until the last share of steps', () => {
    const wsd = { ...schedule, kind: 'wsd' as const };
    assert.equal(learningRateAt(wsd, 80), 1);
    assert.ok(Math.abs(learningRateAt(wsd, 90) - 0.55) < 1e-12);
    assert.equal(learningRateAt({ ...schedule, kind: 'constant' }, 99), 1);
  });
});

const spec = model([{ mixers: [mamba()], feedForward: dense() }]);

async function runtimeOf(seed = 1): Promise<TrainingRuntime> {
  const runtime = await TrainingRuntime.create(spec, await createBackend({ backend: 'reference' }), {
    maxTokens: 32,
  });
  initialise(runtime.store, spec, seed);
  return runtime;
}

const runIn = (folder: string, changes: Partial<TrainerRun> = {}): TrainerRun => ({
  folder,
  identity: 'a',
  settings: {
    schedule: { ...schedule, peak: 0.01, steps: 6, warmupSteps: 1 },
    accumulate: 1,
    evaluateEvery: 0,
    checkpointEvery: 2,
    optimizer: { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0, maxNorm: 1 },
  },
  data: { batch: (n) => randomBatch(37, [12], n), heldOut: [] },
  ...changes,
});

describe('the training loop', () => {
  it('stops with a checkpoint when told to, and refuses to go on as another run', async () => {
    const folder = join(root, 'stopped');
    const stop = new AbortController();
    const first = await train(
      await runtimeOf(),
      runIn(folder, { signal: stop.signal, onEvent: (e) => e.step === 3 && stop.abort() }),
    );
    assert.deepEqual([first.step, first.finished], [3, false]);
    await assert.rejects(train(await runtimeOf(), runIn(folder, { identity: 'b' })), FormatError);
    assert.equal((await train(await runtimeOf(9), runIn(folder))).step, 6);
  });

  it('changes nothing when a gradient is not finite, and gives up after ten', async () => {
    const runtime = await runtimeOf();
    runtime.store.block('weights')[0] = Number.POSITIVE_INFINITY;
    const before = runtime.store.block('weights').slice();
    runtime.store.block('gradients').fill(Number.NaN);
    assert.equal(
      (
        await runtime.update({
          learningRate: 1,
          beta1: 0.9,
          beta2: 0.9,
          epsilon: 1e-8,
          weightDecay: 0.1,
          maxNorm: 1,
        })
      ).updated,
      false,
    );
    assert.deepEqual(runtime.store.block('weights'), before);
    assert.equal(runtime.updates, 0);
    const stepped = runtime.step.bind(runtime);
    runtime.step = async (batches, settings) => ({ ...(await stepped(batches, settings)), loss: 1 });
    runtime.store.block('weights').fill(Number.NaN);
    const run = runIn(join(root, 'skipped'));
    const settings = { ...run.settings, schedule: { ...schedule, steps: 20 } };
    await assert.rejects(
      train(runtime, { ...run, settings }),
      /step 10: the gradient was not finite 10 times/,
    );
  });

  it('fails at the first step whose loss is not finite, before it is logged or saved', async () => {
    const runtime = await runtimeOf();
    const steps: number[] = [];
    const folder = join(root, 'nan');
    const onEvent: TrainerRun['onEvent'] = ({ kind, step }) => {
      if (kind !== 'step') return;
      steps.push(step);
      if (step === 3) runtime.store.block('weights').fill(Number.NaN);
    };
    await assert.rejects(train(runtime, runIn(folder, { onEvent })), (error: Error) => {
      assert.ok(error instanceof ModelError);
      assert.match(error.message, /step 4: expected a finite loss, found NaN\..*checkpoint/);
      return true;
    });
    assert.deepEqual(steps, [1, 2, 3]);
    // The last checkpoint is the one before: a run resumes from sound weights.
    assert.equal((await train(await runtimeOf(9), runIn(folder))).step, 6);
  });

  it('fails when the held-out loss is not finite, without a checkpoint of that step', async () => {
    const run = runIn(join(root, 'nan-held-out'));
    const runtime = await runtimeOf();
    runtime.evaluate = async () => ({ lossSum: Number.NaN, targets: 1, losses: new Float32Array(1) });
    await assert.rejects(
      train(runtime, {
        ...run,
        settings: { ...run.settings, evaluateEvery: 2 },
        data: { ...run.data, heldOut: [randomBatch(37, [12], 0)] },
      }),
      /step 2: expected a finite held-out loss, found NaN/,
    );
    assert.ok(!readdirSync(join(root, 'nan-held-out')).includes('checkpoints'));
  });

  it('keeps the checkpoint before when one cannot be written', async () => {
    const folder = join(root, 'full');
    await train(await runtimeOf(), runIn(folder));
    const checkpoints = join(folder, 'checkpoints');
    const before = readdirSync(checkpoints);
    const longer = runIn(folder);
    const settings = { ...longer.settings, schedule: { ...longer.settings.schedule, steps: 9 } };
    // A file where the folder was: nobody can write there, root included.
    let moved = false;
    const onEvent = () => {
      if (moved) return;
      renameSync(checkpoints, `${checkpoints}.away`);
      writeFileSync(checkpoints, '');
      moved = true;
    };
    await assert.rejects(train(await runtimeOf(), { ...longer, settings, onEvent }), /checkpoints/);
    rmSync(checkpoints);
    renameSync(`${checkpoints}.away`, checkpoints);
    assert.deepEqual(readdirSync(checkpoints), before);
    assert.equal((await train(await runtimeOf(), { ...longer, settings })).step, 9);
  });

  it('refuses tokens beyond the vocabulary, batches too large, and batches without targets', async () => {
    const runtime = await runtimeOf();
    const batch = randomBatch(37, [8], 1);
    await assert.rejects(runtime.gradients([{ ...batch, tokens: batch.tokens.map(() => 37) }]), UsageError);
    await assert.rejects(runtime.gradients([randomBatch(37, [33], 1)]), UsageError);
    await assert.rejects(runtime.gradients([{ ...batch, targets: batch.targets.map(() => -1) }]), UsageError);
  });
});

const smallModel = {
  model_type: 'jamba',
  vocab_size: 300,
  hidden_size: 24,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  intermediate_size: 20,
  attn_layer_period: 2,
  attn_layer_offset: 1,
  num_experts: 1,
  num_experts_per_tok: 1,
};

describe('training runs from settings', () => {
  const settings = (name: string, text: string, changes: Record<string, unknown> = {}) => {
    const folder = join(root, name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'text.txt'), text);
    return checkRunConfig(name, {
      model: smallModel,
      texts: [join(folder, 'text.txt')],
      output: join(folder, 'run'),
      steps: 3,
      length: 16,
      sequences: 2,
      ...changes,
    });
  };

  it('trains, exports and records', async () => {
    const config = settings('good', 'The quick brown fox jumps over the lazy dog. '.repeat(60));
    const result = await runTraining(config, { backend: 'reference' });
    assert.ok(result.finished && result.model && result.heldOutLoss);
    const kinds = readFileSync(join(config.output, 'log.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { kind: string }).kind);
    assert.deepEqual(kinds, ['step', 'step', 'step', 'heldOut', 'checkpoint']);
    assert.ok(readdirSync(result.model).includes('tokenizer.json'));
    // Finished runs stay finished.
    assert.equal((await runTraining(config, { backend: 'reference' })).step, 3);
  });

  it('answers bad data with an error that says so', async () => {
    const cases: [string, string, Record<string, unknown>, RegExp][] = [
      ['empty', '', {}, /found/],
      ['one', 'a', {}, /expected/],
      ['short', 'Only a few words in this text.', { length: 500 }, /sequence length: expected at most/],
    ];
    for (const [name, text, changes, message] of cases)
      await assert.rejects(
        runTraining(settings(name, text, changes), { backend: 'reference' }),
        (error: Error) => message.test(error.message),
        name,
      );
  });

  it('names the field that is wrong', async () => {
    const good = { model: smallModel, texts: ['x'] };
    for (const [field, value] of Object.entries({
      steps: 0,
      learningRate: 'high',
      schedule: 'linear',
      texts: [],
      model: 3,
      recompute: 1,
      stepz: 5,
      seed: 0.5,
    }))
      assert.throws(
        () => checkRunConfig('run.json', { ...good, [field]: value }),
        (e: Error) => e instanceof UsageError && e.message.includes(`run.json: ${field}`),
      );
    await assert.rejects(readRunConfig(join(root, 'nothing.json')), UsageError);
  });
});
