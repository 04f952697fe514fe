// What translating a keyword has at hand, and the checks of keywords' values.
import type { GrammarLimits } from '../limits.ts';
import { type Decimal, decimalOf } from './decimal.ts';
import { escapePointer, isObject, type Json, type JsonObject, type Site } from './document.ts';
import { ALL, type Expression, type Expressions } from './expression.ts';

/** Whether formats are demanded of texts, or only describe them. */
export type FormatMode = 'assert' | 'annotate';

/** One schema object, while its keywords are translated. */
export interface Context {
  readonly x: Expressions;
  readonly site: Site;
  readonly schema: JsonObject;
  readonly formats: FormatMode;
  readonly limits: GrammarLimits;
  /** A subschema that applies to the same value. */
  here(...keys: readonly string[]): Expression;
  /** A subschema that applies to a value inside. */
  inside(...keys: readonly string[]): Expression;
  /** Says that a keyword cannot be enforced. */
  refuse(keyword: string, reason: string, ...keys: readonly string[]): void;
  /** Says that something is ignored. */
  warn(keyword: string, reason: string): void;
}

/** Translates the value of a keyword that is there. */
export type Keyword = (value: Json, context: Context) => Expression;

export function describe(value: Json): string {
  const text = JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'bigint' ? Number(inner) : inner,
  );
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}

/** Refuses a keyword for its value; the expression then does not matter. */
export function malformed(context: Context, keyword: string, expected: string): Expression {
  context.refuse(keyword, `expected ${expected}, found ${describe(context.schema[keyword])}`);
  return ALL;
}

export function numberOf(context: Context, keyword: string): Decimal | null {
  const value = context.schema[keyword];
  if (typeof value === 'number' || typeof value === 'bigint') return decimalOf(value);
  malformed(context, keyword, 'a number');
  return null;
}

/** A whole number that is not negative; `absent` where the keyword is not there. */
export function countOf(context: Context, keyword: string, absent: number): number {
  const value = context.schema[keyword];
  if (value === undefined) return absent;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  malformed(context, keyword, 'a whole number from 0 on');
  return absent;
}

export function namesOf(context: Context, keyword: string, value: Json): readonly string[] {
  if (Array.isArray(value) && value.every((name) => typeof name === 'string')) return value;
  malformed(context, keyword, 'a list of property names');
  return [];
}

/** The keys of a keyword whose value is an object of schemas. */
export function keysOf(context: Context, keyword: string): readonly string[] {
  const value = context.schema[keyword];
  if (value === undefined) return [];
  if (!isObject(value)) {
    malformed(context, keyword, 'an object of schemas');
    return [];
  }
  return Object.keys(value).filter((key) => isSchema(context, value[key], keyword, key));
}

/** How many schemas a keyword's list has. */
export function listLength(context: Context, keyword: string): number {
  const value = context.schema[keyword];
  if (!Array.isArray(value)) {
    malformed(context, keyword, 'a list of schemas');
    return 0;
  }
  return value.every((item, i) => isSchema(context, item, keyword, String(i))) ? value.length : 0;
}

export function isSchema(context: Context, value: Json, ...keys: readonly string[]): boolean {
  if (typeof value === 'boolean' || isObject(value)) return true;
  const at = keys.map(escapePointer).join('/');
  context.refuse(keys[0], `expected a schema at ${at}, found ${describe(value)}`);
  return false;
}

/** What reads the schemas beside a schema. */
export interface SchemaReader {
  readonly x: Expressions;
  /** What a subschema demands. */
  expression(site: Site): Expression;
  /** What one keyword demands. */
  keyword(keyword: string, value: Json, context: Context): Expression;
  /** Where a reference leads; null where it was refused. */
  target(context: Context, keyword: string): Site | null;
  /** A subschema's place. */
  siteAt(site: Site, ...keys: readonly string[]): Site;
  /** Null for what is no schema. */
  contextOf(site: Site): Context | null;
  /** Throws where the subschema is being looked through already. */
  enter(site: Site): void;
  leave(site: Site): void;
}
