// Writes kernels/generated, the tree that the compiler sees:
//   - a source as it is, but for `// @inline` and `// @unmanaged` on lines of their own, which become the decorators:
//     TypeScript has no decorators on functions and constants, and this way its tools read the sources
//   - what a template, NAME.gen.ts, exports as default, with its imports: they follow from the names that it uses
//   - the classes through which kernels read op records, and byte offsets for those that do not yet
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import bytesDots from '../attention/bytes-dots.gen.ts';
import floatTiles from '../attention/float-tiles.gen.ts';
import codebooks from '../linear/codebooks.gen.ts';
import floatDots from '../linear/float-dots.gen.ts';
import layouts from '../linear/layouts.gen.ts';
import decode from '../linear/packed-decode.gen.ts';
import decodeFour from '../linear/packed-decode-four.gen.ts';
import direct from '../linear/packed-direct.gen.ts';
import embed from '../linear/packed-embed.gen.ts';
import few from '../linear/packed-few.gen.ts';
import pack from '../linear/packed-pack.gen.ts';
import panel from '../linear/packed-panel.gen.ts';
import scales from '../linear/packed-scales.gen.ts';
import small from '../linear/packed-small.gen.ts';
import tile from '../linear/packed-tile.gen.ts';
import wide from '../linear/packed-wide.gen.ts';
import panels from '../linear/panels.gen.ts';
import shapes from '../linear/shapes.gen.ts';
import vectors from '../linear/vectors.gen.ts';
import { constantsSource } from './constants.ts';
import { opLayoutSource } from './op-layout.ts';
import { recordsSource } from './records.ts';

const kernels = fileURLToPath(new URL('..', import.meta.url));
const generated = join(kernels, 'generated');

const read = (path: string): string => readFileSync(join(kernels, path), 'utf8');

/** `// @inline` and `// @unmanaged` become the decorators. */
const decorated = (source: string): string => source.replace(/^\/\/ (@inline|@unmanaged)$/gm, '$1');

/** What is written, not copied. */
const GENERATED: readonly (readonly [path: string, text: string])[] = [
  ['constants.ts', constantsSource()],
  ['op-layout.ts', opLayoutSource()],
  ['op-records.ts', recordsSource()],
  ['attention/bytes-dots.gen.ts', bytesDots],
  ['attention/float-tiles.gen.ts', floatTiles],
  ['linear/codebooks.gen.ts', codebooks],
  ['linear/float-dots.gen.ts', floatDots],
  ['linear/layouts.gen.ts', layouts],
  ['linear/packed-decode-four.gen.ts', decodeFour],
  ['linear/packed-decode.gen.ts', decode],
  ['linear/packed-direct.gen.ts', direct],
  ['linear/packed-embed.gen.ts', embed],
  ['linear/packed-few.gen.ts', few],
  ['linear/packed-pack.gen.ts', pack],
  ['linear/packed-panel.gen.ts', panel],
  ['linear/packed-scales.gen.ts', scales],
  ['linear/vectors.gen.ts', vectors],
  ['linear/packed-small.gen.ts', small],
  ['linear/packed-tile.gen.ts', tile],
  ['linear/packed-wide.gen.ts', wide],
  ['linear/panels.gen.ts', panels],
  ['linear/shapes.gen.ts', shapes],
];

/** Names that files for templates' use export, and where from. */
function exportsOf(files: ReadonlyMap<string, string>): Map<string, string> {
  const exports = new Map<string, string>();
  for (const [path, text] of files) {
    if (!/^(attention|common|linear)\//.test(path)) continue;
    for (const [, name] of text.matchAll(/^(?:@\w+ )?export (?:function|const|let|class) (\w+)/gm))
      exports.set(name!, exports.has(name!) ? `${exports.get(name!)} and ${path}` : path);
  }
  return exports;
}

/** The imports of a template's text: what it names, does not declare, and another file exports. */
function importsOf(text: string, exports: ReadonlyMap<string, string>): string {
  const code = text.replace(/\/\/.*|\/\*[\s\S]*?\*\//g, '');
  const own = new Set([...code.matchAll(/\b(?:function|const|let|class) (\w+)|(\w+):/g)].map(([, a, b]) => a ?? b));
  const used = new Map<string, Set<string>>();
  for (const [name] of code.matchAll(/(?<!\.)\b[a-zA-Z]\w*/g)) {
    const from = exports.get(name);
    if (!own.has(name) && from?.includes(' and '))
      throw new Error(`kernels: a template names ${name}, which ${from} export`);
    if (from !== undefined && !own.has(name)) used.set(from, (used.get(from) ?? new Set()).add(name));
  }
  return [...used]
    .map(([from, names]) => `import { ${[...names].join(', ')} } from '../${from.slice(0, -3)}';`)
    .join('\n');
}

/** Writes what changed, removes what has no source any more; returns the files' texts by their paths. */
export function expandKernels(): ReadonlyMap<string, string> {
  const files = new Map(GENERATED);
  const sources = globSync('{index.ts,{attention,common,delta,experts,linear,mamba,training}/**/*.ts}', {
    cwd: kernels,
  });
  for (const path of sources.map((path) => path.replaceAll('\\', '/')).sort())
    if (!path.endsWith('.gen.ts')) files.set(path, decorated(read(path)));
  const exports = exportsOf(files);
  for (const [path, text] of GENERATED)
    if (path.endsWith('.gen.ts')) files.set(path, `${importsOf(text, exports)}\n${text}`);
  mkdirSync(generated, { recursive: true });
  const present = new Set(globSync('**/*.ts', { cwd: generated }).map((path) => path.replaceAll('\\', '/')));
  for (const path of present) if (!files.has(path)) rmSync(join(generated, path));
  for (const [path, text] of files) {
    const file = join(generated, path);
    if (present.has(path) && readFileSync(file, 'utf8') === text) continue;
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  return files;
}
