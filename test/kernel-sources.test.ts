// What makes a compiled kernel stale: its code, not its comments or its form.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withoutComments } from '../scripts/build-kernels.ts';

const SOURCE = `// The header.
/** Adds. */
// @ts-ignore: decorator
@inline export function add(a: i32, b: i32): i32 {
  const url = 'https://a.b'; // not a comment
  return a - -b;
}`;

test('comments and form do not count', () => {
  const other = `@inline
export function add(
  a: i32, /* the first */
  b: i32,
): i32 { const url = 'https://a.b';

  return a - -b; }`;
  assert.equal(withoutComments(other), withoutComments(SOURCE));
});

test('code counts', () => {
  for (const [from, to] of [
    ['- -b', '--b'],
    ['a.b', 'a.c'],
    ['return a', 'returna'],
    ['b: i32)', 'b: u32)'],
  ] as const)
    assert.notEqual(withoutComments(SOURCE.replace(from, to)), withoutComments(SOURCE), to);
});
