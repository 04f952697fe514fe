// Runs a TypeScript file of this project with a Node that can execute it. Plain JavaScript on purpose:
// this file is what an older Node (20 and up) starts with. Use: node scripts/with-node.mjs FILE [args…]
//
// The running Node is used when it can strip types and read .ts files (22.18 or later). Otherwise a plain Node
// binary from the npm registry is placed once in .tools/ (exact version, no install script) and used from there.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const NODE_VERSION = '24.21.0';
const root = dirname(dirname(fileURLToPath(import.meta.url)));

const runsTypeScript = () => {
  const [major, minor] = process.versions.node.split('.').map(Number);
  return Boolean(process.features.typescript) && (major > 22 || (major === 22 && minor >= 18));
};

function bundledNode() {
  const platform = { linux: 'linux', darwin: 'darwin', win32: 'win' }[process.platform];
  const name = `node-${platform}-${process.arch}`;
  const folder = join(root, '.tools');
  const binary = join(folder, 'node_modules', name, 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
  if (existsSync(binary)) return binary;
  process.stderr.write(
    `Node ${process.versions.node} cannot run TypeScript sources; fetching ${name}@${NODE_VERSION} into .tools/ (once) …\n`,
  );
  mkdirSync(folder, { recursive: true });
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const args = ['install', '--prefix', folder, '--no-save', '--no-package-lock', '--ignore-scripts', '--silent', `${name}@${NODE_VERSION}`];
  const done = spawnSync(npm, args, { stdio: ['ignore', 'inherit', 'inherit'], shell: process.platform === 'win32' });
  if (done.status !== 0 || !existsSync(binary)) {
    process.stderr.write(
      `Could not install ${name}@${NODE_VERSION}. Install Node 22.18 or later (24 is best) yourself and run the command again.\n`,
    );
    process.exit(1);
  }
  return binary;
}

/** The Node executable to use, installed on first need. */
export const findNode = () => (runsTypeScript() ? process.execPath : bundledNode());

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const node = findNode();
  const path = `${dirname(node)}${process.platform === 'win32' ? ';' : ':'}${process.env.PATH ?? ''}`;
  const result = spawnSync(node, process.argv.slice(2), { stdio: 'inherit', env: { ...process.env, PATH: path } });
  if (result.signal) process.kill(process.pid, result.signal);
  process.exit(result.status ?? 1);
}
