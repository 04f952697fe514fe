// `value.name` and `value[item]` in Jinja2's immutable sandbox: the attribute first for the one, the item first
// for the other; an undefined value, which says what was looked for, where there is neither.

import { fail } from './errors.ts';
import { formatText, type Lookup } from './format-str.ts';
import { escapeHtml } from './markup.ts';
import { attributeOf, CHANGING, INTERNAL } from './methods.ts';
import { TEXT_METHODS } from './methods-text.ts';
import { failUndefined, item } from './operators.ts';
import { quoted, repr } from './print.ts';
import {
  Attributes,
  Callable,
  Dict,
  type Kwargs,
  Markup,
  Namespace,
  orElse,
  type Runtime,
  Tuple,
  textOf,
  typeName,
  Undefined,
  type Value,
} from './values.ts';

/** Where the classes of Python's that are not built in come from. */
const MODULES: Readonly<Record<string, string>> = {
  Markup: 'markupsafe',
  LoopContext: 'jinja2.runtime',
  Macro: 'jinja2.runtime',
  BlockReference: 'jinja2.runtime',
  TemplateReference: 'jinja2.runtime',
  Cycler: 'jinja2.utils',
  Joiner: 'jinja2.utils',
  TemplateNamespace: 'transformers.utils.chat_template_utils',
  TemplateDict: 'transformers.utils.chat_template_utils',
  _GroupTuple: 'jinja2.filters',
};

function described(value: Value): string {
  if (value === null) return 'None';
  const name = typeName(value);
  return `${Object.hasOwn(MODULES, name) ? `${MODULES[name]}.` : ''}${name} object`;
}

function missing(value: Value, name: Value, runtime: Runtime): Undefined {
  const text = textOf(name);
  const shown = repr(name, runtime.budget);
  return new Undefined(
    text === null
      ? `${described(value)} has no element ${shown}`
      : `'${described(value)}' has no attribute ${shown}`,
  );
}

/** `value.name` */
export function getattr(value: Value, name: string, runtime: Runtime): Value {
  if (value instanceof Undefined) failUndefined(value);
  const found = attribute(value, name, runtime);
  return orElse(found === undefined ? item(value, name, runtime.budget) : found, () =>
    missing(value, name, runtime),
  );
}

/** `value[key]` */
export function getitem(value: Value, key: Value, runtime: Runtime): Value {
  if (value instanceof Undefined) failUndefined(value);
  const found = item(value, key, runtime.budget);
  if (found !== undefined) return found;
  const name = textOf(key);
  const own = name === null ? undefined : attribute(value, name, runtime);
  return orElse(own, () => missing(value, key, runtime));
}

/** Python's attribute of a value; undefined where it has none, an `Undefined` where the sandbox forbids it. */
export function attribute(value: Value, name: string, runtime: Runtime): Value | undefined {
  if (value instanceof Namespace) return value.attributes.get(name);
  const type = typeName(value);
  if (INTERNAL.has(name) || CHANGING[type]?.has(name))
    return new Undefined(
      `access to attribute ${quoted(name, runtime.budget)} of '${type}' object is unsafe.`,
      true,
    );
  if (value instanceof Attributes) return value.attribute(name, runtime);
  const text = textOf(value);
  return text === null ? attributeOf(value, name) : textMethod(value as string | Markup, text, name);
}

const lookupOf = (runtime: Runtime): Lookup => ({
  attribute: (value, name) => getattr(value, name, runtime),
  item: (value, key) => getitem(value, key, runtime),
});

function textMethod(value: string | Markup, text: string, name: string): Value | undefined {
  const finish = (made: Value): Value => (value instanceof Markup ? asMarkup(made) : made);
  if (name === 'format')
    return new Callable(name, (args, kwargs, runtime) => {
      const safe = (one: Value) => escaped(one, value);
      const named = new Map([...kwargs].map(([key, one]) => [key, safe(one)]));
      return finish(formatText(text, args.map(safe), named, lookupOf(runtime), runtime));
    });
  if (name === 'format_map')
    return new Callable(name, (args, kwargs, runtime) => finish(formatMap(text, args, kwargs, runtime)));
  const method = TEXT_METHODS.get(name);
  if (method === undefined) return undefined;
  return new Callable(name, (args, kwargs, runtime) => {
    runtime.budget.text(text.length);
    return finish(method(text, args, kwargs, runtime));
  });
}

/** What goes into HTML is escaped. */
function escaped(value: Value, into: string | Markup): Value {
  return into instanceof Markup && typeof value === 'string' ? escapeHtml(value) : value;
}

function formatMap(text: string, args: readonly Value[], kwargs: Kwargs, runtime: Runtime): string {
  if (kwargs.size > 0) fail('TypeError', 'format_map() takes no keyword arguments');
  if (args.length !== 1) fail('TypeError', `format_map() takes exactly one argument (${args.length} given)`);
  const mapping = args[0]!;
  const named = new Map<string, Value>();
  if (mapping instanceof Dict)
    for (const [key, value] of mapping.entries()) if (typeof key === 'string') named.set(key, value);
  return formatText(text, [], named, lookupOf(runtime), runtime);
}

/** Texts that a method of Markup makes are Markup again. */
function asMarkup(made: Value): Value {
  if (typeof made === 'string') return new Markup(made);
  if (Array.isArray(made)) return made.map(asMarkup);
  return made instanceof Tuple ? new Tuple(made.items.map(asMarkup)) : made;
}
