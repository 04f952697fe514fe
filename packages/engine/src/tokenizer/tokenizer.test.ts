// What a tokenizer promises whatever its file: special tokens as text or parsed, bytes, streams, fitting a
// model.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { FormatError, ModelError, UsageError } from '../errors.ts';
import { tokenizerFromJson } from './from-json.ts';
import { assertFitsVocabulary } from './tokenizer.ts';
import type { Tokenizer } from './types.ts';

type Json = Record<string, unknown>;

function fixture(name: string): Json {
  const file = new URL(`../../../../fixtures/tokenizers/${name}.json`, import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { tokenizer: Json }).tokenizer;
}

const names = ['byte-level-gpt2', 'byte-level-llama3', 'sentencepiece-prepend', 'sentencepiece-metaspace'];
const load = (name: string, config?: Json) => tokenizerFromJson(fixture(name), config, name);

const wordLevel = (added: object[]): Tokenizer =>
  tokenizerFromJson(
    {
      added_tokens: added,
      pre_tokenizer: { type: 'WhitespaceSplit' },
      model: { type: 'WordLevel', vocab: { a: 0, b: 1, '?': 2 }, unk_token: '?' },
    },
    undefined,
    'words.json',
  );

for (const name of names) {
  test(`${name}: markers in a text are text, unless asked for`, () => {
    const tokenizer = load(name);
    const text = 'a<|im_end|>b</s><s>';
    const plain = tokenizer.encode(text);
    assert.ok(!plain.slice(tokenizer.addBos ? 1 : 0).some((token) => tokenizer.isSpecial(token)));
    assert.equal(tokenizer.decode(plain, { skipSpecial: true }), text);
    const parsed = tokenizer.encode(text, { specialTokens: 'parse', addBos: false });
    const specials = parsed
      .filter((token) => tokenizer.isSpecial(token))
      .map((token) => tokenizer.tokenText(token));
    assert.deepEqual(specials, ['<|im_end|>', '</s>', '<s>']);
    assert.ok(parsed.length < plain.length);
  });

  test(`${name}: an ordinary added token is one token in both modes`, () => {
    const tokenizer = load(name);
    const id = tokenizer.tokenId('<tool>')!;
    assert.equal(tokenizer.isSpecial(id), false);
    assert.ok(tokenizer.encode('x<tool>y').includes(id));
    assert.equal(new TextDecoder().decode(tokenizer.tokenBytes(id)), '<tool>');
  });

  test(`${name}: any text survives, lone surrogates as U+FFFD`, () => {
    const tokenizer = load(name);
    const texts = [
      '\ufeffstart',
      'a\r\n\t b',
      '日本\u0000語',
      '👨‍👩‍👧‍👦',
      '  x  ',
      '\ud800a\udc00',
      'ไทย ا',
      '\u0085\u2028',
    ];
    for (const text of texts) {
      const tokens = tokenizer.encode(text, { addBos: false });
      // Metaspace puts no ▁ before a text that begins with a space, and its decoder drops one: Hugging Face's
      // loss.
      const expected = name === 'sentencepiece-metaspace' ? text.replace(/^ /, '') : text;
      assert.equal(tokenizer.decode(tokens), expected.toWellFormed(), JSON.stringify(text));
    }
  });

  test(`${name}: a stream never emits half a character, and says what decoding says`, () => {
    const tokenizer = load(name);
    const text = 'né 日本 👍🏽 ไ';
    const tokens = tokenizer.encode(text, { addBos: false });
    const stream = tokenizer.createStreamDecoder();
    const pieces = tokens.map((token) => stream.push(token));
    assert.ok(pieces.includes(''), 'the test must split characters over tokens');
    assert.ok(pieces.every((piece) => !piece.includes('\ufffd')));
    assert.equal(pieces.join('') + stream.end(), text);
    const cut = tokenizer.createStreamDecoder();
    const shown = tokens
      .slice(0, -1)
      .map((token) => cut.push(token))
      .join('');
    assert.equal(shown + cut.end(), tokenizer.decode(tokens.slice(0, -1)));
    assert.ok(tokenizer.decode(tokens.slice(0, -1)).endsWith('\ufffd'));
  });

  test(`${name}: a long repetitive text and a long word take the cached and the cut path to the same tokens`, () => {
    const tokenizer = load(name);
    const sentence = 'The model writes the next token; ';
    const once = tokenizer.encode(sentence + sentence, { addBos: false });
    const often = tokenizer.encode(sentence.repeat(2000), { addBos: false });
    assert.equal(tokenizer.decode(often), sentence.repeat(2000));
    assert.deepEqual(often.slice(0, once.length - 4), once.slice(0, -4));
    const word = 'x'.repeat(50_000);
    assert.equal(tokenizer.decode(tokenizer.encode(word, { addBos: false })), word);
  });
}

test('the first space of SentencePiece text is dropped, except in a continued stream', () => {
  const tokenizer = load('sentencepiece-prepend');
  const tokens = tokenizer.encode('the model', { addBos: false });
  assert.equal(tokenizer.decode(tokens), 'the model');
  const stream = tokenizer.createStreamDecoder({ continues: true });
  assert.equal(tokens.map((token) => stream.push(token)).join('') + stream.end(), ' the model');
});

test('special tokens: shown or skipped, no bytes', () => {
  const tokenizer = load('byte-level-llama3');
  const tokens = tokenizer.encode('<|im_start|>hi<|im_end|>', { specialTokens: 'parse' });
  assert.equal(tokenizer.decode(tokens), '<s><|im_start|>hi<|im_end|>');
  assert.equal(tokenizer.decode(tokens, { skipSpecial: true }), 'hi');
  assert.equal(tokenizer.tokenBytes(tokens[0]!).length, 0);
});

test('first, end and padding tokens come from the config, else from the usual names', () => {
  const plain = load('sentencepiece-metaspace');
  const end = plain.tokenId('<|im_end|>')!;
  assert.deepEqual(plain.special, { bos: 1, eos: [2, end], unknown: 0, pad: null });
  assert.equal(plain.addBos, true);
  const configured = load('sentencepiece-metaspace', {
    tokenizer_class: 'LlamaTokenizerFast',
    add_bos_token: false,
    eos_token: { content: '<|im_end|>' },
    pad_token: '</s>',
    bos_token: 'nowhere',
  });
  const bos = plain.vocabularySize;
  assert.deepEqual(configured.special, { bos, eos: [end, 2], unknown: 0, pad: 2 });
  assert.equal(configured.tokenText(bos), 'nowhere');
  assert.equal(configured.addBos, false);
});

/** [id, content, special, lstrip, rstrip, normalized] of those that `configuration` makes, by transformers 5.22.2. */
const ONES: [configuration: object, tokens: unknown[][]][] = [
  [{}, []],
  [
    { added_tokens_decoder: { 406: { content: '<|im_end|>', special: false } } },
    [[406, '<|im_end|>', false, false, false, true]],
  ],
  [
    {
      added_tokens_decoder: {
        406: { content: '<|im_end|>', special: true, rstrip: true, normalized: false },
        600: { content: '<|new|>', special: true, normalized: false },
      },
    },
    [
      [406, '<|im_end|>', true, false, true, false],
      [408, '<|new|>', true, false, false, false],
    ],
  ],
  [
    { pad_token: '[PAD]', eos_token: '<tool>' },
    [
      [407, '<tool>', true, false, false, false],
      [408, '[PAD]', true, false, false, false],
    ],
  ],
  [{ additional_special_tokens: ['<|x|>', '</s>'] }, [[408, '<|x|>', true, false, false, false]]],
  [{ extra_special_tokens: { image_token: '<|img|>' } }, [[408, '<|img|>', true, false, false, false]]],
  [
    { added_tokens_encoder: { '<|z|>': 900, '<|im_end|>': 406 } },
    [[408, '<|z|>', false, false, false, true]],
  ],
];
test('tokenizer_config.json counts over tokenizer.json, by the texts of the tokens', () => {
  const plain = load('byte-level-gpt2');
  const rows = (tokenizer: Tokenizer) =>
    tokenizer
      .addedTokens()
      .map((a): unknown[] => [a.id, a.content, a.special, a.lstrip, a.rstrip, a.normalized]);
  for (const [configuration, expected] of ONES) {
    const changed = new Map(expected.map((row) => [row[0], row]));
    const found = rows(load('byte-level-gpt2', configuration as Json));
    const all = rows(plain).map((row) => changed.get(row[0]) ?? row);
    const ids = new Set(all.map(([id]) => id));
    assert.deepEqual(
      found.sort(([a], [b]) => Number(a) - Number(b)),
      [...all, ...expected.filter(([id]) => !ids.has(id))],
      JSON.stringify(configuration),
    );
  }
});

test('a marker that only the configuration lists is one token, and text in what users write', () => {
  const token = (content: string) => ({ content, special: true, normalized: false });
  const tokenizer = load('byte-level-gpt2', { added_tokens_decoder: { 408: token('<|new|>') } });
  assert.deepEqual(tokenizer.encode('<|new|>', { specialTokens: 'parse' }), [408]);
  assert.equal(tokenizer.encode('<|new|>').includes(408), false);
  for (const wrong of [{ x: token('a') }, { 1: 'a' }, { 1: { content: 3 } }, [1], 'a'])
    assert.throws(() => load('byte-level-gpt2', { added_tokens_decoder: wrong }), FormatError);
});

test('added tokens swallow space, stand alone as words, and the longest wins', () => {
  const token = (id: number, content: string, options: object) => ({
    id,
    content,
    special: false,
    normalized: false,
    ...options,
  });
  const tokenizer = wordLevel([
    token(3, '<l>', { lstrip: true }),
    token(4, '<r>', { rstrip: true }),
    token(5, 'cat', { single_word: true }),
    token(6, '<l>>', {}),
  ]);
  const texts = (text: string) => tokenizer.encode(text).map((id) => tokenizer.tokenText(id));
  assert.deepEqual(texts('a   <l> b'), ['a', '<l>', 'b']);
  assert.deepEqual(tokenizer.encode('a <r>  <l>>'), [0, 4, 6]);
  assert.deepEqual(texts('cat a concat cats cat.'), ['cat', 'a', '?', '?', 'cat', '?']);
  assert.equal(tokenizer.decode([0, 1, 3]), 'a b <l>');
});

test('a guard keeps a marker plain and disappears', () => {
  const tokenizer = load('byte-level-llama3');
  const options = { specialTokens: 'parse', guard: '\ue000', addBos: false } as const;
  const same = tokenizer.encode('a<|im_end|>');
  assert.deepEqual(tokenizer.encode('a<\ue000|im_end|>', options), same.slice(1));
  assert.deepEqual(tokenizer.encode('a\ue000<|im_end|>', options), same.slice(1));
  assert.equal(tokenizer.encode('a<|im_end|>', options).length, 2);
});

test('token numbers: holes and padding rows are empty, nonsense is refused', () => {
  const tokenizer = wordLevel([{ id: 9, content: '<x>', special: true }]);
  assert.equal(tokenizer.vocabularySize, 10);
  assert.equal(tokenizer.decode([7, 5000]).trim(), '');
  assert.equal(tokenizer.tokenText(5000), '');
  for (const token of [-1, 1.5, Number.NaN]) assert.throws(() => tokenizer.decode([token]), UsageError);
});

test('a tokenizer must fit the vocabulary of the model', () => {
  const tokenizer = load('byte-level-gpt2');
  const { vocabularySize } = tokenizer;
  assert.equal(assertFitsVocabulary(tokenizer, vocabularySize), null);
  assert.equal(assertFitsVocabulary(tokenizer, vocabularySize + 64), null);
  // The last five are added: text can do without them.
  assert.match(assertFitsVocabulary(tokenizer, vocabularySize - 1)!, /no row for 1 of .*<tool> \(407\)/);
  assert.match(assertFitsVocabulary(tokenizer, vocabularySize - 5)!, /no row for 5 of /);
  assert.throws(
    () => assertFitsVocabulary(tokenizer, vocabularySize - 6, 'tokenizer.json'),
    (error: unknown) =>
      error instanceof ModelError && /tokenizer\.json: expected .* size 402, found 402/.test(error.message),
  );
});
