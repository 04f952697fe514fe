// A place that holds the files of a model: a folder of the disk, files picked in a browser, a repository of
// the hub.

import { FormatError, UsageError } from '../errors.ts';
import { blobSource } from './byte-source.ts';
import { quoted } from './gguf-types.ts';
import { MODULE_FILE } from './sentence-files.ts';
import type { ByteSource } from './types.ts';

export interface ModelFolder {
  /** For messages. */
  readonly name: string;
  /** Plain names of the files directly inside. */
  readonly files: readonly string[];
  /** Paths of files in folders: of sentence-transformers' modules, such as 1_Pooling/config.json, and of templates. */
  readonly modules: readonly string[];
  open(fileName: string): Promise<ByteSource>;
}

/** Files that macOS leaves beside every other on some drives (AppleDouble) are not a model's. */
export const isModelFile = (fileName: string): boolean => !fileName.startsWith('._');

/**
 * Files picked or dropped in a browser. Only the last part of each name counts, except of files in folders of
 * modules.
 */
export function blobFolder(files: readonly { readonly name: string; readonly blob: Blob }[]): ModelFolder {
  const byName = new Map<string, Blob>();
  for (const { name, blob } of files) {
    const parts = name.split(/[/\\]/);
    const inModule = parts.slice(-2).join('/');
    const plain = MODULE_FILE.test(inModule) ? inModule : (parts.at(-1) ?? name);
    if (!isModelFile(parts.at(-1) ?? name)) continue;
    if (byName.has(plain)) {
      throw new UsageError(
        `${plain}: expected every file once, found it twice. Pick the files of one model only.`,
      );
    }
    byName.set(plain, blob);
  }
  const [first = 'no files'] = byName.keys();
  return {
    name: byName.size === 1 ? first : `${byName.size} files`,
    files: [...byName.keys()].filter((name) => !name.includes('/')),
    modules: [...byName.keys()].filter((name) => name.includes('/')),
    async open(fileName) {
      const blob = byName.get(fileName);
      if (blob === undefined) throw missingFile(fileName);
      return blobSource(fileName, blob);
    },
  };
}

export function missingFile(fileName: string): FormatError {
  return new FormatError(
    `${fileName}: expected this file with the others, found none of that name. Add it, or fetch the model again.`,
    { code: 'missing-file' },
  );
}

/**
 * Names of files that a file gives must stay inside the folder: no separators, no parents, no drive, no NUL.
 */
export function checkPlainName(fileName: string, givenBy: string): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
  if (/^[^/\\:\u0000-\u001f]+$/.test(fileName) && fileName !== '.' && fileName !== '..') return;
  throw new FormatError(
    `${givenBy}: expected names of files in the same folder, found ${quoted(fileName)}. ` +
      'The file is damaged or hostile; fetch it from its publisher.',
  );
}
