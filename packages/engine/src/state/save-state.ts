// Writes the state of a session to a file, a file handle of a browser, or a stream. Shared memory never
// moves, so a file is written from where the state lies; streams and handles get copies of a mebibyte each,
// since browsers do not take views of shared memory there.
import { crc32, writeParts } from '#platform';
import { UsageError } from '../errors.ts';
import type { JsonValue } from '../formats/types.ts';
import type { SessionState, StateMemory } from './session-state.ts';
import { encodeChecksum, encodeHead, type HeldTokens, type StateOwner } from './state-file.ts';
import { contentsOf, joinNeighbours, PIECE_BYTES, stateToBytes } from './state-transfer.ts';

/**
 * A file of a browser's own file system, or one that the user picked: `FileSystemFileHandle`, spelled out for
 * Node.
 */
export interface FileHandleLike {
  /** The file as it is now. */
  getFile(): Promise<Blob>;
  /** A stream that replaces the file once it is closed. */
  createWritable(): Promise<WritableStream>;
}

/**
 * Where `session.saveTo` writes: a path (Node), a file handle, or a stream of bytes, which is closed at the
 * end.
 */
export type SaveTarget = string | FileHandleLike | WritableStream<Uint8Array>;

/** Options of `session.saveTo`. */
export interface SaveOptions {
  /** Anything of the application's own that JSON can hold; the restored session has it as `data`. */
  readonly data?: JsonValue | undefined;
  /** Stops writing; a file of that name is then as it was, a stream is aborted with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Writes what `stateToBytes` returns. The state must not be advanced meanwhile. */
export async function saveState(
  state: SessionState,
  held: HeldTokens,
  owner: StateOwner,
  memory: StateMemory,
  target: SaveTarget,
  signal?: AbortSignal,
): Promise<void> {
  if (signal?.aborted && target instanceof WritableStream) await target.abort(signal.reason).catch(() => {});
  signal?.throwIfAborted();
  if (typeof target === 'string') return saveToPath(state, held, owner, memory, target, signal);
  const stream = await streamOf(target);
  const { header, tokens, parts } = contentsOf(state, held, owner);
  const places = joinNeighbours(parts).map((part) => placeOf(part, memory));
  await writeStream(stream, signal, function* () {
    const head = encodeHead(header, tokens);
    let checksum = crc32(head);
    yield head;
    for (const { byteLength, copy } of places) {
      for (let at = 0; at < byteLength; at += PIECE_BYTES) {
        const piece = copy(at, Math.min(at + PIECE_BYTES, byteLength));
        checksum = crc32(piece, checksum);
        yield piece;
      }
    }
    yield encodeChecksum(checksum);
  });
}

async function saveToPath(
  state: SessionState,
  held: HeldTokens,
  owner: StateOwner,
  memory: StateMemory,
  path: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (!memory.staysInPlace) return writeParts(path, [stateToBytes(state, held, owner)], signal);
  const { header, tokens, parts } = contentsOf(state, held, owner);
  const all = [encodeHead(header, tokens), ...joinNeighbours(parts)];
  const checksum = all.reduce((crc, part) => crc32(part, crc), 0);
  await writeParts(path, [...all, encodeChecksum(checksum)], signal);
}

async function streamOf(target: Exclude<SaveTarget, string>): Promise<WritableStream<Uint8Array>> {
  if (target instanceof WritableStream) return target;
  if (typeof target === 'object' && target !== null && typeof target.createWritable === 'function')
    return target.createWritable();
  throw new UsageError(
    `saveTo: expected a path, a file handle or a WritableStream, found ${target === null ? 'null' : typeof target}`,
  );
}

/** Bytes by where they are, not by a view: memory that is not shared moves when it grows. */
function placeOf(
  part: Uint8Array,
  memory: StateMemory,
): { byteLength: number; copy(from: number, to: number): Uint8Array } {
  const { byteLength, byteOffset } = part;
  const arena = memory.arenaOf(part);
  return {
    byteLength,
    copy: (from, to) =>
      arena ? arena.views.u8.slice(byteOffset + from, byteOffset + to) : part.slice(from, to),
  };
}

/**
 * Writes and closes, or aborts the stream with the error. An abort does not wait for a write that is under
 * way.
 */
async function writeStream(
  stream: WritableStream<Uint8Array>,
  signal: AbortSignal | undefined,
  pieces: () => Iterable<Uint8Array>,
): Promise<void> {
  const writer = stream.getWriter();
  writer.closed.catch(() => {}); // the write that failed says why
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal?.reason);
  });
  aborted.catch(() => {}); // whoever waits hears of it
  signal?.addEventListener('abort', stop);
  try {
    for (const piece of pieces()) {
      signal?.throwIfAborted();
      await Promise.race([writer.write(piece), aborted]);
    }
    await Promise.race([writer.close(), aborted]);
  } catch (error) {
    const ended = writer.abort(error).catch(() => {});
    // A stream ends its write first, which may take for ever.
    if (!signal?.aborted) await ended;
    throw error;
  } finally {
    signal?.removeEventListener('abort', stop);
    writer.releaseLock();
  }
}
