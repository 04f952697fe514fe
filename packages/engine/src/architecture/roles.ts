// The weights that a model has, by role. A role is the engine's own name for a weight; families and file
// formats say what they call it. `layers.3.inProj` is layer 3's inProj. Roles of the layers' parts are in
// layers/.

import { ModelError } from '../errors.ts';
import { LAYERS, type LayerRole } from '../layers/index.ts';

/** Norms before the mixers and before the feed-forward of a layer. */
export type NormRole = 'inputNorm' | 'feedForwardNorm';
export type ModelRole = 'embedding' | 'finalNorm' | 'head';
export type Role = LayerRole | NormRole | ModelRole;

/**
 * Tensor names by role, N for the layer, E for the expert; alternatives are tried in order, the first is
 * written.
 */
export type TensorNames = Readonly<Partial<Record<Role, readonly string[]>>>;

/** All families share these in GGUF files (llama.cpp's gguf-py/gguf/constants.py). */
export const GGUF_NAMES: TensorNames = {
  embedding: ['token_embd.weight'],
  finalNorm: ['output_norm.weight'],
  head: ['output.weight'],
  inputNorm: ['blk.N.attn_norm.weight'],
  feedForwardNorm: ['blk.N.ffn_norm.weight'],
  ...Object.assign({}, ...Object.values(LAYERS).map((layer) => layer.ggufNames)),
};

/** The name that a weight is written under. Throws ModelError when GGUF has none. */
export function ggufName(role: Role, layer: number): string {
  const name = GGUF_NAMES[role]?.[0];
  if (!name)
    throw new ModelError(
      `GGUF: layer ${layer}: expected a weight that GGUF has a name for, found ${role}. Keep this model as a Hugging Face folder.`,
    );
  return withLayer(name, layer);
}

/** A name of a table above with its layer. */
export const withLayer = (name: string, layer: number): string => name.replace(/\bN\b/, `${layer}`);

/**
 * Folders of this project's own form (`model_type` marimba); the names are Jamba's where Jamba has the
 * weight.
 */
export const OWN_NAMES: TensorNames = {
  embedding: ['model.embed_tokens.weight'],
  finalNorm: ['model.final_layernorm.weight'],
  head: ['lm_head.weight'],
  inputNorm: ['model.layers.N.input_layernorm.weight'],
  feedForwardNorm: ['model.layers.N.pre_ff_layernorm.weight'],
  ...Object.assign({}, ...Object.values(LAYERS).map((layer) => layer.ownNames)),
};
