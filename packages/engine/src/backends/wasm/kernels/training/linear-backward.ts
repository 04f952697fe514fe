// The backward of `linear` and `expertLinear`: dx = dy W and dW += dy^T x, as blocks of gemm.ts. One chunk is
// one block of the result, so no two threads add to the same place.
import { liveRows, nextChunk } from '../common/common';
import { loadFloats, storeFloats } from '../common/math';
import { BLOCK, blockSize, GEMM_SCRATCH, multiplyBlock } from '../linear/gemm';
import {
  ExpertLinearBackwardInput,
  ExpertLinearBackwardWeight,
  LinearBackwardInput,
  LinearBackwardWeight,
} from '../op-records';

export function linearBackwardInput(op: LinearBackwardInput, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  const columns = op.columns;
  const dyStride = op.dyStride << 2;
  const dxStride = op.dxStride << 2;
  const scratch = op.scratch + <usize>thread * GEMM_SCRATCH;
  const height = blockSize(rows, columns, threads);
  const across = (columns + BLOCK - 1) / BLOCK;
  const chunks = ((rows + height - 1) / height) * across;
  for (let chunk = nextChunk(op); chunk < chunks; chunk = nextChunk(op)) {
    const row = (chunk / across) * height;
    const column = (chunk % across) * BLOCK;
    multiplyBlock(
      min(height, rows - row),
      min(BLOCK, columns - column),
      op.outputs,
      op.dy + <usize>row * dyStride,
      dyStride,
      4,
      op.weight + ((<usize>column) << 2),
      (<usize>columns) << 2,
      4,
      0,
      op.dx + <usize>row * dxStride + ((<usize>column) << 2),
      dxStride,
      op.accumulate != 0,
      scratch,
    );
  }
}

export function linearBackwardWeight(op: LinearBackwardWeight, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  if (rows == 0) return;
  const outputs = op.outputs;
  const columns = op.columns;
  const dyStride = op.dyStride << 2;
  const xStride = op.xStride << 2;
  const rowBytes = (<usize>columns) << 2;
  const dBias = op.dBias;
  const scratch = op.scratch + <usize>thread * GEMM_SCRATCH;
  const height = blockSize(outputs, columns, threads);
  const across = (columns + BLOCK - 1) / BLOCK;
  const chunks = ((outputs + height - 1) / height) * across;
  for (let chunk = nextChunk(op); chunk < chunks; chunk = nextChunk(op)) {
    const first = (chunk / across) * height;
    const column = (chunk % across) * BLOCK;
    const count = min(height, outputs - first);
    const dy = op.dy + ((<usize>first) << 2);
    multiplyBlock(
      count,
      min(BLOCK, columns - column),
      rows,
      dy,
      4,
      dyStride,
      op.x + ((<usize>column) << 2),
      xStride,
      4,
      0,
      op.dWeight + <usize>first * rowBytes + ((<usize>column) << 2),
      rowBytes,
      true,
      scratch,
    );
    if (column == 0 && dBias != 0) addColumns(dy, dyStride, rows, count, dBias + ((<usize>first) << 2));
  }
}

/** to[i] += sum over rows of from[row][i] */
function addColumns(from: usize, stride: usize, rows: i32, count: i32, to: usize): void {
  for (let i = 0; i < count; i += 4) {
    const lanes = min(4, count - i);
    const shift = (<usize>i) << 2;
    let sum = f32x4.splat(0);
    let at = from + shift;
    for (let row = 0; row < rows; row++, at += stride) sum = f32x4.add(sum, loadFloats(at, lanes));
    storeFloats(to + shift, f32x4.add(loadFloats(to + shift, lanes), sum), lanes);
  }
}

/** Chunks are numbered over all experts: blocks of BLOCK slots, counted from each expert's first. */
export function expertLinearBackwardInput(op: ExpertLinearBackwardInput, thread: i32, threads: i32): void {
  if (liveRows(op) == 0) return;
  const experts = op.experts;
  const columns = op.columns;
  const offsets = op.offsets;
  const dyStride = op.dyStride << 2;
  const dxStride = op.dxStride << 2;
  const scratch = op.scratch + <usize>thread * GEMM_SCRATCH;
  const across = (columns + BLOCK - 1) / BLOCK;
  const height = 64;
  let before = 0;
  let expert = 0;
  for (let chunk = nextChunk(op); ; chunk = nextChunk(op)) {
    let inExpert = blocksOf(offsets, expert, height) * across;
    while (expert < experts && chunk >= before + inExpert) {
      before += inExpert;
      expert++;
      inExpert = expert < experts ? blocksOf(offsets, expert, height) * across : 0;
    }
    if (expert == experts) return;
    const end = load<i32>(offsets + ((<usize>expert) << 2), 4);
    const slot = load<i32>(offsets + ((<usize>expert) << 2)) + ((chunk - before) / across) * height;
    const column = ((chunk - before) % across) * BLOCK;
    multiplyBlock(
      min(height, end - slot),
      min(BLOCK, columns - column),
      op.outputs,
      op.dy + <usize>slot * dyStride,
      dyStride,
      4,
      op.weight + <usize>expert * op.expertBytes + ((<usize>column) << 2),
      (<usize>columns) << 2,
      4,
      0,
      op.dx + <usize>slot * dxStride + ((<usize>column) << 2),
      dxStride,
      false,
      scratch,
    );
  }
}

// @inline
function blocksOf(offsets: usize, expert: i32, height: i32): i32 {
  const at = offsets + ((<usize>expert) << 2);
  return (load<i32>(at, 4) - load<i32>(at) + height - 1) / height;
}

export function expertLinearBackwardWeight(op: ExpertLinearBackwardWeight, thread: i32, threads: i32): void {
  if (liveRows(op) == 0) return;
  const outputs = op.outputs;
  const columns = op.columns;
  const offsets = op.offsets;
  const slotRows = op.slotRows;
  const dyStride = op.dyStride << 2;
  const xStride = op.xStride << 2;
  const rowBytes = (<usize>columns) << 2;
  const scratch = op.scratch + <usize>thread * GEMM_SCRATCH;
  const across = (columns + BLOCK - 1) / BLOCK;
  const perExpert = ((outputs + BLOCK - 1) / BLOCK) * across;
  const chunks = perExpert * op.experts;
  for (let chunk = nextChunk(op); chunk < chunks; chunk = nextChunk(op)) {
    const expert = chunk / perExpert;
    const slot = load<i32>(offsets + ((<usize>expert) << 2));
    const count = load<i32>(offsets + ((<usize>expert) << 2), 4) - slot;
    if (count == 0) continue;
    const first = ((chunk % perExpert) / across) * BLOCK;
    const column = (chunk % across) * BLOCK;
    const x = op.x + ((<usize>column) << 2);
    const dWeight = op.dWeight + <usize>expert * op.expertBytes;
    multiplyBlock(
      min(BLOCK, outputs - first),
      min(BLOCK, columns - column),
      count,
      op.dy + <usize>slot * dyStride + ((<usize>first) << 2),
      4,
      dyStride,
      slotRows != 0 ? x : x + <usize>slot * xStride,
      xStride,
      4,
      slotRows != 0 ? slotRows + ((<usize>slot) << 2) : 0,
      dWeight + <usize>first * rowBytes + ((<usize>column) << 2),
      rowBytes,
      true,
      scratch,
    );
  }
}
