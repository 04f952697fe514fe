// The selective scan of Mamba-1 (Gu & Dao 2023, Algorithm 2), fused with softplus, the skip D and the gate:
//   dt = softplus(dtRaw + dtBias);  h = exp(dt A) h + dt B u;  y = (C h + D u) silu(z)
//
// Lanes are channels: `a` and the state h are [ceil(channels / 4)][states][4], lanes behind the last channel zero,
// while u, dt, z and y are [rows][stride] with exactly `channels` columns; b and c are [rows][bcStride].
//
// The exponential is 2^(dt log2(e) A), A <= 0, split into a whole part n and a fraction, so that its polynomial (2^f in
// degree 5, relative error 9e-8 at most and none at f = 0, where long memories live) and a shift by n suffice. A state
// decays to exactly 0 where the exponent leaves the range.
//
// A group of channels is prepared for a row first (softplus, SiLU and products, eight channels per iteration). Then its
// states advance, two states of four channels per iteration. V8 merges both into 256-bit operations where it can; for
// that, b and c of a row are written out, each state four times. (Preparing block by block between the states, four
// lanes wide, is 1.3 times slower.) Scratch of a thread: prepared values [4][GROUP], b and c [states][4], two vectors,
// and a group's states, for drafts.
//
// A chunk of many rows is a group, all segments, row after row: its states stay in the first-level cache, and each cache
// line of a row is used whole. (Block after block, all rows each, was 2.4 times slower at 256 rows: rows lie a multiple
// of the cache's size apart and evict each other.)
import { claimRange, liveRows, madd, nextChunk, rangeEnd, rangeFirst, rowAt } from '../common/common';
import { LEAST_EXPONENT, LOG2_E, loadFloats, ROUNDING, silu, softplus, storeFloats, ZEROS } from '../common/math';
import { isHeld, recurrentState, rowCount, rowStart, segmentAt, segmentCount } from '../common/step';
import { SCAN_CHANNELS } from '../constants';
import { SelectiveScan } from '../op-records';

/** 2^f - 1 for f in [-0.5, 0.5], divided by f, lowest degree first. */
const FRACTION: usize = memory.data<f32>(
  [0.6931470036506653, 0.24022242426872253, 0.05550733581185341, 0.009671512991189957, 0.0013264721492305398, 1.0],
  16,
);

/** Channels of a group: eight cache lines of every row; chunks of 32 were 1.5 times slower at 256 rows. */
// @inline
const GROUP: i32 = SCAN_CHANNELS;
/** Bytes of one prepared value of all of a group's channels. */
// @inline
const PREPARED: usize = 4 * <usize>GROUP;
/** Up to this many rows, a thread's changes of place in memory cost more than cache misses. */
// @inline
const FEW_ROWS: i32 = 4;
// @inline
const LEAST_EIGHTS: i32 = 8;

export function selectiveScan(op: SelectiveScan, thread: i32, threads: i32): void {
  if (liveRows(op) == 0) return;
  const channels = op.channels;
  const scratch = op.scratch + <usize>thread * op.threadBytes;
  if (liveRows(op) <= FEW_ROWS) {
    while (claimRange(op, (channels + 7) / 8, threads, LEAST_EIGHTS))
      scanRange(op, rangeFirst * 8, min(channels, rangeEnd * 8), scratch);
    return;
  }
  const run = max(8, min(GROUP, (channels / (threads * 8)) & ~7));
  const chunks = (channels + run - 1) / run;
  for (let chunk = nextChunk(op); chunk < chunks; chunk = nextChunk(op))
    scanRange(op, chunk * run, min(channels, (chunk + 1) * run), scratch);
}

/** Channels [first, end) of all segments. */
function scanRange(op: SelectiveScan, first: i32, end: i32, scratch: usize): void {
  const segments = op.segments;
  const count = segmentCount(segments);
  for (; first < end; first += GROUP)
    for (let s = 0; s < count; s++) scanGroup(op, segmentAt(segments, s), first, min(GROUP, end - first), scratch);
}

/** Bytes of a thread's scratch before the states of a draft. */
// @inline
function statesAt(states: i32): usize {
  return <usize>((states * 32 + 32 + 63) & ~63) + 4 * PREPARED;
}

/** to[n][0…4] = from[n] */
// @inline
function spread(from: usize, states: i32, to: usize): void {
  const end = from + ((<usize>states) << 2);
  for (; from < end; from += 4, to += 16) v128.store(to, v128.load32_splat(from));
}

/** The rows of a segment, `count` channels from `first` on. */
function scanGroup(op: SelectiveScan, segment: usize, first: i32, count: i32, scratch: usize): void {
  const states = op.states;
  const shift = (<usize>first) << 2;
  const a = op.a + shift * <usize>states;
  let state = recurrentState(segment, op.stateOffset) + shift * <usize>states;
  if (isHeld(segment)) {
    const own = scratch + statesAt(states);
    memory.copy(own, state, <usize>((count + 3) & ~3) * <usize>states * 4);
    state = own;
  }
  const b = scratch + 4 * PREPARED;
  const c = b + ((<usize>states) << 4);
  const end = rowStart(segment) + rowCount(segment);
  for (let row = rowStart(segment); row < end; row++) {
    spread(rowAt(op.b, op.bcStride, row), states, b);
    spread(rowAt(op.c, op.bcStride, row), states, c);
    prepare(
      rowAt(op.u, op.uStride, row) + shift,
      rowAt(op.dt, op.dtStride, row) + shift,
      op.dtBias,
      shift,
      rowAt(op.z, op.zStride, row) + shift,
      op.d + shift,
      scratch,
      count,
    );
    advance(a, state, states, b, c, scratch, count, rowAt(op.y, op.yStride, row) + shift);
  }
}

/** What a row's states need of each channel: dt log2(e), dt u, D u and silu(z), PREPARED bytes apart. */
function prepare(u: usize, dt: usize, bias: usize, shift: usize, z: usize, d: usize, to: usize, count: i32): void {
  const biasStep: usize = bias != 0 ? 32 : 0;
  bias = bias != 0 ? bias + shift : ZEROS;
  for (; count >= 8; count -= 8) {
    const u0 = v128.load(u),
      u1 = v128.load(u, 16);
    const dt0 = softplus(f32x4.add(v128.load(dt), v128.load(bias)));
    const dt1 = softplus(f32x4.add(v128.load(dt, 16), v128.load(bias, 16)));
    const log2e = v128.load32_splat(LOG2_E);
    const decay0 = f32x4.mul(dt0, log2e);
    const decay1 = f32x4.mul(dt1, log2e);
    const drive0 = f32x4.mul(dt0, u0);
    const drive1 = f32x4.mul(dt1, u1);
    const skip0 = f32x4.mul(v128.load(d), u0);
    const skip1 = f32x4.mul(v128.load(d, 16), u1);
    const gate0 = silu(v128.load(z));
    const gate1 = silu(v128.load(z, 16));
    v128.store(to, decay0);
    v128.store(to, decay1, 16);
    v128.store(to, drive0, PREPARED);
    v128.store(to, drive1, PREPARED + 16);
    v128.store(to, skip0, 2 * PREPARED);
    v128.store(to, skip1, 2 * PREPARED + 16);
    v128.store(to, gate0, 3 * PREPARED);
    v128.store(to, gate1, 3 * PREPARED + 16);
    u += 32;
    dt += 32;
    bias += biasStep;
    z += 32;
    d += 32;
    to += 32;
  }
  for (; count > 0; count -= 4) {
    const lanes = min(4, count);
    const x = loadFloats(u, lanes);
    const step = softplus(f32x4.add(loadFloats(dt, lanes), loadFloats(bias, lanes)));
    v128.store(to, f32x4.mul(step, v128.load32_splat(LOG2_E)));
    v128.store(to, f32x4.mul(step, x), PREPARED);
    v128.store(to, f32x4.mul(loadFloats(d, lanes), x), 2 * PREPARED);
    v128.store(to, silu(loadFloats(z, lanes)), 3 * PREPARED);
    u += 16;
    dt += 16;
    bias += biasStep >> 1;
    z += 16;
    d += 16;
    to += 16;
  }
}

/**
 * One row of `count` channels, four at a time: updates their states, y = (C h + D u) gate. `b` and `c` are
 * spread over four lanes.
 */
function advance(a: usize, state: usize, states: i32, b: usize, c: usize, prepared: usize, count: i32, y: usize): void {
  const rounding = v128.load32_splat(ROUNDING);
  const least = v128.load32_splat(LEAST_EXPONENT);
  const c1 = v128.load32_splat(FRACTION);
  const c2 = v128.load32_splat(FRACTION + 4);
  const c3 = v128.load32_splat(FRACTION + 8);
  const c4 = v128.load32_splat(FRACTION + 12);
  const c5 = v128.load32_splat(FRACTION + 16);
  const one = v128.load32_splat(FRACTION + 20);
  const room = c + ((<usize>states) << 4);
  const most = (<usize>(states & ~1)) << 4;
  for (; count > 0; count -= 4) {
    const decays = v128.load(prepared);
    const drives = v128.load(prepared, PREPARED);
    let even = f32x4.splat(0);
    let odd = f32x4.splat(0);
    let bn = b;
    let cn = c;
    for (const end = a + most; a < end; a += 32, state += 32, bn += 32, cn += 32) {
      const exponent0 = f32x4.pmax(f32x4.mul(decays, v128.load(a)), least);
      const exponent1 = f32x4.pmax(f32x4.mul(decays, v128.load(a, 16)), least);
      const shifted0 = f32x4.add(exponent0, rounding);
      const shifted1 = f32x4.add(exponent1, rounding);
      const f0 = f32x4.sub(exponent0, f32x4.sub(shifted0, rounding));
      const f1 = f32x4.sub(exponent1, f32x4.sub(shifted1, rounding));
      let p0 = madd(c5, f0, c4);
      let p1 = madd(c5, f1, c4);
      p0 = madd(p0, f0, c3);
      p1 = madd(p1, f1, c3);
      p0 = madd(p0, f0, c2);
      p1 = madd(p1, f1, c2);
      p0 = madd(p0, f0, c1);
      p1 = madd(p1, f1, c1);
      p0 = madd(p0, f0, one);
      p1 = madd(p1, f1, one);
      p0 = i32x4.add(p0, i32x4.shl(shifted0, 23));
      p1 = i32x4.add(p1, i32x4.shl(shifted1, 23));
      const h0 = madd(p0, v128.load(state), f32x4.mul(drives, v128.load(bn)));
      const h1 = madd(p1, v128.load(state, 16), f32x4.mul(drives, v128.load(bn, 16)));
      v128.store(state, h0);
      v128.store(state, h1, 16);
      even = madd(h0, v128.load(cn), even);
      odd = madd(h1, v128.load(cn, 16), odd);
    }
    // Through memory, since only what is stored side by side is merged.
    v128.store(room, even);
    v128.store(room, odd, 16);
    let sum = v128.load(prepared, 2 * PREPARED);
    if (states & 1) {
      const exponent = f32x4.pmax(f32x4.mul(decays, v128.load(a)), least);
      const shifted = f32x4.add(exponent, rounding);
      const f = f32x4.sub(exponent, f32x4.sub(shifted, rounding));
      let p = madd(c5, f, c4);
      p = madd(p, f, c3);
      p = madd(p, f, c2);
      p = madd(p, f, c1);
      p = madd(p, f, one);
      p = i32x4.add(p, i32x4.shl(shifted, 23));
      const h = madd(p, v128.load(state), f32x4.mul(drives, v128.load(bn)));
      v128.store(state, h);
      sum = madd(h, v128.load(cn), sum);
      a += 16;
      state += 16;
    }
    sum = f32x4.add(sum, f32x4.add(v128.load(room), v128.load(room, 16)));
    storeFloats(y, f32x4.mul(sum, v128.load(prepared, 3 * PREPARED)), min(4, count));
    prepared += 16;
    y += 16;
  }
}
