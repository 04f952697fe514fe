// `npm run build`: turns each package into plain JavaScript with declarations in its dist/ folder, ready to
// publish from there. tsc compiles file by file, so the tree stays what it was: workers and kernels are found
// by the same relative addresses (`new URL('…', import.meta.url)`) in Node and by bundlers, and nobody's copy
// of a dependency is inlined.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildKernels } from './build-kernels.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

interface Manifest {
  readonly name: string;
  /** Each a source file; under a condition where only that platform may import it. */
  readonly exports?: Record<string, string | Record<string, string>>;
  readonly imports?: Record<string, Record<string, string>>;
  readonly bin?: Record<string, string>;
  readonly dependencies?: Record<string, string>;
  readonly [field: string]: unknown;
}

export interface BuiltPackage {
  readonly name: string;
  /** The folder to publish. */
  readonly dist: string;
}

const readManifest = (folder: string): Manifest =>
  JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;

/** Packages of the workspace that are compiled here, each after those that it depends on. */
function packageFolders(): string[] {
  const folders = globSync('packages/*/package.json', { cwd: root }).map((path) => join(root, path, '..'));
  const published = folders.filter((folder) => existsSync(join(folder, 'src')));
  const names = new Map(published.map((folder) => [readManifest(folder).name, folder]));
  const ordered = new Set<string>();
  const visit = (folder: string) => {
    for (const name of Object.keys(readManifest(folder).dependencies ?? {})) {
      const dependency = names.get(name);
      if (dependency && !ordered.has(dependency)) visit(dependency);
    }
    ordered.add(folder);
  };
  for (const folder of published.sort()) visit(folder);
  return [...ordered];
}

function compile(folder: string, built: readonly BuiltPackage[]): void {
  const dist = join(folder, 'dist');
  mkdirSync(dist, { recursive: true });
  const project = join(folder, 'tsconfig.build.json');
  const config = {
    extends: '../../tsconfig.json',
    compilerOptions: {
      noEmit: false,
      declaration: true,
      rootDir: 'src',
      outDir: 'dist',
      paths: pathsOf(built),
    },
    include: ['src/**/*.ts'],
    exclude: ['**/*.test.ts', '**/*.bench.ts', '**/testing.ts', '**/fake-*.ts', 'src/backends/wasm/kernels'],
  };
  writeFileSync(project, JSON.stringify(config));
  try {
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    const { status } = spawnSync(process.execPath, [tsc, '-p', project], { cwd: folder, stdio: 'inherit' });
    if (status !== 0) throw new Error(`${folder}: expected to compile, tsc ended with exit code ${status}`);
  } finally {
    rmSync(project);
  }
}

/** Other packages are seen through their declarations, so that their sources are not compiled again. */
function pathsOf(built: readonly BuiltPackage[]): Record<string, string[]> {
  const paths: Record<string, string[]> = {};
  for (const { name, dist } of built)
    for (const [subpath, target] of Object.entries(readManifest(dist).exports ?? {}))
      paths[name + subpath.slice(1)] = [join(dist, (target as unknown as { types: string }).types)];
  return paths;
}

/** What tsc leaves alone: endings inside declarations and inside the addresses of workers. */
function finishEndings(dist: string): void {
  for (const file of globSync('**/*.{js,d.ts}', { cwd: dist })) {
    const path = join(dist, file);
    const before = readFileSync(path, 'utf8');
    const after = file.endsWith('.d.ts')
      ? before.replace(/((?:from|import)\s*\(?\s*['"]\.[^'"]*)\.ts(['"])/g, '$1.js$2')
      : before.replace(/(new URL\(['"][^'"]*)\.ts(['"], import\.meta\.url)/g, '$1.js$2');
    if (after !== before) writeFileSync(path, after);
  }
}

const compiled = (path: string): string => path.replace(/^\.\/src\//, './').replace(/\.ts$/, '.js');
const declared = (path: string): string => path.replace(/^\.\/src\//, './').replace(/\.ts$/, '.d.ts');

/** Types first and under no condition: editors and compilers see them on every platform. */
function published(target: string | Record<string, string>): Record<string, string> {
  const conditions = typeof target === 'string' ? { default: target } : target;
  const [first] = Object.values(conditions);
  const paths = Object.entries(conditions).map(([condition, path]) => [condition, compiled(path)]);
  return { types: declared(first!), ...Object.fromEntries(paths) };
}

function writeManifest(folder: string): void {
  const { exports = {}, imports = {}, private: _, devDependencies, scripts, ...rest } = readManifest(folder);
  const manifest = {
    ...rest,
    ...(Object.keys(exports).length
      ? {
          exports: Object.fromEntries(
            Object.entries(exports).map(([subpath, path]) => [subpath, published(path)]),
          ),
        }
      : {}),
    ...(Object.keys(imports).length
      ? {
          imports: Object.fromEntries(
            Object.entries(imports).map(([name, conditions]) => [
              name,
              Object.fromEntries(
                Object.entries(conditions).map(([condition, path]) => [condition, compiled(path)]),
              ),
            ]),
          ),
        }
      : {}),
  };
  writeFileSync(join(folder, 'dist/package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
}

function copyAssets(folder: string): void {
  const dist = join(folder, 'dist');
  for (const file of globSync('src/**/*.wasm', { cwd: folder }))
    cpSync(join(folder, file), join(dist, file.slice('src/'.length)));
  for (const assets of ['bin', 'model'])
    if (existsSync(join(folder, assets)))
      cpSync(join(folder, assets), join(dist, assets), { recursive: true });
  cpSync(join(folder, 'README.md'), join(dist, 'README.md'));
  cpSync(join(root, 'LICENSE'), join(dist, 'LICENSE'));
}

export async function build(): Promise<BuiltPackage[]> {
  await buildKernels();
  const built: BuiltPackage[] = [];
  for (const folder of packageFolders()) {
    const dist = join(folder, 'dist');
    rmSync(dist, { recursive: true, force: true });
    compile(folder, built);
    finishEndings(dist);
    copyAssets(folder);
    writeManifest(folder);
    built.push({ name: readManifest(folder).name, dist });
  }
  return built;
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  for (const { name, dist } of await build()) process.stdout.write(`${name}  ${dist.slice(root.length)}\n`);
