// Opens GGUF files, versions 2 and 3, little-endian, in one or several parts. Source: the GGUF specification
// (ggml/docs/gguf.md) and llama.cpp's `split.*` keys.
// Layout: magic, version u32, tensor count u64, metadata count u64; metadata (key, type, value); tensor
// descriptions (name, dimensions innermost first, type, offset); padding to the alignment; tensor data.
// The file is hostile until proven otherwise: every count and offset is checked against the bytes that exist
// before anything is allocated for it.

import { FormatError } from '../errors.ts';
import { withScales } from './gguf-scales.ts';
import {
  alignUp,
  DEFAULT_ALIGNMENT,
  GGUF_MAGIC,
  MAX_DIMENSIONS,
  MAX_NAME_BYTES,
  MIN_VALUE_BYTES,
  quoted,
} from './gguf-types.ts';
import type { MetadataValue } from './gguf-values.ts';
import { METADATA_TYPES, type MetadataType, type TypedMetadataValue } from './gguf-values.ts';
import { GgufWindow } from './gguf-window.ts';
import { impostor } from './impostors.ts';
import { checkOverlaps } from './overlaps.ts';
import { describeGgmlId, TENSOR_TYPES, typeFromGgmlId } from './tensor-types.ts';
import type { ByteSource, GgufCheckpoint, TensorEntry, TensorType } from './types.ts';

const MAX_ARRAY_DEPTH = 8;
/** The largest vocabularies have about 300,000 entries. */
const MAX_ARRAY_LENGTH = 1 << 24;
const MAX_ALIGNMENT = 1 << 20;
/** Magic, version and the two counts. */
const PREAMBLE_BYTES = 24;
/** Bytes of the shortest key with a value, and of the shortest tensor description. */
const MIN_METADATA_BYTES = 8 + 1 + 4 + 1;
const MIN_TENSOR_BYTES = 8 + 1 + 4 + 8 + 4 + 8;

export interface GgufOptions {
  /** Opens another part of a split model, by its file name in the same folder. */
  readonly openSplit?: ((fileName: string) => Promise<ByteSource>) | undefined;
}

interface GgufFile {
  readonly source: ByteSource;
  readonly version: number;
  readonly metadata: ReadonlyMap<string, MetadataValue>;
  readonly typedMetadata: ReadonlyMap<string, TypedMetadataValue>;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** Tensors of types that are not read, by name: the types. */
  readonly leftOut: ReadonlyMap<string, string>;
}

/**
 * Reads the header, and those of the other parts when the file is one of several (any part will do). The
 * checkpoint owns its sources; they are closed when this throws. Throws FormatError.
 */
export async function readGguf(source: ByteSource, options: GgufOptions = {}): Promise<GgufCheckpoint> {
  const opened = [source];
  const close = async () => {
    await Promise.all(opened.map((one) => one.close()));
  };
  try {
    const file = await readFile(source);
    const parts = await readParts(file, options, opened);
    const { version, metadata, typedMetadata } = parts[0] ?? file;
    return {
      kind: 'gguf',
      name: source.name,
      version,
      metadata,
      typedMetadata,
      tensors: await withScales(mergeTensors(parts)),
      unreadTensors: new Map(parts.flatMap((part) => [...part.leftOut])),
      close,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function readFile(source: ByteSource): Promise<GgufFile> {
  const window = new GgufWindow(source);
  const { version, tensorCount, metadataCount } = await window.parse(() => readPreamble(window));
  const typedMetadata = new Map<string, TypedMetadataValue>();
  for (let i = 0; i < metadataCount; i++) await window.parse(() => readMetadata(window, i, typedMetadata));
  const metadata = new Map([...typedMetadata].map(([key, typed]) => [key, plainValue(typed)]));
  const alignment = alignmentOf(source.name, metadata);
  const descriptions = new Map<string, TensorDescription>();
  for (let i = 0; i < tensorCount; i++) await window.parse(() => readDescription(window, i, descriptions));
  const dataStart = alignUp(window.position, alignment);
  const tensors = new Map<string, TensorEntry>();
  const leftOut = new Map<string, string>();
  for (const [name, description] of descriptions) {
    const type = typeFromGgmlId(description.typeId);
    if (type) tensors.set(name, placeTensor(source, name, type, description, dataStart, alignment));
    else leftOut.set(name, describeGgmlId(description.typeId));
  }
  checkOverlaps(source.name, [...tensors.values()]);
  return { source, version, metadata, typedMetadata, tensors, leftOut };
}

function readPreamble(window: GgufWindow) {
  window.subject = 'header';
  const { byteLength } = window.source;
  if (byteLength < 4 || window.u32() !== GGUF_MAGIC) {
    const other = impostor(window.source.name, 'a GGUF file', window.bytes, byteLength);
    if (other && (byteLength === 0 || byteLength >= 4)) throw other;
    window.fail(
      'a file that starts with "GGUF"',
      byteLength < 4 ? `${byteLength} bytes` : 'other bytes',
      'This is not a GGUF file, or it is damaged.',
    );
  }
  if (byteLength < PREAMBLE_BYTES)
    window.fail(
      `at least ${PREAMBLE_BYTES} bytes`,
      `${byteLength}`,
      'The file is cut short; fetch it again.',
    );
  const version = window.u32();
  if (version !== 2 && version !== 3) {
    const bigEndian = version === 0x02000000 || version === 0x03000000;
    window.fail(
      'little-endian GGUF of version 2 or 3',
      bigEndian ? 'a big-endian file' : `version ${version}`,
      'Convert the model again with a current converter.',
    );
  }
  const rest = byteLength - PREAMBLE_BYTES;
  const tensorCount = window.count('a number of tensors', Math.floor(rest / MIN_TENSOR_BYTES));
  const metadataCount = window.count('a number of metadata keys', Math.floor(rest / MIN_METADATA_BYTES));
  return { version, tensorCount, metadataCount };
}

function readMetadata(window: GgufWindow, index: number, metadata: Map<string, TypedMetadataValue>): void {
  window.subject = `metadata key ${index}`;
  const key = window.name('key', MAX_NAME_BYTES);
  window.subject = `metadata key ${quoted(key)}`;
  if (metadata.has(key)) window.fail('every key once', 'it twice');
  metadata.set(key, readValue(window, readType(window), 0));
}

function readType(window: GgufWindow): MetadataType {
  const id = window.u32();
  return METADATA_TYPES[id] ?? window.fail(`a value type from 0 to ${METADATA_TYPES.length - 1}`, `${id}`);
}

function readValue(window: GgufWindow, type: MetadataType, depth: number): TypedMetadataValue {
  if (type !== 'array') return { type, value: window[type]() };
  if (depth === MAX_ARRAY_DEPTH) window.fail(`arrays nested at most ${MAX_ARRAY_DEPTH} deep`, 'deeper ones');
  const elementType = readType(window);
  const left = Math.floor((window.source.byteLength - window.position) / MIN_VALUE_BYTES[elementType]);
  const count = window.count('a number of array elements', Math.min(left, MAX_ARRAY_LENGTH));
  window.need(count * MIN_VALUE_BYTES[elementType]);
  if (elementType === 'array') {
    const arrays: TypedMetadataValue[] = [];
    for (let i = 0; i < count; i++) arrays.push(readValue(window, 'array', depth + 1));
    return { type: 'array', of: 'array', value: arrays };
  }
  const values: MetadataValue[] = [];
  const read = window[elementType];
  for (let i = 0; i < count; i++) values.push(read());
  return { type: 'array', of: elementType, value: values };
}

function plainValue(typed: TypedMetadataValue): MetadataValue {
  if (typed.type !== 'array') return typed.value;
  return typed.of === 'array' ? typed.value.map(plainValue) : (typed.value as MetadataValue[]);
}

function alignmentOf(fileName: string, metadata: ReadonlyMap<string, MetadataValue>): number {
  const value = metadata.get('general.alignment') ?? DEFAULT_ALIGNMENT;
  const valid =
    typeof value === 'number' &&
    Number.isInteger(value) &&
    value > 0 &&
    value <= MAX_ALIGNMENT &&
    !(value & (value - 1));
  if (valid) return value;
  throw new FormatError(
    `${fileName}: metadata key "general.alignment": expected a power of two up to ${MAX_ALIGNMENT}, ` +
      `found ${describeValue(value)}. The file is damaged; fetch it again.`,
  );
}

function describeValue(value: MetadataValue): string {
  return typeof value === 'object' ? 'an array' : typeof value === 'string' ? 'text' : `${value}`;
}

interface TensorDescription {
  readonly typeId: number;
  readonly shape: readonly number[];
  readonly elements: number;
  readonly offset: number;
}

function readDescription(window: GgufWindow, index: number, tensors: Map<string, TensorDescription>): void {
  window.subject = `tensor ${index}`;
  const name = window.name('tensor name', MAX_NAME_BYTES);
  window.subject = `tensor ${quoted(name)}`;
  if (tensors.has(name)) window.fail('every tensor once', 'it twice');
  const dimensions = window.u32();
  if (dimensions < 1 || dimensions > MAX_DIMENSIONS) {
    window.fail(`1 to ${MAX_DIMENSIONS} dimensions`, `${dimensions}`);
  }
  const shape: number[] = [];
  let elements = 1;
  for (let i = 0; i < dimensions; i++) {
    // No format stores more than eight elements in a byte, so this bounds every honest size.
    const size = window.count('a dimension', window.source.byteLength * 8);
    if (size === 0) window.fail('dimensions of at least 1', '0');
    shape.unshift(size);
    elements *= size;
  }
  const typeId = window.u32();
  const offset = window.count('an offset', window.source.byteLength);
  tensors.set(name, { typeId, shape, elements, offset });
}

function placeTensor(
  source: ByteSource,
  name: string,
  type: TensorType,
  description: TensorDescription,
  dataStart: number,
  alignment: number,
): TensorEntry {
  const { shape, elements } = description;
  const fail = (expected: string, found: string, remedy: string): never => {
    throw new FormatError(
      `${source.name}: tensor ${quoted(name)}: expected ${expected}, found ${found}. ${remedy}`,
    );
  };
  const damaged = 'The file is cut short or damaged; fetch it again.';
  const { blockLength, blockBytes } = TENSOR_TYPES[type];
  const rowLength = shape.at(-1) ?? 0;
  if (rowLength % blockLength !== 0) {
    return fail(`rows of a multiple of ${blockLength} elements for ${type}`, `${rowLength}`, damaged);
  }
  if (description.offset % alignment !== 0) {
    return fail(`an offset that is a multiple of ${alignment}`, `${description.offset}`, damaged);
  }
  const offset = dataStart + description.offset;
  const byteLength = (elements / blockLength) * blockBytes;
  if (!(elements <= Number.MAX_SAFE_INTEGER && byteLength <= source.byteLength - offset)) {
    const size = `a tensor of ${byteLength} bytes at offset ${offset}`;
    return fail(`data inside the file of ${source.byteLength} bytes`, size, damaged);
  }
  return { name, type, shape, source, offset, byteLength };
}

/** The headers of all parts, first part first; just this file when it is not split. */
async function readParts(file: GgufFile, options: GgufOptions, opened: ByteSource[]): Promise<GgufFile[]> {
  const fail = (expected: string, found: string, remedy: string): never => {
    throw new FormatError(
      `${file.source.name}: split model: expected ${expected}, found ${found}. ${remedy}`,
    );
  };
  const count = file.metadata.get('split.count') ?? 1;
  const own = file.metadata.get('split.no') ?? 0;
  if (typeof count !== 'number' || !(count >= 0 && count <= 65535) || typeof own !== 'number') {
    return fail(
      'numbers in split.count and split.no',
      'other values',
      'The file is damaged; fetch it again.',
    );
  }
  if (count <= 1) return [file];
  const name = splitName(file.source.name);
  if (name === null || name.count !== count || name.index !== own + 1) {
    const expected = `a file named like model-${pad(own + 1)}-of-${pad(count)}.gguf`;
    return fail(expected, quoted(file.source.name), 'Give the parts their original names.');
  }
  const { openSplit } = options;
  if (openSplit === undefined) {
    return fail(`${count} parts`, 'only this one', 'Open the model from a place that holds all parts.');
  }
  const parts: GgufFile[] = [];
  for (let part = 1; part <= count; part++) {
    if (part === name.index) {
      parts.push(file);
      continue;
    }
    const source = await openSplit(`${name.stem}-${pad(part)}-of-${pad(count)}.gguf`);
    opened.push(source);
    const other = await readFile(source);
    if (other.metadata.get('split.count') !== count || other.metadata.get('split.no') !== part - 1) {
      const found = `${source.name} with other split.count or split.no`;
      return fail(
        `part ${part} of ${count}`,
        found,
        'The parts belong to different models; fetch them again.',
      );
    }
    parts.push(other);
  }
  const total = parts[0]?.metadata.get('split.tensors.count');
  const found = parts.reduce((sum, part) => sum + part.tensors.size + part.leftOut.size, 0);
  if (total !== undefined && total !== found) {
    const remedy = 'A part is of another version; fetch all parts again.';
    return fail(`${describeValue(total)} tensors in all parts`, `${found}`, remedy);
  }
  return parts;
}

function mergeTensors(parts: readonly GgufFile[]): ReadonlyMap<string, TensorEntry> {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return only.tensors;
  const merged = new Map<string, TensorEntry>();
  for (const part of parts) {
    for (const [name, tensor] of part.tensors) {
      const other = merged.get(name);
      if (other !== undefined) {
        throw new FormatError(
          `${part.source.name}: tensor ${quoted(name)}: expected every tensor in one part, ` +
            `found it in ${other.source.name} too. The parts belong to different models; fetch them again.`,
        );
      }
      merged.set(name, tensor);
    }
  }
  return merged;
}

const pad = (part: number) => String(part).padStart(5, '0');

/** The pieces of a name like `model-00001-of-00003.gguf`, with any folder removed; null for other names. */
export function splitName(fileName: string): { stem: string; index: number; count: number } | null {
  const match = /([^/\\]*)-(\d{5})-of-(\d{5})\.gguf$/.exec(fileName);
  if (match === null) return null;
  const [, stem = '', index, count] = match;
  return { stem, index: Number(index), count: Number(count) };
}
