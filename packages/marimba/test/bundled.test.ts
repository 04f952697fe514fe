// The bundled model: what ships is what its card says, and commands without MODEL use it.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { bundledSettings, introduction, isBundled, isHeading, locate } from '../src/bundled.ts';
import { fitTable, textWidth } from '../src/terminal.ts';
import { createWrapper } from '../src/wrap.ts';
import { marimba, root } from './run.ts';

const folder = join(root, 'packages/marimba/model');
const EXCERPT = 'fixtures/text/speeches-held-out.jsonl';

interface Loss {
  readonly bitsPerByte: number;
  readonly tokens: number;
}
const results = JSON.parse(readFileSync(join(folder, 'results.json'), 'utf8')) as {
  readonly parameters: Record<string, number>;
  readonly heldOut: Record<string, Loss>;
  readonly excerpt: Record<'quantised' | 'trigram', Loss>;
  readonly quantising: { readonly fileBytes: number };
};

test('the file is small, and the one that the card was written for', () => {
  const { size } = statSync(locate('bundled'));
  assert.ok(size <= 8e6, `${size}`);
  assert.equal(size, results.quantising.fileBytes);
  const card = readFileSync(join(folder, 'README.md'), 'utf8');
  for (const { bitsPerByte } of Object.values(results.heldOut))
    assert.ok(card.includes(bitsPerByte.toFixed(4)));
  const [most, least] = [
    Math.max(...Object.values(results.parameters)),
    Math.min(...Object.values(results.parameters)),
  ];
  assert.ok(most / least < 1.03, 'trained alike: about the same number of parameters');
});

test('its held-out bits per byte are the card’s', async () => {
  const args = ['eval', '--tasks', `perplexity:${EXCERPT}`, '--window', '4096', '--json'];
  const { code, stdout, stderr } = await marimba(args);
  assert.equal(code, 0, stderr);
  const { suites } = JSON.parse(stdout) as { suites: { text: Loss }[] };
  const { bitsPerByte, tokens } = suites[0]!.text;
  const { quantised, trigram } = results.excerpt;
  assert.equal(tokens, quantised.tokens);
  assert.ok(Math.abs(bitsPerByte - quantised.bitsPerByte) < 1e-4, `${bitsPerByte} ${quantised.bitsPerByte}`);
  assert.ok(bitsPerByte < trigram.bitsPerByte, `${bitsPerByte}, trigram ${trigram.bitsPerByte}`);
});

test('inspect and logits take it where no MODEL is named', async () => {
  const { code, stdout, stderr } = await marimba(['inspect', '--json']);
  assert.equal(code, 0, stderr);
  const data = JSON.parse(stdout) as { family: string; layers: string; parameters: { total: number } };
  assert.equal(data.family, 'jamba');
  assert.equal(data.layers, 'MMMMAMMM');
  assert.equal(data.parameters.total, results.parameters.jamba);
  const named = await marimba(['logits', 'bundled', '--prompt', 'The', '--json']);
  assert.deepEqual(
    JSON.parse(named.stdout),
    JSON.parse((await marimba(['logits', '--prompt', 'The', '--json'])).stdout),
  );
});

test('generate continues a heading with a blank line and a sentence, the same with the same seed', async () => {
  const args = ['generate', '--prompt', 'Abraham Lincoln, 1862', '--seed', '7', '--max-tokens', '40'];
  const [first, second] = await Promise.all([marimba(args), marimba(args)]);
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stdout, /^\n\n["“(]*[A-Z]/);
  assert.equal(first.stdout, second.stdout);
});

test('chat without a MODEL, in a pipe: continues, begins anew at a heading, goes back', async () => {
  const lines = [
    ...['Ronald Reagan, 1985', '/regenerate', 'We must', '/stats'],
    ...['/new', '/stats', 'Abraham Lincoln, 1862', '/rewind'],
  ];
  const args = ['chat', '--max-tokens', '12', '--seed', '1'];
  const { code, stdout, stderr } = await marimba(args, `${lines.join('\n')}\n`);
  assert.equal(code, 0, stderr);
  const contexts = [...stdout.matchAll(/context {3}(\d+) of/g)].map((match) => Number(match[1]));
  // Heading, 12 tokens, " We must" and 11 more; the last token of an answer is still to be read.
  assert.ok(contexts[0]! > 24 && contexts[0]! < 50, `${contexts}`);
  assert.equal(contexts[1], 0);
  const [first = '', again = ''] = stdout.split(/(?<=\S)\n(?=\n)/);
  assert.match(first, /^\n\n["“(]*[A-Z]/);
  assert.match(again, /^\n\n["“(]*[A-Z]/);
  assert.match(stdout, /0 turns left\n$/);
});

test('a line is a heading when it names somebody and a year', () => {
  for (const line of ['Abraham Lincoln, 1862', 'James K. Polk, 1848', 'George W Bush, 2002 '])
    assert.ok(isHeading(line), line);
  for (const line of ['We must', 'In 1862', 'the army, 1862', 'Lincoln, 62', 'Peace, and war, 3020'])
    assert.ok(!isHeading(line), line);
  assert.equal(bundledSettings({}).options.maxTokens, 400);
  assert.equal(bundledSettings({ maxTokens: 5 }).options.maxTokens, 5);
});

test('only the word bundled stands for it, and nothing else is touched', () => {
  assert.ok(isBundled('bundled') && existsSync(locate('bundled')));
  assert.equal(locate('owner/bundled'), 'owner/bundled');
  assert.equal(locate('./bundled'), './bundled');
});

test('streamed text is wrapped between words, in any cuts', () => {
  const text = 'One two three  four.\n\n Five incomprehensibilities six';
  const expected = 'One two\nthree\nfour.\n\n Five\nincomprehensibilities\nsix';
  for (let cut = 0; cut <= text.length; cut++) {
    const wrapper = createWrapper(8);
    assert.equal(
      wrapper.push(text.slice(0, cut)) + wrapper.push(text.slice(cut)) + wrapper.end(),
      expected,
      `${cut}`,
    );
  }
});

/** As if standard output were a terminal of this width. */
function onTerminal<T>(columns: number, work: () => T): T {
  const { isTTY, columns: before } = process.stdout;
  Object.assign(process.stdout, { isTTY: true, columns });
  try {
    return work();
  } finally {
    Object.assign(process.stdout, { isTTY, columns: before });
  }
}

test('tables drop columns and texts break where a terminal is narrow', () => {
  const rows = [
    ['name', '1234567890', 'total'],
    ['a', 'b', 'c'],
  ];
  assert.match(
    onTerminal(40, () => fitTable(rows, [1])),
    /1234567890/,
  );
  const narrow = onTerminal(20, () => fitTable(rows, [1]));
  assert.doesNotMatch(narrow, /1234567890/);
  assert.match(narrow, /name {2}total/);
  for (const columns of [60, 80, 100]) {
    const lines = onTerminal(columns, () => introduction()).split('\n');
    for (const line of lines) assert.ok(textWidth(line) <= columns, `${columns}: ${line}`);
    assert.ok(Math.max(...lines.map(textWidth)) > columns * 0.7, 'uses the width that there is');
  }
});

test('the width of a text is what a terminal gives it', () => {
  for (const [text, columns] of [
    ['abc', 3],
    ['\u001b[36mabc\u001b[39m', 3],
    ['日本語', 6],
    ['e\u0301', 1],
    ['👩‍👧', 2],
    ['→ ×', 3],
  ] as const)
    assert.equal(textWidth(text), columns, text);
});
