// Nomic's BERT (Nussbaum et al. 2024, arXiv:2402.01613): rotary positions in place of learned ones, a gated
// feed-forward, no biases beside the norms'. Files come in two forms: that of transformers, and that of Nomic's
// own code, with fields of GPT-2.
import type { ConfigReader } from '../../formats/config-reader.ts';
import { type DenseSpec, plainDense } from '../../layers/dense.ts';
import type { RopeSpec } from '../../layers/rope.ts';
import type { Family, TensorShapes } from '../family.ts';
import type { ModelSpec } from '../spec.ts';
import { ENCODER_GGUF_NAMES } from './bert.ts';
import { bidirectional, ENCODER, onSum, readEncoderHeads, rowsOfThree } from './encoder.ts';
import { readSilu, readTheta } from './huggingface.ts';

interface Sizes {
  readonly hiddenSize: number;
  readonly heads: number;
  readonly headSize: number;
  readonly layers: number;
  readonly feedForward: DenseSpec;
  readonly theta: number;
}

const layersOf = ({ heads, headSize, layers, feedForward, theta }: Sizes) => {
  const rope: RopeSpec = { theta, rotary: headSize, scaling: null };
  return onSum(layers, { ...bidirectional(heads, headSize, false), rope }, feedForward);
};

const COMMON = { ...ENCODER, family: 'nomic-bert', layerNorm: { bias: true } } as const;

function fromHuggingFace(c: ConfigReader): ModelSpec {
  const own = c.has('n_embd');
  const sizes = own ? readOwn(c) : readNative(c);
  return {
    ...COMMON,
    name: c.text('model_type', ['nomic_bert']),
    vocabularySize: c.size('vocab_size'),
    hiddenSize: sizes.hiddenSize,
    normEpsilon: c.number(own ? 'layer_norm_epsilon' : 'layer_norm_eps', 0, 1, 1e-12),
    encoder: {
      positions: 0,
      tokenTypes: c.integer('type_vocab_size', 0, 2 ** 16, 2),
      embeddingNorm: true,
      finalNorm: false,
    },
    contextLength: c.size(own ? 'n_positions' : 'max_position_embeddings', 2048, 2 ** 31),
    layers: layersOf(sizes),
  };
}

function readNative(c: ConfigReader): Sizes {
  const head = readEncoderHeads(c, 'hidden_size', 'num_attention_heads');
  c.refuse({ head_dim: [head.headSize] });
  readSilu(c);
  return {
    ...head,
    layers: c.size('num_hidden_layers', undefined, 4096),
    feedForward: plainDense(c.size('intermediate_size')),
    theta: readTheta(c, 1000),
  };
}

/** What Nomic's code can do besides is refused. */
function readOwn(c: ConfigReader): Sizes {
  c.refuse({
    prenorm: [false],
    use_rms_norm: [false],
    qkv_proj_bias: [false],
    mlp_fc1_bias: [false],
    mlp_fc2_bias: [false],
    rotary_emb_fraction: [1],
    rotary_emb_interleaved: [false],
    rotary_emb_scale_base: [],
    rotary_scaling_factor: [1, 2], // for texts longer than those trained on only
    parallel_block: [false],
    num_experts: [0],
    causal: [false],
  });
  c.text('activation_function', ['swiglu']);
  const head = readEncoderHeads(c, 'n_embd', 'n_head');
  return {
    ...head,
    layers: c.size('n_layer', undefined, 4096),
    feedForward: plainDense(c.size('n_inner', 4 * head.hiddenSize)),
    theta: c.number('rotary_emb_base', 1, 1e12, 10_000),
  };
}

function fromGguf(c: ConfigReader, arch: string, shapeOf: TensorShapes): ModelSpec {
  const key = (name: string) => `${arch}.${name}`;
  const head = readEncoderHeads(c, key('embedding_length'), key('attention.head_count'));
  c.refuse({ [key('attention.causal')]: [false], [key('moe_every_n_layers')]: [0] });
  const [vocabularySize] = shapeOf('token_embd.weight') ?? [];
  if (!vocabularySize) c.fail('token_embd.weight', 'the embedding matrix', undefined);
  return {
    ...COMMON,
    name: arch,
    vocabularySize,
    hiddenSize: head.hiddenSize,
    normEpsilon: c.number(key('attention.layer_norm_epsilon'), 0, 1, 1e-12),
    encoder: {
      positions: 0,
      tokenTypes: shapeOf('token_types.weight')?.[0] ?? 0,
      embeddingNorm: true,
      finalNorm: false,
    },
    contextLength: c.size(key('context_length'), 2048, 2 ** 31),
    layers: layersOf({
      ...head,
      layers: c.size(key('block_count'), undefined, 4096),
      feedForward: plainDense(c.size(key('feed_forward_length'))),
      theta: c.number(key('rope.freq_base'), 1, 1e12, 10_000),
    }),
  };
}

const NATIVE = 'layers.N.';
const OWN = 'encoder.layers.N.';
const qkv = (part: 0 | 1 | 2, native: string) => [
  ...prefixed(`${NATIVE}self_attn.${native}.weight`),
  rowsOfThree(`${OWN}attn.Wqkv.weight`, part),
];
/** Under the prefix of classes with a head on top, too. */
const prefixed = (name: string): string[] => [name, `nomic_bert.${name}`];

export const nomicBert: Family = {
  name: 'nomic-bert',
  huggingFaceTypes: ['nomic_bert'],
  fromHuggingFace,
  fromGguf,
  gguf: [
    {
      architecture: 'nomic-bert',
      names: {
        ...ENCODER_GGUF_NAMES,
        q: ['blk.N.attn_q.weight', rowsOfThree('blk.N.attn_qkv.weight', 0)],
        k: ['blk.N.attn_k.weight', rowsOfThree('blk.N.attn_qkv.weight', 1)],
        v: ['blk.N.attn_v.weight', rowsOfThree('blk.N.attn_qkv.weight', 2)],
      },
    },
  ],
  huggingFaceNames: {
    embedding: prefixed('embeddings.word_embeddings.weight'),
    typeTable: prefixed('embeddings.token_type_embeddings.weight'),
    embeddingNorm: [...prefixed('embeddings.LayerNorm.weight'), 'emb_ln.weight'],
    embeddingNormBias: [...prefixed('embeddings.LayerNorm.bias'), 'emb_ln.bias'],
    q: qkv(0, 'q_proj'),
    k: qkv(1, 'k_proj'),
    v: qkv(2, 'v_proj'),
    o: [...prefixed(`${NATIVE}self_attn.o_proj.weight`), `${OWN}attn.out_proj.weight`],
    postMixerNorm: [...prefixed(`${NATIVE}post_attention_layernorm.weight`), `${OWN}norm1.weight`],
    postMixerNormBias: [...prefixed(`${NATIVE}post_attention_layernorm.bias`), `${OWN}norm1.bias`],
    up: [...prefixed(`${NATIVE}mlp.up_proj.weight`), `${OWN}mlp.fc11.weight`],
    gate: [...prefixed(`${NATIVE}mlp.gate_proj.weight`), `${OWN}mlp.fc12.weight`],
    down: [...prefixed(`${NATIVE}mlp.down_proj.weight`), `${OWN}mlp.fc2.weight`],
    postFeedForwardNorm: [...prefixed(`${NATIVE}post_mlp_layernorm.weight`), `${OWN}norm2.weight`],
    postFeedForwardNormBias: [...prefixed(`${NATIVE}post_mlp_layernorm.bias`), `${OWN}norm2.bias`],
  },
};
