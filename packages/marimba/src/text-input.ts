// Texts from files and standard input: UTF-8, or UTF-16 that says so with its byte order mark (as PowerShell
// writes); marks are dropped. Anything else is refused with the offset, as each such byte would become U+FFFD.
import { readFileSync } from 'node:fs';
import { UsageError } from '@marimba/engine';

/** The text of a file; `what` names it in messages. */
export function readTextFile(path: string, what: string): string {
  return decodeText(readBytes(path), `${what} ${path}`);
}

export const readStandardInput = (): string => decodeText(readBytes(0), 'standard input');

/** What the operating system refuses is thrown as it is, with the path, which the last line of a command words. */
function readBytes(path: string | 0): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    // Node names no path where a folder was opened and could not be read.
    if (path !== 0 && error instanceof Error) Object.assign(error, { path });
    throw error;
  }
}

/** Throws UsageError with the offset of the first byte that no text can have. */
export function decodeText(bytes: Uint8Array, what: string): string {
  const encoding =
    bytes[0] === 0xff && bytes[1] === 0xfe
      ? 'utf-16le'
      : bytes[0] === 0xfe && bytes[1] === 0xff
        ? 'utf-16be'
        : 'utf-8';
  if (encoding === 'utf-8' && isUnmarkedUtf16(bytes))
    throw new UsageError(
      `${what}: expected text in UTF-8, found text in UTF-16 without a byte order mark. Convert it to UTF-8.`,
    );
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch (cause) {
    const at = encoding === 'utf-8' ? firstInvalid(bytes) : null;
    const found = at === null ? `other bytes` : `0x${bytes[at]!.toString(16).padStart(2, '0')} at byte ${at}`;
    throw new UsageError(
      `${what}: expected text in ${encoding.toUpperCase()}, found ${found}. Convert it to UTF-8.`,
      { cause },
    );
  }
}

/** Its letters are valid UTF-8 with a zero beside each, which nobody means. */
function isUnmarkedUtf16(bytes: Uint8Array): boolean {
  const start = bytes.subarray(0, 64);
  if (start.length < 4 || bytes.length % 2 !== 0) return false;
  const [even, odd] = [0, 1].map((side) => start.filter((byte, at) => at % 2 === side && byte === 0).length);
  const half = start.length / 2;
  return (even === 0 && odd === half) || (odd === 0 && even === half);
}

/** Where the longest beginning that is UTF-8 ends. */
function firstInvalid(bytes: Uint8Array): number {
  let [low, high] = [0, bytes.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (begins(bytes.subarray(0, middle + 1))) low = middle + 1;
    else high = middle;
  }
  // Bytes of a character that was begun and not finished.
  let start = low;
  while (start > 0 && low - start < 3 && (bytes[start - 1]! & 0xc0) === 0x80) start--;
  return start > 0 && bytes[start - 1]! >= 0xc0 && !isWhole(bytes.subarray(start - 1, low)) ? start - 1 : low;
}

const begins = (bytes: Uint8Array): boolean => decodes(bytes, true);
const isWhole = (bytes: Uint8Array): boolean => decodes(bytes, false);

function decodes(bytes: Uint8Array, stream: boolean): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream });
    return true;
  } catch {
    return false;
  }
}
