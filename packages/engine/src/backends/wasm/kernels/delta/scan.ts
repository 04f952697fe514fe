// The scan of gated DeltaNet (Yang et al. 2024, section 3), fused with the lengths of q and k, sigmoid and softplus:
//   S = e^g S;  delta = beta (v - S^T k);  S = S + k delta^T;  y = S^T q
// for each value head, with g = a softplus(dt + dtBias), beta = sigmoid(b).
//
// q, k, v are [rows][qkvStride], heads side by side, b and dt [rows][stride], one per value head. The state is S of each
// value head, valueSize columns (what S holds for one value channel) of keySize floats. The lanes are key channels, and
// columns lie in groups of four, eight keys of one after those of another, so that a group is one stream of memory:
//   [valueSize / 4][ [keySize / 8][4][8], [4][keySize % 8] ], then [valueSize % 4][keySize]
// With a column per row of memory, and each column's sums and writes by themselves, a token takes 1.7 times as long where
// states come from memory, prompts 1.5 times (docs/log/2026-11-29-delta-scan.md).
//
// Columns know nothing of each other, so an item of work is BLOCK columns of a head, for all segments and rows: 16 KB of
// state at 128 key channels, which stay in the first-level cache while rows pass, and enough items for any number of
// threads. A column's sums have one order, whatever the items, cuts and threads are.
//
// S is read twice and written once per row, four columns at a time, of which the second reading finds it in the cache:
// both products with the old S come first, since y = e^g S^T q + (k q) delta. Scratch of a thread: q, then k of a row,
// divided by their lengths, and 16 vectors; the state of an item, for drafts.
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
/** Bytes of the 16 vectors of sums. */
// @inline
const ROOM: i32 = 256;

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
    const own = q + <usize>((keySize * 8 + 16 + ROOM + 63) & ~63);
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
  state: usize, keySize: i32, q: usize, k: usize, v: usize, y: usize, count: i32, decay: v128, beta: v128,
): void {
  const columnBytes = (<usize>keySize) << 2;
  const kq = f32x4.splat(dot(k, q, keySize));
  for (; count >= 4; count -= 4) {
    advanceFour(state, keySize, q, k, v, y, decay, beta, kq, k + ((columnBytes + 15) & ~15));
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

/** Four columns of one row. `room` takes 16 vectors. */
function advanceFour(
  state: usize, keySize: i32, q: usize, k: usize, v: usize, y: usize, decay: v128, beta: v128, kq: v128, room: usize,
): void {
  const zero = f32x4.splat(0);
  let k0 = zero, k1 = zero, k2 = zero, k3 = zero, k4 = zero, k5 = zero, k6 = zero, k7 = zero;
  let q0 = zero, q1 = zero, q2 = zero, q3 = zero, q4 = zero, q5 = zero, q6 = zero, q7 = zero;
  let keys = k;
  let queries = q;
  let block = state;
  for (const end = k + (<usize>(keySize & ~7) << 2); keys < end; keys += 32, queries += 32, block += 128) {
    const kLow = v128.load(keys), kHigh = v128.load(keys, 16);
    const qLow = v128.load(queries), qHigh = v128.load(queries, 16);
    const aLow = v128.load(block), aHigh = v128.load(block, 16);
    const bLow = v128.load(block, 32), bHigh = v128.load(block, 48);
    const cLow = v128.load(block, 64), cHigh = v128.load(block, 80);
    const dLow = v128.load(block, 96), dHigh = v128.load(block, 112);
    k0 = madd(aLow, kLow, k0);
    k1 = madd(aHigh, kHigh, k1);
    k2 = madd(bLow, kLow, k2);
    k3 = madd(bHigh, kHigh, k3);
    k4 = madd(cLow, kLow, k4);
    k5 = madd(cHigh, kHigh, k5);
    k6 = madd(dLow, kLow, k6);
    k7 = madd(dHigh, kHigh, k7);
    q0 = madd(aLow, qLow, q0);
    q1 = madd(aHigh, qHigh, q1);
    q2 = madd(bLow, qLow, q2);
    q3 = madd(bHigh, qHigh, q3);
    q4 = madd(cLow, qLow, q4);
    q5 = madd(cHigh, qHigh, q5);
    q6 = madd(dLow, qLow, q6);
    q7 = madd(dHigh, qHigh, q7);
  }
  // Through memory, since only what is stored side by side is merged.
  v128.store(room, k0);
  v128.store(room, k1, 16);
  v128.store(room, k2, 32);
  v128.store(room, k3, 48);
  v128.store(room, k4, 64);
  v128.store(room, k5, 80);
  v128.store(room, k6, 96);
  v128.store(room, k7, 112);
  v128.store(room, q0, 128);
  v128.store(room, q1, 144);
  v128.store(room, q2, 160);
  v128.store(room, q3, 176);
  v128.store(room, q4, 192);
  v128.store(room, q5, 208);
  v128.store(room, q6, 224);
  v128.store(room, q7, 240);
  if (keySize & 7) addRest(block, keySize & 7, keys, queries, room);
  const held = sums(room);
  const seen = sums(room + 128);
  const delta = f32x4.mul(beta, f32x4.sub(v128.load(v), f32x4.mul(decay, held)));
  v128.store(y, madd(kq, delta, f32x4.mul(decay, seen)));
  writeFour(state, keySize, k, decay, delta);
}

/** Adds the last `count` keys of four columns to their even sums. */
function addRest(state: usize, count: i32, k: usize, q: usize, room: usize): void {
  for (let column = 0; column < 4; column++) {
    let keys = v128.load(room);
    let queries = v128.load(room, 128);
    for (let i = 0; i < count; i += 4) {
      const at = <usize>i << 2;
      const value = loadFloats(state + at, count - i);
      keys = madd(value, loadFloats(k + at, count - i), keys);
      queries = madd(value, loadFloats(q + at, count - i), queries);
    }
    v128.store(room, keys);
    v128.store(room, queries, 128);
    state += <usize>count << 2;
    room += 32;
  }
}

/** The sums of four pairs of vectors. */
// @inline
function sums(pairs: usize): v128 {
  return horizontalSums(
    f32x4.add(v128.load(pairs), v128.load(pairs, 16)), f32x4.add(v128.load(pairs, 32), v128.load(pairs, 48)),
    f32x4.add(v128.load(pairs, 64), v128.load(pairs, 80)), f32x4.add(v128.load(pairs, 96), v128.load(pairs, 112)),
  );
}

/** column = decay column + delta k for four columns, delta in lanes. */
function writeFour(state: usize, keySize: i32, k: usize, decay: v128, delta: v128): void {
  const delta0 = v128.shuffle<i32>(delta, delta, 0, 0, 0, 0);
  const delta1 = v128.shuffle<i32>(delta, delta, 1, 1, 1, 1);
  const delta2 = v128.shuffle<i32>(delta, delta, 2, 2, 2, 2);
  const delta3 = v128.shuffle<i32>(delta, delta, 3, 3, 3, 3);
  for (const end = k + (<usize>(keySize & ~7) << 2); k < end; k += 32, state += 128) {
    const low = v128.load(k), high = v128.load(k, 16);
    const a0 = madd(delta0, low, f32x4.mul(decay, v128.load(state)));
    const a1 = madd(delta0, high, f32x4.mul(decay, v128.load(state, 16)));
    const b0 = madd(delta1, low, f32x4.mul(decay, v128.load(state, 32)));
    const b1 = madd(delta1, high, f32x4.mul(decay, v128.load(state, 48)));
    const c0 = madd(delta2, low, f32x4.mul(decay, v128.load(state, 64)));
    const c1 = madd(delta2, high, f32x4.mul(decay, v128.load(state, 80)));
    const d0 = madd(delta3, low, f32x4.mul(decay, v128.load(state, 96)));
    const d1 = madd(delta3, high, f32x4.mul(decay, v128.load(state, 112)));
    v128.store(state, a0);
    v128.store(state, a1, 16);
    v128.store(state, b0, 32);
    v128.store(state, b1, 48);
    v128.store(state, c0, 64);
    v128.store(state, c1, 80);
    v128.store(state, d0, 96);
    v128.store(state, d1, 112);
  }
  const rest = keySize & 7;
  if (rest == 0) return;
  const restBytes = <usize>rest << 2;
  write(state, k, rest, decay, delta0);
  write(state + restBytes, k, rest, decay, delta1);
  write(state + 2 * restBytes, k, rest, decay, delta2);
  write(state + 3 * restBytes, k, rest, decay, delta3);
}
