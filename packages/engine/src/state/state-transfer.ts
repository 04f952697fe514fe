// Session states between arenas and bytes in memory, and what saving and restoring in pieces share
// (save-state.ts, restore-state.ts).
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

/** Views into the arenas: not to be kept across an allocation where they may move. */
export function contentsOf(state: SessionState, held: HeldTokens, owner: StateOwner): StateContents {
  const { layout, fingerprint } = owner;
  const header = stateHeader(layout, fingerprint, state.position, held.pendingToken, held.data);
  return { header, tokens: held.tokens.slice(0, state.position), parts: state.contents(firstPages(header)) };
}

const firstPages = ({ groups }: StateHeader): number[] => groups.map(({ firstPage }) => firstPage);

export function stateFromBytes(bytes: Uint8Array, owner: StateOwner, memory: StateMemory): RestoredState {
  const { header, pageCounts, tokens, body } = decodeState(bytes, owner);
  const { state, parts } = unfilled({ header, pageCounts }, memory);
  let at = 0;
  for (const part of parts) part.set(body.subarray(at, (at += part.byteLength)));
  return { state, ...heldTokens(tokens, header) };
}

/** A state of this header, and the views to fill with what is saved, in order. */
export function unfilled(
  { header, pageCounts }: Pick<StateHead, 'header' | 'pageCounts'>,
  memory: StateMemory,
): { state: SessionState; parts: Uint8Array[] } {
  const ranges = header.groups.map(({ firstPage }, g) => ({ first: firstPage, count: pageCounts[g]! }));
  const state = SessionState.unfilled(memory, header.position, ranges);
  return { state, parts: state.contents(firstPages(header)) };
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
