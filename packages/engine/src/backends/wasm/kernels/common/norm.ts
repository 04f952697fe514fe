// RMS normalisation (Zhang & Sennrich 2019). x and y are [rows][stride] f32, each row `groups` slices of
// `columns` that are normalised on their own; the weight is [columns] for all slices (stride 0), or
// [groups][columns]. One chunk is one row.

import { RmsNorm } from '../op-records';
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
