// Sets of Unicode code points, and what bytes a set's characters are in UTF-8: valid sequences only, so
// surrogates and overlong forms are in no language that is made here. Table 3-7 of the Unicode standard.
import { bytesOf } from './byte-set.ts';
import { concat, EMPTY, either, NOTHING, oneOf, type Regular, star } from './regular.ts';

/** Sorted ranges that neither overlap nor touch: first, last, first, last, … Surrogates are never in one. */
export type CodePoints = readonly number[];

const LAST = 0x10ffff;
const SURROGATES = [0xd800, 0xdfff] as const;

export const ALL_CODE_POINTS: CodePoints = [0, SURROGATES[0] - 1, SURROGATES[1] + 1, LAST];

/** The set of ranges in any order, as first, last, first, last, …; surrogates are left out. */
export function codePoints(...ranges: readonly number[]): CodePoints {
  return intersectCodePoints(merge(ranges), ALL_CODE_POINTS);
}

/** The characters of a text. */
export const codePointsOf = (text: string): CodePoints =>
  codePoints(...Array.from(text, (character) => character.codePointAt(0)!).flatMap((code) => [code, code]));

function merge(ranges: readonly number[]): number[] {
  const order = Array.from({ length: ranges.length / 2 }, (_, i) => 2 * i).sort(
    (a, b) => ranges[a] - ranges[b],
  );
  const merged: number[] = [];
  for (const i of order) {
    const [first, last] = [ranges[i], ranges[i + 1]];
    if (first > last) continue;
    if (merged.length > 0 && first <= merged[merged.length - 1] + 1)
      merged[merged.length - 1] = Math.max(merged[merged.length - 1], last);
    else merged.push(first, last);
  }
  return merged;
}

export function uniteCodePoints(...sets: readonly CodePoints[]): CodePoints {
  return merge(sets.flat());
}

export function intersectCodePoints(a: CodePoints, b: CodePoints): CodePoints {
  const kept: number[] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const first = Math.max(a[i], b[j]);
    const last = Math.min(a[i + 1], b[j + 1]);
    if (first <= last) kept.push(first, last);
    if (a[i + 1] < b[j + 1]) i += 2;
    else j += 2;
  }
  return kept;
}

/** All code points that are not in the set, surrogates left out. */
export function complementCodePoints(set: CodePoints): CodePoints {
  const gaps: number[] = [];
  let next = 0;
  for (let i = 0; i < set.length; i += 2) {
    if (set[i] > next) gaps.push(next, set[i] - 1);
    next = set[i + 1] + 1;
  }
  if (next <= LAST) gaps.push(next, LAST);
  return intersectCodePoints(gaps, ALL_CODE_POINTS);
}

export function hasCodePoint(set: CodePoints, code: number): boolean {
  for (let i = 0; i < set.length; i += 2) if (code <= set[i + 1]) return code >= set[i];
  return false;
}

/** One character of the set, as UTF-8. */
export function utf8(set: CodePoints): Regular {
  const known = characters.get(set);
  if (known !== undefined) return known;
  const language = either(
    oneOf(asciiOf(set)),
    sequences(set, 0x80, 0x7ff, 1, 0xc0),
    sequences(set, 0x800, 0xffff, 2, 0xe0),
    sequences(set, 0x10000, LAST, 3, 0xf0),
  );
  characters.set(set, language);
  return language;
}

/** A set's language is built once for as long as somebody holds the set. */
const characters = new WeakMap<CodePoints, Regular>();

function asciiOf(set: CodePoints): Uint32Array {
  const inside = intersectCodePoints(set, [0, 0x7f]);
  const bytes: number[] = [];
  for (let i = 0; i < inside.length; i += 2)
    for (let code = inside[i]; code <= inside[i + 1]; code++) bytes.push(code);
  return bytesOf(bytes);
}

/**
 * The characters from `low` to `high`: a lead byte that carries the highest bits, then `rest` continuation
 * bytes.
 */
function sequences(set: CodePoints, low: number, high: number, rest: number, lead: number): Regular {
  const inside = intersectCodePoints(set, [low, high]);
  return inside.length === 0 ? NOTHING : digits(inside, rest, lead, new Map());
}

/**
 * Numbers of `rest` + 1 digits of six bits, most significant first; the first is added to `lead`. Digits that
 * the same numbers may follow are one byte set.
 */
function digits(set: CodePoints, rest: number, lead: number, known: Map<string, Regular>): Regular {
  const key = `${rest},${lead}:${set.join()}`;
  const found = known.get(key);
  if (found !== undefined) return found;
  const size = 64 ** rest;
  const groups = new Map<string, { followers: CodePoints; digits: number[] }>();
  for (let digit = Math.floor(set[0] / size); digit <= Math.floor(set[set.length - 1] / size); digit++) {
    const start = digit * size;
    const followers = intersectCodePoints(set, [start, start + size - 1]).map((code) => code - start);
    if (followers.length === 0) continue;
    const group = groups.get(followers.join()) ?? { followers, digits: [] };
    groups.set(followers.join(), group);
    group.digits.push(digit + lead);
  }
  const options = Array.from(groups.values(), ({ followers, digits: leads }) =>
    concat(oneOf(bytesOf(leads)), rest === 0 ? EMPTY : digits(followers, rest - 1, 0x80, known)),
  );
  const language = either(...options);
  known.set(key, language);
  return language;
}

/** One character, any: valid UTF-8. */
export const ANY_CHARACTER: Regular = utf8(ALL_CODE_POINTS);
/** Every text: valid UTF-8 of any length. */
export const ANY_TEXT: Regular = star(ANY_CHARACTER);
