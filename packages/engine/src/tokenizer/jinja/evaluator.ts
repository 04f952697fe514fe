// The values of expressions.

import { fail, TemplateError } from './errors.ts';
import type { Frame } from './frame.ts';
import { iterate, listOf } from './iterate.ts';
import type { Budget } from './limits.ts';
import { needHashable } from './methods.ts';
import type { Arguments, CompareOperator, Expression, FilterNode } from './nodes.ts';
import { binary, concat, contains, equal, failUndefined, negative, order, slice } from './operators.ts';
import { repr } from './print.ts';
import { getattr, getitem } from './sandbox.ts';
import {
  Attributes,
  Callable,
  Dict,
  isTrue,
  type Kwargs,
  type Native,
  orElse,
  type Runtime,
  Tuple,
  textOf,
  typeName,
  Undefined,
  type Value,
} from './values.ts';

/** What every template of a kind has in common. */
export interface Library {
  readonly filters: ReadonlyMap<string, Native>;
  readonly tests: ReadonlyMap<string, Native>;
  readonly globals: ReadonlyMap<string, Value>;
}

const NO_KWARGS: Kwargs = new Map();

export class Evaluator implements Runtime {
  readonly budget: Budget;
  readonly now: () => Date;
  readonly library: Library;
  autoescape = false;
  /** Where the template is, for messages. */
  line = 0;

  constructor(library: Library, budget: Budget, now: () => Date) {
    this.library = library;
    this.budget = budget;
    this.now = now;
  }

  evaluate(node: Expression, frame: Frame): Value {
    this.budget.spend(1);
    switch (node.kind) {
      case 'Const':
        return node.value;
      case 'Name':
        return orElse(frame.lookup(node.name), () => new Undefined(`'${node.name}' is undefined`));
      case 'List':
        return node.items.map((item) => this.evaluate(item, frame));
      case 'Tuple':
        return new Tuple(node.items.map((item) => this.evaluate(item, frame)));
      case 'Dict':
        return this.#dict(node.items, frame);
      case 'Getattr':
        return getattr(this.evaluate(node.node, frame), node.name, this);
      case 'Getitem':
        return this.#getitem(node.node, node.item, frame);
      case 'Slice':
        return fail('TypeError', 'a slice has no value of its own');
      case 'Call':
        this.line = node.line;
        return this.callNode(node, frame, NO_KWARGS);
      case 'Filter':
        return this.filterNode(node, frame, null);
      case 'Test':
        return this.#test(node, frame);
      case 'Binary':
        return binary(node.operator, this.evaluate(node.left, frame), this.evaluate(node.right, frame), this);
      case 'And': {
        const left = this.evaluate(node.left, frame);
        return isTrue(left) ? this.evaluate(node.right, frame) : left;
      }
      case 'Or': {
        const left = this.evaluate(node.left, frame);
        return isTrue(left) ? left : this.evaluate(node.right, frame);
      }
      case 'Not':
        return !isTrue(this.evaluate(node.node, frame));
      case 'Neg':
      case 'Pos':
        return negative(this.evaluate(node.node, frame), node.kind === 'Neg' ? '-' : '+');
      case 'Concat':
        return concat(
          node.nodes.map((one) => this.evaluate(one, frame)),
          this,
        );
      case 'Compare':
        return this.#compare(node.node, node.rest, frame);
      case 'Conditional':
        return this.#conditional(node, frame);
      default:
        return node satisfies never;
    }
  }

  isTrue(node: Expression, frame: Frame): boolean {
    return isTrue(this.evaluate(node, frame));
  }

  #dict(items: readonly (readonly [Expression, Expression])[], frame: Frame): Dict {
    const dict = new Dict();
    for (const [key, value] of items) {
      const name = this.evaluate(key, frame);
      const held = this.evaluate(value, frame);
      needHashable(name);
      this.budget.text(textOf(name)?.length ?? 0);
      dict.set(name, held);
    }
    return dict;
  }

  #getitem(node: Expression, key: Expression, frame: Frame): Value {
    const value = this.evaluate(node, frame);
    if (key.kind !== 'Slice') return getitem(value, this.evaluate(key, frame), this);
    const [start, stop, step] = [key.start, key.stop, key.step].map((part) =>
      part === null ? null : this.evaluate(part, frame),
    );
    return slice(value, start!, stop!, step!, this.budget);
  }

  #conditional(node: Expression & { kind: 'Conditional' }, frame: Frame): Value {
    if (this.isTrue(node.test, frame)) return this.evaluate(node.value, frame);
    if (node.otherwise !== null) return this.evaluate(node.otherwise, frame);
    return new Undefined(
      `the inline if-expression on line ${node.line} evaluated to false and no else section was defined.`,
    );
  }

  #compare(
    first: Expression,
    rest: readonly (readonly [CompareOperator, Expression])[],
    frame: Frame,
  ): boolean {
    let left = this.evaluate(first, frame);
    for (const [operator, node] of rest) {
      const right = this.evaluate(node, frame);
      if (!this.#holds(operator, left, right)) return false;
      left = right;
    }
    return true;
  }

  #holds(operator: CompareOperator, left: Value, right: Value): boolean {
    switch (operator) {
      case '==':
        return equal(left, right, this.budget);
      case '!=':
        return !equal(left, right, this.budget);
      case 'in':
        return contains(right, left, this.budget);
      case 'not in':
        return !contains(right, left, this.budget);
      case '<':
        return order(left, right, operator, this.budget) < 0;
      case '<=':
        return order(left, right, operator, this.budget) <= 0;
      case '>':
        return order(left, right, operator, this.budget) > 0;
      case '>=':
        return order(left, right, operator, this.budget) >= 0;
      default:
        return operator satisfies never;
    }
  }

  // ---- calls ----

  #arguments(node: Arguments, frame: Frame): { args: Value[]; kwargs: Map<string, Value> } {
    const args = node.args.map((arg) => this.evaluate(arg, frame));
    const kwargs = new Map<string, Value>();
    for (const [name, value] of node.kwargs) kwargs.set(name, this.evaluate(value, frame));
    if (node.moreArgs !== null) args.push(...listOf(this.evaluate(node.moreArgs, frame), this.budget));
    if (node.moreKwargs !== null) this.#moreKwargs(this.evaluate(node.moreKwargs, frame), kwargs);
    return { args, kwargs };
  }

  #moreKwargs(value: Value, kwargs: Map<string, Value>): void {
    if (!(value instanceof Dict))
      throw new TemplateError('TypeError', `argument after ** must be a mapping, not ${typeName(value)}`);
    for (const [key, held] of value.entries()) {
      const name = textOf(key);
      if (name === null) fail('TypeError', 'keywords must be strings');
      if (kwargs.has(name!)) fail('TypeError', `got multiple values for keyword argument '${name}'`);
      kwargs.set(name!, held);
    }
  }

  callNode(node: Expression & { kind: 'Call' }, frame: Frame, extra: Kwargs): Value {
    const callee = this.evaluate(node.node, frame);
    const { args, kwargs } = this.#arguments(node, frame);
    for (const [name, value] of extra) kwargs.set(name, value);
    return this.call(callee, args, kwargs);
  }

  call(callee: Value, args: readonly Value[], kwargs: Kwargs): Value {
    if (callee instanceof Undefined) failUndefined(callee);
    const run = callee instanceof Callable || callee instanceof Attributes ? callee.run : undefined;
    if (run === undefined) return fail('TypeError', `'${typeName(callee)}' object is not callable`);
    return run(args, kwargs, this);
  }

  /** `block`: the text that a filter block's filter works on. */
  filterNode(node: FilterNode, frame: Frame, block: Value): Value {
    const value =
      node.node === null
        ? block
        : node.node.kind === 'Filter'
          ? this.filterNode(node.node, frame, block)
          : this.evaluate(node.node, frame);
    const { args, kwargs } = this.#arguments(node, frame);
    this.line = node.line;
    this.#needName(this.library.filters, 'filter', node.name);
    return this.filter(node.name, [value, ...args], kwargs);
  }

  #test(node: Expression & { kind: 'Test' }, frame: Frame): Value {
    const value = this.evaluate(node.node, frame);
    const { args, kwargs } = this.#arguments(node, frame);
    this.line = node.line;
    this.#needName(this.library.tests, 'test', node.name);
    return this.test(node.name, [value, ...args], kwargs);
  }

  filter(name: Value, args: readonly Value[], kwargs: Kwargs): Value {
    this.#pay(args);
    return this.#named(this.library.filters, 'filter', name)(args, kwargs, this);
  }

  test(name: Value, args: readonly Value[], kwargs: Kwargs): Value {
    this.#pay(args);
    return this.#named(this.library.tests, 'test', name)(args, kwargs, this);
  }

  /** Filters and tests read their texts whole. */
  #pay(args: readonly Value[]): void {
    this.budget.spend(1);
    for (const arg of args) this.budget.text(textOf(arg)?.length ?? 0);
  }

  /** Names that a condition might have kept from being reached are looked for only here. */
  #needName(natives: ReadonlyMap<string, Native>, kind: string, name: string): void {
    if (!natives.has(name)) fail('TemplateRuntimeError', `No ${kind} named '${name}' found.`);
  }

  #named(natives: ReadonlyMap<string, Native>, kind: string, name: Value): Native {
    const native = natives.get(textOf(name) ?? '');
    if (native !== undefined) return native;
    const hint =
      name instanceof Undefined ? ` (${name.message}; did you forget to quote the callable name?)` : '';
    return fail('TemplateRuntimeError', `No ${kind} named ${repr(name, this.budget)}.${hint}`);
  }

  unpack(value: Value, count: number): Value[] {
    if (textOf(value) === null && (value === null || typeof value !== 'object'))
      fail('TypeError', `cannot unpack non-iterable ${typeName(value)} object`);
    const items: Value[] = [];
    for (const item of iterate(value, this.budget)) {
      if (items.length === count) fail('ValueError', `too many values to unpack (expected ${count})`);
      items.push(item);
    }
    if (items.length < count)
      fail('ValueError', `not enough values to unpack (expected ${count}, got ${items.length})`);
    return items;
  }
}
