// Broken and hostile tokenizer.json files: FormatError with file and field, nothing else; and no table larger
// than the file pays for. Seeded, so a failure repeats.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { FormatError } from '../errors.ts';
import { tokenizerFromJson } from './from-json.ts';

type Json = Record<string, unknown>;

function fixture(name: string): Json {
  const file = new URL(`../../../../fixtures/tokenizers/${name}.json`, import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { tokenizer: Json }).tokenizer;
}

/** A whole tokenizer of a few entries, so that mutations hit every field. */
function tiny(): Json {
  return {
    added_tokens: [
      {
        id: 6,
        content: '<s>',
        special: true,
        lstrip: false,
        rstrip: false,
        single_word: false,
        normalized: false,
      },
      { id: 7, content: '<t>', special: false, normalized: true },
    ],
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'Prepend', prepend: '▁' },
        { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
        { type: 'NFC' },
      ],
    },
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        {
          type: 'Split',
          pattern: { Regex: "(?i:'s)|[^\\p{L}]?\\p{L}+|\\s++" },
          behavior: 'Isolated',
          invert: false,
        },
        { type: 'Digits', individual_digits: true },
        { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first' },
      ],
    },
    post_processor: {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
      special_tokens: { '<s>': { id: '<s>', ids: [6], tokens: ['<s>'] } },
    },
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 },
      ],
    },
    model: {
      type: 'BPE',
      unk_token: '<unk>',
      fuse_unk: true,
      byte_fallback: true,
      ignore_merges: false,
      vocab: { '<unk>': 0, a: 1, b: 2, ab: 3, '▁': 4, '▁ab': 5 },
      merges: ['a b', ['▁', 'ab']],
    },
  };
}

const build = (json: unknown, config?: unknown) => tokenizerFromJson(json, config, 'bad.json');

function refused(json: unknown, fieldPath: string, config?: unknown): void {
  assert.throws(
    () => build(json, config),
    (error: unknown) => {
      assert.ok(error instanceof FormatError, String(error));
      assert.ok(error.message.startsWith(`bad.json: ${fieldPath}`), error.message);
      return true;
    },
    fieldPath,
  );
}

test('the tiny tokenizer itself works', () => {
  const tokenizer = build(tiny());
  assert.deepEqual(tokenizer.encode('ab'), [6, 5]);
  assert.equal(tokenizer.decode(tokenizer.encode('ab ab'), { skipSpecial: true }), 'ab ab');
});

test('each broken field is named', () => {
  const model = (change: object) => ({ ...tiny(), model: { ...(tiny().model as Json), ...change } });
  refused(null, 'document');
  refused([], 'document');
  refused({}, 'model');
  refused(model({ type: 'Sentence' }), 'model.type');
  refused(model({ vocab: ['a'] }), 'model.vocab');
  refused(model({ vocab: { a: 1.5 } }), 'model.vocab');
  refused(model({ vocab: { a: '1' } }), 'model.vocab');
  refused(model({ vocab: { a: 2 ** 31 } }), 'model.vocab');
  refused(model({ vocab: { a: 1_000_000 } }), 'model.vocab');
  refused(model({ vocab: { a: 1, b: 1 } }), 'model.vocab');
  refused(model({ merges: 'a b' }), 'model.merges');
  refused(model({ merges: undefined }), 'model.merges');
  refused(model({ merges: ['a b', 'a nowhere'] }), 'model.merges[1]');
  refused(model({ merges: ['b a'] }), 'model.merges[0]');
  refused(model({ merges: ['ab'] }), 'model.merges[0]');
  refused(model({ merges: ['a b c'] }), 'model.merges[0]');
  refused(model({ merges: [['a', 5]] }), 'model.merges[0]');
  refused(model({ merges: [['', 'a']] }), 'model.merges[0]');
  refused(model({ end_of_word_suffix: '</w>' }), 'model.end_of_word_suffix');
  refused(model({ byte_fallback: 'yes' }), 'model.byte_fallback');
  refused(model({ type: 'Unigram', vocab: [['a', null]] }), 'model.vocab[0]');
  refused(
    model({
      type: 'Unigram',
      vocab: [
        ['a', 0],
        ['a', 0],
      ],
    }),
    'model.vocab[1]',
  );
  refused(model({ type: 'Unigram', vocab: [['a', 0]], unk_id: 1 }), 'model.unk_id');
  refused({ ...tiny(), added_tokens: {} }, 'added_tokens');
  refused({ ...tiny(), added_tokens: [{ id: 1e9, content: 'x' }] }, 'added_tokens[0].id');
  refused(
    {
      ...tiny(),
      added_tokens: [
        { id: 9, content: 'x' },
        { id: 9, content: 'y' },
      ],
    },
    'added_tokens[1]',
  );
  refused(
    {
      ...tiny(),
      added_tokens: [
        { id: 9, content: 'x' },
        { id: 8, content: 'x' },
      ],
    },
    'added_tokens[1]',
  );
  refused({ ...tiny(), normalizer: { type: 'Compiled' } }, 'normalizer.type');
  refused(
    { ...tiny(), normalizer: { type: 'Replace', pattern: { Regex: '(' }, content: '' } },
    'normalizer.pattern.Regex',
  );
  refused(
    { ...tiny(), pre_tokenizer: { type: 'Split', pattern: { String: '' }, behavior: 'Isolated' } },
    'pre_tokenizer.pattern.String',
  );
  refused(
    { ...tiny(), pre_tokenizer: { type: 'Split', pattern: { String: 'a' }, behavior: 'Odd' } },
    'pre_tokenizer.behavior',
  );
  refused({ ...tiny(), decoder: { type: 'CTC' } }, 'decoder.type');
  refused({ ...tiny(), post_processor: { type: 'TemplateProcessing', single: [] } }, 'post_processor.single');
  refused(tiny(), 'tokenizer_config.bos_token', { bos_token: 5 });
  let nested: Json = { type: 'NFC' };
  for (let i = 0; i < 10_000; i++) nested = { type: 'Sequence', normalizers: [nested] };
  refused({ ...tiny(), normalizer: nested }, 'normalizer');
});

test('keys of Object.prototype are ordinary vocabulary entries', () => {
  const vocab = JSON.parse('{"__proto__": 0, "constructor": 1, "toString": 2}') as Json;
  const words = build({ pre_tokenizer: { type: 'WhitespaceSplit' }, model: { type: 'WordLevel', vocab } });
  assert.deepEqual(words.encode('toString __proto__ constructor valueOf'), [2, 0, 1]);
});

const values: readonly unknown[] = [
  null,
  true,
  -1,
  0,
  3,
  7,
  1.5,
  1e9,
  2 ** 53,
  '',
  'a',
  '▁',
  '<s>',
  'Sequence',
  [],
  {},
  [1],
  { type: 'NFC' },
  '(',
];

/** Replaces, removes or copies one value somewhere inside. */
function mutate(root: unknown, random: () => number): unknown {
  const places: [Record<string, unknown> | unknown[], string | number][] = [];
  const visit = (value: unknown) => {
    if (typeof value !== 'object' || value === null) return;
    for (const key of Object.keys(value)) {
      places.push([value as Json, key]);
      visit((value as Json)[key]);
    }
  };
  visit(root);
  const [owner, key] = places[Math.floor(random() * places.length)]!;
  const target = owner as Json;
  const [other, otherKey] = places[Math.floor(random() * places.length)]!;
  const choice = random();
  if (choice < 0.15 && Array.isArray(owner)) owner.splice(Number(key), 1);
  else if (choice < 0.15) delete target[key];
  else if (choice < 0.35) target[key] = structuredClone((other as Json)[otherKey]);
  else target[key] = values[Math.floor(random() * values.length)];
  return root;
}

/** The parser either refuses properly or gives a tokenizer that works on every text. */
function check(json: unknown, label: string): 'refused' | 'built' {
  try {
    const tokenizer = build(json);
    assert.ok(tokenizer.vocabularySize <= 200_000, `${label}: a table of ${tokenizer.vocabularySize}`);
    for (const text of ["ab's  ab\n12 <s>é<t>", '▁▁x\u0000\ud800']) {
      const tokens = tokenizer.encode(text, { specialTokens: 'parse' });
      assert.ok(
        tokens.every((token) => Number.isInteger(token) && token >= 0 && token < tokenizer.vocabularySize),
        label,
      );
      assert.ok(tokenizer.decode(tokens).isWellFormed(), label);
    }
    return 'built';
  } catch (error) {
    assert.ok(
      error instanceof FormatError,
      `${label}: ${error instanceof Error ? error.stack : String(error)}`,
    );
    assert.match(error.message, /^bad\.json: /, label);
    return 'refused';
  }
}

function randomFrom(seed: number): () => number {
  return () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
}

test('3,000 mutations of parsed values', () => {
  const random = randomFrom(20);
  const seen = { refused: 0, built: 0 };
  for (let i = 0; i < 3000; i++) {
    let json: unknown = tiny();
    for (let n = 1 + Math.floor(random() * 2); n > 0; n--) json = mutate(json, random);
    seen[check(json, `mutation ${i}`)]++;
  }
  assert.ok(seen.refused > 300 && seen.built > 300, JSON.stringify(seen));
});

test('1,500 mutations of the text of real vocabularies', () => {
  const random = randomFrom(21);
  const sources = [
    JSON.stringify(tiny()),
    JSON.stringify(fixture('byte-level-llama3')),
    JSON.stringify(fixture('unigram')),
  ];
  let parsed = 0;
  for (let i = 0; i < 1500; i++) {
    const source = sources[i % 8 === 0 ? 1 : i % 8 === 1 ? 2 : 0]!;
    let text = source;
    for (let n = 1 + Math.floor(random() * 3); n > 0; n--) {
      const at = Math.floor(random() * text.length);
      const with_ = ['', '0', '9', '"', 'a', ' ', '\\\\', '-', text.slice(at, at + 30)][
        Math.floor(random() * 9)
      ]!;
      text = text.slice(0, at) + with_ + text.slice(at + Math.floor(random() * 3));
    }
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch {
      continue;
    }
    parsed++;
    check(json, `text mutation ${i}`);
  }
  assert.ok(parsed > 200, `${parsed} still JSON`);
});
