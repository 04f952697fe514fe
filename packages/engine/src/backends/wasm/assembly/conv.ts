// Depthwise causal convolution with SiLU (the short convolution of Mamba: Gu & Dao 2023, section 3.4), carrying its last
// inputs between steps.
//   x, y    [rows][stride]; different buffers
//   weight  [width][channels], the oldest input's taps first; bias [channels]
//   state   [width - 1][channels] f32 per session: the inputs before the segment, oldest first
// One chunk is CHUNK_CHANNELS channels of all segments: who owns a channel owns its state, so rows need no order between
// chunks. Within one, rows go one after the other over all channels, so that cache lines are used whole.
import { address, claimRange, liveRows, madd, nextChunk, rangeEnd, rangeFirst } from './common';
import { loadFloats, silu, storeFloats } from './math';
import {
  CAUSAL_CONV_BIAS, CAUSAL_CONV_CHANNELS, CAUSAL_CONV_SEGMENTS, CAUSAL_CONV_STATE_OFFSET, CAUSAL_CONV_WEIGHT,
  CAUSAL_CONV_WIDTH, CAUSAL_CONV_X, CAUSAL_CONV_X_STRIDE, CAUSAL_CONV_Y, CAUSAL_CONV_Y_STRIDE,
} from './op-layout';
import { recurrentState, rowCount, rowStart, segmentAt, segmentCount } from './step';

// @ts-ignore: decorator
@inline const CHUNK_CHANNELS: i32 = 128;
/** Up to so many rows, ranges that begin long (see scan.ts), and end at 32 blocks of four channels. */
// @ts-ignore: decorator
@inline const FEW_ROWS: i32 = 4;
// @ts-ignore: decorator
@inline const LEAST_BLOCKS: i32 = 32;

export function causalConv(op: usize, thread: i32, threads: i32): void {
  if (liveRows(op) == 0) return;
  const channels = load<i32>(op, CAUSAL_CONV_CHANNELS);
  const segments = address(op, CAUSAL_CONV_SEGMENTS);
  const count = segmentCount(segments);
  if (liveRows(op) <= FEW_ROWS) {
    while (claimRange(op, (channels + 3) / 4, threads, LEAST_BLOCKS))
      convolveChannels(op, segments, count, rangeFirst * 4, min(channels, rangeEnd * 4));
    return;
  }
  const run = max(4, min(CHUNK_CHANNELS, (channels / (threads * 6)) & ~3));
  const chunks = (channels + run - 1) / run;
  for (let chunk = nextChunk(op); chunk < chunks; chunk = nextChunk(op))
    convolveChannels(op, segments, count, chunk * run, min(channels, (chunk + 1) * run));
}

function convolveChannels(op: usize, segments: usize, count: i32, first: i32, end: i32): void {
  for (let s = 0; s < count; s++) convolveSegment(op, segmentAt(segments, s), first, end);
}

/** Where the input of row `t` of the segment lies, from channel 0 on: in the state for t < 0. */
// @ts-ignore: decorator
@inline function inputRow(x: usize, xStride: usize, state: usize, rowBytes: usize, carried: i32, t: i32): usize {
  return t < 0 ? state + <usize>(t + carried) * rowBytes : x + <usize>t * xStride;
}

function convolveSegment(op: usize, segment: usize, first: i32, end: i32): void {
  const rows = rowCount(segment);
  if (rows == 0) return;
  const width = load<i32>(op, CAUSAL_CONV_WIDTH);
  const carried = width - 1;
  const rowBytes = <usize>load<u32>(op, CAUSAL_CONV_CHANNELS) << 2;
  const shift = <usize>first << 2;
  const count = end - first;
  const xStride = <usize>load<u32>(op, CAUSAL_CONV_X_STRIDE) << 2;
  const yStride = <usize>load<u32>(op, CAUSAL_CONV_Y_STRIDE) << 2;
  const x = address(op, CAUSAL_CONV_X) + <usize>rowStart(segment) * xStride + shift;
  const state = recurrentState(segment, load<u32>(op, CAUSAL_CONV_STATE_OFFSET)) + shift;
  const weight = address(op, CAUSAL_CONV_WEIGHT) + shift;
  const bias = address(op, CAUSAL_CONV_BIAS);
  let y = address(op, CAUSAL_CONV_Y) + <usize>rowStart(segment) * yStride + shift;
  for (let t = 0; t < rows; t++) {
    if (width == 4) {
      const x0 = inputRow(x, xStride, state, rowBytes, 3, t - 3);
      const x1 = inputRow(x, xStride, state, rowBytes, 3, t - 2);
      const x2 = inputRow(x, xStride, state, rowBytes, 3, t - 1);
      const x3 = inputRow(x, xStride, state, rowBytes, 3, t);
      convolveFour(x0, x1, x2, x3, weight, rowBytes, bias != 0 ? bias + shift : 0, y, count);
    } else {
      for (let channel = 0; channel < count; channel += 4) {
        const at = <usize>channel << 2;
        const lanes = min(4, count - channel);
        let sum = bias != 0 ? loadFloats(bias + shift + at, lanes) : f32x4.splat(0);
        for (let k = 0; k < width; k++) {
          const input = inputRow(x, xStride, state, rowBytes, carried, t + k - carried) + at;
          sum = madd(loadFloats(weight + <usize>k * rowBytes + at, lanes), loadFloats(input, lanes), sum);
        }
        storeFloats(y + at, silu(sum), lanes);
      }
    }
    y += yStride;
  }
  // Oldest first: a kept row moves to a lower place, so nothing is overwritten before it is read.
  for (let k = 0; k < carried; k++) {
    const from = inputRow(x, xStride, state, rowBytes, carried, rows + k - carried);
    memory.copy(state + <usize>k * rowBytes, from, <usize>count << 2);
  }
}

/** One row of width 4: four input rows, each read again from the first-level cache while they slide. */
function convolveFour(
  x0: usize, x1: usize, x2: usize, x3: usize, weight: usize, rowBytes: usize, bias: usize, y: usize, count: i32,
): void {
  const w1 = weight + rowBytes;
  const w2 = w1 + rowBytes;
  const w3 = w2 + rowBytes;
  const zero = f32x4.splat(0);
  const end = <usize>(count & ~3) << 2;
  let at: usize = 0;
  for (; at < end; at += 16) {
    let sum = madd(v128.load(weight + at), v128.load(x0 + at), bias != 0 ? v128.load(bias + at) : zero);
    sum = madd(v128.load(w1 + at), v128.load(x1 + at), sum);
    sum = madd(v128.load(w2 + at), v128.load(x2 + at), sum);
    v128.store(y + at, silu(madd(v128.load(w3 + at), v128.load(x3 + at), sum)));
  }
  const lanes = count & 3;
  if (lanes == 0) return;
  let sum = madd(loadFloats(weight + at, lanes), loadFloats(x0 + at, lanes), bias != 0 ? loadFloats(bias + at, lanes) : zero);
  sum = madd(loadFloats(w1 + at, lanes), loadFloats(x1 + at, lanes), sum);
  sum = madd(loadFloats(w2 + at, lanes), loadFloats(x2 + at, lanes), sum);
  storeFloats(y + at, silu(madd(loadFloats(w3 + at, lanes), loadFloats(x3 + at, lanes), sum)), lanes);
}
