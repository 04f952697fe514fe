// Runs one op on the compiled kernels and on the reference, over the same memory image, and compares all of
// memory: the named outputs within a tolerance, scratch not at all, everything else (inputs, canaries between
// buffers) byte for byte.
import assert from 'node:assert/strict';
import { Worker } from 'node:worker_threads';
import { referenceKernels } from '../../src/backends/reference/kernels.ts';
import {
  ARENA_BASE,
  compileBuild,
  instantiateKernels,
  type KernelBuild,
  type KernelExports,
} from '../../src/backends/wasm/load-kernels.ts';
import { viewsOf } from '../../src/memory/memory-views.ts';
import { encodeOp, type OpFields, type OpKind, opOf, wordsOf } from '../../src/plan/ops.ts';
import { SEGMENT, SEGMENT_WORDS, stepLayout } from '../../src/plan/step.ts';

/** Every compiled file, on every machine: where a build's int8 dot is emulated it is slow, not wrong. */
export const BUILDS: readonly KernelBuild[] = ['relaxed', 'pairs', 'baseline'];
const CANARY = 0xa5;
const GAP = 64;
/** What an image keeps free behind its buffers, for the op's record. */
const RECORD_ROOM = 1024;

/** Uniform in [0, 1), by xorshift: the same numbers on every run. */
export function randomSource(seed: number): () => number {
  let state = (seed * 2654435761 + 12345) | 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

export interface Range {
  readonly address: number;
  readonly byteLength: number;
}

export interface Output extends Range {
  readonly type: 'f32' | 'u32' | 'i8' | 'u16';
  /** |found - expected| <= absolute + relative * |expected|. Zero for both means equal bits. */
  readonly absolute?: number;
  /** Instead of `absolute` with wide tiles, where these compute otherwise. */
  readonly absoluteWide?: number;
  readonly relative?: number;
}

/** The memory before an op: buffers with canaries around them. */
export class Image {
  #bytes = new Uint8Array(2 * ARENA_BASE).fill(CANARY);
  #at = ARENA_BASE;

  /** The memory so far; `reserve` and whatever calls it may replace it by a larger copy. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes;
  }

  get end(): number {
    return this.#at;
  }

  reserve(byteLength: number): number {
    const address = this.#at;
    this.#at = Math.ceil((address + byteLength + GAP) / 64) * 64;
    if (this.#at + RECORD_ROOM > this.#bytes.byteLength) {
      const larger = new Uint8Array(2 * (this.#at + RECORD_ROOM)).fill(CANARY);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    return address;
  }

  put(values: Float32Array | Uint32Array | Uint8Array): number {
    const address = this.reserve(values.byteLength);
    this.bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), address);
    return address;
  }

  words(...values: number[]): number {
    return this.put(Uint32Array.from(values));
  }

  floats(length: number, next: () => number): number {
    return this.put(Float32Array.from({ length }, next));
  }

  /** A step block with one segment per entry; recurrent state and page tables where the caller says. */
  step(segments: readonly StepSegment[]): StepAddresses {
    const rows = segments.reduce((sum, s) => sum + s.rows, 0);
    const layout = stepLayout(Math.max(rows, 1), Math.max(segments.length, 1), 1);
    const base = this.put(new Uint32Array(layout.byteLength / 4));
    const u32 = new Uint32Array(this.bytes.buffer, base, layout.byteLength / 4);
    u32[layout.rows >>> 2] = rows;
    u32[layout.segmentCount >>> 2] = segments.length;
    let row = 0;
    segments.forEach((segment, s) => {
      const at = (layout.segments >>> 2) + s * SEGMENT_WORDS;
      u32[at + SEGMENT.rowStart] = row;
      u32[at + SEGMENT.rowCount] = segment.rows;
      u32[at + SEGMENT.position] = segment.position ?? 0;
      u32[at + SEGMENT.recurrent] = segment.recurrent ?? 0;
      u32[at + SEGMENT.held] = segment.held ? 1 : 0;
      u32.set(segment.pageTables ?? [], at + SEGMENT.pageTables);
      for (let i = 0; i < segment.rows; i++, row++) {
        u32[(layout.rowSegment >>> 2) + row] = s;
        u32[(layout.positions >>> 2) + row] = (segment.position ?? 0) + i;
      }
    });
    return {
      rows: base + layout.rows,
      segments: base + layout.segments,
      rowSegment: base + layout.rowSegment,
      positions: base + layout.positions,
    };
  }
}

export interface StepSegment {
  readonly rows: number;
  readonly position?: number;
  readonly recurrent?: number;
  readonly held?: boolean;
  readonly pageTables?: readonly number[];
}

export interface StepAddresses {
  readonly rows: number;
  readonly segments: number;
  readonly rowSegment: number;
  readonly positions: number;
}

/** Kernels over one memory, run by this thread and by workers that share it. */
export class KernelMachine {
  readonly memory = new WebAssembly.Memory({ initial: 256, maximum: 65_536, shared: true });
  readonly #control = new Int32Array(new SharedArrayBuffer(64));
  readonly #workers: Worker[] = [];
  readonly build: KernelBuild;
  #kernels: KernelExports = {};

  private constructor(build: KernelBuild) {
    this.build = build;
  }

  static async create(build: KernelBuild, threads: number): Promise<KernelMachine> {
    const machine = new KernelMachine(build);
    const module = await compileBuild(build, true);
    machine.#kernels = instantiateKernels(module, machine.memory);
    for (let thread = 1; thread < threads; thread++) {
      const workerData = { module, memory: machine.memory, control: machine.#control, thread };
      machine.#workers.push(new Worker(new URL('./kernel-worker.ts', import.meta.url), { workerData }));
    }
    return machine;
  }

  has(name: string): boolean {
    return name in this.#kernels;
  }

  /** Tiles for 256-bit registers or for 128-bit ones, on this thread only. */
  useWideTiles(on: boolean): void {
    this.#kernels.useWideTiles!(on ? 1 : 0);
  }

  /** Runs the op on this thread and `threads` - 1 workers at the same time. */
  run(kind: OpKind, op: number, threads: number): void {
    new Uint32Array(this.memory.buffer)[(op >>> 2) + 1] = 0;
    const kernel = this.#kernels[kind];
    assert.ok(kernel, `${this.build}: the kernel ${kind} is missing`);
    const name = Object.keys(this.#kernels).indexOf(kind);
    this.#control.set([name, op, threads, 0], 1);
    Atomics.add(this.#control, 0, 1);
    Atomics.notify(this.#control, 0);
    kernel(op, 0, threads);
    // A worker beyond `threads` reports too, so that none sleeps through a change of the control block.
    for (let done = 0; done < this.#workers.length; done = Atomics.load(this.#control, 4))
      Atomics.wait(this.#control, 4, done, 1000);
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}

export interface Check<K extends OpKind> {
  readonly image: Image;
  readonly kind: K;
  readonly fields: OpFields<K>;
  readonly outputs: readonly Output[];
  readonly scratch?: Range;
  readonly label: string;
}

/** Runs the op on the reference once and on the kernels with each number of threads, and compares memory. */
export function checkOp<K extends OpKind>(
  machine: KernelMachine,
  threadCounts: readonly number[],
  check: Check<K>,
): void {
  const { image, kind, fields } = check;
  const op = Math.ceil(image.end / 64) * 64;
  const end = op + wordsOf(opOf(kind)) * 4;
  const before = image.bytes.slice(0, end);
  const expected = viewsOf(before.slice().buffer);
  const reference = referenceKernels[kind as keyof typeof referenceKernels] as (
    m: typeof expected,
    op: OpFields<K>,
  ) => void;
  reference(expected, fields);
  const pages = Math.ceil(end / 65_536) - machine.memory.buffer.byteLength / 65_536;
  if (pages > 0) machine.memory.grow(pages);
  const found = viewsOf(machine.memory.buffer);
  const ignored = [...check.outputs, ...(check.scratch ? [check.scratch] : [])];
  for (const threads of threadCounts) {
    for (const wide of threads === 1 ? [false, true] : [true]) {
      const label = `${kind} ${check.label}, ${machine.build}, ${wide ? 'wide' : 'narrow'} tiles, ${threads} threads`;
      found.u8.set(before.subarray(ARENA_BASE), ARENA_BASE);
      encodeOp(kind, fields, found.u32, op >>> 2);
      machine.useWideTiles(wide);
      machine.run(kind, op, threads);
      compareOutputs(expected, found, check.outputs, wide, label);
      compareRest(before, found.u8, op, ignored, label);
    }
  }
}

type Views = ReturnType<typeof viewsOf>;

function compareOutputs(
  expected: Views,
  found: Views,
  outputs: readonly Output[],
  wide: boolean,
  label: string,
): void {
  for (const output of outputs) {
    const { address, type, relative = 0 } = output;
    const absolute = (wide ? output.absoluteWide : undefined) ?? output.absolute ?? 0;
    const size = { f32: 4, u32: 4, u16: 2, i8: 1 }[type];
    for (let i = 0; i < output.byteLength / size; i++) {
      const want = expected[type][address / size + i]!;
      const have = found[type][address / size + i]!;
      const ok = Object.is(want, have) || Math.abs(want - have) <= absolute + relative * Math.abs(want);
      if (!ok)
        assert.fail(`${label}: element ${i} of the output at ${address}: expected ${want}, found ${have}`);
    }
  }
}

function compareRest(
  before: Uint8Array,
  found: Uint8Array,
  end: number,
  ignored: readonly Range[],
  label: string,
): void {
  const ranges = [...ignored].sort((a, b) => a.address - b.address);
  let at = ARENA_BASE;
  for (const range of [...ranges, { address: end, byteLength: 0 }]) {
    for (; at < range.address; at++)
      if (before[at] !== found[at]) assert.fail(`${label}: wrote outside its outputs, at ${at}`);
    at = Math.max(at, range.address + range.byteLength);
  }
}
