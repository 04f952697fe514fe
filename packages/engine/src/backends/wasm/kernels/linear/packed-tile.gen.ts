// The product that prompts spend their time in: 8 rows of weights times 1…4 rows of activations, over all columns.
// Weights come as half a panel (packed-panel.ts): bytes already below 128, scales already f32, one contiguous stream.
//
// The inner loop takes one step (4 columns): two vectors of weights, one broadcast of activations per row, 2 x 4
// accumulators. It is not unrolled: V8's scheduler would chain the dots of one accumulator and spill (1.5 x slower).
// Vectors of the same kind lie side by side and are stored in pairs with nothing between: this is the pattern that
// V8's 256-bit pass (--experimental-wasm-revectorize) merges into one AVX2 instruction, 1.6 x faster where the flag is
// on.
//
// The order of float sums over columns is that of the decode kernels, so a row's result does not depend on which kernel
// made it.
import {
  acc,
  addBoth,
  addMinima,
  addScaled,
  begin,
  cases,
  each,
  type Family,
  functions,
  load,
  rows,
  SUMS,
  splat,
  storeSums,
} from '../build/vocabulary.ts';

const KINDS = ['OFFSET_8', 'OFFSET_16', 'MINIMUM', 'MINIMUM_16', 'HALVES', 'TWO_NIBBLES', 'HALVES_MINIMUM'] as const;
/** Steps of bytes of codes from w to `stop`. */
const steps = `
    do {
      const w0 = v128.load(w), w1 = v128.load(w, 16);
      ${rows(1, (r) => {
        const products = each(2, (v) => `${acc(v, r)} = dot(${acc(v, r)}, x${r}, w${v});`, ' ');
        return `const x${r} = ${splat('x', 4 * r)}; ${products}`;
      })}
      w += 32;
      x += <usize>K * 4;
    } while (w < stop);`;

/** Kinds whose block is one pass: all blocks of half a panel times a tile of K rows of activations, into `sums`. */
const onePass = `
@inline function onePass(kind: i32, K: i32, w: usize, x: usize, blocks: i32, sums: usize): void {
  const zero = i32x4.splat(0), ones = constant(ONES);
  const minimum = kind == MINIMUM || kind == MINIMUM_16;
  ${SUMS}
  for (; blocks > 0; blocks--) {
    fetchAhead();
    const start = x + <usize>K * (kind == OFFSET_8 ? START_8 : START_16);
    ${begin(2, 1, 'kind == MINIMUM')}
    const stop = w + 256;
    ${steps}
    const s0 = v128.load(w), s1 = v128.load(w, 16);
    ${addScaled(1, 'x')}
    if (minimum) {
      const m0 = v128.load(w, 32), m1 = v128.load(w, 48);
      const sum = x + <usize>K * (CODE_SUM - CODE_SCALE);
      ${addMinima(1)}
    }
    w += panelBlockBytes(kind) - 256;
    x += <usize>K * (BLOCK_CODES - 32);
  }
  ${storeSums(1)}
}`;

/**
 * Kinds whose block is two passes: half the steps each, with factors of their own (HALVES), or all steps with low,
 * then high nibbles. As onePass otherwise.
 */
const twoPasses = `
@inline function twoPasses(kind: i32, K: i32, w: usize, x: usize, blocks: i32, sums: usize): void {
  const zero = i32x4.splat(0), ones = constant(ONES), sixteens = constant(SIXTEENS);
  const nibbles = kind == TWO_NIBBLES, minimum = kind == HALVES_MINIMUM;
  ${SUMS}
  for (; blocks > 0; blocks--) {
    fetchAhead();
    const start = x + <usize>K * START_32, second = x + <usize>K * (nibbles ? START_8 : START_32 + 4);
    ${begin(2, 1, 'nibbles || minimum')}
    let stop = w + (nibbles ? 256 : 128);
    ${steps}
    const f0 = nibbles ? ones : v128.load(w), f1 = nibbles ? ones : v128.load(w, 16);
    if (!nibbles) w += 32;
    ${each(4, (r) => {
      const kept = (a: string, f: string) =>
        `${r ? `K > ${r} ? ` : ''}partial(kind, ${a}${r}, ${f})${r ? ' : zero' : ''}`;
      return `const c${r} = ${kept('a', 'f0')}, d${r} = ${kept('b', 'f1')};`;
    })}
    ${rows(1, (r) => `a${r} = minimum ? zero : ${splat('second', 4 * r)}; b${r} = a${r};`)}
    if (nibbles) x -= <usize>K * 32;
    stop = w + (nibbles ? 256 : 128);
    ${steps}
    const g0 = nibbles ? sixteens : v128.load(w), g1 = nibbles ? sixteens : v128.load(w, 16);
    const scales = w + (nibbles ? 0 : 32);
    const s0 = v128.load(scales), s1 = v128.load(scales, 16);
    ${addBoth(1, 'kind', 'g0', 'g1')}
    if (minimum) {
      const half = x + <usize>K * (HALF_SUMS - CODE_SCALE), other = half + <usize>K * 4;
      const m0 = ${load('scales', 32)}, m1 = ${load('scales', 48)}, n0 = ${load('scales', 64)}, n1 = ${load('scales', 80)};
      ${rows(1, (r) => {
        const add = (sum: string, v: number) => `${sum}${r} = madd(h${r}, n${v}, madd(d, m${v}, ${sum}${r}));`;
        return `const h${r} = ${splat('other', 4 * r)}; { const d = ${splat('half', 4 * r)}; ${add('y', 0)} ${add('z', 1)} }`;
      })}
    }
    w = scales + (minimum ? 96 : 32);
    x += <usize>K * (BLOCK_CODES - 32);
  }
  ${storeSums(1)}
}`;

const family: Family = {
  parameters: 'w: usize, x: usize, blocks: i32, sums: usize',
  members: KINDS.flatMap((kind, i) =>
    [1, 2, 3, 4].map((K) => ({
      name: `${['offset8', 'offset16', 'minimum', 'minimum16', 'halves', 'twoNibbles', 'halvesMinimum'][i]}x${K}`,
      body: `${i < 4 ? 'onePass' : 'twoPasses'}(${kind}, ${K}, w, x, blocks, sums)`,
    })),
  ),
};

export default `
${onePass}
${twoPasses}

${functions(family)}

/** 8 rows of weights (half a panel) times K rows of activations: sums[k * 8 + row]. */
export function multiplyTile(kind: i32, K: i32, w: usize, x: usize, blocks: i32, sums: usize): void {
  switch (kind * 4 + K - 1) {
${cases(family, 'w, x, blocks, sums')}
  }
}
`;
