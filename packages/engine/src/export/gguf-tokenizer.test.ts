// tokenizer.json → GGUF metadata → tokenizer: the same tokens as an independent implementation gave for the
// original (fixtures/tokenizers).
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { SYNTHETIC_CONFIG } from '../../test/synthetic-folder.ts';
import { jamba } from '../architecture/families/jamba.ts';
import type { ModelSpec } from '../architecture/spec.ts';
import { ConfigReader } from '../formats/config-reader.ts';
import type { MetadataValue } from '../formats/gguf-values.ts';
import type { JsonObject } from '../formats/types.ts';
import { tokenizerFromGguf } from '../tokenizer/from-gguf.ts';
import { tokenizerFromJson } from '../tokenizer/from-json.ts';
import { tokenizerMetadata } from './gguf-tokenizer.ts';

interface Fixture {
  readonly tokenizer: JsonObject;
  readonly cases: readonly { readonly text: string; readonly tokens: number[] }[];
}

function fixture(name: string): Fixture {
  const file = new URL(`../../../../fixtures/tokenizers/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')) as Fixture;
}

function specOf(vocabularySize: number, endTokens: readonly number[] = []): ModelSpec {
  const config = { ...SYNTHETIC_CONFIG, vocab_size: vocabularySize };
  return {
    ...jamba.fromHuggingFace(ConfigReader.ofJson('config.json', config)),
    beginToken: null,
    endTokens,
  };
}

function translate(json: JsonObject | null, spec: ModelSpec, templates: Record<string, string> = {}) {
  const files = { json, config: null, chatTemplates: new Map(Object.entries(templates)) };
  const { metadata, notes } = tokenizerMetadata(files, spec, 'test');
  return { metadata: new Map([...metadata].map(([key, { value }]) => [key, value as MetadataValue])), notes };
}

for (const [name, model, pre] of [
  ['byte-level-gpt2', 'gpt2', 'gpt-2'],
  ['byte-level-llama3', 'gpt2', 'llama-bpe'],
  ['byte-level-qwen35', 'gpt2', 'qwen35'],
  ['sentencepiece-prepend', 'llama', 'default'],
] as const) {
  test(`${name}: the translated tokenizer gives the original's tokens`, async () => {
    const { tokenizer, cases } = fixture(name);
    // As published: Llama 3's has no normaliser. The fixture's is tested below.
    const json = name === 'byte-level-llama3' ? { ...tokenizer, normalizer: null } : tokenizer;
    const original = tokenizerFromJson(json, null, name);
    const size = original.vocabularySize + 3;
    const { metadata, notes } = translate(json, specOf(size), { default: 'template', tool_use: 'T' });
    assert.deepEqual(notes, []);
    assert.equal(metadata.get('tokenizer.ggml.model'), model);
    assert.equal(metadata.get('tokenizer.ggml.pre'), pre);
    assert.equal(metadata.get('tokenizer.chat_template'), 'template');
    assert.equal(metadata.get('tokenizer.chat_template.tool_use'), 'T');
    const texts = metadata.get('tokenizer.ggml.tokens') as string[];
    assert.equal(texts.length, size);
    assert.equal(texts.at(-1), `[PAD${size - 1}]`);
    const translated = tokenizerFromGguf(metadata, name)!;
    assert.ok(cases.length > 5);
    for (const { text } of cases)
      assert.deepEqual(translated.encode(text), original.encode(text), JSON.stringify(text));
    const marked = { specialTokens: 'parse' } as const;
    assert.deepEqual(translated.encode('a<|im_end|>b', marked), original.encode('a<|im_end|>b', marked));
  });
}

test('llama.cpp merges SentencePiece vocabularies by score: scores alone give the same tokens', async () => {
  const { tokenizer: json, cases } = fixture('sentencepiece-prepend');
  const original = tokenizerFromJson(json, null, 'original');
  const { metadata } = translate(json, specOf(original.vocabularySize));
  metadata.delete('tokenizer.ggml.merges');
  const byScore = tokenizerFromGguf(metadata, 'scores only')!;
  for (const { text } of cases)
    assert.deepEqual(byScore.encode(text), original.encode(text), JSON.stringify(text));
});

test('a second end token becomes the end of turn', async () => {
  const { tokenizer: json } = fixture('byte-level-gpt2');
  const original = tokenizerFromJson(json, null, 'original');
  const [end] = original.special.eos;
  const turn = original.tokenId('<|im_end|>')!;
  const { metadata } = translate(json, specOf(original.vocabularySize, [end!, turn]));
  assert.equal(metadata.get('tokenizer.ggml.eos_token_id'), end);
  if (turn !== end) assert.equal(metadata.get('tokenizer.ggml.eot_token_id'), turn);
});

test('no tokenizer, or one that GGUF does not express: said, and none in the file', async () => {
  const without = translate(null, specOf(64));
  assert.equal(without.metadata.get('tokenizer.ggml.model'), 'none');
  assert.match(without.notes.join(), /no tokenizer\.json/);
  const unigram = translate(fixture('unigram').tokenizer, specOf(64));
  assert.equal(unigram.metadata.get('tokenizer.ggml.model'), 'none');
  assert.match(unigram.notes.join(), /not BPE/);
});

test('a way of splitting that has no name is approximated, and that is said', async () => {
  const { tokenizer: json } = fixture('byte-level-gpt2');
  const odd = { type: 'Split', pattern: { Regex: '[aeiou]' }, behavior: 'Isolated', invert: false };
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, use_regex: false };
  const changed = { ...json, pre_tokenizer: { type: 'Sequence', pretokenizers: [odd, byteLevel] } };
  const { metadata, notes } = translate(
    changed,
    specOf(tokenizerFromJson(changed, null, 'odd').vocabularySize),
  );
  assert.match(notes.join(), /splits words in a way that GGUF has no name for/);
  assert.equal(metadata.get('tokenizer.ggml.pre'), 'default');
});

test('a normaliser that the family does not have is said; words are still split alike', async () => {
  const { tokenizer: json } = fixture('byte-level-llama3');
  const original = tokenizerFromJson(json, null, 'original');
  const { metadata, notes } = translate(json, specOf(original.vocabularySize));
  assert.match(notes.join(), /normalises texts in a way/);
  assert.equal(metadata.get('tokenizer.ggml.pre'), 'llama-bpe');
});
