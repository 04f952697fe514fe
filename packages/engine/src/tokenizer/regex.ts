// tokenizer.json holds regular expressions for Oniguruma (Ruby syntax, Unicode). This translates what such
// files use to JavaScript's `v` flag, with Oniguruma's meaning: \s is Unicode White_Space (JavaScript's lacks
// U+0085 and has U+FEFF), \d, \w and [[:alpha:]] are Unicode, ^ and $ are line anchors, (?i:…) folds case,
// possessive quantifiers and (?>…) do not backtrack. Source: Oniguruma doc/RE. Anything else is refused
// rather than read differently.

import type { Place } from './json-fields.ts';

const LONGEST_PATTERN = 16384;
const DEEPEST_GROUP = 32;

const WORD = '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}';
const CLASS_ESCAPES: Readonly<Record<string, string>> = {
  s: '\\p{White_Space}',
  S: '\\P{White_Space}',
  d: '\\p{Nd}',
  D: '\\P{Nd}',
  w: `[${WORD}]`,
  W: `[^${WORD}]`,
  h: '[0-9A-Fa-f]',
  H: '[^0-9A-Fa-f]',
};
const POSIX: Readonly<Record<string, string>> = {
  alpha: '\\p{Alphabetic}',
  digit: '\\p{Nd}',
  alnum: '\\p{Alphabetic}\\p{Nd}',
  upper: '\\p{Uppercase}',
  lower: '\\p{Lowercase}',
  space: '\\p{White_Space}',
  punct: '\\p{P}\\p{S}',
  cntrl: '\\p{Cc}',
  xdigit: '0-9A-Fa-f',
  word: WORD,
  ascii: '\\x00-\\x7f',
};
const CONTROL_ESCAPES: Readonly<Record<string, string>> = {
  t: '\t',
  n: '\n',
  r: '\r',
  f: '\f',
  v: '\v',
  a: '\x07',
  e: '\x1b',
};

/**
 * A global expression; throws FormatError at `place` where the pattern is broken or uses what is not
 * supported.
 */
export function translateRegex(pattern: string, place: Place): RegExp {
  if (pattern.length > LONGEST_PATTERN)
    throw place.error(`expected at most ${LONGEST_PATTERN} characters, found ${pattern.length}`);
  const source = new Translator(pattern, place).run();
  try {
    return new RegExp(source, 'gv');
  } catch (cause) {
    throw place.error(
      `not a valid expression: ${cause instanceof Error ? cause.message.slice(0, 200) : 'unknown reason'}`,
    );
  }
}

/** An expression that finds exactly this text. */
export function literalRegex(text: string): RegExp {
  return new RegExp(Array.from(text, (character) => quote(character)).join(''), 'gv');
}

/** A character that means only itself, in and outside a class. */
function quote(character: string): string {
  const code = character.codePointAt(0)!;
  if (/^[\p{L}\p{N}]$/u.test(character)) return character;
  return `\\u{${code.toString(16)}}`;
}

/** The same letter in either case, with the two letters outside ASCII that fold onto s and k. */
function caseVariants(character: string): string[] {
  const variants = new Set([character, character.toLowerCase(), character.toUpperCase()]);
  if (variants.has('s')) variants.add('ſ');
  if (variants.has('k')) variants.add('\u212a');
  return [...variants].filter((variant) => [...variant].length === 1);
}

class Translator {
  readonly pattern: string;
  readonly place: Place;
  position = 0;
  ignoreCase = false;
  depth = 0;
  atomics = 0;

  constructor(pattern: string, place: Place) {
    this.pattern = pattern;
    this.place = place;
  }

  run(): string {
    const out = this.alternatives();
    if (this.position < this.pattern.length)
      throw this.refuse('a closing parenthesis without its opening one');
    return out;
  }

  refuse(what: string): Error {
    return this.place.error(`${what} at character ${this.position} of the expression is not supported`);
  }

  take(text: string): boolean {
    if (!this.pattern.startsWith(text, this.position)) return false;
    this.position += text.length;
    return true;
  }

  next(): string {
    const code = this.pattern.codePointAt(this.position);
    if (code === undefined) throw this.refuse('an unfinished expression');
    const character = String.fromCodePoint(code);
    this.position += character.length;
    return character;
  }

  alternatives(): string {
    if (++this.depth > DEEPEST_GROUP) throw this.refuse('a group nested this deeply');
    const ignoreCase = this.ignoreCase;
    let out = '';
    while (this.position < this.pattern.length && this.pattern[this.position] !== ')') {
      out += this.take('|') ? '|' : this.quantified(this.atom());
    }
    this.ignoreCase = ignoreCase;
    this.depth--;
    return out;
  }

  quantified(atom: string): string {
    const rest = this.pattern.slice(this.position, this.position + 24);
    const simple = /^[*+?]/.exec(rest)?.[0];
    const counted = simple === undefined ? /^\{(\d{0,5})(,?)(\d{0,5})\}/.exec(rest) : null;
    if (simple === undefined && counted === null) return atom;
    if (atom === '') throw this.refuse('a repetition of nothing');
    if (simple !== undefined) {
      this.position++;
      if (this.take('?')) return `${atom}${simple}?`;
      return this.take('+')
        ? this.quantified(this.atomic(atom + simple))
        : this.quantifiedAgain(atom + simple);
    }
    const [text, low = '', comma = '', high = ''] = counted!;
    if (low === '' && high === '') throw this.refuse('an empty repetition count');
    this.position += text.length;
    const repeated = `${atom}{${low === '' ? '0' : low}${comma}${high}}`;
    return this.take('?') ? `${repeated}?` : this.quantifiedAgain(repeated);
  }

  /** Ruby syntax: a quantifier after {n,m} repeats the whole. */
  quantifiedAgain(repeated: string): string {
    return /[*+?{]/.test(this.pattern[this.position] ?? '') ? this.quantified(`(?:${repeated})`) : repeated;
  }

  /** No backtracking into what was matched: a lookahead captures it, the back reference consumes it. */
  atomic(inner: string): string {
    const name = `atomic${++this.atomics}`;
    return `(?:(?=(?<${name}>${inner}))\\k<${name}>)`;
  }

  atom(): string {
    const character = this.next();
    if (character === '(') return this.group();
    if (character === '[') return this.characterClass();
    if (character === '\\') return this.escape(false);
    if (character === '.') return '[^\\n]';
    if (character === '^') return '(?<=\\n|(?<![^]))';
    if (character === '$') return '(?=\\n|(?![^]))';
    if (character === '*' || character === '+' || character === '?')
      throw this.refuse('a repetition of nothing');
    return this.literal(character);
  }

  literal(character: string): string {
    const variants = this.ignoreCase ? caseVariants(character) : [character];
    return variants.length === 1 ? quote(character) : `[${variants.map(quote).join('')}]`;
  }

  group(): string {
    if (!this.take('?')) return this.closed('(?:');
    for (const opening of ['?:', '?=', '?!', '?<=', '?<!']) {
      if (this.take(opening.slice(1))) return this.closed(`(${opening}`);
    }
    if (this.take('>')) return this.atomic(this.closed('(?:'));
    const flags = /^(-?i)([:)])/.exec(this.pattern.slice(this.position, this.position + 3));
    if (flags === null) throw this.refuse('this kind of group');
    this.position += flags[0].length;
    const before = this.ignoreCase;
    this.ignoreCase = flags[1] === 'i';
    if (flags[2] === ')') return ''; // holds until the enclosing group ends
    const out = this.closed('(?:');
    this.ignoreCase = before;
    return out;
  }

  closed(opening: string): string {
    const inner = this.alternatives();
    if (!this.take(')')) throw this.refuse('a group without its end');
    return `${opening}${inner})`;
  }

  escape(inClass: boolean): string {
    const character = this.next();
    const known = Object.hasOwn(CLASS_ESCAPES, character) ? CLASS_ESCAPES[character] : undefined;
    if (known !== undefined) return known;
    if (character === 'p' || character === 'P') return this.property(character === 'P');
    if (!inClass && character === 'A') return '(?<![^])';
    if (!inClass && character === 'z') return '(?![^])';
    if (!inClass && (character === 'b' || character === 'B')) {
      const edge = `(?:(?<=[${WORD}])(?![${WORD}])|(?<![${WORD}])(?=[${WORD}]))`;
      return character === 'b' ? edge : `(?!${edge})`;
    }
    return this.literal(this.escapedCharacter(character));
  }

  escapedCharacter(character: string): string {
    if (Object.hasOwn(CONTROL_ESCAPES, character)) return CONTROL_ESCAPES[character]!;
    const rest = this.pattern.slice(this.position, this.position + 10);
    if (character === 'u' || character === 'x') {
      const code = (
        character === 'u' ? /^([0-9A-Fa-f]{4})/ : /^(?:\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{2}))/
      ).exec(rest);
      const value = Number.parseInt(code?.[1] ?? code?.[2] ?? '', 16);
      if (code === null || !(value <= 0x10ffff)) throw this.refuse('this character number');
      this.position += code[0].length;
      return String.fromCodePoint(value);
    }
    if (/[A-Za-z0-9]/.test(character)) throw this.refuse(`the escape \\${character}`);
    return character;
  }

  /** \p{…} is a general category, a binary property or a script. */
  property(negated: boolean): string {
    const name = /^\{(\^?)([A-Za-z_][A-Za-z_0-9]{0,40})\}/.exec(
      this.pattern.slice(this.position, this.position + 48),
    );
    if (name === null) throw this.refuse('this property');
    this.position += name[0].length;
    const letter = negated !== (name[1] === '^') ? 'P' : 'p';
    for (const candidate of [`\\${letter}{${name[2]}}`, `\\${letter}{Script=${name[2]}}`]) {
      try {
        new RegExp(candidate, 'u');
        return candidate;
      } catch {}
    }
    throw this.refuse(`the property ${name[2]}`);
  }

  characterClass(): string {
    if (++this.depth > DEEPEST_GROUP) throw this.refuse('a class nested this deeply');
    const negated = this.take('^') ? '^' : '';
    const parts: string[] = [''];
    let first = true;
    while (first || !this.take(']')) {
      if (!first && this.take('&&')) parts.push('');
      else parts[parts.length - 1] += this.classItem();
      first = false;
    }
    this.depth--;
    if (parts.length === 1) return `[${negated}${parts[0]}]`;
    return `[${negated}${parts.map((part) => `[${part}]`).join('&&')}]`;
  }

  classItem(): string {
    const posix = /^\[:(\^?)([a-z]+):\]/.exec(this.pattern.slice(this.position, this.position + 16));
    if (posix !== null && Object.hasOwn(POSIX, posix[2]!)) {
      this.position += posix[0].length;
      return `[${posix[1]}${POSIX[posix[2]!]}]`;
    }
    if (this.take('[')) return this.characterClass();
    const low = this.classCharacter();
    if (low.length !== 1 && !low.startsWith('=')) return low;
    const from = low.replace(/^=/, '');
    if (this.pattern[this.position] !== '-' || this.pattern[this.position + 1] === ']')
      return this.classLiterals([from]);
    this.position++;
    const to = this.classCharacter();
    if (to.length !== 1 && !to.startsWith('=')) throw this.refuse('a range that ends in a class');
    return this.classRange(from, to.replace(/^=/, ''));
  }

  /**
   * One literal character as `=c` (or `c` alone), a whole class as its translation (longer than one
   * character).
   */
  classCharacter(): string {
    const character = this.next();
    if (character !== '\\') return `=${character}`;
    const ahead = this.pattern[this.position] ?? '';
    if (ahead === 'b') {
      this.position++;
      return '=\b';
    }
    if (Object.hasOwn(CLASS_ESCAPES, ahead) || ahead === 'p' || ahead === 'P') return this.escape(true);
    return `=${this.escapedCharacter(this.next())}`;
  }

  classLiterals(characters: string[]): string {
    const all = this.ignoreCase ? characters.flatMap(caseVariants) : characters;
    return all.map(quote).join('');
  }

  classRange(from: string, to: string): string {
    const range = (low: string, high: string) => `${quote(low)}-${quote(high)}`;
    if (!this.ignoreCase) return range(from, to);
    if (/^[0-9]$/.test(from) && /^[0-9]$/.test(to)) return range(from, to);
    if (!(/^[a-z]$/.test(from) && /^[a-z]$/.test(to)) && !(/^[A-Z]$/.test(from) && /^[A-Z]$/.test(to))) {
      throw this.refuse('a range without regard to case beyond a-z and 0-9');
    }
    const folded = `${range(from.toLowerCase(), to.toLowerCase())}${range(from.toUpperCase(), to.toUpperCase())}`;
    const covers = (letter: string) => from.toLowerCase() <= letter && letter <= to.toLowerCase();
    return `${folded}${covers('s') ? 'ſ' : ''}${covers('k') ? '\u212a' : ''}`;
  }
}
