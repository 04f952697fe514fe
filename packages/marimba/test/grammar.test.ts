import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { marimba } from './run.ts';

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'marimba-grammar-'));
});
after(() => rm(folder, { recursive: true }));

async function file(name: string, text: string | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

interface Report {
  readonly supported: boolean;
  readonly refused: readonly { keyword: string; pointer: string; reason: string }[];
  readonly compileMs: number | null;
  readonly results: readonly { accepted: boolean; rejectedAt: number | null; why: string | null }[];
  readonly samples: readonly string[];
  readonly unfinished?: number;
  readonly mask: { meanUs: number; p50Us: number; p99Us: number; maxUs: number } | null;
}

async function check(...args: readonly string[]): Promise<{ report: Report; code: number | null }> {
  const { stdout, stderr, code } = await marimba(['grammar', 'check', ...args, '--json']);
  assert.equal(stderr, '');
  return { report: JSON.parse(stdout) as Report, code };
}

const SCHEMA = JSON.stringify({
  type: 'object',
  properties: { name: { type: 'string', maxLength: 20 }, age: { type: 'integer', minimum: 0, maximum: 120 } },
  required: ['name'],
  additionalProperties: false,
});

test('texts are accepted or not, with the place and what was expected', async () => {
  const schema = await file('schema.json', SCHEMA);
  const texts = ['{"name": "é", "age": 120}', '{"name": "é", "age": 121}', '{"age": 1}', '{"name": "x"'];
  const paths = await Promise.all(texts.map((text, i) => file(`${i}.txt`, text)));
  const { report, code } = await check('--schema', schema, ...paths.flatMap((path) => ['--accepts', path]));
  assert.equal(code, 1);
  assert.deepEqual(Object.keys(report), ['supported', 'refused', 'compileMs', 'results', 'samples', 'mask']);
  assert.deepEqual(
    report.results.map(({ accepted, rejectedAt }) => [accepted, rejectedAt]),
    [
      [true, null],
      [false, 23],
      [false, 9],
      [false, 12],
    ],
  );
  assert.match(report.results[1]!.why!, /expected .*"}".* found "1"/);
  assert.match(report.results[3]!.why!, /the text ends here/);
  const declared = await file('declared.txt', '{"age":1,"name":"x"}');
  const strict = [
    '--whitespace',
    'compact',
    '--order',
    'declared',
    '--accepts',
    paths[0]!,
    '--accepts',
    declared,
  ];
  const { results } = (await check('--schema', schema, ...strict)).report;
  assert.equal(results[0]!.rejectedAt, 8);
  assert.ok(!results[1]!.accepted);
});

test('samples are whole texts, the same for the same seed', async () => {
  const schema = await file('schema.json', SCHEMA);
  const { report, code } = await check('--schema', schema, '--sample', '5', '--seed', '7');
  assert.equal(code, 0);
  assert.equal(report.samples.length, 5);
  for (const sample of report.samples) {
    const { name, age = 0, ...rest } = JSON.parse(sample) as { name: unknown; age?: number };
    assert.ok(typeof name === 'string' && Number.isInteger(age) && age >= 0 && age <= 120);
    assert.deepEqual(rest, {});
  }
  assert.ok(report.mask!.meanUs > 0 && report.mask!.maxUs >= report.mask!.p50Us);
  assert.deepEqual(
    (await check('--schema', schema, '--sample', '5', '--seed', '7')).report.samples,
    report.samples,
  );
});

test('samples of long texts, and of objects with many names to write, come to an end', async () => {
  const names = Array.from({ length: 12 }, (_, i) => `name ${i}`);
  const object = await file('names.json', JSON.stringify({ type: 'object', required: names }));
  const { samples } = (await check('--schema', object, '--sample', '2')).report;
  assert.equal(samples.length, 2);
  for (const sample of samples)
    assert.deepEqual(
      names.filter((name) => !Object.hasOwn(JSON.parse(sample) as object, name)),
      [],
    );
  // With a mark of byte order, as some editors write it.
  const long = await file('long.json', '\ufeff{"type":"string","minLength":9000}');
  const { report } = await check('--schema', long, '--sample', '1');
  assert.ok(Array.from(JSON.parse(report.samples[0]!) as string).length >= 9000);
});

test('bounds of 64 bits are exact, and a text of 60,000 levels is refused', async () => {
  const most = '18446744073709551615';
  const schema = await file('u64.json', `{"minimum":-9223372036854775808,"maximum":${most},"multipleOf":1}`);
  const texts = [
    most,
    '18446744073709551616',
    '-9223372036854775808',
    '-9223372036854775809',
    '1'.repeat(5000),
  ];
  const paths = await Promise.all(texts.map((text, i) => file(`u64-${i}.txt`, text)));
  const { report } = await check('--schema', schema, ...paths.flatMap((path) => ['--accepts', path]));
  assert.deepEqual(
    report.results.map(({ accepted }) => accepted),
    [true, false, true, false, false],
  );
  // Longer numbers are not read: that is an answer, too.
  assert.ok(report.results[4]!.why !== null);
  const levels = 60_000;
  const deep = await file('deep.json', `${'{"not":'.repeat(levels)}{"const":${most}}${'}'.repeat(levels)}`);
  assert.equal((await check('--schema', deep)).report.refused[0]!.keyword, 'grammar-limit');
});

test('samples without an end in time are counted', async () => {
  const { report, code } = await check('--regex', '(ab){30000}', '--sample', '1');
  assert.equal(code, 0);
  assert.deepEqual(report.samples, []);
  assert.equal(report.unfinished, 1);
});

test('expressions and grammars; bytes that are no text', async () => {
  const date = await file('date.txt', '2026-11-29');
  const bad = await file('bad.txt', Uint8Array.of(0x32, 0xff));
  const { report } = await check('--regex', '\\d{4}-\\d{2}-\\d{2}', '--accepts', date, '--accepts', bad);
  assert.deepEqual(
    report.results.map(({ accepted }) => accepted),
    [true, false],
  );
  const grammar = await file('list.gbnf', 'root ::= "[" (root ("," root)*)? "]"');
  const nested = await file('nested.txt', '[[],[[]]]');
  assert.equal((await check('--ebnf', grammar, '--accepts', nested)).code, 0);
});

test('what cannot be enforced is refused with its reason, and exit code 1', async () => {
  const { report, code } = await check('--regex', '(a)\\1');
  assert.equal(code, 1);
  assert.equal(report.supported, false);
  assert.equal(report.refused[0]!.keyword, 'back-reference');
  assert.equal(report.mask, null);
  const broken = await check('--schema', await file('broken.json', '{'));
  assert.equal(broken.report.supported, false);
  assert.match(broken.report.refused[0]!.reason, /found no JSON/);
  const { code: usage, stderr } = await marimba(['grammar', 'check']);
  assert.equal(usage, 2);
  assert.match(stderr, /expected one of --schema, --regex and --ebnf/);
});

test('the bundled model writes what it is held to', async () => {
  const schema = await file('schema.json', SCHEMA);
  const args = ['generate', '--prompt', 'Abraham', '--max-tokens', '200', '--seed', '1'];
  const held = await marimba([...args, '--schema', schema, '--json']);
  const { value, text, finishReason } = JSON.parse(held.stdout) as Record<string, unknown>;
  assert.equal(finishReason, 'stop');
  // Printed again: the report writes -0 as 0.
  assert.equal(JSON.stringify(value), JSON.stringify(JSON.parse(text as string)));
  const grammar = await file('yes.gbnf', 'root ::= "yes" | "no"');
  assert.match((await marimba([...args, '--grammar', grammar])).stdout, /^(yes|no)\n$/);
  assert.equal((await marimba([...args, '--grammar', grammar, '--regex', 'a'])).code, 2);
});
