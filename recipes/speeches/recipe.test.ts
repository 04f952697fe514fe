// The recipe from end to end on a few made-up speeches with a tiny budget, and its parts against what is
// known about them.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createRandom } from '@marimba/engine/measure';
import { makeBundledModel } from './bundled-model.ts';
import type { Results } from './measure.ts';
import { MODELS, type ModelName, TRAINING } from './models.ts';
import { MODEL_FILE, type Recipe } from './recipe.ts';
import { passagesOf, readSpeeches, splitSpeeches } from './speeches.ts';
import { Trigram } from './trigram.ts';

let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'marimba-recipe-'));
  writeSpeeches(join(folder, 'data'));
});
after(() => rmSync(folder, { recursive: true }));

/** Forty speeches of sentences from a few words. */
function writeSpeeches(data: string): void {
  mkdirSync(data);
  const random = createRandom(1);
  const words = ['the', 'people', 'of', 'our', 'union', 'and', 'their', 'peace', 'shall', 'have', 'commerce'];
  const sentence = () =>
    `We ${Array.from({ length: 12 }, () => words[Math.floor(random() * words.length)]).join(' ')}.`;
  for (let i = 0; i < 40; i++) {
    const text = `\u0002 ${Array.from({ length: 30 }, sentence).join('  ')}`;
    writeFileSync(
      join(data, `${1800 + i}.json`),
      JSON.stringify({ year: 1800 + i, name: 'Ada Example', text }),
    );
  }
}

test('passages hold every sentence once, under their heading', () => {
  const [speech] = readSpeeches(join(folder, 'data'));
  const passages = passagesOf(speech!, 300);
  assert.ok(passages.length > 5);
  assert.equal(passages.map((p) => p.slice('Ada Example, 1800\n\n'.length)).join(' '), speech!.text);
  for (const passage of passages) {
    assert.match(passage, /^Ada Example, 1800\n\nWe [a-z ]+\./);
    assert.ok(passage.length < 340);
  }
  assert.doesNotMatch(speech!.text, /\p{Cc}| {2}/u);
});

test('held-out speeches are whole, spread over the years, and the same each time', () => {
  const speeches = readSpeeches(join(folder, 'data'));
  const { training, heldOut } = splitSpeeches(speeches, 8);
  assert.deepEqual(splitSpeeches(speeches, 8), { training, heldOut });
  assert.deepEqual(
    [...training, ...heldOut].sort((a, b) => a.year - b.year),
    speeches,
  );
  assert.deepEqual(
    heldOut.map(({ year }) => Math.floor((year - 1800) / 5)),
    [0, 1, 2, 3, 4, 5, 6, 7],
  );
});

test('trigram probabilities add up to one in every context, seen or not', () => {
  const random = createRandom(3);
  const documents = Array.from({ length: 40 }, () =>
    Array.from({ length: 20 }, () => Math.floor(random() * random() * 9)),
  );
  const trigram = new Trigram(documents, 10);
  for (const [u, v] of [
    [0, 0],
    [1, 2],
    [9, 9],
    [10, 10],
    [10, 3],
    [3, 9],
  ] as const) {
    const sum = Array.from({ length: 10 }, (_, w) => trigram.probability(u, v, w)).reduce((a, b) => a + b);
    assert.ok(Math.abs(sum - 1) < 1e-12, `${u} ${v}: ${sum}`);
    for (let w = 0; w < 10; w++) assert.ok(trigram.probability(u, v, w) > 0);
  }
});

test('the trigram model of a text small enough to do by hand', () => {
  // a b a b after two begin marks: four trigrams, each once.
  const trigram = new Trigram([[0, 1, 0, 1]], 2);
  // In how many contexts: a 2, b 1; so n1 = n2 = 1, y = 1/3, D1 = 1/3, D2 = 1 (its default), freed 4/3 of 3.
  const [a, b] = [(2 - 1 + (4 / 3) * 0.5) / 3, (1 - 1 / 3 + (4 / 3) * 0.5) / 3];
  // "a b" was seen after two words, "b a" and "begin a" after one: n1 = 2, n2 = 1, y = 1/2, D1 = 1/2, D2 = 1.
  const bAfterA = (2 - 1 + 1 * b) / 2;
  const aAfterB = 1 - 0.5 + 0.5 * a;
  const close = (found: number, expected: number) =>
    assert.ok(Math.abs(found - expected) < 1e-12, `${found}`);
  close(a + b, 1);
  close(trigram.probability(2, 0, 1), 0.5 + 0.5 * bAfterA);
  // Contexts of two that were never seen fall back on the shorter one.
  close(trigram.probability(0, 0, 1), bAfterA);
  close(trigram.probability(1, 1, 0), aAfterB);
});

test('the whole recipe: stops, goes on, and writes model, card and picture from its own figures', {
  timeout: 300_000,
}, async () => {
  const tiny = {
    hidden_size: 32,
    intermediate_size: 32,
    num_attention_heads: 1,
    num_key_value_heads: 1,
    vocab_size: 320,
  };
  const notes: string[] = [];
  const controller = new AbortController();
  const recipe: Recipe = {
    data: join(folder, 'data'),
    work: join(folder, 'work'),
    out: join(folder, 'out'),
    excerpt: join(folder, 'excerpt.jsonl'),
    models: Object.fromEntries(
      Object.entries(MODELS).map(([name, { title, config }]) => [
        name,
        { title, config: { ...config, ...tiny }, steps: name === 'bundled' ? 8 : 6, decayShare: 0.5 },
      ]),
    ) as unknown as Recipe['models'],
    training: {
      ...TRAINING,
      sequences: 2,
      length: 64,
      warmupSteps: 1,
      evaluateEvery: 2,
      heldOutTokens: 256,
    },
    say: (text) => {
      notes.push(text);
      if (text.startsWith('jamba, step 2')) controller.abort();
    },
    signal: controller.signal,
  };
  assert.equal(await makeBundledModel(recipe), false);
  assert.ok(!notes.some((note) => note.startsWith('Training: pure')));
  const { signal: _, ...again } = recipe;
  assert.equal(await makeBundledModel(again), true);
  const results = JSON.parse(readFileSync(join(folder, 'out/results.json'), 'utf8')) as Results;
  assert.deepEqual([results.tokensSeen.jamba, results.tokensSeen.bundled], [6 * 2 * 64, 8 * 2 * 64]);
  for (const name of Object.keys(MODELS) as ModelName[]) {
    assert.ok(results.heldOut[name].loss < Math.log(320) + 0.2, name);
    assert.equal(results.heldOut[name].tokens, results.heldOut.trigram.tokens);
    assert.equal(results.heldOut[name].bytes, results.heldOut.trigram.bytes);
  }
  assert.deepEqual(
    results.curves[0]!.points.map((p) => p.tokens),
    [256, 512, 768],
  );
  assert.ok(results.quantising.meanDivergence < 1e-3);
  assert.equal(statSync(join(folder, 'out', MODEL_FILE)).size, results.quantising.fileBytes);
  const card = readFileSync(join(folder, 'out/README.md'), 'utf8');
  assert.ok(card.includes(results.heldOut.quantised.bitsPerByte.toFixed(4)));
  assert.doesNotMatch(card, /undefined|NaN/);
  assert.doesNotMatch(readFileSync(join(folder, 'out/training.svg'), 'utf8'), /undefined|NaN/);
  const before = notes.length;
  assert.equal(await makeBundledModel(again), true);
  assert.equal(notes.length, before + 1, 'nothing is done twice');
});
