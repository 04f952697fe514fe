// Brings a model from the hub into the cache folder and says where it lies. What is already there is not
// fetched again; when the hub cannot be reached, a complete copy in the cache is used instead. See
// cache.node.ts for the layout.

import { mkdir, statfs } from 'node:fs/promises';
import path from 'node:path';
import { HubError, UsageError } from '../errors.ts';
import type { PullProgress } from '../progress.ts';
import { connect, type HubFile, type HubOptions } from './api.ts';
import {
  type CacheOptions,
  isComplete,
  repositoryCache,
  repositoryFolder,
  sizeOf,
  writeListing,
  writeRef,
} from './cache.node.ts';
import { explainDiskError, fetchFile } from './file.node.ts';
import type { HubConnection } from './http.ts';
import { type Found, locate } from './locate.ts';
import { isRevision } from './names.ts';
import { ProgressMeter } from './progress.ts';
import { environmentFetch } from './proxy.node.ts';
import { type HubReference, parseHubReference } from './reference.ts';
import { savedToken } from './token.node.ts';

/**
 * Endpoint, token and cache folder come from HF_ENDPOINT, HF_TOKEN (or the file of `hf auth login`) and
 * MARIMBA_CACHE where they are not given; proxies from HTTPS_PROXY, HTTP_PROXY and NO_PROXY.
 */
export interface PullOptions extends HubOptions, CacheOptions {
  /** A branch, tag or commit; overrides the one in the reference. */
  readonly revision?: string | undefined;
  /** Use the cache only. Also HF_HUB_OFFLINE=1. */
  readonly offline?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called at once with the look-up, then about ten times per second and file, and at every retry. */
  readonly onProgress?: ((progress: PullProgress) => void) | undefined;
  /** Files at the same time; 4 if not given. */
  readonly concurrency?: number | undefined;
}

export interface PulledModel {
  /** The folder of this commit. It may hold other files of the repository that were pulled before. */
  readonly folder: string;
  /** What to open: the folder for safetensors, the (first part of the) GGUF file otherwise. */
  readonly modelPath: string;
  readonly files: readonly { readonly name: string; readonly path: string; readonly byteLength: number }[];
  readonly repository: string;
  readonly commit: string;
  /** Set when the hub was not asked, or could not be: the copy in the cache may be older than the hub's. */
  readonly note: string | null;
}

/**
 * Fetches what a reference (`owner/name`, `owner/name@revision`, `owner/name:Q4_K_M`, `owner/name/file.gguf`)
 * needs. Throws UsageError for a reference that cannot be one, HubError with the remedy for everything else,
 * and the signal's reason when it is aborted; then and after a failure, what was received stays and is
 * continued by the next call.
 */
export async function pullModel(
  reference: string | HubReference,
  options: PullOptions = {},
): Promise<PulledModel> {
  const wanted = typeof reference === 'string' ? parseHubReference(reference) : reference;
  const revision = options.revision ?? wanted.revision ?? 'main';
  if (!isRevision(revision))
    throw new UsageError(`revision ${JSON.stringify(revision)}: expected a branch, tag or commit`);
  const concurrency = options.concurrency ?? 4;
  if (!Number.isInteger(concurrency) || concurrency < 1)
    throw new UsageError(`concurrency: expected a whole number from 1, found ${concurrency}`);
  const saved = options.token === undefined ? await savedToken() : null;
  const hub = connect(
    {
      endpoint: options.endpoint ?? (process.env.HF_ENDPOINT?.trim() || undefined),
      token: options.token ?? saved?.token,
      pacing: options.pacing,
    },
    { tokenOrigin: saved?.origin, fetch: environmentFetch() },
  );
  const signal = options.signal ?? new AbortController().signal;
  const repositoryPath = repositoryFolder(options, wanted.repository);
  const offline = options.offline ?? /^(1|true|yes|on)$/i.test(process.env.HF_HUB_OFFLINE ?? '');
  const found = await locate(hub, wanted, revision, repositoryCache(repositoryPath), {
    offline,
    signal,
    onProgress: options.onProgress,
  });
  const commitFolder = path.join(repositoryPath, found.commit);
  if (found.listing !== null) {
    await store(found.listing, commitFolder);
    await fetchAll(hub, wanted.repository, found, repositoryPath, options, concurrency, signal);
  }
  if (found.note === null) await writeRef(repositoryPath, revision, found.commit);
  return describe(wanted, found, commitFolder);
}

async function store(listing: readonly HubFile[], commitFolder: string): Promise<void> {
  try {
    await mkdir(commitFolder, { recursive: true });
    await writeListing(commitFolder, listing);
  } catch (error) {
    throw explainDiskError(error, commitFolder, 0);
  }
}

async function fetchAll(
  hub: HubConnection,
  repository: string,
  { choice, commit }: Found,
  repositoryPath: string,
  options: PullOptions,
  concurrency: number,
  signal: AbortSignal,
): Promise<void> {
  const commitFolder = path.join(repositoryPath, commit);
  await requireDiskSpace(commitFolder, choice.files);
  const meter = new ProgressMeter(choice.files, options.onProgress);
  const failure = new AbortController();
  const either = AbortSignal.any([signal, failure.signal]);
  // Small files first: a wrong configuration or a missing permission shows before gigabytes have come.
  const queue = choice.files.toSorted((a, b) => a.byteLength - b.byteLength);
  const worker = async () => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const { path: name } = file;
      await fetchFile({
        hub,
        repository,
        commit,
        file,
        repositoryFolder: repositoryPath,
        commitFolder,
        signal: either,
        onBytes: (receivedBytes, fromNetwork) => meter.update(name, receivedBytes, fromNetwork),
        onNote: (note) => meter.note(name, note),
        onRetry: (retry) => meter.retry(name, retry),
      });
    }
  };
  let first: { error: unknown } | null = null;
  const guarded = () =>
    worker().catch((error: unknown) => {
      first ??= { error };
      failure.abort(error);
    });
  // All of them end before this does, so that no lock or open file outlives the call.
  await Promise.all(Array.from({ length: Math.min(concurrency, queue.length) }, guarded));
  const outcome = first as { error: unknown } | null;
  if (outcome !== null) throw outcome.error;
}

async function requireDiskSpace(commitFolder: string, files: readonly HubFile[]): Promise<void> {
  let neededBytes = 0;
  for (const file of files) {
    if (await isComplete(commitFolder, file)) continue;
    const partial = (await sizeOf(path.join(commitFolder, `${file.path}.partial`))) ?? 0;
    neededBytes += Math.max(0, file.byteLength - partial);
  }
  const { bavail, bsize } = await statfs(commitFolder);
  const freeBytes = bavail * bsize;
  if (neededBytes <= freeBytes) return;
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
  throw new HubError(
    `${commitFolder}: expected room for ${gigabytes(neededBytes)} still to be fetched, ` +
      `found ${gigabytes(freeBytes)} free on this disk. ` +
      'Free some, choose a smaller quantisation, or set MARIMBA_CACHE to a folder on another disk.',
    { code: 'storage' },
  );
}

function describe(wanted: HubReference, found: Found, folder: string): PulledModel {
  const { choice, commit, note } = found;
  const files = choice.files.map(({ path: name, byteLength }) => ({
    name,
    path: path.join(folder, name),
    byteLength,
  }));
  const modelPath = choice.entry === null ? folder : path.join(folder, choice.entry);
  return { folder, modelPath, files, repository: wanted.repository, commit, note };
}
