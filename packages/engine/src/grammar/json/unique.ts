// Values that must differ: how they are told apart, and rules without those that were written.

import { type Decimal, parseDecimal } from './decimal.ts';
import { FALSE, NULL, TRUE } from './expression.ts';
import { asDoubles } from './number-prefix.ts';
import { complementNumbers, intersectNumbers, numberKey, points } from './number-set.ts';
import type { ValueRule } from './rules.ts';
import { andTexts, isNoText, notText } from './text-language.ts';

/** Keys of values: equal exactly for equal values. */
export const numberValue = (text: string): string => `n${numberKey(parseDecimal(text))}`;
export const textValue = (text: string): string => `s${text}`;
/** Of the keys of its items, in order. */
export const arrayValue = (items: readonly string[]): string => `[${JSON.stringify(items)}`;
/** Of its keys, each followed by its value's. */
export const objectValue = (entries: readonly (readonly [string, string])[]): string =>
  `{${JSON.stringify([...entries].sort(([a], [b]) => (a < b ? -1 : 1)))}`;
export const constantValue = (type: number): string => `c${type}`;

/** The rule without some values, as far as they are null, booleans, numbers or texts. */
export function withoutValues(rule: ValueRule, values: ReadonlySet<string>, id: number): ValueRule {
  const numbers: Decimal[] = [];
  const words = new Set<string>();
  let { constants } = rule;
  for (const value of values) {
    const rest = value.slice(1);
    if (value.startsWith('c')) constants &= ~Number(rest) & (NULL | FALSE | TRUE);
    else if (value.startsWith('s')) words.add(rest);
    else if (value.startsWith('n')) numbers.push(parseKey(rest));
  }
  const left = {
    ...rule,
    id,
    constants,
    numbers: asDoubles(intersectNumbers(rule.numbers, complementNumbers(points(numbers)))),
    texts: andTexts([rule.texts, notText({ kind: 'words', words })]),
    numberReader: null,
    wordList: null,
  };
  const composite = rule.arrays.length + rule.objects.length > 0;
  return { ...left, lives: composite || constants !== 0 || left.numbers.length > 0 || !isNoText(left.texts) };
}

const parseKey = (key: string): Decimal => {
  const [digits, exponent] = key.split('e');
  return { digits: BigInt(digits), exponent: Number(exponent) };
};
