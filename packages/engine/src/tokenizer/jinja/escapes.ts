// Escapes of string literals, as Jinja2 reads them: the text is written in ASCII with backslashes first and then
// read as Python's `unicode-escape`. So a backslash before a letter beyond ASCII eats that letter's escape.

import { syntaxError } from './errors.ts';

const SIMPLE: Readonly<Record<string, string>> = {
  '\\': '\\',
  "'": "'",
  '"': '"',
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\n': '',
};

const HEX_DIGITS: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };
const TRUNCATED: Readonly<Record<string, string>> = {
  x: 'truncated \\xXX escape',
  u: 'truncated \\uXXXX escape',
  U: 'truncated \\UXXXXXXXX escape',
};

/** The text that a literal's inside means. */
export function unescaped(inside: string, line: number): string {
  let out = '';
  let at = 0;
  for (let slash = inside.indexOf('\\'); slash >= 0; slash = inside.indexOf('\\', at)) {
    out += inside.slice(at, slash);
    const [text, end] = oneEscape(inside, slash + 1, line);
    out += text;
    at = end;
  }
  return out + inside.slice(at);
}

/** What the escape at `at` (behind its backslash) means, and where it ends. */
function oneEscape(inside: string, at: number, line: number): [text: string, end: number] {
  const letter = inside[at] ?? '';
  if (Object.hasOwn(SIMPLE, letter)) return [SIMPLE[letter]!, at + 1];
  if (Object.hasOwn(HEX_DIGITS, letter)) {
    const digits = inside.slice(at + 1, at + 1 + HEX_DIGITS[letter]!);
    if (digits.length < HEX_DIGITS[letter]! || !isHex(digits)) syntaxError(TRUNCATED[letter]!, line);
    const code = Number.parseInt(digits, 16);
    if (code > 0x10ffff) syntaxError('illegal Unicode character', line);
    return [String.fromCodePoint(code), at + 1 + digits.length];
  }
  if (letter === 'N') syntaxError('unknown Unicode character name', line);
  if (letter >= '0' && letter <= '7') {
    let end = at + 1;
    while (end < at + 3 && inside[end]! >= '0' && inside[end]! <= '7') end++;
    return [String.fromCharCode(Number.parseInt(inside.slice(at, end), 8)), end];
  }
  const code = inside.codePointAt(at);
  if (code === undefined || code < 128) return [`\\${letter}`, at + 1];
  return [`\\${asciiEscape(code).slice(1)}`, at + (code > 0xffff ? 2 : 1)];
}

function isHex(text: string): boolean {
  for (const letter of text) if (!'0123456789abcdefABCDEF'.includes(letter)) return false;
  return true;
}

/** A code point as `backslashreplace` writes it. */
export function asciiEscape(code: number): string {
  const hex = code.toString(16);
  if (code <= 0xff) return `\\x${hex.padStart(2, '0')}`;
  return code <= 0xffff ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`;
}
