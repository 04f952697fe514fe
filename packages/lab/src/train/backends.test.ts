// Training on the compiled kernels against the reference: the same gradients on every build, at odd sizes,
// and the same weights to the bit whatever the number of threads.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LoadModelOptions, ModelSpec } from '@marimba/engine';
import { createBackend } from '@marimba/engine/plan';
import {
  attention,
  deltaNet,
  dense,
  experts,
  mamba,
  mamba2,
  model,
  randomBatch,
  shortConv,
} from '../gradient/testing.ts';
import { initialise } from './initialise.ts';
import { type OptimizerSettings, TrainingRuntime } from './runtime.ts';

const SETTINGS: OptimizerSettings = {
  learningRate: 0.01,
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  weightDecay: 0.1,
  maxNorm: 0.5,
};
const TOLERANCE = 2e-4;

const rope = { theta: 100, rotary: 14, scaling: null };
const odd = { vocabularySize: 101, hiddenSize: 42 };
const odds = mamba({ innerSize: 84, stateSize: 20, convWidth: 5, dtRank: 3 });

const MODELS: Readonly<Record<string, ModelSpec>> = {
  hybrid: model(
    [
      { mixers: [odds], feedForward: dense({ size: 150 }) },
      {
        mixers: [attention({ heads: 6, kvHeads: 2, headSize: 7, window: 70 })],
        feedForward: experts({ size: 53 }),
      },
    ],
    odd,
  ),
  mamba: model(
    [
      {
        mixers: [mamba({ innerSize: 131, stateSize: 6, convWidth: 4, innerNorms: 'none', convBias: false })],
        feedForward: null,
      },
    ],
    { ...odd, tiedHead: true },
  ),
  'short convolutions': model(
    [
      { mixers: [shortConv({ size: 42 })], feedForward: dense({ size: 50 }) },
      { mixers: [shortConv({ size: 42, width: 4, bias: false })], feedForward: null },
    ],
    odd,
  ),
  'mamba2 in groups': model(
    [
      {
        mixers: [mamba2({ heads: 12, headSize: 7, groups: 3, normGroups: 3, stateSize: 13 })],
        feedForward: dense({ size: 50 }),
      },
      {
        mixers: [
          mamba2({ heads: 5, headSize: 9, groups: 1, stateSize: 24, norm: 'beforeGate', normGroups: 1 }),
        ],
        feedForward: null,
      },
    ],
    odd,
  ),
  transformer: model(
    [
      {
        mixers: [attention({ heads: 3, kvHeads: 3, headSize: 14, rope, headNorms: 'perHead' })],
        feedForward: dense({ activation: 'gelu', bias: false }),
      },
      {
        mixers: [attention({ heads: 4, kvHeads: 1, headSize: 10 })],
        feedForward: dense({ activation: 'gelu_tanh' }),
      },
    ],
    odd,
  ),
  gates: model(
    [
      { mixers: [], feedForward: dense({ activation: 'sigmoid' }) },
      { mixers: [attention({ window: 5 })], feedForward: dense({ activation: 'relu' }) },
      { mixers: [], feedForward: dense({ activation: 'none' }) },
    ],
    odd,
  ),
  'gated DeltaNet and gated attention': model(
    [
      {
        mixers: [deltaNet({ keyHeads: 3, valueHeads: 9, keySize: 18, valueSize: 37, tiled: true })],
        feedForward: dense({ size: 50, bias: false }),
      },
      {
        mixers: [
          attention({ heads: 3, kvHeads: 1, headSize: 14, rope, headNorms: 'perHead', outputGate: true }),
        ],
        feedForward: null,
      },
    ],
    { ...odd, normOffset: 1 },
  ),
  'zero-centred norms around parts': model(
    [
      {
        mixers: [attention({ heads: 3, kvHeads: 1, headSize: 14, rope, headNorms: 'perHead', sinks: true })],
        feedForward: dense({ activation: 'gelu_tanh', bias: false }),
        norms: 'both',
      },
    ],
    { ...odd, normOffset: 1, residualScale: 0.5, logitScale: 0.25 },
  ),
  'routed, renormalised': model(
    [{ mixers: [odds], feedForward: experts({ count: 5, size: 140, renormalize: 0 }) }],
    odd,
  ),
  'the squared ReLU, dense and in experts beside a shared one': model(
    [
      { mixers: [odds], feedForward: dense({ size: 150, gated: false, activation: 'relu' }) },
      {
        mixers: [],
        feedForward: experts({
          count: 5,
          size: 53,
          gated: false,
          activation: 'relu',
          score: 'sigmoid',
          renormalize: 1e-20,
          shared: { size: 70, gate: false },
        }),
      },
    ],
    odd,
  ),
  'routed by sigmoid in groups, and a shared expert with a gate': model(
    [
      {
        mixers: [odds],
        feedForward: experts({
          score: 'sigmoid',
          choiceBias: true,
          routerBias: true,
          count: 6,
          groupCount: 3,
          groupsUsed: 2,
          renormalize: 1e-6,
          weightScale: 2.5,
          shared: { size: 70, gate: true },
        }),
      },
    ],
    odd,
  ),
};

/**
 * Gradients of one batch, then the weights after two steps (which only the same kernels agree on: AdamW
 * divides rounding by rounding).
 */
async function trainOn(spec: ModelSpec, options: LoadModelOptions, recompute = false) {
  const batch = randomBatch(spec.vocabularySize, [150, 1, 67, 3], 3);
  const backend = await createBackend(options);
  const runtime = await TrainingRuntime.create(spec, backend, {
    maxTokens: batch.tokens.length + 5,
    balanceLoss: 0.1,
    recompute,
  });
  try {
    initialise(runtime.store, spec, 7);
    const { loss } = await runtime.gradients([batch]);
    const gradients = runtime.store.list.map((parameter) => runtime.store.read(parameter, 'gradients'));
    const { gradientNorm } = await runtime.update(SETTINGS);
    await runtime.step([batch], SETTINGS);
    return {
      loss,
      gradientNorm,
      gradients,
      weights: runtime.store.block('weights').slice(),
      names: runtime.store.list.map((p) => `${p.layer}.${p.role}`),
    };
  } finally {
    await runtime.close();
  }
}

const norm = (values: Float32Array): number => Math.sqrt(values.reduce((sum, v) => sum + v * v, 0));

for (const [name, spec] of Object.entries(MODELS)) {
  describe(`training kernels: ${name}`, () => {
    for (const variant of ['relaxed', 'baseline'] as const) {
      it(`${variant}: gradients as on the reference`, async () => {
        const expected = await trainOn(spec, { backend: 'reference' });
        const found = await trainOn(spec, { backend: 'wasm', threads: 3, variant });
        assert.ok(
          Math.abs(found.loss - expected.loss) < 1e-4,
          `loss: expected ${expected.loss}, found ${found.loss}`,
        );
        assert.ok(Math.abs(found.gradientNorm / expected.gradientNorm - 1) < TOLERANCE);
        const largest = Math.max(...expected.gradients.map(norm));
        expected.gradients.forEach((gradient, i) => {
          const difference = norm(gradient.map((v, k) => v - found.gradients[i]![k]!));
          assert.ok(
            difference <= TOLERANCE * norm(gradient) + 1e-6 * largest,
            `${expected.names[i]}: ${difference} of ${norm(gradient)}`,
          );
        });
      });
    }

    it('has the same bits with 1 and 3 threads, and with values computed again', async () => {
      const one = await trainOn(spec, { backend: 'wasm', threads: 1 });
      const three = await trainOn(spec, { backend: 'wasm', threads: 3 });
      const again = await trainOn(spec, { backend: 'wasm', threads: 2 }, true);
      assert.deepEqual(three.weights, one.weights);
      assert.deepEqual(again.weights, one.weights);
    });
  });
}
