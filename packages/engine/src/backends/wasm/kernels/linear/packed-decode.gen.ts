// One row of activations times 16 rows of packed weights: what generating one token at a time spends its time in,
// bound by memory. Reads the packed tile as one contiguous stream. See layouts/ for the tiles' picture, and
// packed-tile.gen.ts for why loops are not unrolled and for the order of float sums.
//
// Q4_K and Q5_K begin a group of 256 columns with 256 bytes of scales. The loop over codes runs over them, too, as if
// they were a block, and its result is thrown away: the processor's prefetchers follow each load instruction, and
// where another one touches a line of the stream, they lose it. Reading the scales first, as one would, halves the
// speed from memory on a Zen 5 (27 GB/s to 14; in cache 39 to 41). The scales become f32 block by block, so that no
// burst of work holds up the loads behind it.
import {
  codeConstants,
  highCodes,
  lowCodes,
  ownScales,
  passBytes,
  scaleConstants,
  startOf,
  walked,
} from '../build/steps.ts';
import { declare, each, extended, F16, floats, halves, load, numbered, stores, widened } from '../build/vocabulary.ts';
import { hasTwoDigits, LAYOUTS, type Layout } from '../layouts/index.ts';

const SUMS = 'let y0 = f32x4.splat(0), y1 = y0, y2 = y0, y3 = y0;';
const storeSums = stores('sums', numbered('y', 4));
const loadStep = declare('const', numbered('w', 4), (v) => load('w', 16 * v));
const SCALES = numbered('s', 4);
const MINIMA = numbered('m', 4);

/** The 8 steps of a block of nibbles, with or without a fifth bit; accumulators begin at `start`. */
function nibbleSteps(layout: Layout): string {
  const five = layout.bits === 5;
  const { word, cut } = startOf(layout);
  const start = layout.start ? cut(`v128.load32_splat(x, ${word})`) : 'i32x4.splat(0)';
  if (layout.bits < 4) return quarterSteps(layout, start);
  return `
      let a0 = ${start}, a1 = a0, a2 = a0, a3 = a0;
      ${five ? `let ${numbered('h', 4).join(' = nibbles, ')} = nibbles, first = true;` : ''}
      const stop = w + ${walked(layout).bytes};
      do {
        ${five ? fifthBits : ''}
        ${loadStep}
        const low = v128.load32_splat(x), high = v128.load32_splat(x, 16);
        ${each(4, (v) => `a${v} = dot(a${v}, low, ${lowCodes(layout, `w${v}`, `h${v}`)});`)}
        ${each(4, (v) => `a${v} = dot(a${v}, high, ${highCodes(layout, `w${v}`, `h${v}`)});`)}
        ${five ? each(4, (v) => `h${v} = i16x8.shr_u(h${v}, 1);`) : ''}
        w += 64;
        x += 4;
      } while (w < stop);`;
}

/**
 * Bits 4 come first. The loop goes over them, too, and begins with a word of each line, loaded by one instruction: what
 * prefetchers follow (1.24 x from memory for Q5_0, 1.3 x and more for Q5_1; a Zen 4).
 */
const fifthBits = `
        load<i32>(w);
        if (first) {
          first = false;
          ${each(4, (v) => `h${v} = ${load('w', 16 * v)};`)}
          w += 64;
          continue;
        }`;

/** Two sets of four steps of 2-bit codes. */
const quarterSteps = (layout: Layout, start: string): string => `
      let a0 = ${start}, a1 = a0, a2 = a0, a3 = a0;
      const stop = w + 128;
      do {
        ${declare('const', numbered('x', 4), (i) => `v128.load32_splat(x${i ? `, ${4 * i}` : ''})`)}
        ${each(4, (v) => `const w${v} = ${load('w', 16 * v)}; a${v} = ${quarterDots(layout, `a${v}`, `w${v}`, '')};`)}
        w += 64;
        x += 16;
      } while (w < stop);`;

/** Four steps of codes of 2 bits, and of third bits, whose first one is bit 0 of each byte of `third`. */
const quarterDots = ({ bits }: Layout, start: string, w: string, third: string): string =>
  [0, 1, 2, 3].reduce((sum, j) => {
    const low = `v128.and(${j ? `i16x8.shr_u(${w}, ${2 * j})` : w}, threes)`;
    const moved = j < 2 ? `i16x8.shl(${third}, ${2 - j})` : j === 2 ? third : `i16x8.shr_u(${third}, 1)`;
    return `dot(${sum}, x${j}, ${bits === 3 ? `v128.or(${low}, v128.and(${moved}, fours))` : low})`;
  }, start);

/** Adds a block's integers, times the scale of activations and those of weights. */
const addScaled = (integers: (v: number) => string): string =>
  each(4, (v) => `y${v} = madd(${floats(integers(v))}, f32x4.mul(scale, s${v}), y${v});`);
const addMinima = each(4, (v) => `y${v} = madd(sum, m${v}, y${v});`);

/** Before each block of types whose header has an f32 for each, and where those of a block come from. */
const groupHeader = ({ type, header }: Layout): string => `
    if ((b & 7) == 0) {
      spread${type}(w, room);
      s = room;
      w += ${header};
    }`;
const groupScales = ({ bits }: Layout): string =>
  `${declare('const', SCALES, (v) => load('s', 16 * v))} ${bits < 4 ? '' : 's += 64;'}`;

/** Types with one product for each code, whose blocks have scales of their own or f32 from a header. */
const oneDigit = (layout: Layout): string => {
  const { type, scale, scales, minimum, block } = layout;
  const { columns, bytes } = walked(layout);
  const group = scale === 'group';
  return `
function decode${type}(w: usize, x: usize, blocks: i32, sums: usize, room: usize): void {
  const ones = constant(ONES);
  ${codeConstants(layout)} ${scaleConstants(layout)}
  ${SUMS}
  ${group ? 'let s = room;' : ''}
  for (let b = 0; b < blocks; b++) {
    ${group ? groupHeader(layout) : ''}
    ${nibbleSteps(layout)}
    const scale = v128.load32_splat(x, CODE_SCALE - ${columns});
    ${group ? groupScales(layout) : ownScales(layout, 'w', scales - bytes, SCALES, MINIMA)}
    ${addScaled((v) => `total(a${v}, ones)`)}
    ${minimum ? `const sum = v128.load32_splat(x, CODE_SUM - ${columns}); ${addMinima}` : ''}
    w += ${block - bytes};
    x += BLOCK_CODES - ${columns};
  }
  ${storeSums}
}`;
};

/** The steps of codes of two digits, the lower ones into a, the higher ones into b. */
function digitSteps({ levels }: Layout): string {
  const low = (v: number) => `v128.and(w${v}, nibbles)`;
  const high = (v: number) => `v128.and(i16x8.shr_u(w${v}, 4), nibbles)`;
  if (!levels)
    return `const x0 = v128.load32_splat(x);
      ${each(4, (v) => `a${v} = dot(a${v}, x0, ${low(v)});`)}
      ${each(4, (v) => `b${v} = dot(b${v}, x0, ${high(v)});`)}`;
  const step = (x: string, code: string) => `
      ${each(4, (v) => `a${v} = dot(a${v}, ${x}, lookUp(table, ${code}${v}));`)}
      ${each(4, (v) => `b${v} = dot(b${v}, ${x}, ${code}${v});`)}`;
  return `const x0 = v128.load32_splat(x), x1 = v128.load32_splat(x, 16);
      ${declare('const', numbered('l', 4), low)} ${step('x0', 'l')}
      ${declare('const', numbered('h', 4), high)} ${step('x1', 'h')}`;
}

/** Types with two digits into accumulators of their own. */
const twoDigits = (layout: Layout): string => {
  const { type, levels, block, scales } = layout;
  const [codeBytes, read] = levels ? [256, 16] : [512, 32];
  const group = layout.scale === 'group';
  return `
function decode${type}(w: usize, x: usize, blocks: i32, sums: usize, room: usize): void {
  const ones = constant(ONES), sixteens = constant(SIXTEENS);
  ${codeConstants(layout)} ${scaleConstants(layout)}
  ${SUMS}
  ${group ? 'let s = room;' : ''}
  for (let b = 0; b < blocks; b++) {
    ${group ? groupHeader(layout) : ''}
    let a0 = ${levels ? 'v128.load32_splat(x, START_16)' : 'i32x4.splat(0)'}, a1 = a0, a2 = a0, a3 = a0;
    let b0 = v128.load32_splat(x, START_8), b1 = b0, b2 = b0, b3 = b0;
    const stop = w + ${codeBytes};
    do {
      ${loadStep}
      ${digitSteps(layout)}
      w += 64;
      x += 4;
    } while (w < stop);
    const scale = v128.load32_splat(x, CODE_SCALE - ${read});
    ${declare('const', numbered('i', 4), (v) => `nibbleTotal(b${v}, a${v}, ones, sixteens)`)}
    ${group ? groupScales(layout) : ownScales(layout, 'w', scales - codeBytes, SCALES, MINIMA)}
    ${addScaled((v) => `i${v}`)}
    w += ${block - codeBytes};
    x += BLOCK_CODES - ${read};
  }
  ${storeSums}
}`;
};

/** 16 bytes as a vector of f32, times the factors at `room + at`. */
const scaled = (bytes: string, v: number, at: number): string =>
  `f32x4.mul(${widened(bytes, v)}, ${load('room', at + 16 * v)})`;

/** Q4_K and Q5_K: the block before a group's first is its scales, whose products are thrown away. */
const groups = (layout: Layout): string => {
  const five = layout.bits === 5;
  return `
function decode${layout.type}(w: usize, x: usize, blocks: i32, sums: usize, room: usize): void {
  const ones = constant(ONES);
  ${codeConstants(layout)}
  ${SUMS}
  for (; blocks > 0; blocks -= 8) {
    let s = room + 96;
    for (let block = -1; block < 8; block++) {
      ${nibbleSteps(layout)}
      s += 16;
      if (block < 0) {
        ${five ? 'w -= 64;' : ''}
        spreadGroup(w - 256, room);
        unpackScales(w - 256, room + 128);
        x -= 16;
        continue;
      }
      const scale = v128.load32_splat(x, CODE_SCALE - 16), sum = v128.load32_splat(x, CODE_SUM - 16);
      ${five ? 'const sixteen = constant(SIXTEEN);' : ''}
      const v = v128.load(s); ${extended('v')}
      ${each(4, (v) => `const s${v} = ${scaled('v', v, 0)};`)}
      ${addScaled((v) => `total(a${v}, ones)`)}
      const u = v128.load(s, 128); ${extended('u')}
      ${each(4, (v) => {
        const minimum = scaled('u', v, 64);
        return `const m${v} = ${five ? `f32x4.add(f32x4.mul(s${v}, sixteen), ${minimum})` : minimum};`;
      })}
      ${addMinima}
      w += ${layout.block - walked(layout).bytes};
      x += BLOCK_CODES - 16;
    }
  }
  ${storeSums}
}`;
};

/** Types with a factor for every 16 columns, these at a time. */
const factors = (layout: Layout): string => {
  const { type, bits, header, minimum, block } = layout;
  const { word, cut } = startOf(layout);
  const pass = passBytes(layout);
  const dots = (v: number): string => {
    if (bits === 6)
      return `sixDots(a, x0, x1, x2, x3, ${[0, 64, 128].map((set) => load('w', set + 16 * v)).join(', ')})`;
    return quarterDots(layout, 'a', load('w', 16 * v), `h${v}`);
  };
  const minima = (h: number): string => `
      const n${h} = v128.load(minima, ${16 * h}), g${h} = v128.load32_splat(x, HALF_SUMS - ${32 - 4 * h});
      ${extended(`n${h}`)}
      ${each(4, (v) => `y${v} = madd(g${h}, f32x4.mul(${widened(`n${h}`, v)}, ${load('n', 16 * v)}), y${v});`)}`;
  return `
function decode${type}(w: usize, x: usize, blocks: i32, sums: usize, room: usize): void {
  ${codeConstants(layout)}
  ${SUMS}
  for (; blocks > 0; blocks -= 8) {
    spread${type}(w, room);
    let factors = ${bits === 6 ? 'w + 32' : 'room + FACTORS'};
    ${minimum ? 'let minima = room + MINIMA; const n = room + MINIMUM_SCALES;' : ''}
    w += ${header};
    const end = w + ${8 * block};
    do {
      let i0 = i32x4.splat(0), i1 = i0, i2 = i0, i3 = i0;
      ${bits === 3 ? declare('let', numbered('h', 4), (v) => load('w', 128 + 16 * v)) : ''}
      let start = x + ${word};
      const stop = w + ${2 * pass};
      do {
        const a = ${layout.start ? cut('v128.load32_splat(start)') : 'i32x4.splat(0)'};
        ${declare('const', numbered('x', 4), (i) => `v128.load32_splat(x${i ? `, ${4 * i}` : ''})`)}
        const e = doubledBytes(factors), f = doubledBytes(factors + 8);
        ${each(4, (v) => {
          const factor = `i16x8.extend_${v % 2 ? 'high' : 'low'}_i8x16_s(${v < 2 ? 'e' : 'f'})`;
          return `i${v} = i32x4.add(i${v}, scaledTotal(${dots(v)}, ${factor}));`;
        })}
        ${bits === 3 ? each(4, (v) => `h${v} = i16x8.shr_u(h${v}, 4);`) : ''}
        start += 4;
        factors += 16;
        x += 16;
        w += ${pass};
      } while (w < stop);
      const scale = v128.load32_splat(x, CODE_SCALE - 32);
      ${each(4, (v) => `y${v} = madd(${floats(`i${v}`)}, f32x4.mul(scale, ${load('room', 16 * v)}), y${v});`)}
      ${minimum ? `${minima(0)}\n${minima(1)}\nminima += 32;` : ''}
      w += ${block - 2 * pass};
      x += BLOCK_CODES - 32;
    } while (w < end);
  }
  ${storeSums}
}`;
};

const decode = (layout: Layout): string => {
  if (layout.scale === 'factors') return factors(layout);
  if (layout.scale === 'group' && layout.minimum) return groups(layout);
  return hasTwoDigits(layout) ? twoDigits(layout) : oneDigit(layout);
};
const calls = LAYOUTS.map(({ type }, i) => {
  const call = `decode${type}(w, x, blocks, sums, room);`;
  return i < LAYOUTS.length - 1 ? `if (type == ${type}) ${call}` : call;
});

export default `

/** The group's d (at out) and -dmin (at out + 64) of 16 rows as f32: 128 bytes. */
@inline export function spreadGroup(w: usize, out: usize): void {
  spreadHalves(w, out);
  ${F16}
  const flip = constant(HALF_SIGN);
  const k = v128.xor(v128.load(w, 32), flip), l = v128.xor(v128.load(w, 48), flip);
  ${declare('const', numbered('m', 4), (v) => [...halves('k'), ...halves('l')][v]!)}
  ${stores('out', numbered('m', 4), 64)}
}
/** The products of 16 columns of 6 bits and of 4 rows. */
@inline function sixDots(
  start: v128, x0: v128, x1: v128, x2: v128, x3: v128, a: v128, b: v128, c: v128,
): v128 {
  const six = constant(SIX_BITS);
  const sum = dot(dot(dot(start, x0, v128.and(a, six)), x1, v128.and(b, six)), x2, v128.and(c, six));
  return dot(sum, x3, fourthSix(a, b, c, constant(TOP_BITS)));
}
${LAYOUTS.map(decode).join('\n')}

/** 16 rows of weights times one row of activations, into sums[16]. room is SCALE_ROOM bytes. */
export function decodeTile(type: i32, w: usize, x: usize, blocks: i32, sums: usize, room: usize): void {
  ${calls.join('\n  else ')}
}
`;
