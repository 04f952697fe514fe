// The machine's multiply-add peak: ten chains of vectors, which hide the latency of two multiply-adders of four cycles; of
// pairs of vectors where the engine merges them into 256-bit ones.
import { madd, nextChunk } from './common';
import { MULTIPLY_ADD_PROBE_COUNT, MULTIPLY_ADD_PROBE_SINK } from './op-layout';
import { wideTiles } from './tiles';

// @ts-ignore: decorator
@inline const CHUNKS: i32 = 64;

/** A chunk is 80 * count multiply-adds. The sink, 64 bytes, holds what is multiplied, then what came out, so that nothing is left out. */
export function multiplyAddProbe(op: usize, thread: i32, threads: i32): void {
  const count = load<i32>(op, MULTIPLY_ADD_PROBE_COUNT);
  const sink = <usize>load<u32>(op, MULTIPLY_ADD_PROBE_SINK);
  for (let chunk = nextChunk(op); chunk < CHUNKS; chunk = nextChunk(op)) {
    if (wideTiles) multiplyWide(count, sink);
    else multiply(count * 2, sink);
  }
}

function multiply(count: i32, sink: usize): void {
  const x = v128.load(sink);
  let a0 = x;
  let a1 = f32x4.add(a0, x);
  let a2 = f32x4.add(a1, x);
  let a3 = f32x4.add(a2, x);
  let a4 = f32x4.add(a3, x);
  let a5 = f32x4.add(a4, x);
  let a6 = f32x4.add(a5, x);
  let a7 = f32x4.add(a6, x);
  let a8 = f32x4.add(a7, x);
  let a9 = f32x4.add(a8, x);
  for (let i = 0; i < count; i++) {
    a0 = madd(x, x, a0);
    a1 = madd(x, x, a1);
    a2 = madd(x, x, a2);
    a3 = madd(x, x, a3);
    a4 = madd(x, x, a4);
    a5 = madd(x, x, a5);
    a6 = madd(x, x, a6);
    a7 = madd(x, x, a7);
    a8 = madd(x, x, a8);
    a9 = madd(x, x, a9);
  }
  v128.store(sink, sum10(a0, a1, a2, a3, a4, a5, a6, a7, a8, a9), 32);
}

function multiplyWide(count: i32, sink: usize): void {
  const x = v128.load(sink);
  const right = v128.load(sink, 16);
  let a0 = x;
  let a1 = f32x4.add(a0, x);
  let a2 = f32x4.add(a1, x);
  let a3 = f32x4.add(a2, x);
  let a4 = f32x4.add(a3, x);
  let a5 = f32x4.add(a4, x);
  let a6 = f32x4.add(a5, x);
  let a7 = f32x4.add(a6, x);
  let a8 = f32x4.add(a7, x);
  let a9 = f32x4.add(a8, x);
  let b0 = right;
  let b1 = f32x4.add(b0, right);
  let b2 = f32x4.add(b1, right);
  let b3 = f32x4.add(b2, right);
  let b4 = f32x4.add(b3, right);
  let b5 = f32x4.add(b4, right);
  let b6 = f32x4.add(b5, right);
  let b7 = f32x4.add(b6, right);
  let b8 = f32x4.add(b7, right);
  let b9 = f32x4.add(b8, right);
  for (let i = 0; i < count; i++) {
    a0 = madd(x, x, a0);
    b0 = madd(right, right, b0);
    a1 = madd(x, x, a1);
    b1 = madd(right, right, b1);
    a2 = madd(x, x, a2);
    b2 = madd(right, right, b2);
    a3 = madd(x, x, a3);
    b3 = madd(right, right, b3);
    a4 = madd(x, x, a4);
    b4 = madd(right, right, b4);
    a5 = madd(x, x, a5);
    b5 = madd(right, right, b5);
    a6 = madd(x, x, a6);
    b6 = madd(right, right, b6);
    a7 = madd(x, x, a7);
    b7 = madd(right, right, b7);
    a8 = madd(x, x, a8);
    b8 = madd(right, right, b8);
    a9 = madd(x, x, a9);
    b9 = madd(right, right, b9);
  }
  v128.store(sink, sum10(a0, a1, a2, a3, a4, a5, a6, a7, a8, a9), 32);
  v128.store(sink, sum10(b0, b1, b2, b3, b4, b5, b6, b7, b8, b9), 48);
}

// @ts-ignore: decorator
@inline function sum10(a0: v128, a1: v128, a2: v128, a3: v128, a4: v128, a5: v128, a6: v128, a7: v128, a8: v128, a9: v128): v128 {
  const low = f32x4.add(f32x4.add(f32x4.add(a0, a1), f32x4.add(a2, a3)), a4);
  return f32x4.add(low, f32x4.add(f32x4.add(f32x4.add(a5, a6), f32x4.add(a7, a8)), a9));
}
