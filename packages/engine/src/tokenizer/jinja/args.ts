// Arguments of filters, tests, methods and globals by their Python signatures.

import { fail } from './errors.ts';
import { type Kwargs, textOf, typeName, type Value } from './values.ts';

/**
 * The values of the parameters `names`, in order; undefined for those that were not given, which must end in `?`.
 * Positional ones come first, the others by name.
 */
export function bind(
  callee: string,
  names: readonly string[],
  args: readonly Value[],
  kwargs: Kwargs,
): (Value | undefined)[] {
  if (args.length > names.length) {
    const least = names.filter((name) => !name.endsWith('?')).length;
    const expected = least === names.length ? `${least}` : `from ${least} to ${names.length}`;
    fail(
      'TypeError',
      `${callee}() takes ${expected} positional argument${expected === '1' ? '' : 's'} but ${args.length} ${args.length === 1 ? 'was' : 'were'} given`,
    );
  }
  const values: (Value | undefined)[] = names.map((_, i) => args[i]);
  for (const [key, value] of kwargs) {
    const at = names.findIndex((name) => name === key || name === `${key}?`);
    if (at < 0) fail('TypeError', `${callee}() got an unexpected keyword argument '${key}'`);
    if (values[at] !== undefined) fail('TypeError', `${callee}() got multiple values for argument '${key}'`);
    values[at] = value;
  }
  const missing = names.filter((name, i) => !name.endsWith('?') && values[i] === undefined);
  if (missing.length > 0) failMissing(callee, missing);
  return values;
}

function failMissing(callee: string, names: readonly string[]): never {
  const quoted = names.map((name) => `'${name}'`);
  const last = quoted.pop()!;
  const shown =
    quoted.length > 1
      ? `${quoted.join(', ')}, and ${last}`
      : quoted.length === 1
        ? `${quoted[0]} and ${last}`
        : last;
  return fail(
    'TypeError',
    `${callee}() missing ${names.length} required positional argument${names.length > 1 ? 's' : ''}: ${shown}`,
  );
}

/** The characters of an argument that must be a str. */
export function needText(value: Value, what: string): string {
  return textOf(value) ?? fail('TypeError', `${what} must be str, not ${typeName(value)}`);
}
