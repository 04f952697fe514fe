// BERT (Devlin et al. 2019) and RoBERTa (Liu et al. 2019): encoders with learned positions, LayerNorm on each sum,
// and GELU. MiniLM, bge, e5 and gte are BERTs; bge-m3 and the multilingual e5 are XLM-RoBERTa, whose table of
// positions begins with two rows that nothing uses.
import type { ConfigReader } from '../../formats/config-reader.ts';
import type { Family, TensorShapes } from '../family.ts';
import { GGUF_NAMES, type TensorName, type TensorNames } from '../roles.ts';
import type { ModelSpec } from '../spec.ts';
import { bidirectional, ENCODER, onSum, readEncoderHeads, ungated } from './encoder.ts';

const ACTIVATIONS = {
  gelu: 'gelu',
  gelu_new: 'gelu_tanh',
  gelu_pytorch_tanh: 'gelu_tanh',
  relu: 'relu',
  silu: 'silu',
} as const;
const ACTIVATION_WORDS = Object.keys(ACTIVATIONS) as (keyof typeof ACTIVATIONS)[];

/** Rows before that of the first position: RoBERTa counts from behind its padding token, 1. */
const ROBERTA_ROWS = 2;

function fromHuggingFace(c: ConfigReader, unusedRows: number, family: string): ModelSpec {
  c.refuse({ position_embedding_type: ['absolute'], is_decoder: [false] });
  if (unusedRows) c.refuse({ pad_token_id: [1] });
  const { hiddenSize, heads, headSize } = readEncoderHeads(c, 'hidden_size', 'num_attention_heads');
  const positions = c.size('max_position_embeddings', 512) - unusedRows;
  if (positions < 1) c.fail('max_position_embeddings', `more than ${unusedRows}`, positions + unusedRows);
  const activation = ACTIVATIONS[c.text('hidden_act', ACTIVATION_WORDS, 'gelu')];
  return {
    ...ENCODER,
    family,
    name: c.text('model_type', ['bert', 'roberta', 'xlm-roberta', 'camembert']),
    vocabularySize: c.size('vocab_size'),
    hiddenSize,
    normEpsilon: c.number('layer_norm_eps', 0, 1, 1e-12),
    layerNorm: { bias: true },
    encoder: { positions, tokenTypes: c.size('type_vocab_size', 2), embeddingNorm: true, finalNorm: false },
    contextLength: positions,
    layers: onSum(
      c.size('num_hidden_layers', undefined, 4096),
      bidirectional(heads, headSize, true),
      ungated(c.size('intermediate_size'), activation),
    ),
  };
}

function fromGguf(c: ConfigReader, arch: string, shapeOf: TensorShapes): ModelSpec {
  const { hiddenSize, heads, headSize } = readEncoderHeads(
    c,
    `${arch}.embedding_length`,
    `${arch}.attention.head_count`,
  );
  c.refuse({ [`${arch}.attention.causal`]: [false] });
  const [vocabularySize] = shapeOf('token_embd.weight') ?? [];
  const [positions] = shapeOf('position_embd.weight') ?? [];
  if (!vocabularySize) c.fail('token_embd.weight', 'the embedding matrix', undefined);
  if (!positions) c.fail('position_embd.weight', 'the table of positions', undefined);
  return {
    ...ENCODER,
    family: 'bert',
    name: arch,
    vocabularySize,
    hiddenSize,
    normEpsilon: c.number(`${arch}.attention.layer_norm_epsilon`, 0, 1, 1e-12),
    layerNorm: { bias: true },
    encoder: {
      positions,
      tokenTypes: shapeOf('token_types.weight')?.[0] ?? 0,
      embeddingNorm: true,
      finalNorm: false,
    },
    contextLength: Math.min(positions, c.size(`${arch}.context_length`, positions, 2 ** 31)),
    layers: onSum(
      c.size(`${arch}.block_count`, undefined, 4096),
      bidirectional(heads, headSize, true),
      ungated(c.size(`${arch}.feed_forward_length`), 'gelu'),
    ),
  };
}

/** Under the classes' prefixes, and by the names that older files give a norm's weight and bias. */
function named(name: string, kind?: 'weight' | 'bias'): readonly string[] {
  const old = kind && name.includes('LayerNorm') ? [kind === 'weight' ? 'gamma' : 'beta'] : [];
  const endings = kind ? [kind, ...old] : [];
  const full = endings.length ? endings.map((ending) => `${name}.${ending}`) : [name];
  return ['', 'bert.', 'roberta.'].flatMap((prefix) => full.map((one) => prefix + one));
}

const LAYER = 'encoder.layer.N.';

const NAMES = {
  embedding: named('embeddings.word_embeddings', 'weight'),
  positionTable: named('embeddings.position_embeddings', 'weight'),
  typeTable: named('embeddings.token_type_embeddings', 'weight'),
  embeddingNorm: named('embeddings.LayerNorm', 'weight'),
  embeddingNormBias: named('embeddings.LayerNorm', 'bias'),
  q: named(`${LAYER}attention.self.query`, 'weight'),
  k: named(`${LAYER}attention.self.key`, 'weight'),
  v: named(`${LAYER}attention.self.value`, 'weight'),
  o: named(`${LAYER}attention.output.dense`, 'weight'),
  qBias: named(`${LAYER}attention.self.query`, 'bias'),
  kBias: named(`${LAYER}attention.self.key`, 'bias'),
  vBias: named(`${LAYER}attention.self.value`, 'bias'),
  oBias: named(`${LAYER}attention.output.dense`, 'bias'),
  postMixerNorm: named(`${LAYER}attention.output.LayerNorm`, 'weight'),
  postMixerNormBias: named(`${LAYER}attention.output.LayerNorm`, 'bias'),
  up: named(`${LAYER}intermediate.dense`, 'weight'),
  upBias: named(`${LAYER}intermediate.dense`, 'bias'),
  down: named(`${LAYER}output.dense`, 'weight'),
  downBias: named(`${LAYER}output.dense`, 'bias'),
  postFeedForwardNorm: named(`${LAYER}output.LayerNorm`, 'weight'),
  postFeedForwardNormBias: named(`${LAYER}output.LayerNorm`, 'bias'),
} satisfies TensorNames;

/** Names of GGUF files of encoders with norms on sums. */
export const ENCODER_GGUF_NAMES: TensorNames = {
  ...GGUF_NAMES,
  postMixerNorm: ['blk.N.attn_output_norm.weight'],
  postMixerNormBias: ['blk.N.attn_output_norm.bias'],
  postFeedForwardNorm: ['blk.N.layer_output_norm.weight'],
  postFeedForwardNormBias: ['blk.N.layer_output_norm.bias'],
};

export const bert: Family = {
  name: 'bert',
  huggingFaceTypes: ['bert'],
  fromHuggingFace: (c) => fromHuggingFace(c, 0, 'bert'),
  fromGguf,
  gguf: [{ architecture: 'bert', names: ENCODER_GGUF_NAMES }],
  huggingFaceNames: NAMES,
};

const usedPositions = (tensor: string): TensorName => ({
  tensor,
  rows: ({ encoder }) => ({ blocks: 1, sections: [ROBERTA_ROWS, encoder?.positions ?? 0], take: [1] }),
});

export const roberta: Family = {
  name: 'roberta',
  huggingFaceTypes: ['roberta', 'xlm-roberta', 'camembert'],
  fromHuggingFace: (c) => fromHuggingFace(c, ROBERTA_ROWS, 'roberta'),
  fromGguf,
  gguf: [],
  huggingFaceNames: { ...NAMES, positionTable: NAMES.positionTable.map(usedPositions) },
};
