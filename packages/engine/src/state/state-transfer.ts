// Session states between the arena and saved sessions. A file is read into the memory where the state will be and written from there:
// no copy of it is made, which would be as large again and take longer than the reading. Only where the arena may move meanwhile, bytes
// are in between.
import { crc32, openHandle, writeParts } from '#platform';
import { readAll, sourceFrom } from '../formats/byte-source.ts';
import type { ByteSource } from '../formats/types.ts';
import { PAGE_TOKENS } from '../plan/cache-layout.ts';
import { SessionState, type StateMemory } from './session-state.ts';
import {
  CHECKSUM_BYTES,
  checkChecksum,
  decodeHead,
  decodeState,
  decodeTokens,
  encodeChecksum,
  encodeHead,
  encodeState,
  type HeldTokens,
  headByteLength,
  PREFIX_BYTES,
  type StateContents,
  type StateHead,
  type StateHeader,
  type StateOwner,
  stateHeader,
} from './state-file.ts';

/** Bytes that are read at once; the checksum of those before is computed meanwhile. */
const PIECE_BYTES = 2 ** 20;

export interface RestoredState extends HeldTokens {
  readonly state: SessionState;
}

const heldTokens = (read: readonly number[], { pending }: StateHeader): HeldTokens =>
  pending === undefined
    ? { tokens: read, pendingToken: null }
    : { tokens: [...read, pending], pendingToken: pending };

export const stateToBytes = (state: SessionState, held: HeldTokens, owner: StateOwner): Uint8Array =>
  encodeState(contentsOf(state, held, owner));

/** Writes `preface`, then what `stateToBytes` returns. The state must not be advanced meanwhile. */
export async function stateToFile(
  state: SessionState,
  held: HeldTokens,
  owner: StateOwner,
  path: string,
  preface: Uint8Array,
): Promise<void> {
  if (!state.staysInPlace) return writeParts(path, [preface, stateToBytes(state, held, owner)]);
  const { header, tokens, recurrent, pages } = contentsOf(state, held, owner);
  const parts = [encodeHead(header, tokens), ...joinNeighbours([recurrent, ...pages.flat()])];
  const checksum = parts.reduce((crc, part) => crc32(part, crc), 0);
  await writeParts(path, [preface, ...parts, encodeChecksum(checksum)]);
}

function contentsOf(state: SessionState, held: HeldTokens, owner: StateOwner): StateContents {
  const { layout, fingerprint } = owner;
  const header = stateHeader(layout, fingerprint, state.position, held.pendingToken);
  const pages = layout.groups.map((_, g) =>
    state.pages(g).slice(header.groups[g]!.firstPage, Math.ceil(state.position / PAGE_TOKENS)),
  );
  return {
    header,
    tokens: held.tokens.slice(0, state.position),
    recurrent: state.recurrentBytes,
    pages: pages.map((list, g) => list.map((page) => state.pageBytes(g, page))),
  };
}

export function stateFromBytes(bytes: Uint8Array, owner: StateOwner, memory: StateMemory): RestoredState {
  const { header, tokens, recurrent, pages } = decodeState(bytes, owner);
  const place = allocate({ header, pageCounts: pages.map((list) => list.length) }, owner, memory);
  const { u8 } = memory.arena.views;
  u8.set(recurrent, place.block);
  pages.forEach((list, g) =>
    list.forEach((page, i) => {
      u8.set(page, place.pages[g]![header.groups[g]!.firstPage + i]);
    }),
  );
  return { state: SessionState.of(owner.layout, memory, place), ...heldTokens(tokens, header) };
}

/** Reads a file that `stateToFile` wrote, from `offset` on. When anything is wrong with it, nothing of it stays in memory. */
export async function stateFromFile(
  path: string,
  owner: StateOwner,
  memory: StateMemory,
  offset: number,
): Promise<RestoredState> {
  const file = await openHandle({ kind: 'path', path }, 'saved session');
  try {
    const source = sourceFrom(file, offset);
    if (!memory.arena.staysInPlace)
      return stateFromBytes(await readAll(source, source.byteLength), owner, memory);
    const head = await readHead(source, owner);
    const place = allocate(head, owner, memory);
    const state = SessionState.of(owner.layout, memory, place);
    try {
      return { state, ...heldTokens(await fill(state, source, head, owner), head.header) };
    } catch (error) {
      state.dispose();
      throw error;
    }
  } finally {
    await file.close();
  }
}

async function readHead(source: ByteSource, owner: StateOwner): Promise<StateHead & { crc: number }> {
  const read = async (length: number) => {
    const bytes = new Uint8Array(Math.min(length, source.byteLength));
    await source.read(0, bytes);
    return bytes;
  };
  const head = await read(headByteLength(await read(PREFIX_BYTES), source.byteLength));
  return { ...decodeHead(head, source.byteLength, owner), crc: crc32(head) };
}

/** Reads everything after the head into its place. */
async function fill(
  state: SessionState,
  source: ByteSource,
  { header, byteLength, crc }: StateHead & { crc: number },
  owner: StateOwner,
): Promise<number[]> {
  const tokenBytes = new Uint8Array(header.position * 4);
  const checksum = new Uint8Array(CHECKSUM_BYTES);
  const pages = owner.layout.groups.flatMap((_, g) =>
    state.pages(g).flatMap((page) => (page ? [state.pageBytes(g, page)] : [])),
  );
  const pieces = [tokenBytes, ...joinNeighbours([state.recurrentBytes, ...pages]).flatMap(cut)];
  let at = byteLength;
  const read = (piece: Uint8Array | undefined): Promise<void> | null => {
    if (!piece) return null;
    at += piece.byteLength;
    return source.read(at - piece.byteLength, piece);
  };
  let reading = read(pieces[0]);
  for (const [i, piece] of pieces.entries()) {
    await reading;
    reading = read(pieces[i + 1]);
    crc = crc32(piece, crc);
  }
  await source.read(at, checksum);
  checkChecksum(checksum, crc);
  return decodeTokens(tokenBytes, owner.layout);
}

/** Memory for a state of this header. Pages that a window has passed are 0. */
function allocate(
  { header, pageCounts }: Pick<StateHead, 'header' | 'pageCounts'>,
  owner: StateOwner,
  memory: StateMemory,
): { position: number; block: number; pages: number[][] } {
  const pages: number[][] = [];
  const block = memory.recurrent.take();
  try {
    for (const [g, { pageBytes }] of owner.layout.groups.entries()) {
      const list = new Array<number>(header.groups[g]!.firstPage).fill(0);
      pages.push(list);
      for (let i = 0; i < pageCounts[g]!; i++) list.push(memory.pages.allocateUncleared(pageBytes));
    }
  } catch (error) {
    for (const page of pages.flat()) if (page) memory.pages.release(page);
    memory.recurrent.giveBack(block);
    throw error;
  }
  return { position: header.position, block, pages };
}

/** The same bytes in fewer views: those that lie one behind the other in memory are joined. */
function joinNeighbours(parts: readonly Uint8Array[]): Uint8Array[] {
  const joined: Uint8Array[] = [];
  for (const part of parts) {
    const last = joined.at(-1);
    if (last && last.buffer === part.buffer && last.byteOffset + last.byteLength === part.byteOffset)
      joined[joined.length - 1] = new Uint8Array(
        last.buffer,
        last.byteOffset,
        last.byteLength + part.byteLength,
      );
    else joined.push(part);
  }
  return joined;
}

function cut(part: Uint8Array): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < part.byteLength; at += PIECE_BYTES) pieces.push(part.subarray(at, at + PIECE_BYTES));
  return pieces;
}
