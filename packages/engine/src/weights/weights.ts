// Which weights a model needs, where a checkpoint has them, and in which layout each will lie in the arena. Nothing is
// read here: this is the plan that load.ts carries out, checked in full before the first byte is loaded.

import type { Family } from '../architecture/family.ts';
import { GGUF_NAMES, type Role } from '../architecture/roles.ts';
import type { LayerSpec, ModelSpec } from '../architecture/spec.ts';
import { ModelError } from '../errors.ts';
import { byteLengthOf } from '../formats/tensor-types.ts';
import type { Checkpoint, TensorEntry, TensorType } from '../formats/types.ts';
import type { WeightLayout } from '../plan/layouts.ts';
import { QUANTIZE_TYPES, type QuantizeType, storedType, wantsMoreBits } from './recipe.ts';

/** A weight that the model needs. Matrices stay in their file's format (or are quantised); vectors become f32. */
export interface NeededWeight {
  readonly layer: number;
  readonly role: Role;
  readonly shape: readonly number[];
  readonly kind: 'matrix' | 'vector';
  /** Gets more bits than others when quantised to a mix. */
  readonly moreBits: boolean;
}

/** The same with its place in the checkpoint: one tensor, or one for each expert. */
export interface FoundWeight extends NeededWeight {
  readonly tensors: readonly TensorEntry[];
}

export { QUANTIZE_TYPES, type QuantizeType };

type Weight = Omit<NeededWeight, 'moreBits'>;

export function neededWeights(spec: ModelSpec): NeededWeight[] {
  const { hiddenSize: h, vocabularySize } = spec;
  const needed: Weight[] = [
    { layer: -1, role: 'embedding', shape: [vocabularySize, h], kind: 'matrix' },
    { layer: -1, role: 'finalNorm', shape: [h], kind: 'vector' },
  ];
  if (!spec.tiedHead) needed.push({ layer: -1, role: 'head', shape: [vocabularySize, h], kind: 'matrix' });
  spec.layers.forEach((layer, index) => needed.push(...layerWeights(layer, index, h)));
  return needed.map((weight) => ({
    ...weight,
    moreBits: wantsMoreBits(weight.role, weight.layer, spec.layers.length),
  }));
}

function layerWeights({ mixer, feedForward }: LayerSpec, layer: number, h: number): Weight[] {
  const list: Weight[] = [];
  const matrix = (role: Role, ...shape: number[]) => list.push({ layer, role, shape, kind: 'matrix' });
  const vector = (role: Role, ...shape: number[]) => list.push({ layer, role, shape, kind: 'vector' });
  vector('inputNorm', h);
  if (mixer.kind === 'mamba') {
    const { innerSize: inner, stateSize: states, dtRank } = mixer;
    matrix('inProj', 2 * inner, h);
    vector('convWeight', inner, mixer.convWidth);
    if (mixer.convBias) vector('convBias', inner);
    matrix('xProj', dtRank + 2 * states, inner);
    matrix('dtProj', inner, dtRank);
    vector('dtProjBias', inner);
    if (mixer.innerNorms === 'weighted') {
      vector('dtNorm', dtRank);
      vector('bNorm', states);
      vector('cNorm', states);
    }
    vector('a', inner, states);
    vector('d', inner);
    matrix('outProj', h, inner);
    if (mixer.projectionBias) {
      vector('inProjBias', 2 * inner);
      vector('outProjBias', h);
    }
  } else {
    const queries = mixer.heads * mixer.headSize;
    const keys = mixer.kvHeads * mixer.headSize;
    matrix('q', queries, h);
    matrix('k', keys, h);
    matrix('v', keys, h);
    matrix('o', h, queries);
    if (mixer.inputBias) {
      vector('qBias', queries);
      vector('kBias', keys);
      vector('vBias', keys);
    }
    if (mixer.outputBias) vector('oBias', h);
    if (mixer.headNorms) {
      vector('qNorm', mixer.headSize);
      vector('kNorm', mixer.headSize);
    }
    if (mixer.rope?.scaling?.kind === 'tensor') vector('ropeFactors', mixer.rope.rotary / 2);
  }
  if (!feedForward) return list;
  vector('feedForwardNorm', h);
  if (feedForward.kind === 'dense') {
    matrix('gate', feedForward.size, h);
    matrix('up', feedForward.size, h);
    matrix('down', h, feedForward.size);
    if (feedForward.bias) {
      vector('gateBias', feedForward.size);
      vector('upBias', feedForward.size);
      vector('downBias', h);
    }
  } else {
    const { count, size } = feedForward;
    matrix('router', count, h);
    matrix('expertGate', count, size, h);
    matrix('expertUp', count, size, h);
    matrix('expertDown', count, h, size);
  }
  return list;
}

/** Finds every needed weight and checks its shape. */
export function findWeights(checkpoint: Checkpoint, family: Family, spec: ModelSpec): FoundWeight[] {
  return neededWeights(spec).map((weight) => ({ ...weight, tensors: findOne(checkpoint, family, weight) }));
}

function findOne(checkpoint: Checkpoint, family: Family, weight: NeededWeight): TensorEntry[] {
  const names =
    (checkpoint.kind === 'gguf' ? GGUF_NAMES[weight.role] : family.huggingFaceNames[weight.role]) ?? [];
  const candidates = names.map((name) => name.replace(/\bN\b/, `${weight.layer}`));
  for (const name of candidates) {
    if (/\bE\b/.test(name)) {
      const [experts, ...shape] = weight.shape;
      if (!checkpoint.tensors.has(name.replace(/\bE\b/, '0'))) continue;
      return Array.from({ length: experts! }, (_, e) =>
        need(checkpoint, name.replace(/\bE\b/, `${e}`), shape),
      );
    }
    if (checkpoint.tensors.has(name)) return [need(checkpoint, name, weight.shape)];
  }
  throw new ModelError(
    `${checkpoint.name}: tensor ${candidates.join(' or ') || weight.role}: expected one of shape [${weight.shape.join(', ')}], found none. ` +
      'The file is incomplete, or its configuration describes another model.',
  );
}

function need(checkpoint: Checkpoint, name: string, shape: readonly number[]): TensorEntry {
  const tensor = checkpoint.tensors.get(name);
  // conv1d weights are [d, 1, k] in Hugging Face files; a dimension of 1 never changes the bytes.
  const squeeze = (dims: readonly number[]) => dims.filter((d) => d !== 1).join(', ');
  if (!tensor || squeeze(tensor.shape) !== squeeze(shape)) {
    throw new ModelError(
      `${checkpoint.name}: tensor ${name}: expected shape [${shape.join(', ')}], found ` +
        `${tensor ? `[${tensor.shape.join(', ')}]` : 'no such tensor'}. The weights do not belong to this configuration.`,
    );
  }
  return tensor;
}

/** The format a matrix will have in memory. */
export function targetType(weight: FoundWeight, quantize: QuantizeType | null): TensorType {
  const source = weight.tensors[0]!.type;
  if (!quantize || weight.role === 'router' || !['F32', 'F16', 'BF16'].includes(source)) return source;
  return storedType(weight, quantize);
}

/** Rows and columns of a weight as the arena holds it: experts one under the other. */
export function matrixShape(weight: NeededWeight): { rows: number; columns: number } {
  const columns = weight.shape.at(-1)!;
  return { rows: weight.shape.slice(0, -1).reduce((product, d) => product * d, 1), columns };
}

export interface PackingRules {
  canPack(type: TensorType, rows: number, columns: number): boolean;
  packedByteLength(type: TensorType, rows: number, columns: number): number;
}

export type ActivationPrecision = 'auto' | 'f32' | 'int8';
/** `auto` keeps f32 activations in models narrower than this: they are fast anyway, and rounding weighs most in them. */
export const INT8_MIN_HIDDEN = 512;

export function resolveActivations(precision: ActivationPrecision, hiddenSize: number): 'f32' | 'int8' {
  if (precision !== 'auto') return precision;
  return hiddenSize >= INT8_MIN_HIDDEN ? 'int8' : 'f32';
}

export function chooseLayout(
  type: TensorType,
  rows: number,
  columns: number,
  activations: 'f32' | 'int8',
  packing: PackingRules | null,
): { layout: WeightLayout; byteLength: number } {
  const wanted = activations === 'int8';
  if (packing && wanted && packing.canPack(type, rows, columns))
    return { layout: { type, packed: true }, byteLength: packing.packedByteLength(type, rows, columns) };
  return { layout: { type, packed: false }, byteLength: rows * byteLengthOf(type, columns) };
}
