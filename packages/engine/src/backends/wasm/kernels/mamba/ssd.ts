// The scan of Mamba-2 (Dao & Gu 2024, section 6), in its recurrent form; one decay and one step per head:
//   dt = clamp(softplus(dtRaw + dtBias));  S = exp(dt A) S + (dt x) B^T;  y = S C + D x
//
// Lanes are states: S is [heads][headSize][states], one row for each channel of x and y, so that B and C of a row are
// read as they lie. (Lanes of channels, as in scan.ts, would need both spread over four lanes.) Eight states of four
// rows are worked on per iteration, in vectors that lie side by side, which V8 merges into 256-bit ones.
//
// One chunk is a run of blocks of BLOCK rows of heads, through all rows of all segments: its states stay in the
// first-level cache, and who owns a row of S owns its channel of y. A chunk that holds a part of a head computes the
// head's step and decay again, from the same numbers. The order of sums in a row of S depends on nothing else, so any
// cut of a prompt and any number of threads gives the same bits. Scratch of a thread: the sums of four rows, [4][8],
// and SSD_HELD_ROWS rows of a head, for drafts.
import { claimRange, liveRows, madd, nextChunk, rangeEnd, rangeFirst, rowAt } from '../common/common';
import { expNegative, horizontalSum, horizontalSums, loadFloats, softplus, storeFloats } from '../common/math';
import { SSD_HELD_ROWS } from '../constants';
import { SsdScan } from '../op-records';
import { isHeld, recurrentState, rowCount, rowStart, segmentAt, segmentCount } from '../common/step';

/** Rows of S that are never shared between threads. */
// @inline
const BLOCK: i32 = 8;
/** Bytes of states that a chunk of many rows holds: half of a first-level cache, so that rows of B and C fit beside. */
// @inline
const MOST_BYTES: i32 = 16_384;
/** Up to this many rows per segment, states come from memory, and long claims are what counts (claimRange). */
// @inline
const FEW_ROWS: i32 = 4;
/** Bytes of the sums of four rows. */
// @inline
const SUM_BYTES: usize = 128;

export function ssdScan(op: SsdScan, thread: i32, threads: i32): void {
  if (liveRows(op) == 0) return;
  const perHead = (op.headSize + BLOCK - 1) / BLOCK;
  const blocks = op.heads * perHead;
  const room = op.scratch + <usize>thread * op.threadBytes;
  if (liveRows(op) <= FEW_ROWS * segmentCount(op.segments)) {
    while (claimRange(op, blocks, threads, 1)) scanBlocks(op, rangeFirst, rangeEnd, perHead, room);
    return;
  }
  const fitting = max(1, MOST_BYTES / (op.states * BLOCK * 4));
  const run = max(1, min(min(fitting, perHead), blocks / (threads * 8)));
  const chunks = (blocks + run - 1) / run;
  for (let chunk = nextChunk(op); chunk < chunks; chunk = nextChunk(op))
    scanBlocks(op, chunk * run, min(blocks, (chunk + 1) * run), perHead, room);
}

/** Blocks [first, end), each head's on their own. */
function scanBlocks(op: SsdScan, first: i32, end: i32, perHead: i32, room: usize): void {
  const segments = op.segments;
  const count = segmentCount(segments);
  while (first < end) {
    const head = first / perHead;
    const last = min(end, (head + 1) * perHead);
    const channel = (first - head * perHead) * BLOCK;
    const channels = min(op.headSize, (last - head * perHead) * BLOCK) - channel;
    for (let s = 0; s < count; s++) scanHead(op, segmentAt(segments, s), head, channel, channels, room);
    first = last;
  }
}

/** `count` channels of a head from `channel` on. */
function scanHead(op: SsdScan, segment: usize, head: i32, channel: i32, count: i32, room: usize): void {
  const rowBytes = <usize>op.states << 2;
  const state = recurrentState(segment, op.stateOffset) + <usize>(head * op.headSize + channel) * rowBytes;
  if (!isHeld(segment)) {
    scanRows(op, segment, head, channel, count, state, room);
    return;
  }
  const own = room + SUM_BYTES;
  for (let first = 0; first < count; first += SSD_HELD_ROWS) {
    const some = min(SSD_HELD_ROWS, count - first);
    memory.copy(own, state + <usize>first * rowBytes, <usize>some * rowBytes);
    scanRows(op, segment, head, channel + first, some, own, room);
  }
}

/** The rows of a segment; `state` is that of `count` channels of a head from `channel` on. */
function scanRows(
  op: SsdScan, segment: usize, head: i32, channel: i32, count: i32, state: usize, room: usize,
): void {
  const states = op.states;
  const shift = <usize>head << 2;
  const at = <usize>(head * op.headSize + channel);
  const bc = <usize>((head / (op.heads / op.groups)) * states) << 2;
  const a = v128.load32_splat(op.a + shift);
  const skip = v128.load32_splat(op.d + shift);
  const bias = v128.load32_splat(op.dtBias + shift);
  const least = f32x4.splat(op.leastStep);
  const most = f32x4.splat(op.mostStep);
  const end = rowStart(segment) + rowCount(segment);
  for (let row = rowStart(segment); row < end; row++) {
    const raw = v128.load32_splat(rowAt(op.dt, op.dtStride, row) + shift);
    const dt = f32x4.pmin(f32x4.pmax(softplus(f32x4.add(raw, bias)), least), most);
    advance(
      state, states, rowAt(op.b, op.bcStride, row) + bc, rowAt(op.c, op.bcStride, row) + bc,
      rowAt(op.x, op.xStride, row) + (at << 2), rowAt(op.y, op.yStride, row) + (at << 2), count,
      dt, expNegative(f32x4.mul(dt, a)), skip, room,
    );
  }
}

/** One row of `count` channels: updates their rows of S; y = S C + D x. */
function advance(
  state: usize, states: i32, b: usize, c: usize, x: usize, y: usize, count: i32, dt: v128, decay: v128, skip: v128,
  room: usize,
): void {
  const rowBytes = <usize>states << 2;
  for (; count >= 4; count -= 4) {
    const inputs = v128.load(x);
    advanceFour(state, states, b, c, decay, f32x4.mul(dt, inputs), room);
    const sums = horizontalSums(
      rest(state, states, b, c, decay, f32x4.mul(dt, v128.load32_splat(x)), room),
      rest(state + rowBytes, states, b, c, decay, f32x4.mul(dt, v128.load32_splat(x, 4)), room + 32),
      rest(state + 2 * rowBytes, states, b, c, decay, f32x4.mul(dt, v128.load32_splat(x, 8)), room + 64),
      rest(state + 3 * rowBytes, states, b, c, decay, f32x4.mul(dt, v128.load32_splat(x, 12)), room + 96),
    );
    v128.store(y, madd(skip, inputs, sums));
    state += 4 * rowBytes;
    x += 16;
    y += 16;
  }
  for (; count > 0; count--) {
    const input = v128.load32_splat(x);
    const drive = f32x4.mul(dt, input);
    advanceOne(state, states, b, c, decay, drive, room);
    const sum = horizontalSum(rest(state, states, b, c, decay, drive, room));
    f32.store(y, f32x4.extract_lane(madd(skip, input, f32x4.splat(sum)), 0));
    state += rowBytes;
    x += 4;
    y += 4;
  }
}

/** Whole eights of the states of four rows; leaves the sums of S C in `room`, [4][8]. `drives`: dt x of each row. */
function advanceFour(s0: usize, states: i32, b: usize, c: usize, decay: v128, drives: v128, room: usize): void {
  const rowBytes = <usize>states << 2;
  let s1 = s0 + rowBytes;
  let s2 = s1 + rowBytes;
  let s3 = s2 + rowBytes;
  const drive0 = v128.shuffle<i32>(drives, drives, 0, 0, 0, 0);
  const drive1 = v128.shuffle<i32>(drives, drives, 1, 1, 1, 1);
  const drive2 = v128.shuffle<i32>(drives, drives, 2, 2, 2, 2);
  const drive3 = v128.shuffle<i32>(drives, drives, 3, 3, 3, 3);
  let even0 = f32x4.splat(0), odd0 = f32x4.splat(0);
  let even1 = f32x4.splat(0), odd1 = f32x4.splat(0);
  let even2 = f32x4.splat(0), odd2 = f32x4.splat(0);
  let even3 = f32x4.splat(0), odd3 = f32x4.splat(0);
  for (const end = b + (<usize>(states & ~7) << 2); b < end; b += 32, c += 32) {
    const b0 = v128.load(b), b1 = v128.load(b, 16);
    const c0 = v128.load(c), c1 = v128.load(c, 16);
    const p0 = madd(decay, v128.load(s0), f32x4.mul(drive0, b0));
    const p1 = madd(decay, v128.load(s0, 16), f32x4.mul(drive0, b1));
    v128.store(s0, p0);
    v128.store(s0, p1, 16);
    even0 = madd(p0, c0, even0);
    odd0 = madd(p1, c1, odd0);
    const q0 = madd(decay, v128.load(s1), f32x4.mul(drive1, b0));
    const q1 = madd(decay, v128.load(s1, 16), f32x4.mul(drive1, b1));
    v128.store(s1, q0);
    v128.store(s1, q1, 16);
    even1 = madd(q0, c0, even1);
    odd1 = madd(q1, c1, odd1);
    const r0 = madd(decay, v128.load(s2), f32x4.mul(drive2, b0));
    const r1 = madd(decay, v128.load(s2, 16), f32x4.mul(drive2, b1));
    v128.store(s2, r0);
    v128.store(s2, r1, 16);
    even2 = madd(r0, c0, even2);
    odd2 = madd(r1, c1, odd2);
    const t0 = madd(decay, v128.load(s3), f32x4.mul(drive3, b0));
    const t1 = madd(decay, v128.load(s3, 16), f32x4.mul(drive3, b1));
    v128.store(s3, t0);
    v128.store(s3, t1, 16);
    even3 = madd(t0, c0, even3);
    odd3 = madd(t1, c1, odd3);
    s0 += 32;
    s1 += 32;
    s2 += 32;
    s3 += 32;
  }
  // Through memory, since only what is stored side by side is merged.
  v128.store(room, even0);
  v128.store(room, odd0, 16);
  v128.store(room, even1, 32);
  v128.store(room, odd1, 48);
  v128.store(room, even2, 64);
  v128.store(room, odd2, 80);
  v128.store(room, even3, 96);
  v128.store(room, odd3, 112);
}

/** The same for one row. */
function advanceOne(s: usize, states: i32, b: usize, c: usize, decay: v128, drive: v128, room: usize): void {
  let even = f32x4.splat(0), odd = f32x4.splat(0);
  for (const end = b + (<usize>(states & ~7) << 2); b < end; b += 32, c += 32, s += 32) {
    const p0 = madd(decay, v128.load(s), f32x4.mul(drive, v128.load(b)));
    const p1 = madd(decay, v128.load(s, 16), f32x4.mul(drive, v128.load(b, 16)));
    v128.store(s, p0);
    v128.store(s, p1, 16);
    even = madd(p0, v128.load(c), even);
    odd = madd(p1, v128.load(c, 16), odd);
  }
  v128.store(room, even);
  v128.store(room, odd, 16);
}

/** The states of a row behind the last eight; returns its sums, those in `room` included. */
// @inline
function rest(s: usize, states: i32, b: usize, c: usize, decay: v128, drive: v128, room: usize): v128 {
  let sum = f32x4.add(v128.load(room), v128.load(room, 16));
  let at = <usize>(states & ~7) << 2;
  for (let left = states & 7; left > 0; left -= 4, at += 16) {
    const p = madd(decay, loadFloats(s + at, left), f32x4.mul(drive, loadFloats(b + at, left)));
    storeFloats(s + at, p, left);
    sum = madd(p, loadFloats(c + at, left), sum);
  }
  return sum;
}
