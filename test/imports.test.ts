// The arrows of the architecture: who may import whom. Read from the sources, so a new import is held to it
// at once.
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * The rooms of the engine's sources from the ground up: folders of src/, and files that lie there. Each may
 * import only rooms of the lines above its own; importing a type counts.
 */
const ROOMS = [
  'errors progress', // what may go wrong, what takes long
  'formats hub memory', // files, where they come from, the arena
  'tokenizer platform', // text; what Node and browsers do differently
  'grammar', // languages that output is held to
  'plan generate', // ops and steps; sampling
  'layers', // one file per kind of layer
  'architecture', // models as lists of layers, families
  'backends state', // who runs a plan; what a session carries
  'runtime', // the forward pass and its replays
  'weights', // a checkpoint's tensors and their places
  'embed', // texts as vectors, documents by their answers
  'model', // models and sessions, as users see them
  'load-model', // from a name to a model
  'export', // models as files
  'measure quantize', // tools on top of models
  'index entries', // what the package exports
].map((line) => line.split(' '));

/** Packages from the ground up; each may import only those before it. */
const LEVELS = ['@marimba/engine', '@marimba/lab', 'marimba'];

interface Source {
  readonly path: string;
  readonly imports: readonly string[];
}

function sources(pattern: string): Source[] {
  return globSync(pattern, { cwd: root })
    .filter((path) => !/(^|\/)(node_modules|dist)\//.test(path) && !path.includes('backends/wasm/kernels/'))
    .map((path) => ({ path, imports: importsOf(readFileSync(join(root, path), 'utf8')) }));
}

function importsOf(text: string): string[] {
  const statement =
    /^\s*(?:import|export)\b[^'"`;]*?from\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)/gm;
  return [...text.matchAll(statement)].map((match) => (match[1] ?? match[2] ?? match[3])!);
}

const isTest = (path: string): boolean => /\.(test|bench)\.ts$|\/test\/|testing\.ts$|\/fake-/.test(path);

test('the reader of imports sees every form', () => {
  const text =
    "import a from 'a';\nimport {\n  b,\n} from 'b';\nexport * from 'c';\nimport 'd';\nawait import('e');\n";
  assert.deepEqual(importsOf(text), ['a', 'b', 'c', 'd', 'e']);
});

test('packages import only what lies below them', () => {
  for (const manifest of globSync('packages/*/package.json', { cwd: root })) {
    const { name } = JSON.parse(readFileSync(join(root, manifest), 'utf8')) as { name: string };
    const level = LEVELS.indexOf(name);
    assert.ok(level >= 0, `${name} is no package of this test; say where it stands`);
    const own = sources(`${join(manifest, '..')}/src/**/*.ts`);
    assert.ok(own.length > 0, manifest);
    for (const { path, imports } of own) {
      for (const target of imports) {
        const other = LEVELS.findIndex((one) => target === one || target.startsWith(`${one}/`));
        assert.ok(other < level, `${path} imports ${target}, which lies above ${name}`);
        assert.ok(!/\.\.\/\.\.\/\.\.\/.*packages\//.test(target), `${path} imports ${target} by its path`);
      }
    }
  }
});

/** The room of a file of the engine: a folder of src/, or a file in it. */
const roomOf = (path: string): string =>
  /^packages\/engine\/src\/([^/]+)/.exec(path)?.[1]?.replace(/\.ts$/, '') ?? '';

/** The file of the repository that a relative import means. */
const targetOf = (path: string, target: string): string => normalize(join(dirname(path), target));

test('the arrows between the rooms of the engine point down', () => {
  const levels = new Map(ROOMS.flatMap((line, level) => line.map((room) => [room, level] as const)));
  const seen = new Set<string>();
  for (const { path, imports } of sources('packages/engine/src/**/*.ts')) {
    const room = roomOf(path);
    seen.add(room);
    if (isTest(path)) continue;
    const level = levels.get(room);
    assert.ok(level !== undefined, `${path}: ${room} is no room of this test; say where it stands`);
    for (const target of imports) {
      if (!/^[.#]/.test(target)) continue;
      const other = target.startsWith('#') ? 'platform' : roomOf(targetOf(path, target));
      if (other === room) continue;
      assert.ok(
        (levels.get(other) ?? level) < level,
        `${path} imports ${target}: ${other} is not below ${room}`,
      );
    }
  }
  assert.deepEqual(
    [...levels.keys()].filter((room) => !seen.has(room)),
    [],
    'rooms without a file',
  );
});

test('no file imports itself through others', () => {
  const all = sources('{packages/*/src,packages/*/test,bench,recipes,scripts,studies,test}/**/*.ts');
  const imports = new Map(
    all.map((source) => [
      source.path,
      source.imports.filter((to) => to.startsWith('.')).map((to) => targetOf(source.path, to)),
    ]),
  );
  assert.ok(imports.size > 300);
  const done = new Set<string>();
  const visit = (path: string, way: readonly string[]): void => {
    const at = way.indexOf(path);
    assert.ok(at < 0, `a circle of imports: ${[...way.slice(at), path].join(' → ')}`);
    if (done.has(path)) return;
    for (const to of imports.get(path) ?? []) visit(to, [...way, path]);
    done.add(path);
  };
  for (const path of imports.keys()) visit(path, []);
});

test('only files named *.node.ts of the engine use what only Node has', () => {
  for (const { path, imports } of sources('packages/engine/src/**/*.ts')) {
    if (path.endsWith('.node.ts') || isTest(path)) continue;
    for (const target of imports) {
      assert.ok(!target.startsWith('node:'), `${path} imports ${target}; move it to a file named *.node.ts`);
      assert.ok(!target.endsWith('.node.ts'), `${path} imports ${target}; go through #platform`);
    }
  }
});

test('every dependency is declared by the package that imports it', () => {
  for (const manifest of globSync('packages/*/package.json', { cwd: root })) {
    const text = readFileSync(join(root, manifest), 'utf8');
    const { name, dependencies = {} } = JSON.parse(text) as {
      name: string;
      dependencies?: Record<string, string>;
    };
    const optional =
      (JSON.parse(text) as { optionalDependencies?: Record<string, string> }).optionalDependencies ?? {};
    for (const { path, imports } of sources(`${join(manifest, '..')}/src/**/*.ts`)) {
      if (isTest(path)) continue;
      for (const target of imports) {
        if (/^(\.|#|node:)/.test(target)) continue;
        const wanted = target
          .split('/')
          .slice(0, target.startsWith('@') ? 2 : 1)
          .join('/');
        assert.ok(
          wanted === name || wanted in dependencies || wanted in optional,
          `${path} imports ${target}, not a dependency of ${name}`,
        );
      }
    }
  }
});
