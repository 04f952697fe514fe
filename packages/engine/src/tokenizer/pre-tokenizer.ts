// Cuts a normalised text into words that are tokenized one by one. Follows Hugging Face tokenizers'
// `pre_tokenizers`, including the five ways in which a separator may stay with its neighbours.

import { toByteCharacters } from './byte-level.ts';
import { asString, type Fields, field, flag, optionalString, Place, typeOf } from './json-fields.ts';
import { collectSteps, parsePattern } from './normalizer.ts';
import { translateRegex } from './regex.ts';

/** `atStart`: the piece begins the whole text. Never returns empty words. */
export type Splitter = (piece: string, atStart: boolean) => string[];

export interface PreTokenizer {
  /** Null: the whole stretch is one word. */
  readonly split: Splitter | null;
  /**
   * The words are still to be written in byte characters (done late, only for words that were not seen
   * before).
   */
  readonly byteLevel: boolean;
}

const behaviours = ['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous'] as const;
type Behaviour = (typeof behaviours)[number];

/** GPT-2's encoder.py, in Oniguruma's spelling. */
export const gpt2Pattern =
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/**
 * Splits text as GPT-2 does into the words that BPE never merges across; spaces stay with the word after
 * them.
 */
export function gpt2Words(): (text: string) => readonly string[] {
  const expression = translateRegex(gpt2Pattern, new Place('GPT-2 words'));
  return (text) => text.match(expression) ?? [];
}

export function parsePreTokenizer(value: unknown, place: Place): PreTokenizer {
  if (value === undefined || value === null) return { split: null, byteLevel: false };
  const steps = collectSteps(value, place, 'pretokenizers');
  const last = steps.at(-1);
  const byteLevel = last !== undefined && typeOf(...last) === 'ByteLevel';
  const splitters = steps.flatMap(([step, at], i) =>
    splitStep(step, at, byteLevel && i === steps.length - 1),
  );
  return { split: chain(splitters), byteLevel };
}

export function chain(splitters: readonly Splitter[]): Splitter | null {
  if (splitters.length === 0) return null;
  return (piece, atStart) => {
    let words = [piece];
    for (const split of splitters) {
      if (words.length === 1) words = split(words[0]!, atStart);
      else words = words.flatMap((word, i) => split(word, atStart && i === 0));
    }
    return words;
  };
}

function splitStep(step: Fields, place: Place, mapLater: boolean): Splitter[] {
  const type = typeOf(step, place);
  switch (type) {
    case 'ByteLevel':
      return byteLevelSteps(step, place, mapLater);
    case 'Split': {
      const expression = parsePattern(field(step, 'pattern'), place.at('pattern'));
      return [splitBy(expression, parseBehaviour(step, place, null), flag(step, 'invert', false, place))];
    }
    case 'Metaspace':
      return [metaspace(step, place)];
    case 'Digits':
      return [
        splitBy(/\p{N}/gv, flag(step, 'individual_digits', false, place) ? 'Isolated' : 'Contiguous', false),
      ];
    case 'Punctuation':
      return [splitBy(punctuation(), parseBehaviour(step, place, 'Isolated'), false)];
    case 'WhitespaceSplit':
      return [splitBy(/\p{White_Space}/gv, 'Removed', false)];
    case 'Whitespace':
      return [splitBy(translateRegex('\\w+|[^\\w\\s]+', place), 'Removed', true)];
    case 'BertPreTokenizer':
      return [splitBy(/\p{White_Space}/gv, 'Removed', false), splitBy(punctuation(), 'Isolated', false)];
    default:
      throw place.at('type').expected('a known pre-tokenizer (ByteLevel, Split, Metaspace, Digits …)', type);
  }
}

function punctuation(): RegExp {
  return /[\p{P}$+<=>^`\|~]/gv;
}

function parseBehaviour(step: Fields, place: Place, fallback: Behaviour | null): Behaviour {
  const name = field(step, 'behavior') ?? fallback;
  const behaviour = behaviours.find((known) => known === name);
  if (behaviour === undefined) throw place.at('behavior').expected(`one of ${behaviours.join(', ')}`, name);
  return behaviour;
}

function byteLevelSteps(step: Fields, place: Place, mapLater: boolean): Splitter[] {
  const steps: Splitter[] = [];
  if (flag(step, 'add_prefix_space', true, place)) {
    steps.push((piece) => [piece.startsWith(' ') ? piece : ` ${piece}`]);
  }
  if (flag(step, 'use_regex', true, place)) {
    steps.push(splitBy(translateRegex(gpt2Pattern, place), 'Isolated', false));
  }
  if (!mapLater) steps.push((piece) => [toByteCharacters(piece)]);
  return steps;
}

export type PrependScheme = 'always' | 'first' | 'never';

/** How a Metaspace component treats the start of a text; files before 2024 say `add_prefix_space`. */
export function prependScheme(step: Fields, place: Place): PrependScheme {
  const scheme = optionalString(step, 'prepend_scheme', place);
  if (scheme === null) return flag(step, 'add_prefix_space', true, place) ? 'always' : 'never';
  if (scheme !== 'always' && scheme !== 'first' && scheme !== 'never') {
    throw place.at('prepend_scheme').expected('always, first or never', scheme);
  }
  return scheme;
}

export function metaspaceCharacter(step: Fields, place: Place): string {
  const replacement = asString(field(step, 'replacement') ?? '▁', place.at('replacement'));
  if ([...replacement].length !== 1) throw place.at('replacement').expected('one character', replacement);
  return replacement;
}

function metaspace(step: Fields, place: Place): Splitter {
  const mark = metaspaceCharacter(step, place);
  const scheme = prependScheme(step, place);
  const cut = flag(step, 'split', true, place)
    ? splitBy(new RegExp(`\\u{${mark.codePointAt(0)!.toString(16)}}`, 'gv'), 'MergedWithNext', false)
    : null;
  return (piece, atStart) => {
    let text = piece.replaceAll(' ', () => mark);
    const wanted = scheme === 'always' || (scheme === 'first' && atStart);
    if (wanted && !text.startsWith(mark)) text = mark + text;
    return cut === null ? [text] : cut(text, atStart);
  };
}

/** Splits at the matches of a global expression; `invert`: what lies between the matches is the separator. */
export function splitBy(expression: RegExp, behaviour: Behaviour, invert: boolean): Splitter {
  const split = (piece: string): string[] => {
    if (behaviour === 'Isolated') {
      // Expressions of byte-level BPE match everything: then the list of matches is the answer.
      const words = piece.match(expression);
      if (words === null) return [piece];
      let length = 0;
      for (const word of words) length += word.length;
      if (length === piece.length && !words.includes('')) return words;
    }
    return join(piece, segments(piece, expression, invert), behaviour);
  };
  return (piece) => inPieces(piece, split);
}

/**
 * A match of millions of characters overflows V8's expression stack; a text this long without a word end is
 * cut.
 */
function inPieces(text: string, split: (piece: string) => string[]): string[] {
  try {
    return split(text);
  } catch (error) {
    if (!(error instanceof RangeError) || text.length < LEAST_CUT) throw error;
    let middle = text.length >> 1;
    if ((text.charCodeAt(middle) & 0xfc00) === 0xdc00) middle++;
    return inPieces(text.slice(0, middle), split).concat(inPieces(text.slice(middle), split));
  }
}

const LEAST_CUT = 1 << 16;

interface Segment {
  start: number;
  end: number;
  readonly separator: boolean;
}

function segments(piece: string, expression: RegExp, invert: boolean): Segment[] {
  const out: Segment[] = [];
  let done = 0;
  for (const match of piece.matchAll(expression)) {
    const end = match.index + match[0].length;
    if (end === match.index) continue;
    if (match.index > done) out.push({ start: done, end: match.index, separator: invert });
    out.push({ start: match.index, end, separator: !invert });
    done = end;
  }
  if (done < piece.length) out.push({ start: done, end: piece.length, separator: invert });
  return out;
}

function join(piece: string, all: Segment[], behaviour: Behaviour): string[] {
  const texts = (kept: readonly Segment[]) => kept.map(({ start, end }) => piece.slice(start, end));
  switch (behaviour) {
    case 'Removed':
      return texts(all.filter((segment) => !segment.separator));
    case 'Isolated':
      return texts(all);
    case 'Contiguous':
      return texts(merge(all, (segment, previous) => segment.separator === previous.separator));
    case 'MergedWithPrevious':
      return texts(merge(all, (segment, previous) => segment.separator && !previous.separator));
    case 'MergedWithNext':
      return texts(merge(all, (segment, previous) => !segment.separator && previous.separator));
    default:
      return behaviour satisfies never;
  }
}

/** Joins neighbours of the original list for which `together` holds. */
function merge(
  all: readonly Segment[],
  together: (segment: Segment, previous: Segment) => boolean,
): Segment[] {
  const out: Segment[] = [];
  for (const [i, segment] of all.entries()) {
    const last = out.at(-1);
    if (last !== undefined && together(segment, all[i - 1]!)) last.end = segment.end;
    else out.push({ ...segment });
  }
  return out;
}
