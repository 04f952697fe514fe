// The chat's editor on a scripted terminal: what is on the screen is what is sent.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { History, historyPath, MOST_ENTRIES } from '../src/chat/history.ts';
import { TerminalReader } from '../src/chat/lines.ts';
import { FakeTerminal } from './fake-terminal.ts';

const folder = mkdtempSync(join(tmpdir(), 'marimba-editor-'));
after(() => rmSync(folder, { recursive: true }));

const ENTER = '\r';
const paste = (text: string): string => `\u001b[200~${text.replaceAll('\n', '\r')}\u001b[201~`;
const [UP, DOWN, RIGHT, LEFT] = ['A', 'B', 'C', 'D'].map((letter) => `\u001b[${letter}`) as [
  string,
  string,
  string,
  string,
];
const CTRL = (letter: string): string => String.fromCharCode(letter.charCodeAt(0) - 96);

function open(columns?: number, rows?: number, history = new History(null)) {
  const terminal = new FakeTerminal(columns, rows);
  const reader = new TerminalReader(terminal.input, terminal.output, history);
  let interrupts = 0;
  reader.onInterrupt(() => interrupts++);
  return { terminal, reader, interrupts: () => interrupts };
}

test('a paste of several lines is one message, and stays on the screen as it is', async () => {
  const { terminal, reader } = open();
  const message = reader.next('› ');
  assert.ok(terminal.raw && terminal.bracketedPaste);
  await terminal.type(paste('first line\nsecond line\nthird line'));
  assert.equal(terminal.screen, '› first line\n  second line\n  third line');
  await terminal.type(ENTER);
  assert.equal(await message, 'first line\nsecond line\nthird line');
  assert.equal(terminal.screen, '› first line\n  second line\n  third line');
  assert.deepEqual(terminal.cursor, { row: 3, column: 0 });
  reader.close();
  assert.ok(!terminal.raw && !terminal.bracketedPaste);
});

test('a paste that is cut anywhere between two reads is the same message', async () => {
  const keys = paste('one\ntwo \u001b[31mred\u0007');
  for (let cut = 1; cut < keys.length; cut++) {
    const { terminal, reader } = open();
    const message = reader.next('› ');
    await terminal.type(keys.slice(0, cut), keys.slice(cut), ENTER);
    // The escape sequence inside is taken apart: at most its printable rest stays, never a control character.
    assert.match((await message) ?? '', /^one\ntwo (\[31m)?red$/, `cut at ${cut}`);
    reader.close();
  }
});

test('keys that are pressed while it answers are shown at the next prompt, can be edited, and are what is sent', async () => {
  const { terminal, reader } = open();
  const first = reader.next('› ');
  await terminal.type('hello', ENTER);
  assert.equal(await first, 'hello');
  await terminal.type('typed early');
  terminal.output.write('an answer\r\n');
  assert.equal(terminal.screen, '› hello\nan answer');
  const second = reader.next('› ');
  assert.equal(terminal.screen, '› hello\nan answer\n› typed early');
  assert.deepEqual(terminal.cursor, { row: 2, column: 13 });
  await terminal.type(CTRL('u'), '/stats');
  assert.equal(terminal.screen, '› hello\nan answer\n› /stats');
  await terminal.type(ENTER);
  assert.equal(await second, '/stats');
  reader.close();
});

test('messages that are sent while it answers follow one after the other, each shown when it is sent', async () => {
  const { terminal, reader } = open();
  await terminal.type('one', ENTER, 'two', ENTER, 'thr');
  assert.equal(terminal.screen, '');
  assert.equal(await reader.next('› '), 'one');
  assert.equal(await reader.next('› '), 'two');
  assert.equal(terminal.screen, '› one\n› two');
  const third = reader.next('› ');
  await terminal.type('ee', ENTER);
  assert.equal(await third, 'three');
  reader.close();
});

test('Ctrl-C clears a line first, and only on an empty one interrupts; while it answers, at once', async () => {
  const { terminal, reader, interrupts } = open();
  const message = reader.next('› ');
  await terminal.type('half a line', CTRL('c'));
  assert.equal(interrupts(), 0);
  assert.equal(terminal.screen, '›');
  await terminal.type('whole', ENTER);
  assert.equal(await message, 'whole');
  await terminal.type('early', CTRL('c'));
  assert.equal(interrupts(), 1);
  void reader.next('› ');
  await terminal.type(CTRL('c'), CTRL('c'));
  assert.equal(interrupts(), 2, 'the first cleared what was typed early');
  reader.close();
});

test('Ctrl-D ends on an empty line only; so does the end of input', async () => {
  const { terminal, reader } = open();
  const message = reader.next('› ');
  await terminal.type('ab', LEFT, CTRL('d'), ENTER);
  assert.equal(await message, 'a');
  const last = reader.next('› ');
  await terminal.type(CTRL('d'));
  assert.equal(await last, null);
  assert.equal(await reader.next('› '), null);
  reader.close();
  const other = open();
  const never = other.reader.next('› ');
  other.terminal.input.emit('end');
  assert.equal(await never, null);
});

test('a backslash before Enter, Alt-Enter and Ctrl-J make another line', async () => {
  const { terminal, reader } = open();
  const message = reader.next('› ');
  await terminal.type('a\\', ENTER, 'b', '\u001b\r', 'c', '\n', 'd');
  assert.equal(terminal.screen, '› a\n  b\n  c\n  d');
  await terminal.type(ENTER);
  assert.equal(await message, 'a\nb\nc\nd');
  reader.close();
});

test('long lines break before the last column and the cursor is where the next character goes', async () => {
  const { terminal, reader } = open(12);
  const message = reader.next('› ');
  await terminal.type('abcdefghijklm');
  assert.equal(terminal.screen, '› abcdefghi\n  jklm');
  assert.deepEqual(terminal.cursor, { row: 1, column: 6 });
  await terminal.type(CTRL('a'), 'X');
  assert.equal(terminal.screen, '› Xabcdefgh\n  ijklm');
  assert.deepEqual(terminal.cursor, { row: 0, column: 3 });
  await terminal.type(RIGHT, CTRL('k'), ENTER);
  assert.equal(await message, 'Xa');
  reader.close();
});

test('wide characters, combined ones and tabs take the columns that they take', async () => {
  const { terminal, reader } = open(12);
  const message = reader.next('› ');
  await terminal.type('日本語');
  assert.deepEqual(terminal.cursor, { row: 0, column: 8 });
  await terminal.type(LEFT, '\u007f', 'e\u0301', '👩‍👧', LEFT, LEFT, '!');
  assert.deepEqual(terminal.cursor, { row: 0, column: 5 });
  await terminal.type(ENTER);
  assert.equal(await message, '日!e\u0301👩‍👧語');
  reader.close();
});

test('a message taller than the screen is shown around the cursor and sent whole', async () => {
  const { terminal, reader } = open(20, 5);
  const lines = Array.from({ length: 30 }, (_, i) => `line ${i}`).join('\n');
  const message = reader.next('› ');
  await terminal.type(paste(lines));
  assert.equal(terminal.screen, '  line 26\n  line 27\n  line 28\n  line 29');
  await terminal.type('!', ENTER);
  assert.equal(await message, `${lines}!`);
  reader.close();
});

test('Up and Down go through lines first, then through earlier messages, and come back to the draft', async () => {
  const history = new History(null);
  for (const text of ['first', 'two\nlines']) history.add(text);
  const { terminal, reader } = open(40, 10, history);
  const message = reader.next('› ');
  await terminal.type('draft', UP);
  assert.equal(terminal.screen, '› two\n  lines');
  await terminal.type(UP, UP);
  assert.equal(terminal.screen, '› first');
  await terminal.type(UP, DOWN, DOWN, DOWN);
  assert.equal(terminal.screen, '› draft');
  await terminal.type(ENTER);
  assert.equal(await message, 'draft');
  reader.close();
});

test('words and lines are removed and brought back', async () => {
  const { terminal, reader } = open();
  const message = reader.next('› ');
  await terminal.type('one two three', CTRL('w'), '\u001bb', CTRL('k'), CTRL('y'), CTRL('y'), ENTER);
  assert.equal(await message, 'one two two ');
  reader.close();
});

test('history outlives the program, in a file for its owner only, without repeats and bounded', () => {
  const path = join(folder, 'state', 'history');
  const first = new History(path);
  for (const text of ['one', 'one', ' ', 'two\nlines']) first.add(text);
  assert.deepEqual(new History(path).entries, ['one', 'two\nlines']);
  if (process.platform !== 'win32') {
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(statSync(join(folder, 'state')).mode & 0o777, 0o700);
  }
  const many = Array.from({ length: MOST_ENTRIES + 5 }, (_, i) => `${JSON.stringify(`m${i}`)}\n`);
  writeFileSync(path, `damaged\n${many.join('')}`);
  const bounded = new History(path);
  assert.equal(bounded.entries.length, MOST_ENTRIES);
  assert.equal(readFileSync(path, 'utf8').split('\n').length - 1, MOST_ENTRIES);
  bounded.add('x'.repeat(20_000));
  assert.equal(bounded.entries.at(-1), `m${MOST_ENTRIES + 4}`);
  const nowhere = new History(join(path, 'below-a-file'));
  nowhere.add('still there');
  assert.deepEqual(nowhere.entries, ['still there']);
});

test('the history is where the platform keeps such files, and can be switched off', () => {
  if (process.platform !== 'win32')
    assert.equal(historyPath({ XDG_STATE_HOME: '/state' }), '/state/marimba/history');
  assert.match(historyPath({}) ?? '', /marimba.history$/);
  assert.equal(historyPath({ MARIMBA_HISTORY: '/else/where' }), '/else/where');
  assert.equal(historyPath({ MARIMBA_HISTORY: '' }), null);
});
