// ModernBERT (Warner et al. 2024, arXiv:2412.13663), of which granite-embedding-r2 and gte-modernbert are: norms
// before the parts and after the last layer, none before the first attention; two layers in three see 64 tokens to
// either side; a gated GELU; no biases.
import type { ConfigReader } from '../../formats/config-reader.ts';
import type { AttentionSpec } from '../../layers/attention.ts';
import type { Family } from '../family.ts';
import type { LayerSpec, ModelSpec } from '../spec.ts';
import { bidirectional, ENCODER, readEncoderHeads, rowsOfThree, rowsOfTwo } from './encoder.ts';
import { type AttentionType, readLayerTypes, readRopesByType } from './huggingface.ts';

const ACTIVATIONS = { gelu: 'gelu', gelu_pytorch_tanh: 'gelu_tanh', silu: 'silu' } as const;
const ACTIVATION_WORDS = Object.keys(ACTIVATIONS) as (keyof typeof ACTIVATIONS)[];

function fromHuggingFace(c: ConfigReader): ModelSpec {
  const { hiddenSize } = readEncoderHeads(c, 'hidden_size', 'num_attention_heads');
  c.refuse({ attention_bias: [false], mlp_bias: [false] });
  const attention = readAttention(c);
  const feedForward = {
    kind: 'dense',
    size: c.size('intermediate_size'),
    gated: true,
    activation: ACTIVATIONS[c.text('hidden_activation', ACTIVATION_WORDS, 'gelu')],
    bias: false,
  } as const;
  return {
    ...ENCODER,
    family: 'modernbert',
    name: c.text('model_type', ['modernbert']),
    vocabularySize: c.size('vocab_size'),
    hiddenSize,
    normEpsilon: c.number('norm_eps', 0, 1, 1e-5),
    layerNorm: { bias: c.flag('norm_bias', false) },
    encoder: { positions: 0, tokenTypes: 0, embeddingNorm: true, finalNorm: true },
    contextLength: c.size('max_position_embeddings', 8192, 2 ** 31),
    layers: readTypes(c).map(
      (type, i): LayerSpec => ({
        mixers: [attention[type]],
        feedForward,
        ...(i ? {} : { plainInput: true }),
      }),
    ),
  };
}

function readTypes(c: ConfigReader): AttentionType[] {
  const count = c.size('num_hidden_layers', undefined, 4096);
  const distance = c.size('global_attn_every_n_layers', 3, 4096);
  return (
    readLayerTypes(c, count, ['full_attention', 'sliding_attention']) ??
    Array.from({ length: count }, (_, i) => (i % distance ? 'sliding_attention' : 'full_attention'))
  );
}

function readAttention(c: ConfigReader): Record<AttentionType, AttentionSpec> {
  const { heads, headSize } = readEncoderHeads(c, 'hidden_size', 'num_attention_heads');
  const ropes = readRopesByType(c, headSize, {
    full_attention: ['global_rope_theta', 160_000],
    sliding_attention: ['local_rope_theta', 10_000],
  });
  const of = (type: AttentionType, window: number | null): AttentionSpec => ({
    ...bidirectional(heads, headSize, false),
    rope: ropes[type],
    window,
  });
  const reach = Math.floor(c.size('local_attention', 128, 2 ** 30) / 2);
  return {
    full_attention: of('full_attention', null),
    sliding_attention: of('sliding_attention', 2 * reach + 1),
  };
}

const LAYER = 'model.layers.N.';

export const modernbert: Family = {
  name: 'modernbert',
  huggingFaceTypes: ['modernbert'],
  fromHuggingFace,
  fromGguf: (c, arch) => c.fail('general.architecture', 'a folder of safetensors for ModernBERT', arch),
  gguf: [],
  huggingFaceNames: {
    embedding: ['model.embeddings.tok_embeddings.weight'],
    embeddingNorm: ['model.embeddings.norm.weight'],
    embeddingNormBias: ['model.embeddings.norm.bias'],
    inputNorm: [`${LAYER}attn_norm.weight`],
    inputNormBias: [`${LAYER}attn_norm.bias`],
    q: [rowsOfThree(`${LAYER}attn.Wqkv.weight`, 0)],
    k: [rowsOfThree(`${LAYER}attn.Wqkv.weight`, 1)],
    v: [rowsOfThree(`${LAYER}attn.Wqkv.weight`, 2)],
    o: [`${LAYER}attn.Wo.weight`],
    feedForwardNorm: [`${LAYER}mlp_norm.weight`],
    feedForwardNormBias: [`${LAYER}mlp_norm.bias`],
    gate: [rowsOfTwo(`${LAYER}mlp.Wi.weight`, 0)],
    up: [rowsOfTwo(`${LAYER}mlp.Wi.weight`, 1)],
    down: [`${LAYER}mlp.Wo.weight`],
    finalNorm: ['model.final_norm.weight'],
    finalNormBias: ['model.final_norm.bias'],
  },
};
