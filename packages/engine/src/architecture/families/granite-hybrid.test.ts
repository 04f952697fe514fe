// The spellings of Granite 4.0-H, Bamba and Mamba-2, what is refused by name, and what a GGUF file can say.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ModelError } from '../../errors.ts';
import { ConfigReader } from '../../formats/config-reader.ts';
import type { JsonObject } from '../../formats/types.ts';
import { allOfKind, layerStrip, type ModelSpec } from '../spec.ts';
import { bamba } from './bamba.ts';
import { graniteHybrid } from './granite-hybrid.ts';
import { mamba2 } from './mamba2.ts';

const MIXER: JsonObject = {
  mamba_n_heads: 8,
  mamba_d_state: 12,
  vocab_size: 50,
  hidden_size: 32,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  num_hidden_layers: 3,
};
const granite = (fields: JsonObject): ModelSpec =>
  graniteHybrid.fromHuggingFace(
    ConfigReader.ofJson('config.json', {
      ...MIXER,
      layer_types: ['mamba', 'attention', 'mamba'],
      num_local_experts: 0,
      ...fields,
    }),
  );
const ofBamba = (fields: JsonObject): ModelSpec =>
  bamba.fromHuggingFace(ConfigReader.ofJson('config.json', { ...MIXER, attn_layer_indices: [1], ...fields }));
const ofMamba2 = (fields: JsonObject): ModelSpec =>
  mamba2.fromHuggingFace(
    ConfigReader.ofJson('config.json', {
      vocab_size: 50,
      hidden_size: 32,
      num_hidden_layers: 2,
      num_heads: 8,
      head_dim: 8,
      n_groups: 2,
      ...fields,
    }),
  );
const mixer = (spec: ModelSpec) => allOfKind(spec.layers, 'mamba2')[0]!;
const attention = (spec: ModelSpec) => allOfKind(spec.layers, 'attention')[0]!;
const refused = (make: () => unknown, message: RegExp) =>
  assert.throws(make, (error: Error) => error instanceof ModelError && message.test(error.message));

describe('Granite 4.0-H', () => {
  it('lists its layers in the words of released files, of transformers 5, or under the older name', () => {
    assert.equal(layerStrip(granite({})), 'SAS');
    const since = ['linear_attention', 'full_attention', 'linear_attention'];
    assert.equal(layerStrip(granite({ layer_types: since })), 'SAS');
    assert.equal(layerStrip(granite({ layer_types: null, layers_block_type: since })), 'SAS');
    assert.equal(layerStrip(granite({ layer_types: null })), 'SSS');
    refused(() => granite({ layer_types: ['mamba', 'moe', 'mamba'] }), /layer_types: .*found "moe"/);
    refused(() => granite({ layer_types: ['mamba'] }), /layer_types: expected a list of 3/);
  });

  it('scales embeddings, scores, residuals and logits', () => {
    const fields = {
      embedding_multiplier: 12,
      attention_multiplier: 0.2,
      residual_multiplier: 0.25,
      logits_scaling: 8,
    };
    const spec = granite(fields);
    assert.deepEqual([spec.embeddingScale, spec.residualScale, spec.logitScale], [12, 0.25, 1 / 8]);
    assert.equal(attention(spec).scale, 0.2);
    assert.equal(attention(granite({})).scale, 1);
    refused(() => granite({ logits_scaling: 0 }), /logits_scaling/);
  });

  it('rotates heads only where it says so, and refuses what it does not know', () => {
    assert.equal(attention(granite({ position_embedding_type: 'nope', rope_theta: 1e4 })).rope, null);
    const rope = { theta: 500, rotary: 8, scaling: null };
    const spec = granite({ position_embedding_type: 'rope', rope_theta: 500 });
    assert.deepEqual(attention(spec).rope, rope);
    refused(() => granite({ position_embedding_type: 'alibi' }), /position_embedding_type/);
    refused(() => granite({ hidden_act: 'gelu' }), /hidden_act/);
    refused(() => granite({ normalization_function: 'layernorm' }), /normalization_function/);
  });

  it('has experts beside a feed-forward of all tokens, or that alone', () => {
    const fields = { num_local_experts: 5, num_experts_per_tok: 2, intermediate_size: 24 };
    const { feedForward } = granite({ ...fields, shared_intermediate_size: 40 }).layers[0]!;
    assert.equal(feedForward?.kind, 'experts');
    assert.deepEqual([feedForward.size, feedForward.count, feedForward.topK], [24, 5, 2]);
    assert.deepEqual(feedForward.shared, { size: 40, gate: false });
    assert.equal(feedForward.renormalize, 0);
    assert.equal(granite({ shared_intermediate_size: 40 }).layers[0]!.feedForward?.size, 40);
  });
});

describe('Bamba', () => {
  it('rotates half of each head', () => {
    assert.equal(layerStrip(ofBamba({})), 'SAS');
    assert.equal(attention(ofBamba({})).rope?.rotary, 4);
    assert.equal(attention(ofBamba({ attn_rotary_emb: 4 })).rope?.rotary, 4);
    refused(() => ofBamba({ attn_rotary_emb: 8 }), /attn_rotary_emb: expected 4/);
    refused(() => ofBamba({ attn_layer_indices: [3] }), /attn_layer_indices/);
    refused(() => ofBamba({ hidden_size: 24 }), /head_dim/);
  });
});

describe('sizes of Mamba-2', () => {
  it('must fit together', () => {
    assert.equal(mixer(granite({ mamba_d_head: 'auto' })).headSize, 8);
    refused(() => granite({ mamba_d_head: 16 }), /mamba_d_head: expected 8/);
    refused(() => granite({ mamba_n_groups: 3 }), /mamba_n_groups: expected a divisor/);
    refused(() => ofMamba2({ num_heads: 4 }), /num_heads/);
    refused(() => ofMamba2({ rms_norm: false }), /rms_norm: expected nothing or true/);
  });

  it('norms each group where mamba_ssm does, all channels where transformers does', () => {
    assert.equal(mixer(ofMamba2({})).normGroups, 2);
    assert.equal(mixer(granite({ mamba_n_groups: 2 })).normGroups, 1);
  });

  it('keeps steps between limits, infinity in three spellings', () => {
    const limits = (time_step_limit: JsonObject[string]) => mixer(ofMamba2({ time_step_limit })).stepLimits;
    assert.deepEqual(limits([0, { __float__: 'Infinity' }]), [0, Number.POSITIVE_INFINITY]);
    assert.deepEqual(limits([0, 'inf']), [0, Number.POSITIVE_INFINITY]);
    assert.deepEqual(limits([0.1, 0.5]), [0.1, 0.5]);
    for (const wrong of [[0.5, 0.1], [-1, 1], [0], 3, [0, null], [0, { __float__: 'NaN' }]])
      refused(() => limits(wrong), /time_step_limit/);
  });
});

describe('GGUF of Mamba-2 and its hybrids', () => {
  const misfit = (spec: ModelSpec) => graniteHybrid.gguf[0]!.write!.misfit(spec);

  it('holds Granite with and without positions, and Bamba', () => {
    assert.equal(misfit(granite({})), null);
    assert.equal(misfit(granite({ position_embedding_type: 'rope', embedding_multiplier: 3 })), null);
    assert.equal(misfit(ofBamba({ mlp_bias: true })), null);
    assert.equal(mamba2.gguf[0]!.write!.misfit(ofMamba2({})), null);
  });

  it('cannot say limits of steps, a norm over several groups, or layers of one kind alone', () => {
    assert.match(misfit(granite({ time_step_limit: [0, 0.5] }))!, /steps kept between 0 and 0.5/);
    assert.match(misfit(granite({ mamba_n_groups: 2 }))!, /a norm of 1 slices for 2 groups/);
    assert.match(misfit(granite({ layer_types: null }))!, /no attention/);
    assert.match(misfit(granite({ layer_types: ['attention', 'attention', 'attention'] }))!, /every layer/);
  });
});
