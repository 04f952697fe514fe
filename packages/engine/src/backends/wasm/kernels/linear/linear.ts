// `linear` and `embed`: weights in raw layouts here, packed ones in the int8 kernels' files.
// One chunk of `linear` is a run of outputs for all rows; one chunk of `embed` is a row.
import { claimRange, liveRows, nextChunk, rangeEnd, rangeFirst } from '../common/common';
import { PANEL_OUTPUTS } from '../constants';
import { Embed, Linear } from '../op-records';
import { dequantizeRow, layoutBytes } from './dequantize';
import { multipliesFloats, multiplyFloats } from './float-product';
import { PACKED_BASE } from './layouts.gen';
import { packedEmbedRow } from './packed-embed.gen';
import { packedLinear } from './packed-linear';
import { beginProduct, biasAt, Product } from './product';
import { multiplyRaw, panelRows } from './raw-product';

export function linear(op: Linear, thread: i32, threads: i32): void {
  if (op.layout >= PACKED_BASE) {
    packedLinear(op, thread, threads);
    return;
  }
  const rows = liveRows(op);
  if (rows == 0) return;
  const product = beginProduct(op, thread);
  product.bias = op.bias;
  product.accumulate = op.accumulate != 0;
  const outputs = op.outputs;
  if (rows < panelRows(op.layout) && multipliesFloats(op.layout, rows)) {
    streamFloats(op, product, rows, threads);
    return;
  }
  const run = outputsPerChunk(outputs, threads);
  const chunks = (outputs + run - 1) / run;
  for (let chunk = nextChunk(op); chunk < chunks; chunk = nextChunk(op)) {
    const first = chunk * run;
    const end = min(outputs, first + run);
    startRows(product, 0, rows, first, end);
    multiplyRaw(product, 0, rows, first, end);
  }
}

/** Bytes of weights, times rows, below which a range is not divided further: 2 us of work. */
// @inline
const LEAST_BYTES: i32 = 65536;

/** A few rows: ranges of outputs that begin long and end short, each read as four streams. */
function streamFloats(op: Linear, product: Product, rows: i32, threads: i32): void {
  const least = max(8, LEAST_BYTES / <i32>layoutBytes(op.layout, op.columns) / rows) & ~3;
  while (claimRange(op, op.outputs, threads, least)) {
    const first = rangeFirst,
      end = rangeEnd,
      quarter = (end - first) >> 2;
    startRows(product, 0, rows, first, end);
    multiplyFloats(product, 0, rows, first, end, quarter, 1, quarter);
    const rest = first + 4 * quarter;
    multiplyFloats(product, 0, rows, rest, end, 1, 4, rest < end ? 1 : 0);
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

/** What products are added to: y itself or zero, plus the bias. */
export function startRows(product: Product, firstRow: i32, endRow: i32, first: i32, end: i32): void {
  const bias = biasAt(product, first),
    accumulate = product.accumulate;
  if (accumulate && bias == 0) return;
  const bytes = (<usize>(end - first)) << 2;
  for (let row = firstRow; row < endRow; row++) {
    const to = product.y + <usize>row * product.yStride + ((<usize>first) << 2);
    if (!accumulate) {
      if (bias != 0) memory.copy(to, bias, bytes);
      else memory.fill(to, 0, bytes);
    } else {
      for (let at: usize = 0; at < bytes; at += 4) store<f32>(to + at, load<f32>(to + at) + load<f32>(bias + at));
    }
  }
}

/** A token outside the vocabulary gives a row of zeros: nothing outside the table is read. */
export function embed(op: Embed, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  const layout = op.layout,
    columns = op.columns,
    table = op.table,
    scale = op.scale;
  for (let row = nextChunk(op); row < rows; row = nextChunk(op)) {
    const token = load<u32>(op.tokens + ((<usize>row) << 2));
    const y = op.y + ((<usize>row * op.yStride) << 2);
    const end = y + ((<usize>columns) << 2);
    if (token >= <u32>op.vocabulary) {
      memory.fill(y, 0, end - y);
      continue;
    }
    if (layout >= PACKED_BASE) packedEmbedRow(table, layout, <i32>token, columns, y);
    else dequantizeRow(layout, table + <usize>token * layoutBytes(layout, columns), y, columns);
    if (scale != 1) for (let at = y; at < end; at += 4) store<f32>(at, load<f32>(at) * scale);
  }
}
