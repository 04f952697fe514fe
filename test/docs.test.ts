// The documents hold what they promise: links lead somewhere, files that they name exist.
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..');
const DOCUMENTS = ['*.md', 'docs/**/*.md', 'studies/**/*.md'].flatMap((glob) =>
  globSync(glob, { cwd: root }),
);
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

/** GitHub's anchor of a heading. */
const anchor = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
const anchorsOf = (path: string): string[] =>
  [...read(path).matchAll(/^#+ (.+)$/gm)].map(([, heading]) => anchor(heading!));

for (const path of DOCUMENTS) {
  test(`${path}: links lead to files and headings`, () => {
    const text = read(path).replace(/```.*?```/gs, '');
    for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target!)) continue;
      const [file, fragment] = target!.split('#');
      const place = file ? join(dirname(path), file) : path;
      assert.ok(existsSync(join(root, place)), `${path}: ${target}: no such file`);
      if (fragment) assert.ok(anchorsOf(place).includes(fragment), `${path}: ${target}: no such heading`);
    }
  });
}

/** Documents shorten paths: these folders may be left out. */
const BASES = ['', 'packages/', 'packages/engine/', 'packages/engine/src/', 'packages/engine/src/backends/'];

for (const path of ['CONTRIBUTING.md', 'docs/architecture.md', 'docs/performance.md']) {
  test(`${path}: the source files that it names exist`, () => {
    for (const [, name] of read(path).matchAll(/`([\w./-]+\.(?:ts|mjs))`/g)) {
      if (/NAME|FAMILY/.test(name!)) continue;
      const found = name!.includes('/')
        ? BASES.some(
            (base) => existsSync(join(root, base, name!)) || existsSync(join(root, base, 'wasm', name!)),
          )
        : globSync(`{packages,test,scripts}/**/${name}`, {
            cwd: root,
            exclude: (at) => at === 'node_modules',
          }).length > 0;
      assert.ok(found, `${path}: ${name}: no such file`);
    }
  });
}

test('README.md: 110 lines or so, of at most 120 columns', () => {
  const lines = read('README.md').trimEnd().split('\n');
  assert.ok(lines.length <= 120, `${lines.length} lines`);
  for (const line of lines) assert.ok([...line].length <= 120, line);
});
