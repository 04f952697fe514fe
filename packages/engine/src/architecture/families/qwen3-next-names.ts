// What files call the weights of Qwen3-Next and Qwen 3.5, and which rows of a tensor several of them share:
// attention's q and gate head by head, all experts' gate and up, Qwen3-Next's q, k, v, z and b, a by key head.
// GGUF files of the later models have value heads tiled, for which a model from a folder changes their order.

import type { RowLayout } from '../../formats/rows.ts';
import type { DeltaNetSpec } from '../../layers/delta-net.ts';
import { GGUF_NAMES, type TensorName, type TensorNames, type TensorRows } from '../roles.ts';
import { allOfKind, type ModelSpec } from '../spec.ts';

/** A part of one kind in a layer. */
export function partOf<K extends 'attention' | 'deltaNet'>(spec: ModelSpec, layer: number, kind: K) {
  const [part] = allOfKind(spec.layers.slice(layer, layer + 1), kind);
  if (!part) throw new Error(`layer ${layer}: expected ${kind}, found none`);
  return part;
}

/** The sections that `take` names of a tensor that holds q and its gate, or gate and up of all experts. */
const halves = (
  tensor: string,
  take: number,
  sizes: (spec: ModelSpec, layer: number) => [blocks: number, rows: number],
): TensorRows => ({
  tensor,
  rows(spec, layer) {
    const [blocks, rows] = sizes(spec, layer);
    return { blocks, sections: [rows, rows], take: [take] };
  },
});

const queryHeads = (spec: ModelSpec, layer: number): [number, number] => {
  const { heads, headSize } = partOf(spec, layer, 'attention');
  return [heads, headSize];
};

const expertRows = (spec: ModelSpec, layer: number): [number, number] => {
  const { feedForward } = spec.layers[layer]!;
  return feedForward?.kind === 'experts' ? [feedForward.count, feedForward.size] : [1, 1];
};

/** Rows of a tensor that Qwen3-Next groups by key head. */
const byKeyHead = (
  tensor: string,
  layout: (delta: DeltaNetSpec, group: number) => Omit<RowLayout, 'blocks'>,
): TensorRows => ({
  tensor,
  rows(spec, layer) {
    const delta = partOf(spec, layer, 'deltaNet');
    return { blocks: delta.keyHeads, ...layout(delta, delta.valueHeads / delta.keyHeads) };
  },
});

const qkvz = (tensor: string, take: readonly number[]): TensorRows =>
  byKeyHead(tensor, ({ keySize, valueSize }, group) => ({
    sections: [keySize, keySize, group * valueSize, group * valueSize],
    take,
  }));
const ba = (tensor: string, take: number): TensorRows =>
  byKeyHead(tensor, (_, group) => ({ sections: [group, group], take: [take] }));

/** Of text models, then of the language models of those with vision. */
const PREFIXES = ['model.', 'model.language_model.'];
const inBoth = (name: (prefix: string) => TensorName): TensorName[] => PREFIXES.map(name);
const whole = (suffix: string): TensorName[] => inBoth((prefix) => prefix + suffix);
const inLayer = (suffix: string): TensorName[] => whole(`layers.N.${suffix}.weight`);

const SHARED_NAMES: TensorNames = {
  embedding: whole('embed_tokens.weight'),
  finalNorm: whole('norm.weight'),
  head: ['lm_head.weight'],
  inputNorm: inLayer('input_layernorm'),
  feedForwardNorm: inLayer('post_attention_layernorm'),
  q: inBoth((prefix) => halves(`${prefix}layers.N.self_attn.q_proj.weight`, 0, queryHeads)),
  attentionGate: inBoth((prefix) => halves(`${prefix}layers.N.self_attn.q_proj.weight`, 1, queryHeads)),
  k: inLayer('self_attn.k_proj'),
  v: inLayer('self_attn.v_proj'),
  o: inLayer('self_attn.o_proj'),
  qNorm: inLayer('self_attn.q_norm'),
  kNorm: inLayer('self_attn.k_norm'),
  deltaConv: inLayer('linear_attn.conv1d'),
  deltaStepBias: whole('layers.N.linear_attn.dt_bias'),
  deltaA: whole('layers.N.linear_attn.A_log'),
  deltaNorm: inLayer('linear_attn.norm'),
  deltaOut: inLayer('linear_attn.out_proj'),
  gate: inLayer('mlp.gate_proj'),
  up: inLayer('mlp.up_proj'),
  down: inLayer('mlp.down_proj'),
  router: inLayer('mlp.gate'),
  sharedRouter: inLayer('mlp.shared_expert_gate'),
  sharedGate: inLayer('mlp.shared_expert.gate_proj'),
  sharedUp: inLayer('mlp.shared_expert.up_proj'),
  sharedDown: inLayer('mlp.shared_expert.down_proj'),
  // transformers writes a tensor per expert, the published files have all of them in one.
  expertGate: [
    ...inLayer('mlp.experts.E.gate_proj'),
    ...inBoth((prefix) => halves(`${prefix}layers.N.mlp.experts.gate_up_proj`, 0, expertRows)),
  ],
  expertUp: [
    ...inLayer('mlp.experts.E.up_proj'),
    ...inBoth((prefix) => halves(`${prefix}layers.N.mlp.experts.gate_up_proj`, 1, expertRows)),
  ],
  expertDown: [...inLayer('mlp.experts.E.down_proj'), ...whole('layers.N.mlp.experts.down_proj')],
};

export const HUGGING_FACE_NAMES: TensorNames = {
  ...SHARED_NAMES,
  deltaQkv: inLayer('linear_attn.in_proj_qkv'),
  deltaZ: inLayer('linear_attn.in_proj_z'),
  deltaB: inLayer('linear_attn.in_proj_b'),
  deltaStep: inLayer('linear_attn.in_proj_a'),
};

export const NEXT_NAMES: TensorNames = {
  ...SHARED_NAMES,
  deltaQkv: [qkvz('model.layers.N.linear_attn.in_proj_qkvz.weight', [0, 1, 2])],
  deltaZ: [qkvz('model.layers.N.linear_attn.in_proj_qkvz.weight', [3])],
  deltaB: [ba('model.layers.N.linear_attn.in_proj_ba.weight', 0)],
  deltaStep: [ba('model.layers.N.linear_attn.in_proj_ba.weight', 1)],
};

const COMMON_GGUF_NAMES: TensorNames = {
  ...GGUF_NAMES,
  feedForwardNorm: ['blk.N.post_attention_norm.weight'],
  q: [halves('blk.N.attn_q.weight', 0, queryHeads)],
  attentionGate: [halves('blk.N.attn_q.weight', 1, queryHeads)],
};

/** What the file's value heads are in order: theirs in the file, head by head. */
export function tiledHeads({ keyHeads, valueHeads, tiled }: DeltaNetSpec): number[] {
  const group = valueHeads / keyHeads;
  const place = (head: number) => (tiled ? head : (head % group) * keyHeads + Math.floor(head / group));
  return Array.from({ length: valueHeads }, (_, head) => place(head));
}

/** Rows of value heads, `sizeOf` rows each, behind rows that stay; those of later models are tiled in GGUF. */
const byValueHead = (
  tensor: string,
  rowsOf: (delta: DeltaNetSpec) => number,
  before: (delta: DeltaNetSpec) => number = () => 0,
): TensorRows => ({
  tensor,
  rows(spec, layer) {
    const delta = partOf(spec, layer, 'deltaNet');
    const heads = tiledHeads(delta);
    return {
      blocks: 1,
      sections: [before(delta), ...heads.map(() => rowsOf(delta))],
      take: [0, ...heads.map((head) => head + 1)],
    };
  },
});

const keyRows = ({ keyHeads, keySize }: DeltaNetSpec): number => 2 * keyHeads * keySize;
const valueRows = ({ valueSize }: DeltaNetSpec): number => valueSize;
const oneRow = (): number => 1;

export const TILED_GGUF_NAMES: TensorNames = {
  ...COMMON_GGUF_NAMES,
  deltaQkv: [byValueHead('blk.N.attn_qkv.weight', valueRows, keyRows)],
  deltaConv: [byValueHead('blk.N.ssm_conv1d.weight', valueRows, keyRows)],
  deltaZ: [byValueHead('blk.N.attn_gate.weight', valueRows)],
  deltaB: [byValueHead('blk.N.ssm_beta.weight', oneRow)],
  deltaStep: [byValueHead('blk.N.ssm_alpha.weight', oneRow)],
  deltaStepBias: [byValueHead('blk.N.ssm_dt.bias', oneRow)],
  deltaA: [byValueHead('blk.N.ssm_a', oneRow)],
};

/** Files from before llama.cpp split it hold the whole of qkvz in one. */
export const NEXT_GGUF_NAMES: TensorNames = {
  ...COMMON_GGUF_NAMES,
  deltaQkv: ['blk.N.attn_qkv.weight', qkvz('blk.N.ssm_in.weight', [0, 1, 2])],
  deltaZ: ['blk.N.attn_gate.weight', qkvz('blk.N.ssm_in.weight', [3])],
  deltaB: [ba('blk.N.ssm_ba.weight', 0)],
  deltaStep: [ba('blk.N.ssm_ba.weight', 1)],
};
