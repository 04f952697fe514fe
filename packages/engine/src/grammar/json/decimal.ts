// Exact decimal numbers, as JSON writes them. Doubles would answer wrongly about 19.99 and a multipleOf of 0.01, and
// about integers beyond 2^53.

/** digits · 10^exponent; digits has no trailing zero, and zero is 0 · 10^0. */
export interface Decimal {
  readonly digits: bigint;
  readonly exponent: number;
}

export const ZERO: Decimal = { digits: 0n, exponent: 0 };
export const ONE: Decimal = { digits: 1n, exponent: 0 };

export function decimal(digits: bigint, exponent: number): Decimal {
  if (digits === 0n) return ZERO;
  while (digits % 10n === 0n) {
    digits /= 10n;
    exponent++;
  }
  return { digits, exponent };
}

const NUMBER = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;

/** The value of a number in JSON's notation. */
export function parseDecimal(text: string): Decimal {
  const [, sign, whole, fraction = '', exponent = '0'] = NUMBER.exec(text)!;
  const digits = BigInt(whole + fraction);
  return decimal(sign === '-' ? -digits : digits, Number(exponent) - fraction.length);
}

/** The shortest decimal that reads back as the double, as JavaScript prints it; of a bigint itself. */
export const decimalOf = (value: number | bigint): Decimal => parseDecimal(String(value));

export const negative = (a: Decimal): Decimal => ({ digits: -a.digits, exponent: a.exponent });

const sign = (digits: bigint): number => (digits > 0n ? 1 : digits < 0n ? -1 : 0);

/** floor(log10 |a|); a is not zero. */
export function magnitude(a: Decimal): number {
  const length = String(a.digits).length - (a.digits < 0n ? 1 : 0);
  return length - 1 + a.exponent;
}

/** Negative, zero or positive as a is less than, equal to or greater than b. Never writes out a huge exponent. */
export function compare(a: Decimal, b: Decimal): number {
  const [signA, signB] = [sign(a.digits), sign(b.digits)];
  if (signA !== signB || signA === 0) return signA - signB;
  const difference = magnitude(a) - magnitude(b);
  if (difference !== 0) return difference * signA;
  const exponent = Math.min(a.exponent, b.exponent);
  return sign(digitsAt(a, exponent) - digitsAt(b, exponent));
}

/** a / 10^exponent, which is whole. */
function digitsAt(a: Decimal, exponent: number): bigint {
  return a.digits * 10n ** BigInt(a.exponent - exponent);
}

/** How often the prime divides; digits is not zero. */
function valuation(digits: bigint, prime: bigint): number {
  let count = 0;
  while (digits % prime === 0n) {
    digits /= prime;
    count++;
  }
  return count;
}

/**
 * The least n so that digits · 10^n is a multiple of the modulus, as all greater n are then; Infinity when none is.
 * digits is not zero.
 */
export function leastExponent(digits: bigint, modulus: Decimal): number {
  const [twos, fives] = [valuation(modulus.digits, 2n), valuation(modulus.digits, 5n)];
  const rest = modulus.digits / (2n ** BigInt(twos) * 5n ** BigInt(fives));
  if (digits % rest !== 0n) return Number.POSITIVE_INFINITY;
  return Math.max(twos - valuation(digits, 2n), fives - valuation(digits, 5n)) + modulus.exponent;
}

export function isMultiple(value: Decimal, modulus: Decimal): boolean {
  return value.digits === 0n || value.exponent >= leastExponent(value.digits, modulus);
}

function greatestDivisor(a: bigint, b: bigint): bigint {
  while (b !== 0n) [a, b] = [b, a % b];
  return a;
}

/** The least positive decimal that both positive ones divide. */
export function leastCommonMultiple(a: Decimal, b: Decimal): Decimal {
  const exponent = Math.min(a.exponent, b.exponent);
  const [x, y] = [digitsAt(a, exponent), digitsAt(b, exponent)];
  return decimal((x / greatestDivisor(x, y)) * y, exponent);
}

/** The least multiple of the positive modulus that is at least the bound, or greater than it. */
export function multipleFrom(bound: Decimal, modulus: Decimal, beyond: boolean): Decimal {
  const exponent = Math.min(bound.exponent, modulus.exponent);
  const [x, m] = [digitsAt(bound, exponent), digitsAt(modulus, exponent)];
  let count = x / m;
  if (count * m < x || (beyond && count * m === x)) count++;
  return decimal(count * m, exponent);
}

export function add(a: Decimal, b: Decimal): Decimal {
  const exponent = Math.min(a.exponent, b.exponent);
  return decimal(digitsAt(a, exponent) + digitsAt(b, exponent), exponent);
}
