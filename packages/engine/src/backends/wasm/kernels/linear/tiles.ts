// Register tiles of f32 matrix products: the inner loops of raw linear maps, and of attention of one or two queries to
// a head.
//
// Two forms. A *panel* is 8 outputs with lanes = outputs: at step k two vectors hold the weights of outputs 0–3 and
// 4–7, the next step lies `panelStep` bytes on (panels.gen.ts). It serves many rows: 4 rows × 8 outputs are 8
// accumulators, 2 weights and a splat, 11 of 16 registers. A *dot* walks weight rows as they lie, lanes = columns, for
// few rows (here and in float-dots.gen.ts).
//
// Where V8 merges pairs of vectors into 256-bit ones, those 8 accumulators become 4, too few to hide the latency of
// two multiply-adders: 48 GFLOP/s, no more than without. Tiles of 4 × 16 take their place there: 91 GFLOP/s where the
// peak is 99, but 30 in 128-bit registers, of which they would need 21.
import { madd } from '../common/common';
import { horizontalSums } from '../common/math';

/** Whether pairs of vectors become 256-bit ones: the engine around says so once (useWideTiles), code cannot see it. */
export let wideTiles: bool = false;

export function useWideTiles(on: bool): void {
  wideTiles = on;
}

/** y0[0…4] and y1[0…4] += the products of four weight rows, `wStride` bytes apart, with two rows of x. */
// @inline
export function dotTile(w: usize, wStride: usize, x0: usize, x1: usize, count: i32, y0: usize, y1: usize): void {
  let w1 = w + wStride;
  let w2 = w1 + wStride;
  let w3 = w2 + wStride;
  let a0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let a2 = f32x4.splat(0);
  let a3 = f32x4.splat(0);
  let b0 = f32x4.splat(0);
  let b1 = f32x4.splat(0);
  let b2 = f32x4.splat(0);
  let b3 = f32x4.splat(0);
  const end = w + ((<usize>(count & ~3)) << 2);
  while (w < end) {
    const xa = v128.load(x0);
    const xb = v128.load(x1);
    let v = v128.load(w);
    a0 = madd(v, xa, a0);
    b0 = madd(v, xb, b0);
    v = v128.load(w1);
    a1 = madd(v, xa, a1);
    b1 = madd(v, xb, b1);
    v = v128.load(w2);
    a2 = madd(v, xa, a2);
    b2 = madd(v, xb, b2);
    v = v128.load(w3);
    a3 = madd(v, xa, a3);
    b3 = madd(v, xb, b3);
    w += 16;
    w1 += 16;
    w2 += 16;
    w3 += 16;
    x0 += 16;
    x1 += 16;
  }
  for (let left = count & 3; left > 0; left--) {
    const xa = v128.load32_zero(x0);
    const xb = v128.load32_zero(x1);
    a0 = madd(v128.load32_zero(w), xa, a0);
    b0 = madd(v128.load32_zero(w), xb, b0);
    a1 = madd(v128.load32_zero(w1), xa, a1);
    b1 = madd(v128.load32_zero(w1), xb, b1);
    a2 = madd(v128.load32_zero(w2), xa, a2);
    b2 = madd(v128.load32_zero(w2), xb, b2);
    a3 = madd(v128.load32_zero(w3), xa, a3);
    b3 = madd(v128.load32_zero(w3), xb, b3);
    w += 4;
    w1 += 4;
    w2 += 4;
    w3 += 4;
    x0 += 4;
    x1 += 4;
  }
  v128.store(y0, f32x4.add(v128.load(y0), horizontalSums(a0, a1, a2, a3)));
  v128.store(y1, f32x4.add(v128.load(y1), horizontalSums(b0, b1, b2, b3)));
}

/**
 * c[0…rowBytes) += sum over k < count of x[k] * rows[k]: a weighted sum of rows that are a multiple of 32 bytes long.
 */
export function addRows(x: usize, rows: usize, rowBytes: usize, count: i32, c: usize): void {
  const end = x + ((<usize>count) << 2);
  let column: usize = 0;
  for (; column + 128 <= rowBytes; column += 128) {
    const to = c + column;
    let a0 = v128.load(to);
    let a1 = v128.load(to, 16);
    let a2 = v128.load(to, 32);
    let a3 = v128.load(to, 48);
    let a4 = v128.load(to, 64);
    let a5 = v128.load(to, 80);
    let a6 = v128.load(to, 96);
    let a7 = v128.load(to, 112);
    let row = rows + column;
    for (let at = x; at < end; at += 4) {
      const w = v128.load32_splat(at);
      a0 = madd(w, v128.load(row), a0);
      a1 = madd(w, v128.load(row, 16), a1);
      a2 = madd(w, v128.load(row, 32), a2);
      a3 = madd(w, v128.load(row, 48), a3);
      a4 = madd(w, v128.load(row, 64), a4);
      a5 = madd(w, v128.load(row, 80), a5);
      a6 = madd(w, v128.load(row, 96), a6);
      a7 = madd(w, v128.load(row, 112), a7);
      row += rowBytes;
    }
    v128.store(to, a0);
    v128.store(to, a1, 16);
    v128.store(to, a2, 32);
    v128.store(to, a3, 48);
    v128.store(to, a4, 64);
    v128.store(to, a5, 80);
    v128.store(to, a6, 96);
    v128.store(to, a7, 112);
  }
  for (; column < rowBytes; column += 32) {
    const to = c + column;
    let a0 = v128.load(to);
    let a1 = v128.load(to, 16);
    let row = rows + column;
    for (let at = x; at < end; at += 4) {
      const w = v128.load32_splat(at);
      a0 = madd(w, v128.load(row), a0);
      a1 = madd(w, v128.load(row, 16), a1);
      row += rowBytes;
    }
    v128.store(to, a0);
    v128.store(to, a1, 16);
  }
}
