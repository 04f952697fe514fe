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
import { SessionState, type StateMemory } from './session-state.ts';
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
import { allocate, heldTokens, joinNeighbours, PIECE_BYTES, type RestoredState } from './state-transfer.ts';

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
    state = SessionState.of(owner.layout, memory, allocate(head, owner, memory));
    const tokens = await fill(state, sequence, head, owner, memory.arena, signal);
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

/** A range of the arena. */
interface Piece {
  readonly address: number;
  readonly byteLength: number;
}

/**
 * Reads everything after the head into its place; the checksum of one piece is computed while the next is
 * read.
 */
async function fill(
  state: SessionState,
  sequence: ByteSequence,
  { header, crc }: StateHead & { crc: number },
  owner: StateOwner,
  arena: Arena,
  signal: AbortSignal | undefined,
): Promise<number[]> {
  const tokenBytes = new Uint8Array(header.position * 4);
  await sequence.read(tokenBytes);
  crc = crc32(tokenBytes, crc);
  const pages = owner.layout.groups.flatMap((_, g) =>
    state.pages(g).flatMap((page) => (page ? [state.pageBytes(g, page)] : [])),
  );
  const pieces = joinNeighbours([state.recurrentBytes, ...pages]).flatMap(cut);
  const between = arena.staysInPlace ? null : [new Uint8Array(PIECE_BYTES), new Uint8Array(PIECE_BYTES)];
  const begin = async (i: number): Promise<Uint8Array | null> => {
    const piece = pieces[i];
    if (!piece) return null;
    const { address, byteLength } = piece;
    const into = between
      ? between[i % 2]!.subarray(0, byteLength)
      : arena.views.u8.subarray(address, address + byteLength);
    await sequence.read(into);
    return into;
  };
  let reading = begin(0);
  for (const [i, { address }] of pieces.entries()) {
    const bytes = (await reading)!;
    // Before the next read begins: nothing may arrive in memory that was given back.
    signal?.throwIfAborted();
    reading = begin(i + 1);
    if (between) arena.views.u8.set(bytes, address);
    crc = crc32(bytes, crc);
  }
  await reading;
  const checksum = new Uint8Array(CHECKSUM_BYTES);
  await sequence.read(checksum);
  checkChecksum(checksum, crc);
  await sequence.expectEnd();
  return decodeTokens(tokenBytes, owner.layout);
}

function cut({ byteOffset, byteLength }: Uint8Array): Piece[] {
  const pieces: Piece[] = [];
  for (let at = 0; at < byteLength; at += PIECE_BYTES)
    pieces.push({ address: byteOffset + at, byteLength: Math.min(PIECE_BYTES, byteLength - at) });
  return pieces;
}
