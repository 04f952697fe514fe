// What a session of a released model carries, from its published configuration: bytes of recurrent state, and
// of attention cache per token in 16 bits. The figures were worked out by hand from the papers' formulas:
// 4 · (3 · (I + 2GN) + I · N) per layer of Mamba-2, 4 · (3 · (2 · Hk · dk + Hv · dv) + Hv · dk · dv) per
// layer of gated DeltaNet, 4 · 2 · H per short convolution.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readSpec } from '../src/architecture/families/index.ts';
import type { HuggingFaceCheckpoint } from '../src/index.ts';
import { PAGE_TOKENS } from '../src/plan/cache-layout.ts';
import { stateLayout } from '../src/state/state-layout.ts';

interface Row {
  readonly name: string;
  readonly config: Readonly<Record<string, unknown>>;
  /** MiB of recurrent state, to the digits given. */
  readonly state: string;
  /** Bytes of cache per token in layers without a window. */
  readonly cache: number;
}

const common = { vocab_size: 1024, max_position_embeddings: 32_768, tie_word_embeddings: true };
const list = (letters: string, words: Readonly<Record<string, string>>): string[] =>
  [...letters].map((letter) => words[letter]!);

const lfm2 = (
  name: string,
  hidden: number,
  heads: number,
  letters: string,
  state: string,
  cache: number,
): Row => ({
  name,
  state,
  cache,
  config: {
    ...common,
    model_type: 'lfm2',
    hidden_size: hidden,
    num_hidden_layers: letters.length,
    num_attention_heads: heads,
    num_key_value_heads: 8,
    block_ff_dim: 4608,
    block_auto_adjust_ff_dim: false,
    conv_L_cache: 3,
    conv_bias: false,
    norm_eps: 1e-5,
    rope_theta: 1e6,
    layer_types: list(letters, { c: 'conv', f: 'full_attention' }),
  },
});
const LFM2_16 = 'ccfccfccfcfcfcfc';

const qwen35 = (
  name: string,
  layers: number,
  hidden: number,
  heads: readonly [number, number],
  valueHeads: number,
  state: string,
  cache: number,
): Row => ({
  name,
  state,
  cache,
  config: {
    ...common,
    model_type: 'qwen3_5_text',
    hidden_size: hidden,
    intermediate_size: 1024,
    num_hidden_layers: layers,
    num_attention_heads: heads[0],
    num_key_value_heads: heads[1],
    head_dim: 256,
    rms_norm_eps: 1e-6,
    full_attention_interval: 4,
    linear_num_key_heads: 16,
    linear_num_value_heads: valueHeads,
    linear_key_head_dim: 128,
    linear_value_head_dim: 128,
    linear_conv_kernel_dim: 4,
    rope_parameters: { rope_type: 'default', rope_theta: 1e7, partial_rotary_factor: 0.25 },
  },
});

const granite = (
  name: string,
  layers: number,
  attention: readonly number[],
  [hidden, heads, kvHeads]: readonly [number, number, number],
  [ssmHeads, ssmHeadSize]: readonly [number, number],
  state: string,
  cache: number,
): Row => ({
  name,
  state,
  cache,
  config: {
    ...common,
    model_type: 'granitemoehybrid',
    hidden_size: hidden,
    intermediate_size: 1024,
    shared_intermediate_size: 1024,
    num_hidden_layers: layers,
    layer_types: Array.from({ length: layers }, (_, i) => (attention.includes(i) ? 'attention' : 'mamba')),
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    num_local_experts: 0,
    num_experts_per_tok: 0,
    mamba_n_heads: ssmHeads,
    mamba_d_head: ssmHeadSize,
    mamba_d_state: 128,
    mamba_n_groups: 1,
    mamba_d_conv: 4,
    mamba_expand: 2,
    mamba_conv_bias: true,
    mamba_proj_bias: false,
    position_embedding_type: 'nope',
    embedding_multiplier: 12,
    attention_multiplier: 0.015625,
    residual_multiplier: 0.22,
    logits_scaling: 8,
    rms_norm_eps: 1e-5,
  },
});
const GRANITE_40 = [5, 15, 25, 35];

const nemotron = (
  name: string,
  pattern: string,
  hidden: number,
  kvHeads: number,
  [ssmHeads, ssmHeadSize]: readonly [number, number],
  state: string,
  cache: number,
): Row => ({
  name,
  state,
  cache,
  config: {
    ...common,
    model_type: 'nemotron_h',
    hidden_size: hidden,
    intermediate_size: 1024,
    hybrid_override_pattern: pattern,
    num_hidden_layers: pattern.length,
    num_attention_heads: 32,
    num_key_value_heads: kvHeads,
    head_dim: 128,
    mamba_num_heads: ssmHeads,
    mamba_head_dim: ssmHeadSize,
    ssm_state_size: 128,
    n_groups: 8,
    conv_kernel: 4,
    use_conv_bias: true,
    mlp_hidden_act: 'relu2',
    layer_norm_epsilon: 1e-5,
    n_routed_experts: 128,
    num_experts_per_tok: 6,
    n_shared_experts: 1,
    moe_intermediate_size: 64,
    moe_shared_expert_intermediate_size: 64,
    norm_topk_prob: true,
    routed_scaling_factor: 2.5,
    n_group: 1,
    topk_group: 1,
    tie_word_embeddings: false,
  },
});

const falcon = (
  name: string,
  layers: number,
  [hidden, heads, headSize]: readonly [number, number, number],
  [ssmHeads, ssmHeadSize, states]: readonly [number, number, number],
  state: string,
  cache: number,
): Row => ({
  name,
  state,
  cache,
  config: {
    ...common,
    model_type: 'falcon_h1',
    hidden_size: hidden,
    intermediate_size: 1024,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: 2,
    head_dim: headSize,
    mamba_d_ssm: ssmHeads * ssmHeadSize,
    mamba_n_heads: ssmHeads,
    mamba_d_head: ssmHeadSize,
    mamba_d_state: states,
    mamba_n_groups: 1,
    mamba_d_conv: 4,
    mamba_rms_norm: false,
    mamba_norm_before_gate: false,
    rope_theta: 1e11,
    rms_norm_eps: 1e-5,
    ssm_multipliers: [1, 1, 1, 1, 1],
    mlp_multipliers: [1, 1],
  },
});

const mamba2 = (name: string, layers: number, hidden: number, groups: number, state: string): Row => ({
  name,
  state,
  cache: 0,
  config: {
    vocab_size: 1024,
    model_type: 'mamba2',
    hidden_size: hidden,
    num_hidden_layers: layers,
    num_heads: hidden / 32,
    head_dim: 64,
    state_size: 128,
    n_groups: groups,
    expand: 2,
    conv_kernel: 4,
    use_bias: false,
    use_conv_bias: true,
    layer_norm_epsilon: 1e-5,
    tie_word_embeddings: false,
  },
});

/** Those of 9B and 30B have the published numbers of each letter, in an order of their own. */
const NANO_4B = 'M-M-M-MM-M-M*-M-M*-M-M-M*-M-M-MM*-MMM-M-M-';
const NANO_9B = 'M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-';
const NANO_30B = 'MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME';

const ROWS: readonly Row[] = [
  lfm2('LFM2-350M', 1024, 16, LFM2_16, '0.08', 12_288),
  lfm2('LFM2-1.2B', 2048, 32, LFM2_16, '0.16', 12_288),
  lfm2('LFM2-2.6B', 2048, 32, 'ccfccfcccfcccfcccfcccfccfccfcc', '0.34', 16_384),
  qwen35('Qwen3.5-0.8B', 24, 1024, [8, 2], 16, '19.3', 12_288),
  qwen35('Qwen3.5-4B', 32, 2560, [16, 4], 32, '50.3', 32_768),
  qwen35('Qwen3.5-27B', 64, 5120, [24, 4], 48, '149.6', 65_536),
  granite('Granite-4.0-H-350M', 32, [10, 13, 17, 27], [768, 12, 4], [48, 32], '21.6', 4096),
  granite('Granite-4.0-H-1B', 40, GRANITE_40, [1536, 12, 4], [48, 64], '55.4', 8192),
  granite('Granite-4.0-H-micro', 40, GRANITE_40, [2048, 32, 8], [64, 64], '73.8', 8192),
  granite('Granite-4.0-H-small', 40, GRANITE_40, [4096, 32, 8], [128, 64], '147.5', 16_384),
  nemotron('Nemotron-3-Nano-4B', NANO_4B, 3136, 8, [96, 80], '81.1', 16_384),
  nemotron('Nemotron-Nano-9B-v2', NANO_9B, 4480, 8, [128, 80], '138.8', 16_384),
  nemotron('Nemotron-3-Nano-30B-A3B', NANO_30B, 2688, 2, [64, 64], '47.6', 6144),
  falcon('Falcon-H1-Tiny-90M', 24, [512, 8, 64], [24, 32, 64], '4.7', 12_288),
  falcon('Falcon-H1-0.5B', 36, [1024, 8, 64], [24, 64, 128], '27.7', 18_432),
  falcon('Falcon-H1-1.5B', 24, [2048, 8, 128], [48, 64, 256], '73.0', 24_576),
  falcon('Falcon-H1-3B', 32, [2560, 10, 128], [32, 128, 256], '129.7', 32_768),
  falcon('Falcon-H1-7B', 44, [3072, 12, 128], [24, 128, 256], '133.8', 45_056),
  mamba2('Mamba-2 2.7B', 64, 2560, 1, '163.9'),
  mamba2('Codestral Mamba 7B', 64, 4096, 8, '263.5'),
];

/** What readSpec looks at. */
function checkpointOf({ name, config }: Row): HuggingFaceCheckpoint {
  return {
    kind: 'huggingface',
    name,
    config,
    generationConfig: null,
    tensors: new Map(),
  } as unknown as HuggingFaceCheckpoint;
}

describe('bytes that a session of a released model carries', () => {
  for (const row of ROWS)
    it(row.name, () => {
      const { recurrentBytes, groups } = stateLayout(readSpec(checkpointOf(row)).spec, 'f16');
      const digits = row.state.split('.')[1]!.length;
      assert.equal((recurrentBytes / 2 ** 20).toFixed(digits), row.state);
      const cache = groups.reduce((sum, { pageBytes }) => sum + pageBytes, 0) / PAGE_TOKENS;
      assert.equal(cache, row.cache);
    });
});
