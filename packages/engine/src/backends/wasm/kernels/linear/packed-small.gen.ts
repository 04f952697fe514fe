// Two to four rows of activations at once (drafts to verify, few sessions) straight from the packed tile, 8 of its 16
// rows at a time; all 16 where packed-direct.gen.ts serves. Making a panel would cost more than the product here. Sums
// as in packed-tile.gen.ts, bit for bit.

import { codeConstants, digitSteps, nibbleSteps, ownScales, scaleConstants, sixSteps } from '../build/steps.ts';
import {
  addBoth,
  addMinima,
  addScaled,
  begin,
  cases,
  each,
  F16,
  type Family,
  functions,
  rows,
  SUMS,
  splat,
  storeSums,
  typeNames,
} from '../build/vocabulary.ts';
import { hasTwoDigits, LAYOUTS, type Layout } from '../layouts/index.ts';

/** Bytes of scales of a row in a block. */
const rowBytes = ({ scale }: Layout): number => (scale === 'exponent' ? 1 : 2);
const SCALES = ['s0', 's1'];
const MINIMA = ['m0', 'm1'];

/** Types with one product for each code, and a scale for each block of 32 columns. */
const oneDigit = (layout: Layout): string => {
  const { type, block, minimum } = layout;
  const group = layout.scale === 'group';
  return `
@inline function product${type}(
  K: i32, tile: usize, half: usize, x: usize, blocks: i32, sums: usize, room: usize,
): void {
  const zero = i32x4.splat(0), ones = constant(ONES);
  ${codeConstants(layout)} ${scaleConstants(layout)}
  ${SUMS}
  let w = tile + half * 32;
  let s = ${group ? 'room' : `tile + ${type}_SCALES + half * ${8 * rowBytes(layout)}`};
  for (let b = 0; b < blocks; b++) {
    ${
      group
        ? `if ((b & 7) == 0) {
      spreadScalesHalf(tile, half, room, ${layout.start ? 16 : 0});
      tile += ${type}_GROUP;
      s = room;
      w += ${type}_HEADER;
    }`
        : ''
    }
    ${nibbleSteps(layout, 2, 2)}
    ${
      group
        ? `const s0 = v128.load(s), s1 = v128.load(s, 16), m0 = v128.load(s, 32), m1 = v128.load(s, 48);`
        : ownScales(layout, 's', 0, SCALES, MINIMA)
    }
    const scale = x + <usize>K * (CODE_SCALE - 16), sum = x + <usize>K * (CODE_SUM - 16);
    ${addScaled(2, 'scale')}
    ${minimum ? addMinima(2) : ''}
    w += ${block - 256};
    s += ${group ? 64 : block};
    x += <usize>K * (BLOCK_CODES - 16);
  }
  ${storeSums(2)}
}`;
};

/** Q6_K, 16 columns a pass. */
const sixProduct = `
@inline function productQ6_K(K: i32, tile: usize, half: usize, x: usize, blocks: i32, sums: usize, room: usize): void {
  const zero = i32x4.splat(0), six = constant(SIX_BITS), top = constant(TOP_BITS);
  ${F16}
  ${SUMS}
  let w = tile + half * 32, factors = tile;
  for (let b = 0; b < blocks; b++) {
    if ((b & 7) == 0) {
      const h = v128.load(tile + half * 16);
      const s0 = lowHalves(h, sign, bias, limit), s1 = highHalves(h, sign, bias, limit);
      v128.store(room, s0);
      v128.store(room, s1, 16);
      factors = tile + 32 + half * 8;
      tile += Q6_K_GROUP;
      w += Q6_K_HEADER;
    }
    let ${['c', 'd'].flatMap((kept) => each(4, (r) => `${kept}${r} = zero`, ', ')).join(', ')};
    let start = x + <usize>K * START_32;
    const middle = w + Q6_K_PASS;
    for (;;) {
      ${begin(2, 2)}
      const set = w, stop = w + Q6_K_PASS;
      ${sixSteps(2, 'w', 'set')}
      x += <usize>K * 4;
      spreadFactors(factors, room + 32);
      const f0 = v128.load(room, 32), f1 = v128.load(room, 48);
      factors += 16;
      if (w == middle) {
        start += <usize>K * 4;
        ${rows(2, (r) => `c${r} = partial(HALVES, a${r}, f0); d${r} = partial(HALVES, b${r}, f1);`)}
        continue;
      }
      const s0 = v128.load(room), s1 = v128.load(room, 16);
      ${addBoth(2, 'HALVES', 'f0', 'f1')}
      break;
    }
    x += <usize>K * (BLOCK_CODES - 32);
  }
  ${storeSums(2)}
}`;

/** Types with two digits: all steps with the lower ones, then with the higher ones. */
const twoDigits = (layout: Layout): string => {
  const { type, levels } = layout;
  const [codeBytes, columns] = levels ? [256, 16] : [512, 32];
  return `
@inline function product${type}(K: i32, tile: usize, half: usize, x: usize, blocks: i32, sums: usize): void {
  const zero = i32x4.splat(0), ones = constant(ONES), sixteens = constant(SIXTEENS);
  ${codeConstants(layout)} ${scaleConstants(layout)}
  ${SUMS}
  let w = tile + half * 32, s = tile + ${type}_SCALES + half * 16;
  for (; blocks > 0; blocks--) {
    let start = x + <usize>K * START_16;
    ${levels ? begin(2, 2) : `let ${each(4, (r) => `a${r} = zero, b${r} = zero`, ', ')};`}
    const stop = w + ${codeBytes};
    let v = w, u = x;
    ${digitSteps(layout, 'low', 2, 'v', 'u')}
    const ${each(2, (r) => `c${r} = total(a${r}, ones), d${r} = total(b${r}, ones)`, ', ')};
    const ${each(2, (r) => `c${r + 2} = total(a${r + 2}, ones), d${r + 2} = total(b${r + 2}, ones)`, ', ')};
    start = x + <usize>K * START_8;
    ${rows(2, (r) => `a${r} = ${splat('start', 4 * r)}; b${r} = a${r};`)}
    ${digitSteps(layout, 'high', 2, 'w', 'x')}
    ${ownScales(layout, 's', 0, SCALES, MINIMA)} const f = sixteens;
    x += <usize>K * ${32 - columns};
    ${addBoth(2, 'TWO_NIBBLES', 'f', 'f')}
    w += ${layout.block - codeBytes};
    s += ${layout.block};
    x += <usize>K * (BLOCK_CODES - 32);
  }
  ${storeSums(2)}
}`;
};

const product = (layout: Layout): string => {
  if (layout.scale === 'factors') return sixProduct;
  return hasTwoDigits(layout) ? twoDigits(layout) : oneDigit(layout);
};
const call = (layout: Layout, K: number): string =>
  `product${layout.type}(${K}, w, half, x, n, sums${hasTwoDigits(layout) ? '' : ', room'})`;

const family: Family = {
  parameters: 'w: usize, half: usize, x: usize, n: i32, sums: usize, room: usize',
  members: LAYOUTS.flatMap((layout, i) =>
    [2, 3, 4].map((K) => ({ name: `${typeNames[i]}x${K}`, body: call(layout, K) })),
  ),
};

export default `
${LAYOUTS.map(product).join('')}

${functions(family)}

/** Rows 8 half…8 half + 7 of the tile at w times K = 2…4 rows: sums[k * 8 + row]. room is SCALE_ROOM bytes. */
export function multiplySmall(
  type: i32, K: i32, w: usize, half: usize, x: usize, blocks: i32, sums: usize, room: usize,
): void {
  switch (type * 3 + K - 2) {
${cases(family, 'w, half, x, blocks, sums, room')}
  }
}
`;
