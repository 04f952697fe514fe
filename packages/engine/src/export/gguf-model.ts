// A model as the contents of a GGUF file: names, formats and metadata of everything in it, and where the rows
// come from. `quantize` hands over the tensors of a Hugging Face folder, the lab those that it trained. Reads
// no weights.

import type { Role, TensorName } from '../architecture/roles.ts';
import { withLayer } from '../architecture/roles.ts';
import { allOfKind, type ModelSpec } from '../architecture/spec.ts';
import { ModelError } from '../errors.ts';
import { bytesSource } from '../formats/byte-source.ts';
import { type TypedMetadataValue, text, u32 } from '../formats/gguf-values.ts';
import {
  composeRuns,
  layoutRows,
  pairsOfHalves,
  type RowRun,
  type RowSource,
  rowLength,
  rowNumbers,
  run,
  runsOf,
  sliceSources,
  sourceRows,
  takenRows,
  whole,
} from '../formats/rows.ts';
import type { TensorEntry, TensorType } from '../formats/types.ts';
import { sizeOf } from '../layers/arrange.ts';
import { ropeInverseFrequencies } from '../layers/rope.ts';
import { type FileType, storedType } from '../weights/recipe.ts';
import type { FoundWeight } from '../weights/weights.ts';
import { ggufForm, llamaCppLimits, type WritableForm } from './gguf-architecture.ts';
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
  /** Whose rows follow each other in it. */
  readonly parts: readonly RowSource[];
  /** Hugging Face stores A_log, GGUF A = −exp(A_log). */
  readonly negateExp: boolean;
  /** Hugging Face may store norms zero-centred, GGUF what values are multiplied by. */
  readonly add: number;
  /** Its columns in the order of the file; null: as they are. */
  readonly columnRuns: readonly RowRun[] | null;
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
  const form = ggufForm(spec, name);
  const { architecture } = form;
  const words = tokenizerMetadata(tokenizer, spec, name);
  const factors = ropeFactors(spec, form);
  const metadata: Metadata = new Map([
    ['general.architecture', text(architecture)],
    ['general.type', text('model')],
    ['general.name', text(name)],
    ['general.size_label', text(labelOf(weights, spec))],
    ...architectureMetadata(spec, form),
    ...fileTypeMetadata(type),
    ...words.metadata,
  ]);
  return {
    architecture,
    metadata,
    tensors: [...tensorsOf(folded(weights, spec, form), spec, form, type), ...(factors ? [factors] : [])],
    notes: [...llamaCppLimits(spec, form), ...words.notes],
  };
}

export const fileTypeMetadata = (type: FileType): [string, TypedMetadataValue][] => [
  ['general.file_type', u32(FILE_TYPE_ID[type])],
  ['general.quantization_version', u32(2)],
];

/** Vectors and routers are F32 in every file. */
export const isQuantizable = ({ kind, precision }: FoundWeight): boolean =>
  kind === 'matrix' && precision !== 'f32';

/** What the file calls a weight. Throws ModelError when the architecture has no name for it. */
function placeOf(role: Role, layer: number, { architecture, names }: WritableForm): TensorName {
  const name = names[role]?.[0];
  if (name === undefined)
    throw new ModelError(
      `GGUF: layer ${layer}: expected a weight that ${architecture} has a name for, found ${role}. Keep this model as a Hugging Face folder.`,
    );
  return name;
}

/** The weights with the factors of the embedding and of the logits in them, where files have no place for those. */
function folded(
  weights: readonly FoundWeight[],
  { embeddingScale, logitScale, tiedHead }: ModelSpec,
  { write }: WritableForm,
): readonly FoundWeight[] {
  if (!write.foldsScales || (embeddingScale === 1 && logitScale === 1)) return weights;
  return weights.flatMap((weight) => {
    const head = times({ ...weight, role: 'head', part: 'head' }, logitScale);
    if (weight.role === 'head') return [head];
    if (weight.role !== 'embedding') return [weight];
    const embedding = times(weight, embeddingScale);
    return tiedHead ? [embedding, head] : [embedding];
  });
}

function times(weight: FoundWeight, factor: number): FoundWeight {
  const columns = rowLength(weight.shape);
  const sources = weight.sources.map((source) => ({
    tensor: source.tensor,
    runs: composeRuns([run(0, sourceRows(source, columns), factor)], runsOf(source, columns)),
  }));
  return { ...weight, sources };
}

/** The tensors of the file, of which some hold several weights. */
function tensorsOf(
  weights: readonly FoundWeight[],
  spec: ModelSpec,
  form: WritableForm,
  type: FileType,
): GgufTensor[] {
  const byName = new Map<string, FoundWeight[]>();
  for (const weight of weights) {
    const name = withLayer(placeOf(weight.role, weight.layer, form), weight.layer);
    byName.set(name, [...(byName.get(name) ?? []), weight]);
  }
  return [...byName].map(([name, held]) => {
    const [first] = held;
    const quantizable = held.every(isQuantizable);
    const { parts, shape } = rowsOf(name, held, spec, form);
    return {
      name,
      role: first!.role,
      layer: first!.layer,
      shape,
      parts,
      quantizable,
      type: quantizable ? storedType({ ...first!, shape }, type) : 'F32',
      sourceType: parts[0]!.tensor.type,
      negateExp: first!.logOfNegative ?? false,
      add: first!.offsetNorm ? spec.normOffset : 0,
      columnRuns: form.write.columnOrder?.(first!.role, spec, first!.layer) ?? null,
    };
  });
}

/** The rows of one tensor of the file, from top to bottom, and its shape. */
function rowsOf(
  name: string,
  held: readonly FoundWeight[],
  spec: ModelSpec,
  form: WritableForm,
): Pick<GgufTensor, 'parts' | 'shape'> {
  const [first, ...more] = held;
  const place = placeOf(first!.role, first!.layer, form);
  if (typeof place === 'string') {
    if (more.length) throw new ModelError(`GGUF: tensor ${name}: expected one weight, found ${held.length}`);
    return { parts: inPairs(first!, form), shape: first!.ggufShape ?? first!.shape };
  }
  const columns = rowLength(first!.shape);
  const rows = layoutRows(place.rows(spec, first!.layer));
  const { experts } = first!;
  const outer = experts ? [experts.count, rows / experts.count] : [rows];
  return {
    parts: together(name, rows, held, spec, form),
    shape: first!.shape.length > 1 ? [...outer, columns] : outer,
  };
}

/** The rows of several weights in the order of the tensor that holds them. */
function together(
  name: string,
  rows: number,
  held: readonly FoundWeight[],
  spec: ModelSpec,
  form: WritableForm,
): RowSource[] {
  const at: ({ weight: FoundWeight; row: number } | undefined)[] = Array.from({ length: rows });
  for (const weight of held) {
    const place = placeOf(weight.role, weight.layer, form);
    if (typeof place === 'string') continue;
    let row = 0;
    for (const to of rowNumbers(takenRows(place.rows(spec, weight.layer))))
      at[to.row] = { weight, row: row++ };
  }
  const parts: RowSource[] = [];
  for (let start = 0, end = 0; start < rows; start = end) {
    const from = at[start];
    if (!from) throw new ModelError(`GGUF: tensor ${name}: expected a weight for row ${start}, found none`);
    const follows = (i: number) => at[i]?.weight === from.weight && at[i]?.row === from.row + i - start;
    for (end = start + 1; end < rows && follows(end); ) end++;
    parts.push(
      ...sliceSources(inPairs(from.weight, form), rowLength(from.weight.shape), from.row, end - start),
    );
  }
  return parts;
}

/** llama.cpp's converter permutes the biases of q and k with their rows. */
function inPairs(
  { sources, rotaryHead, shape }: FoundWeight,
  { pairedQk }: WritableForm,
): readonly RowSource[] {
  if (!pairedQk || !rotaryHead) return sources;
  const columns = rowLength(shape);
  return sources.map((source) => ({
    tensor: source.tensor,
    runs: composeRuns(pairsOfHalves(sourceRows(source, columns), rotaryHead), runsOf(source, columns)),
  }));
}

/** Llama 3's frequency scaling is no formula in GGUF but a tensor of divisors. */
function ropeFactors(spec: ModelSpec, form: WritableForm): GgufTensor | null {
  const rope = allOfKind(spec.layers, 'attention')[0]?.rope;
  if (rope?.scaling?.kind !== 'llama3') return null;
  const plain = ropeInverseFrequencies({ ...rope, scaling: null }, null);
  const scaled = ropeInverseFrequencies(rope, null);
  const name = withLayer(placeOf('ropeFactors', -1, form), -1);
  const shape = [plain.length];
  return {
    name,
    role: 'ropeFactors',
    layer: -1,
    shape,
    parts: [
      whole(
        memoryTensor(
          name,
          shape,
          plain.map((frequency, i) => frequency / scaled[i]!),
        ),
      ),
    ],
    quantizable: false,
    type: 'F32',
    sourceType: 'F32',
    negateExp: false,
    add: 0,
    columnRuns: null,
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
