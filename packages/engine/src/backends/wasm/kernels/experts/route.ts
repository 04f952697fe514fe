// The router's choice (sparse mixtures after Shazeer et al. 2017; groups: DeepSeek-V3, 2024, section 2.1.2), and the
// gate of a shared expert. Slots are (row, choice) pairs sorted by expert; plan/ops/experts.ts has the arrays. `route`
// is small: whoever claims its only chunk does it all.
//
// Workspace: three areas of E floats rounded up to whole vectors: scores, values to choose by, those of groups. What
// lies behind the E-th value to choose by is NaN, which no search finds.
import { liveRows, nextChunk, rowAt } from '../common/common';
import { expNegative, horizontalMax, horizontalSum, loadFloats, sigmoid, storeFloats } from '../common/math';
import { GateRows, Route } from '../op-records';

const TAKEN: f32 = -f32(Infinity);

export function route(op: Route, thread: i32, threads: i32): void {
  if (nextChunk(op) != 0) return;
  const rows = liveRows(op);
  const topK = op.topK;
  for (let row = 0; row < rows; row++) {
    const shift = (<usize>(row * topK)) << 2;
    chooseExperts(op, rowAt(op.x, op.xStride, row), op.ids + shift, op.weights + shift);
  }
  sortByExpert(op.ids, rows * topK, topK, op.experts, op.offsets, op.slotRows, op.slotOf);
}

// @inline
function wholeVectors(count: i32): usize {
  return (<usize>((count + 3) & ~3)) << 2;
}

function chooseExperts(op: Route, x: usize, ids: usize, weights: usize): void {
  const experts = op.experts;
  const topK = op.topK;
  const scores = op.workspace;
  const values = scores + wholeVectors(experts);
  if (op.score == 0) softmax(x, scores, experts);
  else sigmoids(x, scores, experts);
  // Softmax alone keeps the order of the logits, which tell small scores apart.
  if (op.score == 0 && op.choiceBias == 0 && op.groupCount == 1) copyToChoose(x, 0, values, experts);
  else copyToChoose(scores, op.choiceBias, values, experts);
  if (op.groupCount > 1) keepGroups(values, experts, op.groupCount, op.groupsUsed);
  let sum: f32 = 0;
  for (let k = 0; k < topK; k++) {
    const at = (<usize>k) << 2;
    const id = takeLargest(values, experts);
    const score = load<f32>(scores + ((<usize>id) << 2));
    store<i32>(ids + at, id);
    store<f32>(weights + at, score);
    sum += score;
  }
  let factor = op.weightScale;
  if (op.renormalize != 0) factor /= sum + op.epsilon;
  for (let k = 0; k < topK; k++) {
    const at = (<usize>k) << 2;
    store<f32>(weights + at, load<f32>(weights + at) * factor);
  }
}

function softmax(x: usize, scores: usize, experts: i32): void {
  let peaks = f32x4.splat(TAKEN);
  let e = 0;
  for (; e + 4 <= experts; e += 4) peaks = f32x4.pmax(peaks, v128.load(x + ((<usize>e) << 2)));
  let peak = horizontalMax(peaks);
  for (; e < experts; e++) peak = max(peak, load<f32>(x + ((<usize>e) << 2)));
  const least = f32x4.splat(peak);
  let sums = f32x4.splat(0);
  let total: f32 = 0;
  for (e = 0; e < experts; e += 4) {
    const value = expNegative(f32x4.sub(loadFloats(x + ((<usize>e) << 2), experts - e), least));
    v128.store(scores + ((<usize>e) << 2), value);
    if (e + 4 <= experts) sums = f32x4.add(sums, value);
  }
  for (e = experts & ~3; e < experts; e++) total += load<f32>(scores + ((<usize>e) << 2));
  const scale = f32x4.splat(1 / (total + horizontalSum(sums)));
  for (e = 0; e < experts; e += 4) {
    const at = scores + ((<usize>e) << 2);
    v128.store(at, f32x4.mul(v128.load(at), scale));
  }
}

function sigmoids(x: usize, scores: usize, experts: i32): void {
  for (let e = 0; e < experts; e += 4) {
    const at = (<usize>e) << 2;
    v128.store(scores + at, sigmoid(loadFloats(x + at, experts - e)));
  }
}

/** values = from + bias (0: none), and NaN in the lanes behind the last. */
function copyToChoose(from: usize, bias: usize, values: usize, count: i32): void {
  for (let e = 0; e < count; e += 4) {
    const at = (<usize>e) << 2;
    let value = loadFloats(from + at, count - e);
    if (bias != 0) value = f32x4.add(value, loadFloats(bias + at, count - e));
    v128.store(values + at, value);
  }
  for (let e = count; (e & 3) != 0; e++) store<f32>(values + ((<usize>e) << 2), f32(NaN));
}

/**
 * The index of the largest value, the first among equals, which is marked as taken. Values that are not numbers are
 * never found; where nothing is, 0: a legal id keeps later ops inside their arrays.
 */
function takeLargest(values: usize, count: i32): i32 {
  let best = f32x4.splat(TAKEN);
  for (let e = 0; e < count; e += 4) best = f32x4.pmax(best, v128.load(values + ((<usize>e) << 2)));
  const largest = f32x4.splat(horizontalMax(best));
  for (let e = 0; e < count; e += 4) {
    const found = i32x4.bitmask(f32x4.eq(v128.load(values + ((<usize>e) << 2)), largest));
    if (found == 0) continue;
    const id = e + <i32>ctz(found);
    store<f32>(values + ((<usize>id) << 2), TAKEN);
    return id;
  }
  return 0;
}

/** Marks all values as taken but those of the `used` groups whose best two have the largest sums. */
function keepGroups(values: usize, experts: i32, groups: i32, used: i32): void {
  const sums = values + wholeVectors(experts);
  const size = experts / groups;
  for (let g = 0; g < groups; g++) {
    let first = TAKEN;
    let second = TAKEN;
    for (let e = g * size; e < (g + 1) * size; e++) {
      const value = load<f32>(values + ((<usize>e) << 2));
      second = max(second, min(first, value));
      first = max(first, value);
    }
    store<f32>(sums + ((<usize>g) << 2), size > 1 ? first + second : first);
  }
  for (let g = groups; (g & 3) != 0; g++) store<f32>(sums + ((<usize>g) << 2), f32(NaN));
  for (let i = 0; i < used; i++) takeLargest(sums, groups);
  for (let g = 0; g < groups; g++) {
    if (load<f32>(sums + ((<usize>g) << 2)) == TAKEN) continue;
    for (let e = g * size; e < (g + 1) * size; e++) store<f32>(values + ((<usize>e) << 2), TAKEN);
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

/** One chunk is one row. */
export function gateRows(op: GateRows, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  const columns = op.columns;
  for (let row = nextChunk(op); row < rows; row = nextChunk(op)) {
    const gate = sigmoid(v128.load32_splat(rowAt(op.gate, op.gateStride, row)));
    let x = rowAt(op.x, op.xStride, row);
    let y = rowAt(op.y, op.yStride, row);
    for (let left = columns; left > 0; left -= 4) {
      storeFloats(y, f32x4.mul(gate, loadFloats(x, left)), left);
      x += 16;
      y += 16;
    }
  }
}
