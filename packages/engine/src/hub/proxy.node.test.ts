// Downloads through the proxies of the environment: which address goes through which, that a pull works through
// one, and what its refusals say.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http, { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { HubError, UsageError } from '../errors.ts';
import { FakeHub } from './fake-hub.node.ts';
import { environmentFetch, proxyFor } from './proxy.node.ts';
import { savedToken } from './token.node.ts';

const root = mkdtempSync(join(tmpdir(), 'marimba-proxy-'));
const servers: Server[] = [];
after(() => {
  rmSync(root, { recursive: true });
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

/** A proxy on loopback; `connect` is the status that it answers to CONNECT with. */
async function startProxy(connect = 403): Promise<{ address: string; seen: string[] }> {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers['proxy-authorization'] ?? ''}`.trim());
    const { 'proxy-authorization': _, ...headers } = request.headers;
    const onward = http.get(request.url!, { headers }, (answer) => {
      response.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.writeHead(502).end());
  });
  server.on('connect', (request, socket) => {
    seen.push(`CONNECT ${request.url} ${request.headers['proxy-authorization'] ?? ''}`.trim());
    socket.end(`HTTP/1.1 ${connect} No\r\n\r\n`);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

describe('which proxy', () => {
  const found = (url: string, environment: Record<string, string>) =>
    proxyFor(new URL(url), environment)?.url.href ?? null;

  it('is that of the scheme, in lower case first, else the one for all', () => {
    assert.equal(found('https://hub.example', {}), null);
    assert.equal(
      found('https://hub.example', { HTTPS_PROXY: 'http://a:1', https_proxy: 'http://b:2' }),
      'http://b:2/',
    );
    assert.equal(found('https://hub.example', { HTTP_PROXY: 'http://a:1' }), null);
    assert.equal(found('http://hub.example', { HTTP_PROXY: 'a:1' }), 'http://a:1/');
    assert.equal(
      found('https://hub.example', { ALL_PROXY: 'https://a:1', HTTPS_PROXY: ' ' }),
      'https://a:1/',
    );
  });

  it('is none for hosts of NO_PROXY, in all its forms', () => {
    const through = (url: string, NO_PROXY: string) =>
      found(url, { HTTPS_PROXY: 'http://a:1', http_proxy: 'http://a:1', NO_PROXY }) !== null;
    for (const [list, direct, proxied] of [
      [
        'example.com',
        ['https://example.com', 'https://hub.EXAMPLE.com:8443'],
        ['https://anexample.com', 'https://example.com.org'],
      ],
      ['.example.com', ['https://example.com', 'https://a.b.example.com'], ['https://example.org']],
      ['*.example.com, other', ['https://x.example.com', 'https://other'], ['https://more']],
      ['example.com.', ['https://example.com', 'https://a.example.com.'], ['https://example.org']],
      ['example.com', ['https://example.com.'], []],
      ['example.com:8443', ['https://example.com:8443'], ['https://example.com']],
      [
        'localhost,127.0.0.1,::1',
        ['http://localhost:3000', 'http://127.0.0.1', 'http://[::1]:80'],
        ['http://127.0.0.2'],
      ],
      ['10.0.0.0/8 [fd00::1]', ['http://10.1.2.3', 'http://[fd00::1]'], ['http://11.0.0.1']],
      ['*', ['https://anything'], []],
      ['', [], ['https://anything']],
    ] as const) {
      for (const url of direct) assert.equal(through(url, list), false, `${url} with ${list}`);
      for (const url of proxied) assert.equal(through(url, list), true, `${url} with ${list}`);
    }
  });

  it('a proxy that cannot be used is refused by its variable', () => {
    for (const HTTPS_PROXY of ['socks5://a:1', 'http://'])
      assert.throws(
        () => found('https://hub.example', { HTTPS_PROXY }),
        (error) => error instanceof UsageError && /^HTTPS_PROXY: expected/.test(error.message),
      );
  });
});

describe('a request', () => {
  it('goes through the proxy, with its password, and answers as if it had not', async () => {
    const { address, seen } = await startProxy();
    const hub = await FakeHub.start({ 'config.json': '{"model_type": "none"}' });
    const send = environmentFetch({ http_proxy: `http://user:p%40ss@${address}` });
    const url = `${hub.endpoint}/api/models/owner/name/revision/main`;
    const response = await send(url, { headers: { authorization: 'Bearer t' }, redirect: 'manual' });
    assert.equal(response.status, 200);
    assert.equal(response.url, url);
    assert.deepEqual(await response.json(), { sha: hub.commit });
    assert.deepEqual(seen, [`GET ${url} Basic ${Buffer.from('user:p@ss').toString('base64')}`]);
    assert.equal(hub.seen[0]?.authorization, 'Bearer t');
    for (const [given, read] of [
      ['user:50%off', 'user:50%off'],
      [':secret', ':secret'],
    ]) {
      await environmentFetch({ http_proxy: `http://${given}@${address}` })(url);
      assert.equal(seen.at(-1), `GET ${url} Basic ${Buffer.from(read!).toString('base64')}`);
    }
    const missing = await send(`${hub.endpoint}/nothing`);
    assert.equal(missing.status, 404);
    hub.close();
  });

  it('of https asks for a tunnel; what the proxy refuses is said with its variable and what to do', async () => {
    for (const [status, words] of [
      [403, /hub\.invalid: the proxy .* \(HTTPS_PROXY\) refused the connection \(403\)\. .*NO_PROXY/],
      [407, /It wants a name and a password/],
    ] as const) {
      const { address, seen } = await startProxy(status);
      await assert.rejects(
        environmentFetch({ HTTPS_PROXY: address })('https://hub.invalid/x'),
        (error) => error instanceof HubError && words.test(error.message),
      );
      assert.deepEqual(seen, ['CONNECT hub.invalid:443']);
    }
    const { address } = await startProxy(502);
    await assert.rejects(
      environmentFetch({ HTTPS_PROXY: address })('https://hub.invalid/x'),
      /the proxy .* answered 502/,
    );
    await assert.rejects(
      environmentFetch({ HTTPS_PROXY: '127.0.0.1:9' })('https://hub.invalid/x'),
      /the proxy 127\.0\.0\.1:9 \(HTTPS_PROXY\) cannot be reached: ECONNREFUSED/,
    );
  });

  it('of https speaks TLS to the hub itself, through the tunnel', async () => {
    const server = createServer();
    servers.push(server);
    const hello = new Promise<Buffer>((resolve) =>
      server.on('connect', (_, socket) => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        socket.once('data', (data: Buffer) => {
          resolve(data);
          socket.destroy();
        });
      }),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    await assert.rejects(environmentFetch({ HTTPS_PROXY: address })('https://hub.invalid/x'));
    const bytes = await hello;
    assert.equal(bytes[0], 0x16, 'a TLS handshake');
    assert.ok(bytes.includes('hub.invalid'), 'names the hub');
  });

  it('ends when it is aborted', async () => {
    const server = createServer(() => {}).listen(0, '127.0.0.1');
    servers.push(server);
    await new Promise((resolve) => server.once('listening', resolve));
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const signal = AbortSignal.timeout(50);
    await assert.rejects(environmentFetch({ http_proxy: address })('http://hub.invalid/', { signal }));
    assert.ok(signal.aborted);
  });
});

describe('the token', () => {
  it('is that of the variables, else of the file that a login wrote', async () => {
    const write = (name: string, text: string) => {
      writeFileSync(join(root, name), text);
      return join(root, name);
    };
    const path = write('token', 'hf_saved\n');
    assert.deepEqual(await savedToken({ HF_TOKEN: ' hf_own\n', HF_HOME: root }), {
      token: 'hf_own',
      origin: 'HF_TOKEN',
    });
    assert.deepEqual(await savedToken({ HF_TOKEN: '', HF_HOME: root }), { token: 'hf_saved', origin: path });
    assert.deepEqual(await savedToken({ HUGGING_FACE_HUB_TOKEN: 'hf_old', HF_HOME: root }), {
      token: 'hf_old',
      origin: 'HUGGING_FACE_HUB_TOKEN',
    });
    const other = write('elsewhere', 'hf_other');
    assert.deepEqual(await savedToken({ HF_TOKEN_PATH: other, HF_HOME: root }), {
      token: 'hf_other',
      origin: other,
    });
    assert.equal(await savedToken({ HF_HOME: join(root, 'none') }), null);
    assert.equal(await savedToken({ HF_HOME: root, HF_HUB_DISABLE_IMPLICIT_TOKEN: '1' }), null);
  });
});
