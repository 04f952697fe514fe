// Training: the backward of the causal convolution and its activation. Segments start with zero state. One chunk is
// CHUNK_CHANNELS channels of all segments, four at a time: who owns a channel owns the gradients of its taps.
// dy is overwritten with the gradient before the activation, from which dx and the taps' gradients follow:
//   dx[t] = sum over k of w[k] g[t + width - 1 - k]     dw[k] = sum over t of g[t] x[t + k - (width - 1)]
import { liveRows, madd, nextChunk } from '../common/common';
import { loadFloats, sigmoid, storeFloats } from '../common/math';
import { rowCount, rowStart, segmentAt, segmentCount } from '../common/step';
import { CausalConvBackward } from '../op-records';

// @inline
const CHUNK_CHANNELS: i32 = 32;

export function causalConvBackward(op: CausalConvBackward, thread: i32, threads: i32): void {
  if (liveRows(op) == 0) return;
  const channels = op.channels;
  const segments = op.segments;
  const count = segmentCount(segments);
  const chunks = (channels + CHUNK_CHANNELS - 1) / CHUNK_CHANNELS;
  for (let chunk = nextChunk(op); chunk < chunks; chunk = nextChunk(op)) {
    const end = min(channels, (chunk + 1) * CHUNK_CHANNELS);
    for (let channel = chunk * CHUNK_CHANNELS; channel < end; channel += 4)
      for (let s = 0; s < count; s++)
        backward(op, segmentAt(segments, s), (<usize>channel) << 2, min(4, end - channel));
  }
}

/** Up to four channels of one segment. */
function backward(op: CausalConvBackward, segment: usize, shift: usize, lanes: i32): void {
  const rows = rowCount(segment);
  const width = op.width;
  const tapBytes = (<usize>op.channels) << 2;
  const xStride = op.xStride << 2;
  const dyStride = op.dyStride << 2;
  const dxStride = op.dxStride << 2;
  const first = <usize>rowStart(segment);
  const x = op.x + first * xStride + shift;
  const dy = op.dy + first * dyStride + shift;
  const dx = op.dx + first * dxStride + shift;
  const weight = op.weight + shift;
  const dWeight = op.dWeight + shift;
  const bias = op.bias;
  const start = bias != 0 ? loadFloats(bias + shift, lanes) : f32x4.splat(0);
  const activates = op.activation == 0;
  if (width == 4 && lanes == 4 && activates) {
    addBias(op, shift, backwardFour(x, xStride, dy, dyStride, dx, dxStride, rows, weight, dWeight, tapBytes, start), 4);
    return;
  }
  const carried = width - 1;
  const one = f32x4.splat(1);
  let biasSum = f32x4.splat(0);
  for (let t = 0; t < rows; t++) {
    const at = dy + <usize>t * dyStride;
    let gradient = loadFloats(at, lanes);
    if (activates) {
      let sum = start;
      for (let k = max(0, carried - t); k < width; k++)
        sum = madd(
          loadFloats(weight + <usize>k * tapBytes, lanes),
          loadFloats(x + <usize>(t + k - carried) * xStride, lanes),
          sum,
        );
      const s = sigmoid(sum);
      gradient = f32x4.mul(gradient, f32x4.mul(s, madd(sum, f32x4.sub(one, s), one)));
      storeFloats(at, gradient, lanes);
    }
    biasSum = f32x4.add(biasSum, gradient);
  }
  for (let t = 0; t < rows; t++) {
    let sum = f32x4.splat(0);
    for (let k = max(0, carried + t - (rows - 1)); k < width; k++)
      sum = madd(
        loadFloats(weight + <usize>k * tapBytes, lanes),
        loadFloats(dy + <usize>(t + carried - k) * dyStride, lanes),
        sum,
      );
    storeFloats(dx + <usize>t * dxStride, sum, lanes);
  }
  for (let k = 0; k < width; k++) {
    const back = carried - k;
    let sum = f32x4.splat(0);
    for (let t = back; t < rows; t++)
      sum = madd(loadFloats(dy + <usize>t * dyStride, lanes), loadFloats(x + <usize>(t - back) * xStride, lanes), sum);
    const to = dWeight + <usize>k * tapBytes;
    storeFloats(to, f32x4.add(loadFloats(to, lanes), sum), lanes);
  }
  addBias(op, shift, biasSum, lanes);
}

// @inline
function addBias(op: CausalConvBackward, shift: usize, biasSum: v128, lanes: i32): void {
  const dBias = op.dBias;
  if (dBias != 0) storeFloats(dBias + shift, f32x4.add(loadFloats(dBias + shift, lanes), biasSum), lanes);
}

/**
 * Width 4, four channels: one pass, in which dx trails g by three rows, and the last inputs and gradients
 * stay in registers. Returns the sum of g.
 */
function backwardFour(
  x: usize,
  xStride: usize,
  dy: usize,
  dyStride: usize,
  dx: usize,
  dxStride: usize,
  rows: i32,
  weight: usize,
  dWeight: usize,
  tapBytes: usize,
  start: v128,
): v128 {
  const w0 = v128.load(weight);
  const w1 = v128.load(weight + tapBytes);
  const w2 = v128.load(weight + 2 * tapBytes);
  const w3 = v128.load(weight + 3 * tapBytes);
  const one = f32x4.splat(1);
  let x0 = f32x4.splat(0);
  let x1 = x0;
  let x2 = x0;
  let g0 = x0;
  let g1 = x0;
  let g2 = x0;
  let d0 = x0;
  let d1 = x0;
  let d2 = x0;
  let d3 = x0;
  let biasSum = x0;
  for (let t = 0; t < rows + 3; t++) {
    let g3 = f32x4.splat(0);
    if (t < rows) {
      const x3 = v128.load(x);
      const sum = madd(w3, x3, madd(w2, x2, madd(w1, x1, madd(w0, x0, start))));
      const s = sigmoid(sum);
      g3 = f32x4.mul(v128.load(dy), f32x4.mul(s, madd(sum, f32x4.sub(one, s), one)));
      v128.store(dy, g3);
      d0 = madd(g3, x0, d0);
      d1 = madd(g3, x1, d1);
      d2 = madd(g3, x2, d2);
      d3 = madd(g3, x3, d3);
      biasSum = f32x4.add(biasSum, g3);
      x0 = x1;
      x1 = x2;
      x2 = x3;
      x += xStride;
      dy += dyStride;
    }
    if (t >= 3) {
      v128.store(dx, madd(w0, g3, madd(w1, g2, madd(w2, g1, f32x4.mul(w3, g0)))));
      dx += dxStride;
    }
    g0 = g1;
    g1 = g2;
    g2 = g3;
  }
  v128.store(dWeight, f32x4.add(v128.load(dWeight), d0));
  v128.store(dWeight + tapBytes, f32x4.add(v128.load(dWeight + tapBytes), d1));
  v128.store(dWeight + 2 * tapBytes, f32x4.add(v128.load(dWeight + 2 * tapBytes), d2));
  v128.store(dWeight + 3 * tapBytes, f32x4.add(v128.load(dWeight + 3 * tapBytes), d3));
  return biasSum;
}
