// Breaks lines as Python's `textwrap.wrap` does for Jinja2's `wordwrap`: at blanks, after hyphens between letters,
// around dashes.

import { characters, lengthOf, stripped } from './characters.ts';

interface WrapOptions {
  readonly breakLongWords: boolean;
  readonly breakOnHyphens: boolean;
}

const BLANK = '[\\t\\n\\v\\f\\r ]';
const WORD = '[\\p{L}\\p{N}_]';
const PUNCTUATED = `[\\p{L}\\p{N}_!"'&.,?]`;
const LETTER = '[\\p{L}_]';

/** Blanks; dashes between words; words, cut behind a hyphen or before dashes. */
const withHyphens = new RegExp(
  `(${BLANK}+|(?<=${PUNCTUATED})-{2,}(?=${WORD})|[^\\t\\n\\v\\f\\r ]+?(?:` +
    `-(?:(?<=${LETTER}{2}-)|(?<=${LETTER}-${LETTER}-))(?=${LETTER}-?${LETTER})` +
    `|(?=${BLANK}|$)|(?<=${PUNCTUATED})(?=-{2,}${WORD})))`,
  'u',
);
const atBlanks = new RegExp(`(${BLANK}+)`);

const isBlank = (chunk: string): boolean => stripped(chunk, null, true, true) === '';

/** The lines of one paragraph. */
export function wrapText(text: string, width: number, options: WrapOptions): string[] {
  const chunks = text
    .split(options.breakOnHyphens ? withHyphens : atBlanks)
    .filter((chunk) => chunk !== '')
    .reverse();
  const lines: string[] = [];
  while (chunks.length > 0) {
    if (lines.length > 0 && isBlank(chunks.at(-1)!)) chunks.pop();
    const line: string[] = [];
    let used = 0;
    while (chunks.length > 0 && used + lengthOf(chunks.at(-1)!) <= width) {
      used += lengthOf(chunks.at(-1)!);
      line.push(chunks.pop()!);
    }
    if (chunks.length > 0 && lengthOf(chunks.at(-1)!) > width)
      breakLongWord(chunks, line, width - used, width, options);
    if (line.length > 0 && isBlank(line.at(-1)!)) line.pop();
    if (line.length > 0) lines.push(line.join(''));
  }
  return lines;
}

/** Moves what fits of a word that is longer than a line. */
function breakLongWord(
  chunks: string[],
  line: string[],
  left: number,
  width: number,
  options: WrapOptions,
): void {
  const space = Math.max(left, width < 1 ? 1 : left);
  if (options.breakLongWords) {
    const letters = characters(chunks.at(-1)!);
    let end = space;
    if (options.breakOnHyphens && letters.length > space) {
      const hyphen = letters.slice(0, space).lastIndexOf('-');
      if (hyphen > 0 && letters.slice(0, hyphen).some((letter) => letter !== '-')) end = hyphen + 1;
    }
    line.push(letters.slice(0, end).join(''));
    chunks[chunks.length - 1] = letters.slice(end).join('');
  } else if (line.length === 0) line.push(chunks.pop()!);
}
