// What a grammar needs to know of a vocabulary, prepared once per model: the bytes of every token as a trie,
// and the tokens that are nothing but ordinary characters. Inside a string, where every such character is
// allowed, these are allowed at once, by their length, and only the rest of the vocabulary is walked (the
// slices of llguidance).
import { UsageError } from '../../errors.ts';
import type { Tokenizer } from '../../tokenizer/types.ts';
import { sortTokens, type TokenText, TokenTrie } from './token-trie.ts';

/** What is asked of a tokenizer. */
export type GrammarTokenizer = Pick<
  Tokenizer,
  'vocabularySize' | 'tokenBytes' | 'isSpecial' | 'createStreamDecoder'
>;

/** Tokens of letters, or of letters and digits, up to this length are a slice. */
const LETTERS_LENGTH = 12;

/** Tokens that are allowed together, and all others. */
export interface Slice {
  readonly bits: Uint32Array;
  /** The trie of the tokens that are not in it. */
  readonly others: TokenTrie;
}

/** A slice of the tokens that consist of certain bytes, up to a length. */
export interface ByteSlice extends Slice {
  readonly bytes: readonly number[];
  readonly length: number;
}

export class GrammarVocabulary {
  /** Tokens that a mask speaks of: rows of the model's logits. */
  readonly size: number;
  /** Words of a mask. */
  readonly words: number;
  /** All tokens with text. Special tokens are none: no grammar over text holds their bytes. */
  readonly trie: TokenTrie;
  readonly #bytes: (Uint8Array | null)[];
  /** Characters of each token that is nothing but ordinary characters; 0 for others. */
  readonly #ordinary: Uint8Array;
  readonly #sorted: TokenText[];
  /** Characters of the longest ordinary token. */
  readonly #longest: number;
  readonly #shorter = new Map<number, Uint32Array>();
  /** The tokens of ordinary characters. */
  readonly ordinary: Slice;
  /** Slices for places without quotes: identifiers, addresses, paths; larger ones first. */
  readonly byteSlices: readonly ByteSlice[];

  /**
   * Throws UsageError for a tokenizer that writes something between tokens: no mask of tokens can hold its
   * texts.
   */
  constructor(tokenizer: GrammarTokenizer, size: number, endTokens: readonly number[]) {
    this.size = size;
    this.words = Math.ceil(size / 32);
    const ends = new Set(endTokens);
    const count = Math.min(size, tokenizer.vocabularySize);
    this.#bytes = Array.from({ length: count }, (_, token) => {
      if (tokenizer.isSpecial(token) || ends.has(token)) return null;
      const bytes = tokenizer.tokenBytes(token);
      return bytes.length === 0 ? null : bytes;
    });
    this.#ordinary = Uint8Array.from(this.#bytes, (bytes) => (bytes === null ? 0 : ordinaryLength(bytes)));
    this.#sorted = this.#bytes.flatMap((bytes, token) => (bytes === null ? [] : [{ token, bytes }]));
    sortTokens(this.#sorted);
    this.trie = new TokenTrie(this.#sorted);
    this.#longest = this.#ordinary.reduce((most, length) => Math.max(most, length), 0);
    this.ordinary = this.#slice((token) => this.#ordinary[token] > 0);
    this.byteSlices = [ALPHANUMERIC, LOWER].map((bytes) => this.#byteSlice(bytes));
    assertPlainJoin(tokenizer, this.#bytes);
  }

  /** The bytes of a token; null for one that has no text. */
  bytesOf(token: number): Uint8Array | null {
    return this.#bytes[token] ?? null;
  }

  /** The tokens of ordinary characters, up to a count of them. */
  ordinaryUpTo(characters: number): Uint32Array {
    if (characters >= this.#longest) return this.ordinary.bits;
    const known = this.#shorter.get(characters);
    if (known !== undefined) return known;
    const bits = this.#bitsOf((token) => this.#ordinary[token] > 0 && this.#ordinary[token] <= characters);
    this.#shorter.set(characters, bits);
    return bits;
  }

  #slice(inside: (token: number) => boolean): Slice {
    const others = new TokenTrie(this.#sorted.filter(({ token }) => !inside(token)));
    return { bits: this.#bitsOf(inside), others };
  }

  #bitsOf(inside: (token: number) => boolean): Uint32Array {
    const bits = new Uint32Array(this.words);
    for (let token = 0; token < this.#bytes.length; token++)
      if (inside(token)) bits[token >> 5] |= 1 << (token & 31);
    return bits;
  }

  #byteSlice(bytes: readonly number[]): ByteSlice {
    const wanted = new Set(bytes);
    const inside = (token: number): boolean => {
      const text = this.#bytes[token];
      return text !== null && text.length <= LETTERS_LENGTH && text.every((byte) => wanted.has(byte));
    };
    return { bytes, length: LETTERS_LENGTH, ...this.#slice(inside) };
  }
}

const codesOf = (text: string): number[] => Array.from(text, (character) => character.charCodeAt(0));
const LOWER = codesOf('abcdefghijklmnopqrstuvwxyz');
const ALPHANUMERIC = [...LOWER, ...codesOf('ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789')];

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
/** More characters than a byte counts are not an ordinary token. */
const MOST_ORDINARY = 255;

/**
 * How many characters a token has; 0 unless all are whole and neither control characters, quotes nor
 * backslashes.
 */
function ordinaryLength(bytes: Uint8Array): number {
  for (const byte of bytes) if (byte < 0x20 || byte === 0x22 || byte === 0x5c || byte === 0x7f) return 0;
  try {
    const { length } = [...utf8.decode(bytes)];
    return length <= MOST_ORDINARY ? length : 0;
  } catch {
    return 0;
  }
}

/** Two tokens must read as their bytes, one after the other. */
function assertPlainJoin(tokenizer: GrammarTokenizer, bytes: readonly (Uint8Array | null)[]): void {
  const letters = bytes.flatMap((one, token) =>
    one?.length === 1 && one[0] > 0x40 && one[0] < 0x5b ? [token] : [],
  );
  if (letters.length === 0) return;
  const stream = tokenizer.createStreamDecoder({ continues: true });
  const text = stream.push(letters[0]) + stream.push(letters[0]) + stream.end();
  if (text.length !== 2)
    throw new UsageError(
      `output: expected a tokenizer whose tokens are pieces of text, found one that writes ${JSON.stringify(text)} for ` +
        'two letters. Guaranteed output is not possible with it.',
    );
}
