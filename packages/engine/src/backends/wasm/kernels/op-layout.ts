// Generated from plan/ops.ts by scripts/build-kernels.ts. Byte offsets of the fields of each op record.
// @ts-ignore: decorator
@inline export const EMBED_ROWS: usize = 8;
// @ts-ignore: decorator
@inline export const EMBED_TOKENS: usize = 12;
// @ts-ignore: decorator
@inline export const EMBED_TABLE: usize = 16;
// @ts-ignore: decorator
@inline export const EMBED_LAYOUT: usize = 20;
// @ts-ignore: decorator
@inline export const EMBED_COLUMNS: usize = 24;
// @ts-ignore: decorator
@inline export const EMBED_VOCABULARY: usize = 28;
// @ts-ignore: decorator
@inline export const EMBED_SCALE: usize = 32;
// @ts-ignore: decorator
@inline export const EMBED_Y: usize = 36;
// @ts-ignore: decorator
@inline export const EMBED_Y_STRIDE: usize = 40;
// @ts-ignore: decorator
@inline export const RMS_NORM_ROWS: usize = 8;
// @ts-ignore: decorator
@inline export const RMS_NORM_X: usize = 12;
// @ts-ignore: decorator
@inline export const RMS_NORM_X_STRIDE: usize = 16;
// @ts-ignore: decorator
@inline export const RMS_NORM_Y: usize = 20;
// @ts-ignore: decorator
@inline export const RMS_NORM_Y_STRIDE: usize = 24;
// @ts-ignore: decorator
@inline export const RMS_NORM_WEIGHT: usize = 28;
// @ts-ignore: decorator
@inline export const RMS_NORM_COLUMNS: usize = 32;
// @ts-ignore: decorator
@inline export const RMS_NORM_GROUPS: usize = 36;
// @ts-ignore: decorator
@inline export const RMS_NORM_EPSILON: usize = 40;
// @ts-ignore: decorator
@inline export const QUANTIZE_ROWS_ROWS: usize = 8;
// @ts-ignore: decorator
@inline export const QUANTIZE_ROWS_X: usize = 12;
// @ts-ignore: decorator
@inline export const QUANTIZE_ROWS_X_STRIDE: usize = 16;
// @ts-ignore: decorator
@inline export const QUANTIZE_ROWS_COLUMNS: usize = 20;
// @ts-ignore: decorator
@inline export const QUANTIZE_ROWS_CODES: usize = 24;
// @ts-ignore: decorator
@inline export const LINEAR_ROWS: usize = 8;
// @ts-ignore: decorator
@inline export const LINEAR_X: usize = 12;
// @ts-ignore: decorator
@inline export const LINEAR_X_STRIDE: usize = 16;
// @ts-ignore: decorator
@inline export const LINEAR_WEIGHT: usize = 20;
// @ts-ignore: decorator
@inline export const LINEAR_LAYOUT: usize = 24;
// @ts-ignore: decorator
@inline export const LINEAR_OUTPUTS: usize = 28;
// @ts-ignore: decorator
@inline export const LINEAR_COLUMNS: usize = 32;
// @ts-ignore: decorator
@inline export const LINEAR_BIAS: usize = 36;
// @ts-ignore: decorator
@inline export const LINEAR_Y: usize = 40;
// @ts-ignore: decorator
@inline export const LINEAR_Y_STRIDE: usize = 44;
// @ts-ignore: decorator
@inline export const LINEAR_ACCUMULATE: usize = 48;
// @ts-ignore: decorator
@inline export const LINEAR_SCRATCH: usize = 52;
// @ts-ignore: decorator
@inline export const CAUSAL_CONV_ROWS: usize = 8;
// @ts-ignore: decorator
@inline export const CAUSAL_CONV_SEGMENTS: usize = 12;
// @ts-ignore: decorator
@inline export const CAUSAL_CONV_X: usize = 16;
// @ts-ignore: decorator
@inline export const CAUSAL_CONV_X_STRIDE: usize = 20;
// @ts-ignore: decorator
@inline export const CAUSAL_CONV_Y: usize = 24;
// @ts-ignore: decorator
@inline export const CAUSAL_CONV_Y_STRIDE: usize = 28;
// @ts-ignore: decorator
@inline export const CAUSAL_CONV_WEIGHT: usize = 32;
// @ts-ignore: decorator
@inline export const CAUSAL_CONV_BIAS: usize = 36;
// @ts-ignore: decorator
@inline export const CAUSAL_CONV_CHANNELS: usize = 40;
// @ts-ignore: decorator
@inline export const CAUSAL_CONV_WIDTH: usize = 44;
// @ts-ignore: decorator
@inline export const CAUSAL_CONV_STATE_OFFSET: usize = 48;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_ROWS: usize = 8;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_SEGMENTS: usize = 12;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_U: usize = 16;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_U_STRIDE: usize = 20;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_DT: usize = 24;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_DT_STRIDE: usize = 28;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_DT_BIAS: usize = 32;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_B: usize = 36;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_C: usize = 40;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_BC_STRIDE: usize = 44;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_Z: usize = 48;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_Z_STRIDE: usize = 52;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_A: usize = 56;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_D: usize = 60;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_Y: usize = 64;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_Y_STRIDE: usize = 68;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_CHANNELS: usize = 72;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_STATES: usize = 76;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_STATE_OFFSET: usize = 80;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_SCRATCH: usize = 84;
// @ts-ignore: decorator
@inline export const ROPE_ROWS: usize = 8;
// @ts-ignore: decorator
@inline export const ROPE_POSITIONS: usize = 12;
// @ts-ignore: decorator
@inline export const ROPE_X: usize = 16;
// @ts-ignore: decorator
@inline export const ROPE_X_STRIDE: usize = 20;
// @ts-ignore: decorator
@inline export const ROPE_HEADS: usize = 24;
// @ts-ignore: decorator
@inline export const ROPE_HEAD_SIZE: usize = 28;
// @ts-ignore: decorator
@inline export const ROPE_ROTARY: usize = 32;
// @ts-ignore: decorator
@inline export const ROPE_INVERSE_FREQUENCIES: usize = 36;
// @ts-ignore: decorator
@inline export const ROPE_ATTENTION_SCALE: usize = 40;
// @ts-ignore: decorator
@inline export const CACHE_STORE_ROWS: usize = 8;
// @ts-ignore: decorator
@inline export const CACHE_STORE_SEGMENTS: usize = 12;
// @ts-ignore: decorator
@inline export const CACHE_STORE_ROW_SEGMENT: usize = 16;
// @ts-ignore: decorator
@inline export const CACHE_STORE_POSITIONS: usize = 20;
// @ts-ignore: decorator
@inline export const CACHE_STORE_K: usize = 24;
// @ts-ignore: decorator
@inline export const CACHE_STORE_K_STRIDE: usize = 28;
// @ts-ignore: decorator
@inline export const CACHE_STORE_V: usize = 32;
// @ts-ignore: decorator
@inline export const CACHE_STORE_V_STRIDE: usize = 36;
// @ts-ignore: decorator
@inline export const CACHE_STORE_KV_HEADS: usize = 40;
// @ts-ignore: decorator
@inline export const CACHE_STORE_HEAD_SIZE: usize = 44;
// @ts-ignore: decorator
@inline export const CACHE_STORE_GROUP: usize = 48;
// @ts-ignore: decorator
@inline export const CACHE_STORE_LAYER_OFFSET: usize = 52;
// @ts-ignore: decorator
@inline export const CACHE_STORE_CACHE_TYPE: usize = 56;
// @ts-ignore: decorator
@inline export const ATTENTION_ROWS: usize = 8;
// @ts-ignore: decorator
@inline export const ATTENTION_SEGMENTS: usize = 12;
// @ts-ignore: decorator
@inline export const ATTENTION_ROW_SEGMENT: usize = 16;
// @ts-ignore: decorator
@inline export const ATTENTION_POSITIONS: usize = 20;
// @ts-ignore: decorator
@inline export const ATTENTION_Q: usize = 24;
// @ts-ignore: decorator
@inline export const ATTENTION_Q_STRIDE: usize = 28;
// @ts-ignore: decorator
@inline export const ATTENTION_Y: usize = 32;
// @ts-ignore: decorator
@inline export const ATTENTION_Y_STRIDE: usize = 36;
// @ts-ignore: decorator
@inline export const ATTENTION_HEADS: usize = 40;
// @ts-ignore: decorator
@inline export const ATTENTION_KV_HEADS: usize = 44;
// @ts-ignore: decorator
@inline export const ATTENTION_HEAD_SIZE: usize = 48;
// @ts-ignore: decorator
@inline export const ATTENTION_SCALE: usize = 52;
// @ts-ignore: decorator
@inline export const ATTENTION_WINDOW: usize = 56;
// @ts-ignore: decorator
@inline export const ATTENTION_GROUP: usize = 60;
// @ts-ignore: decorator
@inline export const ATTENTION_LAYER_OFFSET: usize = 64;
// @ts-ignore: decorator
@inline export const ATTENTION_CACHE_TYPE: usize = 68;
// @ts-ignore: decorator
@inline export const ATTENTION_SCRATCH: usize = 72;
// @ts-ignore: decorator
@inline export const ATTENTION_SCRATCH_BYTES: usize = 76;
// @ts-ignore: decorator
@inline export const GATED_ACTIVATION_ROWS: usize = 8;
// @ts-ignore: decorator
@inline export const GATED_ACTIVATION_GATE: usize = 12;
// @ts-ignore: decorator
@inline export const GATED_ACTIVATION_GATE_STRIDE: usize = 16;
// @ts-ignore: decorator
@inline export const GATED_ACTIVATION_UP: usize = 20;
// @ts-ignore: decorator
@inline export const GATED_ACTIVATION_UP_STRIDE: usize = 24;
// @ts-ignore: decorator
@inline export const GATED_ACTIVATION_Y: usize = 28;
// @ts-ignore: decorator
@inline export const GATED_ACTIVATION_Y_STRIDE: usize = 32;
// @ts-ignore: decorator
@inline export const GATED_ACTIVATION_COLUMNS: usize = 36;
// @ts-ignore: decorator
@inline export const GATED_ACTIVATION_ACTIVATION: usize = 40;
// @ts-ignore: decorator
@inline export const ADD_ROWS: usize = 8;
// @ts-ignore: decorator
@inline export const ADD_X: usize = 12;
// @ts-ignore: decorator
@inline export const ADD_X_STRIDE: usize = 16;
// @ts-ignore: decorator
@inline export const ADD_Y: usize = 20;
// @ts-ignore: decorator
@inline export const ADD_Y_STRIDE: usize = 24;
// @ts-ignore: decorator
@inline export const ADD_COLUMNS: usize = 28;
// @ts-ignore: decorator
@inline export const ROUTE_ROWS: usize = 8;
// @ts-ignore: decorator
@inline export const ROUTE_X: usize = 12;
// @ts-ignore: decorator
@inline export const ROUTE_X_STRIDE: usize = 16;
// @ts-ignore: decorator
@inline export const ROUTE_EXPERTS: usize = 20;
// @ts-ignore: decorator
@inline export const ROUTE_TOP_K: usize = 24;
// @ts-ignore: decorator
@inline export const ROUTE_RENORMALIZE: usize = 28;
// @ts-ignore: decorator
@inline export const ROUTE_IDS: usize = 32;
// @ts-ignore: decorator
@inline export const ROUTE_WEIGHTS: usize = 36;
// @ts-ignore: decorator
@inline export const ROUTE_OFFSETS: usize = 40;
// @ts-ignore: decorator
@inline export const ROUTE_SLOT_ROWS: usize = 44;
// @ts-ignore: decorator
@inline export const ROUTE_SLOT_OF: usize = 48;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_ROWS: usize = 8;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_OFFSETS: usize = 12;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_SLOT_ROWS: usize = 16;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_EXPERTS: usize = 20;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_X: usize = 24;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_X_STRIDE: usize = 28;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_WEIGHT: usize = 32;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_EXPERT_BYTES: usize = 36;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_LAYOUT: usize = 40;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_OUTPUTS: usize = 44;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_COLUMNS: usize = 48;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_Y: usize = 52;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_Y_STRIDE: usize = 56;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_SCRATCH: usize = 60;
// @ts-ignore: decorator
@inline export const COMBINE_EXPERTS_ROWS: usize = 8;
// @ts-ignore: decorator
@inline export const COMBINE_EXPERTS_TOP_K: usize = 12;
// @ts-ignore: decorator
@inline export const COMBINE_EXPERTS_SLOT_OF: usize = 16;
// @ts-ignore: decorator
@inline export const COMBINE_EXPERTS_WEIGHTS: usize = 20;
// @ts-ignore: decorator
@inline export const COMBINE_EXPERTS_X: usize = 24;
// @ts-ignore: decorator
@inline export const COMBINE_EXPERTS_X_STRIDE: usize = 28;
// @ts-ignore: decorator
@inline export const COMBINE_EXPERTS_Y: usize = 32;
// @ts-ignore: decorator
@inline export const COMBINE_EXPERTS_Y_STRIDE: usize = 36;
// @ts-ignore: decorator
@inline export const COMBINE_EXPERTS_COLUMNS: usize = 40;
// @ts-ignore: decorator
@inline export const GATHER_ROWS_ROWS: usize = 8;
// @ts-ignore: decorator
@inline export const GATHER_ROWS_INDICES: usize = 12;
// @ts-ignore: decorator
@inline export const GATHER_ROWS_X: usize = 16;
// @ts-ignore: decorator
@inline export const GATHER_ROWS_X_STRIDE: usize = 20;
// @ts-ignore: decorator
@inline export const GATHER_ROWS_Y: usize = 24;
// @ts-ignore: decorator
@inline export const GATHER_ROWS_Y_STRIDE: usize = 28;
// @ts-ignore: decorator
@inline export const GATHER_ROWS_COLUMNS: usize = 32;
// @ts-ignore: decorator
@inline export const COPY_ROWS: usize = 8;
// @ts-ignore: decorator
@inline export const COPY_X: usize = 12;
// @ts-ignore: decorator
@inline export const COPY_X_STRIDE: usize = 16;
// @ts-ignore: decorator
@inline export const COPY_Y: usize = 20;
// @ts-ignore: decorator
@inline export const COPY_Y_STRIDE: usize = 24;
// @ts-ignore: decorator
@inline export const COPY_COLUMNS: usize = 28;
// @ts-ignore: decorator
@inline export const CROSS_ENTROPY_ROWS: usize = 8;
// @ts-ignore: decorator
@inline export const CROSS_ENTROPY_X: usize = 12;
// @ts-ignore: decorator
@inline export const CROSS_ENTROPY_X_STRIDE: usize = 16;
// @ts-ignore: decorator
@inline export const CROSS_ENTROPY_COLUMNS: usize = 20;
// @ts-ignore: decorator
@inline export const CROSS_ENTROPY_TARGETS: usize = 24;
// @ts-ignore: decorator
@inline export const CROSS_ENTROPY_LOSSES: usize = 28;
// @ts-ignore: decorator
@inline export const CROSS_ENTROPY_MEAN_SCALE: usize = 32;
// @ts-ignore: decorator
@inline export const EMBED_BACKWARD_ROWS: usize = 8;
// @ts-ignore: decorator
@inline export const EMBED_BACKWARD_TOKENS: usize = 12;
// @ts-ignore: decorator
@inline export const EMBED_BACKWARD_DY: usize = 16;
// @ts-ignore: decorator
@inline export const EMBED_BACKWARD_DY_STRIDE: usize = 20;
// @ts-ignore: decorator
@inline export const EMBED_BACKWARD_COLUMNS: usize = 24;
// @ts-ignore: decorator
@inline export const EMBED_BACKWARD_VOCABULARY: usize = 28;
// @ts-ignore: decorator
@inline export const EMBED_BACKWARD_SCALE: usize = 32;
// @ts-ignore: decorator
@inline export const EMBED_BACKWARD_SKIP_TOKEN: usize = 36;
// @ts-ignore: decorator
@inline export const EMBED_BACKWARD_D_TABLE: usize = 40;
// @ts-ignore: decorator
@inline export const RMS_NORM_BACKWARD_ROWS: usize = 8;
// @ts-ignore: decorator
@inline export const RMS_NORM_BACKWARD_X: usize = 12;
// @ts-ignore: decorator
@inline export const RMS_NORM_BACKWARD_X_STRIDE: usize = 16;
// @ts-ignore: decorator
@inline export const RMS_NORM_BACKWARD_WEIGHT: usize = 20;
// @ts-ignore: decorator
@inline export const RMS_NORM_BACKWARD_COLUMNS: usize = 24;
// @ts-ignore: decorator
@inline export const RMS_NORM_BACKWARD_GROUPS: usize = 28;
// @ts-ignore: decorator
@inline export const RMS_NORM_BACKWARD_EPSILON: usize = 32;
// @ts-ignore: decorator
@inline export const RMS_NORM_BACKWARD_DY: usize = 36;
// @ts-ignore: decorator
@inline export const RMS_NORM_BACKWARD_DY_STRIDE: usize = 40;
// @ts-ignore: decorator
@inline export const RMS_NORM_BACKWARD_DX: usize = 44;
// @ts-ignore: decorator
@inline export const RMS_NORM_BACKWARD_DX_STRIDE: usize = 48;
// @ts-ignore: decorator
@inline export const RMS_NORM_BACKWARD_ACCUMULATE: usize = 52;
// @ts-ignore: decorator
@inline export const RMS_NORM_BACKWARD_INVERSE: usize = 56;
// @ts-ignore: decorator
@inline export const RMS_NORM_WEIGHT_BACKWARD_ROWS: usize = 8;
// @ts-ignore: decorator
@inline export const RMS_NORM_WEIGHT_BACKWARD_X: usize = 12;
// @ts-ignore: decorator
@inline export const RMS_NORM_WEIGHT_BACKWARD_X_STRIDE: usize = 16;
// @ts-ignore: decorator
@inline export const RMS_NORM_WEIGHT_BACKWARD_DY: usize = 20;
// @ts-ignore: decorator
@inline export const RMS_NORM_WEIGHT_BACKWARD_DY_STRIDE: usize = 24;
// @ts-ignore: decorator
@inline export const RMS_NORM_WEIGHT_BACKWARD_INVERSE: usize = 28;
// @ts-ignore: decorator
@inline export const RMS_NORM_WEIGHT_BACKWARD_COLUMNS: usize = 32;
// @ts-ignore: decorator
@inline export const RMS_NORM_WEIGHT_BACKWARD_GROUPS: usize = 36;
// @ts-ignore: decorator
@inline export const RMS_NORM_WEIGHT_BACKWARD_D_WEIGHT: usize = 40;
// @ts-ignore: decorator
@inline export const LINEAR_BACKWARD_INPUT_ROWS: usize = 8;
// @ts-ignore: decorator
@inline export const LINEAR_BACKWARD_INPUT_DY: usize = 12;
// @ts-ignore: decorator
@inline export const LINEAR_BACKWARD_INPUT_DY_STRIDE: usize = 16;
// @ts-ignore: decorator
@inline export const LINEAR_BACKWARD_INPUT_WEIGHT: usize = 20;
// @ts-ignore: decorator
@inline export const LINEAR_BACKWARD_INPUT_OUTPUTS: usize = 24;
// @ts-ignore: decorator
@inline export const LINEAR_BACKWARD_INPUT_COLUMNS: usize = 28;
// @ts-ignore: decorator
@inline export const LINEAR_BACKWARD_INPUT_DX: usize = 32;
// @ts-ignore: decorator
@inline export const LINEAR_BACKWARD_INPUT_DX_STRIDE: usize = 36;
// @ts-ignore: decorator
@inline export const LINEAR_BACKWARD_INPUT_ACCUMULATE: usize = 40;
// @ts-ignore: decorator
@inline export const LINEAR_BACKWARD_INPUT_SCRATCH: usize = 44;
// @ts-ignore: decorator
@inline export const LINEAR_BACKWARD_WEIGHT_ROWS: usize = 8;
// @ts-ignore: decorator
@inline export const LINEAR_BACKWARD_WEIGHT_DY: usize = 12;
// @ts-ignore: decorator
@inline export const LINEAR_BACKWARD_WEIGHT_DY_STRIDE: usize = 16;
// @ts-ignore: decorator
@inline export const LINEAR_BACKWARD_WEIGHT_X: usize = 20;
// @ts-ignore: decorator
@inline export const LINEAR_BACKWARD_WEIGHT_X_STRIDE: usize = 24;
// @ts-ignore: decorator
@inline export const LINEAR_BACKWARD_WEIGHT_OUTPUTS: usize = 28;
// @ts-ignore: decorator
@inline export const LINEAR_BACKWARD_WEIGHT_COLUMNS: usize = 32;
// @ts-ignore: decorator
@inline export const LINEAR_BACKWARD_WEIGHT_D_WEIGHT: usize = 36;
// @ts-ignore: decorator
@inline export const LINEAR_BACKWARD_WEIGHT_D_BIAS: usize = 40;
// @ts-ignore: decorator
@inline export const LINEAR_BACKWARD_WEIGHT_SCRATCH: usize = 44;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_BACKWARD_INPUT_ROWS: usize = 8;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_BACKWARD_INPUT_OFFSETS: usize = 12;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_BACKWARD_INPUT_EXPERTS: usize = 16;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_BACKWARD_INPUT_DY: usize = 20;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_BACKWARD_INPUT_DY_STRIDE: usize = 24;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_BACKWARD_INPUT_WEIGHT: usize = 28;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_BACKWARD_INPUT_EXPERT_BYTES: usize = 32;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_BACKWARD_INPUT_OUTPUTS: usize = 36;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_BACKWARD_INPUT_COLUMNS: usize = 40;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_BACKWARD_INPUT_DX: usize = 44;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_BACKWARD_INPUT_DX_STRIDE: usize = 48;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_BACKWARD_INPUT_SCRATCH: usize = 52;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_BACKWARD_WEIGHT_ROWS: usize = 8;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_BACKWARD_WEIGHT_OFFSETS: usize = 12;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_BACKWARD_WEIGHT_SLOT_ROWS: usize = 16;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_BACKWARD_WEIGHT_EXPERTS: usize = 20;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_BACKWARD_WEIGHT_DY: usize = 24;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_BACKWARD_WEIGHT_DY_STRIDE: usize = 28;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_BACKWARD_WEIGHT_X: usize = 32;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_BACKWARD_WEIGHT_X_STRIDE: usize = 36;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_BACKWARD_WEIGHT_D_WEIGHT: usize = 40;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_BACKWARD_WEIGHT_EXPERT_BYTES: usize = 44;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_BACKWARD_WEIGHT_OUTPUTS: usize = 48;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_BACKWARD_WEIGHT_COLUMNS: usize = 52;
// @ts-ignore: decorator
@inline export const EXPERT_LINEAR_BACKWARD_WEIGHT_SCRATCH: usize = 56;
// @ts-ignore: decorator
@inline export const SUM_SLOTS_ROWS: usize = 8;
// @ts-ignore: decorator
@inline export const SUM_SLOTS_TOP_K: usize = 12;
// @ts-ignore: decorator
@inline export const SUM_SLOTS_SLOT_OF: usize = 16;
// @ts-ignore: decorator
@inline export const SUM_SLOTS_X: usize = 20;
// @ts-ignore: decorator
@inline export const SUM_SLOTS_X_STRIDE: usize = 24;
// @ts-ignore: decorator
@inline export const SUM_SLOTS_Y: usize = 28;
// @ts-ignore: decorator
@inline export const SUM_SLOTS_Y_STRIDE: usize = 32;
// @ts-ignore: decorator
@inline export const SUM_SLOTS_COLUMNS: usize = 36;
// @ts-ignore: decorator
@inline export const SUM_SLOTS_ACCUMULATE: usize = 40;
// @ts-ignore: decorator
@inline export const COMBINE_EXPERTS_BACKWARD_ROWS: usize = 8;
// @ts-ignore: decorator
@inline export const COMBINE_EXPERTS_BACKWARD_TOP_K: usize = 12;
// @ts-ignore: decorator
@inline export const COMBINE_EXPERTS_BACKWARD_SLOT_OF: usize = 16;
// @ts-ignore: decorator
@inline export const COMBINE_EXPERTS_BACKWARD_WEIGHTS: usize = 20;
// @ts-ignore: decorator
@inline export const COMBINE_EXPERTS_BACKWARD_X: usize = 24;
// @ts-ignore: decorator
@inline export const COMBINE_EXPERTS_BACKWARD_X_STRIDE: usize = 28;
// @ts-ignore: decorator
@inline export const COMBINE_EXPERTS_BACKWARD_DY: usize = 32;
// @ts-ignore: decorator
@inline export const COMBINE_EXPERTS_BACKWARD_DY_STRIDE: usize = 36;
// @ts-ignore: decorator
@inline export const COMBINE_EXPERTS_BACKWARD_COLUMNS: usize = 40;
// @ts-ignore: decorator
@inline export const COMBINE_EXPERTS_BACKWARD_DX: usize = 44;
// @ts-ignore: decorator
@inline export const COMBINE_EXPERTS_BACKWARD_DX_STRIDE: usize = 48;
// @ts-ignore: decorator
@inline export const COMBINE_EXPERTS_BACKWARD_D_WEIGHTS: usize = 52;
// @ts-ignore: decorator
@inline export const ROUTE_BACKWARD_ROWS: usize = 8;
// @ts-ignore: decorator
@inline export const ROUTE_BACKWARD_X: usize = 12;
// @ts-ignore: decorator
@inline export const ROUTE_BACKWARD_X_STRIDE: usize = 16;
// @ts-ignore: decorator
@inline export const ROUTE_BACKWARD_EXPERTS: usize = 20;
// @ts-ignore: decorator
@inline export const ROUTE_BACKWARD_TOP_K: usize = 24;
// @ts-ignore: decorator
@inline export const ROUTE_BACKWARD_RENORMALIZE: usize = 28;
// @ts-ignore: decorator
@inline export const ROUTE_BACKWARD_IDS: usize = 32;
// @ts-ignore: decorator
@inline export const ROUTE_BACKWARD_OFFSETS: usize = 36;
// @ts-ignore: decorator
@inline export const ROUTE_BACKWARD_D_WEIGHTS: usize = 40;
// @ts-ignore: decorator
@inline export const ROUTE_BACKWARD_DX: usize = 44;
// @ts-ignore: decorator
@inline export const ROUTE_BACKWARD_DX_STRIDE: usize = 48;
// @ts-ignore: decorator
@inline export const ROUTE_BACKWARD_SCALE: usize = 52;
// @ts-ignore: decorator
@inline export const ROUTE_BACKWARD_LOSSES: usize = 56;
// @ts-ignore: decorator
@inline export const CAUSAL_CONV_BACKWARD_ROWS: usize = 8;
// @ts-ignore: decorator
@inline export const CAUSAL_CONV_BACKWARD_SEGMENTS: usize = 12;
// @ts-ignore: decorator
@inline export const CAUSAL_CONV_BACKWARD_X: usize = 16;
// @ts-ignore: decorator
@inline export const CAUSAL_CONV_BACKWARD_X_STRIDE: usize = 20;
// @ts-ignore: decorator
@inline export const CAUSAL_CONV_BACKWARD_WEIGHT: usize = 24;
// @ts-ignore: decorator
@inline export const CAUSAL_CONV_BACKWARD_BIAS: usize = 28;
// @ts-ignore: decorator
@inline export const CAUSAL_CONV_BACKWARD_CHANNELS: usize = 32;
// @ts-ignore: decorator
@inline export const CAUSAL_CONV_BACKWARD_WIDTH: usize = 36;
// @ts-ignore: decorator
@inline export const CAUSAL_CONV_BACKWARD_DY: usize = 40;
// @ts-ignore: decorator
@inline export const CAUSAL_CONV_BACKWARD_DY_STRIDE: usize = 44;
// @ts-ignore: decorator
@inline export const CAUSAL_CONV_BACKWARD_DX: usize = 48;
// @ts-ignore: decorator
@inline export const CAUSAL_CONV_BACKWARD_DX_STRIDE: usize = 52;
// @ts-ignore: decorator
@inline export const CAUSAL_CONV_BACKWARD_D_WEIGHT: usize = 56;
// @ts-ignore: decorator
@inline export const CAUSAL_CONV_BACKWARD_D_BIAS: usize = 60;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_BACKWARD_ROWS: usize = 8;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_BACKWARD_SEGMENTS: usize = 12;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_BACKWARD_U: usize = 16;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_BACKWARD_U_STRIDE: usize = 20;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_BACKWARD_DT: usize = 24;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_BACKWARD_DT_STRIDE: usize = 28;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_BACKWARD_DT_BIAS: usize = 32;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_BACKWARD_B: usize = 36;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_BACKWARD_C: usize = 40;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_BACKWARD_BC_STRIDE: usize = 44;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_BACKWARD_Z: usize = 48;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_BACKWARD_Z_STRIDE: usize = 52;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_BACKWARD_A: usize = 56;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_BACKWARD_D: usize = 60;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_BACKWARD_CHANNELS: usize = 64;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_BACKWARD_STATES: usize = 68;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_BACKWARD_DY: usize = 72;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_BACKWARD_DY_STRIDE: usize = 76;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_BACKWARD_DU: usize = 80;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_BACKWARD_DU_STRIDE: usize = 84;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_BACKWARD_DDT: usize = 88;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_BACKWARD_DDT_STRIDE: usize = 92;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_BACKWARD_DZ: usize = 96;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_BACKWARD_DZ_STRIDE: usize = 100;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_BACKWARD_D_A_LOG: usize = 104;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_BACKWARD_D_D: usize = 108;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_BACKWARD_D_DT_BIAS: usize = 112;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_BACKWARD_PARTIALS: usize = 116;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_BACKWARD_GROUPS: usize = 120;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_BACKWARD_SCRATCH: usize = 124;
// @ts-ignore: decorator
@inline export const SELECTIVE_SCAN_BACKWARD_THREAD_BYTES: usize = 128;
// @ts-ignore: decorator
@inline export const SCAN_REDUCE_ROWS: usize = 8;
// @ts-ignore: decorator
@inline export const SCAN_REDUCE_PARTIALS: usize = 12;
// @ts-ignore: decorator
@inline export const SCAN_REDUCE_GROUPS: usize = 16;
// @ts-ignore: decorator
@inline export const SCAN_REDUCE_STATES: usize = 20;
// @ts-ignore: decorator
@inline export const SCAN_REDUCE_DB: usize = 24;
// @ts-ignore: decorator
@inline export const SCAN_REDUCE_DC: usize = 28;
// @ts-ignore: decorator
@inline export const SCAN_REDUCE_BC_STRIDE: usize = 32;
// @ts-ignore: decorator
@inline export const ATTENTION_BACKWARD_ROWS: usize = 8;
// @ts-ignore: decorator
@inline export const ATTENTION_BACKWARD_SEGMENTS: usize = 12;
// @ts-ignore: decorator
@inline export const ATTENTION_BACKWARD_Q: usize = 16;
// @ts-ignore: decorator
@inline export const ATTENTION_BACKWARD_Q_STRIDE: usize = 20;
// @ts-ignore: decorator
@inline export const ATTENTION_BACKWARD_K: usize = 24;
// @ts-ignore: decorator
@inline export const ATTENTION_BACKWARD_K_STRIDE: usize = 28;
// @ts-ignore: decorator
@inline export const ATTENTION_BACKWARD_V: usize = 32;
// @ts-ignore: decorator
@inline export const ATTENTION_BACKWARD_V_STRIDE: usize = 36;
// @ts-ignore: decorator
@inline export const ATTENTION_BACKWARD_Y: usize = 40;
// @ts-ignore: decorator
@inline export const ATTENTION_BACKWARD_Y_STRIDE: usize = 44;
// @ts-ignore: decorator
@inline export const ATTENTION_BACKWARD_DY: usize = 48;
// @ts-ignore: decorator
@inline export const ATTENTION_BACKWARD_DY_STRIDE: usize = 52;
// @ts-ignore: decorator
@inline export const ATTENTION_BACKWARD_DQ: usize = 56;
// @ts-ignore: decorator
@inline export const ATTENTION_BACKWARD_DQ_STRIDE: usize = 60;
// @ts-ignore: decorator
@inline export const ATTENTION_BACKWARD_DK: usize = 64;
// @ts-ignore: decorator
@inline export const ATTENTION_BACKWARD_DK_STRIDE: usize = 68;
// @ts-ignore: decorator
@inline export const ATTENTION_BACKWARD_DV: usize = 72;
// @ts-ignore: decorator
@inline export const ATTENTION_BACKWARD_DV_STRIDE: usize = 76;
// @ts-ignore: decorator
@inline export const ATTENTION_BACKWARD_HEADS: usize = 80;
// @ts-ignore: decorator
@inline export const ATTENTION_BACKWARD_KV_HEADS: usize = 84;
// @ts-ignore: decorator
@inline export const ATTENTION_BACKWARD_HEAD_SIZE: usize = 88;
// @ts-ignore: decorator
@inline export const ATTENTION_BACKWARD_SCALE: usize = 92;
// @ts-ignore: decorator
@inline export const ATTENTION_BACKWARD_WINDOW: usize = 96;
// @ts-ignore: decorator
@inline export const ATTENTION_BACKWARD_SCRATCH: usize = 100;
// @ts-ignore: decorator
@inline export const ATTENTION_BACKWARD_THREAD_BYTES: usize = 104;
// @ts-ignore: decorator
@inline export const GATED_ACTIVATION_BACKWARD_ROWS: usize = 8;
// @ts-ignore: decorator
@inline export const GATED_ACTIVATION_BACKWARD_GATE: usize = 12;
// @ts-ignore: decorator
@inline export const GATED_ACTIVATION_BACKWARD_GATE_STRIDE: usize = 16;
// @ts-ignore: decorator
@inline export const GATED_ACTIVATION_BACKWARD_UP: usize = 20;
// @ts-ignore: decorator
@inline export const GATED_ACTIVATION_BACKWARD_UP_STRIDE: usize = 24;
// @ts-ignore: decorator
@inline export const GATED_ACTIVATION_BACKWARD_DY: usize = 28;
// @ts-ignore: decorator
@inline export const GATED_ACTIVATION_BACKWARD_DY_STRIDE: usize = 32;
// @ts-ignore: decorator
@inline export const GATED_ACTIVATION_BACKWARD_D_GATE: usize = 36;
// @ts-ignore: decorator
@inline export const GATED_ACTIVATION_BACKWARD_D_GATE_STRIDE: usize = 40;
// @ts-ignore: decorator
@inline export const GATED_ACTIVATION_BACKWARD_D_UP: usize = 44;
// @ts-ignore: decorator
@inline export const GATED_ACTIVATION_BACKWARD_D_UP_STRIDE: usize = 48;
// @ts-ignore: decorator
@inline export const GATED_ACTIVATION_BACKWARD_COLUMNS: usize = 52;
// @ts-ignore: decorator
@inline export const GATED_ACTIVATION_BACKWARD_ACTIVATION: usize = 56;
// @ts-ignore: decorator
@inline export const GATHER_ROWS_BACKWARD_ROWS: usize = 8;
// @ts-ignore: decorator
@inline export const GATHER_ROWS_BACKWARD_INDEX_COUNT: usize = 12;
// @ts-ignore: decorator
@inline export const GATHER_ROWS_BACKWARD_INDICES: usize = 16;
// @ts-ignore: decorator
@inline export const GATHER_ROWS_BACKWARD_DY: usize = 20;
// @ts-ignore: decorator
@inline export const GATHER_ROWS_BACKWARD_DY_STRIDE: usize = 24;
// @ts-ignore: decorator
@inline export const GATHER_ROWS_BACKWARD_DX: usize = 28;
// @ts-ignore: decorator
@inline export const GATHER_ROWS_BACKWARD_DX_STRIDE: usize = 32;
// @ts-ignore: decorator
@inline export const GATHER_ROWS_BACKWARD_COLUMNS: usize = 36;
// @ts-ignore: decorator
@inline export const DECAY_FROM_LOG_A_LOG: usize = 8;
// @ts-ignore: decorator
@inline export const DECAY_FROM_LOG_A: usize = 12;
// @ts-ignore: decorator
@inline export const DECAY_FROM_LOG_CHANNELS: usize = 16;
// @ts-ignore: decorator
@inline export const DECAY_FROM_LOG_STATES: usize = 20;
// @ts-ignore: decorator
@inline export const CLEAR_X: usize = 8;
// @ts-ignore: decorator
@inline export const CLEAR_COUNT: usize = 12;
// @ts-ignore: decorator
@inline export const SUM_SQUARES_X: usize = 8;
// @ts-ignore: decorator
@inline export const SUM_SQUARES_COUNT: usize = 12;
// @ts-ignore: decorator
@inline export const SUM_SQUARES_PARTIALS: usize = 16;
// @ts-ignore: decorator
@inline export const CLIP_GRADIENT_PARTIALS: usize = 8;
// @ts-ignore: decorator
@inline export const CLIP_GRADIENT_CHUNKS: usize = 12;
// @ts-ignore: decorator
@inline export const CLIP_GRADIENT_STATE: usize = 16;
// @ts-ignore: decorator
@inline export const ADAM_W_PARAMETERS: usize = 8;
// @ts-ignore: decorator
@inline export const ADAM_W_GRADIENTS: usize = 12;
// @ts-ignore: decorator
@inline export const ADAM_W_FIRST: usize = 16;
// @ts-ignore: decorator
@inline export const ADAM_W_SECOND: usize = 20;
// @ts-ignore: decorator
@inline export const ADAM_W_COUNT: usize = 24;
// @ts-ignore: decorator
@inline export const ADAM_W_DECAYS: usize = 28;
// @ts-ignore: decorator
@inline export const ADAM_W_STATE: usize = 32;
