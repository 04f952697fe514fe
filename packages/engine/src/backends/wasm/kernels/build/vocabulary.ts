// Words of the templates of packed products. Step by step a product adds four columns of K rows of activations times
// four columns of 4 `vectors` rows of weights. An accumulator is a vector of four outputs of one row: `a1` is outputs
// 0…3 of row 1, `b1` outputs 4…7. K is a constant of every function that the templates' functions are inlined into;
// `if (K > 2)` costs nothing.
import { LAYOUTS } from '../layouts/index.ts';

/** `text` for 0…count - 1. */
export const each = (count: number, text: (i: number) => string, between = '\n'): string =>
  Array.from({ length: count }, (_, i) => text(i)).join(between);

/** `text` for each of 4 rows, from row `from` on only where the product has it. */
export const rows = (from: number, text: (r: number) => string): string =>
  each(4, (r) => (r < from ? text(r) : `if (K > ${r}) { ${text(r)} }`));

export const load = (p: string, at = 0): string => (at ? `v128.load(${p}, ${at})` : `v128.load(${p})`);
/** An address `at` bytes on. */
export const plus = (p: string, at: number): string => (at ? `${p} + ${at}` : p);
export const splat = (p: string, at = 0): string => (at ? `v128.load32_splat(${p}, ${at})` : `v128.load32_splat(${p})`);

/** Stores vectors after each other. */
export const stores = (p: string, values: readonly string[], at = 0): string =>
  values.map((value, i) => `v128.store(${p}, ${value}${at + i ? `, ${at + 16 * i}` : ''});`).join('\n');

/** What `halves` needs. */
export const F16 = 'const sign = constant(SIGN), bias = constant(HALF_BIAS), limit = constant(HALF_LIMIT);';
/** 8 f16 as two vectors of f32. */
export const halves = (vector: string): string[] =>
  ['low', 'high'].map((half) => `${half}Halves(${vector}, sign, bias, limit)`);

export const floats = (integers: string): string => `f32x4.convert_i32x4_s(${integers})`;
/** Unsigned bytes as one or two vectors of i16, `${name}0` and `${name}1`, */
export const extended = (name: string, count = 2): string =>
  declare('const', numbered(name, count), (i) => `i16x8.extend_${i ? 'high' : 'low'}_i8x16_u(${name})`);
/** and of these the i-th four as f32. */
export const widened = (name: string, i: number): string =>
  floats(`i32x4.extend_${i % 2 ? 'high' : 'low'}_i16x8_u(${name}${i >> 1})`);

export const acc = (v: number, r: number): string => `${'abcd'[v]}${r}`;

/** Declares names of vectors: `const u0 = …, u1 = …;` */
export const declare = (word: string, names: readonly string[], value: (i: number) => string): string =>
  `${word} ${names.map((name, i) => `${name} = ${value(i)}`).join(', ')};`;

/** `${name}0`, `${name}1` … */
export const numbered = (name: string, count: number): string[] => Array.from({ length: count }, (_, i) => name + i);

/**
 * Declares the accumulators; a row's begin with its value at `start`, as `cut` makes it, or with zero where `without`
 * holds or it is not there.
 */
export const begin = (vectors: number, from: number, without = '', cut = (start: string) => start): string =>
  each(4, (r) => {
    const zero = [without, r >= from ? `K < ${r + 1}` : ''].filter(Boolean).join(' || ');
    const others = each(vectors - 1, (v) => `, ${acc(v + 1, r)} = ${acc(0, r)}`, '');
    return `let ${acc(0, r)} = ${zero ? `${zero} ? zero : ` : ''}${cut(splat('start', 4 * r))}${others};`;
  });

/** Adds a step: the activations at `x`, broadcast as `${name}0` … of each row, times the codes `${codes}0` … */
export const dots = (vectors: number, from: number, name: string, x: string, codes: string): string =>
  rows(from, (r) => {
    const products = each(vectors, (v) => `${acc(v, r)} = dot(${acc(v, r)}, ${name}${r}, ${codes}${v});`, ' ');
    return `const ${name}${r} = ${splat(x, 4 * r)}; ${products}`;
  });

/** The accumulators of 16 rows of weights and 4 of activations, in the order of arguments, */
export const TILE = each(4, (r) => each(4, (v) => acc(v, r), ', '), ', ');
/** and `text` for each of those that the product has. */
export const ofTile = (from: number, text: (a: string, v: number, r: number) => string): string =>
  rows(from, (r) => each(4, (v) => text(acc(v, r), v, r), ' '));
/** Adds what the first pass kept, times its factor, to an accumulator of a tile. */
export const join = (a: string, v: number, r: number): string =>
  `${a} = join${v % 2 ? 'High' : 'Low'}(${a}, ${['f0', 'f1', 'g0', 'g1'][v]}, ${v < 2 ? 'between' : 'beyond'}, ${r});`;

/** Float sums of 8 rows of weights and 4 of activations, in registers, */
export const SUMS = `let ${['y', 'z'].flatMap((sum) => numbered(sum, 4).map((name) => `${name} = zero`)).join(', ')};`;
/** and where they go. */
export const storeSums = (from: number): string => rows(from, (r) => `storeSums(sums, ${r}, y${r}, z${r});`);
/** Adds a block's accumulators, times the scales at `p`, to those sums, and then the minima, times what is at `sum`. */
export const addScaled = (from: number, p: string): string =>
  rows(from, (r) => {
    const add = (a: string, s: string, y: string) => `${y} = addScaled(${a}, ones, c${r}, ${s}, ${y});`;
    return `const c${r} = ${splat(p, 4 * r)}; ${add(`a${r}`, 's0', `y${r}`)} ${add(`b${r}`, 's1', `z${r}`)}`;
  });
export const addMinima = (from: number): string =>
  rows(from, (r) => {
    const add = (y: string, m: string) => `${y}${r} = madd(d${r}, ${m}, ${y}${r});`;
    return `const d${r} = ${splat('sum', 4 * r)}; ${add('y', 'm0')} ${add('z', 'm1')}`;
  });
/** Adds both passes of a block, the first one's in c and d, to those sums. */
export const addBoth = (from: number, kind: string, low: string, high: string): string =>
  rows(from, (r) => {
    const add = (c: string, a: string, f: string, s: string, y: string) =>
      `${y} = addBoth(${kind}, ${c}, ${a}, ${f}, e${r}, ${s}, ${y});`;
    const y = add(`c${r}`, `a${r}`, low, 's0', `y${r}`);
    const z = add(`d${r}`, `b${r}`, high, 's1', `z${r}`);
    return `const e${r} = ${splat('x', 4 * r)}; ${y} ${z}`;
  });

/** One function for each type (or kind) and number of rows, and the switch that finds it. */
export interface Family {
  /** In the order of the switch, where they have no number of theirs: name, and the call that is its whole body. */
  readonly members: readonly { readonly name: string; readonly body: string; readonly number?: number }[];
  readonly parameters: string;
}

/**
 * A function for each member: in branches of one function, Binaryen would fold the copies into one again, with the
 * number of rows a variable.
 */
export const functions = ({ members, parameters }: Family): string =>
  members.map(({ name, body }) => `function ${name}(${parameters}): void { ${body}; }`).join('\n');

/** The cases of a switch over the members, which are called with `call`. */
export const cases = ({ members }: Family, call: string): string =>
  members.map(({ name, number }, i) => `    case ${number ?? i}: ${name}(${call}); break;`).join('\n');

/** Types by number as names of functions begin: `q4_0`, `q4_K` … */
export const typeNames: readonly string[] = LAYOUTS.map(({ type }) => type[0]!.toLowerCase() + type.slice(1));
export const types: readonly string[] = LAYOUTS.map(({ type }) => type);
