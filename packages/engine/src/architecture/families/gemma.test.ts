// The spellings of Gemma 3's configurations, as transformers reads them, and what a GGUF file can say.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ModelError } from '../../errors.ts';
import { ConfigReader } from '../../formats/config-reader.ts';
import type { MetadataValue } from '../../formats/gguf-values.ts';
import type { JsonObject } from '../../formats/types.ts';
import type { AttentionSpec } from '../../layers/attention.ts';
import { allOfKind, type ModelSpec } from '../spec.ts';
import { gemma } from './gemma.ts';

const SIZES: JsonObject = {
  model_type: 'gemma3_text',
  vocab_size: 50,
  hidden_size: 32,
  intermediate_size: 48,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 16,
  num_hidden_layers: 7,
  sliding_window: 8,
};
const read = (fields: JsonObject): ModelSpec =>
  gemma.fromHuggingFace(ConfigReader.ofJson('config.json', { ...SIZES, ...fields }));
const mixers = (spec: ModelSpec): readonly AttentionSpec[] => allOfKind(spec.layers, 'attention');
const windows = (spec: ModelSpec) => mixers(spec).map(({ window }) => window);
const form = gemma.gguf[0]!;
const misfit = (fields: JsonObject) => form.write!.misfit(read(fields));

describe('windows of Gemma 3', () => {
  const six = [8, 8, 8, 8, 8, null, 8];

  it('cover five layers of six, or as the pattern says', () => {
    assert.deepEqual(windows(read({})), six);
    assert.deepEqual(windows(read({ sliding_window_pattern: 3 })), [8, 8, null, 8, 8, null, 8]);
    assert.deepEqual(windows(read({ sliding_window_pattern: 1 })), Array(7).fill(null));
  });

  it('follow layer_types over any pattern', () => {
    const layer_types = Array.from({ length: 7 }, (_, i) => (i ? 'sliding_attention' : 'full_attention'));
    const expected = [null, 8, 8, 8, 8, 8, 8];
    assert.deepEqual(windows(read({ layer_types, _sliding_window_pattern: 6 })), expected);
    assert.deepEqual(windows(read({ layer_types, sliding_window_pattern: 6 })), expected);
    assert.throws(() => read({ layer_types: ['full_attention'] }), /layer_types: expected a list of 7/);
    assert.throws(
      () => read({ layer_types: [...layer_types.slice(1), 'conv'] }),
      /layer_types: .*found "conv"/,
    );
  });

  it('are read from GGUF by list, by distance, or as six', () => {
    const keys = {
      block_count: 7,
      'attention.layer_norm_rms_epsilon': 1e-6,
      embedding_length: 32,
      feed_forward_length: 48,
      'attention.head_count': 4,
      'attention.head_count_kv': 2,
      'attention.key_length': 16,
      'rope.freq_base': 1e6,
    };
    const fromGguf = (more: Readonly<Record<string, MetadataValue>>) => {
      const metadata = new Map<string, MetadataValue>(
        Object.entries({ ...keys, ...more }).map(([key, value]) => [`gemma3.${key}`, value]),
      );
      const shapes = new Map([['token_embd.weight', [50, 32]]]);
      return gemma.fromGguf(ConfigReader.ofMetadata('x.gguf', metadata), 'gemma3', (name) =>
        shapes.get(name),
      );
    };
    const window = { 'attention.sliding_window': 8 };
    const pattern = 'attention.sliding_window_pattern';
    assert.deepEqual(windows(fromGguf(window)), six);
    assert.deepEqual(windows(fromGguf({ ...window, [pattern]: 3 })), [8, 8, null, 8, 8, null, 8]);
    const flags = [true, false, true, true, true, true, false];
    assert.deepEqual(windows(fromGguf({ ...window, [pattern]: flags })), [8, null, 8, 8, 8, 8, null]);
    assert.throws(() => fromGguf({ ...window, [pattern]: [true] }), /7 flags/);
    assert.deepEqual(windows(fromGguf({})), Array(7).fill(null));
    const thetas = mixers(fromGguf(window)).map(({ rope }) => rope!.theta);
    assert.deepEqual(thetas, [1e4, 1e4, 1e4, 1e4, 1e4, 1e6, 1e4]);
    const heads = mixers(fromGguf({ 'attention.head_count_kv': [2, 2, 2, 2, 2, 2, 2] }));
    assert.deepEqual(
      heads.map(({ kvHeads }) => kvHeads),
      Array(7).fill(2),
    );
    assert.throws(() => fromGguf({ final_logit_softcapping: 30 }), /final_logit_softcapping/);
  });
});

describe('rotary positions of Gemma 3', () => {
  const ropes = (fields: JsonObject) => {
    const all = mixers(read(fields));
    return [all[0]!.rope, all[5]!.rope];
  };
  const linear = { kind: 'linear', factor: 8 };

  it('have two bases, and stretch the full layers alone', () => {
    const spelled = {
      rope_theta: 500_000,
      rope_local_base_freq: 5000,
      rope_scaling: { rope_type: 'linear', factor: 8 },
    };
    const expected = [
      { theta: 5000, rotary: 16, scaling: null },
      { theta: 500_000, rotary: 16, scaling: linear },
    ];
    assert.deepEqual(ropes(spelled), expected);
    const since = {
      full_attention: { rope_type: 'linear', factor: 8, rope_theta: 500_000 },
      sliding_attention: { rope_type: 'default', rope_theta: 5000 },
    };
    assert.deepEqual(ropes({ rope_parameters: since }), expected);
  });

  it('take 1e4 and 1e6 where the file is silent, and refuse what they do not know', () => {
    assert.deepEqual(
      ropes({}).map((rope) => rope?.theta),
      [1e4, 1e6],
    );
    assert.throws(() => read({ rope_parameters: { rope_theta: 1e4 } }), /one entry for each type of layer/);
    const full_attention = { rope_type: 'dynamic', factor: 4 };
    assert.throws(() => read({ rope_parameters: { full_attention } }), /rope_type: .*"dynamic"/);
  });
});

describe('configurations of Gemma 3', () => {
  it('may be the text part of a model that sees images, with the defaults of its class', () => {
    const spec = gemma.fromHuggingFace(
      ConfigReader.ofJson('config.json', {
        model_type: 'gemma3',
        eos_token_id: [1, 106],
        text_config: {
          model_type: 'gemma3_text',
          hidden_size: 2560,
          intermediate_size: 10_240,
          num_hidden_layers: 34,
          rope_scaling: { factor: 8, rope_type: 'linear' },
          sliding_window: 1024,
        },
        vision_config: { hidden_size: 1152 },
      }),
    );
    const { heads, kvHeads, headSize, scale, rope } = mixers(spec)[5]!;
    assert.deepEqual([heads, kvHeads, headSize, scale], [8, 4, 256, 1 / 16]);
    assert.deepEqual(rope, { theta: 1e6, rotary: 256, scaling: { kind: 'linear', factor: 8 } });
    assert.deepEqual([spec.vocabularySize, spec.beginToken, spec.endTokens], [262_208, 2, [1, 106]]);
    assert.equal(spec.tiedHead, true);
  });

  it('are refused by name where they change what is computed', () => {
    for (const fields of [
      { attn_logit_softcapping: 50 },
      { final_logit_softcapping: 30 },
      { hidden_activation: 'relu' },
    ])
      assert.throws(
        () => read(fields),
        (error) => error instanceof ModelError && error.message.includes(Object.keys(fields)[0]!),
      );
  });
});

describe('Gemma 3 as GGUF', () => {
  it('holds the released layouts', () => {
    assert.equal(misfit({ query_pre_attn_scalar: 16 }), null);
    const rope_scaling = { rope_type: 'linear', factor: 8 };
    assert.equal(misfit({ query_pre_attn_scalar: 16, rope_scaling }), null);
    assert.equal(misfit({ query_pre_attn_scalar: 16, sliding_window_pattern: 1 }), null);
    // The largest, by its number of layers.
    const largest = { num_hidden_layers: 62, hidden_size: 96, query_pre_attn_scalar: 24 };
    assert.equal(misfit(largest), null);
  });

  it('cannot say other patterns, scales, biases and activations', () => {
    const plain = { query_pre_attn_scalar: 16 };
    assert.match(`${misfit({ ...plain, sliding_window_pattern: 3 })}`, /five of six/);
    assert.match(`${misfit({ query_pre_attn_scalar: 20 })}`, /scale/);
    assert.match(`${misfit({ ...plain, attention_bias: true })}`, /inputBias/);
    assert.match(`${misfit({ ...plain, hidden_activation: 'silu' })}`, /activation/);
  });
});
