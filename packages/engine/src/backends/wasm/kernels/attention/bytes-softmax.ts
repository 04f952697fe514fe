// The softmax of bytes-tiles.ts, one query per lane: turns a page's scores into weights of 16 bits under the peak of
// their pair of pages, so that their precision does not depend on earlier pages, and updates the queries' peaks,
// totals and sums.

import { madd } from '../common/common';
import { exp2Negative, horizontalMax, LEAST_EXPONENT, ROUNDING } from '../common/math';
import { PAGE_TOKENS } from '../constants';
import { blockSize } from './bytes-tiles';
import { Item } from './item-record';
import { PAIR_TOKENS } from './shape';

// @inline
const NO_PEAK: f32 = -1e30;
// @inline
const MASKED: f32 = -3e38;
// @inline
const LIMIT: f32 = 65535;

/** The low halves of lanes; the first and third byte; the second and fourth. */
const MASKS: usize = memory.data<u32>(
  [
    0x0000ffff, 0x0000ffff, 0x0000ffff, 0x0000ffff, 0x00ff00ff, 0x00ff00ff, 0x00ff00ff, 0x00ff00ff, 0xff00ff00,
    0xff00ff00, 0xff00ff00, 0xff00ff00,
  ],
  16,
);

/** (2^f - 1) / f for f in [-0.5, 0.5], so that 2^f is right to 3e-6 (weights are rounded to 1.5e-5); 1. */
const POWER: usize = memory.data<f32>(
  [0.6931241750717163, 0.24024099111557007, 0.055906426161527634, 0.009582852944731712, 1.0],
  16,
);

/** 2^x for x <= 0 to 3e-6; 0 from -127 down. */
// @inline
function power(x: v128): v128 {
  const rounding = v128.load32_splat(ROUNDING);
  x = f32x4.pmax(x, v128.load32_splat(LEAST_EXPONENT));
  const shifted = f32x4.add(x, rounding);
  const f = f32x4.sub(x, f32x4.sub(shifted, rounding));
  let p = madd(v128.load32_splat(POWER, 12), f, v128.load32_splat(POWER, 8));
  p = madd(p, f, v128.load32_splat(POWER, 4));
  p = madd(p, f, v128.load32_splat(POWER));
  p = madd(p, f, v128.load32_splat(POWER, 16));
  return i32x4.add(p, i32x4.shl(shifted, 23));
}

/** A weight's bits: the integer in the low half, nothing that matters above. */
// @inline
function rounded(weight: v128, unit: v128, scale: v128): v128 {
  return madd(f32x4.mul(weight, unit), scale, v128.load32_splat(ROUNDING));
}

/** Integers of positions p and p + 2 in the halves of lanes. */
// @inline
function halves(a: v128, b: v128): v128 {
  return v128.or(v128.and(a, v128.load(MASKS)), i32x4.shl(b, 16));
}

// @inline
function highPlane(a: v128, b: v128): v128 {
  return v128.or(v128.and(i32x4.shr_u(a, 8), v128.load(MASKS + 16)), v128.and(b, v128.load(MASKS + 32)));
}

// @inline
function lowPlane(a: v128, b: v128): v128 {
  return v128.or(v128.and(a, v128.load(MASKS + 16)), v128.and(i32x4.shl(b, 8), v128.load(MASKS + 32)));
}

/**
 * Scores of 8 queries become weights under the pair's own peak and join totals; `scales` are the values',
 * `units` 65,535 over the largest of those that a query sees. Room: the peaks of the pair, then sums.
 */
function weighEight(
  scores: usize,
  count: usize,
  scales: usize,
  units: usize,
  to: usize,
  step: usize,
  room: usize,
): void {
  const none = f32x4.splat(NO_PEAK);
  let m0 = none,
    m1 = none,
    m2 = none,
    m3 = none;
  const end = scores + (count << 5);
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
  m0 = f32x4.pmax(v128.load(room), v128.load(room, 32));
  m1 = f32x4.pmax(v128.load(room, 16), v128.load(room, 48));
  v128.store(room, m0);
  v128.store(room, m1, 16);
  const u0 = v128.load(units),
    u1 = v128.load(units, 16);
  let t0 = f32x4.splat(0),
    t1 = t0;
  for (let at = scores; at < end; at += 128, scales += 16, to += step) {
    m0 = v128.load(room);
    m1 = v128.load(room, 16);
    const a0 = power(f32x4.sub(v128.load(at), m0)),
      a1 = power(f32x4.sub(v128.load(at, 16), m1));
    const b0 = power(f32x4.sub(v128.load(at, 32), m0)),
      b1 = power(f32x4.sub(v128.load(at, 48), m1));
    const c0 = power(f32x4.sub(v128.load(at, 64), m0)),
      c1 = power(f32x4.sub(v128.load(at, 80), m1));
    const d0 = power(f32x4.sub(v128.load(at, 96), m0)),
      d1 = power(f32x4.sub(v128.load(at, 112), m1));
    t0 = f32x4.add(t0, f32x4.add(f32x4.add(a0, b0), f32x4.add(c0, d0)));
    t1 = f32x4.add(t1, f32x4.add(f32x4.add(a1, b1), f32x4.add(c1, d1)));
    const sa = v128.load32_splat(scales),
      sb = v128.load32_splat(scales, 4);
    const sc = v128.load32_splat(scales, 8),
      sd = v128.load32_splat(scales, 12);
    const ac0 = halves(rounded(a0, u0, sa), rounded(c0, u0, sc)),
      ac1 = halves(rounded(a1, u1, sa), rounded(c1, u1, sc));
    const bd0 = halves(rounded(b0, u0, sb), rounded(d0, u0, sd)),
      bd1 = halves(rounded(b1, u1, sb), rounded(d1, u1, sd));
    const h0 = highPlane(ac0, bd0),
      h1 = highPlane(ac1, bd1);
    const l0 = lowPlane(ac0, bd0),
      l1 = lowPlane(ac1, bd1);
    v128.store(to, h0);
    v128.store(to, h1, 16);
    v128.store(to, l0, 32);
    v128.store(to, l1, 48);
  }
  v128.store(room, t0, 32);
  v128.store(room, t1, 48);
}

/**
 * The same for 4 queries; vectors of positions p and p + 1 are what lies side by side. Scales come four times
 * each from `spread`.
 */
function weighFour(
  scores: usize,
  count: usize,
  spread: usize,
  units: usize,
  to: usize,
  step: usize,
  room: usize,
): void {
  const none = f32x4.splat(NO_PEAK);
  let m0 = none,
    m1 = none,
    m2 = none,
    m3 = none;
  const end = scores + (count << 4);
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
  m0 = f32x4.pmax(
    f32x4.pmax(v128.load(room), v128.load(room, 16)),
    f32x4.pmax(v128.load(room, 32), v128.load(room, 48)),
  );
  const u0 = v128.load(units);
  let t0 = f32x4.splat(0),
    t1 = t0;
  for (let at = scores; at < end; at += 64, spread += 64, to += step) {
    const a = power(f32x4.sub(v128.load(at), m0)),
      b = power(f32x4.sub(v128.load(at, 16), m0));
    const c = power(f32x4.sub(v128.load(at, 32), m0)),
      d = power(f32x4.sub(v128.load(at, 48), m0));
    t0 = f32x4.add(t0, f32x4.add(a, c));
    t1 = f32x4.add(t1, f32x4.add(b, d));
    const ac = halves(rounded(a, u0, v128.load(spread)), rounded(c, u0, v128.load(spread, 32)));
    const bd = halves(rounded(b, u0, v128.load(spread, 16)), rounded(d, u0, v128.load(spread, 48)));
    v128.store(room, ac, 64);
    v128.store(room, bd, 80);
    const x = v128.load(room, 64),
      y = v128.load(room, 80);
    v128.store(to, highPlane(x, y));
    v128.store(to, lowPlane(x, y), 16);
  }
  v128.store(room, m0);
  v128.store(room, t0, 64);
  v128.store(room, t1, 80);
  v128.store(room, f32x4.add(v128.load(room, 64), v128.load(room, 80)), 32);
}

/**
 * The scores of a pair's first `count` positions (64 or 128) become weights; totals, peaks and sums follow.
 * `limits` holds for each query the largest scale of the values that it sees, and becomes 65,535 over it; the
 * factors of weights are written.
 */
export function weighBytes(item: Item, count: usize): void {
  const aligned = item.aligned,
    padded = item.padded,
    scores = item.scores,
    scales = item.scales,
    room = item.room;
  const limits = item.limits,
    factors = item.weightFactors,
    weights = item.weights;
  const sums = item.sums,
    totals = item.totals,
    peaks = item.peaks;
  const spread = room + 512;
  for (let p: usize = 0; p < count; p++) v128.store(spread + (p << 4), v128.load32_splat(scales + (p << 2)));
  for (let q = 0, size = 0; q < aligned; q += size) {
    size = blockSize(aligned - q);
    const block = weights + ((<usize>q) << 8);
    for (let i = 0; i < size; i += 8) {
      const at = <usize>(q + i);
      const word = at << 2;
      const panel = sums + at * ((<usize>padded) << 2);
      takeLimits(limits + word, factors + word);
      if (size - i > 4) {
        takeLimits(limits + word + 16, factors + word + 16);
        weighEight(
          scores + (at << 9),
          count,
          scales,
          limits + word,
          block + ((<usize>i) << 3),
          (<usize>size) << 3,
          room,
        );
        join(room, room + 32, totals + word, peaks + word, factors + word, panel, padded, 32);
        join(room + 16, room + 48, totals + word + 16, peaks + word + 16, factors + word + 16, panel + 16, padded, 32);
      } else {
        weighFour(
          scores + (at << 9),
          count,
          spread,
          limits + word,
          block + ((<usize>i) << 3),
          (<usize>size) << 3,
          room,
        );
        join(room, room + 32, totals + word, peaks + word, factors + word, panel, padded, 16);
      }
    }
  }
}

// @inline
function takeLimits(limits: usize, factors: usize): void {
  const limit = v128.load(limits),
    most = f32x4.splat(LIMIT);
  v128.store(factors, f32x4.div(limit, most));
  v128.store(limits, v128.and(f32x4.div(most, limit), f32x4.gt(limit, f32x4.splat(0))));
}

/** Four queries' page joins what they have: totals, peaks, factors, and sums where a peak rose. */
function join(
  pagePeaks: usize,
  pageTotals: usize,
  totals: usize,
  peaks: usize,
  factors: usize,
  sums: usize,
  padded: i32,
  stride: usize,
): void {
  const before = v128.load(peaks),
    page = v128.load(pagePeaks);
  const now = f32x4.pmax(before, page);
  const old = exp2Negative(f32x4.sub(before, now)),
    fresh = exp2Negative(f32x4.sub(page, now));
  v128.store(totals, madd(v128.load(totals), old, f32x4.mul(v128.load(pageTotals), fresh)));
  v128.store(factors, f32x4.mul(v128.load(factors), fresh));
  if (!v128.any_true(f32x4.ne(before, now))) return;
  v128.store(peaks, now);
  for (const end = sums + <usize>padded * stride; sums < end; sums += stride)
    v128.store(sums, f32x4.mul(v128.load(sums), old));
}

/**
 * Of `count` positions of a pair, those that a query of lane `i` does not see are masked; returns the largest
 * scale of values that it sees.
 */
export function maskBytes(scores: usize, i: i32, aligned: i32, low: i32, high: i32, count: i32, scales: usize): f32 {
  let q = 0;
  let size = blockSize(aligned);
  while (i >= q + size) {
    q += size;
    size = blockSize(aligned - q);
  }
  const inBlock = i - q;
  const width = size - (inBlock & ~7) > 4 ? 8 : 4;
  const lane = inBlock & (width - 1);
  let at = scores + ((<usize>(i - lane)) << 9) + ((<usize>lane) << 2);
  let most: f32 = 0;
  for (let p = 0; p < count; p++, at += (<usize>width) << 2) {
    if (p >= low && p < high) most = max(most, load<f32>(scales + ((<usize>p) << 2)));
    else store<f32>(at, MASKED);
  }
  return most;
}

/** The largest of a pair's scales. */
export function largestScale(scales: usize): f32 {
  const end = scales + PAIR_TOKENS * 4;
  let a = f32x4.splat(0),
    b = a;
  for (; scales < end; scales += 32) {
    a = f32x4.pmax(a, v128.load(scales));
    b = f32x4.pmax(b, v128.load(scales, 16));
  }
  return horizontalMax(f32x4.pmax(a, b));
}

/**
 * The values' scales of positions [first, end) of a page, 0 elsewhere: whatever lies in a slot that was never
 * written must not count.
 */
export function copyScales(from: usize, first: i32, end: i32, to: usize): void {
  for (let p = 0; p < PAGE_TOKENS; p += 4) {
    const at = (<usize>p) << 2;
    if (p >= first && p + 4 <= end) v128.store(to + at, v128.load(from + at));
    else
      for (let i = p; i < p + 4; i++)
        store<f32>(to + ((<usize>i) << 2), i >= first && i < end ? load<f32>(from + ((<usize>i) << 2)) : 0);
  }
}
