// `npm run check`: everything that is held without running the models: types, lint and format, import rules,
// unused code, and the packages as they would be published. Prints one line a step; a step that fails shows
// its output. `npm run check -- WORD` runs only the steps whose name contains the word (types, lint, import,
// public, unused, kernels, publint, installed).
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BuiltPackage, build } from './build.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const bin = (name: string): string => join(root, 'node_modules/.bin', name);

interface Step {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  /** Takes minutes, and says on stderr how far it is. */
  readonly slow?: boolean;
}

function run({ name, command, args, cwd = root, slow = false }: Step): boolean {
  const began = performance.now();
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
    stdio: ['ignore', 'pipe', slow ? 'inherit' : 'pipe'],
  });
  const passed = status === 0;
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  process.stdout.write(`${passed ? '✓' : '✗'} ${name} (${seconds} s)\n`);
  if (!passed) process.stdout.write(`${error ? `${error.message}\n` : ''}${stdout}${stderr ?? ''}\n`);
  return passed;
}

const SOURCE_STEPS: readonly Step[] = [
  { name: 'types', command: bin('tsc'), args: ['-p', 'tsconfig.json'] },
  {
    name: 'types, engine on the web',
    command: bin('tsc'),
    args: ['-p', 'packages/engine/tsconfig.web.json'],
  },
  { name: 'lint and format', command: bin('biome'), args: ['check', '--error-on-warnings', '.'] },
  {
    name: 'import rules',
    command: process.execPath,
    args: ['--test', 'test/imports.test.ts', 'test/entries.test.ts'],
  },
  {
    name: 'public surface and its docstrings (npm run api)',
    command: process.execPath,
    args: ['scripts/api.ts', '--check'],
  },
  { name: 'unused code', command: bin('knip'), args: ['--no-progress'] },
  {
    name: 'kernels are what their sources compile to',
    command: process.execPath,
    args: ['scripts/build-kernels.ts', '--check'],
    slow: true,
  },
];

/** As a user would have them: the built packages in a folder of their own, away from the sources. */
function installedCopy(packages: readonly BuiltPackage[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'marimba-check-'));
  const modules = join(folder, 'node_modules');
  mkdirSync(modules);
  const own = new Set(packages.map(({ name }) => name));
  for (const name of readdirSync(join(root, 'node_modules')))
    if (!name.startsWith('.') && !own.has(name) && name !== '@marimba')
      symlinkSync(join(root, 'node_modules', name), join(modules, name));
  for (const { name, dist } of packages) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    cpSync(dist, join(modules, name), { recursive: true });
  }
  writePrograms(folder);
  return folder;
}

/** What TypeScript programs need, declarations of packages checked too; the engine's README says the same. */
const PROGRAMS = {
  Node: { lib: ['es2023'], types: ['node'] },
  browsers: { lib: ['es2023', 'dom', 'esnext.disposable'], types: [] },
};

function writePrograms(folder: string): void {
  const program =
    "import { loadModel } from '@marimba/engine';\nexport const load = () => loadModel('model.gguf');\n";
  writeFileSync(join(folder, 'program.mts'), program);
  const common = { target: 'es2023', module: 'nodenext', strict: true, skipLibCheck: false, noEmit: true };
  for (const [platform, own] of Object.entries(PROGRAMS)) {
    const config = { compilerOptions: { ...common, ...own }, files: ['program.mts'] };
    writeFileSync(join(folder, `tsconfig.${platform}.json`), JSON.stringify(config));
  }
}

function packageSteps(packages: readonly BuiltPackage[], installed: string): Step[] {
  const model = join(root, 'fixtures/golden/jamba-dense-mqa');
  const program = join(installed, 'node_modules/marimba/bin/marimba.mjs');
  return [
    ...packages.map(({ name, dist }): Step => {
      return { name: `${name}: publint`, command: bin('publint'), args: ['--strict', '--pack', 'npm', dist] };
    }),
    // Only ESM is published; the command line exports nothing.
    ...packages
      .filter(({ name }) => name !== 'marimba')
      .map(({ name, dist }): Step => {
        const args = ['--pack', dist, '--profile', 'esm-only'];
        return { name: `${name}: types as published`, command: bin('attw'), args };
      }),
    ...Object.keys(PROGRAMS).map((platform): Step => {
      const args = ['-p', join(installed, `tsconfig.${platform}.json`)];
      return { name: `engine, installed: types in programs for ${platform}`, command: bin('tsc'), args };
    }),
    {
      name: 'marimba, installed: --version',
      command: process.execPath,
      args: [program, '--version'],
      cwd: installed,
    },
    {
      name: 'marimba, installed: generate on two threads',
      command: process.execPath,
      args: [program, 'generate', model, '--tokens', '1,2,3', '--max-tokens', '4', '--threads', '2'],
      cwd: installed,
    },
    {
      name: 'marimba, installed: generate with the bundled model',
      command: process.execPath,
      args: [program, 'generate', '--prompt', 'Abraham Lincoln, 1862', '--max-tokens', '4'],
      cwd: installed,
    },
  ];
}

/** The Node that npm runs under, where it is another than this one: packages must mean what their `engines` say. */
function otherNodeSteps(installed: string): Step[] {
  const node = process.env.npm_node_execpath;
  if (!node || node === process.execPath) return [];
  const version = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim();
  if (version === process.version) return [];
  const program = join(installed, 'node_modules/marimba/bin/marimba.mjs');
  const args = [program, 'generate', '--prompt', 'Abraham Lincoln, 1862', '--max-tokens', '4'];
  return [{ name: `marimba, installed: generate with Node ${version}`, command: node, args, cwd: installed }];
}

const wanted = ({ name }: Step): boolean => name.includes(process.argv[2] ?? '');
let passed = true;
for (const step of SOURCE_STEPS.filter(wanted)) passed = run(step) && passed;
if (packageSteps([{ name: '', dist: '' }], '').some(wanted)) {
  const packages = await build();
  const installed = installedCopy(packages);
  try {
    const steps = [...packageSteps(packages, installed), ...otherNodeSteps(installed)];
    for (const step of steps.filter(wanted)) passed = run(step) && passed;
  } finally {
    rmSync(installed, { recursive: true });
  }
}
process.stdout.write(passed ? 'All checks passed.\n' : 'Some checks failed.\n');
process.exitCode = passed ? 0 : 1;
