// Learns the merges of a byte-level BPE vocabulary (Sennrich, Haddow & Birch 2016; bytes as in GPT-2). Words
// are counted once; each merge then touches only the words that contain the pair, so that the time follows
// the number of changes and not vocabulary × text. Deterministic: of two pairs that are equally frequent, the
// one with the smaller symbol numbers is merged first, which is also the rule of Hugging Face's trainer.
import { UsageError } from '@marimba/engine';
import { PairHeap } from './pair-heap.ts';

/**
 * Symbols 0–255 are bytes, the others in the order they were made. Two merges that spell the same text make
 * one symbol.
 */
export interface BpeMerges {
  readonly merges: readonly (readonly [number, number])[];
  /** The bytes that each symbol stands for. */
  readonly symbols: readonly Uint8Array[];
}

export interface BpeOptions {
  /** Symbols wanted, the 256 bytes included. Fewer are made when the text has no more pairs that repeat. */
  readonly symbolCount: number;
  /** A pair that occurs fewer times is not merged. Default 2. */
  readonly minFrequency?: number | undefined;
  /** Longer words are cut for counting, so that one endless line cannot stall training. Default 256 bytes. */
  readonly maxWordBytes?: number | undefined;
  readonly onProgress?: ((made: number, wanted: number) => void) | undefined;
}

/** Pairs are keys of a Map: left * RADIX + right stays exact far beyond any vocabulary. */
const RADIX = 2 ** 24;
const MAX_SYMBOLS = 2 ** 20;

/** How often each word occurs in a text; fed piece by piece. */
export class WordCounter {
  readonly counts = new Map<string, number>();
  readonly #split: (text: string) => readonly string[];

  constructor(split: (text: string) => readonly string[]) {
    this.#split = split;
  }

  add(text: string): void {
    for (const word of this.#split(text)) this.counts.set(word, (this.counts.get(word) ?? 0) + 1);
  }
}

interface Word {
  readonly symbols: number[];
  readonly count: number;
}

export function trainBpe(counts: ReadonlyMap<string, number>, options: BpeOptions): BpeMerges {
  const { symbolCount, minFrequency = 2, maxWordBytes = 256, onProgress } = options;
  if (!Number.isInteger(symbolCount) || symbolCount < 256 || symbolCount > MAX_SYMBOLS)
    throw new UsageError(
      `vocabulary: expected from 256 to ${MAX_SYMBOLS} symbols, found ${symbolCount}. Every byte needs one.`,
    );
  const trainer = new Trainer(readWords(counts, maxWordBytes));
  while (trainer.symbols.length < symbolCount && trainer.mergeNext(minFrequency)) {
    if (trainer.merges.length % 256 === 0) onProgress?.(trainer.symbols.length, symbolCount);
  }
  onProgress?.(trainer.symbols.length, symbolCount);
  return { merges: trainer.merges, symbols: trainer.symbols };
}

/** Sorted, so that the result does not depend on the order in which words were met. */
function readWords(counts: ReadonlyMap<string, number>, maxWordBytes: number): Word[] {
  const encoder = new TextEncoder();
  const words: Word[] = [];
  for (const text of [...counts.keys()].sort()) {
    const bytes = encoder.encode(text);
    for (let at = 0; at < bytes.length; at += maxWordBytes) {
      const symbols = [...bytes.subarray(at, at + maxWordBytes)];
      if (symbols.length > 1) words.push({ symbols, count: counts.get(text)! });
    }
  }
  return words;
}

class Trainer {
  readonly merges: [number, number][] = [];
  readonly symbols: Uint8Array[] = Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte));
  /** Symbols of two bytes and more by their text, a character a byte. */
  readonly #made = new Map<string, number>();
  readonly #words: readonly Word[];
  readonly #pairCounts = new Map<number, number>();
  /** Words that contain a pair, or did once. */
  readonly #whereabouts = new Map<number, Set<number>>();
  readonly #heap: PairHeap;

  constructor(words: readonly Word[]) {
    this.#words = words;
    words.forEach(({ symbols, count }, w) => {
      for (let i = 1; i < symbols.length; i++) this.#change(symbols[i - 1]! * RADIX + symbols[i]!, count, w);
    });
    this.#heap = new PairHeap(this.#pairCounts);
    for (const pair of this.#pairCounts.keys()) this.#heap.push(pair);
  }

  /** Merges the most frequent pair; false when none is frequent enough. */
  mergeNext(minFrequency: number): boolean {
    const pair = this.#heap.pop();
    if (pair === null || this.#pairCounts.get(pair)! < minFrequency) return false;
    const left = Math.floor(pair / RADIX);
    const right = pair % RADIX;
    const made = this.#symbolFor(concat(this.symbols[left]!, this.symbols[right]!));
    this.merges.push([left, right]);
    const changed = new Set<number>();
    for (const w of this.#whereabouts.get(pair)!) this.#mergeInWord(w, left, right, made, changed);
    this.#whereabouts.delete(pair);
    this.#pairCounts.delete(pair);
    changed.delete(pair);
    for (const other of changed) this.#heap.push(other);
    return true;
  }

  #symbolFor(bytes: Uint8Array): number {
    const text = String.fromCharCode(...bytes);
    const known = this.#made.get(text);
    if (known !== undefined) return known;
    this.#made.set(text, this.symbols.length);
    return this.symbols.push(bytes) - 1;
  }

  #mergeInWord(w: number, left: number, right: number, made: number, changed: Set<number>): void {
    const { symbols, count } = this.#words[w]!;
    const shift = (pair: number, by: number) => {
      this.#change(pair, by, w);
      changed.add(pair);
    };
    let to = 0;
    for (let from = 0; from < symbols.length; from++) {
      if (symbols[from] !== left || symbols[from + 1] !== right) {
        symbols[to++] = symbols[from]!;
        continue;
      }
      // The neighbours as they stand now: the left one may itself have just been made.
      const before = to > 0 ? symbols[to - 1]! : -1;
      const after = from + 2 < symbols.length ? symbols[from + 2]! : -1;
      if (before >= 0) {
        shift(before * RADIX + left, -count);
        shift(before * RADIX + made, count);
      }
      if (after >= 0) {
        shift(right * RADIX + after, -count);
        shift(made * RADIX + after, count);
      }
      symbols[to++] = made;
      from++;
    }
    symbols.length = to;
  }

  #change(pair: number, by: number, word: number): void {
    this.#pairCounts.set(pair, (this.#pairCounts.get(pair) ?? 0) + by);
    if (by < 0) return;
    const words = this.#whereabouts.get(pair);
    if (words) words.add(word);
    else this.#whereabouts.set(pair, new Set([word]));
  }
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}
