// Asks a hub the three questions of a pull: which commit a revision is, which files it holds, and their
// bytes. Every answer is hostile until parsed here. Source: https://huggingface.co/docs/hub/api
//   GET {endpoint}/api/models/{repo}/revision/{revision}            → { sha }
//   GET {endpoint}/api/models/{repo}/tree/{commit}?recursive=true
//                                            → [{ type, path, size, oid, lfs? }], Link: rel="next"
//   GET {endpoint}/{repo}/resolve/{commit}/{path}                   → the bytes, usually behind a redirect

import { HubError, UsageError } from '../errors.ts';
import type { Retry } from '../progress.ts';
import { discard, type HubConnection, type HubResponse, readJson, request } from './http.ts';
import { isCommit, isImpossibleInGit, printable } from './names.ts';
import { DEFAULT_PACING, type Pacing, TransientError, withRetries } from './pacing.ts';

export const DEFAULT_ENDPOINT = 'https://huggingface.co';

/** How the content of a file is known beforehand: LFS files by sha256, small ones by git's blob id. */
export interface Digest {
  readonly algorithm: 'sha256' | 'git-sha1';
  readonly hex: string;
}

export interface HubFile {
  /** Path inside the repository. Not safe to write to before `pathProblem` has passed it. */
  readonly path: string;
  readonly byteLength: number;
  readonly digest: Digest;
}

export interface HubOptions {
  /** Another hub or a mirror, such as `https://hub.example.org`. */
  readonly endpoint?: string | undefined;
  /** Sent to the endpoint only, never to where it redirects. */
  readonly token?: string | undefined;
  readonly pacing?: Partial<Pacing> | undefined;
}

/** What the platform adds to the options: where a token that was not given comes from, how requests are sent. */
export interface Transport {
  readonly tokenOrigin?: string | undefined;
  readonly fetch?: typeof fetch | undefined;
}

const MAX_PAGE_BYTES = 8 << 20;
const MAX_PAGES = 100;
const MAX_FILES = 100_000;
/** 64 TiB: beyond any model, and far inside exact integers. */
const MAX_FILE_BYTES = 2 ** 46;

/** Checks endpoint and token. Throws UsageError. */
export function connect(options: HubOptions, transport: Transport = {}): HubConnection {
  const endpoint = (options.endpoint ?? DEFAULT_ENDPOINT).replace(/\/+$/, '');
  const url = URL.canParse(endpoint) ? new URL(endpoint) : null;
  if (
    url === null ||
    !/^https?:$/.test(url.protocol) ||
    url.username ||
    url.password ||
    url.search ||
    url.hash
  ) {
    throw new UsageError(
      'hub endpoint: expected an https URL without user, query or fragment, such as https://huggingface.co',
    );
  }
  const token = options.token?.trim() || null;
  if (token !== null && !/^[\x21-\x7e]{1,4096}$/.test(token)) {
    throw new UsageError(
      `hub token: expected printable characters without spaces. Check ${transport.tokenOrigin ?? 'the token option'}.`,
    );
  }
  return {
    endpoint,
    token,
    tokenOrigin: transport.tokenOrigin ?? 'the token option',
    pacing: { ...DEFAULT_PACING, ...options.pacing },
    // As a call of its own: browsers refuse fetch as a method of another object.
    fetch: transport.fetch ?? ((input, init) => fetch(input, init)),
  };
}

/** The commit that a branch, tag or pull-request ref points to now. */
export async function resolveCommit(
  hub: HubConnection,
  repository: string,
  revision: string,
  signal: AbortSignal,
  onRetry?: (retry: Retry) => void,
): Promise<string> {
  const subject = `${repository}@${revision}`;
  const url = `${hub.endpoint}/api/models/${repository}/revision/${encodeURIComponent(revision)}`;
  const { body } = await requestJson(hub, url, subject, signal, onRetry);
  const sha = isRecord(body) ? body.sha : undefined;
  if (typeof sha !== 'string' || !isCommit(sha)) {
    throw new HubError(
      `${subject}: field sha: expected a commit of 40 hexadecimal digits, found ${describe(sha)}`,
    );
  }
  return sha;
}

/** Every file of a commit. Follows pages by their cursor only: a mirror's links often name another host. */
export async function listFiles(
  hub: HubConnection,
  repository: string,
  commit: string,
  signal: AbortSignal,
  onRetry?: (retry: Retry) => void,
): Promise<HubFile[]> {
  const subject = `${repository}@${commit}`;
  const files: HubFile[] = [];
  let cursor: string | null = null;
  for (let page = 0; page < MAX_PAGES; page++) {
    const query = new URLSearchParams({ recursive: 'true', ...(cursor === null ? {} : { cursor }) });
    const url = `${hub.endpoint}/api/models/${repository}/tree/${commit}?${query}`;
    const { body, link } = await requestJson(hub, url, subject, signal, onRetry);
    files.push(...parseListing(body, subject));
    if (files.length > MAX_FILES) break;
    const next = nextCursor(link, url);
    if (next === null) return files;
    if (next === cursor) throw new HubError(`${subject}: the listing's next page is the same page again`);
    cursor = next;
  }
  throw new HubError(
    `${subject}: the listing does not end within ${MAX_FILES} files; this is no model repository`,
  );
}

/** Parses one page of a listing; also reads listings back from the cache. */
export function parseListing(body: unknown, subject: string): HubFile[] {
  if (!Array.isArray(body))
    throw new HubError(`${subject}: listing: expected an array, found ${describe(body)}`);
  const files: HubFile[] = [];
  for (const entry of body as unknown[]) {
    if (!isRecord(entry) || entry.type !== 'file') continue;
    files.push(parseEntry(entry, subject));
  }
  return files;
}

/** The form that parseListing reads, for the cache. */
export function formatListing(files: readonly HubFile[]): unknown[] {
  return files.map(({ path, byteLength, digest }) => ({
    type: 'file',
    path,
    size: byteLength,
    ...(digest.algorithm === 'sha256' ? { lfs: { oid: digest.hex, size: byteLength } } : { oid: digest.hex }),
  }));
}

function parseEntry(entry: Record<string, unknown>, subject: string): HubFile {
  const { path } = entry;
  if (typeof path !== 'string')
    throw new HubError(`${subject}: path in the listing: expected text, found ${describe(path)}`);
  if (isImpossibleInGit(path)) {
    throw new HubError(
      `${subject}: path in the listing: expected one inside the repository, found ${describe(path)}. ` +
        'Do not use this hub.',
    );
  }
  const lfs = isRecord(entry.lfs) ? entry.lfs : null;
  const byteLength = lfs?.size ?? entry.size;
  if (
    typeof byteLength !== 'number' ||
    !Number.isInteger(byteLength) ||
    byteLength < 0 ||
    byteLength > MAX_FILE_BYTES
  ) {
    throw new HubError(
      `${subject}: ${printable(path)}: size: expected 0 to ${MAX_FILE_BYTES} bytes, ` +
        `found ${describe(byteLength)}`,
    );
  }
  return {
    path,
    byteLength,
    digest: parseDigest(lfs?.oid ?? entry.oid, lfs !== null, `${subject}: ${printable(path)}`),
  };
}

function parseDigest(oid: unknown, isLfs: boolean, subject: string): Digest {
  const hex = typeof oid === 'string' ? oid.replace(/^sha256:/, '') : '';
  if (isLfs && /^[0-9a-f]{64}$/.test(hex)) return { algorithm: 'sha256', hex };
  if (!isLfs && /^[0-9a-f]{40}$/.test(hex)) return { algorithm: 'git-sha1', hex };
  throw new HubError(
    `${subject}: checksum (oid): expected ${isLfs ? '64' : '40'} hexadecimal digits, found ${describe(oid)}`,
  );
}

/** The `cursor` of a `Link: <…>; rel="next"` header (RFC 8288), or null on the last page. */
function nextCursor(link: string | null, base: string): string | null {
  for (const part of (link ?? '').split(/,\s*(?=<)/)) {
    const match = /^\s*<([^>]*)>.*;\s*rel="?next"?/i.exec(part);
    const target = match?.[1];
    if (target === undefined || !URL.canParse(target, base)) continue;
    return new URL(target, base).searchParams.get('cursor');
  }
  return null;
}

/** What a download continues from. */
export interface Resume {
  readonly offset: number;
  /** Sent as If-Range, so that a file that changed comes whole. Null for weak or unknown tags. */
  readonly etag: string | null;
}

/**
 * Asks for a file's bytes, from `resume.offset` on if given. The answer may still be the whole file: look at
 * its status.
 */
export async function requestFile(
  hub: HubConnection,
  repository: string,
  commit: string,
  file: HubFile,
  resume: Resume | null,
  signal: AbortSignal,
): Promise<HubResponse> {
  const subject = `${repository}@${commit}: ${file.path}`;
  const path = file.path.split('/').map(encodeURIComponent).join('/');
  // Compressed on the way, positions and lengths would mean something else.
  const headers: Record<string, string> = { 'accept-encoding': 'identity' };
  if (resume !== null) headers.range = `bytes=${resume.offset}-`;
  if (resume?.etag) headers['if-range'] = resume.etag;
  const answer = await request(
    hub,
    `${hub.endpoint}/${repository}/resolve/${commit}/${path}`,
    headers,
    subject,
    signal,
  );
  const problem = contradiction(answer, commit, file);
  if (problem === null) return answer;
  answer.guard.stop();
  await discard(answer.response);
  throw new HubError(
    `${subject}: ${problem}. The hub contradicts its own listing; try again, or another endpoint.`,
  );
}

function contradiction(answer: HubResponse, commit: string, file: HubFile): string | null {
  if (answer.linkedSize !== null && answer.linkedSize !== String(file.byteLength)) {
    return `X-Linked-Size: expected ${file.byteLength}, found ${printable(answer.linkedSize)}`;
  }
  if (answer.commit !== null && answer.commit !== commit) {
    return `X-Repo-Commit: expected ${commit}, found ${printable(answer.commit)}`;
  }
  return null;
}

/**
 * Where the body of an answer begins, once its headers are known to make sense. Throws TransientError where
 * they do not.
 */
export function bodyOffset(
  answer: HubResponse,
  file: HubFile,
  resume: Resume | null,
  knownEtag: string | null,
): number {
  const { response } = answer;
  let offset = 0;
  if (response.status === 206 && answer.headersHidden && !response.headers.has('content-range')) {
    // Only the checksum can tell then.
    offset = resume?.offset ?? 0;
  } else if (response.status === 206) {
    const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(response.headers.get('content-range') ?? '');
    const [, first, last, total] = range ?? [];
    const fits = Number(first) === resume?.offset && Number(last) === file.byteLength - 1;
    if (!fits || (total !== '*' && Number(total) !== file.byteLength)) {
      const found = printable(response.headers.get('content-range') ?? 'none');
      throw new TransientError(
        'range',
        `Content-Range: expected bytes ${resume?.offset}-${file.byteLength - 1}/${file.byteLength}, ` +
          `found ${found}`,
      );
    }
    const etag = response.headers.get('etag');
    if (knownEtag !== null && etag !== null && etag !== knownEtag) {
      throw new TransientError(
        'changed',
        `the file changed on the server (ETag ${printable(etag)}, was ${printable(knownEtag)})`,
      );
    }
    offset = Number(first);
  }
  const length = response.headers.get('content-length');
  if (
    length !== null &&
    !response.headers.has('content-encoding') &&
    Number(length) !== file.byteLength - offset
  ) {
    throw new TransientError(
      'interrupted',
      `Content-Length: expected ${file.byteLength - offset}, found ${printable(length)}`,
    );
  }
  return offset;
}

async function requestJson(
  hub: HubConnection,
  url: string,
  subject: string,
  signal: AbortSignal,
  onRetry: ((retry: Retry) => void) | undefined,
): Promise<{ body: unknown; link: string | null }> {
  const remedy = 'Check the connection and the endpoint (HF_ENDPOINT).';
  const options = { pacing: hub.pacing, signal, subject, remedy, onRetry };
  return withRetries(options, async () => {
    const answer = await request(hub, url, { accept: 'application/json' }, subject, signal);
    const body = await readJson(answer, MAX_PAGE_BYTES, subject);
    return { body, link: answer.response.headers.get('link') };
  });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A value from the network for a message: its JSON, shortened. */
function describe(value: unknown): string {
  if (value === undefined) return 'missing';
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object';
  return printable(JSON.stringify(value));
}
