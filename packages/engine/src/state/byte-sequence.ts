// Bytes that are read from front to back: a file, a Blob, or a stream, which cannot be asked for anything
// else.
import { StateError } from '../errors.ts';
import type { ByteSource } from '../formats/types.ts';

export interface ByteSequence {
  /** Bytes from here to the end; null where only the end will tell. */
  readonly byteLength: number | null;
  /** Fills all of `into` with the next bytes. Throws StateError where there are fewer. One call at a time. */
  read(into: Uint8Array): Promise<void>;
  /** Throws StateError unless everything was read. */
  expectEnd(): Promise<void>;
  /** Lets go of a stream, telling it why when it was not read to its end. */
  release(reason?: unknown): Promise<void>;
}

/** Reads a source that stays the caller's to close. */
export function sequenceOf(source: ByteSource): ByteSequence {
  let at = 0;
  return {
    byteLength: source.byteLength,
    read(into) {
      at += into.byteLength;
      return source.read(at - into.byteLength, into);
    },
    async expectEnd() {},
    async release() {},
  };
}

/** An abort ends a read that waits for the stream. */
export const sequenceOfStream = (
  stream: ReadableStream<Uint8Array>,
  signal: AbortSignal | undefined,
): ByteSequence => new StreamSequence(stream, signal);

class StreamSequence implements ByteSequence {
  readonly byteLength = null;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #signal: AbortSignal | undefined;
  readonly #stop: () => void;
  /** What arrived and was not read yet. */
  #chunk = new Uint8Array();

  constructor(stream: ReadableStream<Uint8Array>, signal: AbortSignal | undefined) {
    this.#reader = stream.getReader();
    this.#signal = signal;
    this.#stop = () => void this.#reader.cancel(signal?.reason).catch(() => {});
    signal?.addEventListener('abort', this.#stop);
  }

  async read(into: Uint8Array): Promise<void> {
    for (let done = 0; done < into.byteLength; ) {
      if (!this.#chunk.byteLength && !(await this.#next()))
        throw new StateError(
          `saved session: expected ${into.byteLength - done} more bytes, found the end of the stream. It was cut short.`,
          { code: 'damaged-state' },
        );
      const part = this.#chunk.subarray(0, into.byteLength - done);
      into.set(part, done);
      done += part.byteLength;
      this.#chunk = this.#chunk.subarray(part.byteLength);
    }
  }

  async expectEnd(): Promise<void> {
    while (!this.#chunk.byteLength) if (!(await this.#next())) return;
    throw new StateError(
      'saved session: expected the end of the stream, found more bytes behind the session',
      {
        code: 'damaged-state',
      },
    );
  }

  async release(reason?: unknown): Promise<void> {
    this.#signal?.removeEventListener('abort', this.#stop);
    await this.#reader.cancel(reason).catch(() => {});
    this.#reader.releaseLock();
  }

  /** False at the end. A cancelled stream ends, so an abort shows here. */
  async #next(): Promise<boolean> {
    const { done, value } = await this.#reader.read();
    this.#signal?.throwIfAborted();
    if (done) return false;
    if (!(value instanceof Uint8Array))
      throw new StateError(`saved session: expected a stream of Uint8Array, found ${typeof value}`, {
        code: 'damaged-state',
      });
    this.#chunk = value as Uint8Array<ArrayBuffer>;
    return true;
  }
}
