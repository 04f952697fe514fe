// Which names belong to which part of a template, found before it runs, as Jinja2 does. A name that a part sets
// is its own from the part's start: it begins as the outer part's value, as the variable that was passed, or as
// undefined, depending on what comes first in the text. So `{% set x %}` at a template's end hides a variable x
// from the loops before it.

import { syntaxError } from './errors.ts';
import type { Body, Callable, Expression, ForNode, FrameSymbols, Load, Statement, Target } from './nodes.ts';
import { childrenOf, expressionsOf, statementsOf, targetsOf } from './walk.ts';

/** Names that exist at all. */
export interface KnownNames {
  readonly filters: ReadonlySet<string>;
  readonly tests: ReadonlySet<string>;
}

/** Fills in `symbols` of every body and `special` of every macro. Throws TemplateError for unknown names. */
export function resolveNames(template: Body, known: KnownNames): void {
  new Resolver(known).template(template);
}

class Symbols {
  readonly parent: Symbols | null;
  readonly refs: Map<string, Load>;
  readonly stores: Set<string>;

  constructor(parent: Symbols | null, refs = new Map<string, Load>(), stores = new Set<string>()) {
    this.parent = parent;
    this.refs = refs;
    this.stores = stores;
  }

  knows(name: string): boolean {
    for (let at: Symbols | null = this; at !== null; at = at.parent) if (at.refs.has(name)) return true;
    return false;
  }

  parameter(name: string): void {
    this.stores.add(name);
    this.refs.set(name, 'parameter');
  }

  store(name: string): void {
    this.stores.add(name);
    if (!this.refs.has(name)) this.refs.set(name, this.parent?.knows(name) ? 'alias' : 'undefined');
  }

  load(name: string): void {
    if (!this.knows(name)) this.refs.set(name, 'resolve');
  }

  branch(): Symbols {
    return new Symbols(this.parent, new Map(this.refs), new Set(this.stores));
  }

  /** What only some branches set begins as it was outside. */
  merge(branches: readonly Symbols[]): void {
    const stored = new Set(branches.flatMap((branch) => [...branch.stores]));
    for (const name of this.stores) stored.delete(name);
    for (const branch of branches) {
      for (const [name, load] of branch.refs) this.refs.set(name, load);
      for (const name of branch.stores) this.stores.add(name);
    }
    for (const name of stored) this.refs.set(name, this.parent?.knows(name) ? 'alias' : 'resolve');
  }

  frame(): FrameSymbols {
    const loads: [string, Exclude<Load, 'parameter'>][] = [];
    for (const [name, load] of this.refs) if (load !== 'parameter') loads.push([name, load]);
    return loads;
  }
}

class Resolver {
  readonly #known: KnownNames;
  readonly #blocks = new Set<string>();

  constructor(known: KnownNames) {
    this.#known = known;
  }

  template(body: Body): void {
    this.#body(body, new Symbols(null), { soft: false, inLoop: false });
  }

  /** Visits a part: first which names it has, then the parts inside it. */
  #body(body: Body, symbols: Symbols, place: Place): void {
    for (const statement of body.statements) this.#names(statement, symbols);
    body.symbols = symbols.frame();
    this.#inside(body.statements, symbols, place);
  }

  // ---- the names of one part ----

  #names(statement: Statement, symbols: Symbols): void {
    const load = (node: Expression | null) => this.#loads(node, symbols);
    switch (statement.kind) {
      case 'Output':
        load(statement.node);
        break;
      case 'If':
        this.#ifNames(statement.branches, statement.otherwise, symbols);
        break;
      case 'For':
        load(statement.iterable);
        break;
      case 'Set':
        load(statement.node);
        this.#stores(statement.target, symbols);
        break;
      case 'SetBlock':
        this.#stores(statement.target, symbols);
        break;
      case 'With':
        for (const [, value] of statement.values) load(value);
        break;
      case 'Macro':
        symbols.store(statement.name);
        break;
      case 'CallBlock':
        load(statement.call);
        break;
      case 'FilterBlock':
        load(statement.filter);
        break;
      case 'Import':
        load(statement.template);
        for (const name of statement.names) symbols.store(name);
        break;
      case 'Data':
      case 'Break':
      case 'Continue':
      case 'Generation':
      case 'Autoescape':
      case 'Block':
        break;
      default:
        statement satisfies never;
    }
  }

  #ifNames(
    branches: readonly (readonly [Expression, readonly Statement[]])[],
    otherwise: readonly Statement[],
    symbols: Symbols,
  ): void {
    const [[test, statements], ...rest] = branches as [(typeof branches)[0], ...typeof branches];
    this.#loads(test, symbols);
    const [first, others, last] = [symbols.branch(), symbols.branch(), symbols.branch()];
    for (const one of statements) this.#names(one, first);
    for (const branch of rest) this.#ifNames([branch], [], others);
    for (const one of otherwise) this.#names(one, last);
    symbols.merge([first, others, last]);
  }

  #stores(target: Target, symbols: Symbols): void {
    if (target.kind === 'Name') symbols.store(target.name);
    else if (target.kind === 'Attribute') symbols.load(target.name);
    else for (const item of target.items) this.#stores(item, symbols);
  }

  #parameters(target: Target, symbols: Symbols): void {
    if (target.kind === 'Name') symbols.parameter(target.name);
    else if (target.kind === 'Tuple') for (const item of target.items) this.#parameters(item, symbols);
  }

  #loads(node: Expression | null, symbols: Symbols): void {
    if (node === null) return;
    if (node.kind === 'Name') symbols.load(node.name);
    else for (const child of childrenOf(node)) this.#loads(child, symbols);
  }

  // ---- the parts inside it ----

  #inside(statements: readonly Statement[], symbols: Symbols, place: Place): void {
    for (const statement of statements) this.#statement(statement, symbols, place);
  }

  #statement(statement: Statement, symbols: Symbols, place: Place): void {
    const inner = { ...place, soft: false };
    switch (statement.kind) {
      case 'Output':
      case 'Set':
        this.#check(statement.node, place.soft);
        break;
      case 'If':
        for (const [test, body] of statement.branches) {
          this.#check(test, true);
          this.#inside(body, symbols, { ...place, soft: true });
        }
        this.#inside(statement.otherwise, symbols, { ...place, soft: true });
        break;
      case 'For':
        this.#for(statement, symbols, place);
        break;
      case 'SetBlock':
        this.#check(statement.filter, false);
        this.#inner(statement.body, symbols, inner, [statement.filter]);
        break;
      case 'With':
        this.#with(statement, symbols, place);
        break;
      case 'Macro':
      case 'Generation':
        this.#callable(statement, symbols);
        break;
      case 'CallBlock':
        this.#check(statement.call, place.soft);
        this.#callable(statement, symbols);
        break;
      case 'FilterBlock':
        this.#check(statement.filter, false);
        this.#inner(statement.body, symbols, inner, [statement.filter]);
        break;
      case 'Autoescape':
        this.#inner(statement.body, symbols, inner, [statement.enabled]);
        break;
      case 'Block':
        if (this.#blocks.has(statement.name))
          syntaxError(`block '${statement.name}' defined twice`, statement.line);
        this.#blocks.add(statement.name);
        this.#block(statement.body);
        break;
      case 'Break':
      case 'Continue':
        if (!place.inLoop) syntaxError(`'${statement.kind.toLowerCase()}' outside loop`, statement.line);
        break;
      case 'Data':
      case 'Import':
        break;
      default:
        statement satisfies never;
    }
  }

  /** A part with names of its own; `read` are expressions that it reads besides. */
  #inner(body: Body, symbols: Symbols, place: Place, read: readonly (Expression | null)[] = []): void {
    const own = new Symbols(symbols);
    for (const node of read) this.#loads(node, own);
    this.#body(body, own, place);
  }

  #block(body: Body): void {
    const own = new Symbols(null);
    own.parameter('self');
    own.parameter('super');
    this.#body(body, own, { soft: false, inLoop: false });
  }

  #with(statement: Statement & { kind: 'With' }, symbols: Symbols, place: Place): void {
    const own = new Symbols(symbols);
    for (const [target, value] of statement.values) {
      this.#check(value, place.soft);
      this.#parameters(target, own);
    }
    this.#body(statement.body, own, { ...place, soft: false });
  }

  #for(loop: ForNode, symbols: Symbols, place: Place): void {
    if (setsName([loop], 'loop'))
      syntaxError("Can't assign to special loop variable in for-loop target", loop.line);
    this.#check(loop.iterable, place.soft);
    if (loop.test !== null) {
      const own = new Symbols(symbols);
      this.#parameters(loop.target, own);
      this.#loads(loop.test, own);
      this.#check(loop.test, false);
      loop.testBody.symbols = own.frame();
    }
    const own = new Symbols(symbols);
    own.parameter('loop');
    this.#parameters(loop.target, own);
    this.#body(loop.body, own, { soft: false, inLoop: true });
    const outside = { soft: false, inLoop: place.inLoop && !loop.recursive };
    if (loop.otherwise !== null) this.#inner(loop.otherwise, symbols, outside);
  }

  #callable(macro: Callable & { readonly line: number }, symbols: Symbols): void {
    const own = new Symbols(symbols);
    for (const name of macro.parameters) own.parameter(name);
    const undeclared = undeclaredNames(macro.body.statements, ['caller', 'kwargs', 'varargs']);
    const explicit = macro.parameters.indexOf('caller');
    if (undeclared.has('caller') && explicit >= 0) {
      if (explicit < macro.parameters.length - macro.defaults.length)
        syntaxError(
          'When defining macros or call blocks the special "caller" argument must be omitted or be given a default.',
          macro.line,
        );
    } else if (undeclared.has('caller')) own.parameter('caller');
    macro.special.caller = undeclared.has('caller');
    for (const name of ['kwargs', 'varargs'] as const) {
      macro.special[name] = undeclared.has(name) && !macro.parameters.includes(name);
      if (macro.special[name]) own.parameter(name);
    }
    for (const node of macro.defaults) {
      this.#loads(node, own);
      this.#check(node, false);
    }
    this.#body(macro.body, own, { soft: false, inLoop: false });
  }

  /** Unknown filters and tests are errors at once, except where a condition may keep them from being reached. */
  #check(node: Expression | null, soft: boolean): void {
    if (node === null || soft) return;
    if (node.kind === 'Conditional') return;
    if (node.kind === 'Filter' && !this.#known.filters.has(node.name))
      syntaxError(`No filter named '${node.name}'.`, node.line);
    if (node.kind === 'Test' && !this.#known.tests.has(node.name))
      syntaxError(`No test named '${node.name}'.`, node.line);
    for (const child of childrenOf(node)) this.#check(child, soft);
  }
}

interface Place {
  /** Inside a condition. */
  readonly soft: boolean;
  /** `break` and `continue` have a loop to end. */
  readonly inLoop: boolean;
}

/** Whether a statement among these sets `name`. */
function setsName(statements: readonly Statement[], name: string): boolean {
  return statements.some(
    (statement) =>
      (statement.kind !== 'With' && targetsOf(statement).some((target) => targetSets(target, name))) ||
      setsName(statementsOf(statement), name),
  );
}

function targetSets(target: Target, name: string): boolean {
  if (target.kind === 'Tuple') return target.items.some((item) => targetSets(item, name));
  return target.kind === 'Name' && target.name === name;
}

/** Which of `names` are read before they are set. */
function undeclaredNames(statements: readonly Statement[], names: readonly string[]): Set<string> {
  const wanted = new Set(names);
  const found = new Set<string>();
  const read = (node: Expression | null): void => {
    if (node === null) return;
    if (node.kind === 'Name' && wanted.has(node.name)) found.add(node.name);
    else for (const child of childrenOf(node)) read(child);
  };
  const set = (target: Target): void => {
    if (target.kind === 'Name') wanted.delete(target.name);
    else if (target.kind === 'Tuple') for (const item of target.items) set(item);
  };
  const visit = (statement: Statement): void => {
    if (statement.kind === 'Block') return;
    for (const target of targetsOf(statement)) set(target);
    if (statement.kind === 'Macro' || statement.kind === 'CallBlock')
      for (const name of statement.parameters) wanted.delete(name);
    for (const node of expressionsOf(statement)) read(node);
    for (const inner of statementsOf(statement)) visit(inner);
  };
  for (const statement of statements) visit(statement);
  return found;
}
