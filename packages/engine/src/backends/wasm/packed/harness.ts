// An arena with kernels on it, for the tests and the benchmark of this folder: no plan, no workers, one op at
// a time.
import { encodeOp, type OpFields, type OpKind } from '../../../plan/ops.ts';
import { ARENA_BASE, instantiateKernels, type KernelExports } from '../load-kernels.ts';

export interface Harness {
  readonly kernels: KernelExports;
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly floats: Float32Array;
  /** A fresh 64-byte aligned address, zero filled. */
  allocate(byteLength: number): number;
  /** The address of a u32 for an op's `rows`. */
  count(rows: number): number;
  /** Runs an op as thread `thread` of `threads`, from chunk `chunk` on. */
  run<K extends OpKind>(
    kind: K,
    fields: OpFields<K>,
    thread?: number,
    threads?: number,
    chunk?: number,
  ): void;
}

export function createHarness(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  base = ARENA_BASE,
): Harness {
  const kernels = instantiateKernels(module, memory);
  const words = new Uint32Array(memory.buffer);
  let top = base;
  const allocate = (byteLength: number) => {
    const address = top;
    top += Math.ceil(byteLength / 64) * 64;
    if (top > memory.buffer.byteLength)
      throw new RangeError(`arena: expected at most ${memory.buffer.byteLength} bytes, found ${top}.`);
    return address;
  };
  const record = allocate(256);
  const counter = allocate(64);
  return {
    kernels,
    bytes: new Uint8Array(memory.buffer),
    words,
    floats: new Float32Array(memory.buffer),
    allocate,
    count(rows) {
      words[counter / 4] = rows;
      return counter;
    },
    run(kind, fields, thread = 0, threads = 1, chunk = 0) {
      encodeOp(kind, fields, words, record / 4);
      words[record / 4 + 1] = chunk;
      kernels[kind]!(record, thread, threads);
    },
  };
}

/** Deterministic numbers in [0, 1): mulberry32. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
