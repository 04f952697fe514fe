// Equality of long arrays. `assert.deepEqual` compares them as fast, but where they differ it works out a
// message in memory that grows with the square of their length: 0.55 GB for 4,000 numbers, 20 GB for 25,000.
import assert from 'node:assert/strict';

export type Numbers = ArrayLike<number>;

/** The first index at which the arrays differ; -1 where they are the same. NaN is equal to itself. */
export function firstDifference(found: Numbers, expected: Numbers): number {
  const length = Math.max(found.length, expected.length);
  for (let i = 0; i < length; i++) if (!Object.is(found[i], expected[i])) return i;
  return -1;
}

export function assertSameNumbers(found: Numbers, expected: Numbers, what: string): void {
  const at = firstDifference(found, expected);
  if (at >= 0) assert.fail(`${what}: [${at}]: expected ${expected[at]}, found ${found[at]}`);
}
