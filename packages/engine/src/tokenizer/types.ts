// What a tokenizer is to the rest of the engine. Whatever file it came from (tokenizer.json, GGUF metadata),
// text goes in, token numbers come out, and every token can be turned back into the exact bytes it stands
// for.

export interface EncodeOptions {
  /** How markers such as <|im_end|> inside the text are read: as plain text (default), or as their tokens. */
  readonly specialTokens?: 'text' | 'parse' | undefined;
  /** Default: the model's own convention (`addBos`). */
  readonly addBos?: boolean | undefined;
  /**
   * With `specialTokens: 'parse'`: a string that keeps a marker plain text when it stands inside or right in
   * front of it, and that is dropped afterwards. Chat templates use it to defuse what users wrote.
   */
  readonly guard?: string | undefined;
}

export interface DecodeOptions {
  /** Leaves special tokens out. Default: false. */
  readonly skipSpecial?: boolean | undefined;
}

export interface StreamDecoderOptions extends DecodeOptions {
  /**
   * The tokens continue a text that was already shown, so a leading space is kept. Default: false, as
   * `decode`.
   */
  readonly continues?: boolean | undefined;
}

/** The pieces of a stream, joined, equal `decode` of all its tokens. */
export interface StreamDecoder {
  /** Returns the text that this token completes; '' while a character is incomplete. */
  push(token: number): string;
  /** Returns what is left: an incomplete character becomes U+FFFD. */
  end(): string;
}

/** Turns text into token ids and back, as the model's own tokenizer does. */
export interface Tokenizer {
  /** Highest token number + 1. */
  readonly vocabularySize: number;
  /** Ids that the files name. `eos` may be several, `unknown` and `pad` are null where there are none. */
  readonly special: {
    readonly bos: number | null;
    readonly eos: readonly number[];
    readonly unknown: number | null;
    readonly pad: number | null;
  };
  /** Whether the model's own convention puts `bos` in front of a prompt. */
  readonly addBos: boolean;
  /** The convention for training texts. `encode` never appends it: a prompt must stay open. */
  readonly addEos: boolean;
  /**
   * What the model's own convention puts around a whole text: [CLS] and [SEP], a begin token, the end token of
   * embedders. `encode` adds the first part alone.
   */
  readonly frame: { readonly before: readonly number[]; readonly after: readonly number[] };
  /** Notes for the user, such as an unknown kind that was approximated; usually empty. */
  readonly notes: readonly string[];
  /**
   * Token ids of a text; a begin token first where `addBos` says so. Markers inside the text stay plain text
   * by default.
   */
  encode(text: string, options?: EncodeOptions): number[];
  /** The text of tokens. Bytes that are no UTF-8 come out as U+FFFD. */
  decode(tokens: ArrayLike<number>, options?: DecodeOptions): string;
  /** Raw bytes of one token, for streaming and constraints; empty for special tokens. */
  tokenBytes(token: number): Uint8Array;
  /** The token as the vocabulary spells it, for display. */
  tokenText(token: number): string;
  /** Exact vocabulary entry, special tokens included. */
  tokenId(text: string): number | null;
  /** Whether a token is a marker rather than text. */
  isSpecial(token: number): boolean;
  /** Added tokens: the special ones, and ordinary texts that always stand for one token. */
  addedTokens(): readonly AddedToken[];
  /** Decodes token by token, holding back incomplete characters. */
  createStreamDecoder(options?: StreamDecoderOptions): StreamDecoder;
}

/** A text that is matched before anything else is done (Hugging Face's `added_tokens`). */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  /** Also swallows whitespace on its left / right. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  /** Only where no word character touches it. */
  readonly singleWord: boolean;
  /** Looked for in the normalised text instead of the text as given. */
  readonly normalized: boolean;
}
