import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ALL_CODE_POINTS,
  ANY_CHARACTER,
  ANY_TEXT,
  codePoints,
  codePointsOf,
  complementCodePoints,
  hasCodePoint,
  uniteCodePoints,
  utf8,
} from './code-points.ts';
import { Dfa } from './dfa.ts';
import { holds } from './tests.ts';

const encoder = new TextEncoder();
const bytes = (code: number): Uint8Array => encoder.encode(String.fromCodePoint(code));
const EDGES = [
  0, 0x7f, 0x80, 0x7ff, 0x800, 0xfff, 0xd7ff, 0xe000, 0xfffd, 0xffff, 0x10000, 0x3ffff, 0x40000, 0x10ffff,
];

test('a set holds exactly its characters in UTF-8', () => {
  const set = codePoints(0x41, 0x5a, 0x3b1, 0x3c9, 0x7fe, 0x801, 0xfffe, 0x10001, 0x1f600, 0x1f64f);
  const dfa = new Dfa(utf8(set));
  for (let code = 0; code <= 0x10ffff; code += code > 0x20000 ? 997 : 1) {
    if (code >= 0xd800 && code <= 0xdfff) continue;
    assert.equal(holds(dfa, bytes(code)), hasCodePoint(set, code), code.toString(16));
  }
});

test('every character is a text; surrogates, overlong forms and stray bytes are none', () => {
  const dfa = new Dfa(ANY_TEXT);
  for (const code of EDGES) assert.ok(holds(dfa, bytes(code)), code.toString(16));
  for (const bad of [
    [0xc0, 0x80],
    [0xe0, 0x80, 0x80],
    [0xed, 0xa0, 0x80],
    [0xf4, 0x90, 0x80, 0x80],
    [0x80],
    [0xf5],
  ])
    assert.equal(dfa.run(dfa.start, bad), 0);
  assert.ok(!holds(new Dfa(ANY_CHARACTER), encoder.encode('ab')));
});

test('sets unite, intersect and complement as their members do', () => {
  const set = codePointsOf('ba€c');
  assert.deepEqual(set, [0x61, 0x63, 0x20ac, 0x20ac]);
  assert.deepEqual(uniteCodePoints(set, complementCodePoints(set)), ALL_CODE_POINTS);
  assert.deepEqual(complementCodePoints(complementCodePoints(set)), set);
  assert.deepEqual(codePoints(0xd000, 0xe001), [0xd000, 0xd7ff, 0xe000, 0xe001]);
});
