// Training: the backward of embedding, RMS norm, gated activations and gathered rows. Sums over rows are made by one
// thread for each column, in the order of the rows.
import { address, liveRows, madd, nextChunk } from '../common/common';
import { horizontalSum, loadFloats, sigmoid, storeFloats } from '../common/math';
import {
  COPY_COLUMNS, COPY_X, COPY_X_STRIDE, COPY_Y, COPY_Y_STRIDE, EMBED_BACKWARD_COLUMNS, EMBED_BACKWARD_D_TABLE,
  EMBED_BACKWARD_DY, EMBED_BACKWARD_DY_STRIDE, EMBED_BACKWARD_SCALE, EMBED_BACKWARD_SKIP_TOKEN, EMBED_BACKWARD_TOKENS,
  EMBED_BACKWARD_VOCABULARY, GATED_ACTIVATION_BACKWARD_ACTIVATION, GATED_ACTIVATION_BACKWARD_COLUMNS,
  GATED_ACTIVATION_BACKWARD_D_GATE, GATED_ACTIVATION_BACKWARD_D_GATE_STRIDE, GATED_ACTIVATION_BACKWARD_D_UP,
  GATED_ACTIVATION_BACKWARD_D_UP_STRIDE, GATED_ACTIVATION_BACKWARD_DY, GATED_ACTIVATION_BACKWARD_DY_STRIDE,
  GATED_ACTIVATION_BACKWARD_GATE, GATED_ACTIVATION_BACKWARD_GATE_STRIDE, GATED_ACTIVATION_BACKWARD_UP,
  GATED_ACTIVATION_BACKWARD_UP_STRIDE, GATHER_ROWS_BACKWARD_COLUMNS, GATHER_ROWS_BACKWARD_COUNT, GATHER_ROWS_BACKWARD_DX,
  GATHER_ROWS_BACKWARD_DX_STRIDE, GATHER_ROWS_BACKWARD_DY, GATHER_ROWS_BACKWARD_DY_STRIDE, GATHER_ROWS_BACKWARD_INDICES,
  RMS_NORM_BACKWARD_ACCUMULATE, RMS_NORM_BACKWARD_COLUMNS, RMS_NORM_BACKWARD_DX, RMS_NORM_BACKWARD_DX_STRIDE,
  RMS_NORM_BACKWARD_DY, RMS_NORM_BACKWARD_DY_STRIDE, RMS_NORM_BACKWARD_EPSILON, RMS_NORM_BACKWARD_GROUPS,
  RMS_NORM_BACKWARD_INVERSE, RMS_NORM_BACKWARD_WEIGHT, RMS_NORM_BACKWARD_X, RMS_NORM_BACKWARD_X_STRIDE,
  RMS_NORM_WEIGHT_BACKWARD_COLUMNS, RMS_NORM_WEIGHT_BACKWARD_D_WEIGHT, RMS_NORM_WEIGHT_BACKWARD_DY,
  RMS_NORM_WEIGHT_BACKWARD_DY_STRIDE, RMS_NORM_WEIGHT_BACKWARD_GROUPS, RMS_NORM_WEIGHT_BACKWARD_INVERSE,
  RMS_NORM_WEIGHT_BACKWARD_X, RMS_NORM_WEIGHT_BACKWARD_X_STRIDE,
} from '../op-layout';

// @ts-ignore: decorator
@inline function rowAt(op: usize, field: usize, stride: usize, row: i32): usize {
  return address(op, field) + (<usize>(<u32>row * load<u32>(op + stride)) << 2);
}

export function copy(op: usize, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  const bytes = <usize>load<u32>(op, COPY_COLUMNS) << 2;
  for (let row = nextChunk(op); row < rows; row = nextChunk(op))
    memory.copy(rowAt(op, COPY_Y, COPY_Y_STRIDE, row), rowAt(op, COPY_X, COPY_X_STRIDE, row), bytes);
}

/** Columns of a chunk where a thread walks over all rows. */
// @ts-ignore: decorator
@inline const COLUMNS: i32 = 32;

export function embedBackward(op: usize, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  const columns = load<i32>(op, EMBED_BACKWARD_COLUMNS);
  const vocabulary = load<u32>(op, EMBED_BACKWARD_VOCABULARY);
  const skip = load<u32>(op, EMBED_BACKWARD_SKIP_TOKEN);
  const scale = v128.load32_splat(op + EMBED_BACKWARD_SCALE);
  const chunks = (columns + COLUMNS - 1) / COLUMNS;
  for (let chunk = nextChunk(op); chunk < chunks; chunk = nextChunk(op)) {
    const first = chunk * COLUMNS;
    const end = min(columns, first + COLUMNS);
    for (let row = 0; row < rows; row++) {
      const token = load<u32>(address(op, EMBED_BACKWARD_TOKENS) + (<usize>row << 2));
      if (token == skip || token >= vocabulary) continue;
      const dy = rowAt(op, EMBED_BACKWARD_DY, EMBED_BACKWARD_DY_STRIDE, row);
      const to = address(op, EMBED_BACKWARD_D_TABLE) + (<usize>(token * <u32>columns) << 2);
      for (let i = first; i < end; i += 4) {
        const shift = <usize>i << 2;
        storeFloats(to + shift, madd(scale, loadFloats(dy + shift, end - i), loadFloats(to + shift, end - i)), end - i);
      }
    }
  }
}

export function rmsNormBackward(op: usize, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  const columns = load<i32>(op, RMS_NORM_BACKWARD_COLUMNS);
  const groups = load<i32>(op, RMS_NORM_BACKWARD_GROUPS);
  const accumulate = load<u32>(op, RMS_NORM_BACKWARD_ACCUMULATE) != 0;
  const epsilon = load<f32>(op, RMS_NORM_BACKWARD_EPSILON);
  for (let row = nextChunk(op); row < rows; row = nextChunk(op)) {
    let shift: usize = 0;
    for (let group = 0; group < groups; group++) {
      const inverse = normBackward(
        rowAt(op, RMS_NORM_BACKWARD_X, RMS_NORM_BACKWARD_X_STRIDE, row) + shift,
        address(op, RMS_NORM_BACKWARD_WEIGHT),
        rowAt(op, RMS_NORM_BACKWARD_DY, RMS_NORM_BACKWARD_DY_STRIDE, row) + shift,
        rowAt(op, RMS_NORM_BACKWARD_DX, RMS_NORM_BACKWARD_DX_STRIDE, row) + shift, columns, epsilon, accumulate,
      );
      store<f32>(address(op, RMS_NORM_BACKWARD_INVERSE) + (<usize>(row * groups + group) << 2), inverse);
      shift += <usize>columns << 2;
    }
  }
}

function normBackward(x: usize, weight: usize, dy: usize, dx: usize, columns: i32, epsilon: f32, accumulate: bool): f32 {
  let squares = f32x4.splat(0);
  let dots = f32x4.splat(0);
  for (let i = 0; i < columns; i += 4) {
    const shift = <usize>i << 2;
    const left = columns - i;
    const value = loadFloats(x + shift, left);
    squares = madd(value, value, squares);
    dots = madd(f32x4.mul(loadFloats(dy + shift, left), loadFloats(weight + shift, left)), value, dots);
  }
  const inverse = <f32>1 / Mathf.sqrt(horizontalSum(squares) / <f32>columns + epsilon);
  const scale = f32x4.splat(inverse);
  const pull = f32x4.splat((-horizontalSum(dots) / <f32>columns) * inverse * inverse);
  for (let i = 0; i < columns; i += 4) {
    const shift = <usize>i << 2;
    const left = columns - i;
    const pulled = madd(loadFloats(x + shift, left), pull, f32x4.mul(loadFloats(dy + shift, left), loadFloats(weight + shift, left)));
    let gradient = f32x4.mul(pulled, scale);
    if (accumulate) gradient = f32x4.add(gradient, loadFloats(dx + shift, left));
    storeFloats(dx + shift, gradient, left);
  }
  return inverse;
}

export function rmsNormWeightBackward(op: usize, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  const columns = load<i32>(op, RMS_NORM_WEIGHT_BACKWARD_COLUMNS);
  const groups = load<i32>(op, RMS_NORM_WEIGHT_BACKWARD_GROUPS);
  const chunks = (columns + 15) / 16;
  for (let chunk = nextChunk(op); chunk < chunks; chunk = nextChunk(op)) {
    for (let i = chunk * 16; i < min(columns, chunk * 16 + 16); i += 4) {
      const left = columns - i;
      let sum = f32x4.splat(0);
      let inverse = address(op, RMS_NORM_WEIGHT_BACKWARD_INVERSE);
      for (let row = 0; row < rows; row++) {
        let x = rowAt(op, RMS_NORM_WEIGHT_BACKWARD_X, RMS_NORM_WEIGHT_BACKWARD_X_STRIDE, row) + (<usize>i << 2);
        let dy = rowAt(op, RMS_NORM_WEIGHT_BACKWARD_DY, RMS_NORM_WEIGHT_BACKWARD_DY_STRIDE, row) + (<usize>i << 2);
        for (let group = 0; group < groups; group++) {
          sum = madd(f32x4.mul(loadFloats(x, left), v128.load32_splat(inverse)), loadFloats(dy, left), sum);
          x += <usize>columns << 2;
          dy += <usize>columns << 2;
          inverse += 4;
        }
      }
      const to = address(op, RMS_NORM_WEIGHT_BACKWARD_D_WEIGHT) + (<usize>i << 2);
      storeFloats(to, f32x4.add(loadFloats(to, left), sum), left);
    }
  }
}

export function gatedActivationBackward(op: usize, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  const columns = load<i32>(op, GATED_ACTIVATION_BACKWARD_COLUMNS);
  const activation = load<i32>(op, GATED_ACTIVATION_BACKWARD_ACTIVATION);
  for (let row = nextChunk(op); row < rows; row = nextChunk(op)) {
    const gate = rowAt(op, GATED_ACTIVATION_BACKWARD_GATE, GATED_ACTIVATION_BACKWARD_GATE_STRIDE, row);
    const up = rowAt(op, GATED_ACTIVATION_BACKWARD_UP, GATED_ACTIVATION_BACKWARD_UP_STRIDE, row);
    const dy = rowAt(op, GATED_ACTIVATION_BACKWARD_DY, GATED_ACTIVATION_BACKWARD_DY_STRIDE, row);
    const dGate = rowAt(op, GATED_ACTIVATION_BACKWARD_D_GATE, GATED_ACTIVATION_BACKWARD_D_GATE_STRIDE, row);
    const dUp = rowAt(op, GATED_ACTIVATION_BACKWARD_D_UP, GATED_ACTIVATION_BACKWARD_D_UP_STRIDE, row);
    if (activation == 0) siluBackward(gate, up, dy, dGate, dUp, columns);
    else geluBackward(activation, gate, up, dy, dGate, dUp, columns);
  }
}

function siluBackward(gate: usize, up: usize, dy: usize, dGate: usize, dUp: usize, columns: i32): void {
  const one = f32x4.splat(1);
  for (let i = 0; i < columns; i += 4) {
    const shift = <usize>i << 2;
    const left = columns - i;
    const x = loadFloats(gate + shift, left);
    const gradient = loadFloats(dy + shift, left);
    const s = sigmoid(x);
    const slope = f32x4.mul(s, madd(x, f32x4.sub(one, s), one));
    storeFloats(dGate + shift, f32x4.mul(f32x4.mul(gradient, loadFloats(up + shift, left)), slope), left);
    storeFloats(dUp + shift, f32x4.mul(gradient, f32x4.mul(x, s)), left);
  }
}

/** Rarely trained: one at a time, in double. */
function geluBackward(activation: i32, gate: usize, up: usize, dy: usize, dGate: usize, dUp: usize, columns: i32): void {
  for (let i = 0; i < columns; i++) {
    const shift = <usize>i << 2;
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
    store<f32>(dGate + shift, <f32>(gradient * <f64>load<f32>(up + shift) * (share + x * density)));
    store<f32>(dUp + shift, <f32>(gradient * x * share));
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
export function gatherRowsBackward(op: usize, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  const count = load<i32>(address(op, GATHER_ROWS_BACKWARD_COUNT));
  const indices = address(op, GATHER_ROWS_BACKWARD_INDICES);
  const bytes = <usize>load<u32>(op, GATHER_ROWS_BACKWARD_COLUMNS) << 2;
  const chunks = (rows + 15) / 16;
  for (let chunk = nextChunk(op); chunk < chunks; chunk = nextChunk(op)) {
    const first = chunk * 16;
    let low = 0;
    let high = count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (load<i32>(indices + (<usize>middle << 2)) < first) low = middle + 1;
      else high = middle;
    }
    for (let row = first; row < min(rows, first + 16); row++) {
      const to = rowAt(op, GATHER_ROWS_BACKWARD_DX, GATHER_ROWS_BACKWARD_DX_STRIDE, row);
      if (low < count && load<i32>(indices + (<usize>low << 2)) == row) {
        memory.copy(to, rowAt(op, GATHER_ROWS_BACKWARD_DY, GATHER_ROWS_BACKWARD_DY_STRIDE, low), bytes);
        low++;
      } else memory.fill(to, 0, bytes);
    }
  }
}
