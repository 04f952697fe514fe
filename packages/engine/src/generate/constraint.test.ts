import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GrammarError, UsageError } from '../errors.ts';
import { generate } from './generate.ts';
import { createRandom } from './random.ts';
import { createPieceTokenizer, createScriptedModel, createScriptedSession } from './testing.ts';
import type { GenerateEvent, GenerateOptions } from './types.ts';

// Every letter, then pieces that reach over what a grammar wants, an end token and another special one.
const PIECES = [
  ...'abcdefghijklmnopqrstuvwxyz0123456789{}[]":, .-',
  '{"',
  '":',
  '","',
  'na',
  'name',
  'ab',
  '12',
  'é',
];
const SIZE = PIECES.length + 2;
const END = PIECES.length;
const idOf = (piece: string): number => PIECES.indexOf(piece);
const tokenizer = createPieceTokenizer(PIECES, ['<|end|>', '<|tool|>']);
const PROMPT = [idOf('a')];

async function run(
  options: GenerateOptions,
  predict: (tokens: readonly number[]) => Float32Array = noise(1),
  carried: readonly number[] = [],
) {
  const model = createScriptedModel(SIZE, tokenizer, { endTokens: [END] });
  const session = createScriptedSession({ vocabularySize: SIZE, predict, carried });
  let released: readonly number[] = [];
  const begin = () => ({
    session,
    promptTokens: carried.length ? [] : PROMPT,
    reuse: { reusedTokens: 0, computedTokens: 0, reason: null },
    readLength: () => session.position,
    release: ({ tokens }: { tokens: readonly number[] }) => void (released = tokens),
  });
  const generation = generate(begin, model, { seed: 1, ...options });
  const events: GenerateEvent[] = [];
  for await (const event of generation) events.push(event);
  return { events, result: await generation.result, session, released };
}

/** Random logits, the same for the same tokens. */
const noise =
  (seed: number) =>
  (tokens: readonly number[]): Float32Array => {
    const random = createRandom(tokens.reduce((hash, token) => (hash * 31 + token + 1) % 2 ** 31, seed));
    return Float32Array.from({ length: SIZE }, () => random() * 6);
  };

/** Wants one piece more than all others. */
const wanting = (piece: string) => () => {
  const logits = new Float32Array(SIZE);
  logits[idOf(piece)] = 20;
  return logits;
};

test('whatever the model wants, a whole answer is of its format', async () => {
  for (const [output, expression] of [
    [{ regex: '[a-c]{2,5}-\\d{1,3}' }, /^[a-c]{2,5}-\d{1,3}$/],
    [{ grammar: 'root ::= "[" (item ("," item)*)? "]"\nitem ::= [a-z] | root' }, /^\[[a-z[\],]*\]$/],
    [{ regex: 'name|ab12|é' }, /^(name|ab12|é)$/],
  ] as const)
    for (let seed = 0; seed < 40; seed++) {
      for (const temperature of [0, 1]) {
        const { result, events } = await run({ output, temperature, seed, maxTokens: 200 }, noise(seed));
        assert.equal(events.map(({ text }) => text).join(''), result.text);
        if (result.finishReason === 'length') assert.ok(!('value' in result));
        else {
          assert.match(result.text, expression);
          assert.equal(result.value, result.text);
        }
      }
    }
});

test('the answer ends where nothing may follow, by an end token where something may', async () => {
  const fixed = await run({ output: { regex: 'ab' } }, wanting('z'));
  assert.deepEqual(fixed.result.finishReason, 'stop');
  assert.equal(fixed.result.stopToken, undefined);
  const open = await run({ output: { regex: 'a+' }, temperature: 0 }, (tokens) => {
    const logits = wanting('a')();
    if (tokens.length > 3) logits[END] = 30;
    else logits[END] = 5;
    return logits;
  });
  assert.equal(open.result.text, 'aaa');
  assert.equal(open.result.stopToken, END);
  assert.equal(open.result.value, 'aaa');
});

test('an end token is not taken before the text may end, nor a stop token', async () => {
  const logits = new Float32Array(SIZE);
  logits[END] = 50;
  logits[idOf('b')] = 40;
  const { result } = await run(
    { output: { regex: '[ab]{3}' }, stopTokens: [idOf('b')], temperature: 0 },
    () => logits,
  );
  assert.equal(result.text, 'aaa');
  assert.equal(result.finishReason, 'stop');
});

test('special tokens are never text, also where everything is allowed', async () => {
  const logits = new Float32Array(SIZE);
  logits[END + 1] = 50;
  const { result } = await run({ output: { regex: '[^]{4}' }, temperature: 0 }, () => logits);
  assert.ok(result.tokens.every((token) => token < END));
});

test('a cut answer has no value, even where its text could end', async () => {
  const { result } = await run({ output: { regex: 'a+' }, maxTokens: 3, temperature: 0 }, wanting('a'));
  assert.equal(result.finishReason, 'length');
  assert.ok(!('value' in result));
  const whole = await run({ output: { regex: 'aaa' }, maxTokens: 3, temperature: 0 }, wanting('a'));
  assert.equal(whole.result.finishReason, 'stop');
  assert.equal(whole.result.value, 'aaa');
});

test('what must come is not sampled, and read at once, in the tokenizer’s own pieces', async () => {
  const { result, session } = await run(
    { output: { regex: '\\{"name":"[a-z]"\\}' }, temperature: 0 },
    wanting('x'),
  );
  assert.equal(result.text, '{"name":"x"}');
  assert.ok(result.tokens.includes(idOf('name')));
  assert.ok(session.calls.some((count) => count > 1));
  assert.equal(
    session.tokens.length + session.pending.filter((one) => one !== null).length,
    1 + result.tokens.length,
  );
  const single = await run(
    { output: { regex: '\\{"name":"[a-z]"\\}' }, temperature: 0, logprobs: 0 },
    wanting('x'),
  );
  assert.deepEqual(single.result.tokens, result.tokens);
  assert.ok(single.session.calls.every((count) => count === 1));
});

test('log-probabilities are of the model; what was allowed says of how much', async () => {
  const { events } = await run(
    { output: { regex: '[ab]' }, temperature: 0, logprobs: 2 },
    () => new Float32Array(SIZE),
  );
  const [{ logprob, allowedLogprob, top }] = events as [GenerateEvent];
  assert.ok(Math.abs(logprob! - Math.log(1 / SIZE)) < 1e-6);
  assert.ok(Math.abs(allowedLogprob! - Math.log(2 / SIZE)) < 1e-6);
  assert.equal(top!.length, 2);
});

test('a bias that forbids all that is allowed is an error, not a way out', async () => {
  const logitBias = { [idOf('a')]: Number.NEGATIVE_INFINITY };
  await assert.rejects(run({ output: { regex: 'a' }, logitBias }), /Every token is forbidden/);
});

test('an answer that was cut goes on where it was', async () => {
  const output = { regex: '\\[[a-z]{6}\\]' };
  const first = await run({ output, maxTokens: 4, seed: 3 });
  assert.equal(first.result.finishReason, 'length');
  const carried = [...PROMPT, ...first.result.tokens];
  const model = createScriptedModel(SIZE, tokenizer, { endTokens: [END] });
  const again = async (tokens: readonly number[]) => {
    const session = createScriptedSession({
      vocabularySize: SIZE,
      predict: noise(9),
      carried: tokens.slice(0, -1),
    });
    const begin = () => ({
      session,
      promptTokens: tokens.slice(-1),
      reuse: { reusedTokens: 0, computedTokens: 0, reason: null },
      readLength: () => session.position,
      release: () => {},
    });
    return await generate(begin, model, { output: { ...output, from: 1 }, seed: 4 }).result;
  };
  const rest = await again(carried);
  assert.match(first.result.text + rest.text, /^\[[a-z]{6}\]$/);
  assert.equal(rest.value, first.result.text + rest.text);
  await assert.rejects(again([...PROMPT, idOf('}')]), /expected a text of its format so far, found "}"/);
});

test('formats that do not exist or cannot be enforced are refused at once', () => {
  const model = createScriptedModel(SIZE, tokenizer);
  const attempt =
    (output: unknown, of = model) =>
    () =>
      generate(() => assert.fail('began'), of, { output: output as { regex: string } });
  assert.throws(attempt({ regex: '(a)\\1' }), GrammarError);
  assert.throws(
    attempt({ regex: 'a', grammar: 'root ::= "a"' }),
    /expected one of .* found regex and grammar/,
  );
  assert.throws(attempt({}), UsageError);
  assert.throws(attempt('a'), UsageError);
  assert.throws(attempt({ regex: 5 }), UsageError);
  assert.throws(attempt({ regex: 'a', from: -1 }), /output.from/);
  assert.throws(attempt({ regex: 'a' }, createScriptedModel(SIZE)), /without/);
});

test('without output nobody asks for masks, which cost tens of megabytes', async () => {
  const { masks, ...model } = createScriptedModel(SIZE, tokenizer, { endTokens: [END] });
  let asked = 0;
  const watched = {
    ...model,
    get masks() {
      asked++;
      return masks;
    },
  };
  const answer = (options: GenerateOptions) => {
    const session = createScriptedSession({ vocabularySize: SIZE, predict: noise(2) });
    const begin = () => ({
      session,
      promptTokens: PROMPT,
      reuse: { reusedTokens: 0, computedTokens: 0, reason: null },
      readLength: () => session.position,
      release: () => {},
    });
    return generate(begin, watched, { maxTokens: 3, ...options }).result;
  };
  await answer({});
  assert.equal(asked, 0);
  await answer({ output: { regex: '[a-z]+' } });
  assert.equal(asked, 1);
});
