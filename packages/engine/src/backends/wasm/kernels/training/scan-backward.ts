// Training: the backward of the selective scan (formulas in ../../reference/kernels-backward-mamba.ts). Lanes
// are channels, two blocks of four at a time: neighbouring vectors, which V8 merges into 256-bit ones where
// it may. States are not kept by the forward: a first pass over a segment leaves the state before every CHUNK
// rows; then, from the last chunk to the first, the chunk's states and decays are computed again into scratch
// and walked backwards. Scratch of 256 rows lies in the second-level cache, which is faster than the first
// pass that a chunk of 64 rows would need for a sequence of 256 (58 against 40 ms for 2,048 rows of 512
// channels).
//
// One chunk of work is a group of blocks: it owns its channels' gradients, and sums those of B and C, which
// all channels share, into partials of its own. Groups do not depend on the number of threads, so neither do
// the results. Scratch of a thread, [states][8] each: CHUNK + 1 states, CHUNK decays, carried gradient,
// gradient of A, A, and the states before each chunk of the longest segment; before these PLACES for whatever
// else takes 8 lanes, behind them the products of a row whose sums over the channels are B's and C's
// gradients, [2][states rounded up to 4][4].
import { liveRows, madd, nextChunk, rowAt } from '../common/common';
import {
  EXP2_COEFFICIENTS,
  horizontalSums,
  LEAST_EXPONENT,
  LOG2_E,
  ONE,
  ROUNDING,
  sigmoid,
  softplus,
  storeFloats,
} from '../common/math';
import { rowCount, rowStart, segmentAt, segmentCount } from '../common/step';
import { SCAN_BACKWARD_CHUNK } from '../constants';
import { ScanReduce, SelectiveScanBackward } from '../op-records';

// @inline
const CHUNK: i32 = SCAN_BACKWARD_CHUNK;

export function selectiveScanBackward(op: SelectiveScanBackward, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  if (rows == 0) return;
  const channels = op.channels;
  const groups = op.groups;
  const padded = (op.states + 3) & ~3;
  const segments = op.segments;
  const count = segmentCount(segments);
  const scratch = op.scratch + <usize>thread * op.threadBytes;
  const blocks = (channels + 7) / 8;
  const groupBytes = (<usize>(rows * 2 * padded)) << 2;
  for (let group = nextChunk(op); group < groups; group = nextChunk(op)) {
    const partials = op.partials + <usize>group * groupBytes;
    memory.fill(partials, 0, groupBytes);
    const end = ((group + 1) * blocks) / groups;
    // Segments outside, blocks inside: neighbouring blocks share cache lines, which are still near then.
    for (let s = 0; s < count; s++) {
      for (let block = (group * blocks) / groups; block < end; block++)
        backward(op, segmentAt(segments, s), block * 8, min(8, channels - block * 8), partials, scratch);
    }
  }
}

// Places of 8 lanes at the start of a thread's scratch. Rows of fewer than 8 channels are copied through IN
// and OUT.
// @inline
const D: usize = 0;
// @inline
const BIAS: usize = 32;
// @inline
const D_SUM: usize = 64;
// @inline
const BIAS_SUM: usize = 96;
/** C h; the sum of g A exp(dt A) h_before; the sum of g B. */
// @inline
const SUMS: usize = 128;
/** u, dt, z, dy. */
// @inline
const IN: usize = 224;
/** du, ddt, dz. */
// @inline
const OUT: usize = 352;
// @inline
const PLACES: usize = 448;

/** Where a row's 8 channels can be read: where they lie, or a copy with zeros behind the last. */
// @inline
function reading(from: usize, lanes: i32, copy: usize): usize {
  if (lanes == 8) return from;
  memory.copy(copy, from, (<usize>lanes) << 2);
  return copy;
}

// @inline
function uOf(op: SelectiveScanBackward, row: i32, shift: usize, lanes: i32, places: usize): usize {
  return reading(rowAt(op.u, op.uStride, row) + shift, lanes, places + IN);
}

// @inline
function dtOf(op: SelectiveScanBackward, row: i32, shift: usize, lanes: i32, places: usize): usize {
  return reading(rowAt(op.dt, op.dtStride, row) + shift, lanes, places + IN + 32);
}

/** All rows of one segment for the `lanes` (up to 8) channels from `channel`. */
function backward(
  op: SelectiveScanBackward,
  segment: usize,
  channel: i32,
  lanes: i32,
  partials: usize,
  places: usize,
): void {
  const rows = rowCount(segment);
  if (rows == 0) return;
  const first = rowStart(segment);
  const shift = (<usize>channel) << 2;
  const states = op.states;
  const bytes = (<usize>states) << 5;
  const scratch = places + PLACES;
  const decays = scratch + bytes * (CHUNK + 1);
  const carried = decays + bytes * CHUNK;
  const dA = carried + bytes;
  const a = dA + bytes;
  const before = a + bytes;
  const products = before + bytes * <usize>((rows + CHUNK - 1) / CHUNK);
  memory.fill(places, 0, PLACES + bytes);
  memory.fill(before, 0, bytes);
  memory.fill(products, 0, (<usize>((states + 3) & ~3)) << 5);
  memory.fill(carried, 0, 2 * bytes);
  memory.copy(places + D, op.d + shift, (<usize>lanes) << 2);
  const bias = op.dtBias;
  if (bias != 0) memory.copy(places + BIAS, bias + shift, (<usize>lanes) << 2);
  gatherBlocks(op.a + shift * <usize>states, states, lanes > 4, a);
  for (let start = 0; start + CHUNK < rows; start += CHUNK) {
    for (let t = first + start; t < first + start + CHUNK; t++)
      advance(
        uOf(op, t, shift, lanes, places),
        dtOf(op, t, shift, lanes, places),
        places,
        a,
        states,
        op.b + rowShift(op, t),
        scratch,
        scratch,
        decays,
      );
    memory.copy(before + <usize>(start / CHUNK + 1) * bytes, scratch, bytes);
  }
  for (let start = ((rows - 1) / CHUNK) * CHUNK; start >= 0; start -= CHUNK) {
    const end = min(rows, start + CHUNK);
    memory.copy(scratch, before + <usize>(start / CHUNK) * bytes, bytes);
    for (let t = start; t < end; t++) {
      const state = scratch + <usize>(t - start) * bytes;
      const row = first + t;
      advance(
        uOf(op, row, shift, lanes, places),
        dtOf(op, row, shift, lanes, places),
        places,
        a,
        states,
        op.b + rowShift(op, row),
        state,
        state + bytes,
        decays + <usize>(t - start) * bytes,
      );
    }
    for (let t = end - 1; t >= start; t--) {
      const row = first + t;
      const du = rowAt(op.du, op.duStride, row) + shift;
      const ddt = rowAt(op.ddt, op.ddtStride, row) + shift;
      const dz = rowAt(op.dz, op.dzStride, row) + shift;
      const whole = lanes == 8;
      rowBack(
        uOf(op, row, shift, lanes, places),
        dtOf(op, row, shift, lanes, places),
        reading(rowAt(op.z, op.zStride, row) + shift, lanes, places + IN + 64),
        reading(rowAt(op.dy, op.dyStride, row) + shift, lanes, places + IN + 96),
        whole ? du : places + OUT,
        whole ? ddt : places + OUT + 32,
        whole ? dz : places + OUT + 64,
        places,
        a,
        scratch + <usize>(t - start) * bytes,
        decays + <usize>(t - start) * bytes,
        carried,
        dA,
        states,
        op.b + rowShift(op, row),
        op.c + rowShift(op, row),
        partials + ((<usize>(row * 2 * ((states + 3) & ~3))) << 2),
        products,
      );
      if (!whole) {
        memory.copy(du, places + OUT, (<usize>lanes) << 2);
        memory.copy(ddt, places + OUT + 32, (<usize>lanes) << 2);
        memory.copy(dz, places + OUT + 64, (<usize>lanes) << 2);
      }
    }
  }
  const dALog = op.dALog + shift * <usize>states;
  addBlock(dA, a, states, dALog);
  if (lanes > 4) addBlock(dA + 16, a + 16, states, dALog + ((<usize>states) << 4));
  addTo(op.dD + shift, places + D_SUM, lanes);
  const dBias = op.dDtBias;
  if (dBias != 0) addTo(dBias + shift, places + BIAS_SUM, lanes);
}

// @inline
function rowShift(op: SelectiveScanBackward, row: i32): usize {
  return (<usize>row * op.bcStride) << 2;
}

/** to[n][0…8] from two blocks [n][4], the second of which may be missing. */
function gatherBlocks(from: usize, states: i32, both: bool, to: usize): void {
  const second = from + ((<usize>states) << 4);
  for (const end = second; from < end; from += 16, to += 32) {
    v128.store(to, v128.load(from));
    v128.store(to, both ? v128.load(from + ((<usize>states) << 4)) : f32x4.splat(0), 16);
  }
}

/** One block of dA times A, [n][8] both, is added to dALog [n][4]. */
function addBlock(dA: usize, a: usize, states: i32, dALog: usize): void {
  for (const end = dALog + ((<usize>states) << 4); dALog < end; dALog += 16, dA += 32, a += 32)
    v128.store(dALog, madd(v128.load(dA), v128.load(a), v128.load(dALog)));
}

function addTo(to: usize, from: usize, lanes: i32): void {
  for (const end = to + ((<usize>lanes) << 2); to < end; to += 4, from += 4)
    store<f32>(to, load<f32>(to) + load<f32>(from));
}

/** One row forwards: `next` from `state` (which it may be), and the decays. */
function advance(
  u: usize,
  raw: usize,
  places: usize,
  a: usize,
  states: i32,
  b: usize,
  state: usize,
  next: usize,
  decays: usize,
): void {
  const dt0 = softplus(f32x4.add(v128.load(raw), v128.load(places, BIAS)));
  const dt1 = softplus(f32x4.add(v128.load(raw, 16), v128.load(places, BIAS + 16)));
  const exponent0 = f32x4.mul(dt0, v128.load32_splat(LOG2_E));
  const exponent1 = f32x4.mul(dt1, v128.load32_splat(LOG2_E));
  const drive0 = f32x4.mul(dt0, v128.load(u));
  const drive1 = f32x4.mul(dt1, v128.load(u, 16));
  // 2^x as in math.ts, its constants in registers over the loop.
  const rounding = v128.load32_splat(ROUNDING);
  const least = v128.load32_splat(LEAST_EXPONENT);
  const e1 = v128.load32_splat(EXP2_COEFFICIENTS);
  const e2 = v128.load32_splat(EXP2_COEFFICIENTS + 4);
  const e3 = v128.load32_splat(EXP2_COEFFICIENTS + 8);
  const e4 = v128.load32_splat(EXP2_COEFFICIENTS + 12);
  const e5 = v128.load32_splat(EXP2_COEFFICIENTS + 16);
  const e6 = v128.load32_splat(EXP2_COEFFICIENTS + 20);
  const one = v128.load32_splat(ONE);
  const end = a + ((<usize>states) << 5);
  while (a < end) {
    const x0 = f32x4.pmax(f32x4.mul(exponent0, v128.load(a)), least);
    const x1 = f32x4.pmax(f32x4.mul(exponent1, v128.load(a, 16)), least);
    const shifted0 = f32x4.add(x0, rounding);
    const shifted1 = f32x4.add(x1, rounding);
    const f0 = f32x4.sub(x0, f32x4.sub(shifted0, rounding));
    const f1 = f32x4.sub(x1, f32x4.sub(shifted1, rounding));
    let p0 = madd(e6, f0, e5);
    let p1 = madd(e6, f1, e5);
    p0 = madd(p0, f0, e4);
    p1 = madd(p1, f1, e4);
    p0 = madd(p0, f0, e3);
    p1 = madd(p1, f1, e3);
    p0 = madd(p0, f0, e2);
    p1 = madd(p1, f1, e2);
    p0 = madd(p0, f0, e1);
    p1 = madd(p1, f1, e1);
    p0 = i32x4.add(madd(p0, f0, one), i32x4.shl(shifted0, 23));
    p1 = i32x4.add(madd(p1, f1, one), i32x4.shl(shifted1, 23));
    const bn = v128.load32_splat(b);
    const next0 = madd(p0, v128.load(state), f32x4.mul(drive0, bn));
    const next1 = madd(p1, v128.load(state, 16), f32x4.mul(drive1, bn));
    v128.store(decays, p0);
    v128.store(decays, p1, 16);
    v128.store(next, next0);
    v128.store(next, next1, 16);
    a += 32;
    state += 32;
    decays += 32;
    next += 32;
    b += 4;
  }
}

/**
 * One row backwards: `state` holds the states before it, the next `states` × 8 floats those after it. Moves
 * `carried` one row back, adds to dA, D_SUM and BIAS_SUM, adds the sums over the channels of g dt u and ds h
 * to `partials`, and writes the gradients of u, raw dt and z.
 */
function rowBack(
  u: usize,
  raw: usize,
  z: usize,
  dy: usize,
  du: usize,
  ddt: usize,
  dz: usize,
  places: usize,
  a: usize,
  state: usize,
  decays: usize,
  carried: usize,
  dA: usize,
  states: i32,
  b: usize,
  c: usize,
  partials: usize,
  products: usize,
): void {
  const raw0 = f32x4.add(v128.load(raw), v128.load(places, BIAS));
  const raw1 = f32x4.add(v128.load(raw, 16), v128.load(places, BIAS + 16));
  const u0 = v128.load(u);
  const u1 = v128.load(u, 16);
  const z0 = v128.load(z);
  const z1 = v128.load(z, 16);
  const dy0 = v128.load(dy);
  const dy1 = v128.load(dy, 16);
  const dt0 = softplus(raw0);
  const dt1 = softplus(raw1);
  const gate0 = sigmoid(z0);
  const gate1 = sigmoid(z1);
  const ds0 = f32x4.mul(dy0, f32x4.mul(z0, gate0));
  const ds1 = f32x4.mul(dy1, f32x4.mul(z1, gate1));
  walkBack(
    a,
    state,
    decays,
    carried,
    dA,
    states,
    b,
    c,
    ds0,
    ds1,
    dt0,
    dt1,
    f32x4.mul(dt0, u0),
    f32x4.mul(dt1, u1),
    partials,
    products,
    places + SUMS,
  );
  const one = v128.load32_splat(ONE);
  const d0 = v128.load(places, D);
  const d1 = v128.load(places, D + 16);
  const s0 = madd(d0, u0, v128.load(places, SUMS));
  const s1 = madd(d1, u1, v128.load(places, SUMS + 16));
  const drive0 = v128.load(places, SUMS + 64);
  const drive1 = v128.load(places, SUMS + 80);
  const ddt0 = f32x4.mul(madd(u0, drive0, v128.load(places, SUMS + 32)), sigmoid(raw0));
  const ddt1 = f32x4.mul(madd(u1, drive1, v128.load(places, SUMS + 48)), sigmoid(raw1));
  const du0 = madd(dt0, drive0, f32x4.mul(d0, ds0));
  const du1 = madd(dt1, drive1, f32x4.mul(d1, ds1));
  const slope0 = f32x4.mul(gate0, madd(z0, f32x4.sub(one, gate0), one));
  const slope1 = f32x4.mul(gate1, madd(z1, f32x4.sub(one, gate1), one));
  const dz0 = f32x4.mul(f32x4.mul(dy0, s0), slope0);
  const dz1 = f32x4.mul(f32x4.mul(dy1, s1), slope1);
  const dSum0 = madd(ds0, u0, v128.load(places, D_SUM));
  const dSum1 = madd(ds1, u1, v128.load(places, D_SUM + 16));
  const biasSum0 = f32x4.add(ddt0, v128.load(places, BIAS_SUM));
  const biasSum1 = f32x4.add(ddt1, v128.load(places, BIAS_SUM + 16));
  v128.store(du, du0);
  v128.store(du, du1, 16);
  v128.store(ddt, ddt0);
  v128.store(ddt, ddt1, 16);
  v128.store(dz, dz0);
  v128.store(dz, dz1, 16);
  v128.store(places, dSum0, D_SUM);
  v128.store(places, dSum1, D_SUM + 16);
  v128.store(places, biasSum0, BIAS_SUM);
  v128.store(places, biasSum1, BIAS_SUM + 16);
}

/**
 * The loop over states of rowBack; `sums` receives C h, the sum of g A exp(dt A) h_before, and that of g B.
 */
// @inline
function walkBack(
  a: usize,
  state: usize,
  decays: usize,
  carried: usize,
  dA: usize,
  states: i32,
  b: usize,
  c: usize,
  ds0: v128,
  ds1: v128,
  dt0: v128,
  dt1: v128,
  drive0: v128,
  drive1: v128,
  partials: usize,
  products: usize,
  sums: usize,
): void {
  const bytes = (<usize>states) << 5;
  const productBytes = (<usize>((states + 3) & ~3)) << 4;
  let output0 = f32x4.splat(0);
  let output1 = output0;
  let decay0 = output0;
  let decay1 = output0;
  let drives0 = output0;
  let drives1 = output0;
  const end = a + bytes;
  const after = bytes;
  for (let column: usize = 0; a < end; column += 4) {
    const cn = v128.load32_splat(c + column);
    const bn = v128.load32_splat(b + column);
    const now0 = v128.load(state + after);
    const now1 = v128.load(state + after, 16);
    const p0 = v128.load(decays);
    const p1 = v128.load(decays, 16);
    const g0 = madd(ds0, cn, v128.load(carried));
    const g1 = madd(ds1, cn, v128.load(carried, 16));
    const kept0 = f32x4.mul(g0, f32x4.mul(p0, v128.load(state)));
    const kept1 = f32x4.mul(g1, f32x4.mul(p1, v128.load(state, 16)));
    output0 = madd(cn, now0, output0);
    output1 = madd(cn, now1, output1);
    decay0 = madd(kept0, v128.load(a), decay0);
    decay1 = madd(kept1, v128.load(a, 16), decay1);
    drives0 = madd(g0, bn, drives0);
    drives1 = madd(g1, bn, drives1);
    const dA0 = madd(kept0, dt0, v128.load(dA));
    const dA1 = madd(kept1, dt1, v128.load(dA, 16));
    const carried0 = f32x4.mul(g0, p0);
    const carried1 = f32x4.mul(g1, p1);
    v128.store(dA, dA0);
    v128.store(dA, dA1, 16);
    v128.store(carried, carried0);
    v128.store(carried, carried1, 16);
    const forB = f32x4.add(f32x4.mul(g0, drive0), f32x4.mul(g1, drive1));
    const forC = f32x4.add(f32x4.mul(ds0, now0), f32x4.mul(ds1, now1));
    v128.store(products + (column << 2), forB);
    v128.store(products + (column << 2) + productBytes, forC);
    a += 32;
    state += 32;
    decays += 32;
    carried += 32;
    dA += 32;
  }
  v128.store(sums, output0);
  v128.store(sums, output1, 16);
  v128.store(sums, decay0, 32);
  v128.store(sums, decay1, 48);
  v128.store(sums, drives0, 64);
  v128.store(sums, drives1, 80);
  // Both parts of `partials` and of `products` lie one behind the other.
  for (const stop = products + 2 * productBytes; products < stop; products += 64, partials += 16) {
    const four = horizontalSums(
      v128.load(products),
      v128.load(products, 16),
      v128.load(products, 32),
      v128.load(products, 48),
    );
    v128.store(partials, f32x4.add(v128.load(partials), four));
  }
}

/** One chunk is one row. */
export function scanReduce(op: ScanReduce, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  const groups = op.groups;
  const states = op.states;
  const sets = op.sets;
  const rowBytes = (<usize>((states + 3) & ~3)) << 3;
  const groupBytes = rowBytes * <usize>rows;
  for (let row = nextChunk(op); row < rows; row = nextChunk(op)) {
    let from = op.partials + <usize>row * rowBytes;
    let db = rowAt(op.db, op.bcStride, row);
    let dc = rowAt(op.dc, op.bcStride, row);
    for (let set = 0; set < sets; set++) {
      sumGroups(from, groupBytes, groups, states, db);
      sumGroups(from + (rowBytes >> 1), groupBytes, groups, states, dc);
      from += groupBytes * <usize>groups;
      db += (<usize>states) << 2;
      dc += (<usize>states) << 2;
    }
  }
}

function sumGroups(from: usize, groupBytes: usize, groups: i32, states: i32, to: usize): void {
  for (let n = 0; n < states; n += 4) {
    let sum = f32x4.splat(0);
    let at = from + ((<usize>n) << 2);
    for (let group = 0; group < groups; group++, at += groupBytes) sum = f32x4.add(sum, v128.load(at));
    storeFloats(to + ((<usize>n) << 2), sum, states - n);
  }
}
