// Numbers of a set, read digit by digit. Which texts spell a number of an interval is no regular language once exponents
// are allowed (0.0…01e1000), so a place is the text itself, shortened where the set does not tell texts apart; whether it
// can go on is arithmetic (`number-prefix.ts`), exact for every spelling that JSON has.
import { GrammarError } from '../../errors.ts';
import { isMultiple, ONE, parseDecimal, ZERO } from './decimal.ts';
import {
  coversCell,
  halfOf,
  isIntegerHalf,
  isWholeHalf,
  meetsCell,
  meetsExponent,
  meetsScale,
} from './number-prefix.ts';
import { hasNumber, type NumberSet } from './number-set.ts';

/** Which spellings of a number are read. */
export type NumberSpelling =
  /** Every one that JSON has: 1e2 and 1.0 are integers. */
  | 'any'
  /** Digits, with a fraction where not all numbers are whole; no exponents. What models write well. */
  | 'plain';

/** Characters of one number. Longer ones are an error, not a dead end: nobody means them. */
const LONGEST = 1000;

const SHAPE = /^(-?)(?:(0|[1-9]\d*)(?:(\.)(\d*))?(?:(?<=\d)([eE])([+-]?)(\d*))?)?$/;

/** A number as far as it was read. */
interface Prefix {
  readonly minus: string;
  /** Digits before the point; empty before the first. */
  readonly whole: string;
  readonly point: string;
  readonly fraction: string;
  readonly e: string;
  readonly exponent: { readonly sign: string; readonly digits: string };
}

function parse(text: string): Prefix | null {
  const match = SHAPE.exec(text);
  if (match === null) return null;
  const [, minus, whole = '', point = '', fraction = '', e = '', sign = '', digits = ''] = match;
  return { minus, whole, point, fraction, e: e && 'e', exponent: { sign, digits } };
}

/** A place inside a number of a set. Equal places are one object. */
export interface NumberPlace {
  readonly text: string;
  /** Whether the number may end here. */
  readonly ends: boolean;
  readonly next: Map<number, NumberPlace | null>;
}

/** The part of a set on one side of zero, as if it were positive. */
interface Half {
  readonly set: NumberSet;
  readonly kind: 'all' | 'integers' | 'some';
}

function halfWithKind(set: NumberSet, isNegative: boolean): Half {
  const half = halfOf(set, isNegative);
  return { set: half, kind: isWholeHalf(half) ? 'all' : isIntegerHalf(half) ? 'integers' : 'some' };
}

/** Reads the numbers of one set. */
export class NumberReader {
  readonly start: NumberPlace;
  readonly #set: NumberSet;
  readonly #plain: boolean;
  /** No member has a fraction: then plain texts have none. */
  readonly #isWhole: boolean;
  readonly #positive: Half;
  readonly #negative: Half;
  readonly #hasZero: boolean;
  readonly #places = new Map<string, NumberPlace>();

  /** The set is not empty, and one of doubles (`asDoubles`). */
  constructor(set: NumberSet, spelling: NumberSpelling) {
    this.#set = set;
    this.#plain = spelling === 'plain';
    this.#isWhole = set.every(({ low, high, multipleOf }) =>
      multipleOf === null ? low !== null && low === high : isMultiple(multipleOf, ONE),
    );
    this.#positive = halfWithKind(set, false);
    this.#negative = halfWithKind(set, true);
    this.#hasZero = hasNumber(set, ZERO);
    this.start = this.#place('');
  }

  /** The place after one more byte; null where no number of the set goes on so. */
  step(place: NumberPlace, byte: number): NumberPlace | null {
    const known = place.next.get(byte);
    if (known !== undefined) return known;
    const next = place === INSIDE ? null : this.#compute(place.text + String.fromCharCode(byte));
    place.next.set(byte, next);
    return next;
  }

  #compute(text: string): NumberPlace | null {
    const prefix = parse(text);
    if (prefix === null) return null;
    if (text.length > LONGEST) {
      throw new GrammarError(`text: expected numbers of at most ${LONGEST} characters, found a longer one`, {
        code: 'grammar-limit',
      });
    }
    if (!this.#lives(prefix)) return null;
    return this.#isInside(prefix) ? INSIDE : this.#place(this.#shorten(prefix));
  }

  #place(text: string): NumberPlace {
    let place = this.#places.get(text);
    if (place === undefined) {
      const ends = /\d$/.test(text) && hasNumber(this.#set, parseDecimal(text));
      place = { text, ends, next: new Map() };
      this.#places.set(text, place);
    }
    return place;
  }

  #half({ minus }: Prefix): Half {
    return minus === '' ? this.#positive : this.#negative;
  }

  #lives(prefix: Prefix): boolean {
    const { whole, point, fraction, e, exponent } = prefix;
    if (this.#plain && (e !== '' || (point !== '' && this.#isWhole))) return false;
    const half = this.#half(prefix);
    if (whole === '') return this.#hasZero || half.set.length > 0;
    const digits = BigInt(whole + fraction);
    if (e !== '') {
      return digits === 0n ? this.#hasZero : meetsExponent(half.set, digits, fraction.length, exponent);
    }
    if (this.#plain) return this.#plainLives(half.set, digits, prefix);
    // A mantissa of zeros may still get other digits after a point, and any exponent then.
    if (digits === 0n) return this.#hasZero || half.set.length > 0;
    return half.kind !== 'some' || meetsScale(half.set, digits, Number.NEGATIVE_INFINITY);
  }

  #plainLives(half: NumberSet, digits: bigint, { whole, point, fraction }: Prefix): boolean {
    if (digits === 0n && this.#hasZero) return true;
    if (meetsCell(half, digits, -fraction.length)) return true;
    return point === '' && whole !== '0' && meetsScale(half, digits, 1);
  }

  /** Whether any further digits of the fraction make a member: then nothing before them matters. */
  #isInside(prefix: Prefix): boolean {
    const { whole, fraction } = prefix;
    if (!this.#plain || fraction === '') return false;
    return coversCell(this.#half(prefix).set, BigInt(whole + fraction), -fraction.length);
  }

  /** A text for which the set has the same continuations. */
  #shorten(prefix: Prefix): string {
    const { minus, whole, point, fraction, e, exponent } = prefix;
    const { kind } = this.#half(prefix);
    const tail = e + exponent.sign + exponent.digits.replace(/^0+(?=\d)/, '');
    if (kind === 'some' || /^0*$/.test(whole + fraction)) return minus + whole + point + fraction + tail;
    // Which exponents make an integer is decided by the place of the last digit that is not zero.
    const needsLast = kind === 'integers' && !this.#plain;
    const kept = needsLast ? fraction : fraction.slice(0, whole === '0' ? fraction.search(/[1-9]/) + 2 : 2);
    const digits = roughly(whole + kept, needsLast);
    return minus + digits.slice(0, whole.length) + point + digits.slice(whole.length) + tail;
  }
}

/** Digits of the same length and nearly the same value: on the same side of what reads as infinity. */
function roughly(digits: string, keepsLast: boolean): string {
  const first = digits.search(/[1-9]/);
  const last = digits.search(/0*$/) - 1;
  const one = digits[first] === '1';
  const [next = ''] = digits.slice(first + 1);
  const second = next === '' || next === '0' ? next : one && next >= '7' ? '7' : '1';
  const head = digits.slice(0, first) + (one ? '1' : '2') + second;
  const rest = '0'.repeat(digits.length - head.length);
  if (!keepsLast || last < head.length) return head + rest;
  return `${head}${'0'.repeat(last - head.length)}1${'0'.repeat(digits.length - 1 - last)}`;
}

/** Behind a fraction that may go on in any way. */
const INSIDE: NumberPlace = { text: '', ends: true, next: new Map() };
for (let digit = 0x30; digit <= 0x39; digit++) INSIDE.next.set(digit, INSIDE);
