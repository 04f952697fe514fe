// Depthwise causal convolution with SiLU (the short convolution of Mamba: Gu & Dao 2023, section 3.4) or without
// (LFM2's, of width 3), carrying its last inputs between steps.
//   x, y    [rows][stride]; different buffers
//   weight  [width][channels], the oldest input's taps first; bias [channels]
//   state   [width - 1][channels] f32 per session: the inputs before the segment, oldest first
// One chunk is CHUNK_CHANNELS channels of all segments: who owns a channel owns its state, so rows need no
// order between chunks. Within one, rows go one after the other over all channels, so that cache lines are
// used whole.
import { claimRange, liveRows, madd, nextChunk, rangeEnd, rangeFirst } from '../common/common';
import { loadFloats, silu, storeFloats, ZEROS } from '../common/math';
import { isHeld, recurrentState, rowCount, rowStart, segmentAt, segmentCount } from '../common/step';
import { CausalConv } from '../op-records';

// @inline
const CHUNK_CHANNELS: i32 = 128;
/** Up to this many rows per segment, claims begin long (claimRange) and shrink to 16 times eight channels. */
// @inline
const FEW_ROWS: i32 = 4;
// @inline
const LEAST_EIGHTS: i32 = 16;

export function causalConv(op: CausalConv, thread: i32, threads: i32): void {
  if (liveRows(op) == 0) return;
  const channels = op.channels;
  const segments = op.segments;
  const count = segmentCount(segments);
  if (liveRows(op) <= FEW_ROWS * count) {
    while (claimRange(op, (channels + 7) / 8, threads, LEAST_EIGHTS))
      convolveChannels(op, segments, count, rangeFirst * 8, min(channels, rangeEnd * 8));
    return;
  }
  const run = max(8, min(CHUNK_CHANNELS, (channels / (threads * 6)) & ~7));
  const chunks = (channels + run - 1) / run;
  for (let chunk = nextChunk(op); chunk < chunks; chunk = nextChunk(op))
    convolveChannels(op, segments, count, chunk * run, min(channels, (chunk + 1) * run));
}

function convolveChannels(op: CausalConv, segments: usize, count: i32, first: i32, end: i32): void {
  for (let s = 0; s < count; s++) convolveSegment(op, segmentAt(segments, s), first, end);
}

/** Where the input of row `t` of the segment lies, from channel 0 on: in the state for t < 0. */
// @inline
function inputRow(x: usize, xStride: usize, state: usize, rowBytes: usize, carried: i32, t: i32): usize {
  return t < 0 ? state + <usize>(t + carried) * rowBytes : x + <usize>t * xStride;
}

function convolveSegment(op: CausalConv, segment: usize, first: i32, end: i32): void {
  const rows = rowCount(segment);
  if (rows == 0) return;
  const width = op.width;
  const carried = width - 1;
  const rowBytes = (<usize>op.channels) << 2;
  const shift = (<usize>first) << 2;
  const count = end - first;
  const xStride = op.xStride << 2;
  const yStride = op.yStride << 2;
  const x = op.x + <usize>rowStart(segment) * xStride + shift;
  const state = recurrentState(segment, op.stateOffset) + shift;
  const weight = op.weight + shift;
  let bias = op.bias;
  let y = op.y + <usize>rowStart(segment) * yStride + shift;
  const activates = op.activation == 0;
  const four = width == 4 && activates;
  const three = width == 3 && !activates;
  const held = isHeld(segment);
  if (bias != 0) bias += shift;
  if (rows == 1 && four && !held) {
    convolveStep(state, state + rowBytes, state + 2 * rowBytes, x, weight, rowBytes, bias, y, count);
    return;
  }
  if (rows == 1 && three && !held) {
    plainStep(state, state + rowBytes, x, weight, rowBytes, bias, y, count);
    return;
  }
  for (let t = 0; t < rows; t++) {
    if (four || three) {
      const x1 = inputRow(x, xStride, state, rowBytes, carried, t - 2);
      const x2 = inputRow(x, xStride, state, rowBytes, carried, t - 1);
      const x3 = inputRow(x, xStride, state, rowBytes, carried, t);
      if (four) {
        const x0 = inputRow(x, xStride, state, rowBytes, carried, t - 3);
        convolveFour(x0, x1, x2, x3, weight, rowBytes, bias, y, count);
      } else plainThree(x1, x2, x3, weight, rowBytes, bias, y, count);
    } else {
      for (let channel = 0; channel < count; channel += 4) {
        const at = (<usize>channel) << 2;
        const lanes = min(4, count - channel);
        let sum = bias != 0 ? loadFloats(bias + at, lanes) : f32x4.splat(0);
        for (let k = 0; k < width; k++) {
          const input = inputRow(x, xStride, state, rowBytes, carried, t + k - carried) + at;
          sum = madd(loadFloats(weight + <usize>k * rowBytes + at, lanes), loadFloats(input, lanes), sum);
        }
        storeFloats(y + at, activates ? silu(sum) : sum, lanes);
      }
    }
    y += yStride;
  }
  if (held) return;
  // Oldest first: a kept row moves to a lower place, so nothing is overwritten before it is read.
  for (let k = 0; k < carried; k++) {
    const from = inputRow(x, xStride, state, rowBytes, carried, rows + k - carried);
    memory.copy(state + <usize>k * rowBytes, from, (<usize>count) << 2);
  }
}

/** One row of width 4: four input rows, each read again from the first-level cache while they slide. */
function convolveFour(
  x0: usize,
  x1: usize,
  x2: usize,
  x3: usize,
  weight: usize,
  rowBytes: usize,
  bias: usize,
  y: usize,
  count: i32,
): void {
  convolveRow(x0, x1, x2, x3, weight, rowBytes, bias, y, count, false, true);
}

/** The same for the only row of a segment, which moves the state, x0 to x2, on by a row as it goes. */
function convolveStep(
  x0: usize,
  x1: usize,
  x2: usize,
  x3: usize,
  weight: usize,
  rowBytes: usize,
  bias: usize,
  y: usize,
  count: i32,
): void {
  convolveRow(x0, x1, x2, x3, weight, rowBytes, bias, y, count, true, true);
}

/** Width 3 without an activation: there is no x0. */
function plainThree(
  x1: usize,
  x2: usize,
  x3: usize,
  weight: usize,
  rowBytes: usize,
  bias: usize,
  y: usize,
  count: i32,
): void {
  convolveRow(0, x1, x2, x3, weight - rowBytes, rowBytes, bias, y, count, false, false);
}

function plainStep(
  x1: usize,
  x2: usize,
  x3: usize,
  weight: usize,
  rowBytes: usize,
  bias: usize,
  y: usize,
  count: i32,
): void {
  convolveRow(0, x1, x2, x3, weight - rowBytes, rowBytes, bias, y, count, true, false);
}

/** One row: of width 4 with SiLU (`four`), or of width 3 without. */

// @inline
function convolveRow(
  x0: usize,
  x1: usize,
  x2: usize,
  x3: usize,
  w0: usize,
  rowBytes: usize,
  bias: usize,
  y: usize,
  count: i32,
  moves: bool,
  four: bool,
): void {
  let w1 = w0 + rowBytes;
  let w2 = w1 + rowBytes;
  let w3 = w2 + rowBytes;
  const biasStep: usize = bias != 0 ? 32 : 0;
  if (bias == 0) bias = ZEROS;
  // Two vectors side by side, for V8 to merge.
  for (; count >= 8; count -= 8) {
    let sum0 = v128.load(bias);
    let sum1 = v128.load(bias, 16);
    if (four) {
      sum0 = madd(v128.load(w0), v128.load(x0), sum0);
      sum1 = madd(v128.load(w0, 16), v128.load(x0, 16), sum1);
    }
    const b0 = v128.load(x1),
      b1 = v128.load(x1, 16);
    const c0 = v128.load(x2),
      c1 = v128.load(x2, 16);
    const d0 = v128.load(x3),
      d1 = v128.load(x3, 16);
    sum0 = madd(v128.load(w1), b0, sum0);
    sum1 = madd(v128.load(w1, 16), b1, sum1);
    sum0 = madd(v128.load(w2), c0, sum0);
    sum1 = madd(v128.load(w2, 16), c1, sum1);
    sum0 = madd(v128.load(w3), d0, sum0);
    sum1 = madd(v128.load(w3, 16), d1, sum1);
    v128.store(y, four ? silu(sum0) : sum0);
    v128.store(y, four ? silu(sum1) : sum1, 16);
    if (moves) {
      if (four) {
        v128.store(x0, b0);
        v128.store(x0, b1, 16);
      }
      v128.store(x1, c0);
      v128.store(x1, c1, 16);
      v128.store(x2, d0);
      v128.store(x2, d1, 16);
    }
    x0 += 32;
    x1 += 32;
    x2 += 32;
    x3 += 32;
    w0 += 32;
    w1 += 32;
    w2 += 32;
    w3 += 32;
    bias += biasStep;
    y += 32;
  }
  for (; count > 0; count -= 4) {
    const lanes = min(4, count);
    const b = loadFloats(x1, lanes),
      c = loadFloats(x2, lanes),
      d = loadFloats(x3, lanes);
    let sum = loadFloats(bias, lanes);
    if (four) sum = madd(loadFloats(w0, lanes), loadFloats(x0, lanes), sum);
    sum = madd(loadFloats(w1, lanes), b, sum);
    sum = madd(loadFloats(w2, lanes), c, sum);
    sum = madd(loadFloats(w3, lanes), d, sum);
    storeFloats(y, four ? silu(sum) : sum, lanes);
    if (moves) {
      if (four) storeFloats(x0, b, lanes);
      storeFloats(x1, c, lanes);
      storeFloats(x2, d, lanes);
    }
    x0 += 16;
    x1 += 16;
    x2 += 16;
    x3 += 16;
    w0 += 16;
    w1 += 16;
    w2 += 16;
    w3 += 16;
    bias += biasStep >> 1;
    y += 16;
  }
}
