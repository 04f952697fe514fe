// Training: the loss and the optimiser AdamW (Loshchilov & Hutter 2019, in the form of torch.optim.AdamW).
// Layout of the optimiser's numbers: OPTIMIZER_STATE in plan/ops.ts.
import { liveRows, madd, nextChunk } from '../common/common';
import { expNegative, horizontalMax, horizontalSum, loadFloats, storeFloats } from '../common/math';
import {
  STATE_BETA1,
  STATE_BETA2,
  STATE_EPSILON,
  STATE_KEEP,
  STATE_MAX_NORM,
  STATE_NORM,
  STATE_RATE,
  STATE_ROOT_CORRECTION,
  STATE_SCALE,
  SUM_CHUNK,
} from '../constants';
import { AdamW, Clear, ClipGradient, CrossEntropy, DecayFromLog, SumSquares } from '../op-records';

export function crossEntropy(op: CrossEntropy, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  const columns = op.columns;
  const meanScale = load<f32>(op.meanScale);
  for (let row = nextChunk(op); row < rows; row = nextChunk(op)) {
    const word = (<usize>row) << 2;
    const x = op.x + ((<usize>row * op.xStride) << 2);
    const target = x + ((<usize>load<u32>(op.targets + word)) << 2);
    const wanted = <f64>load<f32>(target);
    const loss = softmaxGradient(x, columns, meanScale) - wanted;
    store<f32>(op.losses + word, <f32>loss);
    store<f32>(target, load<f32>(target) - meanScale);
  }
}

/** x becomes its softmax times `scale`; returns log sum exp x. */
function softmaxGradient(x: usize, columns: i32, scale: f32): f64 {
  const whole = columns & ~3;
  let peak = load<f32>(x);
  if (whole > 0) {
    let peaks = v128.load(x);
    for (let i = 4; i < whole; i += 4) peaks = f32x4.pmax(peaks, v128.load(x + ((<usize>i) << 2)));
    peak = horizontalMax(peaks);
  }
  for (let i = whole; i < columns; i++) peak = max(peak, load<f32>(x + ((<usize>i) << 2)));
  const shift = f32x4.splat(peak);
  let total: f64 = 0;
  for (let i = 0; i < columns; i += 4) {
    const at = x + ((<usize>i) << 2);
    const lanes = columns - i;
    const value = expNegative(f32x4.sub(loadFloats(at, lanes), shift));
    storeFloats(at, value, lanes);
    total += <f64>(lanes >= 4 ? horizontalSum(value) : sumOf(at, lanes));
  }
  const factor = f32x4.splat(<f32>(<f64>scale / total));
  for (let i = 0; i < columns; i += 4) {
    const at = x + ((<usize>i) << 2);
    storeFloats(at, f32x4.mul(loadFloats(at, columns - i), factor), columns - i);
  }
  return <f64>peak + Math.log(total);
}

function sumOf(at: usize, count: i32): f32 {
  let sum: f32 = 0;
  for (let i = 0; i < count; i++) sum += load<f32>(at + ((<usize>i) << 2));
  return sum;
}

/** One chunk is one block of four channels. In double: few values, and every step multiplies by them. */
export function decayFromLog(op: DecayFromLog, thread: i32, threads: i32): void {
  const channels = op.channels;
  const count = op.states * 4;
  const chunks = (channels + 3) / 4;
  for (let chunk = nextChunk(op); chunk < chunks; chunk = nextChunk(op)) {
    const shift = (<usize>(chunk * count)) << 2;
    const from = op.aLog + shift;
    const to = op.a + shift;
    for (let i = 0; i < count; i++) {
      const value = chunk * 4 + (i & 3) < channels ? -Math.exp(<f64>load<f32>(from + ((<usize>i) << 2))) : 0;
      store<f32>(to + ((<usize>i) << 2), <f32>value);
    }
  }
}

// @inline
const CHUNK: i32 = SUM_CHUNK;

export function clear(op: Clear, thread: i32, threads: i32): void {
  const count = op.count;
  const chunks = (count + CHUNK - 1) / CHUNK;
  for (let chunk = nextChunk(op); chunk < chunks; chunk = nextChunk(op)) {
    const first = chunk * CHUNK;
    memory.fill(op.x + ((<usize>first) << 2), 0, (<usize>min(CHUNK, count - first)) << 2);
  }
}

/** Squares are summed in double: the sum must not depend on the size of a chunk. */
export function sumSquares(op: SumSquares, thread: i32, threads: i32): void {
  const count = op.count;
  const chunks = (count + CHUNK - 1) / CHUNK;
  for (let chunk = nextChunk(op); chunk < chunks; chunk = nextChunk(op)) {
    const first = chunk * CHUNK;
    const end = min(count, first + CHUNK);
    let low = f64x2.splat(0);
    let high = f64x2.splat(0);
    for (let i = first; i < end; i += 4) {
      const x = loadFloats(op.x + ((<usize>i) << 2), end - i);
      const a = f64x2.promote_low_f32x4(x);
      const b = f64x2.promote_low_f32x4(v128.shuffle<i32>(x, x, 2, 3, 0, 1));
      low = f64x2.add(low, f64x2.mul(a, a));
      high = f64x2.add(high, f64x2.mul(b, b));
    }
    const sum = f64x2.add(low, high);
    store<f64>(op.partials + ((<usize>chunk) << 3), f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1));
  }
}

export function clipGradient(op: ClipGradient, thread: i32, threads: i32): void {
  if (nextChunk(op) != 0) return;
  const chunks = op.chunks;
  const state = op.state;
  let sum: f64 = 0;
  for (let i = 0; i < chunks; i++) sum += load<f64>(op.partials + ((<usize>i) << 3));
  const norm = Math.sqrt(sum);
  const most = <f64>load<f32>(state, STATE_MAX_NORM);
  store<f32>(state, <f32>norm, STATE_NORM);
  let scale: f32 = 1;
  if (most > 0 && norm > most) scale = <f32>(most / norm);
  if (!isFinite<f32>(<f32>norm)) scale = -1;
  store<f32>(state, scale, STATE_SCALE);
}

export function adamW(op: AdamW, thread: i32, threads: i32): void {
  const count = op.count;
  const state = op.state;
  if (load<f32>(state, STATE_SCALE) < 0) return;
  const one = f32x4.splat(1);
  const scale = v128.load32_splat(state + STATE_SCALE);
  const beta1 = v128.load32_splat(state + STATE_BETA1);
  const beta2 = v128.load32_splat(state + STATE_BETA2);
  const rest1 = f32x4.sub(one, beta1);
  const rest2 = f32x4.sub(one, beta2);
  const epsilon = v128.load32_splat(state + STATE_EPSILON);
  const keep = op.decays != 0 ? v128.load32_splat(state + STATE_KEEP) : one;
  const rate = v128.load32_splat(state + STATE_RATE);
  const correction = v128.load32_splat(state + STATE_ROOT_CORRECTION);
  const chunks = (count + CHUNK - 1) / CHUNK;
  for (let chunk = nextChunk(op); chunk < chunks; chunk = nextChunk(op)) {
    const end = min(count, (chunk + 1) * CHUNK);
    for (let i = chunk * CHUNK; i < end; i += 4) {
      const shift = (<usize>i) << 2;
      const left = end - i;
      const first = op.first + shift;
      const second = op.second + shift;
      const parameters = op.parameters + shift;
      const g = f32x4.mul(loadFloats(op.gradients + shift, left), scale);
      const mean = madd(beta1, loadFloats(first, left), f32x4.mul(rest1, g));
      const square = madd(beta2, loadFloats(second, left), f32x4.mul(f32x4.mul(rest2, g), g));
      const step = f32x4.div(f32x4.mul(rate, mean), madd(f32x4.sqrt(square), correction, epsilon));
      storeFloats(first, mean, left);
      storeFloats(second, square, left);
      storeFloats(parameters, f32x4.sub(f32x4.mul(loadFloats(parameters, left), keep), step), left);
    }
  }
}
