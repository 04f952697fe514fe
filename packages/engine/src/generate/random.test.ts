import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom, xoshiro128 } from './random.ts';

test('xoshiro128** gives the outputs of the authors’ C code for the state 1, 2, 3, 4', () => {
  const next = xoshiro128([1, 2, 3, 4]);
  const outputs = Array.from({ length: 10 }, next);
  const expected = [
    11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804,
  ];
  assert.deepEqual(outputs, expected);
});

test('a seed fixes the stream, and neighbours and high words give others', () => {
  const take = (seed: number) => Array.from({ length: 4 }, createRandom(seed)).join();
  const seeds = [0, 1, 2, 2 ** 32, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER];
  assert.equal(new Set(seeds.map(take)).size, seeds.length);
  for (const seed of seeds) assert.equal(take(seed), take(seed));
});

test('uniform numbers stay in [0, 1), fill it evenly, and do not repeat', () => {
  const random = createRandom(7);
  const bins = new Array<number>(64).fill(0);
  const seen = new Set<number>();
  for (let i = 0; i < 64_000; i++) {
    const x = random();
    assert.ok(x >= 0 && x < 1);
    bins[Math.floor(x * 64)]++;
    seen.add(x);
  }
  const chiSquare = bins.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
  assert.ok(chiSquare < 113, `chi-square ${chiSquare}, 63 degrees of freedom, p = 0.0001 at 113`);
  assert.equal(seen.size, 64_000);
});
