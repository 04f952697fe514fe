// A template's text → tokens, by Jinja2's rules with transformers' settings: trim_blocks (the line end after a
// block tag goes), lstrip_blocks (blanks before a block tag that begins its line go), `-` and `+` at tags,
// {% raw %}, comments. No regular expression runs over the template, so no template makes one slow.

import { isDigit, isNameCharacter, isNameStart, isSpace } from './characters.ts';
import { syntaxError } from './errors.ts';
import { unescaped } from './escapes.ts';
import { Budget } from './limits.ts';
import { quoted } from './print.ts';

export type TokenType =
  | 'data'
  | 'name'
  | 'string'
  | 'integer'
  | 'float'
  | 'operator'
  | 'block_begin'
  | 'block_end'
  | 'variable_begin'
  | 'variable_end'
  | 'eof';

export interface Token {
  readonly type: TokenType;
  /** The text; a string without quotes and escapes. */
  readonly value: string;
  readonly line: number;
}

const OPERATORS = new Set('+ - / // * % ** ~ [ ] ( ) { } == != > >= < <= = . : | , ;'.split(' '));
const CLOSING: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' };

/** Throws TemplateError with the line. */
export function tokenize(source: string): Token[] {
  return new Lexer(source).run();
}

class Lexer {
  readonly #source: string;
  readonly #tokens: Token[] = [];
  #at = 0;
  #line = 1;
  /** The last match ended a line, so that a tag here begins one. */
  #startsLine = true;

  constructor(source: string) {
    const text = source.replaceAll('\r\n', '\n').replaceAll('\r', '\n');
    this.#source = text.endsWith('\n') ? text.slice(0, -1) : text;
  }

  run(): Token[] {
    while (this.#at < this.#source.length) this.#next();
    this.#push('eof', '');
    return this.#tokens;
  }

  #push(type: TokenType, value: string): void {
    this.#tokens.push({ type, value, line: this.#line });
  }

  #moveTo(end: number): void {
    for (let i = this.#at; i < end; i++) if (this.#source.charCodeAt(i) === 10) this.#line++;
    this.#startsLine = this.#source[end - 1] === '\n';
    this.#at = end;
  }

  #data(text: string): void {
    if (text !== '') this.#push('data', text);
  }

  /** The text up to the next tag, and that tag. */
  #next(): void {
    const start = this.#tagAt(this.#at);
    if (start < 0) {
      this.#data(this.#source.slice(this.#at));
      this.#moveTo(this.#source.length);
      return;
    }
    const kind = this.#source[start + 1]!;
    this.#data(this.#textBefore(this.#at, start, kind !== '{'));
    this.#moveTo(start);
    const sign = this.#source[start + 2];
    const inside = start + (sign === '-' || sign === '+' ? 3 : 2);
    if (kind === '#') this.#comment(inside);
    else if (kind === '{') this.#tag('variable', inside);
    else {
      const raw = this.#rawBegin(inside);
      if (raw < 0) this.#tag('block', inside);
      else this.#raw(raw);
    }
  }

  #tagAt(from: number): number {
    for (let at = this.#source.indexOf('{', from); at >= 0; at = this.#source.indexOf('{', at + 1)) {
      const next = this.#source[at + 1];
      if (next === '{' || next === '%' || next === '#') return at;
    }
    return -1;
  }

  /** Text before the tag at `tag`, less the blanks that the tag takes away. */
  #textBefore(from: number, tag: number, isBlock: boolean): string {
    const sign = this.#source[tag + 2];
    let end = tag;
    while (end > from && isSpace(this.#source.charCodeAt(end - 1))) end--;
    if (sign === '-') return this.#source.slice(from, end);
    const lineStart = this.#source.lastIndexOf('\n', tag - 1) + 1;
    const begins = lineStart > from ? true : this.#startsLine;
    if (sign === '+' || !isBlock || !begins || tag === from) return this.#source.slice(from, tag);
    // Only blanks between the line's start and the tag.
    return this.#source.slice(from, end <= Math.max(lineStart, from) ? Math.max(lineStart, from) : tag);
  }

  #skipSpace(at: number): number {
    while (at < this.#source.length && isSpace(this.#source.charCodeAt(at))) at++;
    return at;
  }

  /** Behind the end of a block tag or comment that is at `at`; −1 where none is. */
  #endAt(at: number, mark: string): number {
    const source = this.#source;
    if (source.startsWith(`-${mark}`, at)) return this.#skipSpace(at + 3);
    if (source.startsWith(`+${mark}`, at)) return at + 3;
    if (!source.startsWith(mark, at)) return -1;
    return source[at + 2] === '\n' ? at + 3 : at + 2;
  }

  #comment(inside: number): void {
    const mark = this.#source.indexOf('#}', inside);
    if (mark < 0 && inside < this.#source.length) syntaxError('Missing end of comment tag', this.#line);
    if (mark < 0) this.#moveTo(inside);
    if (mark < 0) return;
    const before = this.#source[mark - 1];
    const signed = mark > inside && (before === '-' || before === '+');
    this.#moveTo(this.#endAt(signed ? mark - 1 : mark, '#}'));
  }

  /** Behind `raw %}`; −1 where the tag is another one. */
  #rawBegin(inside: number): number {
    const word = this.#skipSpace(inside);
    if (!this.#source.startsWith('raw', word)) return -1;
    const end = this.#skipSpace(word + 3);
    if (this.#source.startsWith('%}', end)) return end + 2;
    return this.#source.startsWith('-%}', end) ? this.#skipSpace(end + 3) : -1;
  }

  #raw(inside: number): void {
    this.#moveTo(inside);
    for (let at = this.#source.indexOf('{%', inside); at >= 0; at = this.#source.indexOf('{%', at + 1)) {
      const sign = this.#source[at + 2];
      const word = this.#skipSpace(at + (sign === '-' || sign === '+' ? 3 : 2));
      if (!this.#source.startsWith('endraw', word)) continue;
      const end = this.#endAt(this.#skipSpace(word + 6), '%}');
      if (end < 0) continue;
      this.#data(this.#textBefore(inside, at, true));
      this.#moveTo(end);
      return;
    }
    if (inside < this.#source.length) syntaxError('Missing end of raw directive', this.#line);
  }

  #tag(kind: 'block' | 'variable', inside: number): void {
    this.#push(`${kind}_begin`, '');
    this.#moveTo(inside);
    const open: string[] = [];
    while (this.#at < this.#source.length) {
      const end = open.length === 0 ? this.#tagEnd(kind) : -1;
      if (end >= 0) {
        this.#push(`${kind}_end`, '');
        this.#moveTo(end);
        return;
      }
      this.#expressionToken(open);
    }
  }

  #tagEnd(kind: 'block' | 'variable'): number {
    if (kind === 'block') return this.#endAt(this.#at, '%}');
    if (this.#source.startsWith('}}', this.#at)) return this.#at + 2;
    return this.#source.startsWith('-}}', this.#at) ? this.#skipSpace(this.#at + 3) : -1;
  }

  #expressionToken(open: string[]): void {
    const code = this.#source.charCodeAt(this.#at);
    if (isSpace(code)) this.#moveTo(this.#skipSpace(this.#at));
    else if (isDigit(code)) this.#number();
    else if (isNameStart(this.#source, this.#at)) this.#name();
    else if (code === 39 || code === 34) this.#string();
    else this.#operator(open);
  }

  /** Behind digits, which single underscores may separate; −1 where there are none. */
  #digits(at: number, isOne: (code: number) => boolean = isDigit): number {
    if (!isOne(this.#source.charCodeAt(at))) return -1;
    for (at++; ; ) {
      if (isOne(this.#source.charCodeAt(at))) at++;
      else if (this.#source[at] === '_' && isOne(this.#source.charCodeAt(at + 1))) at += 2;
      else return at;
    }
  }

  #number(): void {
    const start = this.#at;
    const float = this.#source[start - 1] === '.' ? -1 : this.#floatEnd(start);
    const end = float >= 0 ? float : this.#integerEnd(start);
    this.#push(float >= 0 ? 'float' : 'integer', this.#source.slice(start, end).replaceAll('_', ''));
    this.#moveTo(end);
  }

  #floatEnd(start: number): number {
    const whole = this.#digits(start);
    const fraction = this.#source[whole] === '.' ? this.#digits(whole + 1) : -1;
    const end = fraction >= 0 ? fraction : whole;
    if (this.#source[end] !== 'e' && this.#source[end] !== 'E') return fraction;
    const sign = this.#source[end + 1];
    const exponent = this.#digits(end + (sign === '+' || sign === '-' ? 2 : 1));
    return exponent >= 0 ? exponent : fraction;
  }

  #integerEnd(start: number): number {
    const base = this.#source[start] === '0' ? this.#source[start + 1]?.toLowerCase() : undefined;
    const digits = base === 'b' ? '01' : base === 'o' ? '01234567' : base === 'x' ? '0123456789abcdef' : null;
    if (digits !== null) {
      const isOne = (code: number) => digits.includes(String.fromCharCode(code).toLowerCase()) && code > 0;
      const skip = this.#source[start + 2] === '_' ? 3 : 2;
      const end = this.#digits(start + skip, isOne);
      if (end >= 0) return end;
    }
    return this.#source[start] === '0' ? this.#digits(start, (code) => code === 48) : this.#digits(start);
  }

  #name(): void {
    let end = this.#at + 1;
    while (end < this.#source.length && isNameCharacter(this.#source, end)) end++;
    this.#push('name', this.#source.slice(this.#at, end));
    this.#moveTo(end);
  }

  #string(): void {
    const start = this.#at;
    const quote = this.#source[start];
    let end = start + 1;
    while (end < this.#source.length && this.#source[end] !== quote)
      end += this.#source[end] === '\\' ? 2 : 1;
    if (end >= this.#source.length) this.#unexpected(start);
    this.#push('string', unescaped(this.#source.slice(start + 1, end), this.#line));
    this.#moveTo(end + 1);
  }

  #operator(open: string[]): void {
    const two = this.#source.slice(this.#at, this.#at + 2);
    const operator = OPERATORS.has(two) && two.length === 2 ? two : two[0]!;
    if (!OPERATORS.has(operator)) this.#unexpected(this.#at);
    if (operator in CLOSING) open.push(CLOSING[operator]!);
    else if (operator === ')' || operator === ']' || operator === '}') {
      const expected = open.pop();
      if (expected === undefined) syntaxError(`unexpected '${operator}'`, this.#line);
      if (expected !== operator) syntaxError(`unexpected '${operator}', expected '${expected}'`, this.#line);
    }
    this.#push('operator', operator);
    this.#moveTo(this.#at + operator.length);
  }

  #unexpected(at: number): never {
    const character = String.fromCodePoint(this.#source.codePointAt(at)!);
    syntaxError(`unexpected char ${quoted(character, new Budget())} at ${at}`, this.#line);
  }
}
