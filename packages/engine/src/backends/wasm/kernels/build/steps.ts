// How the steps of a block of 32 columns are cut out of a packed tile and multiplied, for products that read tiles as
// they lie (packed-direct.gen.ts, packed-small.gen.ts). The pictures are in kernels/layouts.
import { begin, declare, dots, each, load, numbered } from './vocabulary.ts';

/** `const u0 = …, u1 = …; const u2 = …, u3 = …;` */
export const pairs = (word: string, name: string, vectors: number, value: (v: number) => string): string =>
  each(vectors / 2, (i) => declare(word, [`${name}${2 * i}`, `${name}${2 * i + 1}`], (j) => value(2 * i + j)));

/**
 * A block of nibbles at `w`, with or without a fifth bit: of each step the low ones, columns 0…15, then the high ones.
 * K is at least `from`.
 */
export const nibbleSteps = (vectors: number, from: number): string => `
    const start = x + <usize>K * (five ? START_16 : START_8);
    ${begin(vectors, 1, 'type == Q4_K')}
    ${pairs('let', 'f', vectors, (v) => `five ? ${load('w', 256 + 16 * v)} : zero`)}
    const stop = w + 256;
    do {
      ${declare('const', numbered('u', vectors), (v) => load('w', 16 * v))}
      ${declare('const', numbered('l', vectors), (v) => `lowCodes(five, u${v}, f${v}, nibbles, bit)`)}
      ${dots(vectors, from, 'x', 'x', 'l')}
      ${declare('const', numbered('h', vectors), (v) => `highCodes(five, u${v}, f${v}, nibbles, bit)`)}
      const high = x + <usize>K * 16;
      ${dots(vectors, from, 'y', 'high', 'h')}
      if (five) { ${each(vectors, (v) => `f${v} = i16x8.shr_u(f${v}, 1);`, ' ')} }
      w += 64;
      x += <usize>K * 4;
    } while (w < stop);`;

/** Steps of `codes`0… from `p` to `stop`, of activations from `x`; `cut` declares the codes. */
export const byteSteps = (vectors: number, p: string, x: string, codes: string, cut: string): string => `
    do {
      ${cut}
      ${dots(vectors, 2, 'x', x, codes)}
      ${p} += 64;
      ${x} += <usize>K * 4;
    } while (${p} < stop);`;

/** 16 columns of 6-bit codes at `set`: three steps from `p` to `stop`, and a fourth from the bits above their codes. */
export const sixSteps = (vectors: number, p: string, set: string): string => `
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
