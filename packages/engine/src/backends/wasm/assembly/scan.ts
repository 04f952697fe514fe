// The selective scan of Mamba-1 (Gu & Dao 2023, Algorithm 2), fused with softplus, the skip D and the gate:
//   dt = softplus(dtRaw + dtBias);  h = exp(dt A) h + dt B u;  y = (C h + D u) silu(z)
// Lanes are channels: `a` and the state h are [ceil(channels / 4)][states][4], lanes behind the last channel zero, while
// u, dt, z and y are [rows][stride] with exactly `channels` columns; b and c are [rows][bcStride].
// The exponential is 2^(dt log2(e) A), A <= 0: rounded to a whole part n and a fraction, so that its polynomial (2^f in
// degree 5, relative error 9e-8 at most and none at f = 0, where long memories live) and a shift of n suffice. A state
// decays to exactly 0 where the exponent leaves the range.
// One chunk is up to CHUNK_BLOCKS blocks of four channels, all segments, row after row: its states stay in the first-level
// cache, and a row's cache lines are used whole when they are there. (Block after block, all rows each, was 2.4 times
// slower at 256 rows: rows lie a multiple of the cache's size apart and evict each other.)
import { address, liveRows, madd, nextChunk } from './common';
import { LEAST_EXPONENT, loadFloats, LOG2_E, ROUNDING, silu, softplus, storeFloats } from './math';
import {
  SELECTIVE_SCAN_A, SELECTIVE_SCAN_B, SELECTIVE_SCAN_BC_STRIDE, SELECTIVE_SCAN_C, SELECTIVE_SCAN_CHANNELS,
  SELECTIVE_SCAN_D, SELECTIVE_SCAN_DT, SELECTIVE_SCAN_DT_BIAS, SELECTIVE_SCAN_DT_STRIDE, SELECTIVE_SCAN_SEGMENTS,
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

export function selectiveScan(op: usize, thread: i32, threads: i32): void {
  if (liveRows(op) == 0) return;
  const channels = load<i32>(op, SELECTIVE_SCAN_CHANNELS);
  const segments = address(op, SELECTIVE_SCAN_SEGMENTS);
  const count = segmentCount(segments);
  const blocks = (channels + 3) / 4;
  const run = max(1, min(CHUNK_BLOCKS, blocks / (threads * 8)));
  const chunks = (blocks + run - 1) / run;
  for (let chunk = nextChunk(op); chunk < chunks; chunk = nextChunk(op)) {
    const first = chunk * run * 4;
    const end = min(channels, first + run * 4);
    for (let s = 0; s < count; s++) {
      const segment = segmentAt(segments, s);
      const start = rowStart(segment);
      const state = recurrentState(segment, load<u32>(op, SELECTIVE_SCAN_STATE_OFFSET));
      if (rowCount(segment) != 0) scanRows(op, start, start + rowCount(segment), state, first, end);
    }
  }
}

// @ts-ignore: decorator
@inline function rowOf(op: usize, field: usize, stride: usize, row: i32): usize {
  return <usize>(load<u32>(op + field) + ((<u32>row * load<u32>(op + stride)) << 2));
}

/**
 * Rows of one segment, channels [first, end). The inputs of the next block (softplus and SiLU: long chains of dependent
 * steps) are computed before the states of this one, so that they overlap: 1.5 times faster than in turn.
 */
function scanRows(op: usize, firstRow: i32, endRow: i32, state: usize, first: i32, end: i32): void {
  const states = load<i32>(op, SELECTIVE_SCAN_STATES);
  const a = address(op, SELECTIVE_SCAN_A);
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
    const b = rowOf(op, SELECTIVE_SCAN_B, SELECTIVE_SCAN_BC_STRIDE, row);
    const c = rowOf(op, SELECTIVE_SCAN_C, SELECTIVE_SCAN_BC_STRIDE, row);
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

/** One row of four channels: updates their states and returns sum + C h. */
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
  const end = a + (<usize>states << 4);
  while (a < end) {
    const exponent = f32x4.pmax(f32x4.mul(decay, v128.load(a)), least);
    const shifted = f32x4.add(exponent, rounding);
    const f = f32x4.sub(exponent, f32x4.sub(shifted, rounding));
    let p = madd(c5, f, c4);
    p = madd(p, f, c3);
    p = madd(p, f, c2);
    p = madd(p, f, c1);
    p = madd(p, f, one);
    p = i32x4.add(p, i32x4.shl(shifted, 23));
    const h = madd(p, v128.load(state), f32x4.mul(drive, v128.load32_splat(b)));
    v128.store(state, h);
    sum = madd(h, v128.load32_splat(c), sum);
    a += 16;
    state += 16;
    b += 4;
    c += 4;
  }
  return sum;
}
