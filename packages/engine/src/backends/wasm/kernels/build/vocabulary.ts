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
export const splat = (p: string, at = 0): string => (at ? `v128.load32_splat(${p}, ${at})` : `v128.load32_splat(${p})`);

export const acc = (v: number, r: number): string => `${'abcd'[v]}${r}`;

/** Declares names of vectors: `const u0 = …, u1 = …;` */
export const declare = (word: string, names: readonly string[], value: (i: number) => string): string =>
  `${word} ${names.map((name, i) => `${name} = ${value(i)}`).join(', ')};`;

/** `${name}0`, `${name}1` … */
export const numbered = (name: string, count: number): string[] => Array.from({ length: count }, (_, i) => name + i);

/**
 * Declares the accumulators; a row's begin with its value at `start`, or with zero where `without` holds or it is not
 * there.
 */
export const begin = (vectors: number, from: number, without = ''): string =>
  each(4, (r) => {
    const zero = [without, r >= from ? `K < ${r + 1}` : ''].filter(Boolean).join(' || ');
    const others = each(vectors - 1, (v) => `, ${acc(v + 1, r)} = ${acc(0, r)}`, '');
    return `let ${acc(0, r)} = ${zero ? `${zero} ? zero : ` : ''}${splat('start', 4 * r)}${others};`;
  });

/** Adds a step: the activations at `x`, broadcast as `${name}0` … of each row, times the codes `${codes}0` … */
export const dots = (vectors: number, from: number, name: string, x: string, codes: string): string =>
  rows(from, (r) => {
    const products = each(vectors, (v) => `${acc(v, r)} = dot(${acc(v, r)}, ${name}${r}, ${codes}${v});`, ' ');
    return `const ${name}${r} = ${splat(x, 4 * r)}; ${products}`;
  });

/** One function for each type (or kind) and number of rows, and the switch that finds it. */
export interface Family {
  /** In the order of the switch: its name, and the call that is its whole body. */
  readonly members: readonly { readonly name: string; readonly body: string }[];
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
  members.map(({ name }, i) => `    case ${i}: ${name}(${call}); break;`).join('\n');

/** Types by number as names of functions begin: `q4_0`, `q4_K` … */
export const typeNames: readonly string[] = LAYOUTS.map(({ type }) => `q${type.slice(1)}`);
export const types: readonly string[] = LAYOUTS.map(({ type }) => type);
