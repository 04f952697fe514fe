// Values of `const` and `enum` as expressions: numbers by their value, texts in any spelling, objects in any order.
import { type Decimal, decimalOf } from './decimal.ts';
import { isObject, type Json } from './document.ts';
import {
  ARRAY,
  type Expression,
  type Expressions,
  FALSE,
  NONE,
  NULL,
  NUMBER,
  OBJECT,
  STRING,
  TRUE,
} from './expression.ts';
import { points } from './number-set.ts';

/** Exactly one of the values. */
export function oneOfValues(x: Expressions, values: readonly Json[]): Expression {
  const numbers: Decimal[] = [];
  const texts: string[] = [];
  const others: Expression[] = [];
  for (const value of values) {
    if (typeof value === 'number' || typeof value === 'bigint') numbers.push(decimalOf(value));
    else if (typeof value === 'string') texts.push(value);
    else others.push(valueExpression(x, value));
  }
  if (numbers.length > 0) others.push(x.and(x.types(NUMBER), x.number(points(numbers))));
  if (texts.length > 0) others.push(x.and(x.types(STRING), x.words(texts)));
  return x.or(...others);
}

function valueExpression(x: Expressions, value: Json): Expression {
  if (value === null) return x.types(NULL);
  if (typeof value === 'boolean') return x.types(value ? TRUE : FALSE);
  if (Array.isArray(value)) {
    const items = value.map((item, i) => x.item(i, oneOfValues(x, [item])));
    return x.and(x.types(ARRAY), x.length(value.length, value.length), ...items);
  }
  if (!isObject(value)) return oneOfValues(x, [value]);
  const names = Object.keys(value);
  return x.and(
    x.types(OBJECT),
    x.order(names),
    x.properties(x.words(names, true), NONE),
    ...names.map((name) => x.required(name)),
    ...names.map((name) => x.property(name, oneOfValues(x, [value[name]]))),
  );
}
