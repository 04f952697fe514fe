// Reads the header of a GGUF file through a window that grows. Parsing is synchronous (a vocabulary is
// hundreds of thousands of strings); when it runs out of window, the entry being read is started again with a
// larger one. Nothing is taken from a count or length in the file before that many bytes are known to exist.

import { FormatError } from '../errors.ts';
import type { ByteSource } from './types.ts';

const FIRST_WINDOW = 1 << 18;
/**
 * Real headers are up to about 30 MB (large vocabularies). This bounds memory for files that only claim to be
 * GGUF.
 */
const MAX_HEADER = 1 << 28;
const DAMAGED = 'The file is cut short or damaged; fetch it again.';

/** Thrown to leave a synchronous parse when the window is too small; never leaves this file. */
const windowTooSmall = Symbol('window too small');

export class GgufWindow {
  readonly source: ByteSource;
  /** What is being read, for messages: "metadata key \"general.name\"". */
  subject = 'header';
  #bytes = new Uint8Array(0);
  #view = new DataView(this.#bytes.buffer);
  /** File offset of the window's first byte. */
  #base = 0;
  #at = 0;
  #wanted = 0;
  /** Bytes that are no UTF-8 become U+FFFD, as in an author's name of another encoding: nothing depends on it. */
  readonly #text = new TextDecoder('utf-8', { ignoreBOM: true });

  constructor(source: ByteSource) {
    this.source = source;
  }

  /** Offset in the file. */
  get position(): number {
    return this.#base + this.#at;
  }

  /** What has been read of the file so far, from where the window begins. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  fail(expected: string, found: string, remedy = DAMAGED): never {
    throw new FormatError(
      `${this.source.name}: ${this.subject}: expected ${expected}, found ${found}. ${remedy}`,
    );
  }

  /** Runs a synchronous parse of one entry, as often as it takes until its bytes are in the window. */
  async parse<T>(entry: () => T): Promise<T> {
    for (;;) {
      const start = this.#at;
      try {
        return entry();
      } catch (error) {
        if (error !== windowTooSmall) throw error;
        await this.#grow(start);
      }
    }
  }

  async #grow(start: number): Promise<void> {
    const base = this.#base + start;
    const wanted = Math.max(FIRST_WINDOW, 2 * (this.#bytes.byteLength - start), this.#wanted - base);
    const length = Math.min(wanted, this.source.byteLength - base);
    const bytes = new Uint8Array(length);
    await this.source.read(base, bytes);
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
    this.#base = base;
    this.#at = 0;
  }

  /** Checks that `length` more bytes exist in the file and leaves the parse unless they are in the window. */
  need(length: number): void {
    const end = this.position + length;
    if (end > this.source.byteLength) {
      this.fail(
        `${length} bytes at offset ${this.position}`,
        `the end of the file at ${this.source.byteLength}`,
      );
    }
    if (end > MAX_HEADER) this.fail(`a header of at most ${MAX_HEADER} bytes`, 'a longer one');
    if (this.#at + length > this.#bytes.byteLength) {
      this.#wanted = end;
      throw windowTooSmall;
    }
  }

  #take(length: number): number {
    this.need(length);
    const at = this.#at;
    this.#at += length;
    return at;
  }

  u8 = (): number => this.#view.getUint8(this.#take(1));
  i8 = (): number => this.#view.getInt8(this.#take(1));
  u16 = (): number => this.#view.getUint16(this.#take(2), true);
  i16 = (): number => this.#view.getInt16(this.#take(2), true);
  u32 = (): number => this.#view.getUint32(this.#take(4), true);
  i32 = (): number => this.#view.getInt32(this.#take(4), true);
  f32 = (): number => this.#view.getFloat32(this.#take(4), true);
  f64 = (): number => this.#view.getFloat64(this.#take(8), true);

  bool = (): boolean => {
    const byte = this.u8();
    if (byte > 1) this.fail('a boolean stored as 0 or 1', `${byte}`);
    return byte === 1;
  };

  /** Exact: a number where that holds it, else a bigint. */
  u64 = (): number | bigint => {
    const at = this.#take(8);
    const high = this.#view.getUint32(at + 4, true);
    if (high < 0x200000) return high * 2 ** 32 + this.#view.getUint32(at, true);
    return this.#view.getBigUint64(at, true);
  };

  i64 = (): number | bigint => {
    const value = this.#view.getBigInt64(this.#take(8), true);
    const asNumber = Number(value);
    return Number.isSafeInteger(asNumber) ? asNumber : value;
  };

  /** A count or length that must not exceed `most`; `what` names it in messages. */
  count(what: string, most: number): number {
    const value = this.u64();
    if (typeof value === 'number' && value <= most) return value;
    return this.fail(`${what} of at most ${most}`, `${value}`);
  }

  string = (): string => this.#text8(this.count('a length of text', this.source.byteLength - this.position));

  /** A key or the name of a tensor: not empty, not absurdly long. */
  name(what: string, maxBytes: number): string {
    const length = this.count(`a length of the ${what}`, maxBytes);
    if (length === 0) this.fail(`a ${what}`, 'an empty one');
    return this.#text8(length);
  }

  #text8(length: number): string {
    const at = this.#take(length);
    return this.#text.decode(this.#bytes.subarray(at, at + length));
  }
}
