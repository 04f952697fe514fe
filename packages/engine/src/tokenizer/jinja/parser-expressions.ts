// Expressions, by Jinja2's grammar: or, and, not, comparisons, + and -, ~, * and /, **, signs, then what stands
// behind a value: attributes, items, calls, filters, tests.

import { DEEPEST_TEMPLATE } from './limits.ts';
import type { Arguments, BinaryOperator, CompareOperator, Expression, FilterNode, Target } from './nodes.ts';
import { described, type TokenStream } from './parser-stream.ts';

const CONSTANTS: ReadonlyMap<string, boolean | null> = new Map([
  ['true', true],
  ['True', true],
  ['false', false],
  ['False', false],
  ['none', null],
  ['None', null],
]);

const COMPARISONS: ReadonlySet<string> = new Set(['==', '!=', '<', '<=', '>', '>=']);

/** What may follow `is NAME` without parentheses, as its argument. */
const TEST_ARGUMENTS: ReadonlySet<string> = new Set(['name', 'string', 'integer', 'float']);

const NO_ARGUMENTS: Arguments = { args: [], kwargs: [], moreArgs: null, moreKwargs: null };

interface TupleOptions {
  /** Conditional expressions are parsed. Default: true. */
  readonly conditional?: boolean;
  /** Also ends at this name. */
  readonly until?: string;
  /** In parentheses, where an empty tuple is one. */
  readonly explicit?: boolean;
}

export class ExpressionParser {
  readonly stream: TokenStream;

  constructor(stream: TokenStream) {
    this.stream = stream;
  }

  expression(conditional = true): Expression {
    return this.stream.nested(() => (conditional ? this.#conditional() : this.#or()));
  }

  /** One expression, or several with commas as a tuple. */
  tuple(options: TupleOptions = {}): Expression {
    const { conditional = true, until, explicit = false } = options;
    const { stream } = this;
    const items: Expression[] = [];
    let isTuple = false;
    let line = stream.current.line;
    for (;;) {
      if (items.length > 0) stream.expect('operator', ',');
      if (this.#endsTuple(until)) break;
      items.push(this.expression(conditional));
      if (!stream.isOperator(',')) break;
      isTuple = true;
      line = stream.current.line;
    }
    if (!isTuple && items.length > 0) return items[0]!;
    if (!isTuple && !explicit) stream.fail(`Expected an expression, got '${described(stream.current)}'`);
    return { kind: 'Tuple', items, line };
  }

  #endsTuple(until: string | undefined): boolean {
    const { stream } = this;
    if (stream.is('variable_end') || stream.is('block_end') || stream.isOperator(')')) return true;
    return until !== undefined && stream.isName(until);
  }

  /** Where a value goes: names, names of a namespace, tuples of them. */
  target(options: { until?: string; attributes?: boolean } = {}): Target {
    const { stream } = this;
    const items: Target[] = [];
    const { line } = stream.current;
    let isTuple = false;
    for (;;) {
      if (items.length > 0) stream.expect('operator', ',');
      if (this.#endsTuple(options.until)) break;
      items.push(this.#oneTarget(options.attributes ?? false));
      if (!stream.isOperator(',')) break;
      isTuple = true;
    }
    if (isTuple) return { kind: 'Tuple', items, line };
    if (items.length === 0) stream.fail(`Expected an expression, got '${described(stream.current)}'`);
    return items[0]!;
  }

  #oneTarget(attributes: boolean): Target {
    const { stream } = this;
    const { line } = stream.current;
    if (stream.skipOperator('(')) {
      const inside = stream.nested(() => this.#parenthesised(attributes));
      stream.expect('operator', ')');
      return inside;
    }
    if (!stream.is('name')) {
      const found = this.primary();
      stream.fail(`can't assign to '${found.kind.toLowerCase()}'`, line);
    }
    const name = this.targetName();
    if (!attributes || !stream.skipOperator('.')) return { kind: 'Name', name, line };
    return { kind: 'Attribute', name, attribute: stream.expect('name').value, line };
  }

  #parenthesised(attributes: boolean): Target {
    const { line } = this.stream.current;
    if (this.stream.isOperator(')')) return { kind: 'Tuple', items: [], line };
    return this.target({ attributes });
  }

  /** A name that may be assigned. */
  targetName(): string {
    const { value, line } = this.stream.expect('name');
    if (CONSTANTS.has(value)) this.stream.fail("can't assign to 'const'", line);
    return value;
  }

  #conditional(): Expression {
    const { stream } = this;
    let { line } = stream.current;
    let node = this.#or();
    while (stream.skipName('if')) {
      const test = this.#or();
      const otherwise = stream.skipName('else') ? stream.nested(() => this.#conditional()) : null;
      node = { kind: 'Conditional', test, value: node, otherwise, line };
      line = stream.current.line;
    }
    return node;
  }

  #or(): Expression {
    return this.#chain(
      () => this.#and(),
      () => (this.stream.skipName('or') ? 'Or' : null),
      (kind, left, right, line) => ({ kind, left, right, line }),
    );
  }

  #and(): Expression {
    return this.#chain(
      () => this.#not(),
      () => (this.stream.skipName('and') ? 'And' : null),
      (kind, left, right, line) => ({ kind, left, right, line }),
    );
  }

  /** Operators of one rank, from the left. A long chain is as deep as nesting is. */
  #chain<Kind>(
    operand: () => Expression,
    operator: () => Kind | null,
    join: (kind: Kind, left: Expression, right: Expression, line: number) => Expression,
  ): Expression {
    let { line } = this.stream.current;
    let left = operand();
    for (let length = 0; ; length++) {
      const kind = operator();
      if (kind === null) return left;
      if (length > DEEPEST_TEMPLATE) this.stream.fail(`it joins more than ${DEEPEST_TEMPLATE} expressions`);
      left = join(kind, left, operand(), line);
      line = this.stream.current.line;
    }
  }

  #not(): Expression {
    const { line } = this.stream.current;
    if (!this.stream.skipName('not')) return this.#compare();
    return { kind: 'Not', node: this.stream.nested(() => this.#not()), line };
  }

  #compare(): Expression {
    const { line } = this.stream.current;
    const node = this.#sum();
    const rest: [CompareOperator, Expression][] = [];
    for (let operator = this.#comparison(); operator !== null; operator = this.#comparison())
      rest.push([operator, this.#sum()]);
    return rest.length === 0 ? node : { kind: 'Compare', node, rest, line };
  }

  #comparison(): CompareOperator | null {
    const { stream } = this;
    const { type, value } = stream.current;
    if (type === 'operator' && COMPARISONS.has(value)) return stream.next().value as CompareOperator;
    if (stream.skipName('in')) return 'in';
    if (!stream.isName('not') || stream.following.type !== 'name' || stream.following.value !== 'in')
      return null;
    stream.next();
    stream.next();
    return 'not in';
  }

  #binary(operand: () => Expression, operators: readonly BinaryOperator[]): Expression {
    return this.#chain(
      operand,
      () => operators.find((operator) => this.stream.skipOperator(operator)) ?? null,
      (operator, left, right, line) => ({ kind: 'Binary', operator, left, right, line }),
    );
  }

  #sum(): Expression {
    return this.#binary(() => this.#concat(), ['+', '-']);
  }

  #concat(): Expression {
    const { line } = this.stream.current;
    const nodes = [this.#product()];
    while (this.stream.skipOperator('~')) nodes.push(this.#product());
    return nodes.length === 1 ? nodes[0]! : { kind: 'Concat', nodes, line };
  }

  #product(): Expression {
    return this.#binary(() => this.#power(), ['*', '/', '//', '%']);
  }

  /** From the left, unlike Python's. */
  #power(): Expression {
    return this.#binary(() => this.#unary(true), ['**']);
  }

  #unary(withFilters: boolean): Expression {
    const { stream } = this;
    const { line } = stream.current;
    let node: Expression;
    if (stream.skipOperator('-')) node = { kind: 'Neg', node: stream.nested(() => this.#unary(false)), line };
    else if (stream.skipOperator('+'))
      node = { kind: 'Pos', node: stream.nested(() => this.#unary(false)), line };
    else node = this.primary();
    node = this.#postfix(node);
    return withFilters ? this.#filtersAndTests(node) : node;
  }

  primary(): Expression {
    const { stream } = this;
    const { type, value, line } = stream.current;
    switch (type) {
      case 'name': {
        stream.next();
        const constant = CONSTANTS.get(value);
        return constant === undefined
          ? { kind: 'Name', name: value, line }
          : { kind: 'Const', value: constant, line };
      }
      case 'string': {
        let text = '';
        while (stream.is('string')) text += stream.next().value;
        return { kind: 'Const', value: text, line };
      }
      case 'integer':
        stream.next();
        return { kind: 'Const', value: BigInt(value.toLowerCase()), line };
      case 'float':
        stream.next();
        return { kind: 'Const', value: Number(value), line };
      default:
        return this.#bracketed();
    }
  }

  #bracketed(): Expression {
    const { stream } = this;
    const { line } = stream.current;
    if (stream.skipOperator('(')) {
      const node = this.tuple({ explicit: true });
      stream.expect('operator', ')');
      return node;
    }
    if (stream.skipOperator('['))
      return { kind: 'List', items: this.#items(']', () => this.expression()), line };
    if (stream.skipOperator('{')) {
      const pair = (): [Expression, Expression] => {
        const key = this.expression();
        stream.expect('operator', ':');
        return [key, this.expression()];
      };
      return { kind: 'Dict', items: this.#items('}', pair), line };
    }
    return stream.fail(`unexpected '${described(stream.current)}'`);
  }

  #items<T>(end: string, one: () => T): T[] {
    const items: T[] = [];
    while (!this.stream.isOperator(end)) {
      if (items.length > 0) this.stream.expect('operator', ',');
      if (this.stream.isOperator(end)) break;
      items.push(one());
    }
    this.stream.expect('operator', end);
    return items;
  }

  /** Attributes, items and calls. */
  #postfix(node: Expression): Expression {
    const { stream } = this;
    for (let length = 0; ; length++) {
      if (length > DEEPEST_TEMPLATE) stream.fail(`it joins more than ${DEEPEST_TEMPLATE} expressions`);
      if (stream.isOperator('.')) node = this.#attribute(node);
      else if (stream.isOperator('[')) node = this.#subscript(node);
      else if (stream.isOperator('(')) node = this.#call(node);
      else return node;
    }
  }

  #filtersAndTests(node: Expression): Expression {
    const { stream } = this;
    for (let length = 0; ; length++) {
      if (length > DEEPEST_TEMPLATE) stream.fail(`it joins more than ${DEEPEST_TEMPLATE} expressions`);
      if (stream.isOperator('|')) node = this.filter(node);
      else if (stream.isName('is')) node = this.#test(node);
      else if (stream.isOperator('(')) node = this.#call(node);
      else return node;
    }
  }

  #attribute(node: Expression): Expression {
    const { line } = this.stream.next();
    const { type, value, line: at } = this.stream.next();
    if (type === 'name') return { kind: 'Getattr', node, name: value, line };
    if (type !== 'integer') this.stream.fail('expected name or number', at);
    return { kind: 'Getitem', node, item: { kind: 'Const', value: BigInt(value), line: at }, line };
  }

  #subscript(node: Expression): Expression {
    const { line } = this.stream.next();
    const items: Expression[] = [];
    while (!this.stream.isOperator(']')) {
      if (items.length > 0) this.stream.expect('operator', ',');
      items.push(this.#subscribed());
    }
    this.stream.expect('operator', ']');
    const item: Expression = items.length === 1 ? items[0]! : { kind: 'Tuple', items, line };
    return { kind: 'Getitem', node, item, line };
  }

  #subscribed(): Expression {
    const { stream } = this;
    const { line } = stream.current;
    const ends = () => stream.isOperator(']') || stream.isOperator(',');
    const start = stream.isOperator(':') ? null : this.expression();
    if (!stream.skipOperator(':')) return start!;
    const stop = stream.isOperator(':') || ends() ? null : this.expression();
    const step = stream.skipOperator(':') && !ends() ? this.expression() : null;
    return { kind: 'Slice', start, stop, step, line };
  }

  #call(node: Expression): Expression {
    const { line } = this.stream.current;
    return { kind: 'Call', node, ...this.#arguments(), line };
  }

  #arguments(): Arguments {
    const { stream } = this;
    const { line } = stream.expect('operator', '(');
    const args: Expression[] = [];
    const kwargs: [string, Expression][] = [];
    let moreArgs: Expression | null = null;
    let moreKwargs: Expression | null = null;
    const ensure = (holds: boolean) => {
      if (!holds) stream.fail('invalid syntax for function call expression', line);
    };
    for (let first = true; !stream.isOperator(')'); first = false) {
      if (!first) stream.expect('operator', ',');
      if (stream.isOperator(')')) break;
      if (stream.skipOperator('*')) {
        ensure(moreArgs === null && moreKwargs === null);
        moreArgs = this.expression();
      } else if (stream.skipOperator('**')) {
        ensure(moreKwargs === null);
        moreKwargs = this.expression();
      } else if (
        stream.is('name') &&
        stream.following.type === 'operator' &&
        stream.following.value === '='
      ) {
        ensure(moreKwargs === null);
        const name = stream.next().value;
        stream.next();
        if (kwargs.some(([other]) => other === name)) stream.fail(`keyword argument repeated: ${name}`, line);
        kwargs.push([name, this.expression()]);
      } else {
        ensure(moreArgs === null && moreKwargs === null && kwargs.length === 0);
        args.push(this.expression());
      }
    }
    stream.expect('operator', ')');
    return { args, kwargs, moreArgs, moreKwargs };
  }

  #dottedName(): string {
    let name = this.stream.expect('name').value;
    while (this.stream.skipOperator('.')) name += `.${this.stream.expect('name').value}`;
    return name;
  }

  /** One filter and those behind it. `inline`: without the first `|`, as at the start of a filter block. */
  filter(node: Expression | null, inline = false): FilterNode {
    let filter: FilterNode | null = null;
    for (let length = 0; inline || this.stream.isOperator('|'); length++) {
      if (length > DEEPEST_TEMPLATE) this.stream.fail(`it joins more than ${DEEPEST_TEMPLATE} filters`);
      if (!inline) this.stream.next();
      inline = false;
      const { line } = this.stream.current;
      const name = this.#dottedName();
      const rest = this.stream.isOperator('(') ? this.#arguments() : NO_ARGUMENTS;
      filter = { kind: 'Filter', node: filter ?? node, name, ...rest, line };
    }
    return filter!;
  }

  #test(node: Expression): Expression {
    const { stream } = this;
    const { line } = stream.next();
    const negated = stream.skipName('not');
    const name = this.#dottedName();
    let rest = NO_ARGUMENTS;
    if (stream.isOperator('(')) rest = this.#arguments();
    else if (this.#startsTestArgument()) {
      if (stream.isName('is')) stream.fail('You cannot chain multiple tests with is');
      rest = { ...NO_ARGUMENTS, args: [stream.nested(() => this.#postfix(this.primary()))] };
    }
    const test: Expression = { kind: 'Test', node, name, ...rest, line };
    return negated ? { kind: 'Not', node: test, line } : test;
  }

  #startsTestArgument(): boolean {
    const { stream } = this;
    if (stream.isName('else') || stream.isName('or') || stream.isName('and')) return false;
    return TEST_ARGUMENTS.has(stream.current.type) || stream.isOperator('[') || stream.isOperator('{');
  }
}
