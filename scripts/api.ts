// `npm run api`: writes the public surface of each published entry to a text file beside its package, and
// lists what has no docstring. With `--check` nothing is written: a surface that differs, and any missing
// docstring, is an error.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Declarations, describe, undocumented } from './api/surface.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * Entries that applications use. The others are for the workspace's own packages and may change any day; the
 * command line exports nothing.
 */
const ENTRIES = [
  {
    name: '@marimba/engine',
    declarations: 'engine/src/index.d.ts',
    report: 'packages/engine/api.txt',
  },
  {
    name: '@marimba/lab',
    declarations: 'lab/src/index.d.ts',
    report: 'packages/lab/api.txt',
  },
] as const;

/** Declarations of all packages, in a folder of their own. */
function emitDeclarations(folder: string): void {
  const project = join(folder, 'tsconfig.json');
  // Where tsc looks for @types/node from.
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  const config = {
    extends: join(root, 'tsconfig.json'),
    compilerOptions: {
      noEmit: false,
      declaration: true,
      emitDeclarationOnly: true,
      rootDir: join(root, 'packages'),
      outDir: folder,
    },
    include: ['engine', 'lab'].map((name) => join(root, 'packages', name, 'src/**/*.ts')),
    exclude: ['**/*.test.ts', '**/*.bench.ts', join(root, 'packages/engine/src/backends/wasm/kernels')],
  };
  writeFileSync(project, JSON.stringify(config));
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const { status } = spawnSync(process.execPath, [tsc, '-p', project], { stdio: 'inherit' });
  if (status !== 0) throw new Error(`api: expected declarations, tsc ended with exit code ${status}`);
}

const firstDifference = (before: string, after: string): string => {
  const [old, now] = [before.split('\n'), after.split('\n')];
  const at = now.findIndex((line, i) => line !== old[i]);
  return `line ${at + 1}: checked in "${old[at] ?? ''}", now "${now[at] ?? ''}"`;
};

const check = process.argv.includes('--check');
const folder = mkdtempSync(join(tmpdir(), 'marimba-api-'));
try {
  emitDeclarations(folder);
  const all = new Declarations();
  for (const { name, declarations, report } of ENTRIES) {
    const surface = all.surfaceOf(join(folder, declarations));
    const text = describe(name, surface);
    const path = join(root, report);
    const before = existsSync(path) ? readFileSync(path, 'utf8') : '';
    if (!check) writeFileSync(path, text);
    else if (before !== text) {
      process.stdout.write(
        `${report} differs from the sources: ${firstDifference(before, text)}. If meant: npm run api\n`,
      );
      process.exitCode = 1;
    }
    const missing = undocumented(surface);
    const members = [...surface.values()].reduce((sum, one) => sum + 1 + one.members.length, 0);
    process.stdout.write(
      `${name}: ${surface.size} names, ${members} members, ${missing.length} without a docstring\n`,
    );
    if (missing.length === 0) continue;
    for (const member of missing) process.stdout.write(`  ${member}\n`);
    if (check) process.exitCode = 1;
  }
} finally {
  rmSync(folder, { recursive: true });
}
