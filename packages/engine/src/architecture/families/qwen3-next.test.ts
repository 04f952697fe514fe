// Qwen3-Next and Qwen 3.5: what configurations and metadata say, and what is refused. (Files that are written
// are compared with the converter's in test/gguf-export.test.ts.)
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ModelError } from '../../errors.ts';
import { ggufForm } from '../../export/gguf-architecture.ts';
import { ConfigReader } from '../../formats/config-reader.ts';
import type { MetadataValue } from '../../formats/gguf-values.ts';
import type { JsonObject } from '../../formats/types.ts';
import { allOfKind, layerStrip, type ModelSpec } from '../spec.ts';
import { qwen3Next, qwen35 } from './qwen3-next.ts';

/** Three value heads per key head, an order that begins with attention, keys and values of the same size. */
const CONFIG: JsonObject = {
  model_type: 'qwen3_5_text',
  vocab_size: 96,
  hidden_size: 36,
  intermediate_size: 52,
  num_hidden_layers: 4,
  layer_types: ['full_attention', 'linear_attention', 'full_attention', 'linear_attention'],
  num_attention_heads: 3,
  num_key_value_heads: 1,
  head_dim: 20,
  linear_num_key_heads: 2,
  linear_num_value_heads: 6,
  linear_key_head_dim: 12,
  linear_value_head_dim: 12,
  linear_conv_kernel_dim: 3,
  eos_token_id: [2, 5],
  rope_parameters: { rope_theta: 10_000, partial_rotary_factor: 0.5, mrope_section: [2, 2, 1] },
};

const EXPERTS: JsonObject = {
  num_experts: 5,
  num_experts_per_tok: 3,
  moe_intermediate_size: 20,
  shared_expert_intermediate_size: 28,
};

const read = (config: JsonObject): ModelSpec =>
  (config.model_type === 'qwen3_next' ? qwen3Next : qwen35).fromHuggingFace(
    ConfigReader.ofJson('config.json', config),
  );

const named = (field: string) => (error: unknown) => {
  assert.ok(error instanceof ModelError);
  assert.match(error.message, new RegExp(`\\b${field}: expected`));
  return true;
};

describe('config.json of Qwen 3.5 and Qwen3-Next', () => {
  it('reads sizes, the order of layers and half-rotating heads', () => {
    const spec = read(CONFIG);
    assert.equal(layerStrip(spec), 'ADAD');
    assert.equal(spec.normOffset, 1);
    assert.deepEqual(spec.endTokens, [2, 5]);
    const [attention] = allOfKind(spec.layers, 'attention');
    assert.deepEqual(attention?.rope, { theta: 10_000, rotary: 10, scaling: null });
    assert.ok(attention?.outputGate && attention.headNorms === 'perHead');
    const yarn = { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 256 };
    const long = read({
      ...CONFIG,
      rope_parameters: { ...yarn, rope_theta: 1e6, partial_rotary_factor: 0.5 },
    });
    const [{ rope } = {}] = allOfKind(long.layers, 'attention');
    assert.deepEqual([rope?.rotary, rope?.scaling?.kind], [10, 'yarn']);
  });

  it('reads the text model inside one with vision', () => {
    const { eos_token_id, ...text } = CONFIG;
    const outer = { model_type: 'qwen3_5', text_config: text, tie_word_embeddings: true, eos_token_id };
    const expected = { ...read(CONFIG), name: 'qwen3_5', tiedHead: true };
    assert.deepEqual(read(outer), expected);
  });

  it('takes every fourth layer for attention where no list says otherwise, or another interval', () => {
    const { layer_types: _, ...rest } = CONFIG;
    assert.equal(layerStrip(read({ ...rest, num_hidden_layers: 9 })), 'DDDADDDAD');
    assert.equal(layerStrip(read({ ...rest, full_attention_interval: 2 })), 'DADA');
  });

  it('leaves layers of Qwen3-Next dense as mlp_only_layers and decoder_sparse_step say', () => {
    const next = { ...CONFIG, ...EXPERTS, model_type: 'qwen3_next' };
    assert.equal(layerStrip(read({ ...next, mlp_only_layers: [1] })), 'AeDAeDe');
    assert.equal(layerStrip(read({ ...next, decoder_sparse_step: 2 })), 'ADeADe');
    assert.equal(layerStrip(read({ ...next, num_experts: 0 })), 'ADAD');
    const renormalize = (config: JsonObject) =>
      allOfKind(read(config).layers, 'experts').map((experts) => experts.renormalize);
    assert.deepEqual(renormalize({ ...next, norm_topk_prob: false }), [null, null, null, null]);
    assert.deepEqual(renormalize({ ...next, model_type: 'qwen3_5_moe_text' }), [0, 0, 0, 0]);
  });

  it('refuses by name what changes numbers and is not computed', () => {
    const refused: readonly [string, JsonObject][] = [
      ['hidden_act', { hidden_act: 'gelu' }],
      ['attention_bias', { attention_bias: true }],
      ['attn_output_gate', { attn_output_gate: false }],
      ['layer_types', { layer_types: ['sliding_attention', 'x', 'x', 'x'] }],
      ['layer_types', { num_hidden_layers: 5 }],
      ['linear_num_value_heads', { linear_num_value_heads: 5 }],
      ['num_key_value_heads', { num_key_value_heads: 2 }],
      ['rope_type', { rope_parameters: { rope_type: 'longrope', rope_theta: 1e6, factor: 4 } }],
      ['type', { rope_parameters: null, rope_scaling: { type: 'dynamic', factor: 4 } }],
      ['partial_rotary_factor', { rope_parameters: { partial_rotary_factor: 0.27, rope_theta: 1e4 } }],
    ];
    for (const [field, change] of refused)
      assert.throws(() => read({ ...CONFIG, ...change }), named(field), JSON.stringify(change));
  });
});

describe('GGUF of Qwen 3.5 and Qwen3-Next', () => {
  const metadata = (more: Record<string, MetadataValue> = {}): Map<string, MetadataValue> =>
    new Map(
      Object.entries({
        block_count: 5,
        'attention.layer_norm_rms_epsilon': 1e-6,
        embedding_length: 36,
        feed_forward_length: 52,
        'attention.head_count': 3,
        'attention.head_count_kv': 1,
        'attention.key_length': 20,
        'rope.dimension_count': 10,
        'ssm.conv_kernel': 4,
        'ssm.inner_size': 72,
        'ssm.state_size': 12,
        'ssm.group_count': 2,
        'ssm.time_step_rank': 6,
        full_attention_interval: 2,
        ...more,
      }).map(([key, value]) => [`qwen35.${key}`, value]),
    );
  const fromGguf = (more: Record<string, MetadataValue>) =>
    qwen35.fromGguf(ConfigReader.ofMetadata('m.gguf', metadata(more)), 'qwen35', (name) =>
      name === 'token_embd.weight' ? [96, 36] : undefined,
    );

  it('takes the list of recurrent layers before the interval, and leaves out blocks that predict further', () => {
    assert.equal(layerStrip(fromGguf({})), 'DADAD');
    assert.equal(layerStrip(fromGguf({ nextn_predict_layers: 2 })), 'DAD');
    const list = [false, true, true, true, false];
    assert.equal(
      layerStrip(fromGguf({ 'attention.recurrent_layers': list, nextn_predict_layers: 1 })),
      'ADDD',
    );
    assert.throws(
      () => fromGguf({ 'attention.recurrent_layers': [true] }),
      named('qwen35.attention.recurrent_layers'),
    );
  });

  it('pairs tiled value heads, and has the same order where there is one per key head', () => {
    const tiled = (more: Record<string, MetadataValue>) =>
      allOfKind(fromGguf(more).layers, 'deltaNet')[0]?.tiled;
    assert.equal(tiled({}), true);
    assert.equal(tiled({ 'ssm.time_step_rank': 2 }), false);
  });

  it('chooses the architecture by the layers and refuses what none says', () => {
    const form = (config: JsonObject) => ggufForm(read(config), 'm').architecture;
    assert.equal(form(CONFIG), 'qwen35');
    const moe = { ...CONFIG, ...EXPERTS };
    assert.equal(form({ ...moe, model_type: 'qwen3_5_moe_text' }), 'qwen35moe');
    assert.equal(form({ ...moe, model_type: 'qwen3_next' }), 'qwen3next');
    const refused = (change: JsonObject, reason: RegExp) =>
      assert.throws(() => form({ ...moe, model_type: 'qwen3_next', ...change }), reason);
    refused({ linear_value_head_dim: 20 }, /values of 20 channels for keys of 12/);
    refused({ mlp_only_layers: [0] }, /no experts in layer 0/);
    refused({ norm_topk_prob: false }, /renormalize null/);
  });
});
