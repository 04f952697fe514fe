// Training: the backward of routing and of the weighted sum of experts. One chunk is one row.
import { liveRows, madd, nextChunk, rowAt } from '../common/common';
import { expNegative, horizontalSum, loadFloats, storeFloats } from '../common/math';
import { CombineExpertsBackward, RouteBackward, SumSlots } from '../op-records';

// @inline
function slotAt(slots: usize, choice: i32): i32 {
  return load<i32>(slots + (<usize>choice << 2));
}

export function sumSlots(op: SumSlots, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  const topK = op.topK;
  const columns = op.columns;
  const accumulate = op.accumulate != 0;
  for (let row = nextChunk(op); row < rows; row = nextChunk(op)) {
    const y = rowAt(op.y, op.yStride, row);
    if (!accumulate) memory.fill(y, 0, <usize>columns << 2);
    for (let k = 0; k < topK; k++) {
      const x = rowAt(op.x, op.xStride, slotAt(op.slotOf, row * topK + k));
      for (let i = 0; i < columns; i += 4) {
        const shift = <usize>i << 2;
        storeFloats(
          y + shift, f32x4.add(loadFloats(y + shift, columns - i), loadFloats(x + shift, columns - i)), columns - i,
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
      const weight = v128.load32_splat(op.weights + (<usize>choice << 2));
      const x = rowAt(op.x, op.xStride, slot);
      const dx = rowAt(op.dx, op.dxStride, slot);
      let dot = f32x4.splat(0);
      for (let i = 0; i < columns; i += 4) {
        const shift = <usize>i << 2;
        const left = columns - i;
        const gradient = loadFloats(dy + shift, left);
        dot = madd(gradient, loadFloats(x + shift, left), dot);
        storeFloats(dx + shift, f32x4.mul(gradient, weight), left);
      }
      store<f32>(op.dWeights + (<usize>choice << 2), horizontalSum(dot));
    }
  }
}

// @inline
function exponential(x: f32): f32 {
  return f32x4.extract_lane(expNegative(f32x4.splat(x)), 0);
}

/** What a probability of expert e costs: scale * experts * (share of rows that chose it) / rows. */
// @inline
function price(op: RouteBackward, e: i32, rows: i32): f32 {
  const at = op.offsets + (<usize>e << 2);
  const share = <f32>(load<i32>(at, 4) - load<i32>(at)) / <f32>rows;
  return (op.scale * <f32>op.experts * share) / <f32>rows;
}

export function routeBackward(op: RouteBackward, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  for (let row = nextChunk(op); row < rows; row = nextChunk(op)) routeRow(op, row, rows);
}

/** dx holds the exponentials until it becomes the gradient. */
function routeRow(op: RouteBackward, row: i32, rows: i32): void {
  const experts = op.experts;
  const topK = op.topK;
  const renormalize = op.renormalize != 0;
  const x = rowAt(op.x, op.xStride, row);
  const dx = rowAt(op.dx, op.dxStride, row);
  const ids = op.ids + (<usize>(row * topK) << 2);
  const dWeights = op.dWeights + (<usize>(row * topK) << 2);
  let peak = load<f32>(x);
  for (let e = 1; e < experts; e++) peak = max(peak, load<f32>(x + (<usize>e << 2)));
  let total: f32 = 0;
  for (let e = 0; e < experts; e++) {
    const value = exponential(load<f32>(x + (<usize>e << 2)) - peak);
    store<f32>(dx + (<usize>e << 2), value);
    total += value;
  }
  let mean: f32 = 0;
  for (let e = 0; e < experts; e++) mean += (price(op, e, rows) * load<f32>(dx + (<usize>e << 2))) / total;
  let chosen: f32 = total;
  if (renormalize) {
    chosen = 0;
    for (let k = 0; k < topK; k++) chosen += load<f32>(dx + (<usize>load<i32>(ids + (<usize>k << 2)) << 2));
  }
  let routed: f32 = 0;
  for (let k = 0; k < topK; k++)
    routed += (
      load<f32>(dWeights + (<usize>k << 2)) * load<f32>(dx + (<usize>load<i32>(ids + (<usize>k << 2)) << 2))
    ) / chosen;
  for (let e = 0; e < experts; e++) {
    const at = dx + (<usize>e << 2);
    const value = load<f32>(at);
    let gradient = (value / total) * (price(op, e, rows) - mean);
    let isChosen = false;
    for (let k = 0; k < topK; k++) {
      if (load<i32>(ids + (<usize>k << 2)) != e) continue;
      isChosen = true;
      gradient += (load<f32>(dWeights + (<usize>k << 2)) * value) / chosen;
    }
    if (isChosen || !renormalize) gradient -= (routed * value) / chosen;
    store<f32>(at, gradient);
  }
  store<f32>(op.losses + (<usize>row << 2), mean);
}
