// Cases and classes of characters, as Python's str has them.

import { firstCharacters } from './characters.ts';

const cased = /[\p{Uppercase}\p{Lowercase}\p{Lt}]/u;
const upper = /\p{Uppercase}/u;
const lower = /\p{Lowercase}/u;
const titled = /\p{Lt}/u;
/** Letters whose title form is neither their upper case nor its first letter: DŽ, LJ, NJ, DZ. */
const TITLES: Readonly<Record<string, string>> = {
  Ǆ: 'ǅ',
  ǅ: 'ǅ',
  ǆ: 'ǅ',
  Ǉ: 'ǈ',
  ǈ: 'ǈ',
  ǉ: 'ǈ',
  Ǌ: 'ǋ',
  ǋ: 'ǋ',
  ǌ: 'ǋ',
  Ǳ: 'ǲ',
  ǲ: 'ǲ',
  ǳ: 'ǲ',
};

function titleOf(letter: string): string {
  const known = TITLES[letter];
  if (known !== undefined) return known;
  const [first = '', ...rest] = letter.toUpperCase();
  return first + (cased.test(first) ? rest.join('').toLowerCase() : rest.join(''));
}

/** Full case folding: letters without a capital of one letter fold by that capital (ß: ss). */
export function folded(text: string): string {
  const fold = (letter: string) =>
    letter === 'ς' || letter.toUpperCase().length > letter.length ? letter.toUpperCase() : letter;
  let out = '';
  for (const letter of text) out += fold(letter);
  return out.toLowerCase();
}

export function capitalized(text: string): string {
  const first = firstCharacters(text, 1);
  return titleOf(first) + text.slice(first.length).toLowerCase();
}

/** str.title: a letter after something without case begins a word. */
export function titleCased(text: string): string {
  let out = '';
  let inWord = false;
  for (const letter of text) {
    out += inWord ? letter.toLowerCase() : titleOf(letter);
    inWord = cased.test(letter);
  }
  return out;
}

export function swapCased(text: string): string {
  let out = '';
  for (const letter of text) out += upper.test(letter) ? letter.toLowerCase() : letter.toUpperCase();
  return out;
}

/** Whether there is a cased letter, and every one satisfies `wanted`. */
function allCased(text: string, wanted: RegExp): boolean {
  let any = false;
  for (const letter of text) {
    if (wanted.test(letter)) any = true;
    else if (cased.test(letter)) return false;
  }
  return any;
}

export const isUpper = (text: string): boolean => allCased(text, upper);
export const isLower = (text: string): boolean => allCased(text, lower);

export function isTitle(text: string): boolean {
  let any = false;
  let inWord = false;
  for (const letter of text) {
    const begins = upper.test(letter) || titled.test(letter);
    if (begins ? inWord : lower.test(letter) && !inWord) return false;
    inWord = begins || lower.test(letter);
    any ||= inWord;
  }
  return any;
}

const every = (pattern: RegExp) => (text: string) => {
  for (const letter of text) if (!pattern.test(letter)) return false;
  return text !== '';
};

const digitLike =
  /[\p{Nd}\u00b2\u00b3\u00b9\u2070\u2074-\u2079\u2080-\u2089\u2460-\u2468\u2474-\u247c\u2488-\u2490]/u;

export const CLASSES: Readonly<Record<string, (text: string) => boolean>> = {
  isalpha: every(/\p{L}/u),
  isalnum: every(/[\p{L}\p{N}]/u),
  isdecimal: every(/\p{Nd}/u),
  isdigit: every(digitLike),
  isnumeric: every(/\p{N}/u),
  isascii: (text) => /^\p{ASCII}*$/u.test(text),
  isprintable: (text) => !/[\p{C}\p{Z}]/u.test(text.replaceAll(' ', '')),
  isidentifier: (text) => /^[\p{ID_Start}_][\p{ID_Continue}]*$/u.test(text),
  isupper: isUpper,
  islower: isLower,
  istitle: isTitle,
};
