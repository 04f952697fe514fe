// The spellings of one thing in Llama-style config.json files, as transformers reads them.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { ConfigReader } from '../../formats/config-reader.ts';
import type { JsonObject } from '../../formats/types.ts';
import type { AttentionSpec } from '../../layers/attention.ts';
import { ropeAttentionScale, ropeInverseFrequencies } from '../../layers/rope.ts';
import { allOfKind } from '../spec.ts';
import { llama } from './llama.ts';

const SIZES: JsonObject = {
  vocab_size: 50,
  hidden_size: 32,
  intermediate_size: 48,
  num_attention_heads: 4,
  num_hidden_layers: 3,
};

/** The attention of each layer. */
function mixers(type: string, fields: JsonObject): AttentionSpec[] {
  const spec = llama.fromHuggingFace(
    ConfigReader.ofJson('config.json', { ...SIZES, model_type: type, ...fields }),
  );
  const found = allOfKind(spec.layers, 'attention');
  assert.equal(found.length, spec.layers.length);
  return [...found];
}
const windows = (type: string, fields: JsonObject) => mixers(type, fields).map((m) => m.window);

describe('rotary positions', () => {
  const scaling = {
    rope_type: 'llama3',
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 64,
  };

  it('takes every spelling as transformers does', () => {
    const file = new URL('../../../../../fixtures/configs/rope.json', import.meta.url);
    const { cases } = JSON.parse(readFileSync(file, 'utf8')) as {
      cases: { config: JsonObject; inverseFrequencies: number[]; attentionScale: number }[];
    };
    assert.ok(cases.length > 20);
    for (const { config, inverseFrequencies, attentionScale } of cases) {
      const sizes = { hidden_size: 64, max_position_embeddings: 512 };
      const { rope } = mixers('llama', { ...sizes, ...config })[0]!;
      const found = ropeInverseFrequencies(rope!, null);
      const close = (x: number, y: number) => Math.abs(x - y) <= 1e-6 * Math.max(y, 0.01);
      assert.ok(
        inverseFrequencies.every((value, i) => close(found[i]!, value)),
        JSON.stringify(config),
      );
      assert.ok(close(ropeAttentionScale(rope!), attentionScale), JSON.stringify(config));
    }
  });

  it('reads rope_parameters, which transformers 5 writes, like rope_theta and rope_scaling', () => {
    const before = mixers('llama', { rope_theta: 500_000, rope_scaling: scaling });
    const since = mixers('llama', { rope_parameters: { rope_theta: 500_000, ...scaling } });
    assert.equal(before[0]!.rope!.theta, 500_000);
    assert.equal(before[0]!.rope!.scaling!.kind, 'llama3');
    assert.deepEqual(since, before);
  });

  it('refuses a scaling that it does not know, in either place', () => {
    const dynamic = { rope_type: 'dynamic', factor: 4 };
    assert.throws(() => mixers('qwen3', { rope_scaling: dynamic }), /rope_scaling: rope_type: .*"dynamic"/);
    assert.throws(
      () => mixers('qwen3', { rope_parameters: dynamic }),
      /rope_parameters: rope_type: .*"dynamic"/,
    );
  });
});

describe('windows', () => {
  it('cover every Mistral layer, and none when sliding_window is null', () => {
    assert.deepEqual(windows('mistral', { sliding_window: 16 }), [16, 16, 16]);
    assert.deepEqual(windows('mistral', { sliding_window: null }), [null, null, null]);
  });

  it('cover the Qwen layers from max_window_layers on, and only when switched on', () => {
    for (const type of ['qwen2', 'qwen3']) {
      const fields = { sliding_window: 16, max_window_layers: 2 };
      assert.deepEqual(windows(type, { ...fields, use_sliding_window: true }), [null, null, 16]);
      assert.deepEqual(windows(type, { ...fields, use_sliding_window: false }), [null, null, null]);
      assert.deepEqual(windows(type, fields), [null, null, null]);
    }
  });

  it('follow layer_types where the config has it', () => {
    const layer_types = ['sliding_attention', 'full_attention', 'sliding_attention'];
    assert.deepEqual(windows('qwen3', { use_sliding_window: true, sliding_window: 8, layer_types }), [
      8,
      null,
      8,
    ]);
    assert.throws(() => windows('qwen3', { layer_types }), /layer_types: .*sliding_window/);
  });

  it('do not exist in Llama', () =>
    assert.deepEqual(windows('llama', { sliding_window: 16 }), [null, null, null]));
});
