// Runs a parsed template: statements, and the text that they write.

import { fail, TemplateError } from './errors.ts';
import { Evaluator, type Library } from './evaluator.ts';
import { type Context, Frame } from './frame.ts';
import { checkNamespaceName } from './globals.ts';
import { iterate } from './iterate.ts';
import type { Budget } from './limits.ts';
import { LoopContext, type Recurse } from './loop.ts';
import { type Bound, Macro } from './macro.ts';
import { escapeHtml } from './markup.ts';
import type { Body, Callable, Expression, ForNode, Statement, Target } from './nodes.ts';
import { str } from './print.ts';
import {
  Attributes,
  Iter,
  type Kwargs,
  Markup,
  Namespace,
  type Native,
  Undefined,
  type Value,
} from './values.ts';

/** How a list of statements ended. */
type Ending = 'end' | 'break' | 'continue';

type Block = Statement & { kind: 'Block' };

/** A block as a function, and `self`, which has all of them. */
class BlockReference extends Attributes {
  readonly typeName = 'BlockReference';
  override readonly run: Native;

  constructor(run: Native) {
    super();
    this.run = run;
  }

  attribute(name: string): Value | undefined {
    return name === 'super' ? new Undefined('there is no parent block') : undefined;
  }

  printed(): string {
    return '<BlockReference>';
  }
}

class TemplateReference extends Attributes {
  readonly typeName = 'TemplateReference';
  readonly #block: (name: string) => Value | undefined;

  constructor(block: (name: string) => Value | undefined) {
    super();
    this.#block = block;
  }

  attribute(name: string): Value | undefined {
    return this.#block(name);
  }

  printed(): string {
    return '<TemplateReference None>';
  }
}

export class Interpreter extends Evaluator {
  #text = '';
  readonly #blocks: ReadonlyMap<string, Block>;

  constructor(library: Library, budget: Budget, now: () => Date, blocks: ReadonlyMap<string, Block>) {
    super(library, budget, now);
    this.#blocks = blocks;
  }

  /** The text that the template writes. */
  render(template: Body, variables: Context): string {
    const context: Context = new Map([...variables, ...this.library.globals]);
    const frame = new Frame(null, context, template.symbols, true);
    frame.set('self', this.#self(context));
    this.#run(template.statements, frame);
    return this.#text;
  }

  #write(text: string): void {
    this.#text += text;
    this.budget.joined(this.#text.length);
  }

  #output(value: Value): void {
    const text = str(value, this.budget);
    this.#write(this.autoescape && !(value instanceof Markup) ? escapeHtml(text) : text);
  }

  /** What `run` writes, kept from the output. */
  #captured(run: () => Ending): { text: string; ending: Ending } {
    const before = this.#text;
    this.#text = '';
    const ending = run();
    const text = this.#text;
    this.#text = before;
    return { text, ending };
  }

  /** A captured text as a value: safe where texts are escaped. */
  #asValue(text: string): Value {
    return this.autoescape ? new Markup(text) : text;
  }

  #run(statements: readonly Statement[], frame: Frame): Ending {
    for (const statement of statements) {
      const ending = this.#statement(statement, frame);
      if (ending !== 'end') return ending;
    }
    return 'end';
  }

  #body(body: Body, frame: Frame): Ending {
    return this.#run(body.statements, new Frame(frame, frame.context, body.symbols));
  }

  #statement(statement: Statement, frame: Frame): Ending {
    this.budget.spend(1);
    this.line = statement.line;
    switch (statement.kind) {
      case 'Data':
        this.#write(statement.text);
        return 'end';
      case 'Output':
        this.#output(this.evaluate(statement.node, frame));
        return 'end';
      case 'If':
        for (const [test, statements] of statement.branches)
          if (this.isTrue(test, frame)) return this.#run(statements, frame);
        return this.#run(statement.otherwise, frame);
      case 'For':
        return this.#for(statement, frame);
      case 'Break':
        return 'break';
      case 'Continue':
        return 'continue';
      case 'Set':
        this.#checkNamespaces(statement.target, frame);
        this.#assign(statement.target, this.evaluate(statement.node, frame), frame);
        return 'end';
      case 'SetBlock':
        return this.#setBlock(statement, frame);
      case 'With':
        return this.#with(statement, frame);
      case 'Macro':
        frame.set(statement.name, this.#macro(statement.name, statement, frame));
        return 'end';
      case 'CallBlock':
        this.#output(this.callNode(statement.call, frame, this.#callerOf(statement, frame)));
        return 'end';
      case 'Generation':
        this.#output(this.call(this.#macro(null, statement, frame), [], new Map()));
        return 'end';
      case 'FilterBlock': {
        const own = new Frame(frame, frame.context, statement.body.symbols);
        const { text, ending } = this.#captured(() => this.#run(statement.body.statements, own));
        if (ending === 'end') this.#output(this.filterNode(statement.filter, own, this.#asValue(text)));
        return ending;
      }
      case 'Autoescape':
        return this.#autoescaped(statement, frame);
      case 'Block':
        this.#block(statement, frame);
        return 'end';
      case 'Import':
        return fail(
          'TypeError',
          `{% ${statement.tag} %}: a chat template stands alone, there is no other template`,
        );
      default:
        return statement satisfies never;
    }
  }

  // ---- assignment ----

  /** Attributes are set only on namespaces; that is checked before the value is found. */
  #checkNamespaces(target: Target, frame: Frame): void {
    if (target.kind === 'Tuple') for (const item of target.items) this.#checkNamespaces(item, frame);
    else if (target.kind === 'Attribute' && !(frame.lookup(target.name) instanceof Namespace))
      fail('TemplateRuntimeError', 'cannot assign attribute on non-namespace object');
  }

  #assign(target: Target, value: Value, frame: Frame): void {
    if (target.kind === 'Name') frame.set(target.name, value);
    else if (target.kind === 'Attribute') {
      const namespace = frame.lookup(target.name);
      if (!(namespace instanceof Namespace))
        throw new TemplateError('TemplateRuntimeError', 'cannot assign attribute on non-namespace object');
      checkNamespaceName(target.attribute, this);
      namespace.attributes.set(target.attribute, value);
    } else {
      const items = this.unpack(value, target.items.length);
      for (const [i, item] of target.items.entries()) this.#assign(item, items[i]!, frame);
    }
  }

  #setBlock(statement: Statement & { kind: 'SetBlock' }, frame: Frame): Ending {
    const own = new Frame(frame, frame.context, statement.body.symbols);
    const { text, ending } = this.#captured(() => this.#run(statement.body.statements, own));
    if (ending !== 'end') return ending;
    const { filter, target } = statement;
    this.#checkNamespaces(target, frame);
    const value = filter === null ? text : this.filterNode(filter, own, this.#asValue(text));
    const shown = this.autoescape && !(value instanceof Markup) ? new Markup(str(value, this.budget)) : value;
    this.#assign(target, shown, frame);
    return 'end';
  }

  #with(statement: Statement & { kind: 'With' }, frame: Frame): Ending {
    const own = new Frame(frame, frame.context, statement.body.symbols);
    for (const [target, value] of statement.values) this.#assign(target, this.evaluate(value, frame), own);
    return this.#run(statement.body.statements, own);
  }

  #autoescaped(statement: Statement & { kind: 'Autoescape' }, frame: Frame): Ending {
    const before = this.autoescape;
    this.autoescape = this.isTrue(statement.enabled, frame);
    const ending = this.#body(statement.body, frame);
    this.autoescape = before;
    return ending;
  }

  // ---- loops ----

  #for(loop: ForNode, frame: Frame): Ending {
    const items = this.evaluate(loop.iterable, frame);
    if (!loop.recursive) return this.#loop(loop, items, frame, null, 0);
    const recurse: Recurse = (inner, depth) => {
      this.budget.enter();
      const { text } = this.#captured(() => this.#loop(loop, inner, frame, recurse, depth));
      this.budget.leave();
      return this.#asValue(text);
    };
    this.#output(recurse(items, 0));
    return 'end';
  }

  #loop(loop: ForNode, items: Value, frame: Frame, recurse: Recurse | null, depth: number): Ending {
    const { test } = loop;
    const chosen = test === null ? items : new Iter(this.#chosen(loop, test, items, frame));
    const context = new LoopContext(chosen, recurse, depth, this.budget);
    let isEmpty = true;
    for (let next = context.next(); next !== null; next = context.next()) {
      const own = new Frame(frame, frame.context, loop.body.symbols);
      own.set('loop', context);
      this.line = loop.line;
      this.#assign(loop.target, next.item, own);
      const ending = this.#run(loop.body.statements, own);
      // An iteration that ends early does not count for {% else %}, as in Jinja2.
      if (ending === 'end') isEmpty = false;
      if (ending === 'break') break;
    }
    return isEmpty && loop.otherwise !== null ? this.#body(loop.otherwise, frame) : 'end';
  }

  /** The items that satisfy the loop's condition, which is asked when an item is wanted. */
  *#chosen(loop: ForNode, test: Expression, items: Value, frame: Frame): Generator<Value> {
    for (const item of iterate(items, this.budget)) {
      const own = new Frame(frame, frame.context, loop.testBody.symbols);
      this.#assign(loop.target, item, own);
      if (this.isTrue(test, own)) yield item;
    }
  }

  // ---- macros and blocks ----

  #macro(name: string | null, node: Callable, frame: Frame): Macro {
    return new Macro(name, node, (bound) => this.#invoke(node, bound, frame));
  }

  #invoke(node: Callable, bound: Bound, outer: Frame): Value {
    const { line } = this;
    this.budget.enter();
    const frame = new Frame(outer, outer.context, node.body.symbols);
    for (const [name, value] of bound) frame.set(name, value);
    const required = node.parameters.length - node.defaults.length;
    for (const [i, name] of node.parameters.entries()) {
      if (bound[i]![1] !== undefined) continue;
      const fallback = node.defaults[i - required];
      const missing = new Undefined(`parameter '${name}' was not provided`);
      frame.set(name, fallback === undefined ? missing : this.evaluate(fallback, frame));
    }
    const { text } = this.#captured(() => this.#run(node.body.statements, frame));
    this.budget.leave();
    this.line = line;
    return this.#asValue(text);
  }

  #callerOf(statement: Callable, frame: Frame): Kwargs {
    return new Map<string, Value>([['caller', this.#macro(null, statement, frame)]]);
  }

  #block(block: Block, frame: Frame): void {
    if (block.required) fail('TemplateRuntimeError', `Required block '${block.name}' not found`);
    const context = block.scoped ? frame.scopedContext() : frame.context;
    this.#runBlock(block, context);
  }

  #runBlock(block: Block, context: Context): void {
    this.budget.enter();
    const frame = new Frame(null, context, block.body.symbols);
    frame.set('self', this.#self(context));
    frame.set('super', new Undefined(`there is no parent block called '${block.name}'.`));
    this.#run(block.body.statements, frame);
    this.budget.leave();
  }

  #self(context: Context): Value {
    return new TemplateReference((name) => {
      const block = this.#blocks.get(name);
      if (block === undefined) return undefined;
      return new BlockReference(() => {
        const { text } = this.#captured(() => {
          this.#runBlock(block, context);
          return 'end';
        });
        return this.#asValue(text);
      });
    });
  }
}
