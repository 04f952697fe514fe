// WordPiece (Schuster & Nakajima 2012), BERT's tokenizer: of each word the longest entry that it begins with, then
// of the rest the longest that continues a word, and so on; a word that cannot be made up so is unknown as a whole.

import type { WordModel } from './bpe-model.ts';

export interface WordPieceOptions {
  /** Entries that begin a word. */
  readonly begin: ReadonlyMap<string, number>;
  /** Entries that continue one, without the prefix that marks them. */
  readonly inside: ReadonlyMap<string, number>;
  readonly unknown: number | null;
  /** Longer words, in characters, are unknown. */
  readonly longestWord: number;
}

/** Words that are kept with their tokens; far more than a page of text has, and less than 32 MB. */
const MOST_CACHED = 1 << 16;

export class WordPieceModel implements WordModel {
  readonly #options: WordPieceOptions;
  /** UTF-16 units of the longest entry: nothing longer need be looked for. */
  readonly #longest: number;
  readonly #cache = new Map<string, readonly number[]>();

  constructor(options: WordPieceOptions) {
    this.#options = options;
    let longest = 1;
    for (const entries of [options.begin, options.inside])
      for (const text of entries.keys()) longest = Math.max(longest, text.length);
    this.#longest = longest;
  }

  encodeWord(word: string, out: number[]): void {
    let tokens = this.#cache.get(word);
    if (tokens === undefined) {
      tokens = this.#tokensOf(word);
      if (word.length <= 64) {
        if (this.#cache.size >= MOST_CACHED) this.#cache.clear();
        this.#cache.set(word, tokens);
      }
    }
    for (const token of tokens) out.push(token);
  }

  #tokensOf(word: string): readonly number[] {
    const { begin, inside, unknown, longestWord } = this.#options;
    const nothing = unknown === null ? [] : [unknown];
    if (word.length > longestWord && [...word].length > longestWord) return nothing;
    const tokens: number[] = [];
    for (let start = 0; start < word.length; ) {
      const entries = start === 0 ? begin : inside;
      let end = Math.min(word.length, start + this.#longest);
      let token: number | undefined;
      while (end > start && (token = entries.get(word.slice(start, end))) === undefined) end--;
      if (token === undefined) return nothing;
      tokens.push(token);
      start = end;
    }
    return tokens;
  }
}

/** The entries of a vocabulary by where they may stand; `prefix` marks those inside a word. */
export function splitEntries(
  vocabulary: ReadonlyMap<string, number>,
  prefix: string,
): Pick<WordPieceOptions, 'begin' | 'inside'> {
  const inside = new Map<string, number>();
  for (const [text, token] of vocabulary)
    if (text.startsWith(prefix) && text.length > prefix.length) inside.set(text.slice(prefix.length), token);
  return { begin: vocabulary, inside };
}
