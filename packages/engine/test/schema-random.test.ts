// Random schemas against random values: a machine accepts exactly what @hyperjump/json-schema calls valid.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { registerSchema, unregisterSchema, validate } from '@hyperjump/json-schema/draft-2020-12';
import { GrammarError } from '../src/errors.ts';
import { compileSchema } from '../src/grammar/json/compile-schema.ts';
import { acceptsWhole, type Machine } from '../src/grammar/machine.ts';

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
type Schema = boolean | Record<string, Json>;

const SCHEMAS = 300;
const VALUES = 30;

let seed = 77;
function draw(n: number): number {
  seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
  return (seed >> 8) % n;
}
const pick = <T>(options: readonly T[]): T => options[draw(options.length)];
const list = <T>(count: number, make: () => T): T[] => Array.from({ length: count }, make);

const NAMES = ['a', 'b', 'c', 'ab', 'x-1'];
const TEXTS = ['', 'a', 'b', 'ab', 'abc', 'aaa', 'é', 'a b', 'x', '0'];
const NUMBERS = [0, 1, 2, 3, 5, 10, 100, -1, 0.5, 1.5, 2.25, 12.5];
const names = (): string[] => [...new Set(list(1 + draw(2), () => pick(NAMES)))];

function value(depth: number): Json {
  const kind = draw(depth > 0 ? 9 : 5);
  if (kind === 0) return null;
  if (kind === 1) return draw(2) === 0;
  if (kind <= 3) return pick(NUMBERS);
  if (kind <= 5) return pick(TEXTS);
  if (kind === 6) return list(draw(4), () => value(depth - 1));
  return Object.fromEntries(list(draw(4), () => [pick(NAMES), value(depth - 1)]));
}

const LEAVES: readonly (() => Record<string, Json>)[] = [
  () => ({ type: pick(['null', 'boolean', 'integer', 'number', 'string', 'array', 'object']) }),
  () => ({ const: value(1) }),
  () => ({ enum: [value(0), value(1), value(0)] }),
  () => ({ minimum: pick(NUMBERS) }),
  () => ({ maximum: pick(NUMBERS) }),
  () => ({ multipleOf: pick([1, 2, 3, 0.5]) }),
  () => ({ minLength: draw(3) }),
  () => ({ maxLength: draw(4) }),
  () => ({ pattern: pick(['^a', 'b$', 'a.c', '^[ab]*$', '^.{2}$', '\\d']) }),
  () => ({ type: ['string', 'integer'], exclusiveMinimum: pick(NUMBERS) }),
];

function inner(depth: number): Schema {
  if (depth > 0 && draw(8) > 0) return schema(depth);
  return draw(6) === 0 ? draw(3) > 0 : pick(LEAVES)();
}

const byName = (depth: number): Record<string, Json> =>
  Object.fromEntries(list(1 + draw(3), () => [pick(NAMES), inner(depth)]));

const KEYWORDS: readonly ((depth: number) => Record<string, Json>)[] = [
  (d) => ({ properties: byName(d) }),
  (d) => ({ properties: byName(d), required: names() }),
  (d) => ({ additionalProperties: draw(2) === 0 ? false : inner(d) }),
  (d) => ({ patternProperties: { [pick(['^a', 'b$', '-'])]: inner(d) } }),
  () => ({
    propertyNames: pick([
      { maxLength: 1 },
      { pattern: '^[a-c]' },
      { enum: ['a', 'b'] },
      { not: { const: 'a' } },
    ]),
  }),
  () => ({ minProperties: draw(3), maxProperties: 1 + draw(4) }),
  () => ({ dependentRequired: { [pick(NAMES)]: names() } }),
  (d) => ({ dependentSchemas: { [pick(NAMES)]: inner(d) } }),
  (d) => ({ items: inner(d) }),
  (d) => ({ prefixItems: list(1 + draw(2), () => inner(d)) }),
  (d) => ({ contains: inner(d), minContains: draw(3), maxContains: draw(4) }),
  () => ({ minItems: draw(3), maxItems: 1 + draw(4) }),
  () => ({ uniqueItems: true }),
  (d) => ({ allOf: [inner(d), inner(d)] }),
  (d) => ({ anyOf: [inner(d), inner(d)] }),
  (d) => ({ oneOf: list(2 + draw(2), () => inner(d)) }),
  (d) => ({ not: inner(d) }),
  (d) => Object.fromEntries(['if', 'then', 'else'].map((keyword) => [keyword, inner(d)])),
  (d) => ({ unevaluatedProperties: draw(2) === 0 ? false : inner(d) }),
  (d) => ({ unevaluatedItems: draw(2) === 0 ? false : inner(d) }),
  () => ({ $ref: `#/$defs/${draw(2)}` }),
  () => pick(LEAVES)(),
];

const schema = (depth: number): Record<string, Json> =>
  Object.assign({}, ...list(1 + draw(4), () => pick(KEYWORDS)(depth - 1))) as Record<string, Json>;

/** Null where nothing is valid; undefined where it is refused. */
function compile(source: Json): Machine | null | undefined {
  try {
    return compileSchema(source).machine;
  } catch (error) {
    assert.ok(error instanceof GrammarError, JSON.stringify(source));
    return error.refused.some(({ reason }) => reason === 'no value is valid') ? null : undefined;
  }
}

test(`${SCHEMAS} random schemas accept what is valid, and nothing else`, async () => {
  let [compared, refused] = [0, 0];
  for (let i = 0; i < SCHEMAS; i++) {
    const source = { ...schema(3), $defs: { 0: inner(1), 1: pick(LEAVES)() } };
    const machine = compile(source);
    if (machine === undefined) refused++;
    if (machine === undefined) continue;
    const uri = `https://example.org/random/${i}`;
    registerSchema({ ...source, $schema: 'https://json-schema.org/draft/2020-12/schema' } as never, uri);
    const check = await validate(uri);
    for (let j = 0; j < VALUES; j++) {
      const instance = value(2);
      const text = JSON.stringify(instance);
      const accepted: boolean = machine !== null && acceptsWhole(machine, new TextEncoder().encode(text));
      assert.equal(accepted, check(instance as never).valid, `${JSON.stringify(source)} and ${text}`);
      compared++;
    }
    unregisterSchema(uri);
  }
  assert.ok(compared > (SCHEMAS * VALUES) / 2, `compared ${compared}, refused ${refused}`);
});
