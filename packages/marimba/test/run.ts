// Runs the command line as a user does: a process of its own, its streams and its exit code.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../../', import.meta.url));
export const starter = fileURLToPath(new URL('../bin/marimba.mjs', import.meta.url));

export interface Outcome {
  readonly code: number | null;
  /** What ended the process, when it did not end by itself. */
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function start(args: readonly string[], env: Record<string, string> = {}): ChildProcess {
  return spawn(process.execPath, [starter, ...args], {
    cwd: root,
    env: { ...process.env, NO_COLOR: '1', MARIMBA_HISTORY: '', ...env },
  });
}

export async function finish(child: ChildProcess): Promise<Outcome> {
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (data: Buffer) => (stdout += data));
  child.stderr?.on('data', (data: Buffer) => (stderr += data));
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return { code, signal, stdout, stderr };
}

export function marimba(
  args: readonly string[],
  input = '',
  env: Record<string, string> = {},
): Promise<Outcome> {
  const child = start(args, env);
  child.stdin?.on('error', () => {});
  child.stdin?.end(input);
  return finish(child);
}

export const MODELS = [
  'jamba-dense-mqa',
  'jamba-moe',
  'jamba-period4',
  'jamba-corners',
  'mamba-tiny',
  'llama-tiny',
] as const;

export interface Golden {
  readonly prompts: Record<string, number[]>;
  readonly logits_last: Record<string, number[]>;
  readonly greedy: Record<string, { tokens: number[] }>;
}

export const modelPath = (name: string): string => `fixtures/golden/${name}`;

export const golden = (name: string): Golden =>
  JSON.parse(readFileSync(`${root}/${modelPath(name)}/golden.json`, 'utf8')) as Golden;

/** Floats of a little-endian file. */
export function readFloats(path: string): Float32Array {
  const raw = readFileSync(path);
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  return Float32Array.from({ length: raw.byteLength / 4 }, (_, i) => view.getFloat32(i * 4, true));
}

export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  // NaN must not pass as no difference.
  for (let i = 0; i < a.length; i++)
    largest = Math.max(largest, Number.isNaN(a[i]! - b[i]!) ? Infinity : Math.abs(a[i]! - b[i]!));
  return largest;
}
