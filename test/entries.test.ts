// What other packages may import of the engine and of the lab: their entries, and nothing behind them.
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

/** What each package offers: name, folder and the target of each subpath. The command line is a program only. */
const PACKAGES = [
  { name: '@marimba/engine', folder: 'packages/engine' },
  { name: '@marimba/lab', folder: 'packages/lab' },
].map(({ name, folder }) => {
  const { exports } = JSON.parse(read(`${folder}/package.json`)) as {
    exports: Record<string, string | Record<string, string>>;
  };
  const files = Object.values(exports).flatMap((target) =>
    typeof target === 'string' ? [target] : Object.values(target),
  );
  const subpaths = Object.keys(exports);
  return { name, folder, subpaths, files, entries: subpaths.map((subpath) => name + subpath.slice(1)) };
});

const isOwn = (path: string): boolean => !/(^|\/)(node_modules|dist)\//.test(path);

for (const { name, folder, subpaths, files, entries } of PACKAGES) {
  test(`${name} names each of its entries, and each says whom it is for`, () => {
    assert.deepEqual(
      subpaths.filter((subpath) => subpath.includes('*')),
      [],
    );
    for (const file of files) {
      const header = read(join(folder, file)).split('\n\n')[0]!;
      assert.ok(header.startsWith(`// ${name}`), file);
      assert.match(header.replaceAll('\n// ', ' '), /semantic versioning|the workspace's own packages/, file);
    }
  });

  test(`nobody reaches behind the entries of ${name}`, () => {
    const others = ['packages/*', 'bench', 'scripts', 'recipes', 'studies', 'test', 'examples'];
    const paths = others
      .flatMap((place) => globSync(`${place}/**/*.{ts,mjs}`, { cwd: root }))
      .filter((path) => isOwn(path) && !path.startsWith(folder));
    assert.ok(paths.length > 150, `${paths.length}`);
    const targets = new RegExp(`\\b(?:from|import)\\s*\\(?\\s*['"](${name}(?:/[^'"]*)?)['"]`, 'g');
    const sources = new RegExp(`from ['"]([^'"]*${basename(folder)}/src/[^'"]*)['"]`, 'g');
    for (const path of paths) {
      const text = read(path);
      for (const [, target] of text.matchAll(targets))
        assert.ok(
          entries.includes(target!),
          `${path} imports ${target}: expected one of ${entries.join(', ')}`,
        );
      for (const [, target] of text.matchAll(sources))
        assert.ok(
          allowed(
            path,
            target!,
            files.map((file) => `${basename(folder)}/${file.slice(2)}`),
          ),
          `${path} imports ${target}: import one of ${entries.join(', ')}`,
        );
    }
  });
}

/**
 * Before anything is built or installed, scripts import sources by path; tests may share a package's fakes.
 */
function allowed(path: string, target: string, entryFiles: readonly string[]): boolean {
  if (path === 'scripts/build-kernels.ts') return true;
  if (path.endsWith('.test.ts')) return /\/(fake-[^/]*|testing)(\.node)?\.ts$/.test(target);
  return entryFiles.some((file) => target.endsWith(file));
}

test('the command line offers a program and nothing to import', () => {
  const manifest = JSON.parse(read('packages/marimba/package.json')) as Record<string, unknown>;
  const offered = ['main', 'module', 'types', 'exports'].filter((field) => field in manifest);
  assert.deepEqual(offered, []);
  assert.deepEqual(Object.keys(manifest.bin as object), ['marimba']);
});
