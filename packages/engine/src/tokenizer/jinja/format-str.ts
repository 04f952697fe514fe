// `str.format`: replacement fields with attributes, items, conversions and format specifications, by Python's
// rules in Jinja2's sandbox.

import { characters, firstCharacters, isDigit } from './characters.ts';
import { fail } from './errors.ts';
import { checkedSize, type Field, floatDigits, grouped, integerText, padded } from './format-number.ts';
import type { Budget } from './limits.ts';
import { floatText } from './numbers.ts';
import { repr, str } from './print.ts';
import { type Kwargs, type Runtime, textOf, typeName, Undefined, type Value } from './values.ts';

/** How fields look things up; the sandbox's rules. */
export interface Lookup {
  attribute(value: Value, name: string): Value;
  item(value: Value, key: Value): Value;
}

/** `text.format(*args, **kwargs)` */
export function formatText(
  text: string,
  args: readonly Value[],
  kwargs: Kwargs,
  lookup: Lookup,
  runtime: Runtime,
): string {
  return new StrFormat(args, kwargs, lookup, runtime).run(text, 2);
}

class StrFormat {
  readonly #args: readonly Value[];
  readonly #kwargs: Kwargs;
  readonly #lookup: Lookup;
  readonly #runtime: Runtime;
  /** The next argument of `{}`; −1 once numbers were given. */
  #next = 0;
  #numbered = false;

  constructor(args: readonly Value[], kwargs: Kwargs, lookup: Lookup, runtime: Runtime) {
    this.#args = args;
    this.#kwargs = kwargs;
    this.#lookup = lookup;
    this.#runtime = runtime;
  }

  run(text: string, depth: number): string {
    if (depth < 0) fail('ValueError', 'Max string recursion exceeded');
    this.#runtime.budget.text(text.length);
    let out = '';
    for (let at = 0; at < text.length; ) {
      const letter = text[at]!;
      if (letter !== '{' && letter !== '}') {
        const next = nextBrace(text, at);
        out += text.slice(at, next);
        at = next;
      } else if (text[at + 1] === letter) {
        out += letter;
        at += 2;
      } else if (letter === '}') fail('ValueError', "Single '}' encountered in format string");
      else {
        const end = fieldEnd(text, at + 1);
        out += this.#field(text.slice(at + 1, end), depth);
        at = end + 1;
      }
      this.#runtime.budget.joined(out.length);
    }
    return out;
  }

  #field(field: string, depth: number): string {
    const [name, conversion, spec] = partsOf(field);
    let value = this.#value(name);
    const { budget } = this.#runtime;
    if (conversion === 's') value = str(value, budget);
    else if (conversion === 'r') value = repr(value, budget);
    else if (conversion === 'a') value = repr(value, budget);
    else if (conversion !== null)
      fail('ValueError', `Unknown conversion specifier ${repr(conversion, budget).slice(1, -1)}`);
    return formatValue(value, this.run(spec, depth - 1), this.#runtime);
  }

  #value(name: string): Value {
    let at = 0;
    while (at < name.length && name[at] !== '.' && name[at] !== '[') at++;
    let value = this.#first(name.slice(0, at));
    while (at < name.length) {
      if (name[at] === '.') {
        let end = at + 1;
        while (end < name.length && name[end] !== '.' && name[end] !== '[') end++;
        if (end === at + 1) fail('ValueError', 'Empty attribute in format string');
        value = this.#lookup.attribute(value, name.slice(at + 1, end));
        at = end;
      } else {
        const end = name.indexOf(']', at);
        if (end < 0) fail('ValueError', "Missing ']' in format string");
        const key = name.slice(at + 1, end);
        if (key === '') fail('ValueError', 'Empty attribute in format string');
        value = this.#lookup.item(value, isNumber(key) ? BigInt(key) : key);
        at = end + 1;
        if (at < name.length && name[at] !== '.' && name[at] !== '[')
          fail('ValueError', "Only '.' or '[' may follow ']' in format field specifier");
      }
    }
    return value;
  }

  #first(name: string): Value {
    if (name !== '' && !isNumber(name)) {
      const value = this.#kwargs.get(name);
      return value === undefined ? fail('KeyError', `'${name}'`) : value;
    }
    if (name === '' && this.#numbered)
      fail('ValueError', 'cannot switch from manual field specification to automatic field numbering');
    if (name !== '' && this.#next > 0)
      fail('ValueError', 'cannot switch from manual field specification to automatic field numbering');
    if (name !== '') this.#numbered = true;
    const index = name === '' ? this.#next++ : Number(name);
    const value = this.#args[index];
    return value === undefined
      ? fail('IndexError', `Replacement index ${index} out of range for positional args tuple`)
      : value;
  }
}

function isNumber(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (!isDigit(text.charCodeAt(i))) return false;
  return text !== '' && text.length < 16;
}

function nextBrace(text: string, from: number): number {
  for (let at = from; at < text.length; at++) if (text[at] === '{' || text[at] === '}') return at;
  return text.length;
}

/** Where the field that begins at `from` ends. */
function fieldEnd(text: string, from: number): number {
  let depth = 1;
  let inItem = false;
  for (let at = from; at < text.length; at++) {
    if (inItem) inItem = text[at] !== ']';
    else if (text[at] === '[' && depth === 1) inItem = true;
    else if (text[at] === '{') depth++;
    else if (text[at] === '}' && --depth === 0) return at;
  }
  return fail(
    'ValueError',
    from >= text.length ? "Single '{' encountered in format string" : "expected '}' before end of string",
  );
}

/** name!conversion:spec */
function partsOf(field: string): [name: string, conversion: string | null, spec: string] {
  let inItem = false;
  for (let at = 0; at < field.length; at++) {
    if (inItem) inItem = field[at] !== ']';
    else if (field[at] === '[') inItem = true;
    else if (field[at] === ':') return [field.slice(0, at), null, field.slice(at + 1)];
    else if (field[at] === '!') {
      const rest = field.slice(at + 1);
      if (rest === '') fail('ValueError', 'end of string while looking for conversion specifier');
      if (rest.length > 1 && rest[1] !== ':') fail('ValueError', "expected ':' after conversion specifier");
      return [field.slice(0, at), rest[0]!, rest.slice(2)];
    }
  }
  return [field, null, ''];
}

/** format(value, spec) */
export function formatValue(value: Value, spec: string, runtime: Runtime): string {
  const { budget } = runtime;
  const text = textOf(value);
  if (spec === '') return value instanceof Undefined ? '' : str(value, budget);
  if (text === null && typeof value !== 'bigint' && typeof value !== 'number' && typeof value !== 'boolean')
    return fail('TypeError', `unsupported format string passed to ${typeName(value)}.__format__`);
  const field = fieldOf(spec, typeName(value));
  if (text !== null) return formatString(text, field, runtime);
  const number = typeof value === 'boolean' ? (value ? 1n : 0n) : (value as bigint | number);
  if (typeof value === 'boolean' && field.type === '')
    return formatString(str(value, budget), field, runtime);
  if (typeof number === 'bigint' && 'eEfFgG%'.includes(field.type || ' '))
    return formatFloat(Number(number), field, runtime);
  return typeof number === 'bigint'
    ? formatInteger(number, field, runtime)
    : formatFloat(number, field, runtime);
}

function unknownCode(type: string, kind: string): never {
  return fail('ValueError', `Unknown format code '${type}' for object of type '${kind}'`);
}

function formatString(text: string, field: Field, { budget }: Runtime): string {
  if (field.type !== '' && field.type !== 's') unknownCode(field.type, 'str');
  if (field.sign !== '') fail('ValueError', 'Sign not allowed in string format specifier');
  if (field.align === '=') fail('ValueError', "'=' alignment not allowed in string format specifier");
  const cut = field.precision === null ? text : firstCharacters(text, field.precision);
  return padded('', cut, field, '<', budget);
}

function formatInteger(value: bigint, field: Field, { budget }: Runtime): string {
  if (field.type === 'c') return padded('', String.fromCodePoint(Number(value)), field, '<', budget);
  if (field.type !== '' && !'dnboxX'.includes(field.type)) unknownCode(field.type, 'int');
  if (field.precision !== null) fail('ValueError', 'Precision not allowed in integer format specifier');
  const { sign, digits } = integerText(value, field, budget);
  return inField(sign, digits, field, 'boxX'.includes(field.type || ' ') ? 4 : 3, budget);
}

function formatFloat(value: number, field: Field, { budget }: Runtime): string {
  if (field.type !== '' && !'eEfFgGn%'.includes(field.type)) unknownCode(field.type, 'float');
  if (field.type === '' && field.precision === null) {
    const text = floatText(Math.abs(value));
    const { sign } = floatDigits(value, { ...field, type: 'f', precision: 0 });
    return inField(sign, text, field, 3, budget);
  }
  const type = field.type === '' || field.type === 'n' ? 'g' : field.type;
  const { sign, digits } = floatDigits(value, { ...field, type });
  const isPlain = field.type === '' && !/[.en]/.test(digits) && digits.length < (field.precision ?? 6);
  return inField(sign, isPlain ? `${digits}.0` : digits, field, 3, budget);
}

/** With zeros in front, these are grouped too. */
function inField(sign: string, digits: string, field: Field, every: number, budget: Budget): string {
  let text = grouped(digits, field.grouping, every);
  if (field.grouping !== '' && field.fill === '0' && field.align === '=') {
    let zeros = digits;
    while (sign.length + grouped(`0${zeros}`, field.grouping, every).length <= field.width)
      zeros = `0${zeros}`;
    text = grouped(zeros, field.grouping, every);
    if (sign.length + text.length < field.width) text = `0${text}`;
  }
  return padded(sign, text, field, '>', budget);
}

/** [[fill]align][sign][#][0][width][grouping][.precision][type] */
function fieldOf(spec: string, kind: string): Field {
  const letters = characters(spec);
  let at = 0;
  let [fill, align] = [' ', ''] as [string, Field['align']];
  const isAlign = (letter: string | undefined): letter is '<' =>
    letter !== undefined && '<>=^'.includes(letter);
  if (isAlign(letters[1])) [fill, align, at] = [letters[0]!, letters[1], 2];
  else if (isAlign(letters[0])) [align, at] = [letters[0], 1];
  const sign = '+- '.includes(letters[at] ?? '?') ? (letters[at++] as Field['sign']) : '';
  const alternate = letters[at] === '#' && ++at > 0;
  if (letters[at] === '0') {
    at++;
    if (letters[1] === undefined || !isAlign(letters[1])) fill = '0';
    if (align === '') align = kind === 'str' ? '<' : '=';
  }
  const number = (): number | null => {
    const start = at;
    while (at < letters.length && isDigit(letters[at]!.charCodeAt(0))) at++;
    return start === at ? null : checkedSize(Number(letters.slice(start, at).join('')));
  };
  const width = number() ?? 0;
  const grouping = letters[at] === ',' || letters[at] === '_' ? (letters[at++] as ',' | '_') : '';
  let precision: number | null = null;
  if (letters[at] === '.') {
    at++;
    precision = number();
    if (precision === null) fail('ValueError', 'Format specifier missing precision');
  }
  const type = letters.slice(at).join('');
  if (letters.length - at > 1)
    fail('ValueError', `Invalid format specifier '${spec}' for object of type '${kind}'`);
  return { fill, align, sign, alternate, width, grouping, precision, type };
}
