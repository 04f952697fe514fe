// Training: the backward of routing, of the weighted sum of experts and of a shared expert's gate. One chunk is one
// row.
import { liveRows, madd, nextChunk, rowAt } from '../common/common';
import { expNegative, horizontalSum, loadFloats, sigmoid, storeFloats } from '../common/math';
import { CombineExpertsBackward, GateRowsBackward, RouteBackward, SumSlots } from '../op-records';

// @inline
function slotAt(slots: usize, choice: i32): i32 {
  return load<i32>(slots + ((<usize>choice) << 2));
}

export function sumSlots(op: SumSlots, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  const topK = op.topK;
  const columns = op.columns;
  const accumulate = op.accumulate != 0;
  for (let row = nextChunk(op); row < rows; row = nextChunk(op)) {
    const y = rowAt(op.y, op.yStride, row);
    if (!accumulate) memory.fill(y, 0, (<usize>columns) << 2);
    for (let k = 0; k < topK; k++) {
      const x = rowAt(op.x, op.xStride, slotAt(op.slotOf, row * topK + k));
      for (let i = 0; i < columns; i += 4) {
        const shift = (<usize>i) << 2;
        storeFloats(
          y + shift,
          f32x4.add(loadFloats(y + shift, columns - i), loadFloats(x + shift, columns - i)),
          columns - i,
        );
      }
    }
  }
}

export function combineExpertsBackward(op: CombineExpertsBackward, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  const topK = op.topK;
  const columns = op.columns;
  for (let row = nextChunk(op); row < rows; row = nextChunk(op)) {
    const dy = rowAt(op.dy, op.dyStride, row);
    for (let k = 0; k < topK; k++) {
      const choice = row * topK + k;
      const slot = slotAt(op.slotOf, choice);
      const weight = v128.load32_splat(op.weights + ((<usize>choice) << 2));
      const x = rowAt(op.x, op.xStride, slot);
      const dx = rowAt(op.dx, op.dxStride, slot);
      let dot = f32x4.splat(0);
      for (let i = 0; i < columns; i += 4) {
        const shift = (<usize>i) << 2;
        const left = columns - i;
        const gradient = loadFloats(dy + shift, left);
        dot = madd(gradient, loadFloats(x + shift, left), dot);
        storeFloats(dx + shift, f32x4.mul(gradient, weight), left);
      }
      store<f32>(op.dWeights + ((<usize>choice) << 2), horizontalSum(dot));
    }
  }
}

/** One chunk is one row. */
export function gateRowsBackward(op: GateRowsBackward, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  const columns = op.columns;
  for (let row = nextChunk(op); row < rows; row = nextChunk(op)) {
    const gate = sigmoid(v128.load32_splat(rowAt(op.gate, op.gateStride, row)));
    const x = rowAt(op.x, op.xStride, row);
    const dy = rowAt(op.dy, op.dyStride, row);
    const dx = rowAt(op.dx, op.dxStride, row);
    let dot = f32x4.splat(0);
    for (let i = 0; i < columns; i += 4) {
      const shift = (<usize>i) << 2;
      const left = columns - i;
      const gradient = loadFloats(dy + shift, left);
      dot = madd(gradient, loadFloats(x + shift, left), dot);
      storeFloats(dx + shift, f32x4.mul(gradient, gate), left);
    }
    const value = f32x4.extract_lane(gate, 0);
    store<f32>(rowAt(op.dGate, op.dGateStride, row), horizontalSum(dot) * value * (1 - value));
  }
}

/** What the share of expert e costs: scale * experts * (share of rows that chose it) / rows. */
// @inline
function price(op: RouteBackward, e: i32, rows: i32): f32 {
  const at = op.offsets + ((<usize>e) << 2);
  const share = <f32>(load<i32>(at, 4) - load<i32>(at)) / <f32>rows;
  return (op.scale * <f32>op.experts * share) / <f32>rows;
}

export function routeBackward(op: RouteBackward, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  for (let row = nextChunk(op); row < rows; row = nextChunk(op)) routeRow(op, row, rows);
}

/** Writes the scores of a row's logits to `scores`: softmax, or sigmoids. */
function writeScores(op: RouteBackward, x: usize, scores: usize): void {
  const experts = op.experts;
  if (op.score != 0) {
    for (let e = 0; e < experts; e++) {
      const at = (<usize>e) << 2;
      store<f32>(scores + at, f32x4.extract_lane(sigmoid(v128.load32_splat(x + at)), 0));
    }
    return;
  }
  let peak = load<f32>(x);
  for (let e = 1; e < experts; e++) peak = max(peak, load<f32>(x + ((<usize>e) << 2)));
  let total: f32 = 0;
  for (let e = 0; e < experts; e++) {
    const at = (<usize>e) << 2;
    const value = f32x4.extract_lane(expNegative(f32x4.splat(load<f32>(x + at) - peak)), 0);
    store<f32>(scores + at, value);
    total += value;
  }
  for (let e = 0; e < experts; e++) {
    const at = scores + ((<usize>e) << 2);
    store<f32>(at, load<f32>(at) / total);
  }
}

/**
 * dx holds the scores until it becomes the gradient. With the sum D that the weights are divided by (1: by none) and
 * R = sum of dWeight * score over the chosen, a chosen score's gradient is dWeight / D - R / D^2 (dWeight / 1).
 */
function routeRow(op: RouteBackward, row: i32, rows: i32): void {
  const experts = op.experts;
  const topK = op.topK;
  const scale = op.weightScale;
  const dx = rowAt(op.dx, op.dxStride, row);
  const ids = op.ids + ((<usize>(row * topK)) << 2);
  const dWeights = op.dWeights + ((<usize>(row * topK)) << 2);
  writeScores(op, rowAt(op.x, op.xStride, row), dx);
  let total: f32 = 0;
  for (let e = 0; e < experts; e++) total += load<f32>(dx + ((<usize>e) << 2));
  let mean: f32 = 0;
  for (let e = 0; e < experts; e++) mean += (price(op, e, rows) * load<f32>(dx + ((<usize>e) << 2))) / total;
  let sum: f32 = 0;
  let routed: f32 = 0;
  for (let k = 0; k < topK; k++) {
    const at = (<usize>k) << 2;
    const score = load<f32>(dx + ((<usize>load<i32>(ids + at)) << 2));
    sum += score;
    routed += scale * load<f32>(dWeights + at) * score;
  }
  let divisor: f32 = 1;
  let throughSum: f32 = 0;
  // Of softmax: scores . gradients, the part of renormalised weights being R (1 / D - sum / D^2).
  let dot = routed;
  if (op.renormalize != 0) {
    divisor = sum + op.epsilon;
    throughSum = routed / divisor / divisor;
    dot = throughSum * op.epsilon;
  }
  for (let e = 0; e < experts; e++) {
    const at = dx + ((<usize>e) << 2);
    const value = load<f32>(at);
    let gradient = (price(op, e, rows) - mean) / total;
    for (let k = 0; k < topK; k++) {
      if (load<i32>(ids + ((<usize>k) << 2)) != e) continue;
      gradient += (scale * load<f32>(dWeights + ((<usize>k) << 2))) / divisor - throughSum;
    }
    store<f32>(at, op.score != 0 ? value * (1 - value) * gradient : value * (gradient - dot));
  }
  store<f32>(op.losses + ((<usize>row) << 2), mean);
}
