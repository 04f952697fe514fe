// The sampler against plain reference implementations of each stage, written from the definitions over full
// sorts.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ModelError, UsageError } from '../errors.ts';
import { createRandom, type Random } from './random.ts';
import { createSampler } from './sampler.ts';
import type { SamplingOptions } from './types.ts';

function randomLogits(random: Random, size: number, spread = 3): Float32Array {
  return new Float32Array(size).map(() => (random() + random() + random() + random() - 2) * 2 * spread);
}

function distribution(options: SamplingOptions, logits: Float32Array): Float32Array {
  const out = new Float32Array(logits.length);
  createSampler({ seed: 1, ...options }, logits.length, null).probabilities(logits, out);
  return out;
}

/**
 * Definitions in doubles: probabilities of all tokens after temperature, then each cut on the sorted list.
 */
function reference(options: SamplingOptions, logits: Float32Array): number[] {
  const { temperature = 1, topK = 0, typicalP = 1, topP = 1, minP = 0 } = options;
  const max = Math.max(...logits);
  let list = Array.from(logits, (logit, token) => ({ token, p: Math.exp((logit - max) / temperature) }));
  const normalise = () => {
    const total = list.reduce((sum, { p }) => sum + p, 0);
    list = list.map(({ token, p }) => ({ token, p: p / total }));
  };
  const takeMass = (mass: number) => {
    let sum = 0;
    const end = list.findIndex(({ p }) => (sum += p) >= mass);
    if (end >= 0) list = list.slice(0, end + 1);
    normalise();
  };
  list.sort((a, b) => b.p - a.p || a.token - b.token);
  if (topK > 0) list = list.slice(0, topK);
  normalise();
  if (typicalP < 1) {
    const entropy = list.reduce((sum, { p }) => (p > 0 ? sum - p * Math.log(p) : sum), 0);
    const distance = (p: number) => Math.abs(-Math.log(p) - entropy);
    list.sort((a, b) => distance(a.p) - distance(b.p) || a.token - b.token);
    takeMass(typicalP);
    list.sort((a, b) => b.p - a.p || a.token - b.token);
  }
  if (topP < 1) takeMass(topP);
  const best = list[0].p;
  list = list.filter(({ p }) => p >= minP * best);
  normalise();
  const out = new Array<number>(logits.length).fill(0);
  for (const { token, p } of list) out[token] = p;
  return out;
}

function assertSame(actual: ArrayLike<number>, expected: ArrayLike<number>, message: string): void {
  for (let i = 0; i < expected.length; i++) {
    assert.equal(
      actual[i] > 0,
      expected[i] > 0,
      `${message}: token ${i} in the set: ${actual[i]}, ${expected[i]}`,
    );
    assert.ok(
      Math.abs(actual[i] - expected[i]) < 1e-6,
      `${message}: token ${i}: ${actual[i]}, ${expected[i]}`,
    );
  }
}

test('each cut and their combinations keep the same tokens as the plain definitions', () => {
  const random = createRandom(11);
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)];
  for (let round = 0; round < 400; round++) {
    const logits = randomLogits(random, pick([1, 2, 17, 300, 1500]), pick([0.3, 2, 6]));
    // Equal logits: ties must fall to the lower ids.
    for (let i = 1; i < logits.length; i++) if (random() < 0.05) logits[i] = logits[i - 1];
    const options = {
      temperature: pick([0.3, 1, 1, 1.7]),
      topK: pick([0, 0, 1, 5, 40, 1000, 5000]),
      typicalP: pick([1, 1, 1, 0.2, 0.9]),
      topP: pick([1, 0.01, 0.5, 0.95, 0.999]),
      minP: pick([0, 0, 0.05, 0.5, 1]),
    };
    assertSame(
      distribution(options, logits),
      reference(options, logits),
      `${round} ${JSON.stringify(options)}`,
    );
  }
});

test('all-equal logits: ties are cut at the lowest ids', () => {
  const logits = new Float32Array(100);
  const kept = (options: SamplingOptions) =>
    distribution(options, logits).reduce((sum, p, i) => (p > 0 ? sum + i : sum), 0);
  assert.equal(kept({ topK: 4 }), 0 + 1 + 2 + 3);
  assert.equal(kept({ topP: 0.035 }), 0 + 1 + 2 + 3);
  assert.equal(kept({ topP: 0 }), 0);
  assert.equal(kept({ typicalP: 0.025 }), 0 + 1 + 2);
});

/** Pearson's statistic of seeded draws; bins with fewer than 5 expected are pooled. */
function chiSquare(counts: readonly number[], probabilities: ArrayLike<number>, draws: number) {
  let statistic = 0;
  let bins = 0;
  let pooledCount = 0;
  let pooledExpected = 0;
  for (let i = 0; i < counts.length; i++) {
    const expected = probabilities[i] * draws;
    if (expected === 0) assert.equal(counts[i], 0, `token ${i} was drawn but has no probability`);
    else if (expected < 5) {
      pooledCount += counts[i];
      pooledExpected += expected;
    } else {
      statistic += (counts[i] - expected) ** 2 / expected;
      bins++;
    }
  }
  if (pooledExpected > 0) statistic += (pooledCount - pooledExpected) ** 2 / pooledExpected;
  const freedom = Math.max(1, bins - 1 + (pooledExpected > 0 ? 1 : 0));
  // Wilson and Hilferty's approximation of the quantile at p = 0.0005.
  const limit = freedom * (1 - 2 / (9 * freedom) + 3.29 * Math.sqrt(2 / (9 * freedom))) ** 3;
  return { statistic, limit };
}

test('draws follow the processed distribution', () => {
  const logits = randomLogits(createRandom(5), 60, 2);
  const draws = 40_000;
  const settings: SamplingOptions[] = [
    {},
    { temperature: 0.5 },
    { topK: 7 },
    { topP: 0.8 },
    { minP: 0.1 },
    { typicalP: 0.7 },
    { xtc: { probability: 0.4, threshold: 0.08 } },
    { xtc: { probability: 1 }, topP: 0.9 },
    { temperature: 1.3, topK: 30, topP: 0.95, minP: 0.02, logitBias: { 3: 4, 5: -Infinity } },
  ];
  for (const options of settings) {
    const expected = distribution(options, logits);
    const sampler = createSampler({ ...options, seed: 99 }, logits.length, null);
    const counts = new Array<number>(logits.length).fill(0);
    for (let i = 0; i < draws; i++) counts[sampler.sample(logits).token]++;
    const { statistic, limit } = chiSquare(counts, expected, draws);
    assert.ok(statistic < limit, `${JSON.stringify(options)}: chi-square ${statistic}, limit ${limit}`);
  }
});

test('XTC takes the likely tokens but the least likely of them, in the stated share of draws', () => {
  const logits = Float32Array.of(Math.log(0.5), Math.log(0.25), Math.log(0.15), Math.log(0.1));
  const got = distribution({ xtc: { probability: 0.5, threshold: 0.14 } }, logits);
  // Excluded: 0.5 and 0.25; spared: 0.15, with 0.1 left over.
  assertSame(got, [0.25, 0.125, 0.075 + 0.3, 0.05 + 0.2], 'mixture');
  const alone = distribution({ xtc: { probability: 1, threshold: 0.45 } }, logits);
  assertSame(alone, [0.5, 0.25, 0.15, 0.1], 'one likely token is left alone');
});

test('the probability of a draw is that of the distribution', () => {
  const logits = randomLogits(createRandom(8), 50);
  const options = { topP: 0.9, temperature: 0.7, seed: 4 };
  const expected = distribution(options, logits);
  const sampler = createSampler(options, 50, null);
  for (let i = 0; i < 20; i++) {
    const { token, probability } = sampler.sample(logits);
    assert.ok(Math.abs(probability - expected[token]) < 1e-6);
  }
});

test('a seed repeats the draws, another one does not, and a missing one is reported', () => {
  const logits = randomLogits(createRandom(2), 500);
  const take = (seed?: number) => {
    const sampler = createSampler(seed === undefined ? {} : { seed }, 500, null);
    return {
      seed: sampler.seed,
      tokens: Array.from({ length: 30 }, () => sampler.sample(logits).token).join(),
    };
  };
  assert.deepEqual(take(1), take(1));
  assert.notEqual(take(1).tokens, take(2).tokens);
  const unseeded = take();
  assert.equal(take(unseeded.seed).tokens, unseeded.tokens);
});

test('greedy takes the maximum, the lowest id among equals, and leaves the logits alone', () => {
  const logits = Float32Array.of(1, 5, -2, 5);
  const sampler = createSampler({ temperature: 0, repetitionPenalty: 2, topK: 1 }, 4, null);
  assert.equal(sampler.sample(logits).token, 1);
  sampler.accept(1);
  assert.equal(sampler.sample(logits).token, 3);
  assert.deepEqual([...logits], [1, 5, -2, 5]);
  const oneHot = new Float32Array(4).fill(9);
  sampler.probabilities(logits, oneHot);
  assert.deepEqual([...oneHot], [0, 0, 0, 1]);
});

test('a repetition window forgets; frequency counts, presence does not', () => {
  const random = createRandom(21);
  for (let round = 0; round < 200; round++) {
    const window = [-1, 0, 1, 5, 64][round % 5];
    const history = Array.from({ length: Math.floor(random() * 30) }, () => Math.floor(random() * 12));
    const options = {
      repetitionPenalty: 1 + random(),
      frequencyPenalty: random() - 0.5,
      presencePenalty: random(),
    };
    const logits = randomLogits(random, 12);
    const sampler = createSampler({ ...options, repetitionWindow: window }, 12, null);
    for (const token of history) sampler.accept(token);
    const recent = window < 0 ? history : window === 0 ? [] : history.slice(-window);
    const expected = logits.map((logit, token) => {
      const count = recent.filter((one) => one === token).length;
      if (count === 0) return logit;
      const scaled = logit > 0 ? logit / options.repetitionPenalty : logit * options.repetitionPenalty;
      return scaled - count * options.frequencyPenalty - options.presencePenalty;
    });
    const out = new Float32Array(12);
    sampler.probabilities(logits, out);
    assertSame(out, reference({}, expected), `window ${window}`);
  }
});

test('masked tokens are never drawn; without any token left the error says so', () => {
  const logits = Float32Array.of(-Infinity, 0, -Infinity, 0);
  for (const options of [{}, { topK: 3 }, { topP: 0.9 }, { typicalP: 0.5 }, { temperature: 0 }]) {
    const out = distribution(options, logits);
    assert.equal(out[0] + out[2], 0);
  }
  const forbidden = { logitBias: { 1: -Infinity, 3: -Infinity } };
  for (const temperature of [0, 1]) {
    const sampler = createSampler({ ...forbidden, temperature }, 4, null);
    assert.throws(() => sampler.sample(logits), { name: 'ModelError', message: /none among 4.*logitBias/ });
  }
});

test('NaN is refused with its place; +Infinity takes all', () => {
  for (const temperature of [0, 1]) {
    const sampler = createSampler({ temperature }, 3, null);
    assert.throws(() => sampler.sample(new Float32Array(3).fill(NaN)), ModelError);
    assert.throws(() => sampler.sample(Float32Array.of(5, 1, NaN)), {
      message: /1 NaN among 3, the first at token 2/,
    });
  }
  assert.deepEqual([...distribution({}, Float32Array.of(Infinity, 3, Infinity))], [0.5, 0, 0.5]);
  assert.deepEqual([...distribution({ logitBias: { 0: -Infinity } }, Float32Array.of(Infinity, 3))], [0, 1]);
  assert.deepEqual([...distribution({ temperature: 1e-300 }, Float32Array.of(1, 3, 2))], [0, 1, 0]);
});

test('options outside their range name the option, what was expected and what was found', () => {
  const cases: [unknown, RegExp][] = [
    [
      { temperature: -1 },
      /option temperature: expected a number of at least 0, found -1\. Leave it out for 1/,
    ],
    [{ temperature: 'hot' }, /option temperature: .*found "hot"/],
    [{ temperature: NaN }, /temperature.*NaN/],
    [{ topK: 1.5 }, /option topK: expected an integer of at least 0, or -1, found 1.5/],
    [{ topP: 1.1 }, /topP: expected a number from 0 to 1/],
    [{ minP: -0.1 }, /minP/],
    [{ typicalP: null }, /typicalP.*null/],
    [{ repetitionPenalty: 0 }, /repetitionPenalty/],
    [{ repetitionWindow: -2 }, /repetitionWindow/],
    [{ frequencyPenalty: 3 }, /frequencyPenalty: expected a number from -2 to 2/],
    [{ seed: -1 }, /seed/],
    [{ seed: 2 ** 60 }, /seed/],
    [{ logitBias: { 10: 1 } }, /logitBias: expected token ids from 0 to 9.*"10"/],
    [{ logitBias: { 1: Infinity } }, /logitBias\[1\]/],
    [{ logitBias: [1] }, /logitBias: expected an object, found an array/],
    [{ dry: {} }, /dry\.multiplier.*undefined/],
    [{ dry: { multiplier: 1, base: 0.5 } }, /dry\.base/],
    [{ dry: { multiplier: 1, breakers: [''] } }, /dry\.breakers\[0\]/],
    [{ dry: { multiplier: 1, breakers: ['x'] } }, /without a tokenizer/],
    [{ dry: { multiplier: 1, allowed_length: 2 } }, /dry allowed_length does not exist. Write allowedLength/],
    [{ xtc: { probability: 2 } }, /xtc\.probability/],
    [{ top_p: 0.9 }, /option top_p does not exist. Write topP/],
    [{ warmth: 1 }, /option warmth does not exist. Known: temperature/],
  ];
  for (const [options, message] of cases) {
    const attempt = () => createSampler(options as SamplingOptions, 10, null);
    assert.throws(
      attempt,
      (error) => error instanceof UsageError && message.test(error.message),
      String(message),
    );
  }
});

test('logits, outputs and tokens of the wrong size are refused', () => {
  const sampler = createSampler({}, 10, null);
  assert.throws(() => sampler.sample(new Float32Array(9)), {
    message: /logits: expected 10 values.*found 9/,
  });
  assert.throws(() => sampler.probabilities(new Float32Array(10), new Float32Array(3)), UsageError);
  assert.throws(() => sampler.accept(10), UsageError);
  assert.throws(() => createSampler({}, 2 ** 22, null), UsageError);
});
