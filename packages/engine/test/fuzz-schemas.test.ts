// Mutated schemas: an error that says why, or a machine whose every state leads on. Nothing else, and nothing that takes
// long: a schema that would is refused.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { GrammarError } from '../src/errors.ts';
import { compileSchema } from '../src/grammar/json/compile-schema.ts';
import { DEAD, type Machine } from '../src/grammar/machine.ts';
import { CORPUS } from './schema-corpus.ts';

const MUTATIONS = 10_000;
/** Steps through the machine of each mutant. */
const STEPS = 12;

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

function generator(seed: number): (n: number) => number {
  return (n) => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    return (seed >> 8) % n;
  };
}

const suite = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../../fixtures/json-schema/draft2020-12.json'), 'utf8'),
) as { readonly schema: Json }[];
const SEEDS: readonly Json[] = [...suite.map(({ schema }) => schema), ...(Object.values(CORPUS) as Json[])];

const VALUES: readonly Json[] = [
  ...[null, true, false, 0, -1, 1, 2.5, 1e308, 1e-320, 2 ** 53, 64, 100_000],
  ...[
    '',
    'a',
    '#',
    '#/',
    '#/$defs/a',
    '^',
    '(',
    'a{1000}',
    '(a|a)*b',
    '\\p{L}+',
    'date',
    'object',
    '\ud800',
    '__proto__',
  ],
  ...[[], {}, ['a'], { type: 'object' }, { not: {} }, { $ref: '#' }],
];

/** Keys of all seeds: what may be put anywhere. */
const KEYS = [...new Set(SEEDS.flatMap((seed) => keysOf(seed)))].filter((key) => key !== 'length');

function keysOf(value: Json): string[] {
  if (typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value)) return value.flatMap(keysOf);
  return Object.entries(value).flatMap(([key, inner]) => [key, ...keysOf(inner)]);
}

/** Changes one place at random. */
function mutate(seed: Json, draw: (n: number) => number): Json {
  const copy = structuredClone(seed);
  const places: (Json[] | { [key: string]: Json })[] = [];
  const visit = (value: Json): void => {
    if (typeof value !== 'object' || value === null) return;
    places.push(value);
    for (const inner of Object.values(value)) visit(inner);
  };
  visit(copy);
  if (places.length === 0) return VALUES[draw(VALUES.length)];
  const place = places[draw(places.length)] as { [key: string]: Json };
  const keys = Object.keys(place);
  const key = keys[draw(Math.max(1, keys.length))] ?? 'type';
  const other = structuredClone(SEEDS[draw(SEEDS.length)]);
  switch (draw(6)) {
    case 0:
      delete place[key];
      break;
    case 1:
      place[key] = structuredClone(VALUES[draw(VALUES.length)]);
      break;
    case 2:
      place[key] = other;
      break;
    case 3:
      place[KEYS[draw(KEYS.length)]] = structuredClone(VALUES[draw(VALUES.length)]);
      break;
    case 4:
      place[KEYS[draw(KEYS.length)]] = place[key] ?? null;
      break;
    default:
      if (typeof other === 'object' && !Array.isArray(other)) Object.assign(place, other);
  }
  return copy;
}

function walk(machine: Machine, draw: (n: number) => number, schema: Json): void {
  let state = machine.start;
  for (let step = 0; step < STEPS; step++) {
    let next = DEAD;
    const first = draw(256);
    for (let i = 0; i < 256 && next === DEAD; i++) next = machine.step(state, (first + 37 * i) & 255);
    if (next === DEAD) assert.ok(machine.accepts(state), `a dead end: ${JSON.stringify(schema)}`);
    if (next === DEAD) return;
    state = next;
  }
}

test(`${MUTATIONS} mutated schemas: an error or a machine`, () => {
  const draw = generator(20_261_129);
  let compiled = 0;
  for (let i = 0; i < MUTATIONS; i++) {
    let schema = SEEDS[draw(SEEDS.length)];
    for (let times = 1 + draw(3); times > 0; times--) schema = mutate(schema, draw);
    try {
      walk(compileSchema(schema).machine, draw, schema);
      compiled++;
    } catch (error) {
      if (!(error instanceof GrammarError))
        throw new Error(`mutation ${i}: ${JSON.stringify(schema)}`, { cause: error });
    }
  }
  assert.ok(compiled > MUTATIONS / 4, `expected many to compile, found ${compiled}`);
});
