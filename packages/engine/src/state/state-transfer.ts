// Session states between the arena and bytes in memory, and what saving and restoring in pieces share
// (save-state.ts, restore-state.ts).
import { PAGE_TOKENS } from '../plan/cache-layout.ts';
import { SessionState, type StateMemory } from './session-state.ts';
import {
  decodeState,
  encodeState,
  type HeldTokens,
  type StateContents,
  type StateHead,
  type StateHeader,
  type StateOwner,
  stateHeader,
} from './state-file.ts';

/** Bytes per read or write; the checksum of the bytes before is computed meanwhile. */
export const PIECE_BYTES = 2 ** 20;

export interface RestoredState extends HeldTokens {
  readonly state: SessionState;
}

export const heldTokens = (read: readonly number[], { pending, data = null }: StateHeader): HeldTokens =>
  pending === undefined
    ? { tokens: read, pendingToken: null, data }
    : { tokens: [...read, pending], pendingToken: pending, data };

export const stateToBytes = (state: SessionState, held: HeldTokens, owner: StateOwner): Uint8Array =>
  encodeState(contentsOf(state, held, owner));

/** Views into the arena: not to be kept across an allocation where it may move. */
export function contentsOf(state: SessionState, held: HeldTokens, owner: StateOwner): StateContents {
  const { layout, fingerprint } = owner;
  const header = stateHeader(layout, fingerprint, state.position, held.pendingToken, held.data);
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

/** Memory for a state of this header. Pages that a window has passed are 0. */
export function allocate(
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
export function joinNeighbours(parts: readonly Uint8Array[]): Uint8Array[] {
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
