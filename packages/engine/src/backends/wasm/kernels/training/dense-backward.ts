// Training: the backward of embedding, RMS norm, gated activations and gathered rows. Sums over rows are made
// by one thread for each column, in the order of the rows.
import { liveRows, madd, nextChunk, rowAt } from '../common/common';
import { horizontalSum, loadFloats, sigmoid, storeFloats } from '../common/math';
import {
  AddColumnSums,
  Copy,
  EmbedBackward,
  GatedActivationBackward,
  GatherRowsBackward,
  RmsNormBackward,
  RmsNormWeightBackward,
} from '../op-records';

export function copy(op: Copy, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  const bytes = (<usize>op.columns) << 2;
  for (let row = nextChunk(op); row < rows; row = nextChunk(op))
    memory.copy(rowAt(op.y, op.yStride, row), rowAt(op.x, op.xStride, row), bytes);
}

/** Columns of a chunk where a thread walks over all rows. */
// @inline
const COLUMNS: i32 = 32;

export function embedBackward(op: EmbedBackward, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  const columns = op.columns;
  const vocabulary = <u32>op.vocabulary;
  const skip = <u32>op.skipToken;
  const scale = v128.load32_splat(changetype<usize>(op) + offsetof<EmbedBackward>('scale'));
  const chunks = (columns + COLUMNS - 1) / COLUMNS;
  for (let chunk = nextChunk(op); chunk < chunks; chunk = nextChunk(op)) {
    const first = chunk * COLUMNS;
    const end = min(columns, first + COLUMNS);
    for (let row = 0; row < rows; row++) {
      const token = load<u32>(op.tokens + ((<usize>row) << 2));
      if (token == skip || token >= vocabulary) continue;
      const dy = rowAt(op.dy, op.dyStride, row);
      const to = op.dTable + ((<usize>(token * <u32>columns)) << 2);
      for (let i = first; i < end; i += 4) {
        const shift = (<usize>i) << 2;
        storeFloats(to + shift, madd(scale, loadFloats(dy + shift, end - i), loadFloats(to + shift, end - i)), end - i);
      }
    }
  }
}

export function rmsNormBackward(op: RmsNormBackward, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  const columns = op.columns;
  const groups = op.groups;
  const weightStride = (<usize>op.weightStride) << 2;
  for (let row = nextChunk(op); row < rows; row = nextChunk(op)) {
    let shift: usize = 0;
    let weight = op.weight;
    for (let group = 0; group < groups; group++) {
      const inverse = normBackward(
        op,
        rowAt(op.x, op.xStride, row) + shift,
        weight,
        rowAt(op.dy, op.dyStride, row) + shift,
        rowAt(op.dx, op.dxStride, row) + shift,
      );
      weight += weightStride;
      store<f32>(op.inverse + ((<usize>(row * groups + group)) << 2), inverse);
      shift += (<usize>columns) << 2;
    }
  }
}

/** One slice; returns scale / rms. */
function normBackward(op: RmsNormBackward, x: usize, weight: usize, dy: usize, dx: usize): f32 {
  const columns = op.columns;
  const accumulate = op.accumulate != 0;
  const offset = f32x4.splat(op.offset);
  let squares = f32x4.splat(0);
  let dots = f32x4.splat(0);
  for (let i = 0; i < columns; i += 4) {
    const shift = (<usize>i) << 2;
    const left = columns - i;
    const value = loadFloats(x + shift, left);
    squares = madd(value, value, squares);
    const w = f32x4.add(loadFloats(weight + shift, left), offset);
    dots = madd(f32x4.mul(loadFloats(dy + shift, left), w), value, dots);
  }
  const inverse = <f32>1 / Mathf.sqrt(horizontalSum(squares) / <f32>columns + op.epsilon);
  const scaled = op.scale * inverse;
  const scale = f32x4.splat(scaled);
  const pull = f32x4.splat((-horizontalSum(dots) / <f32>columns) * inverse * inverse);
  for (let i = 0; i < columns; i += 4) {
    const shift = (<usize>i) << 2;
    const left = columns - i;
    const w = f32x4.add(loadFloats(weight + shift, left), offset);
    const pulled = madd(loadFloats(x + shift, left), pull, f32x4.mul(loadFloats(dy + shift, left), w));
    let gradient = f32x4.mul(pulled, scale);
    if (accumulate) gradient = f32x4.add(gradient, loadFloats(dx + shift, left));
    storeFloats(dx + shift, gradient, left);
  }
  return scaled;
}

export function rmsNormWeightBackward(op: RmsNormWeightBackward, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  const columns = op.columns;
  const groups = op.groups;
  const own = op.weightStride != 0; // a weight for each group
  const blocks = (columns + 15) / 16;
  const chunks = own ? blocks * groups : blocks;
  for (let chunk = nextChunk(op); chunk < chunks; chunk = nextChunk(op)) {
    const first = own ? chunk / blocks : 0;
    const count = own ? 1 : groups;
    const start = (chunk - first * blocks) * 16;
    for (let i = start; i < min(columns, start + 16); i += 4) {
      const left = columns - i;
      const shift = (<usize>(first * columns + i)) << 2;
      let sum = f32x4.splat(0);
      for (let row = 0; row < rows; row++) {
        let x = rowAt(op.x, op.xStride, row) + shift;
        let dy = rowAt(op.dy, op.dyStride, row) + shift;
        let inverse = op.inverse + ((<usize>(row * groups + first)) << 2);
        for (let group = 0; group < count; group++) {
          sum = madd(f32x4.mul(loadFloats(x, left), v128.load32_splat(inverse)), loadFloats(dy, left), sum);
          x += (<usize>columns) << 2;
          dy += (<usize>columns) << 2;
          inverse += 4;
        }
      }
      const to = op.dWeight + shift;
      storeFloats(to, f32x4.add(loadFloats(to, left), sum), left);
    }
  }
}

/** One chunk is 16 columns. */
export function addColumnSums(op: AddColumnSums, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  const columns = op.columns;
  const chunks = (columns + 15) / 16;
  for (let chunk = nextChunk(op); chunk < chunks; chunk = nextChunk(op)) {
    for (let i = chunk * 16; i < min(columns, chunk * 16 + 16); i += 4) {
      const shift = (<usize>i) << 2;
      let sum = f32x4.splat(0);
      for (let row = 0; row < rows; row++)
        sum = f32x4.add(sum, loadFloats(rowAt(op.x, op.xStride, row) + shift, columns - i));
      storeFloats(op.y + shift, f32x4.add(loadFloats(op.y + shift, columns - i), sum), columns - i);
    }
  }
}

export function gatedActivationBackward(op: GatedActivationBackward, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  const columns = op.columns;
  const activation = op.activation;
  for (let row = nextChunk(op); row < rows; row = nextChunk(op)) {
    const gate = rowAt(op.gate, op.gateStride, row);
    const up = rowAt(op.up, op.upStride, row);
    const dy = rowAt(op.dy, op.dyStride, row);
    const dGate = rowAt(op.dGate, op.dGateStride, row);
    const dUp = op.dUp != 0 ? rowAt(op.dUp, op.dUpStride, row) : 0;
    if (activation == 1 || activation == 2) geluBackward(activation, gate, up, dy, dGate, dUp, columns);
    else gateBackward(activation, gate, up, dy, dGate, dUp, columns);
  }
}

/** dUp 0: gate and up are one value, whose gradient is the sum. */
function gateBackward(
  activation: i32,
  gate: usize,
  up: usize,
  dy: usize,
  dGate: usize,
  dUp: usize,
  columns: i32,
): void {
  const one = f32x4.splat(1);
  const zero = f32x4.splat(0);
  for (let i = 0; i < columns; i += 4) {
    const shift = (<usize>i) << 2;
    const left = columns - i;
    const x = loadFloats(gate + shift, left);
    const gradient = loadFloats(dy + shift, left);
    let value = x;
    let slope = one;
    if (activation == 0) {
      const s = sigmoid(x);
      value = f32x4.mul(x, s);
      slope = f32x4.mul(s, madd(x, f32x4.sub(one, s), one));
    } else if (activation == 4) {
      value = sigmoid(x);
      slope = f32x4.mul(value, f32x4.sub(one, value));
    } else if (activation == 5) {
      value = f32x4.pmax(x, zero);
      slope = v128.and(f32x4.gt(x, zero), one);
    }
    let dx = f32x4.mul(f32x4.mul(gradient, loadFloats(up + shift, left)), slope);
    const dValue = f32x4.mul(gradient, value);
    if (dUp != 0) storeFloats(dUp + shift, dValue, left);
    else dx = f32x4.add(dx, dValue);
    storeFloats(dGate + shift, dx, left);
  }
}

/** Rarely trained: one at a time, in double. */
function geluBackward(
  activation: i32,
  gate: usize,
  up: usize,
  dy: usize,
  dGate: usize,
  dUp: usize,
  columns: i32,
): void {
  for (let i = 0; i < columns; i++) {
    const shift = (<usize>i) << 2;
    const x = <f64>load<f32>(gate + shift);
    let share: f64;
    let density: f64;
    if (activation == 1) {
      const t = Math.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x));
      share = 0.5 * (1 + t);
      density = 0.5 * (1 - t * t) * 0.7978845608028654 * (1 + 3 * 0.044715 * x * x);
    } else {
      density = Math.exp(-0.5 * x * x) * 0.3989422804014327;
      share = x > 6 ? 1 : x < -6 ? 0 : 0.5 + normalSeries(x) * density;
    }
    const gradient = <f64>load<f32>(dy + shift);
    const dx = gradient * <f64>load<f32>(up + shift) * (share + x * density);
    const dValue = gradient * x * share;
    if (dUp != 0) store<f32>(dUp + shift, <f32>dValue);
    store<f32>(dGate + shift, <f32>(dUp != 0 ? dx : dx + dValue));
  }
}

/** (Phi(x) - 1/2) / phi(x) */
function normalSeries(x: f64): f64 {
  let term = x;
  let sum = x;
  for (let i = 3; Math.abs(term) > 1e-17; i += 2) {
    term *= (x * x) / <f64>i;
    sum += term;
  }
  return sum;
}

/** One chunk is 16 rows of dx. */
export function gatherRowsBackward(op: GatherRowsBackward, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  const count = load<i32>(op.indexCount);
  const indices = op.indices;
  const bytes = (<usize>op.columns) << 2;
  const chunks = (rows + 15) / 16;
  for (let chunk = nextChunk(op); chunk < chunks; chunk = nextChunk(op)) {
    const first = chunk * 16;
    let low = 0;
    let high = count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (load<i32>(indices + ((<usize>middle) << 2)) < first) low = middle + 1;
      else high = middle;
    }
    for (let row = first; row < min(rows, first + 16); row++) {
      const to = rowAt(op.dx, op.dxStride, row);
      if (low < count && load<i32>(indices + ((<usize>low) << 2)) == row) {
        memory.copy(to, rowAt(op.dy, op.dyStride, low), bytes);
        low++;
      } else memory.fill(to, 0, bytes);
    }
  }
}
