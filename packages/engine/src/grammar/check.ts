// How a text fares with a machine, and texts that a machine allows: what people look at when they write a
// schema or a grammar. Both go through the masks that decoding uses.
import { UsageError } from '../errors.ts';
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
  let state = machine.start;
  let at = 0;
  for (const [token, length] of cuts) {
    const piece = bytes.subarray(at, at + length);
    const mask = timedMask(masks, machine, state, onMask);
    const next = run(machine, state, piece);
    if (token !== null && allows(mask, token) !== (next !== DEAD))
      throw new UsageError(
        `check: mask and machine disagree on token ${token} after ${at} bytes; please report this`,
      );
    if (next === DEAD) return rejection(machine, state, bytes, at);
    state = next;
    at += length;
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
const MOST_TOKENS = 4000;

/**
 * A text that random logits choose token by token through the masks; null where none of `MOST_TOKENS` ended
 * it. Half of the steps weigh all first bytes alike: otherwise no text would ever leave a string, whose end
 * is one token of many.
 */
export function sampleText(
  masks: Masks,
  machine: Machine,
  random: () => number,
  onMask?: MaskTimer,
): string | null {
  const bytes: number[] = [];
  let state = machine.start;
  for (let count = 0; count < MOST_TOKENS; count++) {
    const mask = timedMask(masks, machine, state, onMask);
    const ends = machine.accepts(state);
    if (ends && (count > FREE_TOKENS || random() < 0.2 || mask.every((word) => word === 0))) break;
    const token = count > FREE_TOKENS ? closing(masks, mask, random) : drawn(masks, mask, random);
    if (token < 0) return null;
    const piece = masks.vocabulary.bytesOf(token)!;
    state = run(machine, state, piece);
    bytes.push(...piece);
  }
  return machine.accepts(state) ? decoder.decode(Uint8Array.from(bytes)) : null;
}

function tokensOf(mask: Mask): number[] {
  const tokens: number[] = [];
  for (let word = 0; word < mask.length; word++)
    for (let rest = mask[word]; rest !== 0; rest &= rest - 1)
      tokens.push(word * 32 + 31 - Math.clz32(rest & -rest));
  return tokens;
}

/** The likeliest under random logits, or one of a random first byte. */
function drawn(masks: Masks, mask: Mask, random: () => number): number {
  const tokens = tokensOf(mask);
  if (tokens.length === 0) return -1;
  if (random() < 0.5) return tokens[Math.floor(random() * tokens.length)];
  const byByte = new Map<number, number[]>();
  for (const token of tokens) {
    const [first] = masks.vocabulary.bytesOf(token)!;
    const group = byByte.get(first);
    if (group === undefined) byByte.set(first, [token]);
    else group.push(token);
  }
  const groups = [...byByte.values()];
  const group = groups[Math.floor(random() * groups.length)];
  return group[Math.floor(random() * group.length)];
}

/** Of a few draws the one that closes what is open: a bracket, a quote, else the shortest. */
function closing(masks: Masks, mask: Mask, random: () => number): number {
  const tokens = tokensOf(mask).filter((token) => masks.vocabulary.bytesOf(token)?.length === 1);
  if (tokens.length === 0) return drawn(masks, mask, random);
  const closers = tokens.filter((token) => CLOSERS.has(masks.vocabulary.bytesOf(token)![0]));
  const choice = closers.length > 0 && random() < 0.9 ? closers : tokens;
  return choice[Math.floor(random() * choice.length)];
}

/** ) ] } > " and the line end. */
const CLOSERS = new Set(Array.from(')]}>"\n', (character) => character.charCodeAt(0)));
