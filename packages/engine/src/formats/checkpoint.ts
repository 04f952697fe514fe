// Opens a model from a place that holds its files, whichever of the two kinds it is: a GGUF file (or its
// parts), or a Hugging Face folder. Paths: checkpoint.node.ts.

import { FormatError } from '../errors.ts';
import { readGguf, splitName } from './gguf-reader.ts';
import { openHuggingFace } from './huggingface-folder.ts';
import { blobFolder, type ModelFolder } from './model-folder.ts';
import type { Checkpoint, GgufCheckpoint } from './types.ts';

/**
 * Opens the one model in a folder. A folder with safetensors files is a Hugging Face checkpoint even when it
 * holds GGUF files too. Throws FormatError when it holds none, or several GGUF models.
 */
export async function openFolder(folder: ModelFolder): Promise<Checkpoint> {
  const ggufs = modelGgufs(folder.files);
  const hasSafetensors = folder.files.some((name) => /\.safetensors(\.index\.json)?$/.test(name));
  if (hasSafetensors || ggufs.length === 0) {
    if (hasSafetensors || folder.files.includes('config.json')) return openHuggingFace(folder);
    throw new FormatError(
      `${folder.name}: expected a GGUF file, or config.json with safetensors files, found neither. ` +
        'Name a folder or file of a model.',
    );
  }
  const models = new Set(ggufs.map(modelOf));
  const [first] = [...ggufs].sort();
  if (models.size > 1 || first === undefined) {
    throw new FormatError(
      `${folder.name}: expected one GGUF model, found ${models.size}: ${[...models].slice(0, 5).join(', ')}. ` +
        'Name the file to open.',
    );
  }
  return openGguf(folder, first);
}

export const isGgufName = (fileName: string): boolean => /\.gguf$/i.test(fileName);

/** Companions that are no language model: vision projectors, calibration data. */
const COMPANION = /^(mmproj|imatrix)|[-_.](mmproj|imatrix)[-_.]/i;

/** The GGUF files of a folder; its companions only where there is nothing else. */
function modelGgufs(files: readonly string[]): string[] {
  const all = files.filter(isGgufName);
  const models = all.filter((name) => !COMPANION.test(name));
  return models.length ? models : all;
}

/** Parts of one split model share a name. */
function modelOf(fileName: string): string {
  const split = splitName(fileName);
  return split === null ? fileName : `${split.stem} (${split.count} parts)`;
}

/** Opens one GGUF file of a folder, which holds the other parts when it is split. */
export async function openGguf(folder: ModelFolder, fileName: string): Promise<GgufCheckpoint> {
  return readGguf(await folder.open(fileName), { openSplit: (name) => folder.open(name) });
}

/**
 * Opens files that were picked or dropped in a browser: one GGUF, all its parts, or the files of a folder.
 */
export async function openCheckpointFiles(
  files: readonly { readonly name: string; readonly blob: Blob }[],
): Promise<Checkpoint> {
  return openFolder(blobFolder(files));
}
