// Filters on lists, dicts and whatever can be walked. Those that Jinja2 writes as generators are lazy here too:
// nothing of them happens, errors included, before somebody walks them.

import { bind } from './args.ts';
import { isDigit } from './characters.ts';
import { fail } from './errors.ts';
import { iterate, length, listOf, reversed } from './iterate.ts';
import { escapeHtml } from './markup.ts';
import { binary, equal, failUndefined, floorDivide, order, smallInteger } from './operators.ts';
import { repr, str } from './print.ts';
import { attribute, getitem } from './sandbox.ts';
import {
  Dict,
  GroupTuple,
  Iter,
  isTrue,
  type Kwargs,
  keyOf,
  Markup,
  type Native,
  orElse,
  type Runtime,
  Tuple,
  textOf,
  typeName,
  Undefined,
  type Value,
} from './values.ts';

type Getter = (value: Value) => Value;

const folded = (value: Value): Value => {
  const text = textOf(value);
  return text === null ? value : text.toLowerCase();
};

function partsOf(path: Value, { budget }: Runtime): Value[] {
  const text = textOf(path);
  if (text === null) return path === null ? [] : [path];
  budget.list(text.length);
  return text.split('.').map((part) => {
    const digits =
      part !== '' && part.length < 16 && Array.from(part).every((one) => isDigit(one.charCodeAt(0)));
    return digits ? BigInt(part) : part;
  });
}

/** Looks up `a.b.0` in a value. */
function getter(path: Value, runtime: Runtime, fallback: Value = null): Getter {
  const parts = partsOf(path, runtime);
  return (value) => {
    for (const part of parts) {
      value = getitem(value, part, runtime);
      if (fallback !== null && value instanceof Undefined) value = fallback;
    }
    return value;
  };
}

/** The value itself, or what stands at `path`; texts in lower case unless their case counts. */
function keyGetter(path: Value, caseSensitive: Value, runtime: Runtime, fallback: Value = null): Getter {
  const get = getter(path, runtime, fallback);
  return isTrue(caseSensitive) ? get : (value) => folded(get(value));
}

/** Stable, as Python's sorted; `reverse` keeps equal ones in their order. */
function sorted(items: readonly Value[], key: Getter, reverse: boolean, runtime: Runtime): Value[] {
  runtime.budget.list(items.length);
  const keyed = items.map((item) => ({ item, key: key(item) }));
  const sign = reverse ? -1 : 1;
  keyed.sort((a, b) => sign * order(a.key, b.key, '<', runtime.budget) || 0);
  return keyed.map(({ item }) => item);
}

const sort: Native = (args, kwargs, runtime) => {
  const names = ['value', 'reverse?', 'case_sensitive?', 'attribute?'];
  const [value, reverse = false, caseSensitive = false, path = null] = bind('do_sort', names, args, kwargs);
  const text = textOf(path);
  const getters = (text === null ? [path] : text.split(',')).map((one) =>
    keyGetter(one, caseSensitive, runtime),
  );
  const items = listOf(value!, runtime.budget);
  return sorted(items, (item) => getters.map((get) => get(item)), isTrue(reverse), runtime);
};

const dictsort: Native = (args, kwargs, runtime) => {
  const names = ['value', 'case_sensitive?', 'by?', 'reverse?'];
  const [value, caseSensitive = false, by = 'key', reverse = false] = bind(
    'do_dictsort',
    names,
    args,
    kwargs,
  );
  if (by !== 'key' && by !== 'value')
    fail('FilterArgumentError', 'You can only sort by either "key" or "value"');
  if (value instanceof Undefined) failUndefined(value);
  if (!(value instanceof Dict))
    return fail('AttributeError', `'${typeName(value!)}' object has no attribute 'items'`);
  const pairs = Array.from(value.entries(), (entry) => new Tuple(entry));
  const at = by === 'key' ? 0 : 1;
  const pick: Getter = (pair) => (pair as Tuple).items[at]!;
  return sorted(pairs, isTrue(caseSensitive) ? pick : (pair) => folded(pick(pair)), isTrue(reverse), runtime);
};

/** min and max: the first of the least, or of the greatest. */
const extreme =
  (name: string, operator: '<' | '>'): Native =>
  (args, kwargs, runtime) => {
    const names = ['value', 'case_sensitive?', 'attribute?'];
    const [value, caseSensitive = false, path = null] = bind(name, names, args, kwargs);
    const key = keyGetter(path, caseSensitive, runtime);
    let best: { item: Value; key: Value } | null = null;
    for (const item of iterate(value!, runtime.budget)) {
      const own = key(item);
      const by = best === null ? 0 : order(own, best.key, operator, runtime.budget);
      if (best === null || (operator === '<' ? by < 0 : by > 0)) best = { item, key: own };
    }
    return orElse(best?.item, () => new Undefined('No aggregated item, sequence was empty.'));
  };

function* uniqueOf(value: Value, key: Getter, { budget }: Runtime): Generator<Value> {
  const seen = new Dict();
  for (const item of iterate(value, budget)) {
    const own = key(item);
    if (keyOf(own) === null) fail('TypeError', `unhashable type: '${typeName(own)}'`);
    if (seen.has(own)) continue;
    seen.set(own, null);
    yield item;
  }
}

const unique: Native = (args, kwargs, runtime) => {
  const names = ['value', 'case_sensitive?', 'attribute?'];
  const [value, caseSensitive = false, path = null] = bind('sync_do_unique', names, args, kwargs);
  return new Iter(uniqueOf(value!, keyGetter(path, caseSensitive, runtime), runtime));
};

const groupby: Native = (args, kwargs, runtime) => {
  const names = ['value', 'attribute', 'default?', 'case_sensitive?'];
  const [value, path, fallback = null, caseSensitive = false] = bind('sync_do_groupby', names, args, kwargs);
  const key = keyGetter(path!, caseSensitive, runtime, fallback);
  const shown = getter(path!, runtime, fallback);
  const groups: { key: Value; items: Value[] }[] = [];
  for (const item of sorted(listOf(value!, runtime.budget), key, false, runtime)) {
    const own = key(item);
    const last = groups.at(-1);
    if (last !== undefined && equal(last.key, own, runtime.budget)) last.items.push(item);
    else groups.push({ key: own, items: [item] });
  }
  return groups.map(
    ({ key: own, items }) => new GroupTuple([isTrue(caseSensitive) ? own : shown(items[0]!), items]),
  );
};

const join: Native = (args, kwargs, runtime) => {
  const [value, by = '', path = null] = bind('sync_do_join', ['value', 'd?', 'attribute?'], args, kwargs);
  const { budget, autoescape } = runtime;
  const get: Getter = path === null ? (one) => one : getter(path, runtime);
  const items = Array.from(iterate(value!, budget), get);
  const isMarkup = autoescape && (by instanceof Markup || items.some((item) => item instanceof Markup));
  const shown = (one: Value) =>
    isMarkup && !(one instanceof Markup) ? escapeHtml(str(one, budget)) : str(one, budget);
  const between = shown(by);
  let text = '';
  for (const [i, item] of items.entries()) {
    text += (i > 0 ? between : '') + shown(item);
    budget.joined(text.length);
  }
  return isMarkup ? new Markup(text) : text;
};

const sum: Native = (args, kwargs, runtime) => {
  const [value, path = null, start = 0n] = bind(
    'sync_do_sum',
    ['iterable', 'attribute?', 'start?'],
    args,
    kwargs,
  );
  if (textOf(start) !== null) fail('TypeError', "sum() can't sum strings [use ''.join(seq) instead]");
  const get: Getter = path === null ? (one) => one : getter(path, runtime);
  let total = start;
  for (const item of iterate(value!, runtime.budget)) total = binary('+', total, get(item), runtime);
  return total;
};

function* slicesOf(value: Value, count: number, fill: Value, runtime: Runtime): Generator<Value> {
  const items = listOf(value, runtime.budget);
  if (count === 0) fail('ZeroDivisionError', 'integer division or modulo by zero');
  const size = Number(floorDivide(BigInt(items.length), BigInt(count)));
  const longer = items.length - size * count;
  let offset = 0;
  for (let i = 0; i < count; i++) {
    const start = offset + i * size;
    if (i < longer) offset++;
    const part = items.slice(start, offset + (i + 1) * size);
    if (fill !== null && i >= longer) part.push(fill);
    runtime.budget.spend(1 + part.length);
    yield part;
  }
}

const slice: Native = (args, kwargs, runtime) => {
  const [value, count, fill = null] = bind('sync_do_slice', ['value', 'slices', 'fill_with?'], args, kwargs);
  return new Iter(slicesOf(value!, smallInteger(count!), fill, runtime));
};

function* batchesOf(value: Value, size: number, fill: Value, { budget }: Runtime): Generator<Value> {
  let part: Value[] = [];
  for (const item of iterate(value, budget)) {
    if (part.length === size) {
      yield part;
      part = [];
    }
    part.push(item);
  }
  if (part.length === 0) return;
  if (fill !== null && part.length < size) {
    budget.list(size);
    while (part.length < size) part.push(fill);
  }
  yield part;
}

const batch: Native = (args, kwargs, runtime) => {
  const [value, size, fill = null] = bind('do_batch', ['value', 'linecount', 'fill_with?'], args, kwargs);
  return new Iter(batchesOf(value!, smallInteger(size!), fill, runtime));
};

const first: Native = (args, kwargs, { budget }) => {
  for (const item of iterate(bind('sync_do_first', ['seq'], args, kwargs)[0]!, budget)) return item;
  return new Undefined('No first item, sequence was empty.');
};

const last: Native = (args, kwargs, { budget }) => {
  const [value] = bind('do_last', ['seq'], args, kwargs);
  if (value instanceof Undefined) return new Undefined('No last item, sequence was empty.');
  const items = reversed(value!, budget);
  if (items === null) return fail('TypeError', `'${typeName(value!)}' object is not reversible`);
  const { done, value: item } = items.iterator.next();
  return done ? new Undefined('No last item, sequence was empty.') : item;
};

const random: Native = (args, kwargs, { budget }) => {
  const items = listOf(bind('do_random', ['seq'], args, kwargs)[0]!, budget);
  const item = items[Math.floor(Math.random() * items.length)];
  return orElse(item, () => new Undefined('No random item, sequence was empty.'));
};

const reverse: Native = (args, kwargs, { budget }) => {
  const [value] = bind('do_reverse', ['value'], args, kwargs);
  const text = textOf(value!);
  if (text !== null) {
    budget.list(text.length);
    const made = Array.from(text).reverse().join('');
    return value instanceof Markup ? new Markup(made) : made;
  }
  if (value instanceof Undefined) return new Iter([], 'reversed');
  const items = reversed(value!, budget);
  if (items !== null) return items;
  if (!(value instanceof Iter)) return fail('FilterArgumentError', 'argument must be iterable');
  return listOf(value, budget).reverse();
};

function* itemsOf(value: Value): Generator<Value> {
  if (value instanceof Undefined) return;
  if (!(value instanceof Dict)) fail('TypeError', 'Can only get item pairs from a mapping.');
  for (const entry of (value as Dict).entries()) yield new Tuple(entry);
}

function* mapped(value: Value, args: readonly Value[], kwargs: Kwargs, runtime: Runtime): Generator<Value> {
  if (!isTrue(value)) return;
  const apply = mapperOf(args, kwargs, runtime);
  for (const item of iterate(value, runtime.budget)) yield apply(item);
}

function mapperOf(args: readonly Value[], kwargs: Kwargs, runtime: Runtime): Getter {
  if (args.length === 0 && kwargs.has('attribute')) {
    for (const name of kwargs.keys())
      if (name !== 'attribute' && name !== 'default')
        fail('FilterArgumentError', `Unexpected keyword argument ${repr(name, runtime.budget)}`);
    return getter(kwargs.get('attribute')!, runtime, kwargs.get('default') ?? null);
  }
  if (args.length === 0) fail('FilterArgumentError', 'map requires a filter argument');
  return (item) => runtime.filter(args[0]!, [item, ...args.slice(1)], kwargs);
}

interface Selection {
  readonly keeps: boolean;
  readonly byAttribute: boolean;
}

function* selected(
  value: Value,
  args: readonly Value[],
  kwargs: Kwargs,
  { keeps, byAttribute }: Selection,
  runtime: Runtime,
): Generator<Value> {
  if (!isTrue(value)) return;
  if (byAttribute && args.length === 0) fail('FilterArgumentError', 'Missing parameter for attribute name');
  const get: Getter = byAttribute ? getter(args[0]!, runtime) : (item) => item;
  const [name, ...rest] = byAttribute ? args.slice(1) : args;
  for (const item of iterate(value, runtime.budget)) {
    const own = get(item);
    const holds = name === undefined ? own : runtime.test(name, [own, ...rest], kwargs);
    if (isTrue(holds) === keeps) yield item;
  }
}

const lazy =
  (
    name: string,
    make: (value: Value, args: readonly Value[], kwargs: Kwargs, runtime: Runtime) => Generator<Value>,
  ): Native =>
  ([value, ...args], kwargs, runtime) => {
    if (value === undefined)
      return fail('TypeError', `${name}() missing 1 required positional argument: 'value'`);
    return new Iter(make(value, args, kwargs, runtime));
  };

const select = (name: string, selection: Selection): Native =>
  lazy(name, (value, args, kwargs, runtime) => selected(value, args, kwargs, selection, runtime));

const attr: Native = (args, kwargs, runtime) => {
  const [value, name] = bind('do_attr', ['obj', 'name'], args, kwargs);
  if (value instanceof Undefined) failUndefined(value);
  const text = textOf(name!);
  if (text === null) return fail('TypeError', `attribute name must be string, not '${typeName(name!)}'`);
  const missing = () =>
    new Undefined(`'${typeName(value!)} object' has no attribute ${repr(text, runtime.budget)}`);
  return orElse(attribute(value!, text, runtime), missing);
};

const count: Native = (args, kwargs, { budget }) =>
  BigInt(length(bind('len', ['obj'], args, kwargs)[0]!, budget));

export const LIST_FILTERS: readonly (readonly [string, Native])[] = [
  ['attr', attr],
  ['batch', batch],
  ['count', count],
  ['length', count],
  ['dictsort', dictsort],
  ['first', first],
  ['groupby', groupby],
  ['items', lazy('do_items', itemsOf)],
  ['join', join],
  ['last', last],
  ['list', (args, kwargs, { budget }) => listOf(bind('sync_do_list', ['value'], args, kwargs)[0]!, budget)],
  ['map', lazy('sync_do_map', mapped)],
  ['max', extreme('do_max', '>')],
  ['min', extreme('do_min', '<')],
  ['random', random],
  ['reject', select('sync_do_reject', { keeps: false, byAttribute: false })],
  ['rejectattr', select('sync_do_rejectattr', { keeps: false, byAttribute: true })],
  ['reverse', reverse],
  ['select', select('sync_do_select', { keeps: true, byAttribute: false })],
  ['selectattr', select('sync_do_selectattr', { keeps: true, byAttribute: true })],
  ['slice', slice],
  ['sort', sort],
  ['sum', sum],
  ['unique', unique],
];
