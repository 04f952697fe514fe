// Python's values in JavaScript: int is bigint, float is number, str is string, list is an array; everything else
// is a class here. So 1 and 1.0 stay what they are, and integers keep all their digits.

import type { Budget } from './limits.ts';

/** Any value of a template. */
export type Value = null | boolean | bigint | number | string | Value[] | Thing;

export type Kwargs = ReadonlyMap<string, Value>;

/** What filters, methods and globals may ask of who runs the template. */
export interface Runtime {
  readonly budget: Budget;
  /** Inside {% autoescape true %}. */
  readonly autoescape: boolean;
  call(callee: Value, args: readonly Value[], kwargs: Kwargs): Value;
  filter(name: Value, args: readonly Value[], kwargs: Kwargs): Value;
  test(name: Value, args: readonly Value[], kwargs: Kwargs): Value;
  now(): Date;
}

export type Native = (args: readonly Value[], kwargs: Kwargs, runtime: Runtime) => Value;

/** A value that is not one of JavaScript's own. */
export abstract class Thing {
  /** As `type(value).__name__`. */
  abstract readonly typeName: string;
}

/** A text that {% autoescape %} and `escape` leave alone. */
export class Markup extends Thing {
  readonly typeName = 'Markup';
  readonly text: string;
  constructor(text: string) {
    super();
    this.text = text;
  }
}

export class Tuple extends Thing {
  readonly typeName: string = 'tuple';
  readonly items: readonly Value[];
  constructor(items: readonly Value[]) {
    super();
    this.items = items;
  }
}

/** What `groupby` makes: a tuple whose two items have names. */
export class GroupTuple extends Tuple {
  override readonly typeName = '_GroupTuple';
}

/** Keys of equal hash and value are one key: 1, 1.0 and true. */
type Key = string | bigint | number | null | object;

const TUPLE_KEY = '\uffff';
const objectKeys = new WeakMap<object, number>();
let objects = 0;

/** The key of a dict's entry; null for what cannot be one (lists, dicts). */
export function keyOf(value: Value): { key: Key } | null {
  if (typeof value === 'string') return { key: value.startsWith(TUPLE_KEY) ? TUPLE_KEY + value : value };
  if (typeof value === 'boolean') return { key: value ? 1n : 0n };
  if (typeof value === 'number') return { key: Number.isInteger(value) ? BigInt(value) : value };
  if (value === null || typeof value === 'bigint') return { key: value };
  if (value instanceof Markup) return keyOf(value.text);
  if (value instanceof Tuple) {
    const parts = value.items.map(keyOf);
    return parts.some((part) => part === null)
      ? null
      : { key: `${TUPLE_KEY}(${parts.map(spelled).join(',')})` };
  }
  return Array.isArray(value) || value instanceof Dict ? null : { key: value };
}

/** A key as text, no two alike. */
function spelled(part: { key: Key } | null): string {
  const key = part?.key ?? null;
  if (typeof key === 'string') return JSON.stringify(key);
  if (typeof key !== 'object' || key === null) return `${key}`;
  if (!objectKeys.has(key)) objectKeys.set(key, ++objects);
  return `#${objectKeys.get(key)}`;
}

export class Dict extends Thing {
  readonly typeName = 'dict';
  readonly #entries = new Map<Key, [key: Value, value: Value]>();

  static of(entries: Iterable<readonly [string, Value]>): Dict {
    const dict = new Dict();
    for (const [key, value] of entries) dict.set(key, value);
    return dict;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Undefined where there is none. */
  get(key: Value): Value | undefined {
    const found = keyOf(key);
    return found === null ? undefined : this.#entries.get(found.key)?.[1];
  }

  has(key: Value): boolean {
    const found = keyOf(key);
    return found !== null && this.#entries.has(found.key);
  }

  /** Whether `key` can be one. An equal key keeps its first form and place. */
  set(key: Value, value: Value): boolean {
    const found = keyOf(key);
    if (found === null) return false;
    const entry = this.#entries.get(found.key);
    if (entry === undefined) this.#entries.set(found.key, [key, value]);
    else entry[1] = value;
    return true;
  }

  keys(): Value[] {
    return Array.from(this.#entries.values(), ([key]) => key);
  }

  values(): Value[] {
    return Array.from(this.#entries.values(), ([, value]) => value);
  }

  entries(): IterableIterator<readonly [key: Value, value: Value]> {
    return this.#entries.values();
  }
}

/**
 * The arguments of a tool call: an object for templates that want one, and the text that they came as for those
 * that splice them into their own (DeepSeek, functionary). Clients send them either way.
 */
export class JsonObjectText extends Dict {
  readonly #write: () => string;
  /** They came as text, so that is what they print as. */
  readonly wasText: boolean;
  constructor(object: Dict, write: () => string, wasText: boolean) {
    super();
    this.#write = write;
    this.wasText = wasText;
    for (const [key, value] of object.entries()) this.set(key, value);
  }

  get text(): string {
    return this.#write();
  }
}

/** What a template has no value for. Prints as nothing, fails when it is used. */
export class Undefined extends Thing {
  readonly typeName = 'Undefined';
  /** Why, in Jinja2's words. */
  readonly message: string;
  readonly isUnsafe: boolean;
  constructor(message: string, isUnsafe = false) {
    super();
    this.message = message;
    this.isUnsafe = isUnsafe;
  }
}

/** A function: a filter, a method of a value, a global. */
export class Callable extends Thing {
  readonly typeName: string;
  readonly name: string;
  readonly run: Native;
  constructor(name: string, run: Native, typeName = 'builtin_function_or_method') {
    super();
    this.name = name;
    this.run = run;
    this.typeName = typeName;
  }
}

/** What is walked once: `map`, `select` and the like, `reversed`. */
export class Iter extends Thing {
  readonly typeName: string;
  readonly iterator: Iterator<Value>;
  constructor(iterable: Iterable<Value>, typeName = 'generator') {
    super();
    this.iterator = iterable[Symbol.iterator]();
    this.typeName = typeName;
  }
}

export class Range extends Thing {
  readonly typeName = 'range';
  readonly start: bigint;
  readonly stop: bigint;
  readonly step: bigint;
  readonly length: number;
  constructor(start: bigint, stop: bigint, step: bigint) {
    super();
    this.start = start;
    this.stop = stop;
    this.step = step;
    const span = step > 0n ? stop - start + step - 1n : start - stop - step - 1n;
    this.length = Number(span <= 0n ? 0n : span / (step > 0n ? step : -step));
  }

  at(index: number): bigint {
    return this.start + this.step * BigInt(index);
  }
}

export type ViewKind = 'dict_keys' | 'dict_values' | 'dict_items';

/** `.keys()`, `.values()` and `.items()` of a dict. */
export class DictView extends Thing {
  readonly typeName: ViewKind;
  readonly dict: Dict;
  constructor(typeName: ViewKind, dict: Dict) {
    super();
    this.typeName = typeName;
    this.dict = dict;
  }

  items(): Value[] {
    if (this.typeName === 'dict_keys') return this.dict.keys();
    if (this.typeName === 'dict_values') return this.dict.values();
    return Array.from(this.dict.entries(), (entry) => new Tuple(entry));
  }
}

/** The only value whose attributes a template may set. */
export class Namespace extends Thing {
  readonly typeName = 'TemplateNamespace';
  readonly attributes: Dict;
  constructor(attributes: Dict) {
    super();
    this.attributes = attributes;
  }
}

/** A value with named parts of its own: loops, macros, cyclers. */
export abstract class Attributes extends Thing {
  /** Undefined where there is none. */
  abstract attribute(name: string, runtime: Runtime): Value | undefined;
  /** As `repr`. */
  abstract printed(): string;
  /** Undefined: not callable. */
  readonly run?: Native;
}

export function typeName(value: Value): string {
  if (value === null) return 'NoneType';
  switch (typeof value) {
    case 'boolean':
      return 'bool';
    case 'bigint':
      return 'int';
    case 'number':
      return 'float';
    case 'string':
      return 'str';
    default:
      return Array.isArray(value) ? 'list' : value.typeName;
  }
}

/** The characters of a str; null for other values. */
export function textOf(value: Value): string | null {
  if (typeof value === 'string') return value;
  return value instanceof Markup ? value.text : null;
}

/** bool(value) */
export function isTrue(value: Value): boolean {
  if (value === null || value === undefined) return false;
  switch (typeof value) {
    case 'boolean':
      return value;
    case 'bigint':
      return value !== 0n;
    case 'number':
      return value !== 0;
    case 'string':
      return value !== '';
    default:
      return isFull(value);
  }
}

function isFull(value: Value[] | Thing): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (value instanceof Markup) return value.text !== '';
  if (value instanceof Tuple) return value.items.length > 0;
  if (value instanceof Dict) return value.size > 0;
  if (value instanceof Range) return value.length > 0;
  if (value instanceof DictView) return value.dict.size > 0;
  return !(value instanceof Undefined);
}

/** `value`, or what `otherwise` makes where there is none. None is a value, which `??` would pass over. */
export function orElse(value: Value | undefined, otherwise: () => Value): Value {
  return value === undefined ? otherwise() : value;
}
