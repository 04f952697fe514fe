// One row of activations times four tiles of 16 rows at once, the tiles being far apart: a quarter of a thread's range of weights from
// each other. The processor follows four streams, each by load instructions of its own, and so keeps more lines under way than for
// one, whose prefetchers begin anew at every page. From memory on two threads of a Zen 5 it is 1.2 to 1.37 x (Q4_0) and 1.15 to 1.2 x (Q4_K) as
// fast as tile after tile (packed-decode.ts). Sums are the same, bit for bit; they lie in memory between blocks, since registers are full of accumulators:
// eight of 256 bits. Where vectors stay 128 bits wide there would be sixteen, so only `wideTiles` come here.
import { madd } from '../common/common';
import { BLOCK_CODES, CODE_SCALE, CODE_SUM, START_8 } from './packed-codes';
import { spreadGroup } from './packed-decode-k';
import {
  constant, dot, fourthSix, HALF_BIAS, HALF_LIMIT, highHalves, lowHalves, NIBBLES, ONES, SIGN, SIX_BITS, TOP_BITS, total,
} from './packed-dot';
import { Q4_0, Q4_K } from './layouts.gen';
import { wideTiles } from './tiles';

/** Bytes that a tile needs: its 16 sums, then for Q4_K the group's d and -dmin as f32. */
export const FOUR_AREA: usize = 192;

/** Types whose codes are one stream of even steps. (Q6_K has three a tile: two tiles at once are 0.98 to 1.04 x as fast from memory, four 0.86 to 0.94 x.) */
// @inline
export function decodesFour(type: i32): bool {
  return wideTiles && (type == Q4_0 || type == Q4_K);
}

/** Adds a block of a Q4_0 tile, whose f16 scales are at `w`. Offsets are literal and stores come last, or the 256-bit pass would not see pairs. */
// @inline
function addQ4_0(area: usize, a0: v128, a1: v128, a2: v128, a3: v128, scale: v128, w: usize): void {
  const ones = constant(ONES), sign = constant(SIGN), bias = constant(HALF_BIAS), limit = constant(HALF_LIMIT);
  const h = v128.load(w), g = v128.load(w, 16);
  const s0 = f32x4.mul(scale, lowHalves(h, sign, bias, limit)), s1 = f32x4.mul(scale, highHalves(h, sign, bias, limit));
  const s2 = f32x4.mul(scale, lowHalves(g, sign, bias, limit)), s3 = f32x4.mul(scale, highHalves(g, sign, bias, limit));
  const y0 = madd(f32x4.convert_i32x4_s(total(a0, ones)), s0, v128.load(area));
  const y1 = madd(f32x4.convert_i32x4_s(total(a1, ones)), s1, v128.load(area, 16));
  const y2 = madd(f32x4.convert_i32x4_s(total(a2, ones)), s2, v128.load(area, 32));
  const y3 = madd(f32x4.convert_i32x4_s(total(a3, ones)), s3, v128.load(area, 48));
  v128.store(area, y0);
  v128.store(area, y1, 16);
  v128.store(area, y2, 32);
  v128.store(area, y3, 48);
}

/** Where the 6-bit scales of block i are in their group, its minima being 96 bytes on; of every fourth block, where the three vectors are whose top bits hold them. */
// @inline
function scalePlace(i: i32): usize {
  const j = i & 3;
  return 64 + <usize>(i >> 2) * 48 + (j == 3 ? 0 : <usize>j << 4);
}

/** Adds a block of a Q4_K tile, whose 6-bit values are at `six`. */
// @inline
function addQ4_K(
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
  const v0 = i16x8.extend_low_i8x16_u(v), v1 = i16x8.extend_high_i8x16_u(v);
  const s0 = f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(v0)), v128.load(area, 64));
  const s1 = f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_u(v0)), v128.load(area, 80));
  const s2 = f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(v1)), v128.load(area, 96));
  const s3 = f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_u(v1)), v128.load(area, 112));
  const u0 = i16x8.extend_low_i8x16_u(u), u1 = i16x8.extend_high_i8x16_u(u);
  const m0 = f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(u0)), v128.load(area, 128));
  const m1 = f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_u(u0)), v128.load(area, 144));
  const m2 = f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(u1)), v128.load(area, 160));
  const m3 = f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_u(u1)), v128.load(area, 176));
  const y0 = madd(sum, m0, madd(f32x4.convert_i32x4_s(total(a0, ones)), f32x4.mul(scale, s0), v128.load(area)));
  const y1 = madd(sum, m1, madd(f32x4.convert_i32x4_s(total(a1, ones)), f32x4.mul(scale, s1), v128.load(area, 16)));
  const y2 = madd(sum, m2, madd(f32x4.convert_i32x4_s(total(a2, ones)), f32x4.mul(scale, s2), v128.load(area, 32)));
  const y3 = madd(sum, m3, madd(f32x4.convert_i32x4_s(total(a3, ones)), f32x4.mul(scale, s3), v128.load(area, 48)));
  v128.store(area, y0);
  v128.store(area, y1, 16);
  v128.store(area, y2, 32);
  v128.store(area, y3, 48);
}

// @inline
function clear(area: usize): void {
  const zero = i32x4.splat(0);
  v128.store(area, zero);
  v128.store(area, zero, 16);
  v128.store(area, zero, 32);
  v128.store(area, zero, 48);
}

/**
 * The areas are arguments, so that their addresses are not folded into offsets.
 *
 * The loop over codes begins with a word of each stream's next line, and goes over a group's scales with nothing else: prefetchers follow
 * the instruction that first touches a line, and lose a stream of which another one reads the scales first (0.8 x; packed-decode-k.ts).
 * Compilers keep loads whose result nobody uses, since they may trap.
 */
// @inline
function four(
  type: i32, w: usize, step: usize, x: usize, blocks: i32, area: usize, area1: usize, area2: usize, area3: usize,
): void {
  const nibbles = constant(NIBBLES);
  let v = w + step, u = v + step, t = u + step;
  // Blocks left in the group; none: the next 256 bytes are a group's scales.
  let grouped: i32 = 0;
  while (blocks > 0) {
    const start = type == Q4_K ? i32x4.splat(0) : v128.load32_splat(x, START_8);
    let a0 = start, a1 = start, a2 = start, a3 = start, b0 = start, b1 = start, b2 = start, b3 = start;
    let c0 = start, c1 = start, c2 = start, c3 = start, d0 = start, d1 = start, d2 = start, d3 = start;
    const stop = w + 256;
    do {
      load<i32>(w);
      load<i32>(v);
      load<i32>(u);
      load<i32>(t);
      if (type == Q4_K && grouped == 0) {
        w += 64;
        v += 64;
        u += 64;
        t += 64;
        continue;
      }
      const low = v128.load32_splat(x), high = v128.load32_splat(x, 16);
      const w0 = v128.load(w), w1 = v128.load(w, 16), w2 = v128.load(w, 32), w3 = v128.load(w, 48);
      a0 = dot(dot(a0, low, v128.and(w0, nibbles)), high, v128.and(i16x8.shr_u(w0, 4), nibbles));
      a1 = dot(dot(a1, low, v128.and(w1, nibbles)), high, v128.and(i16x8.shr_u(w1, 4), nibbles));
      a2 = dot(dot(a2, low, v128.and(w2, nibbles)), high, v128.and(i16x8.shr_u(w2, 4), nibbles));
      a3 = dot(dot(a3, low, v128.and(w3, nibbles)), high, v128.and(i16x8.shr_u(w3, 4), nibbles));
      const v0 = v128.load(v), v1 = v128.load(v, 16), v2 = v128.load(v, 32), v3 = v128.load(v, 48);
      b0 = dot(dot(b0, low, v128.and(v0, nibbles)), high, v128.and(i16x8.shr_u(v0, 4), nibbles));
      b1 = dot(dot(b1, low, v128.and(v1, nibbles)), high, v128.and(i16x8.shr_u(v1, 4), nibbles));
      b2 = dot(dot(b2, low, v128.and(v2, nibbles)), high, v128.and(i16x8.shr_u(v2, 4), nibbles));
      b3 = dot(dot(b3, low, v128.and(v3, nibbles)), high, v128.and(i16x8.shr_u(v3, 4), nibbles));
      const u0 = v128.load(u), u1 = v128.load(u, 16), u2 = v128.load(u, 32), u3 = v128.load(u, 48);
      c0 = dot(dot(c0, low, v128.and(u0, nibbles)), high, v128.and(i16x8.shr_u(u0, 4), nibbles));
      c1 = dot(dot(c1, low, v128.and(u1, nibbles)), high, v128.and(i16x8.shr_u(u1, 4), nibbles));
      c2 = dot(dot(c2, low, v128.and(u2, nibbles)), high, v128.and(i16x8.shr_u(u2, 4), nibbles));
      c3 = dot(dot(c3, low, v128.and(u3, nibbles)), high, v128.and(i16x8.shr_u(u3, 4), nibbles));
      const t0 = v128.load(t), t1 = v128.load(t, 16), t2 = v128.load(t, 32), t3 = v128.load(t, 48);
      d0 = dot(dot(d0, low, v128.and(t0, nibbles)), high, v128.and(i16x8.shr_u(t0, 4), nibbles));
      d1 = dot(dot(d1, low, v128.and(t1, nibbles)), high, v128.and(i16x8.shr_u(t1, 4), nibbles));
      d2 = dot(dot(d2, low, v128.and(t2, nibbles)), high, v128.and(i16x8.shr_u(t2, 4), nibbles));
      d3 = dot(dot(d3, low, v128.and(t3, nibbles)), high, v128.and(i16x8.shr_u(t3, 4), nibbles));
      w += 64;
      v += 64;
      u += 64;
      t += 64;
      x += 4;
    } while (w < stop);
    if (type == Q4_K) {
      if (grouped == 0) {
        spreadGroup(w - 256, area + 64);
        spreadGroup(v - 256, area1 + 64);
        spreadGroup(u - 256, area2 + 64);
        spreadGroup(t - 256, area3 + 64);
        grouped = 8;
        continue;
      }
      const scale = v128.load32_splat(x, CODE_SCALE - 16), sum = v128.load32_splat(x, CODE_SUM - 16);
      const i = 8 - grouped, fourth = (i & 3) == 3, six = scalePlace(i) - (<usize>(i + 2) << 8);
      addQ4_K(area, a0, a1, a2, a3, scale, sum, w + six, fourth);
      addQ4_K(area1, b0, b1, b2, b3, scale, sum, v + six, fourth);
      addQ4_K(area2, c0, c1, c2, c3, scale, sum, u + six, fourth);
      addQ4_K(area3, d0, d1, d2, d3, scale, sum, t + six, fourth);
      grouped--;
    } else {
      const scale = v128.load32_splat(x, CODE_SCALE - 16);
      addQ4_0(area, a0, a1, a2, a3, scale, w);
      addQ4_0(area1, b0, b1, b2, b3, scale, v);
      addQ4_0(area2, c0, c1, c2, c3, scale, u);
      addQ4_0(area3, d0, d1, d2, d3, scale, t);
      w += 32;
      v += 32;
      u += 32;
      t += 32;
    }
    x += BLOCK_CODES - 16;
    blocks--;
  }
}

function fourQ4_0(w: usize, step: usize, x: usize, blocks: i32, p: usize, q: usize, r: usize, s: usize): void { four(Q4_0, w, step, x, blocks, p, q, r, s); }
function fourQ4_K(w: usize, step: usize, x: usize, blocks: i32, p: usize, q: usize, r: usize, s: usize): void { four(Q4_K, w, step, x, blocks, p, q, r, s); }

/** The tiles at `w`, `w + step`, … times one row of activations, the sums of tile k at `areas + k * FOUR_AREA`. */
export function decodeFour(type: i32, w: usize, step: usize, x: usize, blocks: i32, areas: usize): void {
  const second = areas + FOUR_AREA, third = second + FOUR_AREA, fourth = third + FOUR_AREA;
  clear(areas);
  clear(second);
  clear(third);
  clear(fourth);
  if (type == Q4_0) fourQ4_0(w, step, x, blocks, areas, second, third, fourth);
  else fourQ4_K(w, step, x, blocks, areas, second, third, fourth);
}
