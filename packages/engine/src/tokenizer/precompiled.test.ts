// SentencePiece's compiled normaliser against Hugging Face tokenizers 0.23.3: a map of nine rules that sentencepiece
// 0.2.3 compiled, and what the library makes of texts with it. The whole of nmt_nfkc (240 KB) was compared alike.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { FormatError } from '../errors.ts';
import { Place } from './json-fields.ts';
import { precompiledNormalizer } from './precompiled.ts';

const { map, texts } = JSON.parse(
  readFileSync(new URL('../../../../fixtures/embedders/charsmap.json', import.meta.url), 'utf8'),
) as { map: string; texts: [given: string, expected: string][] };
const place = new Place('test');

describe('Precompiled', () => {
  it('replaces what the map names, whole graphemes first', () => {
    const normalize = precompiledNormalizer(map, place);
    for (const [given, expected] of texts) assert.equal(normalize(given), expected);
    assert.notEqual(texts[0]![0], texts[0]![1]);
  });

  it('refuses what is no map, and survives every damaged one', () => {
    for (const bad of ['', 'AAAA', '!!', btoa('\u00ff\u00ff\u00ff\u00ff1234')])
      assert.throws(() => precompiledNormalizer(bad, place), FormatError, bad);
    const bytes = Array.from(atob(map), (character) => character.charCodeAt(0));
    for (let i = 4; i < bytes.length; i += 3) {
      const damaged = bytes.map((byte, at) => (at === i ? byte ^ 0xa5 : byte));
      const normalize = precompiledNormalizer(btoa(String.fromCharCode(...damaged)), place);
      for (const [given] of texts) assert.equal(typeof normalize(given), 'string');
    }
  });
});
