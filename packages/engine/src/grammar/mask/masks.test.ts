import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsageError } from '../../errors.ts';
import { contextFreeMachine } from '../context-free/machine.ts';
import { parseEbnf } from '../ebnf/parse.ts';
import { compileSchema } from '../json/compile-schema.ts';
import { DEFAULT_LIMITS } from '../limits.ts';
import { DEAD, type Machine, regularMachine, run } from '../machine.ts';
import { Dfa } from '../regular/dfa.ts';
import { regexLanguage } from '../regular/regex.ts';
import { allows, Masks } from './masks.ts';
import { GrammarVocabulary } from './vocabulary.ts';

const encoder = new TextEncoder();

let seed = 3;
const draw = (n: number): number => {
  seed = (seed * 1103515245 + 12345) & 0x7fffffff;
  return (seed >> 8) % n;
};

const PIECES = [
  'a',
  'b',
  'c',
  'the',
  ' ',
  '  ',
  '\n',
  '"',
  '\\',
  '\\n',
  '{',
  '}',
  '[',
  ']',
  ':',
  ',',
  '1',
  '23',
  '.',
  '-',
  'true',
  'null',
  'é',
  '日本',
  '😀',
  '\u0001',
  '\x7f',
];

/** Tokens of a few pieces each, bytes that are no whole character, twins, a special and an end token. */
const TEXTS: Uint8Array[] = [
  ...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)),
  ...Array.from({ length: 1500 }, () =>
    encoder.encode(Array.from({ length: 1 + draw(4) }, () => PIECES[draw(PIECES.length)]).join('')),
  ),
  ...Array.from({ length: 100 }, () => encoder.encode('日é😀').slice(draw(4), 4 + draw(5))),
  encoder.encode('a'.repeat(40)),
];
const SPECIAL = TEXTS.length;
const END = SPECIAL + 1;
const SIZE = SPECIAL + 5;

const vocabulary = new GrammarVocabulary(
  {
    vocabularySize: END + 1,
    tokenBytes: (token) => TEXTS[token] ?? new Uint8Array(0),
    isSpecial: (token) => token >= SPECIAL,
    createStreamDecoder: () => ({ push: (token) => new TextDecoder().decode(TEXTS[token]), end: () => '' }),
  },
  SIZE,
  [END],
);

const regex = (source: string): Machine => regularMachine(new Dfa(regexLanguage(source)));
const ebnf = (source: string): Machine =>
  contextFreeMachine(parseEbnf(source, DEFAULT_LIMITS), DEFAULT_LIMITS);

const schema = (value: unknown): Machine => compileSchema(value).machine;

const STRING = '"\\"" ([^"\\\\\\x7f\\x00-\\x1f] | "\\\\" ["\\\\nu])* "\\""';
const MACHINES: Readonly<Record<string, Machine>> = {
  letters: regex('[a-c]+'),
  words: regex('the (a|b|é){2,5}!?'),
  'a string': regex('"([^"\\\\\x00-\x1f\x7f]|\\\\["\\\\n])*"'),
  'a string of limited length': regex('"([^"\\\\\x00-\x1f\x7f]|\\\\["\\\\n]){3,50}"'),
  'a string with a look-ahead': regex('"(?=.*日)[^"\\\\\x00-\x1f\x7f]*"'),
  'any text': regex('[^]*'),
  json: ebnf(`root ::= value
    value ::= "{" ws (pair ("," ws pair)*)? "}" ws | "[" ws (value ("," ws value)*)? "]" ws | string | number | "true" ws | "null" ws
    pair ::= string ":" ws value
    string ::= ${STRING} ws
    number ::= "-"? [0-9]+ ("." [0-9]+)? ws
    ws ::= [ \\n]{0,4}`),
  'an open object': schema({
    properties: { the: { type: 'integer' }, thea: { enum: ['a', 'ab'] } },
    additionalProperties: { type: 'array', items: { type: 'object' } },
  }),
  'any JSON': schema(true),
  'nested parentheses': ebnf('root ::= "a" | "[" root "]" | root "," root'),
};

for (const [name, machine] of Object.entries(MACHINES)) {
  test(`a mask holds what the machine allows, token by token: ${name}`, () => {
    const masks = new Masks(vocabulary);
    for (let walk = 0; walk < 8; walk++) {
      let state = machine.start;
      for (let step = 0; step < 12; step++) {
        const mask = masks.of(machine, state);
        const allowed: number[] = [];
        for (let token = 0; token < SIZE; token++) {
          const bytes = TEXTS[token];
          const expected = bytes !== undefined && run(machine, state, bytes) !== DEAD;
          assert.equal(
            allows(mask, token),
            expected,
            `${step} steps on: token ${token} ${JSON.stringify(new TextDecoder().decode(bytes))}`,
          );
          if (expected) allowed.push(token);
        }
        if (allowed.length === 0) break;
        state = run(machine, state, TEXTS[allowed[draw(allowed.length)]]);
      }
    }
  });
}

test('masks are kept, and dropped beyond the budget without a difference', () => {
  const { json } = MACHINES;
  const masks = new Masks(vocabulary);
  assert.equal(masks.of(json, json.start), masks.of(json, json.start));
  const small = new Masks(vocabulary, 1000);
  let state = json.start;
  for (const byte of encoder.encode('[{"a": 1.5, "the": [true, null]}, "日本"]')) {
    assert.deepEqual(small.of(json, state), masks.of(json, state));
    state = json.step(state, byte);
  }
});

test('a text of limited length has the same mask for most of it', () => {
  const dfa = new Dfa(regexLanguage('"[^"\\\\\x00-\x1f\x7f]{0,500}"'));
  const after = (count: number) => dfa.run(dfa.start, encoder.encode(`"${'x'.repeat(count)}`));
  assert.notEqual(after(10), after(20));
  assert.equal(dfa.withinReach(after(10), 40), dfa.withinReach(after(20), 40));
  assert.notEqual(dfa.withinReach(after(480), 40), dfa.withinReach(after(481), 40));
  assert.equal(dfa.ordinaryCharacters(after(490)), 10);
  assert.equal(dfa.ordinaryCharacters(dfa.start), 0);
});

test('a tokenizer that writes blanks between tokens is refused', () => {
  const words = {
    vocabularySize: 1,
    tokenBytes: () => encoder.encode('A'),
    isSpecial: () => false,
    createStreamDecoder: () => ({ push: () => ' A', end: () => '' }),
  };
  assert.throws(() => new GrammarVocabulary(words, 1, []), UsageError);
});
