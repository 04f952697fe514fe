// ECMAScript's regular expressions as trees of code-point sets (ECMA-262, chapter 22.2, with the flag u). Read more
// freely where patterns in the field are, and where only one reading is possible: an escaped punctuation mark is
// itself, and a hyphen beside a class escape is a hyphen (annex B). What no automaton can do is refused by name.
import { GrammarError, type Refusal } from '../../errors.ts';
import {
  ALL_CODE_POINTS,
  type CodePoints,
  codePoints,
  complementCodePoints,
  uniteCodePoints,
} from './code-points.ts';
import { foldCase, propertySet } from './properties.ts';

/** A parsed expression. */
export type Pattern =
  | { readonly kind: 'class'; readonly set: CodePoints }
  | { readonly kind: 'concat' | 'either'; readonly parts: readonly Pattern[] }
  | { readonly kind: 'repeat'; readonly part: Pattern; readonly min: number; readonly max: number }
  /** The start or the end of the text. */
  | { readonly kind: 'start' | 'end' }
  /** Between a word character and another, or nowhere there. */
  | { readonly kind: 'edge'; readonly negated: boolean }
  | { readonly kind: 'look'; readonly ahead: boolean; readonly negated: boolean; readonly part: Pattern };

/** Longer expressions, deeper groups and larger counts are refused. */
const LONGEST = 65_536;
const DEEPEST = 200;
const LARGEST_COUNT = 1_000_000;

const DIGIT = codePoints(0x30, 0x39);
/** `\w`. */
export const WORD = codePoints(0x30, 0x39, 0x41, 0x5a, 0x5f, 0x5f, 0x61, 0x7a);
const SPACE = codePoints(
  ...[0x09, 0x0d, 0x20, 0x20, 0xa0, 0xa0, 0x1680, 0x1680, 0x2000, 0x200a],
  ...[0x2028, 0x2029, 0x202f, 0x202f, 0x205f, 0x205f, 0x3000, 0x3000, 0xfeff, 0xfeff],
);
const NOT_LINE_END = complementCodePoints(codePoints(0x0a, 0x0a, 0x0d, 0x0d, 0x2028, 0x2029));
const CLASS_ESCAPES: Readonly<Record<string, CodePoints>> = { d: DIGIT, w: WORD, s: SPACE };
const CONTROLS: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13 };

interface Flags {
  readonly ignoreCase: boolean;
  readonly dotAll: boolean;
}

/** Throws GrammarError, with `subject` in its message, for what is broken or cannot be an automaton. */
export function parseRegex(source: string, subject: string): Pattern {
  return new Parser(source, subject).parse();
}

class Parser {
  readonly #source: string;
  readonly #subject: string;
  #at = 0;
  #depth = 0;
  #flags: Flags = { ignoreCase: false, dotAll: false };

  constructor(source: string, subject: string) {
    this.#source = source;
    this.#subject = subject;
  }

  parse(): Pattern {
    const { length } = this.#source;
    if (length > LONGEST) throw this.#limit(`at most ${LONGEST} characters`, `${length}`);
    const pattern = this.#alternatives();
    if (this.#at < length) throw this.#broken('no closing parenthesis without an opening one', ')');
    return pattern;
  }

  #broken(expected: string, found?: string): GrammarError {
    const what = found ?? (this.#source[this.#at] === undefined ? 'the end' : this.#source[this.#at]);
    return new GrammarError(
      `${this.#subject}: expected ${expected} at character ${this.#at}, found ${what}. The syntax is ECMAScript's, with flag u.`,
    );
  }

  #limit(expected: string, found: string): GrammarError {
    return new GrammarError(`${this.#subject}: expected ${expected}, found ${found}`, {
      code: 'grammar-limit',
    });
  }

  #refuse(keyword: string, reason: string, at = this.#at): GrammarError {
    const refusal: Refusal = { keyword, pointer: `character ${at}`, reason };
    return refusedPattern(this.#subject, refusal);
  }

  #take(text: string): boolean {
    if (!this.#source.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  #match(expression: RegExp): RegExpExecArray | null {
    expression.lastIndex = this.#at;
    const match = expression.exec(this.#source);
    if (match !== null) this.#at += match[0].length;
    return match;
  }

  #alternatives(): Pattern {
    if (++this.#depth > DEEPEST) throw this.#limit(`groups at most ${DEEPEST} deep`, 'deeper ones');
    const options: Pattern[] = [this.#sequence()];
    while (this.#take('|')) options.push(this.#sequence());
    this.#depth--;
    return options.length === 1 ? options[0] : { kind: 'either', parts: options };
  }

  #sequence(): Pattern {
    const parts: Pattern[] = [];
    while (this.#at < this.#source.length && !/[|)]/.test(this.#source[this.#at]))
      parts.push(this.#quantified());
    return parts.length === 1 ? parts[0] : { kind: 'concat', parts };
  }

  #quantified(): Pattern {
    const from = this.#at;
    const atom = this.#atom();
    const count = this.#quantifier();
    if (count === null) return atom;
    const grouped = /^\((?!\?<?[=!])/.test(this.#source.slice(from, from + 4));
    if (
      !grouped &&
      (atom.kind === 'start' || atom.kind === 'end' || atom.kind === 'edge' || atom.kind === 'look')
    ) {
      this.#at = from;
      throw this.#broken('an assertion without a quantifier');
    }
    const { min, max } = count;
    if (min > max) throw this.#broken('a smaller count before the larger one', `{${min},${max}}`);
    const largest = max === Number.POSITIVE_INFINITY ? min : max;
    if (largest > LARGEST_COUNT) throw this.#limit(`counts up to ${LARGEST_COUNT}`, `${largest}`);
    return { kind: 'repeat', part: atom, min, max };
  }

  /** A lazy quantifier means the same language. */
  #quantifier(): { readonly min: number; readonly max: number } | null {
    const simple = this.#match(/[*+?]/y);
    const counted = simple === null ? this.#match(/\{(\d+)(,?)(\d*)\}/y) : null;
    if (simple === null && counted === null) return null;
    const from = this.#at;
    this.#take('?');
    if (this.#match(/[*+?]|\{\d+,?\d*\}/y) !== null)
      throw this.#refuse(
        this.#source[from] === '+' ? 'possessive quantifier' : 'quantifier of a quantifier',
        'ECMAScript has none: put the inner one into a group',
        from,
      );
    if (counted !== null) {
      const min = Number(counted[1]);
      const max =
        counted[3] === '' ? (counted[2] === '' ? min : Number.POSITIVE_INFINITY) : Number(counted[3]);
      return { min, max };
    }
    const sign = simple![0];
    return { min: sign === '+' ? 1 : 0, max: sign === '?' ? 1 : Number.POSITIVE_INFINITY };
  }

  #atom(): Pattern {
    const character = this.#character();
    switch (character) {
      case '^':
        return { kind: 'start' };
      case '$':
        return { kind: 'end' };
      case '.':
        return { kind: 'class', set: this.#flags.dotAll ? ALL_CODE_POINTS : NOT_LINE_END };
      case '(':
        return this.#group();
      case '[':
        return { kind: 'class', set: this.#class() };
      case '\\':
        return this.#escape();
      case '*':
      case '+':
      case '?':
        this.#at--;
        throw this.#broken('something to repeat before a quantifier');
      case '{':
        if (/^,?\d/.test(this.#source.slice(this.#at))) throw this.#broken('a count such as {2,5}', '{');
        return this.#literal(0x7b);
      default:
        return this.#literal(character.codePointAt(0)!);
    }
  }

  #character(): string {
    const code = this.#source.codePointAt(this.#at);
    if (code === undefined) throw this.#broken('more of the expression');
    const character = String.fromCodePoint(code);
    this.#at += character.length;
    return character;
  }

  #literal(code: number): Pattern {
    return { kind: 'class', set: this.#folded(codePoints(code, code)) };
  }

  #folded(set: CodePoints): CodePoints {
    return this.#flags.ignoreCase ? foldCase(set) : set;
  }

  #group(): Pattern {
    const from = this.#at - 1;
    if (!this.#take('?') || this.#take(':')) return this.#closed();
    const look = this.#match(/(<?)([=!])/y);
    if (look !== null) {
      const part = this.#closed();
      return { kind: 'look', ahead: look[1] === '', negated: look[2] === '!', part };
    }
    if (this.#match(/<[\p{ID_Start}$_][\p{ID_Continue}$\u200c\u200d]*>/uy) !== null) return this.#closed();
    const modifiers = this.#match(/([ims]*)(?:-([ims]*))?:/y);
    if (modifiers !== null) return this.#modified(modifiers[1], modifiers[2] ?? '');
    if (/^(P[<>=]|>|[a-zA-Z]+\)|#|\()/.test(this.#source.slice(this.#at, this.#at + 8)))
      throw this.#refuse(`(?${this.#source[this.#at]}`, 'this group is not of ECMAScript', from);
    throw this.#broken('a kind of group that ECMAScript knows');
  }

  #modified(on: string, off: string): Pattern {
    if (on.includes('m'))
      throw this.#refuse('(?m:', 'line anchors are not supported: match line breaks themselves');
    const before = this.#flags;
    const set = (flag: string, value: boolean) =>
      on.includes(flag) ? true : off.includes(flag) ? false : value;
    this.#flags = { ignoreCase: set('i', before.ignoreCase), dotAll: set('s', before.dotAll) };
    const part = this.#closed();
    this.#flags = before;
    return part;
  }

  #closed(): Pattern {
    const inner = this.#alternatives();
    if (!this.#take(')')) throw this.#broken('a closing parenthesis');
    return inner;
  }

  #escape(): Pattern {
    const from = this.#at - 1;
    const next = this.#source[this.#at] ?? '';
    if (next === 'b' || next === 'B') {
      this.#at++;
      if (this.#flags.ignoreCase)
        throw this.#refuse(`\\${next}`, 'word edges regardless of case are not supported', from);
      return { kind: 'edge', negated: next === 'B' };
    }
    if (/[1-9]/.test(next) || next === 'k')
      throw this.#refuse('back-reference', 'no automaton remembers what a group matched', from);
    const set = this.#classEscape();
    if (set !== null) return { kind: 'class', set };
    return this.#literal(this.#escapedCharacter());
  }

  /** After a backslash: \d, \w, \s, \p and their complements; null for other escapes. */
  #classEscape(): CodePoints | null {
    const letter = this.#source[this.#at] ?? '';
    const known = Object.hasOwn(CLASS_ESCAPES, letter.toLowerCase())
      ? CLASS_ESCAPES[letter.toLowerCase()]
      : null;
    if (known !== null) {
      this.#at++;
      // Under i, \w also holds the two letters that fold into it, and \W what is left.
      const set = this.#folded(known);
      return letter === letter.toLowerCase() ? set : complementCodePoints(set);
    }
    if (letter !== 'p' && letter !== 'P') return null;
    const name = this.#match(/[pP]\{([^}]*)\}/y);
    if (name === null) throw this.#broken('a property such as \\p{L}');
    const set = propertySet(name[1]);
    if (set === null) throw this.#broken('a Unicode property that this JavaScript engine knows', name[1]);
    // With flag u the complement is taken before folding.
    return this.#folded(letter === 'p' ? set : complementCodePoints(set));
  }

  #escapedCharacter(): number {
    const character = this.#character();
    if (Object.hasOwn(CONTROLS, character)) return CONTROLS[character];
    if (character === '0' && !/[0-9]/.test(this.#source[this.#at] ?? '')) return 0;
    if (character === 'c') {
      const letter = this.#match(/[A-Za-z]/y);
      if (letter === null) throw this.#broken('a letter after \\c');
      return letter[0].charCodeAt(0) % 32;
    }
    if (character === 'x') return this.#hexadecimal(/([0-9A-Fa-f]{2})/y);
    if (character === 'u') return this.#unicodeEscape();
    if (/[A-Za-z0-9]/.test(character)) {
      this.#at--;
      throw this.#refuse(`\\${character}`, 'ECMAScript has no such escape', this.#at - 1);
    }
    return character.codePointAt(0)!;
  }

  #hexadecimal(expression: RegExp): number {
    const digits = this.#match(expression);
    if (digits === null) throw this.#broken('hexadecimal digits');
    return Number.parseInt(digits[1], 16);
  }

  #unicodeEscape(): number {
    if (this.#source[this.#at] === '{') {
      const code = this.#hexadecimal(/\{([0-9A-Fa-f]+)\}/y);
      if (code > 0x10ffff) throw this.#broken('a code point up to 10FFFF', code.toString(16));
      return code;
    }
    const unit = this.#hexadecimal(/([0-9A-Fa-f]{4})/y);
    if (unit < 0xd800 || unit > 0xdbff) return unit;
    const low = this.#match(/\\u([dD][c-fC-F][0-9A-Fa-f]{2})/y);
    return low === null ? unit : 0x10000 + (unit - 0xd800) * 0x400 + Number.parseInt(low[1], 16) - 0xdc00;
  }

  /** After the opening bracket. */
  #class(): CodePoints {
    const negated = this.#take('^');
    const sets: CodePoints[] = [];
    while (!this.#take(']')) {
      const from = this.#classAtom();
      if (this.#source[this.#at] !== '-' || this.#source[this.#at + 1] === ']') {
        sets.push(setOf(from));
        continue;
      }
      this.#at++;
      const to = this.#classAtom();
      if (typeof from === 'number' && typeof to === 'number') {
        if (from > to) throw this.#broken('a range in order', `${from}-${to}`);
        sets.push(codePoints(from, to));
      } else sets.push(setOf(from), setOf(0x2d), setOf(to));
    }
    const set = this.#folded(uniteCodePoints(...sets));
    return negated ? complementCodePoints(set) : set;
  }

  #classAtom(): number | CodePoints {
    const character = this.#character();
    if (character !== '\\') return character.codePointAt(0)!;
    if (this.#take('b')) return 8;
    return this.#classEscape() ?? this.#escapedCharacter();
  }
}

const setOf = (atom: number | CodePoints): CodePoints =>
  typeof atom === 'number' ? codePoints(atom, atom) : atom;

/** The error of a pattern that uses what no automaton can do. */
export function refusedPattern(subject: string, refusal: Refusal): GrammarError {
  return new GrammarError(
    `${subject}: ${refusal.keyword} at ${refusal.pointer} is not supported: ${refusal.reason}`,
    {
      code: 'unsupported-grammar',
      refused: [refusal],
    },
  );
}
