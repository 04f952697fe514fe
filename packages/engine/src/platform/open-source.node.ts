// Opening a model, Node's half: a path, a hub name, an address, or blobs.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { UsageError } from '../errors.ts';
import { openCheckpointPath } from '../formats/checkpoint.node.ts';
import { openCheckpointFiles } from '../formats/checkpoint.ts';
import type { Checkpoint } from '../formats/types.ts';
import { pullModel } from '../hub/download.node.ts';
import { environmentFetch } from '../hub/proxy.node.ts';
import { parseReference } from '../hub/reference.ts';
import { fetchBlob, namedBlobs } from './blobs.ts';
import type { ModelSource, OpenOptions } from './source.ts';

/** The path of a `file:` URL, given as an object or as text; null for anything else. */
function filePath(source: string | URL): string | null {
  const isFile = source instanceof URL ? source.protocol === 'file:' : /^file:\/\//i.test(source);
  if (!isFile) return null;
  try {
    return fileURLToPath(source);
  } catch (cause) {
    throw new UsageError(
      `${source}: expected a file URL of this machine, found another. Pass the path instead.`,
      {
        cause,
      },
    );
  }
}

/** Opens a model wherever it is: path, hub name or address, or blobs. */
export async function openSource(
  source: Exclude<ModelSource, Checkpoint>,
  options: OpenOptions,
): Promise<Checkpoint> {
  if (typeof source !== 'string' && !(source instanceof URL)) return openCheckpointFiles(namedBlobs(source));
  const path = filePath(source);
  if (path !== null) return openCheckpointPath(path);
  const reference = parseReference(String(source), existsSync);
  if (reference.kind === 'path') return openCheckpointPath(reference.path);
  if (reference.kind === 'url')
    return openCheckpointFiles([await fetchBlob(reference.url, { ...options, fetch: environmentFetch() })]);
  const pulled = await pullModel(reference, {
    token: options.token,
    endpoint: options.endpoint,
    signal: options.signal,
    onProgress: options.onProgress,
  });
  return openCheckpointPath(pulled.modelPath);
}
