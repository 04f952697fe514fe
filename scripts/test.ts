// Runs every test: `npm test`, or `npm test -- PATH…` for some files. Builds the kernels first when they are
// stale.
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { buildKernels } from './build-kernels.ts';

await buildKernels();
const named = process.argv.slice(2).filter((arg) => !arg.startsWith('--'));
const flags = process.argv.slice(2).filter((arg) => arg.startsWith('--'));
const files = named.length
  ? named
  : globSync([
      'packages/*/src/**/*.test.ts',
      'packages/*/test/**/*.test.ts',
      'test/**/*.test.ts',
      'scripts/**/*.test.ts',
      'bench/*.test.ts',
      'recipes/*/*.test.ts',
    ]).sort();
const result = spawnSync(process.execPath, ['--test', '--test-concurrency=2', ...flags, ...files], {
  stdio: 'inherit',
  // Command lines that tests start need not look again: a fifth of the processor time of each.
  env: { ...process.env, MARIMBA_KERNELS_BUILT: '1' },
});
process.exit(result.status ?? 1);
