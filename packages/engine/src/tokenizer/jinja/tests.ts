// `is` tests: Jinja2's.

import { bind } from './args.ts';
import { sizeOf } from './iterate.ts';
import { binary, contains, equal, numberOf, order } from './operators.ts';
import { str } from './print.ts';
import { isLower, isUpper } from './text-case.ts';
import {
  Attributes,
  Callable,
  Dict,
  DictView,
  Iter,
  Markup,
  type Native,
  type Runtime,
  textOf,
  typeName,
  Undefined,
  type Value,
} from './values.ts';

type Check = (value: Value, runtime: Runtime) => boolean;

const one =
  (name: string, check: Check): Native =>
  (args, kwargs, runtime) =>
    check(bind(name, ['value'], args, kwargs)[0]!, runtime);

type Pair = (value: Value, other: Value, runtime: Runtime) => boolean;

const two =
  (name: string, check: Pair): Native =>
  (args, kwargs, runtime) => {
    const [value, other] = bind(name, ['value', 'other'], args, kwargs);
    return check(value!, other!, runtime);
  };

/** value % by == rest */
function rest(value: Value, by: Value, wanted: bigint, runtime: Runtime): boolean {
  return equal(binary('%', value, by, runtime), wanted, runtime.budget);
}

const compare =
  (operator: string, holds: (order: number) => boolean): Pair =>
  (value, other, { budget }) =>
    holds(order(value, other, operator, budget));

const isSequence: Check = (value, { budget }) =>
  sizeOf(value, budget) !== null &&
  !(value instanceof DictView) &&
  !(value instanceof Undefined && value.isUnsafe);

const isIterable: Check = (value, { budget }) => sizeOf(value, budget) !== null || value instanceof Iter;

const isCallable: Check = (value) =>
  value instanceof Callable ||
  (value instanceof Attributes && value.run !== undefined) ||
  value instanceof Undefined;

function isSame(value: Value, other: Value): boolean {
  // Small integers and interned texts are one object in Python, as equal primitives are here.
  if (textOf(value) === '' && textOf(other) === '') return true;
  return Object.is(value, other);
}

const eq = two('eq', (value, other, { budget }) => equal(value, other, budget));
const ne = two('ne', (value, other, { budget }) => !equal(value, other, budget));
const gt = two(
  'gt',
  compare('>', (by) => by > 0),
);
const ge = two(
  'ge',
  compare('>=', (by) => by >= 0),
);
const lt = two(
  'lt',
  compare('<', (by) => by < 0),
);
const le = two(
  'le',
  compare('<=', (by) => by <= 0),
);

const names = (value: Value): string =>
  textOf(value) ?? (typeof value === 'object' && value !== null ? `#${typeName(value)}` : '');

/** `names` of filters are passed, since tests know nothing of them. */
export function testsOf(filters: ReadonlySet<string>): ReadonlyMap<string, Native> {
  const tests = new Map<string, Native>(TESTS);
  tests.set(
    'filter',
    one('test_filter', (value) => filters.has(names(value))),
  );
  tests.set(
    'test',
    one('test_test', (value) => tests.has(names(value))),
  );
  return tests;
}

const TESTS: readonly (readonly [string, Native])[] = [
  ['odd', one('test_odd', (value, runtime) => rest(value, 2n, 1n, runtime))],
  ['even', one('test_even', (value, runtime) => rest(value, 2n, 0n, runtime))],
  [
    'divisibleby',
    (args, kwargs, runtime) => {
      const [value, by] = bind('test_divisibleby', ['value', 'num'], args, kwargs);
      return rest(value!, by!, 0n, runtime);
    },
  ],
  ['defined', one('test_defined', (value) => !(value instanceof Undefined))],
  ['undefined', one('test_undefined', (value) => value instanceof Undefined)],
  ['none', one('test_none', (value) => value === null)],
  ['boolean', one('test_boolean', (value) => typeof value === 'boolean')],
  ['false', one('test_false', (value) => value === false)],
  ['true', one('test_true', (value) => value === true)],
  ['integer', one('test_integer', (value) => typeof value === 'bigint')],
  ['float', one('test_float', (value) => typeof value === 'number')],
  ['lower', one('test_lower', (value, { budget }) => isLower(str(value, budget)))],
  ['upper', one('test_upper', (value, { budget }) => isUpper(str(value, budget)))],
  ['string', one('test_string', (value) => textOf(value) !== null)],
  ['mapping', one('test_mapping', (value) => value instanceof Dict)],
  ['number', one('test_number', (value) => numberOf(value) !== null)],
  ['sequence', one('test_sequence', isSequence)],
  ['iterable', one('test_iterable', isIterable)],
  ['callable', one('callable', isCallable)],
  ['sameas', two('test_sameas', isSame)],
  ['escaped', one('test_escaped', (value) => value instanceof Markup)],
  ['in', two('test_in', (value, holder, { budget }) => contains(holder, value, budget))],
  ['==', eq],
  ['eq', eq],
  ['equalto', eq],
  ['!=', ne],
  ['ne', ne],
  ['>', gt],
  ['gt', gt],
  ['greaterthan', gt],
  ['ge', ge],
  ['>=', ge],
  ['<', lt],
  ['lt', lt],
  ['lessthan', lt],
  ['<=', le],
  ['le', le],
];
