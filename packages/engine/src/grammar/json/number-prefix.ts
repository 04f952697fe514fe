// Whether a number that has begun can still become one of a set. Signs are dealt with by the caller: everything here is
// about positive numbers, and pieces lie above zero.
import {
  compare,
  type Decimal,
  decimal,
  decimalOf,
  leastExponent,
  magnitude,
  negative,
  ONE,
  ZERO,
} from './decimal.ts';
import { type Bound, firstMultiple, intersectPieces, type NumberSet, type Piece } from './number-set.ts';

const mirror = (bound: Bound | null): Bound | null => bound && { at: negative(bound.at), open: bound.open };

/** Numbers from here on read as infinity, or nearly so: two digits decide. */
const OVERFLOW: Decimal = { digits: 17n, exponent: 307 };
/** The least positive double: what is less reads as 0. */
const LEAST: Decimal = { digits: 5n, exponent: -324 };

/**
 * The numbers of a set that stay in it once they are read as doubles, as programs do: none so large that it reads as
 * infinity, and none so near to an end that does not belong that it reads as that end.
 */
export function asDoubles(set: NumberSet): NumberSet {
  return set
    .map((piece) => intersectPieces(piece, FINITE))
    .filter((piece) => piece !== null)
    .map((piece) => (piece.multipleOf === null ? withClosedEnds(piece) : piece))
    .filter(({ low, high }) => low === null || high === null || compare(low.at, high.at) <= 0);
}

const FINITE: Piece = {
  low: { at: negative(OVERFLOW), open: true },
  high: { at: OVERFLOW, open: true },
  multipleOf: null,
  notMultipleOf: [],
};

function withClosedEnds(piece: Piece): Piece {
  const { low, high } = piece;
  return {
    ...piece,
    low: low?.open && compare(low.at, FINITE.low!.at) !== 0 ? closed(nextDouble(low.at, 1)) : low,
    high: high?.open && compare(high.at, OVERFLOW) !== 0 ? closed(nextDouble(high.at, -1)) : high,
  };
}

const closed = (at: Decimal): Bound => ({ at, open: false });

/** The double next to a number, above or below it. */
function nextDouble(value: Decimal, direction: 1 | -1): Decimal {
  const double = Number(`${value.digits}e${value.exponent}`);
  if (double === 0) return direction > 0 ? LEAST : negative(LEAST);
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, double);
  view.setBigInt64(0, view.getBigInt64(0) + (double > 0 === direction > 0 ? 1n : -1n));
  return decimalOf(view.getFloat64(0));
}

const POSITIVE: Piece = { low: { at: ZERO, open: true }, high: null, multipleOf: null, notMultipleOf: [] };

/** The part of a set above zero, or the mirror image of the part below. */
export function halfOf(set: NumberSet, isNegative: boolean): NumberSet {
  return set
    .map((piece) => (isNegative ? { ...piece, low: mirror(piece.high), high: mirror(piece.low) } : piece))
    .map((piece) => intersectPieces(piece, POSITIVE))
    .filter((piece) => piece !== null);
}

/** The numbers from digits · 10^scale to just before (digits + 1) · 10^scale. */
function cell(digits: bigint, scale: number): Piece {
  return {
    low: { at: decimal(digits, scale), open: digits === 0n },
    high: { at: decimal(digits + 1n, scale), open: true },
    multipleOf: null,
    notMultipleOf: [],
  };
}

/** Whether some number of the half begins with these digits at this scale. */
export const meetsCell = (half: NumberSet, digits: bigint, scale: number): boolean =>
  half.some((piece) => intersectPieces(piece, cell(digits, scale)) !== null);

/** Whether every number that begins so is in the half, as decimals of any length. */
export function coversCell(half: NumberSet, digits: bigint, scale: number): boolean {
  const { low, high } = cell(digits, scale);
  return half.some(
    (piece) =>
      piece.multipleOf === null &&
      piece.notMultipleOf.length === 0 &&
      compare(piece.low!.at, low!.at) < 0 &&
      (piece.high === null || compare(high!.at, piece.high.at) <= 0),
  );
}

/** Whether a number of the half begins with these digits at the scale `least` or any greater one. */
export function meetsScale(half: NumberSet, digits: bigint, least: number): boolean {
  const length = String(digits).length;
  return half.some((piece) => {
    if (piece.high === null) return true;
    const lowest = piece.multipleOf === null ? piece.low!.at : firstMultiple(piece)!;
    if (lowest.digits === 0n && least === Number.NEGATIVE_INFINITY) return true;
    const low = lowest.digits === 0n ? least : Math.max(least, magnitude(lowest) - length + 1);
    for (let scale = low; scale <= magnitude(piece.high.at) - length + 1; scale++)
      if (intersectPieces(piece, cell(digits, scale)) !== null) return true;
    return false;
  });
}

/** A range of whole numbers; ends may be infinite. */
type Range = readonly [low: number, high: number];

/** The exponents n for which digits · 10^n is in the piece. */
function exponentsOf(piece: Piece, digits: bigint): Range {
  const length = String(digits).length;
  let low = Number.NEGATIVE_INFINITY;
  let high = Number.POSITIVE_INFINITY;
  if (piece.low !== null && piece.low.at.digits !== 0n) {
    low = magnitude(piece.low.at) - length + 1;
    const order = compare(decimal(digits, low), piece.low.at);
    if (order < 0 || (order === 0 && piece.low.open)) low++;
  }
  if (piece.high !== null) {
    high = magnitude(piece.high.at) - length + 1;
    const order = compare(decimal(digits, high), piece.high.at);
    if (order > 0 || (order === 0 && piece.high.open)) high--;
  }
  if (piece.multipleOf !== null) low = Math.max(low, leastExponent(digits, piece.multipleOf));
  for (const exception of piece.notMultipleOf) high = Math.min(high, leastExponent(digits, exception) - 1);
  return [low, high];
}

/** An exponent as far as it was read; `sign` is '' where none was. */
export interface ExponentPrefix {
  readonly sign: string;
  readonly digits: string;
}

/** Whether digits · 10^(n − shift) is in the half for an exponent n that goes on so. */
export function meetsExponent(
  half: NumberSet,
  digits: bigint,
  shift: number,
  prefix: ExponentPrefix,
): boolean {
  return half.some((piece) => {
    const [low, high] = exponentsOf(piece, digits);
    const range: Range = [low + shift, high + shift];
    if (range[0] > range[1]) return false;
    if (prefix.sign === '-') return meetsDigits([-range[1], -range[0]], prefix.digits);
    // Without sign or digits, a minus may still come.
    return (prefix.sign === '' && prefix.digits === '') || meetsDigits(range, prefix.digits);
  });
}

/** Whether some n ≥ 0 of the range is written with these digits first, zeros before them aside. */
function meetsDigits([low, high]: Range, digits: string): boolean {
  const first = Number(digits);
  if (first === 0) return high >= 0;
  if (high === Number.POSITIVE_INFINITY) return true;
  for (let size = 1; first * size <= high; size *= 10) if ((first + 1) * size - 1 >= low) return true;
  return false;
}

/** Whether all positive numbers are in the half, as far as they are doubles. */
export const isWholeHalf = (half: NumberSet): boolean =>
  half.some(
    ({ low, high, multipleOf, notMultipleOf }) =>
      compare(low!.at, LEAST) <= 0 && isLast(high) && multipleOf === null && notMultipleOf.length === 0,
  );

/** Whether the half is the positive integers. */
export function isIntegerHalf(half: NumberSet): boolean {
  if (half.length !== 1) return false;
  const [{ low, high, multipleOf, notMultipleOf }] = half;
  return isBefore(low!, ONE) && isLast(high) && isOne(multipleOf) && notMultipleOf.length === 0;
}

const isLast = (high: Bound | null): boolean => high === null || compare(high.at, OVERFLOW) === 0;
const isOne = (value: Decimal | null): boolean => value !== null && compare(value, ONE) === 0;

function isBefore(bound: Bound, value: Decimal): boolean {
  const order = compare(bound.at, value);
  return order < 0 || (order === 0 && !bound.open);
}
