// Answers held to a format, by a real model: forks, rewinds, restores, drafts and other libraries' schemas.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { StandardSchema } from '../src/index.ts';
import { sharedModel } from './shared-models.ts';

const FILE = fileURLToPath(new URL('../../marimba/model/speeches-jamba.q8_0.gguf', import.meta.url));
const PROMPT = 'Abraham Lincoln, 1862';
const load = () => sharedModel(FILE, { threads: 1 });

const SCHEMA = {
  type: 'object',
  properties: {
    title: { type: 'string', maxLength: 30 },
    year: { type: 'integer', minimum: 1789, maximum: 2000 },
  },
  required: ['title', 'year'],
  additionalProperties: false,
} as const;
const output = { schema: SCHEMA, order: 'declared' } as const;
const sampling = { temperature: 0.8, seed: 5, maxTokens: 120 } as const;

function assertBook(value: unknown): void {
  const { title, year, ...rest } = value as { title: string; year: number };
  assert.ok(typeof title === 'string' && [...title].length <= 30, title);
  assert.ok(Number.isInteger(year) && year >= 1789 && year <= 2000, `${year}`);
  assert.deepEqual(rest, {});
}

test('a value of the schema, the same with and without drafts and log-probabilities', async () => {
  const model = await load();
  const answers = [];
  for (const more of [{ speculate: false }, { speculate: true }, { logprobs: 1 }] as const) {
    using session = model.createSession();
    answers.push(await session.complete(PROMPT, { ...sampling, ...more, output }));
  }
  const [first] = answers;
  assertBook(first!.value);
  assert.deepEqual(JSON.parse(first!.text), first!.value);
  for (const { tokens, text } of answers) assert.deepEqual([tokens, text], [first!.tokens, first!.text]);
});

test('what follows an answer reads what it left, forced stretches included', async () => {
  const model = await load();
  using session = model.createSession();
  const { tokens, finishReason } = await session.complete(PROMPT, { ...sampling, output });
  assert.equal(finishReason, 'stop');
  const whole = model.encode(PROMPT).concat(tokens);
  assert.deepEqual(session.tokens, whole);
  using fresh = model.createSession();
  const [mine, theirs] = [await session.prefill([40]), await fresh.prefill([...whole, 40])];
  assert.ok(mine.every((logit, i) => Math.abs(logit - theirs[i]!) < 1e-3));
});

test('a cut answer goes on in a fork, after a rewind and after a restore', async () => {
  const model = await load();
  using session = model.createSession();
  const from = model.encode(PROMPT).length;
  const cut = await session.complete(PROMPT, { ...sampling, maxTokens: 14, output });
  assert.equal(cut.finishReason, 'length');
  assert.ok(!('value' in cut));
  const rest = { ...sampling, temperature: 0, output: { ...output, from } } as const;
  using fork = session.fork();
  using restored = model.restoreSession(session.save());
  const [a, b] = [await fork.complete([], rest), await restored.complete([], rest)];
  assertBook(a.value);
  assert.deepEqual(JSON.parse(cut.text + a.text), a.value);
  assert.deepEqual(b.value, a.value);
  const kept = session.tokens.slice(0, from + 6);
  await session.rewind(from + 5);
  const anew = await session.complete(kept.slice(-1), { ...sampling, seed: 6, output: { ...output, from } });
  assertBook(anew.value);
  assert.deepEqual(session.tokens.slice(0, from + 6), kept);
});

test('an expression and a grammar in a conversation of two sessions at once', async () => {
  const model = await load();
  using one = model.createSession();
  using two = model.createSession();
  const [date, list] = await Promise.all([
    one.complete(PROMPT, { ...sampling, output: { regex: '1[789]\\d{2}-(0[1-9]|1[0-2])' } }),
    two.complete(PROMPT, {
      ...sampling,
      output: { grammar: 'root ::= "- " [a-z ]{3,12} ("\\n- " [a-z ]{3,12}){2}' },
    }),
  ]);
  assert.match(date.text, /^1[789]\d\d-(0[1-9]|1[0-2])$/);
  assert.match(list.text, /^(- [a-z ]{3,12}\n?){3}$/);
});

test('schemas of validating libraries: their JSON Schema, and what they make of the value', async () => {
  const model = await load();
  using session = model.createSession();
  const year: StandardSchema<Date> = {
    '~standard': {
      version: 1,
      vendor: 'test',
      validate: (value) => {
        const { year } = value as { year: number };
        return year % 2 === 0
          ? { value: new Date(Date.UTC(year, 0)) }
          : { issues: [{ message: 'odd', path: ['year'] }] };
      },
      jsonSchema: {
        input: () => ({ ...SCHEMA, properties: { year: SCHEMA.properties.year }, required: ['year'] }),
      },
    } as StandardSchema<Date>['~standard'],
  };
  const seen = new Set<string>();
  for (let seed = 0; seed < 12 && seen.size < 2; seed++) {
    const { value, issues, text } = await session.complete(PROMPT, {
      ...sampling,
      seed,
      output: { schema: year },
    });
    const said = (JSON.parse(text) as { year: number }).year;
    if (value) assert.equal(value.getUTCFullYear(), said);
    else assert.deepEqual(issues, [{ message: 'odd', path: ['year'] }]);
    seen.add(value ? 'value' : 'issues');
  }
  assert.equal(seen.size, 2);
  const mute = {
    '~standard': { version: 1, vendor: 'mute', validate: (value: unknown) => ({ value }) },
  } as const;
  assert.throws(
    () => session.generate(PROMPT, { output: { schema: mute } }),
    /mute that can be written as JSON Schema/,
  );
});
