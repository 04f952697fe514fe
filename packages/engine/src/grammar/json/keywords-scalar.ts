// Keywords about numbers and texts, and those about whole values.
import { GrammarError } from '../../errors.ts';
import { regexLanguage } from '../regular/regex.ts';
import { type Regular, repeat } from '../regular/regular.ts';
import {
  ALL,
  ALL_TYPES,
  ARRAY,
  BOOLEAN,
  type Expression,
  NULL,
  NUMBER,
  OBJECT,
  STRING,
} from './expression.ts';
import { FORMATS, IGNORED_FORMATS, NUMBER_FORMATS } from './formats.ts';
import { type Context, countOf, describe, type Keyword, malformed, numberOf } from './keyword.ts';
import { atLeast, atMost, INTEGERS, multiplesOf } from './number-set.ts';
import { ANY_SPELLED, spelled } from './spellings.ts';
import { oneOfValues } from './values.ts';

const TYPES: Readonly<Record<string, number>> = {
  null: NULL,
  boolean: BOOLEAN,
  number: NUMBER,
  integer: NUMBER,
  string: STRING,
  array: ARRAY,
  object: OBJECT,
};

const type: Keyword = (value, context) => {
  const { x } = context;
  const names = Array.isArray(value) ? value : [value];
  let types = 0;
  for (const name of names) {
    if (typeof name !== 'string' || !Object.hasOwn(TYPES, name))
      return malformed(context, 'type', `of ${Object.keys(TYPES).join(', ')}, one or a list`);
    types |= TYPES[name];
  }
  const isWhole = names.includes('integer') && !names.includes('number');
  return x.and(x.types(types & ALL_TYPES), isWhole ? x.number(INTEGERS) : ALL);
};

/** Draft 4 and OpenAPI 3.0 write exclusiveMinimum: true beside minimum. */
const bound =
  (keyword: string, exclusive: string, isLow: boolean): Keyword =>
  (_, context) => {
    const at = numberOf(context, keyword);
    if (at === null) return ALL;
    const open = context.schema[exclusive] === true;
    return context.x.number(isLow ? atLeast(at, open) : atMost(at, open));
  };

const exclusiveBound =
  (keyword: string, isLow: boolean): Keyword =>
  (value, context) => {
    if (typeof value === 'boolean') return ALL;
    const at = numberOf(context, keyword);
    return at === null ? ALL : context.x.number(isLow ? atLeast(at, true) : atMost(at, true));
  };

const multipleOf: Keyword = (_, context) => {
  const modulus = numberOf(context, 'multipleOf');
  if (modulus === null) return ALL;
  return modulus.digits > 0n
    ? context.x.number(multiplesOf(modulus))
    : malformed(context, 'multipleOf', 'a number above 0');
};

/** Languages are kept, so that equal ones are one object, and one automaton. */
const lengths = new Map<string, Regular>();
const patterns = new Map<string, Regular>();
const MOST_KEPT = 1000;

function kept(cache: Map<string, Regular>, key: string, make: () => Regular): Regular {
  const known = cache.get(key);
  if (known !== undefined) return known;
  const language = make();
  if (cache.size >= MOST_KEPT) cache.clear();
  cache.set(key, language);
  return language;
}

function textLength(context: Context): Expression {
  const min = countOf(context, 'minLength', 0);
  const max = countOf(context, 'maxLength', Number.POSITIVE_INFINITY);
  if (min === 0 && max === Number.POSITIVE_INFINITY) return ALL;
  if (max === 0 && min === 0) return context.x.words(['']);
  if (min > max) return context.x.words([]);
  return context.x.text(kept(lengths, `${min},${max}`, () => repeat(ANY_SPELLED, min, max)));
}

const minLength: Keyword = (_, context) => textLength(context);
const maxLength: Keyword = (_, context) => ('minLength' in context.schema ? ALL : textLength(context));

/** The texts in which a pattern is found, spelled; refuses it where it is broken or cannot be done. */
export function patternText(
  context: Context,
  keyword: string,
  source: string,
  ...keys: string[]
): Expression {
  try {
    const language = kept(patterns, source, () =>
      regexLanguage(source, {
        match: 'search',
        encode: spelled,
        limits: { ...context.limits, subject: 'pattern' },
      }),
    );
    return context.x.text(language);
  } catch (error) {
    if (!(error instanceof GrammarError)) throw error;
    const reasons = error.refused.map(({ keyword: what, reason }) => `${what}: ${reason}`);
    context.refuse(keyword, reasons.join('; ') || error.message, ...keys);
    return ALL;
  }
}

const pattern: Keyword = (value, context) =>
  typeof value === 'string'
    ? patternText(context, 'pattern', value, 'pattern')
    : malformed(context, 'pattern', 'a regular expression');

const format: Keyword = (value, context) => {
  if (typeof value !== 'string') return malformed(context, 'format', 'a name');
  if (context.formats === 'annotate') return ALL;
  const language = Object.hasOwn(FORMATS, value) ? FORMATS[value] : undefined;
  if (language !== undefined) return context.x.text(kept(patterns, `\0${value}`, language));
  if (Object.hasOwn(NUMBER_FORMATS, value)) return context.x.number(NUMBER_FORMATS[value]);
  if (IGNORED_FORMATS.has(value)) context.warn('format', `${value} is not checked`);
  else if (UNSUPPORTED_FORMATS.has(value)) context.refuse('format', `${value} is not supported`);
  else context.warn('format', `${value} is unknown, and ignored`);
  return ALL;
};

/** Formats of the standard that are no automaton here. */
const UNSUPPORTED_FORMATS = new Set([
  'idn-email',
  'idn-hostname',
  'iri',
  'iri-reference',
  'regex',
  'relative-json-pointer',
  'uri-template',
]);

/** In draft 7 it may be checked, so it is; later drafts only describe with it. */
const contentEncoding: Keyword = (value, context) => {
  if (context.site.dialect !== 'draft-7') return ALL;
  if (value === 'base64') return context.x.text(kept(patterns, '\0byte', FORMATS.byte));
  context.refuse('contentEncoding', `${describe(value)} is not supported`);
  return ALL;
};

const contentMediaType: Keyword = (value, context) => {
  if (context.site.dialect === 'draft-7')
    context.refuse('contentMediaType', `that a text is ${describe(value)} cannot be enforced`);
  return ALL;
};

const constant: Keyword = (value, { x }) => oneOfValues(x, [value]);
const enumeration: Keyword = (value, context) =>
  Array.isArray(value) ? oneOfValues(context.x, value) : malformed(context, 'enum', 'a list of values');

export const SCALAR_KEYWORDS: Readonly<Record<string, Keyword>> = {
  type,
  const: constant,
  enum: enumeration,
  minimum: bound('minimum', 'exclusiveMinimum', true),
  maximum: bound('maximum', 'exclusiveMaximum', false),
  exclusiveMinimum: exclusiveBound('exclusiveMinimum', true),
  exclusiveMaximum: exclusiveBound('exclusiveMaximum', false),
  multipleOf,
  minLength,
  maxLength,
  pattern,
  format,
  contentEncoding,
  contentMediaType,
};
