// RMS normalisation (Zhang & Sennrich 2019) and LayerNorm (Ba et al. 2016), which takes the mean away and may add a
// bias. x and y are [rows][stride] f32, each row `groups` slices of
// `columns` that are normalised on their own; the weight is [columns] for all slices (stride 0), or
// [groups][columns]. One chunk is one row.

import { LayerNorm, RmsNorm } from '../op-records';
import { liveRows, madd, nextChunk } from './common';
import { horizontalSum, loadFloats, storeFloats } from './math';

export function rmsNorm(op: RmsNorm, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  const columns = op.columns;
  const groups = op.groups;
  const weightStride = (<usize>op.weightStride) << 2;
  const xStride = op.xStride << 2;
  const yStride = op.yStride << 2;
  for (let row = nextChunk(op); row < rows; row = nextChunk(op)) {
    let x = op.x + <usize>row * xStride;
    let y = op.y + <usize>row * yStride;
    let weight = op.weight;
    for (let group = 0; group < groups; group++) {
      normalize(op, x, y, weight, columns);
      weight += weightStride;
      x += (<usize>columns) << 2;
      y += (<usize>columns) << 2;
    }
  }
}

function normalize(op: RmsNorm, x: usize, y: usize, weight: usize, columns: i32): void {
  let even = f32x4.splat(0);
  let odd = f32x4.splat(0);
  let at: usize = 0;
  let left = columns;
  for (; left >= 8; left -= 8) {
    const a = v128.load(x + at);
    const b = v128.load(x + at, 16);
    even = madd(a, a, even);
    odd = madd(b, b, odd);
    at += 32;
  }
  for (; left > 0; left -= 4) {
    const a = loadFloats(x + at, left);
    even = madd(a, a, even);
    at += 16;
  }
  const mean = horizontalSum(f32x4.add(even, odd)) / <f32>columns;
  const scale = f32x4.splat(op.scale / Mathf.sqrt(mean + op.epsilon));
  const offset = f32x4.splat(op.offset);
  const accumulate = op.accumulate != 0;
  at = 0;
  for (left = columns; left >= 4; left -= 4) {
    let value = f32x4.mul(f32x4.mul(v128.load(x + at), scale), f32x4.add(v128.load(weight + at), offset));
    if (accumulate) value = f32x4.add(value, v128.load(y + at));
    v128.store(y + at, value);
    at += 16;
  }
  if (left > 0) {
    let value = f32x4.mul(f32x4.mul(loadFloats(x + at, left), scale), f32x4.add(loadFloats(weight + at, left), offset));
    if (accumulate) value = f32x4.add(value, loadFloats(y + at, left));
    storeFloats(y + at, value, left);
  }
}

export function layerNorm(op: LayerNorm, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  const columns = op.columns;
  for (let row = nextChunk(op); row < rows; row = nextChunk(op))
    normalizeLayer(op, op.x + ((<usize>row * op.xStride) << 2), op.y + ((<usize>row * op.yStride) << 2), columns);
}

/** The sum of a row, then that of squared distances from the mean: sums of squares would lose digits. */
function normalizeLayer(op: LayerNorm, x: usize, y: usize, columns: i32): void {
  let even = f32x4.splat(0);
  let odd = even;
  let at: usize = 0;
  let left = columns;
  for (; left >= 8; left -= 8) {
    even = f32x4.add(even, v128.load(x + at));
    odd = f32x4.add(odd, v128.load(x + at, 16));
    at += 32;
  }
  for (; left > 0; left -= 4) {
    even = f32x4.add(even, loadFloats(x + at, left));
    at += 16;
  }
  const mean = f32x4.splat(horizontalSum(f32x4.add(even, odd)) / <f32>columns);
  even = f32x4.splat(0);
  odd = even;
  at = 0;
  for (left = columns; left >= 8; left -= 8) {
    const a = f32x4.sub(v128.load(x + at), mean);
    const b = f32x4.sub(v128.load(x + at, 16), mean);
    even = madd(a, a, even);
    odd = madd(b, b, odd);
    at += 32;
  }
  for (; left >= 4; left -= 4) {
    const a = f32x4.sub(v128.load(x + at), mean);
    even = madd(a, a, even);
    at += 16;
  }
  let squares = horizontalSum(f32x4.add(even, odd));
  for (; left > 0; left--) {
    const a = load<f32>(x + at) - f32x4.extract_lane(mean, 0);
    squares += a * a;
    at += 4;
  }
  const scale = f32x4.splat(<f32>1 / Mathf.sqrt(squares / <f32>columns + op.epsilon));
  const weight = op.weight;
  const bias = op.bias;
  at = 0;
  for (left = columns; left > 0; left -= 4) {
    const lanes = min(4, left);
    const value = f32x4.mul(
      f32x4.mul(f32x4.sub(loadFloats(x + at, lanes), mean), scale),
      loadFloats(weight + at, lanes),
    );
    storeFloats(y + at, bias == 0 ? value : f32x4.add(value, loadFloats(bias + at, lanes)), lanes);
    at += 16;
  }
}
