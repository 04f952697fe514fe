// From tokenised documents to training batches: which documents are held out, and packed sequences whose
// document boundaries are marked, so that state is reset there. Everything follows from a seed and the step's
// number alone: a run that is resumed at step n sees what it would have seen.
import { UsageError } from '@marimba/engine';
import { createRandom } from '@marimba/engine/measure';
import type { TokenData } from './token-file.ts';

/** What training reads in one step: `sequences` rows of `length` tokens. */
export interface TrainingBatch {
  readonly sequences: number;
  readonly length: number;
  /** [sequences × length] */
  readonly tokens: Uint32Array;
  /** The token that should follow each one; -1: not scored. */
  readonly targets: Int32Array;
  /**
   * Positions in `tokens` where a new document starts and nothing before may be seen. Each row's start is
   * always one.
   */
  readonly documentStarts: Uint32Array;
}

/**
 * A range of tokens that begins and ends with whole documents (or, for a single document, is a part of it).
 */
export interface TextPart {
  readonly tokens: Uint16Array | Uint32Array;
  readonly starts: readonly number[];
  /** UTF-8 bytes of the text; an estimate by share of tokens when a document was cut. */
  readonly byteLength: number;
}

export interface TextSplit {
  readonly training: TextPart;
  readonly heldOut: TextPart;
}

/**
 * Sets about `fraction` of the tokens aside, by whole documents: those whose number, mixed with `seed`, comes
 * first. Of a single document the last part is held out. Throws UsageError when there is too little text for
 * both.
 */
export function splitDocuments(data: TokenData, fraction = 0.1, seed = 0): TextSplit {
  if (!(fraction > 0 && fraction < 1))
    throw new UsageError(`held-out fraction: expected a number between 0 and 1, found ${fraction}`);
  const count = data.starts.length - 1;
  if (data.tokens.length < 4)
    throw new UsageError(
      `text: expected at least 4 tokens to train on, found ${data.tokens.length}. Give it more text.`,
    );
  if (count === 1) return splitOne(data, fraction);
  const order = shuffled(count, seed);
  const wanted = data.tokens.length * fraction;
  const heldOut = new Set<number>();
  let tokens = 0;
  for (const d of order) {
    if (tokens >= wanted || heldOut.size === count - 1) break;
    heldOut.add(d);
    tokens += data.starts[d + 1]! - data.starts[d]!;
  }
  const all = Array.from({ length: count }, (_, d) => d);
  return {
    training: gather(
      data,
      all.filter((d) => !heldOut.has(d)),
    ),
    heldOut: gather(
      data,
      all.filter((d) => heldOut.has(d)),
    ),
  };
}

/** Everything, for texts that were split before. */
export const wholePart = (data: TokenData): TextPart =>
  gather(
    data,
    Array.from({ length: data.starts.length - 1 }, (_, d) => d),
  );

function splitOne(data: TokenData, fraction: number): TextSplit {
  const cut = Math.min(data.tokens.length - 2, Math.max(2, Math.round(data.tokens.length * (1 - fraction))));
  const part = (from: number, to: number): TextPart => ({
    tokens: data.tokens.subarray(from, to),
    starts: [0],
    byteLength: Math.round((data.byteLengths[0]! * (to - from)) / data.tokens.length),
  });
  return { training: part(0, cut), heldOut: part(cut, data.tokens.length) };
}

function gather(data: TokenData, documents: readonly number[]): TextPart {
  const lengths = documents.map((d) => data.starts[d + 1]! - data.starts[d]!);
  const total = lengths.reduce((sum, l) => sum + l, 0);
  const tokens = data.tokens instanceof Uint32Array ? new Uint32Array(total) : new Uint16Array(total);
  const starts: number[] = [];
  let at = 0;
  documents.forEach((d, i) => {
    starts.push(at);
    tokens.set(data.tokens.subarray(data.starts[d]!, data.starts[d + 1]!), at);
    at += lengths[i]!;
  });
  return { tokens, starts, byteLength: documents.reduce((sum, d) => sum + data.byteLengths[d]!, 0) };
}

function shuffled(count: number, seed: number): number[] {
  const random = createRandom(seed);
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

export interface TextBatchOptions {
  readonly sequences: number;
  readonly length: number;
  readonly seed: number;
}

/**
 * Step n's batch: epochs over the text in windows that do not overlap, in a new order and from a new offset
 * each time.
 */
export function textBatches(part: TextPart, options: TextBatchOptions): (step: number) => TrainingBatch {
  const { sequences, length, seed } = options;
  checkFits(part, length);
  return (step) => {
    const offsets = Array.from({ length: sequences }, (_, row) =>
      windowOffset(part.tokens.length, length, seed, step * sequences + row),
    );
    return windowBatch(part, offsets, length);
  };
}

/** Where the n-th window of all epochs starts. */
function windowOffset(tokens: number, length: number, seed: number, n: number): number {
  const perEpoch = Math.max(1, Math.floor((tokens - 1) / length));
  const epoch = Math.floor(n / perEpoch);
  const random = createRandom(seed * 65_537 + epoch);
  const slack = tokens - 1 - perEpoch * length;
  const shift = Math.floor(random() * (slack + 1));
  return shift + permuted(n % perEpoch, perEpoch, random) * length;
}

/** An affine permutation: enough to break the order of a book, and needs no table. */
function permuted(i: number, count: number, random: () => number): number {
  const add = Math.floor(random() * count);
  let factor = 1 + Math.floor(random() * count);
  while (greatestCommonDivisor(factor, count) !== 1) factor++;
  return (i * factor + add) % count;
}

const greatestCommonDivisor = (a: number, b: number): number =>
  b === 0 ? a : greatestCommonDivisor(b, a % b);

/** All of a part once, in order, for a held-out loss. The tail that does not fill a window is left out. */
export function textWindows(
  part: TextPart,
  options: { sequences: number; length: number; maxTokens?: number },
): TrainingBatch[] {
  const { sequences, length, maxTokens = Number.POSITIVE_INFINITY } = options;
  checkFits(part, length);
  const count = Math.max(1, Math.floor(Math.min(part.tokens.length - 1, maxTokens) / length));
  const batches: TrainingBatch[] = [];
  for (let first = 0; first < count; first += sequences) {
    const offsets = Array.from(
      { length: Math.min(sequences, count - first) },
      (_, row) => (first + row) * length,
    );
    batches.push(windowBatch(part, offsets, length));
  }
  return batches;
}

function windowBatch(part: TextPart, offsets: readonly number[], length: number): TrainingBatch {
  const tokens = new Uint32Array(offsets.length * length);
  const targets = new Int32Array(offsets.length * length);
  const documentStarts: number[] = [];
  offsets.forEach((offset, row) => {
    for (let i = 0; i < length; i++) {
      tokens[row * length + i] = part.tokens[offset + i]!;
      targets[row * length + i] = part.tokens[offset + i + 1]!;
    }
    documentStarts.push(row * length);
    for (
      let d = firstAfter(part.starts, offset);
      d < part.starts.length && part.starts[d]! <= offset + length;
      d++
    ) {
      const at = row * length + part.starts[d]! - offset;
      if (part.starts[d]! < offset + length) documentStarts.push(at);
      // The end token before it is scored; what the next document begins with cannot be known.
      targets[at - 1] = -1;
    }
  });
  return {
    sequences: offsets.length,
    length,
    tokens,
    targets,
    documentStarts: Uint32Array.from(documentStarts),
  };
}

/** The first document that starts after `offset`. */
function firstAfter(starts: readonly number[], offset: number): number {
  let low = 0;
  let high = starts.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (starts[middle]! <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

function checkFits(part: TextPart, length: number): void {
  if (!Number.isInteger(length) || length < 1)
    throw new UsageError(`sequence length: expected a whole number of at least 1, found ${length}`);
  if (part.tokens.length < length + 1)
    throw new UsageError(
      `sequence length: expected at most ${part.tokens.length - 1} (the text has ${part.tokens.length} tokens), found ${length}. Shorten the sequence or give it more text.`,
    );
}
