// The tokenizer that every kind of file becomes: added tokens are cut out of the text, what lies between is
// normalised, split into words, and each word handed to the model (BPE, Unigram, WordLevel). The order of
// these steps, and which added token wins, are those of Hugging Face tokenizers' AddedVocabulary.

import { ModelError, UsageError } from '../errors.ts';
import type { WordModel } from './bpe-model.ts';
import { ByteJoiner, type Decoder } from './decoder.ts';
import type { Normalizer } from './normalizer.ts';
import type { PreTokenizer } from './pre-tokenizer.ts';
import { AddedTokenMatcher } from './trie.ts';
import type {
  AddedToken,
  DecodeOptions,
  EncodeOptions,
  StreamDecoder,
  StreamDecoderOptions,
  Tokenizer,
} from './types.ts';

export interface TokenizerParts {
  readonly name: string;
  /** Token number → vocabulary entry; holes are allowed. */
  readonly texts: readonly (string | undefined)[];
  readonly ids: ReadonlyMap<string, number>;
  readonly added: readonly AddedToken[];
  /**
   * Special beyond the added tokens (GGUF's control tokens are all added; this is for unknown tokens and the
   * like).
   */
  readonly specialIds: ReadonlySet<number>;
  readonly normalizer: Normalizer | null;
  readonly preTokenizer: PreTokenizer;
  readonly model: WordModel;
  readonly decoder: Decoder;
  /** Entries that are raw text rather than the decoder's spelling. */
  readonly rawIds: ReadonlySet<number>;
  readonly special: Tokenizer['special'];
  /** What goes in front of a prompt with `addBos`. */
  readonly prefix: readonly number[];
  /** What ends a whole text, such as a document to embed. */
  readonly suffix: readonly number[];
  readonly addBos: boolean;
  readonly addEos: boolean;
  readonly notes: readonly string[];
}

const utf8 = new TextEncoder();
const nothing = new Uint8Array(0);

interface Matchers {
  readonly given: AddedTokenMatcher;
  readonly normalized: AddedTokenMatcher;
}

class VocabularyTokenizer implements Tokenizer {
  readonly #parts: TokenizerParts;
  readonly #plain: Matchers;
  readonly #parsing: Matchers;
  readonly #bytes: (Uint8Array | undefined)[] = [];
  readonly vocabularySize: number;
  readonly special: Tokenizer['special'];
  readonly addBos: boolean;
  readonly addEos: boolean;
  readonly frame: Tokenizer['frame'];
  readonly notes: readonly string[];

  constructor(parts: TokenizerParts) {
    this.#parts = parts;
    this.vocabularySize = parts.texts.length;
    this.special = parts.special;
    this.addBos = parts.addBos;
    this.addEos = parts.addEos;
    this.frame = { before: parts.addBos ? parts.prefix : [], after: parts.suffix };
    this.notes = parts.notes;
    this.#plain = this.#matchers(parts.added.filter((token) => !token.special));
    this.#parsing = this.#matchers(parts.added);
  }

  #matchers(added: readonly AddedToken[]): Matchers {
    const { normalizer } = this.#parts;
    const normalized = added
      .filter((token) => token.normalized)
      .map((token) => (normalizer === null ? token : { ...token, content: normalizer(token.content) }));
    return {
      given: new AddedTokenMatcher(added.filter((token) => !token.normalized)),
      normalized: new AddedTokenMatcher(normalized),
    };
  }

  encode(text: string, options: EncodeOptions = {}): number[] {
    const out: number[] = [];
    if (options.addBos ?? this.addBos) out.push(...this.#parts.prefix);
    const matchers = options.specialTokens === 'parse' ? this.#parsing : this.#plain;
    // Lone surrogates cannot be written in UTF-8: they become U+FFFD here, as they would in any file.
    const guard = options.guard ?? '';
    for (const part of matchers.given.split(text.toWellFormed(), guard)) {
      if ('token' in part) out.push(part.token);
      else this.#encodeStretch(part.text, part.start === 0, matchers.normalized, guard, out);
    }
    return out;
  }

  #encodeStretch(
    stretch: string,
    atStart: boolean,
    matcher: AddedTokenMatcher,
    guard: string,
    out: number[],
  ): void {
    const { normalizer, preTokenizer, model } = this.#parts;
    const unguard = (text: string) => (guard === '' ? text : text.replaceAll(guard, ''));
    const text = matcher.isEmpty ? unguard(stretch) : stretch;
    for (const part of matcher.split(normalizer === null ? text : normalizer(text), guard)) {
      if ('token' in part) {
        out.push(part.token);
        continue;
      }
      const piece = matcher.isEmpty ? part.text : unguard(part.text);
      if (piece === '') continue;
      if (preTokenizer.split === null) model.encodeWord(piece, out);
      else
        for (const word of preTokenizer.split(piece, atStart && part.start === 0))
          model.encodeWord(word, out);
    }
  }

  decode(tokens: ArrayLike<number>, options: DecodeOptions = {}): string {
    const stream = this.createStreamDecoder(options);
    const pieces: string[] = [];
    for (let i = 0; i < tokens.length; i++) pieces.push(stream.push(tokens[i]!));
    pieces.push(stream.end());
    return pieces.join('');
  }

  createStreamDecoder(options: StreamDecoderOptions = {}): StreamDecoder {
    const joiner = new ByteJoiner(this.#parts.decoder, options.continues ?? false);
    return {
      push: (token) => {
        if (!this.isSpecial(token)) return joiner.push(this.tokenBytes(token));
        return options.skipSpecial ? '' : joiner.push(utf8.encode(this.tokenText(token)));
      },
      end: () => joiner.end(),
    };
  }

  tokenBytes(token: number): Uint8Array {
    const text = this.#text(token);
    if (text === undefined || this.#parts.specialIds.has(token)) return nothing;
    return (this.#bytes[token] ??= this.#parts.rawIds.has(token)
      ? utf8.encode(text)
      : this.#parts.decoder.bytesOf(text));
  }

  tokenText(token: number): string {
    return this.#text(token) ?? '';
  }

  /** Models may have more rows than the vocabulary has entries: such tokens are empty, not an error. */
  #text(token: number): string | undefined {
    if (!Number.isInteger(token) || token < 0) {
      throw new UsageError(`${this.#parts.name}: expected a token number, found ${String(token)}`);
    }
    return this.#parts.texts[token];
  }

  tokenId(text: string): number | null {
    return this.#parts.ids.get(text) ?? null;
  }

  isSpecial(token: number): boolean {
    return this.#parts.specialIds.has(token);
  }

  addedTokens(): readonly AddedToken[] {
    return this.#parts.added;
  }
}

export function assembleTokenizer(parts: TokenizerParts): Tokenizer {
  return new VocabularyTokenizer(parts);
}

/**
 * Throws ModelError when text could become a token that the model has no row for. Added tokens may have none
 * (a [PAD] that fine-tuning added and never trained): they are refused where they are used, and returned as a
 * note. A smaller tokenizer is fine: models round their vocabulary up.
 */
export function assertFitsVocabulary(
  tokenizer: Tokenizer,
  vocabularySize: number,
  name = 'tokenizer',
): string | null {
  if (tokenizer.vocabularySize <= vocabularySize) return null;
  const added = new Set(tokenizer.addedTokens().map(({ id }) => id));
  const beyond = Array.from(
    { length: tokenizer.vocabularySize - vocabularySize },
    (_, i) => vocabularySize + i,
  );
  const wrong = beyond.find((id) => tokenizer.tokenText(id) !== '' && !added.has(id));
  if (wrong !== undefined)
    throw new ModelError(
      `${name}: expected token numbers below the model's vocabulary size ${vocabularySize}, found ${wrong} ` +
        `(${JSON.stringify(tokenizer.tokenText(wrong))}). The tokenizer belongs to another model; use the one that came with this model.`,
    );
  const shown = beyond.filter((id) => added.has(id)).slice(0, 3);
  const texts = shown.map((id) => `${tokenizer.tokenText(id)} (${id})`).join(', ');
  return `the model has no row for ${beyond.length} of the tokenizer's added tokens, such as ${texts}: they cannot be used`;
}
