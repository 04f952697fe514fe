// `linear` and `embed`: weights in raw layouts here, packed ones in the int8 kernels' files.
// One chunk of `linear` is a run of outputs for all rows; one chunk of `embed` is a row.
import { address, liveRows, nextChunk } from '../common/common';
import {
  EMBED_COLUMNS,
  EMBED_LAYOUT,
  EMBED_SCALE,
  EMBED_TABLE,
  EMBED_TOKENS,
  EMBED_VOCABULARY,
  EMBED_Y,
  EMBED_Y_STRIDE,
  LINEAR_ACCUMULATE,
  LINEAR_BIAS,
  LINEAR_COLUMNS,
  LINEAR_LAYOUT,
  LINEAR_OUTPUTS,
  LINEAR_SCRATCH,
  LINEAR_WEIGHT,
  LINEAR_X,
  LINEAR_X_STRIDE,
  LINEAR_Y,
  LINEAR_Y_STRIDE,
} from '../op-layout';
import { dequantizeRow, layoutBytes } from './dequantize';
import { PACKED_BASE } from './layouts.gen';
import { packedEmbedRow, packedLinear } from './packed';
import { multiplyRaw, PANEL_OUTPUTS, rawScratchBytes } from './raw-product';

export function linear(op: usize, thread: i32, threads: i32): void {
  const layout = load<i32>(op, LINEAR_LAYOUT);
  if (layout >= PACKED_BASE) {
    packedLinear(op, thread, threads);
    return;
  }
  const rows = liveRows(op);
  if (rows == 0) return;
  const outputs = load<i32>(op, LINEAR_OUTPUTS);
  const columns = load<i32>(op, LINEAR_COLUMNS);
  const y = address(op, LINEAR_Y);
  const yStride = (<usize>load<u32>(op, LINEAR_Y_STRIDE)) << 2;
  const bias = address(op, LINEAR_BIAS);
  const accumulate = load<u32>(op, LINEAR_ACCUMULATE) != 0;
  const scratch = address(op, LINEAR_SCRATCH) + <usize>thread * rawScratchBytes(columns);
  const run = outputsPerChunk(outputs, threads);
  const chunks = (outputs + run - 1) / run;
  for (let chunk = nextChunk(op); chunk < chunks; chunk = nextChunk(op)) {
    const first = chunk * run;
    const end = min(outputs, first + run);
    startRows(y, yStride, 0, rows, first, end, bias, accumulate);
    multiplyRaw(
      layout,
      address(op, LINEAR_WEIGHT),
      columns,
      first,
      end,
      address(op, LINEAR_X),
      (<usize>load<u32>(op, LINEAR_X_STRIDE)) << 2,
      0,
      y,
      yStride,
      0,
      rows,
      scratch,
    );
  }
}

/**
 * A multiple of 16 outputs, two panels, at most all panels, and enough chunks that no thread waits long for the last
 * one.
 */
export function outputsPerChunk(outputs: i32, threads: i32): i32 {
  const even = outputs / (threads * 6);
  return max(16, min(PANEL_OUTPUTS, even & ~15));
}

/** What products are added to: y itself or zero, plus the bias (0: none). */
export function startRows(
  y: usize,
  yStride: usize,
  firstRow: i32,
  endRow: i32,
  first: i32,
  end: i32,
  bias: usize,
  accumulate: bool,
): void {
  if (accumulate && bias == 0) return;
  const bytes = (<usize>(end - first)) << 2;
  const shift = (<usize>first) << 2;
  for (let row = firstRow; row < endRow; row++) {
    const to = y + <usize>row * yStride + shift;
    if (!accumulate) {
      if (bias != 0) memory.copy(to, bias + shift, bytes);
      else memory.fill(to, 0, bytes);
    } else {
      for (let at: usize = 0; at < bytes; at += 4)
        store<f32>(to + at, load<f32>(to + at) + load<f32>(bias + shift + at));
    }
  }
}

/** A token outside the vocabulary gives a row of zeros: nothing outside the table is read. */
export function embed(op: usize, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  const layout = load<i32>(op, EMBED_LAYOUT);
  const columns = load<i32>(op, EMBED_COLUMNS);
  const table = address(op, EMBED_TABLE);
  const scale = load<f32>(op, EMBED_SCALE);
  for (let row = nextChunk(op); row < rows; row = nextChunk(op)) {
    const token = load<u32>(address(op, EMBED_TOKENS) + ((<usize>row) << 2));
    const y = address(op, EMBED_Y) + ((<usize>(<u32>row * load<u32>(op, EMBED_Y_STRIDE))) << 2);
    const end = y + ((<usize>columns) << 2);
    if (token >= load<u32>(op, EMBED_VOCABULARY)) {
      memory.fill(y, 0, end - y);
      continue;
    }
    if (layout >= PACKED_BASE) packedEmbedRow(table, layout, <i32>token, columns, y);
    else dequantizeRow(layout, table + <usize>token * layoutBytes(layout, columns), y, columns);
    if (scale != 1) for (let at = y; at < end; at += 4) store<f32>(at, load<f32>(at) * scale);
  }
}
