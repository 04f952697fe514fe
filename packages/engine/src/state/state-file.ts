// The portable form of a session: save in Node, restore in a browser, or the other way round. Version 1,
// little-endian:
//
//   8 bytes   "MRBSTATE"
//   u32       version
//   u32       byte length of the header, a JSON object (StateHeader) in UTF-8
//   header, which may end with data of the application's own
//   u32 × n   the tokens that the state has consumed; one more may be pending, in the header
//   …         the recurrent block, layer by layer
//   …         per cache group, the pages that a token can still see, oldest first; in each the group's layers
//   u32       CRC-32 of everything before it
//
// A file is refused, with the reason, unless every byte is as written and the model is the one that wrote it.
import { crc32 } from '#platform';
import { StateError, UsageError } from '../errors.ts';
import type { JsonValue } from '../formats/types.ts';
import { PAGE_SHIFT } from '../plan/cache-layout.ts';
import type { StateLayout } from './state-layout.ts';

const MAGIC = 'MRBSTATE';
const VERSION = 1;
export const PREFIX_BYTES = 16;
const MAX_HEADER = 2 ** 26;
export const CHECKSUM_BYTES = 4;

export interface StateHeader {
  readonly fingerprint: string;
  readonly cacheType: string;
  /** Number of tokens that the state has consumed. */
  readonly position: number;
  /** The next token, sampled but not consumed. Left out when there is none. */
  readonly pending?: number;
  readonly recurrentBytes: number;
  /** Per cache group: bytes of a page, and index of the first page kept. */
  readonly groups: readonly { readonly pageBytes: number; readonly firstPage: number }[];
  /** What the application keeps with the session. Left out when there is none. */
  readonly data?: JsonValue;
}

/** What is saved beside the state. */
export interface HeldTokens {
  /** The tokens that the state has taken in, and perhaps one after them that it has not. */
  readonly tokens: readonly number[];
  /** That one; null when there is none. */
  readonly pendingToken: number | null;
  /** The application's own; null when there is none. */
  readonly data: JsonValue | null;
}

/** The model that a file must be of, and the longest context that it allows. */
export interface StateOwner {
  readonly layout: StateLayout;
  readonly fingerprint: string;
  readonly contextLength: number;
}

/** What is saved. */
export interface StateContents {
  readonly header: StateHeader;
  readonly tokens: readonly number[];
  /** Everything after the tokens, in order. */
  readonly parts: readonly Uint8Array[];
}

/** A checked header: of a file of the right length, of this model. */
export interface StateHead {
  readonly header: StateHeader;
  /** Where the tokens begin. */
  readonly byteLength: number;
  /** Per group, the number of pages in the file. */
  readonly pageCounts: readonly number[];
}

const pageCount = (position: number): number => Math.ceil(position / (1 << PAGE_SHIFT));

/** Data as it will be restored. Throws UsageError for what JSON cannot hold. */
export function plainData(data: JsonValue): JsonValue {
  let json: string | undefined;
  try {
    json = JSON.stringify(data);
  } catch (error) {
    throw new UsageError(`data: expected what JSON can hold, found ${(error as Error).message}`, {
      cause: error,
    });
  }
  if (json === undefined) throw new UsageError(`data: expected what JSON can hold, found a ${typeof data}`);
  return JSON.parse(json) as JsonValue;
}

/** What comes before the recurrent block. Throws UsageError for data that no file can hold. */
export function encodeHead(header: StateHeader, tokens: readonly number[]): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(header));
  if (json.byteLength > MAX_HEADER)
    throw new UsageError(
      `data: expected at most ${MAX_HEADER} bytes as JSON, found ${json.byteLength}. Keep it in a file of its own.`,
    );
  const out = new Uint8Array(PREFIX_BYTES + json.byteLength + tokens.length * 4);
  const view = new DataView(out.buffer);
  out.set(new TextEncoder().encode(MAGIC));
  view.setUint32(8, VERSION, true);
  view.setUint32(12, json.byteLength, true);
  out.set(json, PREFIX_BYTES);
  tokens.forEach((token, i) => void view.setUint32(PREFIX_BYTES + json.byteLength + i * 4, token, true));
  return out;
}

/** What comes after everything else. */
export function encodeChecksum(crc: number): Uint8Array {
  const out = new Uint8Array(CHECKSUM_BYTES);
  new DataView(out.buffer).setUint32(0, crc, true);
  return out;
}

export function encodeState({ header, tokens, parts: body }: StateContents): Uint8Array {
  const parts = [encodeHead(header, tokens), ...body];
  const length = parts.reduce((sum, part) => sum + part.byteLength, 0);
  const out = new Uint8Array(length + CHECKSUM_BYTES);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.byteLength;
  }
  out.set(encodeChecksum(crc32(out.subarray(0, length))), length);
  return out;
}

/** Checks the bytes against this model. `body` is a view of everything between tokens and checksum. */
export function decodeState(
  bytes: Uint8Array,
  owner: StateOwner,
): Pick<StateHead, 'header' | 'pageCounts'> & { readonly tokens: number[]; readonly body: Uint8Array } {
  const headEnd = headByteLength(bytes.subarray(0, PREFIX_BYTES), bytes.byteLength);
  const end = bytes.byteLength - CHECKSUM_BYTES;
  checkChecksum(bytes.subarray(end), crc32(bytes.subarray(0, end)));
  const { header, pageCounts } = decodeHead(bytes.subarray(0, headEnd), bytes.byteLength, owner);
  const tokensEnd = headEnd + header.position * 4;
  const tokens = decodeTokens(bytes.subarray(headEnd, tokensEnd), owner.layout);
  return { header, pageCounts, tokens, body: bytes.subarray(tokensEnd, end) };
}

/** From the first bytes of a file of `byteLength` bytes (null for a stream): where its header ends. */
export function headByteLength(prefix: Uint8Array, byteLength: number | null): number {
  const magic = String.fromCharCode(...prefix.subarray(0, 8));
  if (magic !== MAGIC) refuse('start', `"${MAGIC}"`, `${JSON.stringify(magic)} (another kind of file)`);
  if (byteLength !== null && byteLength < PREFIX_BYTES + CHECKSUM_BYTES)
    refuse('length', `at least ${PREFIX_BYTES + CHECKSUM_BYTES} bytes`, `${byteLength} (cut short)`);
  const view = new DataView(prefix.buffer, prefix.byteOffset, prefix.byteLength);
  const version = view.getUint32(8, true);
  if (version !== VERSION) refuse('version', `${VERSION}`, version);
  const length = view.getUint32(12, true);
  const room = byteLength === null ? MAX_HEADER : byteLength - PREFIX_BYTES - CHECKSUM_BYTES;
  const most = Math.min(room, MAX_HEADER);
  if (length > most) refuse('header length', `at most ${most}`, `${length} (cut short or damaged)`);
  return PREFIX_BYTES + length;
}

/** Checks a header against this model and the file's length (null for a stream), before allocating. */
export function decodeHead(head: Uint8Array, byteLength: number | null, owner: StateOwner): StateHead {
  const { layout, fingerprint, contextLength } = owner;
  const header = parseHeader(head.subarray(PREFIX_BYTES));
  if (header.fingerprint !== fingerprint)
    refuse('model', `fingerprint ${fingerprint}`, `${shown(header.fingerprint)} (another model's session)`);
  if (header.cacheType !== layout.cacheType) refuse('cache type', layout.cacheType, shown(header.cacheType));
  const { data, ...own } = header;
  const { pending } = own;
  const held = header.position + (pending === undefined ? 0 : 1);
  if (held > contextLength) refuse('position', `at most the context length ${contextLength}`, held);
  if (
    pending !== undefined &&
    !(Number.isInteger(pending) && pending >= 0 && pending < layout.spec.vocabularySize)
  )
    refuse('pending token', `an id below ${layout.spec.vocabularySize}`, shown(pending));
  const expected = JSON.stringify(stateHeader(layout, fingerprint, header.position, pending ?? null, null));
  const found = shown(own, 2 * expected.length);
  if (expected !== found) refuse('layout', expected, found);
  const pageCounts = header.groups.map((group) => pageCount(header.position) - group.firstPage);
  const whole =
    head.byteLength +
    header.position * 4 +
    header.recurrentBytes +
    header.groups.reduce((sum, g, i) => sum + g.pageBytes * pageCounts[i]!, 0) +
    CHECKSUM_BYTES;
  if (byteLength !== null && whole !== byteLength) refuse('length', `${whole} bytes`, byteLength);
  return { header, byteLength: head.byteLength, pageCounts };
}

export function decodeTokens(bytes: Uint8Array, layout: StateLayout): number[] {
  const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tokens = Array.from({ length: bytes.byteLength / 4 }, (_, i) => words.getUint32(i * 4, true));
  const outside = tokens.find((t) => t >= layout.spec.vocabularySize);
  if (outside !== undefined) refuse('tokens', `ids below ${layout.spec.vocabularySize}`, outside);
  return tokens;
}

/** `stored` are the file's last bytes, `actual` is the checksum of all before them. */
export function checkChecksum(stored: Uint8Array, actual: number): void {
  const expected = new DataView(stored.buffer, stored.byteOffset, stored.byteLength).getUint32(0, true);
  if (expected !== actual)
    refuse('checksum', hex(expected), `${hex(actual)} (the file is damaged or cut short)`);
}

/** The header of a session of this model at this position. */
export function stateHeader(
  layout: StateLayout,
  fingerprint: string,
  position: number,
  pending: number | null,
  data: JsonValue | null,
): StateHeader {
  return {
    fingerprint,
    cacheType: layout.cacheType,
    position,
    ...(pending === null ? {} : { pending }),
    recurrentBytes: layout.recurrentBytes,
    groups: layout.groups.map(({ pageBytes, window }) => ({
      pageBytes,
      firstPage: window === null ? 0 : Math.max(0, position - window + 1) >> PAGE_SHIFT,
    })),
    ...(data === null ? {} : { data }),
  };
}

/** The beginning of a value of a file, which may be of any size and nested so deep that JSON gives up. */
function shown(value: unknown, most = 100): string {
  try {
    return typeof value === 'string'
      ? value.slice(0, most)
      : (JSON.stringify(value)?.slice(0, most) ?? 'none');
  } catch {
    return 'something nested';
  }
}

const hex = (value: number) => value.toString(16).padStart(8, '0');

/** What is wrong with the file itself, not with where it is restored. */
const DAMAGE = new Set(['length', 'start', 'header', 'header length', 'checksum', 'tokens']);

function refuse(field: string, expected: string, found: string | number): never {
  const code = DAMAGE.has(field) ? 'damaged-state' : 'state-mismatch';
  throw new StateError(
    `saved session: ${field}: expected ${expected}, found ${found}. It cannot be restored here.`,
    { code },
  );
}

function parseHeader(bytes: Uint8Array): StateHeader {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    return refuse('header', 'JSON', error instanceof Error ? error.message : 'something else');
  }
  const header = value as Partial<StateHeader> | null;
  const position = header?.position;
  if (typeof position !== 'number' || !Number.isInteger(position) || position < 0 || position > 2 ** 31)
    return refuse('header', 'a position', shown(position));
  return header as StateHeader;
}
