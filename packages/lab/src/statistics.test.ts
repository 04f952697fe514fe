import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mcNemarExact, meanInterval, pairedBootstrap, studentQuantile, wilson } from './statistics.ts';

const near = (actual: number, expected: number, tolerance: number) =>
  assert.ok(Math.abs(actual - expected) <= tolerance, `expected ${expected} ± ${tolerance}, found ${actual}`);

test("Student's quantiles are those of the printed tables", () => {
  for (const [freedom, value] of [
    [1, 12.7062],
    [2, 4.30265],
    [4, 2.77645],
    [10, 2.22814],
    [30, 2.04227],
    [1000, 1.96234],
  ] as const)
    near(studentQuantile(0.975, freedom), value, 1e-4);
});

test('a mean interval is the textbook one', () => {
  const { mean, deviation, low, high } = meanInterval([4, 6, 8]);
  assert.deepEqual([mean, deviation], [6, 2]);
  near(low, 6 - 4.30265 * 1.154_701, 1e-4);
  near(high, 6 + 4.30265 * 1.154_701, 1e-4);
  assert.equal(meanInterval([1]).high, Number.POSITIVE_INFINITY);
});

test("Wilson's interval: published values and the ends", () => {
  const { low, high } = wilson(15, 148); // Newcombe 1998, table I
  near(low, 0.0624, 5e-5);
  near(high, 0.1605, 5e-5);
  assert.equal(wilson(0, 20).low, 0);
  near(wilson(0, 20).high, 0.1611, 5e-5);
  assert.deepEqual([wilson(29, 29).high, wilson(0, 0)], [1, { low: 0, high: 1 }]);
});

test("McNemar's exact test is the binomial sum", () => {
  near(mcNemarExact(1, 5), (2 * (1 + 6)) / 64, 1e-12);
  near(mcNemarExact(10, 2), (2 * (1 + 12 + 66)) / 4096, 1e-12);
  assert.deepEqual([mcNemarExact(0, 0), mcNemarExact(4, 4)], [1, 1]);
  near(mcNemarExact(600, 400), 2.728e-10, 3e-13);
});

test('the bootstrap interval holds the mean and shrinks with the spread', () => {
  const wide = pairedBootstrap([1, -1, 3, -3, 2, 0]);
  assert.ok(wide.low < 0 && wide.high > 0);
  const tight = pairedBootstrap([1, 1.1, 0.9, 1, 1.05, 0.95]);
  assert.ok(tight.low > 0.9 && tight.high < 1.1);
  assert.deepEqual(pairedBootstrap([1, 2, 3]), pairedBootstrap([1, 2, 3]));
});
