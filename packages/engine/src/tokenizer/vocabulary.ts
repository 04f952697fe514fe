// The table of a tokenizer: number ↔ text, which numbers are special, and the merges of BPE by number.
// Checked once here, whatever file it came from: numbers in range and unique, merges made of known pieces,
// nothing allocated that the file does not pay for with its own size.

import type { FormatError } from '../errors.ts';
import { MergeList, MOST_RANKS } from './bpe.ts';
import { byteOfToken } from './byte-level.ts';
import { asCount, asList, asObject, asString, describe, field, flag, type Place } from './json-fields.ts';
import type { AddedToken } from './types.ts';

export interface Vocabulary {
  readonly texts: (string | undefined)[];
  readonly ids: Map<string, number>;
}

/** A vocabulary may be padded with holes, but a small file cannot ask for a large table. */
function highestAllowed(entries: number): number {
  return entries * 2 + 65536;
}

/** `{"text": number, …}` as in the BPE and WordLevel models of tokenizer.json. */
export function readVocabulary(value: unknown, place: Place): Vocabulary {
  const entries = Object.entries(asObject(value, place));
  const highest = highestAllowed(entries.length);
  const texts: (string | undefined)[] = [];
  const ids = new Map<string, number>();
  let size = 0;
  for (const [text, id] of entries) {
    // Repeats the check here, because building a Place for each of 262,144 entries takes longer than all the
    // rest.
    if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id > highest) {
      asCount(id, highest, place.at(JSON.stringify(text.slice(0, 60))));
    }
    if ((id as number) >= size) size = (id as number) + 1;
    ids.set(text, id as number);
  }
  texts.length = size;
  for (const [text, id] of ids) {
    if (texts[id] !== undefined) throw duplicate(place, id, texts[id], text);
    texts[id] = text;
  }
  return { texts, ids };
}

function duplicate(place: Place, id: number, first: string, second: string): FormatError {
  return place.error(
    `expected different numbers, found ${id} for both ${describe(first)} and ${describe(second)}. Use the file that came with the model.`,
  );
}

/**
 * The `added_tokens` of tokenizer.json; enters them into the vocabulary, where they replace what had their
 * number.
 */
export function readAddedTokens(value: unknown, vocabulary: Vocabulary, place: Place): AddedToken[] {
  if (value === undefined || value === null) return [];
  const list = asList(value, place);
  const highest = highestAllowed(vocabulary.ids.size + list.length);
  const byContent = new Map<string, number>();
  const byId = new Map<number, string>();
  const tokens: AddedToken[] = [];
  for (const [i, entry] of list.entries()) {
    const at = place.at(i);
    const token = readAddedToken(entry, highest, at);
    if (token.content === '') continue;
    const otherId = byContent.get(token.content);
    if (otherId !== undefined && otherId !== token.id) {
      throw at.error(`expected one number for ${describe(token.content)}, found ${otherId} and ${token.id}`);
    }
    const otherContent = byId.get(token.id);
    if (otherContent !== undefined && otherContent !== token.content) {
      throw duplicate(at, token.id, otherContent, token.content);
    }
    if (otherId === token.id) continue;
    byContent.set(token.content, token.id);
    byId.set(token.id, token.content);
    tokens.push(token);
  }
  for (const token of tokens) enter(vocabulary, token.content, token.id);
  return tokens;
}

export function readAddedToken(value: unknown, highest: number, place: Place): AddedToken {
  const token = asObject(value, place);
  const special = flag(token, 'special', false, place);
  return {
    id: asCount(field(token, 'id'), highest, place.at('id')),
    content: asString(field(token, 'content'), place.at('content')),
    special,
    lstrip: flag(token, 'lstrip', false, place),
    rstrip: flag(token, 'rstrip', false, place),
    singleWord: flag(token, 'single_word', false, place),
    normalized: flag(token, 'normalized', !special, place),
  };
}

/** Adds a token, which replaces what had its number. */
export function enter(vocabulary: Vocabulary, text: string, id: number): void {
  while (vocabulary.texts.length <= id) vocabulary.texts.push(undefined);
  vocabulary.texts[id] = text;
  vocabulary.ids.set(text, id);
}

/** Entries that plain text may become: all but special tokens. */
export function plainVocabulary(
  ids: ReadonlyMap<string, number>,
  special: ReadonlySet<number>,
): Map<string, number> {
  const plain = new Map<string, number>();
  for (const [text, id] of ids) if (text !== '' && !special.has(id)) plain.set(text, id);
  return plain;
}

/**
 * Merges as `"left right"` or `["left", "right"]`, in order of rank. Those that make a special token are left
 * out; those of pieces that the vocabulary lacks are refused, or with `notes` left out too, with a note.
 */
export function readMerges(
  value: unknown,
  ids: ReadonlyMap<string, number>,
  special: ReadonlySet<number>,
  place: Place,
  notes: string[] | null = null,
): MergeList {
  const list = asList(value, place);
  if (list.length > MOST_RANKS) throw place.expected(`at most ${MOST_RANKS} merges`, list);
  const merges = new MergeList();
  let unknown = 0;
  for (let rank = 0; rank < list.length; rank++) {
    const [left, right] = readPair(list[rank], rank, place, notes !== null);
    const leftId = ids.get(left);
    const rightId = ids.get(right);
    const result = ids.get(left + right);
    if (
      leftId === undefined ||
      rightId === undefined ||
      result === undefined ||
      left === '' ||
      right === ''
    ) {
      unknown++;
      if (notes) continue;
      const missing = leftId === undefined ? left : rightId === undefined ? right : left + right;
      throw place
        .at(rank)
        .error(`expected pieces of the vocabulary, found ${describe(missing)} that is not in it`);
    }
    if (special.has(result) || special.has(leftId) || special.has(rightId)) continue;
    merges.add(leftId, rightId, rank, result);
  }
  if (unknown > 0)
    notes?.push(
      `${unknown} of ${list.length} merges are of pieces that are not in the vocabulary, and left out`,
    );
  return merges;
}

/** `firstSpace`: a text is cut at its first space, and one without any names no pieces, as in llama.cpp. */
function readPair(value: unknown, rank: number, place: Place, firstSpace: boolean): [string, string] {
  if (typeof value === 'string') {
    const space = value.indexOf(' ', 1);
    if (space > 0 && (firstSpace || space === value.lastIndexOf(' ')))
      return [value.slice(0, space), value.slice(space + 1)];
    if (firstSpace) return ['', ''];
  } else if (Array.isArray(value) && value.length === 2) {
    const [left, right] = value as unknown[];
    if (typeof left === 'string' && typeof right === 'string') return [left, right];
  }
  throw place.at(rank).expected('two pieces, as "left right" or ["left", "right"]', value);
}

/**
 * The merges that a SentencePiece vocabulary implies: any two entries whose joined text is an entry, the
 * highest score first. Entries of equal score share a rank, so the leftmost wins, as in llama.cpp.
 */
export function mergesOfScores(plain: ReadonlyMap<string, number>, score: (id: number) => number): MergeList {
  const rankOf = ranking(Float64Array.from(plain.values(), score));
  const merges = new MergeList();
  for (const [text, result] of plain) {
    // A hostile entry of a megabyte would have a million cuts of half a megabyte each; no real one is this
    // long.
    if (text.length > LONGEST_PIECE || byteOfToken(text) !== null) continue;
    const rank = rankOf(score(result));
    for (let cut = 1; cut < text.length; cut++) {
      const left = plain.get(text.slice(0, cut));
      if (left === undefined) continue;
      const right = plain.get(text.slice(cut));
      if (right !== undefined) merges.add(left, right, rank, result);
    }
  }
  return merges;
}

/** The place of a score among all different ones, 0 for the highest. */
function ranking(scores: Float64Array): (score: number) => number {
  scores.sort();
  let count = 0;
  for (const score of scores) if (count === 0 || score !== scores[count - 1]) scores[count++] = score;
  return (score) => {
    let [low, high] = [0, count - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (scores[middle]! < score) low = middle + 1;
      else high = middle;
    }
    return count - 1 - low;
  };
}

const LONGEST_PIECE = 256;
