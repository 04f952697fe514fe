// Three models that are trained alike (same tokens in the same order, same schedule, about as many
// parameters), and the hybrid once more, trained longer: that one is bundled.
import type { RunConfig } from '@marimba/lab';
import type { ModelConfig } from '@marimba/lab/tools';

export const VOCABULARY = 2048;

const SIZES = {
  vocab_size: VOCABULARY,
  hidden_size: 128,
  num_hidden_layers: 8,
  num_attention_heads: 4,
  num_key_value_heads: 4,
  tie_word_embeddings: true,
  rms_norm_eps: 1e-6,
  max_position_embeddings: 8192,
};

const MAMBA = { mamba_d_state: 16, mamba_d_conv: 4, mamba_expand: 2, mamba_dt_rank: 8 };

export type ModelName = 'jamba' | 'transformer' | 'mamba' | 'bundled';

export interface TrainedModel {
  /** What the card calls it. */
  readonly title: string;
  readonly config: ModelConfig;
  readonly steps: number;
  /** The last share of the steps, in which the rate falls. */
  readonly decayShare: number;
}

const COMPARED = { steps: 1200, decayShare: 0.4 };
const LONGER = { steps: 5000, decayShare: 0.4 };

/** A published Jamba's layout: one attention layer in eight, in the middle of them, without positions. */
const JAMBA: ModelConfig = {
  ...SIZES,
  ...MAMBA,
  model_type: 'jamba',
  intermediate_size: 192,
  attn_layer_period: 8,
  attn_layer_offset: 4,
  expert_layer_period: 1,
  expert_layer_offset: 0,
  num_experts: 1,
  num_experts_per_tok: 1,
};

/** The feed-forwards differ in size so that all have about the same number of parameters. */
export const MODELS: Readonly<Record<ModelName, TrainedModel>> = {
  jamba: { title: 'Jamba 1:8', config: JAMBA, ...COMPARED },
  transformer: {
    title: 'pure transformer',
    config: { ...SIZES, model_type: 'llama', intermediate_size: 308, rope_theta: 10_000 },
    ...COMPARED,
  },
  mamba: {
    title: 'pure Mamba',
    config: {
      ...SIZES,
      ...MAMBA,
      model_type: 'marimba',
      intermediate_size: 176,
      layer_types: Array.from({ length: 8 }, () => 'mamba'),
      rope_theta: null,
    },
    ...COMPARED,
  },
  bundled: { title: 'Jamba 1:8, longer', config: JAMBA, ...LONGER },
};

export const TRAINING = {
  sequences: 2,
  length: 256,
  seed: 1,
  schedule: 'wsd',
  learningRate: 4e-3,
  floor: 0.02,
  warmupSteps: 60,
  weightDecay: 0.1,
  evaluateEvery: 250,
  heldOutTokens: 16_384,
  checkpointEvery: 100,
} as const satisfies Partial<RunConfig>;
