// The grammar notation of llama.cpp (GBNF: grammars/README.md and src/llama-grammar.cpp of 2026-09-28). Files
// written for it are read as it reads them, with these freedoms: rule names may hold underscores, any ASCII
// punctuation mark may be escaped, a rule may go on in the next line without a group, large counts are counts
// (there they become unbounded), and rules may be left-recursive.
import { GrammarError } from '../../errors.ts';
import type { Rules } from '../context-free/rules.ts';
import { type GrammarLimits, tooLarge } from '../limits.ts';
import {
  ALL_CODE_POINTS,
  ANY_CHARACTER,
  type CodePoints,
  codePoints,
  complementCodePoints,
  intersectCodePoints,
  utf8,
} from '../regular/code-points.ts';
import { call, concat, either, literal, type Regular, repeat } from '../regular/regular.ts';

const LONGEST = 1_000_000;
const DEEPEST = 200;
const LARGEST_COUNT = 1_000_000;
const NAME = /[A-Za-z0-9_-]+/y;
const RULE_HEAD = /[A-Za-z0-9_-]+[ \t]*::=/y;
const CONTROLS: Readonly<Record<string, string>> = { t: '\t', r: '\r', n: '\n' };
const HEX_DIGITS: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };

/**
 * Reads a grammar whose texts are what `root` derives. Throws GrammarError, with line and column, for what is
 * broken, a rule that is called but not defined, one that is defined twice, and what is not supported, by
 * name.
 */
export function parseEbnf(source: string, limits: GrammarLimits): Rules {
  return new Parser(source, limits).parse();
}

class Parser {
  readonly #source: string;
  readonly #limits: GrammarLimits;
  readonly #numbers = new Map<string, number>();
  readonly #names: string[] = [];
  readonly #bodies: (Regular | undefined)[] = [];
  /** Where each rule is first called, for errors. */
  readonly #calledAt: (number | undefined)[] = [];
  readonly #calls: Regular[] = [];
  #at = 0;
  #depth = 0;

  constructor(source: string, limits: GrammarLimits) {
    this.#source = source;
    this.#limits = limits;
  }

  parse(): Rules {
    if (this.#source.length > LONGEST) throw tooLarge(this.#limits, 'characters', LONGEST);
    const root = this.#number('root');
    this.#space(true);
    while (this.#at < this.#source.length) this.#rule();
    for (const [name, rule] of this.#numbers) {
      if (this.#bodies[rule] !== undefined) continue;
      const place = this.#calledAt[rule];
      const where = place === undefined ? '' : `, called at ${this.#place(place)}`;
      throw new GrammarError(`${this.#limits.subject}: expected a rule ${name}${where}, found none`);
    }
    return { bodies: this.#bodies as Regular[], names: this.#names, root };
  }

  #place(at: number): string {
    const before = this.#source.slice(0, at).split('\n');
    return `line ${before.length}, column ${before[before.length - 1].length + 1}`;
  }

  #broken(expected: string, at = this.#at): GrammarError {
    const rest = this.#source.slice(at, at + 12).split('\n')[0];
    const found = at >= this.#source.length ? 'the end' : rest === '' ? 'the end of the line' : rest;
    return new GrammarError(
      `${this.#limits.subject}: expected ${expected} at ${this.#place(at)}, found ${found}`,
    );
  }

  #refuse(keyword: string, reason: string): GrammarError {
    const pointer = this.#place(this.#at);
    return new GrammarError(`${this.#limits.subject}: ${keyword} at ${pointer} is not supported: ${reason}`, {
      code: 'unsupported-grammar',
      refused: [{ keyword, pointer, reason }],
    });
  }

  #match(expression: RegExp): RegExpExecArray | null {
    expression.lastIndex = this.#at;
    const match = expression.exec(this.#source);
    if (match !== null) this.#at += match[0].length;
    return match;
  }

  #take(text: string): boolean {
    if (!this.#source.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  /** Skips blanks and comments, with `newlines` line ends, too. */
  #space(newlines: boolean): void {
    this.#match(newlines ? /(?:[ \t\r\n]+|#[^\r\n]*)*/y : /(?:[ \t]+|#[^\r\n]*)*/y);
  }

  /** The number of a rule, whether it is defined yet or not. */
  #number(name: string): number {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    const number = this.#names.push(name) - 1;
    this.#numbers.set(name, number);
    this.#bodies.push(undefined);
    this.#calledAt.push(undefined);
    return number;
  }

  #rule(): void {
    const from = this.#at;
    const name = this.#match(NAME);
    if (name === null) throw this.#broken('the name of a rule');
    this.#space(false);
    if (!this.#take('::=')) throw this.#broken('::=');
    const rule = this.#number(name[0]);
    if (this.#bodies[rule] !== undefined) throw this.#broken('each rule once', from);
    this.#space(true);
    this.#bodies[rule] = this.#alternatives(false);
    this.#space(true);
    if (this.#at < this.#source.length && !this.#atRule())
      throw this.#broken('an element of a rule, or the next rule');
  }

  #atRule(): boolean {
    RULE_HEAD.lastIndex = this.#at;
    return RULE_HEAD.test(this.#source);
  }

  #alternatives(nested: boolean): Regular {
    if (++this.#depth > DEEPEST) throw tooLarge(this.#limits, 'levels of groups', DEEPEST);
    const options = [this.#sequence()];
    while (this.#take('|')) {
      this.#space(true);
      options.push(this.#sequence());
    }
    if (nested && !this.#take(')')) throw this.#broken('a closing parenthesis');
    this.#depth--;
    return either(...options);
  }

  /** Elements up to the end of the rule, the group or the alternative. */
  #sequence(): Regular {
    const parts: Regular[] = [];
    for (;;) {
      this.#space(true);
      if (this.#atRule()) break;
      const element = this.#element();
      if (element === null) break;
      parts.push(this.#counted(element));
    }
    return concat(...parts);
  }

  #element(): Regular | null {
    const character = this.#source[this.#at];
    if (character === '"') return this.#literal();
    if (character === '[') return this.#class();
    if (this.#take('.')) return ANY_CHARACTER;
    if (this.#take('(')) return this.#group();
    if (character === '<' || character === '!')
      throw this.#refuse('token reference', 'grammars are over characters: write the text itself');
    const from = this.#at;
    const name = this.#match(NAME);
    if (name === null) return null;
    const rule = this.#number(name[0]);
    this.#calledAt[rule] ??= from;
    return (this.#calls[rule] ??= call(rule));
  }

  #group(): Regular {
    this.#space(true);
    return this.#alternatives(true);
  }

  #counted(element: Regular): Regular {
    for (;;) {
      this.#space(false);
      const sign = this.#match(/[*+?]/y)?.[0];
      if (sign !== undefined)
        element = repeat(element, sign === '+' ? 1 : 0, sign === '?' ? 1 : Number.POSITIVE_INFINITY);
      else if (this.#source[this.#at] === '{') element = this.#repeated(element);
      else return element;
    }
  }

  #repeated(element: Regular): Regular {
    const count = this.#match(/\{\s*(\d+)\s*(?:(,)\s*(\d*)\s*)?\}/y);
    if (count === null) throw this.#broken('a count such as {3}, {3,} or {3,5}');
    const min = Number(count[1]);
    const max = count[2] === undefined ? min : count[3] === '' ? Number.POSITIVE_INFINITY : Number(count[3]);
    if ((max === Number.POSITIVE_INFINITY ? min : max) > LARGEST_COUNT)
      throw tooLarge(this.#limits, 'repetitions', LARGEST_COUNT);
    if (min > max) throw this.#broken('a smaller count before the larger one', this.#at - count[0].length);
    return repeat(element, min, max);
  }

  #literal(): Regular {
    this.#at++;
    let text = '';
    while (!this.#take('"')) text += this.#character('a closing quote');
    if (!text.isWellFormed()) throw this.#refuse('surrogate', 'half of a character is in no text');
    return literal(text);
  }

  #class(): Regular {
    this.#at++;
    const negated = this.#take('^');
    const ranges: number[] = [];
    while (!this.#take(']')) {
      const from = this.#at;
      const first = this.#character('a closing bracket').codePointAt(0)!;
      let last = first;
      if (this.#source[this.#at] === '-' && this.#source[this.#at + 1] !== ']') {
        this.#at++;
        last = this.#character('the end of a range').codePointAt(0)!;
      }
      if (first > last) throw this.#broken('a range in order', from);
      ranges.push(first, last);
    }
    const set: CodePoints = codePoints(...ranges);
    return utf8(negated ? complementCodePoints(set) : intersectCodePoints(set, ALL_CODE_POINTS));
  }

  /** One character of a literal or class, escaped or not. */
  #character(closing: string): string {
    const code = this.#source.codePointAt(this.#at);
    if (code === undefined) throw this.#broken(closing);
    const character = String.fromCodePoint(code);
    this.#at += character.length;
    if (character !== '\\') return character;
    const escaped = this.#source[this.#at] ?? '';
    if (Object.hasOwn(HEX_DIGITS, escaped)) return this.#hexadecimal(HEX_DIGITS[escaped]);
    if (Object.hasOwn(CONTROLS, escaped)) {
      this.#at++;
      return CONTROLS[escaped];
    }
    if (!/[!-/:-@[-`{-~]/.test(escaped)) throw this.#broken('a known escape', this.#at - 1);
    this.#at++;
    return escaped;
  }

  #hexadecimal(count: number): string {
    this.#at++;
    const digits = this.#source.slice(this.#at, this.#at + count);
    const code = /^[0-9A-Fa-f]+$/.test(digits) && digits.length === count ? Number.parseInt(digits, 16) : -1;
    if (code < 0 || code > 0x10ffff) throw this.#broken(`${count} hexadecimal digits of a code point`);
    this.#at += count;
    return String.fromCodePoint(code);
  }
}
