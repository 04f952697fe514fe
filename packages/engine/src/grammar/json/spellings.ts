// How JSON writes characters: as they are in UTF-8, with a short escape, or as \uXXXX (two of them beyond the basic
// plane). Every spelling that RFC 8259 allows is read; lone surrogates are none, since no UTF-8 text holds them.
import { bytesOf } from '../regular/byte-set.ts';
import { ALL_CODE_POINTS, type CodePoints, intersectCodePoints, utf8 } from '../regular/code-points.ts';
import { concat, either, literal, NOTHING, oneOf, type Regular, star } from '../regular/regular.ts';

/** What may stand in a string as it is: no control characters, quotes or backslashes. */
const PLAIN: CodePoints = [0x20, 0x21, 0x23, 0x5b, 0x5d, 0xd7ff, 0xe000, 0x10ffff];

/** Character → the letter of its short escape. */
const SHORT = new Map([
  ['"', '"'],
  ['\\', '\\'],
  ['/', '/'],
  ['\b', 'b'],
  ['\f', 'f'],
  ['\n', 'n'],
  ['\r', 'r'],
  ['\t', 't'],
]);

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

/** Bytes as a string of one character each. */
export const bytesAsText = (bytes: Uint8Array): string => String.fromCharCode(...bytes);

const asciiSpellings: (readonly string[])[] = [];

/** All spellings of a character, bytes as text; hex digits in lower case. No spelling begins another one. */
export function spellings(code: number): readonly string[] {
  return code < 0x80 ? (asciiSpellings[code] ??= formsOf(code)) : formsOf(code);
}

function formsOf(code: number): readonly string[] {
  const character = String.fromCodePoint(code);
  const short = SHORT.get(character);
  const units = Array.from({ length: character.length }, (_, i) => hexOf(character.charCodeAt(i)));
  const forms = [units.map((hex) => `\\u${hex}`).join('')];
  if (short !== undefined) forms.push(`\\${short}`);
  if (code >= 0x20 && character !== '"' && character !== '\\')
    forms.push(bytesAsText(encoder.encode(character)));
  return forms;
}

const hexOf = (unit: number): string => unit.toString(16).padStart(4, '0');

/** The next byte as it is compared with `spellings`: hex digits of either case are one. */
export function foldHex(before: string, byte: number): string {
  const at = before.length % 6;
  const isDigit = before.startsWith('\\u') && at >= 2;
  return String.fromCharCode(isDigit && byte >= 0x41 && byte <= 0x46 ? byte + 32 : byte);
}

/** A text in its shortest spelling, without the quotes. */
export const spell = (text: string): Uint8Array => encoder.encode(JSON.stringify(text).slice(1, -1));

/** The text of a valid spelling, given as bytes without the quotes. */
export function unspell(raw: string): string {
  const text = decoder.decode(Uint8Array.from(raw, (unit) => unit.charCodeAt(0)));
  return text.includes('\\') ? (JSON.parse(`"${text}"`) as string) : text;
}

/** Sets in expressions are made anew each time, and are mostly the same few. */
const known = new Map<string, Regular>();
const MOST_KNOWN = 4096;

/** One character of the set in any spelling. */
export function spelled(set: CodePoints): Regular {
  const key = set.join();
  const found = known.get(key);
  if (found !== undefined) return found;
  const short = [...SHORT].filter(([character]) => includes(set, character)).map(([, letter]) => letter);
  const language = either(
    utf8(intersectCodePoints(set, PLAIN)),
    concat(literal('\\'), either(oneOf(bytesOf(encoder.encode(short.join('')))), unicodeEscapes(set))),
  );
  if (known.size >= MOST_KNOWN) known.clear();
  known.set(key, language);
  return language;
}

function includes(set: CodePoints, character: string): boolean {
  const code = character.codePointAt(0)!;
  return intersectCodePoints(set, [code, code]).length > 0;
}

/** A place of a number in hex: how many digits it can have, and the first of them. */
type Place = readonly [radix: number, first: number] | string;

const HEX: Place = [16, 0];
const BASIC: readonly Place[] = ['u', HEX, HEX, HEX, HEX];
const PAIR: readonly Place[] = ['ud', [4, 8], HEX, HEX, '\\ud', [4, 12], HEX, HEX];

function unicodeEscapes(set: CodePoints): Regular {
  const beyond = intersectCodePoints(set, [0x10000, 0x10ffff]).map((code) => code - 0x10000);
  return either(
    places(intersectCodePoints(set, [0, 0xffff]), BASIC, new Map()),
    places(beyond, PAIR, new Map()),
  );
}

/** Numbers of the set, written in these places, the most significant first. */
function places(set: CodePoints, rest: readonly Place[], seen: Map<string, Regular>): Regular {
  if (set.length === 0) return NOTHING;
  const [place, ...others] = rest;
  if (place === undefined) return literal('');
  if (typeof place === 'string') return concat(literalFold(place), places(set, others, seen));
  const key = `${rest.length}:${set.join()}`;
  const found = seen.get(key);
  if (found !== undefined) return found;
  const size = others.reduce((product, one) => product * (typeof one === 'string' ? 1 : one[0]), 1);
  const groups = new Map<string, { followers: CodePoints; digits: string }>();
  for (let digit = 0; digit < place[0]; digit++) {
    const start = digit * size;
    const followers = intersectCodePoints(set, [start, start + size - 1]).map((code) => code - start);
    if (followers.length === 0) continue;
    const group = groups.get(followers.join()) ?? { followers, digits: '' };
    const character = (digit + place[1]).toString(16);
    group.digits += character + character.toUpperCase();
    groups.set(followers.join(), group);
  }
  const options = Array.from(groups.values(), ({ followers, digits }) =>
    concat(oneOf(bytesOf(encoder.encode(digits))), places(followers, others, seen)),
  );
  const language = either(...options);
  seen.set(key, language);
  return language;
}

/** A fixed part of an escape; its d is a hex digit, of either case. */
function literalFold(text: string): Regular {
  return concat(...Array.from(text, (one) => oneOf(bytesOf(encoder.encode(one === 'd' ? 'dD' : one)))));
}

/** One character, any. */
export const ANY_SPELLED: Regular = spelled(ALL_CODE_POINTS);
/** Every text, spelled. */
export const ANY_STRING: Regular = star(ANY_SPELLED);

/** Exactly this text, in any spelling. */
export function spelledText(text: string): Regular {
  return concat(
    ...Array.from(text, (character) => {
      const code = character.codePointAt(0)!;
      return spelled([code, code]);
    }),
  );
}
