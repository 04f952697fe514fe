// Depthwise causal convolution with SiLU (the short convolution of Mamba: Gu & Dao 2023, section 3.4), carrying its last
// inputs between steps.
//   x, y    [rows][stride]; different buffers
//   weight  [width][channels], the oldest input's taps first; bias [channels]
//   state   [width - 1][channels] f32 per session: the inputs before the segment, oldest first
// One chunk is CHUNK_CHANNELS channels of all segments: who owns a channel owns its state, so rows need no order.
import { address, liveRows, madd, nextChunk } from './common';
import { loadFloats, silu, storeFloats } from './math';
import {
  CAUSAL_CONV_BIAS, CAUSAL_CONV_CHANNELS, CAUSAL_CONV_SEGMENTS, CAUSAL_CONV_STATE_OFFSET, CAUSAL_CONV_WEIGHT,
  CAUSAL_CONV_WIDTH, CAUSAL_CONV_X, CAUSAL_CONV_X_STRIDE, CAUSAL_CONV_Y, CAUSAL_CONV_Y_STRIDE,
} from './op-layout';
import { recurrentState, rowCount, rowStart, segmentAt, segmentCount } from './step';

// @ts-ignore: decorator
@inline const CHUNK_CHANNELS: i32 = 64;

export function causalConv(op: usize, thread: i32, threads: i32): void {
  if (liveRows(op) == 0) return;
  const channels = load<i32>(op, CAUSAL_CONV_CHANNELS);
  const width = load<i32>(op, CAUSAL_CONV_WIDTH);
  const segments = address(op, CAUSAL_CONV_SEGMENTS);
  const xStride = <usize>load<u32>(op, CAUSAL_CONV_X_STRIDE) << 2;
  const yStride = <usize>load<u32>(op, CAUSAL_CONV_Y_STRIDE) << 2;
  const count = segmentCount(segments);
  const chunks = (channels + CHUNK_CHANNELS - 1) / CHUNK_CHANNELS;
  for (let chunk = nextChunk(op); chunk < chunks; chunk = nextChunk(op)) {
    const end = min(channels, (chunk + 1) * CHUNK_CHANNELS);
    for (let s = 0; s < count; s++) {
      const segment = segmentAt(segments, s);
      const rows = rowCount(segment);
      if (rows == 0) continue;
      const state = recurrentState(segment, load<u32>(op, CAUSAL_CONV_STATE_OFFSET));
      for (let channel = chunk * CHUNK_CHANNELS; channel < end; channel += 4) {
        const lanes = min(4, end - channel);
        const shift = <usize>channel << 2;
        const bias = address(op, CAUSAL_CONV_BIAS);
        const start = bias != 0 ? loadFloats(bias + shift, lanes) : f32x4.splat(0);
        const x = address(op, CAUSAL_CONV_X) + <usize>rowStart(segment) * xStride + shift;
        const y = address(op, CAUSAL_CONV_Y) + <usize>rowStart(segment) * yStride + shift;
        const weight = address(op, CAUSAL_CONV_WEIGHT) + shift;
        const rowBytes = <usize>channels << 2;
        if (width == 4 && lanes == 4) convolveFour(x, xStride, y, yStride, rows, weight, rowBytes, start, state + shift);
        else convolve(x, xStride, y, yStride, rows, weight, rowBytes, width, start, state + shift, lanes);
      }
    }
  }
}

/** Any width and up to four channels. `rowBytes` is the distance of rows in `weight` and `state`. */
function convolve(
  x: usize, xStride: usize, y: usize, yStride: usize, rows: i32,
  weight: usize, rowBytes: usize, width: i32, start: v128, state: usize, lanes: i32,
): void {
  const carried = width - 1;
  for (let t = 0; t < rows; t++) {
    let sum = start;
    for (let k = 0; k < width; k++) {
      const from = t + k - carried;
      const input = from < 0 ? state + <usize>(t + k) * rowBytes : x + <usize>from * xStride;
      sum = madd(loadFloats(weight + <usize>k * rowBytes, lanes), loadFloats(input, lanes), sum);
    }
    storeFloats(y + <usize>t * yStride, silu(sum), lanes);
  }
  // Oldest first: a kept row moves to a lower place, so nothing is overwritten before it is read.
  for (let k = 0; k < carried; k++) {
    const from = rows + k - carried;
    const input = from < 0 ? state + <usize>(rows + k) * rowBytes : x + <usize>from * xStride;
    storeFloats(state + <usize>k * rowBytes, loadFloats(input, lanes), lanes);
  }
}

/** Width 4, four channels: the last three inputs stay in registers. */
function convolveFour(
  x: usize, xStride: usize, y: usize, yStride: usize, rows: i32,
  weight: usize, rowBytes: usize, start: v128, state: usize,
): void {
  const w0 = v128.load(weight);
  const w1 = v128.load(weight + rowBytes);
  const w2 = v128.load(weight + 2 * rowBytes);
  const w3 = v128.load(weight + 3 * rowBytes);
  let x0 = v128.load(state);
  let x1 = v128.load(state + rowBytes);
  let x2 = v128.load(state + 2 * rowBytes);
  for (let t = 0; t < rows; t++) {
    const x3 = v128.load(x);
    v128.store(y, silu(madd(w3, x3, madd(w2, x2, madd(w1, x1, madd(w0, x0, start))))));
    x0 = x1;
    x1 = x2;
    x2 = x3;
    x += xStride;
    y += yStride;
  }
  v128.store(state, x0);
  v128.store(state + rowBytes, x1);
  v128.store(state + 2 * rowBytes, x2);
}
