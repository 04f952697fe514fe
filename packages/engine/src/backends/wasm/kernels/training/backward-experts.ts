// Training: the backward of routing and of the weighted sum of experts. One chunk is one row.
import { address, liveRows, madd, nextChunk } from '../common/common';
import { expNegative, horizontalSum, loadFloats, storeFloats } from '../common/math';
import {
  COMBINE_EXPERTS_BACKWARD_COLUMNS, COMBINE_EXPERTS_BACKWARD_D_WEIGHTS, COMBINE_EXPERTS_BACKWARD_DX,
  COMBINE_EXPERTS_BACKWARD_DX_STRIDE, COMBINE_EXPERTS_BACKWARD_DY, COMBINE_EXPERTS_BACKWARD_DY_STRIDE,
  COMBINE_EXPERTS_BACKWARD_SLOT_OF, COMBINE_EXPERTS_BACKWARD_TOP_K, COMBINE_EXPERTS_BACKWARD_WEIGHTS,
  COMBINE_EXPERTS_BACKWARD_X, COMBINE_EXPERTS_BACKWARD_X_STRIDE, ROUTE_BACKWARD_D_WEIGHTS, ROUTE_BACKWARD_DX,
  ROUTE_BACKWARD_DX_STRIDE, ROUTE_BACKWARD_EXPERTS, ROUTE_BACKWARD_IDS, ROUTE_BACKWARD_LOSSES, ROUTE_BACKWARD_OFFSETS,
  ROUTE_BACKWARD_RENORMALIZE, ROUTE_BACKWARD_SCALE, ROUTE_BACKWARD_TOP_K, ROUTE_BACKWARD_X, ROUTE_BACKWARD_X_STRIDE,
  SUM_SLOTS_ACCUMULATE, SUM_SLOTS_COLUMNS, SUM_SLOTS_SLOT_OF, SUM_SLOTS_TOP_K, SUM_SLOTS_X, SUM_SLOTS_X_STRIDE,
  SUM_SLOTS_Y, SUM_SLOTS_Y_STRIDE,
} from '../op-layout';

// @ts-ignore: decorator
@inline function rowAt(op: usize, field: usize, stride: usize, row: i32): usize {
  return address(op, field) + (<usize>(<u32>row * load<u32>(op + stride)) << 2);
}

// @ts-ignore: decorator
@inline function slotAt(op: usize, field: usize, choice: i32): i32 {
  return load<i32>(address(op, field) + (<usize>choice << 2));
}

export function sumSlots(op: usize, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  const topK = load<i32>(op, SUM_SLOTS_TOP_K);
  const columns = load<i32>(op, SUM_SLOTS_COLUMNS);
  const accumulate = load<u32>(op, SUM_SLOTS_ACCUMULATE) != 0;
  for (let row = nextChunk(op); row < rows; row = nextChunk(op)) {
    const y = rowAt(op, SUM_SLOTS_Y, SUM_SLOTS_Y_STRIDE, row);
    if (!accumulate) memory.fill(y, 0, <usize>columns << 2);
    for (let k = 0; k < topK; k++) {
      const x = rowAt(op, SUM_SLOTS_X, SUM_SLOTS_X_STRIDE, slotAt(op, SUM_SLOTS_SLOT_OF, row * topK + k));
      for (let i = 0; i < columns; i += 4) {
        const shift = <usize>i << 2;
        storeFloats(y + shift, f32x4.add(loadFloats(y + shift, columns - i), loadFloats(x + shift, columns - i)), columns - i);
      }
    }
  }
}

export function combineExpertsBackward(op: usize, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  const topK = load<i32>(op, COMBINE_EXPERTS_BACKWARD_TOP_K);
  const columns = load<i32>(op, COMBINE_EXPERTS_BACKWARD_COLUMNS);
  for (let row = nextChunk(op); row < rows; row = nextChunk(op)) {
    const dy = rowAt(op, COMBINE_EXPERTS_BACKWARD_DY, COMBINE_EXPERTS_BACKWARD_DY_STRIDE, row);
    for (let k = 0; k < topK; k++) {
      const choice = row * topK + k;
      const slot = slotAt(op, COMBINE_EXPERTS_BACKWARD_SLOT_OF, choice);
      const weight = v128.load32_splat(address(op, COMBINE_EXPERTS_BACKWARD_WEIGHTS) + (<usize>choice << 2));
      const x = rowAt(op, COMBINE_EXPERTS_BACKWARD_X, COMBINE_EXPERTS_BACKWARD_X_STRIDE, slot);
      const dx = rowAt(op, COMBINE_EXPERTS_BACKWARD_DX, COMBINE_EXPERTS_BACKWARD_DX_STRIDE, slot);
      let dot = f32x4.splat(0);
      for (let i = 0; i < columns; i += 4) {
        const shift = <usize>i << 2;
        const left = columns - i;
        const gradient = loadFloats(dy + shift, left);
        dot = madd(gradient, loadFloats(x + shift, left), dot);
        storeFloats(dx + shift, f32x4.mul(gradient, weight), left);
      }
      store<f32>(address(op, COMBINE_EXPERTS_BACKWARD_D_WEIGHTS) + (<usize>choice << 2), horizontalSum(dot));
    }
  }
}

// @ts-ignore: decorator
@inline function exponential(x: f32): f32 {
  return f32x4.extract_lane(expNegative(f32x4.splat(x)), 0);
}

/** What a probability of expert e costs: scale * experts * (share of rows that chose it) / rows. */
// @ts-ignore: decorator
@inline function price(op: usize, e: i32, rows: i32): f32 {
  const at = address(op, ROUTE_BACKWARD_OFFSETS) + (<usize>e << 2);
  const share = <f32>(load<i32>(at, 4) - load<i32>(at)) / <f32>rows;
  return (load<f32>(op + ROUTE_BACKWARD_SCALE) * <f32>load<i32>(op + ROUTE_BACKWARD_EXPERTS) * share) / <f32>rows;
}

export function routeBackward(op: usize, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  for (let row = nextChunk(op); row < rows; row = nextChunk(op)) routeRow(op, row, rows);
}

/** dx holds the exponentials until it becomes the gradient. */
function routeRow(op: usize, row: i32, rows: i32): void {
  const experts = load<i32>(op + ROUTE_BACKWARD_EXPERTS);
  const topK = load<i32>(op + ROUTE_BACKWARD_TOP_K);
  const renormalize = load<u32>(op + ROUTE_BACKWARD_RENORMALIZE) != 0;
  const x = rowAt(op, ROUTE_BACKWARD_X, ROUTE_BACKWARD_X_STRIDE, row);
  const dx = rowAt(op, ROUTE_BACKWARD_DX, ROUTE_BACKWARD_DX_STRIDE, row);
  const ids = address(op, ROUTE_BACKWARD_IDS) + (<usize>(row * topK) << 2);
  const dWeights = address(op, ROUTE_BACKWARD_D_WEIGHTS) + (<usize>(row * topK) << 2);
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
    routed += (load<f32>(dWeights + (<usize>k << 2)) * load<f32>(dx + (<usize>load<i32>(ids + (<usize>k << 2)) << 2))) / chosen;
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
  store<f32>(address(op, ROUTE_BACKWARD_LOSSES) + (<usize>row << 2), mean);
}
