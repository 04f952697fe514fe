// `'…' % values`, Python's printf-style formatting.

import { firstCharacters, isDigit, lengthOf } from './characters.ts';
import { fail } from './errors.ts';
import { asciiEscape } from './escapes.ts';
import { checkedSize, type Field, floatDigits, integerText, padded } from './format-number.ts';
import { escapeHtml } from './markup.ts';
import { parseFloatText } from './numbers.ts';
import { repr, str } from './print.ts';
import {
  Dict,
  Markup,
  Range,
  type Runtime,
  Tuple,
  textOf,
  typeName,
  Undefined,
  type Value,
} from './values.ts';

/** `text % right`. `escapes`: the format is HTML, so what goes in is escaped. */
export function percentFormat(text: string, right: Value, runtime: Runtime, escapes: boolean): string {
  return new PercentFormat(text, right, runtime, escapes).run();
}

interface Conversion extends Field {
  readonly key: string | null;
}

class PercentFormat {
  readonly #text: string;
  readonly #right: Value;
  readonly #values: readonly Value[];
  readonly #runtime: Runtime;
  readonly #escapes: boolean;
  #at = 0;
  #used = 0;
  #usedKey = false;

  constructor(text: string, right: Value, runtime: Runtime, escapes: boolean) {
    this.#text = text;
    this.#right = right;
    this.#values = right instanceof Tuple ? right.items : [right];
    this.#runtime = runtime;
    this.#escapes = escapes;
  }

  run(): string {
    const { budget } = this.#runtime;
    budget.text(this.#text.length);
    let out = '';
    let start = 0;
    for (let mark = this.#text.indexOf('%'); mark >= 0; mark = this.#text.indexOf('%', start)) {
      out += this.#text.slice(start, mark);
      this.#at = mark + 1;
      out += this.#converted(this.#conversion());
      budget.joined(out.length);
      start = this.#at;
    }
    // As Python: whatever has items but is no tuple or text may be left unread.
    const isMapping = [Dict, Array, Undefined, Range].some((kind) => this.#right instanceof kind);
    if (this.#used < this.#values.length && !this.#usedKey && !isMapping)
      fail('TypeError', 'not all arguments converted during string formatting');
    return out + this.#text.slice(start);
  }

  #conversion(): Conversion {
    const key = this.#key();
    let [left, zero, alternate] = [false, false, false];
    let sign: Field['sign'] = '';
    for (; ; this.#at++) {
      const flag = this.#text[this.#at];
      if (flag === '-') left = true;
      else if (flag === '0') zero = true;
      else if (flag === '#') alternate = true;
      else if (flag === '+') sign = '+';
      else if (flag === ' ') sign = sign === '+' ? sign : ' ';
      else break;
    }
    let width = this.#size();
    if (width !== null && width < 0) [left, width] = [true, -width];
    let precision: number | null = null;
    if (this.#text[this.#at] === '.') {
      this.#at++;
      precision = Math.max(this.#size() ?? 0, 0);
    }
    while ('hlL'.includes(this.#text[this.#at] ?? ' ')) this.#at++;
    const type = this.#text[this.#at];
    if (type === undefined) fail('ValueError', 'incomplete format');
    this.#at++;
    const align = left ? '<' : zero && !'srac%'.includes(type) ? '=' : '>';
    const fill = align === '=' ? '0' : ' ';
    return {
      key,
      fill,
      align,
      sign,
      alternate,
      width: checkedSize(width ?? 0),
      grouping: '',
      precision,
      type,
    };
  }

  #key(): string | null {
    if (this.#text[this.#at] !== '(') return null;
    if (!(this.#right instanceof Dict)) fail('TypeError', 'format requires a mapping');
    const start = ++this.#at;
    for (let depth = 1; depth > 0; this.#at++) {
      const letter = this.#text[this.#at];
      if (letter === undefined) fail('ValueError', 'incomplete format key');
      if (letter === '(') depth++;
      if (letter === ')') depth--;
    }
    return this.#text.slice(start, this.#at - 1);
  }

  /** A number, or `*`: the next value. */
  #size(): number | null {
    if (this.#text[this.#at] === '*') {
      this.#at++;
      const value = this.#next();
      if (typeof value !== 'bigint') fail('TypeError', '* wants int');
      return checkedSize(Number(value));
    }
    const start = this.#at;
    while (isDigit(this.#text.charCodeAt(this.#at))) this.#at++;
    return start === this.#at ? null : checkedSize(Number(this.#text.slice(start, this.#at)));
  }

  #next(): Value {
    const value = this.#values[this.#used];
    if (value === undefined) return fail('TypeError', 'not enough arguments for format string');
    this.#used++;
    return value;
  }

  #value(key: string | null): Value {
    if (key === null) return this.#next();
    this.#usedKey = true;
    const value = (this.#right as Dict).get(key);
    return value === undefined ? fail('KeyError', repr(key, this.#runtime.budget)) : value;
  }

  #converted(conversion: Conversion): string {
    const { budget } = this.#runtime;
    if (conversion.type === '%') return '%';
    const value = this.#value(conversion.key);
    switch (conversion.type) {
      case 's':
      case 'r':
      case 'a':
        return padded('', this.#shown(value, conversion), conversion, '>', budget);
      case 'c':
        return padded('', this.#character(value), conversion, '>', budget);
      case 'd':
      case 'i':
      case 'u':
      case 'x':
      case 'X':
      case 'o':
        return this.#integer(value, conversion);
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G': {
        const { sign, digits } = floatDigits(this.#float(value), conversion);
        return padded(sign, digits, conversion, '>', budget);
      }
      default: {
        const code = conversion.type.codePointAt(0)!;
        return fail(
          'ValueError',
          `unsupported format character '${conversion.type}' (0x${code.toString(16)}) at index ${this.#at - 1}`,
        );
      }
    }
  }

  #shown(value: Value, { type, precision }: Conversion): string {
    const { budget } = this.#runtime;
    let text = type === 's' ? str(value, budget) : repr(value, budget);
    if (type === 'a') text = text.replace(/\P{ASCII}/gu, (letter) => asciiEscape(letter.codePointAt(0)!));
    if (this.#escapes && !(value instanceof Markup)) text = escapeHtml(text);
    return precision === null ? text : firstCharacters(text, precision);
  }

  #character(value: Value): string {
    if (typeof value === 'bigint') {
      if (value < 0n || value > 0x10ffffn) fail('OverflowError', '%c arg not in range(0x110000)');
      return String.fromCodePoint(Number(value));
    }
    const text = textOf(value);
    if (text === null || lengthOf(text) !== 1) fail('TypeError', '%c requires int or char');
    return text!;
  }

  #integer(value: Value, conversion: Conversion): string {
    const { budget } = this.#runtime;
    const type = 'iu'.includes(conversion.type) ? 'd' : conversion.type;
    const integer = this.#whole(value, conversion.type);
    const { sign, digits } = integerText(integer, { ...conversion, type }, budget);
    const long =
      conversion.precision === null ? digits : digits.padStart(checkedSize(conversion.precision), '0');
    return padded(sign, long, conversion, '>', budget);
  }

  #whole(value: Value, type: string): bigint {
    if (typeof value === 'bigint') return value;
    if (typeof value === 'boolean') return value ? 1n : 0n;
    const isDecimal = 'diu'.includes(type);
    if (typeof value === 'number' && isDecimal) {
      if (!Number.isFinite(value))
        fail(
          Number.isNaN(value) ? 'ValueError' : 'OverflowError',
          `cannot convert float ${Number.isNaN(value) ? 'NaN' : 'infinity'} to integer`,
        );
      return BigInt(Math.trunc(value));
    }
    if (value instanceof Undefined)
      fail('TypeError', `%${type} format: a real number is required, not Undefined`);
    return fail(
      'TypeError',
      `%${type} format: ${isDecimal ? 'a real number' : 'an integer'} is required, not ${typeName(value)}`,
    );
  }

  #float(value: Value): number {
    if (typeof value === 'number') return value;
    if (typeof value === 'bigint') return Number(value);
    if (typeof value === 'boolean') return value ? 1 : 0;
    const text = textOf(value);
    const parsed = this.#escapes && text !== null ? parseFloatText(text.trim()) : null;
    return parsed ?? fail('TypeError', `must be real number, not ${typeName(value)}`);
  }
}
