// The other side of each check: Python (transformers, Jinja2) and the programs of llama.cpp, where they
// are. PYTHON names an interpreter that has torch, transformers, accelerate, gguf and jinja2; LLAMA_BIN
// the folder of llama.cpp's programs.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

export const python = (): string | null => process.env.PYTHON || null;

/** The path of one of llama.cpp's programs; null when there is none. */
export function llamaProgram(name: string): string | null {
  const folder = process.env.LLAMA_BIN;
  const path = folder ? join(folder, name) : '';
  return path && existsSync(path) ? path : null;
}

export function run(
  command: string,
  args: readonly string[],
  input = '',
): Promise<{ stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (data) => (stdout += data));
    child.stderr.on('data', (data) => (stderr += data));
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve({ stdout, stderr });
      else
        reject(
          new Error(`${command} ended with ${code}: ${stderr.trim().split('\n').slice(-4).join(' | ')}`),
        );
    });
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}

/** Asks bench/real/reference.py. */
export async function reference<Answer>(task: string, fields: object): Promise<Answer> {
  const script = join(import.meta.dirname, 'reference.py');
  const { stdout } = await run(python()!, [script], JSON.stringify({ task, ...fields }));
  const line = stdout.split('\n').findLast((text) => text.startsWith('@answer '));
  return JSON.parse(line!.slice('@answer '.length)) as Answer;
}

/** Greedy tokens after a prompt, by llama-server. */
export async function llamaGreedy(
  model: string,
  prompt: readonly number[],
  count: number,
  threads: number,
): Promise<number[]> {
  const port = await freePort();
  const args = [
    '-m',
    model,
    '-t',
    `${threads}`,
    '-c',
    `${prompt.length + count + 64}`,
    '--port',
    `${port}`,
    '-ngl',
    '0',
  ];
  const server = spawn(llamaProgram('llama-server')!, args, { stdio: 'ignore' });
  try {
    await ready(port, server);
    const body = {
      prompt,
      n_predict: count,
      temperature: 0,
      top_k: 1,
      return_tokens: true,
      ignore_eos: true,
      cache_prompt: false,
    };
    const response = await fetch(`http://127.0.0.1:${port}/completion`, {
      method: 'POST',
      body: JSON.stringify(body),
    });
    const { tokens } = (await response.json()) as { tokens: number[] };
    return tokens;
  } finally {
    server.kill();
  }
}

async function ready(port: number, server: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt++) {
    if (server.exitCode !== null) throw new Error(`llama-server ended with ${server.exitCode}`);
    const answer = await fetch(`http://127.0.0.1:${port}/health`).catch(() => null);
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error('llama-server did not become ready within two minutes');
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });
}
