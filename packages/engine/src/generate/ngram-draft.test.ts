import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createNgramDraft } from './ngram-draft.ts';
import { createRandom } from './random.ts';

/** The longest match first, the latest earlier occurrence of it, by scanning. */
function referenceDraft(tokens: readonly number[], max: number, min: number, length: number): number[] {
  for (let n = max; n >= min; n--) {
    for (let end = tokens.length - 1; end >= n; end--) {
      if (tokens.slice(end - n, end).join() === tokens.slice(-n).join() && tokens.length >= n) {
        return tokens.slice(end, end + length);
      }
    }
  }
  return [];
}

test('the n-gram index drafts what a scan finds, also after rewinds', () => {
  const random = createRandom(12);
  const lookup = createNgramDraft({ maxNgram: 3, minNgram: 1, maxDraft: 4 });
  let tokens: number[] = [];
  let drafts = 0;
  for (let round = 0; round < 3000; round++) {
    if (random() < 0.05) tokens = tokens.slice(0, Math.floor(random() * tokens.length));
    if (random() < 0.02 && tokens.length > 0) tokens = tokens.with(Math.floor(random() * tokens.length), 9);
    const grow = Math.floor(random() * 4);
    tokens = [...tokens, ...Array.from({ length: grow }, () => Math.floor(random() * 6))];
    const draft = lookup.draft(tokens);
    assert.deepEqual(draft, referenceDraft(tokens, 3, 1, 4), tokens.join());
    drafts += draft.length > 0 ? 1 : 0;
  }
  assert.ok(drafts > 1000);
});

test('n-grams of one hash are not taken for each other', () => {
  // Both have the 32-bit FNV-1a hash of the index.
  const [one, other] = [
    [26180, 8226, 18836],
    [50400, 15272, 12034],
  ];
  const lookup = createNgramDraft({ maxNgram: 3, minNgram: 3 });
  assert.deepEqual(lookup.draft([...one, 7, ...other]), []);
  assert.deepEqual(lookup.draft([...one, 7, ...other, 8, ...one]), [7, ...other, 8, ...one]);
});

test('n-gram lengths are checked', () => {
  assert.throws(() => createNgramDraft({ maxNgram: 0 }), {
    name: 'UsageError',
    message: /maxNgram.*found 0/,
  });
  assert.throws(() => createNgramDraft({ maxNgram: 2, minNgram: 3 }), {
    message: /minNgram: expected at most/,
  });
});
