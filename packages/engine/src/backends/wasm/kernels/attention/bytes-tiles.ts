// Attention over an 8-bit cache with the byte dot product, where it is one instruction of signed times
// unsigned bytes (x86) and V8 merges vectors into 256-bit ones. Queries and softmax weights have 16 bits, as
// two planes of 8:
//   a query's element, 32,639 for its largest, is 256 (h - 128) + (l - 128); both sums start at -128 times the
//   sum of the codes
//   a weight, 65,535 at most, is 256 h + l
// Sums are exact. Results differ from f32 products by some 1e-5 of the largest value; the cache's own
// rounding is 4e-3.
//
// Lanes are queries everywhere, so a page's codes are broadcast as they lie (keys) or in words of four
// positions (values), and maxima and sums over positions need no horizontal steps. Queries come in blocks of
// 20, 8 or 4 (blockSize), a block is panels of 8 and possibly one of 4: 20 queries are 10 vectors of planes,
// five of 256 bits.
//
// Pages are taken in pairs, 128 positions, so that the values' tile has 32 steps between two visits to the
// sums.
//
// bytes-queries.ts makes and unmakes the layouts, bytes-softmax.ts has the softmax, bytes.ts
// calls them all. Over i16 products (codes.ts) 1.4 times faster, 20 queries.
//
// A thread's area, Q = queries rounded up to 4, P = head size rounded up to 16; parts of queries q… of a
// block start at q / Q:
//   queries [block][steps of 4 columns][panel: h of 4 or 8 queries, l of the same][query][4 columns]
//   sums    f32 [panel][P][4 or 8 queries]; totals [Q], peaks [Q], factors of queries [Q], of weights [Q]
//   scores  f32 [panel][128 positions][4 or 8 queries]
//   weights as queries, with steps of 4 positions
//   values  [32 steps of 4 positions][P columns][4]
//   starts  i32 [64], scales of values [128], zeros [16]; room; limits of weights [Q] after the factors
import { madd } from '../common/common';
import { scalesOf } from './codes';
import { Item } from './item-record';

/** Whether this build's byte dot adds four products to a 32-bit lane. */
// @inline
export const QUAD_DOT: bool = ASC_FEATURE_RELAXED_SIMD && !PAIR_DOT;

/** Bytes of 1; of 127; of 255. */
const BYTES: usize = memory.data<u32>([
  0x01010101, 0x01010101, 0x01010101, 0x01010101,
  0x7f7f7f7f, 0x7f7f7f7f, 0x7f7f7f7f, 0x7f7f7f7f,
  0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff,
], 16);

// @inline
function dot(codes: v128, plane: v128, sum: v128): v128 {
  return QUAD_DOT ? i32x4.relaxed_dot_i8x16_i7x16_add_s(codes, plane, sum) : sum;
}

/**
 * Whether the dot's second operand is unsigned here: the standard leaves open what it makes of bytes above
 * 127.
 */
export function takesUnsignedBytes(): bool {
  return i32x4.extract_lane(dot(v128.load(BYTES, 16), v128.load(BYTES, 32), i32x4.splat(0)), 0) == 4 * 127 * 255;
}

/** Queries of the block that starts where `left` (a multiple of 4) remain. */
// @inline
export function blockSize(left: i32): i32 {
  return left >= 20 ? 20 : left >= 8 ? 8 : 4;
}

/** Four rows of codes times a block of 8: [row][4 vectors]. */
// @inline
function dots8(a: usize, row: usize, aStep: usize, b: usize, steps: i32, starts: usize, room: usize): void {
  let p0 = v128.load32_splat(starts), p1 = p0, p2 = p0, p3 = p0;
  let q0 = v128.load32_splat(starts, 4), q1 = q0, q2 = q0, q3 = q0;
  let r0 = v128.load32_splat(starts, 8), r1 = r0, r2 = r0, r3 = r0;
  let s0 = v128.load32_splat(starts, 12), s1 = s0, s2 = s0, s3 = s0;
  let c = a + row, d = c + row, e = d + row;
  for (const end = b + <usize>(steps << 6); b < end; b += 64, a += aStep, c += aStep, d += aStep, e += aStep) {
    const w = v128.load(b), v = v128.load(b, 16), u = v128.load(b, 32), t = v128.load(b, 48);
    let x = v128.load32_splat(a);
    p0 = dot(x, w, p0); p1 = dot(x, v, p1); p2 = dot(x, u, p2); p3 = dot(x, t, p3);
    x = v128.load32_splat(c);
    q0 = dot(x, w, q0); q1 = dot(x, v, q1); q2 = dot(x, u, q2); q3 = dot(x, t, q3);
    x = v128.load32_splat(d);
    r0 = dot(x, w, r0); r1 = dot(x, v, r1); r2 = dot(x, u, r2); r3 = dot(x, t, r3);
    x = v128.load32_splat(e);
    s0 = dot(x, w, s0); s1 = dot(x, v, s1); s2 = dot(x, u, s2); s3 = dot(x, t, s3);
  }
  v128.store(room, p0); v128.store(room, p1, 16); v128.store(room, p2, 32); v128.store(room, p3, 48);
  v128.store(room, q0, 64); v128.store(room, q1, 80); v128.store(room, q2, 96); v128.store(room, q3, 112);
  v128.store(room, r0, 128); v128.store(room, r1, 144); v128.store(room, r2, 160); v128.store(room, r3, 176);
  v128.store(room, s0, 192); v128.store(room, s1, 208); v128.store(room, s2, 224); v128.store(room, s3, 240);
}

/** Eight rows of codes times a block of 4: [row][2 vectors]. */
// @inline
function dots4(a: usize, row: usize, aStep: usize, b: usize, steps: i32, starts: usize, room: usize): void {
  let p0 = v128.load32_splat(starts), p1 = p0, q0 = v128.load32_splat(starts, 4), q1 = q0;
  let r0 = v128.load32_splat(starts, 8), r1 = r0, s0 = v128.load32_splat(starts, 12), s1 = s0;
  let t0 = v128.load32_splat(starts, 16), t1 = t0, u0 = v128.load32_splat(starts, 20), u1 = u0;
  let v0 = v128.load32_splat(starts, 24), v1 = v0, w0 = v128.load32_splat(starts, 28), w1 = w0;
  const row2 = row + row, row3 = row2 + row;
  let c = a + (row << 2);
  for (const end = b + <usize>(steps << 5); b < end; b += 32, a += aStep, c += aStep) {
    const h = v128.load(b), l = v128.load(b, 16);
    let x = v128.load32_splat(a);
    p0 = dot(x, h, p0); p1 = dot(x, l, p1);
    x = v128.load32_splat(a + row);
    q0 = dot(x, h, q0); q1 = dot(x, l, q1);
    x = v128.load32_splat(a + row2);
    r0 = dot(x, h, r0); r1 = dot(x, l, r1);
    x = v128.load32_splat(a + row3);
    s0 = dot(x, h, s0); s1 = dot(x, l, s1);
    x = v128.load32_splat(c);
    t0 = dot(x, h, t0); t1 = dot(x, l, t1);
    x = v128.load32_splat(c + row);
    u0 = dot(x, h, u0); u1 = dot(x, l, u1);
    x = v128.load32_splat(c + row2);
    v0 = dot(x, h, v0); v1 = dot(x, l, v1);
    x = v128.load32_splat(c + row3);
    w0 = dot(x, h, w0); w1 = dot(x, l, w1);
  }
  v128.store(room, p0); v128.store(room, p1, 16); v128.store(room, q0, 32); v128.store(room, q1, 48);
  v128.store(room, r0, 64); v128.store(room, r1, 80); v128.store(room, s0, 96); v128.store(room, s1, 112);
  v128.store(room, t0, 128); v128.store(room, t1, 144); v128.store(room, u0, 160); v128.store(room, u1, 176);
  v128.store(room, v0, 192); v128.store(room, v1, 208); v128.store(room, w0, 224); v128.store(room, w1, 240);
}

/** 256 times one plane's sum plus the other's. */
// @inline
function joined(high: v128, low: v128): v128 {
  return f32x4.convert_i32x4_s(i32x4.add(i32x4.shl(high, 8), low));
}

// @inline
function putEight(room: usize, factors: usize, scale: v128, to: usize): void {
  const a = f32x4.mul(f32x4.mul(joined(v128.load(room), v128.load(room, 32)), v128.load(factors)), scale);
  const b = f32x4.mul(f32x4.mul(joined(v128.load(room, 16), v128.load(room, 48)), v128.load(factors, 16)), scale);
  v128.store(to, a);
  v128.store(to, b, 16);
}

// @inline
function putFour(room: usize, factors: usize, scale: v128, to: usize): void {
  v128.store(to, f32x4.mul(f32x4.mul(joined(v128.load(room), v128.load(room, 16)), v128.load(factors)), scale));
}

// @inline
function addEight(room: usize, factors: usize, to: usize): void {
  const a = madd(joined(v128.load(room), v128.load(room, 32)), v128.load(factors), v128.load(to));
  const b = madd(joined(v128.load(room, 16), v128.load(room, 48)), v128.load(factors, 16), v128.load(to, 16));
  v128.store(to, a);
  v128.store(to, b, 16);
}

// @inline
function addFour(room: usize, factors: usize, to: usize): void {
  v128.store(to, madd(joined(v128.load(room), v128.load(room, 16)), v128.load(factors), v128.load(to)));
}

/** Scores of a block with positions [first, end), which are rounded to multiples of the tile. */
function score20(item: Item, q: i32, plane: usize, slot: usize, first: i32, end: i32): void {
  const headSize = <usize>item.headSize, steps = (item.headSize + 3) >> 2, starts = item.starts, room = item.room;
  const scales = scalesOf(plane, item.headSize), factors = item.factors + (<usize>q << 2);
  const queries = item.queries + <usize>q * <usize>(steps << 3), scores = item.scores + (<usize>q << 9);
  const wide = scores + (slot << 5), narrow = scores + 8192 + (slot << 4);
  for (let p = first & ~1; p < end; p += 2) {
    const at = <usize>p;
    let a = plane + at * headSize, b = queries;
    const row = headSize;
    const aStep: usize = 4;
    let p0 = v128.load32_splat(starts + (at << 2)), p1 = p0, p2 = p0, p3 = p0, p4 = p0, p5 = p0, p6 = p0, p7 = p0,
      p8 = p0, p9 = p0;
    let r0 = v128.load32_splat(starts + (at << 2), 4), r1 = r0, r2 = r0, r3 = r0, r4 = r0, r5 = r0, r6 = r0, r7 = r0,
      r8 = r0, r9 = r0;
    let c = a + row;
    for (const end = b + <usize>(steps * 160); b < end; b += 160, a += aStep, c += aStep) {
      const x = v128.load32_splat(a), y = v128.load32_splat(c);
      let w = v128.load(b), v = v128.load(b, 16);
      p0 = dot(x, w, p0); p1 = dot(x, v, p1); r0 = dot(y, w, r0); r1 = dot(y, v, r1);
      w = v128.load(b, 32); v = v128.load(b, 48);
      p2 = dot(x, w, p2); p3 = dot(x, v, p3); r2 = dot(y, w, r2); r3 = dot(y, v, r3);
      w = v128.load(b, 64); v = v128.load(b, 80);
      p4 = dot(x, w, p4); p5 = dot(x, v, p5); r4 = dot(y, w, r4); r5 = dot(y, v, r5);
      w = v128.load(b, 96); v = v128.load(b, 112);
      p6 = dot(x, w, p6); p7 = dot(x, v, p7); r6 = dot(y, w, r6); r7 = dot(y, v, r7);
      w = v128.load(b, 128); v = v128.load(b, 144);
      p8 = dot(x, w, p8); p9 = dot(x, v, p9); r8 = dot(y, w, r8); r9 = dot(y, v, r9);
    }

    v128.store(room, p8); v128.store(room, p9, 16);
    v128.store(room, r8, 32); v128.store(room, r9, 48);
    const s = v128.load32_splat(scales + (at << 2)), t = v128.load32_splat(scales + (at << 2), 4);
    const f0 = v128.load(factors), f1 = v128.load(factors, 16),
      f2 = v128.load(factors, 32), f3 = v128.load(factors, 48);
    put(wide + (at << 5), joined(p0, p2), joined(p1, p3), f0, f1, s);
    put(wide + 32 + (at << 5), joined(r0, r2), joined(r1, r3), f0, f1, t);
    put(wide + 4096 + (at << 5), joined(p4, p6), joined(p5, p7), f2, f3, s);
    put(wide + 4128 + (at << 5), joined(r4, r6), joined(r5, r7), f2, f3, t);
    putFour(room, factors + 64, s, narrow + (at << 4));
    putFour(room + 32, factors + 64, t, narrow + 16 + (at << 4));
  }
}

// @inline
function put(to: usize, a: v128, b: v128, f0: v128, f1: v128, scale: v128): void {
  a = f32x4.mul(f32x4.mul(a, f0), scale);
  b = f32x4.mul(f32x4.mul(b, f1), scale);
  v128.store(to, a);
  v128.store(to, b, 16);
}

function score8(item: Item, q: i32, plane: usize, slot: usize, first: i32, end: i32): void {
  const headSize = <usize>item.headSize, steps = (item.headSize + 3) >> 2, starts = item.starts, room = item.room;
  const scales = scalesOf(plane, item.headSize), factors = item.factors + (<usize>q << 2);
  const b = item.queries + <usize>q * <usize>(steps << 3), scores = item.scores + (<usize>q << 9) + (slot << 5);
  for (let p = first & ~3; p < end; p += 4) {
    const at = <usize>p;
    dots8(plane + at * headSize, headSize, 4, b, steps, starts + (at << 2), room);
    for (let i: usize = 0; i < 4; i++)
      putEight(room + (i << 6), factors, v128.load32_splat(scales + ((at + i) << 2)), scores + ((at + i) << 5));
  }
}

function score4(item: Item, q: i32, plane: usize, slot: usize, first: i32, end: i32): void {
  const headSize = <usize>item.headSize, steps = (item.headSize + 3) >> 2, starts = item.starts, room = item.room;
  const scales = scalesOf(plane, item.headSize), factors = item.factors + (<usize>q << 2);
  const b = item.queries + <usize>q * <usize>(steps << 3), scores = item.scores + (<usize>q << 9) + (slot << 4);
  for (let p = first & ~7; p < end; p += 8) {
    const at = <usize>p;
    dots4(plane + at * headSize, headSize, 4, b, steps, starts + (at << 2), room);
    for (let i: usize = 0; i < 8; i++)
      putFour(room + (i << 5), factors, v128.load32_splat(scales + ((at + i) << 2)), scores + ((at + i) << 4));
  }
}

/**
 * sums[panel][column][query] += weights times `steps` groups of four positions of all `columns`; `zeros` are
 * 8 zeros.
 */
function add20(
  values: usize, columns: usize, steps: i32, weights: usize, zeros: usize, factors: usize, sums: usize, room: usize,
): void {
  const aStep = columns << 2;
  const row: usize = 4;
  const second = sums + (columns << 5), third = second + (columns << 5);
  for (let column: usize = 0; column < columns; column += 2) {
    let a = values + (column << 2), b = weights;
    let p0 = v128.load32_splat(zeros), p1 = p0, p2 = p0, p3 = p0, p4 = p0, p5 = p0, p6 = p0, p7 = p0, p8 = p0, p9 = p0;
    let r0 = v128.load32_splat(zeros), r1 = r0, r2 = r0, r3 = r0, r4 = r0, r5 = r0, r6 = r0, r7 = r0, r8 = r0, r9 = r0;
    let c = a + row;
    for (const end = b + <usize>(steps * 160); b < end; b += 160, a += aStep, c += aStep) {
      const x = v128.load32_splat(a), y = v128.load32_splat(c);
      let w = v128.load(b), v = v128.load(b, 16);
      p0 = dot(x, w, p0); p1 = dot(x, v, p1); r0 = dot(y, w, r0); r1 = dot(y, v, r1);
      w = v128.load(b, 32); v = v128.load(b, 48);
      p2 = dot(x, w, p2); p3 = dot(x, v, p3); r2 = dot(y, w, r2); r3 = dot(y, v, r3);
      w = v128.load(b, 64); v = v128.load(b, 80);
      p4 = dot(x, w, p4); p5 = dot(x, v, p5); r4 = dot(y, w, r4); r5 = dot(y, v, r5);
      w = v128.load(b, 96); v = v128.load(b, 112);
      p6 = dot(x, w, p6); p7 = dot(x, v, p7); r6 = dot(y, w, r6); r7 = dot(y, v, r7);
      w = v128.load(b, 128); v = v128.load(b, 144);
      p8 = dot(x, w, p8); p9 = dot(x, v, p9); r8 = dot(y, w, r8); r9 = dot(y, v, r9);
    }

    v128.store(room, p8); v128.store(room, p9, 16);
    v128.store(room, r8, 32); v128.store(room, r9, 48);
    const f0 = v128.load(factors), f1 = v128.load(factors, 16),
      f2 = v128.load(factors, 32), f3 = v128.load(factors, 48);
    add(sums + (column << 5), joined(p0, p2), joined(p1, p3), f0, f1);
    add(sums + 32 + (column << 5), joined(r0, r2), joined(r1, r3), f0, f1);
    add(second + (column << 5), joined(p4, p6), joined(p5, p7), f2, f3);
    add(second + 32 + (column << 5), joined(r4, r6), joined(r5, r7), f2, f3);
    addFour(room, factors + 64, third + (column << 4));
    addFour(room + 32, factors + 64, third + 16 + (column << 4));
  }
}

// @inline
function add(to: usize, a: v128, b: v128, f0: v128, f1: v128): void {
  a = madd(a, f0, v128.load(to));
  b = madd(b, f1, v128.load(to, 16));
  v128.store(to, a);
  v128.store(to, b, 16);
}

function add8(
  values: usize, columns: usize, steps: i32, b: usize, zeros: usize, factors: usize, sums: usize, room: usize,
): void {
  for (let column: usize = 0; column < columns; column += 4) {
    dots8(values + (column << 2), 4, columns << 2, b, steps, zeros, room);
    for (let i: usize = 0; i < 4; i++) addEight(room + (i << 6), factors, sums + ((column + i) << 5));
  }
}

function add4(
  values: usize, columns: usize, steps: i32, b: usize, zeros: usize, factors: usize, sums: usize, room: usize,
): void {
  for (let column: usize = 0; column < columns; column += 8) {
    dots4(values + (column << 2), 4, columns << 2, b, steps, zeros, room);
    for (let i: usize = 0; i < 8; i++) addFour(room + (i << 5), factors, sums + ((column + i) << 4));
  }
}

/**
 * Scores of all queries with positions [first, end) of a page, the keys' scales included; `slot` is the
 * page's place in its pair, 0 or 64.
 */
export function scoreBytes(item: Item, plane: usize, slot: usize, first: i32, end: i32): void {
  const aligned = item.aligned;
  sumCodes(plane, first & ~7, (end + 7) & ~7, item.headSize, item.starts, item.room);
  for (let q = 0, size = 0; q < aligned; q += size) {
    size = blockSize(aligned - q);
    if (size == 20) score20(item, q, plane, slot, first, end);
    else if (size == 8) score8(item, q, plane, slot, first, end);
    else score4(item, q, plane, slot, first, end);
  }
}

/** starts[p] = -128 times the sum of the codes of position p, for multiples of four positions. */
function sumCodes(plane: usize, first: i32, end: i32, headSize: i32, starts: usize, room: usize): void {
  const ones = v128.load(BYTES);
  const stride = <usize>headSize;
  const whole = stride & ~31;
  for (let p = first; p < end; p += 4) {
    let r0 = plane + <usize>p * stride;
    let r1 = r0 + stride, r2 = r1 + stride, r3 = r2 + stride;
    let a0 = i32x4.splat(0), a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0;
    for (const stop = r0 + whole; r0 < stop; r0 += 32, r1 += 32, r2 += 32, r3 += 32) {
      a0 = dot(v128.load(r0), ones, a0); a1 = dot(v128.load(r0, 16), ones, a1);
      b0 = dot(v128.load(r1), ones, b0); b1 = dot(v128.load(r1, 16), ones, b1);
      c0 = dot(v128.load(r2), ones, c0); c1 = dot(v128.load(r2, 16), ones, c1);
      d0 = dot(v128.load(r3), ones, d0); d1 = dot(v128.load(r3, 16), ones, d1);
    }
    v128.store(room, a0); v128.store(room, a1, 16); v128.store(room, b0, 32); v128.store(room, b1, 48);
    v128.store(room, c0, 64); v128.store(room, c1, 80); v128.store(room, d0, 96); v128.store(room, d1, 112);
    for (let left = stride - whole; left > 0; left--) {
      store<i32>(room, load<i32>(room) + load<i8>(r0++));
      store<i32>(room, load<i32>(room, 32) + load<i8>(r1++), 32);
      store<i32>(room, load<i32>(room, 64) + load<i8>(r2++), 64);
      store<i32>(room, load<i32>(room, 96) + load<i8>(r3++), 96);
    }
    const a = i32x4.add(v128.load(room), v128.load(room, 16)), b = i32x4.add(v128.load(room, 32), v128.load(room, 48));
    const c = i32x4.add(v128.load(room, 64), v128.load(room, 80)),
      d = i32x4.add(v128.load(room, 96), v128.load(room, 112));
    const ab = i32x4.add(v128.shuffle<i32>(a, b, 0, 4, 1, 5), v128.shuffle<i32>(a, b, 2, 6, 3, 7));
    const cd = i32x4.add(v128.shuffle<i32>(c, d, 0, 4, 1, 5), v128.shuffle<i32>(c, d, 2, 6, 3, 7));
    const sums = i32x4.add(v128.shuffle<i32>(ab, cd, 0, 1, 4, 5), v128.shuffle<i32>(ab, cd, 2, 3, 6, 7));
    v128.store(starts + (<usize>p << 2), i32x4.neg(i32x4.shl(sums, 7)));
  }
}

/** Codes of groups of four positions [first, end) as [group][P columns][4 positions]. */
export function interleaveBytes(plane: usize, first: i32, end: i32, headSize: i32, padded: i32, to: usize): void {
  const stride = <usize>headSize;
  for (let group = first; group < end; group++) {
    const row = plane + <usize>(group * 4 * headSize);
    let out = to + <usize>(group * 4 * padded);
    let column = 0;
    for (; column + 16 <= headSize; column += 16, out += 64) {
      let at = row + <usize>column;
      const r0 = v128.load(at); at += stride;
      const r1 = v128.load(at); at += stride;
      const r2 = v128.load(at); at += stride;
      const r3 = v128.load(at);
      const low01 = lowBytes(r0, r1), high01 = highBytes(r0, r1);
      const low23 = lowBytes(r2, r3), high23 = highBytes(r2, r3);
      v128.store(out, lowPairs(low01, low23));
      v128.store(out, highPairs(low01, low23), 16);
      v128.store(out, lowPairs(high01, high23), 32);
      v128.store(out, highPairs(high01, high23), 48);
    }
    for (; column < padded; column++, out += 4) {
      for (let i: usize = 0; i < 4; i++)
        store<i8>(out + i, column < headSize ? load<i8>(row + i * stride + <usize>column) : 0);
    }
  }
}

// @inline
function lowBytes(a: v128, b: v128): v128 {
  return v128.shuffle<i8>(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

// @inline
function highBytes(a: v128, b: v128): v128 {
  return v128.shuffle<i8>(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

// @inline
function lowPairs(a: v128, b: v128): v128 {
  return v128.shuffle<i16>(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}

// @inline
function highPairs(a: v128, b: v128): v128 {
  return v128.shuffle<i16>(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}

/**
 * sums += weights times the values of groups of four positions [first, end) of a pair, which interleaveBytes
 * put into `values`.
 */
export function addBytes(item: Item, first: i32, end: i32): void {
  const steps = end - first, aligned = item.aligned;
  const from = item.values + <usize>(first * 4 * item.padded);
  const columns = <usize>item.padded;
  for (let q = 0, size = 0; q < aligned; q += size) {
    size = blockSize(aligned - q);
    const at = <usize>q;
    const b = item.weights + (at << 8) + <usize>(first * size * 8);
    const to = item.sums + at * (columns << 2), factors = item.weightFactors + (at << 2);
    if (size == 20) add20(from, columns, steps, b, item.zeros, factors, to, item.room);
    else if (size == 8) add8(from, columns, steps, b, item.zeros, factors, to, item.room);
    else add4(from, columns, steps, b, item.zeros, factors, to, item.room);
  }
}
