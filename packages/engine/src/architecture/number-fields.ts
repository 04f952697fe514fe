// Fields of configurations that change what a model computes, with the values that change nothing. A family reads
// those that it knows; any other of them is refused by name, as ignoring it would load another model. The lists
// are those of transformers' configuration classes and of llama.cpp's keys (src/llama-arch.cpp) for models like
// the ones that run here; fields that nobody there reads are harmless and not in them.

type Harmless = Readonly<Record<string, readonly (string | number | boolean)[]>>;

/** Of config.json, and of the objects in it that a family reads. */
export const HUGGING_FACE_FIELDS: Harmless = {
  // Activations.
  hidden_act: ['silu', 'swish'],
  hidden_activation: ['silu', 'swish'],
  mlp_hidden_act: ['silu', 'swish'],
  normalization_function: ['rmsnorm'],
  // Attention.
  attention_bias: [false],
  attention_out_bias: [false],
  qkv_bias: [false],
  attn_logit_softcapping: [],
  attention_multiplier: [],
  attention_k_eq_v: [false],
  attn_output_gate: [false],
  clip_qkv: [],
  qk_layernorm: [false],
  use_qk_norm: [false],
  query_pre_attn_scalar: [],
  use_mem_rope: [false],
  use_bidirectional_attention: [false],
  num_kv_shared_layers: [0],
  alibi: [false],
  // Feed-forwards and projections.
  mlp_bias: [false],
  use_bias: [false],
  projectors_bias: [false],
  mamba_proj_bias: [false],
  num_experts: [0, 1],
  num_local_experts: [0, 1],
  moe_latent_size: [],
  router_logit_softcapping: [],
  // Residual stream and logits.
  embedding_multiplier: [1],
  residual_multiplier: [1],
  logits_scaling: [1],
  lm_head_multiplier: [1],
  logit_scale: [1],
  final_logit_softcapping: [],
  parallel_residual: [false],
  use_parallel_residual: [false],
  hidden_size_per_layer_input: [0],
  is_encoder_decoder: [false],
  add_cross_attention: [false],
};

/** Of models with rotary positions, and of the objects that describe those. */
export const ROPE_FIELDS: Harmless = { partial_rotary_factor: [1], rope_scaling: [] };

/** Of GGUF files, without the architecture. */
export const GGUF_KEYS: Harmless = {
  'attention.causal': [true],
  'attention.clamp_kqv': [0],
  'attention.max_alibi_bias': [0],
  'attention.scale': [0],
  'attention.kv_lora_rank': [0],
  'attention.q_lora_rank': [0],
  'attention.shared_kv_layers': [0],
  attn_logit_softcapping: [0],
  embedding_length_per_layer_input: [0],
  embedding_scale: [0, 1],
  expert_count: [0, 1],
  expert_gating_func: [0, 1],
  expert_group_count: [0, 1],
  expert_weights_norm: [false],
  expert_weights_scale: [0, 1],
  final_logit_softcapping: [0],
  interleave_moe_layer_step: [0, 1],
  logit_scale: [0, 1],
  moe_latent_size: [0],
  residual_scale: [0, 1],
  'rope.scale_linear': [0, 1],
  'rope.scaling.factor': [0, 1],
  'rope.scaling.attn_factor': [0, 1],
  'rope.scaling.type': ['none'],
  router_logit_softcapping: [0],
  'ssm.dt_b_c_rms': [false],
  use_parallel_residual: [false],
};
