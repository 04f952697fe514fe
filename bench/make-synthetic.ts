// Full-size model files for measuring speed: the shapes of a Jamba 3B, random weights. What such a model says means
// nothing; how long it takes, and what it needs, is the real model's. Made once, kept in Marimba's cache folder.
//
//   node bench/make-synthetic.ts q4_0|q4_K_M [FILE]
//
// Weights are random bits with block scales of one size for all, chosen so that activations neither vanish nor explode.
import { mkdir, open, rename, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TypedMetadataValue } from '@marimba/engine/internal/formats/gguf-types';
import { createGgufWriter, type GgufTensorInfo } from '@marimba/engine/internal/formats/gguf-writer';
import { writeF16 } from '@marimba/engine/internal/formats/half';
import { TENSOR_TYPES } from '@marimba/engine/internal/formats/tensor-types';
import type { TensorType } from '@marimba/engine/internal/formats/types';
import { xoshiro128 } from '@marimba/engine/internal/generate/random';
import { defaultCacheFolder } from '@marimba/engine/internal/hub/cache.node';
import { madeUpVocabulary } from './with-vocabulary.ts';

export const MIXES = ['q4_0', 'q4_K_M'] as const;
export type Mix = (typeof MIXES)[number];

/** Jamba Reasoning 3B and Jamba2 3B. */
export const JAMBA_3B = {
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
export const JAMBA_SMALL = {
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
export type Shape = typeof JAMBA_3B;

/** How the values of a tensor are made: quantised noise, one number, small noise, or −1 … −states. */
type Fill = 'noise' | 'smallNoise' | 'decay' | number;
interface Planned extends GgufTensorInfo {
  readonly fill: Fill;
}

/** The path of a file of this mix, made now if it is not there. */
export async function syntheticModel(mix: Mix, shape: Shape = JAMBA_3B): Promise<string> {
  const size = shape === JAMBA_3B ? '3b' : `h${shape.hidden}`;
  const path = join(defaultCacheFolder(), 'bench', `synthetic-jamba-${size}-${mix}-v1.gguf`);
  const found = await stat(path).catch(() => null);
  if (!found) {
    process.stderr.write(`Making ${path} (once) …\n`);
    await writeSynthetic(path, mix, shape);
  }
  return path;
}

/** Writes under another name first, so that an interrupted file is never taken for a whole one. */
export async function writeSynthetic(path: string, mix: Mix, shape: Shape): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const planned = tensorsOf(shape, mix);
  const { header, tensors, byteLength } = createGgufWriter({
    metadata: metadataOf(shape, mix),
    tensors: planned,
  });
  const next = xoshiro128([1, 2, 3, 4]);
  const file = await open(`${path}.partial`, 'w');
  try {
    await file.write(header, 0, header.byteLength, 0);
    for (const [i, tensor] of planned.entries()) {
      const bytes = tensorBytes(tensor, shape, tensors[i]!.byteLength, next);
      await file.write(bytes, 0, bytes.byteLength, tensors[i]!.offset);
    }
    await file.truncate(byteLength);
  } finally {
    await file.close();
  }
  await rename(`${path}.partial`, path);
}

function metadataOf(shape: Shape, mix: Mix): Map<string, TypedMetadataValue> {
  const u32 = (value: number): TypedMetadataValue => ({ type: 'u32', value });
  const isAttention = attentionTest(shape);
  const kvHeads = Array.from({ length: shape.layers }, (_, i) => (isAttention(i) ? shape.kvHeads : 0));
  return new Map<string, TypedMetadataValue>([
    ['general.architecture', { type: 'string', value: 'jamba' }],
    ['general.name', { type: 'string', value: 'synthetic' }],
    ['general.file_type', u32(mix === 'q4_0' ? 2 : 15)],
    ['general.quantization_version', u32(2)],
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

const attentionTest = (shape: Shape) => (layer: number) =>
  layer % shape.attentionPeriod === shape.attentionOffset;

function tensorsOf(shape: Shape, mix: Mix): Planned[] {
  const { hidden, dtRank, states } = shape;
  const inner = 2 * hidden;
  const kv = (hidden / shape.heads) * shape.kvHeads;
  const matrix = (name: string, rows: number, columns: number): Planned => ({
    name,
    type: typeOf(mix, name, columns, shape),
    shape: [rows, columns],
    fill: 'noise',
  });
  const vector = (name: string, sizes: number[], fill: Fill): Planned => ({
    name,
    type: 'F32',
    shape: sizes,
    fill,
  });
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
        vector(`${at}ssm_a`, [inner, states], 'decay'),
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
  return planned;
}

/**
 * As llama.cpp's quantiser assigns types: Q4_K_M keeps the embedding, and `attn_v` and `ffn_down` of the first and last
 * eighth and every third layer between, in Q6_K. Rows that are no multiple of 256 fall back to Q5_0 (to Q8_0 from Q6_K).
 */
function typeOf(mix: Mix, name: string, columns: number, shape: Shape): TensorType {
  if (mix === 'q4_0') return 'Q4_0';
  const layer = Number(/^blk\.(\d+)\./.exec(name)?.[1] ?? 0);
  const eighth = Math.floor(shape.layers / 8);
  const isEdge = layer < eighth || layer >= shape.layers - eighth || (layer - eighth) % 3 === 2;
  const isFragile = name === 'token_embd.weight' || (/attn_v|ffn_down/.test(name) && isEdge);
  if (columns % 256 === 0) return isFragile ? 'Q6_K' : 'Q4_K';
  return isFragile ? 'Q8_0' : 'Q5_0';
}

/** Where a block keeps its f16 scales, and the size of a scale that gives weights of standard deviation 1. */
const SCALES: { readonly [type in TensorType]?: readonly (readonly [offset: number, value: number])[] } = {
  Q4_0: [[0, 1 / 4.6]],
  Q5_0: [[0, 1 / 9.2]],
  Q8_0: [[0, 1 / 74]],
  // Six-bit scales and minima average 32; −7.5 centres the nibbles.
  Q4_K: [
    [0, 1 / 4.6 / 32],
    [2, 7.5 / 4.6 / 32],
  ],
  Q6_K: [[208, 1 / 18.5 / 74]],
};

function tensorBytes(tensor: Planned, shape: Shape, byteLength: number, next: () => number): Uint8Array {
  const bytes = new Uint8Array(byteLength);
  if (tensor.fill !== 'noise') {
    const floats = new Float32Array(bytes.buffer);
    for (let i = 0; i < floats.length; i++) floats[i] = elementOf(tensor.fill, i, shape, next);
    return bytes;
  }
  const words = new Uint32Array(bytes.buffer, 0, byteLength >>> 2);
  for (let i = 0; i < words.length; i++) words[i] = next();
  const { blockBytes } = TENSOR_TYPES[tensor.type];
  // Products of normalised inputs then have a variance of one as well.
  const deviation = 1 / Math.sqrt(tensor.shape.at(-1)!);
  for (const [offset, value] of SCALES[tensor.type]!)
    for (let at = offset; at < byteLength; at += blockBytes) writeF16(bytes, at, value * deviation);
  return bytes;
}

function elementOf(fill: Exclude<Fill, 'noise'>, index: number, shape: Shape, next: () => number): number {
  if (fill === 'smallNoise') return (next() / 2 ** 32 - 0.5) * 0.5;
  if (fill === 'decay') return -((index % shape.states) + 1);
  return fill;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const mix = MIXES.find((name) => name === process.argv[2]);
  if (!mix) throw new Error(`usage: node bench/make-synthetic.ts ${MIXES.join('|')} [FILE]`);
  const file = process.argv[3];
  if (file) await writeSynthetic(file, mix, JAMBA_3B);
  process.stdout.write(`${file ?? (await syntheticModel(mix))}\n`);
}
