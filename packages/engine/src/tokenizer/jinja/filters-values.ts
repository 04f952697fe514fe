// Filters on numbers and single values, and those that write values out: tojson, pprint.

import { bind } from './args.ts';
import { stripped } from './characters.ts';
import { fail } from './errors.ts';
import { listOf } from './iterate.ts';
import { dumps } from './json.ts';
import { fixed, parseFloatText, parseInteger, roundFloat, roundInteger, roundToInteger } from './numbers.ts';
import { failUndefined, integerOf, numberOf, smallInteger, toFloat } from './operators.ts';
import { prettyPrinted } from './pretty.ts';
import { str } from './print.ts';
import { isTrue, type Native, type Runtime, textOf, typeName, Undefined, type Value } from './values.ts';

const fallbackTo: Native = (args, kwargs) => {
  const names = ['value', 'default_value?', 'boolean?'];
  const [value, fallback = '', byTruth = false] = bind('do_default', names, args, kwargs);
  return value instanceof Undefined || (isTrue(byTruth) && !isTrue(value!)) ? fallback : value!;
};

const bare = (text: string): string => stripped(text, null, true, true);

/** int(float) */
function truncated(value: number): bigint | null {
  if (value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY)
    return fail('OverflowError', 'cannot convert float infinity to integer');
  return Number.isNaN(value) ? null : BigInt(Math.trunc(value));
}

const toInteger: Native = (args, kwargs) => {
  const [value, fallback = 0n, base = 10n] = bind('do_int', ['value', 'default?', 'base?'], args, kwargs);
  if (value instanceof Undefined) failUndefined(value);
  const number = numberOf(value!);
  if (typeof number === 'bigint') return number;
  if (number !== null) return truncated(number) ?? fallback;
  const text = textOf(value!);
  if (text === null || text.length > 4300) return fallback;
  const radix = smallInteger(base);
  const whole = radix === 0 || (radix >= 2 && radix <= 36) ? parseInteger(bare(text), radix) : null;
  if (whole !== null) return whole;
  const float = parseFloatText(bare(text));
  return float === null || !Number.isFinite(float) ? fallback : (truncated(float) ?? fallback);
};

const toFloatFilter: Native = (args, kwargs) => {
  const [value, fallback = 0] = bind('do_float', ['value', 'default?'], args, kwargs);
  if (value instanceof Undefined) failUndefined(value);
  const number = numberOf(value!);
  if (number !== null) return toFloat(number);
  const text = textOf(value!);
  return (text === null ? null : parseFloatText(bare(text))) ?? fallback;
};

const absolute: Native = (args, kwargs) => {
  const [value] = bind('abs', ['x'], args, kwargs);
  const number = numberOf(value!);
  if (number === null) return fail('TypeError', `bad operand type for abs(): '${typeName(value!)}'`);
  if (typeof number === 'number') return Math.abs(number);
  return number < 0n ? -number : number;
};

const round: Native = (args, kwargs) => {
  const [value, precision = 0n, method = 'common'] = bind(
    'do_round',
    ['value', 'precision?', 'method?'],
    args,
    kwargs,
  );
  if (method !== 'common' && method !== 'ceil' && method !== 'floor')
    fail('FilterArgumentError', 'method must be common, ceil or floor');
  const number = numberOf(value!);
  if (method !== 'common') return roundOneWay(value!, smallInteger(precision), method as 'ceil' | 'floor');
  if (number === null) return fail('TypeError', `type ${typeName(value!)} doesn't define __round__ method`);
  if (precision === null) return typeof number === 'bigint' ? number : rounded(number);
  const digits = smallInteger(precision);
  return typeof number === 'bigint'
    ? roundInteger(number, Math.max(digits, -5000))
    : roundFloat(number, digits);
};

function rounded(value: number): bigint {
  if (!Number.isFinite(value))
    fail(Number.isNaN(value) ? 'ValueError' : 'OverflowError', 'cannot convert float to integer');
  return roundToInteger(value);
}

function roundOneWay(value: Value, digits: number, method: 'ceil' | 'floor'): number {
  if (value instanceof Undefined) failUndefined(value);
  const number = numberOf(value);
  if (number === null) return fail('TypeError', `must be real number, not ${typeName(value)}`);
  const scale = 10 ** digits;
  return Math[method](Number(number) * scale) / scale;
}

const PREFIXES = ['k', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y'];

const filesizeformat: Native = (args, kwargs) => {
  const [value, binary = false] = bind('do_filesizeformat', ['value', 'binary?'], args, kwargs);
  if (value instanceof Undefined) failUndefined(value);
  const text = textOf(value!);
  const number = numberOf(value!);
  const bytes = number === null ? (text === null ? null : parseFloatText(bare(text))) : Number(number);
  if (bytes === null)
    return text === null
      ? fail('TypeError', `float() argument must be a string or a real number, not '${typeName(value!)}'`)
      : fail('ValueError', `could not convert string to float: '${text}'`);
  const base = isTrue(binary) ? 1024 : 1000;
  if (bytes === 1) return '1 Byte';
  if (bytes < base) return `${Math.trunc(bytes)} Bytes`;
  let unit = base;
  let i = 0;
  do unit *= base;
  while (bytes >= unit && ++i < PREFIXES.length);
  const prefix = PREFIXES[Math.min(i, PREFIXES.length - 1)]!;
  const scaled = fixed((base * bytes) / unit, 1);
  return `${scaled} ${isTrue(binary) ? `${prefix.toUpperCase()}iB` : `${prefix}B`}`;
};

/** transformers' own, which does not escape HTML as Jinja2's does. */
const tojson: Native = (args, kwargs, runtime) => {
  const names = ['x', 'ensure_ascii?', 'indent?', 'separators?', 'sort_keys?'];
  const [value, ascii = false, indent = null, separators = null, sortKeys = false] = bind(
    'tojson',
    names,
    args,
    kwargs,
  );
  const [items, keys] = separatorsOf(separators, indent, runtime);
  const options = {
    ensureAscii: isTrue(ascii),
    indent: indentOf(indent),
    itemSeparator: items,
    keySeparator: keys,
    sortKeys: isTrue(sortKeys),
  };
  return dumps(value!, options, runtime.budget);
};

function indentOf(indent: Value): string | null {
  if (indent === null) return null;
  const text = textOf(indent);
  if (text !== null) return text;
  const width = Number(integerOf(indent));
  if (width > 1000) fail('ValueError', 'indent: expected at most 1000');
  return ' '.repeat(Math.max(width, 0));
}

function separatorsOf(separators: Value, indent: Value, { budget }: Runtime): [string, string] {
  if (separators === null) return [indent === null ? ', ' : ',', ': '];
  const items = listOf(separators, budget);
  if (items.length !== 2)
    fail(
      'ValueError',
      items.length > 2
        ? 'too many values to unpack (expected 2)'
        : `not enough values to unpack (expected 2, got ${items.length})`,
    );
  return [str(items[0]!, budget), str(items[1]!, budget)];
}

const pprint: Native = (args, kwargs, { budget }) =>
  prettyPrinted(bind('do_pprint', ['value'], args, kwargs)[0]!, budget);

export const VALUE_FILTERS: readonly (readonly [string, Native])[] = [
  ['abs', absolute],
  ['d', fallbackTo],
  ['default', fallbackTo],
  ['filesizeformat', filesizeformat],
  ['float', toFloatFilter],
  ['int', toInteger],
  ['pprint', pprint],
  ['round', round],
  ['tojson', tojson],
];
