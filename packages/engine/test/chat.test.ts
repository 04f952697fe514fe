// Chats: the messages decide, the session only saves work. A tiny golden model speaks through a tokenizer
// whose tokens are characters, so every answer, however senseless, encodes to the tokens that it was made of.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import type { ChatMessage, GenerateOptions, Tokenizer } from '../src/index.ts';
import { coreOf, Model } from '../src/model/model.ts';
import { createChatTemplate } from '../src/tokenizer/chat-template.ts';
import { modelFolder } from './golden.ts';
import { sharedModel } from './shared-models.ts';

const MARKERS = ['<|im_start|>', '<|im_end|>'];
const FIRST_MARKER = 254;

const characters: Tokenizer = {
  vocabularySize: 256,
  special: { bos: null, eos: [FIRST_MARKER + 1], unknown: null, pad: null },
  addBos: false,
  addEos: false,
  frame: { before: [], after: [] },
  notes: [],
  encode(text, { specialTokens } = {}) {
    const tokens: number[] = [];
    for (let i = 0; i < text.length; ) {
      const marker = specialTokens === 'parse' ? MARKERS.findIndex((m) => text.startsWith(m, i)) : -1;
      tokens.push(marker < 0 ? text.charCodeAt(i) : FIRST_MARKER + marker);
      i += marker < 0 ? 1 : MARKERS[marker]!.length;
    }
    return tokens;
  },
  decode: (tokens) => String.fromCharCode(...Array.from(tokens)),
  tokenBytes: (token) => Uint8Array.of(token),
  tokenText: (token) => MARKERS[token - FIRST_MARKER] ?? String.fromCharCode(token),
  tokenId: (text) => (MARKERS.includes(text) ? FIRST_MARKER + MARKERS.indexOf(text) : null),
  isSpecial: (token) => token >= FIRST_MARKER,
  addedTokens: () => [],
  createStreamDecoder: () => ({ push: (token) => String.fromCharCode(token), end: () => '' }),
};

/** Greedy answers of ten characters, without markers. */
const TEN: GenerateOptions = {
  temperature: 0,
  maxTokens: 10,
  ignoreEos: true,
  logitBias: { [FIRST_MARKER]: -Infinity, [FIRST_MARKER + 1]: -Infinity },
};

let model: Model;
before(async () => {
  const loaded = await sharedModel(modelFolder('jamba-moe'), { threads: 1, prefixCacheBytes: 0 });
  const { name, spec, weights, runtime, fingerprint, embedding, contextLength } = coreOf(loaded);
  const tokens = { bos: null, eos: null, unknown: null, pad: null };
  model = new Model({
    name,
    spec,
    weights,
    runtime,
    fingerprint,
    tokenizer: characters,
    chatTemplate: createChatTemplate(null, tokens, 'test'),
    notes: [],
    recommended: {},
    embedding,
    contextLength,
    prefixCacheBytes: 0,
    loadTimes: loaded.loadTimes,
  });
});

describe('a start token', () => {
  it('begins the session only, also where two texts are asked for before either is read', async () => {
    const encode: Tokenizer['encode'] = (text, { addBos = true } = {}) => [
      ...(addBos ? [1] : []),
      ...characters.encode(text),
    ];
    const { tokenizer: _, ...parts } = coreOf(model);
    const starting = new Model({
      ...parts,
      notes: [],
      recommended: {},
      prefixCacheBytes: 0,
      loadTimes: model.loadTimes,
      tokenizer: { ...characters, encode },
    });
    using session = starting.createSession();
    const [first, second] = [
      session.generate('A', { maxTokens: 0 }),
      session.generate('B', { maxTokens: 0 }),
    ];
    await first.result;
    await second.result;
    assert.deepEqual(session.tokens, [1, 65, 66]);
  });
});

/** What a session that knows nothing answers to these messages. */
async function answerTo(messages: readonly ChatMessage[]): Promise<string> {
  using session = model.createSession();
  return (await session.complete({ messages }, TEN)).text;
}

describe('a chat', () => {
  it('answers as if all messages were read anew, and reads only what is new', async () => {
    using chat = model.createChat({ system: 'Be brief.', defaults: TEN });
    const first = await chat.send('Hello').result;
    assert.equal(first.text, await answerTo(chat.messages.slice(0, 2)));
    assert.equal(first.text.length, 10);
    assert.deepEqual(
      chat.messages.map(({ role }) => role),
      ['system', 'user', 'assistant'],
    );
    assert.equal(chat.messages[2]!.content, first.text);
    const second = await chat.send('And then?').result;
    assert.equal(second.text, await answerTo(chat.messages.slice(0, 4)));
    // All but the last character of the answer before, which was sampled and not read.
    assert.equal(second.reuse.reusedTokens, first.usage.promptTokens + 9);
    assert.deepEqual([chat.turns, chat.system], [2, 'Be brief.']);
  });

  it('regenerates without reading, and edits from the message that changed', async () => {
    using chat = model.createChat({ defaults: TEN });
    await chat.send('One').result;
    const { text } = await chat.send('Two').result;
    const again = await chat.regenerate().result;
    assert.deepEqual([again.text, again.reuse.computedTokens], [text, 0]);
    assert.equal(chat.messages.length, 4);
    const edited = await chat.edit(2, 'Three').result;
    assert.equal(chat.messages[2]!.content, 'Three');
    assert.equal(edited.text, await answerTo(chat.messages.slice(0, 3)));
    assert.ok(edited.reuse.reusedTokens > 20, `${edited.reuse.reusedTokens} tokens reused`);
    chat.rewind();
    assert.equal(chat.messages.length, 2);
    assert.equal((await chat.send('Two').result).text, text);
    chat.system = 'Be kind.';
    assert.equal((await chat.regenerate().result).text, await answerTo(chat.messages.slice(0, 4)));
  });

  it('goes separate ways when forked, and on from where it was saved', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'marimba-chat-'));
    try {
      const tools = [{ type: 'function', function: { name: 'look' } }];
      using chat = model.createChat({ defaults: TEN, tools, messages: [{ role: 'user', content: 'Hi' }] });
      await chat.regenerate().result;
      await chat.saveTo(join(folder, 'chat'));
      using fork = chat.fork();
      using fromBytes = model.restoreChat(chat.save(), { defaults: TEN });
      using fromFile = await model.restoreChatFrom(join(folder, 'chat'), { defaults: TEN });
      const { text, reuse } = await chat.send('Left').result;
      await fork.send('Right').result;
      assert.equal(fork.messages[2]!.content, 'Right');
      for (const restored of [fromBytes, fromFile]) {
        assert.deepEqual([restored.tools, restored.messages], [tools, chat.messages.slice(0, 2)]);
        const answer = await restored.send('Left').result;
        assert.deepEqual([answer.text, answer.reuse], [text, reuse]);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('takes what clients send, wherever it stands, and keeps it through a save', async () => {
    const messages: ChatMessage[] = [
      { role: 'system', content: 'Kind.' },
      { role: 'user', content: [{ type: 'text', text: 'Hi' }], name: null as never },
      { role: 'assistant', content: null, toolCalls: [{ id: 'c', name: 'f', arguments: '{"x": 1.0}' }] },
      { role: 'tool', content: 'ok', tool_call_id: 'c' },
      { role: 'developer', content: 'Short.' },
      { role: 'system', content: 'Late.' },
    ];
    const variables = { enable_thinking: false, documents: [{ text: 'd' }] };
    using chat = model.createChat({ messages, variables, defaults: TEN });
    chat.system = 'Other.';
    assert.deepEqual(chat.messages.slice(1), messages.slice(1));
    const { text } = await chat.regenerate().result;
    assert.equal(text.length, 10);
    using restored = model.restoreChat(chat.save(), { defaults: TEN });
    assert.deepEqual([restored.messages, restored.variables], [chat.messages, variables]);
    using fork = restored.fork();
    assert.deepEqual(fork.variables, variables);
    chat.system = null;
    assert.equal(chat.messages.length, messages.length);
    assert.throws(() => model.createChat({ variables: [] as never }), { name: 'UsageError' });
  });

  it('keeps the part of an answer that was made before an abort, and nothing of one without a token', async () => {
    using chat = model.createChat({ defaults: TEN });
    const abort = new AbortController();
    const answer = chat.send('Go', { signal: abort.signal });
    for await (const _ of answer) if (answer.tokens.length === 4) abort.abort(new Error('enough'));
    await assert.rejects(answer.result, /enough/);
    assert.equal(chat.messages[1]!.content, answer.text);
    assert.equal(answer.text.length, 4);
    const kept = chat.messages;
    for (const generation of [
      chat.send('More', { signal: AbortSignal.abort(new Error('at once')) }),
      chat.regenerate({ signal: AbortSignal.abort(new Error('at once')) }),
    ]) {
      await assert.rejects(generation.result, /at once/);
      assert.deepEqual(chat.messages, kept);
    }
    const whole = await chat.send('More').result;
    assert.equal(whole.text, await answerTo(chat.messages.slice(0, 3)));
  });

  it('may begin with an empty list of messages', async () => {
    using chat = model.createChat({ messages: [], defaults: TEN });
    assert.deepEqual(chat.messages, []);
    assert.equal((await chat.send('Hi').result).text.length, 10);
  });

  it('comes back from whatever it can be saved to', async () => {
    using chat = model.createChat({ defaults: TEN });
    await chat.send('Hi').result;
    using restored = await model.restoreChatFrom(new Blob([chat.save() as Uint8Array<ArrayBuffer>]));
    assert.deepEqual(restored.messages, chat.messages);
    const signal = AbortSignal.abort(new Error('enough'));
    await assert.rejects(model.restoreChatFrom(new Blob([]), { signal }), /enough/);
  });

  it('says what is wrong', async () => {
    using chat = model.createChat({ defaults: TEN });
    assert.throws(() => chat.regenerate(), /no answer to regenerate yet/);
    assert.throws(() => chat.rewind(1), /from 0 to 0, found 1/);
    assert.throws(() => chat.edit(0, 'x'), /found 0 \(none\)/);
    assert.throws(() => chat.send({ role: '', content: 'x' }), /message 1 of 1: expected/);
    assert.throws(() => chat.send('x', { max_tokens: 1 } as never), /Write maxTokens/);
    for (const options of [
      null,
      { prompt: 'x' },
      { system: 5 },
      { tools: {} },
      { messages: ['x', 5] },
      { messages: 'x' },
    ])
      assert.throws(
        () => model.createChat(options as never),
        { name: 'UsageError' },
        JSON.stringify(options),
      );
    const stale = chat.send('a');
    const answer = chat.send('b');
    const events = answer[Symbol.asyncIterator]();
    await events.next();
    assert.throws(() => chat.rewind(0), { code: 'busy' });
    await answer.result;
    await assert.rejects(stale.result, /chat has changed since/);
    assert.equal(chat.turns, 1);
    using session = model.createSession();
    await session.prefill([1]);
    assert.throws(() => model.restoreChat(session.save()), /not a chat/);
    const bare = await sharedModel(modelFolder('jamba-moe'), { threads: 1, prefixCacheBytes: 0 });
    assert.throws(() => bare.createChat(), /has no chat template/);
  });
});
