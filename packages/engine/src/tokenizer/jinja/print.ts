// str() and repr() of values, as Python's.

import { asciiEscape } from './escapes.ts';
import type { Budget } from './limits.ts';
import { floatText } from './numbers.ts';
import {
  Attributes,
  Callable,
  Dict,
  DictView,
  Iter,
  JsonObjectText,
  Markup,
  Namespace,
  Range,
  Tuple,
  Undefined,
  type Value,
} from './values.ts';

/** str(value). What it makes is paid for. */
export function str(value: Value, budget: Budget): string {
  if (typeof value === 'string') return value;
  if (value instanceof Markup) return value.text;
  if (value instanceof Undefined) return '';
  if (value instanceof JsonObjectText && value.wasText) return value.text;
  return repr(value, budget);
}

/** repr(value) */
export function repr(value: Value, budget: Budget): string {
  budget.spend(1);
  if (value === null) return 'None';
  switch (typeof value) {
    case 'boolean':
      return value ? 'True' : 'False';
    case 'bigint':
      return value.toString();
    case 'number':
      return floatText(value);
    case 'string':
      return quoted(value, budget);
    default:
      return reprOfThing(value, budget);
  }
}

function reprOfThing(
  value: Exclude<Value, null | boolean | bigint | number | string>,
  budget: Budget,
): string {
  if (Array.isArray(value)) return `[${listed(value, budget)}]`;
  if (value instanceof Tuple) return `(${listed(value.items, budget)}${value.items.length === 1 ? ',' : ''})`;
  if (value instanceof Dict) return reprOfDict(value, budget);
  if (value instanceof Markup) return `Markup(${quoted(value.text, budget)})`;
  if (value instanceof Undefined) return 'Undefined';
  if (value instanceof DictView) return `${value.typeName}([${listed(value.items(), budget)}])`;
  if (value instanceof Range)
    return `range(${value.start}, ${value.stop}${value.step === 1n ? '' : `, ${value.step}`})`;
  if (value instanceof Namespace) return `<Namespace ${reprOfDict(value.attributes, budget)}>`;
  if (value instanceof Attributes) return value.printed();
  if (value instanceof Callable) return `<${value.typeName} ${value.name}>`;
  return `<${value instanceof Iter ? `${value.typeName} object` : value.typeName}>`;
}

function listed(items: readonly Value[], budget: Budget): string {
  let text = '';
  for (const [i, item] of items.entries()) {
    text += (i > 0 ? ', ' : '') + repr(item, budget);
    budget.joined(text.length);
  }
  return text;
}

function reprOfDict(dict: Dict, budget: Budget): string {
  let text = '';
  for (const [key, value] of dict.entries()) {
    text += `${text === '' ? '' : ', '}${repr(key, budget)}: ${repr(value, budget)}`;
    budget.joined(text.length);
  }
  return `{${text}}`;
}

const SIMPLE: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** What repr escapes: quotes and backslashes, and characters that do not show (beside the space). */
const hidden = /[\\\p{C}\p{Z}]/u;
const allHidden = /[\\\p{C}\p{Z}]/gu;

/** repr(str): single quotes, unless only those are inside. */
export function quoted(text: string, budget: Budget): string {
  budget.text(text.length);
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const inside = hidden.test(text)
    ? text.replace(allHidden, (letter) =>
        letter === ' ' ? ' ' : (SIMPLE[letter] ?? asciiEscape(letter.codePointAt(0)!)),
      )
    : text;
  return quote + inside.replaceAll(quote, `\\${quote}`) + quote;
}
