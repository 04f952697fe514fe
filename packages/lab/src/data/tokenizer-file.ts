// A trained byte-level BPE as `tokenizer.json`, in the form that Hugging Face tokenizers (and this engine)
// read: model BPE, pre-tokenizer and decoder ByteLevel with GPT-2's expression, special tokens first. Format:
// the serialisation of huggingface/tokenizers 0.15 and later (merges as pairs would need 0.20; "a b" strings
// are read by all).
import { FormatError, type Tokenizer, UsageError } from '@marimba/engine';
import { byteCharacters, gpt2Words, tokenizerFromJson } from '@marimba/engine/formats';
import { type BpeMerges, trainBpe, WordCounter } from './bpe-trainer.ts';

export const DEFAULT_SPECIAL_TOKENS = ['<|endoftext|>'] as const;

/** What `trainTokenizer` makes. */
export interface TokenizerTraining {
  /** Size of the vocabulary, special tokens and the 256 bytes included. */
  readonly vocabularySize: number;
  /** First ones of the vocabulary; the first of all ends documents. Default: <|endoftext|>. */
  readonly specialTokens?: readonly string[] | undefined;
  /**
   * Merges no pair that occurs fewer times. Default 2. The vocabulary stays smaller than asked where no more
   * pairs occur this often.
   */
  readonly minFrequency?: number | undefined;
  /** Called after every 256 merges, and at the end, with symbols made and symbols wanted. */
  readonly onProgress?: ((made: number, wanted: number) => void) | undefined;
}

/** A learned byte-level BPE, ready to use and to write. */
export interface TrainedTokenizer {
  /** Encodes and decodes as the written files do. */
  readonly tokenizer: Tokenizer;
  /** The content of tokenizer.json, as Hugging Face tokenizers read it. */
  readonly json: Record<string, unknown>;
  /** The content of tokenizer_config.json. */
  readonly config: Record<string, unknown>;
}

/** Learns a vocabulary from texts. Throws UsageError when there is no text to learn from. */
export function trainTokenizer(texts: Iterable<string>, options: TokenizerTraining): TrainedTokenizer {
  const specials = options.specialTokens ?? DEFAULT_SPECIAL_TOKENS;
  checkSpecials(specials);
  const least = 256 + specials.length;
  if (!Number.isInteger(options.vocabularySize) || options.vocabularySize < least)
    throw new UsageError(
      `vocabulary size: expected at least ${least} (256 bytes and ${specials.length} special tokens), found ${options.vocabularySize}`,
    );
  const words = new WordCounter(gpt2Words());
  for (const text of texts) words.add(text.toWellFormed());
  if (!words.counts.size) throw new UsageError('tokenizer: expected text to learn from, found none');
  const merges = trainBpe(words.counts, {
    symbolCount: options.vocabularySize - specials.length,
    minFrequency: options.minFrequency,
    onProgress: options.onProgress,
  });
  const json = tokenizerJson(merges, specials);
  const config = {
    tokenizer_class: 'PreTrainedTokenizerFast',
    eos_token: specials[0],
    clean_up_tokenization_spaces: false,
  };
  return { json, config, tokenizer: tokenizerFromJson(json, config, 'trained tokenizer') };
}

export function tokenizerJson(
  { merges, symbols }: BpeMerges,
  specials: readonly string[],
): Record<string, unknown> {
  const spelled = symbols.map((bytes) => Array.from(bytes, (byte) => byteCharacters[byte]).join(''));
  const vocabulary: Record<string, number> = Object.create(null);
  specials.forEach((special, id) => {
    vocabulary[special] = id;
  });
  spelled.forEach((text, i) => {
    if (Object.hasOwn(vocabulary, text))
      throw new UsageError(
        `special tokens: ${JSON.stringify(text)} is also a word of the text. Choose one that the text does not hold.`,
      );
    vocabulary[text] = specials.length + i;
  });
  const byteLevel = (regex: boolean) => ({
    type: 'ByteLevel',
    add_prefix_space: false,
    trim_offsets: true,
    use_regex: regex,
  });
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: specials.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: byteLevel(true),
    post_processor: byteLevel(true),
    decoder: byteLevel(true),
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: vocabulary,
      merges: merges.map(([left, right]) => `${spelled[left]} ${spelled[right]}`),
    },
  };
}

function checkSpecials(specials: readonly string[]): void {
  if (!specials.length)
    throw new UsageError('special tokens: expected at least one (it ends documents), found none');
  if (new Set(specials).size < specials.length)
    throw new UsageError(`special tokens: expected different ones, found ${specials.join(', ')}`);
  // One character could be the spelling of a byte, and then one entry would have to mean both.
  const short = specials.find((s) => s.length < 2);
  if (short !== undefined)
    throw new UsageError(
      `special tokens: expected at least two characters each, found ${JSON.stringify(short)}`,
    );
}

/** Reads a tokenizer.json that was parsed already, with a message that names the file. */
export function readTokenizer(json: unknown, config: unknown, name: string): Tokenizer {
  const tokenizer = tokenizerFromJson(json, config, name);
  if (!tokenizer.special.eos.length)
    throw new FormatError(
      `${name}: expected an end token (eos_token, or an added token such as <|endoftext|>), found none. Documents could not be told apart.`,
    );
  return tokenizer;
}
