// The scan of Mamba-2 (Dao & Gu 2024, section 6), in its recurrent form; one decay and one step per head:
//   dt = clamp(softplus(dtRaw + dtBias));  S = exp(dt A) S + (dt x) B^T;  y = S C + D x
//
// Lanes are states: S is [heads][headSize][states], one row for each channel of x and y, so that B and C of a row are
// read as they lie. (Lanes of channels, as in scan.ts, would need both spread over four lanes.) Eight states are worked
// on per iteration, in vectors that lie side by side, which V8 merges into 256-bit ones; what both halves share, the
// decay and dt x, is stored spread and loaded, since a parameter or a shuffle is not merged.
//
// Rows of the step are taken in pairs, so that states are loaded and stored once for two: 1.1 to 1.3 times as fast as
// one after the other at 256 rows. A single row advances two rows of S side by side: 1.2 times as fast as four, whose
// sums do not all stay in registers (1.5 to 1.8 times with 256-bit vectors).
//
// One chunk is a run of blocks of BLOCK rows of heads, through all rows of all segments: its states stay in the
// first-level cache, and who owns a row of S owns its channel of y. A chunk that holds a part of a head computes the
// head's step and decay again, from the same numbers. The order of sums in a row of S depends on nothing else, so any
// cut of a prompt and any number of threads gives the same bits. Scratch of a thread: places named below, and
// SSD_HELD_ROWS rows of a head, for drafts.
import { claimRange, liveRows, madd, nextChunk, rangeEnd, rangeFirst, rowAt } from '../common/common';
import { expNegative, horizontalSum, horizontalSums, loadFloats, softplus, storeFloats } from '../common/math';
import { isHeld, recurrentState, rowCount, rowStart, segmentAt, segmentCount } from '../common/step';
import { SSD_HELD_ROWS, SSD_PLACES } from '../constants';
import { SsdScan } from '../op-records';

/** Rows of S that are never shared between threads. */
// @inline
const BLOCK: i32 = 8;
/** Bytes of states that a chunk of many rows holds: a head of 64 channels and 128 states. */
// @inline
const MOST_BYTES: i32 = 32_768;
/** Up to this many rows per segment, states come from memory, and long claims are what counts (claimRange). */
// @inline
const FEW_ROWS: i32 = 4;
// Places in a thread's scratch: four sums of eight lanes, the decays of two rows, four times dt x.
// @inline
const DECAYS: usize = 128;
// @inline
const DRIVES: usize = 160;

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
  const rowBytes = (<usize>op.states) << 2;
  const state = recurrentState(segment, op.stateOffset) + <usize>(head * op.headSize + channel) * rowBytes;
  if (!isHeld(segment)) {
    scanRows(op, segment, head, channel, count, state, room);
    return;
  }
  const own = room + <usize>SSD_PLACES;
  for (let first = 0; first < count; first += SSD_HELD_ROWS) {
    const some = min(SSD_HELD_ROWS, count - first);
    memory.copy(own, state + <usize>first * rowBytes, <usize>some * rowBytes);
    scanRows(op, segment, head, channel + first, some, own, room);
  }
}

/** The rows of a segment; `state` is that of `count` channels of a head from `channel` on. */
function scanRows(op: SsdScan, segment: usize, head: i32, channel: i32, count: i32, state: usize, room: usize): void {
  const states = op.states;
  const shift = (<usize>head) << 2;
  const at = <usize>(head * op.headSize + channel);
  const bc = (<usize>((head / (op.heads / op.groups)) * states)) << 2;
  const a = v128.load32_splat(op.a + shift);
  const skip = v128.load32_splat(op.d + shift);
  const end = rowStart(segment) + rowCount(segment);
  let row = rowStart(segment);
  for (; row + 1 < end; row += 2) {
    const dt = stepOf(op, row, shift);
    const next = stepOf(op, row + 1, shift);
    v128.store(room, expNegative(f32x4.mul(dt, a)), DECAYS);
    v128.store(room, expNegative(f32x4.mul(next, a)), DECAYS + 16);
    advancePair(
      state,
      states,
      rowAt(op.b, op.bcStride, row) + bc,
      rowAt(op.c, op.bcStride, row) + bc,
      op.bcStride << 2,
      rowAt(op.x, op.xStride, row) + (at << 2),
      op.xStride << 2,
      rowAt(op.y, op.yStride, row) + (at << 2),
      op.yStride << 2,
      count,
      dt,
      next,
      skip,
      room,
    );
  }
  if (row == end) return;
  const dt = stepOf(op, row, shift);
  v128.store(room, expNegative(f32x4.mul(dt, a)), DECAYS);
  advance(
    state,
    states,
    rowAt(op.b, op.bcStride, row) + bc,
    rowAt(op.c, op.bcStride, row) + bc,
    rowAt(op.x, op.xStride, row) + (at << 2),
    rowAt(op.y, op.yStride, row) + (at << 2),
    count,
    dt,
    skip,
    room,
  );
}

/** The step of a row's head, `shift` bytes from the first head's, in all lanes. */
function stepOf(op: SsdScan, row: i32, shift: usize): v128 {
  const raw = f32x4.add(
    v128.load32_splat(rowAt(op.dt, op.dtStride, row) + shift),
    v128.load32_splat(op.dtBias + shift),
  );
  return f32x4.pmin(f32x4.pmax(softplus(raw), f32x4.splat(op.leastStep)), f32x4.splat(op.mostStep));
}

/** One row of `count` channels: updates their rows of S; y = S C + D x. */
function advance(
  state: usize,
  states: i32,
  b: usize,
  c: usize,
  x: usize,
  y: usize,
  count: i32,
  dt: v128,
  skip: v128,
  room: usize,
): void {
  const rowBytes = (<usize>states) << 2;
  const decay = v128.load(room, DECAYS);
  for (; count >= 4; count -= 4) {
    const drive0 = f32x4.mul(dt, v128.load32_splat(x)),
      drive1 = f32x4.mul(dt, v128.load32_splat(x, 4));
    const drive2 = f32x4.mul(dt, v128.load32_splat(x, 8)),
      drive3 = f32x4.mul(dt, v128.load32_splat(x, 12));
    v128.store(room, drive0, DRIVES);
    v128.store(room, drive1, DRIVES + 16);
    v128.store(room, drive2, DRIVES + 32);
    v128.store(room, drive3, DRIVES + 48);
    advanceTwo(state, states, b, c, room + DECAYS, room + DRIVES, room);
    advanceTwo(state + 2 * rowBytes, states, b, c, room + DECAYS, room + (DRIVES + 32), room + 64);
    const sums = horizontalSums(
      rest(state, states, b, c, decay, drive0, room),
      rest(state + rowBytes, states, b, c, decay, drive1, room + 32),
      rest(state + 2 * rowBytes, states, b, c, decay, drive2, room + 64),
      rest(state + 3 * rowBytes, states, b, c, decay, drive3, room + 96),
    );
    v128.store(y, madd(skip, v128.load(x), sums));
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

/**
 * Two rows, one after the other in every state. From an operand of the first row to that of the second are `bcStep`,
 * `xStep` and `yStep` bytes; `dt` and `next` are their steps.
 */
function advancePair(
  state: usize,
  states: i32,
  b: usize,
  c: usize,
  bcStep: usize,
  x: usize,
  xStep: usize,
  y: usize,
  yStep: usize,
  count: i32,
  dt: v128,
  next: v128,
  skip: v128,
  room: usize,
): void {
  const rowBytes = (<usize>states) << 2;
  const decay = v128.load(room, DECAYS);
  const nextDecay = v128.load(room, DECAYS + 16);
  for (; count > 0; count -= 2) {
    const nextX = x + xStep;
    const drive0 = f32x4.mul(dt, v128.load32_splat(x));
    const next0 = f32x4.mul(next, v128.load32_splat(nextX));
    v128.store(room, drive0, DRIVES);
    v128.store(room, next0, DRIVES + 16);
    advanceTwice(state, states, b, c, bcStep, room + DECAYS, room + DRIVES, room);
    const sum0 = rest(state, states, b, c, decay, drive0, room);
    const nextSum0 = rest(state, states, b + bcStep, c + bcStep, nextDecay, next0, room + 32);
    if (count > 1) {
      const second = state + rowBytes;
      const drive1 = f32x4.mul(dt, v128.load32_splat(x, 4));
      const next1 = f32x4.mul(next, v128.load32_splat(nextX, 4));
      v128.store(room, drive1, DRIVES + 32);
      v128.store(room, next1, DRIVES + 48);
      advanceTwice(second, states, b, c, bcStep, room + DECAYS, room + (DRIVES + 32), room + 64);
      const sum1 = rest(second, states, b, c, decay, drive1, room + 64);
      const nextSum1 = rest(second, states, b + bcStep, c + bcStep, nextDecay, next1, room + 96);
      const inputs = v128.load64_lane(nextX, v128.load64_zero(x), 1);
      const outputs = madd(skip, inputs, horizontalSums(sum0, sum1, nextSum0, nextSum1));
      v128.store64_lane(y, outputs, 0);
      v128.store64_lane(y + yStep, outputs, 1);
    } else {
      const inputs = v128.load32_lane(nextX, v128.load32_zero(x), 1);
      const outputs = madd(skip, inputs, horizontalSums(sum0, nextSum0, sum0, sum0));
      v128.store32_lane(y, outputs, 0);
      v128.store32_lane(y + yStep, outputs, 1);
    }
    state += 2 * rowBytes;
    x += 8;
    y += 8;
  }
}

// Below, whole eights of the states; the sums of S C are left at `sums`, eight lanes for each. They go through memory,
// since only what is stored side by side is merged.

/** Two rows of S, one row of the step; two drives. */
function advanceTwo(s0: usize, states: i32, b: usize, c: usize, decays: usize, drives: usize, sums: usize): void {
  let s1 = s0 + ((<usize>states) << 2);
  const decay = v128.load(decays);
  const drive0 = v128.load(drives),
    drive1 = v128.load(drives, 16);
  let even0 = f32x4.splat(0),
    odd0 = f32x4.splat(0);
  let even1 = f32x4.splat(0),
    odd1 = f32x4.splat(0);
  for (const end = b + ((<usize>(states & ~7)) << 2); b < end; b += 32, c += 32) {
    const b0 = v128.load(b),
      b1 = v128.load(b, 16);
    const c0 = v128.load(c),
      c1 = v128.load(c, 16);
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
    s0 += 32;
    s1 += 32;
  }
  v128.store(sums, even0);
  v128.store(sums, odd0, 16);
  v128.store(sums, even1, 32);
  v128.store(sums, odd1, 48);
}

/** One row of S, two rows of the step, B and C of the second `step` bytes behind; two decays, two drives. */
function advanceTwice(
  s: usize,
  states: i32,
  b: usize,
  c: usize,
  step: usize,
  decays: usize,
  drives: usize,
  sums: usize,
): void {
  let nextB = b + step;
  let nextC = c + step;
  const decay = v128.load(decays),
    nextDecay = v128.load(decays, 16);
  const drive = v128.load(drives),
    nextDrive = v128.load(drives, 16);
  let even0 = f32x4.splat(0),
    odd0 = f32x4.splat(0);
  let even1 = f32x4.splat(0),
    odd1 = f32x4.splat(0);
  for (const end = b + ((<usize>(states & ~7)) << 2); b < end; b += 32, c += 32) {
    const p0 = madd(decay, v128.load(s), f32x4.mul(drive, v128.load(b)));
    const p1 = madd(decay, v128.load(s, 16), f32x4.mul(drive, v128.load(b, 16)));
    even0 = madd(p0, v128.load(c), even0);
    odd0 = madd(p1, v128.load(c, 16), odd0);
    const q0 = madd(nextDecay, p0, f32x4.mul(nextDrive, v128.load(nextB)));
    const q1 = madd(nextDecay, p1, f32x4.mul(nextDrive, v128.load(nextB, 16)));
    v128.store(s, q0);
    v128.store(s, q1, 16);
    even1 = madd(q0, v128.load(nextC), even1);
    odd1 = madd(q1, v128.load(nextC, 16), odd1);
    nextB += 32;
    nextC += 32;
    s += 32;
  }
  v128.store(sums, even0);
  v128.store(sums, odd0, 16);
  v128.store(sums, even1, 32);
  v128.store(sums, odd1, 48);
}

/** One row of S, one row of the step. */
function advanceOne(s: usize, states: i32, b: usize, c: usize, decay: v128, drive: v128, sums: usize): void {
  let even = f32x4.splat(0),
    odd = f32x4.splat(0);
  for (const end = b + ((<usize>(states & ~7)) << 2); b < end; b += 32, c += 32, s += 32) {
    const p0 = madd(decay, v128.load(s), f32x4.mul(drive, v128.load(b)));
    const p1 = madd(decay, v128.load(s, 16), f32x4.mul(drive, v128.load(b, 16)));
    v128.store(s, p0);
    v128.store(s, p1, 16);
    even = madd(p0, v128.load(c), even);
    odd = madd(p1, v128.load(c, 16), odd);
  }
  v128.store(sums, even);
  v128.store(sums, odd, 16);
}

/** The states of a row behind the last eight; returns its sums, those at `sums` included. */
// @inline
function rest(s: usize, states: i32, b: usize, c: usize, decay: v128, drive: v128, sums: usize): v128 {
  let sum = f32x4.add(v128.load(sums), v128.load(sums, 16));
  let at = (<usize>(states & ~7)) << 2;
  for (let left = states & 7; left > 0; left -= 4, at += 16) {
    const p = madd(decay, loadFloats(s + at, left), f32x4.mul(drive, loadFloats(b + at, left)));
    storeFloats(s + at, p, left);
    sum = madd(p, loadFloats(c + at, left), sum);
  }
  return sum;
}
