// Where MARIMBA_MODELS names a folder of real models, the short form of `npm run test:real` runs on them.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..');

if (process.env.MARIMBA_MODELS)
  test('real models load, split texts, write conversations and answer in branches', () => {
    const done = spawnSync(process.execPath, [join(root, 'bench/real.ts'), '--short'], {
      cwd: root,
      encoding: 'utf8',
    });
    assert.equal(done.status, 0, `${done.stdout}${done.stderr}`);
  });
else
  test('without MARIMBA_MODELS the command says what it needs', () => {
    const done = spawnSync(process.execPath, [join(root, 'bench/real.ts')], { cwd: root, encoding: 'utf8' });
    assert.equal(done.status, 1);
    assert.match(done.stderr, /expected MARIMBA_MODELS, the folder with the files of the models/);
  });
