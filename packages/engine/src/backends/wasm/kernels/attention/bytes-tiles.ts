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
// bytes-queries.ts makes and unmakes the layouts, bytes-dots.gen.ts has the tiles, bytes-softmax.ts the softmax, bytes.ts
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
import { add4, add8, add20, score4, score8, score20 } from './bytes-dots.gen';
import { Item } from './item-record';

/** Whether this build's byte dot adds four products to a 32-bit lane. */
// @inline
export const QUAD_DOT: bool = ASC_FEATURE_RELAXED_SIMD && !PAIR_DOT;

/** Bytes of 1; of 127; of 255. */
const BYTES: usize = memory.data<u32>(
  [
    0x01010101, 0x01010101, 0x01010101, 0x01010101, 0x7f7f7f7f, 0x7f7f7f7f, 0x7f7f7f7f, 0x7f7f7f7f, 0xffffffff,
    0xffffffff, 0xffffffff, 0xffffffff,
  ],
  16,
);

// @inline
export function byteDot(codes: v128, plane: v128, sum: v128): v128 {
  return QUAD_DOT ? i32x4.relaxed_dot_i8x16_i7x16_add_s(codes, plane, sum) : sum;
}

/**
 * Whether the dot's second operand is unsigned here: the standard leaves open what it makes of bytes above
 * 127.
 */
export function takesUnsignedBytes(): bool {
  return i32x4.extract_lane(byteDot(v128.load(BYTES, 16), v128.load(BYTES, 32), i32x4.splat(0)), 0) == 4 * 127 * 255;
}

/** Queries of the block that starts where `left` (a multiple of 4) remain. */
// @inline
export function blockSize(left: i32): i32 {
  return left >= 20 ? 20 : left >= 8 ? 8 : 4;
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
    let r1 = r0 + stride,
      r2 = r1 + stride,
      r3 = r2 + stride;
    let a0 = i32x4.splat(0),
      a1 = a0,
      b0 = a0,
      b1 = a0,
      c0 = a0,
      c1 = a0,
      d0 = a0,
      d1 = a0;
    for (const stop = r0 + whole; r0 < stop; r0 += 32, r1 += 32, r2 += 32, r3 += 32) {
      a0 = byteDot(v128.load(r0), ones, a0);
      a1 = byteDot(v128.load(r0, 16), ones, a1);
      b0 = byteDot(v128.load(r1), ones, b0);
      b1 = byteDot(v128.load(r1, 16), ones, b1);
      c0 = byteDot(v128.load(r2), ones, c0);
      c1 = byteDot(v128.load(r2, 16), ones, c1);
      d0 = byteDot(v128.load(r3), ones, d0);
      d1 = byteDot(v128.load(r3, 16), ones, d1);
    }
    v128.store(room, a0);
    v128.store(room, a1, 16);
    v128.store(room, b0, 32);
    v128.store(room, b1, 48);
    v128.store(room, c0, 64);
    v128.store(room, c1, 80);
    v128.store(room, d0, 96);
    v128.store(room, d1, 112);
    for (let left = stride - whole; left > 0; left--) {
      store<i32>(room, load<i32>(room) + load<i8>(r0++));
      store<i32>(room, load<i32>(room, 32) + load<i8>(r1++), 32);
      store<i32>(room, load<i32>(room, 64) + load<i8>(r2++), 64);
      store<i32>(room, load<i32>(room, 96) + load<i8>(r3++), 96);
    }
    const a = i32x4.add(v128.load(room), v128.load(room, 16)),
      b = i32x4.add(v128.load(room, 32), v128.load(room, 48));
    const c = i32x4.add(v128.load(room, 64), v128.load(room, 80)),
      d = i32x4.add(v128.load(room, 96), v128.load(room, 112));
    const ab = i32x4.add(v128.shuffle<i32>(a, b, 0, 4, 1, 5), v128.shuffle<i32>(a, b, 2, 6, 3, 7));
    const cd = i32x4.add(v128.shuffle<i32>(c, d, 0, 4, 1, 5), v128.shuffle<i32>(c, d, 2, 6, 3, 7));
    const sums = i32x4.add(v128.shuffle<i32>(ab, cd, 0, 1, 4, 5), v128.shuffle<i32>(ab, cd, 2, 3, 6, 7));
    v128.store(starts + ((<usize>p) << 2), i32x4.neg(i32x4.shl(sums, 7)));
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
      const r0 = v128.load(at);
      at += stride;
      const r1 = v128.load(at);
      at += stride;
      const r2 = v128.load(at);
      at += stride;
      const r3 = v128.load(at);
      const low01 = lowBytes(r0, r1),
        high01 = highBytes(r0, r1);
      const low23 = lowBytes(r2, r3),
        high23 = highBytes(r2, r3);
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
  const steps = end - first,
    aligned = item.aligned;
  const from = item.values + <usize>(first * 4 * item.padded);
  const columns = <usize>item.padded;
  for (let q = 0, size = 0; q < aligned; q += size) {
    size = blockSize(aligned - q);
    const at = <usize>q;
    const b = item.weights + (at << 8) + <usize>(first * size * 8);
    const to = item.sums + at * (columns << 2),
      factors = item.weightFactors + (at << 2);
    if (size == 20) add20(from, columns, steps, b, item.zeros, factors, to, item.room);
    else if (size == 8) add8(from, columns, steps, b, item.zeros, factors, to, item.room);
    else add4(from, columns, steps, b, item.zeros, factors, to, item.room);
  }
}
