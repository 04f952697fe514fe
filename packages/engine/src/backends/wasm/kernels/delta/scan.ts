// The scan of gated DeltaNet (Yang et al. 2024, section 3), fused with the lengths of q and k, sigmoid and softplus:
//   S = e^g S;  delta = beta (v - S^T k);  S = S + k delta^T;  y = S^T q
// for each value head, with g = a softplus(dt + dtBias), beta = sigmoid(b).
//
// q, k, v are [rows][qkvStride], heads side by side, b and dt [rows][stride], one per value head. The state is S
// transposed, [valueHeads][valueSize][keySize]: the lanes are key channels, and a column, what S holds for one value
// channel, is a row in memory. Columns know nothing of each other, so an item of work is BLOCK columns of a head, for
// all segments and rows: 16 KB of state at 128 key channels, which stay in the first-level cache while rows pass, and
// enough items for any number of threads. A column's sums have one order, whatever the items, cuts and threads are.
//
// S is read twice and written once per row, four columns at a time, of which the second reading finds it in the cache:
// both products with the old S come first, since y = e^g S^T q + (k q) delta. Scratch of a thread: q, then k of a row,
// divided by their lengths; the state of an item, for drafts.
import { claimRange, liveRows, madd, nextChunk, rangeEnd, rangeFirst } from '../common/common';
import { expNegative, horizontalSum, horizontalSums, loadFloats, sigmoid, softplus, storeFloats } from '../common/math';
import { isHeld, recurrentState, rowCount, rowStart, segmentAt, segmentCount } from '../common/step';
import { DELTA_COLUMNS } from '../constants';
import { DeltaScan } from '../op-records';

/** Columns of an item. */
// @inline
const BLOCK: i32 = DELTA_COLUMNS;
/** Up to this many rows, a thread's changes of place in memory cost more than cache misses. */
// @inline
const FEW_ROWS: i32 = 4;
// @inline
const LEAST_ITEMS: i32 = 4;

export function deltaScan(op: DeltaScan, thread: i32, threads: i32): void {
  if (liveRows(op) == 0) return;
  const blocks = (op.valueSize + BLOCK - 1) / BLOCK;
  const items = op.valueHeads * blocks;
  const scratch = op.scratch + <usize>thread * op.threadBytes;
  if (liveRows(op) <= FEW_ROWS) {
    while (claimRange(op, items, threads, LEAST_ITEMS))
      for (let item = rangeFirst; item < rangeEnd; item++) scanItem(op, item, blocks, scratch);
    return;
  }
  for (let item = nextChunk(op); item < items; item = nextChunk(op)) scanItem(op, item, blocks, scratch);
}

/** A block of columns of a head: all rows of all segments. */
function scanItem(op: DeltaScan, item: i32, blocks: i32, scratch: usize): void {
  const head = item / blocks;
  const first = (item - head * blocks) * BLOCK;
  const count = min(BLOCK, op.valueSize - first);
  const segments = op.segments;
  for (let s = 0, end = segmentCount(segments); s < end; s++)
    scanSegment(op, segmentAt(segments, s), head, first, count, scratch);
}

function scanSegment(op: DeltaScan, segment: usize, head: i32, first: i32, count: i32, q: usize): void {
  const keySize = op.keySize;
  const keyHead = op.tiled ? head % op.keyHeads : head / (op.valueHeads / op.keyHeads);
  const keyShift = (<usize>(keyHead * keySize)) << 2;
  const column = head * op.valueSize + first;
  const shift = (<usize>column) << 2;
  const headShift = (<usize>head) << 2;
  const k = q + ((<usize>keySize) << 2);
  let state = recurrentState(segment, op.stateOffset) + shift * <usize>keySize;
  if (isHeld(segment)) {
    const own = q + <usize>((keySize * 8 + 63) & ~63);
    memory.copy(own, state, <usize>(count * keySize * 4));
    state = own;
  }
  const a = load<f32>(op.a + headShift);
  const bias = load<f32>(op.dtBias + headShift);
  const queryScale = <f32>1 / Mathf.sqrt(<f32>keySize);
  for (let row = rowStart(segment), end = row + rowCount(segment); row < end; row++) {
    const at = (<usize>(<u32>row * op.qkvStride)) << 2;
    divideByLength(op.q + at + keyShift, keySize, op.epsilon, queryScale, q);
    divideByLength(op.k + at + keyShift, keySize, op.epsilon, 1, k);
    const dt = load<f32>(op.dt + ((<usize>row * op.dtStride) << 2) + headShift) + bias;
    const g = f32x4.mul(f32x4.splat(a), softplus(f32x4.splat(dt)));
    const beta = sigmoid(v128.load32_splat(op.b + ((<usize>row * op.bStride) << 2) + headShift));
    const y = op.y + ((<usize>row * op.yStride) << 2) + shift;
    advance(state, keySize, q, k, op.v + at + shift, y, count, expNegative(g), beta);
  }
}

/** to = x / sqrt(sum of squares + epsilon) * scale */
function divideByLength(x: usize, count: i32, epsilon: f32, scale: f32, to: usize): void {
  let even = f32x4.splat(0);
  let odd = f32x4.splat(0);
  let at: usize = 0;
  let left = count;
  for (; left >= 8; left -= 8) {
    const low = v128.load(x + at);
    const high = v128.load(x + at, 16);
    even = madd(low, low, even);
    odd = madd(high, high, odd);
    at += 32;
  }
  for (; left > 0; left -= 4) {
    const low = loadFloats(x + at, left);
    even = madd(low, low, even);
    at += 16;
  }
  const factor = f32x4.splat(scale / Mathf.sqrt(horizontalSum(f32x4.add(even, odd)) + epsilon));
  at = 0;
  for (left = count; left >= 4; left -= 4) {
    v128.store(to + at, f32x4.mul(v128.load(x + at), factor));
    at += 16;
  }
  if (left > 0) storeFloats(to + at, f32x4.mul(loadFloats(x + at, left), factor), left);
}

/** One row of `count` columns. `decay` is e^g; it and `beta` have the same value in each lane. */
function advance(
  state: usize,
  keySize: i32,
  q: usize,
  k: usize,
  v: usize,
  y: usize,
  count: i32,
  decay: v128,
  beta: v128,
): void {
  const columnBytes = (<usize>keySize) << 2;
  const kq = f32x4.splat(dot(k, q, keySize));
  for (; count >= 4; count -= 4) {
    advanceFour(state, columnBytes, q, k, v, y, decay, beta, kq);
    state += columnBytes << 2;
    v += 16;
    y += 16;
  }
  for (; count > 0; count--) {
    const held = dot(state, k, keySize);
    const seen = dot(state, q, keySize);
    const delta = f32x4.mul(beta, f32x4.sub(v128.load32_zero(v), f32x4.mul(decay, f32x4.splat(held))));
    f32.store(y, f32x4.extract_lane(madd(kq, delta, f32x4.mul(decay, f32x4.splat(seen))), 0));
    write(state, k, keySize, decay, f32x4.splat(f32x4.extract_lane(delta, 0)));
    state += columnBytes;
    v += 4;
    y += 4;
  }
}

/** The sum of x[i] y[i]; its order is that of each column of advanceFour. */
function dot(x: usize, y: usize, count: i32): f32 {
  let even = f32x4.splat(0);
  let odd = f32x4.splat(0);
  for (; count >= 8; count -= 8) {
    even = madd(v128.load(x), v128.load(y), even);
    odd = madd(v128.load(x, 16), v128.load(y, 16), odd);
    x += 32;
    y += 32;
  }
  for (; count > 0; count -= 4) {
    even = madd(loadFloats(x, count), loadFloats(y, count), even);
    x += 16;
    y += 16;
  }
  return horizontalSum(f32x4.add(even, odd));
}

/** column = decay column + delta k */
function write(column: usize, k: usize, count: i32, decay: v128, delta: v128): void {
  for (; count >= 8; count -= 8) {
    const low = madd(delta, v128.load(k), f32x4.mul(decay, v128.load(column)));
    const high = madd(delta, v128.load(k, 16), f32x4.mul(decay, v128.load(column, 16)));
    v128.store(column, low);
    v128.store(column, high, 16);
    column += 32;
    k += 32;
  }
  for (; count > 0; count -= 4) {
    storeFloats(column, madd(delta, loadFloats(k, count), f32x4.mul(decay, loadFloats(column, count))), count);
    column += 16;
    k += 16;
  }
}

/** Four columns of one row. */
function advanceFour(
  state: usize,
  columnBytes: usize,
  q: usize,
  k: usize,
  v: usize,
  y: usize,
  decay: v128,
  beta: v128,
  kq: v128,
): void {
  let kEven0 = f32x4.splat(0),
    kOdd0 = f32x4.splat(0),
    qEven0 = f32x4.splat(0),
    qOdd0 = f32x4.splat(0);
  let kEven1 = f32x4.splat(0),
    kOdd1 = f32x4.splat(0),
    qEven1 = f32x4.splat(0),
    qOdd1 = f32x4.splat(0);
  let kEven2 = f32x4.splat(0),
    kOdd2 = f32x4.splat(0),
    qEven2 = f32x4.splat(0),
    qOdd2 = f32x4.splat(0);
  let kEven3 = f32x4.splat(0),
    kOdd3 = f32x4.splat(0),
    qEven3 = f32x4.splat(0),
    qOdd3 = f32x4.splat(0);
  let c0 = state;
  let c1 = c0 + columnBytes;
  let c2 = c1 + columnBytes;
  let c3 = c2 + columnBytes;
  let keys = k;
  let queries = q;
  const most = columnBytes & ~31;
  for (const end = keys + most; keys < end; keys += 32, queries += 32, c0 += 32, c1 += 32, c2 += 32, c3 += 32) {
    const kLow = v128.load(keys),
      kHigh = v128.load(keys, 16);
    const qLow = v128.load(queries),
      qHigh = v128.load(queries, 16);
    const low0 = v128.load(c0),
      high0 = v128.load(c0, 16);
    kEven0 = madd(low0, kLow, kEven0);
    kOdd0 = madd(high0, kHigh, kOdd0);
    qEven0 = madd(low0, qLow, qEven0);
    qOdd0 = madd(high0, qHigh, qOdd0);
    const low1 = v128.load(c1),
      high1 = v128.load(c1, 16);
    kEven1 = madd(low1, kLow, kEven1);
    kOdd1 = madd(high1, kHigh, kOdd1);
    qEven1 = madd(low1, qLow, qEven1);
    qOdd1 = madd(high1, qHigh, qOdd1);
    const low2 = v128.load(c2),
      high2 = v128.load(c2, 16);
    kEven2 = madd(low2, kLow, kEven2);
    kOdd2 = madd(high2, kHigh, kOdd2);
    qEven2 = madd(low2, qLow, qEven2);
    qOdd2 = madd(high2, qHigh, qOdd2);
    const low3 = v128.load(c3),
      high3 = v128.load(c3, 16);
    kEven3 = madd(low3, kLow, kEven3);
    kOdd3 = madd(high3, kHigh, kOdd3);
    qEven3 = madd(low3, qLow, qEven3);
    qOdd3 = madd(high3, qHigh, qOdd3);
  }
  let left = <i32>(columnBytes - most) >> 2;
  for (; left > 0; left -= 4, keys += 16, queries += 16, c0 += 16, c1 += 16, c2 += 16, c3 += 16) {
    const key = loadFloats(keys, left);
    const query = loadFloats(queries, left);
    const x0 = loadFloats(c0, left),
      x1 = loadFloats(c1, left),
      x2 = loadFloats(c2, left),
      x3 = loadFloats(c3, left);
    kEven0 = madd(x0, key, kEven0);
    kEven1 = madd(x1, key, kEven1);
    kEven2 = madd(x2, key, kEven2);
    kEven3 = madd(x3, key, kEven3);
    qEven0 = madd(x0, query, qEven0);
    qEven1 = madd(x1, query, qEven1);
    qEven2 = madd(x2, query, qEven2);
    qEven3 = madd(x3, query, qEven3);
  }
  const held = horizontalSums(
    f32x4.add(kEven0, kOdd0),
    f32x4.add(kEven1, kOdd1),
    f32x4.add(kEven2, kOdd2),
    f32x4.add(kEven3, kOdd3),
  );
  const seen = horizontalSums(
    f32x4.add(qEven0, qOdd0),
    f32x4.add(qEven1, qOdd1),
    f32x4.add(qEven2, qOdd2),
    f32x4.add(qEven3, qOdd3),
  );
  const delta = f32x4.mul(beta, f32x4.sub(v128.load(v), f32x4.mul(decay, held)));
  v128.store(y, madd(kq, delta, f32x4.mul(decay, seen)));
  writeFour(state, columnBytes, k, decay, delta);
}

/** column = decay column + delta k for four columns, delta in lanes. */
// @inline
function writeFour(state: usize, columnBytes: usize, k: usize, decay: v128, delta: v128): void {
  const keySize = <i32>(columnBytes >> 2);
  write(state, k, keySize, decay, v128.shuffle<i32>(delta, delta, 0, 0, 0, 0));
  write(state + columnBytes, k, keySize, decay, v128.shuffle<i32>(delta, delta, 1, 1, 1, 1));
  write(state + 2 * columnBytes, k, keySize, decay, v128.shuffle<i32>(delta, delta, 2, 2, 2, 2));
  write(state + 3 * columnBytes, k, keySize, decay, v128.shuffle<i32>(delta, delta, 3, 3, 3, 3));
}
