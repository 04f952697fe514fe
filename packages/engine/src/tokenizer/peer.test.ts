// Against Hugging Face's tokenizers: the small vocabularies of fixtures/tokenizers with the tokens and texts
// that they give.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { tokenizerFromJson } from './from-json.ts';

interface Fixture {
  readonly tokenizer: Record<string, unknown>;
  readonly cases: readonly { text: string; tokens: number[]; withBos: number[]; decoded: string }[];
}

function readFixture(name: string): Fixture {
  const file = new URL(`../../../../fixtures/tokenizers/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')) as Fixture;
}

const names = [
  'byte-level-gpt2',
  'byte-level-llama3',
  'byte-level-qwen35',
  'sentencepiece-prepend',
  'sentencepiece-metaspace',
  'sentencepiece-unknown',
  'unigram',
];

for (const name of names) {
  const { tokenizer: json, cases } = readFixture(name);
  const tokenizer = tokenizerFromJson(json, undefined, `${name}.json`);

  test(`${name}: tokens and texts equal the peer's`, () => {
    for (const { text, tokens, withBos, decoded } of cases) {
      const shown = JSON.stringify(text);
      assert.deepEqual(tokenizer.encode(text, { specialTokens: 'parse', addBos: false }), tokens, shown);
      assert.deepEqual(tokenizer.encode(text, { specialTokens: 'parse' }), withBos, `${shown} with bos`);
      assert.equal(tokenizer.decode(tokens), decoded, `${shown} decoded`);
    }
  });

  test(`${name}: a stream of any text gives the text of decoding at once`, () => {
    for (const { tokens, decoded } of cases) {
      const stream = tokenizer.createStreamDecoder();
      let streamed = '';
      for (const token of tokens) {
        const piece = stream.push(token);
        assert.ok(piece.isWellFormed(), 'half a character was emitted');
        streamed += piece;
      }
      assert.equal(streamed + stream.end(), decoded);
    }
  });
}
