// Keywords about arrays and objects.
import { isObject } from './document.ts';
import { ALL, type Expression, NONE } from './expression.ts';
import {
  type Context,
  countOf,
  isSchema,
  type Keyword,
  keysOf,
  listLength,
  malformed,
  namesOf,
} from './keyword.ts';
import { patternText } from './keywords-scalar.ts';

const MOST = Number.POSITIVE_INFINITY;

/** How many items have schemas of their own: by prefixItems, or by a list in items, as drafts before 2020-12 have it. */
export function prefixLength({ schema }: Context): number {
  const prefix = schema.prefixItems ?? schema.items;
  return Array.isArray(prefix) ? prefix.length : 0;
}

const tuple = (context: Context, keyword: string): Expression =>
  context.x.and(
    ...Array.from({ length: listLength(context, keyword) }, (_, i) =>
      context.x.item(i, context.inside(keyword, String(i))),
    ),
  );

const items: Keyword = (value, context) => {
  if (Array.isArray(value))
    return 'prefixItems' in context.schema ? refuseLists(context) : tuple(context, 'items');
  if (!isSchema(context, value, 'items')) return ALL;
  return context.x.items(prefixLength(context), context.inside('items'));
};

const refuseLists = (context: Context): Expression =>
  malformed(context, 'items', 'a schema beside prefixItems');

/** It says nothing beside items that are one schema. */
const additionalItems: Keyword = (value, context) => {
  if (!Array.isArray(context.schema.items) || !isSchema(context, value, 'additionalItems')) return ALL;
  return context.x.items(prefixLength(context), context.inside('additionalItems'));
};

const contains: Keyword = (value, context) => {
  if (!isSchema(context, value, 'contains')) return ALL;
  const min = countOf(context, 'minContains', 1);
  const max = countOf(context, 'maxContains', MOST);
  return context.x.contains(0, context.inside('contains'), min, max);
};

const length: Keyword = (_, context) =>
  context.x.length(countOf(context, 'minItems', 0), countOf(context, 'maxItems', MOST));

const uniqueItems: Keyword = (value, context) => {
  if (typeof value !== 'boolean') return malformed(context, 'uniqueItems', 'true or false');
  return value ? context.x.unique() : ALL;
};

const properties: Keyword = (_, context) =>
  context.x.and(
    context.x.order(keysOf(context, 'properties')),
    ...keysOf(context, 'properties').map((name) =>
      context.x.property(name, context.inside('properties', name)),
    ),
  );

const patternProperties: Keyword = (_, context) =>
  context.x.and(
    ...keysOf(context, 'patternProperties').map((source) =>
      context.x.properties(namesLike(context, source), context.inside('patternProperties', source)),
    ),
  );

const namesLike = (context: Context, source: string): Expression =>
  patternText(context, 'patternProperties', source, 'patternProperties', source);

/** The names that properties and patternProperties speak about, as an expression about strings. */
export function declaredNames(context: Context): Expression {
  return context.x.or(
    context.x.words(keysOf(context, 'properties')),
    ...keysOf(context, 'patternProperties').map((source) => namesLike(context, source)),
  );
}

const additionalProperties: Keyword = (value, context) => {
  if (!isSchema(context, value, 'additionalProperties')) return ALL;
  const { x } = context;
  return x.properties(x.not(declaredNames(context)), context.inside('additionalProperties'));
};

const propertyNames: Keyword = (value, context) => {
  if (!isSchema(context, value, 'propertyNames')) return ALL;
  return context.x.properties(context.x.not(context.inside('propertyNames')), NONE);
};

const required: Keyword = (value, context) =>
  context.x.and(...namesOf(context, 'required', value).map((name) => context.x.required(name)));

const size: Keyword = (_, context) =>
  context.x.size(countOf(context, 'minProperties', 0), countOf(context, 'maxProperties', MOST));

const dependentRequired: Keyword = (value, context) => {
  if (!isObject(value)) return malformed(context, 'dependentRequired', 'an object of lists of names');
  const { x } = context;
  return x.and(
    ...Object.entries(value).flatMap(([name, others]) =>
      namesOf(context, 'dependentRequired', others).map((other) => x.needs(name, other)),
    ),
  );
};

export const COMPOSITE_KEYWORDS: Readonly<Record<string, Keyword>> = {
  prefixItems: (_, context) => tuple(context, 'prefixItems'),
  items,
  additionalItems,
  contains,
  minItems: length,
  maxItems: length,
  uniqueItems,
  properties,
  patternProperties,
  additionalProperties,
  propertyNames,
  required,
  minProperties: size,
  maxProperties: size,
  dependentRequired,
};
