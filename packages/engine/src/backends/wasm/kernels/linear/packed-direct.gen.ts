// Two to sixteen rows of activations straight from the packed tile, 16 rows of weights at once, where
// packed-wide.gen.ts serves: a panel would cost more than it saves. Of five rows and more, packed-few.gen.ts takes
// most tiles of Q4_0 and Q4_K. Sums as in packed-tile.gen.ts, bit for bit.
//
// One load instruction walks over all codes of the tile, as prefetchers follow instructions (packed-decode.gen.ts).
import { byteSteps, nibbleSteps, pairs, sixSteps } from '../build/steps.ts';
import {
  begin,
  cases,
  declare,
  each,
  F16,
  type Family,
  functions,
  join,
  load,
  numbered,
  ofTile,
  TILE,
  typeNames,
  types,
} from '../build/vocabulary.ts';

const FLOATS = TILE.replace(/\w+/g, 'float($&)');
/** A block of Q4_0, Q4_K, Q5_0 or Q5_K. */
const nibbleBlock = `
@inline export function nibbleBlock(
  type: i32, K: i32, touch: bool, w: usize, x: usize, s: usize, sums: usize, more: usize,
): void {
  const zero = i32x4.splat(0), nibbles = constant(NIBBLES), bit = constant(BIT_4);
  const five = type == Q5_0 || type == Q5_K, minimum = type == Q4_K || type == Q5_K;
  ${nibbleSteps(4, 1)}
  if (minimum && touch) return;
  x += <usize>K * 16;
  ${F16}
  const h = minimum ? v128.load(s) : type == Q5_0 ? v128.load(w, 64) : v128.load(w);
  const g = minimum ? v128.load(s, 16) : type == Q5_0 ? v128.load(w, 80) : v128.load(w, 16);
  const s0 = minimum ? h : lowHalves(h, sign, bias, limit), s1 = minimum ? g : highHalves(h, sign, bias, limit);
  const t0 = minimum ? v128.load(s, 32) : lowHalves(g, sign, bias, limit);
  const t1 = minimum ? v128.load(s, 48) : highHalves(g, sign, bias, limit);
  const m0 = minimum ? v128.load(s, 64) : zero, m1 = minimum ? v128.load(s, 80) : zero;
  const n0 = minimum ? v128.load(s, 96) : zero, n1 = minimum ? v128.load(s, 112) : zero;
  addTile(
    K, minimum, sums, more, x, x + <usize>K * (CODE_SUM - CODE_SCALE), ${FLOATS}, s0, s1, t0, t1, m0, m1, n0, n1,
  );
}`;

/** The low or the high nibbles of steps at `p`, as codes `name`. */
const nibbles = (p: string, name: string): string => `
      ${declare('const', numbered('u', 4), (v) => load(p, 16 * v))}
      ${pairs('const', name, 4, (v) => `v128.and(${name === 'h' ? `i16x8.shr_u(u${v}, 4)` : `u${v}`}, nibbles)`)}`;

/** A block of Q8_0: the high nibbles first, times 16, then the low ones into the same accumulators. */
const byteBlock = `
@inline function byteBlock(K: i32, w: usize, x: usize, sums: usize, more: usize): void {
  const zero = i32x4.splat(0), nibbles = constant(NIBBLES);
  const start = x + <usize>K * START_8;
  ${begin(4, 2)}
  let p = w, y = x;
  const stop = w + 512;
  ${byteSteps(4, 'p', 'y', 'h', nibbles('p', 'h'))}
  ${ofTile(2, (a) => `${a} = i32x4.shl(${a}, 4);`)}
  ${byteSteps(4, 'w', 'x', 'l', nibbles('w', 'l'))}
  ${F16}
  const h = v128.load(w), g = v128.load(w, 16);
  addTile(
    K, false, sums, more, x, 0, ${FLOATS},
    lowHalves(h, sign, bias, limit), highHalves(h, sign, bias, limit),
    lowHalves(g, sign, bias, limit), highHalves(g, sign, bias, limit),
    zero, zero, zero, zero,
  );
}`;

/**
 * The first or last 16 columns of a block of Q6_K: three steps whose codes are the low six bits, and a fourth from the
 * bits above those. The last ones add to the sums; `s` is where d is as f32.
 */
const sixPass = `
@inline function sixPass(
  K: i32, last: i32, w: usize, block: usize, factors: usize, s: usize, sums: usize, more: usize, between: usize,
  beyond: usize,
): void {
  const start = block + <usize>K * (START_32 + 4 * last);
  let x = block + <usize>K * 16 * last;
  w += 192 * last;
  const zero = i32x4.splat(0), six = constant(SIX_BITS), top = constant(TOP_BITS);
  ${begin(4, 2)}
  let p = w;
  const stop = w + 192;
  ${sixSteps(4, 'p', 'w')}
  ${ofTile(2, (a) => `${a} = float(${a});`)}
  const f = last ? v128.load(factors, 16) : v128.load(factors);
  const low = i16x8.extend_low_i8x16_s(f), high = i16x8.extend_high_i8x16_s(f);
  const f0 = float(i32x4.extend_low_i16x8_s(low)), f1 = float(i32x4.extend_high_i16x8_s(low));
  const g0 = float(i32x4.extend_low_i16x8_s(high)), g1 = float(i32x4.extend_high_i16x8_s(high));
  if (!last) {
    keepRows(K, between, beyond, ${TILE}, f0, f1, g0, g1);
    return;
  }
  ${ofTile(2, join)}
  addTile(
    K, false, sums, more, block + <usize>K * CODE_SCALE, 0, ${TILE},
    ${each(4, (v) => load('s', 16 * v), ', ')}, zero, zero, zero, zero,
  );
}`;

const ROWS = [2, 3, 4, 8];
const family: Family = {
  parameters: 'w: usize, x: usize, n: i32, a: usize, b: usize, c: usize, d: usize, r: usize, e: usize, f: usize',
  members: types.flatMap((type, i) =>
    ROWS.map((K) => ({ name: `${typeNames[i]}x${K}`, body: `direct(${type}, ${K}, w, x, n, a, b, c, d, r, e, f)` })),
  ),
};

export default `

@inline function float(i: v128): v128 {
  return f32x4.convert_i32x4_s(i);
}
${nibbleBlock}
${byteBlock}
${sixPass}

@inline function block(
  type: i32, K: i32, touch: bool, w: usize, x: usize, s: usize, factors: usize, sums: usize, more: usize,
  between: usize, beyond: usize,
): void {
  if (type == Q6_K) {
    sixPass(K, 0, w, x, factors, s, sums, more, between, beyond);
    sixPass(K, 1, w, x, factors, s, sums, more, between, beyond);
  } else if (type == Q8_0) {
    byteBlock(K, w, x, sums, more);
  } else {
    nibbleBlock(type, K, touch, w, x, s, sums, more);
  }
}

@inline export function blockBytes(type: i32): usize {
  return ${types.map((type) => (type === 'Q8_0' ? 'Q8_0_BLOCK' : `type == ${type} ? ${type}_BLOCK : `)).join('')};
}

/**
 * The packed tile at w times 2, 3, 4 or 8 rows of activations. Of 8, both fours go block by block, not one after the
 * other, so that memory is never idle; and each has load instructions of its own, as the first one's prefetches would
 * stop where it went back.
 *
 * Scales of Q4_K and Q5_K are touched by the instructions that read codes before others read them (2 rows of Q4_K from
 * memory 1.5 x, 4 rows 1.2 x). Where products take longer than memory does, with 8 rows, that would cost more than it
 * gains.
 */
@inline function direct(
  type: i32, rows: i32, w: usize, x: usize, blocks: i32, sums: usize, more: usize, nextSums: usize, nextMore: usize,
  room: usize,
  between: usize, beyond: usize,
): void {
  const eight = rows == 8, K = eight ? 4 : rows;
  const minimum = type == Q4_K || type == Q5_K, size = minimum || type == Q6_K ? 8 : 1;
  clear(sums);
  if (eight) clear(nextSums);
  let next = x + 4 * BLOCK_CODES * <usize>blocks, factors = w;
  for (; blocks > 0; blocks -= size) {
    let s = room;
    if (type == Q6_K) {
      spreadHalves(w, room);
      factors = w + 32;
      w += 288;
    }
    if (minimum && eight) {
      spreadScales(w, room, type == Q4_K ? 0 : 16);
      w += 256;
    }
    for (let i = minimum && !eight ? -1 : 0; i < size; i++) {
      block(type, K, i < 0, w, x, s, factors, sums, more, between, beyond);
      if (minimum && i < 0) {
        spreadScales(w, room, type == Q4_K ? 0 : 16);
        w += 256;
        continue;
      }
      x += <usize>K * BLOCK_CODES;
      if (eight) {
        block(type, K, false, w, next, s, factors, nextSums, nextMore, between, beyond);
        next += 4 * BLOCK_CODES;
      }
      if (minimum) s += 128;
      factors += 32;
      w += blockBytes(type);
    }
  }
}

${functions(family)}

/**
 * The packed tile at w times 2, 3, 4 or 8 rows of activations; the second four's sums come behind the first four's.
 * room is SCALE_ROOM bytes, between WIDE_SUMS_BYTES.
 */
export function multiplyDirect(
  type: i32, rows: i32, w: usize, x: usize, blocks: i32, sums: usize, room: usize, between: usize,
): void {
  const a = sums, b = a + 128, c = sums + WIDE_SUMS_BYTES, d = c + 128, e = between, f = e + 128;
  switch (type * 4 + (rows == 8 ? 3 : rows - 2)) {
${cases(family, 'w, x, blocks, a, b, c, d, room, e, f')}
  }
}
`;
