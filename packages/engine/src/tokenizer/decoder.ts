// Tokens → text. Every decoder of Hugging Face tokenizers that files use comes down to: what bytes a
// vocabulary entry stands for, what goes between two tokens, and how many spaces are dropped at the very
// start. So decoding works on bytes, and a stream gives the same text as decoding at once. Bytes that are not
// UTF-8 become U+FFFD the way browsers do it (Hugging Face's ByteFallback gives up the whole run of byte
// tokens instead; here its valid characters are kept).

import { byteOfToken, fromByteCharacters } from './byte-level.ts';
import { asCount, asString, type Fields, field, flag, type Place, typeOf } from './json-fields.ts';
import { collectSteps, parsePattern } from './normalizer.ts';
import { metaspaceCharacter, prependScheme } from './pre-tokenizer.ts';

export interface Decoder {
  /** The bytes that a vocabulary entry stands for, wherever it is. */
  bytesOf(text: string): Uint8Array;
  /** Between two tokens. */
  readonly separator: string;
  /** ASCII spaces dropped at the start of a text, at most. */
  readonly dropSpaces: number;
}

const utf8 = new TextEncoder();

/** No decoder: Hugging Face joins vocabulary entries with spaces. */
export const plainDecoder: Decoder = { bytesOf: (text) => utf8.encode(text), separator: ' ', dropSpaces: 0 };

/** GPT-2's: entries are byte characters. */
export const byteLevelDecoder: Decoder = { bytesOf: fromByteCharacters, separator: '', dropSpaces: 0 };

/** SentencePiece's: ▁ is a space, <0x0A> a byte. */
export function sentencePieceDecoder(dropSpaces: number): Decoder {
  const bytesOf = (text: string) => byteToken(text) ?? utf8.encode(text.replaceAll('▁', ' '));
  return { bytesOf, separator: '', dropSpaces };
}

function byteToken(text: string): Uint8Array | null {
  const byte = byteOfToken(text);
  return byte === null ? null : Uint8Array.of(byte);
}

/** What English writes without a space before it, as Hugging Face's `cleanup` has it. */
const CLEANED: readonly (readonly [string, string])[] = [
  [' .', '.'],
  [' ?', '?'],
  [' !', '!'],
  [' ,', ','],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [' do not', " don't"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
];

/** A space before every entry that begins a word. `spelling` gives the text, and whether it begins a word. */
export function wordPieceDecoder(
  spelling: (entry: string) => { readonly text: string; readonly begins: boolean },
  cleanup: boolean,
): Decoder {
  return {
    bytesOf: (entry) => {
      const { text, begins } = spelling(entry);
      let shown = begins ? ` ${text}` : text;
      if (cleanup) for (const [from, to] of CLEANED) shown = shown.replaceAll(from, to);
      return utf8.encode(shown);
    },
    separator: '',
    dropSpaces: 1,
  };
}

interface Draft {
  readonly rewrites: ((text: string) => string)[];
  bytesOf: (text: string) => Uint8Array;
  byteFallback: boolean;
  fused: boolean;
  dropSpaces: number;
}

export function parseDecoder(value: unknown, place: Place): Decoder {
  if (value === undefined || value === null) return plainDecoder;
  const words = wordPiece(value, place);
  if (words) return words;
  const draft: Draft = {
    rewrites: [],
    bytesOf: (text) => utf8.encode(text),
    byteFallback: false,
    fused: false,
    dropSpaces: 0,
  };
  for (const [step, at] of collectSteps(value, place, 'decoders')) addStep(draft, step, at);
  const { rewrites, bytesOf, byteFallback, dropSpaces } = draft;
  return {
    bytesOf: (text) =>
      (byteFallback ? byteToken(text) : null) ??
      bytesOf(rewrites.reduce((current, rewrite) => rewrite(current), text)),
    separator: '',
    dropSpaces,
  };
}

/** WordPiece's decoder, which stands alone. */
function wordPiece(value: unknown, place: Place): Decoder | null {
  const [[step, at], ...more] = collectSteps(value, place, 'decoders') as [[Fields, Place]];
  if (more.length || !step || typeOf(step, at) !== 'WordPiece') return null;
  const prefix = asString(field(step, 'prefix') ?? '##', at.at('prefix'));
  return wordPieceDecoder(
    (entry) =>
      entry.startsWith(prefix)
        ? { text: entry.slice(prefix.length), begins: false }
        : { text: entry, begins: true },
    flag(step, 'cleanup', true, at),
  );
}

function addStep(draft: Draft, step: Fields, place: Place): void {
  const type = typeOf(step, place);
  switch (type) {
    case 'ByteLevel':
      draft.bytesOf = fromByteCharacters;
      return;
    case 'ByteFallback':
      draft.byteFallback = true;
      return;
    case 'Fuse':
      draft.fused = true;
      return;
    case 'Metaspace': {
      const mark = metaspaceCharacter(step, place);
      draft.rewrites.push((text) => text.replaceAll(mark, ' '));
      if (prependScheme(step, place) !== 'never') draft.dropSpaces = 1;
      return;
    }
    case 'Replace': {
      const expression = parsePattern(field(step, 'pattern'), place.at('pattern'));
      const content = asString(field(step, 'content'), place.at('content'));
      if (content.length > 64) throw place.at('content').expected('a short text', content);
      if (draft.fused) throw place.error('a replacement after Fuse is not supported, only before it');
      draft.rewrites.push((text) => text.replace(expression, () => content));
      return;
    }
    case 'Strip':
      addStrip(draft, step, place);
      return;
    default:
      throw place
        .at('type')
        .expected('a known decoder (ByteLevel, ByteFallback, Metaspace, Replace …)', type);
  }
}

function addStrip(draft: Draft, step: Fields, place: Place): void {
  const character = asString(field(step, 'content'), place.at('content'));
  const start = asCount(field(step, 'start') ?? 0, 64, place.at('start'));
  const stop = asCount(field(step, 'stop') ?? 0, 64, place.at('stop'));
  if (draft.fused) {
    if (character !== ' ' || stop !== 0)
      throw place.error('after Fuse only spaces at the start can be stripped');
    draft.dropSpaces = start;
    return;
  }
  draft.rewrites.push((text) => {
    let from = 0;
    let to = text.length;
    while (from < start && from < to && text[from] === character) from++;
    while (text.length - to < stop && to > from && text[to - 1] === character) to--;
    return text.slice(from, to);
  });
}

/** Joins the bytes of tokens into text, piece by piece. Bytes of an incomplete character are held back. */
export class ByteJoiner {
  // Without `ignoreBOM` a U+FEFF at the start of the text would vanish.
  readonly #text = new TextDecoder('utf-8', { ignoreBOM: true });
  readonly #separator: Uint8Array;
  #dropSpaces: number;
  #isFirst = true;

  constructor(decoder: Decoder, continues: boolean) {
    this.#separator = utf8.encode(decoder.separator);
    this.#dropSpaces = continues ? 0 : decoder.dropSpaces;
    this.#isFirst = !continues;
  }

  push(bytes: Uint8Array): string {
    let out = '';
    if (!this.#isFirst && this.#separator.length > 0)
      out = this.#text.decode(this.#separator, { stream: true });
    this.#isFirst = false;
    let from = 0;
    while (this.#dropSpaces > 0 && from < bytes.length) {
      if (bytes[from] === 0x20) {
        from++;
        this.#dropSpaces--;
      } else this.#dropSpaces = 0;
    }
    return out + this.#text.decode(from === 0 ? bytes : bytes.subarray(from), { stream: true });
  }

  end(): string {
    return this.#text.decode();
  }
}
