// Methods of str. Python's messages where templates meet them.

import { bind, needText } from './args.ts';
import {
  characters,
  lengthOf,
  linesOf,
  pointOf,
  splitAtSpaces,
  splitAtSpacesFromRight,
  stripped,
  unitOf,
} from './characters.ts';
import { fail } from './errors.ts';
import { iterate } from './iterate.ts';
import { type Budget, LONGEST_LIST } from './limits.ts';
import { integerOf, numberOf, smallInteger } from './operators.ts';
import { CLASSES, capitalized, folded, swapCased, titleCased } from './text-case.ts';
import { Dict, type Kwargs, type Runtime, Tuple, textOf, typeName, type Value } from './values.ts';

type Method = (text: string, args: readonly Value[], kwargs: Kwargs, runtime: Runtime) => Value;

const MANY = 2 ** 50;

/** A count that may be left out or negative: all. */
const countOf = (value: Value | undefined): number => {
  const count = value === undefined ? -1 : smallInteger(value);
  return count < 0 ? MANY : count;
};

function strip(name: string, left: boolean, right: boolean): Method {
  return (text, args, kwargs) => {
    const [set = null] = bind(name, ['chars?'], args, kwargs);
    if (set !== null && textOf(set) === null) fail('TypeError', `${name} arg must be None or str`);
    return stripped(text, set === null ? null : textOf(set), left, right);
  };
}

function split(name: string, fromRight: boolean): Method {
  return (text, args, kwargs, { budget }) => {
    const [by = null, most] = bind(name, ['sep?', 'maxsplit?'], args, kwargs);
    const count = countOf(most);
    budget.text(text.length);
    const parts =
      by === null
        ? splitSpaces(text, count, fromRight)
        : splitBy(text, needText(by, 'sep'), count, fromRight);
    budget.list(parts.length);
    return parts;
  };
}

const splitSpaces = (text: string, count: number, fromRight: boolean): string[] =>
  fromRight ? splitAtSpacesFromRight(text, count) : splitAtSpaces(text, count);

function splitBy(text: string, by: string, count: number, fromRight: boolean): string[] {
  if (by === '') fail('ValueError', 'empty separator');
  const parts = fromRight ? splitFromRight(text, by, count) : text.split(by, LONGEST_LIST + 1);
  if (fromRight || parts.length <= count + 1) return parts;
  return [...parts.slice(0, count), parts.slice(count).join(by)];
}

/** Matches are found from the end, so that `aaa` at `aa` is `['a', '']`. */
function splitFromRight(text: string, by: string, count: number): string[] {
  const parts: string[] = [];
  let end = text.length;
  while (parts.length < count && parts.length <= LONGEST_LIST) {
    const at = end < by.length ? -1 : text.lastIndexOf(by, end - by.length);
    if (at < 0) break;
    parts.push(text.slice(at + by.length, end));
    end = at;
  }
  parts.push(text.slice(0, end));
  return parts.reverse();
}

function partition(fromRight: boolean): Method {
  return (text, args, kwargs, { budget }) => {
    const [by] = bind(fromRight ? 'rpartition' : 'partition', ['sep'], args, kwargs);
    const mark = needText(by!, 'argument');
    if (mark === '') fail('ValueError', 'empty separator');
    budget.text(text.length);
    const at = fromRight ? text.lastIndexOf(mark) : text.indexOf(mark);
    if (at < 0) return new Tuple(fromRight ? ['', '', text] : [text, '', '']);
    return new Tuple([text.slice(0, at), mark, text.slice(at + mark.length)]);
  };
}

/** The UTF-16 places of start and end, which count as in a slice. Null where start lies behind the text. */
function window(text: string, start: Value | undefined, end: Value | undefined): [number, number] | null {
  const size = lengthOf(text);
  const place = (value: Value | undefined, fallback: number) => {
    if (value === undefined || value === null) return fallback;
    const at = smallInteger(value);
    return Math.max(at < 0 ? at + size : at, 0);
  };
  const [from, to] = [place(start, 0), Math.min(place(end, size), size)];
  return from > size ? null : [unitOf(text, from), unitOf(text, to)];
}

function find(name: string, fromRight: boolean): Method {
  const isIndex = name.endsWith('index');
  return (text, args, kwargs, { budget }) => {
    const [part, start, end] = bind(name, ['sub', 'start?', 'end?'], args, kwargs);
    const wanted = needText(part!, 'argument');
    budget.text(text.length);
    const found = window(text, start, end);
    let at = -1;
    if (found !== null && found[0] <= found[1]) {
      const inside = text.slice(...found);
      const inner = fromRight ? inside.lastIndexOf(wanted) : inside.indexOf(wanted);
      at = inner < 0 ? -1 : found[0] + inner;
    }
    if (at < 0 && isIndex) fail('ValueError', 'substring not found');
    return BigInt(at < 0 ? -1 : pointOf(text, at));
  };
}

const count: Method = (text, args, kwargs, { budget }) => {
  const [part, start, end] = bind('count', ['sub', 'start?', 'end?'], args, kwargs);
  const wanted = needText(part!, 'argument');
  budget.text(text.length);
  const found = window(text, start, end);
  if (found === null || found[0] > found[1]) return 0n;
  const inside = text.slice(...found);
  return BigInt(wanted === '' ? lengthOf(inside) + 1 : occurrences(inside, wanted, MANY));
};

function affix(name: string, atStart: boolean): Method {
  return (text, args, kwargs) => {
    const [parts, start, end] = bind(name, ['prefix', 'start?', 'end?'], args, kwargs);
    const wanted = parts instanceof Tuple ? parts.items : [parts!];
    const found = window(text, start, end);
    if (found === null) return false;
    const inside = start === undefined && end === undefined ? text : text.slice(found[0], Math.max(...found));
    return wanted.some((one) => {
      const part = textOf(one);
      if (part === null)
        return fail('TypeError', `${name} first arg must be str or a tuple of str, not ${typeName(parts!)}`);
      return found[0] <= found[1] && (atStart ? inside.startsWith(part) : inside.endsWith(part));
    });
  };
}

/** How often `part` stands in `text`, counted up to `most`. */
function occurrences(text: string, part: string, most: number): number {
  let count = 0;
  for (let at = text.indexOf(part); at >= 0 && count < most; at = text.indexOf(part, at + part.length))
    count++;
  return count;
}

/** `most` < 0: all. As `str.replace`, an empty `old` stands between all characters. */
export function replaced(text: string, old: string, by: string, most: number, budget: Budget): string {
  budget.text(text.length);
  const limit = most < 0 ? MANY : most;
  if (old === '') return interspersed(text, by, limit, budget);
  const times = occurrences(text, old, limit);
  budget.spend(times);
  budget.text(text.length + times * by.length);
  if (times < limit) return text.replaceAll(old, () => by);
  let out = '';
  let done = 0;
  for (let i = 0; i < times; i++) {
    const at = text.indexOf(old, done);
    out += text.slice(done, at) + by;
    done = at + old.length;
  }
  return out + text.slice(done);
}

function interspersed(text: string, by: string, limit: number, budget: Budget): string {
  budget.list(text.length);
  const parts = ['', ...characters(text), ''];
  const times = Math.min(parts.length - 1, limit);
  budget.text(text.length + times * by.length);
  return parts.slice(0, times + 1).join(by) + parts.slice(times + 1).join('');
}

const replace: Method = (text, args, kwargs, { budget }) => {
  const [old, by, most] = bind('replace', ['old', 'new', 'count?'], args, kwargs);
  const wanted = needText(old!, 'replace() argument 1');
  return replaced(
    text,
    wanted,
    needText(by!, 'replace() argument 2'),
    most === undefined ? -1 : smallInteger(most),
    budget,
  );
};

const join: Method = (text, args, kwargs, { budget }) => {
  const [items] = bind('join', ['iterable'], args, kwargs);
  const parts: string[] = [];
  let length = 0;
  for (const item of iterate(items!, budget)) {
    const part = textOf(item);
    if (part === null)
      fail('TypeError', `sequence item ${parts.length}: expected str instance, ${typeName(item)} found`);
    parts.push(part!);
    length += part!.length + text.length;
    budget.joined(length);
  }
  budget.text(length);
  return parts.join(text);
};

function justify(name: string, left: (missing: number, width: number) => number): Method {
  return (text, args, kwargs, { budget }) => {
    const [size, filler = ' '] = bind(name, ['width', 'fillchar?'], args, kwargs);
    const fill = needText(filler, 'The fill character');
    if (lengthOf(fill) !== 1) fail('TypeError', 'The fill character must be exactly one character long');
    const width = smallInteger(size!);
    const missing = width - lengthOf(text);
    if (missing <= 0) return text;
    budget.text(width);
    const before = left(missing, width);
    return fill.repeat(before) + text + fill.repeat(missing - before);
  };
}

const zfill: Method = (text, args, kwargs, { budget }) => {
  const width = smallInteger(bind('zfill', ['width'], args, kwargs)[0]!);
  const missing = width - lengthOf(text);
  if (missing <= 0) return text;
  budget.text(width);
  const signed = text.startsWith('+') || text.startsWith('-') ? 1 : 0;
  return text.slice(0, signed) + '0'.repeat(missing) + text.slice(signed);
};

const expandtabs: Method = (text, args, kwargs, { budget }) => {
  const size = smallInteger(bind('expandtabs', ['tabsize?'], args, kwargs)[0] ?? 8n);
  let out = '';
  let column = 0;
  for (const letter of text) {
    if (letter === '\t') {
      const blanks = size > 0 ? size - (column % size) : 0;
      budget.text(blanks);
      out += ' '.repeat(blanks);
      column += blanks;
    } else {
      out += letter;
      column = letter === '\n' || letter === '\r' ? 0 : column + 1;
    }
    budget.spend(1);
  }
  return out;
};

const splitlines: Method = (text, args, kwargs, { budget }) => {
  const [keep = false] = bind('splitlines', ['keepends?'], args, kwargs);
  budget.text(text.length);
  const lines = linesOf(text, numberOf(keep) !== null && integerOf(keep) !== 0n);
  budget.list(lines.length);
  return lines;
};

const whole =
  (change: (text: string) => string): Method =>
  (text, _args, _kwargs, { budget }) => {
    budget.text(text.length * 4);
    return change(text);
  };

const cut =
  (name: string, atStart: boolean): Method =>
  (text, args, kwargs) => {
    const part = needText(bind(name, ['prefix'], args, kwargs)[0]!, `${name}() argument`);
    if (part === '' || !(atStart ? text.startsWith(part) : text.endsWith(part))) return text;
    return atStart ? text.slice(part.length) : text.slice(0, -part.length);
  };

const maketrans: Method = (_text, args) => {
  if (args.length === 1) {
    if (!(args[0] instanceof Dict))
      fail('TypeError', 'if you give only one argument to maketrans it must be a dict');
    const made = new Dict();
    for (const [key, value] of (args[0] as Dict).entries()) {
      const letter = textOf(key);
      made.set(letter === null ? key : BigInt(letter.codePointAt(0) ?? 0), value);
    }
    return made;
  }
  const [from, to, drop] = args.map((one) => characters(needText(one, 'argument')));
  if (from === undefined || to === undefined || from.length !== to.length)
    fail('ValueError', 'the first two maketrans arguments must have equal length');
  const made = new Dict();
  from!.forEach((letter, i) => made.set(BigInt(letter.codePointAt(0)!), BigInt(to![i]!.codePointAt(0)!)));
  for (const letter of drop ?? []) made.set(BigInt(letter.codePointAt(0)!), null);
  return made;
};

const translate: Method = (text, args, kwargs, { budget }) => {
  const [table] = bind('translate', ['table'], args, kwargs);
  if (!(table instanceof Dict)) return fail('TypeError', `'${typeName(table!)}' object is not subscriptable`);
  budget.text(text.length);
  budget.spend(text.length);
  let out = '';
  for (const letter of text) {
    const by = table.get(BigInt(letter.codePointAt(0)!));
    if (by === undefined) out += letter;
    else if (typeof by === 'bigint') out += String.fromCodePoint(Number(by));
    else if (by !== null) out += needText(by, 'character mapping');
    budget.joined(out.length);
  }
  return out;
};

const classes = Object.entries(CLASSES).map(([name, test]): [string, Method] => [
  name,
  (text, _args, _kwargs, { budget }) => {
    budget.text(text.length * 4);
    return test(text);
  },
]);

/** By name. `format` and `format_map` need the sandbox's look-ups and stand elsewhere. */
export const TEXT_METHODS: ReadonlyMap<string, Method> = new Map<string, Method>([
  ['strip', strip('strip', true, true)],
  ['lstrip', strip('lstrip', true, false)],
  ['rstrip', strip('rstrip', false, true)],
  ['split', split('split', false)],
  ['rsplit', split('rsplit', true)],
  ['splitlines', splitlines],
  ['partition', partition(false)],
  ['rpartition', partition(true)],
  ['find', find('find', false)],
  ['rfind', find('rfind', true)],
  ['index', find('index', false)],
  ['rindex', find('rindex', true)],
  ['count', count],
  ['startswith', affix('startswith', true)],
  ['endswith', affix('endswith', false)],
  ['removeprefix', cut('removeprefix', true)],
  ['removesuffix', cut('removesuffix', false)],
  ['replace', replace],
  ['join', join],
  ['upper', whole((text) => text.toUpperCase())],
  ['lower', whole((text) => text.toLowerCase())],
  ['casefold', whole((text) => folded(text))],
  ['capitalize', whole(capitalized)],
  ['title', whole(titleCased)],
  ['swapcase', whole(swapCased)],
  ['ljust', justify('ljust', () => 0)],
  ['rjust', justify('rjust', (missing) => missing)],
  ['center', justify('center', (missing, width) => Math.floor(missing / 2) + (missing & width & 1))],
  ['zfill', zfill],
  ['expandtabs', expandtabs],
  ['encode', () => fail('TypeError', 'encode(): there are no bytes in templates')],
  ['maketrans', maketrans],
  ['translate', translate],
  ['isspace', (text) => text !== '' && stripped(text, null, true, false) === ''],
  ...classes,
]);
