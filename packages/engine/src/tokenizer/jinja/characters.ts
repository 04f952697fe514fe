// Python's view of characters: which are blanks, digits and names, and texts as sequences of code points.

import { LimitError } from './errors.ts';
import { LONGEST_LIST } from './limits.ts';

/** `str.isspace`, for one UTF-16 unit (no blank lies beyond them). */
export function isSpace(code: number): boolean {
  if (code <= 32) return code === 32 || (code >= 9 && code <= 13) || (code >= 28 && code <= 31);
  if (code < 0x1680) return code === 0x85 || code === 0xa0;
  return (
    code === 0x1680 ||
    (code >= 0x2000 && code <= 0x200a) ||
    code === 0x2028 ||
    code === 0x2029 ||
    code === 0x202f ||
    code === 0x205f ||
    code === 0x3000
  );
}

/** Where `str.splitlines` cuts. */
export function isLineEnd(code: number): boolean {
  return (
    (code >= 10 && code <= 13) ||
    (code >= 28 && code <= 30) ||
    code === 0x85 ||
    code === 0x2028 ||
    code === 0x2029
  );
}

export const isDigit = (code: number): boolean => code >= 48 && code <= 57;

const nameStart = /^[\p{ID_Start}_]/u;
const namePart = /^[\p{ID_Continue}]/u;

export function isNameStart(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  if (code < 128) return (code >= 97 && code <= 122) || (code >= 65 && code <= 90) || code === 95;
  return nameStart.test(String.fromCodePoint(text.codePointAt(at)!));
}

/** The second half of a surrogate pair counts as what the pair is. */
export function isNameCharacter(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  if (code < 128) return isNameStart(text, at) || isDigit(code);
  const from = code >= 0xdc00 && code <= 0xdfff ? at - 1 : at;
  return namePart.test(String.fromCodePoint(text.codePointAt(from)!));
}

const surrogate = /[\ud800-\udfff]/;

/** Whether code points and UTF-16 units are the same here. */
export const isPlain = (text: string): boolean => !surrogate.test(text);

/** Characters as Python counts them. */
export function lengthOf(text: string): number {
  if (isPlain(text)) return text.length;
  let length = 0;
  for (const _ of text) length++;
  return length;
}

export const characters = (text: string): string[] => (isPlain(text) ? text.split('') : Array.from(text));

/** The UTF-16 place of a code point's place; behind the end, the end. */
export function unitOf(text: string, at: number): number {
  let unit = 0;
  for (let i = 0; i < at && unit < text.length; i++) unit += sizeAt(text, unit);
  return unit;
}

/** The UTF-16 place of a code point that is counted from the end; before the start, −1. */
export function unitFromEnd(text: string, count: number): number {
  let unit = text.length;
  for (let i = 0; i < count; i++) {
    if (unit <= 0) return -1;
    unit = beforeUnit(text, unit);
  }
  return unit;
}

/** The code point's place of a UTF-16 place. */
export const pointOf = (text: string, unit: number): number =>
  isPlain(text) ? unit : lengthOf(text.slice(0, unit));

/** Parts are counted while they are made: a text of nothing but line ends has as many as it has characters. */
function checkCount(parts: readonly string[]): void {
  if (parts.length > LONGEST_LIST) throw new LimitError(`it makes a list longer than ${LONGEST_LIST}`);
}

/** Lines with their ends. */
export function linesOf(text: string, keepEnds: boolean): string[] {
  const lines: string[] = [];
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (!isLineEnd(code)) continue;
    const end = code === 13 && text.charCodeAt(i + 1) === 10 ? i + 2 : i + 1;
    checkCount(lines);
    lines.push(text.slice(start, keepEnds ? end : i));
    start = end;
    i = end - 1;
  }
  if (start < text.length) lines.push(text.slice(start));
  return lines;
}

/** Takes characters off the ends: blanks, or those of `set`. */
export function stripped(text: string, set: string | null, left: boolean, right: boolean): string {
  const taken = set === null ? null : new Set(set);
  let start = 0;
  let end = text.length;
  if (left) while (start < end && isTaken(text, start, taken)) start += sizeAt(text, start);
  if (right)
    for (
      let last = beforeUnit(text, end);
      end > start && isTaken(text, last, taken);
      last = beforeUnit(text, end)
    )
      end = last;
  return text.slice(start, Math.max(start, end));
}

const isTaken = (text: string, at: number, set: ReadonlySet<string> | null): boolean =>
  set === null ? isSpace(text.charCodeAt(at)) : set.has(String.fromCodePoint(text.codePointAt(at) ?? 0));

/** UTF-16 units of the character at a place. */
const sizeAt = (text: string, at: number): number => (text.codePointAt(at)! > 0xffff ? 2 : 1);

/** Where the character before a place begins. */
function beforeUnit(text: string, at: number): number {
  return at >= 2 && text.codePointAt(at - 2)! > 0xffff ? at - 2 : at - 1;
}

/** The first `count` characters. */
export function firstCharacters(text: string, count: number): string {
  return text.slice(0, unitOf(text, count));
}

/** Words between blanks, at most `most` cuts from the left; the rest stays as it is. */
export function splitAtSpaces(text: string, most: number): string[] {
  const words: string[] = [];
  let at = 0;
  for (;;) {
    while (at < text.length && isSpace(text.charCodeAt(at))) at++;
    if (at >= text.length) return words;
    if (words.length === most) {
      words.push(text.slice(at));
      return words;
    }
    checkCount(words);
    const start = at;
    while (at < text.length && !isSpace(text.charCodeAt(at))) at++;
    words.push(text.slice(start, at));
  }
}

/** The same from the right. */
export function splitAtSpacesFromRight(text: string, most: number): string[] {
  const words: string[] = [];
  let at = text.length;
  for (;;) {
    while (at > 0 && isSpace(text.charCodeAt(at - 1))) at--;
    if (at <= 0) return words.reverse();
    if (words.length === most) {
      words.push(text.slice(0, at));
      return words.reverse();
    }
    checkCount(words);
    const end = at;
    while (at > 0 && !isSpace(text.charCodeAt(at - 1))) at--;
    words.push(text.slice(at, end));
  }
}
