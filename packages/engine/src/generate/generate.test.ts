import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsageError } from '../errors.ts';
import { generate } from './generate.ts';
import type { Generation } from './generation.ts';
import { createRandom } from './random.ts';
import {
  createPieceTokenizer,
  createScriptedModel,
  createScriptedSession,
  followScript,
  type ScriptedOptions,
} from './testing.ts';
import type { GenerateEvent, GenerateOptions, GenerateResult, TokenModel, TokenSession } from './types.ts';

const greedy = { temperature: 0 } as const;

/** Reads `prompt` into the session and generates from there. */
function start(
  session: TokenSession,
  model: TokenModel,
  prompt: readonly number[],
  options: GenerateOptions,
): Generation & { released: () => number } {
  let released = 0;
  const begin = () => ({
    session,
    promptTokens: prompt,
    reuse: { reusedTokens: session.position, computedTokens: prompt.length, reason: null },
    readLength: () => session.position,
    release: () => void released++,
  });
  return Object.assign(generate(begin, model, options), { released: () => released });
}

async function collect(
  session: TokenSession,
  model: TokenModel,
  prompt: readonly number[],
  options: GenerateOptions,
): Promise<{ events: GenerateEvent[]; result: GenerateResult }> {
  const generation = start(session, model, prompt, options);
  const events: GenerateEvent[] = [];
  for await (const event of generation) events.push(event);
  const result = await generation.result;
  assert.equal(generation.released(), 1, 'the session is released once');
  return { events, result };
}

/** Runs a script of pieces after the prompt [0]; piece 0 is 'P', special tokens follow the pieces. */
async function runPieces(
  pieces: readonly (string | Uint8Array)[],
  options: GenerateOptions = {},
  model: Partial<TokenModel> = {},
  tail: readonly number[] = [],
) {
  const all = ['P', ...pieces];
  const script = [...pieces.map((_, i) => i + 1), ...tail];
  const size = all.length + 3;
  const tokenizer = createPieceTokenizer(all, ['<|end|>', '<|eot|>', '<|tool|>']);
  const session = createScriptedSession({ vocabularySize: size, predict: followScript(script, 1, size) });
  const scripted = createScriptedModel(size, tokenizer, { endTokens: [all.length], ...model });
  const run = await collect(session, scripted, [0], { ...greedy, maxTokens: script.length, ...options });
  return { ...run, session, script };
}

/** What holds for every generation. */
function assertConsistent({ events, result }: { events: GenerateEvent[]; result: GenerateResult }): void {
  assert.equal(events.map((event) => event.text).join(''), result.text);
  assert.deepEqual(
    events.map((event) => event.token),
    result.tokens,
  );
  for (const event of events) assert.ok(event.text.isWellFormed());
}

test('streams tokens, positions and text, and leaves exactly the last token out of the session', async () => {
  const { events, result, session } = await runPieces(['Hel', 'lo', '!']);
  assertConsistent({ events, result });
  assert.deepEqual(
    events.map((event) => [event.token, event.position, event.text]),
    [
      [1, 1, 'Hel'],
      [2, 2, 'lo'],
      [3, 3, '!'],
    ],
  );
  assert.equal(result.finishReason, 'length');
  assert.deepEqual(session.tokens, [0, 1, 2]);
  assert.deepEqual(session.pending, [3]);
  assert.deepEqual(result.usage, { promptTokens: 1, reusedTokens: 0, generatedTokens: 3 });
  assert.equal(events[0].logprob, undefined);
});

test('every split of a text into tokens finds the stop string and shows the same text', async () => {
  const text = new TextEncoder().encode('né 😀 EÑD x');
  const stop = '😀 EÑD';
  const random = createRandom(4);
  for (let round = 0; round < 400; round++) {
    // Cuts at any byte, so inside characters too; the first rounds cut everywhere and nowhere.
    const density = round === 0 ? 1 : round === 1 ? 0 : random();
    const pieces: Uint8Array[] = [];
    let start = 0;
    for (let end = 1; end <= text.length; end++) {
      if (end < text.length && random() >= density) continue;
      pieces.push(text.slice(start, end));
      start = end;
    }
    const run = await runPieces(pieces, { stop: ['never', stop] });
    assertConsistent(run);
    assert.equal(run.result.text, 'né ');
    assert.equal(run.result.finishReason, 'stop');
    assert.equal(run.result.stopString, stop);
    assert.deepEqual(run.session.pending, [run.result.tokens.at(-1)]);
  }
});

test('an emoji in four byte tokens comes out whole, and what is missing at the end as U+FFFD', async () => {
  const bytes = Array.from(new TextEncoder().encode('😀'), (byte) => Uint8Array.of(byte));
  const whole = await runPieces([...bytes, '!']);
  assert.deepEqual(
    whole.events.map((event) => event.text),
    ['', '', '', '😀', '!'],
  );
  const cut = await runPieces(['a', ...bytes], { maxTokens: 3 });
  assertConsistent(cut);
  assert.equal(cut.result.text, 'a\ufffd');
});

test('text held back for a stop string comes with the last token', async () => {
  const { events, result } = await runPieces(['a', '<', '/', 'x', '<'], { stop: ['</s>'] });
  assert.deepEqual(
    events.map((event) => event.text),
    ['a', '', '', '</x', '<'],
  );
  assert.equal(result.text, 'a</x<');
  assert.equal(result.finishReason, 'length');
});

test('end tokens end: several of them, without their text, counted as tokens', async () => {
  // Tokens 2, 3, 4 are special: <|end|>, <|eot|>, <|tool|>.
  for (const [endTokens, stopTokens] of [
    [[2, 3], []],
    [[2], [3]],
  ]) {
    const { events, result } = await runPieces(['a'], { stopTokens }, { endTokens }, [3, 1, 1]);
    assertConsistent({ events, result });
    assert.deepEqual([result.tokens, result.text, result.stopToken], [[1, 3], 'a', 3]);
    assert.equal(result.finishReason, 'stop');
  }
  // Held-back text is released by the end token; an ordinary token can be one, and is not shown.
  const { events } = await runPieces(['<', 'E'], { stop: ['<x'] }, { endTokens: [2] });
  assert.deepEqual(
    events.map((event) => event.text),
    ['', '<'],
  );
});

test('ignoreEos goes on through the model’s end tokens but not through stopTokens', async () => {
  const { result } = await runPieces(['a'], { ignoreEos: true, stopTokens: [3] }, {}, [2, 2, 1, 3, 1]);
  assert.deepEqual([result.tokens, result.text], [[1, 2, 2, 1, 3], 'aa']);
});

test('a special token stops by its name', async () => {
  const { result } = await runPieces(['a'], { stop: ['<|eot|>'] }, {}, [4, 3, 1]);
  assert.deepEqual([result.tokens, result.text, result.stopString], [[1, 4, 3], 'a', '<|eot|>']);
});

test('the context is filled to its last position and no further', async () => {
  const full = await runPieces(['a', 'b', 'c'], { maxTokens: 100 }, { contextLength: 3 });
  assert.deepEqual([full.result.tokens, full.result.finishReason], [[1, 2], 'context']);
  const none = await runPieces(['a'], {}, { contextLength: 1 });
  assert.deepEqual([none.result.tokens, none.result.finishReason], [[], 'context']);
  assert.deepEqual(none.session.pending, [null]);
});

test('maxTokens 0 reads the prompt and nothing else', async () => {
  const { result, session } = await runPieces(['a'], { maxTokens: 0 });
  assert.deepEqual([result.tokens, result.finishReason, session.tokens], [[], 'length', [0]]);
});

test('logprobs are those of the raw logits, whatever the sampling makes of them', async () => {
  const logits = Float32Array.from([0.1, 0.2, 0.4, 0.3], Math.log);
  const tokenizer = createPieceTokenizer(['a', 'b', Uint8Array.of(0xc3)], ['<s>']);
  const session = createScriptedSession({ vocabularySize: 4, predict: () => logits });
  const options = {
    logprobs: 2,
    temperature: 0.1,
    logitBias: { 1: 100 },
    repetitionPenalty: 1.5,
    maxTokens: 2,
  };
  const { events } = await collect(session, createScriptedModel(4, tokenizer), [0], options);
  for (const { token, logprob, top } of events) {
    assert.equal(token, 1);
    assert.ok(Math.abs(Math.exp(logprob ?? 0) - 0.2) < 1e-6);
    assert.deepEqual(
      top?.map((one) => [one.token, one.text, Math.exp(one.logprob).toFixed(4)]),
      [
        [2, '\ufffd', '0.4000'],
        [3, '<s>', '0.3000'],
      ],
    );
  }
  const bare = createScriptedSession({ vocabularySize: 4, predict: () => logits });
  const alone = await collect(bare, createScriptedModel(4), [0], { logprobs: 0, maxTokens: 1 });
  assert.deepEqual(alone.events[0].top, []);
  assert.equal(alone.result.text, '');
});

test('an abort while the prompt is read rejects with its reason and keeps what was read', async () => {
  const abort = new AbortController();
  const reason = new Error('enough');
  const onToken = (position: number) => position === 3 && abort.abort(reason);
  const session = scripted({ onToken });
  const generation = start(session, createScriptedModel(5), [1, 2, 3, 4, 1], { signal: abort.signal });
  for await (const _ of generation) assert.fail('no event is due');
  await assert.rejects(generation.result, (error) => error === reason);
  assert.deepEqual([generation.tokens, generation.text], [[], '']);
  assert.deepEqual([session.tokens, session.pending, generation.released()], [[1, 2, 3], [null], 1]);
  const before = scripted();
  const early = start(before, createScriptedModel(5), [1], { signal: AbortSignal.abort(reason) });
  await assert.rejects(early.result, (error) => error === reason);
  assert.deepEqual([before.calls.length, early.released()], [0, 0]);
});

test('an abort between tokens and one during a step both end without a further event', async () => {
  for (const when of ['event', 'step']) {
    const abort = new AbortController();
    const session = scripted({ onToken: (position) => when === 'step' && position === 3 && abort.abort() });
    const generation = start(session, createScriptedModel(5), [1], { ...greedy, signal: abort.signal });
    const tokens: number[] = [];
    for await (const { token } of generation) if (tokens.push(token) === 3 && when === 'event') abort.abort();
    await assert.rejects(generation.result, { name: 'AbortError' });
    assert.deepEqual(generation.tokens, tokens);
    assert.equal(tokens.length, 3);
    // Either way the session holds the whole answer: read, or read and pending.
    const held = session.pending[0] === null ? [] : session.pending;
    assert.deepEqual([...session.tokens, ...held], [1, ...tokens]);
    assert.deepEqual(session.pending, [when === 'event' ? tokens[2] : null]);
  }
});

test('an abort ends a generation that nobody reads any more', async () => {
  const abort = new AbortController();
  const generation = start(scripted(), createScriptedModel(5), [1], { ...greedy, signal: abort.signal });
  const reader = generation.textStream.getReader();
  const first = generation[Symbol.asyncIterator]();
  await first.next();
  abort.abort();
  await assert.rejects(generation.result, { name: 'AbortError' });
  assert.equal(generation.released(), 1);
  assert.deepEqual(await reader.read(), { done: true, value: undefined });
});

test('errors of the session are not taken for an abort', async () => {
  const abort = new AbortController();
  const onToken = () => {
    abort.abort();
    throw new RangeError('out of pages');
  };
  const generation = start(scripted({ onToken }), createScriptedModel(5), [1], { signal: abort.signal });
  await assert.rejects(
    async () => {
      for await (const _ of generation);
    },
    { message: 'out of pages' },
  );
  await assert.rejects(generation.result, { message: 'out of pages' });
});

test('a consumer that leaves the loop ends the generation and leaves the session consistent', async () => {
  const session = scripted();
  const seen: number[] = [];
  const generation = start(session, createScriptedModel(5), [1], greedy);
  for await (const event of generation) if (seen.push(event.token) === 2) break;
  const { finishReason, tokens } = await generation.result;
  assert.deepEqual([finishReason, tokens, generation.released()], ['cancel', seen, 1]);
  assert.deepEqual([session.tokens, session.pending], [[1, seen[0]], [seen[1]]]);
});

test('nothing runs before somebody asks, and closing then leaves the session alone', async () => {
  const session = scripted();
  const generation = start(session, createScriptedModel(5), [1], greedy);
  await new Promise((resolve) => setImmediate(resolve));
  await generation.close();
  assert.deepEqual([session.calls, generation.released()], [[], 0]);
  const { finishReason, tokens } = await generation.result;
  assert.deepEqual([finishReason, tokens], ['cancel', []]);
});

test('closing interrupts the reading of a prompt', async () => {
  const session = scripted();
  const generation = start(session, createScriptedModel(5), new Array<number>(100).fill(1), greedy);
  const { result } = generation;
  await Promise.resolve();
  await generation.close();
  assert.equal((await result).finishReason, 'cancel');
  assert.ok(session.position < 100, `${session.position} tokens were read`);
});

test('the result comes without anybody reading events, and every reader sees all of them', async () => {
  const options = { ...greedy, maxTokens: 6 };
  const all = await runPieces(['a', 'b', 'c', 'd', 'e', 'f']);
  const generation = start(scripted(), createScriptedModel(5), [1], options);
  const { tokens } = await generation.result;
  assert.equal(tokens.length, 6);
  const again: number[] = [];
  for await (const { token } of generation) again.push(token);
  assert.deepEqual([again, generation.tokens], [tokens, tokens]);

  const { events, result, script } = all;
  const size = 10;
  const tokenizer = createPieceTokenizer(
    ['P', 'a', 'b', 'c', 'd', 'e', 'f'],
    ['<|end|>', '<|eot|>', '<|tool|>'],
  );
  const session = createScriptedSession({ vocabularySize: size, predict: followScript(script, 1, size) });
  const text = start(session, createScriptedModel(size, tokenizer), [0], options);
  const collectText = async (stream: AsyncIterable<string>) => {
    let joined = '';
    for await (const piece of stream) joined += piece;
    return joined;
  };
  const texts = await Promise.all([
    collectText(text.textStream),
    collectText(text.textStream),
    new Response(text.textStream.pipeThrough(new TextEncoderStream())).text(),
    text.result.then((whole) => whole.text),
  ]);
  assert.deepEqual(texts, new Array(4).fill('abcdef'));
  assert.equal(result.text, 'abcdef');
  assert.equal(events.length, 6);
});

test('a stream reads no further than it is asked, and cancelling it ends the generation', async () => {
  const tokenizer = createPieceTokenizer(['a', 'b', 'c', 'd', 'e']);
  const session = scripted();
  const generation = start(session, createScriptedModel(5, tokenizer), [1], greedy);
  const reader = generation.textStream.getReader();
  await reader.read();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(generation.tokens.length, 1);
  await reader.cancel();
  assert.equal((await generation.result).finishReason, 'cancel');
});

test('a continued answer equals an uninterrupted one', async () => {
  const model = createScriptedModel(5);
  const options = { ...greedy, repetitionPenalty: 1.2 };
  const { result: whole } = await collect(scripted(), model, [1, 2], { ...options, maxTokens: 12 });
  const session = scripted();
  const first = await collect(session, model, [1, 2], { ...options, maxTokens: 5 });
  const second = await collect(session, model, [session.pending[0]!], { ...options, maxTokens: 7 });
  assert.deepEqual([...first.result.tokens, ...second.result.tokens], whole.tokens);
  assert.deepEqual(second.result.usage, { promptTokens: 7, reusedTokens: 6, generatedTokens: 7 });
});

test('the recommended sampling holds unless an option says otherwise', async () => {
  const predict = () => Float32Array.from({ length: 50 }, (_, i) => (i === 7 ? 0.5 : 0));
  const run = (options: GenerateOptions) =>
    collect(
      createScriptedSession({ vocabularySize: 50, predict }),
      createScriptedModel(50, null, { recommended: { temperature: 0 } }),
      [0],
      { maxTokens: 20, seed: 1, ...options },
    );
  const tokensOf = async (options: GenerateOptions) => (await run(options)).result.tokens;
  const sevens = new Array(20).fill(7);
  assert.deepEqual(await tokensOf({}), sevens);
  assert.deepEqual(await tokensOf({ sampling: 'recommended', temperature: undefined }), sevens);
  const neutral = await tokensOf({ sampling: 'neutral' });
  assert.notDeepEqual(neutral, sevens);
  assert.deepEqual(await tokensOf({ temperature: 1 }), neutral, 'an option wins over the recommendation');
});

test('the reported seed repeats a sampled answer', async () => {
  const predict = () => new Float32Array(50);
  const run = (options: GenerateOptions) =>
    collect(createScriptedSession({ vocabularySize: 50, predict }), createScriptedModel(50), [0], {
      maxTokens: 20,
      ...options,
    });
  const { result } = await run({});
  const again = await run({ seed: result.seed });
  assert.deepEqual(again.result.tokens, result.tokens);
});

test('timings add up', async () => {
  const { result } = await runPieces(['a', 'b', 'c', 'd']);
  const { promptMs, firstTokenMs, decodeMs, tokensPerSecond } = result.timings;
  assert.ok(promptMs >= 0 && firstTokenMs >= promptMs && decodeMs >= 0);
  // Four tokens, of which the first belongs to the prompt.
  assert.equal(tokensPerSecond, decodeMs > 0 ? (3 / decodeMs) * 1000 : 0);
});

test('wrong calls are refused, before the session is touched', async () => {
  const cases: [Partial<{ carried: number[]; prompt: number[]; options: unknown }>, RegExp][] = [
    [{ prompt: [] }, /prompt: expected at least one token, found none\. Pass at least one/],
    [{ prompt: [], carried: [1] }, /Rewind by one token/],
    [{ prompt: [1, 5] }, /prompt\[1\]: expected a token id from 0 to 4, found 5/],
    [{ prompt: [1, 1.5] }, /prompt\[1\]/],
    [
      { prompt: [1, 2, 3, 4, 1, 2], carried: [1, 2, 3] },
      /at most 8 tokens in the context, found 9 \(3 in .* and 6 new\)/,
    ],
    [{ options: { stop: ['x'] } }, /option stop: expected none for a model without a tokenizer/],
    [{ options: { stop: 'x' } }, /option stop: expected an array/],
    [{ options: { stop: [''] } }, /option stop\[0\]/],
    [{ options: { stop: ['\ud83d'] } }, /option stop\[0\]/],
    [{ options: { stopTokens: [5] } }, /option stopTokens\[0\]/],
    [{ options: { maxTokens: -1 } }, /option maxTokens: expected an integer of at least 0, found -1/],
    [{ options: { max_tokens: 5 } }, /option max_tokens does not exist. Write maxTokens/],
    [{ options: { logprobs: 6 } }, /option logprobs: expected an integer from 0 to 5/],
    [{ options: { ignoreEos: 1 } }, /option ignoreEos: expected true or false, found 1/],
    [{ options: { signal: {} } }, /option signal: expected an AbortSignal/],
    [{ options: null }, /options: expected an object, found null/],
    [
      { options: { sampling: 'greedy' } },
      /option sampling: expected 'recommended' or 'neutral', found "greedy"/,
    ],
    [{ options: { speculate: 'always' } }, /option speculate: expected true, false or 'auto'/],
  ];
  for (const [{ prompt = [1], carried = [], options = {} }, message] of cases) {
    const session = scripted({ carried });
    const model = createScriptedModel(5, null, { contextLength: 8 });
    const attempt = async () => start(session, model, prompt, options as GenerateOptions).result;
    await assert.rejects(
      attempt,
      (error) => error instanceof UsageError && message.test(error.message),
      String(message),
    );
    assert.equal(session.calls.length, 0);
  }
});

/** A session whose predictions depend on its last two tokens and on how many there are. */
function scripted(options: Partial<ScriptedOptions> = {}) {
  const predict = (tokens: readonly number[]) => {
    const random = createRandom(tokens.length * 100 + (tokens.at(-1) ?? 0) * 10 + (tokens.at(-2) ?? 0));
    return new Float32Array(5).map(() => random() * 4);
  };
  return createScriptedSession({ vocabularySize: 5, predict, ...options });
}
