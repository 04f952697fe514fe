// Oniguruma's meaning in JavaScript: what matches, and what is refused rather than read differently.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FormatError } from '../errors.ts';
import { Place } from './json-fields.ts';
import { literalRegex, translateRegex } from './regex.ts';

const place = new Place('tokenizer.json', 'pattern');
const matches = (pattern: string, text: string) =>
  [...text.matchAll(translateRegex(pattern, place))].map((match) => match[0]);

test('whitespace, digits and word characters are Unicode', () => {
  assert.deepEqual(matches('\\s+', 'a\u0085b\ufeffc\u3000d'), ['\u0085', '\u3000']);
  assert.deepEqual(matches('[^\\s]', '\u0085\ufeff'), ['\ufeff']);
  assert.deepEqual(matches('\\d+', '12 ٣٤ ½'), ['12', '٣٤']);
  assert.deepEqual(matches('\\w+', 'naïve_1-日本'), ['naïve_1', '日本']);
  assert.deepEqual(matches('\\W', 'é-à'), ['-']);
});

test('case is folded only where the pattern says so', () => {
  assert.deepEqual(matches("(?i:'s|'ll)|x", "'S'lL'ſX x"), ["'S", "'lL", "'ſ", 'x']);
  assert.deepEqual(matches('a(?i)b|c', 'aB AB C'), ['aB', 'C']);
  assert.deepEqual(matches('(?i:[a-c]+)k', 'aBCk aBCK'), ['aBCk']);
});

test('classes: punctuation, ranges, nesting, intersection, POSIX brackets, scripts', () => {
  assert.deepEqual(matches('[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~]', 'a-b[c]&&'), [
    '-',
    '[',
    ']',
    '&',
    '&',
  ]);
  assert.deepEqual(matches('[a-z&&[^aeiou]]+', 'hello'), ['h', 'll']);
  assert.deepEqual(matches('[[:alpha:]_]+', 'é_1x'), ['é_', 'x']);
  assert.deepEqual(matches('[]a]+', ']a['), [']a']);
  assert.deepEqual(matches('[a-]+', 'a-b'), ['a-']);
  assert.deepEqual(matches('\\p{Han}+', 'ab漢字c'), ['漢字']);
  assert.deepEqual(matches('\\p{^L}', 'a1'), ['1']);
  assert.deepEqual(matches('[一-龥]', '一!'), ['一']);
});

test('possessive quantifiers and atomic groups do not give back', () => {
  assert.deepEqual(matches('a++b', 'aaab'), ['aaab']);
  assert.deepEqual(matches('a++ab', 'aaab'), []);
  assert.deepEqual(matches('(?>a+)ab|b', 'aaab'), ['b']);
  assert.deepEqual(matches('a?+a', 'a'), []);
  assert.deepEqual(matches('(?:a{2})+', 'aaaaa'), ['aaaa']);
  assert.deepEqual(matches('a{2}+', 'aaaaa'), ['aaaa'], 'Ruby syntax: + repeats the interval');
});

test('anchors are line anchors, a dot stops at a newline', () => {
  assert.deepEqual(matches('^.', 'a\nb\rc'), ['a', 'b']);
  assert.deepEqual(matches('.$', 'a\nb'), ['a', 'b']);
  assert.deepEqual(matches('\\A.', 'a\nb'), ['a']);
});

test('lookaround, counts, escapes', () => {
  assert.deepEqual(matches('\\s+(?!\\S)', 'a   b'), ['  ']);
  assert.deepEqual(matches('(?<=a)b', 'ab b'), ['b']);
  assert.deepEqual(matches('\\p{N}{1,3}', '12345'), ['123', '45']);
  assert.deepEqual(matches('\\u00e9|\\x{1F600}|\\x41|\\t', 'é😀A\t'), ['é', '😀', 'A', '\t']);
  assert.deepEqual(matches('\\{\\}', '{}'), ['{}']);
});

test('a literal matches only itself', () => {
  assert.deepEqual('a.b|a.b(axb'.match(literalRegex('a.b|')), ['a.b|']);
  assert.deepEqual('x👍y'.split(literalRegex('👍')), ['x', 'y']);
});

test('what is not supported or broken is refused with file and field', () => {
  const broken = [
    '(',
    ')',
    '[a',
    'a)',
    '*a',
    '(?x:a)',
    '(?<name>a)',
    '\\1',
    '\\k<a>',
    '\\p{Nonsense}',
    '\\X',
    'a{,}',
    '[z-a]',
    '\\',
    '(?i:[à-ü])',
  ];
  for (const pattern of [...broken, '('.repeat(1000), 'a'.repeat(20000)]) {
    assert.throws(
      () => translateRegex(pattern, place),
      (error: unknown) => {
        assert.ok(error instanceof FormatError, `${pattern.slice(0, 20)}: ${String(error)}`);
        return error.message.startsWith('tokenizer.json: pattern');
      },
      pattern.slice(0, 20),
    );
  }
});
