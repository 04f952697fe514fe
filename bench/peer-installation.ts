// The peers live in bench/node_modules, from bench/package-lock.json; the project's own `npm ci` never
// fetches them.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const PEERS = [
  'node-llama-cpp',
  '@wllama/wllama',
  '@huggingface/transformers',
  '@mlc-ai/web-xgrammar',
] as const;
type Peer = (typeof PEERS)[number];

export const isPeerInstalled = (name: Peer): boolean =>
  existsSync(join(import.meta.dirname, 'node_modules', name, 'package.json'));

/**
 * Installs the locked peers where one that is needed is missing. Their install scripts (which would compile
 * llama.cpp) are not run. Not `npm ci`: it refuses a lock that leaves out binaries of other platforms, which
 * not every registry has. The lock is read, not written.
 */
export function installPeers(needed: readonly Peer[] = PEERS): void {
  if (needed.every(isPeerInstalled)) return;
  process.stderr.write('Installing the peers into bench/node_modules (once; about 1.2 GB) …\n');
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const done = spawnSync(npm, ['install', '--no-save', '--ignore-scripts'], {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
  });
  if (done.status !== 0) throw new Error('bench: installing the peers failed; see the messages of npm above');
}
