// The portable form of a session: save in Node, restore in a browser, or the other way round. Version 1, little-endian:
//
//   8 bytes   "MRBSTATE"
//   u32       version
//   u32       byte length of the header, a JSON object (StateHeader) in UTF-8
//   header
//   u32 × n   the tokens
//   …         the recurrent block
//   …         for each cache group, the pages that are still in reach, oldest first
//   u32       CRC-32 of everything before it
//
// A file is refused, with the reason, unless every byte is as it was written and the model is the one that wrote it.
import { crc32 } from '#platform';
import { StateError } from '../errors.ts';
import { PAGE_SHIFT } from './cache-layout.ts';
import type { StateLayout } from './state-layout.ts';

const MAGIC = 'MRBSTATE';
const VERSION = 1;
const PREFIX = 16;

export interface StateHeader {
  readonly fingerprint: string;
  readonly cacheType: string;
  readonly position: number;
  readonly recurrentBytes: number;
  /** Bytes of a page and index of the first page kept, for each cache group. */
  readonly groups: readonly { readonly pageBytes: number; readonly firstPage: number }[];
}

export interface StateContents {
  readonly header: StateHeader;
  readonly tokens: number[];
  readonly recurrent: Uint8Array;
  /** For each group, its kept pages in order. */
  readonly pages: readonly (readonly Uint8Array[])[];
}

const pageCount = (position: number): number => Math.ceil(position / (1 << PAGE_SHIFT));

export function encodeState(contents: StateContents): Uint8Array {
  const header = new TextEncoder().encode(JSON.stringify(contents.header));
  const tokens = Uint32Array.from(contents.tokens);
  const parts = [header, new Uint8Array(tokens.buffer), contents.recurrent, ...contents.pages.flat()];
  const out = new Uint8Array(PREFIX + parts.reduce((sum, part) => sum + part.byteLength, 0) + 4);
  const view = new DataView(out.buffer);
  out.set(new TextEncoder().encode(MAGIC));
  view.setUint32(8, VERSION, true);
  view.setUint32(12, header.byteLength, true);
  let at = PREFIX;
  for (const part of parts) {
    out.set(part, at);
    at += part.byteLength;
  }
  view.setUint32(at, crc32(out.subarray(0, at)), true);
  return out;
}

/** Checks the bytes against this model and takes them apart; views into `bytes`, nothing is copied. */
export function decodeState(bytes: Uint8Array, layout: StateLayout, fingerprint: string): StateContents {
  const refuse = (field: string, expected: string, found: string | number): never => {
    throw new StateError(
      `saved session: ${field}: expected ${expected}, found ${found}. It cannot be restored here.`,
    );
  };
  if (bytes.byteLength < PREFIX + 4) refuse('length', `at least ${PREFIX + 4} bytes`, `${bytes.byteLength}`);
  const magic = String.fromCharCode(...bytes.subarray(0, 8));
  if (magic !== MAGIC) refuse('start', `"${MAGIC}"`, JSON.stringify(magic));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint32(8, true);
  if (version !== VERSION) refuse('version', `${VERSION}`, version);
  const end = bytes.byteLength - 4;
  const stored = view.getUint32(end, true);
  const actual = crc32(bytes.subarray(0, end));
  if (stored !== actual) refuse('checksum', hex(stored), `${hex(actual)} (the file is damaged or cut short)`);
  const headerEnd = PREFIX + view.getUint32(12, true);
  if (headerEnd > end) refuse('header length', `at most ${end - PREFIX}`, headerEnd - PREFIX);
  const header = parseHeader(bytes.subarray(PREFIX, headerEnd), refuse);
  if (header.fingerprint !== fingerprint)
    refuse('model', `fingerprint ${fingerprint}`, `${header.fingerprint} (another model's session)`);
  if (header.cacheType !== layout.cacheType) refuse('cache type', layout.cacheType, header.cacheType);
  const expected = stateHeader(layout, fingerprint, header.position);
  if (JSON.stringify(expected) !== JSON.stringify(header))
    refuse('layout', JSON.stringify(expected), JSON.stringify(header));
  const kept = header.groups.map((group) => pageCount(header.position) - group.firstPage);
  const bodyBytes =
    header.position * 4 +
    header.recurrentBytes +
    header.groups.reduce((sum, g, i) => sum + g.pageBytes * kept[i]!, 0);
  if (headerEnd + bodyBytes !== end)
    refuse('length', `${headerEnd + bodyBytes + 4} bytes`, `${bytes.byteLength}`);
  let at = headerEnd;
  const take = (length: number) => bytes.subarray(at, (at += length));
  const tokenBytes = take(header.position * 4);
  const words = new DataView(tokenBytes.buffer, tokenBytes.byteOffset, tokenBytes.byteLength);
  const tokens = Array.from({ length: header.position }, (_, i) => words.getUint32(i * 4, true));
  const outside = tokens.find((t) => t >= layout.spec.vocabularySize);
  if (outside !== undefined) refuse('tokens', `ids below ${layout.spec.vocabularySize}`, outside);
  const recurrent = take(header.recurrentBytes);
  const pages = header.groups.map((group, g) =>
    Array.from({ length: kept[g]! }, () => take(group.pageBytes)),
  );
  return { header, tokens, recurrent, pages };
}

/** The header that a session of this model at this position has. */
export function stateHeader(layout: StateLayout, fingerprint: string, position: number): StateHeader {
  return {
    fingerprint,
    cacheType: layout.cacheType,
    position,
    recurrentBytes: layout.recurrentBytes,
    groups: layout.groups.map(({ pageBytes, window }) => ({
      pageBytes,
      firstPage: window === null ? 0 : Math.max(0, position - window + 1) >> PAGE_SHIFT,
    })),
  };
}

const hex = (value: number) => value.toString(16).padStart(8, '0');

type Refuse = (field: string, expected: string, found: string | number) => never;

function parseHeader(bytes: Uint8Array, refuse: Refuse): StateHeader {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    return refuse('header', 'JSON', error instanceof Error ? error.message : 'something else');
  }
  const header = value as Partial<StateHeader> | null;
  const position = header?.position;
  if (typeof position !== 'number' || !Number.isInteger(position) || position < 0 || position > 2 ** 31)
    return refuse('header', 'a position', JSON.stringify(position) ?? 'nothing');
  return header as StateHeader;
}
