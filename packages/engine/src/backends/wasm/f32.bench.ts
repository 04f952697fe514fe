// Speed of the f32 kernels on one thread: node src/backends/wasm/f32.bench.ts [relaxed|baseline] [PATTERN]
// [cold] `cold` reads other memory before each run, so that operands come from memory, as a layer's own do when a
// token is decoded. Sizes are those of the 3B Jamba, ssdScan's those of Granite 4.0-H (350M, micro) and Falcon-H1.
// GMAC/s are multiply-adds; selectiveScan counts one exponential per state and row, ssdScan states times rows.

import { byteLengthOf } from '../../formats/tensor-types.ts';
import type { TensorType } from '../../formats/types.ts';
import { Arena } from '../../memory/arena.ts';
import { CACHE_TYPE_ID, headPlaneBytes, PAGE_TOKENS, planeBytes } from '../../plan/cache-layout.ts';
import { layoutId } from '../../plan/layouts.ts';
import {
  attentionScratchBytes,
  rawLinearScratchBytes,
  scanScratchBytes,
  ssdScratchBytes,
} from '../../plan/ops/scratch.ts';
import { encodeOp, type OpFields, type OpKind } from '../../plan/ops.ts';
import { SEGMENT, SEGMENT_WORDS, stepLayout } from '../../plan/step.ts';
import { ARENA_BASE, compileKernels, instantiateKernels, type KernelVariant } from './load-kernels.ts';

const variant: KernelVariant = process.argv[2] === 'baseline' ? 'baseline' : 'relaxed';
const pattern = process.argv[3] ?? '';
const cold = process.argv[4] === 'cold';
const arena = new Arena(ARENA_BASE, true);
const kernels = instantiateKernels(await compileKernels(variant, true), arena.memory);

const floats = (
  length: number,
  value: (i: number) => number = (i) => ((i * 7919) % 1000) / 1000 - 0.5,
): number => {
  const address = arena.allocate(length * 4, 'bench');
  const { f32 } = arena.views;
  for (let i = 0; i < length; i++) f32[(address >>> 2) + i] = value(i);
  return address;
};

/** One segment of `rows` rows at `position`. */
function step(rows: number, position: number, recurrent: number, pageTable: number) {
  const layout = stepLayout(rows, 1, 1);
  const base = arena.allocate(layout.byteLength, 'step');
  const { u32 } = arena.views;
  u32.fill(0, base >>> 2, (base + layout.byteLength) >>> 2);
  u32[(base + layout.rows) >>> 2] = rows;
  u32[(base + layout.segmentCount) >>> 2] = 1;
  const segment = (base + layout.segments) >>> 2;
  u32.set([0, rows, position, recurrent], segment + SEGMENT.rowStart);
  u32.fill(pageTable, segment + SEGMENT.pageTables, segment + SEGMENT_WORDS);
  for (let r = 0; r < rows; r++) u32[((base + layout.positions) >>> 2) + r] = position + r;
  return {
    rows: base + layout.rows,
    segments: base + layout.segments,
    rowSegment: base + layout.rowSegment,
    positions: base + layout.positions,
  };
}

/** More than caches hold. */
const ELSEWHERE_BYTES = 128 * 2 ** 20;
const elsewhere = cold ? arena.allocate(ELSEWHERE_BYTES, 'what evicts operands') : 0;
// Pages that nobody wrote are all the same one.
if (cold) arena.views.u8.fill(1, elsewhere, elsewhere + ELSEWHERE_BYTES);

/**
 * Milliseconds of a run whose operands are in no cache: the median, as such a run is too short for the clock
 * of processor time.
 */
function timeCold(run: () => void): number {
  run();
  const times: number[] = [];
  for (let i = 0; i < 100; i++) {
    kernels.readBytes!(elsewhere, ELSEWHERE_BYTES);
    const began = performance.now();
    run();
    times.push(performance.now() - began);
  }
  return times.sort((a, b) => a - b)[times.length >> 1]!;
}

/**
 * Milliseconds of this thread's processor time in the best of several batches of runs: others may be using
 * the machine.
 */
function best<K extends OpKind>(kind: K, fields: OpFields<K>): number {
  const op = arena.allocate(256, 'op');
  encodeOp(kind, fields, arena.views.u32, op >>> 2);
  const run = () => {
    arena.views.u32[(op >>> 2) + 1] = 0;
    kernels[kind]!(op, 0, 1);
  };
  if (cold) return timeCold(run);
  // The clock of processor time may tick in steps of milliseconds.
  const batchMs = 100;
  let least = Number.POSITIVE_INFINITY;
  for (let batch = 0; batch < 8; batch++) {
    const cpu = process.threadCpuUsage();
    const began = performance.now();
    let runs = 0;
    for (; performance.now() - began < batchMs || runs < 2; runs++) run();
    const { user, system } = process.threadCpuUsage(cpu);
    least = Math.min(least, (user + system) / 1000 / runs);
  }
  return least;
}

function report(name: string, work: number, unit: string, run: () => number): void {
  if (!name.includes(pattern)) return;
  const ms = run();
  console.log(
    `${name.padEnd(44)} ${ms.toFixed(3).padStart(9)} ms ${(work / ms / 1e6).toFixed(2).padStart(8)} ${unit}`,
  );
}

function linear(type: TensorType, rows: number, columns: number, outputs: number): () => number {
  return () => {
    const bytes = byteLengthOf(type, columns) * outputs;
    const weight = type === 'F32' ? floats(columns * outputs) : arena.allocate(bytes, 'weights');
    if (type !== 'F32') arena.views.u8.fill(0x2c, weight, weight + bytes);
    const y = floats(rows * outputs);
    const scratch = arena.allocate(rawLinearScratchBytes(columns), 'scratch');
    const count = arena.allocate(4, 'rows');
    arena.views.u32[count >>> 2] = rows;
    return best('linear', {
      rows: count,
      x: floats(rows * columns),
      xStride: columns,
      weight,
      layout: layoutId({ type, packed: false }),
      outputs,
      columns,
      bias: 0,
      y,
      yStride: outputs,
      accumulate: 0,
      scratch,
      threadBytes: rawLinearScratchBytes(columns),
    });
  };
}

function scan(rows: number, channels: number, states: number): () => number {
  return () => {
    const length = channels * states;
    const { segments, rows: count } = step(rows, 0, floats(length), 0);
    const bc = floats(rows * states * 2);
    return best('selectiveScan', {
      rows: count,
      segments,
      u: floats(rows * channels),
      uStride: channels,
      dt: floats(rows * channels, (i) => (i % 100) / 20 - 5),
      dtStride: channels,
      dtBias: 0,
      b: bc,
      c: bc + states * 4,
      bcStride: states * 2,
      z: floats(rows * channels),
      zStride: channels,
      a: floats(length, (i) => -1 - ((i >> 2) % states)),
      d: floats(channels),
      y: floats(rows * channels),
      yStride: channels,
      channels,
      states,
      stateOffset: 0,
      scratch: arena.allocate(scanScratchBytes(states), 'scratch'),
      threadBytes: scanScratchBytes(states),
    });
  };
}

function ssd(rows: number, heads: number, headSize: number, states: number): () => number {
  return () => {
    const channels = heads * headSize;
    const { segments, rows: count } = step(rows, 0, floats(channels * states), 0);
    const stride = channels + 2 * states;
    const x = floats(rows * stride);
    return best('ssdScan', {
      rows: count,
      segments,
      x,
      xStride: stride,
      dt: floats(rows * heads, (i) => (i % 100) / 20 - 5),
      dtStride: heads,
      dtBias: floats(heads),
      b: x + channels * 4,
      c: x + (channels + states) * 4,
      bcStride: stride,
      a: floats(heads, (i) => -1 - (i % 16)),
      d: floats(heads),
      y: floats(rows * channels),
      yStride: channels,
      heads,
      headSize,
      groups: 1,
      states,
      leastStep: 0,
      mostStep: Number.POSITIVE_INFINITY,
      stateOffset: 0,
      scratch: arena.allocate(ssdScratchBytes(states), 'scratch'),
      threadBytes: ssdScratchBytes(states),
    });
  };
}

function conv(rows: number, channels: number): () => number {
  return () => {
    const { segments, rows: count } = step(rows, 0, floats(channels * 3), 0);
    return best('causalConv', {
      rows: count,
      segments,
      x: floats(rows * channels * 2),
      xStride: channels * 2,
      y: floats(rows * channels),
      yStride: channels,
      weight: floats(channels * 4),
      bias: floats(channels),
      channels,
      width: 4,
      activation: 0,
      stateOffset: 0,
    });
  };
}

function gated(rows: number, columns: number, activation: number): () => number {
  return () => {
    const count = arena.allocate(4, 'rows');
    arena.views.u32[count >>> 2] = rows;
    const strides = { gateStride: columns, upStride: columns, yStride: columns };
    const size = rows * columns;
    return best('gatedActivation', {
      rows: count,
      gate: floats(size),
      up: floats(size),
      y: floats(size),
      ...strides,
      columns,
      activation,
    });
  };
}

function attention(
  type: 'f32' | 'f16' | 'q8',
  rows: number,
  depth: number,
  heads: number,
  kvHeads: number,
  headSize: number,
): () => number {
  return () => {
    const pageBytes = 2 * planeBytes(type, kvHeads, headSize);
    const pages = Math.ceil((depth + rows) / PAGE_TOKENS);
    const cache = arena.allocate(pages * pageBytes, 'cache');
    const table = arena.allocate(pages * 4, 'pages');
    const { u8, u16, u32, f32 } = arena.views;
    u8.fill(1, cache, cache + pages * pageBytes);
    if (type === 'f16')
      for (let i = 0; i < (pages * pageBytes) / 2; i++) u16[(cache >>> 1) + i] = 0x2c00 + (i % 1000);
    if (type === 'f32')
      for (let i = 0; i < (pages * pageBytes) / 4; i++) f32[(cache >>> 2) + i] = (i % 1000) / 1000;
    if (type === 'q8')
      for (let plane = 0; plane < pages * 2 * kvHeads; plane++)
        f32.fill(
          0.01,
          ((cache + (plane + 1) * headPlaneBytes(type, headSize)) >>> 2) - PAGE_TOKENS,
          (cache + (plane + 1) * headPlaneBytes(type, headSize)) >>> 2,
        );
    for (let p = 0; p < pages; p++) u32[(table >>> 2) + p] = cache + p * pageBytes;
    const scratchBytes = attentionScratchBytes({ heads, kvHeads, headSize }, 1);
    const width = heads * headSize;
    return best('attention', {
      ...step(rows, depth, 0, table),
      q: floats(rows * width),
      qStride: width,
      y: floats(rows * width),
      yStride: width,
      heads,
      kvHeads,
      headSize,
      scale: headSize ** -0.5,
      window: 0,
      sinks: 0,
      group: 0,
      layerOffset: 0,
      cacheType: CACHE_TYPE_ID[type],
      scratch: arena.allocate(scratchBytes, 'scratch'),
      scratchBytes,
    });
  };
}

for (const type of ['F32', 'F16', 'BF16', 'Q4_K', 'IQ2_XS', 'IQ3_S', 'IQ1_S'] as const)
  for (const rows of [1, 2, 4, 8, 16, 256])
    report(`linear ${type} ${rows}×2560→2560`, rows * 2560 * 2560, 'GMAC/s', linear(type, rows, 2560, 2560));
report('linear F32 256×8192→512', 256 * 8192 * 512, 'GMAC/s', linear('F32', 256, 8192, 512));
report('linear F32 256×160→5120', 256 * 160 * 5120, 'GMAC/s', linear('F32', 256, 160, 5120));
for (const rows of [1, 16, 64, 256])
  report(`selectiveScan ${rows}×5120×16`, rows * 5120 * 16, 'Gexp/s', scan(rows, 5120, 16));
for (const [heads, headSize, states] of [
  [48, 32, 128],
  [64, 64, 128],
  [48, 64, 256],
] as const)
  for (const rows of [1, 4, 16, 256]) {
    const name = `ssdScan ${rows}×${heads}×${headSize}×${states}`;
    report(name, rows * heads * headSize * states, 'G/s', ssd(rows, heads, headSize, states));
  }
for (const rows of [1, 256]) report(`causalConv ${rows}×5120`, rows * 5120 * 4, 'GMAC/s', conv(rows, 5120));
for (const rows of [1, 256]) report(`gatedActivation ${rows}×8192`, rows * 8192, 'G/s', gated(rows, 8192, 0));
for (const type of ['f32', 'f16', 'q8'] as const) {
  report(
    `attention ${type} 1 row, 20/1×128 at 16K`,
    16384 * 20 * 256,
    'GMAC/s',
    attention(type, 1, 16384, 20, 1, 128),
  );
  report(
    `attention ${type} 1 row, 20/1×128 at 128K`,
    131072 * 20 * 256,
    'GMAC/s',
    attention(type, 1, 131072, 20, 1, 128),
  );
  report(
    `attention ${type} 1 row, 8/8×128 at 16K`,
    16384 * 8 * 256,
    'GMAC/s',
    attention(type, 1, 16384, 8, 8, 128),
  );
  report(
    `attention ${type} 1 row, 24/8×128 at 16K`,
    16384 * 24 * 256,
    'GMAC/s',
    attention(type, 1, 16384, 24, 8, 128),
  );
}
for (const type of ['f16', 'q8'] as const) {
  const name = `attention ${type} 64 rows, 20/1×128 at 16K`;
  report(name, 64 * 16384 * 20 * 256, 'GMAC/s', attention(type, 64, 16384, 20, 1, 128));
}
