// Training: the backward of the selective scan (formulas in ../../reference/kernels-backward-mamba.ts). Lanes are channels,
// four to a block, as in scan.ts. States are not kept by the forward: a first pass over a segment leaves the state before
// every CHUNK rows; then, from the last chunk to the first, the chunk's states and decays are computed again into
// scratch and walked backwards. Scratch of 256 rows lies in the second-level cache, which is faster than the first pass that
// a chunk of 64 rows would need for a sequence of 256 (58 against 40 ms for 2,048 rows of 512 channels).
//
// One chunk of work is a group of blocks: it owns its channels' gradients, and sums those of B and C, which all channels
// share, into partials of its own. Groups do not depend on the number of threads, so neither do the results.
// Scratch of a thread, [states][4] each: CHUNK + 1 states, CHUNK decays, carried gradient, gradient of A, 64 bytes of sums,
// and the states before each chunk of the longest segment.
import { address, liveRows, madd, nextChunk } from './common';
import {
  EXP2_COEFFICIENTS, horizontalSum, horizontalSums, LEAST_EXPONENT, loadFloats, LOG2_E, ROUNDING, sigmoid, softplus, storeFloats,
} from './math';
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
@inline const CHUNK: i32 = 256;

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
    // Segments outside, blocks inside: neighbouring blocks share cache lines, which are still near then.
    for (let s = 0; s < count; s++) {
      for (let block = (group * blocks) / groups; block < end; block++)
        backward(op, segmentAt(segments, s), block * 4, min(4, channels - block * 4), partials, scratch);
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
  // 2^x as in math.ts, its constants in registers over the loop.
  const rounding = v128.load32_splat(ROUNDING);
  const least = v128.load32_splat(LEAST_EXPONENT);
  const e1 = v128.load32_splat(EXP2_COEFFICIENTS);
  const e2 = v128.load32_splat(EXP2_COEFFICIENTS + 4);
  const e3 = v128.load32_splat(EXP2_COEFFICIENTS + 8);
  const e4 = v128.load32_splat(EXP2_COEFFICIENTS + 12);
  const e5 = v128.load32_splat(EXP2_COEFFICIENTS + 16);
  const e6 = v128.load32_splat(EXP2_COEFFICIENTS + 20);
  const one = f32x4.splat(1);
  let b = rowOf(op, SELECTIVE_SCAN_BACKWARD_B, SELECTIVE_SCAN_BACKWARD_BC_STRIDE, row);
  const end = a + (<usize>states << 4);
  let from = a;
  while (from < end) {
    const x = f32x4.pmax(f32x4.mul(exponent, v128.load(from)), least);
    const shifted = f32x4.add(x, rounding);
    const f = f32x4.sub(x, f32x4.sub(shifted, rounding));
    let p = madd(e6, f, e5);
    p = madd(p, f, e4);
    p = madd(p, f, e3);
    p = madd(p, f, e2);
    p = madd(p, f, e1);
    const decay = i32x4.add(madd(p, f, one), i32x4.shl(shifted, 23));
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
  let column: usize = 0;
  const whole = <usize>(states & ~3) << 4;
  for (; at < whole; at += 64, column += 16) {
    const row = at >> 2;
    let now = v128.load(state + at + bytes);
    let decay = v128.load(decays + at);
    let kept = f32x4.mul(decay, v128.load(state + at));
    let c0 = v128.load32_splat(c + row);
    const g0 = madd(ds, c0, v128.load(carried + at));
    let gKept = f32x4.mul(g0, kept);
    output = madd(c0, now, output);
    v128.store(dA + at, madd(gKept, dt, v128.load(dA + at)));
    decayPart = madd(gKept, v128.load(a + at), decayPart);
    drivePart = madd(g0, v128.load32_splat(b + row), drivePart);
    v128.store(carried + at, f32x4.mul(g0, decay));

    now = v128.load(state + at + bytes, 16);
    decay = v128.load(decays + at, 16);
    kept = f32x4.mul(decay, v128.load(state + at, 16));
    c0 = v128.load32_splat(c + row, 4);
    const g1 = madd(ds, c0, v128.load(carried + at, 16));
    gKept = f32x4.mul(g1, kept);
    output = madd(c0, now, output);
    v128.store(dA + at, madd(gKept, dt, v128.load(dA + at, 16)), 16);
    decayPart = madd(gKept, v128.load(a + at, 16), decayPart);
    drivePart = madd(g1, v128.load32_splat(b + row, 4), drivePart);
    v128.store(carried + at, f32x4.mul(g1, decay), 16);

    now = v128.load(state + at + bytes, 32);
    decay = v128.load(decays + at, 32);
    kept = f32x4.mul(decay, v128.load(state + at, 32));
    c0 = v128.load32_splat(c + row, 8);
    const g2 = madd(ds, c0, v128.load(carried + at, 32));
    gKept = f32x4.mul(g2, kept);
    output = madd(c0, now, output);
    v128.store(dA + at, madd(gKept, dt, v128.load(dA + at, 32)), 32);
    decayPart = madd(gKept, v128.load(a + at, 32), decayPart);
    drivePart = madd(g2, v128.load32_splat(b + row, 8), drivePart);
    v128.store(carried + at, f32x4.mul(g2, decay), 32);

    now = v128.load(state + at + bytes, 48);
    decay = v128.load(decays + at, 48);
    kept = f32x4.mul(decay, v128.load(state + at, 48));
    c0 = v128.load32_splat(c + row, 12);
    const g3 = madd(ds, c0, v128.load(carried + at, 48));
    gKept = f32x4.mul(g3, kept);
    output = madd(c0, now, output);
    v128.store(dA + at, madd(gKept, dt, v128.load(dA + at, 48)), 48);
    decayPart = madd(gKept, v128.load(a + at, 48), decayPart);
    drivePart = madd(g3, v128.load32_splat(b + row, 12), drivePart);
    v128.store(carried + at, f32x4.mul(g3, decay), 48);

    const forB = horizontalSums(f32x4.mul(g0, drive), f32x4.mul(g1, drive), f32x4.mul(g2, drive), f32x4.mul(g3, drive));
    v128.store(partials + column, f32x4.add(v128.load(partials + column), forB));
    const after = state + at + bytes;
    const forC = horizontalSums(
      f32x4.mul(ds, v128.load(after)), f32x4.mul(ds, v128.load(after, 16)),
      f32x4.mul(ds, v128.load(after, 32)), f32x4.mul(ds, v128.load(after, 48)),
    );
    v128.store(partialsC + column, f32x4.add(v128.load(partialsC + column), forC));
  }
  for (let place: usize = 0; at < bytes; at += 16, place += 4) {
    const now = v128.load(state + at + bytes);
    const decay = v128.load(decays + at);
    const cn = v128.load32_splat(c + (at >> 2));
    const g = madd(ds, cn, v128.load(carried + at));
    const gKept = f32x4.mul(g, f32x4.mul(decay, v128.load(state + at)));
    output = madd(cn, now, output);
    v128.store(dA + at, madd(gKept, dt, v128.load(dA + at)));
    decayPart = madd(gKept, v128.load(a + at), decayPart);
    drivePart = madd(g, v128.load32_splat(b + (at >> 2)), drivePart);
    v128.store(carried + at, f32x4.mul(g, decay));
    const toB = partials + column + place;
    const toC = partialsC + column + place;
    store<f32>(toB, load<f32>(toB) + horizontalSum(f32x4.mul(g, drive)));
    store<f32>(toC, load<f32>(toC) + horizontalSum(f32x4.mul(ds, now)));
  }
  v128.store(sums, output);
  v128.store(sums, decayPart, 16);
  v128.store(sums, drivePart, 32);
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
