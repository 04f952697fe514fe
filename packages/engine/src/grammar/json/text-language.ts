// Sets of texts as schemas describe them: a few words, all but a few, or what patterns, lengths and formats leave. The
// latter are kept as the languages that they hold to and those that they avoid, so that automata are only built where
// their product is needed, and what contradicts itself is seen without one.
import { Dfa } from '../regular/dfa.ts';
import { both, difference, either, type Regular } from '../regular/regular.ts';
import { ANY_STRING, spell, spelledText, unspell } from './spellings.ts';

export type TextLanguage =
  | { readonly kind: 'words'; readonly words: ReadonlySet<string> }
  /** All texts but these. */
  | { readonly kind: 'others'; readonly except: ReadonlySet<string> }
  | RegularText;

export const ANY_TEXT: TextLanguage = { kind: 'others', except: new Set() };
export const NO_TEXT: TextLanguage = { kind: 'words', words: new Set() };

/** Every text, for machines that are inside of a string. */
export const ANY_STRING_DFA = new Dfa(ANY_STRING);

/** An automaton that many texts have made this large is not shared with further schemas. */
const MOST_SHARED_STATES = 50_000;
/** Automata by their language, shared by all schemas. */
const automata = new WeakMap<Regular, Dfa>();

function automatonOf(language: Regular): Dfa {
  let dfa = automata.get(language);
  if (dfa === undefined || dfa.stateCount >= MOST_SHARED_STATES) {
    dfa = new Dfa(language);
    automata.set(language, dfa);
  }
  return dfa;
}

/** Texts that are in all of some languages over spellings, in none of others, and are none of a few words. */
class RegularText {
  readonly kind = 'regular';
  readonly within: ReadonlySet<Regular>;
  readonly outside: ReadonlySet<Regular>;
  readonly except: ReadonlySet<string>;
  #dfa: Dfa | null = null;

  constructor(within: Iterable<Regular>, outside: Iterable<Regular>, except: Iterable<string>) {
    this.within = new Set(within);
    this.outside = new Set(outside);
    this.except = new Set(except);
  }

  get stateCount(): number {
    return this.#dfa?.stateCount ?? 0;
  }

  /** Reads spellings, without quotes. */
  get dfa(): Dfa {
    this.#dfa ??= this.#isPlain() ? automatonOf(this.#first()) : new Dfa(this.regular);
    return this.#dfa;
  }

  get regular(): Regular {
    const all = this.within.size === 0 ? ANY_STRING : both(...this.within);
    if (this.outside.size === 0 && this.except.size === 0) return all;
    return difference(all, either(...this.outside, ...Array.from(this.except, spelledText)));
  }

  has(text: string): boolean {
    if (!text.isWellFormed() || this.except.has(text)) return false;
    const bytes = spell(text);
    const holds = (dfa: Dfa): boolean => dfa.accepts(dfa.run(dfa.start, bytes));
    for (const language of this.within) if (!holds(automatonOf(language))) return false;
    for (const language of this.outside) if (holds(automatonOf(language))) return false;
    return true;
  }

  #isPlain(): boolean {
    return this.within.size === 1 && this.outside.size === 0 && this.except.size === 0;
  }

  #first(): Regular {
    const [first] = this.within;
    return first;
  }
}

/** By tree: formats are the same in all schemas, and so are their automata and the masks kept by them. */
const regularTexts = new WeakMap<Regular, RegularText>();

/** The texts whose spellings are in the language; it holds nothing but spellings. */
export function regularText(regular: Regular): TextLanguage {
  const known = regularTexts.get(regular);
  if (known !== undefined && known.stateCount < MOST_SHARED_STATES) return known;
  const language = new RegularText([regular], [], []);
  regularTexts.set(regular, language);
  return language;
}

const wordsOf = (words: Iterable<string>): TextLanguage => ({ kind: 'words', words: new Set(words) });

export function hasText(language: TextLanguage, text: string): boolean {
  switch (language.kind) {
    case 'words':
      return language.words.has(text);
    case 'others':
      return text.isWellFormed() && !language.except.has(text);
    case 'regular':
      return language.has(text);
  }
}

export function notText(language: TextLanguage): TextLanguage {
  switch (language.kind) {
    case 'words':
      return { kind: 'others', except: language.words };
    case 'others':
      return { kind: 'words', words: language.except };
    case 'regular': {
      const { within, outside, except } = language;
      return orTexts([
        ...Array.from(within, (one) => new RegularText([], [one], [])),
        ...Array.from(outside, (one) => new RegularText([one], [], [])),
        ...(except.size > 0 ? [wordsOf(except)] : []),
      ]);
    }
  }
}

export function andTexts(languages: readonly TextLanguage[]): TextLanguage {
  const finite = languages.find((language) => language.kind === 'words');
  if (finite !== undefined) {
    return wordsOf(
      [...finite.words].filter((word) => languages.every((language) => hasText(language, word))),
    );
  }
  const except = new Set(languages.flatMap((one) => (one.kind === 'words' ? [] : [...one.except])));
  const regular = languages.filter((language) => language.kind === 'regular');
  if (regular.length === 0) return { kind: 'others', except };
  const within = new Set(regular.flatMap((one) => [...one.within]));
  const outside = new Set(regular.flatMap((one) => [...one.outside]));
  for (const one of within) if (outside.has(one)) return NO_TEXT;
  return new RegularText(within, outside, except);
}

export function orTexts(languages: readonly TextLanguage[]): TextLanguage {
  const others = languages.find((language) => language.kind === 'others');
  if (others !== undefined) {
    const missing = [...others.except].filter(
      (word) => !languages.some((language) => hasText(language, word)),
    );
    return { kind: 'others', except: new Set(missing) };
  }
  const words = new Set(languages.flatMap((one) => (one.kind === 'words' ? [...one.words] : [])));
  const regular = languages.filter((language) => language.kind === 'regular');
  if (regular.length === 0) return { kind: 'words', words };
  if (regular.length === 1 && words.size === 0) return regular[0];
  return regularText(either(...regular.map((one) => one.regular), ...Array.from(words, spelledText)));
}

/** What is in the first and not in the second. */
export function minusTexts(from: TextLanguage, without: TextLanguage): TextLanguage {
  if (isNoText(andTexts([from, without]))) return from;
  return isPlainlyWithin(from, without) ? NO_TEXT : andTexts([from, notText(without)]);
}

/** Whether the first demands all that the second does. */
function isPlainlyWithin(one: TextLanguage, other: TextLanguage): boolean {
  if (one.kind === 'words' || other.kind === 'words') return false;
  const covers = <T>(all: ReadonlySet<T>, some: ReadonlySet<T>): boolean =>
    [...some].every((each) => all.has(each));
  if (!covers(one.except, other.except)) return false;
  if (other.kind === 'others') return true;
  return one.kind === 'regular' && covers(one.within, other.within) && covers(one.outside, other.outside);
}

export function isNoText(language: TextLanguage): boolean {
  switch (language.kind) {
    case 'words':
      return ![...language.words].some((word) => word.isWellFormed());
    case 'others':
      return false;
    case 'regular':
      return language.dfa.start === 0;
  }
}

/** The spellings of a language's texts. */
export function regularOf(language: TextLanguage): Regular {
  if (language.kind === 'regular') return language.regular;
  const words = either(
    ...Array.from(language.kind === 'words' ? language.words : language.except, spelledText),
  );
  return language.kind === 'words' ? words : difference(ANY_STRING, words);
}

/** Levels that are searched for texts; longer ones count as too many. */
const MOST_LEVELS = 5000;

/**
 * How many texts a language holds; Infinity where there are more than `most`. Each beginning of a text that lives leads
 * to another text, so few need to be looked at.
 */
export function countTexts(language: TextLanguage, most: number): number {
  if (language.kind === 'words') return language.words.size;
  if (language.kind === 'others') return Number.POSITIVE_INFINITY;
  return textsFrom(language.dfa, language.dfa.start, '', most + 1)?.length ?? Number.POSITIVE_INFINITY;
}

/**
 * The texts that complete a spelling, `raw`, which has led to the state; null where there are at least `most`. Each text
 * is spelled in one way, apart from the character that is being written.
 */
export function textsFrom(dfa: Dfa, state: number, raw: string, most: number): readonly string[] | null {
  const found = new Set<string>();
  let level = [{ state, raw }];
  // The character that is being written may still become the same one in two ways; later ones do not.
  const enough = pendingOf(raw) === '' ? most : 2 * most;
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MOST_LEVELS) return null;
    const next: typeof level = [];
    for (const place of level) {
      if (dfa.accepts(place.state)) found.add(unspell(place.raw));
      if (found.size >= most) return null;
      for (const byte of canonicalBytes(place.raw, raw.length)) {
        const to = dfa.step(place.state, byte);
        if (to !== 0) next.push({ state: to, raw: place.raw + String.fromCharCode(byte) });
        if (next.length >= enough) return null;
      }
    }
    level = next;
  }
  return [...found];
}

const range = (low: number, high: number): number[] =>
  Array.from({ length: high - low + 1 }, (_, i) => low + i);
const PLAIN_BYTES = range(0x20, 0xff).filter((byte) => byte !== 0x22);
const CONTINUING = range(0x80, 0xbf);
const AFTER_BACKSLASH = Array.from('"\\bfnrtu', (letter) => letter.charCodeAt(0));
const HEX = Array.from('0123456789abcdef', (digit) => digit.charCodeAt(0));

/** The bytes to try after a spelling: plain characters as they are, others with an escape. */
function canonicalBytes(raw: string, given: number): readonly number[] {
  const pending = pendingOf(raw);
  if (pending === '') return PLAIN_BYTES;
  if (pending === '\\') return AFTER_BACKSLASH;
  if (!pending.startsWith('\\')) return CONTINUING;
  if (pending.length === 6) return [0x5c];
  if (pending.length === 7) return [0x75];
  // Escapes that are begun here are only needed for control characters.
  const own = raw.length - pending.length >= given;
  return own && pending.length < 4 ? [0x30] : own && pending.length === 4 ? [0x30, 0x31] : HEX;
}

/** The bytes of the last character where it is not complete. */
function pendingOf(raw: string): string {
  let at = 0;
  while (at < raw.length) {
    const code = raw.charCodeAt(at);
    const length =
      code === 0x5c ? escapeLength(raw, at) : code < 0x80 ? 1 : code < 0xe0 ? 2 : code < 0xf0 ? 3 : 4;
    if (at + length > raw.length) return raw.slice(at);
    at += length;
  }
  return '';
}

/** Bytes of the escape at a place. */
function escapeLength(raw: string, at: number): number {
  if (raw[at + 1] !== 'u') return 2;
  return /^[dD][89abAB]/.test(raw.slice(at + 2, at + 4)) ? 12 : 6;
}
