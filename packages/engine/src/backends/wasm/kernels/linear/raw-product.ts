// Products with weight rows in raw layouts (a file format's own rows), f32 activations: what `linear` and
// `expertLinear` have in common. A call covers a run of outputs and all rows, in one of two ways:
//   few rows    weight rows are dequantised by pieces into scratch (F32, and F16 for one row, are read where they lie)
//               and multiplied by dots
//   many rows   pieces of up to 64 outputs × PIECE columns are dequantised and packed into panels of 8 outputs, which
//               stay in the second-level cache while all rows pass over them (tiles.ts)
// Scratch, per thread: 8 panels [PIECE][8], 8 rows [PIECE], one tile [4][8]; see plan/ops/scratch.ts.
import { dequantizeRow, dotHalves, LAYOUT_F16, LAYOUT_F32, layoutBytes } from './dequantize';
import { dotRow, dotTile, packHalfPanel, panelPairTile, panelTile, wideTiles } from './tiles';

/** Columns that are worked on at a time: a multiple of every block length. */
// @inline
const PIECE: i32 = 512;
// @inline
export const PANEL_OUTPUTS: i32 = 64;
/** From this many rows on, packing panels pays: at 8 rows it is 0.9 times as fast as dots, at 16 equal. */
// @inline
const PANEL_ROWS: i32 = 16;

/** Scratch of one thread; plan/ops/scratch.ts says the same to the planner. */
export function rawScratchBytes(columns: i32): usize {
  const piece = min(PIECE, (columns + 3) & ~3);
  return <usize>((PANEL_OUTPUTS + 8) * piece * 4 + 128);
}

/**
 * Rows of x and y that a product covers: row r of y is slot r, its input row is rowIndex[r], or r when rowIndex is 0.
 */
// @inline
function inputRow(x: usize, xStride: usize, rowIndex: usize, row: i32): usize {
  const index = rowIndex != 0 ? load<i32>(rowIndex + ((<usize>row) << 2)) : row;
  return x + <usize>index * xStride;
}

/** y[r][o] += W[o] x[r] for o in [first, end), r in [firstRow, endRow). Strides in bytes. */
export function multiplyRaw(
  layout: i32,
  weight: usize,
  columns: i32,
  first: i32,
  end: i32,
  x: usize,
  xStride: usize,
  rowIndex: usize,
  y: usize,
  yStride: usize,
  firstRow: i32,
  endRow: i32,
  scratch: usize,
): void {
  const rowBytes = layoutBytes(layout, columns);
  if (endRow - firstRow >= PANEL_ROWS) {
    for (let at = first; at < end; at += PANEL_OUTPUTS) {
      const count = min(PANEL_OUTPUTS, end - at);
      multiplyPanels(
        layout,
        weight + <usize>at * rowBytes,
        rowBytes,
        columns,
        count,
        x,
        xStride,
        rowIndex,
        y + ((<usize>at) << 2),
        yStride,
        firstRow,
        endRow,
        scratch,
      );
    }
  } else {
    multiplyDots(
      layout,
      weight + <usize>first * rowBytes,
      rowBytes,
      columns,
      end - first,
      x,
      xStride,
      rowIndex,
      y + ((<usize>first) << 2),
      yStride,
      firstRow,
      endRow,
      scratch,
    );
  }
}

/** `weight` and `y` point at the first of `outputs` outputs. */
function multiplyDots(
  layout: i32,
  weight: usize,
  rowBytes: usize,
  columns: i32,
  outputs: i32,
  x: usize,
  xStride: usize,
  rowIndex: usize,
  y: usize,
  yStride: usize,
  firstRow: i32,
  endRow: i32,
  scratch: usize,
): void {
  if (layout == LAYOUT_F16 && endRow - firstRow == 1) {
    const from = inputRow(x, xStride, rowIndex, firstRow);
    let to = y + <usize>firstRow * yStride;
    for (let o = 0; o < outputs; o++, to += 4)
      store<f32>(to, load<f32>(to) + dotHalves(weight + <usize>o * rowBytes, from, columns));
    return;
  }
  const direct = layout == LAYOUT_F32;
  const group = endRow - firstRow > 1 ? 4 : 1;
  const pieceColumns = direct ? columns : PIECE;
  for (let o = 0; o < outputs; o += group) {
    const count = min(group, outputs - o);
    const source = weight + <usize>o * rowBytes;
    for (let k = 0; k < columns; k += pieceColumns) {
      const piece = min(pieceColumns, columns - k);
      let w = source + ((<usize>k) << 2);
      let wStride = rowBytes;
      if (!direct) {
        w = scratch;
        wStride = (<usize>piece) << 2;
        const shift = layoutBytes(layout, k);
        for (let i = 0; i < count; i++)
          dequantizeRow(layout, source + <usize>i * rowBytes + shift, w + <usize>i * wStride, piece);
      }
      const column = (<usize>k) << 2;
      let row = firstRow;
      if (count == 4) {
        for (; row + 2 <= endRow; row += 2) {
          const to = y + <usize>row * yStride + ((<usize>o) << 2);
          const x0 = inputRow(x, xStride, rowIndex, row) + column;
          const x1 = inputRow(x, xStride, rowIndex, row + 1) + column;
          dotTile(w, wStride, x0, x1, piece, to, to + yStride);
        }
      }
      for (; row < endRow; row++) {
        const from = inputRow(x, xStride, rowIndex, row) + column;
        let to = y + <usize>row * yStride + ((<usize>o) << 2);
        for (let i = 0; i < count; i++, to += 4)
          store<f32>(to, load<f32>(to) + dotRow(w + <usize>i * wStride, from, piece));
      }
    }
  }
}

function multiplyPanels(
  layout: i32,
  weight: usize,
  rowBytes: usize,
  columns: i32,
  outputs: i32,
  x: usize,
  xStride: usize,
  rowIndex: usize,
  y: usize,
  yStride: usize,
  firstRow: i32,
  endRow: i32,
  scratch: usize,
): void {
  const panelBytes = (<usize>min(PIECE, (columns + 3) & ~3)) << 5;
  const buffer = scratch + 8 * panelBytes;
  const tile = buffer + panelBytes;
  for (let k = 0; k < columns; k += PIECE) {
    const piece = min(PIECE, columns - k);
    for (let o = 0; o < outputs; o += 8) {
      const count = min(8, outputs - o);
      packPanel(
        layout,
        weight + <usize>o * rowBytes + layoutBytes(layout, k),
        rowBytes,
        piece,
        count,
        scratch + <usize>(o >> 3) * panelBytes,
        buffer,
      );
    }
    const column = (<usize>k) << 2;
    for (let row = firstRow; row < endRow; row += 4) {
      const live = min(4, endRow - row);
      const x0 = inputRow(x, xStride, rowIndex, row) + column;
      const x1 = live > 1 ? inputRow(x, xStride, rowIndex, row + 1) + column : x0;
      const x2 = live > 2 ? inputRow(x, xStride, rowIndex, row + 2) + column : x0;
      const x3 = live > 3 ? inputRow(x, xStride, rowIndex, row + 3) + column : x0;
      let panel = scratch;
      let to = y + <usize>row * yStride;
      let o = 0;
      for (; wideTiles && live == 4 && o + 16 <= outputs; o += 16) {
        panelPairTile(x0, x1, x2, x3, panel, panel + panelBytes, 32, piece, to, yStride);
        panel += 2 * panelBytes;
        to += 64;
      }
      for (; o < outputs; o += 8) {
        if (live == 4 && o + 8 <= outputs) panelTile(x0, x1, x2, x3, panel, 32, piece, to, yStride);
        else edgeTile(x0, x1, x2, x3, panel, piece, to, yStride, live, min(8, outputs - o), tile);
        panel += panelBytes;
        to += 32;
      }
    }
  }
}

/** A tile of fewer than 4 rows or 8 outputs: computed whole in `tile`, of which the live part is added to y. */
function edgeTile(
  x0: usize,
  x1: usize,
  x2: usize,
  x3: usize,
  panel: usize,
  piece: i32,
  y: usize,
  yStride: usize,
  rows: i32,
  outputs: i32,
  tile: usize,
): void {
  memory.fill(tile, 0, 128);
  panelTile(x0, x1, x2, x3, panel, 32, piece, tile, 32);
  for (let r = 0; r < rows; r++) {
    for (let o = 0; o < outputs; o++) {
      const to = y + <usize>r * yStride + ((<usize>o) << 2);
      store<f32>(to, load<f32>(to) + load<f32>(tile + <usize>(r * 32 + o * 4)));
    }
  }
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
