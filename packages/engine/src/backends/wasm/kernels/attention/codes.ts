// Attention over an 8-bit cache in integers: queries and weights are rounded to 16 bits, products of pairs
// added by i32x4.dot_i16x8_s (vpmaddwd), in builds without a byte dot of one instruction (bytes-tiles.ts).
// With 256-bit registers 72 G multiply-adds a second where f32 tiles reach 48.
//
// Rounding: a query has its own factor, so that its largest element is 32,767 (less in heads of over 516
// elements, whose sums would not fit 32 bits); so have a query's weights of one page, with the values' scales
// already in them. Sums are exact. Against f32 products results move by some 1e-5 of the largest value; the
// cache's own rounding is 4e-3.
//
// A thread's area, Q = queries rounded up to 4, P = head size rounded up to 16. "Pairs" are two i16 in an i32
// lane.
//   queries [Q / 4][P / 2 pairs of columns][4 queries]
//   sums    f32 [Q][P], totals [Q], peaks [Q] as in item.ts; factors of queries [Q], of weights [Q]
//   scores  f32 [Q][64]      weights [Q / 4][32 pairs of positions][4 queries]
//   keys    [4][P / 2 pairs of columns][16 positions]      values [32 pairs of positions][P columns]
//   limits  f32 [3][64]: what a query that sees a part of the page takes for its scales (limitPage); zeros [64]; room

import { madd } from '../common/common';
import { exp2Negative, horizontalMax, horizontalSum } from '../common/math';
import { CACHE_Q8, PAGE_TOKENS } from '../constants';
import { headCodeBytes } from './cache-layout';
import { Item } from './item-record';

/** Adding it to a small number leaves the nearest integer in the low bits. */
// @inline
const ROUND: f32 = 12582912;
// @inline
const ROUND_BITS: i32 = 0x4b400000;
// @inline
const MASKED: f32 = -3e38;
// @inline
const LIMIT: f32 = 32767;

/**
 * c[r][0…16] += factors[r] * sum over steps of a[step][r] . b[step][0…16]; a's steps are 16 bytes apart, rows
 * of c cStride.
 */
export function integerTile(
  a: usize,
  b: usize,
  bStep: usize,
  steps: i32,
  factors: usize,
  c: usize,
  cStride: usize,
): void {
  const c1 = c + cStride;
  const c2 = c1 + cStride;
  const c3 = c2 + cStride;
  let a00 = i32x4.splat(0),
    a01 = a00,
    a02 = a00,
    a03 = a00;
  let a10 = a00,
    a11 = a00,
    a12 = a00,
    a13 = a00;
  let a20 = a00,
    a21 = a00,
    a22 = a00,
    a23 = a00;
  let a30 = a00,
    a31 = a00,
    a32 = a00,
    a33 = a00;
  const end = a + ((<usize>steps) << 4);
  while (a < end) {
    const b0 = v128.load(b),
      b1 = v128.load(b, 16),
      b2 = v128.load(b, 32),
      b3 = v128.load(b, 48);
    let x = v128.load32_splat(a);
    a00 = i32x4.add(a00, i32x4.dot_i16x8_s(x, b0));
    a01 = i32x4.add(a01, i32x4.dot_i16x8_s(x, b1));
    a02 = i32x4.add(a02, i32x4.dot_i16x8_s(x, b2));
    a03 = i32x4.add(a03, i32x4.dot_i16x8_s(x, b3));
    x = v128.load32_splat(a, 4);
    a10 = i32x4.add(a10, i32x4.dot_i16x8_s(x, b0));
    a11 = i32x4.add(a11, i32x4.dot_i16x8_s(x, b1));
    a12 = i32x4.add(a12, i32x4.dot_i16x8_s(x, b2));
    a13 = i32x4.add(a13, i32x4.dot_i16x8_s(x, b3));
    x = v128.load32_splat(a, 8);
    a20 = i32x4.add(a20, i32x4.dot_i16x8_s(x, b0));
    a21 = i32x4.add(a21, i32x4.dot_i16x8_s(x, b1));
    a22 = i32x4.add(a22, i32x4.dot_i16x8_s(x, b2));
    a23 = i32x4.add(a23, i32x4.dot_i16x8_s(x, b3));
    x = v128.load32_splat(a, 12);
    a30 = i32x4.add(a30, i32x4.dot_i16x8_s(x, b0));
    a31 = i32x4.add(a31, i32x4.dot_i16x8_s(x, b1));
    a32 = i32x4.add(a32, i32x4.dot_i16x8_s(x, b2));
    a33 = i32x4.add(a33, i32x4.dot_i16x8_s(x, b3));
    a += 16;
    b += bStep;
  }
  addScaled(c, v128.load32_splat(factors), a00, a01, a02, a03);
  addScaled(c1, v128.load32_splat(factors, 4), a10, a11, a12, a13);
  addScaled(c2, v128.load32_splat(factors, 8), a20, a21, a22, a23);
  addScaled(c3, v128.load32_splat(factors, 12), a30, a31, a32, a33);
}

// @inline
function addScaled(c: usize, factor: v128, a0: v128, a1: v128, a2: v128, a3: v128): void {
  a0 = madd(f32x4.convert_i32x4_s(a0), factor, v128.load(c));
  a1 = madd(f32x4.convert_i32x4_s(a1), factor, v128.load(c, 16));
  a2 = madd(f32x4.convert_i32x4_s(a2), factor, v128.load(c, 32));
  a3 = madd(f32x4.convert_i32x4_s(a3), factor, v128.load(c, 48));
  v128.store(c, a0);
  v128.store(c, a1, 16);
  v128.store(c, a2, 32);
  v128.store(c, a3, 48);
}

/**
 * Writes one query (padded floats at `from`) as lane `lane` of its group of four; returns its factor, NaN
 * where q is not finite.
 */
export function packQuery(from: usize, headSize: i32, padded: i32, group: usize, lane: i32): f32 {
  const end = from + ((<usize>padded) << 2);
  let peaks = f32x4.splat(0);
  let check = f32x4.splat(0);
  for (let at = from; at < end; at += 16) {
    const x = v128.load(at);
    peaks = f32x4.pmax(peaks, f32x4.abs(x));
    check = f32x4.add(check, f32x4.mul(x, f32x4.splat(0)));
  }
  const peak = horizontalMax(peaks);
  const most = 0x7fffffff / (127 * headSize) - 1;
  const limit = min(LIMIT, <f32>most);
  packPairs(from, padded, f32x4.splat(peak > 0 ? limit / peak : 0), group + ((<usize>lane) << 2));
  return peak / limit + horizontalSum(check);
}

/** `count` floats, a multiple of 8, times `factor` to i16, in pairs 16 bytes apart. */
// @inline
function packPairs(from: usize, count: i32, factor: v128, to: usize): void {
  const round = f32x4.splat(ROUND);
  const bits = i32x4.splat(ROUND_BITS);
  for (const end = from + ((<usize>count) << 2); from < end; from += 32, to += 64) {
    const low = i32x4.sub(madd(v128.load(from), factor, round), bits);
    const high = i32x4.sub(madd(v128.load(from, 16), factor, round), bits);
    const pairs = i16x8.narrow_i32x4_s(low, high);
    v128.store32_lane(to, pairs, 0);
    v128.store32_lane(to, pairs, 1, 16);
    v128.store32_lane(to, pairs, 2, 32);
    v128.store32_lane(to, pairs, 3, 48);
  }
}

/** The codes of 16 positions, rows of `headSize` bytes, as [P / 2 pairs of columns][16 positions]. */
export function packKeys(rows: usize, headSize: i32, padded: i32, panel: usize): void {
  for (let half = 0; half < 2; half++, panel += 32, rows += (<usize>headSize) << 3) {
    let column = 0;
    let to = panel;
    for (; column + 16 <= headSize; column += 16, to += 512) transposePairs(rows + <usize>column, <usize>headSize, to);
    for (; column < padded; column += 2, to += 64) {
      for (let p = 0; p < 8; p++) {
        const row = rows + <usize>(p * headSize);
        const first: i32 = column < headSize ? load<i8>(row + <usize>column) : 0;
        const second: i32 = column + 1 < headSize ? load<i8>(row + <usize>column, 1) : 0;
        store<i32>(to + ((<usize>p) << 2), (first & 0xffff) | (second << 16));
      }
    }
  }
}

/** 8 rows of 16 codes: 8 vectors pairs of columns, each of 8 positions, 64 bytes apart. */
// @inline
function transposePairs(row: usize, stride: usize, to: usize): void {
  const r0 = v128.load(row);
  row += stride;
  const r1 = v128.load(row);
  row += stride;
  const r2 = v128.load(row);
  row += stride;
  const r3 = v128.load(row);
  row += stride;
  const r4 = v128.load(row);
  row += stride;
  const r5 = v128.load(row);
  row += stride;
  const r6 = v128.load(row);
  row += stride;
  const r7 = v128.load(row);
  const low01 = lowPairs(r0, r1),
    high01 = highPairs(r0, r1);
  const low23 = lowPairs(r2, r3),
    high23 = highPairs(r2, r3);
  const low45 = lowPairs(r4, r5),
    high45 = highPairs(r4, r5);
  const low67 = lowPairs(r6, r7),
    high67 = highPairs(r6, r7);
  putQuads(to, lowWords(low01, low23), lowWords(low45, low67));
  putQuads(to + 128, highWords(low01, low23), highWords(low45, low67));
  putQuads(to + 256, lowWords(high01, high23), lowWords(high45, high67));
  putQuads(to + 384, highWords(high01, high23), highWords(high45, high67));
}

// @inline
function lowPairs(a: v128, b: v128): v128 {
  return v128.shuffle<i16>(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}

// @inline
function highPairs(a: v128, b: v128): v128 {
  return v128.shuffle<i16>(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}

// @inline
function lowWords(a: v128, b: v128): v128 {
  return v128.shuffle<i32>(a, b, 0, 4, 1, 5);
}

// @inline
function highWords(a: v128, b: v128): v128 {
  return v128.shuffle<i32>(a, b, 2, 6, 3, 7);
}

/** Two pairs of columns of positions 0…3 and of 4…7, widened. */
// @inline
function putQuads(to: usize, a: v128, b: v128): void {
  putWide(to, v128.shuffle<i64>(a, b, 0, 2));
  putWide(to + 64, v128.shuffle<i64>(a, b, 1, 3));
}

// @inline
function putWide(to: usize, codes: v128): void {
  v128.store(to, i16x8.extend_low_i8x16_s(codes));
  v128.store(to, i16x8.extend_high_i8x16_s(codes), 16);
}

/** The codes of `pairs` pairs of positions as [pair][P columns]. */
export function packValues(rows: usize, headSize: i32, padded: i32, pairs: i32, to: usize): void {
  for (; pairs > 0; pairs--, rows += (<usize>headSize) << 1) {
    const second = rows + <usize>headSize;
    let column: usize = 0;
    for (; column + 16 <= <usize>headSize; column += 16, to += 64) {
      const a = v128.load(rows + column);
      const b = v128.load(second + column);
      putWide(to, v128.shuffle<i8>(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
      putWide(to + 32, v128.shuffle<i8>(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31));
    }
    for (; column < <usize>padded; column++, to += 4) {
      if (column < <usize>headSize)
        store<i32>(to, (<i32>load<i8>(rows + column) & 0xffff) | ((<i32>load<i8>(second + column)) << 16));
      else store<i32>(to, 0);
    }
  }
}

/**
 * Where a query sees only [low, high) of a page: scales of keys (0 elsewhere), what is added to scores
 * (MASKED elsewhere), and scales of values (0 elsewhere; whatever lies in a slot that was never written must
 * not count).
 */
export function limitPage(limits: usize, keyScales: usize, valueScales: usize, low: i32, high: i32): void {
  for (let i = 0; i < PAGE_TOKENS; i++) {
    const at = (<usize>i) << 2;
    const seen = i >= low && i < high;
    store<f32>(limits + at, seen ? load<f32>(keyScales + at) : 0);
    store<f32>(limits + at, seen ? 0 : MASKED, 256);
    store<f32>(limits + at, seen ? load<f32>(valueScales + at) : 0, 512);
  }
}

/**
 * The scores of query `i` become 16-bit weights under the new peak, lane by lane in pairs of positions, and their
 * factor is written. `offset` is added to scores. Partial sums go through `room`: kept side by side in memory they
 * pair.
 */
export function weighCodes(item: Item, i: i32, keyScales: usize, offset: usize, valueScales: usize): void {
  const word = (<usize>i) << 2,
    padded = item.padded,
    room = item.room;
  const scores = item.scores + <usize>i * (PAGE_TOKENS * 4),
    sums = item.sums + <usize>i * ((<usize>padded) << 2);
  const peak = item.peaks + word,
    total = item.totals + word;
  const weights = item.weights + ((<usize>(i >> 2)) << 9) + ((<usize>(i & 3)) << 2);
  const end = scores + PAGE_TOKENS * 4;
  const before = load<f32>(peak);
  let m0 = f32x4.splat(MASKED);
  let m1 = m0;
  for (let at = scores; at < end; at += 32, keyScales += 32, offset += 32) {
    const s0 = madd(v128.load(at), v128.load(keyScales), v128.load(offset));
    const s1 = madd(v128.load(at, 16), v128.load(keyScales, 16), v128.load(offset, 16));
    v128.store(at, s0);
    v128.store(at, s1, 16);
    m0 = f32x4.pmax(m0, s0);
    m1 = f32x4.pmax(m1, s1);
  }
  v128.store(room, m0);
  v128.store(room, m1, 16);
  const now = max(before, horizontalMax(f32x4.pmax(v128.load(room), v128.load(room, 16))));
  const shift = f32x4.splat(now);
  let t0 = f32x4.splat(0);
  let t1 = t0;
  let p0 = t0;
  let p1 = t0;
  for (let at = scores; at < end; at += 32, valueScales += 32) {
    const w0 = exp2Negative(f32x4.sub(v128.load(at), shift));
    const w1 = exp2Negative(f32x4.sub(v128.load(at, 16), shift));
    t0 = f32x4.add(t0, w0);
    t1 = f32x4.add(t1, w1);
    const v0 = f32x4.mul(w0, v128.load(valueScales));
    const v1 = f32x4.mul(w1, v128.load(valueScales, 16));
    v128.store(at, v0);
    v128.store(at, v1, 16);
    p0 = f32x4.pmax(p0, v0);
    p1 = f32x4.pmax(p1, v1);
  }
  v128.store(room, t0);
  v128.store(room, t1, 16);
  v128.store(room, p0, 32);
  v128.store(room, p1, 48);
  const sum = horizontalSum(f32x4.add(v128.load(room), v128.load(room, 16)));
  const greatest = horizontalMax(f32x4.pmax(v128.load(room, 32), v128.load(room, 48)));
  const rescale = exp2Negative(f32x4.splat(before - now));
  store<f32>(total, load<f32>(total) * f32x4.extract_lane(rescale, 0) + sum);
  packPairs(scores, PAGE_TOKENS, f32x4.splat(greatest > 0 ? LIMIT / greatest : 0), weights);
  if (now != before) {
    store<f32>(peak, now);
    const last = sums + ((<usize>padded) << 2);
    for (let at = sums; at < last; at += 32) {
      const low = f32x4.mul(v128.load(at), rescale);
      const high = f32x4.mul(v128.load(at, 16), rescale);
      v128.store(at, low);
      v128.store(at, high, 16);
    }
  }
  store<f32>(item.weightFactors + word, greatest / LIMIT);
}

/** Where a plane's scales lie. */
// @inline
export function scalesOf(plane: usize, headSize: i32): usize {
  return plane + headCodeBytes(CACHE_Q8, headSize);
}

/** Rounds the queries, [count][headSize] f32 where sums will be; the rest of the area has space for a padded one. */
export function packQueries(item: Item): void {
  const count = item.count,
    headSize = item.headSize,
    padded = item.padded;
  const queries = item.queries,
    factors = item.factors,
    room = item.rest;
  let from = item.sums;
  const bytes = (<usize>headSize) << 2;
  memory.fill(room, 0, (<usize>padded) << 2);
  for (let i = 0; i < count; i++, from += bytes) {
    memory.copy(room, from, bytes);
    const factor = packQuery(room, headSize, padded, queries + <usize>(i >> 2) * ((<usize>padded) << 3), i & 3);
    store<f32>(factors + ((<usize>i) << 2), factor);
  }
}

/**
 * Scores of all queries with positions [first, end) of a page, in whole blocks of 16, without the keys'
 * scales; 0 elsewhere.
 */
export function scoreCodes(item: Item, plane: usize, first: i32, end: i32): void {
  const count = item.count,
    headSize = item.headSize,
    padded = item.padded;
  const queries = item.queries,
    factors = item.factors,
    scores = item.scores,
    keys = item.rest;
  const panelBytes = (<usize>padded) << 5;
  const groupBytes = (<usize>padded) << 3;
  memory.fill(scores, 0, <usize>((count + 3) & ~3) * (PAGE_TOKENS * 4));
  for (let block = first >> 4; block < (end + 15) >> 4; block++)
    packKeys(plane + <usize>(block * 16 * headSize), headSize, padded, keys + <usize>block * panelBytes);
  for (let i = 0; i < count; i += 4) {
    const group = queries + <usize>(i >> 2) * groupBytes;
    for (let block = first >> 4; block < (end + 15) >> 4; block++) {
      integerTile(
        group,
        keys + <usize>block * panelBytes,
        64,
        padded >> 1,
        factors + ((<usize>i) << 2),
        scores + <usize>i * (PAGE_TOKENS * 4) + ((<usize>block) << 6),
        PAGE_TOKENS * 4,
      );
    }
  }
}

/**
 * sums[query] += weights[query][first…end) * values of the page; weights outside are 0 where a pair reaches
 * over the edge.
 */
export function addCodes(item: Item, plane: usize, first: i32, end: i32): void {
  const count = item.count,
    headSize = item.headSize,
    padded = item.padded;
  const weights = item.weights,
    factors = item.weightFactors,
    sums = item.sums,
    values = item.values;
  const rowBytes = (<usize>padded) << 2;
  const firstPair = first >> 1;
  const pairs = ((end + 1) >> 1) - firstPair;
  packValues(plane + <usize>(firstPair * 2 * headSize), headSize, padded, pairs, values);
  for (let i = 0; i < count; i += 4) {
    const group = weights + ((<usize>i) << 7) + ((<usize>firstPair) << 4);
    for (let column: usize = 0; column < rowBytes; column += 64)
      integerTile(
        group,
        values + column,
        rowBytes,
        pairs,
        factors + ((<usize>i) << 2),
        sums + <usize>i * rowBytes + column,
        rowBytes,
      );
  }
}
