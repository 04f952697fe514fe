// Every backward op against central differences, in double: models small enough to differentiate by hand,
// with every layer kind and option, sizes that are no multiple of anything, several documents in a batch.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LayerSpec, ModelSpec } from '@marimba/engine';
import { createRandom } from '@marimba/engine/measure';
import { type TrainingOptions, TrainingRuntime } from '../train/runtime.ts';
import {
  attention,
  DoubleBackend,
  deltaNet,
  dense,
  experts,
  mamba,
  mamba2,
  model,
  randomBatch,
  randomWeights,
  shortConv,
} from './testing.ts';

const STEP = 2 ** -13;
const PER_TENSOR = 4;

const rope = { theta: 100, rotary: 6, scaling: null };

const MODELS: Readonly<Record<string, { spec: ModelSpec; options?: Partial<TrainingOptions> }>> = {
  'mamba with norms and biases': { spec: model([{ mixers: [mamba()], feedForward: dense() }]) },
  'mamba alone, no norms, no biases, one channel more than a block': {
    spec: model(
      [
        {
          mixers: [
            mamba({
              innerNorms: 'none',
              projectionBias: false,
              convBias: false,
              innerSize: 5,
              stateSize: 7,
              convWidth: 5,
            }),
          ],
          feedForward: null,
        },
      ],
      { tiedHead: true },
    ),
  },
  'mamba with plain norms, conv of width 1': {
    spec: model([{ mixers: [mamba({ innerNorms: 'plain', convWidth: 1 })], feedForward: null }]),
  },
  'mamba2 in groups, norm after the gate': {
    spec: model([{ mixers: [mamba2()], feedForward: dense() }]),
  },
  'mamba2 with one group, norm before the gate, no biases': {
    spec: model([
      {
        mixers: [
          mamba2({
            heads: 3,
            headSize: 5,
            groups: 1,
            stateSize: 7,
            normGroups: 1,
            norm: 'beforeGate',
            convBias: false,
            projectionBias: false,
          }),
        ],
        feedForward: null,
      },
    ]),
  },
  'short convolutions of LFM2, with biases and without, of width 3 and 7': {
    spec: model([
      { mixers: [shortConv()], feedForward: dense() },
      { mixers: [shortConv({ width: 7, bias: false })], feedForward: null },
    ]),
  },
  'short convolutions beside attention, values computed again': {
    spec: model([
      { mixers: [shortConv({ width: 4, bias: false })], feedForward: experts() },
      { mixers: [attention({ rope, window: 3 }), shortConv()], feedForward: null },
    ]),
    options: { recompute: true, balanceLoss: 0.1 },
  },
  'mamba2 without a norm, values computed again, steps between limits': {
    spec: model([
      { mixers: [mamba2({ norm: 'none', stepLimits: [0.6, 0.8] })], feedForward: dense() },
      { mixers: [mamba2({ norm: 'none', groups: 3, heads: 3 })], feedForward: null },
    ]),
    options: { recompute: true },
  },
  'attention, grouped heads': { spec: model([{ mixers: [attention()], feedForward: dense() }]) },
  'attention with rotary positions and head norms': {
    spec: model([
      {
        mixers: [attention({ rope, headNorms: 'perHead', inputBias: false, outputBias: false })],
        feedForward: null,
      },
    ]),
  },
  'norms on the results only, over all heads of q and k, a scaled head': {
    spec: model(
      [
        { mixers: [attention({ headNorms: 'whole', rope })], feedForward: dense(), norms: 'after' },
        { mixers: [mamba(), attention({ window: 3 })], feedForward: null, norms: 'after' },
      ],
      { logitScale: 0.3 },
    ),
  },
  'zero-centred norms before and after, a scaled residual': {
    spec: model(
      [
        { mixers: [attention({ headNorms: 'perHead' })], feedForward: dense(), norms: 'both' },
        { mixers: [mamba(), attention()], feedForward: null, norms: 'both' },
        { mixers: [], feedForward: dense() },
      ],
      { normOffset: 1, residualScale: 0.4, embeddingScale: 3, normEpsilon: 0.01 },
    ),
  },
  'sinks in all heads, with and without a window': {
    spec: model([
      { mixers: [attention({ sinks: true })], feedForward: null },
      { mixers: [attention({ sinks: true, window: 3, rope })], feedForward: dense() },
    ]),
  },
  'norms on results, values computed again': {
    spec: model([{ mixers: [attention()], feedForward: dense(), norms: 'both' }], { tiedHead: true }),
    options: { recompute: true },
  },
  'window of 3, odd heads': {
    spec: model([
      {
        mixers: [attention({ window: 3, heads: 3, kvHeads: 1, headSize: 7 })],
        feedForward: dense({ bias: false }),
      },
    ]),
  },
  'gated DeltaNet, two value heads per key head': {
    spec: model([{ mixers: [deltaNet()], feedForward: dense({ bias: false }) }]),
  },
  'gated DeltaNet, tiled, three value heads per key head': {
    spec: model(
      [{ mixers: [deltaNet({ valueHeads: 6, tiled: true, keySize: 4, valueSize: 2 })], feedForward: null }],
      {
        tiedHead: true,
      },
    ),
  },
  'gated DeltaNet and gated attention, zero-centred norms, values computed again': {
    spec: model(
      [
        { mixers: [deltaNet({ keyHeads: 1, valueHeads: 3, valueSize: 9 })], feedForward: dense() },
        {
          mixers: [attention({ rope: { ...rope, rotary: 2 }, headNorms: 'perHead', outputGate: true })],
          feedForward: experts({ renormalize: 0 }),
        },
      ],
      { normOffset: 1 },
    ),
    options: { recompute: true },
  },
  'gelu by tanh and by erf': {
    spec: model(
      [
        { mixers: [attention()], feedForward: dense({ activation: 'gelu_tanh' }) },
        { mixers: [attention()], feedForward: dense({ activation: 'gelu' }) },
      ],
      { embeddingScale: 2 },
    ),
  },
  'gates by sigmoid, by ReLU and by nothing': {
    spec: model([
      { mixers: [], feedForward: dense({ activation: 'sigmoid' }) },
      { mixers: [], feedForward: dense({ activation: 'relu' }) },
      { mixers: [attention()], feedForward: dense({ activation: 'none' }) },
    ]),
  },
  'experts with load balancing': {
    spec: model([
      { mixers: [mamba()], feedForward: experts() },
      { mixers: [attention()], feedForward: experts() },
    ]),
    options: { balanceLoss: 0.5 },
  },
  'renormalised experts': {
    spec: model([{ mixers: [attention()], feedForward: experts({ renormalize: 0, count: 4 }) }]),
  },
  'experts by sigmoid, a bias for the choice, two of three groups, renormalised and scaled': {
    spec: model([
      {
        mixers: [attention()],
        feedForward: experts({
          score: 'sigmoid',
          choiceBias: true,
          routerBias: true,
          count: 6,
          groupCount: 3,
          groupsUsed: 2,
          renormalize: 0.25,
          weightScale: 2.5,
        }),
      },
      { mixers: [], feedForward: experts({ score: 'sigmoid', weightScale: 0.7 }) },
    ]),
    options: { balanceLoss: 0.5 },
  },
  'softmax and a bias for the choice, renormalised over more than the sum, a shared expert with a gate': {
    spec: model([
      {
        mixers: [attention()],
        feedForward: experts({
          choiceBias: true,
          renormalize: 0.25,
          weightScale: 1.5,
          shared: { size: 9, gate: true },
        }),
      },
      { mixers: [], feedForward: experts({ shared: { size: 14, gate: false } }) },
    ]),
    options: { balanceLoss: 0.5 },
  },
  'the squared ReLU: dense, and experts beside a shared one': {
    spec: model([
      { mixers: [attention()], feedForward: dense({ gated: false, activation: 'relu' }) },
      {
        mixers: [],
        feedForward: experts({
          gated: false,
          activation: 'relu',
          score: 'sigmoid',
          choiceBias: true,
          renormalize: 1e-20,
          shared: { size: 14, gate: false },
        }),
      },
    ]),
  },
  'mixers side by side on one norm, then feed-forwards alone': {
    spec: model([
      { mixers: [mamba(), attention({ rope }), { kind: 'ema', innerSize: 9 }], feedForward: null },
      { mixers: [], feedForward: dense() },
      { mixers: [], feedForward: experts() },
    ]),
    options: { balanceLoss: 0.1 },
  },
  'mixers side by side, values computed again': {
    spec: model([
      { mixers: [mamba(), attention()], feedForward: dense() },
      { mixers: [{ kind: 'ema', innerSize: 9 }, attention({ window: 3 })], feedForward: null },
    ]),
    options: { recompute: true },
  },
  'a hybrid, values computed again': {
    spec: model(
      [
        { mixers: [mamba()], feedForward: experts() },
        { mixers: [attention({ rope })], feedForward: dense() },
        { mixers: [mamba()], feedForward: null },
      ],
      { tiedHead: true },
    ),
    options: { recompute: true, balanceLoss: 0.1 },
  },
};

for (const [name, { spec, options }] of Object.entries(MODELS)) {
  describe(`gradient: ${name}`, () => {
    it('equals central differences for every tensor', async () => {
      const batch = randomBatch(spec.vocabularySize, [7, 1, 11, 2], 3);
      const runtime = await TrainingRuntime.create(spec, new DoubleBackend(), {
        maxTokens: batch.tokens.length,
        ...options,
      });
      randomWeights(runtime.store, 5);
      const loss = async () => {
        const report = await runtime.gradients([batch]);
        return report.loss + report.balanceLoss;
      };
      await loss();
      const gradients = runtime.store.list.map((parameter) => runtime.store.read(parameter, 'gradients'));
      const random = createRandom(11);
      for (const [i, parameter] of runtime.store.list.entries()) {
        const values = runtime.store.read(parameter);
        const scale = Math.max(...gradients[i]!.map(Math.abs));
        if (parameter.untrained) {
          assert.equal(scale, 0, `${parameter.layer}.${parameter.role}: expected no gradient`);
          continue;
        }
        assert.ok(scale > 0, `${parameter.layer}.${parameter.role}: the gradient is zero`);
        for (let n = 0; n < PER_TENSOR; n++) {
          const at = Math.floor(random() * values.length);
          const moved = async (by: number) => {
            runtime.store.write(
              parameter,
              values.map((v, k) => (k === at ? v + by : v)),
            );
            return loss();
          };
          const expected = ((await moved(STEP)) - (await moved(-STEP))) / (2 * STEP);
          const difference = Math.abs(gradients[i]![at]! - expected);
          assert.ok(
            difference <= 2e-5 * scale + 2e-7,
            `${parameter.layer}.${parameter.role}[${at}]: expected ${expected}, found ${gradients[i]![at]}`,
          );
        }
        runtime.store.write(parameter, values);
      }
    });
  });
}

it('micro-batches add up to the gradient of one batch', async () => {
  const spec = model([{ mixers: [mamba()], feedForward: dense() }]);
  const batches = [randomBatch(37, [5, 4], 1), randomBatch(37, [6], 2)];
  const [a, b] = batches as [(typeof batches)[0], (typeof batches)[0]];
  const whole = {
    sequences: 1,
    length: 15,
    tokens: Uint32Array.of(...a.tokens, ...b.tokens),
    targets: Int32Array.of(...a.targets, ...b.targets),
    documentStarts: Uint32Array.of(0, 5, 9),
  };
  const gradientOf = async (list: typeof batches) => {
    const runtime = await TrainingRuntime.create(spec, new DoubleBackend(), { maxTokens: 15 });
    randomWeights(runtime.store, 5);
    const { loss } = await runtime.gradients(list);
    return { loss, values: [...runtime.store.block('gradients')] };
  };
  const parts = await gradientOf(batches);
  const one = await gradientOf([whole]);
  // 1 / targets is f32 in the plan, but the same for both.
  assert.ok(Math.abs(parts.loss - one.loss) < 1e-9);
  parts.values.forEach((v, i) => assert.ok(Math.abs(v - one.values[i]!) < 1e-9, `gradient ${i}`));
});

it('a scaled residual is the model whose parts end in scaled products, a logit scale one with another head', async () => {
  const layer: LayerSpec = {
    mixers: [attention({ outputBias: false })],
    feedForward: dense({ bias: false }),
  };
  const scales = { residualScale: 0.25, logitScale: 0.5, embeddingScale: 3 };
  const batch = randomBatch(37, [7, 1, 5], 3);
  const lossOf = async (changes: Partial<ModelSpec>, factors: Readonly<Record<string, number>>) => {
    // A large epsilon: it does not follow the factor by itself.
    const spec = model([layer, layer], { embeddingScale: 3, normEpsilon: 0.5, ...changes });
    const runtime = await TrainingRuntime.create(spec, new DoubleBackend(), { maxTokens: 13 });
    randomWeights(runtime.store, 5);
    for (const parameter of runtime.store.list) {
      const factor = factors[parameter.role] ?? 1;
      const values = runtime.store.read(parameter);
      runtime.store.write(
        parameter,
        values.map((v) => v * factor),
      );
    }
    return (await runtime.gradients([batch])).loss;
  };
  const scaled = await lossOf(scales, {});
  const folded = await lossOf({}, { o: 0.25, down: 0.25, head: 0.5 });
  const plain = await lossOf({}, {});
  assert.ok(Math.abs(scaled - folded) < 1e-9, `expected ${folded}, found ${scaled}`);
  assert.ok(Math.abs(scaled - plain) > 1e-3);
});
