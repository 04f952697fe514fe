// Opening a model, the browser's half: a hub name, an address, or blobs.
import { openCheckpointFiles } from '../formats/checkpoint.ts';
import type { Checkpoint } from '../formats/types.ts';
import { pullModelBlobs } from '../hub/download.browser.ts';
import { parseReference } from '../hub/reference.ts';
import { fetchBlob, namedBlobs } from './blobs.ts';
import type { ModelSource, OpenOptions } from './source.ts';

/** Opens a model wherever it is: hub name or address, or blobs. */
export async function openSource(
  source: Exclude<ModelSource, Checkpoint>,
  options: OpenOptions,
): Promise<Checkpoint> {
  if (typeof source !== 'string' && !(source instanceof URL)) return openCheckpointFiles(namedBlobs(source));
  const reference = parseReference(String(source));
  if (reference.kind === 'hub') {
    const { token, endpoint, signal, onProgress } = options;
    return openCheckpointFiles(
      (await pullModelBlobs(reference, { token, endpoint, signal, onProgress })).files,
    );
  }
  const url = new URL(reference.kind === 'url' ? reference.url : reference.path, globalThis.location?.href);
  return openCheckpointFiles([await fetchBlob(url.href, options)]);
}
