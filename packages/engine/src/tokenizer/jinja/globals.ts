// Functions that every template has: Jinja2's own in its sandbox, and those that transformers adds.

import { bind } from './args.ts';
import { fail, Refusal } from './errors.ts';
import { iterate, listOf } from './iterate.ts';
import { copyOf, fromKeys, needHashable } from './methods.ts';
import { integerOf } from './operators.ts';
import { repr, str } from './print.ts';
import { strftime } from './strftime.ts';
import {
  Attributes,
  Callable,
  Dict,
  type Kwargs,
  Namespace,
  type Native,
  Range,
  type Runtime,
  textOf,
  typeName,
  type Value,
} from './values.ts';

/** Jinja2's sandbox allows no longer ones. */
const LONGEST_RANGE = 100_000;

const range: Native = (args, kwargs) => {
  if (kwargs.size > 0) fail('TypeError', 'range() takes no keyword arguments');
  if (args.length === 0) fail('TypeError', 'range expected at least 1 argument, got 0');
  if (args.length > 3) fail('TypeError', `range expected at most 3 arguments, got ${args.length}`);
  const [a, b, step = 1n] = args.map(integerOf);
  if (step === 0n) fail('ValueError', 'range() arg 3 must not be zero');
  const made = b === undefined ? new Range(0n, a!, 1n) : new Range(a!, b, step);
  if (made.length > LONGEST_RANGE)
    fail(
      'OverflowError',
      `Range too big. The sandbox blocks ranges larger than MAX_RANGE (${LONGEST_RANGE}).`,
    );
  return made;
};

/** dict(mapping or pairs, **named) */
function makeDict(args: readonly Value[], kwargs: Kwargs, { budget }: Runtime): Dict {
  if (args.length > 1) fail('TypeError', `dict expected at most 1 argument, got ${args.length}`);
  const [from] = args;
  const made = from instanceof Dict ? copyOf(from) : new Dict();
  if (from !== undefined && !(from instanceof Dict)) {
    let index = 0;
    for (const pair of iterate(from, budget)) {
      const items = listOf(pair, budget);
      if (items.length !== 2)
        fail(
          'ValueError',
          `dictionary update sequence element #${index} has length ${items.length}; 2 is required`,
        );
      needHashable(items[0]!);
      made.set(items[0]!, items[1]!);
      index++;
    }
  }
  for (const [key, value] of kwargs) made.set(key, value);
  return made;
}

/** The `dict` of templates: a function with one method. */
class DictType extends Attributes {
  readonly typeName = 'TemplateDict';
  override readonly run: Native = makeDict;

  attribute(name: string): Value | undefined {
    return name === 'fromkeys' ? new Callable(name, fromKeys, 'method') : undefined;
  }

  printed(): string {
    return '<TemplateDict object>';
  }
}

export function checkNamespaceName(name: Value, runtime: Runtime): void {
  const text = textOf(name);
  if (text?.startsWith('_'))
    fail(
      'SecurityError',
      `Chat templates cannot store underscore-prefixed attributes on a namespace, but got ${repr(name, runtime.budget)}. Please rename the attribute.`,
    );
}

const namespace: Native = (args, kwargs, runtime) => {
  const attributes = makeDict(args, kwargs, runtime);
  for (const name of attributes.keys()) checkNamespaceName(name, runtime);
  return new Namespace(attributes);
};

class Cycler extends Attributes {
  readonly typeName = 'Cycler';
  readonly #items: readonly Value[];
  #at = 0;

  constructor(items: readonly Value[]) {
    super();
    this.#items = items;
  }

  attribute(name: string): Value | undefined {
    if (name === 'current') return this.#items[this.#at];
    if (name === 'pos') return BigInt(this.#at);
    if (name === 'items') return [...this.#items];
    if (name === 'reset')
      return new Callable(
        name,
        () => {
          this.#at = 0;
          return null;
        },
        'method',
      );
    if (name !== 'next') return undefined;
    return new Callable(
      name,
      () => {
        const item = this.#items[this.#at]!;
        this.#at = (this.#at + 1) % this.#items.length;
        return item;
      },
      'method',
    );
  }

  printed(): string {
    return '<Cycler object>';
  }
}

const cycler: Native = (args) => {
  if (args.length === 0) fail('RuntimeError', 'at least one item has to be provided');
  return new Cycler(args);
};

class Joiner extends Attributes {
  readonly typeName = 'Joiner';
  readonly #separator: Value;
  #used = false;

  constructor(separator: Value) {
    super();
    this.#separator = separator;
  }

  attribute(name: string): Value | undefined {
    if (name === 'sep') return this.#separator;
    return name === 'used' ? this.#used : undefined;
  }

  override readonly run: Native = () => {
    if (this.#used) return this.#separator;
    this.#used = true;
    return '';
  };

  printed(): string {
    return '<Joiner object>';
  }
}

const joiner: Native = (args, kwargs) => new Joiner(bind('joiner', ['sep?'], args, kwargs)[0] ?? ', ');

const raiseException: Native = (args, kwargs, { budget }) => {
  const [message] = bind('raise_exception', ['message'], args, kwargs);
  throw new Refusal(str(message!, budget).slice(0, 2000));
};

const strftimeNow: Native = (args, kwargs, { now, budget }) => {
  const [format] = bind('strftime_now', ['format'], args, kwargs);
  const text = textOf(format!);
  if (text === null) return fail('TypeError', `strftime() argument 1 must be str, not ${typeName(format!)}`);
  budget.text(text.length * 8);
  return strftime(text, now());
};

/** Jinja2's filler text is drawn by chance; a prompt that changes from call to call helps nobody. */
const lipsum: Native = () => fail('RuntimeError', 'lipsum writes random text, which no prompt should hold');

export const GLOBALS: ReadonlyMap<string, Value> = new Map<string, Value>([
  ['range', new Callable('range', range, 'function')],
  ['dict', new DictType()],
  ['namespace', new Callable('namespace', namespace, 'type')],
  ['cycler', new Callable('cycler', cycler, 'type')],
  ['joiner', new Callable('joiner', joiner, 'type')],
  ['lipsum', new Callable('lipsum', lipsum, 'function')],
  ['raise_exception', new Callable('raise_exception', raiseException, 'function')],
  ['strftime_now', new Callable('strftime_now', strftimeNow, 'function')],
]);
