// What goes into the new file: every tensor with its name, format and where its rows come from, and the metadata. From a
// Hugging Face checkpoint everything is translated; from a GGUF file names and metadata are kept as they are and only
// formats change. Nothing is read here but headers and the tokenizer.

import { readSpec } from '../architecture/families/index.ts';
import { ggufName, type Role } from '../architecture/roles.ts';
import { allOfKind, type ModelSpec } from '../architecture/spec.ts';
import { ModelError } from '../errors.ts';
import { bytesSource } from '../formats/byte-source.ts';
import { text, u32 } from '../formats/gguf-values.ts';
import { isWritableType } from '../formats/quantize.ts';
import type {
  Checkpoint,
  GgufCheckpoint,
  HuggingFaceCheckpoint,
  TensorEntry,
  TensorType,
} from '../formats/types.ts';
import { ropeInverseFrequencies } from '../layers/rope.ts';
import { type FileType, storedType } from '../weights/recipe.ts';
import { type FoundWeight, findWeights } from '../weights/weights.ts';
import {
  type Architecture,
  architectureMetadata,
  architectureOf,
  FILE_TYPE_ID,
  llamaCppLimits,
  type Metadata,
  sizeLabel,
} from './gguf-architecture.ts';
import { tokenizerMetadata } from './gguf-tokenizer.ts';
import { applyKeepRules, type KeepRule } from './keep.ts';

export interface OutputTensor {
  readonly name: string;
  /** Null for tensors of a GGUF file that the engine has no use for: copied as they are. */
  readonly role: Role | null;
  readonly layer: number;
  readonly shape: readonly number[];
  readonly type: TensorType;
  readonly sourceType: TensorType;
  readonly quantizable: boolean;
  /** One tensor, or one for each expert, whose rows follow each other. */
  readonly parts: readonly TensorEntry[];
  readonly negateExp: boolean;
  readonly interleaveHead: number;
}

export interface FileContents {
  readonly architecture: string;
  readonly metadata: Metadata;
  readonly tensors: readonly OutputTensor[];
  readonly spec: ModelSpec;
  /** What the user should know: formats quantised twice, what llama.cpp does not read. */
  readonly notes: readonly string[];
}

export interface ContentsOptions {
  readonly type: FileType;
  readonly keep?: readonly KeepRule[];
}

/** Throws ModelError for a model that GGUF cannot express, UsageError for rules that match nothing. */
export async function planContents(
  checkpoint: Checkpoint,
  { type, keep = [] }: ContentsOptions,
): Promise<FileContents> {
  const { family, spec } = readSpec(checkpoint);
  const found = findWeights(checkpoint, family, spec);
  const contents =
    checkpoint.kind === 'gguf'
      ? fromGguf(checkpoint, found, type)
      : await fromHuggingFace(checkpoint, spec, found, type);
  const kept = applyKeepRules(contents.tensors, keep);
  const tensors = contents.tensors.map((tensor) => ({
    ...tensor,
    type: kept.get(tensor.name) ?? tensor.type,
  }));
  for (const { name, sourceType, type: stored } of tensors)
    if (stored !== sourceType && !isWritableType(stored))
      throw new ModelError(`${name}: expected a format that can be written, found ${stored}`);
  return { ...contents, spec, tensors, notes: [...contents.notes, ...requantised(tensors)] };
}

type Contents = Omit<FileContents, 'spec'>;

const isFloat = (type: TensorType) => type === 'F32' || type === 'F16' || type === 'BF16';

function requantised(tensors: readonly OutputTensor[]): string[] {
  const twice = tensors.filter((t) => t.sourceType !== t.type && !isFloat(t.sourceType));
  if (!twice.length) return [];
  const types = [...new Set(twice.map((t) => t.sourceType))].join(', ');
  return [
    `${twice.length} tensors were already quantised (${types}) and are quantised again: errors add up, and the report only sees the second. ` +
      'Start from a 16- or 32-bit model where there is one.',
  ];
}

function common(type: FileType): Metadata {
  return new Map([
    ['general.file_type', u32(FILE_TYPE_ID[type])],
    ['general.quantization_version', u32(2)],
  ]);
}

function fromGguf(checkpoint: GgufCheckpoint, found: readonly FoundWeight[], type: FileType): Contents {
  const weights = new Map(found.map((weight) => [weight.tensors[0]!.name, weight]));
  const tensors = [...checkpoint.tensors.values()].map((entry): OutputTensor => {
    const weight = weights.get(entry.name) ?? null;
    const quantizable = weight?.kind === 'matrix' && weight.precision !== 'f32';
    return {
      name: entry.name,
      role: weight?.role ?? null,
      layer: weight?.layer ?? -1,
      shape: entry.shape,
      type: quantizable ? storedType(weight, type) : entry.type,
      sourceType: entry.type,
      quantizable,
      parts: [entry],
      negateExp: false,
      interleaveHead: 0,
    };
  });
  // Parts become one file, and how an earlier quantiser weighed its errors says nothing about this one.
  const own = [...checkpoint.typedMetadata].filter(
    ([key]) => !/^(split|quantize)\.|^general\.alignment$/.test(key),
  );
  const unknown = tensors.filter((t) => t.role === null).map((t) => t.name);
  const notes = unknown.length
    ? [
        `tensors that this engine does not use are copied as they are: ${unknown.slice(0, 5).join(', ')}${unknown.length > 5 ? ' …' : ''}`,
      ]
    : [];
  return {
    architecture: `${checkpoint.metadata.get('general.architecture')}`,
    metadata: new Map([...own, ...common(type)]),
    tensors,
    notes,
  };
}

async function fromHuggingFace(
  checkpoint: HuggingFaceCheckpoint,
  spec: ModelSpec,
  found: readonly FoundWeight[],
  type: FileType,
): Promise<Contents> {
  const architecture = architectureOf(spec, checkpoint.name);
  const tensors = found.map((weight) => translated(weight, architecture, type));
  const factors = ropeFactors(spec);
  if (factors) tensors.push(factors);
  const tokenizer = await tokenizerMetadata(checkpoint, spec);
  const metadata: Metadata = new Map([
    ['general.architecture', text(architecture)],
    ['general.type', text('model')],
    ['general.name', text(checkpoint.name)],
    ['general.size_label', text(labelOf(found, spec))],
    ...architectureMetadata(spec, architecture),
    ...common(type),
    ...tokenizer.metadata,
  ]);
  return {
    architecture,
    metadata,
    tensors,
    notes: [...llamaCppLimits(spec, architecture), ...tokenizer.notes],
  };
}

function translated(weight: FoundWeight, architecture: Architecture, type: FileType): OutputTensor {
  const { role, layer, shape, tensors: parts } = weight;
  const name = ggufName(role, layer);
  const quantizable = weight.kind === 'matrix' && weight.precision !== 'f32';
  return {
    name,
    role,
    layer,
    shape,
    parts,
    quantizable,
    type: quantizable ? storedType(weight, type) : 'F32',
    sourceType: parts[0]!.type,
    negateExp: weight.logOfNegative ?? false,
    // llama.cpp's converter permutes the biases of q and k with their rows.
    interleaveHead: architecture === 'llama' ? (weight.rotaryHead ?? 0) : 0,
  };
}

/** Llama 3's frequency scaling is no formula in GGUF but a tensor of divisors. */
function ropeFactors(spec: ModelSpec): OutputTensor | null {
  const rope = allOfKind(spec.layers, 'attention')[0]?.rope;
  if (rope?.scaling?.kind !== 'llama3') return null;
  const plain = ropeInverseFrequencies({ ...rope, scaling: null }, null);
  const scaled = ropeInverseFrequencies(rope, null);
  const bytes = new Uint8Array(plain.length * 4);
  const view = new DataView(bytes.buffer);
  plain.forEach((frequency, i) => void view.setFloat32(i * 4, frequency / scaled[i]!, true));
  const name = ggufName('ropeFactors', -1);
  const shape = [plain.length];
  const entry: TensorEntry = {
    name,
    type: 'F32',
    shape,
    source: bytesSource(name, bytes),
    offset: 0,
    byteLength: bytes.length,
  };
  return {
    name,
    role: 'ropeFactors',
    layer: -1,
    shape,
    parts: [entry],
    quantizable: false,
    type: 'F32',
    sourceType: 'F32',
    negateExp: false,
    interleaveHead: 0,
  };
}

function labelOf(found: readonly FoundWeight[], spec: ModelSpec): string {
  const sum = (weights: readonly FoundWeight[]) =>
    weights.reduce((total, w) => total + w.shape.reduce((a, b) => a * b, 1), 0);
  const [experts] = allOfKind(spec.layers, 'experts');
  return sizeLabel(sum(found), sum(found.filter((weight) => weight.experts)), experts?.count ?? 0);
}
