// The moving average (engine: layers/ema.ts), which CONTRIBUTING.md takes as the example of a new kind of
// layer: whatever is done to the other kinds must work for it. Its truth here is the recurrence written out
// in doubles.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadModel, type ModelSpec } from '@marimba/engine';
import type { JsonObject } from '@marimba/engine/formats';
import { createBackend } from '@marimba/engine/plan';
import { exportGguf } from '../src/export/gguf.ts';
import { exportHuggingFace } from '../src/export/huggingface.ts';
import { DoubleBackend, randomBatch, randomWeights } from '../src/gradient/testing.ts';
import { initialise } from '../src/train/initialise.ts';
import { specOfConfig } from '../src/train/model-config.ts';
import type { ParameterStore } from '../src/train/parameters.ts';
import { TrainingRuntime } from '../src/train/runtime.ts';

const root = mkdtempSync(join(tmpdir(), 'marimba-ema-'));
after(() => rmSync(root, { recursive: true, force: true }));

/** 30 channels: not whole blocks of four. */
const config = (layers: readonly string[], forwards: readonly string[]): JsonObject => ({
  model_type: 'marimba',
  vocab_size: 37,
  hidden_size: 30,
  intermediate_size: 20,
  num_attention_heads: 3,
  mamba_d_state: 4,
  layer_types: [...layers],
  feed_forward_types: [...forwards],
  max_position_embeddings: 128,
});
const MIXED = config(['ema', 'full_attention', 'ema+mamba', 'none'], ['dense', 'dense', 'none', 'dense']);

async function trainable(from: JsonObject, backend: 'reference' | 'wasm' | 'double') {
  const { spec } = specOfConfig('test', from);
  const runtime = await TrainingRuntime.create(
    spec,
    backend === 'double' ? new DoubleBackend() : await createBackend({ backend, threads: 2 }),
    { maxTokens: 64 },
  );
  return { spec, runtime };
}

/** Logits of the last token of a model of one moving average, by its formulas. */
function byHand(
  store: ParameterStore,
  { hiddenSize: h, normEpsilon, vocabularySize }: ModelSpec,
  tokens: number[],
) {
  const values = (role: string) => store.read(store.list.find((p) => p.role === role) ?? assert.fail(role));
  const times = (matrix: Float32Array, x: number[]) =>
    Array.from({ length: matrix.length / x.length }, (_, row) =>
      x.reduce((sum, v, i) => sum + v * matrix[row * x.length + i]!, 0),
    );
  const norm = (x: number[], weight: Float32Array) => {
    const scale = 1 / Math.sqrt(x.reduce((sum, v) => sum + v * v, 0) / x.length + normEpsilon);
    return x.map((v, i) => v * scale * weight[i]!);
  };
  const step = [...values('emaStep')].map((v) => Math.log1p(Math.exp(v)));
  const average = step.map(() => 0);
  let hidden: number[] = [];
  for (const token of tokens) {
    hidden = [...values('embedding').subarray(token * h, (token + 1) * h)];
    const uz = times(values('emaIn'), norm(hidden, values('inputNorm')));
    const y = step.map((delta, c) => {
      average[c] = Math.exp(-delta) * average[c]! + delta * uz[c]!;
      const z = uz[step.length + c]!;
      return (average[c]! * z) / (1 + Math.exp(-z));
    });
    const out = times(values('emaOut'), y);
    hidden = hidden.map((v, i) => v + out[i]!);
  }
  const logits = times(values('head'), norm(hidden, values('finalNorm')));
  assert.equal(logits.length, vocabularySize);
  return logits;
}

const near = (found: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number, what: string) => {
  assert.equal(found.length, expected.length, what);
  for (let i = 0; i < expected.length; i++)
    assert.ok(
      Math.abs(found[i]! - expected[i]!) <= tolerance,
      `${what}: [${i}]: expected ${expected[i]}, found ${found[i]}`,
    );
};

test('computes the recurrence, on every backend, from an exported folder', async () => {
  const one = config(['ema'], ['none']);
  const { spec, runtime } = await trainable(one, 'reference');
  randomWeights(runtime.store, 3);
  const folder = join(root, 'one');
  await exportHuggingFace(runtime.store, spec, one, folder);
  const tokens = Array.from({ length: 20 }, (_, i) => (i * 11 + 3) % 37);
  const expected = byHand(runtime.store, spec, tokens);
  for (const backend of ['reference', 'wasm'] as const) {
    await using model = await loadModel(folder, { backend, threads: 2 });
    near(await model.createSession().prefill(tokens), expected, 1e-5, backend);
  }
});

test('its gradient equals central differences', async () => {
  const { spec, runtime } = await trainable(MIXED, 'double');
  randomWeights(runtime.store, 5);
  const batch = randomBatch(spec.vocabularySize, [7, 1, 11], 3);
  const loss = async () => (await runtime.gradients([batch])).loss;
  await loss();
  const gradients = runtime.store.list.map((parameter) => runtime.store.read(parameter, 'gradients'));
  const step = 2 ** -14; // which f32 holds exactly, beside the weights
  let checked = 0;
  for (const [i, parameter] of runtime.store.list.entries()) {
    if (parameter.part !== 'ema') continue;
    const values = runtime.store.read(parameter);
    const scale = Math.max(...gradients[i]!.map(Math.abs));
    assert.ok(scale > 0, `${parameter.layer}.${parameter.role}: the gradient is zero`);
    for (const at of [0, values.length >> 1, values.length - 1]) {
      const moved = async (by: number) => {
        runtime.store.write(
          parameter,
          values.map((v, k) => (k === at ? v + by : v)),
        );
        return loss();
      };
      const difference = ((await moved(step)) - (await moved(-step))) / (2 * step);
      near([gradients[i]![at]!], [difference], 2e-5 * scale + 2e-7, `${parameter.layer}.${parameter.role}`);
      checked++;
    }
    runtime.store.write(parameter, values);
  }
  assert.equal(checked, 2 * 3 * 3, 'three tensors in each of two layers');
});

test('trains, and its trained folder saves, forks and restores sessions exactly', async () => {
  const { spec, runtime } = await trainable(MIXED, 'wasm');
  initialise(runtime.store, spec, 4);
  const before = runtime.store.read(runtime.store.list.find((p) => p.role === 'emaStep')!);
  const batch = randomBatch(spec.vocabularySize, [16, 16], 3);
  const settings = { learningRate: 0.01, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0, maxNorm: 1 };
  const losses: number[] = [];
  for (let step = 0; step < 60; step++) losses.push((await runtime.step([batch], settings)).loss);
  assert.ok(losses.at(-1)! < losses[0]! / 3, `from ${losses[0]} to ${losses.at(-1)}`);
  const trained = runtime.store.read(runtime.store.list.find((p) => p.role === 'emaStep')!);
  assert.ok(
    trained.every((v, i) => v !== before[i]),
    'every decay has learned',
  );
  const folder = join(root, 'mixed');
  const { architecture, reasons } = await exportHuggingFace(runtime.store, spec, MIXED, folder);
  assert.equal(architecture, null, 'no published family has it');
  assert.ok(reasons.length > 0);
  await assert.rejects(exportGguf(runtime.store, spec, `${folder}.gguf`), {
    name: 'ModelError',
    message: /found moving average beside attention beside Mamba/,
  });
  await runtime.close();

  await using model = await loadModel(folder, { threads: 2 });
  const tokens = [...batch.tokens];
  const whole = model.createSession();
  const expected = await whole.prefill(tokens);
  for (const cut of [1, 2, 5, 16, 31]) {
    const session = model.createSession();
    await session.prefill(tokens.slice(0, cut));
    near(await session.prefill(tokens.slice(cut)), expected, 1e-5, `cut at ${cut}`);
  }
  const session = model.createSession();
  await session.prefill(tokens.slice(0, 20));
  const fork = session.fork();
  const restored = model.restoreSession(session.save());
  const rest = tokens.slice(20);
  const one = await session.prefill(rest);
  assert.deepEqual(await fork.prefill(rest), one, 'a fork');
  assert.deepEqual(await restored.prefill(rest), one, 'a restored session');
});
