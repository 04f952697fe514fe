// The weights that a model has, by role. A role is the engine's own name for a weight; families and file
// formats say what they call it. `layers.3.inProj` is layer 3's inProj. Roles of the layers' parts are in
// layers/.

import type { RowLayout } from '../formats/rows.ts';
import { LAYERS, type LayerRole } from '../layers/index.ts';
import type { ModelSpec } from './spec.ts';

/** Norms before the mixers and before the feed-forward of a layer, and on their results. */
export type NormRole = 'inputNorm' | 'postMixerNorm' | 'feedForwardNorm' | 'postFeedForwardNorm';
/** Norms of the model itself: after the last layer, and of encoders on what goes into the first. */
export type ModelNormRole = 'finalNorm' | 'embeddingNorm';
export type NormBiasRole = `${NormRole | ModelNormRole}Bias`;
export type ModelRole = 'embedding' | 'head' | 'positionTable' | 'typeTable' | ModelNormRole | NormBiasRole;
export type Role = LayerRole | NormRole | ModelRole;

/** A tensor, N for the layer and E for the expert, or rows of one that holds several weights. */
export type TensorName = string | TensorRows;

export interface TensorRows {
  readonly tensor: string;
  /** How this layer's tensor is made up, and which of its sections the weight is. */
  rows(spec: ModelSpec, layer: number): RowLayout;
}

/** Tensor names by role; alternatives are tried in order, the first is written. */
export type TensorNames = Readonly<Partial<Record<Role, readonly TensorName[]>>>;

/**
 * Where GGUF files of most architectures have these (llama.cpp's gguf-py/gguf/constants.py). Families begin
 * their own tables with it.
 */
export const GGUF_NAMES: TensorNames = {
  embedding: ['token_embd.weight'],
  finalNorm: ['output_norm.weight'],
  head: ['output.weight'],
  positionTable: ['position_embd.weight'],
  typeTable: ['token_types.weight'],
  embeddingNorm: ['token_embd_norm.weight'],
  embeddingNormBias: ['token_embd_norm.bias'],
  finalNormBias: ['output_norm.bias'],
  inputNormBias: ['blk.N.attn_norm.bias'],
  feedForwardNormBias: ['blk.N.ffn_norm.bias'],
  inputNorm: ['blk.N.attn_norm.weight'],
  postMixerNorm: ['blk.N.post_attention_norm.weight'],
  feedForwardNorm: ['blk.N.ffn_norm.weight'],
  postFeedForwardNorm: ['blk.N.post_ffw_norm.weight'],
  ...Object.assign({}, ...Object.values(LAYERS).map((layer) => layer.ggufNames)),
};

/** The same for models that were saved without what stands on top of them: names without the leading `model.`. */
export const bareNames = (names: TensorNames): TensorNames =>
  Object.fromEntries(
    Object.entries(names).map(([role, list]) => [role, list.map((name) => bareName(name))]),
  ) as TensorNames;

const bareName = (name: TensorName): TensorName =>
  typeof name === 'string'
    ? name.replace(/^model\./, '')
    : { ...name, tensor: name.tensor.replace(/^model\./, '') };

/** Whether a checkpoint calls its weights so: by the embedding, which every model has. */
export const hasBareNames = (names: TensorNames, has: (tensor: string) => boolean): boolean =>
  !!names.embedding?.every((name) => !has(withLayer(name, -1))) &&
  !!bareNames(names).embedding?.some((name) => has(withLayer(name, -1)));

/** The name of a tensor, with its layer. */
export const withLayer = (name: TensorName, layer: number): string =>
  (typeof name === 'string' ? name : name.tensor).replace(/\bN\b/, `${layer}`);

/**
 * Folders of this project's own form (`model_type` marimba); the names are Jamba's where Jamba has the
 * weight.
 */
export const OWN_NAMES: TensorNames = {
  embedding: ['model.embed_tokens.weight'],
  finalNorm: ['model.final_layernorm.weight'],
  head: ['lm_head.weight'],
  inputNorm: ['model.layers.N.input_layernorm.weight'],
  postMixerNorm: ['model.layers.N.post_mixer_layernorm.weight'],
  feedForwardNorm: ['model.layers.N.pre_ff_layernorm.weight'],
  postFeedForwardNorm: ['model.layers.N.post_ff_layernorm.weight'],
  ...Object.assign({}, ...Object.values(LAYERS).map((layer) => layer.ownNames)),
};
