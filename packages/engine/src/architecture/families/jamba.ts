// Jamba (Lieber et al. 2024; AI21's Jamba 1.5, Mini, Reasoning 3B, Jamba2 3B): Mamba-1 layers with an attention layer every
// `attn_layer_period`, experts every `expert_layer_period`, no positions. Field names are those of its config.json.
import type { ConfigReader } from '../config-reader.ts';
import type { Family, TensorShapes } from '../family.ts';
import type { LayerSpec, ModelSpec } from '../spec.ts';

function fromHuggingFace(c: ConfigReader): ModelSpec {
  const hiddenSize = c.size('hidden_size');
  const heads = c.size('num_attention_heads');
  if (hiddenSize % heads) c.fail('num_attention_heads', `a divisor of hidden_size ${hiddenSize}`, heads);
  const kvHeads = c.size('num_key_value_heads', heads);
  if (heads % kvHeads) c.fail('num_key_value_heads', `a divisor of num_attention_heads ${heads}`, kvHeads);
  const size = c.size('intermediate_size');
  const experts = c.size('num_experts', 16, 4096);
  const topK = c.size('num_experts_per_tok', 2, 4096);
  if (experts > 1 && topK > experts) c.fail('num_experts_per_tok', `at most num_experts ${experts}`, topK);
  const attention = {
    period: c.size('attn_layer_period', 8),
    offset: c.integer('attn_layer_offset', 0, 4096, 4),
  };
  const routed = {
    period: c.size('expert_layer_period', 2),
    offset: c.integer('expert_layer_offset', 0, 4096, 1),
  };
  const activation = c.text('hidden_act', ['silu'], 'silu');
  const normEpsilon = c.number('rms_norm_eps', 0, 1, 1e-6);
  const rank =
    c.raw('mamba_dt_rank') === 'auto'
      ? Math.ceil(hiddenSize / 16)
      : c.size('mamba_dt_rank', Math.ceil(hiddenSize / 16));
  const mixers = {
    attention: {
      kind: 'attention',
      heads,
      kvHeads,
      headSize: hiddenSize / heads,
      window: null,
      rope: null,
      inputBias: false,
      outputBias: false,
      headNorms: false,
    },
    mamba: {
      kind: 'mamba',
      innerSize: c.size('mamba_expand', 2, 64) * hiddenSize,
      stateSize: c.size('mamba_d_state', 16, 4096),
      convWidth: c.size('mamba_d_conv', 4, 64),
      dtRank: rank,
      convBias: c.flag('mamba_conv_bias', true),
      projectionBias: c.flag('mamba_proj_bias', false),
      innerNorms: 'weighted',
      innerNormEpsilon: normEpsilon,
    },
  } as const;
  const layers = Array.from(
    { length: c.size('num_hidden_layers', undefined, 4096) },
    (_, i): LayerSpec => ({
      mixer: i % attention.period === attention.offset ? mixers.attention : mixers.mamba,
      feedForward:
        experts > 1 && i % routed.period === routed.offset
          ? { kind: 'experts', size, count: experts, topK, renormalize: false, activation }
          : { kind: 'dense', size, activation, bias: false },
    }),
  );
  const vocabularySize = c.size('vocab_size');
  return {
    family: 'jamba',
    name: 'jamba',
    vocabularySize,
    hiddenSize,
    normEpsilon,
    layers,
    embeddingScale: 1,
    tiedHead: c.flag('tie_word_embeddings', false),
    contextLength: c.size('max_position_embeddings', 262_144, 2 ** 31),
    beginToken: c.tokens('bos_token_id', vocabularySize)[0] ?? null,
    endTokens: c.tokens('eos_token_id', vocabularySize),
  };
}

function fromGguf(c: ConfigReader, arch: string, shapeOf: TensorShapes): ModelSpec {
  const count = c.size(`${arch}.block_count`, undefined, 4096);
  const hiddenSize = c.size(`${arch}.embedding_length`);
  const heads = c.size(`${arch}.attention.head_count`);
  if (hiddenSize % heads)
    c.fail(`${arch}.attention.head_count`, `a divisor of embedding_length ${hiddenSize}`, heads);
  const kvHeads = c.perLayer(`${arch}.attention.head_count_kv`, count, 0, heads);
  const size = c.size(`${arch}.feed_forward_length`);
  const normEpsilon = c.number(`${arch}.attention.layer_norm_rms_epsilon`, 0, 1, 1e-6);
  const experts = c.integer(`${arch}.expert_count`, 0, 4096, 0);
  const layers = kvHeads.map((kv, i): LayerSpec => {
    if (kv > 0 && heads % kv)
      c.fail(`${arch}.attention.head_count_kv`, `divisors of head_count ${heads}, or 0`, kv);
    return {
      mixer:
        kv > 0
          ? {
              kind: 'attention',
              heads,
              kvHeads: kv,
              headSize: hiddenSize / heads,
              window: null,
              rope: null,
              inputBias: false,
              outputBias: false,
              headNorms: false,
            }
          : {
              kind: 'mamba',
              innerSize: c.size(`${arch}.ssm.inner_size`),
              stateSize: c.size(`${arch}.ssm.state_size`, undefined, 4096),
              convWidth: c.size(`${arch}.ssm.conv_kernel`, undefined, 64),
              dtRank: c.size(`${arch}.ssm.time_step_rank`),
              convBias: shapeOf(`blk.${i}.ssm_conv1d.bias`) !== undefined,
              projectionBias: shapeOf(`blk.${i}.ssm_in.bias`) !== undefined,
              innerNorms: 'weighted',
              innerNormEpsilon: normEpsilon,
            },
      feedForward: shapeOf(`blk.${i}.ffn_gate_inp.weight`)
        ? {
            kind: 'experts',
            size,
            count: experts,
            activation: 'silu',
            renormalize: false,
            topK: c.size(`${arch}.expert_used_count`, undefined, Math.max(1, experts)),
          }
        : { kind: 'dense', size, activation: 'silu', bias: false },
    };
  });
  return {
    family: 'jamba',
    name: 'jamba',
    hiddenSize,
    normEpsilon,
    layers,
    embeddingScale: 1,
    ...ggufCommon(c, arch, shapeOf),
  };
}

/** What every family reads the same way from GGUF metadata. */
export function ggufCommon(c: ConfigReader, arch: string, shapeOf: TensorShapes) {
  const vocabularySize = shapeOf('token_embd.weight')?.[0];
  if (!vocabularySize) c.fail('token_embd.weight', 'the embedding matrix', undefined);
  const ends = ['eos', 'eot', 'eom'].flatMap((t) => c.tokens(`tokenizer.ggml.${t}_token_id`, vocabularySize));
  return {
    vocabularySize,
    tiedHead: shapeOf('output.weight') === undefined,
    contextLength: c.size(`${arch}.context_length`, 4096, 2 ** 31),
    beginToken: c.tokens('tokenizer.ggml.bos_token_id', vocabularySize)[0] ?? null,
    endTokens: [...new Set(ends)],
  };
}

const MAMBA = 'model.layers.N.mamba.';
const FEED_FORWARD = ['model.layers.N.feed_forward.', 'model.layers.N.moe.'];
const both = (suffix: string) => FEED_FORWARD.map((prefix) => prefix + suffix);

export const jamba: Family = {
  name: 'jamba',
  huggingFaceTypes: ['jamba'],
  ggufArchitectures: ['jamba'],
  fromHuggingFace,
  fromGguf,
  ggufPermutedQk: [],
  huggingFaceNames: {
    embedding: ['model.embed_tokens.weight'],
    finalNorm: ['model.final_layernorm.weight'],
    head: ['lm_head.weight'],
    inputNorm: ['model.layers.N.input_layernorm.weight'],
    feedForwardNorm: ['model.layers.N.pre_ff_layernorm.weight', 'model.layers.N.pre_moe_layernorm.weight'],
    q: ['model.layers.N.self_attn.q_proj.weight'],
    k: ['model.layers.N.self_attn.k_proj.weight'],
    v: ['model.layers.N.self_attn.v_proj.weight'],
    o: ['model.layers.N.self_attn.o_proj.weight'],
    inProj: [`${MAMBA}in_proj.weight`],
    inProjBias: [`${MAMBA}in_proj.bias`],
    convWeight: [`${MAMBA}conv1d.weight`],
    convBias: [`${MAMBA}conv1d.bias`],
    xProj: [`${MAMBA}x_proj.weight`],
    dtProj: [`${MAMBA}dt_proj.weight`],
    dtProjBias: [`${MAMBA}dt_proj.bias`],
    dtNorm: [`${MAMBA}dt_layernorm.weight`],
    bNorm: [`${MAMBA}b_layernorm.weight`, `${MAMBA}B_layernorm.weight`],
    cNorm: [`${MAMBA}c_layernorm.weight`, `${MAMBA}C_layernorm.weight`],
    a: [`${MAMBA}A_log`],
    d: [`${MAMBA}D`],
    outProj: [`${MAMBA}out_proj.weight`],
    outProjBias: [`${MAMBA}out_proj.bias`],
    // A routed layer of one expert is a dense layer; older checkpoints store it as expert 0.
    gate: [...both('gate_proj.weight'), ...both('experts.0.gate_proj.weight')],
    up: [...both('up_proj.weight'), ...both('experts.0.up_proj.weight')],
    down: [...both('down_proj.weight'), ...both('experts.0.down_proj.weight')],
    router: both('router.weight'),
    expertGate: both('experts.E.gate_proj.weight'),
    expertUp: both('experts.E.up_proj.weight'),
    expertDown: both('experts.E.down_proj.weight'),
  },
};
