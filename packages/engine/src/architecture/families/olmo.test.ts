// The spellings of OLMo's configurations, as transformers reads them, and what a GGUF file can say.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigReader } from '../../formats/config-reader.ts';
import type { JsonObject } from '../../formats/types.ts';
import { allOfKind, type ModelSpec } from '../spec.ts';
import { olmo } from './olmo.ts';

const SIZES: JsonObject = {
  model_type: 'olmo3',
  vocab_size: 50,
  hidden_size: 32,
  intermediate_size: 48,
  num_attention_heads: 4,
  num_hidden_layers: 5,
  sliding_window: 8,
};
const YARN = { rope_type: 'yarn', factor: 8, original_max_position_embeddings: 64 };

const read = (fields: JsonObject): ModelSpec =>
  olmo.fromHuggingFace(ConfigReader.ofJson('config.json', { ...SIZES, ...fields }));
const attention = (fields: JsonObject) => allOfKind(read(fields).layers, 'attention');
const misfit = (fields: JsonObject) => olmo.gguf[0]!.write!.misfit(read(fields));

describe('OLMo', () => {
  it('has windows in three layers of four of OLMo 3, where nothing else is said, and none in OLMo 2', () => {
    const windows = (fields: JsonObject) => attention(fields).map(({ window }) => window);
    assert.deepEqual(windows({}), [8, 8, 8, null, 8]);
    const layer_types = Array.from({ length: 5 }, (_, i) => (i ? 'full_attention' : 'sliding_attention'));
    assert.deepEqual(windows({ layer_types }), [8, null, null, null, null]);
    assert.deepEqual(windows({ model_type: 'olmo2' }), Array(5).fill(null));
  });

  it('stretches layers without a window alone, in both spellings', () => {
    const before = attention({ rope_theta: 500_000, rope_scaling: YARN }).map(({ rope }) => rope);
    const since = attention({
      rope_parameters: {
        full_attention: { rope_theta: 500_000, ...YARN },
        sliding_attention: { rope_theta: 500_000, rope_type: 'default' },
      },
    }).map(({ rope }) => rope);
    assert.deepEqual(since, before);
    assert.equal(before[0]!.scaling, null);
    assert.deepEqual(before[3]!.scaling, {
      kind: 'yarn',
      factor: 8,
      originalContextLength: 64,
      betaFast: 32,
      betaSlow: 1,
      truncate: true,
      attentionFactor: 0.1 * Math.log(8) + 1,
    });
  });

  it('is written as GGUF, unless YaRN has numbers that no key says', () => {
    assert.equal(misfit({}), null);
    assert.equal(misfit({ model_type: 'olmo2', rope_theta: 500_000 }), null);
    assert.equal(misfit({ rope_scaling: YARN }), null);
    const other = { ...YARN, attention_factor: 1.5 };
    assert.match(`${misfit({ rope_scaling: other })}`, /attention factor 1.5 in layer 3/);
    assert.match(`${misfit({ rope_scaling: { ...YARN, truncate: false } })}`, /truncated in layer 3/);
    assert.match(`${misfit({ attention_bias: true })}`, /inputBias/);
  });
});
