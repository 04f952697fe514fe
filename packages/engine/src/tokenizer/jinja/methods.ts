// Attributes and methods of values that are no texts, and which of them the sandbox keeps from templates: what
// would change a list or dict, and Python's own (`__class__` and the like).

import { bind } from './args.ts';
import { fail } from './errors.ts';
import { listOf } from './iterate.ts';
import { equal, smallInteger } from './operators.ts';
import { repr } from './print.ts';
import {
  Callable,
  Dict,
  DictView,
  GroupTuple,
  type Native,
  orElse,
  Range,
  Tuple,
  typeName,
  type Value,
} from './values.ts';

/** Methods that change their value. They exist, so they hide items of the same name, but cannot be called. */
export const CHANGING: Readonly<Record<string, ReadonlySet<string>>> = {
  list: new Set(['append', 'clear', 'pop', 'reverse', 'insert', 'sort', 'extend', 'remove']),
  dict: new Set(['clear', 'pop', 'popitem', 'setdefault', 'update']),
};

/** What every Python object has, and templates may not see. */
export const INTERNAL: ReadonlySet<string> = new Set(
  (
    '__class__ __delattr__ __dir__ __doc__ __eq__ __format__ __ge__ __getattribute__ __getstate__ __gt__ __hash__ ' +
    '__init__ __init_subclass__ __le__ __lt__ __ne__ __new__ __reduce__ __reduce_ex__ __repr__ __setattr__ ' +
    '__sizeof__ __str__ __subclasshook__'
  ).split(' '),
);

const method = (name: string, run: Native): Callable => new Callable(name, run);

/** An attribute of a list, tuple, dict, number, range or view; undefined where there is none. */
export function attributeOf(value: Value, name: string): Value | undefined {
  if (typeof value === 'bigint' || typeof value === 'boolean') return integerAttribute(BigInt(value), name);
  if (typeof value === 'number') return floatAttribute(value, name);
  if (Array.isArray(value))
    return name === 'copy' ? method(name, () => [...value]) : sequenceAttribute(value, name, 'list');
  if (value instanceof GroupTuple && (name === 'grouper' || name === 'list'))
    return value.items[name === 'grouper' ? 0 : 1];
  if (value instanceof Tuple) return sequenceAttribute(value.items, name, 'tuple');
  if (value instanceof Dict) return dictAttribute(value, name);
  if (value instanceof Range) return rangeAttribute(value, name);
  if (value instanceof DictView && name === 'mapping') return value.dict;
  return undefined;
}

function integerAttribute(value: bigint, name: string): Value | undefined {
  const size = value < 0n ? -value : value;
  switch (name) {
    case 'real':
    case 'numerator':
      return value;
    case 'imag':
      return 0n;
    case 'denominator':
      return 1n;
    case 'conjugate':
      return method(name, () => value);
    case 'bit_length':
      return method(name, () => BigInt(size === 0n ? 0 : size.toString(2).length));
    case 'bit_count':
      return method(name, () => BigInt(size.toString(2).split('1').length - 1));
    case 'as_integer_ratio':
      return method(name, () => new Tuple([value, 1n]));
    default:
      return undefined;
  }
}

function floatAttribute(value: number, name: string): Value | undefined {
  if (name === 'real') return value;
  if (name === 'imag') return 0;
  if (name === 'conjugate') return method(name, () => value);
  return name === 'is_integer' ? method(name, () => Number.isInteger(value)) : undefined;
}

function sequenceAttribute(items: readonly Value[], name: string, type: string): Value | undefined {
  if (name === 'count')
    return method(name, (args, kwargs, { budget }) => {
      const [wanted] = bind('count', ['value'], args, kwargs);
      return BigInt(items.filter((item) => equal(item, wanted!, budget)).length);
    });
  if (name !== 'index') return undefined;
  return method(name, (args, kwargs, { budget }) => {
    const [wanted, start = 0n, stop] = bind('index', ['value', 'start?', 'stop?'], args, kwargs);
    const place = (at: number) => Math.max(at < 0 ? at + items.length : at, 0);
    const end = stop === undefined ? items.length : Math.min(place(smallInteger(stop)), items.length);
    for (let i = place(smallInteger(start)); i < end; i++)
      if (equal(items[i]!, wanted!, budget)) return BigInt(i);
    return fail(
      'ValueError',
      type === 'list' ? `${repr(wanted!, budget)} is not in list` : 'tuple.index(x): x not in tuple',
    );
  });
}

function dictAttribute(dict: Dict, name: string): Value | undefined {
  switch (name) {
    case 'get':
      return method(name, (args, kwargs) => {
        const [key, fallback = null] = bind('get', ['key', 'default?'], args, kwargs);
        needHashable(key!);
        return orElse(dict.get(key!), () => fallback);
      });
    case 'keys':
    case 'values':
    case 'items':
      return method(name, (args, kwargs) => {
        bind(name, [], args, kwargs);
        return new DictView(`dict_${name}`, dict);
      });
    case 'copy':
      return method(name, () => copyOf(dict));
    case 'fromkeys':
      return method(name, fromKeys);
    default:
      return undefined;
  }
}

export function needHashable(key: Value): void {
  if (!new Dict().set(key, null)) fail('TypeError', `unhashable type: '${typeName(key)}'`);
}

export function copyOf(dict: Dict): Dict {
  const made = new Dict();
  for (const [key, value] of dict.entries()) made.set(key, value);
  return made;
}

/** dict.fromkeys(keys, value) */
export const fromKeys: Native = (args, kwargs, { budget }) => {
  const [keys, value = null] = bind('fromkeys', ['iterable', 'value?'], args, kwargs);
  const made = new Dict();
  for (const key of listOf(keys!, budget)) {
    needHashable(key);
    made.set(key, value);
  }
  return made;
};

function rangeAttribute(range: Range, name: string): Value | undefined {
  if (name === 'start' || name === 'stop' || name === 'step') return range[name];
  if (name !== 'count' && name !== 'index') return undefined;
  return method(name, (args, kwargs, runtime) => {
    const items = listOf(range, runtime.budget);
    const found = sequenceAttribute(items, name, 'range') as Callable;
    return found.run(args, kwargs, runtime);
  });
}
