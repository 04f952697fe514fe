// Code points by Unicode property, and letters that differ in case alone, as the JavaScript engine itself knows them:
// the same version of Unicode as its regular expressions, and no tables to keep.
import { type CodePoints, codePoints, uniteCodePoints } from './code-points.ts';

/** Every code point but the surrogates, in order; made when it is first needed, some 20 ms and 4 MB. */
let everything: string | null = null;

function allCharacters(): string {
  if (everything !== null) return everything;
  const chunks: string[] = [];
  for (let start = 0; start <= 0x10ffff; start += 0x400) {
    if (start >= 0xd800 && start < 0xe000) continue;
    chunks.push(String.fromCodePoint(...Array.from({ length: 0x400 }, (_, i) => start + i)));
  }
  everything = chunks.join('');
  return everything;
}

/** The code points that a one-character expression matches. */
function matchedBy(source: string): CodePoints {
  const ranges: number[] = [];
  for (const { 0: run } of allCharacters().matchAll(new RegExp(`${source}+`, 'gu'))) {
    // A run is of consecutive characters, but for the surrogates between U+D7FF and U+E000.
    const low = run.codePointAt(run.length - 2) ?? 0;
    const last = low > 0xffff ? low : run.charCodeAt(run.length - 1);
    ranges.push(run.codePointAt(0)!, last);
  }
  return codePoints(...ranges);
}

const properties = new Map<string, CodePoints>();

/** The code points of a property such as `L`, `Script=Greek` or `Alphabetic`; null when there is no such property. */
export function propertySet(name: string): CodePoints | null {
  if (!/^[A-Za-z0-9_]+(=[A-Za-z0-9_]+)?$/.test(name)) return null;
  const known = properties.get(name);
  if (known !== undefined) return known;
  try {
    const set = matchedBy(`\\p{${name}}`);
    properties.set(name, set);
    return set;
  } catch {
    return null;
  }
}

let variants: Map<number, readonly number[]> | null = null;

/** The characters that differ from each in case alone, as the flags `iu` see it. */
function caseVariants(): Map<number, readonly number[]> {
  if (variants !== null) return variants;
  const groups = new Map<number, Set<number>>();
  const cased = uniteCodePoints(
    matchedBy('\\p{Changes_When_Casemapped}'),
    matchedBy('\\p{Changes_When_Casefolded}'),
  );
  for (let i = 0; i < cased.length; i += 2)
    for (let code = cased[i]; code <= cased[i + 1]; code++) joinVariants(groups, code);
  variants = new Map(Array.from(groups, ([code, group]) => [code, [...group]] as const));
  return variants;
}

/** Puts a character and those that it folds to into one group. */
function joinVariants(groups: Map<number, Set<number>>, code: number): void {
  const character = String.fromCodePoint(code);
  for (const other of [character.toLowerCase(), character.toUpperCase()]) {
    const target = other.codePointAt(0)!;
    if (target === code || String.fromCodePoint(target) !== other) continue;
    if (!new RegExp(`^\\u{${target.toString(16)}}$`, 'iu').test(character)) continue;
    const joined = new Set([code, target, ...(groups.get(code) ?? []), ...(groups.get(target) ?? [])]);
    for (const member of joined) groups.set(member, joined);
  }
}

/** The set with all characters that differ from one of it in case alone. */
export function foldCase(set: CodePoints): CodePoints {
  const added: number[] = [];
  for (const [code, group] of caseVariants()) {
    for (let i = 0; i < set.length; i += 2) {
      if (code < set[i] || code > set[i + 1]) continue;
      for (const other of group) added.push(other, other);
    }
  }
  return codePoints(...set, ...added);
}
