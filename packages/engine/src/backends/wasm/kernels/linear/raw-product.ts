// Products with weight rows in raw layouts (a file format's own rows), f32 activations: what `linear` and
// `expertLinear` have in common. A call covers a run of outputs and all rows, in one of two ways:
//   few rows    F32, F16 and BF16 are multiplied as they lie (float-product.ts); rows of other formats are dequantised by
//               pieces into scratch and multiplied by dots
//   many rows   pieces of up to 64 outputs × PIECE columns are dequantised and packed into panels of 8 outputs, which
//               stay in the second-level cache while all rows pass over them (tiles.ts)
// Scratch, per thread: 8 panels [PIECE][8], 8 rows [PIECE], one tile [4][8]; see plan/ops/scratch.ts.
import { PANEL_OUTPUTS, PIECE } from '../constants';
import { dequantizeRow, LAYOUT_F32, layoutBytes } from './dequantize';
import { DOTS_AREA, dotsOf, floatDots } from './float-dots.gen';
import { addLanes, multipliesFloats, multiplyFloats, plainDot } from './float-product';
import { packHalfPanel, panelPairTile, panelTile } from './panels.gen';
import { areaOf, inputRow, Product } from './product';
import { wideTiles } from './tiles';

/** From this many rows on, packing panels pays: at 8 rows it is 0.9 times as fast as dots, at 16 equal. */
// @inline
export function panelRows(layout: i32): i32 {
  return 16;
}

/** y[r][o] += W[o] x[r] for o in [first, end), r in [firstRow, endRow). */
export function multiplyRaw(p: Product, firstRow: i32, endRow: i32, first: i32, end: i32): void {
  if (endRow - firstRow < panelRows(p.layout)) {
    if (multipliesFloats(p.layout, endRow - firstRow))
      multiplyFloats(p, firstRow, endRow, first, end, 1, 4, (end - first + 3) >> 2);
    else multiplyDots(p, firstRow, endRow, first, end);
    return;
  }
  for (let at = first; at < end; at += PANEL_OUTPUTS)
    multiplyPanels(p, firstRow, endRow, at, min(PANEL_OUTPUTS, end - at));
}

/** Four weight rows at a time, of which PIECE columns are dequantised. */
function multiplyDots(p: Product, firstRow: i32, endRow: i32, first: i32, end: i32): void {
  const layout = p.layout,
    columns = p.columns,
    rowBytes = layoutBytes(layout, columns);
  const area = areaOf(p),
    decoded = area + DOTS_AREA;
  for (let output = first; output < end; output += 4) {
    const live = min(4, end - output);
    const source = p.weight + <usize>output * rowBytes,
      y = p.y + ((<usize>output) << 2);
    for (let k = 0; k < columns; k += PIECE) {
      const piece = min(PIECE, columns - k),
        stride = (<usize>piece) << 2,
        shift = layoutBytes(layout, k);
      for (let i = 0; i < live; i++)
        dequantizeRow(layout, source + <usize>i * rowBytes + shift, decoded + <usize>i * stride, piece);
      dotRows(p, firstRow, endRow, decoded, stride, live, k, piece, y, area);
    }
  }
}

/** y[r][0…live) += four rows of f32, `stride` bytes apart, times columns [k, k + piece) of x, two rows at a time. */
function dotRows(
  p: Product,
  firstRow: i32,
  endRow: i32,
  w: usize,
  stride: usize,
  live: i32,
  k: i32,
  piece: i32,
  y: usize,
  area: usize,
): void {
  const w1 = w + (live > 1 ? stride : 0),
    w2 = w + (live > 2 ? 2 * stride : 0),
    w3 = w + (live > 3 ? 3 * stride : 0);
  const blocks = piece >> 4,
    rest = piece & 15,
    beyond = (<usize>(piece - rest)) << 2,
    column = (<usize>k) << 2;
  for (let row = firstRow; row < endRow; row += 2) {
    const two = row + 1 < endRow;
    const x0 = inputRow(p, row) + column,
      x1 = two ? inputRow(p, row + 1) + column : x0;
    const to = y + <usize>row * p.yStride;
    floatDots(LAYOUT_F32, two ? 2 : 1, w, w1, w2, w3, x0, x1, blocks, area);
    addLanes(to, dotsOf(LAYOUT_F32, area), 1, live);
    if (two) addLanes(to + p.yStride, dotsOf(LAYOUT_F32, area + 128), 1, live);
    if (rest == 0) continue;
    for (let i = 0; i < live; i++) {
      const from = w + <usize>i * stride + beyond,
        at = to + ((<usize>i) << 2);
      store<f32>(at, load<f32>(at) + plainDot(LAYOUT_F32, from, x0 + beyond, rest));
      if (two) store<f32>(at + p.yStride, load<f32>(at + p.yStride) + plainDot(LAYOUT_F32, from, x1 + beyond, rest));
    }
  }
}

function multiplyPanels(p: Product, firstRow: i32, endRow: i32, first: i32, outputs: i32): void {
  const layout = p.layout,
    columns = p.columns,
    rowBytes = layoutBytes(layout, columns);
  const weight = p.weight + <usize>first * rowBytes,
    yStride = p.yStride;
  const panels = areaOf(p);
  const panelBytes = (<usize>min(PIECE, (columns + 3) & ~3)) << 5;
  const buffer = panels + 8 * panelBytes;
  const tile = buffer + panelBytes;
  for (let k = 0; k < columns; k += PIECE) {
    const piece = min(PIECE, columns - k);
    for (let o = 0; o < outputs; o += 8) {
      const w = weight + <usize>o * rowBytes + layoutBytes(layout, k);
      packPanel(layout, w, rowBytes, piece, min(8, outputs - o), panels + <usize>(o >> 3) * panelBytes, buffer);
    }
    const column = (<usize>k) << 2;
    for (let row = firstRow; row < endRow; row += 4) {
      const live = min(4, endRow - row);
      const x0 = inputRow(p, row) + column;
      const x1 = live > 1 ? inputRow(p, row + 1) + column : x0;
      const x2 = live > 2 ? inputRow(p, row + 2) + column : x0;
      const x3 = live > 3 ? inputRow(p, row + 3) + column : x0;
      let panel = panels;
      let to = p.y + <usize>row * yStride + ((<usize>first) << 2);
      let o = 0;
      for (; wideTiles && live == 4 && o + 16 <= outputs; o += 16) {
        panelPairTile(x0, x1, x2, x3, panel, panel + panelBytes, 32, piece, to, yStride);
        panel += 2 * panelBytes;
        to += 64;
      }
      for (; o < outputs; o += 8) {
        if (live == 4 && o + 8 <= outputs) {
          panelTile(x0, x1, x2, x3, panel, 32, piece, to, yStride);
        } else {
          // Computed whole, of which the live part is added.
          memory.fill(tile, 0, 128);
          panelTile(x0, x1, x2, x3, panel, 32, piece, tile, 32);
          addEdge(tile, to, yStride, live, min(8, outputs - o));
        }
        panel += panelBytes;
        to += 32;
      }
    }
  }
}

/** Adds `rows` rows of `outputs` results of a tile of 8 to y. */
function addEdge(tile: usize, y: usize, yStride: usize, rows: i32, outputs: i32): void {
  for (; rows > 0; rows--, tile += 32, y += yStride)
    for (let at: usize = 0, end = (<usize>outputs) << 2; at < end; at += 4)
      store<f32>(y + at, load<f32>(y + at) + load<f32>(tile + at));
}

/** Eight weight rows (zeros behind the last one) as a panel [piece][8]. `buffer` has room for 8 rows. */
function packPanel(
  layout: i32,
  weight: usize,
  rowBytes: usize,
  piece: i32,
  rows: i32,
  panel: usize,
  buffer: usize,
): void {
  let w = weight;
  let stride = rowBytes;
  if (layout != LAYOUT_F32 || rows < 8) {
    w = buffer;
    stride = (<usize>piece) << 2;
    for (let i = 0; i < rows; i++)
      dequantizeRow(layout, weight + <usize>i * rowBytes, buffer + <usize>i * stride, piece);
    memory.fill(buffer + <usize>rows * stride, 0, <usize>(8 - rows) * stride);
  }
  packHalfPanel(w, w + stride, w + 2 * stride, w + 3 * stride, piece, panel);
  w += 4 * stride;
  packHalfPanel(w, w + stride, w + 2 * stride, w + 3 * stride, piece, panel + 16);
}
