// JavaScript's values → the template's.

import { UsageError } from '../../errors.ts';
import { Dict, Thing, type Value } from './values.ts';

const DEEPEST = 64;

/** A text of a value, rewritten. */
export type Rewrite = (text: string) => string;

/**
 * Numbers without a fraction become int, as JSON's do. `rewrite` gets every text, keys included. What JSON cannot
 * hold (functions and the like) becomes None. Throws UsageError for what is nested too deep.
 */
export function toValue(value: unknown, rewrite: Rewrite = (text) => text, depth = 0): Value {
  if (depth > DEEPEST) throw new UsageError(`chat template: expected values nested at most ${DEEPEST} deep`);
  if (typeof value === 'string') return rewrite(value);
  if (typeof value === 'boolean' || typeof value === 'bigint' || value instanceof Thing) return value;
  if (typeof value === 'number') return isInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map((item) => toValue(item, rewrite, depth + 1));
  if (typeof value !== 'object' || value === null) return null;
  const dict = new Dict();
  for (const [key, item] of Object.entries(value))
    if (item !== undefined) dict.set(rewrite(key), toValue(item, rewrite, depth + 1));
  return dict;
}

/** Whether JavaScript writes the number without a point or exponent. */
const isInteger = (value: number): boolean =>
  Number.isInteger(value) && Math.abs(value) < 1e21 && !Object.is(value, -0);
