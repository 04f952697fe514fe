// The examples run as their readers run them, and the README shows the first one as it is.
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

const root = join(import.meta.dirname, '..');
const path = (name: string): string => join(root, 'examples', `${name}.ts`);

async function run(name: string, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [path(name), ...args], { cwd: root });
  return stdout;
}

test('the README shows examples/passage.ts', () => {
  const [, code] = readFileSync(path('passage'), 'utf8').split(/^\/\/.*\n/);
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  assert.ok(
    readme.includes(`\`\`\`ts\n${code}\`\`\``),
    'README.md: expected the code of examples/passage.ts',
  );
});

test('passage: 60 tokens of text', async () => {
  const lines = (await run('passage')).trimEnd().split('\n');
  assert.match(lines.pop()!, /^60 tokens, \d+ per second$/);
  assert.ok(lines.join(' ').split(' ').length > 15, lines.join(' '));
});

test('fork-and-save: three continuations that differ, one session restored', async () => {
  const [first, second, third, last] = (await run('fork-and-save')).trimEnd().split('\n');
  assert.equal(new Set([first, second, third].map((line) => line!.slice(2))).size, 3);
  const [, position, reused] = /^restored at position (\d+): (\d+) tokens were not read again$/.exec(last!)!;
  assert.equal(reused, position);
});

test('search: the passages nearest to a query, the nearest first', async () => {
  const lines = (await run('search', 'fixtures/embedders/static', 'README.md', 'marimba'))
    .trimEnd()
    .split('\n');
  const cosines = lines.map((line) => Number(line.slice(0, 6)));
  assert.equal(cosines.length, 3);
  assert.deepEqual(
    cosines,
    cosines.toSorted((a, b) => b - a),
  );
});

test('text-stream: two requests at once, each with an answer', async () => {
  const server: ChildProcess = spawn(process.execPath, [path('text-stream'), '0'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const [line] = (await once(server.stdout!, 'data')) as [Buffer];
    const ask = async (body: string) =>
      (await fetch(line.toString().trim(), { method: 'POST', body })).text();
    const answers = await Promise.all([ask('Abraham Lincoln, 1862'), ask('George Washington, 1790')]);
    for (const answer of answers) assert.ok(answer.split(' ').length > 15, answer);
  } finally {
    server.kill();
    await once(server, 'exit');
  }
});
