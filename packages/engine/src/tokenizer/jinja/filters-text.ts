// Filters on texts.

import { bind } from './args.ts';
import { firstCharacters, isSpace, lengthOf, linesOf, splitAtSpaces, stripped } from './characters.ts';
import { fail } from './errors.ts';
import { percentFormat } from './format-percent.ts';
import { length, listOf } from './iterate.ts';
import { escapeHtml, stripTags } from './markup.ts';
import { replaced, TEXT_METHODS } from './methods-text.ts';
import { smallInteger } from './operators.ts';
import { repr, str } from './print.ts';
import { capitalized } from './text-case.ts';
import {
  Dict,
  Markup,
  type Native,
  type Runtime,
  Tuple,
  textOf,
  typeName,
  Undefined,
  type Value,
} from './values.ts';
import { wrapText } from './wrap.ts';

/** A filter that makes one text of another; Markup stays Markup. */
const change =
  (name: string, make: (text: string) => string): Native =>
  (args, kwargs, { budget }) => {
    const [value] = bind(name, ['s'], args, kwargs);
    const text = str(value!, budget);
    budget.text(text.length * 4);
    return like(value!, make(text));
  };

const like = (value: Value, made: string): Value => (value instanceof Markup ? new Markup(made) : made);

const WORD_BEGINS = '-({[<';

/** Words begin after blanks, hyphens and opening brackets. */
function titled(text: string): string {
  let out = '';
  let begins = true;
  for (const letter of text) {
    const between = WORD_BEGINS.includes(letter) || isSpace(letter.charCodeAt(0));
    out += begins && !between ? letter.toUpperCase() : letter.toLowerCase();
    begins = between;
  }
  return out;
}

const replace: Native = (args, kwargs, { budget, autoescape }) => {
  const [s, old, by, count = null] = bind('do_replace', ['s', 'old', 'new', 'count?'], args, kwargs);
  const most = count === null ? -1 : smallInteger(count);
  if (!autoescape) return replaced(str(s!, budget), str(old!, budget), str(by!, budget), most, budget);
  const safe = (value: Value) => (value instanceof Markup ? value.text : escapeHtml(str(value, budget)));
  const isMarkup = s instanceof Markup || old instanceof Markup || by instanceof Markup;
  if (!isMarkup) return replaced(str(s!, budget), str(old!, budget), str(by!, budget), most, budget);
  return new Markup(replaced(safe(s!), str(old!, budget), safe(by!), most, budget));
};

const trim: Native = (args, kwargs, { budget }) => {
  const [value, set = null] = bind('do_trim', ['value', 'chars?'], args, kwargs);
  if (set !== null && textOf(set) === null) fail('TypeError', 'strip arg must be None or str');
  return like(value!, stripped(str(value!, budget), set === null ? null : textOf(set), true, true));
};

const center: Native = (args, kwargs, runtime) => {
  const [value, width = 80n] = bind('do_center', ['value', 'width?'], args, kwargs);
  return TEXT_METHODS.get('center')!(str(value!, runtime.budget), [width], new Map(), runtime);
};

/** A str that may be cut or joined, as Python refuses others. */
function needStr(value: Value): string {
  if (value instanceof Undefined) fail('UndefinedError', value.message);
  const text = textOf(value);
  return text ?? fail('TypeError', `unsupported operand type(s) for +=: '${typeName(value)}' and 'str'`);
}

const indent: Native = (args, kwargs, { budget }) => {
  const [s, width = 4n, first = false, blank = false] = bind(
    'do_indent',
    ['s', 'width?', 'first?', 'blank?'],
    args,
    kwargs,
  );
  const by = textOf(width) ?? ' '.repeat(Math.min(Math.max(smallInteger(width), 0), 1 << 20));
  const text = needStr(s!);
  const lines = linesOf(`${text}\n`, false);
  budget.list(lines.length);
  budget.text(text.length + lines.length * by.length);
  const begin = first === true || (first !== false && first !== null && first !== 0n) ? by : '';
  const all = blank === true || (blank !== false && blank !== null && blank !== 0n);
  return like(
    s!,
    begin + lines.map((line, i) => (i > 0 && (all || line !== '') ? by + line : line)).join('\n'),
  );
};

const truncate: Native = (args, kwargs, { budget }) => {
  const [s, most = 255n, killwords = false, end = '...', leeway = null] = bind(
    'do_truncate',
    ['s', 'length?', 'killwords?', 'end?', 'leeway?'],
    args,
    kwargs,
  );
  const [size, slack] = [smallInteger(most), leeway === null ? 5 : smallInteger(leeway)];
  const tail = str(end, budget);
  if (size < lengthOf(tail)) fail('AssertionError', `expected length >= ${lengthOf(tail)}, got ${size}`);
  if (slack < 0) fail('AssertionError', `expected leeway >= 0, got ${slack}`);
  if (length(s!, budget) <= size + slack) return s!;
  const text = textOf(s!);
  if (text === null)
    return fail('TypeError', `can only concatenate ${typeName(s!)} (not "str") to ${typeName(s!)}`);
  budget.text(text.length);
  const cut = firstCharacters(text, size - lengthOf(tail));
  if (killwords !== false && killwords !== null && killwords !== 0n) return cut + tail;
  const space = cut.lastIndexOf(' ');
  return (space < 0 ? cut : cut.slice(0, space)) + tail;
};

const wordwrap: Native = (args, kwargs, { budget }) => {
  const names = ['s', 'width?', 'break_long_words?', 'wrapstring?', 'break_on_hyphens?'];
  const [s, width = 79n, breaks = true, between = null, hyphens = true] = bind(
    'do_wordwrap',
    names,
    args,
    kwargs,
  );
  const text = needStr(s!);
  budget.text(text.length * 32);
  const join = between === null ? '\n' : str(between, budget);
  const size = smallInteger(width);
  if (size <= 0) fail('ValueError', `invalid width ${size} (must be > 0)`);
  const options = { breakLongWords: breaks !== false, breakOnHyphens: hyphens !== false };
  const lines = linesOf(text, false).map((line) => wrapText(line, size, options).join(join));
  return lines.join(join);
};

const word = /[\p{L}\p{N}_]+/gu;

const format: Native = (args, kwargs, runtime) => {
  const [value, ...rest] = args;
  if (value === undefined) fail('TypeError', "do_format() missing 1 required positional argument: 'value'");
  if (rest.length > 0 && kwargs.size > 0)
    fail('FilterArgumentError', "can't handle positional and keyword arguments at the same time");
  const right = kwargs.size > 0 ? Dict.of(kwargs) : new Tuple(rest);
  const text = str(value!, runtime.budget);
  return like(value!, percentFormat(text, right, runtime, value instanceof Markup));
};

const URL_SAFE = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-~';

function quoteUrl(value: Value, isQuery: boolean, runtime: Runtime): string {
  const text = str(value, runtime.budget);
  runtime.budget.text(text.length * 16);
  let out = '';
  for (const byte of new TextEncoder().encode(text)) {
    const letter = String.fromCharCode(byte);
    if (URL_SAFE.includes(letter) || (!isQuery && letter === '/')) out += letter;
    else if (isQuery && letter === ' ') out += '+';
    else out += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return out;
}

const urlencode: Native = (args, kwargs, runtime) => {
  const [value] = bind('do_urlencode', ['value'], args, kwargs);
  const isPlain = textOf(value!) !== null || value === null || typeof value !== 'object';
  if (isPlain) return quoteUrl(value!, false, runtime);
  const pairs =
    value instanceof Dict
      ? [...value.entries()]
      : listOf(value!, runtime.budget).map((pair) => listOf(pair, runtime.budget));
  const parts = pairs.map((pair) => {
    if (pair.length !== 2) fail('ValueError', `not enough values to unpack (expected 2, got ${pair.length})`);
    return `${quoteUrl(pair[0]!, true, runtime)}=${quoteUrl(pair[1]!, true, runtime)}`;
  });
  return parts.join('&');
};

const xmlattr: Native = (args, kwargs, runtime) => {
  const [dict, space = true] = bind('do_xmlattr', ['d', 'autospace?'], args, kwargs);
  if (!(dict instanceof Dict))
    return fail('AttributeError', `'${typeName(dict!)}' object has no attribute 'items'`);
  const { budget } = runtime;
  const parts: string[] = [];
  for (const [key, value] of dict.entries()) {
    if (value === null || value instanceof Undefined) continue;
    const name = str(key, budget);
    if (/[\s/>=]/.test(name)) fail('ValueError', `Invalid character in attribute name: ${repr(key, budget)}`);
    const safe = (one: Value) => (one instanceof Markup ? one.text : escapeHtml(str(one, budget)));
    parts.push(`${safe(key)}="${safe(value)}"`);
  }
  const made = (space !== false && parts.length > 0 ? ' ' : '') + parts.join(' ');
  return runtime.autoescape ? new Markup(made) : made;
};

const escapeFilter: Native = (args, kwargs, { budget }) => {
  const [value] = bind('escape', ['s'], args, kwargs);
  if (value instanceof Markup) return value;
  const text = str(value!, budget);
  budget.text(text.length * 4);
  return new Markup(escapeHtml(text));
};

const forceescape: Native = (args, kwargs, { budget }) => {
  const text = str(bind('do_forceescape', ['value'], args, kwargs)[0]!, budget);
  budget.text(text.length * 4);
  return new Markup(escapeHtml(text));
};

const striptags: Native = (args, kwargs, { budget }) => {
  const text = str(bind('do_striptags', ['value'], args, kwargs)[0]!, budget);
  budget.text(text.length * 8);
  return stripTags(text, (bare) => splitAtSpaces(bare, 2 ** 50).join(' '));
};

export const TEXT_FILTERS: readonly (readonly [string, Native])[] = [
  ['upper', change('do_upper', (text) => text.toUpperCase())],
  ['lower', change('do_lower', (text) => text.toLowerCase())],
  ['capitalize', change('do_capitalize', capitalized)],
  ['title', change('do_title', titled)],
  ['string', change('soft_str', (text) => text)],
  ['replace', replace],
  ['trim', trim],
  ['center', center],
  ['indent', indent],
  ['truncate', truncate],
  ['wordwrap', wordwrap],
  [
    'wordcount',
    (args, kwargs, { budget }) => {
      const text = str(bind('do_wordcount', ['s'], args, kwargs)[0]!, budget);
      budget.text(text.length * 4);
      let count = 0n;
      for (const _ of text.matchAll(word)) count++;
      return count;
    },
  ],
  ['format', format],
  ['urlencode', urlencode],
  ['xmlattr', xmlattr],
  ['escape', escapeFilter],
  ['e', escapeFilter],
  ['forceescape', forceescape],
  ['striptags', striptags],
  [
    'safe',
    (args, kwargs, { budget }) => new Markup(str(bind('do_mark_safe', ['value'], args, kwargs)[0]!, budget)),
  ],
];
