// Five to sixteen rows of activations times four tiles of 16 rows at once, the tiles being a quarter of a thread's range of weights from each
// other: four streams for the processor to follow, each by load instructions of its own, as in packed-decode-four.ts, and activations come
// from the first-level cache for three of the four. From memory, compared with tile after tile
// (packed-direct.ts): 8 rows of Q4_0 1.2 x, of Q4_K 1.14 to 1.19 x; 6 rows 1.13 and 1.24 x; 16 rows 1.1 x.
//
// Eight rows go four and four, block by block of 32 columns, so that memory is never idle; other numbers two blocks at a time: the first
// eight or four rows by the functions that fetch the weights, then up to four at a time by functions of their own, as the first ones' prefetches
// would stop where they went back. Sums as in packed-tile.ts, bit for bit.
import { BLOCK_CODES, rowCodes, TILE_ROWS, tileWidth } from './packed-codes';
import { blockBytes, nibbleBlock } from './packed-direct';
import { Q4_0, Q4_K } from './layouts.gen';
import { SCALE_ROOM, spreadMinimumScales } from './packed-scales';
import { clear, isWide, WIDE_SUMS_BYTES } from './packed-wide';

/** Rows up to which four tiles at once are faster than a panel. */
// @inline
const MOST_ROWS: i32 = 16;
/** Blocks of 32 columns before the next rows' turn (with 1, 4 or 8 mostly 0.94 to 0.99 x). */
// @inline
const TURN: i32 = 2;
/** Bytes of the sums of four tiles and four rows: [tile][half of the tile][row][8]. */
// @inline
export const FOUR_SUMS: usize = 4 * WIDE_SUMS_BYTES;

/** Bytes of sums and unpacked scales. */
// @inline
export const FEW_SCRATCH: usize = <usize>(MOST_ROWS / TILE_ROWS) * FOUR_SUMS + 4 * SCALE_ROOM;

/** Types whose four streams gain. (Q6_K, whose tiles are several streams as they are: 0.8 to 0.9 x.) */
// @inline
export function multipliesFour(type: i32, rows: i32): bool {
  return isWide() && (type == Q4_0 || type == Q4_K) && rows > TILE_ROWS && rows <= MOST_ROWS;
}

/** A block of the tiles at w, v, u and t, whose sums are at a, b, c and d (and the second halves' at a1…) and whose scales are at s…p. */
// @inline
function fourBlocks(
  type: i32, K: i32, w: usize, v: usize, u: usize, t: usize, x: usize, s: usize, r: usize, q: usize, p: usize,
  a: usize, a1: usize, b: usize, b1: usize, c: usize, c1: usize, d: usize, d1: usize,
): void {
  nibbleBlock(type, K, false, w, x, s, a, a1);
  nibbleBlock(type, K, false, v, x, r, b, b1);
  nibbleBlock(type, K, false, u, x, q, c, c1);
  nibbleBlock(type, K, false, t, x, p, d, d1);
}

/**
 * `n` blocks times 8 rows; the second four's codes are at `next`. Addresses of vectors are arguments or come from ones (`set`, the bytes of a tile's
 * scales), so that nothing is folded into offsets, which would keep V8 from merging pairs.
 */
// @inline
function eightRows(
  type: i32, n: i32, w: usize, step: usize, x: usize, next: usize, s: usize, set: usize,
  a: usize, a1: usize, b: usize, b1: usize, c: usize, c1: usize, d: usize, d1: usize,
  e: usize, e1: usize, f: usize, f1: usize, g: usize, g1: usize, h: usize, h1: usize,
): void {
  const r = s + set, q = r + set, p = q + set;
  let v = w + step, u = v + step, t = u + step, at: usize = 0;
  for (; n > 0; n--) {
    fourBlocks(type, 4, w, v, u, t, x, s + at, r + at, q + at, p + at, a, a1, b, b1, c, c1, d, d1);
    fourBlocks(type, 4, w, v, u, t, next, s + at, r + at, q + at, p + at, e, e1, f, f1, g, g1, h, h1);
    w += blockBytes(type);
    v += blockBytes(type);
    u += blockBytes(type);
    t += blockBytes(type);
    x += 4 * BLOCK_CODES;
    next += 4 * BLOCK_CODES;
    at += 128;
  }
}

/** `n` blocks times K rows. `half` and `tile` are the bytes of the sums of half a tile and of a tile. */
// @inline
function fewRows(
  type: i32, K: i32, fetches: bool, n: i32, w: usize, step: usize, x: usize, s: usize, set: usize, a: usize, half: usize, tile: usize,
): void {
  const b = a + tile, c = b + tile, d = c + tile;
  const a1 = a + half, b1 = b + half, c1 = c + half, d1 = d + half;
  const r = s + set, q = r + set, p = q + set;
  let v = w + step, u = v + step, t = u + step, at: usize = 0;
  // Two ways to say it, or Binaryen would make one function of the one that fetches and the other of four rows.
  for (; fetches ? n > 0 : n != 0; n--) {
    fourBlocks(type, K, w, v, u, t, x, s + at, r + at, q + at, p + at, a, a1, b, b1, c, c1, d, d1);
    w += blockBytes(type);
    v += blockBytes(type);
    u += blockBytes(type);
    t += blockBytes(type);
    x += <usize>K * BLOCK_CODES;
    at += 128;
  }
}

function q4_0Eight(
  n: i32, w: usize, step: usize, x: usize, y: usize,
  a: usize, a1: usize, b: usize, b1: usize, c: usize, c1: usize, d: usize, d1: usize,
  e: usize, e1: usize, f: usize, f1: usize, g: usize, g1: usize, h: usize, h1: usize,
): void {
  eightRows(Q4_0, n, w, step, x, y, 0, 0, a, a1, b, b1, c, c1, d, d1, e, e1, f, f1, g, g1, h, h1);
}
function q4_0First(n: i32, w: usize, step: usize, x: usize, a: usize, h: usize, t: usize): void { fewRows(Q4_0, 4, true, n, w, step, x, 0, 0, a, h, t); }
function q4_0x1(n: i32, w: usize, step: usize, x: usize, a: usize, h: usize, t: usize): void { fewRows(Q4_0, 1, false, n, w, step, x, 0, 0, a, h, t); }
function q4_0x2(n: i32, w: usize, step: usize, x: usize, a: usize, h: usize, t: usize): void { fewRows(Q4_0, 2, false, n, w, step, x, 0, 0, a, h, t); }
function q4_0x3(n: i32, w: usize, step: usize, x: usize, a: usize, h: usize, t: usize): void { fewRows(Q4_0, 3, false, n, w, step, x, 0, 0, a, h, t); }
function q4_0x4(n: i32, w: usize, step: usize, x: usize, a: usize, h: usize, t: usize): void { fewRows(Q4_0, 4, false, n, w, step, x, 0, 0, a, h, t); }
function q4_KEight(
  n: i32, w: usize, step: usize, x: usize, y: usize, s: usize, z: usize,
  a: usize, a1: usize, b: usize, b1: usize, c: usize, c1: usize, d: usize, d1: usize,
  e: usize, e1: usize, f: usize, f1: usize, g: usize, g1: usize, h: usize, h1: usize,
): void {
  eightRows(Q4_K, n, w, step, x, y, s, z, a, a1, b, b1, c, c1, d, d1, e, e1, f, f1, g, g1, h, h1);
}
function q4_KFirst(n: i32, w: usize, step: usize, x: usize, s: usize, z: usize, a: usize, h: usize, t: usize): void { fewRows(Q4_K, 4, true, n, w, step, x, s, z, a, h, t); }
function q4_Kx1(n: i32, w: usize, step: usize, x: usize, s: usize, z: usize, a: usize, h: usize, t: usize): void { fewRows(Q4_K, 1, false, n, w, step, x, s, z, a, h, t); }
function q4_Kx2(n: i32, w: usize, step: usize, x: usize, s: usize, z: usize, a: usize, h: usize, t: usize): void { fewRows(Q4_K, 2, false, n, w, step, x, s, z, a, h, t); }
function q4_Kx3(n: i32, w: usize, step: usize, x: usize, s: usize, z: usize, a: usize, h: usize, t: usize): void { fewRows(Q4_K, 3, false, n, w, step, x, s, z, a, h, t); }
function q4_Kx4(n: i32, w: usize, step: usize, x: usize, s: usize, z: usize, a: usize, h: usize, t: usize): void { fewRows(Q4_K, 4, false, n, w, step, x, s, z, a, h, t); }

/** `n` blocks times the first 4 or 8 rows, whose codes are at `x` and `next`. */
function multiplyFirst(
  type: i32, rows: i32, n: i32, w: usize, step: usize, x: usize, next: usize, s: usize, set: usize, sums: usize, half: usize, tile: usize,
): void {
  if (rows != 8) {
    if (type == Q4_0) q4_0First(n, w, step, x, sums, half, tile);
    else q4_KFirst(n, w, step, x, s, set, sums, half, tile);
    return;
  }
  const b = sums + tile, c = b + tile, d = c + tile, e = d + tile, f = e + tile, g = f + tile, h = g + tile;
  if (type == Q4_0) {
    q4_0Eight(
      n, w, step, x, next, sums, sums + half, b, b + half, c, c + half, d, d + half, e, e + half, f, f + half, g, g + half, h, h + half,
    );
  } else {
    q4_KEight(
      n, w, step, x, next, s, set, sums, sums + half, b, b + half, c, c + half, d, d + half, e, e + half, f, f + half, g, g + half, h, h + half,
    );
  }
}

/** `n` blocks times K more rows. */
function multiplyMore(type: i32, K: i32, n: i32, w: usize, step: usize, x: usize, s: usize, set: usize, sums: usize, half: usize, tile: usize): void {
  switch (K + (type == Q4_0 ? 0 : 4)) {
    case 1: q4_0x1(n, w, step, x, sums, half, tile); break;
    case 2: q4_0x2(n, w, step, x, sums, half, tile); break;
    case 3: q4_0x3(n, w, step, x, sums, half, tile); break;
    case 4: q4_0x4(n, w, step, x, sums, half, tile); break;
    case 5: q4_Kx1(n, w, step, x, s, set, sums, half, tile); break;
    case 6: q4_Kx2(n, w, step, x, s, set, sums, half, tile); break;
    case 7: q4_Kx3(n, w, step, x, s, set, sums, half, tile); break;
    case 8: q4_Kx4(n, w, step, x, s, set, sums, half, tile); break;
  }
}

function spreadFour(w: usize, step: usize, room: usize): void {
  for (const end = room + 4 * SCALE_ROOM; room < end; room += SCALE_ROOM) {
    spreadMinimumScales(w, room, 0);
    w += step;
  }
}

/**
 * The tiles at `w`, `w + step`, … times `rows` rows. Sums of rows 4r… are FOUR_SUMS * r from `sums`; scales are unpacked behind those of 16 rows
 * (FEW_SCRATCH bytes in all).
 */
export function multiplyFour(type: i32, rows: i32, w: usize, step: usize, x: usize, columns: i32, sums: usize): void {
  const half = WIDE_SUMS_BYTES / 2, tile = WIDE_SUMS_BYTES;
  const scales = sums + <usize>(MOST_ROWS / TILE_ROWS) * FOUR_SUMS, perRow = rowCodes(columns);
  for (let p = sums; p < scales; p += WIDE_SUMS_BYTES) clear(p);
  const first = rows < 8 ? 4 : 8;
  const turn = rows > first ? TURN : type == Q4_0 ? columns >> 5 : 8;
  let s = scales;
  for (let block = 0; block < columns >> 5; ) {
    if (type == Q4_K && (block & 7) == 0) {
      spreadFour(w, step, scales);
      w += 256;
      s = scales;
    }
    const n = min(turn, (columns >> 5) - block);
    const at = <usize>block * BLOCK_CODES;
    multiplyFirst(type, first, n, w, step, x + 4 * at, x + 4 * (perRow + at), s, SCALE_ROOM, sums, half, tile);
    for (let row = first; row < rows; row += TILE_ROWS) {
      const K = tileWidth(row, rows);
      const codes = x + <usize>row * perRow + <usize>K * at;
      multiplyMore(type, K, n, w, step, codes, s, SCALE_ROOM, sums + <usize>(row / TILE_ROWS) * FOUR_SUMS, half, tile);
    }
    w += <usize>n * blockBytes(type);
    s += <usize>n * 128;
    block += n;
  }
}
