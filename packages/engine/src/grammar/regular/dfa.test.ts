import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GrammarError } from '../../errors.ts';
import { acceptsWhole, regularMachine } from '../machine.ts';
import { Dfa } from './dfa.ts';
import {
  ANY_BYTE,
  ANYTHING,
  between,
  both,
  call,
  concat,
  difference,
  EMPTY,
  either,
  literal,
  literals,
  NOTHING,
  not,
  optional,
  type Regular,
  repeat,
  star,
} from './regular.ts';
import { holds, intersects, isFiniteLanguage, isNothing, isSame, isWithin, shortestTexts } from './tests.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const accepts = (language: Regular, text: string): boolean =>
  acceptsWhole(regularMachine(new Dfa(language)), bytes(text));

/** All texts of a and b up to a length. */
function* words(length: number): Generator<string> {
  yield '';
  if (length > 0) for (const rest of words(length - 1)) yield* [`a${rest}`, `b${rest}`];
}

/** Whether a text is in a language, by the definition: every cut is tried. */
function belongs(language: Regular, text: string): boolean {
  switch (language.kind) {
    case 'nothing':
      return false;
    case 'empty':
      return text === '';
    case 'bytes':
      return (
        text.length === 1 && ((language.set[text.charCodeAt(0) >> 5] >> (text.charCodeAt(0) & 31)) & 1) === 1
      );
    case 'concat': {
      const [head = EMPTY, ...rest] = language.parts;
      if (rest.length === 0) return belongs(head, text);
      return cuts(text).some(([a, b]) => belongs(head, a) && belongs({ kind: 'concat', parts: rest }, b));
    }
    case 'either':
      return language.parts.some((part) => belongs(part, text));
    case 'both':
      return language.parts.every((part) => belongs(part, text));
    case 'not':
      return !belongs(language.part, text);
    case 'repeat': {
      const { part, min, max } = language;
      if (max === 0) return text === '';
      if (min === 0 && text === '') return true;
      if (text === '') return belongs(part, '');
      return cuts(text).some(
        ([a, b]) =>
          a !== '' &&
          belongs(part, a) &&
          belongs(
            { kind: 'repeat', part, min: belongs(part, '') ? 0 : Math.max(0, min - 1), max: max - 1 },
            b,
          ),
      );
    }
    case 'call':
    case 'defined':
      return false;
    default:
      return language satisfies never;
  }
}

const cuts = (text: string): [string, string][] =>
  Array.from({ length: text.length + 1 }, (_, i) => [text.slice(0, i), text.slice(i)]);

/** A language of up to `size` parts, drawn with a generator of numbers below n. */
function randomLanguage(draw: (n: number) => number, size: number): Regular {
  if (size <= 1) return [literal('a'), literal('b'), EMPTY, ANY_BYTE, between(97, 98), NOTHING][draw(6)];
  const left = 1 + draw(size - 1);
  const one = () => randomLanguage(draw, left);
  const other = () => randomLanguage(draw, size - left);
  switch (draw(7)) {
    case 0:
    case 1:
      return concat(one(), other());
    case 2:
      return either(one(), other());
    case 3:
      return both(one(), other());
    case 4:
      return not(one());
    default: {
      const min = draw(3);
      return repeat(one(), min, draw(3) === 0 ? Number.POSITIVE_INFINITY : min + draw(3));
    }
  }
}

test('an automaton holds the texts of its definition', () => {
  let seed = 7;
  const draw = (n: number): number => {
    seed = (seed * 1103515245 + 12345) & 0x7fffffff;
    return (seed >> 8) % n;
  };
  const texts = [...words(5)];
  for (let round = 0; round < 300; round++) {
    const language = randomLanguage(draw, 1 + draw(8));
    const dfa = new Dfa(language);
    for (const text of texts)
      assert.equal(
        holds(dfa, bytes(text)),
        belongs(language, text),
        `${JSON.stringify(language)} and ${text}`,
      );
  }
});

test('every live state leads to a text', () => {
  const dfa = new Dfa(
    both(star(either(literal('ab'), literal('b'))), not(concat(ANYTHING, literal('bb'), ANYTHING))),
  );
  const seen = new Set([dfa.start]);
  for (const state of seen) {
    let found = false;
    const near = new Set([state]);
    for (const one of near) {
      found ||= dfa.accepts(one);
      for (let c = 0; c < dfa.classCount; c++) {
        const next = dfa.stepClass(one, c);
        if (next !== 0) near.add(next).size < 1000 && seen.add(next);
      }
    }
    assert.ok(found);
  }
  // "a" may only be followed by "b", and "bb" never comes: after "ab" only "a".
  assert.equal(dfa.run(dfa.start, bytes('abb')), 0);
  assert.notEqual(dfa.run(dfa.start, bytes('aba')), 0);
});

test('a text that no length allows is dead at once', () => {
  const dfa = new Dfa(both(repeat(literal('ab'), 3, 3), repeat(ANY_BYTE, 0, 5)));
  assert.equal(dfa.start, 0);
  assert.ok(isNothing(both(literal('a'), literal('b'))));
  assert.ok(!intersects(star(literal('a')), concat(star(literal('a')), literal('b'))));
  assert.ok(isWithin(literal('aa'), star(literal('a'))));
  assert.ok(isSame(star(star(literal('a'))), either(EMPTY, repeat(literal('a'), 1))));
});

test('counts cost nothing until a text walks through them', () => {
  const dfa = new Dfa(repeat(between(97, 122), 3, 1_000_000));
  assert.ok(dfa.stateCount < 4);
  assert.ok(accepts(repeat(literal('ab'), 2, 2), 'abab'));
  assert.ok(!holds(dfa, bytes('ab')));
});

test('nested repeats do not multiply', () => {
  const nested = repeat(repeat(repeat(literal('a'), 0, 100), 0, 100), 0, 100);
  const dfa = new Dfa(concat(nested, literal('b')));
  assert.ok(holds(dfa, bytes(`${'a'.repeat(500)}b`)));
  assert.ok(dfa.stateCount < 600);
});

test('finite languages are told from others and listed', () => {
  assert.ok(isFiniteLanguage(new Dfa(literals(['on', 'off', 'o', 'on'].map(bytes)))));
  assert.ok(!isFiniteLanguage(new Dfa(concat(literal('a'), star(literal('b'))))));
  const list = shortestTexts(new Dfa(literals(['on', 'off', 'o'].map(bytes))), 10)!;
  assert.deepEqual(
    list.map((text) => new TextDecoder().decode(text)),
    ['o', 'on', 'off'],
  );
  assert.ok(isSame(difference(literals(['a', 'b'].map(bytes)), literal('a')), literal('b')));
  assert.ok(accepts(optional(literal('x')), ''));
});

test('a language beyond the bounds is an error that names its subject', () => {
  const limits = { subject: 'pattern', states: 1000, terms: 20_000 };
  const hard = concat(star(between(97, 98)), literal('a'), repeat(between(97, 98), 18, 18));
  const dfa = new Dfa(hard, limits);
  assert.throws(
    () => {
      for (let i = 0; i < 4000; i++)
        dfa.run(dfa.start, bytes((i * 2654435761).toString(2).replace(/0/g, 'a').replace(/1/g, 'b')));
    },
    (error: unknown) =>
      error instanceof GrammarError && error.code === 'grammar-limit' && /^pattern: /.test(error.message),
  );
});

test('calls of rules are exits, each with what follows it', () => {
  const dfa = new Dfa([concat(optional(literal('a')), call(1), literal('b')), either(call(0), literal('c'))]);
  const [[rule, after]] = dfa.calls(dfa.start);
  assert.equal(rule, 1);
  assert.ok(dfa.exits(dfa.start) && !dfa.accepts(dfa.start));
  assert.equal(dfa.step(after, 98), dfa.step(dfa.starts[1], 99));
  assert.ok(dfa.isEnd(dfa.step(after, 98)));
  assert.throws(() => new Dfa(not(call(0))), GrammarError);
});
