// Training: the backward of gated DeltaNet's scan (formulas in ../../reference/kernels-backward-delta.ts). States are not
// kept by the forward: for each block of COLUMNS columns, a first pass over a segment leaves the state before every CHUNK
// rows; then, from the last chunk to the first, the chunk's states are computed again into scratch and walked backwards.
//
// One chunk of work is a key head with all value heads that it serves: it owns their gradients, sums those of its query
// and key in one order, and so do the results not depend on the number of threads.
//
// Scratch of a thread, floats; K channels of a key, R rows of the longest segment:
//   q, k [R][K] divided by their lengths, q by sqrt(K) too; dq, dk [R][K], of those
//   decay, beta, dg, dbeta [R]
//   states [CHUNK + 1][COLUMNS][K]: before the chunk, after each of its rows; dS [COLUMNS][K];
//   lacking [CHUNK][COLUMNS], v - D^T k; before [chunks of R][COLUMNS][K]
import { liveRows, madd, nextChunk, rowAt } from '../common/common';
import { expNegative, horizontalSum, loadFloats, sigmoid, softplus, storeFloats } from '../common/math';
import { DELTA_BACKWARD_CHUNK, DELTA_BACKWARD_COLUMNS } from '../constants';
import { DeltaScanBackward } from '../op-records';
import { rowCount, rowStart, segmentAt, segmentCount } from '../common/step';

// @inline
const CHUNK: i32 = DELTA_BACKWARD_CHUNK;
// @inline
const COLUMNS: i32 = DELTA_BACKWARD_COLUMNS;

export function deltaScanBackward(op: DeltaScanBackward, thread: i32, threads: i32): void {
  if (liveRows(op) == 0) return;
  const scratch = op.scratch + <usize>thread * op.threadBytes;
  const segments = op.segments;
  for (let head = nextChunk(op); head < op.keyHeads; head = nextChunk(op))
    for (let s = 0, end = segmentCount(segments); s < end; s++) keyHead(op, segmentAt(segments, s), head, scratch);
}

/** One segment of a key head. */
function keyHead(op: DeltaScanBackward, segment: usize, head: i32, q: usize): void {
  const rows = rowCount(segment);
  if (rows == 0) return;
  const first = rowStart(segment);
  const keySize = op.keySize;
  const bytes = <usize>(rows * keySize) << 2;
  const k = q + bytes;
  const sums = k + bytes;
  const shift = <usize>(head * keySize) << 2;
  const queryScale = <f32>1 / Mathf.sqrt(<f32>keySize);
  for (let t = 0; t < rows; t++) {
    const at = <usize>(t * keySize) << 2;
    scale(rowAt(op.q, op.qkvStride, first + t) + shift, keySize, queryScale, op.epsilon, q + at);
    scale(rowAt(op.k, op.qkvStride, first + t) + shift, keySize, 1, op.epsilon, k + at);
  }
  memory.fill(sums, 0, 2 * bytes);
  const group = op.valueHeads / op.keyHeads;
  for (let i = 0; i < group; i++) valueHead(op, first, rows, op.tiled ? i * op.keyHeads + head : head * group + i, q);
  for (let t = 0; t < rows; t++) {
    const at = <usize>(t * keySize) << 2;
    const to = (<usize>((first + t) * op.dqkvStride) << 2) + shift;
    const x = rowAt(op.q, op.qkvStride, first + t) + shift;
    throughLength(x, q + at, sums + at, keySize, queryScale, op.epsilon, op.dq + to);
    const y = rowAt(op.k, op.qkvStride, first + t) + shift;
    throughLength(y, k + at, sums + bytes + at, keySize, 1, op.epsilon, op.dk + to);
  }
}

/** to = x / sqrt(sum of squares + epsilon) * factor */
function scale(x: usize, count: i32, factor: f32, epsilon: f32, to: usize): void {
  const by = f32x4.splat(factor / Mathf.sqrt(dot(x, x, count) + epsilon));
  for (; count > 0; count -= 4) {
    storeFloats(to, f32x4.mul(loadFloats(x, count), by), count);
    x += 16;
    to += 16;
  }
}

/** The gradient of x, given `y`, what scale made of it, and the gradient of that. */
function throughLength(x: usize, y: usize, dy: usize, count: i32, factor: f32, epsilon: f32, to: usize): void {
  const inverse = <f32>1 / Mathf.sqrt(dot(x, x, count) + epsilon);
  const along = f32x4.splat(-dot(y, dy, count) * inverse / factor);
  const by = f32x4.splat(factor * inverse);
  for (; count > 0; count -= 4) {
    storeFloats(to, madd(loadFloats(y, count), along, f32x4.mul(loadFloats(dy, count), by)), count);
    y += 16;
    dy += 16;
    to += 16;
  }
}

function dot(x: usize, y: usize, count: i32): f32 {
  let sum = f32x4.splat(0);
  for (; count > 0; count -= 4) {
    sum = madd(loadFloats(x, count), loadFloats(y, count), sum);
    x += 16;
    y += 16;
  }
  return horizontalSum(sum);
}

/** One segment of a value head. `q` is the thread's scratch. */
function valueHead(op: DeltaScanBackward, first: i32, rows: i32, head: i32, q: usize): void {
  const keySize = op.keySize;
  const rowFloats = <usize>rows << 2;
  const decay = q + 4 * rowFloats * <usize>keySize;
  const beta = decay + rowFloats;
  const dg = beta + rowFloats;
  const dBeta = dg + rowFloats;
  const shift = <usize>head << 2;
  const a = load<f32>(op.a + shift);
  const bias = load<f32>(op.dtBias + shift);
  for (let t = 0; t < rows; t++) {
    const at = <usize>t << 2;
    const g = f32x4.mul(f32x4.splat(a), softplus(f32x4.splat(stepOf(op, first + t, shift) + bias)));
    store<f32>(decay + at, f32x4.extract_lane(expNegative(g), 0));
    const b = sigmoid(v128.load32_splat(rowAt(op.b, op.bStride, first + t) + shift));
    store<f32>(beta + at, f32x4.extract_lane(b, 0));
  }
  memory.fill(dg, 0, 2 * rowFloats);
  for (let column = 0; column < op.valueSize; column += COLUMNS)
    columns(op, first, rows, head * op.valueSize + column, min(COLUMNS, op.valueSize - column), q);
  let dALog: f32 = 0;
  let dDtBias: f32 = 0;
  for (let t = 0; t < rows; t++) {
    const at = <usize>t << 2;
    const raw = f32x4.splat(stepOf(op, first + t, shift) + bias);
    const dDecay = load<f32>(dg + at) * a;
    const dRaw = dDecay * f32x4.extract_lane(sigmoid(raw), 0);
    const b = load<f32>(beta + at);
    store<f32>(rowAt(op.db, op.dbStride, first + t) + shift, load<f32>(dBeta + at) * b * (<f32>1 - b));
    store<f32>(rowAt(op.ddt, op.ddtStride, first + t) + shift, dRaw);
    dALog += dDecay * f32x4.extract_lane(softplus(raw), 0);
    dDtBias += dRaw;
  }
  store<f32>(op.dALog + shift, load<f32>(op.dALog + shift) + dALog);
  store<f32>(op.dDtBias + shift, load<f32>(op.dDtBias + shift) + dDtBias);
}

// @inline
function stepOf(op: DeltaScanBackward, row: i32, shift: usize): f32 {
  return load<f32>(rowAt(op.dt, op.dtStride, row) + shift);
}

/** `count` columns of a value head, the first at `column` of all heads' values. */
function columns(op: DeltaScanBackward, first: i32, rows: i32, column: i32, count: i32, q: usize): void {
  const keySize = op.keySize;
  const rowFloats = <usize>rows << 2;
  const k = q + rowFloats * <usize>keySize;
  const decay = q + 4 * rowFloats * <usize>keySize;
  const beta = decay + rowFloats;
  const stateBytes = <usize>(COLUMNS * keySize) << 2;
  const states = decay + 4 * rowFloats;
  const carried = states + <usize>(CHUNK + 1) * stateBytes;
  const lacking = carried + stateBytes;
  const before = lacking + (<usize>(CHUNK * COLUMNS) << 2);
  const shift = <usize>column << 2;
  const keyBytes = <usize>keySize << 2;
  memory.fill(before, 0, stateBytes);
  memory.fill(carried, 0, stateBytes);
  for (let start = 0; start + CHUNK < rows; start += CHUNK) {
    const chunk = before + <usize>(start / CHUNK) * stateBytes;
    memory.copy(states, chunk, stateBytes);
    for (let t = start; t < start + CHUNK; t++) {
      const at = <usize>t << 2;
      const v = rowAt(op.v, op.qkvStride, first + t) + shift;
      advance(states, states, keySize, count, k + at * <usize>keySize, v, load<f32>(decay + at), load<f32>(beta + at), lacking);
    }
    memory.copy(chunk + stateBytes, states, stateBytes);
  }
  for (let start = ((rows - 1) / CHUNK) * CHUNK; start >= 0; start -= CHUNK) {
    const end = min(rows, start + CHUNK);
    memory.copy(states, before + <usize>(start / CHUNK) * stateBytes, stateBytes);
    for (let t = start; t < end; t++) {
      const at = <usize>t << 2;
      const state = states + <usize>(t - start) * stateBytes;
      const v = rowAt(op.v, op.qkvStride, first + t) + shift;
      advance(
        state, state + stateBytes, keySize, count, k + at * <usize>keySize, v, load<f32>(decay + at),
        load<f32>(beta + at), lacking + (<usize>((t - start) * COLUMNS) << 2),
      );
    }
    for (let t = end - 1; t >= start; t--) {
      const at = <usize>t << 2;
      for (let i = 0; i < count; i++) {
        const shifted = <usize>i * keyBytes;
        const state = states + <usize>(t - start) * stateBytes + shifted;
        const lane = <usize>i << 2;
        goBack(
          state, state + stateBytes, carried + shifted, keySize, q + at * <usize>keySize, rowFloats * <usize>keySize,
          load<f32>(rowAt(op.dy, op.dyStride, first + t) + shift + lane),
          load<f32>(lacking + (<usize>((t - start) * COLUMNS) << 2) + lane), decay + at, rowFloats,
          rowAt(op.dv, op.dqkvStride, first + t) + shift + lane,
        );
      }
    }
  }
}

/** to = decay state + k delta^T, delta = beta lacking, lacking = v - decay state^T k, for `count` columns. */
function advance(
  state: usize, to: usize, keySize: i32, count: i32, k: usize, v: usize, decay: f32, beta: f32, lacking: usize,
): void {
  const bytes = <usize>keySize << 2;
  const decays = f32x4.splat(decay);
  for (; count > 0; count--) {
    const missing = load<f32>(v) - decay * dot(state, k, keySize);
    store<f32>(lacking, missing);
    const delta = f32x4.splat(beta * missing);
    for (let i = 0; i < keySize; i += 4) {
      const at = <usize>i << 2;
      const value = madd(loadFloats(k + at, keySize - i), delta, f32x4.mul(loadFloats(state + at, keySize - i), decays));
      storeFloats(to + at, value, keySize - i);
    }
    state += bytes;
    to += bytes;
    v += 4;
    lacking += 4;
  }
}

/**
 * One row of one column, its states `before` and `after`, `carried` its dS. At `row` lie the row's q and, each `apart`
 * bytes behind, k, dq and dk; at `numbers` its decay and, each `numbersApart` bytes behind, beta, dg and dbeta.
 */
function goBack(
  before: usize, after: usize, carried: usize, keySize: i32, row: usize, apart: usize, dy: f32, lacking: f32,
  numbers: usize, numbersApart: usize, dv: usize,
): void {
  const k = row + apart;
  const dq = row + 2 * apart;
  const dk = row + 3 * apart;
  const decay = load<f32>(numbers);
  const beta = load<f32>(numbers + numbersApart);
  const dys = f32x4.splat(dy);
  let products = f32x4.splat(0);
  for (let i = 0; i < keySize; i += 4) {
    const at = <usize>i << 2;
    const lanes = keySize - i;
    const dS = madd(loadFloats(row + at, lanes), dys, loadFloats(carried + at, lanes));
    storeFloats(carried + at, dS, lanes);
    storeFloats(dq + at, madd(loadFloats(after + at, lanes), dys, loadFloats(dq + at, lanes)), lanes);
    products = madd(dS, loadFloats(k + at, lanes), products);
  }
  const dDelta = horizontalSum(products);
  const dValue = beta * dDelta;
  store<f32>(dv, dValue);
  const delta = f32x4.splat(beta * lacking);
  const dHeld = f32x4.splat(-dValue);
  const dBefore = f32x4.splat(-dValue * decay);
  const decays = f32x4.splat(decay);
  products = f32x4.splat(0);
  for (let i = 0; i < keySize; i += 4) {
    const at = <usize>i << 2;
    const lanes = keySize - i;
    const dS = loadFloats(carried + at, lanes);
    const state = loadFloats(before + at, lanes);
    storeFloats(dk + at, madd(state, dBefore, madd(dS, delta, loadFloats(dk + at, lanes))), lanes);
    const dD = madd(loadFloats(k + at, lanes), dHeld, dS);
    products = madd(state, dD, products);
    storeFloats(carried + at, f32x4.mul(dD, decays), lanes);
  }
  const dg = numbers + 2 * numbersApart;
  store<f32>(dg, load<f32>(dg) + decay * horizontalSum(products));
  const dBeta = dg + numbersApart;
  store<f32>(dBeta, load<f32>(dBeta) + dDelta * lacking);
}
