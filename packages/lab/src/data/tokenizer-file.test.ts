import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { UsageError } from '@marimba/engine';
import { trainBpe } from './bpe-trainer.ts';
import { trainTokenizer } from './tokenizer-file.ts';

const TEXT = 'low lower lowest newer newest wider. Größe, naïve 数 数 😀 😀\n\n  indented\tlow low newest';

/** The definition, with a full recount after every merge. */
function slowMerges(words: readonly string[], wanted: number): string[] {
  const sequences = words.map((w) => [...new TextEncoder().encode(w)].map((b) => String.fromCharCode(b)));
  const symbolOf = new Map(Array.from({ length: 256 }, (_, b) => [String.fromCharCode(b), b]));
  const merges: string[] = [];
  while (symbolOf.size < wanted) {
    const counts = new Map<string, { count: number; left: string; right: string }>();
    for (const s of sequences)
      for (let i = 1; i < s.length; i++) {
        const key = `${s[i - 1]}\0${s[i]}`;
        const known = counts.get(key) ?? { count: 0, left: s[i - 1]!, right: s[i]! };
        counts.set(key, { ...known, count: known.count + 1 });
      }
    const [best] = [...counts.values()].sort(
      (x, y) =>
        y.count - x.count ||
        symbolOf.get(x.left)! - symbolOf.get(y.left)! ||
        symbolOf.get(x.right)! - symbolOf.get(y.right)!,
    );
    if (!best || best.count < 2) break;
    merges.push(`${best.left} ${best.right}`);
    const made = best.left + best.right;
    if (!symbolOf.has(made)) symbolOf.set(made, symbolOf.size);
    for (const s of sequences)
      for (let i = 0; i + 1 < s.length; i++)
        if (s[i] === best.left && s[i + 1] === best.right) s.splice(i, 2, made);
  }
  return merges;
}

test('incremental updates give the merges of a full recount', () => {
  const words = 'aaab aaaa abab low low lower newest newest widest banana bananas aaaaa xyxyxy'.split(' ');
  const counts = new Map<string, number>();
  for (const w of words) counts.set(w, (counts.get(w) ?? 0) + 1);
  const { merges, symbols } = trainBpe(counts, { symbolCount: 300 });
  const text = (symbol: number) => String.fromCharCode(...symbols[symbol]!);
  const made = merges.map(([l, r]) => `${text(l)} ${text(r)}`);
  assert.ok(made.length > 15);
  assert.deepEqual(made, slowMerges(words, 300));
});

test('a trained tokenizer gives back any text, and its words are shorter than bytes', () => {
  const { tokenizer } = trainTokenizer([TEXT], {
    vocabularySize: 300,
    specialTokens: ['<|endoftext|>', '<|pad|>'],
  });
  for (const text of [TEXT, 'unseen words: ξένος \u0000 \u{1F468}', '<|endoftext|> low']) {
    assert.equal(tokenizer.decode(tokenizer.encode(text)), text);
  }
  assert.ok(tokenizer.encode(TEXT).length < new TextEncoder().encode(TEXT).length * 0.7);
  assert.equal(tokenizer.tokenId('<|endoftext|>'), 0);
  assert.deepEqual(tokenizer.special.eos, [0]);
});

test("Hugging Face's tokenizers read the file and cut every text alike", () => {
  const { tokenizer, json } = trainTokenizer([TEXT], {
    vocabularySize: 320,
    specialTokens: ['<|endoftext|>', '<|pad|>'],
  });
  const theirs = new HuggingFaceTokenizer(JSON.parse(JSON.stringify(json)), {});
  for (const text of [
    TEXT,
    'Unseen words, 12,345 of them:  ξένος 👨‍👩‍👧\u00a0\r\n\ttab',
    '<|endoftext|>low<|pad|> er',
  ]) {
    const { ids } = theirs.encode(text, { add_special_tokens: false });
    assert.deepEqual([...tokenizer.encode(text, { specialTokens: 'parse' })], ids);
    assert.equal(theirs.decode(ids), text);
  }
});

test('training does not depend on the order of documents', () => {
  const parts = ['one two three two', 'three three four', 'two four four one'];
  const train = (texts: string[]) => JSON.stringify(trainTokenizer(texts, { vocabularySize: 280 }).json);
  assert.equal(train(parts), train([...parts].reverse()));
});

test('sizes and special tokens that cannot work are refused', () => {
  const train = (options: { vocabularySize: number; specialTokens?: string[] }) => () =>
    trainTokenizer(['some text some text'], options);
  assert.throws(train({ vocabularySize: 200 }), UsageError);
  assert.throws(train({ vocabularySize: 300, specialTokens: [] }), /at least one/);
  assert.throws(train({ vocabularySize: 300, specialTokens: ['some'] }), /also a word of the text/);
  assert.throws(() => trainTokenizer([''], { vocabularySize: 300 }), /expected text/);
});
