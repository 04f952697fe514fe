// The spellings of LFM2's configurations, as transformers reads them, and what a GGUF file can say.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigReader } from '../../formats/config-reader.ts';
import type { MetadataValue } from '../../formats/gguf-values.ts';
import type { JsonObject } from '../../formats/types.ts';
import { allOfKind, layerStrip, type ModelSpec } from '../spec.ts';
import { lfm2 } from './lfm2.ts';

const SIZES: JsonObject = {
  model_type: 'lfm2',
  vocab_size: 50,
  hidden_size: 32,
  block_ff_dim: 6656,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  num_hidden_layers: 4,
  full_attn_idxs: [1, 3],
};
const read = (fields: JsonObject): ModelSpec =>
  lfm2.fromHuggingFace(ConfigReader.ofJson('config.json', { ...SIZES, ...fields }));
const size = (fields: JsonObject) => read(fields).layers[0]!.feedForward!.size;
const experts = (fields: JsonObject) =>
  allOfKind(read({ model_type: 'lfm2_moe', intermediate_size: 90, ...fields }).layers, 'experts');

describe('configurations of LFM2', () => {
  it('adjust the size of the feed-forward as they say', () => {
    assert.equal(size({}), 4608);
    assert.equal(size({ block_auto_adjust_ff_dim: false }), 6656);
    assert.equal(size({ block_ffn_dim_multiplier: 1.5, block_multiple_of: 10 }), 6660);
    assert.equal(size({ block_ffn_dim_multiplier: null }), 4437);
    assert.equal(size({ block_ff_dim: null, intermediate_size: 12_288 }), 8192);
  });

  it('list layers by type, or the attention layers by index', () => {
    assert.equal(layerStrip(read({})), 'CACA');
    assert.equal(layerStrip(read({ layer_types: ['full_attention', 'conv', 'conv', 'conv'] })), 'ACCC');
    assert.equal(layerStrip(read({ full_attn_idxs: null })), 'AAAA');
    assert.throws(
      () => read({ full_attn_idxs: [1, 4] }),
      /full_attn_idxs: expected a list of layers below 4/,
    );
    assert.throws(() => read({ layer_types: ['conv', 'mamba', 'conv', 'conv'] }), /layer_types/);
  });

  it('have two spellings of epsilon, base and tied head', () => {
    const plain = read({});
    assert.deepEqual([plain.normEpsilon, plain.tiedHead], [1e-5, true]);
    const old = read({ block_norm_eps: 1e-3, theta: 500, tie_embedding: false, tie_word_embeddings: true });
    assert.deepEqual([old.normEpsilon, old.tiedHead], [1e-3, false]);
    assert.equal(allOfKind(old.layers, 'attention')[0]!.rope!.theta, 500);
    const rope_parameters = { rope_type: 'default', rope_theta: 700 };
    assert.equal(allOfKind(read({ rope_parameters }).layers, 'attention')[0]!.rope!.theta, 700);
  });

  it('that change numbers in other ways are refused by name', () => {
    for (const [field, value] of Object.entries({
      block_use_swiglu: false,
      use_pos_enc: false,
      sliding_window: 8,
      rope_parameters: { rope_type: 'default', rope_theta: 1e6, partial_rotary_factor: 0.5 },
      rope_scaling: { rope_type: 'yarn', factor: 4 },
    }))
      assert.throws(() => read({ [field]: value }), new RegExp(field));
  });

  it('of MoE models say how experts are weighed', () => {
    const [plain, ...rest] = experts({});
    assert.equal(rest.length, 1);
    assert.deepEqual(
      [plain!.count, plain!.topK, plain!.size, plain!.score, plain!.choiceBias],
      [32, 4, 1792, 'sigmoid', true],
    );
    assert.deepEqual([plain!.renormalize, plain!.weightScale], [1e-6, 1]);
    const other = experts({ norm_topk_prob: false, use_expert_bias: false, num_dense_layers: 0 });
    assert.deepEqual([other.length, other[0]!.renormalize, other[0]!.choiceBias], [4, null, false]);
    assert.throws(() => experts({ num_experts: 3, num_experts_per_tok: 4 }), /num_experts_per_tok/);
  });
});

describe('GGUF files of LFM2', () => {
  const metadata = new Map<string, MetadataValue>([
    ['lfm2.block_count', 2],
    ['lfm2.attention.layer_norm_rms_epsilon', 1e-5],
    ['lfm2.embedding_length', 32],
    ['lfm2.feed_forward_length', 48],
    ['lfm2.attention.head_count', 4],
    ['lfm2.attention.head_count_kv', [0, 2]],
    ['lfm2.shortconv.l_cache', 3],
  ]);
  const shapes: Record<string, number[]> = {
    'token_embd.weight': [50, 32],
    'blk.1.ffn_gate.weight': [40, 32],
  };
  const open = (more: Record<string, MetadataValue> = {}, tensors = shapes) =>
    lfm2.fromGguf(
      ConfigReader.ofMetadata('file', new Map([...metadata, ...Object.entries(more)])),
      'lfm2',
      (name) => tensors[name],
    );

  it('have the sizes of their tensors, whatever the metadata say', () => {
    assert.deepEqual(
      open().layers.map(({ feedForward }) => feedForward!.size),
      [48, 40],
    );
    assert.equal(layerStrip(open()), 'CA');
    assert.equal(layerStrip(open({ 'lfm2.attention.sliding_window': 9 })), 'CW');
  });

  it('of embedding models are refused', () => {
    assert.throws(() => open({ 'lfm2.attention.causal': false }), /causal.*Embedding models/);
    assert.throws(() => open({}, { ...shapes, 'dense_2.weight': [8, 32] }), /dense_2.*Embedding models/);
    assert.throws(() => open({ 'lfm2.attention.head_count_kv': [0, 3] }), /divisors of head_count 4/);
  });

  it('are written of models that they can say', () => {
    const misfit = (fields: JsonObject) => lfm2.gguf[0]!.write!.misfit(read(fields));
    assert.equal(misfit({}), null);
    assert.match(misfit({ conv_bias: true })!, /bias true/);
    assert.match(misfit({ full_attn_idxs: [] })!, /no attention/);
    assert.match(misfit({ head_dim: 16 })!, /headSize 16/);
    const routed = (fields: JsonObject) =>
      lfm2.gguf[1]!.write!.misfit(read({ model_type: 'lfm2_moe', intermediate_size: 90, ...fields }));
    assert.equal(routed({}), null);
    assert.match(routed({ routed_scaling_factor: 1.5 })!, /weightScale 1.5/);
    assert.match(routed({ use_expert_bias: false })!, /choiceBias false/);
  });
});
