// Whether a number that has begun can still become one of a set. Signs are dealt with by the caller: everything here is
// about positive numbers, and pieces lie above zero.
import { compare, type Decimal, decimal, leastExponent, magnitude, negative, ZERO } from './decimal.ts';
import { type Bound, firstMultiple, intersectPieces, type NumberSet, type Piece } from './number-set.ts';

const mirror = (bound: Bound | null): Bound | null => bound && { at: negative(bound.at), open: bound.open };

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

/** Whether all positive numbers are in the half. */
export const isWholeHalf = (half: NumberSet): boolean =>
  half.some(
    ({ low, high, multipleOf, notMultipleOf }) =>
      low!.at.digits === 0n && high === null && multipleOf === null && notMultipleOf.length === 0,
  );

/** Whether the half is the positive integers. */
export function isIntegerHalf(half: NumberSet): boolean {
  if (half.length !== 1) return false;
  const [{ low, high, multipleOf, notMultipleOf }] = half;
  const isFromOne = isBefore(low!, { digits: 1n, exponent: 0 });
  return isFromOne && high === null && isOne(multipleOf) && notMultipleOf.length === 0;
}

const isOne = (value: Decimal | null): boolean => value !== null && compare(value, decimal(1n, 0)) === 0;

function isBefore(bound: Bound, value: Decimal): boolean {
  const order = compare(bound.at, value);
  return order < 0 || (order === 0 && !bound.open);
}
