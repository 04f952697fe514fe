import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { isHeld, tryLock } from './lock.node.ts';

const folder = await mkdtemp(path.join(tmpdir(), 'marimba-lock-'));
after(() => rm(folder, { recursive: true, force: true }));
/** The id of a process that has ended. */
const deadPid = spawnSync(process.execPath, ['--version']).pid;

async function abandoned(name: string, holder: { pid: number; host: string }): Promise<string> {
  const file = path.join(folder, name);
  await writeFile(file, JSON.stringify(holder));
  return file;
}

test('one at a time, and again after release', async () => {
  const file = path.join(folder, 'a.lock');
  const first = await tryLock(file);
  assert.ok(first);
  assert.equal(await tryLock(file), null);
  assert.equal(await isHeld(file), true);
  await first.release();
  assert.equal(await isHeld(file), false);
  const second = await tryLock(file);
  assert.ok(second);
  await first.release();
  assert.equal(await isHeld(file), true, 'a late release does not take the lock from the next holder');
  await second.release();
});

test('of many that find a dead holder, exactly one gets the lock', async () => {
  for (let round = 0; round < 20; round++) {
    const file = await abandoned('b.lock', { pid: deadPid, host: hostname() });
    const locks = await Promise.all(Array.from({ length: 8 }, () => tryLock(file)));
    assert.ok(locks.filter((lock) => lock !== null).length <= 1);
    // All may have stepped back for one another; the next to ask succeeds.
    const winner = locks.find((lock) => lock !== null) ?? (await tryLock(file));
    assert.ok(winner);
    await winner.release();
    assert.deepEqual(await readdir(folder), []);
  }
});

test('a holder on another machine is believed for a minute', async () => {
  const file = await abandoned('c.lock', { pid: deadPid, host: 'elsewhere' });
  assert.equal(await tryLock(file), null);
  const past = new Date(Date.now() - 120_000);
  await utimes(file, past, past);
  const lock = await tryLock(file);
  assert.ok(lock);
  await lock.release();
});
