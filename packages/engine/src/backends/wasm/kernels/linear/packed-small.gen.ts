// Two to four rows of activations at once (drafts to verify, few sessions) straight from the packed tile, 8 of its 16
// rows at a time; all 16 where packed-direct.gen.ts serves. Making a panel would cost more than the product here. Sums
// as in packed-tile.gen.ts, bit for bit.
import { byteSteps, nibbleSteps, pairs, sixSteps } from '../build/steps.ts';
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
  load,
  rows,
  SUMS,
  splat,
  storeSums,
  typeNames,
  types,
} from '../build/vocabulary.ts';

/** Q4_0, Q4_K, Q5_0 and Q5_K. */
const nibbleProduct = `
@inline function nibbleProduct(
  type: i32, K: i32, tile: usize, half: usize, x: usize, blocks: i32, sums: usize, room: usize,
): void {
  const zero = i32x4.splat(0), ones = constant(ONES), nibbles = constant(NIBBLES), bit = constant(BIT_4);
  ${F16}
  const five = type == Q5_0 || type == Q5_K, minimum = type == Q4_K || type == Q5_K;
  ${SUMS}
  let w = tile + half * 32;
  let s = minimum ? room : tile + (five ? Q5_0_SCALES : Q4_0_SCALES) + half * 16;
  for (let b = 0; b < blocks; b++) {
    if (minimum && (b & 7) == 0) {
      spreadScalesHalf(tile, half, room, five ? 16 : 0);
      tile += five ? Q5_K_GROUP : Q4_K_GROUP;
      s = room;
      w += Q4_K_HEADER;
    }
    ${nibbleSteps(2, 2)}
    const h = v128.load(s);
    const s0 = minimum ? h : lowHalves(h, sign, bias, limit);
    const s1 = minimum ? v128.load(s, 16) : highHalves(h, sign, bias, limit);
    const scale = x + <usize>K * (CODE_SCALE - 16), sum = x + <usize>K * (CODE_SUM - 16);
    ${addScaled(2, 'scale')}
    if (minimum) {
      const m0 = v128.load(s, 32), m1 = v128.load(s, 48);
      ${addMinima(2)}
    }
    w += (five ? 64 : 0) + (minimum ? 0 : 32);
    s += minimum ? 64 : five ? Q5_0_BLOCK : Q4_0_BLOCK;
    x += <usize>K * (BLOCK_CODES - 16);
  }
  ${storeSums(2)}
}`;

/** Q6_K, 16 columns a pass. */
const sixProduct = `
@inline function sixProduct(K: i32, tile: usize, half: usize, x: usize, blocks: i32, sums: usize, room: usize): void {
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

/** Q8_0: all steps with low nibbles, then with high ones. */
const byteProduct = `
@inline function byteProduct(K: i32, tile: usize, half: usize, x: usize, blocks: i32, sums: usize): void {
  const zero = i32x4.splat(0), nibbles = constant(NIBBLES), ones = constant(ONES), sixteens = constant(SIXTEENS);
  ${F16}
  ${SUMS}
  let w = tile + half * 32, s = tile + Q8_0_SCALES + half * 16;
  for (; blocks > 0; blocks--) {
    let ${each(4, (r) => `a${r} = zero, b${r} = zero`, ', ')};
    const stop = w + 512;
    let v = w, u = x;
    ${byteSteps(
      2,
      'v',
      'u',
      'l',
      pairs('const', 'l', 2, (i) => `v128.and(${load('v', 16 * i)}, nibbles)`),
    )}
    const ${each(2, (r) => `c${r} = total(a${r}, ones), d${r} = total(b${r}, ones)`, ', ')};
    const ${each(2, (r) => `c${r + 2} = total(a${r + 2}, ones), d${r + 2} = total(b${r + 2}, ones)`, ', ')};
    const start = x + <usize>K * START_8;
    ${rows(2, (r) => `a${r} = ${splat('start', 4 * r)}; b${r} = a${r};`)}
    ${byteSteps(
      2,
      'w',
      'x',
      'h',
      `const v0 = v128.load(w), v1 = v128.load(w, 16);
      ${pairs('const', 'h', 2, (i) => `v128.and(i16x8.shr_u(v${i}, 4), nibbles)`)}`,
    )}
    const h = v128.load(s), s0 = lowHalves(h, sign, bias, limit), s1 = highHalves(h, sign, bias, limit), f = sixteens;
    ${addBoth(2, 'TWO_NIBBLES', 'f', 'f')}
    w += 32;
    s += Q8_0_BLOCK;
    x += <usize>K * (BLOCK_CODES - 32);
  }
  ${storeSums(2)}
}`;

const call = (type: string, K: number): string => {
  if (type === 'Q6_K') return `sixProduct(${K}, w, half, x, n, sums, room)`;
  if (type === 'Q8_0') return `byteProduct(${K}, w, half, x, n, sums)`;
  return `nibbleProduct(${type}, ${K}, w, half, x, n, sums, room)`;
};

const family: Family = {
  parameters: 'w: usize, half: usize, x: usize, n: i32, sums: usize, room: usize',
  members: types.flatMap((type, i) => [2, 3, 4].map((K) => ({ name: `${typeNames[i]}x${K}`, body: call(type, K) }))),
};

export default `
${nibbleProduct}
${sixProduct}
${byteProduct}

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
