// f32 matrix products for training: a block of C (+)= A B with both operands at any strides, after Goto & van de Geijn
// (2008). Pieces of KC steps are packed, A as [k][4] and B as [k][8], zeros behind the edges, so that the inner loop is
// always the same full tile: 4 × 8 results in 8 accumulators, two pointers. Measured in cache: 52 GFLOP/s where the
// machine's multiply-add peak is 56. With 256-bit registers a tile takes two panels of B, 4 × 16 results (tiles.ts).
//
// The order of every sum depends on k alone, so how C is split into blocks changes nothing.
// Scratch of a thread: A panels, B panels (gaps between them), one tile; see plan/ops/scratch.ts.
import { loadFloats } from '../common/math';
import { multiplyTile, multiplyWideTile, packHalfPanel, packPanelOfFour } from './panels.gen';
import { wideTiles } from './tiles';

// @inline
const KC: i32 = 256;
/** Largest number of rows and of columns of a block. */
// @inline
export const BLOCK: i32 = 128;
// @inline
const A_BYTES: usize = 131072 + 32 * 64;
// @inline
const B_BYTES: usize = 131072 + 16 * 64;
/** Between panels: a whole row is packed at a time, and panels 4 KiB apart would evict each other from the cache. */
// @inline
const GAP: usize = 64;
// @inline
export const GEMM_SCRATCH: usize = A_BYTES + B_BYTES + 256;

/**
 * C[i][j] = (accumulate ? C[i][j] : 0) + sum over l < k of A[i][l] B[l][j], i < m <= BLOCK, j < n <= BLOCK. Element
 * A[i][l] lies at a + i aRow + l aCol, B[l][j] at b + row(l) bRow + j bCol with row(l) = bIndex ? bIndex[l] : l; one
 * stride of each is 4. Rows of C are cRow apart. All in bytes.
 */
export function multiplyBlock(
  m: i32,
  n: i32,
  k: i32,
  a: usize,
  aRow: usize,
  aCol: usize,
  b: usize,
  bRow: usize,
  bCol: usize,
  bIndex: usize,
  c: usize,
  cRow: usize,
  accumulate: bool,
  scratch: usize,
): void {
  const panelsB = scratch + A_BYTES;
  const tile = panelsB + B_BYTES;
  for (let start = 0; start < k; start += KC) {
    const count = min(KC, k - start);
    const length = (<usize>count) << 4;
    const stepA = length + GAP;
    const stepB = (length << 1) + GAP;
    packA(m, count, a + <usize>start * aCol, aRow, aCol, scratch);
    if (bIndex == 0) packB(n, count, b + <usize>start * bRow, bRow, bCol, panelsB);
    else packIndexed(n, count, b, bRow, bIndex + ((<usize>start) << 2), panelsB);
    const add = accumulate || start > 0;
    let panelB = panelsB;
    let j = 0;
    for (; wideTiles && j + 8 < n; j += 16, panelB += 2 * stepB) {
      let panelA = scratch;
      for (let i = 0; i < m; i += 4, panelA += stepA) {
        multiplyWideTile(panelA, panelB, panelB + stepB, length, tile);
        finishTile(tile, 16, c + <usize>i * cRow + ((<usize>j) << 2), cRow, min(4, m - i), min(16, n - j), add);
      }
    }
    for (; j < n; j += 8, panelB += stepB) {
      let panelA = scratch;
      for (let i = 0; i < m; i += 4, panelA += stepA) {
        multiplyTile(panelA, panelB, length, tile);
        finishTile(tile, 8, c + <usize>i * cRow + ((<usize>j) << 2), cRow, min(4, m - i), min(8, n - j), add);
      }
    }
  }
}

/** The live part of a tile of `width` columns becomes, or is added to, its place in C. */
function finishTile(tile: usize, width: i32, c: usize, cRow: usize, rows: i32, columns: i32, add: bool): void {
  for (; rows > 0; rows--, c += cRow, tile += (<usize>width) << 2) {
    let at: usize = 0;
    const end = (<usize>columns) << 2;
    for (; at + 16 <= end; at += 16) {
      const value = v128.load(tile + at);
      v128.store(c + at, add ? f32x4.add(v128.load(c + at), value) : value);
    }
    for (; at < end; at += 4) {
      const value = load<f32>(tile + at);
      store<f32>(c + at, add ? load<f32>(c + at) + value : value);
    }
  }
}

/** panel[k][lane] for groups of four rows of A. */
function packA(m: i32, count: i32, a: usize, aRow: usize, aCol: usize, panel: usize): void {
  const bytes = (<usize>count) << 4;
  let i = 0;
  if (aRow == 4) {
    copyRowsA(a, m & ~15, aCol, count, panel);
    i = m & ~15;
    panel += <usize>(i >> 2) * (bytes + GAP);
  }
  for (; i < m; i += 4, panel += bytes + GAP) {
    const live = min(4, m - i);
    let at = a + <usize>i * aRow;
    if (aRow != 4) transposeFour(at, aRow, live, count, panel);
    else for (let to = panel; to < panel + bytes; to += 16, at += aCol) v128.store(to, loadFloats(at, live));
  }
}

/**
 * `count` rows of m floats, a multiple of 16, each read in one go: rows may lie pages apart, where nothing is fetched
 * ahead.
 */
function copyRowsA(from: usize, m: i32, stride: usize, count: i32, panel: usize): void {
  const step = ((<usize>count) << 4) + GAP;
  for (const stop = panel + ((<usize>count) << 4); panel < stop; panel += 16, from += stride) {
    let to = panel;
    const end = from + ((<usize>m) << 2);
    for (let at = from; at < end; at += 64) {
      const v0 = v128.load(at);
      const v1 = v128.load(at, 16);
      const v2 = v128.load(at, 32);
      const v3 = v128.load(at, 48);
      v128.store(to, v0);
      to += step;
      v128.store(to, v1);
      to += step;
      v128.store(to, v2);
      to += step;
      v128.store(to, v3);
      to += step;
    }
  }
}

/** panel[k][lane] = row[lane][k], zeros in lanes from `live` on. */
function transposeFour(row0: usize, stride: usize, live: i32, count: i32, panel: usize): void {
  if (live < 4) {
    for (let l = 0; l < count; l++, panel += 16) {
      v128.store(panel, f32x4.splat(0));
      for (let i = 0; i < live; i++)
        store<f32>(panel + ((<usize>i) << 2), load<f32>(row0 + <usize>i * stride + ((<usize>l) << 2)));
    }
    return;
  }
  const row1 = row0 + stride;
  const row2 = row1 + stride;
  packPanelOfFour(row0, row1, row2, row2 + stride, count, panel);
}

/** panel[k][lane] for groups of eight columns of B. */
function packB(n: i32, count: i32, b: usize, bRow: usize, bCol: usize, panel: usize): void {
  const bytes = (<usize>count) << 5;
  let j = 0;
  if (bCol == 4) {
    copyRowsB(b, n & ~7, bRow, count, panel);
    j = n & ~7;
    panel += <usize>(j >> 3) * (bytes + GAP);
  }
  for (; j < n; j += 8, panel += bytes + GAP) {
    const live = min(8, n - j);
    let at = b + <usize>j * bCol;
    if (bCol == 4) {
      for (let to = panel; to < panel + bytes; to += 32, at += bRow) copyEight(at, live, to);
    } else if (live == 8) {
      packHalfPanel(at, at + bCol, at + 2 * bCol, at + 3 * bCol, count, panel);
      at += 4 * bCol;
      packHalfPanel(at, at + bCol, at + 2 * bCol, at + 3 * bCol, count, panel + 16);
    } else {
      for (let l: usize = 0, to = panel; to < panel + bytes; l += 4, to += 32) {
        v128.store(to, f32x4.splat(0));
        v128.store(to, f32x4.splat(0), 16);
        for (let i = 0; i < live; i++) store<f32>(to + ((<usize>i) << 2), load<f32>(at + <usize>i * bCol + l));
      }
    }
  }
}

/** `count` rows of n floats, a multiple of 8. */
function copyRowsB(from: usize, n: i32, stride: usize, count: i32, panel: usize): void {
  const step = ((<usize>count) << 5) + GAP;
  for (const stop = panel + ((<usize>count) << 5); panel < stop; panel += 32, from += stride) {
    let to = panel;
    const end = from + ((<usize>n) << 2);
    for (let at = from; at < end; at += 32, to += step) {
      v128.store(to, v128.load(at));
      v128.store(to, v128.load(at, 16), 16);
    }
  }
}

function packIndexed(n: i32, count: i32, b: usize, bRow: usize, index: usize, panel: usize): void {
  for (let j = 0; j < n; j += 8) {
    const live = min(8, n - j);
    for (let l = 0; l < count; l++, panel += 32)
      copyEight(b + <usize>load<u32>(index + ((<usize>l) << 2)) * bRow + ((<usize>j) << 2), live, panel);
    panel += GAP;
  }
}

// @inline
function copyEight(from: usize, live: i32, to: usize): void {
  if (live == 8) {
    v128.store(to, v128.load(from));
    v128.store(to, v128.load(from, 16), 16);
  } else {
    v128.store(to, loadFloats(from, live));
    v128.store(to, live > 4 ? loadFloats(from + 16, live - 4) : f32x4.splat(0), 16);
  }
}

/** Rows or columns of a block such that threads share `size` by `other` results evenly: a multiple of 8. */
export function blockSize(size: i32, other: i32, threads: i32): i32 {
  let block = BLOCK;
  while (block > 32 && ((size + block - 1) / block) * ((other + BLOCK - 1) / BLOCK) < threads * 4) block >>= 1;
  return block;
}
