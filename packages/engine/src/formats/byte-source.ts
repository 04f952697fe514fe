// Byte sources that work in browsers and Node: a byte array and a Blob (so also a File). Every read is
// checked against the bytes that exist, so a reader above can never see bytes that are not in the file. Files
// of a disk: byte-source.node.ts.

import { FormatError, UsageError } from '../errors.ts';
import type { ByteSource, SourceHandle } from './types.ts';

/** Throws FormatError unless `length` bytes from `offset` lie inside a file of `byteLength` bytes. */
export function checkRange(name: string, byteLength: number, offset: number, length: number): void {
  if (Number.isSafeInteger(offset) && offset >= 0 && length <= byteLength - offset) return;
  throw new FormatError(
    `${name}: bytes ${offset} to ${offset + length} were asked for, expected a range inside the file, ` +
      `found a file of ${byteLength} bytes. The file is cut short or damaged; fetch it again.`,
  );
}

/** A file that is already in memory. The bytes are not copied. */
export function bytesSource(name: string, bytes: Uint8Array): ByteSource {
  const readNow = (offset: number, into: Uint8Array) => {
    checkRange(name, bytes.byteLength, offset, into.byteLength);
    into.set(bytes.subarray(offset, offset + into.byteLength));
  };
  return {
    name,
    byteLength: bytes.byteLength,
    handle: { kind: 'bytes', bytes },
    readNow,
    async read(offset, into) {
      readNow(offset, into);
    },
    async close() {},
  };
}

/** A browser's File or any Blob. Only the ranges that are asked for are read. */
export function blobSource(name: string, blob: Blob): ByteSource {
  return {
    name,
    byteLength: blob.size,
    handle: { kind: 'blob', blob },
    async read(offset, into) {
      checkRange(name, blob.size, offset, into.byteLength);
      const buffer = await readBlob(name, blob.slice(offset, offset + into.byteLength));
      if (buffer.byteLength !== into.byteLength) {
        throw new FormatError(
          `${name}: expected ${into.byteLength} bytes at offset ${offset}, found ${buffer.byteLength}. ` +
            'The file changed while it was open; open it again.',
        );
      }
      into.set(new Uint8Array(buffer));
    },
    async close() {},
  };
}

/** A browser's File fails to read when the file on disk was changed or removed after it was picked. */
async function readBlob(name: string, blob: Blob): Promise<ArrayBuffer> {
  try {
    return await blob.arrayBuffer();
  } catch (cause) {
    throw new FormatError(
      `${name}: expected a readable file, found that it can no longer be read. ` +
        'It was changed or removed after it was picked; pick it again.',
      { cause },
    );
  }
}

/** Opens what another thread sent. Paths need a file system: see openHandle in byte-source.node.ts. */
export async function openHandle(handle: SourceHandle, name: string): Promise<ByteSource> {
  switch (handle.kind) {
    case 'bytes':
      return bytesSource(name, handle.bytes);
    case 'blob':
      return blobSource(name, handle.blob);
    case 'path':
      throw new UsageError(
        `${name}: expected bytes or a Blob, found a path. A browser cannot open paths; pass the File itself.`,
      );
    default:
      return handle satisfies never;
  }
}

/** Reads a whole source, for small files. `maxBytes` caps what is allocated. */
export async function readAll(source: ByteSource, maxBytes: number): Promise<Uint8Array> {
  if (source.byteLength > maxBytes) {
    throw new FormatError(
      `${source.name}: expected at most ${maxBytes} bytes, found ${source.byteLength}. ` +
        'This is not a file of the expected kind.',
    );
  }
  const bytes = new Uint8Array(source.byteLength);
  await source.read(0, bytes);
  return bytes;
}
