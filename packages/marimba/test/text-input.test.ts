// Texts from files and pipes: marks dropped, UTF-16 read, everything else refused with the offset.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { UsageError } from '@marimba/engine';
import { decodeText, readTextFile } from '../src/text-input.ts';
import { marimba } from './run.ts';

const folder = mkdtempSync(join(tmpdir(), 'marimba-text-'));
after(() => rmSync(folder, { recursive: true }));
const TEXT = 'Ein Café, 12 €, 😀\r\n';

test('a byte order mark is dropped, and says which encoding follows', () => {
  const utf16 = Buffer.from(`\ufeff${TEXT}`, 'utf16le');
  for (const bytes of [Buffer.from(TEXT), Buffer.from(`\ufeff${TEXT}`), utf16, Buffer.from(utf16).swap16()])
    assert.equal(decodeText(bytes, 'x'), TEXT);
  for (const text of ['', 'a', 'ab\0d', '\0\0\0\0']) assert.equal(decodeText(Buffer.from(text), 'x'), text);
});

test('bytes that are no text are refused with the offset of the first', () => {
  for (const [bytes, found] of [
    [Buffer.from('Un café', 'latin1'), /x: expected text in UTF-8, found 0xe9 at byte 6\. Convert it/],
    [Buffer.from('Un café, mais', 'latin1'), /0xe9 at byte 6/],
    [Buffer.from([0x61, 0x80, 0x62]), /0x80 at byte 1/],
    [Buffer.from([0x61, 0xe2, 0x82, 0x62]), /0xe2 at byte 1/],
    [Buffer.concat([Buffer.from('é'), Buffer.from([0xff])]), /0xff at byte 2/],
    [Buffer.from([0xff, 0xfe, 0x61]), /expected text in UTF-16LE/],
    [Buffer.from('Lincoln', 'utf16le'), /found text in UTF-16 without a byte order mark\. Convert/],
    [Buffer.from('Lincoln', 'utf16le').swap16(), /found text in UTF-16 without a byte order mark/],
  ] as const)
    assert.throws(
      () => decodeText(bytes, 'x'),
      (error: unknown) => error instanceof UsageError && found.test(error.message),
    );
  assert.throws(() => readTextFile(join(folder, 'none'), '--file'), {
    code: 'ENOENT',
    path: join(folder, 'none'),
  });
  assert.throws(() => readTextFile(folder, '--file'), { code: 'EISDIR', path: folder });
});

test('prompts with a mark are read as those without, from files and pipes; chat reads its lines so too', async () => {
  const flags = ['--json', '--temperature', '0', '--max-tokens', '2'];
  const tokensOf = ({ stdout }: { stdout: string }) => JSON.parse(stdout).usage.promptTokens as number;
  const write = (name: string, content: string | Buffer) => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  const plain = await marimba(['generate', '--prompt', 'Lincoln, 1862', ...flags]);
  const file = await marimba(['generate', '--file', write('bom', '\ufeffLincoln, 1862'), ...flags]);
  const piped = await marimba(['generate', ...flags], '\ufeffLincoln, 1862');
  assert.deepEqual([tokensOf(file), tokensOf(piped)], [tokensOf(plain), tokensOf(plain)]);

  const wrong = write('latin1', Buffer.from('Un café', 'latin1'));
  const refused = await marimba(['generate', '--file', wrong, ...flags]);
  assert.notEqual(refused.code, 0);
  assert.match(refused.stderr, /--file .*latin1: expected text in UTF-8, found 0xe9 at byte 6/);

  const chat = (input: string | Buffer) =>
    marimba(['chat', '--temperature', '0', '--max-tokens', '2'], input as string);
  const [own, marked] = [await chat('Lincoln\r\n/exit\n'), await chat('\ufeffLincoln\n/exit')];
  assert.equal(own.code, 0, own.stderr);
  assert.equal(marked.stdout, own.stdout);
  // U+0A0A and U+0A20 hold the bytes of a line's end; PowerShell writes pipes so.
  const utf16 = Buffer.from('\ufeffLincoln\r\n\u0a0a\u200a\n/exit\n', 'utf16le');
  const lines = [await chat(utf16), await chat(Buffer.from(utf16).swap16())];
  const same = await chat('Lincoln\n\u0a0a\u200a\n/exit\n');
  assert.deepEqual(
    lines.map(({ stdout }) => stdout),
    [same.stdout, same.stdout],
  );
  const broken = await chat(Buffer.from('Un café\n', 'latin1'));
  assert.notEqual(broken.code, 0);
  assert.match(broken.stderr, /standard input, line 1: expected text in UTF-8/);
});
