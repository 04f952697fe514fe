// fetch through the proxies that the environment names, as curl, npm and huggingface_hub use them: HTTPS_PROXY,
// HTTP_PROXY and ALL_PROXY in either case, without the hosts in NO_PROXY. Node's own fetch passes them over before
// version 24, and later unless it is started with a flag. An https address is reached through a tunnel (RFC 9110,
// CONNECT), so the proxy sees neither the token nor the files.

import http from 'node:http';
import https from 'node:https';
import type { Duplex } from 'node:stream';
import { Readable } from 'node:stream';
import tls from 'node:tls';
import { HubError, UsageError } from '../errors.ts';

type Environment = Readonly<Record<string, string | undefined>>;

interface Proxy {
  readonly url: URL;
  /** The variable that names it. */
  readonly variable: string;
}

/** Sends each request through the proxy for its address, or as usual where there is none. */
export function environmentFetch(environment: Environment = process.env): typeof fetch {
  return async (input, init = {}) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const proxy = proxyFor(url, environment);
    if (!proxy) return fetch(input, init);
    const message = await answerThrough(proxy, url, init);
    return asResponse(message, url);
  };
}

/** Throws UsageError for a proxy that cannot be used. */
export function proxyFor(url: URL, environment: Environment): Proxy | null {
  const scheme = url.protocol.slice(0, -1);
  const names = [`${scheme}_proxy`, `${scheme}_PROXY`.toUpperCase(), 'all_proxy', 'ALL_PROXY'];
  const variable = names.find((name) => environment[name]?.trim());
  if (variable === undefined || bypasses(url, environment.no_proxy ?? environment.NO_PROXY ?? ''))
    return null;
  const text = environment[variable]!.trim();
  const address = text.includes('://') ? text : `http://${text}`;
  if (!URL.canParse(address))
    throw new UsageError(`${variable}: expected the address of a proxy, such as http://proxy:3128`);
  const proxy = new URL(address);
  if (!/^https?:$/.test(proxy.protocol))
    throw new UsageError(
      `${variable}: expected an http or https proxy, found ${proxy.protocol.slice(0, -1)}. ` +
        `Name another, or list ${url.hostname} in NO_PROXY.`,
    );
  return { url: proxy, variable };
}

/** NO_PROXY: names with all below them, a dot or `*.` before or a dot after or not; ports; IPv4 ranges; `*`. */
function bypasses(url: URL, list: string): boolean {
  const host = url.hostname.replace(/^\[|\]$|\.$/g, '').toLowerCase();
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  return list.split(/[\s,]+/).some((entry) => {
    if (entry === '*') return true;
    const [, name = '', wanted] = /^(\[[^\]]*\]|[^:]*|.*:.*:.*?)(?::(\d+))?$/.exec(entry.toLowerCase()) ?? [];
    const plain = name.replace(/^\[|\]$|\.$/g, '').replace(/^\*?\.(?=.)/, '');
    if (plain === '' || (wanted !== undefined && wanted !== port)) return false;
    return host === plain || host.endsWith(`.${plain}`) || inRange(host, plain);
  });
}

/** `10.0.0.0/8`. */
function inRange(host: string, range: string): boolean {
  const [base = '', bits = ''] = range.split('/');
  const [address, start] = [ipv4(host), ipv4(base)];
  const width = Number(bits);
  if (address === null || start === null || bits === '' || !(width >= 0 && width <= 32)) return false;
  const size = 2 ** (32 - width);
  return Math.floor(address / size) === Math.floor(start / size);
}

function ipv4(text: string): number | null {
  const parts = text.split('.').map((part) => (/^\d{1,3}$/.test(part) ? Number(part) : 256));
  if (parts.length !== 4 || parts.some((part) => part > 255)) return null;
  return parts.reduce((sum, part) => sum * 256 + part, 0);
}

async function answerThrough(proxy: Proxy, url: URL, init: RequestInit): Promise<http.IncomingMessage> {
  const headers = { 'accept-encoding': 'identity', ...Object.fromEntries(new Headers(init.headers)) };
  const options = { method: init.method ?? 'GET', headers, signal: init.signal ?? undefined };
  if (url.protocol === 'http:') {
    const asked = {
      ...options,
      headers: { ...headers, host: url.host, ...authorization(proxy) },
      path: url.href,
    };
    const message = await answered(request(proxy.url, asked), proxy);
    if (message.statusCode === 407) throw refusal(proxy, url, 407);
    return message;
  }
  const socket = await tunnel(proxy, url, init.signal ?? undefined);
  const servername = url.hostname.replace(/^\[|\]$/g, '');
  const secured = tls.connect({
    socket,
    ...(net(servername) ? {} : { servername }),
    ALPNProtocols: ['http/1.1'],
  });
  return answered(https.request(url, { ...options, createConnection: () => secured }), null);
}

/** Server names of TLS are no numbers. */
const net = (host: string): boolean => ipv4(host) !== null || host.includes(':');

const request = (to: URL, options: http.RequestOptions): http.ClientRequest =>
  (to.protocol === 'https:' ? https : http).request({
    hostname: to.hostname.replace(/^\[|\]$/g, ''),
    port: to.port || (to.protocol === 'https:' ? 443 : 80),
    agent: false,
    ...options,
  });

function authorization({ url }: Proxy): Record<string, string> {
  if (!url.username && !url.password) return {};
  const pair = `${decoded(url.username)}:${decoded(url.password)}`;
  return { 'proxy-authorization': `Basic ${Buffer.from(pair).toString('base64')}` };
}

/** A password may hold a % that begins no escape. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function tunnel(proxy: Proxy, url: URL, signal: AbortSignal | undefined): Promise<Duplex> {
  const target = `${url.hostname}:${url.port || 443}`;
  const headers = { host: target, ...authorization(proxy) };
  const asking = request(proxy.url, { method: 'CONNECT', path: target, headers, signal });
  return new Promise((resolve, reject) => {
    asking.once('connect', ({ statusCode = 0 }, socket) => {
      if (statusCode >= 200 && statusCode < 300) return resolve(socket);
      socket.destroy();
      reject(refusal(proxy, url, statusCode));
    });
    asking.once('response', ({ statusCode = 0 }) => reject(refusal(proxy, url, statusCode)));
    asking.once('error', (cause) => reject(unreachable(proxy, cause)));
    asking.end();
  });
}

function answered(sent: http.ClientRequest, proxy: Proxy | null): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    sent.once('response', resolve);
    sent.once('error', (cause) => reject(proxy ? unreachable(proxy, cause) : cause));
    sent.end();
  });
}

const named = ({ url, variable }: Proxy): string => `the proxy ${url.host} (${variable})`;

/** Servers behind a proxy may come back; what it forbids stays forbidden. */
function refusal(proxy: Proxy, url: URL, status: number): Error {
  if (status >= 500) return new Error(`${named(proxy)} answered ${status}`);
  const remedy =
    status === 407
      ? 'It wants a name and a password: http://name:password@host:port'
      : `Check it, or list ${url.hostname} in NO_PROXY`;
  return new HubError(`${url.host}: ${named(proxy)} refused the connection (${status}). ${remedy}.`, {
    code: 'unreachable',
  });
}

function unreachable(proxy: Proxy, cause: Error): Error {
  const code = 'code' in cause ? String(cause.code) : cause.message;
  return new Error(`${named(proxy)} cannot be reached: ${code}`, { cause });
}

/** Status codes that have no body in the Fetch standard. */
const BODILESS = new Set([204, 205, 304]);

function asResponse(message: http.IncomingMessage, url: URL): Response {
  const headers = new Headers();
  for (const [name, value] of Object.entries(message.headers))
    for (const one of [value].flat()) if (one !== undefined) headers.append(name, one);
  const status = message.statusCode ?? 500;
  const body = BODILESS.has(status) ? null : (Readable.toWeb(message) as ReadableStream<Uint8Array>);
  const response = new Response(body as BodyInit | null, { status, headers });
  return Object.defineProperty(response, 'url', { value: url.href });
}
