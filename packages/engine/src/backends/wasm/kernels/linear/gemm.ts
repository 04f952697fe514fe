// f32 matrix products for training: a block of C (+)= A B with both operands at any strides, after Goto & van de Geijn
// (2008). Pieces of KC steps are packed, A as [k][4] and B as [k][8], zeros behind the edges, so that the inner loop is
// always the same full tile: 4 × 8 results in 8 accumulators, two pointers. Measured in cache: 52 GFLOP/s where the
// machine's multiply-add peak is 56. With 256-bit registers a tile takes two panels of B, 4 × 16 results (tiles.ts).
//
// The order of every sum depends on k alone, so how C is split into blocks changes nothing.
// Scratch of a thread: A panels, B panels (gaps between them), one tile; see plan/ops/scratch.ts.
import { madd } from '../common/common';
import { loadFloats } from '../common/math';
import { packHalfPanel, wideTiles } from './tiles';

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

/** tile[4][8] = A B; `length` is that of the panel of A: 16 bytes a step. */
function multiplyTile(a: usize, b: usize, length: usize, tile: usize): void {
  let a00 = f32x4.splat(0);
  let a01 = a00;
  let a10 = a00;
  let a11 = a00;
  let a20 = a00;
  let a21 = a00;
  let a30 = a00;
  let a31 = a00;
  const end = a + length;
  while (a < end) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let x = v128.load32_splat(a);
    a00 = madd(x, b0, a00);
    a01 = madd(x, b1, a01);
    x = v128.load32_splat(a, 4);
    a10 = madd(x, b0, a10);
    a11 = madd(x, b1, a11);
    x = v128.load32_splat(a, 8);
    a20 = madd(x, b0, a20);
    a21 = madd(x, b1, a21);
    x = v128.load32_splat(a, 12);
    a30 = madd(x, b0, a30);
    a31 = madd(x, b1, a31);
    a += 16;
    b += 32;
  }
  v128.store(tile, a00);
  v128.store(tile, a01, 16);
  v128.store(tile, a10, 32);
  v128.store(tile, a11, 48);
  v128.store(tile, a20, 64);
  v128.store(tile, a21, 80);
  v128.store(tile, a30, 96);
  v128.store(tile, a31, 112);
}

/** tile[4][16] = A B for two panels of B, in 256-bit registers. Stored in a straight run, or nothing pairs. */
function multiplyWideTile(a: usize, left: usize, right: usize, length: usize, tile: usize): void {
  let a00 = f32x4.splat(0);
  let a01 = a00;
  let a02 = a00;
  let a03 = a00;
  let a10 = a00;
  let a11 = a00;
  let a12 = a00;
  let a13 = a00;
  let a20 = a00;
  let a21 = a00;
  let a22 = a00;
  let a23 = a00;
  let a30 = a00;
  let a31 = a00;
  let a32 = a00;
  let a33 = a00;
  const end = a + length;
  while (a < end) {
    const b0 = v128.load(left);
    const b1 = v128.load(left, 16);
    const b2 = v128.load(right);
    const b3 = v128.load(right, 16);
    let x = v128.load32_splat(a);
    a00 = madd(x, b0, a00);
    a01 = madd(x, b1, a01);
    a02 = madd(x, b2, a02);
    a03 = madd(x, b3, a03);
    x = v128.load32_splat(a, 4);
    a10 = madd(x, b0, a10);
    a11 = madd(x, b1, a11);
    a12 = madd(x, b2, a12);
    a13 = madd(x, b3, a13);
    x = v128.load32_splat(a, 8);
    a20 = madd(x, b0, a20);
    a21 = madd(x, b1, a21);
    a22 = madd(x, b2, a22);
    a23 = madd(x, b3, a23);
    x = v128.load32_splat(a, 12);
    a30 = madd(x, b0, a30);
    a31 = madd(x, b1, a31);
    a32 = madd(x, b2, a32);
    a33 = madd(x, b3, a33);
    a += 16;
    left += 32;
    right += 32;
  }
  v128.store(tile, a00);
  v128.store(tile, a01, 16);
  v128.store(tile, a02, 32);
  v128.store(tile, a03, 48);
  v128.store(tile, a10, 64);
  v128.store(tile, a11, 80);
  v128.store(tile, a12, 96);
  v128.store(tile, a13, 112);
  v128.store(tile, a20, 128);
  v128.store(tile, a21, 144);
  v128.store(tile, a22, 160);
  v128.store(tile, a23, 176);
  v128.store(tile, a30, 192);
  v128.store(tile, a31, 208);
  v128.store(tile, a32, 224);
  v128.store(tile, a33, 240);
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
  let row1 = row0 + stride;
  let row2 = row1 + stride;
  let row3 = row2 + stride;
  let left = count;
  for (; left >= 4; left -= 4) {
    const r0 = v128.load(row0);
    const r1 = v128.load(row1);
    const r2 = v128.load(row2);
    const r3 = v128.load(row3);
    const low01 = v128.shuffle<i32>(r0, r1, 0, 4, 1, 5);
    const low23 = v128.shuffle<i32>(r2, r3, 0, 4, 1, 5);
    const high01 = v128.shuffle<i32>(r0, r1, 2, 6, 3, 7);
    const high23 = v128.shuffle<i32>(r2, r3, 2, 6, 3, 7);
    v128.store(panel, v128.shuffle<i64>(low01, low23, 0, 2));
    v128.store(panel, v128.shuffle<i64>(low01, low23, 1, 3), 16);
    v128.store(panel, v128.shuffle<i64>(high01, high23, 0, 2), 32);
    v128.store(panel, v128.shuffle<i64>(high01, high23, 1, 3), 48);
    row0 += 16;
    row1 += 16;
    row2 += 16;
    row3 += 16;
    panel += 64;
  }
  for (; left > 0; left--) {
    store<f32>(panel, load<f32>(row0));
    store<f32>(panel, load<f32>(row1), 4);
    store<f32>(panel, load<f32>(row2), 8);
    store<f32>(panel, load<f32>(row3), 12);
    row0 += 4;
    row1 += 4;
    row2 += 4;
    row3 += 4;
    panel += 16;
  }
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
