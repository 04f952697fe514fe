// Lays out a GGUF file of version 3: the header's bytes, and where each tensor's data goes, so that tensors
// can be produced and written one at a time. Source: the GGUF specification (ggml/docs/gguf.md).

import { UsageError } from '../errors.ts';
import { alignUp, DEFAULT_ALIGNMENT, GGUF_MAGIC, MAX_DIMENSIONS, quoted } from './gguf-types.ts';
import type { MetadataValue } from './gguf-values.ts';
import { METADATA_TYPES, type MetadataType, type TypedMetadataValue } from './gguf-values.ts';
import { byteLengthOf, TENSOR_TYPES } from './tensor-types.ts';
import type { TensorType } from './types.ts';

/** ggml refuses longer names. */
const MAX_TENSOR_NAME_BYTES = 63;

export interface GgufTensorInfo {
  readonly name: string;
  readonly type: TensorType;
  /** Row-major, outermost first; written reversed, as GGUF wants it. */
  readonly shape: readonly number[];
}

export interface GgufContent {
  /** `general.alignment` is added when an alignment other than 32 is asked for; do not put it in here. */
  readonly metadata: ReadonlyMap<string, TypedMetadataValue>;
  /** In the order in which the data follows. */
  readonly tensors: readonly GgufTensorInfo[];
  readonly alignment?: number;
}

export interface GgufPlacement extends GgufTensorInfo {
  /** From the start of the file. Bytes between tensors must be zero. */
  readonly offset: number;
  readonly byteLength: number;
}

export interface GgufLayout {
  /** Everything before the first tensor's data, padding included. */
  readonly header: Uint8Array;
  readonly tensors: readonly GgufPlacement[];
  /** Of the whole file, padding after the last tensor included. */
  readonly byteLength: number;
}

/**
 * Throws UsageError for values that do not fit their types, names used twice and shapes that are not whole
 * blocks.
 */
export function createGgufWriter(content: GgufContent): GgufLayout {
  const alignment = content.alignment ?? DEFAULT_ALIGNMENT;
  if (!Number.isInteger(alignment) || alignment < 1 || (alignment & (alignment - 1)) !== 0) {
    throw new UsageError(`alignment: expected a power of two, found ${alignment}.`);
  }
  const metadata = new Map(content.metadata);
  if (alignment !== DEFAULT_ALIGNMENT) metadata.set('general.alignment', { type: 'u32', value: alignment });
  const writer = new HeaderWriter();
  writer.u32(GGUF_MAGIC);
  writer.u32(3);
  writer.u64(content.tensors.length);
  writer.u64(metadata.size);
  for (const [key, typed] of metadata) {
    writer.string(key);
    writer.u32(METADATA_TYPES.indexOf(typed.type));
    writeValue(writer, key, typed);
  }
  const relative = writeDescriptions(writer, content.tensors, alignment);
  const dataStart = alignUp(writer.byteLength, alignment);
  const tensors = relative.map((tensor) => ({ ...tensor, offset: dataStart + tensor.offset }));
  const last = tensors.at(-1);
  const end = last === undefined ? dataStart : alignUp(last.offset + last.byteLength, alignment);
  return { header: writer.finish(dataStart), tensors, byteLength: end };
}

/** Writes each tensor's description; the offsets returned count from the start of the data. */
function writeDescriptions(
  writer: HeaderWriter,
  tensors: readonly GgufTensorInfo[],
  alignment: number,
): GgufPlacement[] {
  const names = new Set<string>();
  let offset = 0;
  return tensors.map(({ name, type, shape }) => {
    const subject = `tensor ${quoted(name)}`;
    if (name === '' || new TextEncoder().encode(name).length > MAX_TENSOR_NAME_BYTES) {
      throw new UsageError(`${subject}: expected a name of 1 to ${MAX_TENSOR_NAME_BYTES} bytes. Shorten it.`);
    }
    if (names.has(name)) throw new UsageError(`${subject}: expected every name once, found it twice.`);
    names.add(name);
    checkShape(subject, type, shape);
    const byteLength = byteLengthOf(
      type,
      shape.reduce((product, size) => product * size, 1),
    );
    const placement = { name, type, shape, offset, byteLength };
    writer.string(name);
    writer.u32(shape.length);
    for (const size of [...shape].reverse()) writer.u64(size);
    writer.u32(TENSOR_TYPES[type].ggmlId);
    writer.u64(offset);
    offset = alignUp(offset + byteLength, alignment);
    return placement;
  });
}

function checkShape(subject: string, type: TensorType, shape: readonly number[]): void {
  const { blockLength } = TENSOR_TYPES[type];
  const valid =
    shape.length >= 1 &&
    shape.length <= MAX_DIMENSIONS &&
    shape.every((size) => Number.isSafeInteger(size) && size >= 1) &&
    (shape.at(-1) ?? 0) % blockLength === 0;
  if (valid) return;
  throw new UsageError(
    `${subject}: expected 1 to ${MAX_DIMENSIONS} sizes, the last a multiple of ${blockLength} for ${type}, ` +
      `found [${shape.join(', ')}].`,
  );
}

function writeValue(writer: HeaderWriter, key: string, typed: TypedMetadataValue): void {
  if (typed.type !== 'array') {
    writeScalar(writer, key, typed.type, typed.value);
    return;
  }
  writer.u32(METADATA_TYPES.indexOf(typed.of));
  writer.u64(typed.value.length);
  if (typed.of !== 'array') {
    for (const value of typed.value) writeScalar(writer, key, typed.of, value);
    return;
  }
  for (const value of typed.value) {
    if (value.type !== 'array') throw misfit(key, 'array', value.value);
    writeValue(writer, key, value);
  }
}

const integerRanges: { readonly [type in MetadataType]?: readonly [low: bigint, high: bigint] } = {
  u8: [0n, 255n],
  i8: [-128n, 127n],
  u16: [0n, 65535n],
  i16: [-32768n, 32767n],
  u32: [0n, 2n ** 32n - 1n],
  i32: [-(2n ** 31n), 2n ** 31n - 1n],
  u64: [0n, 2n ** 64n - 1n],
  i64: [-(2n ** 63n), 2n ** 63n - 1n],
};

function writeScalar(
  writer: HeaderWriter,
  key: string,
  type: Exclude<MetadataType, 'array'>,
  value: MetadataValue,
): void {
  if (type === 'string' && typeof value === 'string') writer.string(value);
  else if (type === 'bool' && typeof value === 'boolean') writer.integer(1, value ? 1n : 0n);
  else if (type === 'f32' && typeof value === 'number') writer.f32(value);
  else if (type === 'f64' && typeof value === 'number') writer.f64(value);
  else writeInteger(writer, key, type, value);
}

function writeInteger(writer: HeaderWriter, key: string, type: MetadataType, value: MetadataValue): void {
  const range = integerRanges[type];
  const isInteger = typeof value === 'bigint' || (typeof value === 'number' && Number.isSafeInteger(value));
  if (range === undefined || !isInteger) throw misfit(key, type, value);
  const integer = BigInt(value);
  if (integer < range[0] || integer > range[1]) throw misfit(key, type, value);
  writer.integer(Number(type.slice(1)) / 8, integer);
}

function misfit(key: string, type: MetadataType, value: unknown): UsageError {
  return new UsageError(
    `metadata key ${quoted(key)}: expected a value of type ${type}, found ${String(value)}.`,
  );
}

/** A growing little-endian buffer. */
class HeaderWriter {
  byteLength = 0;
  #bytes = new Uint8Array(1 << 16);
  #view = new DataView(this.#bytes.buffer);
  readonly #text = new TextEncoder();

  #grow(length: number): number {
    const at = this.byteLength;
    this.byteLength += length;
    if (this.byteLength > this.#bytes.byteLength) {
      const larger = new Uint8Array(Math.max(this.byteLength, 2 * this.#bytes.byteLength));
      larger.set(this.#bytes.subarray(0, at));
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }

  u32(value: number): void {
    const at = this.#grow(4);
    this.#view.setUint32(at, value, true);
  }

  u64(value: number): void {
    this.integer(8, BigInt(value));
  }

  f32(value: number): void {
    const at = this.#grow(4);
    this.#view.setFloat32(at, value, true);
  }

  f64(value: number): void {
    const at = this.#grow(8);
    this.#view.setFloat64(at, value, true);
  }

  integer(byteCount: number, value: bigint): void {
    const at = this.#grow(byteCount);
    for (let i = 0; i < byteCount; i++) {
      this.#bytes[at + i] = Number(value & 255n);
      value >>= 8n;
    }
  }

  string(text: string): void {
    const bytes = this.#text.encode(text);
    this.u64(bytes.byteLength);
    const at = this.#grow(bytes.byteLength);
    this.#bytes.set(bytes, at);
  }

  finish(byteLength: number): Uint8Array {
    this.#grow(byteLength - this.byteLength);
    return this.#bytes.slice(0, byteLength);
  }
}
