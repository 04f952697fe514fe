// Sets of numbers as schemas describe them: unions of intervals with multiples and exceptions. They are closed under
// "and", "or" and "not", so that whatever a schema says about numbers becomes one set.
import {
  add,
  compare,
  type Decimal,
  isMultiple,
  leastCommonMultiple,
  multipleFrom,
  negative,
  ONE,
  ZERO,
} from './decimal.ts';

/** One end of an interval; null is infinity. */
export interface Bound {
  readonly at: Decimal;
  /** The end itself does not belong. */
  readonly open: boolean;
}

/** Numbers of an interval that are multiples of `multipleOf` and of none of `notMultipleOf`. */
export interface Piece {
  readonly low: Bound | null;
  readonly high: Bound | null;
  readonly multipleOf: Decimal | null;
  readonly notMultipleOf: readonly Decimal[];
}

/** The union of its pieces, none of which is empty. */
export type NumberSet = readonly Piece[];

/** More pieces than these are refused. */
export const MAX_PIECES = 4096;
/** Multiples that are tried before a piece with exceptions counts as too involved. */
const MAX_TRIALS = 4096;

/** Thrown for a set that would grow beyond these bounds; becomes a refusal of the keyword. */
export class TooManyPieces extends Error {}

const ALL: Piece = { low: null, high: null, multipleOf: null, notMultipleOf: [] };

export const ALL_NUMBERS: NumberSet = [ALL];
export const INTEGERS: NumberSet = [{ ...ALL, multipleOf: ONE }];

export const atLeast = (at: Decimal, open = false): NumberSet => [{ ...ALL, low: { at, open } }];
export const atMost = (at: Decimal, open = false): NumberSet => [{ ...ALL, high: { at, open } }];
export const multiplesOf = (modulus: Decimal): NumberSet => [{ ...ALL, multipleOf: modulus }];
export const points = (values: readonly Decimal[]): NumberSet =>
  values.map((at) => ({ ...ALL, low: { at, open: false }, high: { at, open: false } }));

function higher(a: Bound | null, b: Bound | null): Bound | null {
  if (a === null || b === null) return a ?? b;
  const order = compare(a.at, b.at);
  return order > 0 || (order === 0 && a.open) ? a : b;
}

function lower(a: Bound | null, b: Bound | null): Bound | null {
  if (a === null || b === null) return a ?? b;
  const order = compare(a.at, b.at);
  return order < 0 || (order === 0 && a.open) ? a : b;
}

/** Null when nothing is in both. */
export function intersectPieces(a: Piece, b: Piece): Piece | null {
  const both: Piece = {
    low: higher(a.low, b.low),
    high: lower(a.high, b.high),
    multipleOf:
      a.multipleOf && b.multipleOf
        ? leastCommonMultiple(a.multipleOf, b.multipleOf)
        : (a.multipleOf ?? b.multipleOf),
    notMultipleOf: b.notMultipleOf.length === 0 ? a.notMultipleOf : [...a.notMultipleOf, ...b.notMultipleOf],
  };
  return isEmptyPiece(both) ? null : both;
}

function isEmptyPiece({ low, high, multipleOf, notMultipleOf }: Piece): boolean {
  if (low !== null && high !== null) {
    const order = compare(low.at, high.at);
    if (order > 0 || (order === 0 && (low.open || high.open))) return true;
    if (order === 0) return !belongs(low.at, { low, high, multipleOf, notMultipleOf });
  }
  // A stretch of the line always holds decimals that are multiples of nothing given.
  return multipleOf !== null && firstMultiple({ low, high, multipleOf, notMultipleOf }) === null;
}

/** Some member of a piece with `multipleOf`: the least one where there is a lower bound. */
export function firstMultiple(piece: Piece): Decimal | null {
  const modulus = piece.multipleOf!;
  if (piece.notMultipleOf.some((exception) => isMultiple(modulus, exception))) return null;
  if (piece.low === null && piece.high !== null) {
    const mirrored = firstMultiple({
      ...piece,
      low: { at: negative(piece.high.at), open: piece.high.open },
      high: null,
    });
    return mirrored && negative(mirrored);
  }
  let value = piece.low === null ? ZERO : multipleFrom(piece.low.at, modulus, piece.low.open);
  for (let trial = 0; trial < MAX_TRIALS; trial++, value = add(value, modulus)) {
    if (!isBelow(value, piece.high)) return null;
    if (piece.notMultipleOf.every((exception) => !isMultiple(value, exception))) return value;
  }
  throw new TooManyPieces('multiples and exceptions that do not meet soon');
}

function isBelow(value: Decimal, high: Bound | null): boolean {
  if (high === null) return true;
  const order = compare(value, high.at);
  return order < 0 || (order === 0 && !high.open);
}

function isAbove(value: Decimal, low: Bound | null): boolean {
  if (low === null) return true;
  const order = compare(value, low.at);
  return order > 0 || (order === 0 && !low.open);
}

function belongs(value: Decimal, piece: Piece): boolean {
  return (
    isAbove(value, piece.low) &&
    isBelow(value, piece.high) &&
    (piece.multipleOf === null || isMultiple(value, piece.multipleOf)) &&
    piece.notMultipleOf.every((exception) => !isMultiple(value, exception))
  );
}

export const hasNumber = (set: NumberSet, value: Decimal): boolean =>
  set.some((piece) => belongs(value, piece));

export function intersectNumbers(a: NumberSet, b: NumberSet): NumberSet {
  if (a === ALL_NUMBERS) return b;
  if (b === ALL_NUMBERS) return a;
  const result: Piece[] = [];
  for (const left of a) {
    for (const right of b) {
      const both = intersectPieces(left, right);
      if (both !== null) result.push(both);
      if (result.length > MAX_PIECES) throw new TooManyPieces('too many ranges of numbers');
    }
  }
  return result;
}

export function uniteNumbers(sets: readonly NumberSet[]): NumberSet {
  const united = sets.flat();
  if (united.length > MAX_PIECES) throw new TooManyPieces('too many ranges of numbers');
  return united.find((piece) => isAll(piece)) ? ALL_NUMBERS : united;
}

const isAll = (piece: Piece): boolean =>
  piece.low === null && piece.high === null && piece.multipleOf === null && piece.notMultipleOf.length === 0;

const isPoint = ({ low, high }: Piece): boolean =>
  low !== null && high !== null && compare(low.at, high.at) === 0;

export function complementNumbers(set: NumberSet): NumberSet {
  const lone = set.filter(isPoint).map(({ low }) => low!.at);
  let result = betweenPoints(lone);
  for (const piece of set) {
    if (!isPoint(piece)) result = intersectNumbers(result, complementPiece(piece));
  }
  return result;
}

/** Everything but these. */
function betweenPoints(values: readonly Decimal[]): NumberSet {
  if (values.length === 0) return ALL_NUMBERS;
  const sorted = [...values]
    .sort(compare)
    .filter((value, i, all) => i === 0 || compare(value, all[i - 1]) !== 0);
  const bounds = [null, ...sorted.map((at) => ({ at, open: true })), null];
  return bounds.slice(1).map((high, i) => ({ ...ALL, low: bounds[i], high }));
}

function complementPiece(piece: Piece): NumberSet {
  const { low, high, multipleOf, notMultipleOf } = piece;
  const outside: Piece[] = [];
  if (low !== null) outside.push({ ...ALL, high: { at: low.at, open: !low.open } });
  if (high !== null) outside.push({ ...ALL, low: { at: high.at, open: !high.open } });
  if (multipleOf !== null) outside.push({ ...ALL, low, high, notMultipleOf: [multipleOf] });
  for (const exception of notMultipleOf) outside.push({ ...ALL, low, high, multipleOf: exception });
  return outside.filter((part) => !isEmptyPiece(part));
}

/** How many numbers belong, Infinity or more than `most` as Infinity. Pieces that overlap are counted once. */
export function countNumbers(set: NumberSet, most: number): number {
  const seen = new Set<string>();
  for (const piece of set) {
    if (isPoint(piece)) {
      seen.add(numberKey(piece.low!.at));
    } else {
      if (piece.multipleOf === null || piece.low === null || piece.high === null)
        return Number.POSITIVE_INFINITY;
      let value = multipleFrom(piece.low.at, piece.multipleOf, piece.low.open);
      for (; isBelow(value, piece.high); value = add(value, piece.multipleOf)) {
        if (belongs(value, piece)) seen.add(numberKey(value));
        if (seen.size > most) return Number.POSITIVE_INFINITY;
      }
    }
    if (seen.size > most) return Number.POSITIVE_INFINITY;
  }
  return seen.size;
}

/** Equal for equal numbers. */
export const numberKey = (value: Decimal): string => `${value.digits}e${value.exponent}`;
