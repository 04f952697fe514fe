// The shapes of synthetic Jamba and Llama models: which tensors a file holds, filled how, and what its
// metadata says. Those of the other hybrids: synthetic-hybrids.ts.
import type { TypedMetadataValue } from '@marimba/engine/formats';
import {
  type Blueprint,
  generalMetadata,
  type Mix,
  matrix,
  type PlannedTensor,
  u32,
  vector,
  withTypes,
} from './synthetic-parts.ts';
import { madeUpVocabulary } from './with-vocabulary.ts';

/** Jamba Reasoning 3B and Jamba2 3B. */
const JAMBA_3B_SHAPE = {
  layers: 28,
  hidden: 2560,
  feedForward: 8192,
  heads: 20,
  kvHeads: 1,
  attentionPeriod: 14,
  attentionOffset: 7,
  vocabulary: 65_536,
  states: 16,
  convWidth: 4,
  dtRank: 160,
  contextLength: 262_144,
};
/** The same structure, small enough for a page in a browser or a quick test. */
const JAMBA_SMALL_SHAPE: JambaShape = {
  layers: 14,
  hidden: 512,
  feedForward: 1024,
  heads: 4,
  kvHeads: 1,
  attentionPeriod: 14,
  attentionOffset: 7,
  vocabulary: 4096,
  states: 16,
  convWidth: 4,
  dtRank: 32,
  contextLength: 32_768,
};
type JambaShape = typeof JAMBA_3B_SHAPE;

/** Llama 3.2 1B but for the vocabulary, which is a quarter of its. */
const LLAMA_1B_SHAPE = {
  layers: 16,
  hidden: 2048,
  feedForward: 8192,
  heads: 32,
  kvHeads: 8,
  vocabulary: 32_000,
  contextLength: 131_072,
};

const jamba = (name: string, shape: JambaShape): Blueprint => ({
  name,
  metadata: (mix) => jambaMetadata(shape, mix),
  tensors: (mix) => jambaTensors(shape, mix),
});

export const JAMBA_3B = jamba('jamba-3b', JAMBA_3B_SHAPE);
export const JAMBA_SMALL = jamba('jamba-small', JAMBA_SMALL_SHAPE);
const llama = (name: string, layers: number): Blueprint => ({
  name,
  metadata: (mix) => llamaMetadata(layers, mix),
  tensors: (mix) => llamaTensors(layers, mix),
});

export const LLAMA_1B = llama('llama-1b', LLAMA_1B_SHAPE.layers);
/** Half of its layers: for many files after each other. */
export const LLAMA_1B_HALF = llama('llama-1b-half', LLAMA_1B_SHAPE.layers / 2);

function jambaMetadata(shape: JambaShape, mix: Mix): Map<string, TypedMetadataValue> {
  const isAttention = attentionTest(shape);
  const kvHeads = Array.from({ length: shape.layers }, (_, i) => (isAttention(i) ? shape.kvHeads : 0));
  return new Map<string, TypedMetadataValue>([
    ...generalMetadata('jamba', mix),
    ['jamba.block_count', u32(shape.layers)],
    ['jamba.context_length', u32(shape.contextLength)],
    ['jamba.embedding_length', u32(shape.hidden)],
    ['jamba.feed_forward_length', u32(shape.feedForward)],
    ['jamba.attention.head_count', u32(shape.heads)],
    ['jamba.attention.head_count_kv', { type: 'array', of: 'i32', value: kvHeads }],
    ['jamba.attention.layer_norm_rms_epsilon', { type: 'f32', value: 1e-6 }],
    ['jamba.ssm.conv_kernel', u32(shape.convWidth)],
    ['jamba.ssm.inner_size', u32(2 * shape.hidden)],
    ['jamba.ssm.state_size', u32(shape.states)],
    ['jamba.ssm.time_step_rank', u32(shape.dtRank)],
    ['jamba.expert_count', u32(1)],
    ['jamba.expert_used_count', u32(1)],
    ['jamba.vocab_size', u32(shape.vocabulary)],
    ...madeUpVocabulary(shape.vocabulary),
  ]);
}

const attentionTest = (shape: JambaShape) => (layer: number) =>
  layer % shape.attentionPeriod === shape.attentionOffset;

function jambaTensors(shape: JambaShape, mix: Mix): PlannedTensor[] {
  const { hidden, dtRank, states } = shape;
  const inner = 2 * hidden;
  const kv = (hidden / shape.heads) * shape.kvHeads;
  const planned = [
    matrix('token_embd.weight', shape.vocabulary, hidden),
    vector('output_norm.weight', [hidden], 1),
  ];
  for (let layer = 0; layer < shape.layers; layer++) {
    const at = `blk.${layer}.`;
    planned.push(vector(`${at}attn_norm.weight`, [hidden], 1));
    if (attentionTest(shape)(layer)) {
      planned.push(
        matrix(`${at}attn_q.weight`, hidden, hidden),
        matrix(`${at}attn_k.weight`, kv, hidden),
        matrix(`${at}attn_v.weight`, kv, hidden),
        matrix(`${at}attn_output.weight`, hidden, hidden),
      );
    } else {
      planned.push(
        matrix(`${at}ssm_in.weight`, 2 * inner, hidden),
        vector(`${at}ssm_conv1d.weight`, [inner, shape.convWidth], 'smallNoise'),
        vector(`${at}ssm_conv1d.bias`, [inner], 0),
        matrix(`${at}ssm_x.weight`, dtRank + 2 * states, inner),
        vector(`${at}ssm_dt_norm.weight`, [dtRank], 1),
        vector(`${at}ssm_b_norm.weight`, [states], 1),
        vector(`${at}ssm_c_norm.weight`, [states], 1),
        matrix(`${at}ssm_dt.weight`, inner, dtRank),
        vector(`${at}ssm_dt.bias`, [inner], -4),
        vector(`${at}ssm_a`, [inner, states], { decay: states }),
        vector(`${at}ssm_d`, [inner], 1),
        matrix(`${at}ssm_out.weight`, hidden, inner),
      );
    }
    planned.push(
      vector(`${at}ffn_norm.weight`, [hidden], 1),
      matrix(`${at}ffn_gate.weight`, shape.feedForward, hidden),
      matrix(`${at}ffn_down.weight`, hidden, shape.feedForward),
      matrix(`${at}ffn_up.weight`, shape.feedForward, hidden),
    );
  }
  return withTypes(mix, shape.layers, planned);
}

function llamaMetadata(layers: number, mix: Mix): Map<string, TypedMetadataValue> {
  const shape = LLAMA_1B_SHAPE;
  return new Map<string, TypedMetadataValue>([
    ...generalMetadata('llama', mix),
    ['llama.block_count', u32(layers)],
    ['llama.context_length', u32(shape.contextLength)],
    ['llama.embedding_length', u32(shape.hidden)],
    ['llama.feed_forward_length', u32(shape.feedForward)],
    ['llama.attention.head_count', u32(shape.heads)],
    ['llama.attention.head_count_kv', u32(shape.kvHeads)],
    ['llama.attention.layer_norm_rms_epsilon', { type: 'f32', value: 1e-5 }],
    ['llama.rope.dimension_count', u32(shape.hidden / shape.heads)],
    ['llama.rope.freq_base', { type: 'f32', value: 500_000 }],
    ['llama.vocab_size', u32(shape.vocabulary)],
    ...madeUpVocabulary(shape.vocabulary),
  ]);
}

function llamaTensors(layers: number, mix: Mix): PlannedTensor[] {
  const { hidden, feedForward, heads, kvHeads, vocabulary } = LLAMA_1B_SHAPE;
  const kv = (hidden / heads) * kvHeads;
  const planned = [
    matrix('token_embd.weight', vocabulary, hidden),
    vector('output_norm.weight', [hidden], 1),
  ];
  for (let layer = 0; layer < layers; layer++) {
    const at = `blk.${layer}.`;
    planned.push(
      vector(`${at}attn_norm.weight`, [hidden], 1),
      matrix(`${at}attn_q.weight`, hidden, hidden),
      matrix(`${at}attn_k.weight`, kv, hidden),
      matrix(`${at}attn_v.weight`, kv, hidden),
      matrix(`${at}attn_output.weight`, hidden, hidden),
      vector(`${at}ffn_norm.weight`, [hidden], 1),
      matrix(`${at}ffn_gate.weight`, feedForward, hidden),
      matrix(`${at}ffn_down.weight`, hidden, feedForward),
      matrix(`${at}ffn_up.weight`, feedForward, hidden),
    );
  }
  return withTypes(mix, layers, planned);
}
