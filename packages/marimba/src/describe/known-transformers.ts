// Transformers on the hub, by the sizes in each one's own config.json.
import type { JsonObject } from '@marimba/engine/formats';
import { APACHE, type KnownModel } from './known-model.ts';

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

const GEMMA = 'Gemma Terms of Use (gated: needs --token)';

export const TRANSFORMERS: readonly KnownModel[] = [
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
    name: 'qwen2.5-1.5b',
    hub: 'Qwen/Qwen2.5-1.5B-Instruct',
    licence: APACHE,
    goodFor: 'chat with a small cache',
    publishedParameters: 1544,
    config: transformer('qwen2', [1536, 8960, 28], [12, 2, 128], 151_936),
  },
  {
    name: 'qwen2.5-coder-1.5b',
    hub: 'Qwen/Qwen2.5-Coder-1.5B-Instruct',
    licence: APACHE,
    goodFor: 'code: writing, completing and explaining it',
    publishedParameters: 1544,
    config: transformer('qwen2', [1536, 8960, 28], [12, 2, 128], 151_936),
  },
  {
    name: 'qwen2.5-coder-7b',
    hub: 'Qwen/Qwen2.5-Coder-7B-Instruct',
    licence: APACHE,
    goodFor: 'code, with more knowledge',
    publishedParameters: 7616,
    config: transformer('qwen2', [3584, 18_944, 28], [28, 4, 128], 152_064, { tie_word_embeddings: false }),
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
    name: 'olmo-2-1b',
    hub: 'allenai/OLMo-2-0425-1B-Instruct',
    licence: APACHE,
    goodFor: 'research: its data and training are published',
    publishedParameters: 1485,
    config: transformer('olmo2', [2048, 8192, 16], [16, 16, 128], 100_352, {
      max_position_embeddings: 4096,
      rope_theta: 500_000,
      tie_word_embeddings: false,
    }),
  },
  {
    name: 'olmo-3-7b',
    hub: 'allenai/Olmo-3-7B-Instruct',
    licence: APACHE,
    goodFor: 'research, and long texts: three layers of four keep a window of 4,096 tokens',
    publishedParameters: 7298,
    config: transformer('olmo3', [4096, 11_008, 32], [32, 32, 128], 100_278, {
      max_position_embeddings: 65_536,
      sliding_window: 4096,
      rope_theta: 500_000,
      tie_word_embeddings: false,
    }),
  },
  {
    name: 'granite-3.3-2b',
    hub: 'ibm-granite/granite-3.3-2b-instruct',
    licence: APACHE,
    goodFor: 'chat, tools and retrieval in twelve languages',
    publishedParameters: 2534,
    config: transformer('granite', [2048, 8192, 40], [32, 8, 64], 49_159, {
      max_position_embeddings: 131_072,
      rope_theta: 10_000_000,
      embedding_multiplier: 12,
      residual_multiplier: 0.22,
      attention_multiplier: 0.015625,
      logits_scaling: 8,
    }),
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
