// Runs a TypeScript file of this project with a Node that can execute it. Plain JavaScript on purpose:
// this file is what an older Node (20 and up) starts with. Use: node scripts/with-node.mjs FILE [args…]
//
// The running Node is used when it can strip types and read .ts files (22.18 or later). Otherwise a plain Node
// binary from the npm registry is placed once in .tools/ (exact version, no install script) and used from there.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, realpathSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const NODE_VERSION = '24.21.0';
const root = dirname(dirname(fileURLToPath(import.meta.url)));

export const runsTypeScript = () => {
  const [major, minor] = process.versions.node.split('.').map(Number);
  return Boolean(process.features.typescript) && (major > 22 || (major === 22 && minor >= 18));
};

function bundledNode() {
  const platform = { linux: 'linux', darwin: 'darwin', win32: 'win' }[process.platform];
  const name = `node-${platform}-${process.arch}`;
  const folder = join(root, '.tools');
  const file = process.platform === 'win32' ? 'node.exe' : 'node';
  const binary = join(folder, 'node_modules', name, 'bin', file);
  if (existsSync(binary)) return binary;
  process.stderr.write(
    `Node ${process.versions.node} cannot run TypeScript sources; fetching ${name}@${NODE_VERSION} into .tools/ (once) …\n`,
  );
  mkdirSync(folder, { recursive: true });
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const flags = ['--no-save', '--no-package-lock', '--ignore-scripts', '--silent'];
  const args = ['install', '--prefix', folder, ...flags, `${name}@${NODE_VERSION}`];
  const done = spawnSync(npm, args, {
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
  });
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

/**
 * Runs Node with these arguments on this process's terminal and ends as it ends: same exit code, same signal. A
 * terminal sends Ctrl-C to both; without one, signals that arrive here are passed on.
 */
export function runNode(args) {
  const node = findNode();
  const path = `${dirname(node)}${delimiter}${process.env.PATH ?? ''}`;
  // Sources are stripped of their types once, not by each process and thread: half a second of each.
  const cache = process.env.NODE_COMPILE_CACHE ?? join(root, '.tools', 'compile-cache');
  const env = { ...process.env, PATH: path, NODE_COMPILE_CACHE: cache };
  const child = spawn(node, args, { stdio: 'inherit', env });
  const onTerminal = [process.stdin, process.stdout, process.stderr].some((stream) => stream.isTTY);
  process.on('SIGINT', () => onTerminal || child.kill('SIGINT'));
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    process.stderr.write(`${node}: ${error.message}\n`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url))
  runNode(process.argv.slice(2));
