// `linear` and `expertLinear` on packed weights. A tile is 16 outputs; threads claim chunks of whole tiles. One row of
// activations (times four tiles at once, where that is faster) and few rows read the packed tile itself, more first
// spread it into a panel. Every output of every row is the same sum in the same order whichever way it is made, so
// results depend neither on the number of rows nor on the number of threads.
import { claimRange, liveRows, nextChunk, rangeEnd, rangeFirst } from '../common/common';
import { ExpertLinear, Linear } from '../op-records';
import { FIXED_SCRATCH, GATHERED_ROWS, PACKED_BASE, packedTileBytes, TILE_OUTPUTS } from './layouts.gen';
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
import { areaOf, beginProduct, biasAt, Product } from './product';
import { decodesFour, directRows, isWide, multipliesFour } from './shapes.gen';

/** Bytes of an expert's weights in a chunk: a stream long enough for the prefetchers. */
// @inline
const CHUNK_BYTES: i32 = 524288;
/** Bytes of weights, times rows, below which a range is not divided further: 2 us of work. */
// @inline
const LEAST_BYTES: i32 = 65536;

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

/** The sums of both halves of a tile, [half][row][8], to outputs `first`… of `width` rows of y, the first one at `to`. */
function deliverRows(p: Product, sums: usize, width: i32, first: i32, to: usize): void {
  const end = min(first + TILE_OUTPUTS, p.outputs);
  for (let output = first; output < end; output += 8) {
    const bias = biasAt(p, output);
    let y = to + ((<usize>output) << 2);
    for (let from = sums, last = sums + <usize>width * 32; from < last; from += 32, y += p.yStride)
      deliver(from, min(8, end - output), y, bias, p.accumulate);
    sums += SUMS_BYTES;
  }
}

/** The tile at `w`, outputs `first`…, times `rows` rows whose codes lie at `x`, into rows of y from `to` on. */
function multiplyRows(p: Product, w: usize, x: usize, rows: i32, first: i32, to: usize): void {
  const type = p.layout - PACKED_BASE,
    blocks = p.columns >> 5,
    perRow = rowCodes(p.columns);
  const sums = areaOf(p),
    room = sums + 2 * WIDE_SUMS_BYTES,
    between = room + SCALE_ROOM;
  const direct = rows == 1 || rows <= directRows(type);
  const kind = panelKind(type),
    half = <usize>blocks * panelBlockBytes(kind);
  const panel = sums + FIXED_SCRATCH + <usize>GATHERED_ROWS * perRow;
  if (!direct) makePanel(type, w, panel, blocks, room);
  for (let row = 0; row < rows; ) {
    const codes = x + <usize>row * perRow;
    const y = to + <usize>row * p.yStride;
    let width = tileWidth(row, rows);
    if (direct && width == 1) {
      decodeTile(type, w, codes, blocks, sums, room);
      const skip = (<usize>first) << 2;
      deliver(sums, min(TILE_OUTPUTS, p.outputs - first), y + skip, biasAt(p, first), p.accumulate);
      return;
    }
    if (direct && isWide()) {
      if (rows - row >= 2 * TILE_ROWS) width = 2 * TILE_ROWS;
      multiplyDirect(type, width, w, codes, blocks, sums, room, between);
    } else if (isWide() && width == TILE_ROWS) {
      multiplyPanelWide(kind, panel, half, codes, blocks, sums, between);
    } else {
      for (let part: usize = 0; part < 2; part++) {
        if (direct) multiplySmall(type, width, w, part, codes, blocks, sums + part * SUMS_BYTES, room);
        else multiplyTile(kind, width, panel + part * half, codes, blocks, sums + part * SUMS_BYTES);
      }
    }
    deliverRows(p, sums, min(width, TILE_ROWS), first, y);
    if (width > TILE_ROWS) deliverRows(p, sums + WIDE_SUMS_BYTES, TILE_ROWS, first, y + <usize>TILE_ROWS * p.yStride);
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
function decodeQuarters(p: Product, first: i32, quarter: i32): void {
  const type = p.layout - PACKED_BASE,
    tileBytes = packedTileBytes(type, p.columns),
    sums = areaOf(p);
  for (let tile = first; tile < first + quarter; tile++) {
    const w = p.weight + <usize>tile * tileBytes;
    decodeFour(type, w, <usize>quarter * tileBytes, p.x, p.columns >> 5, sums);
    for (let k = 0; k < 4; k++) {
      const output = (tile + k * quarter) * TILE_OUTPUTS,
        to = p.y + ((<usize>output) << 2);
      const count = min(TILE_OUTPUTS, p.outputs - output);
      deliver(sums + <usize>k * FOUR_AREA, count, to, biasAt(p, output), p.accumulate);
    }
  }
}

/** The same for 5 to 16 rows. */
function multiplyQuarters(p: Product, rows: i32, first: i32, quarter: i32): void {
  const type = p.layout - PACKED_BASE,
    tileBytes = packedTileBytes(type, p.columns),
    sums = areaOf(p);
  for (let tile = first; tile < first + quarter; tile++) {
    const w = p.weight + <usize>tile * tileBytes;
    multiplyFour(type, rows, w, <usize>quarter * tileBytes, p.x, p.columns, sums);
    for (let k = 0; k < 4; k++) {
      const output = (tile + k * quarter) * TILE_OUTPUTS;
      for (let row = 0; row < rows; row += TILE_ROWS) {
        const from = sums + <usize>(row / TILE_ROWS) * FOUR_SUMS + <usize>k * WIDE_SUMS_BYTES;
        deliverRows(p, from, tileWidth(row, rows), output, p.y + <usize>row * p.yStride);
      }
    }
  }
}

export function packedLinear(op: Linear, thread: i32, threads: i32): void {
  const rows = liveRows(op);
  if (rows <= 0) return;
  const p = beginProduct(op, thread);
  p.bias = op.bias;
  p.accumulate = op.accumulate != 0;
  const type = p.layout - PACKED_BASE;
  const tiles = (p.outputs + TILE_OUTPUTS - 1) / TILE_OUTPUTS;
  const tileBytes = packedTileBytes(type, p.columns);
  const four = rows == 1 && decodesFour(type);
  // A few tiles for each of four streams, but not in matrices so small that threads would not finish together.
  const least = max(max(1, LEAST_BYTES / <i32>tileBytes / rows), four ? min(4, tiles / (threads * 8)) : 0);
  while (claimRange(op, tiles, threads, least)) {
    const end = rangeEnd;
    let tile = rangeFirst;
    const quarter = (end - tile) >> 2;
    if (four) {
      decodeQuarters(p, tile, quarter);
      tile += 4 * quarter;
    } else if (multipliesFour(type, rows)) {
      multiplyQuarters(p, rows, tile, quarter);
      tile += 4 * quarter;
    }
    for (; tile < end; tile++) {
      const w = p.weight + <usize>tile * tileBytes;
      fetchNext(w + tileBytes, tile + 1 < end ? tileBytes : 0);
      multiplyRows(p, w, p.x, rows, tile * TILE_OUTPUTS, p.y);
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
export function packedExpertLinear(op: ExpertLinear, thread: i32, threads: i32): void {
  const experts = op.experts,
    offsets = op.offsets,
    slotRows = op.slotRows;
  const slots = load<i32>(offsets + ((<usize>experts) << 2));
  const rows = slotRows ? liveRows(op) : slots;
  if (rows <= 0) return;
  const p = beginProduct(op, thread);
  const columns = p.columns;
  const gathered = areaOf(p) + FIXED_SCRATCH;
  const tiles = (p.outputs + TILE_OUTPUTS - 1) / TILE_OUTPUTS;
  const tileBytes = packedTileBytes(p.layout - PACKED_BASE, columns);
  const size = tilesPerChunk(tiles, tileBytes, threads);
  const perExpert = (tiles + size - 1) / size;
  for (let chunk = nextChunk(op); chunk < experts * perExpert; chunk = nextChunk(op)) {
    const expert = chunk / perExpert;
    const firstTile = (chunk % perExpert) * size,
      endTile = min(tiles, firstTile + size);
    const weight = op.weight + <usize>expert * op.expertBytes;
    const end = load<i32>(offsets + ((<usize>(expert + 1)) << 2));
    let slot = load<i32>(offsets + ((<usize>expert) << 2));
    while (slot < end) {
      const count = min(GATHERED_ROWS, end - slot);
      gather(slotRows, slot, count, op.x, rows, columns, gathered);
      for (let tile = firstTile; tile < endTile; tile++) {
        fetchNext(0, 0);
        const to = p.y + <usize>slot * p.yStride;
        multiplyRows(p, weight + <usize>tile * tileBytes, gathered, count, tile * TILE_OUTPUTS, to);
      }
      slot += count;
    }
  }
}
