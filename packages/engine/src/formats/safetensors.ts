// Reads Safetensors files, and lays them out for writing. Source: the format's description
// (huggingface/safetensors README).
// Layout: header length u64, header in JSON ({ name: { dtype, shape, data_offsets: [begin, end) } }), then
// the data. As the format demands, every byte of the data belongs to exactly one tensor.

import { FormatError, UsageError } from '../errors.ts';
import { quoted } from './gguf-types.ts';
import { impostorIn } from './impostors.ts';
import { isJsonObject, parseJsonObject } from './json.ts';
import { checkOverlaps } from './overlaps.ts';
import { byteLengthOf } from './tensor-types.ts';
import type { ByteSource, JsonObject, JsonValue, TensorEntry, TensorType } from './types.ts';

/** The format's own limit. */
const MAX_HEADER = 100_000_000;
const DAMAGED = 'The file is cut short or damaged; fetch it again.';

/** The dtypes that are read. */
const readable: ReadonlyMap<string, TensorType> = new Map([
  ['F32', 'F32'],
  ['F16', 'F16'],
  ['BF16', 'BF16'],
]);

/**
 * Bits per element of the other dtypes (the format's `Dtype`). Their tensors are buffers (position numbers,
 * masks) or weights of a quantisation that is not read.
 */
const otherBits: ReadonlyMap<string, number> = new Map([
  ...['F64', 'I64', 'U64', 'C64'].map((dtype) => [dtype, 64] as const),
  ...['I32', 'U32'].map((dtype) => [dtype, 32] as const),
  ...['I16', 'U16'].map((dtype) => [dtype, 16] as const),
  ...['BOOL', 'I8', 'U8', 'F8_E4M3', 'F8_E5M2', 'F8_E8M0', 'F8_E4M3FNUZ', 'F8_E5M2FNUZ'].map(
    (dtype) => [dtype, 8] as const,
  ),
  ...['F6_E2M3', 'F6_E3M2'].map((dtype) => [dtype, 6] as const),
  ['F4', 4],
]);

/**
 * Reads the header. Tensors of other dtypes than F32, F16 and BF16 are left out: nobody may need them. Throws
 * FormatError.
 */
export async function readSafetensors(source: ByteSource): Promise<Map<string, TensorEntry>> {
  return (await readSafetensorsFile(source)).tensors;
}

/** The same, with the dtypes of the tensors that were left out. */
export async function readSafetensorsFile(
  source: ByteSource,
): Promise<{ tensors: Map<string, TensorEntry>; leftOut: Map<string, string> }> {
  const header = await readHeader(source);
  const dataStart = 8 + header.byteLength;
  const json = parseJsonObject(`${source.name}: header`, header, { maxDepth: 4 });
  const tensors = new Map<string, TensorEntry>();
  const leftOut = new Map<string, string>();
  const all: TensorEntry[] = [];
  for (const [name, value] of Object.entries(json)) {
    if (name === '__metadata__') {
      checkMetadata(source.name, value);
      continue;
    }
    const { entry, unread } = readEntry(source, name, value, dataStart);
    all.push(entry);
    if (unread === null) tensors.set(name, entry);
    else leftOut.set(name, unread);
  }
  checkOverlaps(source.name, all);
  const indexed = all.reduce((sum, { byteLength }) => sum + byteLength, 0);
  if (indexed !== source.byteLength - dataStart) {
    throw new FormatError(
      `${source.name}: data: expected ${indexed} bytes, as all tensors together take, ` +
        `found ${source.byteLength - dataStart}. ${DAMAGED}`,
    );
  }
  return { tensors, leftOut };
}

async function readHeader(source: ByteSource): Promise<Uint8Array> {
  const fail = async (found: string): Promise<never> => {
    throw (
      (await impostorIn(source, 'a safetensors file')) ??
      new FormatError(
        `${source.name}: header length: expected one inside the file (${source.byteLength} bytes) and of at most ` +
          `${MAX_HEADER} bytes, found ${found}. ${DAMAGED}`,
      )
    );
  };
  if (source.byteLength < 8) return fail('a file shorter than 8 bytes');
  const prefix = new Uint8Array(8);
  await source.read(0, prefix);
  const length = new DataView(prefix.buffer).getBigUint64(0, true);
  // The shortest header is {}.
  if (length < 2n || length > BigInt(Math.min(MAX_HEADER, source.byteLength - 8))) return fail(`${length}`);
  const header = new Uint8Array(Number(length));
  await source.read(8, header);
  return header;
}

function checkMetadata(fileName: string, value: JsonValue): void {
  if (isJsonObject(value) && Object.values(value).every((text) => typeof text === 'string')) return;
  throw new FormatError(
    `${fileName}: __metadata__: expected an object of texts, found other values. ${DAMAGED}`,
  );
}

function readEntry(
  source: ByteSource,
  name: string,
  value: JsonValue,
  dataStart: number,
): { entry: TensorEntry; unread: string | null } {
  const fail = (expected: string, found: string, remedy = DAMAGED): never => {
    throw new FormatError(
      `${source.name}: tensor ${quoted(name)}: expected ${expected}, found ${found}. ${remedy}`,
    );
  };
  if (name === '') return fail('a name', 'an empty one');
  if (!isJsonObject(value)) return fail('an object', 'another value');
  const { dtype, shape, data_offsets: range } = value;
  if (!isSizes(shape)) return fail('a shape of whole numbers', describe(shape));
  if (!isSizes(range) || range.length !== 2)
    return fail('two whole numbers in data_offsets', describe(range));
  if (typeof dtype !== 'string') return fail('a dtype', describe(dtype));
  const type = readable.get(dtype);
  const bits = type === undefined ? otherBits.get(dtype) : 8 * byteLengthOf(type, 1);
  const [begin = 0, end = 0] = range;
  const elements = shape.reduce((product, size) => product * size, 1);
  // How many bytes a dtype of later years takes is not known.
  const byteLength = bits === undefined ? Math.max(0, end - begin) : Math.ceil((elements * bits) / 8);
  if (end - begin !== byteLength) {
    return fail(`${byteLength} bytes for ${dtype} [${shape.join(', ')}]`, `${end - begin}`);
  }
  if (end > source.byteLength - dataStart) {
    return fail(`data inside the file of ${source.byteLength} bytes`, `its end at ${dataStart + end}`);
  }
  const entry = {
    name,
    type: type ?? 'F32',
    shape,
    source,
    offset: dataStart + begin,
    byteLength: end - begin,
  };
  return { entry, unread: type === undefined ? dtype : null };
}

function isSizes(value: JsonValue | undefined): value is number[] {
  return (
    Array.isArray(value) &&
    value.length <= 8 &&
    value.every((size) => Number.isSafeInteger(size) && Number(size) >= 0)
  );
}

function describe(value: JsonValue | undefined): string {
  return value === undefined ? 'nothing' : quoted(JSON.stringify(value));
}

export interface SafetensorsInfo {
  readonly name: string;
  readonly type: 'F32' | 'F16' | 'BF16';
  readonly shape: readonly number[];
}

export interface SafetensorsLayout {
  readonly header: Uint8Array;
  /**
   * In file order, which puts F32 first so that all data stays aligned. Offsets count from the start of the
   * file.
   */
  readonly tensors: readonly (SafetensorsInfo & { readonly offset: number; readonly byteLength: number })[];
  /** Of the whole file. */
  readonly byteLength: number;
}

/**
 * Lays out a file: header bytes, then the tensors' data without gaps. Throws UsageError for names used twice.
 */
export function safetensorsHeader(
  tensors: readonly SafetensorsInfo[],
  metadata: { readonly [key: string]: string } = { format: 'pt' },
): SafetensorsLayout {
  const entries = new Map<string, JsonValue>([['__metadata__', { ...metadata }]]);
  const ordered = [...tensors].sort((a, b) => byteLengthOf(b.type, 1) - byteLengthOf(a.type, 1));
  let end = 0;
  const placed = ordered.map((tensor) => {
    const { name, type, shape } = tensor;
    if (name === '' || entries.has(name)) {
      throw new UsageError(`tensor ${quoted(name)}: expected a name that is not empty or taken. Rename it.`);
    }
    const offset = end;
    const byteLength = byteLengthOf(
      type,
      shape.reduce((product, size) => product * size, 1),
    );
    end += byteLength;
    entries.set(name, { dtype: type, shape: [...shape], data_offsets: [offset, end] });
    return { ...tensor, offset, byteLength };
  });
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const headerLength = Math.ceil(json.byteLength / 8) * 8;
  const header = new Uint8Array(8 + headerLength).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(headerLength), true);
  header.set(json, 8);
  const dataStart = header.byteLength;
  return {
    header,
    tensors: placed.map((tensor) => ({ ...tensor, offset: dataStart + tensor.offset })),
    byteLength: dataStart + end,
  };
}

/** The content of `model.safetensors.index.json` for a checkpoint of several files. */
export function safetensorsIndex(shards: ReadonlyMap<string, readonly SafetensorsInfo[]>): JsonObject {
  let total = 0;
  const map: [string, JsonValue][] = [];
  for (const [fileName, tensors] of shards) {
    for (const { name, type, shape } of tensors) {
      total += byteLengthOf(
        type,
        shape.reduce((product, size) => product * size, 1),
      );
      map.push([name, fileName]);
    }
  }
  return { metadata: { total_size: total }, weight_map: Object.fromEntries(map) };
}
