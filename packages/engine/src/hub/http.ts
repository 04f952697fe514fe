// Requests to a hub: where the token may go, what each refusal means, and how much of an answer is read. The
// token goes to the endpoint's own origin and nowhere else: files live on a CDN behind a redirect, whose
// signed URL is all that it needs. Sources: https://huggingface.co/docs/hub/api, /docs/hub/rate-limits; RFC
// 9110 for ranges.

import { HubError, MarimbaError } from '../errors.ts';
import { printable } from './names.ts';
import { guardAgainstStall, type Pacing, type StallGuard, TransientError } from './pacing.ts';

export interface HubConnection {
  /** Origin and optional path prefix, without a trailing slash. */
  readonly endpoint: string;
  readonly token: string | null;
  /** Where the token comes from, for messages. */
  readonly tokenOrigin: string;
  readonly pacing: Pacing;
  readonly fetch: typeof fetch;
}

/** An answer with its body still unread, and what the hub itself said about the file before it redirected. */
export interface HubResponse {
  readonly response: Response;
  /** Call `touch` with every chunk, and `stop` at the end. */
  readonly guard: StallGuard;
  readonly linkedSize: string | null;
  readonly commit: string | null;
  /** A browser followed a redirect to another origin, which may not show all of its headers to us. */
  readonly headersHidden: boolean;
}

const MAX_REDIRECTS = 8;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/** Sends a GET and follows redirects. Answers other than 200 and 206 become errors that name `subject`. */
export async function request(
  hub: HubConnection,
  url: string,
  headers: Record<string, string>,
  subject: string,
  signal: AbortSignal,
): Promise<HubResponse> {
  const guard = guardAgainstStall(signal, hub.pacing.stallTimeoutMs);
  try {
    const answer = await follow(hub, new URL(url), headers, guard);
    if (answer.response.status === 200 || answer.response.status === 206) return answer;
    const fromHub = new URL(answer.response.url || url).origin === new URL(hub.endpoint).origin;
    await discard(answer.response);
    throw explainStatus(hub, answer.response, subject, fromHub);
  } catch (error) {
    guard.stop();
    throw error;
  }
}

async function follow(
  hub: HubConnection,
  start: URL,
  headers: Record<string, string>,
  guard: StallGuard,
): Promise<HubResponse> {
  const linked: { linkedSize: string | null; commit: string | null } = { linkedSize: null, commit: null };
  let url = start;
  let token = mayCarryToken(hub, url) ? hub.token : null;
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const sent = token === null ? headers : { ...headers, authorization: `Bearer ${token}` };
    let response = await send(hub, url, sent, 'manual', guard);
    // A browser hides redirects. It follows them itself, and drops Authorization on leaving the origin (Fetch
    // standard, HTTP-redirect fetch, step 13).
    const headersHidden = response.type === 'opaqueredirect';
    if (headersHidden) response = await send(hub, url, sent, 'follow', guard);
    linked.linkedSize ??= response.headers.get('x-linked-size');
    linked.commit ??= response.headers.get('x-repo-commit');
    if (!REDIRECTS.has(response.status)) return { response, guard, ...linked, headersHidden };
    await discard(response);
    const next = redirectTarget(url, response.headers.get('location'));
    if (next.origin !== url.origin) token = null;
    url = next;
  }
  throw new HubError(
    `${start.href}: more than ${MAX_REDIRECTS} redirects. Check the endpoint (HF_ENDPOINT).`,
  );
}

function redirectTarget(from: URL, location: string | null): URL {
  if (location === null || !URL.canParse(location, from)) {
    throw new HubError(`${from.origin}: redirected to no valid address (${printable(location ?? 'none')})`);
  }
  const target = new URL(location, from);
  const downgrade = from.protocol === 'https:' && target.protocol !== 'https:';
  if (downgrade || !/^https?:$/.test(target.protocol)) {
    throw new HubError(
      `${from.origin}: redirected to ${target.protocol}//${target.host}; expected an https address`,
    );
  }
  return target;
}

/** Never in clear text across a network: over http only to this machine. */
function mayCarryToken(hub: HubConnection, url: URL): boolean {
  return (
    url.origin === new URL(hub.endpoint).origin && (url.protocol === 'https:' || isLoopback(url.hostname))
  );
}

function isLoopback(hostname: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(hostname);
}

async function send(
  hub: HubConnection,
  url: URL,
  headers: Record<string, string>,
  redirect: 'manual' | 'follow',
  guard: StallGuard,
): Promise<Response> {
  try {
    return await hub.fetch(url, {
      headers,
      redirect,
      signal: guard.signal,
      credentials: 'omit',
      cache: 'no-store',
    });
  } catch (error) {
    if (error instanceof MarimbaError) throw error;
    throw asTransient(error, 'unreachable', url.host, guard.signal);
  }
}

/** What Node calls a host name that it got no address for, and a machine without any network. */
const UNRESOLVED = new Set(['ENOTFOUND', 'EAI_AGAIN', 'EAI_NODATA', 'EAI_NONAME', 'ENETUNREACH']);

/** Browsers do not say why a fetch failed, but they know when there is no network. */
const isOffline = (): boolean => globalThis.navigator?.onLine === false;

/** What a failed fetch or body read means; a user's abort stays what it is. */
export function asTransient(
  error: unknown,
  kind: 'unreachable' | 'interrupted',
  host: string,
  signal: AbortSignal,
): unknown {
  if (signal.aborted) return signal.reason;
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const reason = code || (cause instanceof Error ? cause.message : String(cause));
  if (kind === 'unreachable' && (UNRESOLVED.has(code) || isOffline()))
    return new TransientError(
      'unresolved',
      `${host} cannot be found: no network, or a wrong name (${reason})`,
    );
  const what = kind === 'unreachable' ? 'cannot be reached' : 'cut the connection';
  return new TransientError(kind, `${host} ${what} (${reason})`);
}

/** Turns a refusal into what the user can do about it. */
function explainStatus(hub: HubConnection, response: Response, subject: string, fromHub: boolean): Error {
  const { status, headers } = response;
  const code = headers.get('x-error-code') ?? '';
  if (status === 429 || status === 503) return explainBusy(hub, response, subject);
  if (status === 408 || status >= 500) return new TransientError('busy', `the server answered ${status}`);
  // A signed CDN address expires; the next attempt asks the hub for a new one.
  if (!fromHub && (status === 401 || status === 403)) {
    return new TransientError('interrupted', `the download address was refused with ${status}`);
  }
  if (status === 401 || status === 403) return explainRefusal(hub, status, code, subject);
  if (status === 404) {
    const missing =
      code === 'RevisionNotFound'
        ? 'this revision does not exist'
        : code === 'EntryNotFound'
          ? 'this file does not exist'
          : 'not found';
    return new HubError(
      `${subject}: ${missing} on ${hub.endpoint}. Check the spelling (owner/name@revision).`,
      { code: 'not-found' },
    );
  }
  if (status === 416) return new TransientError('range', 'the server has no bytes at this position (416)');
  const detail = headers.get('x-error-message');
  return new HubError(
    `${subject}: ${hub.endpoint} answered ${status}${detail ? `: ${printable(detail)}` : ''}, expected 200`,
  );
}

function explainRefusal(hub: HubConnection, status: number, code: string, subject: string): HubError {
  const tokenPage = `${hub.endpoint}/settings/tokens`;
  const withheld = hub.token !== null && !mayCarryToken(hub, new URL(hub.endpoint));
  if (withheld) {
    return new HubError(
      `${subject}: refused (${status}). The token was not sent, because ${hub.endpoint} is not https.`,
      { code: 'not-permitted' },
    );
  }
  if (code === 'GatedRepo') {
    const steps =
      hub.token === null
        ? `then create a token with read access at ${tokenPage} and pass it as HF_TOKEN or the token option`
        : 'with the account that the token belongs to, and check that the token may read gated repositories';
    return new HubError(
      `${subject}: the model is gated (${status}). Open its page on ${hub.endpoint}, accept the terms, ${steps}.`,
      { code: 'not-permitted' },
    );
  }
  if (hub.token === null) {
    return new HubError(
      `${subject}: not permitted (${status}): it does not exist, or is private or gated. Check the spelling; for a ` +
        `private model, pass a token from ${tokenPage} as HF_TOKEN or the token option.`,
      { code: 'not-permitted' },
    );
  }
  return new HubError(
    `${subject}: refused (${status}) although a token was sent (${hub.tokenOrigin}): it has expired, may not read this ` +
      `model, or the model does not exist. Check it at ${tokenPage}.`,
    { code: 'not-permitted' },
  );
}

function explainBusy(hub: HubConnection, response: Response, subject: string): Error {
  const waitMs = retryAfterMs(response.headers);
  if (waitMs !== null && waitMs > hub.pacing.maxRetryAfterMs) {
    const minutes = Math.ceil(waitMs / 60_000);
    return new HubError(
      `${subject}: ${hub.endpoint} allows no request for ${minutes} minutes (${response.status}). Try again then.`,
      { code: 'unreachable' },
    );
  }
  const advice = response.status === 429 && hub.token === null ? '; a token (HF_TOKEN) raises the limit' : '';
  return new TransientError('busy', `the server answered ${response.status} (too busy${advice})`, waitMs);
}

/** Seconds or a date (RFC 9110 10.2.3), or the hub's own `RateLimit: "api";r=0;t=55`. */
function retryAfterMs(headers: Headers): number | null {
  const text = headers.get('retry-after');
  if (text !== null && /^\d{1,9}$/.test(text.trim())) return Number(text) * 1000;
  const date = text === null ? Number.NaN : Date.parse(text);
  if (Number.isFinite(date)) return Math.max(0, date - Date.now());
  const window = /;\s*t=(\d{1,9})/.exec(headers.get('ratelimit') ?? '');
  return window === null ? null : Number(window[1]) * 1000;
}

/** Gives the connection back without reading the rest. */
export async function discard(response: Response): Promise<void> {
  await response.body?.cancel().catch(() => undefined);
}

/** Calls `onChunk` for every piece of the body, waiting for it. Ends early only by throwing. */
export async function readBody(
  answer: HubResponse,
  onChunk: (chunk: Uint8Array) => void | Promise<void>,
): Promise<void> {
  const { response, guard } = answer;
  const reader = response.body?.getReader();
  try {
    for (;;) {
      const next = await readChunk(reader, response, guard);
      if (next === null) return;
      guard.touch();
      await onChunk(next);
    }
  } finally {
    guard.stop();
    await reader?.cancel().catch(() => undefined);
  }
}

async function readChunk(
  reader: ReadableStreamDefaultReader<Uint8Array> | undefined,
  response: Response,
  guard: StallGuard,
): Promise<Uint8Array | null> {
  if (reader === undefined) return null;
  try {
    const { done, value } = await reader.read();
    return done ? null : value;
  } catch (error) {
    throw asTransient(error, 'interrupted', new URL(response.url).host, guard.signal);
  }
}

/** Reads a JSON answer of at most `limit` bytes. */
export async function readJson(answer: HubResponse, limit: number, subject: string): Promise<unknown> {
  const chunks: Uint8Array[] = [];
  let byteLength = 0;
  await readBody(answer, (chunk) => {
    byteLength += chunk.byteLength;
    if (byteLength > limit) {
      throw new HubError(
        `${subject}: the answer is longer than ${limit} bytes; expected a listing. Check the endpoint.`,
      );
    }
    chunks.push(chunk);
  });
  const text = await new Blob(chunks as Uint8Array<ArrayBuffer>[]).text();
  try {
    return JSON.parse(text);
  } catch {
    throw new HubError(
      `${subject}: the answer is not JSON (it starts with ${JSON.stringify(printable(text.slice(0, 60)))}). A proxy or a ` +
        'login page of the network may have answered; check the connection and HF_ENDPOINT.',
    );
  }
}
