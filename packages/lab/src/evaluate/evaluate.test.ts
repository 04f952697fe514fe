import assert from 'node:assert/strict';
import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { FormatError, loadModel, type Model, UsageError } from '@marimba/engine';
import { findTask } from '../tasks/index.ts';
import { normalise } from './ask.ts';
import { compareEvaluations } from './compare.ts';
import { compareDistributions } from './divergence.ts';
import type { ChoiceItem, EvalItem, Suite } from './items.ts';
import { divergence, logSumExp } from './probabilities.ts';
import { evaluate } from './run.ts';
import { buildSuite } from './suites.ts';
import { effectiveLength, summariseSuite } from './summary.ts';
import { writeTestModel } from './testing.ts';

const folder = await mkdtemp(join(tmpdir(), 'marimba-eval-'));
await writeTestModel(join(folder, 'one'), { seed: 1 });
await writeTestModel(join(folder, 'two'), { seed: 2 });
const load = (name: string): Promise<Model> =>
  loadModel(join(folder, name), { backend: 'reference', cacheType: 'f32' });
const model = await load('one');
after(async () => {
  await model.close();
  await rm(folder, { recursive: true });
});

const lines = async (name: string, list: unknown[]) => {
  const path = join(folder, name);
  await writeFile(path, list.map((l) => (typeof l === 'string' ? l : JSON.stringify(l))).join('\n'));
  return path;
};
const suiteOf = (items: EvalItem[]): Suite => ({
  name: 'test',
  title: 'Test',
  source: 'test',
  chance: null,
  items,
});
const QUESTIONS = [
  { question: 'is it?', choices: ['yes', 'no', 'maybe'], answer: 1 },
  { question: 'is the number 123?', choices: ['no', 'yes indeed'], answer: 'A', context: 'The number.' },
  { question: 'who?', answer: ['Oslo', 'no'] },
  { id: 'q4', question: 'is Oslo?', choices: ['maybe', 'no'], answer: 'no' },
];

/** Log-likelihoods of every token by reading one at a time, the plain way. */
async function plainLikelihoods(tokens: readonly number[]): Promise<number[]> {
  const session = model.createSession();
  const out: number[] = [];
  for (let i = 0; i + 1 < tokens.length; i++) {
    const logits = await session.prefill([tokens[i]!]);
    out.push(logits[tokens[i + 1]!]! - logSumExp(logits, 0, logits.length));
  }
  session.close();
  return out;
}

const near = (actual: number, expected: number, tolerance = 1e-4) =>
  assert.ok(Math.abs(actual - expected) <= tolerance, `expected ${expected}, found ${actual}`);

test('choices are scored by the likelihood of their tokens, as reading token by token gives it', async () => {
  const suite = await buildSuite(`questions:${await lines('q.jsonl', QUESTIONS)}`, model);
  const { suites } = await evaluate(model, [suite], { out: null });
  const item = suite.items[0] as ChoiceItem;
  const prompt = model.encode(item.prompt).length;
  const expected: number[] = [];
  for (const choice of item.choices) {
    const all = await plainLikelihoods(model.encode(item.prompt + choice));
    expected.push(all.slice(prompt - 1).reduce((a, b) => a + b, 0));
  }
  const outcome = suites[0]!.outcomes[0]!;
  outcome.logLikelihoods!.forEach((value, i) => near(value, expected[i]!));
  const perByte = expected.map((l, i) => l / item.choices[i]!.length);
  assert.equal(outcome.said, item.choices[perByte.indexOf(Math.max(...perByte))]);
  assert.equal(outcome.expected, ' no');
  assert.equal(suites[0]!.summary.items, 4);
  assert.deepEqual(Object.keys(suites[0]!.summary.groups), ['choices', 'free']);
});

test('free answers are what greedy generation writes, up to the end of the line', async () => {
  const suite = await buildSuite(`questions:${join(folder, 'q.jsonl')}`, model);
  const item = suite.items[2]!;
  assert.ok(item.kind === 'free');
  const { suites } = await evaluate(model, [suiteOf([item])], { out: null });
  const session = model.createSession();
  let text = '';
  for await (const event of session.generate(item.prompt, { maxTokens: item.maxTokens, temperature: 0 }))
    text += event.text;
  assert.equal(
    suites[0]!.outcomes[0]!.said,
    text.trimStart().includes('\n') ? text.trimStart().split('\n')[0] : text,
  );
});

test('perplexity is the mean negative log-likelihood, in windows that start afresh', async () => {
  const text = 'The secret number of Oslo is 123. Is it? Answer: maybe, no. '.repeat(3);
  const suite = await buildSuite(`perplexity:${await lines('p.txt', [text])}`, model, { window: 50 });
  const tokens = model.encode(text);
  let nats = 0;
  let scored = 0;
  let bytes = 0;
  for (let from = 0; from < tokens.length; from += 50) {
    const part = tokens.slice(from, from + 50);
    const likelihoods = await plainLikelihoods(part);
    nats -= likelihoods.reduce((a, b) => a + b, 0);
    scored += likelihoods.length;
    bytes += part.slice(1).reduce((sum, t) => sum + model.tokenizer!.tokenBytes(t).length, 0);
  }
  const summary = (await evaluate(model, [suite], { out: null })).suites[0]!.summary.text!;
  assert.deepEqual([summary.tokens, summary.bytes], [scored, bytes]);
  near(summary.loss, nats / scored);
  near(summary.perplexity, Math.exp(nats / scored), 0.05);
  near(summary.bitsPerByte, nats / Math.LN2 / bytes);
});

test('results do not depend on the batch', async () => {
  const names = [
    'recall:tiny',
    'few-shot-labels:tiny',
    `perplexity:${join(folder, 'p.txt')}`,
    `questions:${join(folder, 'q.jsonl')}`,
  ];
  const suites = await Promise.all(names.map((n) => buildSuite(n, model, { items: 5, window: 40 })));
  const [one, many] = [
    await evaluate(model, suites, { out: null, batch: 1 }),
    await evaluate(model, suites, { out: null, batch: 16 }),
  ];
  assert.deepEqual(
    one.suites.map((s) => s.summary.accuracy),
    many.suites.map((s) => s.summary.accuracy),
  );
  one.suites.forEach((s, i) => {
    s.outcomes.forEach((o, k) => {
      near(o.score, many.suites[i]!.outcomes[k]!.score, 1e-5);
    });
  });
});

test('a run that was cut off goes on where it was, from half a line too; another model is refused', async () => {
  const out = join(folder, 'run');
  const suite = await buildSuite('induction:tiny', model, { items: 12 });
  const stop = new AbortController();
  await assert.rejects(
    evaluate(model, [suite], {
      out,
      batch: 5,
      signal: stop.signal,
      onProgress: (done) => void (done >= 5 && stop.abort()),
    }),
  );
  const [transcript] = (await readdir(out)).filter((n) => n.startsWith('induction'));
  await appendFile(join(out, transcript!), '{"id":"0-1');
  const { suites } = await evaluate(model, [suite], { out });
  assert.equal(suites[0]!.resumed, 5);
  const kept = (await readFile(join(out, transcript!), 'utf8'))
    .trim()
    .split('\n')
    .map((l) => JSON.parse(l).id);
  assert.deepEqual(
    kept,
    suite.items.map((i) => i.id),
  );
  const whole = await evaluate(model, [suite], { out: null });
  assert.deepEqual(suites[0]!.outcomes, whole.suites[0]!.outcomes);
  const other = await load('two');
  await assert.rejects(evaluate(other, [suite], { out }), /found one of another model/);
  await other.close();
});

test('two models are compared item by item', async () => {
  const other = await load('two');
  const suites = [
    await buildSuite('recall:tiny', model, { items: 10 }),
    await buildSuite(`perplexity:${join(folder, 'p.txt')}`, model, { window: 30 }),
  ];
  const [a, b] = [await evaluate(model, suites, { out: null }), await evaluate(other, suites, { out: null })];
  const [self] = compareEvaluations(a, a);
  assert.deepEqual([self!.difference.mean, self!.mcNemar!.p], [0, 1]);
  const [, text] = compareEvaluations(a, b);
  const mean =
    a.suites[1]!.outcomes.map((o, i) => b.suites[1]!.outcomes[i]!.score - o.score).reduce(
      (x, y) => x + y,
      0,
    ) / suites[1]!.items.length;
  near(text!.difference.mean, mean, 1e-9);
  assert.equal(text!.mcNemar, null);
  await other.close();
});

test('a model does not diverge from itself; another one does, by the definition of KL', async () => {
  const sequences = [model.encode('The secret number of Oslo is 123, is it? maybe no')];
  const same = await compareDistributions(model, model, { sequences });
  assert.deepEqual(
    [same.meanDivergence, same.topAgreement.value, same.losses[0] - same.losses[1]],
    [0, 1, 0],
  );
  const other = await load('two');
  const report = await compareDistributions(model, other, { sequences });
  const [p, q] = [model.createSession(), other.createSession()];
  let sum = 0;
  for (const token of sequences[0]!) {
    const [x, y] = [await p.prefill([token]), await q.prefill([token])];
    const [lx, ly] = [logSumExp(x, 0, x.length), logSumExp(y, 0, y.length)];
    x.forEach((value, i) => {
      sum += Math.exp(value - lx) * (value - lx - (y[i]! - ly));
    });
  }
  near(report.meanDivergence, sum / sequences[0]!.length, 1e-5);
  const written = await compareDistributions(model, other, { count: 2, length: 9 });
  assert.equal(written.positions, 18);
  assert.ok(written.meanDivergence > 0.01 && written.topAgreement.value < 1);
  await other.close();
});

test('divergence of rows: zero for a shift, log 2 for half of the mass', () => {
  near(divergence(Float32Array.of(1, 2, 3), Float32Array.of(11, 12, 13), 0, 3), 0, 1e-6);
  near(divergence(Float32Array.of(9, -90), Float32Array.of(5, 5), 0, 2), Math.LN2, 1e-6);
});

test('haystacks have the length asked for, hold their needle at every depth, and ask for it', async () => {
  for (const name of ['text-needle', 'text-variables']) {
    const suite = await buildSuite(name, model, { lengths: [700, 1500], items: 4 });
    assert.equal(suite.items.length, 8);
    for (const item of suite.items) {
      assert.ok(item.kind === 'free');
      const tokens = model.encode(item.prompt).length + item.maxTokens;
      assert.ok(
        tokens <= Number(item.group) && tokens > Number(item.group) - 80,
        `${tokens} of ${item.group}`,
      );
      for (const answer of item.answers) assert.ok(item.prompt.includes(answer));
    }
    const places = suite.items
      .slice(4)
      .map((item) => (item.kind === 'free' ? item.prompt.indexOf(item.answers[0]!) / item.prompt.length : 0));
    assert.ok(places[0]! < 0.2 && places[3]! > 0.6, `${places}`);
    assert.deepEqual(await buildSuite(name, model, { lengths: [700, 1500], items: 4 }), suite);
    const right = suite.items.map((item) => ({
      id: item.id,
      group: item.group!,
      correct: item.group === '700',
      score: item.group === '700' ? 1 : 0.5,
    }));
    assert.equal(summariseSuite(suite, right).effectiveLength, 700);
  }
  await assert.rejects(buildSuite('text-needle', model, { lengths: [4000] }), /at most the context/);
  await assert.rejects(buildSuite('text-needle', model, { lengths: [40] }), /at least \d+ tokens/);
});

test('an effective length needs all shorter ones', () => {
  const share = (value: number) => ({ value, right: 0, count: 0, low: 0, high: 1 });
  assert.equal(effectiveLength([100, 200, 400], { 100: share(1), 200: share(0.8), 400: share(1) }), 100);
  assert.equal(effectiveLength([100, 200], { 100: share(0.5), 200: share(1) }), 0);
});

test('the rule of a synthetic task scores all of it: items carry the right answers', async () => {
  const suite = await buildSuite('recall:tiny', model, { items: 5 });
  const instance = findTask('recall').at('tiny');
  for (const item of suite.items) {
    assert.ok(item.kind === 'sequence');
    for (const a of item.answers) assert.equal(instance.solve(item.tokens.slice(0, a)), item.tokens[a]);
  }
});

test('answers are compared without case, punctuation and articles', () => {
  assert.equal(normalise(' The  Harbour, of Oslo!'), 'harbour of oslo');
});

test('what cannot be asked is refused by name', async () => {
  const refused = (name: string, message: RegExp, options = {}) =>
    assert.rejects(buildSuite(name, model, options), message);
  await refused('riddles', /task: expected one of recall, .*questions:FILE, found "riddles"/);
  await refused('recall:huge', /level among tiny/);
  await refused('recall:large', /at least 1025 tokens, found 300/);
  await refused('perplexity', /expected a file after a colon/);
  await refused(
    `questions:${await lines('bad.jsonl', [QUESTIONS[0], '{"question":3}'])}`,
    /bad\.jsonl:2: question: expected a text, found 3/,
  );
  await refused(
    `questions:${await lines('bad2.jsonl', [{ question: 'x', choices: ['a', 'b'], answer: 'E' }])}`,
    /bad2\.jsonl:1: answer: expected an index below 2/,
  );
  await refused(`questions:${await lines('bad3.jsonl', ['[1]'])}`, /bad3\.jsonl:1: line: expected an object/);
  await refused(`questions:${join(folder, 'q.jsonl')}`, /at least 10 questions, found 4/, { shots: 9 });
  await assert.rejects(buildSuite(`perplexity:${await lines('empty.txt', [''])}`, model), FormatError);
  await assert.rejects(
    buildSuite('text-needle', { ...model, name: 'x', vocabularySize: 9, contextLength: 99, tokenizer: null }),
    UsageError,
  );
});
