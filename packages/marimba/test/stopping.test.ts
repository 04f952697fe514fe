// How commands end early: Ctrl-C, pipes that close, the end of input.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { finish, marimba, modelPath, start } from './run.ts';

const MODEL = modelPath('jamba-dense-mqa');
const ENDLESS = ['generate', MODEL, '--tokens', '1,2,3', '--max-tokens', '4000', '--ignore-eos'];

for (const backend of ['wasm', 'reference']) {
  test(`Ctrl-C ends generation on ${backend}, keeps what is there, exit code 130`, async () => {
    const child = start([...ENDLESS, '--backend', backend]);
    const outcome = finish(child);
    await once(child.stdout!, 'data');
    child.kill('SIGINT');
    const { code, stdout, stderr } = await outcome;
    assert.equal(code, 130, stderr);
    assert.match(stdout, /^\d+( \d+)*\n$/);
    assert.equal(stderr, '');
  });
}

test('with --json, Ctrl-C still prints the object', async () => {
  // Nothing is printed before the end, so a signal may come before the first token: then the next try waits
  // twice as long.
  for (let wait = 500; ; wait *= 2) {
    const child = start([...ENDLESS, '--json', '--backend', 'reference']);
    const outcome = finish(child);
    const timer = setTimeout(() => child.kill('SIGINT'), wait);
    const { code, signal, stdout } = await outcome;
    clearTimeout(timer);
    if (stdout === '') {
      assert.ok(code === 130 || signal === 'SIGINT', `code ${code}, signal ${signal}`);
      continue;
    }
    assert.equal(code, 130);
    const { finishReason, tokens } = JSON.parse(stdout) as { finishReason: string; tokens: number[] };
    assert.equal(finishReason, 'abort');
    if (tokens.length) return;
  }
});

test('a reader that stops reading is no error', async () => {
  const child = start(ENDLESS);
  const outcome = finish(child);
  await once(child.stdout!, 'data');
  child.stdout!.destroy();
  const { code, stderr } = await outcome;
  assert.equal(code, 0, stderr);
  assert.equal(stderr, '');
});

test('chat answers lines from a pipe, saves, loads and rewinds', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'marimba-'));
  try {
    const file = join(folder, 'chat.state');
    const flags = [MODEL, '--max-tokens', '6', '--ignore-eos', '--temperature', '0'];
    const first = await marimba(['chat', ...flags], `1 2 3\n/save ${file}\n4 5\n`);
    assert.equal(first.code, 0, first.stderr);
    const answers = first.stdout.split('\n').filter((line) => /^[\d ]+$/.test(line));
    assert.equal(answers.length, 2);
    const second = await marimba(['chat', ...flags], `/load ${file}\n4 5\n/regenerate\n/rewind\n4 5\n`);
    assert.equal(second.code, 0, second.stderr);
    const again = second.stdout.split('\n').filter((line) => /^[\d ]+$/.test(line));
    assert.deepEqual(again, [answers[1], answers[1], answers[1]]);
    const foreign = await marimba(['chat', modelPath('jamba-moe')], `/load ${file}\n`);
    assert.equal(foreign.code, 1);
    assert.match(foreign.stderr, /^error: .*expected/);
    const saved = readFileSync(file);
    for (const [bytes, error] of [
      [saved.subarray(0, 3), /another kind of file/],
      [saved.subarray(0, 15), /cut short/],
      [saved.subarray(0, 40), /cut short/],
      [Buffer.from(saved.toString('latin1').replace('"turns"', '"turms"'), 'latin1'), /checksum/],
      [saved.subarray(0, -1), /error: .*saved session/],
    ] as const) {
      writeFileSync(file, bytes);
      const { code, stderr } = await marimba(['chat', MODEL], `/load ${file}\n`);
      assert.equal(code, 1);
      assert.match(stderr, error);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('chat in a pipe: // sends a slash, a backslash continues a line', async () => {
  const bundled = ['chat', '--max-tokens', '1', '--seed', '1'];
  const { code, stdout, stderr } = await marimba(bundled, '//usr is a folder\n/stats\n');
  assert.equal(code, 0, stderr);
  assert.match(stdout, /context {3}[1-9]/);
  const ids = await marimba(['chat', MODEL, '--max-tokens', '1'], '1 2\\\n3\n/rewind\n');
  assert.equal(ids.code, 0, ids.stderr);
  assert.match(ids.stdout, /0 turns left\n$/);
});

test('a mistake in piped chat input fails', async () => {
  assert.equal((await marimba(['chat', MODEL], '/nothing\n')).code, 2);
  const none = await marimba(['chat', MODEL], '/rewind 3\n');
  assert.equal(none.code, 2);
  assert.match(none.stderr, /no turn to take back yet/);
  for (const wrong of ['abc', '2', '0', '1.5']) {
    const { code, stderr } = await marimba(['chat', MODEL, '--max-tokens', '1'], `1 2\n/rewind ${wrong}\n`);
    assert.equal(code, 2);
    assert.match(stderr, new RegExp(`/rewind: expected 1, the only turn, found ${wrong}`));
  }
  assert.equal((await marimba(['chat', MODEL], '/exit\n/nothing\n')).code, 0);
});
