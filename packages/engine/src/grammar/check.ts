// How a text fares with a machine, and texts that a machine allows: what people look at when they write a
// schema or a grammar. Both go through the masks that decoding uses.
import { GrammarError, UsageError } from '../errors.ts';
import { DEAD, type Machine, run } from './machine.ts';
import { allows, type Mask, type Masks } from './mask/masks.ts';

/** Whether a text is of the language, and where not. */
export interface TextVerdict {
  readonly accepted: boolean;
  /**
   * Index of the first character that may not come (its length, where it is cut too early); null when
   * accepted.
   */
  readonly rejectedAt: number | null;
  /** What may come there instead, and what was found; null when accepted. */
  readonly why: string | null;
}

/** Called before each token with its mask's time, in microseconds. */
export type MaskTimer = (microseconds: number) => void;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * Drives a machine with a text as a tokenizer cuts it: each token must be in the mask of its state. Where the
 * tokens do not write the very text (a tokenizer that normalises), its bytes are taken one by one.
 */
export function checkText(
  masks: Masks,
  machine: Machine,
  text: string,
  encode: (text: string) => readonly number[],
  onMask?: MaskTimer,
): TextVerdict {
  if (!text.isWellFormed())
    return { accepted: false, rejectedAt: 0, why: 'half of a surrogate pair is in no text' };
  const bytes = encoder.encode(text);
  const cuts = tokenCuts(masks, bytes, encode(text));
  const place = { at: 0 };
  try {
    return follow(masks, machine, text, bytes, cuts, place, onMask);
  } catch (error) {
    if (!(error instanceof GrammarError)) throw error;
    // The text needs more than the bounds allow: generating it would end in the same error.
    const rejectedAt = decoder.decode(bytes.subarray(0, place.at)).length;
    return { accepted: false, rejectedAt, why: error.message };
  }
}

function follow(
  masks: Masks,
  machine: Machine,
  text: string,
  bytes: Uint8Array,
  cuts: readonly (readonly [number | null, number])[],
  place: { at: number },
  onMask?: MaskTimer,
): TextVerdict {
  let state = machine.start;
  for (const [token, length] of cuts) {
    const { at } = place;
    const piece = bytes.subarray(at, at + length);
    const mask = timedMask(masks, machine, state, onMask);
    const next = run(machine, state, piece);
    if (token !== null && allows(mask, token) !== (next !== DEAD))
      throw new UsageError(
        `check: mask and machine disagree on token ${token} after ${at} bytes; please report this`,
      );
    if (next === DEAD) return rejection(machine, state, bytes, at);
    state = next;
    place.at += length;
  }
  if (machine.accepts(state)) return { accepted: true, rejectedAt: null, why: null };
  return {
    accepted: false,
    rejectedAt: text.length,
    why: `the text ends here; expected ${expected(machine, state)}`,
  };
}

/** The tokens with their lengths in bytes, or single bytes where the tokens are not the text. */
function tokenCuts(
  masks: Masks,
  bytes: Uint8Array,
  tokens: readonly number[],
): (readonly [number | null, number])[] {
  const cuts: (readonly [number, number])[] = [];
  let at = 0;
  for (const token of tokens) {
    const piece = masks.vocabulary.bytesOf(token);
    if (piece === null || !piece.every((byte, i) => byte === bytes[at + i]))
      return Array.from(bytes, () => [null, 1] as const);
    cuts.push([token, piece.length]);
    at += piece.length;
  }
  return at === bytes.length ? cuts : Array.from(bytes, () => [null, 1] as const);
}

function timedMask(masks: Masks, machine: Machine, state: number, onMask?: MaskTimer): Mask {
  const began = performance.now();
  const mask = masks.of(machine, state);
  onMask?.((performance.now() - began) * 1000);
  return mask;
}

/** Goes on byte by byte from a live state to the character that ends it. */
function rejection(machine: Machine, state: number, bytes: Uint8Array, at: number): TextVerdict {
  for (let next = state; ; at++) {
    next = machine.step(state, bytes[at]);
    if (next === DEAD) break;
    state = next;
  }
  let first = at;
  while (first > 0 && (bytes[first] & 0xc0) === 0x80) first--;
  const index = decoder.decode(bytes.subarray(0, first)).length;
  const found = String.fromCodePoint(
    decoder.decode(bytes.subarray(first, first + 4)).codePointAt(0) ?? 0xfffd,
  );
  const why = `expected ${expected(machine, state)}, found ${JSON.stringify(found)}`;
  return { accepted: false, rejectedAt: index, why };
}

/** What may come next, in words: characters below U+0080 by ranges, others together, the end. */
function expected(machine: Machine, state: number): string {
  const parts: string[] = [];
  for (let byte = 0; byte < 0x80; byte++) {
    if (machine.step(state, byte) === DEAD) continue;
    let last = byte;
    while (last < 0x7f && machine.step(state, last + 1) !== DEAD) last++;
    const name = (code: number) => JSON.stringify(String.fromCharCode(code));
    parts.push(last > byte + 1 ? `${name(byte)} to ${name(last)}` : name(byte));
    if (last === byte + 1) parts.push(name(last));
    byte = last;
  }
  let others = false;
  for (let byte = 0x80; byte < 256 && !others; byte++) others = machine.step(state, byte) !== DEAD;
  if (others) parts.push('other characters');
  if (machine.accepts(state)) parts.push('the end');
  const shown = parts.length > 12 ? [...parts.slice(0, 11), `${parts.length - 11} more`] : parts;
  return shown.length === 1 ? shown[0] : `one of ${shown.join(', ')}`;
}

/** Tokens of a sample after which it is led to its end: shorter ways are then preferred. */
const FREE_TOKENS = 60;
/** Tokens of a sample, at most. */
const MOST_TOKENS = 20_000;

/** How samples are drawn. */
export interface SampleOptions {
  /** Words that may have to be written before an end: the strings of a schema, names of properties among them. */
  readonly words?: readonly string[] | undefined;
  readonly onMask?: MaskTimer | undefined;
}

/**
 * A text that random logits choose token by token through the masks; null where none of `MOST_TOKENS` ended
 * it. Half of the steps weigh all first bytes alike: otherwise no text would ever leave a string, whose end
 * is one token of many.
 */
export function sampleText(
  masks: Masks,
  machine: Machine,
  random: () => number,
  { words = [], onMask }: SampleOptions = {},
): string | null {
  const quoted = words.map((word) => encoder.encode(JSON.stringify(word).slice(1)));
  const bytes: number[] = [];
  let state = machine.start;
  for (let count = 0; count < MOST_TOKENS; count++) {
    const mask = timedMask(masks, machine, state, onMask);
    const ends = machine.accepts(state);
    if (ends && (count > FREE_TOKENS || random() < 0.2 || mask.every((word) => word === 0))) break;
    let piece: Uint8Array | null = null;
    if (count > FREE_TOKENS) {
      const live = bytes.at(-1) === QUOTE ? quoted.filter((word) => run(machine, state, word) !== DEAD) : [];
      piece = live.length > 0 ? picked(live, random) : closing(masks, mask, random, machine, state);
    }
    piece ??= drawn(masks, mask, random);
    if (piece === null) return null;
    state = run(machine, state, piece);
    for (const byte of piece) bytes.push(byte);
  }
  return machine.accepts(state) ? decoder.decode(Uint8Array.from(bytes)) : null;
}

const QUOTE = 0x22;

const picked = <T>(list: readonly T[], random: () => number): T => list[Math.floor(random() * list.length)];

function tokensOf(mask: Mask): number[] {
  const tokens: number[] = [];
  for (let word = 0; word < mask.length; word++)
    for (let rest = mask[word]; rest !== 0; rest &= rest - 1)
      tokens.push(word * 32 + 31 - Math.clz32(rest & -rest));
  return tokens;
}

/** The likeliest under random logits, or one of a random first byte; null where there is no token. */
function drawn(masks: Masks, mask: Mask, random: () => number): Uint8Array | null {
  const pieces = tokensOf(mask).map((token) => masks.vocabulary.bytesOf(token)!);
  if (pieces.length === 0) return null;
  if (random() < 0.5) return picked(pieces, random);
  const byByte = new Map<number, Uint8Array[]>();
  for (const piece of pieces) {
    const group = byByte.get(piece[0]);
    if (group === undefined) byByte.set(piece[0], [piece]);
    else group.push(piece);
  }
  return picked(picked([...byByte.values()], random), random);
}

/** Tokens of a mask from which on it is taken for one inside of a string. */
const MANY = 1000;

/**
 * The token that closes what is open, a bracket or a quote, else a single byte that leads on (whitespace often
 * does not), or the longest of a few where there is a length to reach. Null where there is none of these.
 */
function closing(
  masks: Masks,
  mask: Mask,
  random: () => number,
  machine: Machine,
  state: number,
): Uint8Array | null {
  const pieces = tokensOf(mask).map((token) => masks.vocabulary.bytesOf(token)!);
  const singles = pieces.filter((piece) => piece.length === 1 && machine.step(state, piece[0]) !== state);
  const closers = singles.filter(([byte]) => CLOSERS.has(byte));
  if (closers.length > 0 && random() < 0.9) return picked(closers, random);
  if (pieces.length < MANY) return singles.length > 0 ? picked(singles, random) : null;
  const few = Array.from({ length: 16 }, () => picked(pieces, random));
  return few.reduce((longest, piece) => (piece.length > longest.length ? piece : longest));
}

/** ) ] } > " and the line end. */
const CLOSERS = new Set(Array.from(')]}>"\n', (character) => character.charCodeAt(0)));
