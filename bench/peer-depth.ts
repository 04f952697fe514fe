// Puts a llama.cpp sequence at a depth without reading that many tokens (at 50 tokens per second, 128K would take 45
// minutes): a short sequence is saved to a file, its attention cache is repeated in the file to the length that is
// wanted, and the file is loaded. What follows means nothing; it takes as long as at a real depth.
//
// The file, little-endian, as llama.cpp of node-llama-cpp 3.22 writes it for one sequence (llama_state_seq_save_file,
// LLAMA_STATE_SEQ_VERSION 3; llama-kv-cache.cpp and llama-memory-recurrent.cpp, state_write):
//   "qsgg", u32 version, u32 count, i32 tokens[count]
//   attention   u32 streams (1), u32 cells; for each cell i32 position, u32 1, [i32 x, y, token with M-RoPE], i32 sequence
//               u32 transposed (0 with flash attention), u32 layers
//               for each layer i32 type, u64 bytes of a row, rows of keys; the same again for the values
//   windowed    the same for layers with a window, where a model has both; it holds the latest positions alone
//   recurrent   u32 cells (1), i32 position, …
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LlamaContextSequence, Token } from 'node-llama-cpp';
import { testTokens } from './tasks.ts';

const SAMPLE_TOKENS = 64;
const MAGIC = 0x67677371;
const VERSION = 3;

/** Makes `sequence` (an empty one) hold `position` tokens; `window`: of the model's windowed layers. */
export async function fillSequence(
  sequence: LlamaContextSequence,
  position: number,
  window: number,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'marimba-bench-'));
  try {
    const path = join(folder, 'state');
    await sequence.evaluateWithoutGeneratingNewTokens(testTokens(SAMPLE_TOKENS) as Token[]);
    await sequence.saveStateToFile(path);
    await writeFile(path, stretchState(await readFile(path), position, window));
    await sequence.clearHistory();
    await sequence.loadStateFromFile(path, { acceptRisk: true });
    if (sequence.nextTokenIndex !== position)
      throw new Error(
        `peer state: expected ${position} tokens after loading, found ${sequence.nextTokenIndex}`,
      );
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The same state file with `count` tokens: tokens and cache rows repeated, positions counted on. */
export function stretchState(bytes: Uint8Array, count: number, window = count): Uint8Array {
  const input = new Reader(bytes);
  const parts: Uint8Array[] = [];
  expect('magic', input.u32(), MAGIC);
  expect('version', input.u32(), VERSION);
  const before = input.u32();
  const tokens = input.take(before * 4);
  parts.push(words(MAGIC, VERSION, count), ...repeat(tokens, 4, before, count));
  parts.push(...stretchCache(input, before, 0, count));
  // A recurrent part goes on with the position of its one cell, a windowed one with its number of cells.
  if (input.left >= 8 && input.peek(1) === before)
    parts.push(...stretchCache(input, before, Math.max(0, count - window), count));
  const recurrent = new Uint8Array(input.rest());
  if (recurrent.byteLength >= 8) {
    const view = new DataView(recurrent.buffer);
    expect('recurrent cells', view.getUint32(0, true), 1);
    expect('recurrent position', view.getUint32(4, true), before - 1);
    view.setUint32(4, count - 1, true);
  }
  return Buffer.concat([...parts, recurrent]);
}

/** One attention cache of `before` cells, made to hold the positions from `first` to below `end`. */
function stretchCache(input: Reader, before: number, first: number, end: number): Uint8Array[] {
  const count = end - first;
  expect('streams', input.u32(), 1);
  expect('cells', input.u32(), before);
  const cellWords = [3, 6].find((size) => input.peek(size) === 1 && input.peek(size + 1) === 1) ?? 0;
  const isPlane = cellWords === 6 && input.peek(8) === 1; // x and y are the position, too
  input.take(before * cellWords * 4);
  const cells = new Uint32Array(count * cellWords);
  for (let i = 0; i < count; i++) {
    const [position, place] = [first + i, isPlane ? first + i : 0];
    cells.set(cellWords === 6 ? [position, 1, place, place, 0, 0] : [position, 1, 0], i * cellWords);
  }
  const parts = [words(1, count), new Uint8Array(cells.buffer)];
  expect('transposed values (flash attention is off)', input.u32(), 0);
  const layers = input.u32();
  parts.push(words(0, layers));
  for (let plane = 0; plane < 2 * layers; plane++) {
    const head = input.take(12);
    const rowBytes = Number(new DataView(head.buffer, head.byteOffset).getBigUint64(4, true));
    parts.push(head, ...repeat(input.take(before * rowBytes), rowBytes, before, count));
  }
  return parts;
}

/** `count` rows of `rowBytes`, taken from the `available` ones in turn. */
function repeat(rows: Uint8Array, rowBytes: number, available: number, count: number): Uint8Array[] {
  const whole = Array.from({ length: Math.floor(count / available) }, () => rows);
  return [...whole, rows.subarray(0, (count % available) * rowBytes)];
}

const words = (...values: number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);

function expect(what: string, found: number, expected: number): void {
  if (found !== expected)
    throw new Error(
      `peer state: ${what}: expected ${expected}, found ${found}. Its file format has changed.`,
    );
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  u32(): number {
    const piece = this.take(4);
    return new DataView(piece.buffer, piece.byteOffset).getUint32(0, true);
  }

  get left(): number {
    return this.#bytes.byteLength - this.#at;
  }

  /** The word `index` from here, which stays unread. */
  peek(index: number): number {
    return new DataView(this.#bytes.buffer, this.#bytes.byteOffset + this.#at).getUint32(4 * index, true);
  }

  take(length: number): Uint8Array {
    if (this.#at + length > this.#bytes.byteLength)
      throw new Error('peer state: the file is shorter than its counts say');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  rest(): Uint8Array {
    return this.#bytes.subarray(this.#at);
  }
}
