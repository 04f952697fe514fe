// From a parsed expression to a regular language. Assertions are languages of what stands before and behind a place, so
// an expression is translated from its end: each part together with everything that follows it (its tail). A look-ahead
// intersects the tail; `$` empties it; `^` and `\b` look at the last character before, so a tail is three languages,
// one for each kind of character that may precede it. Look-behinds intersect what precedes them in the whole.
import { DEFAULT_LIMITS, type GrammarLimits } from '../limits.ts';
import {
  ALL_CODE_POINTS,
  type CodePoints,
  complementCodePoints,
  intersectCodePoints,
  utf8,
} from './code-points.ts';
import { type Pattern, parseRegex, refusedPattern, WORD } from './regex-parser.ts';
import {
  both,
  concat,
  defineLater,
  difference,
  EMPTY,
  either,
  isNullable,
  NOTHING,
  type Regular,
  repeat,
  star,
} from './regular.ts';

export interface RegexOptions {
  /** `search`: texts in which the expression is found (JSON Schema). `whole`, the default: texts that it matches. */
  readonly match?: 'whole' | 'search' | undefined;
  /**
   * The byte strings that one character of a set may be; of two sets without a common character, none may begin another.
   * Default: UTF-8.
   */
  readonly encode?: ((set: CodePoints) => Regular) | undefined;
  readonly limits?: GrammarLimits | undefined;
}

/**
 * The language of an ECMAScript regular expression (flag u). Throws GrammarError for a broken one, and for what no
 * automaton of bounded size can do, by name: back-references, and assertions in places where they cannot be resolved.
 */
export function regexLanguage(
  source: string,
  { match = 'whole', encode = utf8, limits = DEFAULT_LIMITS }: RegexOptions = {},
): Regular {
  const pattern = parseRegex(source, limits.subject);
  const translator = new Translator(encode, limits.subject);
  return match === 'search' ? translator.search(pattern) : translator.whole(pattern);
}

/** What may follow, by what precedes: nothing, a word character, another. */
interface Tail {
  readonly start: Regular;
  readonly word: Regular;
  readonly other: Regular;
}

const PRECEDING = ['start', 'word', 'other'] as const;
type Preceding = (typeof PRECEDING)[number];

const uniform = (language: Regular): Tail => ({ start: language, word: language, other: language });
const isUniform = ({ start, word, other }: Tail): boolean => start === word && word === other;

/** A language for each kind of preceding character, made once where it is the same for all. */
function mapTail(
  tails: readonly Tail[],
  make: (languages: readonly Regular[], before: Preceding) => Regular,
): Tail {
  const at = (before: Preceding) =>
    make(
      tails.map((tail) => tail[before]),
      before,
    );
  return { start: at('start'), word: at('word'), other: at('other') };
}

const mapUniform = (tails: readonly Tail[], make: (languages: readonly Regular[]) => Regular): Tail =>
  tails.every(isUniform) ? uniform(make(tails.map((tail) => tail.start))) : mapTail(tails, make);

/** Repeats of parts with assertions are written out up to this count. */
const UNROLLED = 32;

class Translator {
  readonly #subject: string;
  readonly #encode: (set: CodePoints) => Regular;
  readonly #any: Regular;
  readonly #word: Regular;
  readonly #endsInWord: Regular;
  readonly #endsInOther: Regular;
  readonly #plain = new Map<Pattern, Regular | null>();

  constructor(encode: (set: CodePoints) => Regular, subject: string) {
    this.#subject = subject;
    this.#encode = encode;
    this.#any = star(encode(ALL_CODE_POINTS));
    this.#word = encode(WORD);
    this.#endsInWord = concat(this.#any, this.#word);
    this.#endsInOther = concat(this.#any, encode(complementCodePoints(WORD)));
  }

  whole(pattern: Pattern): Regular {
    return this.#after(EMPTY, pattern, uniform(EMPTY));
  }

  search(pattern: Pattern): Regular {
    return this.#after(this.#any, pattern, uniform(this.#any));
  }

  /** Whole texts: a prefix that is in the language `before`, the pattern, and its tail. */
  #after(before: Regular, pattern: Pattern, tail: Tail): Regular {
    const parts = pattern.kind === 'concat' ? flatten(pattern.parts) : [pattern];
    const branching = parts.find((part) => part.kind === 'either' && looksBehind(part));
    if (branching !== undefined && 'parts' in branching) {
      const cut = (option: Pattern): Pattern => ({
        kind: 'concat',
        parts: parts.map((part) => (part === branching ? option : part)),
      });
      return either(...branching.parts.map((option) => this.#after(before, cut(option), tail)));
    }
    const last = parts.findLastIndex((part) => part.kind === 'look' && !part.ahead);
    const prefix = parts.slice(0, last + 1).reduce((so, part) => this.#extend(so, part), before);
    const rest = this.#tail({ kind: 'concat', parts: parts.slice(last + 1) }, tail);
    return this.#joined(prefix, rest, 'start');
  }

  /** A prefix that goes on with a part before a look-behind, or is what the look-behind wants. */
  #extend(prefix: Regular, part: Pattern): Regular {
    if (part.kind === 'start') return both(prefix, EMPTY);
    if (part.kind === 'look' && !part.ahead) {
      if (looksPast(part.part))
        throw this.#refuse('look-behind', 'an assertion in it looks at what follows it');
      const ending = this.#after(
        this.#any,
        { kind: 'concat', parts: [part.part, { kind: 'end' }] },
        uniform(EMPTY),
      );
      return part.negated ? difference(prefix, ending) : both(prefix, ending);
    }
    const plain = this.#plainOf(part);
    if (plain === null)
      throw this.#refuse('look-behind', 'before it only parts without other assertions are supported');
    return concat(prefix, plain);
  }

  #refuse(keyword: string, reason: string) {
    return refusedPattern(this.#subject, { keyword, pointer: 'the pattern', reason });
  }

  /** The language of a pattern without assertions; null for one with any. */
  #plainOf(pattern: Pattern): Regular | null {
    const known = this.#plain.get(pattern);
    if (known !== undefined) return known;
    const language = this.#makePlain(pattern);
    this.#plain.set(pattern, language);
    return language;
  }

  #makePlain(pattern: Pattern): Regular | null {
    switch (pattern.kind) {
      case 'class':
        return pattern.set.length === 0 ? NOTHING : this.#encode(pattern.set);
      case 'concat':
      case 'either': {
        const parts = pattern.parts.map((part) => this.#plainOf(part));
        if (parts.some((part) => part === null)) return null;
        return pattern.kind === 'concat' ? concat(...(parts as Regular[])) : either(...(parts as Regular[]));
      }
      case 'repeat': {
        const part = this.#plainOf(pattern.part);
        return part && repeat(part, pattern.min, pattern.max);
      }
      default:
        return null;
    }
  }

  #tail(pattern: Pattern, tail: Tail): Tail {
    const plain = this.#plainOf(pattern);
    if (plain !== null) return this.#plainTail(pattern, plain, tail);
    switch (pattern.kind) {
      case 'concat':
        return pattern.parts.reduceRight((after, part) => this.#tail(part, after), tail);
      case 'either':
        return mapUniform(
          pattern.parts.map((part) => this.#tail(part, tail)),
          (parts) => either(...parts),
        );
      case 'repeat':
        return this.#repeated(pattern, tail);
      case 'start':
        return { start: tail.start, word: NOTHING, other: NOTHING };
      case 'end':
        return mapUniform([tail], ([after]) => (isNullable(after) ? EMPTY : NOTHING));
      case 'edge':
        return mapTail([tail], ([after], before) => {
          const wantsWord = (before === 'word') === pattern.negated;
          const next = concat(this.#word, this.#any);
          return wantsWord ? both(after, next) : difference(after, next);
        });
      case 'look': {
        if (!pattern.ahead)
          throw this.#refuse('look-behind', 'it is only supported outside of groups that repeat');
        const ahead = this.#tail(pattern.part, uniform(this.#any));
        return mapUniform([tail, ahead], ([after, wanted]) =>
          pattern.negated ? difference(after, wanted) : both(after, wanted),
        );
      }
      default:
        throw this.#refuse(pattern.kind, 'it has no assertion');
    }
  }

  #plainTail(pattern: Pattern, plain: Regular, tail: Tail): Tail {
    if (tail.word === tail.other && (tail.start === tail.word || !isNullable(plain)))
      return uniform(concat(plain, tail.word));
    if (pattern.kind === 'class') {
      const other = intersectCodePoints(pattern.set, complementCodePoints(WORD));
      const word = intersectCodePoints(pattern.set, WORD);
      return uniform(
        either(concat(this.#encoded(word), tail.word), concat(this.#encoded(other), tail.other)),
      );
    }
    if (pattern.kind === 'concat')
      return pattern.parts.reduceRight((after, part) => this.#tail(part, after), tail);
    if (!isNullable(plain)) return uniform(this.#joined(plain, tail, 'start'));
    return mapTail([tail], (_, before) => this.#joined(plain, tail, before));
  }

  #encoded(set: CodePoints): Regular {
    return set.length === 0 ? NOTHING : this.#encode(set);
  }

  /** A language before a tail, which goes by the last character. */
  #joined(language: Regular, tail: Tail, before: Preceding): Regular {
    if (isUniform(tail)) return concat(language, tail.start);
    return either(
      isNullable(language) ? tail[before] : NOTHING,
      concat(both(language, this.#endsInWord), tail.word),
      concat(both(language, this.#endsInOther), tail.other),
    );
  }

  #repeated({ part, min, max }: Extract<Pattern, { kind: 'repeat' }>, tail: Tail): Tail {
    if (max > 1 && isAssertion(part))
      return this.#repeated({ kind: 'repeat', part, min: Math.min(1, min), max: 1 }, tail);
    if ((max === Number.POSITIVE_INFINITY ? min : max) > UNROLLED)
      throw this.#refuse('assertion in a repeated group', `it is supported for counts up to ${UNROLLED}`);
    let after = max === Number.POSITIVE_INFINITY ? this.#looped(part, tail) : tail;
    for (let i = min; i < max && max <= UNROLLED; i++)
      after = mapUniform([tail, this.#tail(part, after)], (options) => either(...options));
    for (let i = 0; i < min; i++) after = this.#tail(part, after);
    return after;
  }

  /** Any number of a part with assertions: what may follow is the tail, or the part and what may follow. */
  #looped(part: Pattern, tail: Tail): Tail {
    if (!consumes(part))
      throw this.#refuse('assertion in a repeated group', 'the group may match without taking a character');
    const entries = PRECEDING.map((before) => [before, defineLater(isNullable(tail[before]))] as const);
    const after = Object.fromEntries(entries.map(([before, { language }]) => [before, language]));
    const again = this.#tail(part, after as unknown as Tail);
    for (const [before, { define }] of entries) define(either(tail[before], again[before]));
    return after as unknown as Tail;
  }
}

/** The parts of a sequence, those of sequences in it included. */
function flatten(parts: readonly Pattern[]): readonly Pattern[] {
  return parts.flatMap((part) => (part.kind === 'concat' ? flatten(part.parts) : [part]));
}

/** Whether a look-behind stands somewhere outside of repeats and other assertions. */
function looksBehind(pattern: Pattern): boolean {
  if (pattern.kind === 'look') return !pattern.ahead;
  return 'parts' in pattern && pattern.parts.some(looksBehind);
}

/** Whether a pattern never takes a character: then once is as good as often. */
function isAssertion(pattern: Pattern): boolean {
  if ('parts' in pattern) return pattern.parts.every(isAssertion);
  return pattern.kind === 'repeat' ? isAssertion(pattern.part) : pattern.kind !== 'class';
}

/** Whether every match of a pattern takes a character. */
function consumes(pattern: Pattern): boolean {
  switch (pattern.kind) {
    case 'class':
      return true;
    case 'concat':
      return pattern.parts.some(consumes);
    case 'either':
      return pattern.parts.every(consumes);
    case 'repeat':
      return pattern.min > 0 && consumes(pattern.part);
    default:
      return false;
  }
}

/** Whether an assertion in the pattern may look at what comes after its match. */
function looksPast(pattern: Pattern): boolean {
  switch (pattern.kind) {
    case 'edge':
    case 'end':
    case 'look':
      return true;
    case 'either':
      return pattern.parts.some(looksPast);
    case 'repeat':
      return looksPast(pattern.part);
    case 'concat': {
      const last = pattern.parts.findLastIndex(consumes);
      const edges = (part: Pattern, i: number): boolean => i < last && part.kind === 'edge';
      return pattern.parts.some((part, i) => !edges(part, i) && looksPast(part));
    }
    default:
      return false;
  }
}
