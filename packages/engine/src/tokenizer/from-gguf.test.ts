// Vocabularies inside GGUF metadata: against the tokens of the same vocabulary as tokenizer.json, and by
// hand.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { FormatError } from '../errors.ts';
import type { MetadataValue } from '../formats/gguf-values.ts';
import { tokenizerFromGguf } from './from-gguf.ts';

interface Fixture {
  readonly tokenizer: {
    readonly model: { readonly vocab: Record<string, number>; readonly merges: (string | string[])[] };
    readonly added_tokens: readonly { id: number; content: string; special: boolean }[];
  };
  readonly cases: readonly { text: string; tokens: number[] }[];
}

function fixture(name: string): Fixture {
  const file = new URL(`../../../../fixtures/tokenizers/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')) as Fixture;
}

function keys(values: Record<string, MetadataValue>): Map<string, MetadataValue> {
  return new Map(Object.entries(values).map(([key, value]) => [`tokenizer.ggml.${key}`, value]));
}

function asGguf({ tokenizer }: Fixture, extra: Record<string, MetadataValue>): Map<string, MetadataValue> {
  const tokens: string[] = [];
  for (const [text, id] of Object.entries(tokenizer.model.vocab)) tokens[id] = text;
  const types: number[] = tokens.map((text) => (/^<0x..>$/.test(text) ? 6 : 1));
  for (const { id, content, special } of tokenizer.added_tokens) {
    tokens[id] = content;
    types[id] = special ? 3 : 4;
  }
  const merges = tokenizer.model.merges.map((merge) => (typeof merge === 'string' ? merge : merge.join(' ')));
  return keys({ tokens, token_type: types, merges, ...extra });
}

for (const [name, pre] of [
  ['byte-level-gpt2', 'gpt-2'],
  ['byte-level-llama3', 'llama-bpe'],
] as const) {
  test(`${name} as GGUF gives the tokens of tokenizer.json`, () => {
    const data = fixture(name);
    const tokenizer = tokenizerFromGguf(asGguf(data, { model: 'gpt2', pre }), 'model.gguf')!;
    assert.deepEqual(tokenizer.notes, []);
    for (const { text, tokens } of data.cases) {
      if (text !== text.normalize()) continue; // GGUF does not say that this one normalises
      assert.deepEqual(
        tokenizer.encode(text, { specialTokens: 'parse', addBos: false }),
        tokens,
        JSON.stringify(text),
      );
      assert.equal(tokenizer.decode(tokens), text);
    }
  });
}

test('words are cut as llama.cpp cuts them, for every name that it knows', () => {
  const file = new URL('../../../../fixtures/tokenizers/gguf-words.json', import.meta.url);
  const { texts, tokens, merges, kinds } = JSON.parse(readFileSync(file, 'utf8')) as {
    texts: string[];
    tokens: string[];
    merges: string[];
    kinds: { names: string[]; ids: number[][] }[];
  };
  assert.ok(kinds.length > 20);
  for (const { names, ids } of kinds)
    for (const pre of names) {
      const tokenizer = tokenizerFromGguf(keys({ model: 'gpt2', pre, tokens, merges }), 'model.gguf')!;
      if (pre !== 'default') assert.deepEqual(tokenizer.notes, [], pre);
      texts.forEach((text, i) =>
        assert.deepEqual(tokenizer.encode(text, { addBos: false }), ids[i], `${pre}: ${text}`),
      );
    }
});

test('byte-level-qwen35 as GGUF gives the tokens of tokenizer.json, which those of qwen2 are not', () => {
  const { tokenizer: json, cases } = fixture('byte-level-qwen35');
  const named = (pre: string) =>
    tokenizerFromGguf(asGguf({ tokenizer: json, cases }, { model: 'gpt2', pre }), 'model.gguf')!;
  const encode = (pre: string) => {
    const tokenizer = named(pre);
    return cases.map(({ text }) => tokenizer.encode(text, { specialTokens: 'parse', addBos: false }));
  };
  assert.deepEqual(named('qwen35').notes, []);
  const found = encode('qwen35');
  cases.forEach(({ text, tokens }, i) => assert.deepEqual(found[i], tokens, JSON.stringify(text)));
  const others = encode('qwen2').filter((tokens, i) => tokens.join() !== cases[i]!.tokens.join());
  assert.ok(others.length > 5);
});

test('SentencePiece-style with merges gives the tokens of tokenizer.json', () => {
  const data = fixture('sentencepiece-prepend');
  const tokenizer = tokenizerFromGguf(asGguf(data, { model: 'llama' }), 'model.gguf')!;
  for (const { text, tokens } of data.cases) {
    assert.deepEqual(
      tokenizer.encode(text, { specialTokens: 'parse', addBos: false }),
      tokens,
      JSON.stringify(text),
    );
  }
});

/** Scores decide: "▁ab" can only come from "▁a"+"b", and "bc" (better) takes the b away. */
const small = {
  model: 'llama',
  tokens: [
    '<unk>',
    '<s>',
    '</s>',
    '<0x0A>',
    '▁',
    'a',
    'b',
    'c',
    'bc',
    '▁a',
    '▁ab',
    '▁▁',
    '<|im_end|>',
    '<0xC3>',
    '<0xA9>',
  ],
  scores: [0, 0, 0, 0, -10, -11, -12, -13, -1, -2, -3, -9, 0, 0, 0],
  token_type: [2, 3, 3, 6, 1, 1, 1, 1, 1, 1, 1, 1, 3, 6, 6],
} satisfies Record<string, MetadataValue>;

test('SentencePiece-style by scores: highest first, leftmost among equals, bytes, unknown', () => {
  const tokenizer = tokenizerFromGguf(keys(small), 'model.gguf')!;
  const texts = (text: string) =>
    tokenizer.encode(text, { addBos: false }).map((id) => tokenizer.tokenText(id));
  assert.deepEqual(texts('abc'), ['▁a', 'bc']);
  assert.deepEqual(texts('ab'), ['▁ab']);
  assert.deepEqual(texts('a\n'), ['▁a', '<0x0A>']);
  assert.deepEqual(texts('aé'), ['▁a', '<0xC3>', '<0xA9>']);
  assert.deepEqual(texts('a→'), ['▁a', '<unk>']);
  assert.deepEqual(texts('    '), ['▁▁', '▁▁', '▁']);
  assert.deepEqual(tokenizer.encode(''), [1]);
  assert.deepEqual(tokenizer.special, { bos: 1, eos: [2, 12], unknown: 0, pad: null });
  assert.equal(tokenizer.decode(tokenizer.encode('a c é\n', { addBos: false })), 'a c é\n');
});

test('flags: no leading space, no first token, several end tokens', () => {
  const values = { ...small, add_space_prefix: false, add_bos_token: false, eot_token_id: 5 };
  const tokenizer = tokenizerFromGguf(keys(values), 'model.gguf')!;
  assert.deepEqual(tokenizer.encode('a'), [5]);
  assert.equal(tokenizer.decode([4, 5]), ' a');
  assert.deepEqual(tokenizer.special.eos, [2, 5, 12]);
});

test('a file without scores follows the order of numbers and says so', () => {
  const flat = { ...small, scores: small.scores.map(() => -1000) };
  const tokenizer = tokenizerFromGguf(keys(flat), 'model.gguf')!;
  assert.match(tokenizer.notes[0]!, /no scores/);
  assert.deepEqual(tokenizer.encode('abc', { addBos: false }), [9, 8]);
});

test('no tokenizer is null; an unknown word splitting is used with a note', () => {
  assert.equal(tokenizerFromGguf(new Map(), 'model.gguf'), null);
  assert.equal(tokenizerFromGguf(keys({ model: 'none' }), 'model.gguf'), null);
  const tokenizer = tokenizerFromGguf(
    asGguf(fixture('byte-level-gpt2'), { model: 'gpt2', pre: 'jamba' }),
    'model.gguf',
  )!;
  assert.match(tokenizer.notes[0]!, /unknown word splitting "jamba"/);
  assert.equal(tokenizer.decode(tokenizer.encode('Hello, 123')), 'Hello, 123');
});

test('broken metadata is refused with file and key', () => {
  const broken: Record<string, MetadataValue>[] = [
    { ...small, model: 't5' },
    { ...small, model: 5 },
    { ...small, tokens: 'abc' },
    { ...small, tokens: [] },
    { ...small, tokens: small.tokens.map((text, i) => (i === 3 ? 7 : text)) },
    { ...small, scores: [1, 2] },
    { ...small, scores: small.scores.map(() => Number.NaN) },
    { ...small, token_type: [1] },
    { ...small, bos_token_id: 'x' },
    { ...small, eos_token_id: 1.5 },
    { ...small, add_bos_token: 'yes' },
    { ...small, merges: [7] },
    { ...small, model: 'gpt2' },
    { ...small, model: 'gpt2', merges: [['a'], 'b'] },
  ];
  for (const [i, values] of broken.entries()) {
    assert.throws(
      () => tokenizerFromGguf(keys(values), 'model.gguf'),
      (error: unknown) =>
        error instanceof FormatError && error.message.startsWith('model.gguf: tokenizer.ggml.'),
      `case ${i}`,
    );
  }
});

test('ids outside the vocabulary mean none: with a note, but for -1 and its unsigned form', () => {
  for (const id of [-1, 0xffffffff, 15, 32_000, -7]) {
    const { special, notes } = tokenizerFromGguf(
      keys({ ...small, bos_token_id: id, padding_token_id: id }),
      'm',
    )!;
    assert.equal(special.bos, null);
    assert.equal(special.pad, null);
    const said = notes.filter((note) => /_token_id is .*: taken as none/.test(note));
    assert.equal(said.length, id === -1 || id === 0xffffffff ? 0 : 2, `${id}`);
  }
});

test('entries beyond the tokens are passed over, merges of unknown pieces left out with a note', () => {
  const longer = { ...small, scores: [...small.scores, 1, 2], token_type: [...small.token_type, 3, 3] };
  const [found, expected] = [longer, small].map((values) =>
    tokenizerFromGguf(keys(values), 'm')!.encode('ab bc'),
  );
  assert.deepEqual(found, expected);
  const data = fixture('byte-level-gpt2');
  const metadata = asGguf(data, { model: 'gpt2', pre: 'gpt-2' });
  metadata.set('tokenizer.ggml.merges', [
    ...(metadata.get('tokenizer.ggml.merges') as string[]),
    'nowhere x',
    'a b c',
    'one',
    '',
  ]);
  const tokenizer = tokenizerFromGguf(metadata, 'm')!;
  assert.match(tokenizer.notes.join(), /4 of \d+ merges are of pieces that are not in the vocabulary/);
  assert.deepEqual(
    tokenizer.encode(data.cases[3]!.text, { specialTokens: 'parse', addBos: false }),
    data.cases[3]!.tokens,
  );
});

test('markers that end a turn do so whatever type the file gives them', () => {
  const ends = (extra: string[], type: number) => {
    const tokens = [...small.tokens, ...extra];
    const types = tokens.map((_, id) => (id < small.tokens.length ? 1 : type));
    const { special } = tokenizerFromGguf(
      keys({ ...small, tokens, scores: tokens.map((_, i) => -i), token_type: types, eos_token_id: 5 }),
      'm',
    )!;
    return special.eos.filter((id) => id >= small.tokens.length).map((id) => tokens[id]);
  };
  for (const type of [1, 3, 4]) {
    const all = ['<|eot_id|>', '<end_of_turn>', '<|end_of_text|>', '<|end|>', '<|file_sep|>'];
    assert.deepEqual(ends(all, type).sort(), [...all].sort());
    assert.deepEqual(ends(['<|fim_middle|>', '<|im_start|>'], type), []);
    assert.deepEqual(ends(['<|end|>', '<|call|>', '<|return|>'], type).sort(), ['<|call|>', '<|return|>']);
  }
});
