import assert from 'node:assert/strict';
import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { FormatError, layerStrip, UsageError } from '@marimba/engine';
import { MIXER_WORDS } from '@marimba/engine/architecture';
import {
  attentionPlaces,
  attentionShares,
  expertsOrDense,
  headSizes,
  innerNorms,
  localToGlobal,
  positions,
  stateSizes,
  windows,
} from './axes.ts';
import { distinctCells, studyCells } from './cells.ts';
import { bytesToDecode, modelCost, trainingFlops } from './costs.ts';
import { countParameters, type ModelSizes, modelConfig, type StudyModel, specOf } from './model.ts';
import { parsePattern } from './pattern.ts';
import { ResultStore, readResults } from './results.ts';
import { countSpikes } from './run-cell.ts';
import { runStudy } from './run-study.ts';
import { defineStudy, loadStudy, type Study } from './study.ts';
import { writeStudyFiles } from './write-report.ts';

const folder = await mkdtemp(join(tmpdir(), 'marimba-study-'));
after(() => rm(folder, { recursive: true }));

const sizes: ModelSizes = { depth: 8, hidden: 16, heads: 2, feedForward: 32, state: 4 };
const strip = (model: StudyModel) => layerStrip(specOf(model.name, modelConfig(model, sizes, 64, 128)));
const pattern = (text: string, depth = 8) =>
  parsePattern(text, depth)
    .map((l) => letterOf.get(l.mixer)! + (l.experts ? 'e' : ''))
    .join('');
const letterOf = new Map(Object.entries(MIXER_WORDS).map(([letter, word]) => [word, letter]));

test('layer patterns in letters and words', () => {
  const cases: [string, string][] = [
    ['MMMAMMMM', 'MMMAMMMM'],
    ['MeA*4', 'MeAMeAMeAMeA'],
    ['WWWA*2', 'WWWAWWWA'],
    ['none', 'MMMMMMMM'],
    ['all', 'AAAAAAAA'],
    ['every 8, in the middle', 'MMMMAMMM'],
    ['attention: every 8, in the middle', 'MMMMAMMM'],
    ['every 4, first', 'AMMMAMMM'],
    ['every 4, last', 'MMMAMMMA'],
    ['2 at the start', 'AAMMMMMM'],
    ['2 in the middle', 'MMMAAMMM'],
    ['2 at the end', 'MMMMMMAA'],
    ['2 spread', 'MMAMMMAM'],
    ['1 spread', 'MMMMAMMM'],
    ['SSCASSCW', 'SSCASSCW'],
    ['S: every 4, last', 'SSSASSSA'],
    ['C: none', 'CCCCCCCC'],
    ['v: 2 spread', 'VVAVVVAV'],
  ];
  for (const [text, expected] of cases) assert.equal(pattern(text), expected, text);
  for (const bad of [
    'MMX',
    'MMM',
    'every 9, last',
    '0 spread',
    '9 spread',
    'often',
    'X: none',
    'S:',
    'M*0',
    '*3',
    'eMMMMMMM',
    'M*4*2',
  ])
    assert.throws(() => pattern(bad), UsageError, bad);
});

test('every axis makes models that differ where it says', () => {
  assert.deepEqual(attentionShares(16).map(strip16), [
    'M'.repeat(16),
    'MMMMMMMMAMMMMMMM',
    'MMMMAMMMMMMMAMMM',
    'MMAMMMAMMMAMMMAM',
    'MA'.repeat(8),
    'A'.repeat(16),
  ]);
  assert.deepEqual(attentionPlaces(1).map(strip), ['AMMMMMMM', 'MMMMAMMM', 'MMMMMMMA', 'MMMMAMMM']);
  assert.deepEqual(windows('MMMA*2', [8]).map(strip), ['MMMAMMMA', 'MMMWMMMW']);
  assert.deepEqual(localToGlobal(8).map(strip), ['AAAAAAAA', 'WAWAWAWA', 'WWWAWWWA', 'WWWWWWWW']);
  assert.deepEqual(expertsOrDense('MMMAMMMM', { experts: 4, topK: 2 }).map(strip), [
    'MMMAMMMM',
    'MMeMAeMMeMMe',
  ]);
  const spec = (model: StudyModel) =>
    specOf(model.name, modelConfig(model, sizes, 64, 128)).layers[3]!.mixers[0]!;
  assert.deepEqual(
    innerNorms('none')
      .map(spec)
      .map((m) => m.kind === 'mamba' && m.innerNorms),
    ['weighted', 'none'],
  );
  assert.deepEqual(
    positions('all')
      .map(spec)
      .map((m) => m.kind === 'attention' && m.rope?.theta),
    [undefined, 10_000],
  );
  assert.deepEqual(
    stateSizes('none', [2, 8])
      .map(spec)
      .map((m) => m.kind === 'mamba' && m.stateSize),
    [2, 8],
  );
  assert.deepEqual(
    headSizes('all', 16, [{ heads: 4, kvHeads: 1 }])
      .map(spec)
      .map((m) => m.kind === 'attention' && [m.heads, m.kvHeads, m.headSize]),
    [[4, 1, 4]],
  );
});
const strip16 = (model: StudyModel) =>
  layerStrip(specOf(model.name, modelConfig(model, { ...sizes, depth: 16 }, 64, 128)));

test('costs follow from the layers', () => {
  const cost = (layers: string, changes: Partial<ModelSizes> = {}) =>
    modelCost(specOf('m', modelConfig({ name: 'm', layers, ...changes }, sizes, 64, 128)), [100, 200]);
  const mamba = cost('none');
  assert.deepEqual(
    mamba.contexts.map((c) => c.cacheBytes),
    [0, 0],
  );
  // 8 layers × (3 conv inputs + 4 states) × 32 channels × 4 bytes
  assert.equal(mamba.stateBytes, 8 * (3 + 4) * 32 * 4);
  // Recurrent models pay for their state at every token, at any context; it lies beside what grows.
  const [near, far] = mamba.contexts.map((at) => bytesToDecode(mamba, at));
  assert.deepEqual([near, far], [mamba.contexts[0]!.decodeBytes + mamba.stateBytes, near]);
  const attention = cost('all');
  // 8 layers × keys and values × 16 values × 2 bytes a position
  assert.deepEqual(
    [attention.stateBytes, ...attention.contexts.map((c) => c.cacheBytes)],
    [0, 8 * 2 * 16 * 2 * 100, 8 * 2 * 16 * 2 * 200],
  );
  assert.equal(cost('W*8', { window: 50 }).contexts[1]!.cacheBytes, 8 * 2 * 16 * 2 * 50);
  assert.equal(attention.contexts[1]!.decodeBytes - attention.contexts[0]!.decodeBytes, 8 * 2 * 16 * 2 * 100);
});

test('training operations are six for each multiply-add of the forward pass', () => {
  const spec = specOf('m', modelConfig({ name: 'm', layers: 'A', depth: 1, feedForward: 0 }, sizes, 64, 128));
  const projections = 4 * 16 * 16 + 64 * 16;
  const seen = (5 * 6) / 2 / 5;
  assert.equal(trainingFlops(spec, 5, 5), 6 * 5 * (projections + 2 * 16 * seen));
});

test('parameters are counted, those of idle experts apart', () => {
  const count = (layers: string) =>
    countParameters(
      specOf('m', modelConfig({ name: 'm', layers, depth: 1, experts: 4, topK: 1 }, sizes, 64, 128)),
    );
  const norms = 3 * 16;
  const attention = 4 * 16 * 16;
  assert.deepEqual(count('A'), {
    total: 64 * 16 + norms + attention + 3 * 16 * 32,
    active: 64 * 16 + norms + attention + 3 * 16 * 32,
  });
  const shared = 64 * 16 + norms + attention + 4 * 16;
  assert.deepEqual(count('Ae'), { total: shared + 4 * 3 * 16 * 32, active: shared + 3 * 16 * 32 });
});

test('a spike is a loss far above the ones before it', () => {
  const calm = Array.from({ length: 60 }, (_, i) => 3 - i / 100 + (i % 2) / 50);
  assert.equal(countSpikes(calm), 0);
  assert.equal(countSpikes(calm.with(40, 4)), 1);
  assert.equal(countSpikes(calm.with(40, Number.NaN)) >= 1, true);
});

const definition = defineStudy({
  name: 'tiny',
  title: 'A study of <nothing>',
  sizes,
  seeds: [1, 2, 3],
  budget: { steps: 4, warmupSteps: 1, sequences: 2 },
  models: [
    { name: 'Mamba', layers: 'none', axes: { share: 'none' } },
    { name: 'hybrid', layers: '1 in the middle', axes: { share: '1:8' } },
    { name: 'attention', layers: 'all', axes: { share: 'all' } },
    { name: 'same as attention', layers: 'A*8' },
  ],
  tasks: [
    { task: 'recall', size: 'tiny', testExamples: 40, alsoTest: [{ length: 40 }] },
    { task: 'few-shot-labels', size: 'tiny', models: ['Mamba', 'attention'] },
  ],
  claims: [
    {
      id: 'b',
      statement: 'attention recalls better',
      source: 'test',
      parts: [
        {
          kind: 'better',
          model: 'attention',
          than: 'Mamba',
          task: 'recall',
          metric: 'accuracy',
          margin: 0.1,
        },
      ],
    },
    {
      id: 'x',
      statement: 'Mamba recalls better',
      source: 'test',
      parts: [
        {
          kind: 'better',
          model: 'Mamba',
          than: 'attention',
          task: 'recall',
          metric: 'accuracy',
          margin: 0.1,
        },
      ],
    },
  ],
});
const study: Study = { ...definition, folder, isShort: false };
const trainer = new URL('./testing.ts', import.meta.url).href;
const options = (name: string) => ({ out: join(folder, name), processes: 2, threadsEach: 1, trainer });

test('cells are known by what they train, not by their names', () => {
  const placed = studyCells(study);
  assert.equal(placed.length, (4 + 2) * 3);
  assert.equal(distinctCells(placed).length, (3 + 2) * 3);
  const moved = {
    ...study,
    folder: '/elsewhere',
    tasks: [{ task: 'text' as const, text: ['a.txt'], vocabulary: 300, length: 8 }],
  };
  assert.deepEqual(
    studyCells(moved).map((p) => p.cell.id),
    studyCells({ ...moved, folder: '/other' }).map((p) => p.cell.id),
  );
  const longer = { ...study, budget: { ...study.budget, steps: 5 } };
  assert.notEqual(studyCells(longer)[0]!.cell.id, placed[0]!.cell.id);
});

test('a study runs over processes, is resumed, and never runs a finished cell again', async () => {
  const log = join(folder, 'log');
  process.env.MARIMBA_TEST_LOG = log;
  const { computed, failures, results } = await runStudy(study, { ...options('run'), only: ['recall'] });
  assert.deepEqual([computed, failures, results.size], [9, [], 9]);
  // Half a line, as a kill leaves it.
  await appendFile(join(folder, 'run', 'results.jsonl'), '{"id":"half');
  const second = await runStudy(study, options('run'));
  assert.equal(second.computed, 6);
  assert.equal((await runStudy(study, options('run'))).computed, 0);
  delete process.env.MARIMBA_TEST_LOG;
  assert.equal((await readFile(log, 'utf8')).trim().split('\n').length, 15);
  const again = await readResults(join(folder, 'run'));
  assert.deepEqual(
    [...again.keys()].sort(),
    distinctCells(studyCells(study))
      .map((c) => c.id)
      .sort(),
  );
});

test('the report stands alone, names every model, and its verdicts follow the numbers', async () => {
  const results = await readResults(join(folder, 'run'));
  const { rows, verdicts, reportPath } = await writeStudyFiles(study, results, join(folder, 'run'));
  assert.deepEqual(
    verdicts.map((v) => v.verdict),
    ['confirmed', 'not confirmed'],
  );
  assert.equal(rows.length, 6);
  const twin = (name: string) => rows.find((r) => r.model === name && r.task === 'recall')!.quality;
  assert.deepEqual(twin('attention'), twin('same as attention'));
  assert.ok(twin('attention').mean > 0.8 && twin('attention').count === 3);
  assert.ok(rows[0]!.metrics['accuracy at length=40']);
  assert.ok(rows.find((r) => r.task === 'few-shot-labels')!.metrics.format);
  const html = await readFile(reportPath, 'utf8');
  assert.ok(html.includes('A study of &#60;nothing&#62;') && !html.includes('<nothing>'));
  assert.ok(
    !/https?:|<script|NaN|Infinity|undefined/.test(html),
    'no network, no scripts, no missing numbers',
  );
  for (const { name } of study.models) assert.ok(html.includes(name));
  const csv = await readFile(join(folder, 'run', 'results.csv'), 'utf8');
  assert.equal(csv.trim().split('\n').length, 7);
});

test('the README keeps what people wrote around its numbers', async () => {
  const results = await readResults(join(folder, 'run'));
  const path = join(folder, 'run', 'README.md');
  const first = await readFile(path, 'utf8');
  assert.match(first, /^# A study of <nothing>/);
  assert.match(first, /### \(x\) Mamba recalls better\n\n\*\*not confirmed\*\*/);
  await writeFile(
    path,
    `Before.\n\n${first.slice(first.indexOf('<!--')).replace('recalls better', 'forged')}\nAfter.\n`,
  );
  await writeStudyFiles(study, results, join(folder, 'run'));
  const second = await readFile(path, 'utf8');
  assert.equal(second, `Before.\n\n${first.slice(first.indexOf('<!--'))}\nAfter.\n`);
});

test('a process that dies fails its cell and leaves the others', async () => {
  process.env.MARIMBA_TEST_CRASH = '2';
  const { failures, results } = await runStudy(study, { ...options('crash'), only: ['mamba / recall'] });
  delete process.env.MARIMBA_TEST_CRASH;
  assert.equal(results.size, 2);
  assert.match(failures[0]!.message, /code 9/);
  assert.equal((await runStudy(study, { ...options('crash'), only: ['mamba / recall'] })).computed, 1);
});

test('one run a folder; a damaged line is named', async () => {
  const store = await ResultStore.open(join(folder, 'locked'));
  // Our own lock counts as left behind; another living process's does not.
  await writeFile(join(folder, 'locked', 'running.lock'), `${process.ppid}\n`);
  await assert.rejects(ResultStore.open(join(folder, 'locked')), /another --out folder/);
  await store.close();
  await writeFile(join(folder, 'locked', 'results.jsonl'), '{"id":3}\n');
  await assert.rejects(
    readResults(join(folder, 'locked')),
    (e) => e instanceof FormatError && /results\.jsonl:1: /.test(e.message),
  );
});

test('bad studies are refused with the field that is wrong', async () => {
  const bad = (changes: object, message: RegExp) =>
    assert.throws(() => defineStudy({ ...definition, ...changes }), message);
  bad({ seeds: [1, 1] }, /study tiny: seeds: /);
  bad({ tasks: [{ task: 'recal' }] }, /task: expected one of recall/);
  bad({ models: [{ name: 'x', layers: 'MMM' }], tasks: [{ task: 'recall' }] }, /expected 8 layers, found 3/);
  bad({ tasks: [{ task: 'recall', models: ['y'] }] }, /models: expected names among/);
  bad({ budget: { steps: 0 } }, /budget: steps/);
  bad({ tasks: [{ task: 'recall' }, { task: 'recall' }] }, /different names/);
  bad({ tasks: [{ task: 'recall', alsoTest: [{ keys: 99 }] }] }, /vocabulary of the trained one/);
  await assert.rejects(loadStudy(join(folder, 'none.ts')), /found nothing at/);
  await writeFile(join(folder, 'empty.mjs'), 'export const x = 1;');
  await assert.rejects(
    loadStudy(join(folder, 'empty.mjs')),
    /expected a study with its models and tasks, found none/,
  );
  await writeFile(join(folder, 'cut.mjs'), 'export default {');
  await assert.rejects(
    loadStudy(join(folder, 'cut.mjs')),
    /cut.mjs: expected a study as JSON or a module, found none/,
  );
  await assert.rejects(runStudy(study, { ...options('none'), only: ['zebra'] }), /found none that match/);
});

test('a sequence longer than the text fails its cells with that reason', async () => {
  await writeFile(join(folder, 'short.txt'), 'too little text');
  const text: Study = {
    ...study,
    tasks: [{ task: 'text', text: ['short.txt'], vocabulary: 300, length: 64 }],
    models: study.models.slice(0, 1),
    seeds: [1],
  };
  const { failures } = await runStudy(text, options('text'));
  assert.match(failures[0]!.message, /sequence length: expected at most \d+/);
});
