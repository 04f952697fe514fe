// A hub on loopback for the tests: it speaks the same few requests, and does on command what networks,
// proxies and hostile servers do. Large files are redirected to a second server, which stands for the CDN:
// another origin.

import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One request for a file's bytes, as the server that holds them sees it. */
export interface Delivery {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: Buffer;
  readonly etag: string;
  /** First byte asked for; null when the whole file is. */
  readonly start: number | null;
}

export type Fault = (delivery: Delivery) => void;

export interface SeenRequest {
  readonly origin: 'hub' | 'cdn';
  readonly url: string;
  readonly range: string | undefined;
  readonly ifRange: string | undefined;
  readonly authorization: string | undefined;
}

export const COMMIT = 'c0ffee'.padEnd(40, '0');

export class FakeHub {
  readonly seen: SeenRequest[] = [];
  /** For each path: faults for its next deliveries, in order; then it works. */
  readonly faults = new Map<string, Fault[]>();
  /** Answers instead of the hub when it returns true. */
  intercept: (request: IncomingMessage, response: ServerResponse) => boolean = () => false;
  /** Entries added to the listing as they are. */
  extraEntries: unknown[] = [];
  requiredToken: string | null = null;
  gated = false;
  commit = COMMIT;
  /** Entries on one page of the listing. */
  pageSize = 1000;
  endpoint = '';
  #cdnOrigin = '';
  readonly #files = new Map<string, Buffer>();
  readonly #servers: Server[] = [];

  static async start(files: Record<string, Buffer | string>): Promise<FakeHub> {
    const hub = new FakeHub();
    for (const [path, content] of Object.entries(files)) hub.#files.set(path, Buffer.from(content));
    hub.#cdnOrigin = await hub.#listen((request, response) => hub.#answerCdn(request, response));
    hub.endpoint = await hub.#listen((request, response) => hub.#answerHub(request, response));
    return hub;
  }

  close(): void {
    for (const server of this.#servers) {
      server.closeAllConnections();
      server.close();
    }
  }

  content(path: string): Buffer {
    const content = this.#files.get(path);
    if (content === undefined) throw new Error(`the fake hub has no ${path}`);
    return content;
  }

  /** Requests for the bytes of a file. */
  deliveries(path: string): SeenRequest[] {
    return this.seen.filter(
      ({ origin, url }) => origin === (isLarge(path) ? 'cdn' : 'hub') && url.includes(`/${path}`),
    );
  }

  async #listen(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
    const server = createServer(answer);
    this.#servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  #record(origin: 'hub' | 'cdn', request: IncomingMessage): void {
    const { range, authorization } = request.headers;
    const ifRange = request.headers['if-range']?.toString();
    this.seen.push({ origin, url: request.url ?? '', range, ifRange, authorization });
  }

  #answerHub(request: IncomingMessage, response: ServerResponse): void {
    this.#record('hub', request);
    if (this.intercept(request, response)) return;
    const url = new URL(request.url ?? '', 'http://hub');
    if (this.requiredToken !== null && request.headers.authorization !== `Bearer ${this.requiredToken}`) {
      response.writeHead(401, this.gated ? { 'x-error-code': 'GatedRepo' } : {}).end();
    } else if (url.pathname.startsWith('/api/models/owner/name/revision/')) {
      response.end(JSON.stringify({ sha: this.commit }));
    } else if (url.pathname === `/api/models/owner/name/tree/${this.commit}`) {
      this.#list(url, response);
    } else if (url.pathname.startsWith(`/owner/name/resolve/${this.commit}/`)) {
      this.#resolve(decodeURIComponent(url.pathname.split('/').slice(5).join('/')), request, response);
    } else {
      response.writeHead(404, { 'x-error-code': 'RepoNotFound' }).end();
    }
  }

  #list(url: URL, response: ServerResponse): void {
    const entries = [...this.#files].map(([path, body]) => ({
      type: 'file',
      path,
      size: body.byteLength,
      oid: gitSha1(body),
      ...(isLarge(path) ? { lfs: { oid: sha256(body), size: body.byteLength, pointerSize: 130 } } : {}),
    }));
    const all = [{ type: 'directory', path: 'images', size: 0 }, ...entries, ...this.extraEntries];
    const start = Number(url.searchParams.get('cursor') ?? 0);
    const end = start + this.pageSize;
    // A mirror that forgot to rewrite its links: only the cursor may be taken from them.
    const link = `<https://elsewhere.invalid/api?cursor=${end}>; rel="next"`;
    response.writeHead(200, end < all.length ? { link } : {}).end(JSON.stringify(all.slice(start, end)));
  }

  #resolve(path: string, request: IncomingMessage, response: ServerResponse): void {
    const body = this.#files.get(path);
    if (body === undefined) {
      response.writeHead(404, { 'x-error-code': 'EntryNotFound' }).end();
    } else if (isLarge(path)) {
      const headers = {
        'x-repo-commit': this.commit,
        'x-linked-size': body.byteLength,
        'x-linked-etag': `"${sha256(body)}"`,
      };
      response.writeHead(302, { ...headers, location: `${this.#cdnOrigin}/signed/${path}?key=1` }).end();
    } else {
      this.#deliver(path, body, request, response);
    }
  }

  #answerCdn(request: IncomingMessage, response: ServerResponse): void {
    this.#record('cdn', request);
    const path = new URL(request.url ?? '', 'http://cdn').pathname.slice('/signed/'.length);
    this.#deliver(path, this.content(path), request, response);
  }

  #deliver(path: string, body: Buffer, request: IncomingMessage, response: ServerResponse): void {
    const etag = `"${sha256(body).slice(0, 16)}"`;
    const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? '');
    const delivery = { request, response, body, etag, start: range === null ? null : Number(range[1]) };
    const fault = this.faults.get(path)?.shift();
    if (fault !== undefined) fault(delivery);
    else serve(delivery);
  }
}

/** LFS keeps these; everything else is an ordinary git blob. */
function isLarge(path: string): boolean {
  return /\.(gguf|safetensors)$/.test(path);
}

/** What a sound server does. */
export function serve({ request, response, body, etag, start }: Delivery): void {
  const ifRange = request.headers['if-range'];
  if (start === null || (ifRange !== undefined && ifRange !== etag)) {
    response.writeHead(200, { etag, 'content-length': body.byteLength }).end(body);
  } else if (start >= body.byteLength) {
    response.writeHead(416).end();
  } else {
    response.writeHead(206, { etag, ...rangeHeaders(body, start) }).end(body.subarray(start));
  }
}

export function rangeHeaders(body: Buffer, start: number): Record<string, string | number> {
  return { 'content-range': contentRange(body, start), 'content-length': body.byteLength - start };
}

function contentRange(body: Buffer, start: number): string {
  return `bytes ${start}-${body.byteLength - 1}/${body.byteLength}`;
}

/** Ends the answer properly after this many bytes, as some proxies do; all that was sent arrives. */
export function endAfter(byteLength: number): Fault {
  return ({ response, body, etag, start }) => {
    const from = start ?? 0;
    if (start === null) response.writeHead(200, { etag });
    else response.writeHead(206, { etag, 'content-range': contentRange(body, start) });
    response.end(body.subarray(from, from + byteLength));
  };
}

/**
 * Sends this many bytes of the range, then breaks the connection; some of what was sent may be lost.
 */
export function cutAfter(byteLength: number): Fault {
  return (delivery) => {
    sendPart(delivery, byteLength, () => delivery.response.destroy());
  };
}

/** Sends this many bytes, then nothing more, with the connection open. */
export function stallAfter(byteLength: number): Fault {
  return (delivery) => {
    sendPart(delivery, byteLength, () => undefined);
  };
}

function sendPart({ response, body, etag, start }: Delivery, byteLength: number, then: () => void): void {
  const from = start ?? 0;
  if (start === null) response.writeHead(200, { etag, 'content-length': body.byteLength });
  else response.writeHead(206, { etag, ...rangeHeaders(body, start) });
  response.write(body.subarray(from, from + byteLength), then);
}

export function answerStatus(status: number, headers: Record<string, string> = {}): Fault {
  return ({ response }) => {
    response.writeHead(status, headers).end();
  };
}

/** Bytes that compress badly and never repeat, the same for the same seed. */
export function noise(byteLength: number, seed = 'seed'): Buffer {
  const blocks: Buffer[] = [];
  for (let index = 0; index * 32 < byteLength; index++)
    blocks.push(createHash('sha256').update(`${seed}${index}`).digest());
  return Buffer.concat(blocks).subarray(0, byteLength);
}

export function sha256(body: Uint8Array): string {
  return createHash('sha256').update(body).digest('hex');
}

function gitSha1(body: Buffer): string {
  return createHash('sha1').update(`blob ${body.byteLength}\0`).update(body).digest('hex');
}
