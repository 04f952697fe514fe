// Opening a model, Node's half: a path, a hub name, an address, or blobs.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openCheckpointPath } from '../formats/checkpoint.node.ts';
import { openCheckpointFiles } from '../formats/checkpoint.ts';
import type { Checkpoint } from '../formats/types.ts';
import { pullModel } from '../hub/download.node.ts';
import { parseReference } from '../hub/reference.ts';
import type { LoadModelOptions, ModelSource } from '../load-model.ts';
import { fetchBlob, namedBlobs } from './blobs.ts';

/** Opens a model wherever it is: path, hub name or address, or blobs. */
export async function openSource(
  source: Exclude<ModelSource, Checkpoint>,
  options: LoadModelOptions,
): Promise<Checkpoint> {
  if (typeof source !== 'string' && !(source instanceof URL)) return openCheckpointFiles(namedBlobs(source));
  if (source instanceof URL && source.protocol === 'file:') return openCheckpointPath(fileURLToPath(source));
  const reference = parseReference(String(source), existsSync);
  if (reference.kind === 'path') return openCheckpointPath(reference.path);
  if (reference.kind === 'url') return openCheckpointFiles([await fetchBlob(reference.url, options)]);
  const pulled = await pullModel(reference, {
    token: options.token,
    endpoint: options.endpoint,
    signal: options.signal,
    onProgress: options.onProgress,
  });
  return openCheckpointPath(pulled.modelPath);
}
