// Element by element: activations, sums, copied rows. All operands are [rows][stride] f32. One chunk is a run
// of up to CHUNK_COLUMNS columns of one row.

import { Activate, Add, AddRows, CombineExperts, GatedActivation, GatherRows } from '../op-records';
import { liveRows, madd, nextChunk } from './common';
import { geluErf, geluTanh, loadFloats, sigmoid, silu, storeFloats } from './math';

// @inline
const CHUNK_COLUMNS: i32 = 2048;

// @inline
function chunksPerRow(columns: i32): i32 {
  return (columns + CHUNK_COLUMNS - 1) / CHUNK_COLUMNS;
}

// @inline
function activated(activation: i32, x: v128): v128 {
  if (activation == 0) return silu(x);
  if (activation == 1) return geluTanh(x);
  if (activation == 2) return geluErf(x);
  if (activation == 3) return x;
  return activation == 4 ? sigmoid(x) : f32x4.pmax(x, f32x4.splat(0));
}

/** Activations: 0 SiLU, 1 GELU by tanh, 2 GELU by erf, 3 none, 4 sigmoid, 5 ReLU. */
export function gatedActivation(op: GatedActivation, thread: i32, threads: i32): void {
  const columns = op.columns;
  const activation = op.activation;
  const perRow = chunksPerRow(columns);
  const chunks = liveRows(op) * perRow;
  for (let chunk = nextChunk(op); chunk < chunks; chunk = nextChunk(op)) {
    const row = <usize>(chunk / perRow);
    const first = (chunk % perRow) * CHUNK_COLUMNS;
    const shift = (<usize>first) << 2;
    const gate = op.gate + ((row * op.gateStride) << 2) + shift;
    const up = op.up + ((<usize>row * op.upStride) << 2) + shift;
    const y = op.y + ((<usize>row * op.yStride) << 2) + shift;
    const count = min(CHUNK_COLUMNS, columns - first);
    if (activation == 0) siluRun(gate, up, y, count);
    else if (activation == 1) geluTanhRun(gate, up, y, count);
    else if (activation == 2) geluErfRun(gate, up, y, count);
    else if (activation == 3) productRun(gate, up, y, count);
    else if (activation == 4) sigmoidRun(gate, up, y, count);
    else reluRun(gate, up, y, count);
  }
}

// Functions of their own: Binaryen would fold them into one with a branch inside, which V8 does not merge.
function siluRun(gate: usize, up: usize, y: usize, count: i32): void {
  activateRun(0, gate, up, y, count);
}
function geluTanhRun(gate: usize, up: usize, y: usize, count: i32): void {
  activateRun(1, gate, up, y, count);
}
function geluErfRun(gate: usize, up: usize, y: usize, count: i32): void {
  activateRun(2, gate, up, y, count);
}
function productRun(gate: usize, up: usize, y: usize, count: i32): void {
  activateRun(3, gate, up, y, count);
}
function sigmoidRun(gate: usize, up: usize, y: usize, count: i32): void {
  activateRun(4, gate, up, y, count);
}
function reluRun(gate: usize, up: usize, y: usize, count: i32): void {
  activateRun(5, gate, up, y, count);
}

// @inline
function activateRun(activation: i32, gate: usize, up: usize, y: usize, count: i32): void {
  // Two vectors side by side, for V8 to merge.
  for (; count >= 8; count -= 8) {
    const value0 = activated(activation, v128.load(gate));
    const value1 = activated(activation, v128.load(gate, 16));
    const product0 = f32x4.mul(value0, v128.load(up));
    const product1 = f32x4.mul(value1, v128.load(up, 16));
    v128.store(y, product0);
    v128.store(y, product1, 16);
    gate += 32;
    up += 32;
    y += 32;
  }
  for (; count > 0; count -= 4) {
    const lanes = min(4, count);
    storeFloats(y, f32x4.mul(activated(activation, loadFloats(gate, lanes)), loadFloats(up, lanes)), lanes);
    gate += 16;
    up += 16;
    y += 16;
  }
}

/** The same activations without a gate. */
export function activate(op: Activate, thread: i32, threads: i32): void {
  const columns = op.columns;
  const activation = op.activation;
  const perRow = chunksPerRow(columns);
  const chunks = liveRows(op) * perRow;
  for (let chunk = nextChunk(op); chunk < chunks; chunk = nextChunk(op)) {
    const row = <usize>(chunk / perRow);
    const first = (chunk % perRow) * CHUNK_COLUMNS;
    const x = op.x + ((row * op.xStride + <usize>first) << 2);
    const y = op.y + ((row * op.yStride + <usize>first) << 2);
    const count = min(CHUNK_COLUMNS, columns - first);
    if (activation == 0) siluAlone(x, y, count);
    else if (activation == 1) geluTanhAlone(x, y, count);
    else if (activation == 2) geluErfAlone(x, y, count);
    else if (activation == 3) memory.copy(y, x, (<usize>count) << 2);
    else if (activation == 4) sigmoidAlone(x, y, count);
    else reluAlone(x, y, count);
  }
}

function siluAlone(x: usize, y: usize, count: i32): void {
  aloneRun(0, x, y, count);
}
function geluTanhAlone(x: usize, y: usize, count: i32): void {
  aloneRun(1, x, y, count);
}
function geluErfAlone(x: usize, y: usize, count: i32): void {
  aloneRun(2, x, y, count);
}
function sigmoidAlone(x: usize, y: usize, count: i32): void {
  aloneRun(4, x, y, count);
}
function reluAlone(x: usize, y: usize, count: i32): void {
  aloneRun(5, x, y, count);
}

// @inline
function aloneRun(activation: i32, x: usize, y: usize, count: i32): void {
  for (; count >= 8; count -= 8) {
    const value0 = activated(activation, v128.load(x));
    const value1 = activated(activation, v128.load(x, 16));
    v128.store(y, value0);
    v128.store(y, value1, 16);
    x += 32;
    y += 32;
  }
  for (; count > 0; count -= 4) {
    const lanes = min(4, count);
    storeFloats(y, activated(activation, loadFloats(x, lanes)), lanes);
    x += 16;
    y += 16;
  }
}

export function addRows(op: AddRows, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  const columns = op.columns;
  for (let row = nextChunk(op); row < rows; row = nextChunk(op)) {
    const index = load<usize>(op.indices + ((<usize>row) << 2));
    const added = op.table + ((index * <usize>columns) << 2);
    const y = op.y + ((<usize>row * op.yStride) << 2);
    let at: usize = 0;
    let left = columns;
    for (; left >= 4; left -= 4) {
      v128.store(y + at, f32x4.add(v128.load(y + at), v128.load(added + at)));
      at += 16;
    }
    if (left > 0) storeFloats(y + at, f32x4.add(loadFloats(y + at, left), loadFloats(added + at, left)), left);
  }
}

export function add(op: Add, thread: i32, threads: i32): void {
  const columns = op.columns;
  const perRow = chunksPerRow(columns);
  const chunks = liveRows(op) * perRow;
  for (let chunk = nextChunk(op); chunk < chunks; chunk = nextChunk(op)) {
    const row = <usize>(chunk / perRow);
    const first = (chunk % perRow) * CHUNK_COLUMNS;
    const x = op.x + ((row * op.xStride + <usize>first) << 2);
    const y = op.y + ((row * op.yStride + <usize>first) << 2);
    let count = min(CHUNK_COLUMNS, columns - first);
    let at: usize = 0;
    for (; count >= 4; count -= 4) {
      v128.store(y + at, f32x4.add(v128.load(y + at), v128.load(x + at)));
      at += 16;
    }
    if (count > 0) storeFloats(y + at, f32x4.add(loadFloats(y + at, count), loadFloats(x + at, count)), count);
  }
}

export function gatherRows(op: GatherRows, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  const bytes = (<usize>op.columns) << 2;
  const indices = op.indices;
  for (let row = nextChunk(op); row < rows; row = nextChunk(op)) {
    const from = load<usize>(indices + ((<usize>row) << 2)) * op.xStride;
    const to = <usize>row * op.yStride;
    memory.copy(op.y + (to << 2), op.x + (from << 2), bytes);
  }
}

export function combineExperts(op: CombineExperts, thread: i32, threads: i32): void {
  const columns = op.columns;
  const topK = op.topK;
  const perRow = chunksPerRow(columns);
  const chunks = liveRows(op) * perRow;
  for (let chunk = nextChunk(op); chunk < chunks; chunk = nextChunk(op)) {
    const row = chunk / perRow;
    const first = (chunk % perRow) * CHUNK_COLUMNS;
    const y = op.y + ((<usize>row * op.yStride + <usize>first) << 2);
    const choices = (<usize>(row * topK)) << 2;
    if (op.accumulate == 0) memory.fill(y, 0, (<usize>min(CHUNK_COLUMNS, columns - first)) << 2);
    for (let k = 0; k < topK; k++) {
      const at = choices + ((<usize>k) << 2);
      const slot = load<usize>(op.slotOf + at);
      const weight = v128.load32_splat(op.weights + at);
      const x = op.x + ((slot * op.xStride + <usize>first) << 2);
      addScaled(x, weight, y, min(CHUNK_COLUMNS, columns - first));
    }
  }
}

function addScaled(x: usize, weight: v128, y: usize, count: i32): void {
  let at: usize = 0;
  for (; count >= 4; count -= 4) {
    v128.store(y + at, madd(v128.load(x + at), weight, v128.load(y + at)));
    at += 16;
  }
  if (count > 0) storeFloats(y + at, madd(loadFloats(x + at, count), weight, loadFloats(y + at, count)), count);
}
