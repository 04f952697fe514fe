// WordPiece and BERT's normaliser against Hugging Face tokenizers 0.23.3, whose results stand here.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { tokenizerFromJson } from './from-json.ts';

const ENTRIES = [
  '[PAD]',
  '[UNK]',
  '[CLS]',
  '[SEP]',
  'un',
  '##aff',
  '##able',
  'aff',
  'cafe',
  '音',
  '楽',
  '!',
  'a',
  '##b',
  "'",
  't',
  'don',
];

function tokenizer(normalizer: object = {}) {
  const special = (id: number) => ({
    id,
    content: ENTRIES[id],
    special: true,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
  });
  return tokenizerFromJson(
    {
      added_tokens: [0, 1, 2, 3].map(special),
      normalizer: {
        type: 'BertNormalizer',
        clean_text: true,
        handle_chinese_chars: true,
        strip_accents: null,
        lowercase: true,
        ...normalizer,
      },
      pre_tokenizer: { type: 'BertPreTokenizer' },
      post_processor: { type: 'BertProcessing', cls: ['[CLS]', 2], sep: ['[SEP]', 3] },
      decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
      model: {
        type: 'WordPiece',
        unk_token: '[UNK]',
        continuing_subword_prefix: '##',
        max_input_chars_per_word: 100,
        vocab: Object.fromEntries(ENTRIES.map((text, id) => [text, id])),
      },
    },
    null,
    'test',
  );
}

const encode = (text: string, normalizer?: object) =>
  tokenizer(normalizer)
    .encode(text, { addBos: false })
    .map((id) => ENTRIES[id]!);

describe('WordPiece', () => {
  it('takes the longest entry first, and words that cannot be made up as unknown', () => {
    assert.deepEqual(encode('unaffable aff'), ['un', '##aff', '##able', 'aff']);
    assert.deepEqual(encode('unaffx un'), ['[UNK]', 'un']);
    assert.deepEqual(encode(`a${'b'.repeat(99)}`), ['a', ...Array.from({ length: 99 }, () => '##b')]);
    assert.deepEqual(encode(`a${'b'.repeat(100)} a`), ['[UNK]', 'a']);
  });

  it('normalises as BERT does', () => {
    assert.deepEqual(encode('CAFÉ!'), ['cafe', '!']);
    assert.deepEqual(encode('café', { lowercase: true, strip_accents: false }), ['[UNK]']);
    assert.deepEqual(encode('Cafe', { lowercase: false }), ['[UNK]']);
    assert.deepEqual(encode('音楽'), ['音', '楽']);
    assert.deepEqual(encode('音楽', { handle_chinese_chars: false }), ['[UNK]']);
    assert.deepEqual(encode('u\u200dn\u0000\u{ad}aff\tun\u00a0un'), ['un', '##aff', 'un', 'un']);
    assert.deepEqual(encode('[CLS]'), ['[UNK]', '[UNK]', '[UNK]']);
  });

  it('frames a text, and decodes with spaces between words alone', () => {
    const { frame, decode } = {
      frame: tokenizer().frame,
      decode: (ids: number[]) => tokenizer().decode(ids),
    };
    assert.deepEqual(frame, { before: [2], after: [3] });
    assert.equal(decode([4, 5, 6, 7, 11]), 'unaffable aff!');
    assert.equal(decode([16, 14, 15, 12]), "don ' t a");
  });
});
