// A finite set of words as JSON spells them: the keys that a schema names, the strings of an enum. Read byte by byte in
// every spelling. Nothing is built ahead: words are sorted, and a place in them is a range.
import { foldHex, spellings } from './spellings.ts';

/** A place inside a word of a list. Equal places are one object. */
export interface WordPlace {
  /** The words that may still come: `from` ≤ index < `to` in sorted order. */
  readonly from: number;
  readonly to: number;
  /** Characters that were read whole. */
  readonly depth: number;
  /** Bytes of the character that is being read. */
  readonly pending: string;
  readonly next: Map<number, WordPlace | null>;
  /** 1 for each byte that some word goes on with; made when it is first needed. */
  possible: Uint8Array | null;
}

interface Word {
  readonly text: string;
  readonly codes: readonly number[];
}

/** Words in sorted order, to be read. */
export class WordList {
  readonly words: readonly string[];
  readonly start: WordPlace;
  readonly #sorted: readonly Word[];
  readonly #places = new Map<string, WordPlace>();

  /** Words that hold lone surrogates cannot be written, and are left out. */
  constructor(words: Iterable<string>) {
    this.#sorted = [...new Set(words)]
      .filter((text) => text.isWellFormed())
      .map((text) => ({ text, codes: Array.from(text, (character) => character.codePointAt(0)!) }))
      .sort((a, b) => compareCodes(a.codes, b.codes));
    this.words = this.#sorted.map(({ text }) => text);
    this.start = this.#place(0, this.words.length, 0, '');
  }

  /** The index of the word that ends here; -1 where none does. */
  ends(place: WordPlace): number {
    if (place.pending !== '' || place.from === place.to) return -1;
    // The shortest word of a range comes first.
    return this.#sorted[place.from].codes.length === place.depth ? place.from : -1;
  }

  /** The place after one more byte; null where no word goes on so. */
  step(place: WordPlace, byte: number): WordPlace | null {
    place.possible ??= this.#possible(place);
    if (place.possible[byte] === 0) return null;
    const known = place.next.get(byte);
    if (known !== undefined) return known;
    const next = this.#compute(place, byte);
    place.next.set(byte, next);
    return next;
  }

  /** All bytes at once: most lead nowhere, and need no look at the words. */
  #possible({ from, to, depth, pending }: WordPlace): Uint8Array {
    const possible = new Uint8Array(256);
    for (let at = from; at < to; at = this.#endOf(at, to, depth)) {
      const code = this.#sorted[at].codes[depth];
      if (code === undefined) continue;
      for (const form of spellings(code)) {
        if (!form.startsWith(pending) || form.length === pending.length) continue;
        const byte = form.charCodeAt(pending.length);
        possible[byte] = 1;
        const upper = byte - 32;
        if (upper > 0 && foldHex(pending, upper) === form[pending.length]) possible[upper] = 1;
      }
    }
    return possible;
  }

  #compute({ from, to, depth, pending }: WordPlace, byte: number): WordPlace | null {
    const read = pending + foldHex(pending, byte);
    let [first, last] = [-1, -1];
    for (let at = from; at < to; ) {
      const code = this.#sorted[at].codes[depth];
      const end = this.#endOf(at, to, depth);
      if (code !== undefined) {
        for (const form of spellings(code)) {
          if (form === read) return this.#place(at, end, depth + 1, '');
          if (!form.startsWith(read)) continue;
          if (first < 0) first = at;
          last = end;
        }
      }
      at = end;
    }
    return first < 0 ? null : this.#place(first, last, depth, read);
  }

  /** Where the words end that share the character at this depth with the one at `at`. */
  #endOf(at: number, to: number, depth: number): number {
    const code = this.#sorted[at].codes[depth];
    let [low, high] = [at, to];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.#sorted[middle].codes[depth] === code) low = middle;
      else high = middle;
    }
    return high;
  }

  #place(from: number, to: number, depth: number, pending: string): WordPlace {
    const key = `${from},${to},${depth},${pending}`;
    let place = this.#places.get(key);
    if (place === undefined) {
      place = { from, to, depth, pending, next: new Map(), possible: null };
      this.#places.set(key, place);
    }
    return place;
  }
}

function compareCodes(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < a.length && i < b.length; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}
