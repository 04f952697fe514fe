// The lab's commands as a user runs them.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { marimba, modelPath } from './run.ts';

const folder = mkdtempSync(join(tmpdir(), 'marimba-lab-'));
after(() => rmSync(folder, { recursive: true }));
const MODEL = modelPath('jamba-dense-mqa');

test('tokenizer train writes a tokenizer that tokenizer count reads', async () => {
  const text = join(folder, 'text.txt');
  writeFileSync(text, 'the whale and the sea and the ship '.repeat(20));
  const trained = await marimba([
    'tokenizer',
    'train',
    text,
    '--vocabulary',
    '270',
    '--out',
    folder,
    '--json',
  ]);
  assert.equal(trained.code, 0, trained.stderr);
  const { vocabularySize, tokens } = JSON.parse(trained.stdout);
  assert.equal(vocabularySize, 270);
  assert.equal(JSON.parse(readFileSync(join(folder, 'tokenizer.json'), 'utf8')).model.type, 'BPE');
  const counted = await marimba([
    'tokenizer',
    'count',
    text,
    '--tokenizer',
    join(folder, 'tokenizer.json'),
    '--json',
  ]);
  assert.equal(JSON.parse(counted.stdout).tokens, tokens);
});

test('eval keeps transcripts, goes on from them, and compares a quantised model with its original', async () => {
  const out = join(folder, 'eval');
  const args = [
    'eval',
    MODEL,
    '--tasks',
    'recall:tiny',
    '--items',
    '4',
    '--quantize',
    'q8_0',
    '--out',
    out,
    '--json',
    '--threads',
    '1',
  ];
  const first = await marimba(args);
  assert.equal(first.code, 0, first.stderr);
  const report = JSON.parse(first.stdout);
  assert.equal(report.suites[0].items, 4);
  assert.equal(report.comparison[0].name, 'recall:tiny');
  assert.ok(report.divergence.meanDivergence > 0 && report.divergence.meanDivergence < 0.1);
  assert.ok(report.divergence.topAgreement.value > 0.7);
  const second = JSON.parse((await marimba(args)).stdout);
  assert.deepEqual(second.suites, report.suites);
});

test('ablate lists the cells of a study without running any', async () => {
  const { code, stdout } = await marimba([
    'ablate',
    'studies/jamba-claims',
    '--short',
    '--list',
    '--json',
    '--out',
    join(folder, 'none'),
  ]);
  assert.equal(code, 0);
  const cells: { finished: boolean }[] = JSON.parse(stdout);
  assert.ok(cells.length >= 20 && cells.every((c) => !c.finished));
});

test('what cannot work is wrong usage, and says why', async () => {
  const cases: [string[], number, RegExp][] = [
    [['eval', MODEL], 2, /expected --tasks, or a second model/],
    [['eval', MODEL, '--tasks', 'riddles'], 2, /expected one of recall, .*found "riddles"/],
    [['eval', MODEL, '--tasks', 'text-needle'], 2, /expected a model with a tokenizer/],
    [['eval', MODEL, '--against', MODEL, '--quantize', 'q8_0'], 2, /not both/],
    [['ablate', join(folder, 'no-study.ts')], 2, /expected a study file/],
    [['tokenizer', 'train', join(folder, 'nothing.txt')], 2, /found nothing there/],
  ];
  writeFileSync(join(folder, 'empty.txt'), '');
  cases.push([['tokenizer', 'train', join(folder, 'empty.txt')], 1, /found an empty file/]);
  for (const [args, code, message] of cases) {
    const outcome = await marimba(args);
    assert.equal(outcome.code, code, `${args.join(' ')}: ${outcome.stderr}`);
    assert.match(outcome.stderr, message);
  }
});
