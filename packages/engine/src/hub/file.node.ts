// One file from the hub to disk: continue where the last attempt ended, whoever made it; verify; then name
// it. The bytes go to `{file}.partial`; `{file}.partial.json` remembers which content they belong to and the
// server's ETag. The running checksum covers exactly the bytes that were written, so a finished file is not
// read a second time.

import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { HubError } from '../errors.ts';
import type { Retry } from '../progress.ts';
import { bodyOffset, type HubFile, requestFile } from './api.ts';
import { isComplete, reuseFromOtherCommit } from './cache.node.ts';
import { discard, type HubConnection, type HubResponse, readBody } from './http.ts';
import { type FileLock, tryLock } from './lock.node.ts';
import { TransientError, withRetries } from './pacing.ts';

export interface FileJob {
  readonly hub: HubConnection;
  readonly repository: string;
  readonly commit: string;
  readonly file: HubFile;
  readonly repositoryFolder: string;
  readonly commitFolder: string;
  readonly signal: AbortSignal;
  /** `receivedBytes` counts from the start of the file; `fromNetwork` is false for bytes found on disk. */
  readonly onBytes: (receivedBytes: number, fromNetwork: boolean) => void;
  /** Something that the user may want to know: waiting for another process. */
  readonly onNote: (note: string) => void;
  readonly onRetry: (retry: Retry) => void;
}

interface Partial {
  readonly handle: FileHandle;
  readonly path: string;
  hash: Hash;
  receivedBytes: number;
  etag: string | null;
  /** Bytes of this attempt series came from an earlier process or connection. */
  resumed: boolean;
  /** False once the server has shown that its ranges cannot be trusted. */
  rangesWork: boolean;
  /** Whole downloads, none of them resumed, whose checksum was wrong. */
  damagedDownloads: number;
}

/**
 * Larger writes, fewer of them: a chunk from the network is 16–64 KiB. Also what a killed process loses at
 * most.
 */
const WRITE_BYTES = 1 << 20;
const LOCK_POLL_MS = 200;

/**
 * Returns when the file lies under its final name, verified. What was received stays for the next call
 * otherwise.
 */
export async function fetchFile(job: FileJob): Promise<void> {
  const target = path.join(job.commitFolder, job.file.path);
  await mkdir(path.dirname(target), { recursive: true });
  const lock = await waitForLock(job, `${target}.lock`);
  try {
    const reused =
      (await isComplete(job.commitFolder, job.file)) ||
      (await reuseFromOtherCommit(job.repositoryFolder, job.file, target));
    if (reused) return job.onBytes(job.file.byteLength, false);
    await downloadTo(job, target);
  } catch (error) {
    job.signal.throwIfAborted();
    throw explainDiskError(error, target, job.file.byteLength);
  } finally {
    await lock.release();
  }
}

async function waitForLock(job: FileJob, lockPath: string): Promise<FileLock> {
  for (let waited = false; ; waited = true) {
    const lock = await tryLock(lockPath);
    if (lock !== null) return lock;
    if (!waited) job.onNote('another process is downloading this file; waiting for it');
    await job.hub.pacing.sleep(LOCK_POLL_MS, job.signal);
  }
}

async function downloadTo(job: FileJob, target: string): Promise<void> {
  const partial = await openPartial(job, `${target}.partial`);
  try {
    await withRetries(
      {
        pacing: job.hub.pacing,
        signal: job.signal,
        subject: `${job.repository}: ${job.file.path}`,
        remedy: 'What was received is kept; run the same command again to continue.',
        progress: () => partial.receivedBytes,
        onRetry: job.onRetry,
      },
      () => attempt(job, partial),
    );
    await partial.handle.sync();
  } finally {
    await partial.handle.close();
  }
  await rename(partial.path, target);
  await rm(sidecar(partial.path), { force: true });
}

/** Opens what an earlier run left, if it belongs to the same content, and computes its checksum so far. */
async function openPartial(job: FileJob, partialPath: string): Promise<Partial> {
  const known = await readSidecar(partialPath, job.file);
  const handle = await open(partialPath, known === null ? 'w+' : 'r+').catch(() => open(partialPath, 'w+'));
  const partial: Partial = {
    handle,
    path: partialPath,
    hash: newHash(job.file),
    receivedBytes: 0,
    etag: known?.etag ?? null,
    resumed: false,
    rangesWork: true,
    damagedDownloads: 0,
  };
  try {
    const { size } = await handle.stat();
    if (size > job.file.byteLength) await reset(partial, job.file);
    else if (size > 0) await hashExisting(job, partial, size);
    return partial;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function hashExisting(job: FileJob, partial: Partial, size: number): Promise<void> {
  const stream = createReadStream(partial.path, {
    end: size - 1,
    highWaterMark: WRITE_BYTES,
    signal: job.signal,
  });
  for await (const chunk of stream as AsyncIterable<Uint8Array>) {
    partial.hash.update(chunk);
    partial.receivedBytes += chunk.byteLength;
    job.onBytes(partial.receivedBytes, false);
  }
  partial.resumed = true;
}

/** One request. Ends with a verified file or throws; TransientError where another attempt makes sense. */
async function attempt(job: FileJob, partial: Partial): Promise<void> {
  if (partial.receivedBytes < job.file.byteLength) await receive(job, partial);
  const { file } = job;
  if (partial.receivedBytes < file.byteLength) {
    throw new TransientError(
      'interrupted',
      `the connection ended after ${partial.receivedBytes} of ${file.byteLength} bytes`,
    );
  }
  const found = partial.hash.digest('hex');
  if (found === file.digest.hex) return;
  const resumed = partial.resumed;
  await reset(partial, file);
  const message = `checksum: expected ${file.digest.hex}, found ${found}`;
  if (!resumed && ++partial.damagedDownloads >= 2) {
    throw new HubError(
      `${job.repository}: ${file.path}: ${message}, twice. ` +
        'The server or a proxy sends damaged bytes; nothing was kept.',
      { code: 'damaged-download' },
    );
  }
  throw new TransientError('interrupted', `damaged on the way (${message}); starting over`);
}

async function receive(job: FileJob, partial: Partial): Promise<void> {
  const { file } = job;
  const answer = await begin(job, partial);
  partial.etag = answer.response.headers.get('etag');
  const note = { digest: file.digest.hex, byteLength: file.byteLength, etag: partial.etag };
  await writeFile(sidecar(partial.path), JSON.stringify(note));
  const writer = new PartialWriter(job, partial);
  try {
    await readBody(answer, (chunk) => writer.add(chunk));
  } finally {
    await writer.flush();
  }
}

/** Asks for what is missing and puts the partial file where the answer's body begins. */
async function begin(job: FileJob, partial: Partial): Promise<HubResponse> {
  const { hub, file } = job;
  // Weak tags (W/"…") do not promise the same bytes and may not be sent with If-Range (RFC 9110 13.1.5).
  const etag = partial.etag?.startsWith('"') ? partial.etag : null;
  const resume =
    partial.receivedBytes > 0 && partial.rangesWork ? { offset: partial.receivedBytes, etag } : null;
  let answer: HubResponse | null = null;
  try {
    answer = await requestFile(hub, job.repository, job.commit, file, resume, job.signal);
    const offset = bodyOffset(answer, file, resume, partial.etag);
    if (offset === 0) await reset(partial, file);
    else partial.resumed = true;
    return answer;
  } catch (error) {
    answer?.guard.stop();
    if (answer !== null) await discard(answer.response);
    if (error instanceof TransientError && error.kind === 'range') partial.rangesWork = false;
    if (error instanceof TransientError && error.kind === 'changed') await reset(partial, file);
    throw error;
  }
}

/** Collects chunks into larger writes and keeps checksum, position and progress in step with them. */
class PartialWriter {
  readonly #job: FileJob;
  readonly #partial: Partial;
  #chunks: Uint8Array[] = [];
  #pendingBytes = 0;

  constructor(job: FileJob, partial: Partial) {
    this.#job = job;
    this.#partial = partial;
  }

  async add(chunk: Uint8Array): Promise<void> {
    const received = this.#partial.receivedBytes + this.#pendingBytes + chunk.byteLength;
    if (received > this.#job.file.byteLength) {
      throw new TransientError(
        'interrupted',
        `the server sends more than the ${this.#job.file.byteLength} bytes of the file`,
      );
    }
    this.#chunks.push(chunk);
    this.#pendingBytes += chunk.byteLength;
    this.#job.onBytes(received, true);
    if (this.#pendingBytes >= WRITE_BYTES) await this.flush();
  }

  async flush(): Promise<void> {
    const bytes = Buffer.concat(this.#chunks);
    this.#chunks = [];
    this.#pendingBytes = 0;
    const partial = this.#partial;
    for (let written = 0; written < bytes.byteLength; ) {
      const part = bytes.subarray(written);
      const { bytesWritten } = await partial.handle.write(part, 0, part.byteLength, partial.receivedBytes);
      partial.hash.update(part.subarray(0, bytesWritten));
      partial.receivedBytes += bytesWritten;
      written += bytesWritten;
    }
  }
}

async function reset(partial: Partial, file: HubFile): Promise<void> {
  await partial.handle.truncate(0);
  partial.hash = newHash(file);
  partial.receivedBytes = 0;
  partial.resumed = false;
}

/** Git hashes a blob with a header in front: `blob {size}\0`. */
function newHash(file: HubFile): Hash {
  if (file.digest.algorithm === 'sha256') return createHash('sha256');
  return createHash('sha1').update(`blob ${file.byteLength}\0`);
}

function sidecar(partialPath: string): string {
  return `${partialPath}.json`;
}

async function readSidecar(partialPath: string, file: HubFile): Promise<{ etag: string | null } | null> {
  const text = await readFile(sidecar(partialPath), 'utf8').catch(() => 'null');
  try {
    const value: unknown = JSON.parse(text);
    if (
      typeof value !== 'object' ||
      value === null ||
      !('digest' in value) ||
      value.digest !== file.digest.hex
    )
      return null;
    return { etag: 'etag' in value && typeof value.etag === 'string' ? value.etag : null };
  } catch {
    return null;
  }
}

/** A full disk or a read-only folder, said plainly; any other error as it is. */
export function explainDiskError(error: unknown, target: string, byteLength: number): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    const what = code === 'ENOSPC' ? 'the disk is full' : 'the disk quota is used up';
    return new HubError(
      `${target}: ${what}; the file needs ${byteLength} bytes. What was received is kept: free space (or set MARIMBA_CACHE ` +
        'to another disk) and run the same command again to continue.',
      { code: 'storage', cause: error },
    );
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return new HubError(
      `${target}: cannot be written (${code}). Set MARIMBA_CACHE to a folder that you may write to.`,
      { code: 'storage', cause: error },
    );
  }
  return error;
}
