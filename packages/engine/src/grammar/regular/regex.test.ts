import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GrammarError } from '../../errors.ts';
import { Dfa } from './dfa.ts';
import { regexLanguage } from './regex.ts';
import { holds } from './tests.ts';

const encoder = new TextEncoder();

/** Compares an expression with JavaScript's own on texts, found anywhere and matched whole. */
function agrees(source: string, texts: readonly string[]): void {
  for (const match of ['search', 'whole'] as const) {
    const dfa = new Dfa(regexLanguage(source, { match }));
    const expression = new RegExp(match === 'whole' ? `^(?:${source})$` : source, 'u');
    for (const text of texts)
      assert.equal(
        holds(dfa, encoder.encode(text)),
        expression.test(text),
        `${match} /${source}/ in ${JSON.stringify(text)}`,
      );
  }
}

const TEXTS = [
  '',
  'a',
  'b',
  'ab',
  'ba',
  'aab',
  'abc',
  'foo',
  'bar',
  'foobar',
  'a b',
  'a\nb',
  '12',
  '2024-01-31',
  'é',
  'ß',
  '日本',
  '😀',
  'a_b-c.d',
  'xfoo',
  'foo bar',
  '\u2028',
  '\u00a0',
  '\ufeff',
  'ſ',
  'K',
  '\u212a',
  'ΑΒ',
  '٣',
];

test('expressions mean what ECMAScript says', () => {
  for (const source of [
    'a',
    '^a',
    'a$',
    '^a$',
    '^$',
    '',
    '^(a|b)*$',
    'a+?b',
    '(?:ab){1,2}',
    'a{2}',
    'a{1,}',
    '.',
    '^.$',
    '^..$',
    '[^a]',
    '^[^a]$',
    '^\\d+$',
    '\\D',
    '^\\w+$',
    '^\\W$',
    '^\\s$',
    '\\S',
    '^\\p{L}+$',
    '^\\P{L}+$',
    '^\\p{Script=Greek}+$',
    '^\\p{Lu}',
    '^[\\p{Lu}\\d]+$',
    '\\u0061',
    '\\x61',
    '\\u{1f600}',
    '\\ud83d\\ude00',
    '[😀-😂]',
    '\\n',
    '\\cJ',
    '\\0',
    '[\\b]',
    '(?<year>\\d{4})-\\d\\d',
    '\\bfoo',
    'foo\\b',
    '\\bfoo\\b',
    '\\Boo',
    '^\\b',
    '\\b$',
    '\\B',
    '^\\B$',
    '(?=a)',
    '(?=.*b)a',
    '^(?=.*o)(?!.*b)[a-z]+$',
    '(?!foo)bar',
    'foo(?!bar)',
    '^(?!.*\\.\\.)',
    '(?<=foo)bar',
    '(?<!foo)bar',
    '(?<=^|o)b',
    '^(?<!a)b',
    '(?<=\\bfoo )bar',
    '(?:^|b)a',
    'a(?:$|b)',
    '(a|^)b',
    '(?:(?<=a)b|ba)',
    '^(?:\\ba|b){1,3}$',
    '^(?:(?!foo).)*$',
    '(?:(?!b)[a-z])+r',
    '^(?:\\b\\w+\\b ?)+$',
    '(?:a(?!b)|b(?=a))*$',
    '(?:(?!ab)(?=..).){2,}',
    'x*',
    '(?:a?){3}b',
    '[a-c]{2,3}',
    '[^]',
    '[]',
    '^[\\s\\S]*$',
    '\\$',
    '\\.',
    '[.]',
    '[$^]',
    '\\/',
    'a|b|',
    '(|a)b',
    '(?:)',
  ])
    agrees(source, TEXTS);
});

test('case is folded where a group asks for it', () => {
  for (const source of [
    '(?i:foo)',
    '^(?i:[a-k]+)$',
    '(?i:ß)',
    '(?i:k)',
    '(?i:[^k])',
    '(?i:\\w)$',
    '(?i:s(?-i:S))',
    '(?s:^.$)',
    '(?i:αβ)',
  ])
    agrees(source, [...TEXTS, 'FOO', 'Foo', 'ẞ', 'sS', 'SS', 'ss', 'S']);
});

test('random expressions mean what ECMAScript says', () => {
  let seed = 11;
  const draw = (n: number): number => {
    seed = (seed * 1103515245 + 12345) & 0x7fffffff;
    return (seed >> 8) % n;
  };
  const pick = <T>(list: readonly T[]): T => list[draw(list.length)];
  const make = (size: number): string => {
    if (size <= 1)
      return pick(['a', 'b', '-', '.', '[ab]', '[^a]', '\\w', '\\W', '^', '$', '\\b', '\\B', 'é']);
    const left = 1 + draw(size - 1);
    switch (draw(9)) {
      case 0:
        return `(?:${make(left)}|${make(size - left)})`;
      case 1:
        return `(?:${make(size - 1)})${pick(['*', '+', '?', '{2}', '{1,3}', '{2,}'])}`;
      case 2:
        return `${pick(['(?=', '(?!', '(?<=', '(?<!'])}${make(size - 1)})`;
      default:
        return make(left) + make(size - left);
    }
  };
  const texts = [''];
  for (const text of texts)
    if (text.length < 4) texts.push(...['a', 'b', '-', 'é'].map((more) => text + more));
  let refused = 0;
  const rounds = 400;
  for (let round = 0; round < rounds; round++) {
    const source = make(1 + draw(9));
    try {
      agrees(source, texts);
    } catch (error) {
      if (!(error instanceof GrammarError && error.code === 'unsupported-grammar')) throw error;
      refused++;
    }
  }
  assert.ok(refused < rounds / 4, `${refused} of ${rounds} refused`);
});

test('what no automaton can do is refused by name, and what is broken says where', () => {
  const refusal = (source: string): string => {
    try {
      regexLanguage(source);
      return 'accepted';
    } catch (error) {
      assert.ok(error instanceof GrammarError);
      return error.refused[0]?.keyword ?? `${error.code}: ${error.message}`;
    }
  };
  assert.equal(refusal('(a)\\1'), 'back-reference');
  assert.equal(refusal('(?<n>a)\\k<n>'), 'back-reference');
  assert.equal(refusal('a++'), 'possessive quantifier');
  assert.equal(refusal('(?P<n>a)'), '(?P');
  assert.equal(refusal('(?i)a'), '(?i');
  assert.equal(refusal('\\A'), '\\A');
  for (const source of [
    '(',
    ')',
    '[',
    'a{2,1}',
    '*',
    '[b-a]',
    '\\',
    '\\u12',
    '(?<n',
    '\\p{Nope}',
    '(?',
    '{1}',
    'a{,2}',
    '^*',
  ])
    assert.match(refusal(source), /^invalid-grammar: grammar: expected/, source);
  assert.match(refusal('a{99999999}'), /^grammar-limit/);
  assert.match(refusal('('.repeat(5000)), /^grammar-limit/);
});

test('expressions that ruin a backtracking engine are walked in one pass', () => {
  for (const source of [
    '(a+)+b',
    '(a|aa)+b',
    '(a*)*b',
    '(a|a?)+b',
    '(?:a{0,50}){0,50}b',
    '(.*a){8}b',
    '(x+x+)+y',
  ]) {
    const dfa = new Dfa(regexLanguage(source));
    assert.ok(!holds(dfa, encoder.encode('a'.repeat(5000))), source);
    assert.ok(dfa.stateCount < 12_000, `${source}: ${dfa.stateCount}`);
  }
});

test('expressions whose parts multiply meet a bound', () => {
  const wants = [...'abcdefghijkl'].map((letter) => `(?=.*${letter})`);
  for (const source of ['(a*b*)'.repeat(8000), `${wants.join('')}.{12}`]) {
    const read = () => {
      const dfa = new Dfa(regexLanguage(source));
      return dfa.run(dfa.start, encoder.encode('ab'));
    };
    assert.throws(read, { name: 'GrammarError', code: 'grammar-limit' });
  }
});
