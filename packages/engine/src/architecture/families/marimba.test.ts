// Layer lists in this project's own form: what they can say, and what is refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ModelError } from '../../errors.ts';
import { ConfigReader } from '../../formats/config-reader.ts';
import type { Checkpoint } from '../../formats/types.ts';
import { stateLayout } from '../../state/state-layout.ts';
import { neededWeights } from '../../weights/weights.ts';
import { layerStrip } from '../spec.ts';
import { readSpec } from './index.ts';
import { marimba } from './marimba.ts';

const SIZES = {
  model_type: 'marimba',
  vocab_size: 50,
  hidden_size: 32,
  intermediate_size: 48,
  num_attention_heads: 4,
  sliding_window: 8,
  num_experts: 3,
};
const read = (layers: unknown, forwards?: unknown) =>
  marimba.fromHuggingFace(
    ConfigReader.ofJson('config.json', {
      ...SIZES,
      layer_types: layers as never,
      ...(forwards === undefined ? {} : { feed_forward_types: forwards as never }),
    }),
  );

test('one mixer, several side by side, or none; a feed-forward, experts, or none', () => {
  const spec = read(
    ['mamba', 'full_attention+mamba', 'none', 'sliding_attention', 'none', 'ema'],
    ['dense', 'none', 'dense', 'experts', 'experts', 'none'],
  );
  assert.equal(layerStrip(spec), 'M(AM)-We-eV');
  const rolesOf = (layer: number) => neededWeights(spec).flatMap((w) => (w.layer === layer ? w.role : []));
  const norms = (layer: number) => rolesOf(layer).filter((role) => /^(input|feedForward)Norm$/.test(role));
  assert.deepEqual(norms(0), ['inputNorm', 'feedForwardNorm']);
  assert.deepEqual(norms(1), ['inputNorm'], 'one norm for both mixers');
  assert.ok(rolesOf(1).includes('q') && rolesOf(1).includes('inProj'));
  assert.deepEqual(rolesOf(2), ['feedForwardNorm', 'gate', 'up', 'down']);
});

test('mixers side by side carry a state each', () => {
  const layout = stateLayout(read(['mamba', 'mamba+full_attention', 'ema+mamba']), 'f16');
  assert.deepEqual(
    [layout.part(1, 0).cache, layout.part(1, 1).cache?.group, Object.keys(layout.part(1, 1).offsets)],
    [null, 0, []],
  );
  const offsets = [layout.part(0, 0), layout.part(1, 0), layout.part(2, 0), layout.part(2, 1)].flatMap(
    (part) => Object.values(part.offsets),
  );
  assert.equal(offsets.length, 7);
  assert.deepEqual(
    offsets.toSorted((a, b) => a - b),
    offsets,
  );
  assert.equal(new Set(offsets).size, 7);
});

test('takes no notice of the sizes of kinds that no layer has', () => {
  const config = { ...SIZES, layer_types: ['full_attention'], mamba_proj_bias: true };
  const checkpoint = {
    kind: 'huggingface',
    name: 'x',
    config,
    generationConfig: null,
    tensors: new Map(),
  } as unknown as Checkpoint;
  assert.equal(layerStrip(readSpec(checkpoint).spec), 'A');
});

test('refuses what it cannot mean', () => {
  const refused = (layers: unknown, message: RegExp, forwards?: unknown) =>
    assert.throws(
      () => neededWeights(read(layers, forwards)),
      (error) => error instanceof ModelError && message.test(error.message),
      `${layers}`,
    );
  refused(['lstm'], /layer_types: expected entries among mamba, .*full_attention, .*found "lstm"/);
  refused(['mamba+mamba'], /found "mamba\+mamba"/);
  refused(['mamba+none'], /found "mamba\+none"/);
  refused(
    ['full_attention+sliding_attention'],
    /mixers of different kinds side by side, found two with a weight q/,
  );
  refused([3], /found 3/);
  refused([], /a list with one entry per layer/);
  refused(['mamba', 'mamba'], /2 entries, one per layer, found "1 entries"/, ['dense']);
  refused(['mamba'], /one word per layer, found "dense\+experts"/, ['dense+experts']);
});
