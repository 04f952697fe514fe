// The spellings of Nemotron-H's configurations, what is refused, and what its GGUF architectures can say.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigReader } from '../../formats/config-reader.ts';
import { parseJsonObject } from '../../formats/json.ts';
import type { JsonObject } from '../../formats/types.ts';
import { allOfKind, layerStrip, type ModelSpec } from '../spec.ts';
import { nemotronH } from './nemotron-h.ts';

const SIZES: JsonObject = {
  model_type: 'nemotron_h',
  vocab_size: 50,
  hidden_size: 24,
  hybrid_override_pattern: 'EM*-MEM',
  num_attention_heads: 3,
  num_key_value_heads: 1,
  head_dim: 10,
  intermediate_size: 17,
  mamba_num_heads: 6,
  mamba_head_dim: 5,
  n_groups: 3,
  ssm_state_size: 7,
  conv_kernel: 3,
  n_routed_experts: 9,
  num_experts_per_tok: 4,
  n_group: 3,
  topk_group: 2,
  moe_intermediate_size: 8,
  moe_shared_expert_intermediate_size: 12,
  routed_scaling_factor: 2.5,
};
const read = (fields: JsonObject): ModelSpec =>
  nemotronH.fromHuggingFace(ConfigReader.ofJson('config.json', { ...SIZES, ...fields }));
const kinds = (spec: ModelSpec) =>
  spec.layers.map(({ mixers, feedForward }) =>
    [...mixers, ...(feedForward ? [feedForward] : [])].map((p) => p.kind),
  );

describe('blocks of Nemotron-H', () => {
  it('are one part each, as a pattern or a list says', () => {
    const expected = ['experts', 'mamba2', 'attention', 'dense', 'mamba2', 'experts', 'mamba2'].map(
      (kind) => [kind],
    );
    assert.deepEqual(kinds(read({})), expected);
    const since = [
      'moe',
      'linear_attention',
      'full_attention',
      'mlp',
      'linear_attention',
      'moe',
      'linear_attention',
    ];
    assert.deepEqual(kinds(read({ hybrid_override_pattern: null, layers_block_type: since })), expected);
    const before = ['moe', 'mamba', 'attention', 'mlp', 'mamba', 'moe', 'mamba'];
    assert.deepEqual(kinds(read({ layers_block_type: before, num_hidden_layers: 99 })), expected);
    assert.equal(layerStrip(read({})), '-eSA-S-eS');
  });

  it('are refused where their word is unknown or missing', () => {
    assert.throws(() => read({ hybrid_override_pattern: 'M?' }), /hybrid_override_pattern: .*found "\?"/);
    assert.throws(() => read({ hybrid_override_pattern: null }), /layers_block_type: expected a list/);
    assert.throws(() => read({ layers_block_type: [] }), /from 1 to 4096 blocks/);
  });

  it('keep steps as they are under a limit of infinity, in any spelling', () => {
    const limits = (text: string) => {
      const json = parseJsonObject('x', new TextEncoder().encode(`{"time_step_limit": [0.0, ${text}]}`));
      return allOfKind(read(json).layers, 'mamba2')[0]!.stepLimits;
    };
    const none = [0, Number.POSITIVE_INFINITY];
    assert.deepEqual(limits('Infinity'), none);
    assert.deepEqual(limits('{"__float__": "Infinity"}'), none);
    assert.deepEqual(limits('0.5'), [0, 0.5]);
  });

  it('take their sizes from either spelling', () => {
    const { n_groups, conv_kernel, ssm_state_size, head_dim, ...rest } = SIZES;
    const old = { mamba_num_groups: n_groups!, mamba_d_conv: conv_kernel!, mamba_state_dim: ssm_state_size! };
    const config = { ...rest, ...old, attention_head_dim: head_dim! };
    assert.deepEqual(nemotronH.fromHuggingFace(ConfigReader.ofJson('x', config)), read({}));
  });
});

describe('experts of Nemotron-H', () => {
  it('are chosen by sigmoids in groups, squared ReLUs beside a shared one', () => {
    const [experts] = allOfKind(read({}).layers, 'experts');
    assert.deepEqual(experts, {
      kind: 'experts',
      size: 8,
      count: 9,
      topK: 4,
      score: 'sigmoid',
      choiceBias: true,
      routerBias: false,
      groupCount: 3,
      groupsUsed: 2,
      renormalize: 1e-20,
      weightScale: 2.5,
      gated: false,
      activation: 'relu',
      shared: { size: 12, gate: false },
    });
    const unsaid = read({ topk_group: null, num_experts_per_tok: 3 }); // the default of Hugging Face's class
    assert.equal(allOfKind(unsaid.layers, 'experts')[0]!.groupsUsed, 1);
    assert.equal(allOfKind(read({ norm_topk_prob: false }).layers, 'experts')[0]!.renormalize, null);
  });

  it('are refused where a field changes them in a way that is not understood', () => {
    assert.throws(() => read({ moe_latent_size: 16 }), /moe_latent_size: expected nothing/);
    assert.throws(() => read({ n_shared_experts: 0 }), /n_shared_experts/);
    assert.throws(() => read({ mlp_hidden_act: 'silu' }), /mlp_hidden_act: expected one of relu2/);
    assert.throws(() => read({ n_group: 2 }), /n_group: expected a divisor of the 9 experts/);
    assert.throws(() => read({ topk_group: 1 }), /topk_group: expected groups with at least 4 experts/);
    assert.throws(() => read({ mlp_bias: true }), /mlp_bias/);
  });
});

describe('GGUF architectures of Nemotron-H', () => {
  const [plain, routed] = nemotronH.gguf.map((form) => form.write!.misfit);

  it('hold dense blocks or experts', () => {
    assert.equal(plain!(read({ hybrid_override_pattern: 'M-*M' })), null);
    assert.equal(routed!(read({ hybrid_override_pattern: 'ME*M' })), null);
    assert.equal(plain!(read({})), 'experts blocks');
    assert.equal(routed!(read({})), 'dense blocks');
  });

  it('do not hold other norms, gates, steps, or several parts in a block', () => {
    const spec = read({ hybrid_override_pattern: 'ME*M' });
    const change = (layer: number, change: object) =>
      routed!({ ...spec, layers: spec.layers.map((one, i) => (i === layer ? { ...one, ...change } : one)) });
    const experts = spec.layers[1]!.feedForward!;
    assert.match(change(1, { feedForward: { ...experts, gated: true } })!, /gated true in layer 1/);
    assert.match(change(1, { feedForward: { ...experts, shared: null } })!, /shared expert .*in layer 1/);
    assert.match(change(0, { feedForward: experts })!, /one mixer or one feed-forward in layer 0/);
    assert.match(routed!(read({ hybrid_override_pattern: 'ME*M', time_step_limit: [0.1, 1] }))!, /steps/);
  });
});
