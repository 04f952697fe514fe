// Runs a Jinja chat template with limits. Templates come out of downloaded files: one that loops or grows
// without end is stopped with an error instead of taking the process down. Parsing and evaluation are those
// of @huggingface/jinja, mended where it prints or strips otherwise than Jinja; the environment (whitespace
// control, raise_exception, strftime_now) follows transformers' `apply_chat_template`.

import * as jinja from '@huggingface/jinja';
import { FormatError, UsageError } from '../errors.ts';
import { printed, stripped, type TemplateValue } from './template-values.ts';

const LONGEST_TEMPLATE = 1 << 20;
const LONGEST_TEXT = 1 << 27;
/** A long conversation takes about 200 evaluations per message. */
const MOST_EVALUATIONS = 2_000_000;
const LONGEST_RANGE = 100_000;
const LONGEST_LIST = 1 << 20;

// The part of the package that is used. Its declarations import each other without file endings, so
// `nodenext` sees `any` where bundlers see types; these hold for both.
type JinjaValue = TemplateValue;
interface JinjaEnvironment {
  readonly variables: Map<string, unknown>;
  set(name: string, value: unknown): unknown;
}
interface JinjaInterpreter {
  run(program: object): JinjaValue;
  evaluate(statement: unknown, environment: unknown): JinjaValue;
}
const Environment: new () => JinjaEnvironment = jinja.Environment;
const Interpreter = jinja.Interpreter as unknown as new (environment: JinjaEnvironment) => JinjaInterpreter;
const parseTemplate: (source: string) => object = (source) =>
  jinja.parse(jinja.tokenize(source, { lstrip_blocks: true, trim_blocks: true }));

/** A node of a parsed template, as far as it is looked at here. */
interface JinjaNode {
  readonly type?: unknown;
  readonly value?: unknown;
  readonly operand?: unknown;
  readonly filter?: JinjaNode;
  readonly operator?: { readonly value?: unknown };
  readonly left?: unknown;
  readonly right?: unknown;
  readonly callee?: JinjaNode & { readonly object?: unknown; readonly computed?: unknown };
  readonly property?: JinjaNode;
  readonly args?: readonly unknown[];
}

/** Statements that write nothing. */
const SILENT: ReadonlySet<string> = new Set(['Set', 'Macro', 'Comment', 'Break', 'Continue']);

/** An error that the template raises about the messages (`raise_exception`). */
class Refusal extends Error {}

class LimitedInterpreter extends Interpreter {
  #left = MOST_EVALUATIONS;
  /** Lists that loops iterate over: counted by length, since an empty body is not evaluated. */
  readonly #iterables = new WeakSet<object>();

  override evaluate(statement: unknown, environment: unknown): JinjaValue {
    this.#spend(1);
    this.#noteLoop(statement);
    const text = this.#mended((statement ?? {}) as JinjaNode, environment);
    const result = text === null ? super.evaluate(statement, environment) : this.#text(text, environment);
    const length = lengthOf(result.value);
    if (length > LONGEST_LIST) this.#checkLength(result.value, length);
    if (typeof statement === 'object' && statement !== null && this.#iterables.has(statement))
      this.#spend(2 * length);
    return result;
  }

  /** What a list of statements writes: the package drops None and writes booleans in lower case. */
  evaluateBlock(statements: readonly JinjaNode[], environment: unknown): JinjaValue {
    let text = '';
    for (const statement of statements) {
      const value = this.evaluate(statement, environment);
      if (!SILENT.has(`${statement.type}`)) text += printed(value);
      if (text.length > LONGEST_TEXT) this.#checkLength(text, text.length);
    }
    return this.#text(text, environment);
  }

  #text(text: string, environment: unknown): JinjaValue {
    return super.evaluate({ type: 'StringLiteral', value: text }, environment);
  }

  /** The text that an expression makes where the package makes another, or fails; null for all others. */
  #mended(node: JinjaNode, environment: unknown): string | null {
    if (node.type === 'FilterExpression')
      return node.filter?.type === 'Identifier' && node.filter.value === 'string'
        ? printed(this.evaluate(node.operand, environment))
        : null;
    if (node.type === 'BinaryExpression')
      return node.operator?.value === '~'
        ? printed(this.evaluate(node.left, environment)) + printed(this.evaluate(node.right, environment))
        : null;
    const { callee, args } = node;
    const method = node.type === 'CallExpression' && !callee?.computed ? callee?.property?.value : null;
    if ((method !== 'strip' && method !== 'lstrip' && method !== 'rstrip') || args?.length !== 1) return null;
    const { value: text } = this.evaluate(callee?.object, environment);
    const { value: set } = this.evaluate(args[0], environment);
    return typeof text === 'string' && typeof set === 'string' ? stripped(text, method, set) : null;
  }

  #spend(steps: number): void {
    this.#left -= steps;
    if (this.#left < 0) throw new Error(`it does not end within ${MOST_EVALUATIONS} steps`);
  }

  #noteLoop(statement: unknown): void {
    const { type, iterable } = (statement ?? {}) as { type?: unknown; iterable?: { lhs?: unknown } };
    if (type !== 'For' || typeof iterable !== 'object') return;
    this.#iterables.add(iterable);
    // `for x in list if …`: the list is the left side of a selection.
    if (typeof iterable.lhs === 'object' && iterable.lhs !== null) this.#iterables.add(iterable.lhs);
  }

  #checkLength(value: unknown, length: number): void {
    if (typeof value !== 'string') throw new Error(`it makes a list longer than ${LONGEST_LIST}`);
    if (length > LONGEST_TEXT) throw new Error(`it makes a text longer than ${LONGEST_TEXT} characters`);
  }
}

function lengthOf(value: unknown): number {
  if (typeof value === 'string' || Array.isArray(value)) return value.length;
  return value instanceof Map ? value.size : 0;
}

export class TemplateProgram {
  readonly #name: string;
  readonly #program: object;

  /** Throws FormatError where the template is not valid Jinja. */
  constructor(source: string, name: string) {
    this.#name = name;
    if (source.length > LONGEST_TEMPLATE) {
      throw new FormatError(
        `${name}: expected a template of at most ${LONGEST_TEMPLATE} characters, found ${source.length}`,
      );
    }
    try {
      this.#program = parseTemplate(source);
    } catch (cause) {
      throw new FormatError(`${name}: not a valid chat template: ${reason(cause)}. Pass another template.`);
    }
  }

  /** Throws UsageError when the template refuses the messages, FormatError when it cannot be run. */
  render(variables: Readonly<Record<string, unknown>>): string {
    const environment = new Environment();
    const all = { ...variables, ...constants, raise_exception: refuse, range, strftime_now: strftimeNow };
    for (const [key, value] of Object.entries(all))
      if (value !== undefined) environment.variables.delete(key);
    try {
      for (const [key, value] of Object.entries(all)) if (value !== undefined) environment.set(key, value);
      const result = new LimitedInterpreter(environment).run(this.#program).value;
      if (typeof result === 'string') return result;
    } catch (cause) {
      if (cause instanceof Refusal) {
        throw new UsageError(`${this.#name}: the chat template refuses these messages: ${reason(cause)}`);
      }
      throw new FormatError(
        `${this.#name}: the chat template cannot be run: ${reason(cause)}. Pass another template.`,
      );
    }
    throw new FormatError(`${this.#name}: expected text from the chat template, found something else`);
  }
}

const constants = { true: true, false: false, none: null, True: true, False: false, None: null };

function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message.slice(0, 300) : 'unknown reason';
}

function refuse(message: unknown): never {
  throw new Refusal(typeof message === 'string' ? message : 'no reason given');
}

function range(first: number, end?: number, step = 1): number[] {
  const [from, to] = end === undefined ? [0, first] : [first, end];
  const length = Math.max(0, Math.ceil((to - from) / step));
  if (!(length <= LONGEST_RANGE))
    throw new Error(`expected a range of at most ${LONGEST_RANGE} numbers, found ${length}`);
  return Array.from({ length }, (_, i) => from + i * step);
}

const months = 'January February March April May June July August September October November December'.split(
  ' ',
);

/** Python's strftime for the fields that templates use; English names whatever the machine's language. */
function strftimeNow(format: string): string {
  const now = new Date();
  const two = (value: number) => String(value).padStart(2, '0');
  const fields: Record<string, string> = {
    Y: String(now.getFullYear()),
    m: two(now.getMonth() + 1),
    d: two(now.getDate()),
    b: months[now.getMonth()]!.slice(0, 3),
    B: months[now.getMonth()]!,
    H: two(now.getHours()),
    M: two(now.getMinutes()),
    S: two(now.getSeconds()),
    '%': '%',
  };
  return format.replace(/%([YmdbBHMS%])/g, (_, letter: string) => fields[letter]!);
}
