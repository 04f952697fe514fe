// Training: the backward of attention within each segment (formulas in
// ../../reference/kernels-backward-attention.ts). The unit of work is a segment and a KV head: its keys' and
// values' gradients, and those of the queries that share it, belong to one thread. Probabilities of QUERIES
// queries at a time are computed again as a matrix product; all five products are blocks of gemm.ts.
//
// Scratch of a thread: that of gemm.ts, then probabilities and score gradients [QUERIES][segment rows, a
// multiple of 8].
import { address, liveRows, madd, nextChunk } from '../common/common';
import { expNegative, horizontalMax, horizontalSum, loadFloats } from '../common/math';
import { rowCount, rowStart, segmentAt, segmentCount } from '../common/step';
import { ATTENTION_BACKWARD_QUERIES } from '../constants';
import { BLOCK, GEMM_SCRATCH, multiplyBlock } from '../linear/gemm';
import {
  ATTENTION_BACKWARD_DK,
  ATTENTION_BACKWARD_DK_STRIDE,
  ATTENTION_BACKWARD_DQ,
  ATTENTION_BACKWARD_DQ_STRIDE,
  ATTENTION_BACKWARD_DV,
  ATTENTION_BACKWARD_DV_STRIDE,
  ATTENTION_BACKWARD_DY,
  ATTENTION_BACKWARD_DY_STRIDE,
  ATTENTION_BACKWARD_HEAD_SIZE,
  ATTENTION_BACKWARD_HEADS,
  ATTENTION_BACKWARD_K,
  ATTENTION_BACKWARD_K_STRIDE,
  ATTENTION_BACKWARD_KV_HEADS,
  ATTENTION_BACKWARD_Q,
  ATTENTION_BACKWARD_Q_STRIDE,
  ATTENTION_BACKWARD_SCALE,
  ATTENTION_BACKWARD_SCRATCH,
  ATTENTION_BACKWARD_SEGMENTS,
  ATTENTION_BACKWARD_SINK_SHARES,
  ATTENTION_BACKWARD_SINKS,
  ATTENTION_BACKWARD_THREAD_BYTES,
  ATTENTION_BACKWARD_V,
  ATTENTION_BACKWARD_V_STRIDE,
  ATTENTION_BACKWARD_WINDOW,
  ATTENTION_BACKWARD_Y,
  ATTENTION_BACKWARD_Y_STRIDE,
} from '../op-layout';

// @inline
const QUERIES: i32 = ATTENTION_BACKWARD_QUERIES;
// @inline
const MASKED: f32 = -1e30;
// @inline
const NO_SINK: f32 = -1e30;

export function attentionBackward(op: usize, thread: i32, threads: i32): void {
  if (liveRows(op) == 0) return;
  const kvHeads = load<i32>(op, ATTENTION_BACKWARD_KV_HEADS);
  const group = load<i32>(op, ATTENTION_BACKWARD_HEADS) / kvHeads;
  const segments = address(op, ATTENTION_BACKWARD_SEGMENTS);
  const chunks = segmentCount(segments) * kvHeads;
  const scratch =
    address(op, ATTENTION_BACKWARD_SCRATCH) + <usize>thread * <usize>load<u32>(op, ATTENTION_BACKWARD_THREAD_BYTES);
  for (let chunk = nextChunk(op); chunk < chunks; chunk = nextChunk(op)) {
    const segment = segmentAt(segments, chunk / kvHeads);
    const kvHead = chunk % kvHeads;
    const first = rowStart(segment);
    const rows = rowCount(segment);
    clearRows(
      vector(op, ATTENTION_BACKWARD_DK, ATTENTION_BACKWARD_DK_STRIDE, first, kvHead),
      stride(op, ATTENTION_BACKWARD_DK_STRIDE),
      rows,
      load<i32>(op, ATTENTION_BACKWARD_HEAD_SIZE),
    );
    clearRows(
      vector(op, ATTENTION_BACKWARD_DV, ATTENTION_BACKWARD_DV_STRIDE, first, kvHead),
      stride(op, ATTENTION_BACKWARD_DV_STRIDE),
      rows,
      load<i32>(op, ATTENTION_BACKWARD_HEAD_SIZE),
    );
    for (let head = kvHead * group; head < (kvHead + 1) * group; head++)
      for (let t = 0; t < rows; t += QUERIES)
        backward(op, first, rows, head, kvHead, t, min(QUERIES, rows - t), scratch);
  }
}

// @inline
function stride(op: usize, field: usize): usize {
  return (<usize>load<u32>(op + field)) << 2;
}

// @inline
function vector(op: usize, field: usize, strideField: usize, row: i32, head: i32): usize {
  return (
    address(op, field) +
    <usize>row * stride(op, strideField) +
    ((<usize>(head * load<i32>(op + ATTENTION_BACKWARD_HEAD_SIZE))) << 2)
  );
}

function clearRows(at: usize, rowBytes: usize, rows: i32, columns: i32): void {
  for (; rows > 0; rows--, at += rowBytes) memory.fill(at, 0, (<usize>columns) << 2);
}

/** `count` queries of one head from row `t` of the segment. */
function backward(op: usize, first: i32, rows: i32, head: i32, kvHead: i32, t: i32, count: i32, scratch: usize): void {
  const headSize = load<i32>(op + ATTENTION_BACKWARD_HEAD_SIZE);
  const window = load<i32>(op + ATTENTION_BACKWARD_WINDOW);
  const low = window != 0 ? max(0, t - window + 1) : 0;
  const seen = t + count - low;
  const width = (<usize>((rows + 7) & ~7)) << 2;
  const weights = scratch + GEMM_SCRATCH;
  const scores = weights + <usize>QUERIES * width;
  const q = vector(op, ATTENTION_BACKWARD_Q, ATTENTION_BACKWARD_Q_STRIDE, first + t, head);
  const dy = vector(op, ATTENTION_BACKWARD_DY, ATTENTION_BACKWARD_DY_STRIDE, first + t, head);
  const y = vector(op, ATTENTION_BACKWARD_Y, ATTENTION_BACKWARD_Y_STRIDE, first + t, head);
  const k = vector(op, ATTENTION_BACKWARD_K, ATTENTION_BACKWARD_K_STRIDE, first + low, kvHead);
  const v = vector(op, ATTENTION_BACKWARD_V, ATTENTION_BACKWARD_V_STRIDE, first + low, kvHead);
  const qStride = stride(op, ATTENTION_BACKWARD_Q_STRIDE);
  const dyStride = stride(op, ATTENTION_BACKWARD_DY_STRIDE);
  const kStride = stride(op, ATTENTION_BACKWARD_K_STRIDE);
  const vStride = stride(op, ATTENTION_BACKWARD_V_STRIDE);
  for (let at = 0; at < seen; at += BLOCK) {
    const n = min(BLOCK, seen - at);
    const shift = (<usize>at) << 2;
    multiplyBlock(
      count,
      n,
      headSize,
      q,
      qStride,
      4,
      k + <usize>at * kStride,
      4,
      kStride,
      0,
      weights + shift,
      width,
      false,
      scratch,
    );
    multiplyBlock(
      count,
      n,
      headSize,
      dy,
      dyStride,
      4,
      v + <usize>at * vStride,
      4,
      vStride,
      0,
      scores + shift,
      width,
      false,
      scratch,
    );
  }
  const scale = load<f32>(op + ATTENTION_BACKWARD_SCALE);
  const heads = load<i32>(op + ATTENTION_BACKWARD_HEADS);
  const sinks = address(op, ATTENTION_BACKWARD_SINKS);
  const sink: f32 = sinks != 0 ? load<f32>(sinks + ((<usize>head) << 2)) : NO_SINK;
  const shares = address(op, ATTENTION_BACKWARD_SINK_SHARES) + ((<usize>((first + t) * heads + head)) << 2);
  for (let i = 0; i < count; i++) {
    const visible = window != 0 ? max(0, t + i - window + 1) - low : 0;
    const delta = dotRow(dy + <usize>i * dyStride, y + <usize>i * stride(op, ATTENTION_BACKWARD_Y_STRIDE), headSize);
    const share = softmaxBackward(
      weights + <usize>i * width,
      scores + <usize>i * width,
      visible,
      t + i - low + 1,
      seen,
      delta,
      scale,
      sink,
    );
    if (sinks != 0) store<f32>(shares + ((<usize>(i * heads)) << 2), -share * delta);
  }
  const dq = vector(op, ATTENTION_BACKWARD_DQ, ATTENTION_BACKWARD_DQ_STRIDE, first + t, head);
  const dk = vector(op, ATTENTION_BACKWARD_DK, ATTENTION_BACKWARD_DK_STRIDE, first + low, kvHead);
  const dv = vector(op, ATTENTION_BACKWARD_DV, ATTENTION_BACKWARD_DV_STRIDE, first + low, kvHead);
  const dkStride = stride(op, ATTENTION_BACKWARD_DK_STRIDE);
  const dvStride = stride(op, ATTENTION_BACKWARD_DV_STRIDE);
  for (let column = 0; column < headSize; column += BLOCK) {
    const n = min(BLOCK, headSize - column);
    const shift = (<usize>column) << 2;
    multiplyBlock(
      count,
      n,
      seen,
      scores,
      width,
      4,
      k + shift,
      kStride,
      4,
      0,
      dq + shift,
      stride(op, ATTENTION_BACKWARD_DQ_STRIDE),
      false,
      scratch,
    );
    for (let at = 0; at < seen; at += BLOCK) {
      const m = min(BLOCK, seen - at);
      const from = (<usize>at) << 2;
      multiplyBlock(
        m,
        n,
        count,
        scores + from,
        4,
        width,
        q + shift,
        qStride,
        4,
        0,
        dk + <usize>at * dkStride + shift,
        dkStride,
        true,
        scratch,
      );
      multiplyBlock(
        m,
        n,
        count,
        weights + from,
        4,
        width,
        dy + shift,
        dyStride,
        4,
        0,
        dv + <usize>at * dvStride + shift,
        dvStride,
        true,
        scratch,
      );
    }
  }
}

function dotRow(x: usize, y: usize, count: i32): f32 {
  let sum = f32x4.splat(0);
  for (let i = 0; i < count; i += 4)
    sum = madd(loadFloats(x + ((<usize>i) << 2), count - i), loadFloats(y + ((<usize>i) << 2), count - i), sum);
  return horizontalSum(sum);
}

/**
 * Raw scores [low, high) become probabilities and dy . v the gradients of q . k; what is not seen becomes 0.
 * Returns the probability of the sink.
 */
function softmaxBackward(
  weights: usize,
  scores: usize,
  low: i32,
  high: i32,
  end: i32,
  delta: f32,
  scale: f32,
  sink: f32,
): f32 {
  const aligned = (end + 3) & ~3;
  for (let i = 0; i < low; i++) store<f32>(weights + ((<usize>i) << 2), MASKED);
  for (let i = high; i < aligned; i++) store<f32>(weights + ((<usize>i) << 2), MASKED);
  for (let i = end; i < aligned; i++) store<f32>(scores + ((<usize>i) << 2), 0);
  const stop = weights + ((<usize>aligned) << 2);
  let peaks = v128.load(weights);
  for (let at = weights + 16; at < stop; at += 16) peaks = f32x4.pmax(peaks, v128.load(at));
  const factor = f32x4.splat(scale);
  const greatest = max(horizontalMax(peaks) * scale, sink);
  const peak = f32x4.splat(greatest);
  let sum = f32x4.splat(0);
  for (let at = weights; at < stop; at += 16) {
    const weight = expNegative(f32x4.sub(f32x4.mul(v128.load(at), factor), peak));
    v128.store(at, weight);
    sum = f32x4.add(sum, weight);
  }
  const extra = f32x4.extract_lane(expNegative(f32x4.splat(sink - greatest)), 0);
  const total = horizontalSum(sum) + extra;
  const inverse = f32x4.splat(<f32>1 / total);
  const shift = f32x4.splat(delta);
  for (let at = weights; at < stop; at += 16, scores += 16) {
    const p = f32x4.mul(v128.load(at), inverse);
    v128.store(at, p);
    v128.store(scores, f32x4.mul(f32x4.mul(p, f32x4.sub(v128.load(scores), shift)), factor));
  }
  return extra / total;
}
