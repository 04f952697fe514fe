// A file on disk as a byte source. Reads are positional, so many can run at once and worker threads can open
// the same path again; they may go straight into shared memory, which is how weights reach the arena without
// a copy.

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { FormatError } from '../errors.ts';
import { checkRange, openHandle as openPortableHandle } from './byte-source.ts';
import type { ByteSource, SourceHandle } from './types.ts';

/** One system call reads at most 2 GiB; half of that also keeps the offsets inside a call in 31 bits. */
const MAX_READ = 1 << 30;

/** Opens a regular file. Errors call it by its file name. */
export async function fileSource(path: string, name: string = basename(path)): Promise<ByteSource> {
  const file = await openRegular(path, name);
  const { size } = await file.stat();
  let closed = false;
  const direct = new DirectFile(path, file.fd);
  const check = (offset: number, length: number) => {
    checkRange(name, size, offset, length);
    if (closed) throw new FormatError(`${name}: expected an open file, found a closed one. Open it again.`);
  };
  return {
    name,
    byteLength: size,
    handle: { kind: 'path', path },
    async read(offset, into) {
      check(offset, into.byteLength);
      for (let done = 0; done < into.byteLength; ) {
        const length = Math.min(MAX_READ, into.byteLength - done);
        const part = file.read(into, done, length, offset + done);
        const { bytesRead } = await part.catch((cause) => unreadable(name, length, offset + done, cause));
        if (bytesRead === 0) throw shrunk(name, into.byteLength, offset, done);
        done += bytesRead;
      }
    },
    readNow(offset, into) {
      check(offset, into.byteLength);
      for (let done = 0; done < into.byteLength; ) {
        const length = Math.min(MAX_READ, into.byteLength - done);
        const bytesRead = readPart(file, name, into, done, length, offset + done);
        if (bytesRead === 0) throw shrunk(name, into.byteLength, offset, done);
        done += bytesRead;
      }
    },
    readDirect(offset, into) {
      check(offset, into.byteLength);
      return direct.read(offset, into);
    },
    async close() {
      if (closed) return;
      closed = true;
      direct.close();
      await file.close();
    },
  };
}

/**
 * The same file opened for direct reads (Linux), when first asked for. Where that fails, reading as usual
 * will say why.
 */
class DirectFile {
  readonly #path: string;
  readonly #original: number;
  #descriptor: number | null = null;
  #refused = constants.O_DIRECT === undefined;

  constructor(path: string, original: number) {
    this.#path = path;
    this.#original = original;
  }

  read(offset: number, into: Uint8Array): boolean {
    try {
      this.#descriptor ??= this.#refused ? null : this.#open();
      if (this.#descriptor === null) return false;
      const length = readSync(this.#descriptor, into, 0, into.byteLength, offset);
      this.#refused = length !== into.byteLength;
    } catch {
      this.#refused = true;
    }
    if (this.#refused) this.close();
    return !this.#refused;
  }

  #open(): number | null {
    const descriptor = openSync(this.#path, constants.O_RDONLY | constants.O_DIRECT);
    const [own, original] = [fstatSync(descriptor), fstatSync(this.#original)];
    if (own.ino === original.ino && own.dev === original.dev) return descriptor;
    closeSync(descriptor);
    this.#refused = true; // another file has the name by now
    return null;
  }

  close(): void {
    if (this.#descriptor !== null) closeSync(this.#descriptor);
    this.#descriptor = null;
  }
}

/** Opens what another thread sent, paths included. */
export async function openHandle(handle: SourceHandle, name: string): Promise<ByteSource> {
  return handle.kind === 'path' ? fileSource(handle.path, name) : openPortableHandle(handle, name);
}

async function openRegular(path: string, name: string): Promise<FileHandle> {
  try {
    // Looked at before opening: opening a pipe that nobody writes to would wait for ever.
    const isFile = (await stat(path)).isFile();
    if (isFile) return await open(path, 'r');
  } catch (cause) {
    throw new FormatError(
      `${name}: expected a readable file, found ${describe(cause)} (${path}). Check the path.`,
      { cause },
    );
  }
  throw new FormatError(
    `${name}: expected a regular file, found a folder or device (${path}). Check the path.`,
  );
}

function readPart(
  file: FileHandle,
  name: string,
  into: Uint8Array,
  at: number,
  length: number,
  position: number,
): number {
  try {
    return readSync(file.fd, into, at, length, position);
  } catch (cause) {
    return unreadable(name, length, position, cause);
  }
}

function unreadable(name: string, length: number, position: number, cause: unknown): never {
  throw new FormatError(
    `${name}: expected ${length} readable bytes at offset ${position}, found ${describe(cause)}. ` +
      'The disk or its connection failed; try again.',
    { code: 'missing-file', cause },
  );
}

const shrunk = (name: string, length: number, offset: number, found: number): FormatError =>
  new FormatError(
    `${name}: expected ${length} bytes at offset ${offset}, found ${found}. ` +
      'The file shrank while it was open; fetch it again.',
  );

function describe(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (code === 'ENOENT') return 'no such file';
  if (code === 'EACCES') return 'no permission to read it';
  return typeof code === 'string' ? code : String(cause);
}
