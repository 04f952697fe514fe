// How the command line treats people: help, exit codes, messages.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createProgram } from '../src/program.ts';
import { finish, marimba, modelPath, root, starter } from './run.ts';

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

test('--version prints the package’s version, however it is spelled', async () => {
  for (const spelling of ['--version', '-V', 'version']) {
    const { code, stdout } = await marimba([spelling]);
    assert.equal(code, 0);
    assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
  }
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
  ['text without a tokenizer', ['generate', MODEL, '--prompt', 'hello'], /has no tokenizer: pass token ids/],
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
    /expected a model's file or folder, or a hub name such as owner\/name/,
  ],
  ['a name for plan', ['inspect', 'jamba-3b'], /a name for "marimba plan"\. The model itself is ai21labs\//],
  ['a text as MODEL', ['generate', 'Once upon a time'], /generate --prompt "Once upon a time"/],
  ['an empty prompt', ['generate', '--prompt', ''], /expected a prompt, found an empty one.*standard input/],
  [
    'nothing to compute',
    ['logits', '--prompt', ''],
    /expected a prompt, found an empty one.*Give --prompt, or/,
  ],
  ['help for no command', ['help', 'nosuch'], /unknown command 'nosuch'/],
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

test('files that the operating system refuses are reported as all others', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'marimba-'));
  try {
    const missing = join(folder, 'none', 'file');
    const cases: readonly (readonly [string[], string, RegExp])[] = [
      [
        ['generate', MODEL, '--file', join(folder, 'nosuch')],
        '',
        /nosuch: expected a file, found nothing there/,
      ],
      [
        ['quantize', MODEL, join(folder, 'never.gguf'), '--type', 'q4_0', '--text', join(folder, 'nosuch')],
        '',
        /nosuch: expected a file, found nothing there/,
      ],
      [['grammar', 'check', '--schema', missing, '--json'], '', /file: expected a folder .*none, found none/],
      [
        ['logits', MODEL, '--tokens', '1', '--output', missing],
        '',
        /file: expected a folder .*none, found none/,
      ],
      [['plan', '--no-speed', '--svg', missing], '', /file: expected a folder .*none, found none/],
      [['chat', MODEL], `/load ${missing}\n`, /expected a readable file, found no such file .*none/],
      [['chat', MODEL], `1 2\n/save ${missing}\n`, /file: expected a folder .*none, found none/],
      [['chat', MODEL, '--system-file', folder], '', /marimba-\w+: expected a file, found a folder/],
    ];
    for (const [args, input, message] of cases) {
      const { code, stderr } = await marimba(args, input);
      assert.equal(code, 1, `${args}: ${stderr}`);
      assert.match(stderr, message);
      assert.doesNotMatch(stderr, /ENOENT|partial|\n\s+at /);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('output that has no place to go fails in one line', { skip: !existsSync('/dev/full') }, async () => {
  const full = openSync('/dev/full', 'w');
  const child = spawn(process.execPath, [starter, 'inspect', MODEL], {
    cwd: root,
    stdio: ['ignore', full, 'pipe'],
  });
  const { code, stderr } = await finish(child);
  assert.equal(code, 1);
  assert.match(stderr, /^error: expected room on the disk, found it full\n$/);
});

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
