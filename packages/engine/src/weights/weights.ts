// Which weights a model needs, where a checkpoint has them, and which layout each gets in the arena. Reads no
// weights: place.ts loads them, after everything here has been checked.

import type { Family } from '../architecture/family.ts';
import {
  bareNames,
  hasBareNames,
  type ModelNormRole,
  type NormRole,
  type Role,
  type TensorName,
  type TensorNames,
  withLayer,
} from '../architecture/roles.ts';
import { type ModelSpec, partsOf, type WeightScales } from '../architecture/spec.ts';
import type { ActivationPrecision, PackingRules } from '../backends/backend.ts';
import { ModelError } from '../errors.ts';
import {
  bytesOf,
  composeRuns,
  halvesOfPairs,
  layoutRows,
  type RowLayout,
  type RowRun,
  type RowSource,
  rowLength,
  run,
  runsOf,
  takenRows,
  whole,
} from '../formats/rows.ts';
import { byteLengthOf } from '../formats/tensor-types.ts';
import type { Checkpoint, TensorEntry, TensorType } from '../formats/types.ts';
import { refuseUnread } from '../formats/unread-tensors.ts';
import { arrangedShape, sizeOf } from '../layers/arrange.ts';
import { type LayerKind, layerOf, type PartSpec } from '../layers/index.ts';
import { type DerivedVector, type LayerTensor, matrix, vector } from '../layers/layer.ts';
import { packedAs, type WeightLayout } from '../plan/layouts.ts';
import type { PlacedWeight } from '../plan/plan.ts';
import { QUANTIZE_TYPES, type QuantizeType, storedType, wantsMoreBits } from './recipe.ts';

/** A weight that the model needs. */
export interface NeededWeight extends LayerTensor<Role> {
  /** -1 for the model's own. */
  readonly layer: number;
  readonly part: Part;
  /** Gets more bits than others in a K mix. */
  readonly moreBits: boolean;
  /** In the first eighth of the layers. */
  readonly early: boolean;
}

/** What a weight belongs to. */
export type Part = 'embedding' | 'head' | 'norm' | LayerKind;

/** The same with its place in the checkpoint. */
export interface FoundWeight extends NeededWeight {
  /** A tensor, one per expert, or rows of a tensor; one below the other. */
  readonly sources: readonly RowSource[];
}

/** Bytes that the weight takes in its file. */
export const fileBytes = ({ sources, shape }: FoundWeight): number =>
  sources.reduce((sum, source) => sum + bytesOf(source, rowLength(shape)), 0);

export { QUANTIZE_TYPES, type QuantizeType };

export function neededWeights(spec: ModelSpec): NeededWeight[] {
  const { hiddenSize, vocabularySize } = spec;
  const needed: NeededWeight[] = [];
  const seen = new Set<string>();
  const add = (layer: number, part: Part, tensor: LayerTensor<Role>) => {
    const name = `${layer}.${tensor.role}`;
    if (seen.has(name))
      throw new ModelError(
        `model: layer ${layer}: expected mixers of different kinds side by side, found two with a weight ${tensor.role}`,
      );
    seen.add(name);
    const moreBits = wantsMoreBits(tensor, layer, spec.layers.length);
    const initial = tensor.offsetNorm && spec.normOffset ? { initial: 'zeros' as const } : {};
    const early = layer >= 0 && layer < Math.floor(spec.layers.length / 8);
    needed.push({ layer, part, moreBits, early, ...tensor, ...initial });
  };
  const norm = (layer: number, role: NormRole | ModelNormRole) => {
    add(layer, 'norm', vector(role, [hiddenSize], { offsetNorm: true, initial: 'ones' }));
    if (spec.layerNorm?.bias) add(layer, 'norm', vector(`${role}Bias`, [hiddenSize]));
  };
  add(-1, 'embedding', matrix('embedding', [vocabularySize, hiddenSize], { precision: 'atLeast6Bits' }));
  if (spec.encoder) {
    const { positions, tokenTypes } = spec.encoder;
    if (positions) add(-1, 'embedding', vector('positionTable', [positions, hiddenSize]));
    if (tokenTypes) add(-1, 'embedding', vector('typeTable', [tokenTypes, hiddenSize]));
    if (spec.encoder.embeddingNorm) norm(-1, 'embeddingNorm');
  }
  if (spec.encoder?.finalNorm ?? true) norm(-1, 'finalNorm');
  if (!spec.tiedHead && !spec.headless)
    add(-1, 'head', matrix('head', [vocabularySize, hiddenSize], { precision: 'atLeast6Bits' }));
  spec.layers.forEach(({ mixers, feedForward, norms = 'before', plainInput }, layer) => {
    const addParts = (parts: readonly PartSpec[], before: NormRole, after: NormRole) => {
      if (!parts.length) return;
      const bare = plainInput && before === 'inputNorm';
      if (norms !== 'after' && norms !== 'onSum' && !bare) norm(layer, before);
      for (const part of parts)
        for (const tensor of layerOf(part).tensors(part, hiddenSize)) add(layer, part.kind, tensor);
      if (norms !== 'before') norm(layer, after);
    };
    addParts(mixers, 'inputNorm', 'postMixerNorm');
    addParts(feedForward ? [feedForward] : [], 'feedForwardNorm', 'postFeedForwardNorm');
  });
  return needed;
}

/** Vectors that the ops need and that no file holds as such, with their layers. */
export function derivedVectors(spec: ModelSpec): (DerivedVector<Role> & { readonly layer: number })[] {
  return spec.layers.flatMap((layer, index) =>
    partsOf(layer).flatMap((part) =>
      (layerOf(part).derived?.(part) ?? []).map((vector) => ({ ...vector, layer: index })),
    ),
  );
}

/** Finds every needed weight and checks its shape. Throws ModelError when one is missing. */
export function findWeights(checkpoint: Checkpoint, family: Family, spec: ModelSpec): FoundWeight[] {
  const { names, pairedQk = false } = tableOf(checkpoint, family);
  return neededWeights(spec).map((weight) => {
    const sources = findOne(checkpoint, names, spec, weight).map((source) => withOwnScales(source, weight));
    const rows = reordered(weight, spec, pairedQk);
    if (!rows) return { ...weight, sources };
    const columns = rowLength(weight.shape);
    return {
      ...weight,
      sources: sources.map((source) => ({
        tensor: source.tensor,
        runs: composeRuns(rows, runsOf(source, columns)),
      })),
    };
  });
}

/** Rows of a tensor that has scales beside it, multiplied by these. */
function withOwnScales(source: RowSource, { shape }: NeededWeight): RowSource {
  const { tensor } = source;
  if (!tensor.scales) return source;
  const columns = rowLength(shape);
  const rows = sizeOf(tensor.shape) / columns / tensor.scales.length;
  const scaled = tensor.scales.map((scale, i) => run(i * rows, rows, scale));
  return { tensor, runs: composeRuns(runsOf(source, columns), scaled) };
}

/** What this checkpoint calls the weights. */
function tableOf(
  checkpoint: Checkpoint,
  family: Family,
): { readonly names: TensorNames; readonly pairedQk?: boolean } {
  if (checkpoint.kind === 'huggingface') {
    const names = family.huggingFaceNames;
    const bare = hasBareNames(names, (tensor) => checkpoint.tensors.has(tensor));
    return { names: bare ? bareNames(names) : names };
  }
  const architecture = checkpoint.metadata.get('general.architecture');
  return family.gguf.find((form) => form.architecture === architecture) ?? { names: {} };
}

/** The rows of a weight in another order than its file's, or scaled; null for most. */
function reordered(weight: NeededWeight, spec: ModelSpec, pairedQk: boolean): RowRun[] | null {
  const { shape, rotaryHead } = weight;
  if (pairedQk && rotaryHead) return halvesOfPairs(sizeOf(shape) / rowLength(shape), rotaryHead);
  return scaledRows(weight, spec);
}

/** All rows of a weight with the factors that they are read with; null when there are none. */
export function scaledRows({ role }: NeededWeight, { weightScales = {} }: ModelSpec): RowRun[] | null {
  const scales: Readonly<Record<string, WeightScales[keyof WeightScales]>> = weightScales;
  let row = 0;
  return (
    scales[role]?.map(([count, scale]) => {
      row += count;
      return run(row - count, count, scale);
    }) ?? null
  );
}

function findOne(
  checkpoint: Checkpoint,
  table: TensorNames,
  spec: ModelSpec,
  weight: NeededWeight,
): RowSource[] {
  const names = table[weight.role] ?? [];
  for (const name of names) {
    const tensor = withLayer(name, weight.layer);
    if (/\bE\b/.test(tensor)) {
      const [experts, ...shape] = weight.shape;
      if (!checkpoint.tensors.has(tensor.replace(/\bE\b/, '0'))) continue;
      return Array.from({ length: experts! }, (_, e) =>
        whole(need(checkpoint, tensor.replace(/\bE\b/, `${e}`), shape)),
      );
    }
    if (checkpoint.tensors.has(tensor)) return [oneTensor(checkpoint, name, tensor, spec, weight)];
  }
  const candidates = names.map((name) => withLayer(name, weight.layer));
  for (const name of candidates) refuseUnread(checkpoint, name.replace(/\bE\b/, '0'));
  throw new ModelError(
    `${checkpoint.name}: tensor ${candidates.join(' or ') || weight.role}: expected one of shape [${weight.shape.join(', ')}], found none. ` +
      'The file is incomplete, or its configuration describes another model.',
  );
}

function oneTensor(
  checkpoint: Checkpoint,
  name: TensorName,
  tensor: string,
  spec: ModelSpec,
  { shape, ggufShape, layer, experts }: NeededWeight,
): RowSource {
  if (typeof name === 'string')
    return whole(need(checkpoint, tensor, (checkpoint.kind === 'gguf' && ggufShape) || shape));
  const layout = name.rows(spec, layer);
  return { tensor: needRows(checkpoint, tensor, layout, shape, experts?.count), runs: takenRows(layout) };
}

/** A tensor that holds several weights: as many rows as all sections have, experts in a dimension of their own. */
function needRows(
  checkpoint: Checkpoint,
  name: string,
  layout: RowLayout,
  shape: readonly number[],
  experts: number | undefined,
): TensorEntry {
  const columns = rowLength(shape);
  const rows = layoutRows(layout);
  const flat = shape.length > 1 ? [rows, columns] : [rows];
  return need(checkpoint, name, experts ? [experts, rows / experts, columns] : flat);
}

function need(checkpoint: Checkpoint, name: string, shape: readonly number[]): TensorEntry {
  const tensor = checkpoint.tensors.get(name);
  if (!tensor) refuseUnread(checkpoint, name);
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

/** The format that the file has it in. */
export const fileType = ({ sources }: FoundWeight): TensorType => sources[0]!.tensor.type;

const isFloat = (type: TensorType): boolean => type === 'F32' || type === 'F16' || type === 'BF16';

/**
 * The format a matrix will have in memory: the file's, or the one it is quantised to. Rows that are read with
 * a factor are multiplied in f32 before they are quantised. Where they are not: F32 stays F32 (a product is
 * rounded once, by 2^-24 of itself at most); F16 and BF16 become F32 where activations are f32, which promise
 * to be exact for the weights as stored, and else keep their format (2^-11 and 2^-8, exact for powers of two). So do
 * quantised tensors with scales beside them, but for Q8_0 in place of their format.
 */
export function targetType(
  weight: FoundWeight,
  quantize: QuantizeType | null,
  activations: 'f32' | 'int8',
): TensorType {
  const source = fileType(weight);
  const scaled = weight.sources.some(({ runs }) => runs?.some(({ scale }) => scale !== 1));
  if (scaled && !isFloat(source) && !weight.sources.every(({ tensor }) => tensor.scales))
    throw new ModelError(
      `layer ${weight.layer} ${weight.role}: expected F32, F16 or BF16 in a weight that is multiplied by a factor, found ${source}`,
    );
  if (scaled && !isFloat(source) && !quantize) return activations === 'f32' ? 'F32' : 'Q8_0';
  if (quantize && weight.precision !== 'f32' && (scaled || isFloat(source)))
    return storedType(weight, quantize);
  return scaled && activations === 'f32' ? 'F32' : source;
}

/**
 * A sentence about matrices that `quantize` leaves as they are, being quantised already; null when there are
 * none.
 */
export function quantizeNote(weights: readonly FoundWeight[], quantize: QuantizeType | null): string | null {
  const matrices = weights.filter(({ kind, precision }) => kind === 'matrix' && precision !== 'f32');
  const kept = matrices.map(fileType).filter((type) => !isFloat(type));
  if (!quantize || !kept.length) return null;
  const types = [...new Set(kept)].join(', ');
  return kept.length === matrices.length
    ? `quantize ${quantize} changes nothing: the model is already quantised (${types})`
    : `quantize ${quantize} leaves ${kept.length} of ${matrices.length} matrices as they are: already quantised (${types})`;
}

/**
 * `auto` keeps f32 activations in models narrower than this: they are fast anyway, and rounding weighs most
 * in them.
 */
export const INT8_MIN_HIDDEN = 512;

export function resolveActivations(precision: ActivationPrecision, hiddenSize: number): 'f32' | 'int8' {
  if (precision !== 'auto') return precision;
  return hiddenSize >= INT8_MIN_HIDDEN ? 'int8' : 'f32';
}

/** How weights are laid out in memory. */
export interface LayoutRules {
  readonly quantize: QuantizeType | null;
  readonly activations: 'f32' | 'int8';
  /** Null where nothing is packed. */
  readonly packing: PackingRules | null;
}

/** A weight as it will lie in memory, wherever that is. Vectors become f32; `rows` are those of all experts. */
export function layoutOf(weight: FoundWeight, rules: LayoutRules): Omit<PlacedWeight, 'address'> {
  const { rows, columns, count } = arrangedShape(weight);
  if (weight.kind === 'vector')
    return { layout: { type: 'F32', packed: false }, rows, columns, byteLength: count * 4 };
  const { quantize, activations, packing } = rules;
  const experts = weight.experts?.count ?? 1;
  const type = targetType(weight, quantize, activations);
  const { layout, byteLength } = chooseLayout(type, rows / experts, columns, activations, packing);
  return { layout, rows, columns, byteLength: byteLength * experts };
}

export function chooseLayout(
  type: TensorType,
  rows: number,
  columns: number,
  activations: 'f32' | 'int8',
  packing: PackingRules | null,
): { layout: WeightLayout; byteLength: number } {
  const wanted = activations === 'int8';
  const packed = packedAs(type);
  if (packing && wanted && packing.canPack(packed, rows, columns))
    return {
      layout: { type: packed, packed: true },
      byteLength: packing.packedByteLength(packed, rows, columns),
    };
  return { layout: { type, packed: false }, byteLength: rows * byteLengthOf(type, columns) };
}
