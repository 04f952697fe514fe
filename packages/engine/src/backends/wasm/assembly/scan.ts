// The selective scan of Mamba-1 (Gu & Dao 2023, Algorithm 2), fused with softplus, the skip D and the gate:
//   dt = softplus(dtRaw + dtBias);  h = exp(dt A) h + dt B u;  y = (C h + D u) silu(z)
// Lanes are channels: `a` and the state h are [ceil(channels / 4)][states][4], lanes behind the last channel zero, while
// u, dt, z and y are [rows][stride] with exactly `channels` columns; b and c are [rows][bcStride].
// The exponential is 2^(dt log2(e) A), A <= 0: rounded to a whole part n and a fraction, so that its polynomial (2^f in
// degree 5, relative error 9e-8 at most and none at f = 0, where long memories live) and a shift of n suffice. A state
// decays to exactly 0 where the exponent leaves the range.
// The loop takes two states a turn, which V8 merges into 256-bit operations where it may; so b and c of a row are written out
// first, each state four times, for all blocks of the chunk.
// Scratch of a thread: b and c [states][4], room for four vectors.
// One chunk is up to CHUNK_BLOCKS blocks of four channels, all segments, row after row: its states stay in the first-level
// cache, and a row's cache lines are used whole when they are there. (Block after block, all rows each, was 2.4 times
// slower at 256 rows: rows lie a multiple of the cache's size apart and evict each other.)
import { address, claimRange, liveRows, madd, nextChunk, rangeEnd, rangeFirst } from './common';
import { LEAST_EXPONENT, loadFloats, LOG2_E, ROUNDING, silu, softplus, storeFloats } from './math';
import {
  SELECTIVE_SCAN_A, SELECTIVE_SCAN_B, SELECTIVE_SCAN_BC_STRIDE, SELECTIVE_SCAN_C, SELECTIVE_SCAN_CHANNELS,
  SELECTIVE_SCAN_D, SELECTIVE_SCAN_DT, SELECTIVE_SCAN_DT_BIAS, SELECTIVE_SCAN_DT_STRIDE, SELECTIVE_SCAN_SCRATCH, SELECTIVE_SCAN_SEGMENTS,
  SELECTIVE_SCAN_STATE_OFFSET, SELECTIVE_SCAN_STATES, SELECTIVE_SCAN_U, SELECTIVE_SCAN_U_STRIDE, SELECTIVE_SCAN_Y,
  SELECTIVE_SCAN_Y_STRIDE, SELECTIVE_SCAN_Z, SELECTIVE_SCAN_Z_STRIDE,
} from './op-layout';
import { recurrentState, rowCount, rowStart, segmentAt, segmentCount } from './step';

/** 2^f - 1 for f in [-0.5, 0.5], divided by f, lowest degree first. */
const FRACTION: usize = memory.data<f32>([
  0.6931470036506653, 0.24022242426872253, 0.05550733581185341, 0.009671512991189957, 0.0013264721492305398, 1.0,
], 16);

/** Blocks of a chunk: 128 channels, eight cache lines of every row; 32 channels were 1.5 times slower at 256 rows. */
// @ts-ignore: decorator
@inline const CHUNK_BLOCKS: i32 = 32;
/** Up to so many rows, what counts is not the cache but how often a thread changes place. */
// @ts-ignore: decorator
@inline const FEW_ROWS: i32 = 4;
// @ts-ignore: decorator
@inline const LEAST_BLOCKS: i32 = 16;

export function selectiveScan(op: usize, thread: i32, threads: i32): void {
  if (liveRows(op) == 0) return;
  const channels = load<i32>(op, SELECTIVE_SCAN_CHANNELS);
  const segments = address(op, SELECTIVE_SCAN_SEGMENTS);
  const count = segmentCount(segments);
  const blocks = (channels + 3) / 4;
  const scratch = address(op, SELECTIVE_SCAN_SCRATCH) + <usize>thread * scratchBytes(load<i32>(op, SELECTIVE_SCAN_STATES));
  if (liveRows(op) <= FEW_ROWS) {
    while (claimRange(op, blocks, threads, LEAST_BLOCKS)) scanBlocks(op, segments, count, rangeFirst, rangeEnd, channels, scratch);
    return;
  }
  const run = max(1, min(CHUNK_BLOCKS, blocks / (threads * 8)));
  const chunks = (blocks + run - 1) / run;
  for (let chunk = nextChunk(op); chunk < chunks; chunk = nextChunk(op))
    scanBlocks(op, segments, count, chunk * run, (chunk + 1) * run, channels, scratch);
}

/** Channels of blocks [from, to) of all segments. */
function scanBlocks(op: usize, segments: usize, count: i32, from: i32, to: i32, channels: i32, scratch: usize): void {
  const first = from * 4, end = min(channels, to * 4);
  for (let s = 0; s < count; s++) {
    const segment = segmentAt(segments, s);
    const start = rowStart(segment);
    const state = recurrentState(segment, load<u32>(op, SELECTIVE_SCAN_STATE_OFFSET));
    if (rowCount(segment) != 0) scanRows(op, start, start + rowCount(segment), state, first, end, scratch);
  }
}

/** As in ../scratch.ts. */
// @ts-ignore: decorator
@inline function scratchBytes(states: i32): usize {
  return <usize>((states * 32 + 64 + 63) & ~63);
}

/** to[n][0…4] = from[n] */
// @ts-ignore: decorator
@inline function spread(from: usize, states: i32, to: usize): void {
  const end = from + (<usize>states << 2);
  for (; from < end; from += 4, to += 16) v128.store(to, v128.load32_splat(from));
}

// @ts-ignore: decorator
@inline function rowOf(op: usize, field: usize, stride: usize, row: i32): usize {
  return <usize>(load<u32>(op + field) + ((<u32>row * load<u32>(op + stride)) << 2));
}

/**
 * Rows of one segment, channels [first, end). The inputs of the next block (softplus and SiLU: long chains of dependent
 * steps) are computed before the states of this one, so that they overlap: 1.5 times faster than in turn.
 */
function scanRows(op: usize, firstRow: i32, endRow: i32, state: usize, first: i32, end: i32, b: usize): void {
  const states = load<i32>(op, SELECTIVE_SCAN_STATES);
  const a = address(op, SELECTIVE_SCAN_A);
  const c = b + (<usize>states << 4);
  let row = firstRow;
  let channel = first;
  let lanes = min(4, end - channel);
  let u = inputOf(op, row, channel, lanes);
  let dt = stepOf(op, row, channel, lanes);
  let gate = gateOf(op, row, channel, lanes);
  while (row < endRow) {
    const shift = <usize>channel << 2;
    const block = shift * <usize>states;
    const skip = f32x4.mul(loadFloats(address(op, SELECTIVE_SCAN_D) + shift, lanes), u);
    const decay = f32x4.mul(dt, v128.load32_splat(LOG2_E));
    const drive = f32x4.mul(dt, u);
    const scale = gate;
    if (channel == first) {
      spread(rowOf(op, SELECTIVE_SCAN_B, SELECTIVE_SCAN_BC_STRIDE, row), states, b);
      spread(rowOf(op, SELECTIVE_SCAN_C, SELECTIVE_SCAN_BC_STRIDE, row), states, c);
    }
    const y = rowOf(op, SELECTIVE_SCAN_Y, SELECTIVE_SCAN_Y_STRIDE, row) + shift;
    const width = lanes;
    channel += 4;
    if (channel >= end) {
      channel = first;
      row++;
    }
    if (row < endRow) {
      lanes = min(4, end - channel);
      u = inputOf(op, row, channel, lanes);
      dt = stepOf(op, row, channel, lanes);
      gate = gateOf(op, row, channel, lanes);
    }
    const sum = advance(a + block, state + block, states, b, c, decay, drive, skip);
    storeFloats(y, f32x4.mul(sum, scale), width);
  }
}

// @ts-ignore: decorator
@inline function inputOf(op: usize, row: i32, channel: i32, lanes: i32): v128 {
  return loadFloats(rowOf(op, SELECTIVE_SCAN_U, SELECTIVE_SCAN_U_STRIDE, row) + (<usize>channel << 2), lanes);
}

// @ts-ignore: decorator
@inline function stepOf(op: usize, row: i32, channel: i32, lanes: i32): v128 {
  const shift = <usize>channel << 2;
  const raw = loadFloats(rowOf(op, SELECTIVE_SCAN_DT, SELECTIVE_SCAN_DT_STRIDE, row) + shift, lanes);
  const bias = address(op, SELECTIVE_SCAN_DT_BIAS);
  return softplus(bias != 0 ? f32x4.add(raw, loadFloats(bias + shift, lanes)) : raw);
}

// @ts-ignore: decorator
@inline function gateOf(op: usize, row: i32, channel: i32, lanes: i32): v128 {
  return silu(loadFloats(rowOf(op, SELECTIVE_SCAN_Z, SELECTIVE_SCAN_Z_STRIDE, row) + (<usize>channel << 2), lanes));
}

/** One row of four channels: updates their states and returns sum + C h. `b` and `c` are spread over four lanes. */
// @ts-ignore: decorator
@inline function advance(
  a: usize, state: usize, states: i32, b: usize, c: usize, decay: v128, drive: v128, sum: v128,
): v128 {
  const rounding = v128.load32_splat(ROUNDING);
  const least = v128.load32_splat(LEAST_EXPONENT);
  const c1 = v128.load32_splat(FRACTION);
  const c2 = v128.load32_splat(FRACTION + 4);
  const c3 = v128.load32_splat(FRACTION + 8);
  const c4 = v128.load32_splat(FRACTION + 12);
  const c5 = v128.load32_splat(FRACTION + 16);
  const one = v128.load32_splat(FRACTION + 20);
  const room = c + (<usize>states << 4);
  // What both halves of a 256-bit vector share must be loaded for V8 to see it: behind the loads above lie branches.
  v128.store(room, decay, 32);
  v128.store(room, drive, 48);
  const decays = v128.load(room, 32);
  const drives = v128.load(room, 48);
  const end = a + (<usize>(states & ~1) << 4);
  let even = f32x4.splat(0);
  let odd = f32x4.splat(0);
  for (; a < end; a += 32, state += 32, b += 32, c += 32) {
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
    const h0 = madd(p0, v128.load(state), f32x4.mul(drives, v128.load(b)));
    const h1 = madd(p1, v128.load(state, 16), f32x4.mul(drives, v128.load(b, 16)));
    v128.store(state, h0);
    v128.store(state, h1, 16);
    even = madd(h0, v128.load(c), even);
    odd = madd(h1, v128.load(c, 16), odd);
  }
  // Through memory, since only what is stored side by side is merged.
  v128.store(room, even);
  v128.store(room, odd, 16);
  if (states & 1) {
    const exponent = f32x4.pmax(f32x4.mul(decay, v128.load(a)), least);
    const shifted = f32x4.add(exponent, rounding);
    const f = f32x4.sub(exponent, f32x4.sub(shifted, rounding));
    let p = madd(c5, f, c4);
    p = madd(p, f, c3);
    p = madd(p, f, c2);
    p = madd(p, f, c1);
    p = madd(p, f, one);
    p = i32x4.add(p, i32x4.shl(shifted, 23));
    const h = madd(p, v128.load(state), f32x4.mul(drive, v128.load(b)));
    v128.store(state, h);
    sum = madd(h, v128.load(c), sum);
  }
  return f32x4.add(sum, f32x4.add(v128.load(room), v128.load(room, 16)));
}
