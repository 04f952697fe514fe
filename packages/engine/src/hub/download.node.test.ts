// Pulls against a hub on loopback that misbehaves in every way that was thought of. Delays are counted, not
// waited for.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, afterEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { HubError, UsageError } from '../errors.ts';
import type { DownloadProgress, PullProgress } from '../progress.ts';
import { defaultCacheFolder, listCachedModels, removeCachedModel } from './cache.node.ts';
import { type PulledModel, type PullOptions, pullModel } from './download.node.ts';
import {
  answerStatus,
  COMMIT,
  cutAfter,
  type Delivery,
  endAfter,
  FakeHub,
  noise,
  rangeHeaders,
  serve,
  sha256,
  stallAfter,
} from './fake-hub.node.ts';
import { explainDiskError } from './file.node.ts';
import { DEFAULT_PACING, sleep, TransientError, withRetries } from './pacing.ts';

const WEIGHTS = 'model.safetensors';
const FILES = {
  'config.json': '{"model_type":"jamba"}',
  'tokenizer.json': noise(5000).toString('hex'),
  'README.md': 'not needed',
  [WEIGHTS]: noise(300_000),
};
const GGUF_FILES = { 'm-Q4_K_M.gguf': noise(200_000, 'a'), 'm-Q8_0.gguf': noise(300_000, 'b') };

// The machine's own settings must not reach these tests.
for (const name of ['HF_ENDPOINT', 'HF_TOKEN', 'HF_HUB_OFFLINE', 'MARIMBA_CACHE']) delete process.env[name];
const root = await mkdtemp(path.join(tmpdir(), 'marimba-hub-'));
after(() => rm(root, { recursive: true, force: true }));
const hubs: FakeHub[] = [];
afterEach(() => {
  for (const hub of hubs.splice(0)) hub.close();
});

interface Bench {
  readonly hub: FakeHub;
  readonly cacheFolder: string;
  /** Every delay that was asked for, in milliseconds. */
  readonly delays: number[];
  pull(reference?: string, options?: PullOptions): Promise<PulledModel>;
}

async function bench(files: Record<string, Buffer | string> = FILES): Promise<Bench> {
  const hub = await FakeHub.start(files);
  hubs.push(hub);
  const cacheFolder = await mkdtemp(path.join(root, 'cache-'));
  const delays: number[] = [];
  const pacing = {
    stallTimeoutMs: 5000,
    random: () => 0.5,
    sleep: (delayMs: number, signal: AbortSignal) => {
      delays.push(delayMs);
      return sleep(2, signal);
    },
  };
  const pull = (reference = 'owner/name', options: PullOptions = {}) =>
    pullModel(reference, {
      endpoint: hub.endpoint,
      cacheFolder,
      ...options,
      pacing: { ...pacing, ...options.pacing },
    });
  return { hub, cacheFolder, delays, pull };
}

async function assertContent(hub: FakeHub, pulled: PulledModel): Promise<void> {
  for (const file of pulled.files) {
    assert.equal(sha256(await readFile(file.path)), sha256(hub.content(file.name)), file.name);
  }
  const leftovers = (await readdir(pulled.folder, { recursive: true })).filter((name) =>
    /\.(partial|lock)/.test(name),
  );
  assert.deepEqual(leftovers, []);
}

const ranges = (hub: FakeHub, file = WEIGHTS) => hub.deliveries(file).map(({ range }) => range);
const partialPath = (cacheFolder: string, file = WEIGHTS) =>
  path.join(cacheFolder, 'models/owner/name', COMMIT, `${file}.partial`);

test('pulls what is needed, and nothing a second time', async () => {
  const { hub, pull, cacheFolder } = await bench();
  hub.pageSize = 2;
  const progress: PullProgress[] = [];
  const pulled = await pull('owner/name', { onProgress: (event) => progress.push(event) });
  assert.deepEqual(pulled.files.map(({ name }) => name).sort(), ['config.json', WEIGHTS, 'tokenizer.json']);
  assert.equal(pulled.folder, path.join(cacheFolder, 'models/owner/name', COMMIT));
  assert.equal(pulled.modelPath, pulled.folder);
  assert.equal(pulled.note, null);
  await assertContent(hub, pulled);
  const lookups = progress.filter(({ phase }) => phase === 'resolve');
  assert.deepEqual(
    lookups.map(({ loaded, total }) => `${loaded}/${total}`),
    ['0/2', '1/2', '2/2'],
  );
  assert.deepEqual(progress.slice(0, 3), lookups, 'before the first byte');
  const last = progress.at(-1) as DownloadProgress;
  assert.deepEqual(last.file, { name: WEIGHTS, loaded: 300_000, total: 300_000 });
  assert.equal(last.loaded, last.total);
  assert.ok(last.bytesPerSecond > 0);
  const before = hub.seen.length;
  assert.deepEqual(await pull(), pulled);
  assert.equal(hub.seen.length, before + 1, 'only the revision is asked for');
  await pull(`owner/name@${COMMIT}`);
  assert.equal(hub.seen.length, before + 1, 'a commit in the cache needs no question');
});

test('one GGUF of several, by quantisation, by file and by default', async () => {
  const { hub, pull } = await bench(GGUF_FILES);
  const pulled = await pull('owner/name:q8_0');
  assert.equal(pulled.modelPath, path.join(pulled.folder, 'm-Q8_0.gguf'));
  await assertContent(hub, pulled);
  assert.equal(hub.deliveries('m-Q4_K_M.gguf').length, 0);
  assert.equal(path.basename((await pull()).modelPath), 'm-Q4_K_M.gguf');
  assert.equal(path.basename((await pull('owner/name/m-Q8_0.gguf')).modelPath), 'm-Q8_0.gguf');
  assert.equal(hub.deliveries('m-Q8_0.gguf').length, 1);
});

test('continues after cuts with Range and If-Range', async () => {
  const { hub, pull, delays } = await bench();
  hub.faults.set(WEIGHTS, [endAfter(100_000), endAfter(50_000), cutAfter(70_000)]);
  hub.faults.set('tokenizer.json', [endAfter(3000)]);
  await assertContent(hub, await pull());
  const seen = hub.deliveries(WEIGHTS);
  assert.equal(seen.length, 4);
  assert.deepEqual(ranges(hub).slice(0, 3), [undefined, 'bytes=100000-', 'bytes=150000-']);
  const last = Number(/^bytes=(\d+)-$/.exec(seen[3]?.range ?? '')?.[1]);
  assert.ok(last >= 150_000 && last <= 220_000, String(last));
  assert.deepEqual(ranges(hub, 'tokenizer.json'), [undefined, 'bytes=3000-']);
  assert.ok(seen.slice(1).every(({ ifRange }) => /^"[0-9a-f]{16}"$/.test(ifRange ?? '')));
  assert.equal(delays.length, 4);
});

test('waits longer after each failure and gives up in the end, keeping what it has', async () => {
  const { hub, pull, delays, cacheFolder } = await bench();
  hub.faults.set(WEIGHTS, [endAfter(100_000), ...Array.from({ length: 5 }, () => answerStatus(500))]);
  const pacing = { maxAttempts: 4, baseDelayMs: 100, maxDelayMs: 250 };
  await assert.rejects(
    pull('owner/name', { pacing }),
    /model\.safetensors: gave up after 4 attempts: the server answered 500.*continue/,
  );
  assert.deepEqual(delays, [75, 150, 187.5]);
  assert.equal((await stat(partialPath(cacheFolder))).size, 100_000);
  hub.faults.clear();
  await assertContent(hub, await pull());
  assert.equal(ranges(hub).at(-1), 'bytes=100000-');
});

test('a server that ignores Range starts the file over', async () => {
  const { hub, pull } = await bench();
  const whole = ({ response, body, etag }: Delivery) => response.writeHead(200, { etag }).end(body);
  hub.faults.set(WEIGHTS, [endAfter(100_000), whole]);
  await assertContent(hub, await pull());
  assert.deepEqual(ranges(hub), [undefined, 'bytes=100000-']);
});

test('a changed ETag starts the file over, even from a server that ignores If-Range', async () => {
  const { hub, pull } = await bench();
  const changed = ({ response, body, start }: Delivery) => {
    response
      .writeHead(206, { etag: '"another"', ...rangeHeaders(body, start ?? 0) })
      .end(body.subarray(start ?? 0));
  };
  hub.faults.set(WEIGHTS, [endAfter(100_000), changed]);
  await assertContent(hub, await pull());
  assert.deepEqual(ranges(hub), [undefined, 'bytes=100000-', undefined]);
});

test('a wrong Content-Range, or 416, makes it ask for the whole file', async () => {
  for (const header of ['bytes 0-299999/300000', 'bytes 100000-299999/999', 'nonsense', null]) {
    const { hub, pull } = await bench();
    const wrong = ({ response, body, start }: Delivery) => {
      if (header === null) response.writeHead(416).end();
      else response.writeHead(206, { 'content-range': header }).end(body.subarray(start ?? 0));
    };
    hub.faults.set(WEIGHTS, [endAfter(100_000), wrong]);
    await assertContent(hub, await pull());
    assert.deepEqual(ranges(hub), [undefined, 'bytes=100000-', undefined], String(header));
  }
});

test('a range of wrong bytes is found by the checksum and fetched again from the start', async () => {
  const { hub, pull } = await bench();
  const wrong = ({ response, body, etag, start }: Delivery) => {
    const part = Buffer.from(body.subarray(start ?? 0));
    part[part.length >> 1] = (part[part.length >> 1] ?? 0) ^ 1;
    response.writeHead(206, { etag, ...rangeHeaders(body, start ?? 0) }).end(part);
  };
  hub.faults.set(WEIGHTS, [endAfter(100_000), wrong]);
  await assertContent(hub, await pull());
  assert.deepEqual(ranges(hub), [undefined, 'bytes=100000-', undefined]);
});

test('wrong bytes twice from the start end the pull, and no file gets its name', async () => {
  for (const file of [WEIGHTS, 'config.json']) {
    const { hub, pull, cacheFolder } = await bench();
    const wrong = (delivery: Delivery) =>
      serve({ ...delivery, body: Buffer.alloc(delivery.body.byteLength) });
    hub.faults.set(file, [wrong, wrong]);
    await assert.rejects(pull(), /checksum: expected [0-9a-f]+, found [0-9a-f]+, twice/);
    await assert.rejects(stat(partialPath(cacheFolder, file).replace('.partial', '')), { code: 'ENOENT' });
  }
});

test('a wrong length is refused before the bytes, too many bytes while they come', async () => {
  const { hub, pull } = await bench();
  const longer = ({ response, body }: Delivery) =>
    response.writeHead(200, { 'content-length': body.byteLength + 10 }).end();
  const shorter = ({ response, body }: Delivery) =>
    response.writeHead(200, { 'content-length': 10 }).end(body.subarray(0, 10));
  const endless = ({ response, body }: Delivery) => response.writeHead(200).end(Buffer.concat([body, body]));
  const contradicts =
    /model\.safetensors: gave up after 1 attempt: (Content-Length: expected 300000, found (300010|10)|the server sends more)/;
  for (const fault of [longer, shorter, endless]) {
    hub.faults.set(WEIGHTS, [fault]);
    await assert.rejects(pull('owner/name', { pacing: { maxAttempts: 1 } }), contradicts);
  }
  hub.faults.clear();
  await assertContent(hub, await pull());
});

test('a stalled connection is given up and continued', async () => {
  const { hub, pull } = await bench();
  hub.faults.set(WEIGHTS, [stallAfter(100_000)]);
  const retries: PullProgress[] = [];
  const onProgress = (event: PullProgress) => void (event.retry && retries.push(event));
  await assertContent(hub, await pull('owner/name', { onProgress, pacing: { stallTimeoutMs: 400 } }));
  assert.match(retries[0]?.note ?? '', /^no data arrived for 0\.4 s; trying again in/);
  const { attempt, maxAttempts, reason } = retries[0]!.retry!;
  assert.deepEqual([attempt, maxAttempts, reason], [1, 8, 'no data arrived for 0.4 s']);
  assert.match(ranges(hub)[1] ?? '', /^bytes=[1-9]/);
});

test('a server that accepts the connection and never answers is given up', async () => {
  const { hub, pull } = await bench();
  hub.faults.set(WEIGHTS, [() => undefined]);
  await assertContent(hub, await pull('owner/name', { pacing: { stallTimeoutMs: 400 } }));
  assert.equal(hub.deliveries(WEIGHTS).length, 2);
});

test('429 waits as long as the hub says, in every way of saying it', async () => {
  const { hub, pull, delays } = await bench();
  const window = { ratelimit: '"resolvers";r=0;t=33' };
  hub.faults.set('config.json', [answerStatus(429, { 'retry-after': '7' }), answerStatus(429, window)]);
  await pull('owner/name', { concurrency: 1 });
  assert.deepEqual(delays, [7000, 33_000]);
});

test('429 for a day is an error at once', async () => {
  const { hub, pull, delays } = await bench();
  hub.faults.set(WEIGHTS, [answerStatus(429, { 'retry-after': '86400' })]);
  await assert.rejects(pull(), /allows no request for 1440 minutes/);
  assert.deepEqual(delays, []);
});

test('the token goes to the hub and to nobody else', async () => {
  const { hub, pull } = await bench();
  hub.requiredToken = 'hf_secret';
  await pull('owner/name', { token: 'hf_secret' });
  const cdn = hub.seen.filter(({ origin }) => origin === 'cdn');
  assert.ok(cdn.length > 0);
  assert.ok(cdn.every(({ authorization }) => authorization === undefined));
  assert.ok(
    hub.seen.every(({ origin, authorization }) => origin === 'cdn' || authorization === 'Bearer hf_secret'),
  );
});

test('refusals say what to do, without the token', async () => {
  const { hub, pull } = await bench();
  hub.requiredToken = 'right';
  await assert.rejects(
    pull(),
    /not permitted \(401\): it does not exist, or is private or gated.*settings\/tokens as HF_TOKEN/,
  );
  await assert.rejects(pull('owner/name', { token: 'hf_wrong' }), (error) => {
    return (
      error instanceof HubError &&
      /although a token was sent/.test(error.message) &&
      !error.message.includes('hf_wrong')
    );
  });
  hub.gated = true;
  await assert.rejects(
    pull(),
    /the model is gated \(401\)\. Open its page on .*accept the terms, then create a token/,
  );
  await assert.rejects(pull('other/model'), HubError);
  hub.requiredToken = null;
  await assert.rejects(pull('other/model'), /other\/model@main: not found on http/);
  await assert.rejects(pull('owner/name', { token: 'two\nlines' }), UsageError);
  await assert.rejects(pull('owner/name', { endpoint: 'ftp://x' }), UsageError);
});

test('hostile listings are refused', async () => {
  const entry = { type: 'file', path: 'x.safetensors', size: 5, oid: '0'.repeat(40) };
  const cases: [unknown, RegExp][] = [
    [{ ...entry, path: '../../evil.safetensors' }, /expected one inside the repository/],
    [{ ...entry, path: '/etc/evil.json' }, /expected one inside the repository/],
    [{ ...entry, path: 'a\0.json' }, /expected one inside the repository/],
    [{ ...entry, path: 'tokenizer\\..\\..\\x.json' }, /is refused: it contains one of/],
    [{ ...entry, path: 7 }, /path in the listing: expected text, found 7/],
    [{ ...entry, size: -1 }, /size: .*found -1/],
    [{ ...entry, size: 1e300 }, /size: .*found 1e\+300/],
    [{ ...entry, size: null }, /size: .*found null/],
    [{ ...entry, oid: 'x' }, /checksum \(oid\): expected 40 .*found "x"/],
    [{ ...entry, lfs: { oid: 'y', size: 5 } }, /checksum \(oid\): expected 64 .*found "y"/],
  ];
  for (const [hostile, message] of cases) {
    const { hub, pull, cacheFolder } = await bench();
    hub.extraEntries = [hostile];
    await assert.rejects(
      pull(),
      (error) => error instanceof HubError && message.test(error.message),
      JSON.stringify(hostile),
    );
    assert.deepEqual(await readdir(cacheFolder), []);
  }
});

test('an endless, a broken and a circular listing end', async () => {
  const { hub, pull } = await bench();
  hub.intercept = (request, response) => {
    if (!request.url?.includes('/tree/')) return false;
    const pour = () => {
      while (!response.destroyed && response.write(' '.repeat(1 << 16)));
    };
    response.on('drain', pour);
    pour();
    return true;
  };
  await assert.rejects(pull(), /the answer is longer than \d+ bytes/);
  hub.intercept = (_, response) => Boolean(response.end('<html>Please log in</html>'));
  await assert.rejects(pull(), /not JSON \(it starts with "<html>Please log in.*proxy/);
  hub.intercept = (_, response) => Boolean(response.end('{"sha":"../../x"}'));
  await assert.rejects(pull(), /field sha: expected a commit .*found "\.\.\/\.\.\/x"/);
  hub.intercept = (request, response) => {
    if (!request.url?.includes('/tree/')) return false;
    response.writeHead(200, { link: '<?cursor=1>; rel="next"' }).end('[]');
    return true;
  };
  await assert.rejects(pull(), /next page is the same page again/);
});

test('redirects in a circle, to nowhere and to another protocol end', async () => {
  const { hub, pull } = await bench();
  for (const [location, message] of [
    ['/loop', /more than 8 redirects/],
    ['file:///etc/passwd', /redirected to file:/],
    ['http://', /no valid address/],
  ] as const) {
    hub.intercept = (_, response) => Boolean(response.writeHead(302, { location }).end());
    await assert.rejects(pull(), message);
  }
});

test('without a network a complete copy in the cache is used, an incomplete one is not', async () => {
  const { hub, pull } = await bench(GGUF_FILES);
  const pulled = await pull('owner/name:Q4_K_M');
  hub.close();
  const again = await pull('owner/name:Q4_K_M');
  assert.deepEqual({ ...again, note: null }, pulled);
  assert.match(again.note ?? '', /cannot be reached: the copy in the cache is used/);
  await assert.rejects(
    pull('owner/name:Q8_0', { pacing: { maxAttempts: 2 } }),
    /gave up after 2 attempts: .* cannot be reached \(ECONNREFUSED\)/,
  );
  assert.match((await pull('owner/name:Q4_K_M', { offline: true })).note ?? '', /^offline/);
  await assert.rejects(pull('owner/name:Q8_0', { offline: true }), /not complete in the cache, and offline/);
  await rm(again.modelPath);
  await assert.rejects(pull('owner/name:Q4_K_M', { offline: true }), HubError);
});

test('a name without an address is given up after one attempt, an address without an answer is tried again', async () => {
  const { pull, delays } = await bench();
  const events: PullProgress[] = [];
  const onProgress = (event: PullProgress) => void events.push(event);
  const unresolved = { endpoint: 'http://no-such-host.invalid', onProgress };
  await assert.rejects(pull('owner/name', unresolved), (error) => {
    assert.ok(error instanceof HubError);
    assert.equal(error.code, 'unreachable');
    assert.match(error.message, /gave up after 1 attempt: no-such-host\.invalid cannot be found/);
    return true;
  });
  assert.deepEqual(delays, []);
  assert.deepEqual(
    events.map(({ phase, retry }) => [phase, retry]),
    [['resolve', null]],
  );
  await assert.rejects(pull('owner/name', { endpoint: 'http://127.0.0.1:1', onProgress }), /8 attempts/);
  assert.deepEqual(
    events.flatMap(({ retry }) => (retry ? [retry.attempt] : [])),
    [1, 2, 3, 4, 5, 6, 7],
  );
});

test('a name that stops resolving in the middle of a download is waited for', async () => {
  const pacing = { ...DEFAULT_PACING, sleep: async () => undefined };
  let received = 0;
  const attempt = async () => {
    received += 10;
    if (received < 40) throw new TransientError('unresolved', 'gone');
    return 'done';
  };
  const signal = new AbortController().signal;
  const options = { pacing, signal, subject: 's', remedy: 'r', progress: () => received };
  assert.equal(await withRetries(options, attempt), 'done');
});

test('a new commit takes unchanged weights from the old one', async () => {
  const { hub, pull } = await bench();
  await pull();
  hub.commit = 'beef'.padEnd(40, '1');
  const pulled = await pull();
  assert.equal(pulled.commit, hub.commit);
  await assertContent(hub, pulled);
  assert.equal(hub.deliveries(WEIGHTS).length, 1);
});

test('a file larger than the disk is refused before anything is fetched', async () => {
  const { hub, pull } = await bench();
  hub.extraEntries = [{ type: 'file', path: 'tokenizer.big.json', size: 2 ** 45, oid: '0'.repeat(40) }];
  await assert.rejects(pull(), /expected room for 35184\.4 GB still to be fetched, found [\d.]+ GB free/);
  assert.equal(hub.deliveries('config.json').length, 0);
  const full = Object.assign(new Error('write'), { code: 'ENOSPC' });
  assert.match(
    String(explainDiskError(full, 'm.gguf', 5)),
    /m\.gguf: the disk is full; the file needs 5 bytes\. What was received is kept/,
  );
});

test('an abort ends with its reason, leaves no lock, and can be continued', async () => {
  const { hub, pull, cacheFolder } = await bench();
  const controller = new AbortController();
  hub.faults.set(WEIGHTS, [stallAfter(100_000)]);
  const onProgress = (event: PullProgress) => {
    if (event.phase === 'download' && event.file.name === WEIGHTS && event.file.loaded > 0)
      controller.abort(new Error('enough'));
  };
  await assert.rejects(pull('owner/name', { signal: controller.signal, onProgress }), /^Error: enough$/);
  assert.deepEqual(
    (await readdir(path.dirname(partialPath(cacheFolder)))).filter((name) => name.endsWith('.lock')),
    [],
  );
  await assertContent(hub, await pull());
  assert.match(ranges(hub)[1] ?? '', /^bytes=[1-9]/);
});

test('two pulls at the same time fetch each file once', async () => {
  const { hub, pull } = await bench();
  const [one, two] = await Promise.all([pull(), pull()]);
  assert.deepEqual(one, two);
  await assertContent(hub, one);
  for (const file of ['config.json', 'tokenizer.json', WEIGHTS])
    assert.equal(hub.deliveries(file).length, 1, file);
});

test('what a killed process received is continued', { timeout: 20_000 }, async () => {
  const body = noise(3 << 20);
  const { hub, pull, cacheFolder } = await bench({ 'm.gguf': body });
  hub.faults.set('m.gguf', [stallAfter(2_500_000)]);
  const child = pullInChild(hub.endpoint, cacheFolder);
  const partial = partialPath(cacheFolder, 'm.gguf');
  await until(() => sizeAtLeast(partial, 2 << 20), child);
  child.kill('SIGKILL');
  await new Promise((resolve) => child.once('exit', resolve));
  const { size } = await stat(partial);
  assert.ok(
    (await stat(partial.replace('.partial', '.lock'))).isFile(),
    'the lock of the dead process is still there',
  );
  await assertContent(hub, await pull());
  assert.deepEqual(ranges(hub, 'm.gguf'), [undefined, `bytes=${size}-`]);
});

function pullInChild(endpoint: string, cacheFolder: string): ChildProcess {
  const module = JSON.stringify(fileURLToPath(new URL('./download.node.ts', import.meta.url)));
  const options = JSON.stringify({ endpoint, cacheFolder });
  const script = `import { pullModel } from ${module}; await pullModel('owner/name', ${options});`;
  return spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

async function sizeAtLeast(file: string, byteLength: number): Promise<boolean> {
  return ((await stat(file).catch(() => null))?.size ?? 0) >= byteLength;
}

async function until(condition: () => Promise<boolean>, child: ChildProcess): Promise<void> {
  while (!(await condition())) {
    assert.equal(child.exitCode, null, 'the child ended early');
    await sleep(20, new AbortController().signal);
  }
}

test('a partial file of other content is not continued', async () => {
  const { hub, pull, cacheFolder } = await bench();
  const partial = partialPath(cacheFolder);
  await mkdir(path.dirname(partial), { recursive: true });
  await writeFile(partial, 'other bytes');
  await writeFile(`${partial}.json`, JSON.stringify({ digest: 'f'.repeat(64), etag: '"x"' }));
  await assertContent(hub, await pull());
  assert.deepEqual(ranges(hub), [undefined]);
});

test('the cache is listed and emptied by name', async () => {
  const { pull, cacheFolder } = await bench(GGUF_FILES);
  assert.deepEqual(await listCachedModels({ cacheFolder }), []);
  await pull('owner/name:Q4_K_M');
  await pull('owner/name:Q8_0', { revision: 'v1' });
  const [model, ...others] = await listCachedModels({ cacheFolder });
  assert.deepEqual(others, []);
  assert.equal(model?.repository, 'owner/name');
  assert.deepEqual(model.revisions, ['main', 'v1']);
  assert.equal(model.byteLength, 500_000);
  assert.deepEqual(await removeCachedModel('owner/name:Q8_0', { cacheFolder }), {
    removedByteLength: 300_000,
  });
  assert.deepEqual((await listCachedModels({ cacheFolder }))[0]?.files, [
    { path: 'm-Q4_K_M.gguf', byteLength: 200_000 },
  ]);
  assert.deepEqual(await removeCachedModel('owner/name', { cacheFolder }), { removedByteLength: 200_000 });
  assert.deepEqual(await readdir(path.join(cacheFolder, 'models')), []);
  await assert.rejects(removeCachedModel('owner/name', { cacheFolder }), /not in the cache/);
});

test('the cache folder of each system', () => {
  assert.equal(defaultCacheFolder({}, 'linux', '/home/a'), '/home/a/.cache/marimba');
  assert.equal(defaultCacheFolder({ XDG_CACHE_HOME: '/x' }, 'linux', '/home/a'), '/x/marimba');
  assert.equal(defaultCacheFolder({}, 'darwin', '/Users/a'), '/Users/a/Library/Caches/marimba');
  assert.match(defaultCacheFolder({ LOCALAPPDATA: 'L' }, 'win32', 'C:'), /^L.marimba.cache$/);
  assert.equal(defaultCacheFolder({ MARIMBA_CACHE: '/m', XDG_CACHE_HOME: '/x' }, 'linux', '/home/a'), '/m');
});
