// Vectors that packed kernels load once: V8 rebuilds v128 constants inside loops (1.4 x slower).
import { hasTwoDigits, LAYOUTS, lookupTable } from '../layouts/index.ts';

/** Bytes as words. */
const pairsOf = (bytes: readonly number[]): number[] =>
  Array.from({ length: bytes.length / 2 }, (_, i) => bytes[2 * i]! | (bytes[2 * i + 1]! << 8));
/** What codes of types with levels are looked up in; as bytes, two digits of 4 bits, where there are two. */
const tables = LAYOUTS.filter(({ levels }) => levels).flatMap((layout): [string, number[]][] => {
  const { type, levels } = layout;
  const codes: [string, number[]] = [`${type}_TABLE`, pairsOf(lookupTable(layout))];
  if (!hasTwoDigits(layout)) return [codes];
  const digits = (shift: number) => pairsOf(levels!.map((level) => ((level + 128) >> shift) & 15));
  return [codes, [`${type}_LOW`, digits(0)], [`${type}_HIGH`, digits(4)]];
});

/** Words of 16 bits, repeated until a vector is full. */
const VECTORS: Readonly<Record<string, readonly number[]>> = {
  NIBBLES: [0x0f0f],
  /** Widen pairs, and pairs of high nibbles. */
  ONES: [1],
  SIXTEENS: [16],
  /** The fifth bit, the two top bits, and those below. */
  BIT_4: [0x1010],
  TOP_BITS: [0xc0c0],
  SIX_BITS: [0x3f3f],
  /** Sign of an f32; 112 in its exponent, from the bias of f16 to its own; 2^-14. */
  SIGN: [0, 0x8000],
  HALF_BIAS: [0, 0x3800],
  HALF_LIMIT: [0, 0x3880],
  /** Sign of an f16, its bits below the sign; and of one in the upper half of a word, shifted down by three with its sign. */
  HALF_SIGN: [0x8000],
  HALF_MAGNITUDE: [0x7fff],
  HALF_KEEP: [0xe000, 0x8fff],
  UPPER_HALVES: [0, 0xffff],
  BITS_45: [0x3030],
  /** Two bits, and the third. */
  THREES: [0x0303],
  FOURS: [0x0404],
  /** What panels of codes with other offsets than theirs add: 32 - 4, 8 - 1. */
  LIFT_28: [0x1c1c],
  LIFT_7: [0x0707],
  /** For exponents and 6-bit scales. */
  EXPONENT: [0, 0x0080],
  THIRTY_TWO: [0x2020],
  /** As f32. */
  SIXTEEN: [0, 0x4180],
  /** Shifts of four words, as factors. */
  SHIFTS: [64, 0, 16, 0, 4, 0, 0, 0],
  ...Object.fromEntries(tables),
};

const words = Object.values(VECTORS).flatMap((words) => Array.from({ length: 8 }, (_, i) => words[i % words.length]!));
const places = Object.keys(VECTORS).map((name, i) => `@inline export const ${name}: usize = ${16 * i};`);

export default `
const CONSTANTS: usize = memory.data<u16>([${words.join(', ')}], 16);
${places.join('\n')}

@inline export function constant(which: usize): v128 {
  return v128.load(CONSTANTS + which);
}
`;
