// Numbers in a field: sign, base, precision, grouping, padding. `%` and `str.format` share it.

import { lengthOf } from './characters.ts';
import { fail } from './errors.ts';
import type { Budget } from './limits.ts';
import { fixed, general, scientific } from './numbers.ts';

/** Most digits behind the point, and widest field. */
const WIDEST = 10_000;

export interface Field {
  readonly fill: string;
  /** '' where the value's kind decides. */
  readonly align: '' | '<' | '>' | '^' | '=';
  readonly sign: '' | '-' | '+' | ' ';
  readonly alternate: boolean;
  readonly width: number;
  readonly grouping: '' | ',' | '_';
  readonly precision: number | null;
  /** '' where the value's kind decides. */
  readonly type: string;
}

export function checkedSize(size: number): number {
  if (size > WIDEST) fail('ValueError', `Too many decimal digits in format string (at most ${WIDEST} here)`);
  return size;
}

const DIGIT_BASES: Readonly<Record<string, number>> = { d: 10, n: 10, b: 2, o: 8, x: 16, X: 16 };
const BASE_PREFIXES: Readonly<Record<string, string>> = { b: '0b', o: '0o', x: '0x', X: '0X' };

export function signOf(negative: boolean, sign: Field['sign']): string {
  return negative ? '-' : sign === '+' || sign === ' ' ? sign : '';
}

/** An integer's digits in the base of `type`, with what stands before them. */
export function integerText(value: bigint, field: Field, budget: Budget): { sign: string; digits: string } {
  const size = value < 0n ? -value : value;
  budget.integer(size.toString(16).length * 4);
  const digits = size.toString(DIGIT_BASES[field.type] ?? 10);
  const prefix = field.alternate ? (BASE_PREFIXES[field.type] ?? '') : '';
  const cased = field.type === 'X' ? digits.toUpperCase() : digits;
  return { sign: signOf(value < 0n, field.sign) + prefix, digits: cased };
}

/** A float as `type` wants it: e, f, g, % and their capitals. */
export function floatDigits(value: number, field: Field): { sign: string; digits: string } {
  const sign = signOf(value < 0 || Object.is(value, -0), field.sign);
  const { type, alternate } = field;
  const lower = type.toLowerCase();
  const cased = (text: string) => (type !== lower ? text.toUpperCase() : text);
  if (!Number.isFinite(value)) {
    const text = Number.isNaN(value) ? 'nan' : 'inf';
    return { sign, digits: cased(text) + (type === '%' ? '%' : '') };
  }
  const precision = checkedSize(field.precision ?? 6);
  if (type === '%') return { sign, digits: `${fixed(value * 100, precision)}%` };
  const point = alternate && precision === 0 ? '.' : '';
  if (lower === 'f') return { sign, digits: fixed(value, precision) + point };
  if (lower === 'e') return { sign, digits: cased(scientific(value, precision).replace('e', `${point}e`)) };
  return { sign, digits: cased(general(value, precision, alternate)) };
}

/** Digits with a mark between every few of the whole part. */
export function grouped(digits: string, mark: string, every: number): string {
  if (mark === '') return digits;
  let end = 0;
  while (end < digits.length && /[0-9a-fA-F]/.test(digits[end]!)) end++;
  let whole = digits.slice(0, end);
  let out = '';
  while (whole.length > every) {
    out = mark + whole.slice(-every) + out;
    whole = whole.slice(0, -every);
  }
  return whole + out + digits.slice(end);
}

/** Fills a field: `sign` stays in front of zeros. */
export function padded(
  sign: string,
  text: string,
  field: Field,
  fallback: '<' | '>',
  budget: Budget,
): string {
  if (field.width === 0) return sign + text;
  budget.text(text.length);
  const missing = checkedSize(field.width) - lengthOf(sign) - lengthOf(text);
  if (missing <= 0) return sign + text;
  budget.text(field.width);
  const align = field.align === '' ? fallback : field.align;
  if (align === '=') return sign + field.fill.repeat(missing) + text;
  const left = align === '<' ? 0 : align === '>' ? missing : Math.floor(missing / 2);
  return field.fill.repeat(left) + sign + text + field.fill.repeat(missing - left);
}
