// Python's view of characters: which are blanks, digits and names, and texts as sequences of code points.

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

/** The UTF-16 place of a code point's place. */
export function unitOf(text: string, at: number): number {
  if (isPlain(text)) return at;
  let unit = 0;
  for (let i = 0; i < at && unit < text.length; i++) unit += text.codePointAt(unit)! > 0xffff ? 2 : 1;
  return unit;
}

/** The code point's place of a UTF-16 place. */
export const pointOf = (text: string, unit: number): number =>
  isPlain(text) ? unit : lengthOf(text.slice(0, unit));

/** Lines with their ends. */
export function linesOf(text: string, keepEnds: boolean): string[] {
  const lines: string[] = [];
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (!isLineEnd(code)) continue;
    const end = code === 13 && text.charCodeAt(i + 1) === 10 ? i + 2 : i + 1;
    lines.push(text.slice(start, keepEnds ? end : i));
    start = end;
    i = end - 1;
  }
  if (start < text.length) lines.push(text.slice(start));
  return lines;
}

/** Takes characters off the ends: blanks, or those of `set`. */
export function stripped(text: string, set: string | null, left: boolean, right: boolean): string {
  let start = 0;
  let end = text.length;
  if (set === null) {
    if (left) while (start < end && isSpace(text.charCodeAt(start))) start++;
    if (right) while (end > start && isSpace(text.charCodeAt(end - 1))) end--;
    return text.slice(start, end);
  }
  const taken = new Set(set);
  const all = characters(text);
  let first = 0;
  let last = all.length;
  if (left) while (first < last && taken.has(all[first]!)) first++;
  if (right) while (last > first && taken.has(all[last - 1]!)) last--;
  return all.slice(first, last).join('');
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
    const end = at;
    while (at > 0 && !isSpace(text.charCodeAt(at - 1))) at--;
    words.push(text.slice(at, end));
  }
}
