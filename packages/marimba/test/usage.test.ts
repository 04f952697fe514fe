// How the command line treats people: help, exit codes, messages.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createProgram } from '../src/program.ts';
import { marimba, modelPath } from './run.ts';

const MODEL = modelPath('jamba-dense-mqa');

test('--help names every command and exits with 0', async () => {
  const { code, stdout } = await marimba(['--help']);
  assert.equal(code, 0);
  for (const { name } of createProgram().commands.map((command) => ({ name: command.name() })))
    assert.match(stdout, new RegExp(`^  ${name} `, 'm'));
  assert.match(stdout, /Examples:/);
});

test('every command has help with examples, and its options end up in a group', () => {
  const program = createProgram();
  for (const command of program.commands) {
    let text = '';
    command.configureOutput({ writeOut: (part) => (text += part) });
    assert.throws(() => command.outputHelp() ?? command.parse(['--help'], { from: 'user' }), {
      code: 'commander.helpDisplayed',
    });
    assert.match(text, new RegExp(`^Usage: marimba ${command.name()} `));
    assert.match(text, /Examples:/, command.name());
    assert.ok(command.description().length > 20, command.name());
  }
});

test('--version prints the package’s version', async () => {
  const { code, stdout } = await marimba(['--version']);
  assert.equal(code, 0);
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
});

const WRONG: readonly (readonly [string, string[], RegExp])[] = [
  ['no model to quantise', ['quantize', '--type', 'q8_0'], /missing required argument 'IN'/],
  ['an unknown command', ['inspct'], /unknown command 'inspct'\n\(Did you mean inspect\?\)/],
  ['an unknown option', ['inspect', MODEL, '--colour'], /unknown option '--colour'/],
  [
    'a choice that does not exist',
    ['generate', MODEL, '--cache-type', 'f8'],
    /Allowed choices are f32, f16, q8/,
  ],
  [
    'no number',
    ['generate', MODEL, '--tokens', '1', '--threads', 'two'],
    /Expected a whole number from 1 to 64/,
  ],
  ['bad token ids', ['generate', MODEL, '--tokens', '1,x'], /Expected token ids/],
  [
    'a token outside the vocabulary',
    ['generate', MODEL, '--tokens', '999999'],
    /from 0 to 255, found 999999/,
  ],
  ['text without a tokenizer', ['generate', MODEL, '--prompt', 'hello'], /expected a model with a tokenizer/],
  [
    'two prompts',
    ['generate', MODEL, '--prompt', 'a', '--tokens', '1'],
    /expected one of --prompt, --file and --tokens/,
  ],
  ['neither tokens nor prompt', ['logits', MODEL], /expected --tokens or --prompt/],
  ['--all without a file', ['logits', MODEL, '--tokens', '1', '--all'], /--all: expected --output/],
  [
    'a model name that is none',
    ['plan', 'jamba-9b', '--no-speed'],
    /expected a path, owner\/name, or one of jamba-3b/,
  ],
  ['pull without a name', ['pull'], /expected the name of a model, or --list/],
];

for (const [what, args, message] of WRONG) {
  test(`wrong usage, ${what}: exit code 2`, async () => {
    const { code, stdout, stderr } = await marimba(args);
    assert.equal(code, 2, stderr);
    assert.match(stderr, /^error: /);
    assert.match(stderr, message);
    assert.equal(stdout, '');
  });
}

test('a file that cannot be read: exit code 1 and a message without a stack', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'marimba-'));
  try {
    writeFileSync(join(folder, 'bad.gguf'), 'GGUX this is no model');
    const cases = [join(folder, 'bad.gguf'), join(folder, 'missing.gguf'), folder];
    for (const path of cases) {
      const { code, stderr } = await marimba(['inspect', path]);
      assert.equal(code, 1, stderr);
      assert.match(stderr, /^error: .*expected .*found/);
      assert.doesNotMatch(stderr, /\n\s+at /);
    }
    const debugging = await marimba(['inspect', cases[0]!], '', { MARIMBA_DEBUG: '1' });
    assert.equal(debugging.code, 1);
    assert.match(debugging.stderr, /\n\s+at /);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
