// A model as the contents of a GGUF file: names, formats and metadata of everything in it, and where the rows
// come from. `quantize` hands over the tensors of a Hugging Face folder, the lab those that it trained. Reads
// no weights.

import { ggufName, type Role } from '../architecture/roles.ts';
import { allOfKind, type ModelSpec } from '../architecture/spec.ts';
import { bytesSource } from '../formats/byte-source.ts';
import { type TypedMetadataValue, text, u32 } from '../formats/gguf-values.ts';
import type { TensorEntry, TensorType } from '../formats/types.ts';
import { sizeOf } from '../layers/arrange.ts';
import { ropeInverseFrequencies } from '../layers/rope.ts';
import { type FileType, storedType } from '../weights/recipe.ts';
import type { FoundWeight } from '../weights/weights.ts';
import { type GgufArchitecture, ggufArchitecture, llamaCppLimits } from './gguf-architecture.ts';
import { architectureMetadata, FILE_TYPE_ID, type Metadata, sizeLabel } from './gguf-metadata.ts';
import { type TokenizerFiles, tokenizerMetadata } from './gguf-tokenizer.ts';

export interface GgufTensor {
  readonly name: string;
  /** Null for tensors of a GGUF file that the engine has no use for: copied as they are. */
  readonly role: Role | null;
  readonly layer: number;
  readonly shape: readonly number[];
  readonly type: TensorType;
  readonly sourceType: TensorType;
  /** False for vectors and routers, which stay F32 in every file. */
  readonly quantizable: boolean;
  /** One tensor, or one per expert, whose rows follow each other. */
  readonly parts: readonly TensorEntry[];
  /** Hugging Face stores A_log, GGUF A = −exp(A_log). */
  readonly negateExp: boolean;
  /** Size of heads whose rows are put in RoPE pairs (GGUF llama), 0 for none. */
  readonly interleaveHead: number;
}

export interface GgufContents {
  readonly architecture: string;
  readonly metadata: Metadata;
  readonly tensors: readonly GgufTensor[];
  /** What the user should know: formats quantised twice, what llama.cpp does not read. */
  readonly notes: readonly string[];
}

export interface GgufModel {
  /** `general.name`, and for messages. */
  readonly name: string;
  readonly spec: ModelSpec;
  /** In the order of the file, as Hugging Face orders their values. */
  readonly weights: readonly FoundWeight[];
  readonly tokenizer: TokenizerFiles;
}

/** Throws ModelError for a model that no GGUF architecture can express. */
export function ggufContents({ name, spec, weights, tokenizer }: GgufModel, type: FileType): GgufContents {
  const architecture = ggufArchitecture(spec, name);
  const words = tokenizerMetadata(tokenizer, spec, name);
  const factors = ropeFactors(spec);
  const metadata: Metadata = new Map([
    ['general.architecture', text(architecture)],
    ['general.type', text('model')],
    ['general.name', text(name)],
    ['general.size_label', text(labelOf(weights, spec))],
    ...architectureMetadata(spec, architecture),
    ...fileTypeMetadata(type),
    ...words.metadata,
  ]);
  return {
    architecture,
    metadata,
    tensors: [
      ...weights.map((weight) => ggufTensor(weight, architecture, type)),
      ...(factors ? [factors] : []),
    ],
    notes: [...llamaCppLimits(spec, architecture), ...words.notes],
  };
}

export const fileTypeMetadata = (type: FileType): [string, TypedMetadataValue][] => [
  ['general.file_type', u32(FILE_TYPE_ID[type])],
  ['general.quantization_version', u32(2)],
];

/** Vectors and routers are F32 in every file. */
export const isQuantizable = ({ kind, precision }: FoundWeight): boolean =>
  kind === 'matrix' && precision !== 'f32';

function ggufTensor(weight: FoundWeight, architecture: GgufArchitecture, type: FileType): GgufTensor {
  const { role, layer, shape, tensors: parts } = weight;
  const quantizable = isQuantizable(weight);
  return {
    name: ggufName(role, layer),
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
function ropeFactors(spec: ModelSpec): GgufTensor | null {
  const rope = allOfKind(spec.layers, 'attention')[0]?.rope;
  if (rope?.scaling?.kind !== 'llama3') return null;
  const plain = ropeInverseFrequencies({ ...rope, scaling: null }, null);
  const scaled = ropeInverseFrequencies(rope, null);
  const name = ggufName('ropeFactors', -1);
  const shape = [plain.length];
  return {
    name,
    role: 'ropeFactors',
    layer: -1,
    shape,
    parts: [
      memoryTensor(
        name,
        shape,
        plain.map((frequency, i) => frequency / scaled[i]!),
      ),
    ],
    quantizable: false,
    type: 'F32',
    sourceType: 'F32',
    negateExp: false,
    interleaveHead: 0,
  };
}

/** A tensor that is in memory. Threads share the copy that is made here. */
export function memoryTensor(name: string, shape: readonly number[], values: Float32Array): TensorEntry {
  const bytes = new Uint8Array(new SharedArrayBuffer(values.byteLength));
  bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  return {
    name,
    type: 'F32',
    shape,
    source: bytesSource(name, bytes),
    offset: 0,
    byteLength: bytes.length,
  };
}

function labelOf(weights: readonly FoundWeight[], spec: ModelSpec): string {
  const sum = (some: readonly FoundWeight[]) => some.reduce((total, { shape }) => total + sizeOf(shape), 0);
  const [experts] = allOfKind(spec.layers, 'experts');
  return sizeLabel(sum(weights), sum(weights.filter((weight) => weight.experts)), experts?.count ?? 0);
}
