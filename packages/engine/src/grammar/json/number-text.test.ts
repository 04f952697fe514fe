import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Decimal, parseDecimal } from './decimal.ts';
import { asDoubles } from './number-prefix.ts';
import {
  ALL_NUMBERS,
  atLeast,
  atMost,
  complementNumbers,
  hasNumber,
  INTEGERS,
  intersectNumbers,
  multiplesOf,
  type NumberSet,
  points,
  uniteNumbers,
} from './number-set.ts';
import { NumberReader, type NumberSpelling } from './number-text.ts';

const d = (text: string): Decimal => parseDecimal(text);
const lone = points(['1', '2.5', '100', '-3'].map(d));
const SETS: Readonly<Record<string, NumberSet>> = {
  all: ALL_NUMBERS,
  integers: INTEGERS,
  positive: intersectNumbers(INTEGERS, atLeast(d('0'), true)),
  range: intersectNumbers(atLeast(d('0.5')), atMost(d('1.5'))),
  age: intersectNumbers(INTEGERS, intersectNumbers(atLeast(d('-7')), atMost(d('120')))),
  cents: intersectNumbers(multiplesOf(d('0.01')), atLeast(d('0'), true)),
  notThirds: complementNumbers(multiplesOf(d('3'))),
  lone,
  notLone: complementNumbers(lone),
  parts: uniteNumbers([atMost(d('-5')), intersectNumbers(INTEGERS, atLeast(d('1000')))]),
};

function reads(reader: NumberReader, text: string): boolean {
  let place: NumberReader['start'] | null = reader.start;
  for (let i = 0; i < text.length && place !== null; i++) place = reader.step(place, text.charCodeAt(i));
  return place?.ends === true;
}

/** A generator of numbers below n, the same in every run. */
function generator(seed: number): (n: number) => number {
  return (n) => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    return (seed >> 8) % n;
  };
}

function randomNumber(draw: (n: number) => number): string {
  const sign = draw(3) === 0 ? '-' : '';
  const whole = draw(4) === 0 ? '0' : String(draw(10 ** (1 + draw(4))));
  const fraction = draw(2) === 0 ? '' : `.${String(draw(10 ** (1 + draw(3)))).padStart(1 + draw(4), '0')}`;
  const exponent = draw(2) === 0 ? '' : `${'eE'[draw(2)]}${['', '+', '-'][draw(3)]}${draw(6)}`;
  return sign + whole + fraction + exponent;
}

for (const [name, exact] of Object.entries(SETS)) {
  const set = asDoubles(exact);
  test(`${name}: a spelling is read exactly when its value belongs`, () => {
    const draw = generator(11);
    const any = new NumberReader(set, 'any');
    const plain = new NumberReader(set, 'plain');
    const isWhole = set.every(({ multipleOf }) => multipleOf?.exponent === 0);
    for (let i = 0; i < 3000; i++) {
      const text = randomNumber(draw);
      const belongs = hasNumber(exact, parseDecimal(text));
      assert.equal(reads(any, text), belongs, text);
      if (/e/i.test(text) || (isWhole && text.includes('.'))) assert.ok(!reads(plain, text), text);
      else assert.equal(reads(plain, text), belongs, text);
    }
  });

  for (const spelling of ['any', 'plain'] as NumberSpelling[]) {
    test(`${name}, ${spelling}: no way leads to a dead end`, () => {
      const draw = generator(5);
      const reader = new NumberReader(set, spelling);
      for (let walk = 0; walk < 60; walk++) {
        let place = reader.start;
        for (let i = 0; i < 40; i++) {
          const next = Array.from('0123456789.eE+-', (c) => reader.step(place, c.charCodeAt(0)));
          const live = next.filter((one) => one !== null);
          assert.ok(live.length > 0 || place.ends, place.text);
          if (live.length === 0) break;
          place = live[draw(live.length)];
        }
      }
    });
  }
}

test('what JSON does not write as a number is none', () => {
  const reader = new NumberReader(asDoubles(ALL_NUMBERS), 'any');
  for (const text of [
    '01',
    '+1',
    '.5',
    '1.',
    '1e',
    '1e+',
    '-',
    '--1',
    '1.e2',
    '0x1',
    '1e5.5',
    '',
    '1e400',
    '17e307',
  ])
    assert.ok(!reads(reader, text), text);
  for (const text of ['0', '-0', '0.0', '1e308', '169e306', '1E-400', '-0e0'])
    assert.ok(reads(reader, text), text);
});

test('what reads as an end that does not belong is not in', () => {
  const above = asDoubles(atLeast(d('0.1'), true));
  const reader = new NumberReader(above, 'any');
  assert.ok(!reads(reader, '0.10000000000000000001'));
  assert.ok(reads(reader, '0.10000000000000002'));
  const positive = new NumberReader(asDoubles(atLeast(d('0'), true)), 'any');
  for (const text of ['1e-999', '0.0e5', '0']) assert.ok(!reads(positive, text), text);
  for (const text of ['1e-300', '1e-323', '0.0001', '12.5']) assert.ok(reads(positive, text), text);
  assert.deepEqual(
    asDoubles(intersectNumbers(atLeast(d('1'), true), atMost(d('1.00000000000000000001'), true))),
    [],
  );
});
