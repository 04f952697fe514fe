// The selective scan of Mamba-1 (Gu & Dao 2023, Algorithm 2), fused with softplus, the skip D and the gate:
//   dt = softplus(dtRaw + dtBias);  h = exp(dt A) h + dt B u;  y = (C h + D u) silu(z)
// Lanes are channels: `a` and the state h are [ceil(channels / 4)][states][4], lanes behind the last channel zero, while
// u, dt, z and y are [rows][stride] with exactly `channels` columns; b and c are [rows][bcStride].
// The exponential is 2^(dt log2(e) A), A <= 0: rounded to a whole part n and a fraction, so that its polynomial (2^f in
// degree 5, relative error 9e-8 at most and none at f = 0, where long memories live) and a shift of n suffice. A state
// decays to exactly 0 where the exponent leaves the range.
// One chunk is one block of four channels, all segments: its states stay in the first-level cache over all rows.
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

export function selectiveScan(op: usize, thread: i32, threads: i32): void {
  if (liveRows(op) == 0) return;
  const channels = load<i32>(op, SELECTIVE_SCAN_CHANNELS);
  const segments = address(op, SELECTIVE_SCAN_SEGMENTS);
  const count = segmentCount(segments);
  const blocks = (channels + 3) / 4;
  for (let block = nextChunk(op); block < blocks; block = nextChunk(op)) {
    for (let s = 0; s < count; s++) {
      const segment = segmentAt(segments, s);
      if (rowCount(segment) != 0) scanBlock(op, segment, block * 4, min(4, channels - block * 4));
    }
  }
}

// @ts-ignore: decorator
@inline function rowOf(op: usize, field: usize, stride: usize, row: i32): usize {
  return <usize>(load<u32>(op + field) + ((<u32>row * load<u32>(op + stride)) << 2));
}

/** All rows of one segment for the `lanes` channels from `channel`. */
function scanBlock(op: usize, segment: usize, channel: i32, lanes: i32): void {
  const shift = <usize>channel << 2;
  const states = load<i32>(op, SELECTIVE_SCAN_STATES);
  const blockBytes = (shift * <usize>states);
  const a = address(op, SELECTIVE_SCAN_A) + blockBytes;
  const state = recurrentState(segment, load<u32>(op, SELECTIVE_SCAN_STATE_OFFSET)) + blockBytes;
  const dtBias = address(op, SELECTIVE_SCAN_DT_BIAS);
  const bias = dtBias != 0 ? loadFloats(dtBias + shift, lanes) : f32x4.splat(0);
  const d = loadFloats(address(op, SELECTIVE_SCAN_D) + shift, lanes);
  const log2e = v128.load32_splat(LOG2_E);
  const first = rowStart(segment);
  const end = first + rowCount(segment);
  for (let row = first; row < end; row++) {
    const u = loadFloats(rowOf(op, SELECTIVE_SCAN_U, SELECTIVE_SCAN_U_STRIDE, row) + shift, lanes);
    const raw = loadFloats(rowOf(op, SELECTIVE_SCAN_DT, SELECTIVE_SCAN_DT_STRIDE, row) + shift, lanes);
    const z = loadFloats(rowOf(op, SELECTIVE_SCAN_Z, SELECTIVE_SCAN_Z_STRIDE, row) + shift, lanes);
    const dt = softplus(f32x4.add(raw, bias));
    const sum = advance(
      a, state, states,
      rowOf(op, SELECTIVE_SCAN_B, SELECTIVE_SCAN_BC_STRIDE, row), rowOf(op, SELECTIVE_SCAN_C, SELECTIVE_SCAN_BC_STRIDE, row),
      f32x4.mul(dt, log2e), f32x4.mul(dt, u), f32x4.mul(d, u),
    );
    const y = rowOf(op, SELECTIVE_SCAN_Y, SELECTIVE_SCAN_Y_STRIDE, row) + shift;
    storeFloats(y, f32x4.mul(sum, silu(z)), lanes);
  }
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
