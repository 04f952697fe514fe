// Models by name: fetched from a hub on loopback, run from the cache, listed and removed.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { FakeHub } from '../../engine/src/hub/fake-hub.node.ts';
import { marimba, modelPath, root } from './run.ts';

const read = (file: string): Buffer => readFileSync(join(root, modelPath('mamba-tiny'), file));

test('pull fetches what a model needs, generate then runs it by name, --remove frees it', async () => {
  const cache = mkdtempSync(join(tmpdir(), 'marimba-'));
  const names = ['config.json', 'generation_config.json', 'model.safetensors'];
  const hub = await FakeHub.start(Object.fromEntries(names.map((name) => [name, read(name)])));
  const environment = { MARIMBA_CACHE: cache, HF_ENDPOINT: hub.endpoint, HF_TOKEN: '' };
  try {
    const pulled = await marimba(['pull', 'owner/name', '--json'], '', environment);
    assert.equal(pulled.code, 0, pulled.stderr);
    const { files, modelPath: path } = JSON.parse(pulled.stdout) as {
      files: { name: string }[];
      modelPath: string;
    };
    assert.deepEqual(files.map(({ name }) => name).sort(), names);
    assert.deepEqual(readFileSync(join(path, 'model.safetensors')), read('model.safetensors'));
    assert.match(pulled.stderr, /^Looking up owner\/name …\nDownloading \(.*B\) …\n$/); // no terminal: one plain line

    const run = ['--tokens', '1,2', '--max-tokens', '3'];
    const byName = await marimba(['generate', 'owner/name', ...run], '', environment);
    assert.equal(byName.code, 0, byName.stderr);
    const byPath = await marimba(['generate', modelPath('mamba-tiny'), ...run]);
    assert.equal(byName.stdout, byPath.stdout);

    const listed = await marimba(['pull', '--list'], '', environment);
    assert.match(listed.stdout, /owner\/name +main/);
    const removed = await marimba(['pull', 'owner/name', '--remove'], '', environment);
    assert.equal(removed.code, 0, removed.stderr);
    assert.match((await marimba(['pull', '--list'], '', environment)).stdout, /^Nothing yet/);
  } finally {
    hub.close();
    rmSync(cache, { recursive: true });
  }
});

test('a name that the hub does not know: exit code 1, with the name', async () => {
  const cache = mkdtempSync(join(tmpdir(), 'marimba-'));
  const hub = await FakeHub.start({});
  try {
    const environment = { MARIMBA_CACHE: cache, HF_ENDPOINT: '', HF_TOKEN: '' };
    const { code, stderr } = await marimba(
      ['pull', 'someone/nothing', '--endpoint', hub.endpoint],
      '',
      environment,
    );
    assert.equal(code, 1);
    assert.match(stderr, /^Looking up someone\/nothing …\nerror: someone\/nothing/);
  } finally {
    hub.close();
    rmSync(cache, { recursive: true });
  }
});
