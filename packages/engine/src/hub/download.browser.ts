// Brings a model from the hub into the browser's own storage and hands it out as named blobs. The same choice
// of files, checks and fallback to what is stored as in Node; files are kept in pieces, so that a reload
// continues near the place where it was and nothing larger than a piece is ever in memory.

import { HubError, UsageError } from '../errors.ts';
import type { PullProgress } from '../progress.ts';
import {
  bodyOffset,
  connect,
  formatListing,
  type HubFile,
  type HubOptions,
  parseListing,
  requestFile,
} from './api.ts';
import { discard, type HubConnection, readBody } from './http.ts';
import { locate, type RepositoryCache } from './locate.ts';
import { isCommit, isRevision } from './names.ts';
import { TransientError, withRetries } from './pacing.ts';
import { ProgressMeter } from './progress.ts';
import { type HubReference, parseHubReference } from './reference.ts';
import { Sha256 } from './sha256.ts';
import { openStore, type PieceStore } from './store.browser.ts';

export interface BrowserPullOptions extends HubOptions {
  readonly revision?: string | undefined;
  readonly offline?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: PullProgress) => void) | undefined;
  /** Where to keep the files; the best storage of the browser if not given. */
  readonly store?: PieceStore | undefined;
  /** How much may be lost when the page is closed, and how much is in memory; 32 MiB if not given. */
  readonly pieceByteLength?: number | undefined;
}

export interface PulledBlobs {
  /** Backed by the storage, not by memory. A GGUF's parts are in order. */
  readonly files: readonly { readonly name: string; readonly blob: Blob }[];
  readonly repository: string;
  readonly commit: string;
  /** Set when the hub was not asked, or could not be. */
  readonly note: string | null;
}

interface Job {
  readonly hub: HubConnection;
  readonly repository: string;
  readonly commit: string;
  readonly file: HubFile;
  readonly store: PieceStore;
  readonly pieceByteLength: number;
  readonly signal: AbortSignal;
  readonly meter: ProgressMeter;
}

/** As `pullModel` in Node, for pages and workers. Throws UsageError, HubError or the signal's reason. */
export async function pullModelBlobs(
  reference: string | HubReference,
  options: BrowserPullOptions = {},
): Promise<PulledBlobs> {
  const wanted = typeof reference === 'string' ? parseHubReference(reference) : reference;
  const revision = options.revision ?? wanted.revision ?? 'main';
  if (!isRevision(revision))
    throw new UsageError(`revision ${JSON.stringify(revision)}: expected a branch, tag or commit`);
  const hub = connect(options);
  const { repository } = wanted;
  const store = options.store ?? (await openStore());
  const signal = options.signal ?? new AbortController().signal;
  const cache = storedRepository(store, repository);
  const { choice, commit, note, listing } = await locate(hub, wanted, revision, cache, {
    offline: options.offline ?? false,
    signal,
    onProgress: options.onProgress,
  });
  const meter = new ProgressMeter(choice.files, options.onProgress);
  const files: { name: string; blob: Blob }[] = [];
  try {
    if (listing !== null) {
      const text = JSON.stringify(formatListing(listing));
      await store.put(`${commitKey(repository, commit)}/.marimba/listing`, new Blob([text]));
    }
    for (const file of choice.files) {
      const pieceByteLength = options.pieceByteLength ?? 32 << 20;
      const job: Job = { hub, repository, commit, file, store, pieceByteLength, signal, meter };
      files.push({ name: file.path, blob: await exclusively(job, () => fetchBlob(job)) });
    }
    if (note === null && !isCommit(revision))
      await store.put(refKey(repository, revision), new Blob([commit]));
  } catch (error) {
    throw explainStorageError(error, repository);
  }
  return { files, repository, commit, note };
}

/** Deletes everything of a repository from the browser's storage. */
export async function removeModelBlobs(reference: string, store?: PieceStore): Promise<void> {
  const { repository } = parseHubReference(reference);
  await (store ?? (await openStore())).removeAll(`models/${repository}`);
}

/** Two tabs of one site share the storage; the second waits for the first. */
async function exclusively<T>(job: Job, task: () => Promise<T>): Promise<T> {
  const locks = globalThis.navigator?.locks;
  if (locks === undefined) return task();
  return locks.request(`marimba/${fileKey(job)}`, { signal: job.signal }, task);
}

async function fetchBlob(job: Job): Promise<Blob> {
  const { file, meter } = job;
  const stored = await storedPieces(job);
  if (await isVerified(job.store, fileKey(job), file)) {
    const blob = new Blob(stored);
    meter.update(file.path, blob.size, false);
    if (blob.size === file.byteLength) return blob;
  }
  const download = new BlobDownload(job, stored);
  return withRetries(
    {
      pacing: job.hub.pacing,
      signal: job.signal,
      subject: `${job.repository}: ${file.path}`,
      remedy: 'What was received is kept; try again to continue.',
      progress: () => download.receivedBytes,
      onRetry: (retry) => meter.retry(file.path, retry),
    },
    () => download.attempt(),
  );
}

/** The whole pieces that an earlier visit left, from the start up to the first gap. */
async function storedPieces(job: Job): Promise<Blob[]> {
  const { file, pieceByteLength } = job;
  const pieces: Blob[] = [];
  for (let offset = 0; offset < file.byteLength; offset += pieceByteLength) {
    const piece = await job.store.get(`${fileKey(job)}/${pieceByteLength}-${pieces.length}`);
    if (piece?.size !== Math.min(pieceByteLength, file.byteLength - offset)) break;
    pieces.push(piece);
  }
  return pieces;
}

/** One file on its way: whole pieces in the store, the beginning of the next one in memory. */
class BlobDownload {
  readonly #job: Job;
  #pieces: Blob[];
  #pending: Uint8Array<ArrayBuffer>[] = [];
  #pendingBytes = 0;
  /** Some bytes came from an earlier connection, so a wrong checksum may be the seam's fault. */
  #resumed: boolean;
  #rangesWork = true;
  #damagedDownloads = 0;

  constructor(job: Job, pieces: Blob[]) {
    this.#job = job;
    this.#pieces = pieces;
    this.#resumed = pieces.length > 0;
  }

  get receivedBytes(): number {
    return this.#pieces.reduce((sum, piece) => sum + piece.size, this.#pendingBytes);
  }

  /** Ends with the verified file, or throws; TransientError where another attempt makes sense. */
  async attempt(): Promise<Blob> {
    const { file, repository } = this.#job;
    if (this.receivedBytes < file.byteLength) await this.#receive();
    if (this.receivedBytes < file.byteLength) {
      throw new TransientError(
        'interrupted',
        `the connection ended after ${this.receivedBytes} of ${file.byteLength} bytes`,
      );
    }
    const blob = new Blob(this.#pieces);
    const found = await digestOf(blob, file, this.#job.signal);
    if (found === file.digest.hex) {
      await this.#job.store.put(`${fileKey(this.#job)}/verified`, new Blob([found]));
      return blob;
    }
    const resumed = this.#resumed;
    await this.#startOver();
    const message = `checksum: expected ${file.digest.hex}, found ${found}`;
    if (!resumed && ++this.#damagedDownloads >= 2) {
      throw new HubError(
        `${repository}: ${file.path}: ${message}, twice. ` +
          'The server or a proxy sends damaged bytes; nothing was kept.',
        { code: 'damaged-download' },
      );
    }
    throw new TransientError('interrupted', `damaged on the way (${message}); starting over`);
  }

  async #receive(): Promise<void> {
    const { hub, repository, commit, file, signal } = this.#job;
    // No If-Range: it would cost a preflight request that CDNs refuse. The commit fixes the content, the
    // checksum proves it.
    const offset = this.receivedBytes;
    const resume = offset > 0 && this.#rangesWork ? { offset, etag: null } : null;
    try {
      const answer = await requestFile(hub, repository, commit, file, resume, signal);
      try {
        if (bodyOffset(answer, file, resume, null) === 0) await this.#startOver();
        else this.#resumed = true;
      } catch (error) {
        answer.guard.stop();
        await discard(answer.response);
        throw error;
      }
      await readBody(answer, (chunk) => this.#add(chunk));
    } catch (error) {
      if (error instanceof TransientError && error.kind === 'range') this.#rangesWork = false;
      throw error;
    }
  }

  async #add(chunk: Uint8Array): Promise<void> {
    const { file, pieceByteLength, meter } = this.#job;
    const before = this.receivedBytes;
    if (before + chunk.byteLength > file.byteLength) {
      throw new TransientError(
        'interrupted',
        `the server sends more than the ${file.byteLength} bytes of the file`,
      );
    }
    for (let offset = 0; offset < chunk.byteLength; ) {
      const taken = chunk.slice(offset, offset + pieceByteLength - this.#pendingBytes);
      this.#pending.push(taken);
      this.#pendingBytes += taken.byteLength;
      offset += taken.byteLength;
      if (this.#pendingBytes === pieceByteLength || before + offset === file.byteLength) await this.#store();
    }
    meter.update(file.path, this.receivedBytes, true);
  }

  async #store(): Promise<void> {
    const { store, pieceByteLength } = this.#job;
    const key = `${fileKey(this.#job)}/${pieceByteLength}-${this.#pieces.length}`;
    await store.put(key, new Blob(this.#pending));
    const piece = await store.get(key);
    if (piece?.size !== this.#pendingBytes)
      throw new HubError(`${key}: the browser's storage did not keep it; free some space`, {
        code: 'storage',
      });
    this.#pieces.push(piece);
    this.#pending = [];
    this.#pendingBytes = 0;
  }

  async #startOver(): Promise<void> {
    this.#pieces = [];
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#resumed = false;
    await this.#job.store.removeAll(fileKey(this.#job));
  }
}

async function digestOf(blob: Blob, file: HubFile, signal: AbortSignal): Promise<string> {
  if (file.digest.algorithm === 'sha256') {
    const hash = new Sha256();
    const reader = blob.stream().getReader();
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      signal.throwIfAborted();
      hash.update(next.value);
    }
    return hash.digest();
  }
  // Ordinary git files are at most some megabytes, so in memory as a whole.
  const bytes = await new Blob([`blob ${file.byteLength}\0`, blob]).arrayBuffer();
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-1', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function storedRepository(store: PieceStore, repository: string): RepositoryCache {
  return {
    async commitOf(revision) {
      if (isCommit(revision)) return revision;
      const text = await (await store.get(refKey(repository, revision)))?.text();
      return text !== undefined && isCommit(text) ? text : null;
    },
    async listing(commit) {
      const text = await (await store.get(`${commitKey(repository, commit)}/.marimba/listing`))?.text();
      try {
        return text === undefined ? null : parseListing(JSON.parse(text), repository);
      } catch {
        return null;
      }
    },
    has: (commit, file) => isVerified(store, `${commitKey(repository, commit)}/${file.path}`, file),
  };
}

async function isVerified(store: PieceStore, key: string, file: HubFile): Promise<boolean> {
  return (await (await store.get(`${key}/verified`))?.text()) === file.digest.hex;
}

function refKey(repository: string, revision: string): string {
  return `models/${repository}/refs/${encodeURIComponent(revision)}`;
}

function commitKey(repository: string, commit: string): string {
  return `models/${repository}/${commit}`;
}

function fileKey({ repository, commit, file }: Pick<Job, 'repository' | 'commit' | 'file'>): string {
  return `${commitKey(repository, commit)}/${file.path}`;
}

function explainStorageError(error: unknown, repository: string): unknown {
  if (!(error instanceof Error) || error.name !== 'QuotaExceededError') return error;
  return new HubError(
    `${repository}: the browser's storage for this site is full. What was received is kept: remove another model, choose ` +
      'a smaller quantisation, or free disk space, and try again.',
    { code: 'storage', cause: error },
  );
}
