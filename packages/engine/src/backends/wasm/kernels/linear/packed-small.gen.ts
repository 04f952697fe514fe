// Two to four rows of activations at once (drafts to verify, few sessions) straight from the packed tile, 8 of its 16
// rows at a time; all 16 where packed-direct.gen.ts serves. Making a panel would cost more than the product here. Sums
// as in packed-tile.gen.ts, bit for bit.

import {
  blockSteps,
  codeConstants,
  digitSteps,
  ownScales,
  passBytes,
  passSteps,
  scaleConstants,
  startOf,
  walked,
} from '../build/steps.ts';
import {
  addBoth,
  addMinima,
  addScaled,
  begin,
  cases,
  declare,
  each,
  F16,
  type Family,
  functions,
  load,
  numbered,
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

/** Before each block, what a group's header says: Q4_K's and Q5_K's scales and minima of these rows, or all rows' scales. */
function groupHeader({ type, scale, minimum, start, header }: Layout): string {
  if (scale !== 'group') return '';
  return `if ((b & 7) == 0) {
      ${minimum ? `spreadScalesHalf(tile, half, room, ${start ? 16 : 0});` : `spread${type}(tile, room);`}
      tile += ${type}_GROUP;
      s = ${minimum ? 'room' : 'room + half * 32'};
      w += ${header};
    }`;
}
/** Where scales are at first, and the declarations of a block's. */
const firstScales = (layout: Layout): string =>
  layout.scale === 'group' ? 'room' : `tile + ${layout.type}_SCALES + half * ${8 * rowBytes(layout)}`;
function blockScales(layout: Layout): string {
  if (layout.scale !== 'group') return ownScales(layout, 's', 0, SCALES, MINIMA);
  const minima = layout.minimum ? ', m0 = v128.load(s, 32), m1 = v128.load(s, 48)' : '';
  return `const s0 = v128.load(s), s1 = v128.load(s, 16)${minima};`;
}
const scaleStep = ({ scale, block, bits }: Layout): number => {
  if (scale !== 'group') return block;
  return bits < 4 ? 0 : 64;
};

/** Types with one product for each code, and a scale for each block of 32 columns. */
const oneDigit = (layout: Layout): string => {
  const { type, block, minimum } = layout;
  const { columns, bytes } = walked(layout);
  return `
@inline function product${type}(
  K: i32, tile: usize, half: usize, x: usize, blocks: i32, sums: usize, room: usize,
): void {
  const zero = i32x4.splat(0), ones = constant(ONES);
  ${codeConstants(layout)} ${scaleConstants(layout)}
  ${SUMS}
  let w = tile + half * 32, s = ${firstScales(layout)};
  for (let b = 0; b < blocks; b++) {
    ${groupHeader(layout)}
    ${blockSteps(layout, 2, 2)}
    ${blockScales(layout)}
    const scale = x + <usize>K * (CODE_SCALE - ${columns}), sum = x + <usize>K * (CODE_SUM - ${columns});
    ${addScaled(2, 'scale')}
    ${minimum ? addMinima(2) : ''}
    w += ${block - bytes};
    s += ${scaleStep(layout)};
    x += <usize>K * (BLOCK_CODES - ${columns});
  }
  ${storeSums(2)}
}`;
};

/** Types with a factor for every 16 columns: a pass for these, at `set`. Third bits are those of a whole block. */
const twoPasses = (layout: Layout): string => {
  const { type, bits, minimum, start, header, block } = layout;
  const inHeader = bits === 6;
  const { word, cut } = startOf(layout);
  const halfOf = (h: number) => {
    const bytes = `v128.load_ext<u8>(minima${h ? ', 16' : ''})`;
    const wide = (half: string) => `f32x4.convert_i32x4_s(i32x4.extend_${half}_i16x8_u(p${h}))`;
    return `const p${h} = ${bytes}, m${h}0 = f32x4.mul(${wide('low')}, n0), m${h}1 = f32x4.mul(${wide('high')}, n1);
    ${rows(2, (r) => {
      const sum = splat('x', 4 * r);
      return `const g${h}${r} = ${sum}; y${r} = madd(g${h}${r}, m${h}0, y${r}); z${r} = madd(g${h}${r}, m${h}1, z${r});`;
    })}
    x += <usize>K * 4;`;
  };
  return `
@inline function product${type}(K: i32, tile: usize, half: usize, x: usize, blocks: i32, sums: usize, room: usize): void {
  const zero = i32x4.splat(0);
  ${codeConstants(layout)}
  ${inHeader ? F16 : ''}
  ${SUMS}
  let w = tile + half * 32, factors = tile, minima = tile;
  for (let b = 0; b < blocks; b++) {
    if ((b & 7) == 0) {
      ${
        inHeader
          ? `const h = v128.load(tile + half * 16);
      const s0 = lowHalves(h, sign, bias, limit), s1 = highHalves(h, sign, bias, limit);
      v128.store(room, s0);
      v128.store(room, s1, 16);
      factors = tile + 32 + half * 8;`
          : `spread${type}(tile, room);
      factors = room + FACTORS + half * 8;
      minima = room + MINIMA + half * 8;`
      }
      tile += ${type}_GROUP;
      w += ${header};
    }
    ${bits === 3 ? declare('let', numbered('f', 2), (v) => load('w', 128 + 16 * v)) : ''}
    let ${['c', 'd'].flatMap((kept) => each(4, (r) => `${kept}${r} = zero`, ', ')).join(', ')};
    let start = x + <usize>K * ${word};
    const middle = w + ${passBytes(layout)};
    for (;;) {
      ${begin(2, 2, start ? '' : 'true', cut)}
      const set = w, stop = w + ${passBytes(layout)};
      ${passSteps(layout, 2, 'w', 'set')}
      ${inHeader ? 'x += <usize>K * 4;' : 'w = stop;'}
      spreadFactors(factors, room + SPARE_ROOM);
      const q = room + SPARE_ROOM, q0 = v128.load(q), q1 = v128.load(q, 16);
      factors += 16;
      if (w == middle) {
        start += <usize>K * 4;
        ${rows(2, (r) => `c${r} = partial(HALVES, a${r}, q0); d${r} = partial(HALVES, b${r}, q1);`)}
        continue;
      }
      const s = ${inHeader ? 'room' : 'room + half * 32'}, s0 = v128.load(s), s1 = v128.load(s, 16);
      ${addBoth(2, 'HALVES', 'q0', 'q1')}
      break;
    }
    w += ${block - 2 * passBytes(layout)};
    ${
      minimum
        ? `const n = room + MINIMUM_SCALES + half * 32, n0 = v128.load(n), n1 = v128.load(n, 16);
    x += <usize>K * (HALF_SUMS - 32);
    ${halfOf(0)}
    ${halfOf(1)}
    minima += 32;
    x += <usize>K * (BLOCK_CODES - HALF_SUMS - 8);`
        : 'x += <usize>K * (BLOCK_CODES - 32);'
    }
  }
  ${storeSums(2)}
}`;
};

/** Q8_0: all steps with the lower digits, the nibbles, then with the higher ones. */
const twoDigits = (layout: Layout): string => {
  const { type, block, scales } = layout;
  return `
@inline function product${type}(
  K: i32, tile: usize, half: usize, x: usize, blocks: i32, sums: usize, room: usize,
): void {
  const zero = i32x4.splat(0), ones = constant(ONES), sixteens = constant(SIXTEENS);
  ${codeConstants(layout)} ${scaleConstants(layout)}
  ${SUMS}
  let w = tile + half * 32, s = ${firstScales(layout)};
  for (; blocks > 0; blocks--) {
    let ${each(4, (r) => `a${r} = zero, b${r} = zero`, ', ')};
    const stop = w + ${scales};
    let v = w, u = x;
    ${digitSteps('low', 2, 'v', 'u')}
    const ${each(2, (r) => `c${r} = total(a${r}, ones), d${r} = total(b${r}, ones)`, ', ')};
    const ${each(2, (r) => `c${r + 2} = total(a${r + 2}, ones), d${r + 2} = total(b${r + 2}, ones)`, ', ')};
    const start = x + <usize>K * START_8;
    ${rows(2, (r) => `a${r} = ${splat('start', 4 * r)}; b${r} = a${r};`)}
    ${digitSteps('high', 2, 'w', 'x')}
    ${blockScales(layout)} const f = sixteens;
    ${addBoth(2, 'TWO_NIBBLES', 'f', 'f')}
    w += ${block - scales};
    s += ${block};
    x += <usize>K * (BLOCK_CODES - 32);
  }
  ${storeSums(2)}
}`;
};

const product = (layout: Layout): string => {
  if (layout.scale === 'factors') return twoPasses(layout);
  return hasTwoDigits(layout) ? twoDigits(layout) : oneDigit(layout);
};
const call = (layout: Layout, K: number): string => `product${layout.type}(${K}, w, half, x, n, sums, room)`;

const family: Family = {
  parameters: 'w: usize, half: usize, x: usize, n: i32, sums: usize, room: usize',
  members: LAYOUTS.flatMap((layout, i) =>
    layout.levels
      ? []
      : [2, 3, 4].map((K) => ({ name: `${typeNames[i]}x${K}`, body: call(layout, K), number: i * 3 + K - 2 })),
  ),
};

export default `
${LAYOUTS.filter(({ levels }) => !levels)
  .map(product)
  .join('')}

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
