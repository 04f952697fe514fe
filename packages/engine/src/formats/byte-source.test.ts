import assert from 'node:assert/strict';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { FormatError, UsageError } from '../errors.ts';
import { fileSource, openHandle as openNodeHandle } from './byte-source.node.ts';
import { blobSource, bytesSource, openHandle, readAll } from './byte-source.ts';
import type { ByteSource } from './types.ts';

const content = Uint8Array.from({ length: 1000 }, (_, i) => (i * 7) & 255);
let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'marimba-source-'));
  await writeFile(join(folder, 'data.bin'), content);
});
after(() => rm(folder, { recursive: true }));

const kinds: [string, () => Promise<ByteSource>][] = [
  ['bytes', async () => bytesSource('data.bin', content)],
  ['blob', async () => blobSource('data.bin', new Blob([content]))],
  ['file', () => fileSource(join(folder, 'data.bin'))],
  ['file by handle', () => openNodeHandle({ kind: 'path', path: join(folder, 'data.bin') }, 'data.bin')],
  ['blob by handle', () => openHandle({ kind: 'blob', blob: new Blob([content]) }, 'data.bin')],
];

for (const [kind, make] of kinds) {
  test(`${kind}: reads any range, also into shared memory`, async () => {
    const source = await make();
    for (const [offset, length] of [
      [0, 1000],
      [999, 1],
      [1000, 0],
      [17, 333],
    ] as const) {
      const into = new Uint8Array(new SharedArrayBuffer(length + 8), 5, length);
      await source.read(offset, into);
      assert.deepEqual([...into], [...content.subarray(offset, offset + length)]);
    }
    await source.close();
    await source.close();
  });

  test(`${kind}: refuses ranges outside the file`, async () => {
    const source = await make();
    for (const [offset, length] of [
      [0, 1001],
      [1001, 0],
      [-1, 1],
      [Number.NaN, 1],
      [0.5, 1],
      [2 ** 60, 1],
    ] as const) {
      await assert.rejects(source.read(offset, new Uint8Array(length)), (error: unknown) => {
        assert(error instanceof FormatError);
        assert.match(error.message, /^data\.bin: .*1000 bytes/);
        return true;
      });
    }
    await source.close();
  });
}

test('a file that shrank, was closed, is missing or is a folder is refused', async () => {
  const path = join(folder, 'shrinks.bin');
  await writeFile(path, content);
  const source = await fileSource(path);
  await truncate(path, 10);
  await assert.rejects(source.read(0, new Uint8Array(20)), /shrinks\.bin: expected 20 bytes .* found 10/);
  await source.close();
  await assert.rejects(source.read(0, new Uint8Array(1)), FormatError);
  await assert.rejects(fileSource(join(folder, 'none.bin')), /none\.bin: .*no such file/);
  await assert.rejects(fileSource(folder), FormatError);
});

test('a path handle needs a file system', async () => {
  await assert.rejects(openHandle({ kind: 'path', path: '/x' }, 'x'), UsageError);
});

test('readAll caps what it allocates', async () => {
  assert.deepEqual(await readAll(bytesSource('a', content), 1000), content);
  await assert.rejects(readAll(bytesSource('a', content), 999), /a: expected at most 999 bytes, found 1000/);
});
