// Python's `datetime.strftime` in the C locale, with glibc's flags (`%-d`). English whatever the machine speaks.

import { isDigit } from './characters.ts';
import { fail } from './errors.ts';

const DAYS = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ');
const MONTHS = 'January February March April May June July August September October November December'.split(
  ' ',
);

const DAY = 86_400_000;

/** Days since January 1. */
function dayOfYear(date: Date): number {
  const of = (month: number, day: number) => Date.UTC(date.getFullYear(), month, day);
  return Math.round((of(date.getMonth(), date.getDate()) - of(0, 1)) / DAY);
}

/** The ISO 8601 week and its year. */
function isoWeek(date: Date): { year: number; week: number } {
  const weekday = (date.getDay() + 6) % 7;
  // The week's Thursday decides its year.
  const thursday = new Date(date.getFullYear(), date.getMonth(), date.getDate() - weekday + 3);
  return { year: thursday.getFullYear(), week: Math.floor(dayOfYear(thursday) / 7) + 1 };
}

/** A number, the width that it is filled up to, and with what. */
type Numeric = readonly [value: number, width: number, fill: '0' | ' '];

function numeric(code: string, date: Date): Numeric | null {
  const [year, hour, weekday] = [date.getFullYear(), date.getHours(), date.getDay()];
  const table: Record<string, () => Numeric> = {
    Y: () => [year, 1, '0'],
    C: () => [Math.floor(year / 100), 2, '0'],
    y: () => [year % 100, 2, '0'],
    m: () => [date.getMonth() + 1, 2, '0'],
    d: () => [date.getDate(), 2, '0'],
    e: () => [date.getDate(), 2, ' '],
    H: () => [hour, 2, '0'],
    k: () => [hour, 2, ' '],
    I: () => [hour % 12 || 12, 2, '0'],
    l: () => [hour % 12 || 12, 2, ' '],
    M: () => [date.getMinutes(), 2, '0'],
    S: () => [date.getSeconds(), 2, '0'],
    f: () => [date.getMilliseconds() * 1000, 6, '0'],
    j: () => [dayOfYear(date) + 1, 3, '0'],
    u: () => [weekday || 7, 1, '0'],
    w: () => [weekday, 1, '0'],
    U: () => [Math.floor((dayOfYear(date) + 7 - weekday) / 7), 2, '0'],
    W: () => [Math.floor((dayOfYear(date) + 7 - ((weekday + 6) % 7)) / 7), 2, '0'],
    V: () => [isoWeek(date).week, 2, '0'],
    G: () => [isoWeek(date).year, 1, '0'],
    g: () => [isoWeek(date).year % 100, 2, '0'],
    s: () => [Math.floor(date.getTime() / 1000), 1, '0'],
  };
  return Object.hasOwn(table, code) ? table[code]!() : null;
}

/** Codes that stand for others. */
const COMPOSED: Readonly<Record<string, string>> = {
  D: '%m/%d/%y',
  F: '%Y-%m-%d',
  T: '%H:%M:%S',
  R: '%H:%M',
  r: '%I:%M:%S %p',
  c: '%a %b %e %H:%M:%S %Y',
  x: '%m/%d/%y',
  X: '%H:%M:%S',
  '+': '%a %b %e %H:%M:%S %Y',
};

function word(code: string, date: Date): string | null {
  const half = date.getHours() < 12 ? 'AM' : 'PM';
  switch (code) {
    case 'A':
      return DAYS[date.getDay()]!;
    case 'a':
      return DAYS[date.getDay()]!.slice(0, 3);
    case 'B':
      return MONTHS[date.getMonth()]!;
    case 'b':
    case 'h':
      return MONTHS[date.getMonth()]!.slice(0, 3);
    case 'p':
      return half;
    case 'P':
      return half.toLowerCase();
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case '%':
      return '%';
    // A time without a zone has neither offset nor name.
    case 'z':
    case 'Z':
      return '';
    default:
      return null;
  }
}

/** `date.strftime(format)`. Throws for a code that Python does not know, where Python writes it as it stands. */
export function strftime(format: string, date: Date): string {
  let out = '';
  for (let at = 0; at < format.length; ) {
    if (format[at] !== '%') {
      out += format[at++];
      continue;
    }
    const start = at++;
    let flags = '';
    while ('-_0^#'.includes(format[at] ?? 'x')) flags += format[at++];
    let width = '';
    while (isDigit(format.charCodeAt(at))) width += format[at++];
    const code = format[at++];
    if (code === undefined)
      fail('ValueError', 'strftime: expected a code after %, found the end of the format');
    const made = field(code!, flags, Math.min(Number(width || -1), 1000), date);
    if (made === null) fail('ValueError', `strftime: ${format.slice(start, at)} is not a code that is known`);
    out += made;
  }
  return out;
}

function field(code: string, flags: string, width: number, date: Date): string | null {
  const number = numeric(code, date);
  if (number !== null) {
    const [value, own, ownFill] = number;
    const last = [...flags].reverse().find((flag) => '-_0'.includes(flag));
    if (last === '-') return `${value}`;
    const fill = last === '_' ? ' ' : last === '0' ? '0' : ownFill;
    return `${value}`.padStart(width < 0 ? own : width, fill);
  }
  const composed = Object.hasOwn(COMPOSED, code) ? strftime(COMPOSED[code]!, date) : word(code, date);
  if (composed === null) return null;
  const cased = flags.includes('^')
    ? composed.toUpperCase()
    : flags.includes('#')
      ? swapped(code, composed)
      : composed;
  return cased.padStart(Math.max(width, 0), flags.includes('0') ? '0' : ' ');
}

const swapped = (code: string, text: string): string =>
  code === 'p' || code === 'Z' ? text.toLowerCase() : text.toUpperCase();
