// One row of activations times four tiles of 16 rows at once, the tiles being far apart: a quarter of a thread's range
// of weights from each other. The processor follows four streams, each by load instructions of its own, and so keeps
// more lines under way than for one, whose prefetchers begin anew at every page. From memory on two threads of a Zen 5
// it is 1.2 to 1.37 x (Q4_0) and 1.15 to 1.2 x (Q4_K) as fast as tile after tile (packed-decode.gen.ts). Sums are the
// same, bit for bit; they lie in memory between blocks, since registers are full of accumulators: eight of 256 bits.
// Where vectors stay 128 bits wide there would be sixteen, so only `wideTiles` come here.
import {
  declare,
  each,
  extended,
  F16,
  type Family,
  floats,
  functions,
  halves,
  load,
  numbered,
  stores,
  widened,
} from '../build/vocabulary.ts';

const storeSums = stores('area', numbered('y', 4));
const STREAMS = ['w', 'v', 'u', 't'];
const AREAS = ['area', 'area1', 'area2', 'area3'];
const accumulators = (stream: number): string[] => numbered('abcd'[stream]!, 4);
const advance = (bytes: number): string => STREAMS.map((p) => `${p} += ${bytes};`).join(' ');

/**
 * Adds a block of a Q4_0 tile, whose f16 scales are at `w`. Offsets are literal and stores come last, or the 256-bit
 * pass would not see pairs.
 */
const addQ4_0 = `
@inline function addQ4_0(area: usize, a0: v128, a1: v128, a2: v128, a3: v128, scale: v128, w: usize): void {
  const ones = constant(ONES);
  ${F16}
  const h = v128.load(w), g = v128.load(w, 16);
  ${declare('const', numbered('s', 4), (v) => `f32x4.mul(scale, ${halves('hg'[v >> 1]!)[v & 1]})`)}
  ${each(4, (v) => `const y${v} = madd(${floats(`total(a${v}, ones)`)}, s${v}, ${load('area', 16 * v)});`)}
  ${storeSums}
}`;

/** 16 bytes as four vectors of f32, times the factors at `area + at`. */
const scaled = (name: string, bytes: string, at: number): string => `
  ${extended(bytes)}
  ${each(4, (v) => `const ${name}${v} = f32x4.mul(${widened(bytes, v)}, ${load('area', at + 16 * v)});`)}`;

/** Adds a block of a Q4_K tile, whose 6-bit values are at `six`. */
const addQ4_K = `
@inline function addQ4_K(
  area: usize, a0: v128, a1: v128, a2: v128, a3: v128, scale: v128, sum: v128, six: usize, fourth: bool,
): void {
  const ones = constant(ONES);
  let v: v128, u: v128;
  if (fourth) {
    const top = constant(TOP_BITS);
    v = fourthSix(v128.load(six), v128.load(six, 16), v128.load(six, 32), top);
    u = fourthSix(v128.load(six, 96), v128.load(six, 112), v128.load(six, 128), top);
  } else {
    const bits = constant(SIX_BITS);
    v = v128.and(v128.load(six), bits);
    u = v128.and(v128.load(six, 96), bits);
  }
  ${scaled('s', 'v', 64)}
  ${scaled('m', 'u', 128)}
  ${each(4, (v) => {
    const product = `madd(${floats(`total(a${v}, ones)`)}, f32x4.mul(scale, s${v}), ${load('area', 16 * v)})`;
    return `const y${v} = madd(sum, m${v}, ${product});`;
  })}
  ${storeSums}
}`;

/**
 * The areas are arguments, so that their addresses are not folded into offsets.
 *
 * The loop over codes begins with a word of each stream's next line, and goes over a group's scales with nothing else:
 * prefetchers follow the instruction that first touches a line, and lose a stream of which another one reads the
 * scales first (0.8 x; packed-decode.gen.ts). Compilers keep loads whose result nobody uses, since they may trap.
 */
const four = `
@inline function four(
  type: i32, w: usize, step: usize, x: usize, blocks: i32, area: usize, area1: usize, area2: usize, area3: usize,
): void {
  const nibbles = constant(NIBBLES);
  let v = w + step, u = v + step, t = u + step;
  // Blocks left in the group; none: the next 256 bytes are a group's scales.
  let grouped: i32 = 0;
  while (blocks > 0) {
    const start = type == Q4_K ? i32x4.splat(0) : v128.load32_splat(x, START_8);
    ${[0, 2].map((i) => declare('let', [...accumulators(i), ...accumulators(i + 1)], () => 'start')).join(' ')}
    const stop = w + 256;
    do {
      ${STREAMS.map((p) => `load<i32>(${p});`).join(' ')}
      if (type == Q4_K && grouped == 0) {
        ${advance(64)}
        continue;
      }
      const low = v128.load32_splat(x), high = v128.load32_splat(x, 16);
      ${STREAMS.map((p, stream) => {
        const dots = accumulators(stream).map((a, i) => {
          const low = `dot(${a}, low, v128.and(${p}${i}, nibbles))`;
          return `${a} = dot(${low}, high, v128.and(i16x8.shr_u(${p}${i}, 4), nibbles));`;
        });
        return `${declare('const', numbered(p, 4), (i) => load(p, 16 * i))}\n${dots.join('\n')}`;
      }).join('\n')}
      ${advance(64)}
      x += 4;
    } while (w < stop);
    if (type == Q4_K) {
      if (grouped == 0) {
        ${STREAMS.map((p, i) => `spreadGroup(${p} - 256, ${AREAS[i]} + 64);`).join(' ')}
        grouped = 8;
        continue;
      }
      const scale = v128.load32_splat(x, CODE_SCALE - 16), sum = v128.load32_splat(x, CODE_SUM - 16);
      const i = 8 - grouped, fourth = (i & 3) == 3, six = scalePlace(i) - (<usize>(i + 2) << 8);
      ${each(4, (i) => `addQ4_K(${AREAS[i]}, ${accumulators(i).join(', ')}, scale, sum, ${STREAMS[i]} + six, fourth);`)}
      grouped--;
    } else {
      const scale = v128.load32_splat(x, CODE_SCALE - 16);
      ${STREAMS.map((p, i) => `addQ4_0(${AREAS[i]}, ${accumulators(i).join(', ')}, scale, ${p});`).join('\n')}
      ${advance(32)}
    }
    x += BLOCK_CODES - 16;
    blocks--;
  }
}`;

const family: Family = {
  parameters: 'w: usize, step: usize, x: usize, blocks: i32, p: usize, q: usize, r: usize, s: usize',
  members: ['Q4_0', 'Q4_K'].map((type) => ({
    name: `four${type}`,
    body: `four(${type}, w, step, x, blocks, p, q, r, s)`,
  })),
};

export default `

/** Bytes that a tile needs: its 16 sums, then for Q4_K the group's d and -dmin as f32. */
export const FOUR_AREA: usize = 192;

${addQ4_0}

/**
 * Where the 6-bit scales of block i are in their group, its minima being 96 bytes on; of every fourth block, where the
 * three vectors are whose top bits hold them.
 */
@inline function scalePlace(i: i32): usize {
  const j = i & 3;
  return 64 + <usize>(i >> 2) * 48 + (j == 3 ? 0 : <usize>j << 4);
}
${addQ4_K}

@inline function clear(area: usize): void {
  const zero = i32x4.splat(0);
  ${stores('area', Array(4).fill('zero'))}
}
${four}

${functions(family)}

/** The tiles at w, w + step, … times one row of activations, the sums of tile k at areas + k * FOUR_AREA. */
export function decodeFour(type: i32, w: usize, step: usize, x: usize, blocks: i32, areas: usize): void {
  const second = areas + FOUR_AREA, third = second + FOUR_AREA, fourth = third + FOUR_AREA;
  clear(areas);
  clear(second);
  clear(third);
  clear(fourth);
  if (type == Q4_0) fourQ4_0(w, step, x, blocks, areas, second, third, fourth);
  else fourQ4_K(w, step, x, blocks, areas, second, third, fourth);
}
`;
