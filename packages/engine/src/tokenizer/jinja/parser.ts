// Tokens → a template, by Jinja2's grammar with transformers' extensions: {% break %}, {% continue %} and
// {% generation %}. Other templates ({% include %}, {% import %}, {% extends %}) are parsed and refused when they
// are wanted, since a chat template stands alone.

import { tokenize } from './lexer.ts';
import type { Body, Callable, Expression, FilterNode, Signature, Statement, Target } from './nodes.ts';
import { ExpressionParser } from './parser-expressions.ts';
import { TokenStream } from './parser-stream.ts';

/** Throws TemplateError for what is not valid, with its line. */
export function parse(source: string): Body {
  return new StatementParser(new TokenStream(tokenize(source))).template();
}

const bodyOf = (statements: readonly Statement[]): Body => ({ statements, symbols: null });

class StatementParser {
  readonly #stream: TokenStream;
  readonly #expressions: ExpressionParser;
  /** Tags that are open, and what would close each of them. */
  readonly #open: string[] = [];
  readonly #wanted: (readonly string[])[] = [];

  constructor(stream: TokenStream) {
    this.#stream = stream;
    this.#expressions = new ExpressionParser(stream);
  }

  template(): Body {
    return bodyOf(this.#statements(null));
  }

  /** Statements up to one of the tags `ends`, whose name is left to read; null: to the end. */
  #statements(ends: readonly string[] | null): Statement[] {
    const stream = this.#stream;
    const statements: Statement[] = [];
    if (ends !== null) this.#wanted.push(ends);
    while (!stream.is('eof')) {
      const { line } = stream.current;
      if (stream.is('data')) statements.push({ kind: 'Data', text: stream.next().value, line });
      else if (stream.is('variable_begin')) {
        stream.next();
        statements.push({ kind: 'Output', node: this.#expressions.tuple(), line: stream.current.line });
        stream.expect('variable_end');
      } else {
        stream.expect('block_begin');
        if (ends !== null && stream.is('name') && ends.includes(stream.current.value)) {
          this.#wanted.pop();
          return statements;
        }
        statements.push(...stream.nested(() => this.#statement()));
        stream.expect('block_end');
      }
    }
    if (ends !== null) this.#failAt(null, stream.current.line);
    return statements;
  }

  /** The inside of a tag, up to the tag that ends it; that one's name is read. */
  #body(...ends: readonly string[]): [statements: Statement[], end: string] {
    this.#stream.skipOperator(':');
    this.#stream.expect('block_end');
    const statements = this.#statements(ends);
    return [statements, this.#stream.next().value];
  }

  #whole(end: string): Body {
    return bodyOf(this.#body(end)[0]);
  }

  #statement(): Statement[] {
    const stream = this.#stream;
    if (!stream.is('name')) stream.fail('tag name expected');
    const { value: tag, line } = stream.current;
    this.#open.push(tag);
    const found = this.#tagged(tag, line);
    this.#open.pop();
    return Array.isArray(found) ? found : [found];
  }

  #tagged(tag: string, line: number): Statement | Statement[] {
    switch (tag) {
      case 'for':
        return this.#for(line);
      case 'if':
        return this.#if(line);
      case 'set':
        return this.#set(line);
      case 'with':
        return this.#with(line);
      case 'macro':
        return this.#macro(line);
      case 'call':
        return this.#call(line);
      case 'filter':
        this.#stream.next();
        return {
          kind: 'FilterBlock',
          filter: this.#expressions.filter(null, true),
          body: this.#whole('endfilter'),
          line,
        };
      case 'print':
        return this.#print(line);
      case 'autoescape':
        this.#stream.next();
        return {
          kind: 'Autoescape',
          enabled: this.#expressions.expression(),
          body: this.#whole('endautoescape'),
          line,
        };
      case 'block':
        return this.#block(line);
      case 'generation':
        this.#stream.next();
        return { kind: 'Generation', ...this.#callable([], [], 'endgeneration'), line };
      case 'break':
      case 'continue':
        this.#stream.next();
        return { kind: tag === 'break' ? 'Break' : 'Continue', line };
      case 'extends':
      case 'include':
      case 'import':
      case 'from':
        return this.#otherTemplate(tag, line);
      default:
        this.#open.pop();
        this.#failAt(tag, line);
    }
  }

  #for(line: number): Statement {
    const stream = this.#stream;
    stream.next();
    const target = this.#expressions.target({ until: 'in' });
    stream.expect('name', 'in');
    const iterable = this.#expressions.tuple({ conditional: false, until: 'recursive' });
    const test = stream.skipName('if') ? this.#expressions.expression() : null;
    const recursive = stream.skipName('recursive');
    const [statements, end] = this.#body('endfor', 'else');
    const otherwise = end === 'else' ? this.#whole('endfor') : null;
    const body = bodyOf(statements);
    return { kind: 'For', target, iterable, test, testBody: bodyOf([]), recursive, body, otherwise, line };
  }

  #if(line: number): Statement {
    const branches: [Expression, Statement[]][] = [];
    for (let tag = this.#stream.next().value; tag !== 'endif'; ) {
      if (tag === 'else') return { kind: 'If', branches, otherwise: this.#body('endif')[0], line };
      const test = this.#expressions.tuple({ conditional: false });
      const [statements, end] = this.#body('elif', 'else', 'endif');
      branches.push([test, statements]);
      tag = end;
    }
    return { kind: 'If', branches, otherwise: [], line };
  }

  #set(line: number): Statement {
    const stream = this.#stream;
    stream.next();
    const target = this.#expressions.target({ attributes: true });
    if (stream.skipOperator('=')) return { kind: 'Set', target, node: this.#expressions.tuple(), line };
    const filter: FilterNode | null = stream.isOperator('|') ? this.#expressions.filter(null) : null;
    return { kind: 'SetBlock', target, filter, body: this.#whole('endset'), line };
  }

  #with(line: number): Statement {
    const stream = this.#stream;
    stream.next();
    const values: [Target, Expression][] = [];
    while (!stream.is('block_end')) {
      if (values.length > 0) stream.expect('operator', ',');
      const target = this.#expressions.target();
      stream.expect('operator', '=');
      values.push([target, this.#expressions.expression()]);
    }
    return { kind: 'With', values, body: this.#whole('endwith'), line };
  }

  #macro(line: number): Statement {
    this.#stream.next();
    const name = this.#expressions.targetName();
    const { parameters, defaults } = this.#signature();
    return { kind: 'Macro', name, ...this.#callable(parameters, defaults, 'endmacro'), line };
  }

  #call(line: number): Statement {
    const stream = this.#stream;
    stream.next();
    const { parameters, defaults } = stream.isOperator('(')
      ? this.#signature()
      : { parameters: [], defaults: [] };
    const call = this.#expressions.expression();
    if (call.kind !== 'Call') return stream.fail('expected call', line);
    return { kind: 'CallBlock', call, ...this.#callable(parameters, defaults, 'endcall'), line };
  }

  #callable(parameters: readonly string[], defaults: readonly Expression[], end: string): Callable {
    const special = { caller: false, kwargs: false, varargs: false };
    return { parameters, defaults, special, body: this.#whole(end) };
  }

  #signature(): Signature {
    const stream = this.#stream;
    const parameters: string[] = [];
    const defaults: Expression[] = [];
    stream.expect('operator', '(');
    while (!stream.isOperator(')')) {
      if (parameters.length > 0) stream.expect('operator', ',');
      const name = this.#expressions.targetName();
      if (parameters.includes(name)) stream.fail(`duplicate argument '${name}' in function definition`);
      parameters.push(name);
      if (stream.skipOperator('=')) defaults.push(this.#expressions.expression());
      else if (defaults.length > 0) stream.fail('non-default argument follows default argument');
    }
    stream.expect('operator', ')');
    return { parameters, defaults };
  }

  #print(line: number): Statement[] {
    const stream = this.#stream;
    stream.next();
    const statements: Statement[] = [];
    while (!stream.is('block_end')) {
      if (statements.length > 0) stream.expect('operator', ',');
      statements.push({ kind: 'Output', node: this.#expressions.expression(), line });
    }
    return statements;
  }

  #block(line: number): Statement {
    const stream = this.#stream;
    stream.next();
    const name = stream.expect('name').value;
    const scoped = stream.skipName('scoped');
    const required = stream.skipName('required');
    if (stream.isOperator('-'))
      stream.fail(
        'Block names in Jinja have to be valid Python identifiers and may not contain hyphens, use an underscore instead.',
      );
    const body = this.#whole('endblock');
    stream.skipName(name);
    if (required && body.statements.some((part) => part.kind !== 'Data' || part.text.trim() !== ''))
      stream.fail('Required blocks can only contain comments or whitespace');
    return { kind: 'Block', name, scoped, required, body, line };
  }

  #otherTemplate(tag: string, line: number): Statement {
    const stream = this.#stream;
    stream.next();
    const template = this.#expressions.expression();
    const names: string[] = [];
    if (tag === 'import') {
      stream.expect('name', 'as');
      names.push(this.#expressions.targetName());
    } else if (tag === 'from') {
      stream.expect('name', 'import');
      names.push(...this.#importedNames());
    } else if (tag === 'include' && stream.skipName('ignore')) stream.expect('name', 'missing');
    if (tag !== 'extends' && (stream.isName('with') || stream.isName('without'))) {
      stream.next();
      stream.expect('name', 'context');
    }
    return { kind: 'Import', tag, template, names, line };
  }

  #importedNames(): string[] {
    const stream = this.#stream;
    const names: string[] = [];
    do {
      if (names.length > 0 && (stream.isName('with') || stream.isName('without'))) break;
      const name = this.#expressions.targetName();
      if (name.startsWith('_')) stream.fail('names starting with an underline can not be imported');
      names.push(stream.skipName('as') ? this.#expressions.targetName() : name);
    } while (stream.skipOperator(','));
    return names;
  }

  /** For a tag that is not known here, or (null) the template's end inside a tag. */
  #failAt(tag: string | null, line: number): never {
    const message = [tag === null ? 'Unexpected end of template.' : `Encountered unknown tag '${tag}'.`];
    const looking = this.#wanted
      .at(-1)
      ?.map((name) => `'${name}'`)
      .join(' or ');
    if (looking !== undefined) {
      const misplaced = tag !== null && this.#wanted.some((names) => names.includes(tag));
      message.push(
        misplaced
          ? `You probably made a nesting mistake. Jinja is expecting this tag, but currently looking for ${looking}.`
          : `Jinja was looking for the following tags: ${looking}.`,
      );
    }
    const innermost = this.#open.at(-1);
    if (innermost !== undefined)
      message.push(`The innermost block that needs to be closed is '${innermost}'.`);
    this.#stream.fail(message.join(' '), line);
  }
}
