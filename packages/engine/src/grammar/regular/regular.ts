// Regular languages of byte strings as values: plain immutable trees, cheap to build and to share. They mean
// something once they are compiled (`Dfa`), which interns equal parts and decides emptiness.
import { ALL_BYTES, type ByteSet, byteRange, bytesOf } from './byte-set.ts';

/** A language of byte strings. A tree's parts may be shared between trees. */
export type Regular =
  /** No text at all. */
  | { readonly kind: 'nothing' }
  /** Only the empty text. */
  | { readonly kind: 'empty' }
  /** One byte of the set. */
  | { readonly kind: 'bytes'; readonly set: ByteSet }
  | { readonly kind: 'concat'; readonly parts: readonly Regular[] }
  | { readonly kind: 'either'; readonly parts: readonly Regular[] }
  /** Texts that all parts hold. */
  | { readonly kind: 'both'; readonly parts: readonly Regular[] }
  /** All byte strings but those of the part, whether UTF-8 or not. */
  | { readonly kind: 'not'; readonly part: Regular }
  /** `max` may be Infinity. */
  | { readonly kind: 'repeat'; readonly part: Regular; readonly min: number; readonly max: number }
  /**
   * A language that is defined in terms of itself, at the end of texts that hold at least one byte (`defineLater`).
   */
  | { readonly kind: 'defined'; readonly nullable: boolean; readonly definition: Regular }
  /** A rule of a context-free grammar by its number (`context-free.ts`); refused elsewhere. */
  | { readonly kind: 'call'; readonly rule: number };

export const NOTHING: Regular = { kind: 'nothing' };
export const EMPTY: Regular = { kind: 'empty' };
/** Every byte string. */
export const ANYTHING: Regular = { kind: 'not', part: NOTHING };

const utf8 = new TextEncoder();

/** One byte of a set; NOTHING for the empty set. */
export function oneOf(set: ByteSet): Regular {
  return set.every((word) => word === 0) ? NOTHING : { kind: 'bytes', set };
}

/** One byte from low to high. */
export const between = (low: number, high: number): Regular => oneOf(byteRange(low, high));

export const ANY_BYTE: Regular = { kind: 'bytes', set: ALL_BYTES };

/** Exactly these bytes, in order. */
export function literalBytes(bytes: Uint8Array): Regular {
  return concat(...Array.from(bytes, (byte): Regular => ({ kind: 'bytes', set: bytesOf([byte]) })));
}

/** Exactly this text, as UTF-8. */
export const literal = (text: string): Regular => literalBytes(utf8.encode(text));

/** One after the other. */
export function concat(...parts: readonly Regular[]): Regular {
  const kept = parts.filter((part) => part.kind !== 'empty');
  if (kept.some((part) => part.kind === 'nothing')) return NOTHING;
  return kept.length === 0 ? EMPTY : kept.length === 1 ? kept[0] : { kind: 'concat', parts: kept };
}

/** Any of them; NOTHING for none. */
export function either(...parts: readonly Regular[]): Regular {
  const kept = parts.filter((part) => part.kind !== 'nothing');
  return kept.length === 0 ? NOTHING : kept.length === 1 ? kept[0] : { kind: 'either', parts: kept };
}

/** What all of them hold; ANYTHING for none. */
export function both(...parts: readonly Regular[]): Regular {
  return parts.length === 0 ? ANYTHING : parts.length === 1 ? parts[0] : { kind: 'both', parts };
}

/** All byte strings that the part does not hold. Intersect it with `UTF8` to stay within texts. */
export const not = (part: Regular): Regular => (part.kind === 'not' ? part.part : { kind: 'not', part });

/** What the first holds and the second does not. */
export const difference = (from: Regular, without: Regular): Regular => both(from, not(without));

/** From `min` to `max` of them, one after the other. Counts cost nothing until a text walks through them. */
export function repeat(part: Regular, min: number, max: number = Number.POSITIVE_INFINITY): Regular {
  if (min > max) return NOTHING;
  if (max === 0) return EMPTY;
  return min === 1 && max === 1 ? part : { kind: 'repeat', part, min, max };
}

export const optional = (part: Regular): Regular => repeat(part, 0, 1);
export const star = (part: Regular): Regular => repeat(part, 0);

/** A rule of a context-free grammar. */
export const call = (rule: number): Regular => ({ kind: 'call', rule });

/**
 * A language that stands for what it is defined as later, in terms of itself: X = end | (a, then X, but not where "foo"
 * follows). It may be used only behind at least one byte, at the end, and under no complement.
 */
export function defineLater(nullable: boolean): { language: Regular; define(definition: Regular): void } {
  const language = { kind: 'defined' as const, nullable, definition: NOTHING };
  return {
    language,
    define(definition) {
      language.definition = definition;
    },
  };
}

/** Whether the empty text is in it; calls of rules count as not. */
export function isNullable(language: Regular): boolean {
  switch (language.kind) {
    case 'empty':
      return true;
    case 'nothing':
    case 'bytes':
    case 'call':
      return false;
    case 'concat':
    case 'both':
      return language.parts.every(isNullable);
    case 'defined':
      return language.nullable;
    case 'either':
      return language.parts.some(isNullable);
    case 'not':
      return !isNullable(language.part);
    case 'repeat':
      return language.min === 0 || isNullable(language.part);
    default:
      return language satisfies never;
  }
}

/**
 * Any of the byte strings, as a tree of their common beginnings: thousands of them cost what their bytes do,
 * where `either` of as many literals would be read side by side.
 */
export function literals(words: readonly Uint8Array[]): Regular {
  return branch([...words].sort(compareBytes), 0);
}

function branch(sorted: readonly Uint8Array[], depth: number): Regular {
  const options: Regular[] = [];
  let from = 0;
  while (from < sorted.length && sorted[from].length === depth) from++;
  if (from > 0) options.push(EMPTY);
  while (from < sorted.length) {
    const byte = sorted[from][depth];
    let to = from + 1;
    while (to < sorted.length && sorted[to][depth] === byte) to++;
    const common = commonLength(sorted[from], sorted[to - 1], depth);
    options.push(
      concat(literalBytes(sorted[from].subarray(depth, common)), branch(sorted.slice(from, to), common)),
    );
    from = to;
  }
  return either(...options);
}

/** Where two byte strings, equal before `depth`, part. */
function commonLength(a: Uint8Array, b: Uint8Array, depth: number): number {
  let length = depth;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}

/** Lexicographic order, shorter first. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const common = commonLength(a, b, 0);
  return (a[common] ?? -1) - (b[common] ?? -1);
}
