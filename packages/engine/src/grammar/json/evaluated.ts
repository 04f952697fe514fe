// unevaluatedProperties and unevaluatedItems: what they apply to depends on which of the schemas beside them hold. So
// such a schema is written as alternatives, each of which says which schemas hold, and hence which names and items have
// been looked at. Claiming fewer than do hold only leaves more to be checked, so alternatives may overlap.
import { isObject, type Site } from './document.ts';
import { ALL, CannotEnforce, type Expression, NONE, OBJECT } from './expression.ts';
import { type Context, isSchema, listLength, malformed, type SchemaReader } from './keyword.ts';
import { declaredNames, prefixLength } from './keywords-composite.ts';
import { dependency } from './keywords-logic.ts';

/** One way in which a schema can hold. */
interface Branch {
  readonly expression: Expression;
  /** Names that were looked at, as an expression about strings. */
  readonly names: Expression;
  /** Items before this index were looked at. */
  readonly items: number;
  /** Items that were looked at wherever they are: those that contains wants. */
  readonly matching: Expression;
}

const MOST_BRANCHES = 512;
const NOTHING_SEEN = { names: NONE, items: 0, matching: NONE };

const BRANCHING = new Set([
  ...['allOf', 'anyOf', 'oneOf', 'if', 'then', 'else', 'dependentSchemas', 'dependencies'],
]);

/** The whole demand of a schema that has one of the two keywords. */
export function withUnevaluated(translator: SchemaReader, context: Context): Expression {
  return translator.x.or(...branchesOf(translator, context).map(({ expression }) => expression));
}

/** The ways in which a subschema can hold. */
function branchesAt(translator: SchemaReader, site: Site): readonly Branch[] {
  const context = typeof site.schema === 'boolean' ? null : translator.contextOf(site);
  if (context === null) return [{ expression: translator.expression(site), ...NOTHING_SEEN }];
  return branchesOf(translator, context);
}

function branchesOf(translator: SchemaReader, context: Context): readonly Branch[] {
  // A circle of schemas about one value is found, and refused, here.
  translator.enter(context.site);
  try {
    return makeBranches(translator, context);
  } finally {
    translator.leave(context.site);
  }
}

function makeBranches(translator: SchemaReader, context: Context): readonly Branch[] {
  const { site, schema } = context;
  const follow = (keyword: string): readonly Branch[] => {
    const target = translator.target(context, keyword);
    return target === null ? [{ expression: ALL, ...NOTHING_SEEN }] : branchesAt(translator, target);
  };
  if (site.dialect === 'draft-7' && '$ref' in schema) return follow('$ref');
  const factors: (readonly Branch[])[] = [[ownBranch(translator, context)]];
  for (const keyword of ['$ref', '$dynamicRef']) if (keyword in schema) factors.push(follow(keyword));
  const at = (...keys: string[]): readonly Branch[] =>
    branchesAt(translator, translator.siteAt(site, ...keys));
  if ('allOf' in schema)
    for (let i = 0; i < listLength(context, 'allOf'); i++) factors.push(at('allOf', String(i)));
  if ('anyOf' in schema) factors.push(anyOf(translator, context, at));
  if ('oneOf' in schema) factors.push(oneOf(translator, context, at));
  if ('if' in schema && isSchema(context, schema.if, 'if'))
    factors.push(conditional(translator, context, at));
  for (const keyword of ['dependentSchemas', 'dependencies'])
    if (keyword in schema) factors.push(...dependent(translator, context, keyword, at));
  const branches = factors.reduce((so, factor) => product(translator, so, factor));
  return applyUnevaluated(translator, context, branches);
}

/** What the schema says by itself, and looks at. */
function ownBranch(translator: SchemaReader, context: Context): Branch {
  const { schema, x } = context;
  const expression = x.and(
    ...Object.entries(schema).map(([keyword, value]) =>
      BRANCHING.has(keyword) ? ALL : translator.keyword(keyword, value, context),
    ),
  );
  const seesAllNames = 'additionalProperties' in schema;
  const sees2020 = !Array.isArray(schema.items) && 'items' in schema;
  const seesAllItems = sees2020 || (Array.isArray(schema.items) && 'additionalItems' in schema);
  return {
    expression,
    names: seesAllNames ? ALL : declaredNames(context),
    items: seesAllItems ? Number.POSITIVE_INFINITY : prefixLength(context),
    matching: 'contains' in schema ? context.inside('contains') : NONE,
  };
}

type At = (...keys: string[]) => readonly Branch[];

const seesNothing = (branches: readonly Branch[]): boolean =>
  branches.every(({ names, items, matching }) => names === NONE && items === 0 && matching === NONE);

function anyOf(translator: SchemaReader, context: Context, at: At): readonly Branch[] {
  const { x } = translator;
  const options = Array.from({ length: listLength(context, 'anyOf') }, (_, i) => at('anyOf', String(i)));
  if (options.every(seesNothing))
    return [{ expression: x.or(...options.flat().map(({ expression }) => expression)), ...NOTHING_SEEN }];
  let branches: readonly (Branch | null)[] = [null];
  for (const option of options) {
    const next: (Branch | null)[] = [...branches];
    for (const branch of branches)
      next.push(...(branch === null ? option : product(translator, [branch], option)));
    branches = bounded(next);
  }
  return branches.filter((branch) => branch !== null);
}

function oneOf(translator: SchemaReader, context: Context, at: At): readonly Branch[] {
  const { x } = translator;
  const count = listLength(context, 'oneOf');
  const exact = x.one(Array.from({ length: count }, (_, i) => context.here('oneOf', String(i))));
  const options = Array.from({ length: count }, (_, i) => at('oneOf', String(i)));
  if (options.every(seesNothing)) return [{ expression: exact, ...NOTHING_SEEN }];
  return options.flat().map((branch) => ({ ...branch, expression: x.and(branch.expression, exact) }));
}

function conditional(translator: SchemaReader, context: Context, at: At): readonly Branch[] {
  const { x } = translator;
  const { schema } = context;
  const neutral: readonly Branch[] = [{ expression: ALL, ...NOTHING_SEEN }];
  const yes = 'then' in schema && isSchema(context, schema.then, 'then') ? at('then') : neutral;
  const no = 'else' in schema && isSchema(context, schema.else, 'else') ? at('else') : neutral;
  const fails = [{ expression: x.not(context.here('if')), ...NOTHING_SEEN }];
  return [...product(translator, at('if'), yes), ...product(translator, fails, no)];
}

function dependent(
  translator: SchemaReader,
  context: Context,
  keyword: string,
  at: At,
): (readonly Branch[])[] {
  const { x } = translator;
  const map = context.schema[keyword];
  if (!isObject(map)) return [[{ expression: malformed(context, keyword, 'an object'), ...NOTHING_SEEN }]];
  return Object.entries(map).map(([name, value]) =>
    Array.isArray(value) || typeof value === 'string'
      ? [{ expression: dependency(context, map, name), ...NOTHING_SEEN }]
      : [
          { expression: x.property(name, NONE), ...NOTHING_SEEN },
          ...at(keyword, name).map((branch) => ({
            ...branch,
            expression: x.and(x.types(OBJECT), x.required(name), branch.expression),
          })),
        ],
  );
}

/** Both hold. */
function product({ x }: SchemaReader, left: readonly Branch[], right: readonly Branch[]): readonly Branch[] {
  const branches = left.flatMap((a) =>
    right.map((b) => ({
      expression: x.and(a.expression, b.expression),
      names: x.or(a.names, b.names),
      items: Math.max(a.items, b.items),
      matching: x.or(a.matching, b.matching),
    })),
  );
  return bounded(branches.filter(({ expression }) => expression !== NONE));
}

function bounded<T>(branches: readonly T[]): readonly T[] {
  if (branches.length > MOST_BRANCHES)
    throw new CannotEnforce(`more than ${MOST_BRANCHES} combinations of schemas that hold`);
  return branches;
}

function applyUnevaluated(
  { x }: SchemaReader,
  context: Context,
  branches: readonly Branch[],
): readonly Branch[] {
  const { schema } = context;
  let result = branches;
  if (
    'unevaluatedProperties' in schema &&
    isSchema(context, schema.unevaluatedProperties, 'unevaluatedProperties')
  ) {
    const value = context.inside('unevaluatedProperties');
    result = result.map((branch) => ({
      ...branch,
      expression: x.and(branch.expression, x.properties(x.not(branch.names), value)),
      names: ALL,
    }));
  }
  if ('unevaluatedItems' in schema && isSchema(context, schema.unevaluatedItems, 'unevaluatedItems')) {
    const value = context.inside('unevaluatedItems');
    result = result.map((branch) => ({
      ...branch,
      expression:
        branch.items === Number.POSITIVE_INFINITY
          ? branch.expression
          : x.and(branch.expression, x.items(branch.items, x.or(value, branch.matching))),
      items: Number.POSITIVE_INFINITY,
    }));
  }
  return result;
}
