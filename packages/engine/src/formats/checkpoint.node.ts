// Opens a model by its path: a folder, a GGUF file or any part of one, or a safetensors file in its folder.

import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { FormatError } from '../errors.ts';
import { fileSource } from './byte-source.node.ts';
import { isGgufName, openFolder, openGguf } from './checkpoint.ts';
import { openHuggingFace } from './huggingface-folder.ts';
import { impostorIn } from './impostors.ts';
import { isModelFile, type ModelFolder } from './model-folder.ts';
import { MODULE_FILE, MODULE_FOLDER } from './sentence-files.ts';
import type { Checkpoint } from './types.ts';

/** Throws FormatError, also when there is nothing at the path. */
export async function openCheckpointPath(path: string): Promise<Checkpoint> {
  if (await isFolder(path)) return openFolder(await diskFolder(path));
  const name = basename(path);
  const folder = await diskFolder(dirname(path));
  if (name === 'config.json' || name.endsWith('.safetensors.index.json')) return openFolder(folder);
  if (name.endsWith('.safetensors')) return openHuggingFace(folder, name);
  if (isGgufName(name) || (await startsLikeGguf(path))) return openGguf(folder, name);
  throw new FormatError(
    `${name}: expected a .gguf file, a .safetensors file or a folder, found another file. Name a model's file or folder.`,
  );
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (cause) {
    throw new FormatError(
      `${path}: expected a model's file or folder, found nothing that can be read. Check the path.`,
      { code: 'missing-file', cause },
    );
  }
}

/** The files directly inside a folder of the disk, and those of its modules. */
export async function diskFolder(path: string): Promise<ModelFolder> {
  const files = (await readdir(path)).filter(isModelFile);
  const modules: string[] = [];
  for (const name of files.filter((file) => MODULE_FOLDER.test(file))) {
    const inside = await readdir(join(path, name)).catch(() => []);
    modules.push(...inside.map((file) => `${name}/${file}`).filter((file) => MODULE_FILE.test(file)));
  }
  return {
    name: basename(path) || path,
    files,
    modules,
    open: (fileName) => fileSource(join(path, fileName)),
  };
}

/** Files of a download cache have no endings. */
async function startsLikeGguf(path: string): Promise<boolean> {
  const source = await fileSource(path);
  try {
    const start = new Uint8Array(Math.min(4, source.byteLength));
    await source.read(0, start);
    if (String.fromCharCode(...start) === 'GGUF') return true;
    const other = await impostorIn(source, "a model's file or folder");
    if (other) throw other;
    return false;
  } finally {
    await source.close();
  }
}
