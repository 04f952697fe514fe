// Routed feed-forwards (Jamba: Lieber et al. 2024; sparse mixtures after Shazeer et al. 2017): the router's choice, and
// linear maps over the rows that chose each expert. Slots are (row, choice) pairs sorted by expert; plan/ops.ts has the
// arrays. `route` is small: whoever claims its only chunk does it all.
import { address, liveRows, nextChunk } from '../common/common';
import { expNegative, loadFloats } from '../common/math';
import {
  EXPERT_LINEAR_COLUMNS,
  EXPERT_LINEAR_EXPERT_BYTES,
  EXPERT_LINEAR_EXPERTS,
  EXPERT_LINEAR_LAYOUT,
  EXPERT_LINEAR_OFFSETS,
  EXPERT_LINEAR_OUTPUTS,
  EXPERT_LINEAR_SCRATCH,
  EXPERT_LINEAR_SLOT_ROWS,
  EXPERT_LINEAR_WEIGHT,
  EXPERT_LINEAR_X,
  EXPERT_LINEAR_X_STRIDE,
  EXPERT_LINEAR_Y,
  EXPERT_LINEAR_Y_STRIDE,
  ROUTE_EXPERTS,
  ROUTE_IDS,
  ROUTE_OFFSETS,
  ROUTE_RENORMALIZE,
  ROUTE_SLOT_OF,
  ROUTE_SLOT_ROWS,
  ROUTE_TOP_K,
  ROUTE_WEIGHTS,
  ROUTE_X,
  ROUTE_X_STRIDE,
} from '../op-layout';
import { outputsPerChunk, PACKED_BASE, startRows } from './linear';
import { packedExpertLinear } from './packed';
import { multiplyRaw, rawScratchBytes } from './raw-product';

export function route(op: usize, thread: i32, threads: i32): void {
  if (nextChunk(op) != 0) return;
  const rows = liveRows(op);
  const experts = load<i32>(op, ROUTE_EXPERTS);
  const topK = load<i32>(op, ROUTE_TOP_K);
  const renormalize = load<u32>(op, ROUTE_RENORMALIZE) != 0;
  for (let row = 0; row < rows; row++) {
    const x = address(op, ROUTE_X) + ((<usize>(<u32>row * load<u32>(op, ROUTE_X_STRIDE))) << 2);
    const shift = (<usize>(row * topK)) << 2;
    chooseExperts(x, experts, topK, renormalize, address(op, ROUTE_IDS) + shift, address(op, ROUTE_WEIGHTS) + shift);
  }
  const offsets = address(op, ROUTE_OFFSETS);
  sortByExpert(
    address(op, ROUTE_IDS),
    rows * topK,
    topK,
    experts,
    offsets,
    address(op, ROUTE_SLOT_ROWS),
    address(op, ROUTE_SLOT_OF),
  );
}

// @inline
function exponential(x: f32): f32 {
  return f32x4.extract_lane(expNegative(f32x4.splat(x)), 0);
}

/** Top-k by repeated search, so that equal logits come in the order of their experts, then softmax weights. */
function chooseExperts(x: usize, experts: i32, topK: i32, renormalize: bool, ids: usize, weights: usize): void {
  let previous = f32.MAX_VALUE;
  let previousId = -1;
  for (let k = 0; k < topK; k++) {
    let best: f32 = 0;
    let bestId = -1;
    for (let e = 0; e < experts; e++) {
      const value = load<f32>(x + ((<usize>e) << 2));
      const later = previousId < 0 || value < previous || (value == previous && e > previousId);
      if (later && (bestId < 0 || value > best)) {
        best = value;
        bestId = e;
      }
    }
    // Logits that are not numbers match nothing: a legal id keeps later ops inside their arrays.
    previousId = max(bestId, 0);
    previous = load<f32>(x + ((<usize>previousId) << 2));
    store<i32>(ids + ((<usize>k) << 2), previousId);
    store<f32>(weights + ((<usize>k) << 2), previous);
  }
  const peak = load<f32>(weights);
  let total: f32 = 0;
  if (renormalize) {
    for (let k = 0; k < topK; k++) total += exponential(load<f32>(weights + ((<usize>k) << 2)) - peak);
  } else {
    for (let e = 0; e < experts; e += 4) {
      const lanes = min(4, experts - e);
      const value = expNegative(f32x4.sub(loadFloats(x + ((<usize>e) << 2), lanes), f32x4.splat(peak)));
      total += f32x4.extract_lane(value, 0);
      if (lanes > 1) total += f32x4.extract_lane(value, 1);
      if (lanes > 2) total += f32x4.extract_lane(value, 2);
      if (lanes > 3) total += f32x4.extract_lane(value, 3);
    }
  }
  for (let k = 0; k < topK; k++) {
    const at = weights + ((<usize>k) << 2);
    store<f32>(at, exponential(load<f32>(at) - peak) / total);
  }
}

/** Counting sort. While slots are handed out, offsets[e] is the next free slot of expert e; shifted back at the end. */
function sortByExpert(
  ids: usize,
  slots: i32,
  topK: i32,
  experts: i32,
  offsets: usize,
  slotRows: usize,
  slotOf: usize,
): void {
  memory.fill(offsets, 0, (<usize>(experts + 1)) << 2);
  for (let i = 0; i < slots; i++) {
    const at = offsets + ((<usize>(load<i32>(ids + ((<usize>i) << 2)) + 1)) << 2);
    store<i32>(at, load<i32>(at) + 1);
  }
  for (let e = 0; e < experts; e++) {
    const at = offsets + ((<usize>e) << 2);
    store<i32>(at, load<i32>(at) + load<i32>(at, 4), 4);
  }
  for (let i = 0; i < slots; i++) {
    const at = offsets + ((<usize>load<i32>(ids + ((<usize>i) << 2))) << 2);
    const slot = load<i32>(at);
    store<i32>(at, slot + 1);
    store<i32>(slotOf + ((<usize>i) << 2), slot);
    store<i32>(slotRows + ((<usize>slot) << 2), i / topK);
  }
  for (let e = experts; e > 0; e--) {
    const at = offsets + ((<usize>e) << 2);
    store<i32>(at, load<i32>(at - 4));
  }
  store<i32>(offsets, 0);
}

/** One chunk is a run of outputs of one expert, for all of its slots. */
export function expertLinear(op: usize, thread: i32, threads: i32): void {
  const layout = load<i32>(op, EXPERT_LINEAR_LAYOUT);
  if (layout >= PACKED_BASE) {
    packedExpertLinear(op, thread, threads);
    return;
  }
  if (liveRows(op) == 0) return;
  const outputs = load<i32>(op, EXPERT_LINEAR_OUTPUTS);
  const columns = load<i32>(op, EXPERT_LINEAR_COLUMNS);
  const offsets = address(op, EXPERT_LINEAR_OFFSETS);
  const y = address(op, EXPERT_LINEAR_Y);
  const yStride = (<usize>load<u32>(op, EXPERT_LINEAR_Y_STRIDE)) << 2;
  const scratch = address(op, EXPERT_LINEAR_SCRATCH) + <usize>thread * rawScratchBytes(columns);
  const run = outputsPerChunk(outputs, threads);
  const perExpert = (outputs + run - 1) / run;
  const chunks = perExpert * load<i32>(op, EXPERT_LINEAR_EXPERTS);
  for (let chunk = nextChunk(op); chunk < chunks; chunk = nextChunk(op)) {
    const expert = chunk / perExpert;
    const firstSlot = load<i32>(offsets + ((<usize>expert) << 2));
    const endSlot = load<i32>(offsets + ((<usize>expert) << 2), 4);
    if (firstSlot == endSlot) continue;
    const first = (chunk - expert * perExpert) * run;
    const end = min(outputs, first + run);
    startRows(y, yStride, firstSlot, endSlot, first, end, 0, false);
    multiplyRaw(
      layout,
      address(op, EXPERT_LINEAR_WEIGHT) + <usize>expert * <usize>load<u32>(op, EXPERT_LINEAR_EXPERT_BYTES),
      columns,
      first,
      end,
      address(op, EXPERT_LINEAR_X),
      (<usize>load<u32>(op, EXPERT_LINEAR_X_STRIDE)) << 2,
      address(op, EXPERT_LINEAR_SLOT_ROWS),
      y,
      yStride,
      firstSlot,
      endSlot,
      scratch,
    );
  }
}
