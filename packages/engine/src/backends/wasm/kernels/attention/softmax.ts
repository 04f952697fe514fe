// The softmax of f32 attention (float.ts), lanes being queries: scores become weights where they lie, under
// the peak of all that a query has seen, and totals, peaks and sums follow. Maxima and sums over positions
// need no horizontal steps.

import { madd } from '../common/common';
import { exp2Negative } from '../common/math';
import { Item } from './item-record';

/**
 * Below every real score, and far enough from the masked ones that their weight is 0 even where nothing else
 * is seen.
 */
// @inline
export const NO_PEAK: f32 = -1e30;
// @inline
export const MASKED: f32 = -3e38;

/** Where a block's scores are: queries of blocks of 16, then of 4, have [64 positions][16 or 4] each. */
// @inline
export function inSixteen(query: i32, aligned: i32): bool {
  return query < (aligned & ~15);
}

/** Positions of [first, end) that a query does not see, [low, high), are masked. */
export function maskScores(scores: usize, query: i32, aligned: i32, first: i32, end: i32, low: i32, high: i32): void {
  const shift: usize = inSixteen(query, aligned) ? 6 : 4;
  const lane = query & (inSixteen(query, aligned) ? 15 : 3);
  const at = scores + ((<usize>(query - lane)) << 8) + ((<usize>lane) << 2);
  for (let p = first; p < end; p++) if (p < low || p >= high) store<f32>(at + ((<usize>p) << shift), MASKED);
}

/** Weights of positions [first, end), multiples of four, of all queries. Room for eight vectors. */
export function weighScores(item: Item, first: i32, end: i32): void {
  const scores = item.scores,
    aligned = item.aligned,
    sums = item.sums,
    padded = item.padded;
  const totals = item.totals,
    peaks = item.peaks,
    room = item.rest;
  const row = (<usize>padded) << 2;
  let q = 0;
  for (; inSixteen(q, aligned); q += 8) {
    const at = scores + ((<usize>(q & ~15)) << 8) + ((<usize>(q & 8)) << 2);
    const word = (<usize>q) << 2;
    weighEight(at + ((<usize>first) << 6), at + ((<usize>end) << 6), totals + word, peaks + word, room);
    rescale(room, 8, sums + <usize>q * row, row);
  }
  for (; q < aligned; q += 4) {
    const at = scores + ((<usize>q) << 8);
    const word = (<usize>q) << 2;
    weighFour(at + ((<usize>first) << 4), at + ((<usize>end) << 4), totals + word, peaks + word, room);
    rescale(room, 4, sums + <usize>q * row, row);
  }
}

/** Half a block of 16, whose positions are 64 bytes apart. Leaves the factors of the sums in the room. */
function weighEight(scores: usize, end: usize, totals: usize, peaks: usize, room: usize): void {
  const before0 = v128.load(peaks),
    before1 = v128.load(peaks, 16);
  let m0 = before0,
    m1 = before1,
    m2 = before0,
    m3 = before1;
  for (let at = scores; at < end; at += 128) {
    m0 = f32x4.pmax(m0, v128.load(at));
    m1 = f32x4.pmax(m1, v128.load(at, 16));
    m2 = f32x4.pmax(m2, v128.load(at, 64));
    m3 = f32x4.pmax(m3, v128.load(at, 80));
  }
  m0 = f32x4.pmax(m0, m2);
  m1 = f32x4.pmax(m1, m3);
  v128.store(peaks, m0);
  v128.store(peaks, m1, 16);
  let t0 = f32x4.splat(0),
    t1 = t0,
    t2 = t0,
    t3 = t0;
  for (let at = scores; at < end; at += 128) {
    m0 = v128.load(peaks);
    m1 = v128.load(peaks, 16);
    const a0 = exp2Negative(f32x4.sub(v128.load(at), m0)),
      a1 = exp2Negative(f32x4.sub(v128.load(at, 16), m1));
    const b0 = exp2Negative(f32x4.sub(v128.load(at, 64), m0)),
      b1 = exp2Negative(f32x4.sub(v128.load(at, 80), m1));
    t0 = f32x4.add(t0, a0);
    t1 = f32x4.add(t1, a1);
    t2 = f32x4.add(t2, b0);
    t3 = f32x4.add(t3, b1);
    v128.store(at, a0);
    v128.store(at, a1, 16);
    v128.store(at, b0, 64);
    v128.store(at, b1, 80);
  }
  const f0 = exp2Negative(f32x4.sub(before0, v128.load(peaks))),
    f1 = exp2Negative(f32x4.sub(before1, v128.load(peaks, 16)));
  v128.store(room, f0);
  v128.store(room, f1, 16);
  t0 = madd(v128.load(totals), f0, f32x4.add(t0, t2));
  t1 = madd(v128.load(totals, 16), f1, f32x4.add(t1, t3));
  v128.store(totals, t0);
  v128.store(totals, t1, 16);
}

/** A block of 4, whose positions are 16 bytes apart: vectors of two positions are what lies side by side. */
function weighFour(scores: usize, end: usize, totals: usize, peaks: usize, room: usize): void {
  const before = v128.load(peaks);
  let m0 = before,
    m1 = before,
    m2 = before,
    m3 = before;
  for (let at = scores; at < end; at += 64) {
    m0 = f32x4.pmax(m0, v128.load(at));
    m1 = f32x4.pmax(m1, v128.load(at, 16));
    m2 = f32x4.pmax(m2, v128.load(at, 32));
    m3 = f32x4.pmax(m3, v128.load(at, 48));
  }
  v128.store(room, m0);
  v128.store(room, m1, 16);
  v128.store(room, m2, 32);
  v128.store(room, m3, 48);
  const now = f32x4.pmax(
    f32x4.pmax(v128.load(room), v128.load(room, 16)),
    f32x4.pmax(v128.load(room, 32), v128.load(room, 48)),
  );
  v128.store(peaks, now);
  let t0 = f32x4.splat(0),
    t1 = t0,
    t2 = t0,
    t3 = t0;
  for (let at = scores; at < end; at += 64) {
    const m = v128.load(peaks);
    const a = exp2Negative(f32x4.sub(v128.load(at), m)),
      b = exp2Negative(f32x4.sub(v128.load(at, 16), m));
    const c = exp2Negative(f32x4.sub(v128.load(at, 32), m)),
      d = exp2Negative(f32x4.sub(v128.load(at, 48), m));
    t0 = f32x4.add(t0, a);
    t1 = f32x4.add(t1, b);
    t2 = f32x4.add(t2, c);
    t3 = f32x4.add(t3, d);
    v128.store(at, a);
    v128.store(at, b, 16);
    v128.store(at, c, 32);
    v128.store(at, d, 48);
  }
  v128.store(room, t0, 64);
  v128.store(room, t1, 80);
  v128.store(room, t2, 96);
  v128.store(room, t3, 112);
  const sum = f32x4.add(
    f32x4.add(v128.load(room, 64), v128.load(room, 80)),
    f32x4.add(v128.load(room, 96), v128.load(room, 112)),
  );
  const factor = exp2Negative(f32x4.sub(before, now));
  v128.store(room, factor);
  v128.store(totals, madd(v128.load(totals), factor, sum));
}

/** Sums of the queries whose peak rose. */
function rescale(factors: usize, count: i32, sums: usize, row: usize): void {
  for (const end = factors + ((<usize>count) << 2); factors < end; factors += 4, sums += row) {
    if (load<f32>(factors) == 1) continue;
    const factor = v128.load32_splat(factors);
    for (let at = sums; at < sums + row; at += 16) v128.store(at, f32x4.mul(v128.load(at), factor));
  }
}
