// The configurations of released models as their makers wrote them, with the fields that say nothing here: each is
// read, and means the layers and numbers that the model has. Weights are not needed.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { MetadataValue } from '../../formats/gguf-values.ts';
import { parseJsonObject } from '../../formats/json.ts';
import type { Checkpoint, JsonObject } from '../../formats/types.ts';
import { allOfKind, layerStrip, type ModelSpec } from '../spec.ts';
import { readSpec } from './index.ts';

/** Through the parser, as Python writes a bare Infinity. */
function read(text: string, change: JsonObject = {}): ModelSpec {
  const config = { ...parseJsonObject('config.json', new TextEncoder().encode(text)), ...change };
  const checkpoint = {
    kind: 'huggingface',
    name: 'model',
    config,
    generationConfig: null,
    tensors: new Map(),
  };
  return readSpec(checkpoint as unknown as Checkpoint).spec;
}

function readGguf(metadata: Record<string, MetadataValue>, shapes: Record<string, number[]>): ModelSpec {
  const tensors = new Map(Object.entries(shapes).map(([name, shape]) => [name, { shape }]));
  const checkpoint = {
    kind: 'gguf',
    name: 'model.gguf',
    metadata: new Map(Object.entries(metadata)),
    tensors,
  };
  return readSpec(checkpoint as unknown as Checkpoint).spec;
}

const attentionOf = (spec: ModelSpec) => allOfKind(spec.layers, 'attention')[0]!;
const mambaOf = (spec: ModelSpec) => allOfKind(spec.layers, 'mamba2')[0]!;
/** What a layer is, for each: one letter of each mixer. */
const mixers = (spec: ModelSpec) => layerStrip(spec);

const QWEN35_08B = `{
  "architectures": ["Qwen3_5ForConditionalGeneration"], "image_token_id": 248056, "model_type": "qwen3_5",
  "text_config": {
    "attention_bias": false, "attention_dropout": 0.0, "attn_output_gate": true, "dtype": "bfloat16",
    "eos_token_id": 248044, "full_attention_interval": 4, "head_dim": 256, "hidden_act": "silu",
    "hidden_size": 1024, "initializer_range": 0.02, "intermediate_size": 3584,
    "linear_conv_kernel_dim": 4, "linear_key_head_dim": 128, "linear_num_key_heads": 16,
    "linear_num_value_heads": 16, "linear_value_head_dim": 128, "max_position_embeddings": 262144,
    "mlp_only_layers": [], "model_type": "qwen3_5_text", "mtp_num_hidden_layers": 1,
    "mtp_use_dedicated_embeddings": false, "num_attention_heads": 8, "num_hidden_layers": 24,
    "num_key_value_heads": 2, "rms_norm_eps": 1e-06, "tie_word_embeddings": true, "use_cache": true,
    "vocab_size": 248320, "mamba_ssm_dtype": "float32", "partial_rotary_factor": 0.25,
    "rope_parameters": { "mrope_interleaved": true, "mrope_section": [11, 11, 10], "rope_type": "default",
      "rope_theta": 10000000, "partial_rotary_factor": 0.25 }
  },
  "tie_word_embeddings": true, "transformers_version": "4.57.0.dev0", "video_token_id": 248057,
  "vision_config": { "deepstack_visual_indexes": [], "depth": 12, "hidden_act": "gelu_pytorch_tanh",
    "hidden_size": 768, "in_channels": 3, "initializer_range": 0.02, "intermediate_size": 3072,
    "model_type": "qwen3_5", "num_heads": 12, "num_position_embeddings": 2304, "out_hidden_size": 1024,
    "patch_size": 16, "spatial_merge_size": 2, "temporal_patch_size": 2 },
  "vision_end_token_id": 248054, "vision_start_token_id": 248053
}`;

const LFM2_350M = `{
  "architectures": ["Lfm2ForCausalLM"], "block_auto_adjust_ff_dim": true, "block_dim": 1024,
  "block_ff_dim": 6656, "block_ffn_dim_multiplier": 1.0, "block_mlp_init_scale": 1.0,
  "block_multiple_of": 256, "block_norm_eps": 1e-05, "block_out_init_scale": 1.0, "block_use_swiglu": true,
  "block_use_xavier_init": true, "bos_token_id": 1, "conv_L_cache": 3, "conv_bias": false, "conv_dim": 1024,
  "conv_dim_out": 1024, "conv_use_xavier_init": true, "eos_token_id": 7,
  "full_attn_idxs": [2, 5, 8, 10, 12, 14], "hidden_size": 1024, "initializer_range": 0.02,
  "max_position_embeddings": 128000, "model_type": "lfm2", "norm_eps": 1e-05, "num_attention_heads": 16,
  "num_heads": 16, "num_hidden_layers": 16, "num_key_value_heads": 8, "pad_token_id": 0,
  "rope_theta": 1000000.0, "torch_dtype": "bfloat16", "transformers_version": "4.54.0.dev0",
  "use_cache": true, "use_pos_enc": true, "vocab_size": 65536
}`;

const GRANITE_H_350M = `{
  "architectures": ["GraniteMoeHybridForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
  "attention_multiplier": 0.015625, "bos_token_id": 100257, "embedding_multiplier": 12,
  "eos_token_id": 100257, "hidden_act": "silu", "hidden_size": 768, "init_method": "mup",
  "initializer_range": 0.1, "intermediate_size": 2048,
  "layer_types": ["mamba", "mamba", "mamba", "mamba", "mamba", "mamba", "mamba", "mamba", "mamba", "mamba",
    "attention", "mamba", "mamba", "attention", "mamba", "mamba", "mamba", "attention", "mamba", "mamba",
    "mamba", "mamba", "mamba", "mamba", "mamba", "mamba", "mamba", "attention", "mamba", "mamba", "mamba",
    "mamba"],
  "logits_scaling": 3, "mamba_chunk_size": 256, "mamba_conv_bias": true, "mamba_d_conv": 4,
  "mamba_d_head": 32, "mamba_d_state": 128, "mamba_expand": 2, "mamba_n_groups": 1, "mamba_n_heads": 48,
  "mamba_proj_bias": false, "max_position_embeddings": 32768, "model_type": "granitemoehybrid",
  "normalization_function": "rmsnorm", "num_attention_heads": 12, "num_experts_per_tok": 0,
  "num_hidden_layers": 32, "num_key_value_heads": 4, "num_local_experts": 0, "output_router_logits": false,
  "pad_token_id": 100256, "position_embedding_type": "nope", "residual_multiplier": 0.246,
  "rms_norm_eps": 1e-05, "rope_scaling": null, "rope_theta": 10000, "router_aux_loss_coef": 0.01,
  "shared_intermediate_size": 2048, "tie_word_embeddings": true, "use_cache": true, "vocab_size": 100352
}`;

const NEMOTRON_4B = `{
  "architectures": ["NemotronHForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
  "auto_map": { "AutoConfig": "configuration_nemotron_h.NemotronHConfig" }, "bos_token_id": 1,
  "chunk_size": 256, "conv_kernel": 4, "eos_token_id": 2, "expand": 2, "head_dim": 128,
  "hidden_dropout": 0.0, "hidden_size": 3136,
  "hybrid_override_pattern": "M-M-M-MM-M-M*-M-M*-M-M-M*-M-M-MM*-MMM-M-M-", "initializer_range": 0.02,
  "intermediate_size": 12544, "layer_norm_epsilon": 1e-05, "mamba_head_dim": 80,
  "mamba_hidden_act": "silu", "mamba_num_heads": 96, "mamba_proj_bias": false,
  "mamba_ssm_cache_dtype": "float32", "max_position_embeddings": 262144, "mlp_bias": false,
  "mlp_hidden_act": "relu2", "model_type": "nemotron_h", "n_groups": 8, "norm_eps": 1e-05,
  "num_attention_heads": 40, "num_hidden_layers": 42, "num_key_value_heads": 8, "num_logits_to_keep": 1,
  "pad_token_id": 0, "partial_rotary_factor": 1.0, "rescale_prenorm_residual": true,
  "residual_in_fp32": false, "rope_theta": 10000, "sliding_window": null, "ssm_state_size": 128,
  "tie_word_embeddings": false, "time_step_floor": 0.0001, "time_step_limit": [0.0, Infinity],
  "time_step_max": 0.1, "time_step_min": 0.001, "time_step_rank": 256, "use_bias": false, "use_cache": true,
  "use_conv_bias": true, "use_mamba_kernels": true, "vocab_size": 131072
}`;

const FALCON_TINY = `{
  "architectures": ["FalconH1ForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
  "attention_in_multiplier": 1.0, "attention_out_multiplier": 1.0, "attn_layer_indices": null,
  "bos_token_id": 1, "embedding_multiplier": 0.0344, "eos_token_id": 11, "head_dim": 64,
  "hidden_act": "silu", "hidden_size": 512, "initializer_range": 0.02, "intermediate_size": 768,
  "key_multiplier": 1.0, "lm_head_multiplier": 0.0781, "mamba_chunk_size": 128, "mamba_conv_bias": true,
  "mamba_d_conv": 4, "mamba_d_head": 32, "mamba_d_ssm": 768, "mamba_d_state": 64, "mamba_expand": 2,
  "mamba_n_groups": 1, "mamba_n_heads": 24, "mamba_norm_before_gate": false, "mamba_proj_bias": false,
  "mamba_rms_norm": false, "mamba_use_mlp": true, "max_position_embeddings": 262144, "mlp_bias": false,
  "mlp_expansion_factor": 8, "mlp_multipliers": [1.0, 1.0], "model_type": "falcon_h1",
  "num_attention_heads": 8, "num_hidden_layers": 24, "num_key_value_heads": 2, "num_logits_to_keep": 1,
  "pad_token_id": 0, "projectors_bias": false, "rms_norm_eps": 1e-05, "rope_scaling": null,
  "rope_theta": 100000000000.0, "ssm_in_multiplier": 1.0, "ssm_multipliers": [1.0, 1.0, 1.0, 1.0, 1.0],
  "ssm_out_multiplier": 1.0, "tie_word_embeddings": true, "use_cache": true, "vocab_size": 32768
}`;

const CODESTRAL_MAMBA = `{
  "architectures": ["Mamba2ForCausalLM"], "bos_token_id": 0, "chunk_size": 256, "conv_kernel": 4,
  "eos_token_id": 0, "expand": 2, "head_dim": 64, "hidden_act": "silu", "hidden_size": 4096,
  "initializer_range": 0.1, "intermediate_size": 8192, "layer_norm_epsilon": 1e-05, "model_type": "mamba2",
  "n_groups": 8, "norm_before_gate": true, "num_heads": 128, "num_hidden_layers": 64, "pad_token_id": 0,
  "rescale_prenorm_residual": false, "residual_in_fp32": true, "rms_norm": true, "state_size": 128,
  "tie_word_embeddings": false, "time_step_floor": 0.0001, "time_step_init_scheme": "random",
  "time_step_limit": [0.0, Infinity], "time_step_max": 0.1, "time_step_min": 0.001, "time_step_rank": 256,
  "time_step_scale": 1.0, "use_bias": false, "use_cache": true, "use_conv_bias": true, "vocab_size": 32768
}`;

const BAMBA_9B = `{
  "architectures": ["BambaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
  "attn_layer_indices": [9, 18, 27], "attn_rotary_emb": 64, "bos_token_id": 128000, "eos_token_id": 128001,
  "hidden_act": "silu", "hidden_size": 4096, "initializer_range": 0.02, "intermediate_size": 14336,
  "mamba_chunk_size": 256, "mamba_conv_bias": true, "mamba_d_conv": 4, "mamba_d_head": 64,
  "mamba_d_state": 128, "mamba_expand": 2, "mamba_n_groups": 1, "mamba_n_heads": 128,
  "mamba_proj_bias": false, "max_position_embeddings": 262144, "mlp_bias": false, "model_type": "bamba",
  "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8, "num_logits_to_keep": 1,
  "pad_token_id": 0, "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "tie_word_embeddings": false,
  "use_cache": true, "use_mamba_kernels": true, "vocab_size": 128256
}`;

const GEMMA3_4B = `{
  "architectures": ["Gemma3ForConditionalGeneration"], "boi_token_index": 255999, "eoi_token_index": 256000,
  "eos_token_id": [1, 106], "image_token_index": 262144, "initializer_range": 0.02,
  "mm_tokens_per_image": 256, "model_type": "gemma3",
  "text_config": { "hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text",
    "num_hidden_layers": 34, "rope_scaling": { "factor": 8.0, "rope_type": "linear" },
    "sliding_window": 1024 },
  "vision_config": { "hidden_size": 1152, "image_size": 896, "intermediate_size": 4304,
    "model_type": "siglip_vision_model", "num_attention_heads": 16, "num_hidden_layers": 27,
    "patch_size": 14, "vision_use_head": false }
}`;

const QWEN3_CODER_30B = `{
  "architectures": ["Qwen3MoeForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
  "decoder_sparse_step": 1, "eos_token_id": 151645, "head_dim": 128, "hidden_act": "silu",
  "hidden_size": 2048, "initializer_range": 0.02, "intermediate_size": 5472,
  "max_position_embeddings": 262144, "max_window_layers": 28, "mlp_only_layers": [],
  "model_type": "qwen3_moe", "moe_intermediate_size": 768, "norm_topk_prob": true,
  "num_attention_heads": 32, "num_experts": 128, "num_experts_per_tok": 8, "num_hidden_layers": 48,
  "num_key_value_heads": 4, "output_router_logits": false, "qkv_bias": false, "rms_norm_eps": 1e-06,
  "rope_scaling": null, "rope_theta": 10000000, "router_aux_loss_coef": 0.0,
  "shared_expert_intermediate_size": 0, "sliding_window": null, "tie_word_embeddings": false,
  "use_cache": true, "use_qk_norm": true, "use_sliding_window": false, "vocab_size": 151936
}`;

describe('config.json as released', () => {
  it('Qwen3.5-0.8B, with its vision', () => {
    const spec = read(QWEN35_08B);
    const { rope, outputGate, scale } = attentionOf(spec);
    assert.deepEqual(rope, { theta: 1e7, rotary: 64, scaling: null });
    assert.deepEqual([outputGate, scale], [true, 1 / 16]);
    assert.deepEqual([spec.tiedHead, spec.normOffset, spec.endTokens], [true, 1, [248044]]);
    assert.equal(allOfKind(spec.layers, 'deltaNet').length, 18);
  });

  it('LFM2-350M', () => {
    const spec = read(LFM2_350M);
    assert.equal(mixers(spec), 'CCACCACCACACACAC');
    assert.deepEqual([...new Set(allOfKind(spec.layers, 'dense').map(({ size }) => size))], [4608]);
    assert.deepEqual(attentionOf(spec).rope, { theta: 1e6, rotary: 64, scaling: null });
    assert.deepEqual([spec.tiedHead, spec.endTokens], [true, [7]]);
  });

  it('Granite 4.0 H 350M', () => {
    const spec = read(GRANITE_H_350M);
    assert.equal(mixers(spec), 'SSSSSSSSSSASSASSSASSSSSSSSSASSSS');
    const { rope, scale, headSize } = attentionOf(spec);
    assert.deepEqual([rope, scale, headSize], [null, 0.015625, 64]);
    assert.deepEqual([spec.embeddingScale, spec.residualScale, spec.logitScale], [12, 0.246, 1 / 3]);
    assert.deepEqual([mambaOf(spec).heads, mambaOf(spec).headSize], [48, 32]);
  });

  it('Nemotron 3 Nano 4B, with a bare Infinity and rotary fields that nothing reads', () => {
    const spec = read(NEMOTRON_4B);
    const { heads, headSize, groups, normGroups, stepLimits } = mambaOf(spec);
    assert.deepEqual([heads, headSize, groups, normGroups], [96, 80, 8, 8]);
    assert.deepEqual(stepLimits, [0, Number.POSITIVE_INFINITY]);
    assert.equal(spec.layers.length, 42);
    assert.deepEqual([attentionOf(spec).rope, attentionOf(spec).headSize], [null, 128]);
  });

  it('Falcon-H1-Tiny-90M', () => {
    const spec = read(FALCON_TINY);
    assert.deepEqual([mambaOf(spec).norm, attentionOf(spec).rope?.theta], ['none', 1e11]);
    assert.deepEqual([spec.embeddingScale, spec.logitScale, spec.weightScales], [0.0344, 0.0781, {}]);
  });

  it('Codestral Mamba, whose norm stands after the gate', () => {
    const { norm, normGroups, stepLimits } = mambaOf(read(CODESTRAL_MAMBA));
    assert.deepEqual([norm, normGroups, stepLimits], ['afterGate', 8, [0, Number.POSITIVE_INFINITY]]);
  });

  it('Bamba 9B', () => {
    const spec = read(BAMBA_9B);
    assert.deepEqual(attentionOf(spec).rope, { theta: 10_000, rotary: 64, scaling: null });
    assert.equal(mixers(spec), 'SSSSSSSSSASSSSSSSSASSSSSSSSASSSS');
  });

  it('Gemma 3 4B, which leaves most fields to its class', () => {
    const spec = read(GEMMA3_4B);
    const full = allOfKind(spec.layers, 'attention')[5]!;
    const windowed = attentionOf(spec);
    assert.deepEqual(full.rope, { theta: 1e6, rotary: 256, scaling: { kind: 'linear', factor: 8 } });
    assert.deepEqual(windowed.rope, { theta: 1e4, rotary: 256, scaling: null });
    assert.deepEqual([windowed.window, full.window, full.heads, full.kvHeads], [1024, null, 8, 4]);
    assert.deepEqual([spec.vocabularySize, spec.tiedHead, spec.endTokens], [262_208, true, [1, 106]]);
  });

  it('Qwen3-Coder-30B-A3B, which says that it has norms on heads', () => {
    const spec = read(QWEN3_CODER_30B);
    assert.deepEqual([attentionOf(spec).headNorms, attentionOf(spec).rope?.theta], ['perHead', 1e7]);
    assert.throws(() => read(QWEN3_CODER_30B, { use_qk_norm: false }), /use_qk_norm/);
  });
});

describe('fields that a file leaves out', () => {
  const without = (text: string, ...fields: string[]) =>
    read(text, Object.fromEntries(fields.map((field) => [field, undefined as never])));

  it('are those of the class of its family', () => {
    assert.equal(attentionOf(without(FALCON_TINY, 'rope_theta')).rope?.theta, 10_000);
    assert.equal(attentionOf(without(LFM2_350M, 'num_key_value_heads')).kvHeads, 8);
    assert.equal(attentionOf(without(BAMBA_9B, 'num_key_value_heads')).kvHeads, 8);
    assert.equal(attentionOf(without(QWEN3_CODER_30B, 'num_key_value_heads')).kvHeads, 4);
    assert.equal(attentionOf(read(BAMBA_9B, { num_key_value_heads: null })).kvHeads, 32);
  });

  it('are those of Granite Swash, not of Granite', () => {
    const sizes =
      '"vocab_size": 100352, "hidden_size": 80, "intermediate_size": 96, "num_attention_heads": 20';
    const swash = read(`{"model_type": "granite_swa", ${sizes}, "num_hidden_layers": 4}`);
    assert.deepEqual([swash.normEpsilon, swash.tiedHead, attentionOf(swash).kvHeads], [1e-5, true, 4]);
    const granite = read(`{"model_type": "granite", ${sizes}, "num_hidden_layers": 4}`);
    assert.deepEqual(
      [granite.normEpsilon, granite.tiedHead, attentionOf(granite).kvHeads],
      [1e-6, false, 20],
    );
  });

  it('are those of Mixtral', () => {
    const sizes = '"vocab_size": 99, "hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 8';
    const { rope, kvHeads } = attentionOf(
      read(`{"model_type": "mixtral", ${sizes}, "num_hidden_layers": 2}`),
    );
    assert.deepEqual([rope?.theta, kvHeads], [1e6, 8]);
  });

  it('may stand beside `rope_parameters` that lack them', () => {
    const rope_parameters = { rope_type: 'default' };
    assert.equal(attentionOf(read(LFM2_350M, { rope_parameters, rope_theta: 5e5 })).rope?.theta, 5e5);
    const config = parseJsonObject('x', new TextEncoder().encode(QWEN35_08B)) as Record<string, JsonObject>;
    const text_config = { ...config.text_config!, rope_parameters, rope_theta: 5e5 };
    const { rope } = attentionOf(read(QWEN35_08B, { text_config }));
    assert.deepEqual(rope, { theta: 5e5, rotary: 64, scaling: null });
  });
});

describe('GGUF metadata of other converters', () => {
  const gemma = (more: Record<string, MetadataValue>) =>
    readGguf(
      {
        'general.architecture': 'gemma3',
        'gemma3.block_count': 6,
        'gemma3.attention.layer_norm_rms_epsilon': 1e-6,
        'gemma3.embedding_length': 1152,
        'gemma3.feed_forward_length': 6912,
        'gemma3.attention.head_count': 4,
        'gemma3.attention.head_count_kv': 1,
        'gemma3.attention.key_length': 256,
        'gemma3.attention.sliding_window': 512,
        ...more,
      },
      { 'token_embd.weight': [262_144, 1152], 'blk.0.attn_q_norm.weight': [256] },
    );
  const thetas = (spec: ModelSpec) => allOfKind(spec.layers, 'attention').map(({ rope }) => rope?.theta);

  it('names the bases of Gemma 3 as ollama does, or leaves them to the family', () => {
    const named = { 'gemma3.rope.global.freq_base': 2e6, 'gemma3.rope.local.freq_base': 2e4 };
    assert.deepEqual(thetas(gemma(named)).slice(4), [2e4, 2e6]);
    assert.deepEqual(thetas(gemma({})).slice(4), [1e4, 1e6]);
    assert.deepEqual(thetas(gemma({ ...named, 'gemma3.rope.freq_base': 3e6 })).slice(4), [2e4, 3e6]);
  });

  it('says 0 for no window', () => {
    const windows = allOfKind(gemma({ 'gemma3.attention.sliding_window': 0 }).layers, 'attention');
    assert.ok(windows.every(({ window }) => window === null));
  });
});
