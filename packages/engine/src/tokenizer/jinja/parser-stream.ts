// The tokens of a template as its parser walks them.

import { syntaxError } from './errors.ts';
import type { Token, TokenType } from './lexer.ts';
import { DEEPEST_TEMPLATE } from './limits.ts';

/** Jinja2's names of operators in its messages about tags. */
const DESCRIPTIONS: Readonly<Partial<Record<TokenType, string>>> = {
  block_begin: 'begin of statement block',
  block_end: 'end of statement block',
  variable_begin: 'begin of print statement',
  variable_end: 'end of print statement',
  data: 'template data / text',
  eof: 'end of template',
};

export function described(token: Token): string {
  if (token.type === 'name' || token.type === 'operator') return token.value;
  return DESCRIPTIONS[token.type] ?? token.type;
}

export class TokenStream {
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  get current(): Token {
    return this.#tokens[this.#at]!;
  }

  /** The token after the current one. */
  get following(): Token {
    return this.#tokens[Math.min(this.#at + 1, this.#tokens.length - 1)]!;
  }

  next(): Token {
    const token = this.current;
    if (this.#at < this.#tokens.length - 1) this.#at++;
    return token;
  }

  is(type: TokenType): boolean {
    return this.current.type === type;
  }

  isOperator(value: string): boolean {
    return this.current.type === 'operator' && this.current.value === value;
  }

  isName(value: string): boolean {
    return this.current.type === 'name' && this.current.value === value;
  }

  skipOperator(value: string): boolean {
    const found = this.isOperator(value);
    if (found) this.next();
    return found;
  }

  skipName(value: string): boolean {
    const found = this.isName(value);
    if (found) this.next();
    return found;
  }

  expect(type: TokenType, value?: string): Token {
    const token = this.current;
    if (token.type === type && (value === undefined || token.value === value)) return this.next();
    const wanted = value ?? DESCRIPTIONS[type] ?? type;
    if (token.type === 'eof') this.fail(`unexpected end of template, expected '${wanted}'.`);
    this.fail(`expected token '${wanted}', got '${described(token)}'`);
  }

  fail(message: string, line = this.current.line): never {
    syntaxError(message, line);
  }

  /** Runs `parse` one level deeper; refuses what is nested too deep. */
  nested<T>(parse: () => T): T {
    if (++this.#depth > DEEPEST_TEMPLATE) this.fail(`it is nested more than ${DEEPEST_TEMPLATE} deep`);
    const result = parse();
    this.#depth--;
    return result;
  }
}
