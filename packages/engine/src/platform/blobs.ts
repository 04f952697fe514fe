// Models that come as blobs: picked or dropped in a page, or fetched from an address.
import { HubError } from '../errors.ts';

export interface NamedBlob {
  readonly name: string;
  readonly blob: Blob;
}

export function namedBlobs(source: Blob | readonly NamedBlob[]): readonly NamedBlob[] {
  if (!(source instanceof Blob)) return source;
  const name = 'name' in source && typeof source.name === 'string' ? source.name : 'model.gguf';
  return [{ name, blob: source }];
}

/** A single file by its address; what the engine keeps is a Blob, which browsers may hold on disk. */
export async function fetchBlob(url: string, signal: AbortSignal | undefined): Promise<NamedBlob> {
  const response = await fetch(url, signal ? { signal } : {});
  if (!response.ok)
    throw new HubError(
      `${url}: expected a model file, the server answered ${response.status} ${response.statusText}`,
    );
  return { name: new URL(url).pathname.split('/').at(-1) || 'model.gguf', blob: await response.blob() };
}
