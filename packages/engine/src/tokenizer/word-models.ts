// The two simple models of Hugging Face tokenizers besides BPE. WordLevel: a word is a token or unknown.
// Unigram (Kudo 2018, arXiv:1804.10959): the segmentation of highest total log probability, found by Viterbi
// over a trie.

import type { WordModel } from './bpe-model.ts';
import { toByteCharacters, tokenOfByte } from './byte-level.ts';

const utf8 = new TextEncoder();

/** Without an unknown token, unknown words are dropped, as Hugging Face's BPE does with characters. */
export function wordLevelModel(vocabulary: ReadonlyMap<string, number>, unknown: number | null): WordModel {
  return {
    encodeWord(word, out) {
      const token = vocabulary.get(word) ?? unknown;
      if (token !== null) out.push(token);
    },
  };
}

/** For models whose words come in byte characters. */
export function onByteCharacters(model: WordModel): WordModel {
  return { encodeWord: (word, out) => model.encodeWord(toByteCharacters(word), out) };
}

interface Node {
  readonly next: Map<number, Node>;
  token: number;
}

export interface UnigramOptions {
  readonly vocabulary: ReadonlyMap<string, number>;
  /** Log probability of each token. */
  readonly score: (token: number) => number;
  readonly unknown: number | null;
  readonly byteFallback: boolean;
}

/** How much worse an unknown character is than the worst token; SentencePiece's kUnkPenalty. */
const UNKNOWN_PENALTY = 10;

export class UnigramModel implements WordModel {
  readonly #root: Node = { next: new Map(), token: -1 };
  readonly #options: UnigramOptions;
  readonly #unknownScore: number;

  constructor(options: UnigramOptions) {
    this.#options = options;
    let lowest = 0;
    for (const [text, token] of options.vocabulary) {
      lowest = Math.min(lowest, options.score(token));
      let node = this.#root;
      for (let i = 0; i < text.length; i++) {
        const unit = text.charCodeAt(i);
        let child = node.next.get(unit);
        if (child === undefined) node.next.set(unit, (child = { next: new Map(), token: -1 }));
        node = child;
      }
      node.token = token;
    }
    this.#unknownScore = lowest - UNKNOWN_PENALTY;
  }

  encodeWord(word: string, out: number[]): void {
    const size = word.length;
    const best = new Float64Array(size + 1).fill(Number.NEGATIVE_INFINITY);
    const from = new Int32Array(size + 1);
    const token = new Int32Array(size + 1).fill(-1);
    best[0] = 0;
    for (let start = 0; start < size; start++) {
      if (best[start] === Number.NEGATIVE_INFINITY) continue;
      const width = word.codePointAt(start)! > 0xffff ? 2 : 1;
      this.#reach(word, start, start + width, best, from, token);
    }
    this.#trace(word, from, token, out);
  }

  /** Extends the best segmentation that ends at `start` by every entry that begins there. */
  #reach(
    word: string,
    start: number,
    single: number,
    best: Float64Array,
    from: Int32Array,
    token: Int32Array,
  ): void {
    const offer = (end: number, score: number, id: number) => {
      if (score <= best[end]!) return;
      best[end] = score;
      from[end] = start;
      token[end] = id;
    };
    let node: Node | undefined = this.#root;
    let hasSingle = false;
    for (let end = start + 1; end <= word.length; end++) {
      node = node.next.get(word.charCodeAt(end - 1));
      if (node === undefined) break;
      if (node.token < 0) continue;
      if (end === single) hasSingle = true;
      offer(end, best[start]! + this.#options.score(node.token), node.token);
    }
    if (!hasSingle) offer(single, best[start]! + this.#unknownScore, -1);
  }

  #trace(word: string, from: Int32Array, token: Int32Array, out: number[]): void {
    const ends: number[] = [];
    for (let end = word.length; end > 0; end = from[end]!) ends.push(end);
    let unknownFrom = -1;
    const flush = (end: number) => {
      if (unknownFrom >= 0) this.#emitUnknown(word.slice(unknownFrom, end), out);
      unknownFrom = -1;
    };
    for (const end of ends.reverse()) {
      if (token[end]! < 0) {
        if (unknownFrom < 0) unknownFrom = from[end]!;
        continue;
      }
      flush(from[end]!);
      out.push(token[end]!);
    }
    flush(word.length);
  }

  /** Neighbouring unknown characters are one unknown token, or their bytes. */
  #emitUnknown(text: string, out: number[]): void {
    if (this.#options.byteFallback) {
      const bytes = Array.from(utf8.encode(text), (byte) => this.#options.vocabulary.get(tokenOfByte(byte)));
      if (bytes.every((token) => token !== undefined)) {
        for (const token of bytes) out.push(token);
        return;
      }
    }
    if (this.#options.unknown !== null) out.push(this.#options.unknown);
  }
}
