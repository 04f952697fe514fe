// The browser's pull, run in Node against the same misbehaving hub, with fetch showing no more than a browser
// would.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { HubError } from '../errors.ts';
import { type BrowserPullOptions, pullModelBlobs, removeModelBlobs } from './download.browser.ts';
import { cutAfter, type Delivery, endAfter, FakeHub, noise, serve, sha256 } from './fake-hub.node.ts';
import { memoryStore, type PieceStore } from './store.browser.ts';

const WEIGHTS = 'model.safetensors';
const FILES = { 'config.json': '{}', 'tokenizer.json': 'x'.repeat(3000), [WEIGHTS]: noise(300_000) };
const PIECE = 64_000;
let hub: FakeHub;
let store: PieceStore;
const nodeFetch = globalThis.fetch;

beforeEach(async () => {
  hub = await FakeHub.start(FILES);
  store = memoryStore();
  globalThis.fetch = fetchAsBrowser;
});

afterEach(() => {
  hub.close();
  globalThis.fetch = nodeFetch;
});

/** Redirects are opaque when handled by hand; an answer of another origin hides Content-Range. */
async function fetchAsBrowser(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  const response = await nodeFetch(input, init);
  const url = response.url;
  if (init?.redirect === 'manual' && response.status >= 300 && response.status < 400) {
    await response.body?.cancel();
    return Object.defineProperties(new Response(), {
      type: { value: 'opaqueredirect' },
      url: { value: url },
    });
  }
  if (!response.redirected) return response;
  const headers = new Headers(response.headers);
  headers.delete('content-range');
  return Object.defineProperties(new Response(response.body, { status: response.status, headers }), {
    url: { value: url },
  });
}

function pull(options: BrowserPullOptions = {}) {
  const pacing = { sleep: async () => undefined, stallTimeoutMs: 5000 };
  return pullModelBlobs('owner/name', {
    endpoint: hub.endpoint,
    store,
    pieceByteLength: PIECE,
    pacing,
    ...options,
  });
}

async function assertContent(
  files: readonly { readonly name: string; readonly blob: Blob }[],
): Promise<void> {
  assert.deepEqual(files.map(({ name }) => name).sort(), Object.keys(FILES).sort());
  for (const { name, blob } of files) {
    assert.equal(sha256(new Uint8Array(await blob.arrayBuffer())), sha256(hub.content(name)), name);
  }
}

test('pulls into pieces, and nothing a second time', async () => {
  hub.requiredToken = 'secret';
  await assertContent((await pull({ token: 'secret' })).files);
  assert.ok(hub.seen.every(({ origin, authorization }) => origin === 'hub' || authorization === undefined));
  const before = hub.seen.length;
  await assertContent((await pull({ token: 'secret' })).files);
  assert.equal(hub.seen.length, before + 1);
});

test('continues within a visit from the last byte, after a reload from the last piece', async () => {
  hub.faults.set(WEIGHTS, [endAfter(100_000), endAfter(50_000)]);
  const once = { maxAttempts: 2, sleep: async () => undefined };
  await assert.rejects(
    pull({ pacing: once }),
    /gave up after 2 attempts: the connection ended after 150000 of 300000/,
  );
  await assertContent((await pull()).files);
  const ranges = hub.deliveries(WEIGHTS).map(({ range }) => range);
  assert.deepEqual(ranges, [undefined, 'bytes=100000-', `bytes=${2 * PIECE}-`]);
});

test('wrong bytes in a range are found and the file is fetched again; twice from the start is an error', async () => {
  const damaged = (delivery: Delivery) =>
    serve({ ...delivery, body: Buffer.alloc(delivery.body.byteLength) });
  hub.faults.set(WEIGHTS, [endAfter(100_000), damaged]);
  await assertContent((await pull()).files);
  await removeModelBlobs('owner/name', store);
  hub.faults.set(WEIGHTS, [damaged, damaged]);
  await assert.rejects(pull(), /checksum: .*, twice/);
});

test('survives a broken connection, and a hub that is away once the model is stored', async () => {
  hub.faults.set(WEIGHTS, [cutAfter(100_000)]);
  const first = await pull();
  await assertContent(first.files);
  hub.close();
  const again = await pull();
  assert.equal(again.files.length, 3);
  assert.match(again.note ?? '', /cannot be reached/);
  await removeModelBlobs('owner/name', store);
  await assert.rejects(pull(), HubError);
});

test('full storage says so', async () => {
  const full: PieceStore = {
    ...store,
    async put(key, content) {
      if (key.includes(WEIGHTS)) throw new DOMException('full', 'QuotaExceededError');
      await store.put(key, content);
    },
  };
  await assert.rejects(pull({ store: full }), /storage for this site is full\. What was received is kept/);
});
