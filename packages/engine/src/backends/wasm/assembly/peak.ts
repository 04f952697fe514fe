// The machine's multiply-add peak: ten chains of four lanes, which hide the latency of two multiply-adders of four cycles.
import { madd, nextChunk } from './common';
import { MULTIPLY_ADD_PROBE_COUNT, MULTIPLY_ADD_PROBE_SINK } from './op-layout';

// @ts-ignore: decorator
@inline const CHUNKS: i32 = 64;

export function multiplyAddProbe(op: usize, thread: i32, threads: i32): void {
  for (let chunk = nextChunk(op); chunk < CHUNKS; chunk = nextChunk(op)) multiply(op, thread, threads);
}

function multiply(op: usize, thread: i32, threads: i32): void {
  const count = load<i32>(op, MULTIPLY_ADD_PROBE_COUNT);
  const sink = <usize>load<u32>(op, MULTIPLY_ADD_PROBE_SINK);
  const x = f32x4.splat(<f32>1 / <f32>(thread + 3));
  const y = f32x4.splat(<f32>1 / <f32>(threads + 7));
  let a0 = x;
  let a1 = f32x4.add(a0, y);
  let a2 = f32x4.add(a1, y);
  let a3 = f32x4.add(a2, y);
  let a4 = f32x4.add(a3, y);
  let a5 = f32x4.add(a4, y);
  let a6 = f32x4.add(a5, y);
  let a7 = f32x4.add(a6, y);
  let a8 = f32x4.add(a7, y);
  let a9 = f32x4.add(a8, y);
  for (let i = 0; i < count; i++) {
    a0 = madd(x, y, a0);
    a1 = madd(x, y, a1);
    a2 = madd(x, y, a2);
    a3 = madd(x, y, a3);
    a4 = madd(x, y, a4);
    a5 = madd(x, y, a5);
    a6 = madd(x, y, a6);
    a7 = madd(x, y, a7);
    a8 = madd(x, y, a8);
    a9 = madd(x, y, a9);
  }
  const low = f32x4.add(f32x4.add(f32x4.add(a0, a1), f32x4.add(a2, a3)), a4);
  const high = f32x4.add(f32x4.add(f32x4.add(a5, a6), f32x4.add(a7, a8)), a9);
  // Never true, but the compiler cannot know.
  if (f32x4.extract_lane(f32x4.add(low, high), 0) == -1) v128.store(sink, low);
}
