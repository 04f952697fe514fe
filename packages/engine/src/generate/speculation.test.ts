import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createNgramDraft } from './ngram-draft.ts';
import { createRandom } from './random.ts';
import { createSampler } from './sampler.ts';
import { verifyDraft, verifySampled } from './speculation.ts';

const p = [0.4, 0.3, 0.2, 0.1];
const logits = Float32Array.from(p, Math.log);

/** Each count within five standard deviations of what is expected. */
function assertFrequencies(counts: readonly number[], expected: readonly number[], draws: number): void {
  expected.forEach((share, token) => {
    const deviation = Math.sqrt(draws * share * (1 - share));
    const difference = Math.abs(counts[token] - share * draws);
    assert.ok(
      difference <= 5 * deviation,
      `token ${token}: ${counts[token]} of ${draws}, expected share ${share}`,
    );
  });
}

test('a certain draft is accepted with its probability and the token is distributed as without it', () => {
  const draws = 40_000;
  for (let drafted = 0; drafted < 4; drafted++) {
    const sampler = createSampler({ seed: drafted + 1 }, 4, null);
    const counts = [0, 0, 0, 0];
    let accepted = 0;
    for (let i = 0; i < draws; i++) {
      const result = verifyDraft(sampler, [drafted], () => logits);
      accepted += result.accepted;
      counts[result.tokens[0]]++;
    }
    assertFrequencies([accepted], [p[drafted]], draws);
    assertFrequencies(counts, p, draws);
  }
});

test('with a seed, drafts change nothing: any draft gives the tokens of plain sampling', () => {
  const logitsAfter = (tokens: readonly number[]) => {
    const random = createRandom(tokens.reduce((hash, token) => (hash * 31 + token) % 1e9, 7));
    return new Float32Array(8).map(() => random() * 5);
  };
  for (const options of [{ temperature: 0 }, { seed: 3 }, { seed: 4, topP: 0.8, repetitionPenalty: 1.3 }]) {
    const plain: number[] = [];
    const sampler = createSampler(options, 8, null);
    while (plain.length < 60) {
      const { token } = sampler.sample(logitsAfter(plain));
      sampler.accept(token);
      plain.push(token);
    }
    const random = createRandom(9);
    const checked = createSampler(options, 8, null);
    const drafted: number[] = [];
    let accepted = 0;
    while (drafted.length < 60) {
      // Often right, sometimes wrong.
      const draft = Array.from({ length: 4 }, (_, i) =>
        random() < 0.8 ? (plain[drafted.length + i] ?? 0) : 1,
      );
      const history = [...drafted];
      const result = verifyDraft(checked, draft, (i) => logitsAfter([...history, ...draft.slice(0, i)]));
      accepted += result.accepted;
      drafted.push(...result.tokens);
    }
    assert.deepEqual(drafted.slice(0, 60), plain);
    assert.ok(accepted > 20);
  }
});

test('a sampled draft: accepted in the shared mass, and distributed as the target', () => {
  const target = Float32Array.from(p);
  const drafters = [[0.1, 0.2, 0.3, 0.4], [0.25, 0.25, 0.25, 0.25], [0, 0, 1, 0], p];
  const draws = 40_000;
  for (const q of drafters) {
    const random = createRandom(31);
    const counts = [0, 0, 0, 0];
    let accepted = 0;
    for (let i = 0; i < draws; i++) {
      let token = 0;
      for (let left = random() - q[0]; left >= 0 && token < 3; ) left -= q[++token];
      const result = verifySampled(target, Float32Array.from(q), token, random);
      if (result.accepted) accepted++;
      counts[result.token]++;
    }
    assertFrequencies(counts, p, draws);
    assertFrequencies([accepted], [q.reduce((sum, share, i) => sum + Math.min(share, p[i]), 0)], draws);
  }
});

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
