// Python's operators on values: arithmetic, comparison, membership, items and slices.

import { characters, unitFromEnd, unitOf } from './characters.ts';
import { fail } from './errors.ts';
import { percentFormat } from './format-percent.ts';
import { iterate } from './iterate.ts';
import type { Budget } from './limits.ts';
import { escapeHtml } from './markup.ts';
import type { BinaryOperator } from './nodes.ts';
import { str } from './print.ts';
import {
  Dict,
  DictView,
  JsonObjectText,
  keyOf,
  Markup,
  Range,
  type Runtime,
  Tuple,
  textOf,
  typeName,
  Undefined,
  type Value,
} from './values.ts';

type Number_ = bigint | number;

/** An int or float; bool counts as int. Null for others. */
export function numberOf(value: Value): Number_ | null {
  if (typeof value === 'bigint' || typeof value === 'number') return value;
  return typeof value === 'boolean' ? (value ? 1n : 0n) : null;
}

/** The value of an argument that must be an integer. */
export function integerOf(value: Value): bigint {
  const number = numberOf(value);
  if (typeof number === 'bigint') return number;
  return fail('TypeError', `'${typeName(value)}' object cannot be interpreted as an integer`);
}

/** An integer as a count or place; beyond what counts, the largest. */
export function smallInteger(value: Value): number {
  const integer = integerOf(value);
  return integer > 2n ** 52n ? 2 ** 52 : integer < -(2n ** 52n) ? -(2 ** 52) : Number(integer);
}

export function failUndefined(value: Undefined): never {
  return fail(value.isUnsafe ? 'SecurityError' : 'UndefinedError', value.message);
}

// ---- arithmetic ----

export function binary(operator: BinaryOperator, left: Value, right: Value, runtime: Runtime): Value {
  const [a, b] = [numberOf(left), numberOf(right)];
  if (a !== null && b !== null) return arithmetic(operator, a, b, runtime.budget);
  const text = textOf(left);
  if (operator === '%' && text !== null) {
    const made = percentFormat(text, right, runtime, left instanceof Markup);
    return left instanceof Markup ? new Markup(made) : made;
  }
  if (left instanceof Undefined) failUndefined(left);
  if (right instanceof Undefined && !(operator === '+' && Array.isArray(left))) failUndefined(right);
  if (operator === '+') return add(left, right, runtime.budget);
  if (operator === '*') {
    if (typeof a === 'bigint') return repeat(right, a, runtime.budget);
    if (typeof b === 'bigint') return repeat(left, b, runtime.budget);
  }
  return unsupported(operator, left, right);
}

function unsupported(operator: string, left: Value, right: Value): never {
  const shown = operator === '**' ? '** or pow()' : operator;
  return fail(
    'TypeError',
    `unsupported operand type(s) for ${shown}: '${typeName(left)}' and '${typeName(right)}'`,
  );
}

function arithmetic(operator: BinaryOperator, left: Number_, right: Number_, budget: Budget): Value {
  if (typeof left === 'bigint' && typeof right === 'bigint') return integers(operator, left, right, budget);
  return floats(operator, toFloat(left), toFloat(right));
}

export function toFloat(value: Number_): number {
  const float = Number(value);
  if (typeof value === 'bigint' && !Number.isFinite(float))
    fail('OverflowError', 'int too large to convert to float');
  return float;
}

const bitsOf = (value: bigint): number => (value < 0n ? -value : value).toString(16).length * 4;

function integers(operator: BinaryOperator, left: bigint, right: bigint, budget: Budget): Value {
  switch (operator) {
    case '+':
      return bounded(left + right, budget);
    case '-':
      return bounded(left - right, budget);
    case '*':
      budget.integer(bitsOf(left) + bitsOf(right));
      return left * right;
    case '/':
      if (right === 0n) fail('ZeroDivisionError', 'division by zero');
      return quotient(left, right);
    case '//':
      if (right === 0n) fail('ZeroDivisionError', 'integer division or modulo by zero');
      return floorDivide(left, right);
    case '%':
      if (right === 0n) fail('ZeroDivisionError', 'integer modulo by zero');
      return left - floorDivide(left, right) * right;
    case '**':
      if (right < 0n) return floats('**', toFloat(left), toFloat(right));
      if (left !== 0n && left !== 1n && left !== -1n) budget.integer(bitsOf(left) * Number(right));
      else return right === 0n || (left === -1n && right % 2n === 0n) ? 1n : left;
      return left ** right;
    default:
      return operator satisfies never;
  }
}

function bounded(value: bigint, budget: Budget): bigint {
  if (value > 2n ** 64n || value < -(2n ** 64n)) budget.integer(bitsOf(value));
  return value;
}

/** Correctly rounded where both are floats exactly; else by the leading 64 bits. */
function quotient(left: bigint, right: bigint): number {
  const exactly = (value: bigint) => value <= 2n ** 53n && value >= -(2n ** 53n);
  if (exactly(left) && exactly(right)) return Number(left) / Number(right);
  const shift = BigInt(Math.max(0, bitsOf(right) - bitsOf(left) + 66));
  const float = Number((left << shift) / right) / 2 ** Number(shift);
  if (!Number.isFinite(float)) fail('OverflowError', 'integer division result too large for a float');
  return float;
}

export function floorDivide(left: bigint, right: bigint): bigint {
  const whole = left / right;
  return whole * right !== left && left < 0n !== right < 0n ? whole - 1n : whole;
}

function floats(operator: BinaryOperator, left: number, right: number): number {
  switch (operator) {
    case '+':
      return left + right;
    case '-':
      return left - right;
    case '*':
      return left * right;
    case '/':
      if (right === 0) fail('ZeroDivisionError', 'float division by zero');
      return left / right;
    case '//':
      if (right === 0) fail('ZeroDivisionError', 'float floor division by zero');
      return floorDivideFloats(left, right);
    case '%':
      if (right === 0) fail('ZeroDivisionError', 'float modulo');
      return moduloFloats(left, right);
    case '**':
      return power(left, right);
    default:
      return operator satisfies never;
  }
}

function moduloFloats(left: number, right: number): number {
  const rest = left % right;
  if (rest === 0) return right < 0 ? -0 : 0;
  return rest < 0 !== right < 0 ? rest + right : rest;
}

function floorDivideFloats(left: number, right: number): number {
  const rest = moduloFloats(left, right);
  const whole = (left - rest) / right;
  if (whole === 0) return left / right < 0 ? -0 : 0;
  const floor = Math.floor(whole);
  return whole - floor > 0.5 ? floor + 1 : floor;
}

function power(left: number, right: number): number {
  if (left === 0 && right < 0) fail('ZeroDivisionError', '0.0 cannot be raised to a negative power');
  if (left < 0 && Number.isFinite(left) && Number.isFinite(right) && !Number.isInteger(right))
    fail('ValueError', 'a negative number to a fractional power is complex, which templates have no use for');
  if (left === 1 || right === 0) return 1;
  if (left === -1 && !Number.isFinite(right)) return Number.isNaN(right) ? Number.NaN : 1;
  const float = left ** right;
  if (!Number.isFinite(float) && Number.isFinite(left) && Number.isFinite(right))
    fail('OverflowError', "(34, 'Numerical result out of range')");
  return float;
}

function add(left: Value, right: Value, budget: Budget): Value {
  const [a, b] = [joinable(left, right), joinable(right, left)];
  if (a !== null && b !== null) {
    budget.joined(a.length + b.length);
    if (!(left instanceof Markup) && !(right instanceof Markup)) return a + b;
    const safe = (value: Value, text: string) => (value instanceof Markup ? text : escapeHtml(text));
    return new Markup(safe(left, a) + safe(right, b));
  }
  if (Array.isArray(left) && Array.isArray(right)) {
    budget.list(left.length + right.length);
    return [...left, ...right];
  }
  if (left instanceof Tuple && right instanceof Tuple) {
    budget.list(left.items.length + right.items.length);
    return new Tuple([...left.items, ...right.items]);
  }
  if (right instanceof Undefined) failUndefined(right);
  const name = typeName(left);
  if (name === 'str' || name === 'list' || name === 'tuple')
    fail('TypeError', `can only concatenate ${name} (not "${typeName(right)}") to ${name}`);
  return unsupported('+', left, right);
}

/** Tool arguments join texts as the JSON that they are; in Python an object fails here. */
function joinable(value: Value, other: Value): string | null {
  if (value instanceof JsonObjectText && textOf(other) !== null) return value.text;
  return textOf(value);
}

function repeat(value: Value, times: bigint, budget: Budget): Value {
  const count = times <= 0n ? 0 : times > 2n ** 40n ? 2 ** 40 : Number(times);
  const text = textOf(value);
  if (text !== null) {
    if (text === '') return value;
    budget.text(text.length * count);
    const made = text.repeat(count);
    return value instanceof Markup ? new Markup(made) : made;
  }
  const items = Array.isArray(value) ? value : value instanceof Tuple ? value.items : null;
  if (items === null) return unsupported('*', value, times);
  budget.list(items.length * count);
  const made: Value[] = [];
  if (items.length > 0) for (let i = 0; i < count; i++) made.push(...items);
  return Array.isArray(value) ? made : new Tuple(made);
}

export function negative(value: Value, sign: '+' | '-'): Value {
  const number = numberOf(value);
  if (number !== null) return sign === '-' ? -number : number;
  if (value instanceof Undefined) failUndefined(value);
  return fail('TypeError', `bad operand type for unary ${sign}: '${typeName(value)}'`);
}

// ---- comparison ----

/** left == right */
export function equal(left: Value, right: Value, budget: Budget): boolean {
  budget.spend(1);
  const [s, t] = [textOf(left), textOf(right)];
  if (s !== null && s.length === t?.length) budget.text(s.length);
  if (left === right) return true;
  const [a, b] = [numberOf(left), numberOf(right)];
  // int and float compare by value, which === does not.
  if (a !== null || b !== null) return a !== null && b !== null && a <= b && a >= b;
  if (s !== null || t !== null) return s === t;
  if (left instanceof Undefined) return right instanceof Undefined;
  if (Array.isArray(left) && Array.isArray(right)) return equalItems(left, right, budget);
  if (left instanceof Tuple && right instanceof Tuple) return equalItems(left.items, right.items, budget);
  if (left instanceof Dict && right instanceof Dict) return equalDicts(left, right, budget);
  if (left instanceof Range && right instanceof Range)
    return equalItems([...iterate(left, budget)], [...iterate(right, budget)], budget);
  if (left instanceof DictView && right instanceof DictView && left.typeName !== 'dict_values')
    return left.typeName === right.typeName && equalDicts(left.dict, right.dict, budget);
  return false;
}

function equalItems(left: readonly Value[], right: readonly Value[], budget: Budget): boolean {
  return left.length === right.length && left.every((item, i) => equal(item, right[i]!, budget));
}

function equalDicts(left: Dict, right: Dict, budget: Budget): boolean {
  if (left.size !== right.size) return false;
  for (const [key, value] of left.entries()) {
    const other = right.get(key);
    if (other === undefined || !equal(value, other, budget)) return false;
  }
  return true;
}

/** Negative, 0 or positive; NaN where neither comes first. */
export function order(left: Value, right: Value, operator: string, budget: Budget): number {
  budget.spend(1);
  const [a, b] = [numberOf(left), numberOf(right)];
  if (a !== null && b !== null)
    return a < b ? -1 : a > b ? 1 : Number.isNaN(a) || Number.isNaN(b) ? Number.NaN : 0;
  const [s, t] = [textOf(left), textOf(right)];
  if (s !== null && t !== null) {
    budget.text(Math.min(s.length, t.length));
    return orderTexts(s, t);
  }
  if (left instanceof Undefined) failUndefined(left);
  if (right instanceof Undefined) failUndefined(right);
  const lists = Array.isArray(left) && Array.isArray(right) ? [left, right] : null;
  const tuples = left instanceof Tuple && right instanceof Tuple ? [left.items, right.items] : null;
  const pair = lists ?? tuples;
  if (pair === null)
    fail(
      'TypeError',
      `'${operator}' not supported between instances of '${typeName(left)}' and '${typeName(right)}'`,
    );
  const [one, other] = pair as [readonly Value[], readonly Value[]];
  for (let i = 0; i < Math.min(one.length, other.length); i++)
    if (!equal(one[i]!, other[i]!, budget)) return order(one[i]!, other[i]!, operator, budget);
  return one.length - other.length;
}

/** By code points: UTF-16 order differs beyond the surrogates. */
function orderTexts(left: string, right: string): number {
  if (left === right) return 0;
  let at = 0;
  while (at < left.length && left.charCodeAt(at) === right.charCodeAt(at)) at++;
  if (at >= left.length || at >= right.length) return left.length - right.length;
  const rank = (code: number) => (code >= 0xd800 && code <= 0xdfff ? code + 0x10000 : code);
  return rank(left.charCodeAt(at)) - rank(right.charCodeAt(at));
}

/** item in holder */
export function contains(holder: Value, item: Value, budget: Budget): boolean {
  const text = textOf(holder);
  if (text !== null) {
    const part = textOf(item);
    if (part === null)
      return fail('TypeError', `'in <string>' requires string as left operand, not ${typeName(item)}`);
    budget.text(text.length);
    return text.includes(part);
  }
  budget.text(textOf(item)?.length ?? 0);
  if (holder instanceof Dict) return dictHas(holder, item);
  if (holder instanceof DictView && holder.typeName === 'dict_keys') return dictHas(holder.dict, item);
  if (holder instanceof Range) {
    const at = numberOf(item);
    if (typeof at === 'bigint')
      return holder.length > 0 && (at - holder.start) % holder.step === 0n && within(holder, at);
  }
  if (holder === null || typeof holder !== 'object')
    return fail('TypeError', `argument of type '${typeName(holder)}' is not iterable`);
  for (const one of iterate(holder, budget)) if (equal(one, item, budget)) return true;
  return false;
}

const within = (range: Range, value: bigint): boolean =>
  range.step > 0n ? value >= range.start && value < range.stop : value <= range.start && value > range.stop;

function dictHas(dict: Dict, key: Value): boolean {
  if (keyOf(key) === null) fail('TypeError', `unhashable type: '${typeName(key)}'`);
  return dict.has(key);
}

// ---- items ----

/** Adjusts a place that may count from the end; null when it lies outside. */
function place(index: Value, size: number): number | null {
  const number = smallInteger(index);
  const at = number < 0 ? number + size : number;
  return at >= 0 && at < size ? at : null;
}

const isIndex = (value: Value): boolean => typeof value === 'bigint' || typeof value === 'boolean';

/** holder[index]; undefined for what Python refuses with a LookupError or TypeError. */
export function item(holder: Value, index: Value, budget: Budget): Value | undefined {
  if (holder instanceof Dict) {
    budget.text(textOf(index)?.length ?? 0);
    return holder.get(index);
  }
  if (!isIndex(index)) return undefined;
  const text = textOf(holder);
  if (text !== null) {
    budget.text(text.length);
    const at = smallInteger(index);
    const unit = at < 0 ? unitFromEnd(text, -at) : unitOf(text, at);
    if (unit < 0 || unit >= text.length) return undefined;
    const letter = String.fromCodePoint(text.codePointAt(unit)!);
    return holder instanceof Markup ? new Markup(letter) : letter;
  }
  if (holder instanceof Range) {
    const at = place(index, holder.length);
    return at === null ? undefined : holder.at(at);
  }
  const items = Array.isArray(holder) ? holder : holder instanceof Tuple ? holder.items : null;
  if (items === null) return undefined;
  const at = place(index, items.length);
  return at === null ? undefined : items[at];
}

interface Span {
  readonly from: number;
  readonly to: number;
  readonly by: number;
}

/** What start:stop:step means in a sequence of `size`, as Python's slice.indices. */
function spanOf(size: number, start: Value, stop: Value, step: Value): Span {
  const by = step === null ? 1 : sliceIndex(step);
  if (by === 0) fail('ValueError', 'slice step cannot be zero');
  const clamp = (value: Value, fallback: number): number => {
    if (value === null) return fallback;
    const at = sliceIndex(value);
    const from = at < 0 ? at + size : at;
    return by > 0 ? Math.min(Math.max(from, 0), size) : Math.min(Math.max(from, -1), size - 1);
  };
  const from = clamp(start, by > 0 ? 0 : size - 1);
  return { from, to: clamp(stop, by > 0 ? size : -1), by };
}

function* places(size: number, start: Value, stop: Value, step: Value): Generator<number> {
  const { from, to, by } = spanOf(size, start, stop, step);
  for (let at = from; by > 0 ? at < to : at > to; at += by) yield at;
}

function sliceIndex(value: Value): number {
  if (!isIndex(value))
    fail('TypeError', 'slice indices must be integers or None or have an __index__ method');
  return smallInteger(value);
}

/** holder[start:stop:step] */
export function slice(holder: Value, start: Value, stop: Value, step: Value, budget: Budget): Value {
  const text = textOf(holder);
  if (text !== null) {
    const made = sliceText(text, start, stop, step, budget);
    return holder instanceof Markup ? new Markup(made) : made;
  }
  if (holder instanceof Range) {
    const { from, to, by } = spanOf(holder.length, start, stop, step);
    return new Range(holder.at(from), holder.at(to), holder.step * BigInt(by));
  }
  const items = Array.isArray(holder) ? holder : holder instanceof Tuple ? holder.items : null;
  if (items !== null) {
    budget.list(items.length);
    const made = Array.from(places(items.length, start, stop, step), (at) => items[at]!);
    return Array.isArray(holder) ? made : new Tuple(made);
  }
  if (holder instanceof Undefined) failUndefined(holder);
  if (holder instanceof Dict) fail('TypeError', "unhashable type: 'slice'");
  return fail('TypeError', `'${typeName(holder)}' object is not subscriptable`);
}

function sliceText(text: string, start: Value, stop: Value, step: Value, budget: Budget): string {
  budget.text(text.length);
  if (step !== null && step !== 1n) {
    budget.list(text.length);
    const all = characters(text);
    return Array.from(places(all.length, start, stop, step), (at) => all[at]!).join('');
  }
  const unit = (value: Value, fallback: number) => {
    if (value === null) return fallback;
    const at = sliceIndex(value);
    return at < 0 ? Math.max(unitFromEnd(text, -at), 0) : unitOf(text, at);
  };
  return text.slice(unit(start, 0), Math.max(unit(start, 0), unit(stop, text.length)));
}

/** `a ~ b`: the texts of values, one after the other. */
export function concat(values: readonly Value[], runtime: Runtime): Value {
  const { budget } = runtime;
  const escapes = runtime.autoescape && values.some((value) => value instanceof Markup);
  let text = '';
  for (const value of values) {
    const own = str(value, budget);
    text += escapes && !(value instanceof Markup) ? escapeHtml(own) : own;
    budget.joined(text.length);
  }
  return escapes ? new Markup(text) : text;
}
