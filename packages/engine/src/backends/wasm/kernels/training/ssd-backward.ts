// Training: the backward of Mamba-2's scan (formulas in ../../reference/kernels-backward-ssd.ts). No states are kept:
// dc needs S, which runs forwards, and all else G, the gradient of S, which runs backwards; only <G, S> needs both, for
// ddt and da. It follows from what each pass knows alone (as in Dao & Gu's code, which sums the gradient of the decays'
// logarithms): with v = <G, exp(dt a) S_before>, q = dy . S c and r = dt x . G b of a row,
//   <G, S> = v + r  by the definition of S,   <G, S> = q + v'  by that of G, v' of the next row,   so  v = v' + q - r
// whose running sum is in double. Two passes over a state of one head, which stays in the first-level cache.
//
// A state's lanes are states, eight of all channels under each other: [ceil(states / 8)][headSize][8], lanes behind the
// last state zero. One chunk of work is a run of heads that share B and C: it owns their gradients, and sums those of B
// and C into partials of its own. Runs do not depend on the number of threads, so neither do the results.
//
// Scratch of a thread, in this order: a state; for each channel sums of eight lanes, and dt x of a row; a sum for each
// state; for each row of a segment q as a double, its step and its decay.
import { liveRows, madd, nextChunk, rowAt } from '../common/common';
import { expNegative, horizontalSum, loadFloats, sigmoid, softplus, storeFloats } from '../common/math';
import { rowCount, rowStart, segmentAt, segmentCount } from '../common/step';
import { SsdScanBackward } from '../op-records';

export function ssdScanBackward(op: SsdScanBackward, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  if (rows == 0) return;
  const parts = op.parts;
  const units = op.groups * parts;
  const perGroup = op.heads / op.groups;
  const segments = op.segments;
  const count = segmentCount(segments);
  const scratch = op.scratch + <usize>thread * op.threadBytes;
  const unitBytes = (<usize>(rows * 2 * ((op.states + 3) & ~3))) << 2;
  for (let unit = nextChunk(op); unit < units; unit = nextChunk(op)) {
    const partials = op.partials + <usize>unit * unitBytes;
    memory.fill(partials, 0, unitBytes);
    const group = unit / parts;
    const part = unit % parts;
    const end = group * perGroup + ((part + 1) * perGroup) / parts;
    for (let head = group * perGroup + (part * perGroup) / parts; head < end; head++)
      for (let s = 0; s < count; s++) headBackward(op, segmentAt(segments, s), head, group, partials, scratch);
  }
}

// @inline
function addFloat(to: usize, value: f64): void {
  f32.store(to, <f32>(<f64>f32.load(to) + value));
}

/** One head of one segment. */
function headBackward(
  op: SsdScanBackward,
  segment: usize,
  head: i32,
  group: i32,
  partials: usize,
  scratch: usize,
): void {
  const states = op.states;
  const headSize = op.headSize;
  const first = rowStart(segment);
  const count = rowCount(segment);
  const shift = (<usize>head) << 2;
  const at = (<usize>(head * headSize)) << 2;
  const bc = (<usize>(group * states)) << 2;
  const padded = (<usize>((states + 7) & ~7)) << 2;
  const rowBytes = (<usize>((states + 3) & ~3)) << 3;
  const stateBytes = <usize>headSize * padded;
  const lanes = scratch + stateBytes;
  const drives = lanes + ((<usize>headSize) << 5);
  const sums = drives + ((<usize>headSize) << 2);
  const perRow = (sums + padded + 7) & ~7;
  const a = f32.load(op.a + shift);
  const bias = f32.load(op.dtBias + shift);
  partials += <usize>first * rowBytes;

  memory.fill(scratch, 0, stateBytes);
  for (let t = 0; t < count; t++) {
    const numbers = perRow + ((<usize>t) << 4);
    const raw = f32x4.splat(f32.load(rowAt(op.dt, op.dtStride, first + t) + shift) + bias);
    const dt = f32x4.pmin(f32x4.pmax(softplus(raw), f32x4.splat(op.leastStep)), f32x4.splat(op.mostStep));
    const decay = expNegative(f32x4.mul(dt, f32x4.splat(a)));
    scaled(rowAt(op.x, op.xStride, first + t) + at, dt, drives, headSize);
    const b = rowAt(op.b, op.bcStride, first + t) + bc;
    const c = rowAt(op.c, op.bcStride, first + t) + bc;
    const dy = rowAt(op.dy, op.dyStride, first + t) + at;
    forwards(scratch, headSize, states, decay, drives, dy, b, sums);
    // dc of this head, and q = c . dc
    f64.store(numbers, addRow(sums, f32x4.splat(1), c, states, partials + <usize>t * rowBytes + (rowBytes >> 1)));
    f32.store(numbers, f32x4.extract_lane(dt, 0), 8);
    f32.store(numbers, f32x4.extract_lane(decay, 0), 12);
  }

  memory.fill(scratch, 0, stateBytes);
  let v: f64 = 0,
    dA: f64 = 0,
    dBias: f64 = 0,
    dD: f64 = 0;
  let next = f32x4.splat(0);
  const d = f32.load(op.d + shift);
  for (let t = count - 1; t >= 0; t--) {
    const numbers = perRow + ((<usize>t) << 4);
    const dt = f32.load(numbers, 8);
    const x = rowAt(op.x, op.xStride, first + t) + at;
    const dy = rowAt(op.dy, op.dyStride, first + t) + at;
    const b = rowAt(op.b, op.bcStride, first + t) + bc;
    const c = rowAt(op.c, op.bcStride, first + t) + bc;
    backwards(scratch, headSize, states, next, x, dy, b, c, sums, lanes);
    // db of this head is dt times the sums; x . G b
    const driven = addRow(sums, f32x4.splat(dt), b, states, partials + <usize>t * rowBytes);
    dD += inputGradient(lanes, headSize, d, dt, x, dy, rowAt(op.dx, op.dxStride, first + t) + at);
    v += f64.load(numbers) - <f64>dt * driven;
    dA += <f64>dt * v;
    const raw = f32.load(rowAt(op.dt, op.dtStride, first + t) + shift) + bias;
    const step = f32x4.extract_lane(softplus(f32x4.splat(raw)), 0);
    const slope = step < op.leastStep || step > op.mostStep ? <f32>0 : f32x4.extract_lane(sigmoid(f32x4.splat(raw)), 0);
    const dRaw = <f32>((<f64>a * v + driven) * <f64>slope);
    f32.store(rowAt(op.ddt, op.ddtStride, first + t) + shift, dRaw);
    dBias += <f64>dRaw;
    next = v128.load32_splat(numbers, 12);
  }
  addFloat(op.dALog + shift, dA * <f64>a); // a = -exp(aLog)
  addFloat(op.dD + shift, dD);
  addFloat(op.dDtBias + shift, dBias);
}

/** to = factor * from */
function scaled(from: usize, factor: v128, to: usize, count: i32): void {
  for (; count > 0; count -= 4, from += 16, to += 16)
    storeFloats(to, f32x4.mul(factor, loadFloats(from, count)), min(4, count));
}

/** partial += factor * sums; returns the dot product of `sums` and `row`. Lanes of `partial` up to a whole four. */
function addRow(sums: usize, factor: v128, row: usize, states: i32, partial: usize): f64 {
  let dot = f64x2.splat(0);
  for (; states > 0; states -= 4, sums += 16, row += 16, partial += 16) {
    const four = v128.load(sums);
    v128.store(partial, f32x4.add(v128.load(partial), f32x4.mul(factor, four)));
    const product = f32x4.mul(four, loadFloats(row, states));
    const high = v128.shuffle<i32>(product, product, 2, 3, 2, 3);
    dot = f64x2.add(dot, f64x2.add(f64x2.promote_low_f32x4(product), f64x2.promote_low_f32x4(high)));
  }
  return f64x2.extract_lane(dot, 0) + f64x2.extract_lane(dot, 1);
}

/** S = decay S + drive b of every channel; sums = S^T dy. */
function forwards(
  s: usize,
  headSize: i32,
  states: i32,
  decay: v128,
  drives: usize,
  dy: usize,
  b: usize,
  sums: usize,
): void {
  const end = (<usize>headSize) << 2;
  for (; states > 0; states -= 8, b += 32, sums += 32) {
    const b0 = loadFloats(b, states);
    const b1 = states > 4 ? loadFloats(b + 16, states - 4) : f32x4.splat(0);
    let sum0 = f32x4.splat(0),
      sum1 = f32x4.splat(0);
    for (let at: usize = 0; at < end; at += 4, s += 32) {
      const drive = v128.load32_splat(drives + at);
      const gradient = v128.load32_splat(dy + at);
      const s0 = madd(decay, v128.load(s), f32x4.mul(drive, b0));
      const s1 = madd(decay, v128.load(s, 16), f32x4.mul(drive, b1));
      v128.store(s, s0);
      v128.store(s, s1, 16);
      sum0 = madd(s0, gradient, sum0);
      sum1 = madd(s1, gradient, sum1);
    }
    v128.store(sums, sum0);
    v128.store(sums, sum1, 16);
  }
}

/** G = next G + dy c of every channel; sums = G^T x; lanes = the eight lanes of G b of every channel. */
function backwards(
  g: usize,
  headSize: i32,
  states: i32,
  next: v128,
  x: usize,
  dy: usize,
  b: usize,
  c: usize,
  sums: usize,
  lanes: usize,
): void {
  const end = (<usize>headSize) << 2;
  memory.fill(lanes, 0, (<usize>headSize) << 5);
  for (; states > 0; states -= 8, b += 32, c += 32, sums += 32) {
    const b0 = loadFloats(b, states);
    const b1 = states > 4 ? loadFloats(b + 16, states - 4) : f32x4.splat(0);
    const c0 = loadFloats(c, states);
    const c1 = states > 4 ? loadFloats(c + 16, states - 4) : f32x4.splat(0);
    let sum0 = f32x4.splat(0),
      sum1 = f32x4.splat(0);
    let to = lanes;
    for (let at: usize = 0; at < end; at += 4, g += 32, to += 32) {
      const gradient = v128.load32_splat(dy + at);
      const input = v128.load32_splat(x + at);
      const g0 = madd(next, v128.load(g), f32x4.mul(gradient, c0));
      const g1 = madd(next, v128.load(g, 16), f32x4.mul(gradient, c1));
      const lane0 = madd(g0, b0, v128.load(to));
      const lane1 = madd(g1, b1, v128.load(to, 16));
      v128.store(g, g0);
      v128.store(g, g1, 16);
      v128.store(to, lane0);
      v128.store(to, lane1, 16);
      sum0 = madd(g0, input, sum0);
      sum1 = madd(g1, input, sum1);
    }
    v128.store(sums, sum0);
    v128.store(sums, sum1, 16);
  }
}

/** dx = D dy + dt G b; returns dy . x. */
function inputGradient(lanes: usize, headSize: i32, d: f32, dt: f32, x: usize, dy: usize, dx: usize): f64 {
  let dot: f64 = 0;
  for (let i = 0; i < headSize; i++, lanes += 32, x += 4, dy += 4, dx += 4) {
    const gradient = f32.load(dy);
    f32.store(dx, d * gradient + dt * horizontalSum(f32x4.add(v128.load(lanes), v128.load(lanes, 16))));
    dot += <f64>gradient * <f64>f32.load(x);
  }
  return dot;
}
