// Reads a saved session into the memory where its state will be: from a file, a Blob, a file handle of a
// browser, or a stream. No copy of the whole is made. Where memory may move while bytes arrive, two pieces of
// a mebibyte are in between.
import { crc32, openHandle } from '#platform';
import { UsageError } from '../errors.ts';
import { blobSource } from '../formats/byte-source.ts';
import type { ByteSource } from '../formats/types.ts';
import type { Arena } from '../memory/arena.ts';
import { type ByteSequence, sequenceOf, sequenceOfStream } from './byte-sequence.ts';
import type { FileHandleLike } from './save-state.ts';
import type { SessionState, StateMemory } from './session-state.ts';
import {
  CHECKSUM_BYTES,
  checkChecksum,
  decodeHead,
  decodeTokens,
  headByteLength,
  PREFIX_BYTES,
  type StateHead,
  type StateOwner,
} from './state-file.ts';
import { heldTokens, joinNeighbours, PIECE_BYTES, type RestoredState, unfilled } from './state-transfer.ts';

/**
 * What `model.restoreSessionFrom` reads: a path (Node), a Blob or File, a file handle, or a stream of bytes.
 */
export type RestoreSource = string | Blob | FileHandleLike | ReadableStream<Uint8Array>;

const NAME = 'saved session';

/**
 * When anything is wrong with the bytes, or at an abort, nothing of them stays in memory, and a stream is cancelled.
 */
export async function restoreState(
  source: RestoreSource,
  owner: StateOwner,
  memory: StateMemory,
  signal?: AbortSignal,
): Promise<RestoredState> {
  if (signal?.aborted && source instanceof ReadableStream) await source.cancel(signal.reason).catch(() => {});
  signal?.throwIfAborted();
  if (source instanceof ReadableStream)
    return readState(sequenceOfStream(source, signal), owner, memory, signal);
  const file = await open(source);
  try {
    return await readState(sequenceOf(file), owner, memory, signal);
  } finally {
    await file.close();
  }
}

async function open(source: Exclude<RestoreSource, ReadableStream>): Promise<ByteSource> {
  if (typeof source === 'string') return openHandle({ kind: 'path', path: source }, NAME);
  if (source instanceof Blob) return blobSource(NAME, source);
  if (typeof source === 'object' && source !== null && typeof source.getFile === 'function')
    return blobSource(NAME, await source.getFile());
  throw new UsageError(
    `restoreSessionFrom: expected a path, a Blob, a file handle or a ReadableStream, found ${source === null ? 'null' : typeof source}`,
  );
}

async function readState(
  sequence: ByteSequence,
  owner: StateOwner,
  memory: StateMemory,
  signal: AbortSignal | undefined,
): Promise<RestoredState> {
  let state: SessionState | null = null;
  try {
    const head = await readHead(sequence, owner);
    const place = unfilled(head, memory);
    state = place.state;
    const pieces = joinNeighbours(place.parts).flatMap((part) => piecesOf(part, memory));
    const tokens = await fill(pieces, sequence, head, owner, signal);
    await sequence.release();
    return { state, ...heldTokens(tokens, head.header) };
  } catch (error) {
    state?.dispose();
    await sequence.release(error);
    throw error;
  }
}

async function readHead(sequence: ByteSequence, owner: StateOwner): Promise<StateHead & { crc: number }> {
  const { byteLength } = sequence;
  const prefix = new Uint8Array(byteLength === null ? PREFIX_BYTES : Math.min(PREFIX_BYTES, byteLength));
  await sequence.read(prefix);
  const head = new Uint8Array(headByteLength(prefix, byteLength));
  head.set(prefix);
  await sequence.read(head.subarray(PREFIX_BYTES));
  return { ...decodeHead(head, byteLength, owner), crc: crc32(head) };
}

/** A range of an arena. */
interface Piece {
  readonly arena: Arena;
  readonly address: number;
  readonly byteLength: number;
}

function piecesOf(part: Uint8Array, memory: StateMemory): Piece[] {
  const arena = memory.arenaOf(part)!;
  const { byteOffset, byteLength } = part;
  const pieces: Piece[] = [];
  for (let at = 0; at < byteLength; at += PIECE_BYTES)
    pieces.push({ arena, address: byteOffset + at, byteLength: Math.min(PIECE_BYTES, byteLength - at) });
  return pieces;
}

/**
 * Reads everything after the head into its place; the checksum of one piece is computed while the next is
 * read.
 */
async function fill(
  pieces: readonly Piece[],
  sequence: ByteSequence,
  { header, crc }: StateHead & { crc: number },
  owner: StateOwner,
  signal: AbortSignal | undefined,
): Promise<number[]> {
  const tokenBytes = new Uint8Array(header.position * 4);
  await sequence.read(tokenBytes);
  crc = crc32(tokenBytes, crc);
  /** For memory that may move while bytes arrive: one for the piece that is read, one for the piece before. */
  const between: Uint8Array[] = [];
  const begin = async (i: number): Promise<Uint8Array | null> => {
    const piece = pieces[i];
    if (!piece) return null;
    const { arena, address, byteLength } = piece;
    const into = arena.staysInPlace
      ? arena.views.u8.subarray(address, address + byteLength)
      : (between[i % 2] ??= new Uint8Array(PIECE_BYTES)).subarray(0, byteLength);
    await sequence.read(into);
    return into;
  };
  let reading = begin(0);
  for (const [i, { arena, address }] of pieces.entries()) {
    const bytes = (await reading)!;
    // Before the next read begins: nothing may arrive in memory that was given back.
    signal?.throwIfAborted();
    reading = begin(i + 1);
    if (!arena.staysInPlace) arena.views.u8.set(bytes, address);
    crc = crc32(bytes, crc);
  }
  await reading;
  const checksum = new Uint8Array(CHECKSUM_BYTES);
  await sequence.read(checksum);
  checkChecksum(checksum, crc);
  await sequence.expectEnd();
  return decodeTokens(tokenBytes, owner.layout);
}
