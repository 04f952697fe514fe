// Models on the hub that this engine can load, by the sizes in each one's own config.json, so that one can
// choose and plan before downloading anything. Only families that the engine runs. Adding one: an entry here;
// the parameter count, from the model's page, is checked against the shapes by a test.
import type { JsonObject } from '@marimba/engine/formats';

export interface KnownModel {
  /** For `plan`. */
  readonly name: string;
  /** Repository of 16-bit safetensors on the hub, for every command that runs a model. */
  readonly hub: string;
  readonly licence: string;
  readonly goodFor: string;
  /** In millions, as published. */
  readonly publishedParameters: number;
  readonly config: JsonObject;
}

const JAMBA = {
  model_type: 'jamba',
  mamba_d_state: 16,
  mamba_d_conv: 4,
  mamba_expand: 2,
  mamba_conv_bias: true,
  mamba_proj_bias: false,
  vocab_size: 65_536,
  max_position_embeddings: 262_144,
};

const JAMBA_3B = {
  ...JAMBA,
  num_hidden_layers: 28,
  hidden_size: 2560,
  intermediate_size: 8192,
  num_attention_heads: 20,
  num_key_value_heads: 1,
  attn_layer_period: 14,
  attn_layer_offset: 7,
  num_experts: 1,
  num_experts_per_tok: 1,
  mamba_dt_rank: 160,
  tie_word_embeddings: true,
};

const mamba = (hidden_size: number, num_hidden_layers: number): JsonObject => ({
  model_type: 'mamba',
  vocab_size: 50_280,
  hidden_size,
  num_hidden_layers,
  state_size: 16,
  conv_kernel: 4,
  expand: 2,
  intermediate_size: 2 * hidden_size,
  time_step_rank: Math.ceil(hidden_size / 16),
  use_conv_bias: true,
  use_bias: false,
  tie_word_embeddings: true,
});

const LFM = 'LFM Open License v1.0 (commercial use up to a revenue limit)';

const lfm2 = (
  [hidden_size, intermediate_size, num_hidden_layers]: readonly [number, number, number],
  [num_attention_heads, num_key_value_heads]: readonly [number, number],
  full_attn_idxs: readonly number[],
): JsonObject => ({
  model_type: 'lfm2',
  vocab_size: 65_536,
  hidden_size,
  intermediate_size,
  block_auto_adjust_ff_dim: false,
  num_hidden_layers,
  num_attention_heads,
  num_key_value_heads,
  full_attn_idxs: [...full_attn_idxs],
  max_position_embeddings: 128_000,
  tie_word_embeddings: true,
});

/** Qwen 3.5: heads of 256 channels with a cache, of 128 with a state. */
const qwen35 = (
  [hidden_size, intermediate_size, num_hidden_layers]: readonly [number, number, number],
  [num_attention_heads, num_key_value_heads]: readonly [number, number],
  [linear_num_key_heads, linear_num_value_heads]: readonly [number, number],
  rest: JsonObject,
): JsonObject => ({
  model_type: 'qwen3_5_text',
  hidden_size,
  intermediate_size,
  num_hidden_layers,
  num_attention_heads,
  num_key_value_heads,
  head_dim: 256,
  linear_num_key_heads,
  linear_num_value_heads,
  linear_key_head_dim: 128,
  linear_value_head_dim: 128,
  vocab_size: 248_320,
  max_position_embeddings: 262_144,
  ...rest,
});

/** The fields that differ between transformers of the llama and Qwen kind. */
const transformer = (
  model_type: string,
  [hidden_size, intermediate_size, num_hidden_layers]: readonly [number, number, number],
  [num_attention_heads, num_key_value_heads, head_dim]: readonly [number, number, number],
  vocab_size: number,
  rest: JsonObject = {},
): JsonObject => ({
  model_type,
  hidden_size,
  intermediate_size,
  num_hidden_layers,
  num_attention_heads,
  num_key_value_heads,
  head_dim,
  vocab_size,
  max_position_embeddings: 32_768,
  rms_norm_eps: 1e-6,
  tie_word_embeddings: true,
  ...rest,
});

/** Granite 4.0-H: an attention layer at each of `attends`, counted from 0, without positions. */
const granite = (
  [hidden_size, shared_intermediate_size, num_hidden_layers]: readonly [number, number, number],
  [num_attention_heads, num_key_value_heads]: readonly [number, number],
  [mamba_n_heads, mamba_d_head]: readonly [number, number],
  attends: readonly number[],
  rest: JsonObject = {},
): JsonObject => ({
  model_type: 'granitemoehybrid',
  hidden_size,
  shared_intermediate_size,
  num_hidden_layers,
  num_attention_heads,
  num_key_value_heads,
  mamba_n_heads,
  mamba_d_head,
  mamba_d_state: 128,
  mamba_n_groups: 1,
  layer_types: Array.from({ length: num_hidden_layers }, (_, i) =>
    attends.includes(i) ? 'attention' : 'mamba',
  ),
  position_embedding_type: 'nope',
  num_local_experts: 0,
  vocab_size: 100_352,
  max_position_embeddings: 131_072,
  tie_word_embeddings: true,
  ...rest,
});
const GRANITE_ATTENDS = [5, 15, 25, 35];

const APACHE = 'Apache-2.0';
const NVIDIA = 'NVIDIA Open Model License';
const GEMMA = 'Gemma Terms of Use (gated: needs --token)';

const NEMOTRON = {
  model_type: 'nemotron_h',
  vocab_size: 131_072,
  max_position_embeddings: 262_144,
  head_dim: 128,
  n_groups: 8,
  ssm_state_size: 128,
};

export const KNOWN_MODELS: readonly KnownModel[] = [
  {
    name: 'jamba-3b',
    hub: 'ai21labs/AI21-Jamba2-3B',
    licence: APACHE,
    goodFor: 'chat over long texts: 26 of 28 layers keep a state of fixed size',
    publishedParameters: 3030,
    config: JAMBA_3B,
  },
  {
    name: 'jamba-reasoning-3b',
    hub: 'ai21labs/AI21-Jamba-Reasoning-3B',
    licence: APACHE,
    goodFor: 'the same shape, thinks before it answers',
    publishedParameters: 3030,
    config: JAMBA_3B,
  },
  {
    name: 'jamba-mini',
    hub: 'ai21labs/AI21-Jamba-Mini-1.7',
    licence: 'Jamba Open Model License',
    goodFor: 'a hybrid with experts',
    publishedParameters: 51_600,
    config: {
      ...JAMBA,
      num_hidden_layers: 32,
      hidden_size: 4096,
      intermediate_size: 14_336,
      num_attention_heads: 32,
      num_key_value_heads: 8,
      attn_layer_period: 8,
      attn_layer_offset: 4,
      num_experts: 16,
      num_experts_per_tok: 2,
      expert_layer_period: 2,
      expert_layer_offset: 1,
      mamba_dt_rank: 256,
      tie_word_embeddings: false,
    },
  },
  {
    name: 'mamba-130m',
    hub: 'state-spaces/mamba-130m-hf',
    licence: APACHE,
    goodFor: 'continuing text; the smallest pure Mamba',
    publishedParameters: 129,
    config: mamba(768, 24),
  },
  {
    name: 'mamba-1.4b',
    hub: 'state-spaces/mamba-1.4b-hf',
    licence: APACHE,
    goodFor: 'continuing text',
    publishedParameters: 1372,
    config: mamba(2048, 48),
  },
  {
    name: 'mamba-2.8b',
    hub: 'state-spaces/mamba-2.8b-hf',
    licence: APACHE,
    goodFor: 'continuing text; the largest published Mamba-1 of its authors',
    publishedParameters: 2768,
    config: mamba(2560, 64),
  },
  {
    name: 'falcon-mamba-7b',
    hub: 'tiiuae/falcon-mamba-7b-instruct',
    licence: 'Falcon-Mamba 7B TII License',
    goodFor: 'chat without any cache',
    publishedParameters: 7273,
    config: {
      model_type: 'falcon_mamba',
      vocab_size: 65_024,
      hidden_size: 4096,
      num_hidden_layers: 64,
      state_size: 16,
      conv_kernel: 4,
      expand: 16,
      intermediate_size: 8192,
      time_step_rank: 256,
      use_conv_bias: true,
      use_bias: false,
      tie_word_embeddings: false,
    },
  },
  {
    name: 'falcon-h1-0.5b',
    hub: 'tiiuae/Falcon-H1-0.5B-Instruct',
    licence: 'Falcon LLM License (TII, based on Apache-2.0)',
    goodFor: 'a small chat model with attention and Mamba-2 side by side in every layer',
    publishedParameters: 521,
    config: {
      model_type: 'falcon_h1',
      hidden_size: 1024,
      intermediate_size: 2048,
      num_hidden_layers: 36,
      num_attention_heads: 8,
      num_key_value_heads: 2,
      head_dim: 64,
      mamba_d_ssm: 1536,
      mamba_n_heads: 24,
      mamba_d_head: 64,
      mamba_d_state: 128,
      mamba_n_groups: 1,
      mamba_rms_norm: false,
      vocab_size: 32_784,
      max_position_embeddings: 16_384,
      tie_word_embeddings: false,
    },
  },
  {
    name: 'granite-4.0-h-350m',
    hub: 'ibm-granite/granite-4.0-h-350m',
    licence: APACHE,
    goodFor: 'tools on small machines; 28 of 32 layers keep a state of fixed size',
    publishedParameters: 340,
    config: granite([768, 2048, 32], [12, 4], [48, 32], [10, 13, 17, 27], {
      max_position_embeddings: 32_768,
    }),
  },
  {
    name: 'granite-4.0-h-1b',
    hub: 'ibm-granite/granite-4.0-h-1b',
    licence: APACHE,
    goodFor: 'tools and long contexts: 8 KiB of cache per token',
    publishedParameters: 1462,
    config: granite([1536, 4096, 40], [12, 4], [48, 64], GRANITE_ATTENDS),
  },
  {
    name: 'granite-4.0-h-micro',
    hub: 'ibm-granite/granite-4.0-h-micro',
    licence: APACHE,
    goodFor: 'tools, retrieval and long contexts on a laptop',
    publishedParameters: 3191,
    config: granite([2048, 8192, 40], [32, 8], [64, 64], GRANITE_ATTENDS),
  },
  {
    name: 'granite-4.0-h-tiny',
    hub: 'ibm-granite/granite-4.0-h-tiny',
    licence: APACHE,
    goodFor: 'the same with experts, of which a token passes through 1 billion parameters',
    publishedParameters: 6939,
    config: granite([1536, 1024, 40], [12, 4], [48, 64], GRANITE_ATTENDS, {
      num_local_experts: 64,
      num_experts_per_tok: 6,
      intermediate_size: 512,
    }),
  },
  {
    name: 'smollm2-135m',
    hub: 'HuggingFaceTB/SmolLM2-135M-Instruct',
    licence: APACHE,
    goodFor: 'trying chat out: the smallest download',
    publishedParameters: 135,
    config: transformer('llama', [576, 1536, 30], [9, 3, 64], 49_152, { max_position_embeddings: 8192 }),
  },
  {
    name: 'smollm2-1.7b',
    hub: 'HuggingFaceTB/SmolLM2-1.7B-Instruct',
    licence: APACHE,
    goodFor: 'chat in short contexts: its cache is large',
    publishedParameters: 1711,
    config: transformer('llama', [2048, 8192, 24], [32, 32, 64], 49_152, { max_position_embeddings: 8192 }),
  },
  {
    name: 'qwen3-0.6b',
    hub: 'Qwen/Qwen3-0.6B',
    licence: APACHE,
    goodFor: 'chat and tools on small machines',
    publishedParameters: 596,
    config: transformer('qwen3', [1024, 3072, 28], [16, 8, 128], 151_936, {
      max_position_embeddings: 40_960,
    }),
  },
  {
    name: 'qwen3-1.7b',
    hub: 'Qwen/Qwen3-1.7B',
    licence: APACHE,
    goodFor: 'chat and tools',
    publishedParameters: 1721,
    config: transformer('qwen3', [2048, 6144, 28], [16, 8, 128], 151_936, {
      max_position_embeddings: 40_960,
    }),
  },
  {
    name: 'qwen3-4b',
    hub: 'Qwen/Qwen3-4B',
    licence: APACHE,
    goodFor: 'chat and tools; the most capable that leaves room for context',
    publishedParameters: 4022,
    config: transformer('qwen3', [2560, 9728, 36], [32, 8, 128], 151_936, {
      max_position_embeddings: 40_960,
    }),
  },
  {
    name: 'qwen3-30b-a3b',
    hub: 'Qwen/Qwen3-30B-A3B',
    licence: APACHE,
    goodFor: 'chat and tools; 8 of 128 experts per token, so fast for its size',
    publishedParameters: 30_532,
    config: transformer('qwen3_moe', [2048, 6144, 48], [32, 4, 128], 151_936, {
      max_position_embeddings: 40_960,
      num_experts: 128,
      num_experts_per_tok: 8,
      moe_intermediate_size: 768,
      tie_word_embeddings: false,
    }),
  },
  {
    name: 'qwen3.5-0.8b',
    hub: 'Qwen/Qwen3.5-0.8B',
    licence: APACHE,
    goodFor: 'chat and tools on small machines, in long contexts',
    publishedParameters: 752, // as llama.cpp counts its text model
    config: qwen35([1024, 3584, 24], [8, 2], [16, 16], { tie_word_embeddings: true }),
  },
  {
    name: 'qwen3.5-4b',
    hub: 'Qwen/Qwen3.5-4B',
    licence: APACHE,
    goodFor: 'chat, tools and thinking, in long contexts',
    publishedParameters: 4206,
    config: qwen35([2560, 9216, 32], [16, 4], [16, 32], { tie_word_embeddings: true }),
  },
  {
    name: 'qwen3.5-9b',
    hub: 'Qwen/Qwen3.5-9B',
    licence: APACHE,
    goodFor: 'chat, tools and thinking; wants 6 GiB at 4 bits',
    publishedParameters: 8954,
    config: qwen35([4096, 12_288, 32], [16, 4], [16, 32], { tie_word_embeddings: false }),
  },
  {
    name: 'qwen2.5-1.5b',
    hub: 'Qwen/Qwen2.5-1.5B-Instruct',
    licence: APACHE,
    goodFor: 'chat with a small cache',
    publishedParameters: 1544,
    config: transformer('qwen2', [1536, 8960, 28], [12, 2, 128], 151_936),
  },
  {
    name: 'lfm2-350m',
    hub: 'LiquidAI/LFM2-350M',
    licence: LFM,
    goodFor: 'chat on small machines: ten convolutions, six attention layers',
    publishedParameters: 354,
    config: lfm2([1024, 4608, 16], [16, 8], [2, 5, 8, 10, 12, 14]),
  },
  {
    name: 'lfm2-1.2b',
    hub: 'LiquidAI/LFM2-1.2B',
    licence: LFM,
    goodFor: 'chat, tools',
    publishedParameters: 1170,
    config: lfm2([2048, 8192, 16], [32, 8], [2, 5, 8, 10, 12, 14]),
  },
  {
    name: 'lfm2-2.6b',
    hub: 'LiquidAI/LFM2-2.6B',
    licence: LFM,
    goodFor: 'chat, tools, retrieval',
    publishedParameters: 2570,
    config: lfm2([2048, 10_752, 30], [32, 8], [2, 5, 9, 13, 17, 21, 24, 27]),
  },
  {
    name: 'gemma-3-270m',
    hub: 'google/gemma-3-270m-it',
    licence: GEMMA,
    goodFor: 'small tasks that it was tuned for; five layers of six keep a window of 512 tokens',
    publishedParameters: 268,
    config: transformer('gemma3_text', [640, 2048, 18], [4, 1, 256], 262_144, { sliding_window: 512 }),
  },
  {
    name: 'gemma-3-1b',
    hub: 'google/gemma-3-1b-it',
    licence: GEMMA,
    goodFor: 'chat with a small cache, in many languages',
    publishedParameters: 1000,
    config: transformer('gemma3_text', [1152, 6912, 26], [4, 1, 256], 262_144, { sliding_window: 512 }),
  },
  {
    name: 'nemotron-3-nano-4b',
    hub: 'nvidia/NVIDIA-Nemotron-3-Nano-4B-BF16',
    licence: NVIDIA,
    goodFor: 'tools and long contexts on a laptop; 4 of 42 blocks have a cache',
    publishedParameters: 3970,
    config: {
      ...NEMOTRON,
      hidden_size: 3136,
      hybrid_override_pattern: 'M-M-M-MM-M-M*-M-M*-M-M-M*-M-M-MM*-MMM-M-M-',
      num_attention_heads: 40,
      num_key_value_heads: 8,
      mamba_num_heads: 96,
      mamba_head_dim: 80,
      intermediate_size: 12_544,
    },
  },
  {
    name: 'nemotron-nano-9b-v2',
    hub: 'nvidia/NVIDIA-Nemotron-Nano-9B-v2',
    licence: NVIDIA,
    goodFor: 'thinks before it answers; 4 of 56 blocks have a cache',
    publishedParameters: 8890,
    config: {
      ...NEMOTRON,
      hidden_size: 4480,
      hybrid_override_pattern: 'M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-',
      num_attention_heads: 40,
      num_key_value_heads: 8,
      mamba_num_heads: 128,
      mamba_head_dim: 80,
      intermediate_size: 15_680,
    },
  },
  {
    name: 'nemotron-3-nano-30b',
    hub: 'nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16',
    licence: NVIDIA,
    goodFor: 'tools and long contexts: 6 KB of cache per token, 6 of 128 experts per token',
    publishedParameters: 31_600,
    config: {
      ...NEMOTRON,
      hidden_size: 2688,
      hybrid_override_pattern: 'MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME',
      num_attention_heads: 32,
      num_key_value_heads: 2,
      mamba_num_heads: 64,
      mamba_head_dim: 64,
      n_routed_experts: 128,
      num_experts_per_tok: 6,
      moe_intermediate_size: 1856,
      moe_shared_expert_intermediate_size: 3712,
      routed_scaling_factor: 2.5,
    },
  },
  {
    name: 'llama-3.2-1b',
    hub: 'meta-llama/Llama-3.2-1B-Instruct',
    licence: 'Llama 3.2 Community License (gated: needs --token)',
    goodFor: 'chat',
    publishedParameters: 1236,
    config: transformer('llama', [2048, 8192, 16], [32, 8, 64], 128_256, {
      max_position_embeddings: 131_072,
      rope_theta: 500_000,
    }),
  },
  {
    name: 'llama-3.2-3b',
    hub: 'meta-llama/Llama-3.2-3B-Instruct',
    licence: 'Llama 3.2 Community License (gated: needs --token)',
    goodFor: 'chat',
    publishedParameters: 3213,
    config: transformer('llama', [3072, 8192, 28], [24, 8, 128], 128_256, {
      max_position_embeddings: 131_072,
      rope_theta: 500_000,
    }),
  },
  {
    name: 'mistral-7b',
    hub: 'mistralai/Mistral-7B-Instruct-v0.3',
    licence: `${APACHE} (gated: needs --token)`,
    goodFor: 'chat',
    publishedParameters: 7248,
    config: transformer('mistral', [4096, 14_336, 32], [32, 8, 128], 32_768, {
      sliding_window: null,
      tie_word_embeddings: false,
    }),
  },
];
