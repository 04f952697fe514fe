// Models whose sizes are public, so that one can plan before downloading anything. Only what a config.json would say;
// figures from each model's own configuration on the hub.
import type { Checkpoint } from '@marimba/engine';
import type { JsonObject } from './source.ts';

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

const CONFIGS: Readonly<Record<string, JsonObject>> = {
  'jamba-3b': {
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
  },
  'jamba-mini': {
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
  'mamba-2.8b': {
    model_type: 'mamba',
    vocab_size: 50_280,
    hidden_size: 2560,
    num_hidden_layers: 64,
    state_size: 16,
    conv_kernel: 4,
    expand: 2,
    intermediate_size: 5120,
    time_step_rank: 160,
    use_conv_bias: true,
    use_bias: false,
    tie_word_embeddings: true,
  },
  'llama-3.2-3b': {
    model_type: 'llama',
    vocab_size: 128_256,
    hidden_size: 3072,
    intermediate_size: 8192,
    num_hidden_layers: 28,
    num_attention_heads: 24,
    num_key_value_heads: 8,
    head_dim: 128,
    max_position_embeddings: 131_072,
    rope_theta: 500_000,
    tie_word_embeddings: true,
  },
};

export const BUILTIN_MODELS: readonly string[] = Object.keys(CONFIGS);

/** A configuration as if it had been opened, without any tensors; null for a name that is not built in. */
export function builtinModel(name: string): Checkpoint | null {
  const config = Object.hasOwn(CONFIGS, name) ? CONFIGS[name] : undefined;
  return config ? configOnly(name, config) : null;
}

export function configOnly(name: string, config: JsonObject): Checkpoint {
  return {
    kind: 'huggingface',
    name,
    config,
    generationConfig: null,
    tensors: new Map(),
    tokenizerJson: async () => null,
    tokenizerConfig: async () => null,
    chatTemplate: async () => null,
    close: async () => {},
  };
}
