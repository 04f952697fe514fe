// Tokenised text on disk, so that a corpus is tokenised once. Two files in the cache folder, named after a
// hash of the texts and the tokenizer: NAME.tokens (little-endian u16, or u32 for vocabularies beyond 65,536,
// every document followed by the end token) and NAME.json (counts and where documents start). Written under
// another name first and then renamed, so that a full disk or a kill never leaves a cache that is half there.
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FormatError, type Tokenizer, UsageError } from '@marimba/engine';
import { readDocuments } from './documents.ts';

export interface TokenData {
  readonly tokens: Uint16Array | Uint32Array;
  /** Where each document starts, and at last the number of tokens. Each ends with the end token. */
  readonly starts: Uint32Array;
  /** Bytes of UTF-8 text in each document, for bits per byte. */
  readonly byteLengths: Uint32Array;
  readonly vocabularySize: number;
  /** Of the texts and the tokenizer. */
  readonly hash: string;
}

export interface TokeniseOptions {
  readonly tokenizer: Tokenizer;
  /** Identifies the tokenizer in the cache: a hash of its file. */
  readonly tokenizerHash: string;
  /** No folder: nothing is kept. */
  readonly cacheFolder?: string | undefined;
  readonly onProgress?: ((documents: number, tokens: number) => void) | undefined;
}

const VERSION = 1;

export const hashText = (text: string | Uint8Array): string =>
  createHash('sha256').update(text).digest('hex');

/**
 * The tokens of files and folders, from the cache when the same texts were tokenised with the same tokenizer
 * before.
 */
export async function tokenise(paths: readonly string[], options: TokeniseOptions): Promise<TokenData> {
  const hash = await contentHash(paths, options.tokenizerHash);
  const { cacheFolder } = options;
  const known = cacheFolder ? await readTokenFile(cacheFolder, hash) : null;
  if (known) return known;
  const data = await encodeAll(paths, options, hash);
  if (cacheFolder) await writeTokenFile(cacheFolder, data);
  return data;
}

async function contentHash(paths: readonly string[], tokenizerHash: string): Promise<string> {
  const hash = createHash('sha256').update(`${VERSION} ${tokenizerHash}`);
  // Lengths in front keep ["ab", "c"] and ["a", "bc"] apart.
  for await (const { text } of readDocuments(paths)) hash.update(`\n${text.length}\n`).update(text);
  return hash.digest('hex').slice(0, 32);
}

async function encodeAll(
  paths: readonly string[],
  { tokenizer, onProgress }: TokeniseOptions,
  hash: string,
): Promise<TokenData> {
  const end = tokenizer.special.eos[0];
  if (end === undefined)
    throw new UsageError('tokenizer: expected an end token to put between documents, found none');
  const wide = tokenizer.vocabularySize > 65_536;
  const chunks: (Uint16Array | Uint32Array)[] = [];
  const starts = [0];
  const byteLengths: number[] = [];
  for await (const { text } of readDocuments(paths)) {
    const tokens = [...tokenizer.encode(text, { addBos: false }), end];
    chunks.push(wide ? Uint32Array.from(tokens) : Uint16Array.from(tokens));
    starts.push(starts.at(-1)! + tokens.length);
    byteLengths.push(Buffer.byteLength(text.toWellFormed()));
    onProgress?.(byteLengths.length, starts.at(-1)!);
  }
  const tokens = wide ? new Uint32Array(starts.at(-1)!) : new Uint16Array(starts.at(-1)!);
  chunks.forEach((chunk, i) => {
    tokens.set(chunk, starts[i]!);
  });
  return {
    tokens,
    starts: Uint32Array.from(starts),
    byteLengths: Uint32Array.from(byteLengths),
    vocabularySize: tokenizer.vocabularySize,
    hash,
  };
}

/** Null when the cache has no such file, or one that is damaged: it is then simply made again. */
export async function readTokenFile(folder: string, hash: string): Promise<TokenData | null> {
  let index: unknown;
  let bytes: Uint8Array;
  try {
    index = JSON.parse(await readFile(join(folder, `${hash}.json`), 'utf8'));
    bytes = await readFile(join(folder, `${hash}.tokens`));
  } catch {
    return null;
  }
  const fields = index as {
    version?: unknown;
    vocabularySize?: unknown;
    starts?: unknown;
    byteLengths?: unknown;
    sha256?: unknown;
  };
  if (
    fields.version !== VERSION ||
    typeof fields.vocabularySize !== 'number' ||
    !isCounts(fields.starts) ||
    !isCounts(fields.byteLengths)
  )
    return null;
  if (fields.sha256 !== hashText(bytes)) return null;
  const wide = fields.vocabularySize > 65_536;
  const count = fields.starts.at(-1) ?? 0;
  if (bytes.byteLength !== count * (wide ? 4 : 2)) return null;
  const aligned = Uint8Array.from(bytes).buffer;
  return {
    tokens: wide ? new Uint32Array(aligned) : new Uint16Array(aligned),
    starts: Uint32Array.from(fields.starts),
    byteLengths: Uint32Array.from(fields.byteLengths),
    vocabularySize: fields.vocabularySize,
    hash,
  };
}

const isCounts = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((v) => Number.isInteger(v) && v >= 0);

async function writeTokenFile(folder: string, data: TokenData): Promise<void> {
  const bytes = new Uint8Array(data.tokens.buffer, data.tokens.byteOffset, data.tokens.byteLength);
  const index = JSON.stringify({
    version: VERSION,
    vocabularySize: data.vocabularySize,
    starts: [...data.starts],
    byteLengths: [...data.byteLengths],
    sha256: hashText(bytes),
  });
  await mkdir(folder, { recursive: true });
  await writeWhole(join(folder, `${data.hash}.tokens`), bytes);
  await writeWhole(join(folder, `${data.hash}.json`), index);
}

/** Writes a file that is either all there or not there at all. Throws FormatError when the disk is full. */
export async function writeWhole(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = `${path}.${randomUUID().slice(0, 8)}.part`;
  try {
    await writeFile(temporary, content);
    const file = await open(temporary, 'r+');
    await file.sync();
    await file.close();
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw diskError(path, error);
  }
}

/** A clear message for what disks do: full, read-only, not permitted. Other errors stay what they are. */
export function diskError(path: string, error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const reasons: Record<string, string> = {
    ENOSPC: 'the disk is full. Free some space and run the same command again; what was finished is kept.',
    EDQUOT:
      'the disk quota is used up. Free some space and run the same command again; what was finished is kept.',
    EROFS: 'the file system is read-only. Choose another folder.',
    EACCES: 'writing is not permitted. Choose another folder or change its permissions.',
  };
  const reason = reasons[code];
  return reason ? new FormatError(`${path}: expected to write this file, but ${reason}`) : error;
}
