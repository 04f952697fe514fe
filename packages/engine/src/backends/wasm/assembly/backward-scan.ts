// Training: the backward of the selective scan (formulas in ../../reference/kernels-backward-mamba.ts). Lanes are channels,
// four to a block, as in scan.ts. States are not kept by the forward: a first pass over a segment leaves the state before
// every CHUNK rows; then, from the last chunk to the first, the chunk's states and decays are computed again into scratch
// that fits the first-level cache, and walked backwards.
//
// One chunk of work is a group of blocks: it owns its channels' gradients, and sums those of B and C, which all channels
// share, into partials of its own. Groups do not depend on the number of threads, so neither do the results.
// Scratch of a thread, [states][4] each: CHUNK + 1 states, CHUNK decays, carried gradient, gradient of A, 64 bytes of sums,
// and the states before each chunk of the longest segment.
import { address, liveRows, madd, nextChunk } from './common';
import { exp2Negative, horizontalSum, horizontalSums, loadFloats, LOG2_E, sigmoid, softplus, storeFloats } from './math';
import {
  SCAN_REDUCE_BC_STRIDE, SCAN_REDUCE_DB, SCAN_REDUCE_DC, SCAN_REDUCE_GROUPS, SCAN_REDUCE_PARTIALS, SCAN_REDUCE_STATES,
  SELECTIVE_SCAN_BACKWARD_A, SELECTIVE_SCAN_BACKWARD_B, SELECTIVE_SCAN_BACKWARD_BC_STRIDE, SELECTIVE_SCAN_BACKWARD_C,
  SELECTIVE_SCAN_BACKWARD_CHANNELS, SELECTIVE_SCAN_BACKWARD_D, SELECTIVE_SCAN_BACKWARD_D_A_LOG,
  SELECTIVE_SCAN_BACKWARD_D_D, SELECTIVE_SCAN_BACKWARD_D_DT_BIAS, SELECTIVE_SCAN_BACKWARD_DDT,
  SELECTIVE_SCAN_BACKWARD_DDT_STRIDE, SELECTIVE_SCAN_BACKWARD_DT, SELECTIVE_SCAN_BACKWARD_DT_BIAS,
  SELECTIVE_SCAN_BACKWARD_DT_STRIDE, SELECTIVE_SCAN_BACKWARD_DU, SELECTIVE_SCAN_BACKWARD_DU_STRIDE,
  SELECTIVE_SCAN_BACKWARD_DY, SELECTIVE_SCAN_BACKWARD_DY_STRIDE, SELECTIVE_SCAN_BACKWARD_DZ,
  SELECTIVE_SCAN_BACKWARD_DZ_STRIDE, SELECTIVE_SCAN_BACKWARD_GROUPS, SELECTIVE_SCAN_BACKWARD_PARTIALS,
  SELECTIVE_SCAN_BACKWARD_SCRATCH, SELECTIVE_SCAN_BACKWARD_THREAD_BYTES, SELECTIVE_SCAN_BACKWARD_SEGMENTS,
  SELECTIVE_SCAN_BACKWARD_STATES, SELECTIVE_SCAN_BACKWARD_U, SELECTIVE_SCAN_BACKWARD_U_STRIDE, SELECTIVE_SCAN_BACKWARD_Z,
  SELECTIVE_SCAN_BACKWARD_Z_STRIDE,
} from './op-layout';
import { rowCount, rowStart, segmentAt, segmentCount } from './step';

// @ts-ignore: decorator
@inline const CHUNK: i32 = 64;

export function selectiveScanBackward(op: usize, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  if (rows == 0) return;
  const channels = load<i32>(op, SELECTIVE_SCAN_BACKWARD_CHANNELS);
  const groups = load<i32>(op, SELECTIVE_SCAN_BACKWARD_GROUPS);
  const padded = (load<i32>(op, SELECTIVE_SCAN_BACKWARD_STATES) + 3) & ~3;
  const segments = address(op, SELECTIVE_SCAN_BACKWARD_SEGMENTS);
  const count = segmentCount(segments);
  const scratch = address(op, SELECTIVE_SCAN_BACKWARD_SCRATCH) + <usize>thread * <usize>load<u32>(op, SELECTIVE_SCAN_BACKWARD_THREAD_BYTES);
  const blocks = (channels + 3) / 4;
  const groupBytes = <usize>(rows * 2 * padded) << 2;
  for (let group = nextChunk(op); group < groups; group = nextChunk(op)) {
    const partials = address(op, SELECTIVE_SCAN_BACKWARD_PARTIALS) + <usize>group * groupBytes;
    memory.fill(partials, 0, groupBytes);
    const end = ((group + 1) * blocks) / groups;
    for (let block = (group * blocks) / groups; block < end; block++) {
      const lanes = min(4, channels - block * 4);
      for (let s = 0; s < count; s++) backward(op, segmentAt(segments, s), block * 4, lanes, partials, scratch);
    }
  }
}

// @ts-ignore: decorator
@inline function rowOf(op: usize, field: usize, stride: usize, row: i32): usize {
  return <usize>(load<u32>(op + field) + ((<u32>row * load<u32>(op + stride)) << 2));
}

/** softplus(dt + bias) of four channels. */
// @ts-ignore: decorator
@inline function rawStep(op: usize, row: i32, channel: i32, lanes: i32): v128 {
  const shift = <usize>channel << 2;
  const raw = loadFloats(rowOf(op, SELECTIVE_SCAN_BACKWARD_DT, SELECTIVE_SCAN_BACKWARD_DT_STRIDE, row) + shift, lanes);
  const bias = address(op, SELECTIVE_SCAN_BACKWARD_DT_BIAS);
  return bias != 0 ? f32x4.add(raw, loadFloats(bias + shift, lanes)) : raw;
}

/** All rows of one segment for the `lanes` channels from `channel`. */
function backward(op: usize, segment: usize, channel: i32, lanes: i32, partials: usize, scratch: usize): void {
  const rows = rowCount(segment);
  if (rows == 0) return;
  const first = rowStart(segment);
  const shift = <usize>channel << 2;
  const states = load<i32>(op, SELECTIVE_SCAN_BACKWARD_STATES);
  const bytes = <usize>states << 4;
  const a = address(op, SELECTIVE_SCAN_BACKWARD_A) + shift * <usize>states;
  const decays = scratch + bytes * (CHUNK + 1);
  const carried = decays + bytes * CHUNK;
  const dA = carried + bytes;
  const sums = dA + bytes;
  const before = sums + 64;
  memory.fill(scratch, 0, bytes);
  memory.fill(before, 0, bytes);
  for (let start = 0; start + CHUNK < rows; start += CHUNK) {
    for (let t = start; t < start + CHUNK; t++) advance(op, first + t, channel, lanes, a, states, scratch, scratch, 0);
    memory.copy(before + <usize>(start / CHUNK + 1) * bytes, scratch, bytes);
  }
  memory.fill(carried, 0, 2 * bytes);
  let dSum = f32x4.splat(0);
  let biasSum = f32x4.splat(0);
  const d = loadFloats(address(op, SELECTIVE_SCAN_BACKWARD_D) + shift, lanes);
  const one = f32x4.splat(1);
  for (let start = ((rows - 1) / CHUNK) * CHUNK; start >= 0; start -= CHUNK) {
    const end = min(rows, start + CHUNK);
    memory.copy(scratch, before + <usize>(start / CHUNK) * bytes, bytes);
    for (let t = start; t < end; t++) {
      const state = scratch + <usize>(t - start) * bytes;
      advance(op, first + t, channel, lanes, a, states, state, state + bytes, decays + <usize>(t - start) * bytes);
    }
    for (let t = end - 1; t >= start; t--) {
      const row = first + t;
      const u = loadFloats(rowOf(op, SELECTIVE_SCAN_BACKWARD_U, SELECTIVE_SCAN_BACKWARD_U_STRIDE, row) + shift, lanes);
      const z = loadFloats(rowOf(op, SELECTIVE_SCAN_BACKWARD_Z, SELECTIVE_SCAN_BACKWARD_Z_STRIDE, row) + shift, lanes);
      const dy = loadFloats(rowOf(op, SELECTIVE_SCAN_BACKWARD_DY, SELECTIVE_SCAN_BACKWARD_DY_STRIDE, row) + shift, lanes);
      const raw = rawStep(op, row, channel, lanes);
      const dt = softplus(raw);
      const gate = sigmoid(z);
      const ds = f32x4.mul(dy, f32x4.mul(z, gate));
      const state = scratch + <usize>(t - start) * bytes;
      walkBack(
        a, state, decays + <usize>(t - start) * bytes, carried, dA, states,
        rowOf(op, SELECTIVE_SCAN_BACKWARD_B, SELECTIVE_SCAN_BACKWARD_BC_STRIDE, row),
        rowOf(op, SELECTIVE_SCAN_BACKWARD_C, SELECTIVE_SCAN_BACKWARD_BC_STRIDE, row),
        ds, dt, f32x4.mul(dt, u), partials + (<usize>(row * 2 * ((states + 3) & ~3)) << 2), sums,
      );
      const s = madd(d, u, v128.load(sums));
      const decayPart = v128.load(sums, 16);
      const drivePart = v128.load(sums, 32);
      storeFloats(rowOf(op, SELECTIVE_SCAN_BACKWARD_DU, SELECTIVE_SCAN_BACKWARD_DU_STRIDE, row) + shift, madd(dt, drivePart, f32x4.mul(d, ds)), lanes);
      const ddt = f32x4.mul(madd(u, drivePart, decayPart), sigmoid(raw));
      storeFloats(rowOf(op, SELECTIVE_SCAN_BACKWARD_DDT, SELECTIVE_SCAN_BACKWARD_DDT_STRIDE, row) + shift, ddt, lanes);
      const slope = f32x4.mul(gate, madd(z, f32x4.sub(one, gate), one));
      storeFloats(rowOf(op, SELECTIVE_SCAN_BACKWARD_DZ, SELECTIVE_SCAN_BACKWARD_DZ_STRIDE, row) + shift, f32x4.mul(f32x4.mul(dy, s), slope), lanes);
      dSum = madd(ds, u, dSum);
      biasSum = f32x4.add(biasSum, ddt);
    }
  }
  const dALog = address(op, SELECTIVE_SCAN_BACKWARD_D_A_LOG) + shift * <usize>states;
  for (let at: usize = 0; at < bytes; at += 16)
    v128.store(dALog + at, madd(v128.load(dA + at), v128.load(a + at), v128.load(dALog + at)));
  addTo(address(op, SELECTIVE_SCAN_BACKWARD_D_D) + shift, dSum, lanes);
  const dBias = address(op, SELECTIVE_SCAN_BACKWARD_D_DT_BIAS);
  if (dBias != 0) addTo(dBias + shift, biasSum, lanes);
}

// @ts-ignore: decorator
@inline function addTo(to: usize, value: v128, lanes: i32): void {
  storeFloats(to, f32x4.add(loadFloats(to, lanes), value), lanes);
}

/** One row forwards: `next` from `state` (which it may be), and the decays unless `decays` is 0. */
// @ts-ignore: decorator
@inline function advance(
  op: usize, row: i32, channel: i32, lanes: i32, a: usize, states: i32, state: usize, next: usize, decays: usize,
): void {
  const u = loadFloats(rowOf(op, SELECTIVE_SCAN_BACKWARD_U, SELECTIVE_SCAN_BACKWARD_U_STRIDE, row) + (<usize>channel << 2), lanes);
  const dt = softplus(rawStep(op, row, channel, lanes));
  const exponent = f32x4.mul(dt, v128.load32_splat(LOG2_E));
  const drive = f32x4.mul(dt, u);
  let b = rowOf(op, SELECTIVE_SCAN_BACKWARD_B, SELECTIVE_SCAN_BACKWARD_BC_STRIDE, row);
  const end = a + (<usize>states << 4);
  let from = a;
  while (from < end) {
    const decay = exp2Negative(f32x4.mul(exponent, v128.load(from)));
    if (decays != 0) {
      v128.store(decays, decay);
      decays += 16;
    }
    v128.store(next, madd(decay, v128.load(state), f32x4.mul(drive, v128.load32_splat(b))));
    from += 16;
    state += 16;
    next += 16;
    b += 4;
  }
}

/**
 * One row backwards through all states: `state` holds those before the row, the next `states` × 4 floats those after it.
 * Moves `carried` one row back, adds to dA, and adds the sums over the four channels of g dt u and ds h to `partials`.
 * `sums` receives C h, the sum of g A exp(dt A) h_before, and that of g B, four channels each.
 */
function walkBack(
  a: usize, state: usize, decays: usize, carried: usize, dA: usize, states: i32, b: usize, c: usize,
  ds: v128, dt: v128, drive: v128, partials: usize, sums: usize,
): void {
  const bytes = <usize>states << 4;
  const partialsC = partials + (<usize>((states + 3) & ~3) << 2);
  let output = f32x4.splat(0);
  let decayPart = f32x4.splat(0);
  let drivePart = f32x4.splat(0);
  let at: usize = 0;
  let left = states;
  let column: usize = 0;
  for (; left > 0; left -= 4, column += 16) {
    let b0 = f32x4.splat(0);
    let b1 = b0;
    let b2 = b0;
    let b3 = b0;
    let c0 = b0;
    let c1 = b0;
    let c2 = b0;
    let c3 = b0;
    const live = min(4, left);
    for (let i = 0; i < live; i++, at += 16) {
      const now = v128.load(state + at + bytes);
      const decay = v128.load(decays + at);
      const kept = f32x4.mul(decay, v128.load(state + at));
      const cn = v128.load32_splat(c + (at >> 2));
      const g = madd(ds, cn, v128.load(carried + at));
      const gKept = f32x4.mul(g, kept);
      output = madd(cn, now, output);
      v128.store(dA + at, madd(gKept, dt, v128.load(dA + at)));
      decayPart = madd(gKept, v128.load(a + at), decayPart);
      drivePart = madd(g, v128.load32_splat(b + (at >> 2)), drivePart);
      v128.store(carried + at, f32x4.mul(g, decay));
      // A queue of four instead of indexing: the last one in is the newest state.
      b0 = b1;
      b1 = b2;
      b2 = b3;
      b3 = f32x4.mul(g, drive);
      c0 = c1;
      c1 = c2;
      c2 = c3;
      c3 = f32x4.mul(ds, now);
    }
    if (live == 4) {
      v128.store(partials + column, f32x4.add(v128.load(partials + column), horizontalSums(b0, b1, b2, b3)));
      v128.store(partialsC + column, f32x4.add(v128.load(partialsC + column), horizontalSums(c0, c1, c2, c3)));
    } else {
      addTail(partials + column, live, b1, b2, b3);
      addTail(partialsC + column, live, c1, c2, c3);
    }
  }
  v128.store(sums, output);
  v128.store(sums, decayPart, 16);
  v128.store(sums, drivePart, 32);
}

/** The last one to three states, newest last. */
function addTail(to: usize, live: i32, x1: v128, x2: v128, x3: v128): void {
  if (live == 3) store<f32>(to, load<f32>(to) + horizontalSum(x1));
  if (live >= 2) store<f32>(to + (<usize>(live - 2) << 2), load<f32>(to + (<usize>(live - 2) << 2)) + horizontalSum(x2));
  store<f32>(to + (<usize>(live - 1) << 2), load<f32>(to + (<usize>(live - 1) << 2)) + horizontalSum(x3));
}

/** One chunk is one row. */
export function scanReduce(op: usize, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  const groups = load<i32>(op, SCAN_REDUCE_GROUPS);
  const states = load<i32>(op, SCAN_REDUCE_STATES);
  const rowBytes = <usize>((states + 3) & ~3) << 3;
  const groupBytes = rowBytes * <usize>rows;
  for (let row = nextChunk(op); row < rows; row = nextChunk(op)) {
    const from = address(op, SCAN_REDUCE_PARTIALS) + <usize>row * rowBytes;
    sumGroups(from, groupBytes, groups, states, rowOf(op, SCAN_REDUCE_DB, SCAN_REDUCE_BC_STRIDE, row));
    sumGroups(from + (rowBytes >> 1), groupBytes, groups, states, rowOf(op, SCAN_REDUCE_DC, SCAN_REDUCE_BC_STRIDE, row));
  }
}

function sumGroups(from: usize, groupBytes: usize, groups: i32, states: i32, to: usize): void {
  for (let n = 0; n < states; n += 4) {
    let sum = f32x4.splat(0);
    let at = from + (<usize>n << 2);
    for (let group = 0; group < groups; group++, at += groupBytes) sum = f32x4.add(sum, v128.load(at));
    storeFloats(to + (<usize>n << 2), sum, states - n);
  }
}
