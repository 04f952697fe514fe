// The machine's peaks: loops that do nothing but multiply and add, ten chains of them, which hide the latency
// of two units of four cycles. Of pairs of vectors where the engine merges these into 256-bit ones.

import { dot } from '../linear/packed-dot';
import { wideTiles } from '../linear/tiles';
import { madd } from './common';

// At `at` are 64 bytes for results, then 11 pairs of vectors: what is multiplied, which changes from round to
// round, and a factor for each chain. With constants V8 would multiply once, outside the loop, and only add
// in it.

// @inline
function next(bytes: bool, sum: v128, x: v128, w: v128): v128 {
  return bytes ? dot(sum, x, w) : madd(x, w, sum);
}

// @inline
function join(bytes: bool, a: v128, b: v128): v128 {
  return bytes ? i32x4.add(a, b) : f32x4.add(a, b);
}

/** A round is 10 vectors, or 20 if `wide`. */
// @inline
function multiply(bytes: bool, wide: bool, at: usize, rounds: usize): void {
  let x = v128.load(at, 64),
    y = v128.load(at, 80);
  const flip = x,
    flop = y;
  let a0 = x,
    a1 = x,
    a2 = x,
    a3 = x,
    a4 = x,
    a5 = x,
    a6 = x,
    a7 = x,
    a8 = x,
    a9 = x;
  let b0 = y,
    b1 = y,
    b2 = y,
    b3 = y,
    b4 = y,
    b5 = y,
    b6 = y,
    b7 = y,
    b8 = y,
    b9 = y;
  for (; rounds > 0; rounds--) {
    a0 = next(bytes, a0, x, v128.load(at, 96));
    if (wide) b0 = next(bytes, b0, y, v128.load(at, 112));
    a1 = next(bytes, a1, x, v128.load(at, 128));
    if (wide) b1 = next(bytes, b1, y, v128.load(at, 144));
    a2 = next(bytes, a2, x, v128.load(at, 160));
    if (wide) b2 = next(bytes, b2, y, v128.load(at, 176));
    a3 = next(bytes, a3, x, v128.load(at, 192));
    if (wide) b3 = next(bytes, b3, y, v128.load(at, 208));
    a4 = next(bytes, a4, x, v128.load(at, 224));
    if (wide) b4 = next(bytes, b4, y, v128.load(at, 240));
    a5 = next(bytes, a5, x, v128.load(at, 256));
    if (wide) b5 = next(bytes, b5, y, v128.load(at, 272));
    a6 = next(bytes, a6, x, v128.load(at, 288));
    if (wide) b6 = next(bytes, b6, y, v128.load(at, 304));
    a7 = next(bytes, a7, x, v128.load(at, 320));
    if (wide) b7 = next(bytes, b7, y, v128.load(at, 336));
    a8 = next(bytes, a8, x, v128.load(at, 352));
    if (wide) b8 = next(bytes, b8, y, v128.load(at, 368));
    a9 = next(bytes, a9, x, v128.load(at, 384));
    if (wide) b9 = next(bytes, b9, y, v128.load(at, 400));
    x = v128.xor(x, flip);
    if (wide) y = v128.xor(y, flop);
  }
  const a = join(
    bytes,
    join(bytes, join(bytes, a0, a1), join(bytes, a2, a3)),
    join(bytes, join(bytes, a4, a5), join(bytes, a6, a7)),
  );
  const b = join(
    bytes,
    join(bytes, join(bytes, b0, b1), join(bytes, b2, b3)),
    join(bytes, join(bytes, b4, b5), join(bytes, b6, b7)),
  );
  const c = join(bytes, a, join(bytes, a8, a9)),
    d = join(bytes, b, join(bytes, b8, b9));
  v128.store(at, c);
  v128.store(at, d, 16);
}

/** 80 * rounds f32 products, each added to a sum. */
export function multiplyFloats(at: usize, rounds: usize): void {
  if (wideTiles) multiply(false, true, at, rounds);
  else multiply(false, false, at, rounds * 2);
}

/** 320 * rounds products of bytes, each added to a sum as the packed kernels do it. */
export function multiplyBytes(at: usize, rounds: usize): void {
  if (wideTiles) multiply(true, true, at, rounds);
  else multiply(true, false, at, rounds * 2);
}
