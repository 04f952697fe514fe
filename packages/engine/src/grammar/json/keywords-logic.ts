// Keywords that combine schemas of the same value.
import { isObject, type JsonObject } from './document.ts';
import { ALL, type Expression, NONE } from './expression.ts';
import { type Context, isSchema, type Keyword, keysOf, listLength, malformed, namesOf } from './keyword.ts';

const each = (context: Context, keyword: string): readonly Expression[] =>
  Array.from({ length: listLength(context, keyword) }, (_, i) => context.here(keyword, String(i)));

const allOf: Keyword = (_, context) => context.x.and(...each(context, 'allOf'));
const anyOf: Keyword = (_, context) => context.x.or(...each(context, 'anyOf'));
const oneOf: Keyword = (_, context) => context.x.one(each(context, 'oneOf'));

const not: Keyword = (value, context) =>
  isSchema(context, value, 'not') ? context.x.not(context.here('not')) : ALL;

/** `then` and `else` say nothing without it. */
const condition: Keyword = (value, context) => {
  const { x, schema } = context;
  if (!isSchema(context, value, 'if')) return ALL;
  const branch = (keyword: 'then' | 'else'): Expression =>
    keyword in schema && isSchema(context, schema[keyword], keyword) ? context.here(keyword) : ALL;
  const [yes, no] = [branch('then'), branch('else')];
  if (yes === ALL && no === ALL) return ALL;
  const test = context.here('if');
  return x.or(x.and(test, yes), x.and(x.not(test), no));
};

/** With the property the schema applies. */
const whenPresent = ({ x }: Context, name: string, then: Expression): Expression =>
  then === ALL ? ALL : x.or(x.property(name, NONE), then);

const dependentSchemas: Keyword = (_, context) =>
  context.x.and(
    ...keysOf(context, 'dependentSchemas').map((name) =>
      whenPresent(context, name, context.here('dependentSchemas', name)),
    ),
  );

/** Drafts before 2019-09 write lists of names and schemas in one keyword. */
const dependencies: Keyword = (value, context) => {
  if (!isObject(value)) return malformed(context, 'dependencies', 'an object of schemas and lists of names');
  return context.x.and(...Object.keys(value).map((name) => dependency(context, value, name)));
};

/** What one entry of `dependencies` demands. */
export function dependency(context: Context, value: JsonObject, name: string): Expression {
  const { x } = context;
  const what = value[name];
  if (Array.isArray(what))
    return x.and(...namesOf(context, 'dependencies', what).map((other) => x.needs(name, other)));
  if (typeof what === 'string') return x.needs(name, what);
  return isSchema(context, what, 'dependencies', name)
    ? whenPresent(context, name, context.here('dependencies', name))
    : ALL;
}

export const LOGIC_KEYWORDS: Readonly<Record<string, Keyword>> = {
  allOf,
  anyOf,
  oneOf,
  not,
  if: condition,
  dependentSchemas,
  dependencies,
};
