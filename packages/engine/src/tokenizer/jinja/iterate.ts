// Walking values, and how many there are.

import { characters, lengthOf } from './characters.ts';
import { fail } from './errors.ts';
import type { Budget } from './limits.ts';
import { Dict, DictView, Iter, Range, Tuple, textOf, typeName, Undefined, type Value } from './values.ts';

/** iter(value): each item is paid for when it is taken. */
export function* iterate(value: Value, budget: Budget): Generator<Value> {
  for (const item of iterable(value, budget)) {
    budget.spend(1);
    yield item;
  }
}

/** Throws at once for what cannot be walked. */
export function iterable(value: Value, budget: Budget): Iterable<Value> {
  if (Array.isArray(value)) return value;
  const text = textOf(value);
  if (text !== null) {
    budget.list(text.length);
    return characters(text);
  }
  if (value instanceof Tuple) return value.items;
  if (value instanceof Dict) return value.keys();
  if (value instanceof DictView) return value.items();
  if (value instanceof Range) return rangeItems(value);
  if (value instanceof Iter) return { [Symbol.iterator]: () => value.iterator };
  if (value instanceof Undefined) return [];
  return fail('TypeError', `'${typeName(value)}' object is not iterable`);
}

function* rangeItems(range: Range): Generator<Value> {
  for (let i = 0; i < range.length; i++) yield range.at(i);
}

/** list(value) */
export function listOf(value: Value, budget: Budget): Value[] {
  const items: Value[] = [];
  for (const item of iterate(value, budget)) items.push(item);
  return items;
}

/** len(value); null for what has none. */
export function sizeOf(value: Value, budget: Budget): number | null {
  if (Array.isArray(value)) return value.length;
  const text = textOf(value);
  if (text !== null) {
    budget.text(text.length);
    return lengthOf(text);
  }
  if (value instanceof Tuple) return value.items.length;
  if (value instanceof Dict) return value.size;
  if (value instanceof DictView) return value.dict.size;
  if (value instanceof Range) return value.length;
  return value instanceof Undefined ? 0 : null;
}

/** len(value) */
export function length(value: Value, budget: Budget): number {
  return sizeOf(value, budget) ?? fail('TypeError', `object of type '${typeName(value)}' has no len()`);
}

/** reversed(value); null for what Python cannot reverse. */
export function reversed(value: Value, budget: Budget): Iter | null {
  const items = Array.isArray(value)
    ? value
    : value instanceof Dict ||
        value instanceof DictView ||
        value instanceof Range ||
        value instanceof Tuple ||
        textOf(value) !== null
      ? listOf(value, budget)
      : null;
  if (items === null) return null;
  const name = Array.isArray(value) ? 'list_reverseiterator' : 'reversed';
  return new Iter(backwards(items), name);
}

function* backwards(items: readonly Value[]): Generator<Value> {
  for (let i = items.length - 1; i >= 0; i--) yield items[i]!;
}
