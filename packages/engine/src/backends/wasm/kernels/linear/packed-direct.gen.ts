// Two to sixteen rows of activations straight from the packed tile, 16 rows of weights at once, where
// packed-wide.gen.ts serves: a panel would cost more than it saves. Of five rows and more, packed-few.gen.ts takes
// most tiles of Q4_0 and Q4_K. Sums as in packed-tile.gen.ts, bit for bit.
//
// One load instruction walks over all codes of the tile, as prefetchers follow instructions (packed-decode.gen.ts).
import {
  blockSteps,
  codeConstants,
  digitSteps,
  ownScales,
  pairs,
  passBytes,
  passSteps,
  scaleConstants,
  startOf,
  walked,
} from '../build/steps.ts';
import {
  begin,
  cases,
  declare,
  each,
  type Family,
  functions,
  join,
  load,
  ofTile,
  TILE,
  typeNames,
} from '../build/vocabulary.ts';
import { hasTwoDigits, LAYOUTS, type Layout } from '../layouts/index.ts';

const FLOATS = TILE.replace(/\w+/g, 'float($&)');
const SCALES = ['s0', 's1', 't0', 't1'];
const MINIMA = ['m0', 'm1', 'n0', 'n1'];
/** The scales and minima of a block that are its group's: f32 at `s`. */
const groupScales = ({ minimum }: Layout): string =>
  declare('const', minimum ? [...SCALES, ...MINIMA] : SCALES, (i) => load('s', 16 * i));
/** Bytes of these. */
const scaleStep = ({ scale, bits, minimum }: Layout): number =>
  scale !== 'group' || bits < 4 ? 0 : minimum ? 128 : 64;
/** Whether a group's header is walked over by the loads of codes. */
const isTouched = ({ scale, minimum }: Layout): boolean => scale === 'group' && minimum;

/** Adds a block of 32 columns to the sums, once its integers are there. */
const addBlock = ({ minimum }: Layout, minima: string): string => `
  addTile(
    K, ${minimum}, sums, more, x, ${minima}, ${FLOATS}, ${SCALES.join(', ')},
    ${minimum ? MINIMA.join(', ') : 'zero, zero, zero, zero'},
  );`;

/** A block of a type with one product for each code, and a scale for each block. */
const oneDigit = (layout: Layout): string => {
  const { type, scale, scales } = layout;
  const group = scale === 'group';
  const { columns, bytes } = walked(layout);
  return `
@inline export function block${type}(
  K: i32, touch: bool, w: usize, x: usize, s: usize, sums: usize, more: usize,
): void {
  const zero = i32x4.splat(0);
  ${codeConstants(layout)}
  ${blockSteps(layout, 4, 1)}
  ${isTouched(layout) ? 'if (touch) return;' : ''}
  x += <usize>K * ${32 - columns};
  ${scaleConstants(layout)}
  ${group ? groupScales(layout) : ownScales(layout, 'w', scales - bytes, SCALES, MINIMA)}
  ${addBlock(layout, 'x + <usize>K * (CODE_SUM - CODE_SCALE)')}
}`;
};

/** A block of Q8_0: the higher digits first, the high nibbles, times 16, then the low ones into the same accumulators. */
const twoDigits = (layout: Layout): string => {
  const { type, scales } = layout;
  return `
@inline function block${type}(K: i32, touch: bool, w: usize, x: usize, s: usize, sums: usize, more: usize): void {
  const zero = i32x4.splat(0);
  ${codeConstants(layout)} ${scaleConstants(layout)}
  const start = x + <usize>K * START_8;
  ${begin(4, 2)}
  let p = w, y = x;
  const stop = w + ${scales};
  ${digitSteps('high', 4, 'p', 'y')}
  ${ofTile(2, (a) => `${a} = i32x4.shl(${a}, 4);`)}
  ${digitSteps('low', 4, 'w', 'x')}
  ${ownScales(layout, 'w', 0, SCALES, MINIMA)}
  ${addBlock(layout, '0')}
}`;
};

/**
 * The first or last 16 columns of a block of a type with a factor for each. The last ones add to the sums; `s` is where d
 * is as f32, `minima` those of the block's two halves.
 */
const pass = (layout: Layout): string => {
  const { type, bits, minimum, start } = layout;
  const { word, cut } = startOf(layout);
  const addMinima = (h: number): string => `
  const n${h} = v128.load(minima, ${16 * h});
  ${['low', 'high'].map((half) => `const ${half}${h} = i16x8.extend_${half}_i8x16_u(n${h});`).join(' ')}
  addHalfMinima(
    K, sums, more, block + <usize>K * (HALF_SUMS + ${4 * h}),
    ${each(
      4,
      (v) =>
        `f32x4.mul(float(i32x4.extend_${v % 2 ? 'high' : 'low'}_i16x8_u(${v < 2 ? 'low' : 'high'}${h})), ${load('n', 16 * v)})`,
      ', ',
    )},
  );`;
  return `
@inline function pass${type}(
  K: i32, last: i32, w: usize, block: usize, factors: usize, minima: usize, s: usize, sums: usize, more: usize,
  between: usize, beyond: usize,
): void {
  const start = block + <usize>K * (${word} + 4 * last);
  let x = block + <usize>K * 16 * last;
  const zero = i32x4.splat(0);
  ${codeConstants(layout)}
  ${bits === 3 ? pairs('let', 'f', 4, (v) => `last ? i16x8.shr_u(${load('w', 128 + 16 * v)}, 4) : ${load('w', 128 + 16 * v)}`) : ''}
  w += ${passBytes(layout)} * last;
  ${begin(4, 2, start ? '' : 'true', cut)}
  let p = w;
  const stop = w + ${passBytes(layout)};
  ${passSteps(layout, 4, 'p', 'w')}
  ${ofTile(2, (a) => `${a} = float(${a});`)}
  const f = last ? v128.load(factors, 16) : v128.load(factors);
  const low = i16x8.extend_low_i8x16_s(f), high = i16x8.extend_high_i8x16_s(f);
  const q0 = float(i32x4.extend_low_i16x8_s(low)), q1 = float(i32x4.extend_high_i16x8_s(low));
  const g0 = float(i32x4.extend_low_i16x8_s(high)), g1 = float(i32x4.extend_high_i16x8_s(high));
  if (!last) {
    keepRows(K, between, beyond, ${TILE}, q0, q1, g0, g1);
    return;
  }
  ${ofTile(2, (a, v, r) => join(a, v, r).replace(/\bf([01])\b/, 'q$1'))}
  addTile(
    K, false, sums, more, block + <usize>K * CODE_SCALE, 0, ${TILE},
    ${each(4, (v) => load('s', 16 * v), ', ')}, zero, zero, zero, zero,
  );
  ${minimum ? `const n = s + MINIMUM_SCALES; ${addMinima(0)} ${addMinima(1)}` : ''}
}`;
};

/** Both halves of such a block. */
const blockOfPasses = (layout: Layout): string => `
${pass(layout)}
@inline function block${layout.type}(
  K: i32, w: usize, x: usize, s: usize, factors: usize, minima: usize, sums: usize, more: usize, between: usize,
  beyond: usize,
): void {
  pass${layout.type}(K, 0, w, x, factors, minima, s, sums, more, between, beyond);
  pass${layout.type}(K, 1, w, x, factors, minima, s, sums, more, between, beyond);
}`;

const block = (layout: Layout): string => {
  if (layout.scale === 'factors') return blockOfPasses(layout);
  return hasTwoDigits(layout) ? twoDigits(layout) : oneDigit(layout);
};
const callBlock = ({ type, scale }: Layout, touch: string, x: string, sums: string): string =>
  scale === 'factors'
    ? `block${type}(K, w, ${x}, s, factors, minima, ${sums}, between, beyond);`
    : `block${type}(K, ${touch}, w, ${x}, s, ${sums});`;

/** What headers become before a group's first block, where the loads of codes do not walk over them. */
function beforeGroup({ type, scale, header, bits }: Layout): string {
  if (scale === 'group') return `spread${type}(w, room);\n    w += ${header};`;
  if (scale !== 'factors') return '';
  return `spread${type}(w, room);
    factors = ${bits === 6 ? 'w + 32' : 'room + FACTORS'};
    minima = room + MINIMA;
    w += ${header};`;
}

/** The tile's groups of one block or eight. */
function direct(layout: Layout): string {
  const { type, scale, start, columns, header, block } = layout;
  const touched = isTouched(layout);
  const spread = `spreadScales(w, room, ${start ? 16 : 0});
      w += ${header};`;
  return `
@inline function direct${type}(
  rows: i32, w: usize, x: usize, blocks: i32, sums: usize, more: usize, nextSums: usize, nextMore: usize,
  room: usize,
  between: usize, beyond: usize,
): void {
  const eight = rows == 8, K = eight ? 4 : rows;
  clear(sums);
  if (eight) clear(nextSums);
  let next = x + 4 * BLOCK_CODES * <usize>blocks, factors = w, minima = w;
  for (; blocks > 0; blocks -= ${columns / 32}) {
    let s = room;
    ${touched ? `if (eight) {\n      ${spread}\n    }` : beforeGroup(layout)}
    for (let i = ${touched ? 'eight ? 0 : -1' : '0'}; i < ${columns / 32}; i++) {
      ${callBlock(layout, touched ? 'i < 0' : 'false', 'x', 'sums, more')}
      ${touched ? `if (i < 0) {\n        ${spread}\n        continue;\n      }` : ''}
      x += <usize>K * BLOCK_CODES;
      if (eight) {
        ${callBlock(layout, 'false', 'next', 'nextSums, nextMore')}
        next += 4 * BLOCK_CODES;
      }
      s += ${scaleStep(layout)};
      ${scale === 'factors' ? 'factors += 32; minima += 32;' : ''}
      w += ${block};
    }
  }
}`;
}

/** Types that are multiplied as they lie (shapes.gen.ts). */
const DIRECT = LAYOUTS.filter(({ levels }) => !levels);
const ROWS = [2, 3, 4, 8];
const family: Family = {
  parameters: 'w: usize, x: usize, n: i32, a: usize, b: usize, c: usize, d: usize, r: usize, e: usize, f: usize',
  members: DIRECT.flatMap((layout) =>
    ROWS.map((K, k) => {
      const id = LAYOUTS.indexOf(layout);
      const body = `direct${layout.type}(${K}, w, x, n, a, b, c, d, r, e, f)`;
      return { name: `${typeNames[id]}x${K}`, body, number: id * 4 + k };
    }),
  ),
};

export default `

@inline function float(i: v128): v128 {
  return f32x4.convert_i32x4_s(i);
}
${DIRECT.map(block).join('\n')}

/*
 * The packed tile at w times 2, 3, 4 or 8 rows of activations. Of 8, both fours go block by block, not one after the
 * other, so that memory is never idle; and each has load instructions of its own, as the first one's prefetches would
 * stop where it went back.
 *
 * Scales of Q4_K and Q5_K are touched by the instructions that read codes before others read them (2 rows of Q4_K from
 * memory 1.5 x, 4 rows 1.2 x). Where products take longer than memory does, with 8 rows, that would cost more than it
 * gains.
 */
${DIRECT.map(direct).join('\n')}

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
