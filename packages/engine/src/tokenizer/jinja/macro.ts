// Macros and call blocks as values, and how their arguments are found.

import { fail } from './errors.ts';
import type { Callable } from './nodes.ts';
import { repr } from './print.ts';
import {
  Attributes,
  Dict,
  type Kwargs,
  type Native,
  type Runtime,
  Tuple,
  Undefined,
  type Value,
} from './values.ts';

/** What a macro's body begins with: its parameters (undefined: take the default) and its special names. */
export type Bound = readonly (readonly [name: string, value: Value | undefined])[];

export class Macro extends Attributes {
  readonly typeName = 'Macro';
  readonly #name: string | null;
  readonly #node: Callable;
  readonly #invoke: (bound: Bound, runtime: Runtime) => Value;

  constructor(name: string | null, node: Callable, invoke: (bound: Bound, runtime: Runtime) => Value) {
    super();
    this.#name = name;
    this.#node = node;
    this.#invoke = invoke;
  }

  override readonly run: Native = (args, kwargs, runtime) =>
    this.#invoke(this.#bind(args, kwargs, runtime), runtime);

  #bind(args: readonly Value[], kwargs: Kwargs, runtime: Runtime): Bound {
    const { parameters, special } = this.#node;
    const rest = new Map(kwargs);
    const bound: [string, Value | undefined][] = parameters.map((name, i) => {
      if (i < args.length) return [name, args[i]];
      const value = rest.get(name);
      rest.delete(name);
      return [name, value];
    });
    if (special.caller && !parameters.includes('caller')) {
      bound.push(['caller', rest.get('caller') ?? new Undefined('No caller defined')]);
      rest.delete('caller');
    }
    if (special.kwargs) bound.push(['kwargs', Dict.of(rest)]);
    else if (rest.size > 0) this.#refuse(rest, runtime);
    if (special.varargs) bound.push(['varargs', new Tuple(args.slice(parameters.length))]);
    else if (args.length > parameters.length)
      fail('TypeError', `macro ${this.#shown(runtime)} takes not more than ${parameters.length} argument(s)`);
    return bound;
  }

  #shown(runtime: Runtime): string {
    return repr(this.#name, runtime.budget);
  }

  #refuse(rest: Kwargs, runtime: Runtime): never {
    if (rest.has('caller'))
      fail(
        'TypeError',
        `macro ${this.#shown(runtime)} was invoked with two values for the special caller argument. This is most likely a bug.`,
      );
    const [name] = rest.keys();
    return fail('TypeError', `macro ${this.#shown(runtime)} takes no keyword argument '${name}'`);
  }

  attribute(name: string): Value | undefined {
    switch (name) {
      case 'name':
        return this.#name;
      case 'arguments':
        return new Tuple(this.#node.parameters);
      case 'catch_kwargs':
        return this.#node.special.kwargs;
      case 'catch_varargs':
        return this.#node.special.varargs;
      case 'caller':
        return this.#node.special.caller;
      case 'explicit_caller':
        return this.#node.parameters.includes('caller');
      default:
        return undefined;
    }
  }

  printed(): string {
    return this.#name === null ? '<Macro anonymous>' : `<Macro '${this.#name}'>`;
  }
}
