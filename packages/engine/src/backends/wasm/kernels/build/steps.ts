// How a block of 32 columns of a packed tile becomes codes and scales, for the products that read tiles as they lie. All
// follows from the type's layout (kernels/layouts, with the pictures).
import { hasTwoDigits, type Layout } from '../layouts/index.ts';
import { begin, declare, dots, each, halves, load, numbered } from './vocabulary.ts';

/** `const u0 = …, u1 = …; const u2 = …, u3 = …;` */
export const pairs = (word: string, name: string, vectors: number, value: (v: number) => string): string =>
  each(vectors / 2, (i) => declare(word, [`${name}${2 * i}`, `${name}${2 * i + 1}`], (j) => value(2 * i + j)));

const isFive = ({ bits }: Layout): boolean => bits === 5;

/** Constants that cutting codes needs. */
export function codeConstants({ type, bits, levels }: Layout): string {
  if (bits === 6) return 'const six = constant(SIX_BITS), top = constant(TOP_BITS);';
  if (bits < 4) return `const threes = constant(THREES)${bits === 3 ? ', fours = constant(FOURS)' : ''};`;
  const fifth = bits === 5 ? ', bit = constant(BIT_4)' : '';
  return `const nibbles = constant(NIBBLES)${fifth}${levels ? `, table = constant(${type}_TABLE)` : ''};`;
}

/**
 * The word of a block's activations that accumulators start with, and what becomes of it: the sum of 32 columns, or of
 * 16 where these have a scale.
 */
export function startOf({ start, scale }: Layout): { word: string; cut: (value: string) => string } {
  const most = scale === 'factors' ? 32 : start === 16 ? 16 : 8;
  const shift = Math.log2(most / (start ?? most));
  return {
    word: `START_${most}`,
    cut: (value) => (shift ? `smallerStart(${value}, ${shift})` : value),
  };
}

/** Declares the accumulators of a block; `from` as in `begin`. */
const beginBlock = (layout: Layout, vectors: number): string => {
  const { word, cut } = startOf(layout);
  return `const start = x + <usize>K * ${word};
    ${begin(vectors, 1, layout.start ? '' : 'true', cut)}`;
};

/** Codes of the step in the low nibbles of `w`, and in the high ones; `bits` has the fifth bits, next in turn. */
export const lowCodes = (layout: Layout, w: string, bits: string): string =>
  codesOf(layout, `v128.and(${w}, nibbles)`, `i16x8.shl(${bits}, 4)`);
export const highCodes = (layout: Layout, w: string, bits: string): string =>
  codesOf(layout, `v128.and(i16x8.shr_u(${w}, 4), nibbles)`, bits);

function codesOf(layout: Layout, nibbles: string, fifth: string): string {
  if (isFive(layout)) return `v128.or(${nibbles}, v128.and(${fifth}, bit))`;
  return layout.levels && !hasTwoDigits(layout) ? `lookUp(table, ${nibbles})` : nibbles;
}

/**
 * A block of nibbles at `w`, with or without a fifth bit: of each step the low ones, columns 0…15, then the high ones.
 * K is at least `from`.
 */
const nibbleSteps = (layout: Layout, vectors: number, from: number): string => {
  const five = isFive(layout);
  return `
    ${beginBlock(layout, vectors)}
    ${five ? `${pairs('let', 'f', vectors, (v) => load('w', 16 * v))}\nw += 64;` : ''}
    const stop = w + 256;
    do {
      ${declare('const', numbered('u', vectors), (v) => load('w', 16 * v))}
      ${declare('const', numbered('l', vectors), (v) => lowCodes(layout, `u${v}`, `f${v}`))}
      ${dots(vectors, from, 'x', 'x', 'l')}
      ${declare('const', numbered('h', vectors), (v) => highCodes(layout, `u${v}`, `f${v}`))}
      const high = x + <usize>K * 16;
      ${dots(vectors, from, 'y', 'high', 'h')}
      ${five ? each(vectors, (v) => `f${v} = i16x8.shr_u(f${v}, 1);`, ' ') : ''}
      w += 64;
      x += <usize>K * 4;
    } while (w < stop);`;
};

/** Steps of `codes`0… from `p` to `stop`, of activations from `x`; `cut` declares the codes. */
export const byteSteps = (vectors: number, p: string, x: string, codes: string, cut: string): string => `
    do {
      ${cut}
      ${dots(vectors, 2, 'x', x, codes)}
      ${p} += 64;
      ${x} += <usize>K * 4;
    } while (${p} < stop);`;

/** The lower or the higher digits of a block of bytes, their nibbles, from `p` to `stop`, of activations from `x`. */
export function digitSteps(digit: 'low' | 'high', vectors: number, p: string, x: string): string {
  const cut = (v: number) => `v128.and(${digit === 'low' ? `u${v}` : `i16x8.shr_u(u${v}, 4)`}, nibbles)`;
  const loaded = declare('const', numbered('u', vectors), (v) => load(p, 16 * v));
  return byteSteps(vectors, p, x, 'l', `${loaded} ${pairs('const', 'l', vectors, cut)}`);
}

/** 16 columns of 6-bit codes at `set`: three steps from `p` to `stop`, and a fourth from the bits above their codes. */
const sixSteps = (vectors: number, p: string, set: string): string => `
    ${byteSteps(
      vectors,
      p,
      'x',
      'l',
      pairs('const', 'l', vectors, (v) => `v128.and(${load(p, 16 * v)}, six)`),
    )}
    ${pairs('const', 'l', vectors, (v) => {
      const sets = [0, 64, 128].map((at) => load(set, at + 16 * v));
      return `fourthSix(${sets.join(', ')}, top)`;
    })}
    ${dots(vectors, 2, 'x', 'x', 'l')}`;

/** Codes of 2 or 3 bits of the next step, in turn: the low bits of `w`, and of `bits` the third one. */
const quarterCodes = ({ bits }: Layout, w: string, third: string): string =>
  bits === 2 ? `v128.and(${w}, threes)` : `v128.or(v128.and(${w}, threes), v128.and(i16x8.shl(${third}, 2), fours))`;

/**
 * The four steps of 16 columns of 2-bit codes at `p`. Third bits are in f0…, shifted to those of the next step each
 * time.
 */
export const quarterSteps = (layout: Layout, vectors: number, from: number, p: string): string => `
    {
      ${declare('let', numbered('u', vectors), (v) => load(p, 16 * v))}
      const last = x + <usize>K * 16;
      do {
        ${declare('const', numbered('l', vectors), (v) => quarterCodes(layout, `u${v}`, `f${v}`))}
        ${dots(vectors, from, 'x', 'x', 'l')}
        ${each(vectors, (v) => `u${v} = i16x8.shr_u(u${v}, 2);`, ' ')}
        ${layout.bits === 3 ? each(vectors, (v) => `f${v} = i16x8.shr_u(f${v}, 1);`, ' ') : ''}
        x += <usize>K * 4;
      } while (x < last);
    }`;

/** The steps of a block with a scale for all of its 32 columns, at `w`, whatever the bits of a code. */
export const blockSteps = (layout: Layout, vectors: number, from: number): string =>
  layout.bits >= 4
    ? nibbleSteps(layout, vectors, from)
    : `${beginBlock(layout, vectors)}
    for (const stop = w + 128; w < stop; w += 64) {${quarterSteps(layout, vectors, from, 'w')}}`;
/** How far these walk over activations, and over weights. */
export const walked = ({ bits }: Layout): { columns: number; bytes: number } =>
  bits < 4 ? { columns: 32, bytes: 128 } : { columns: 16, bytes: bits === 5 ? 320 : 256 };

/** The steps of 16 columns that have a scale, at `p`. */
export const passSteps = (layout: Layout, vectors: number, p: string, set: string): string =>
  layout.bits === 6 ? sixSteps(vectors, p, set) : quarterSteps(layout, vectors, 2, set);
/** Bytes of 16 columns, without third bits. */
export const passBytes = ({ bits }: Layout): number => (bits === 6 ? 192 : 64);

/** What `ownScales` needs. */
export const scaleConstants = ({ scale, minimum, bits }: Layout): string =>
  [
    scale === 'half' ? 'const sign = constant(SIGN), bias = constant(HALF_BIAS), limit = constant(HALF_LIMIT);' : '',
    scale === 'half' && minimum && bits === 5 ? 'const sixteen = constant(SIXTEEN);' : '',
    scale === 'exponent' ? 'const least = constant(EXPONENT);' : '',
  ].join(' ');

/**
 * Declares the f32 scales of rows, four by four, of a block that has its own, `at` bytes behind \`p\`; and the minima,
 * with 16 scales more where products start at that.
 */
export function ownScales(layout: Layout, p: string, at: number, scales: readonly string[], minima: string[]): string {
  if (layout.scale === 'exponent') return exponentScales(p, at, scales);
  const vectors = scales.length / 2;
  const widen = (names: readonly string[], vector: string) =>
    declare('const', names, (i) => halves(`${vector}${i >> 1}`)[i & 1]!);
  const text = `${declare('const', numbered('g', vectors), (i) => load(p, at + 16 * i))} ${widen(scales, 'g')}`;
  if (!layout.minimum) return text;
  const read = declare('const', numbered('k', vectors), (i) => load(p, at + 32 + 16 * i));
  if (!isFive(layout)) return `${text}\n${read} ${widen(minima, 'k')}`;
  const added = declare(
    'const',
    minima,
    (i) => `f32x4.add(f32x4.mul(${scales[i]}, sixteen), ${halves(`k${i >> 1}`)[i & 1]})`,
  );
  return `${text}\n${read} ${added}`;
}

/** Powers of two by their exponents, a byte for each row. */
function exponentScales(p: string, at: number, scales: readonly string[]): string {
  const bytes = scales.length === 4 ? load(p, at) : `v128.load64_zero(${p}${at ? `, ${at}` : ''})`;
  const words = declare(
    'const',
    numbered('g', scales.length / 2),
    (i) => `i16x8.extend_${i ? 'high' : 'low'}_i8x16_u(g)`,
  );
  return `const g = ${bytes}; ${words} ${declare(
    'const',
    scales,
    (i) => `powersOfTwo(i32x4.extend_${i % 2 ? 'high' : 'low'}_i16x8_u(g${i >> 1}), least)`,
  )}`;
}
