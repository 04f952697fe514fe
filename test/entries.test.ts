// What other packages may import of the engine: its entries, and nothing behind them.
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

const { exports } = JSON.parse(read('packages/engine/package.json')) as {
  exports: Record<string, string | Record<string, string>>;
};
const entries = Object.keys(exports).map((subpath) => `@marimba/engine${subpath.slice(1)}`);
const files = Object.values(exports).flatMap((target) =>
  typeof target === 'string' ? [target] : Object.values(target),
);

const isOwn = (path: string): boolean => !/(^|\/)(node_modules|dist)\//.test(path);

test('the engine names each of its entries, and each says whom it is for', () => {
  assert.deepEqual(
    Object.keys(exports).filter((subpath) => subpath.includes('*')),
    [],
  );
  for (const file of files) {
    const header = read(join('packages/engine', file)).split('\n\n')[0]!;
    assert.match(header, /^\/\/ @marimba\/engine/, file);
    assert.match(header.replaceAll('\n// ', ' '), /semantic versioning|the workspace's own packages/, file);
  }
});

test('nobody reaches behind the entries of the engine', () => {
  const others = ['packages/{lab,marimba}', 'bench', 'scripts', 'recipes', 'studies', 'test'];
  const paths = others.flatMap((folder) => globSync(`${folder}/**/*.{ts,mjs}`, { cwd: root })).filter(isOwn);
  assert.ok(paths.length > 150, `${paths.length}`);
  for (const path of paths) {
    const text = read(path);
    for (const [, target] of text.matchAll(/['"](@marimba\/engine(?:\/[^'"]*)?)['"]/g))
      assert.ok(entries.includes(target!), `${path} names ${target}: expected one of ${entries.join(', ')}`);
    for (const [, target] of text.matchAll(/from ['"]([^'"]*engine\/src\/[^'"]*)['"]/g))
      assert.ok(allowed(path, target!), `${path} imports ${target}: import one of ${entries.join(', ')}`);
  }
});

/**
 * Before anything is built or installed, scripts import sources by path; tests may share the engine's fakes.
 */
function allowed(path: string, target: string): boolean {
  if (path === 'scripts/build-kernels.ts') return true;
  if (path.endsWith('.test.ts')) return /\/(fake-[^/]*|testing)(\.node)?\.ts$/.test(target);
  return files.some((file) => target.endsWith(`engine/${file.slice(2)}`));
}
