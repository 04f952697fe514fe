// Which commit a reference means and which of its files: asked of the hub where possible, of the cache where
// not. The same for the cache folder in Node and for a browser's storage.

import { HubError } from '../errors.ts';
import type { Retry } from '../progress.ts';
import { type HubFile, listFiles, resolveCommit } from './api.ts';
import { type Choice, chooseFiles } from './choose.ts';
import type { HubConnection } from './http.ts';
import { isCommit } from './names.ts';
import { isUnreachable } from './pacing.ts';
import { LookupMeter, type PullListener } from './progress.ts';
import { formatReference, type HubReference } from './reference.ts';

/** What one repository has in the cache. */
export interface RepositoryCache {
  /** The commit that a revision pointed to when it was last pulled whole; a commit stands for itself. */
  commitOf(revision: string): Promise<string | null>;
  listing(commit: string): Promise<HubFile[] | null>;
  /** True when the file is there, whole and verified. */
  has(commit: string, file: HubFile): Promise<boolean>;
}

export interface Found {
  readonly choice: Choice;
  readonly commit: string;
  /** Set when the hub was not asked, or could not be: its copy may be newer. */
  readonly note: string | null;
  /** Every file of the commit; null when the choice is complete in the cache. */
  readonly listing: readonly HubFile[] | null;
}

export interface LocateOptions {
  readonly offline: boolean;
  readonly signal: AbortSignal;
  readonly onProgress: PullListener | undefined;
}

export async function locate(
  hub: HubConnection,
  wanted: HubReference,
  revision: string,
  cache: RepositoryCache,
  { offline, signal, onProgress }: LocateOptions,
): Promise<Found> {
  const meter = new LookupMeter(formatReference(wanted), onProgress);
  const cached = await findComplete(wanted, revision, cache);
  // A commit never changes, so a complete copy needs no question.
  if (cached !== null && isCommit(revision)) return cached;
  if (offline) {
    if (cached !== null) return { ...cached, note: 'offline: the copy in the cache is used' };
    throw new HubError(
      `${formatReference(wanted)}: not complete in the cache, and offline. Pull it once with a connection.`,
      { code: 'offline' },
    );
  }
  // With a copy at hand nobody should wait through eight attempts to learn that there is no network.
  const maxAttempts = cached === null ? hub.pacing.maxAttempts : Math.min(2, hub.pacing.maxAttempts);
  const asked: HubConnection = { ...hub, pacing: { ...hub.pacing, maxAttempts } };
  const onRetry = (retry: Retry) => meter.retry(retry);
  try {
    const commit = isCommit(revision)
      ? revision
      : await resolveCommit(asked, wanted.repository, revision, signal, onRetry);
    meter.answered();
    const listing =
      (await cache.listing(commit)) ?? (await listFiles(asked, wanted.repository, commit, signal, onRetry));
    meter.answered();
    return { choice: chooseFiles(listing, wanted), commit, note: null, listing };
  } catch (error) {
    if (cached === null || !isUnreachable(error)) throw error;
    return { ...cached, note: `${hub.endpoint} cannot be reached: the copy in the cache is used` };
  }
}

async function findComplete(
  wanted: HubReference,
  revision: string,
  cache: RepositoryCache,
): Promise<Found | null> {
  const commit = await cache.commitOf(revision);
  const listing = commit === null ? null : await cache.listing(commit);
  if (commit === null || listing === null) return null;
  const choice = chooseFiles(listing, wanted);
  const present = await Promise.all(choice.files.map((file) => cache.has(commit, file)));
  return present.every(Boolean) ? { choice, commit, note: null, listing: null } : null;
}
