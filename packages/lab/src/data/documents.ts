// Training text from disk: a plain text file is one document, a JSONL file one document a line (field
// `text`), a folder all the .txt, .md and .jsonl files below it in the order of their names. Everything is
// checked as UTF-8: a broken byte is an error with its place, not a silent U+FFFD in the middle of a corpus.
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { FormatError, UsageError } from '@marimba/engine';

/** A text of a corpus: a whole text file, or one line of a JSONL file. */
export interface TextDocument {
  /** File, and line for JSONL: "corpus/a.jsonl:17". */
  readonly name: string;
  /** Not empty, and valid UTF-8 in its file. */
  readonly text: string;
}

const EXTENSIONS = /\.(txt|text|md|jsonl)$/i;
/** Strings of V8 end near 512 MB; a document this large is a mistake anyway. */
const MAX_DOCUMENT_BYTES = 256 * 2 ** 20;

/**
 * Every file that `paths` stand for, folders opened. Throws UsageError for a path that does not exist or an
 * empty folder.
 */
export async function listFiles(paths: readonly string[]): Promise<string[]> {
  if (!paths.length)
    throw new UsageError('input: expected at least one text file, JSONL file or folder, found none');
  const files: string[] = [];
  for (const path of paths) {
    const info = await stat(path).catch(() => null);
    if (!info) throw new UsageError(`${path}: expected a file or folder, found nothing there`);
    if (!info.isDirectory()) {
      files.push(path);
      continue;
    }
    const names = (await readdir(path, { recursive: true })).filter((name) => EXTENSIONS.test(name)).sort();
    if (!names.length)
      throw new UsageError(`${path}: expected .txt, .md or .jsonl files in this folder, found none`);
    files.push(...names.map((name) => join(path, name)));
  }
  return files;
}

/**
 * All documents of files and folders, one after the other. Throws FormatError naming file and line, or byte.
 */
export async function* readDocuments(paths: readonly string[]): AsyncGenerator<TextDocument> {
  for (const file of await listFiles(paths)) {
    let documents = 0;
    for await (const document of file.toLowerCase().endsWith('.jsonl') ? jsonLines(file) : wholeText(file)) {
      documents++;
      yield document;
    }
    if (!documents)
      throw new FormatError(`${file}: expected text, found an empty file. Remove it or fill it.`);
  }
}

async function* wholeText(file: string): AsyncGenerator<TextDocument> {
  const { size } = await stat(file);
  if (size > MAX_DOCUMENT_BYTES)
    throw new FormatError(
      `${file}: expected at most ${MAX_DOCUMENT_BYTES} bytes in one document, found ${size}. Split it, or write JSONL with one document a line.`,
    );
  const chunks: Uint8Array[] = [];
  for await (const chunk of createReadStream(file)) chunks.push(chunk as Uint8Array);
  const text = decodeUtf8(Buffer.concat(chunks), file);
  if (text.trim() !== '') yield { name: file, text };
}

async function* jsonLines(file: string): AsyncGenerator<TextDocument> {
  let number = 0;
  for await (const bytes of splitLines(file)) {
    number++;
    const name = `${file}:${number}`;
    const line = decodeUtf8(bytes, name);
    if (line.trim() === '') continue;
    const text = textOf(line, name);
    if (text.trim() !== '') yield { name, text };
  }
}

function textOf(line: string, name: string): string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw new FormatError(
      `${name}: expected one JSON object a line, found ${JSON.stringify(line.slice(0, 60))} (${(error as Error).message})`,
    );
  }
  const text = typeof value === 'object' && value !== null && 'text' in value ? value.text : undefined;
  if (typeof text !== 'string')
    throw new FormatError(
      `${name}: text: expected an object with a field "text" that holds a string, found ${JSON.stringify(value)?.slice(0, 80)}`,
    );
  return text;
}

/** Lines as bytes, so that a line that is not UTF-8 can be named. */
export async function* splitLines(file: string): AsyncGenerator<Uint8Array> {
  let pending: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of createReadStream(file)) {
    const bytes = chunk as Uint8Array;
    let from = 0;
    for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, from)) {
      yield Buffer.concat([...pending, bytes.subarray(from, at)]);
      pending = [];
      length = 0;
      from = at + 1;
    }
    const rest = bytes.subarray(from);
    if (rest.length) pending.push(rest);
    length += rest.length;
    if (length > MAX_DOCUMENT_BYTES)
      throw new FormatError(
        `${file}: expected lines of at most ${MAX_DOCUMENT_BYTES} bytes, found a longer one. Is this JSONL?`,
      );
  }
  if (pending.length) yield Buffer.concat(pending);
}

/** Throws FormatError with the offset of the first byte that is not UTF-8. A byte order mark is dropped. */
export function decodeUtf8(bytes: Uint8Array, name: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    const at = firstInvalidByte(bytes);
    const found = `0x${bytes[at]!.toString(16).padStart(2, '0')}`;
    throw new FormatError(
      `${name}: byte ${at}: expected UTF-8 text, found ${found}. Convert the file to UTF-8 (or name a text file: this may be binary).`,
    );
  }
}

function firstInvalidByte(bytes: Uint8Array): number {
  for (let i = 0; i < bytes.length; ) {
    const length = sequenceLength(bytes, i);
    if (length === 0) return i;
    i += length;
  }
  return bytes.length - 1;
}

/** Bytes of the well-formed sequence that starts here, 0 when there is none (Unicode 16, table 3-7). */
function sequenceLength(bytes: Uint8Array, i: number): number {
  const first = bytes[i]!;
  if (first < 0x80) return 1;
  const length =
    first >= 0xc2 && first <= 0xdf
      ? 2
      : first >= 0xe0 && first <= 0xef
        ? 3
        : first >= 0xf0 && first <= 0xf4
          ? 4
          : 0;
  if (length === 0 || i + length > bytes.length) return 0;
  const second = bytes[i + 1]!;
  const low = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const high = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  if (second < low || second > high) return 0;
  for (let k = 2; k < length; k++) if (bytes[i + k]! >> 6 !== 2) return 0;
  return length;
}
