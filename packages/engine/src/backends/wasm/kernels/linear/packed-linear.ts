// `linear` and `expertLinear` on packed weights. A tile is 16 outputs; threads claim chunks of whole tiles. One row of
// activations (times four tiles at once, where that is faster) and few rows read the packed tile itself, more first
// spread it into a panel. Every output of every row is the same sum in the same order whichever way it is made, so
// results depend neither on the number of rows nor on the number of threads.
import { address, claimRange, liveRows, nextChunk, rangeEnd, rangeFirst } from '../common/common';
import {
  EXPERT_LINEAR_COLUMNS,
  EXPERT_LINEAR_EXPERT_BYTES,
  EXPERT_LINEAR_EXPERTS,
  EXPERT_LINEAR_LAYOUT,
  EXPERT_LINEAR_OFFSETS,
  EXPERT_LINEAR_OUTPUTS,
  EXPERT_LINEAR_SCRATCH,
  EXPERT_LINEAR_SLOT_ROWS,
  EXPERT_LINEAR_WEIGHT,
  EXPERT_LINEAR_X,
  EXPERT_LINEAR_Y,
  EXPERT_LINEAR_Y_STRIDE,
  LINEAR_ACCUMULATE,
  LINEAR_BIAS,
  LINEAR_COLUMNS,
  LINEAR_LAYOUT,
  LINEAR_OUTPUTS,
  LINEAR_SCRATCH,
  LINEAR_WEIGHT,
  LINEAR_X,
  LINEAR_Y,
  LINEAR_Y_STRIDE,
} from '../op-layout';
import {
  FIXED_SCRATCH,
  GATHERED_ROWS,
  PACKED_BASE,
  PANEL_BLOCK_BYTES,
  packedTileBytes,
  TILE_OUTPUTS,
} from './layouts.gen';
import { fetchNext } from './packed-ahead';
import { copyRowCodes, rowCodes, TILE_ROWS, tileWidth } from './packed-codes';
import { decodeTile } from './packed-decode.gen';
import { decodeFour, FOUR_AREA } from './packed-decode-four.gen';
import { multiplyDirect } from './packed-direct.gen';
import { FOUR_SUMS, multiplyFour } from './packed-few.gen';
import { makePanel, panelKind } from './packed-panel.gen';
import { SCALE_ROOM } from './packed-scales.gen';
import { multiplySmall } from './packed-small.gen';
import { panelBlockBytes, SUMS_BYTES } from './packed-sums';
import { multiplyTile } from './packed-tile.gen';
import { multiplyPanelWide, WIDE_SUMS_BYTES } from './packed-wide.gen';
import { decodesFour, directRows, isWide, multipliesFour } from './shapes.gen';

/** Bytes of an expert's weights in a chunk: a stream long enough for the prefetchers. */
// @inline
const CHUNK_BYTES: i32 = 524288;
/** Bytes of weights, times rows, below which a range is not divided further: 2 us of work. */
// @inline
const LEAST_BYTES: i32 = 65536;

// @inline
function threadScratch(scratch: usize, thread: i32, columns: i32): usize {
  return scratch + <usize>thread * scratchBytes(columns);
}

// @inline
function scratchBytes(columns: i32): usize {
  return FIXED_SCRATCH + <usize>GATHERED_ROWS * rowCodes(columns) + <usize>(columns >> 5) * PANEL_BLOCK_BYTES;
}

/** y[0…count) = sums (+ bias) (+ y) for one row; whole vectors but for the last tile of a matrix. */
function deliver(sums: usize, count: i32, y: usize, bias: usize, accumulate: bool): void {
  let i: i32 = 0;
  for (; i + 4 <= count; i += 4) {
    let v = v128.load(sums);
    if (bias) {
      v = f32x4.add(v, v128.load(bias));
      bias += 16;
    }
    if (accumulate) v = f32x4.add(v, v128.load(y));
    v128.store(y, v);
    sums += 16;
    y += 16;
  }
  for (; i < count; i++) {
    let v = load<f32>(sums);
    if (bias) {
      v += load<f32>(bias);
      bias += 4;
    }
    if (accumulate) v += load<f32>(y);
    store<f32>(y, v);
    sums += 4;
    y += 4;
  }
}

/** The sums of both halves of a tile, [half][row][8], for `width` rows. */
function deliverRows(
  sums: usize,
  width: i32,
  count: i32,
  y: usize,
  stride: usize,
  bias: usize,
  accumulate: bool,
): void {
  for (let part = 0; part < 2 && part * 8 < count; part++) {
    const from = sums + <usize>part * SUMS_BYTES,
      skip = <usize>part * 32;
    for (let k = 0; k < width; k++) {
      deliver(
        from + <usize>k * 32,
        min(8, count - part * 8),
        y + <usize>k * stride + skip,
        bias ? bias + skip : 0,
        accumulate,
      );
    }
  }
}

/** One tile of weights times `rows` rows whose codes lie at `x`, into y[row * stride + 0…count). */
function multiplyRows(
  type: i32,
  w: usize,
  x: usize,
  rows: i32,
  columns: i32,
  count: i32,
  y: usize,
  stride: usize,
  bias: usize,
  accumulate: bool,
  scratch: usize,
): void {
  const blocks = columns >> 5;
  const room = scratch + 2 * WIDE_SUMS_BYTES,
    between = room + SCALE_ROOM;
  const direct = rows == 1 || rows <= directRows();
  const kind = panelKind(type),
    half = <usize>blocks * panelBlockBytes(kind);
  const panel = scratch + FIXED_SCRATCH + <usize>GATHERED_ROWS * rowCodes(columns);
  if (!direct) makePanel(type, w, panel, blocks, room);
  for (let row = 0; row < rows; ) {
    const codes = x + <usize>row * rowCodes(columns);
    const to = y + <usize>row * stride;
    let width = tileWidth(row, rows);
    if (direct && width == 1) {
      decodeTile(type, w, codes, blocks, scratch, room);
      deliver(scratch, count, to, bias, accumulate);
      return;
    }
    if (direct && isWide()) {
      if (rows - row >= 2 * TILE_ROWS) width = 2 * TILE_ROWS;
      multiplyDirect(type, width, w, codes, blocks, scratch, room, between);
    } else if (isWide() && width == TILE_ROWS) {
      multiplyPanelWide(kind, panel, half, codes, blocks, scratch, between);
    } else {
      for (let part: usize = 0; part < 2; part++) {
        if (direct) multiplySmall(type, width, w, part, codes, blocks, scratch + part * SUMS_BYTES, room);
        else multiplyTile(kind, width, panel + part * half, codes, blocks, scratch + part * SUMS_BYTES);
      }
    }
    deliverRows(scratch, min(width, TILE_ROWS), count, to, stride, bias, accumulate);
    if (width > TILE_ROWS) {
      deliverRows(
        scratch + WIDE_SUMS_BYTES,
        TILE_ROWS,
        count,
        to + <usize>TILE_ROWS * stride,
        stride,
        bias,
        accumulate,
      );
    }
    row += width;
  }
}

/** Tiles per chunk: about CHUNK_BYTES, but at least 4 chunks a thread where the matrix has them. */
// @inline
function tilesPerChunk(tiles: i32, tileBytes: usize, threads: i32): i32 {
  const byBytes = max(1, CHUNK_BYTES / <i32>tileBytes);
  return max(1, min(byBytes, tiles / (threads * 4)));
}

/** One row times 4 `quarter` tiles from tile `first` on, four at a time, one from each quarter. */
function decodeQuarters(
  type: i32,
  weight: usize,
  tileBytes: usize,
  first: i32,
  quarter: i32,
  x: usize,
  columns: i32,
  outputs: i32,
  y: usize,
  bias: usize,
  accumulate: bool,
  scratch: usize,
): void {
  const step = <usize>quarter * tileBytes;
  for (let tile = first; tile < first + quarter; tile++) {
    decodeFour(type, weight + <usize>tile * tileBytes, step, x, columns >> 5, scratch);
    for (let k = 0; k < 4; k++) {
      const output = (tile + k * quarter) * TILE_OUTPUTS,
        skip = (<usize>output) << 2;
      const count = min(TILE_OUTPUTS, outputs - output);
      deliver(scratch + <usize>k * FOUR_AREA, count, y + skip, bias ? bias + skip : 0, accumulate);
    }
  }
}

/** The same for 5 to 16 rows. */
function multiplyQuarters(
  type: i32,
  rows: i32,
  weight: usize,
  tileBytes: usize,
  first: i32,
  quarter: i32,
  x: usize,
  columns: i32,
  outputs: i32,
  y: usize,
  stride: usize,
  bias: usize,
  accumulate: bool,
  scratch: usize,
): void {
  const step = <usize>quarter * tileBytes;
  for (let tile = first; tile < first + quarter; tile++) {
    multiplyFour(type, rows, weight + <usize>tile * tileBytes, step, x, columns, scratch);
    for (let k = 0; k < 4; k++) {
      const output = (tile + k * quarter) * TILE_OUTPUTS,
        skip = (<usize>output) << 2;
      const count = min(TILE_OUTPUTS, outputs - output),
        place = bias ? bias + skip : 0;
      for (let row = 0; row < rows; row += TILE_ROWS) {
        const sums = scratch + <usize>(row / TILE_ROWS) * FOUR_SUMS + <usize>k * WIDE_SUMS_BYTES;
        deliverRows(sums, tileWidth(row, rows), count, y + <usize>row * stride + skip, stride, place, accumulate);
      }
    }
  }
}

export function packedLinear(op: usize, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  if (rows <= 0) return;
  const type = load<i32>(op, LINEAR_LAYOUT) - PACKED_BASE;
  const columns = load<i32>(op, LINEAR_COLUMNS);
  const outputs = load<i32>(op, LINEAR_OUTPUTS);
  const weight = address(op, LINEAR_WEIGHT),
    x = address(op, LINEAR_X);
  const y = address(op, LINEAR_Y),
    stride = (<usize>load<u32>(op, LINEAR_Y_STRIDE)) << 2;
  const bias = address(op, LINEAR_BIAS),
    accumulate = load<i32>(op, LINEAR_ACCUMULATE) != 0;
  const scratch = threadScratch(address(op, LINEAR_SCRATCH), thread, columns);
  const tiles = (outputs + TILE_OUTPUTS - 1) / TILE_OUTPUTS;
  const tileBytes = packedTileBytes(type, columns);
  const four = rows == 1 && decodesFour(type);
  // A few tiles for each of four streams, but not in matrices so small that threads would not finish together.
  const least = max(max(1, LEAST_BYTES / <i32>tileBytes / rows), four ? min(4, tiles / (threads * 8)) : 0);
  while (claimRange(op, tiles, threads, least)) {
    const end = rangeEnd;
    let tile = rangeFirst;
    if (four) {
      const quarter = (end - tile) >> 2;
      decodeQuarters(type, weight, tileBytes, tile, quarter, x, columns, outputs, y, bias, accumulate, scratch);
      tile += 4 * quarter;
    } else if (multipliesFour(type, rows)) {
      const quarter = (end - tile) >> 2;
      multiplyQuarters(
        type,
        rows,
        weight,
        tileBytes,
        tile,
        quarter,
        x,
        columns,
        outputs,
        y,
        stride,
        bias,
        accumulate,
        scratch,
      );
      tile += 4 * quarter;
    }
    for (; tile < end; tile++) {
      const first = tile * TILE_OUTPUTS,
        skip = (<usize>first) << 2;
      fetchNext(weight + <usize>(tile + 1) * tileBytes, tile + 1 < end ? tileBytes : 0);
      multiplyRows(
        type,
        weight + <usize>tile * tileBytes,
        x,
        rows,
        columns,
        min(TILE_OUTPUTS, outputs - first),
        y + skip,
        stride,
        bias ? bias + skip : 0,
        accumulate,
        scratch,
      );
    }
  }
}

/** Gathers the codes of up to GATHERED_ROWS of an expert's slots into tiles of their own. */
// @inline
function gather(slotRows: usize, first: i32, count: i32, x: usize, rows: i32, columns: i32, to: usize): void {
  for (let i = 0; i < count; i++) {
    const row = slotRows ? load<i32>(slotRows + ((<usize>(first + i)) << 2)) : first + i;
    const tile = to + <usize>(i & -TILE_ROWS) * rowCodes(columns);
    copyRowCodes(x, row, rows, columns, tile, i & (TILE_ROWS - 1), tileWidth(i, count));
  }
}

/** Chunks are some tiles of one expert; a chunk goes over all slots of its expert, GATHERED_ROWS at a time. */
export function packedExpertLinear(op: usize, thread: i32, threads: i32): void {
  const experts = load<i32>(op, EXPERT_LINEAR_EXPERTS);
  const offsets = address(op, EXPERT_LINEAR_OFFSETS),
    slotRows = address(op, EXPERT_LINEAR_SLOT_ROWS);
  const slots = load<i32>(offsets + ((<usize>experts) << 2));
  const rows = slotRows ? liveRows(op) : slots;
  if (rows <= 0) return;
  const type = load<i32>(op, EXPERT_LINEAR_LAYOUT) - PACKED_BASE;
  const columns = load<i32>(op, EXPERT_LINEAR_COLUMNS);
  const outputs = load<i32>(op, EXPERT_LINEAR_OUTPUTS);
  const weight = address(op, EXPERT_LINEAR_WEIGHT),
    expertBytes = address(op, EXPERT_LINEAR_EXPERT_BYTES);
  const x = address(op, EXPERT_LINEAR_X);
  const y = address(op, EXPERT_LINEAR_Y),
    stride = (<usize>load<u32>(op, EXPERT_LINEAR_Y_STRIDE)) << 2;
  const scratch = threadScratch(address(op, EXPERT_LINEAR_SCRATCH), thread, columns);
  const gathered = scratch + FIXED_SCRATCH;
  const tiles = (outputs + TILE_OUTPUTS - 1) / TILE_OUTPUTS;
  const tileBytes = packedTileBytes(type, columns);
  const size = tilesPerChunk(tiles, tileBytes, threads);
  const perExpert = (tiles + size - 1) / size;
  for (let chunk = nextChunk(op); chunk < experts * perExpert; chunk = nextChunk(op)) {
    const expert = chunk / perExpert;
    const firstTile = (chunk % perExpert) * size,
      endTile = min(tiles, firstTile + size);
    const end = load<i32>(offsets + ((<usize>(expert + 1)) << 2));
    let slot = load<i32>(offsets + ((<usize>expert) << 2));
    while (slot < end) {
      const count = min(GATHERED_ROWS, end - slot);
      gather(slotRows, slot, count, x, rows, columns, gathered);
      for (let tile = firstTile; tile < endTile; tile++) {
        const first = tile * TILE_OUTPUTS;
        fetchNext(0, 0);
        multiplyRows(
          type,
          weight + <usize>expert * expertBytes + <usize>tile * tileBytes,
          gathered,
          count,
          columns,
          min(TILE_OUTPUTS, outputs - first),
          y + <usize>slot * stride + ((<usize>first) << 2),
          stride,
          0,
          false,
          scratch,
        );
      }
      slot += count;
    }
  }
}
