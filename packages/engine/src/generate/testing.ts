// A scripted model for tests: a session that predicts what it is told to, and a tokenizer of byte pieces.
// Deterministic, without weights.

import { Masks } from '../grammar/mask/masks.ts';
import { GrammarVocabulary } from '../grammar/mask/vocabulary.ts';
import type { GenerationTokenizer, TokenModel, TokenSession } from './types.ts';

export interface ScriptedSession extends TokenSession {
  /** How often tokens were fed, and how many. */
  readonly calls: readonly number[];
  /** What the session was left with. */
  readonly pending: readonly (number | null)[];
}

export interface ScriptedOptions {
  vocabularySize: number;
  /** The logits that follow a sequence of tokens. */
  predict: (tokens: readonly number[]) => Float32Array;
  /** Tokens that the session carries from before. */
  carried?: readonly number[] | undefined;
  /** Called before each prompt token is taken in: a place to abort at. */
  onToken?: ((position: number) => void) | undefined;
}

/**
 * Takes tokens in one at a time and gives way to timers in between, so that an abort can come at any of them.
 */
export function createScriptedSession(options: ScriptedOptions): ScriptedSession {
  const tokens: number[] = [...(options.carried ?? [])];
  const calls: number[] = [];
  const pending: (number | null)[] = [];
  const view = new Float32Array(options.vocabularySize);
  const feed = async (added: readonly number[], signal?: AbortSignal) => {
    calls.push(added.length);
    for (const token of added) {
      options.onToken?.(tokens.length);
      signal?.throwIfAborted();
      tokens.push(token);
      await Promise.resolve();
    }
    // One view for all calls, as a real session has: whoever keeps it too long sees it change.
    view.set(options.predict(tokens));
    return view;
  };
  return {
    tokens,
    calls,
    pending,
    get position() {
      return tokens.length;
    },
    logits: null,
    prefill: feed,
    next: (...chosen) => feed(chosen),
    async end(token) {
      pending.push(token);
    },
  };
}

/** Predicts `script` after a prompt of `promptLength` tokens, then token 0 for ever. */
export function followScript(script: readonly number[], promptLength: number, vocabularySize: number) {
  return (tokens: readonly number[]): Float32Array => {
    const logits = new Float32Array(vocabularySize);
    logits[script[tokens.length - promptLength] ?? 0] = 10;
    return logits;
  };
}

/** Token i stands for the bytes of `pieces[i]`; the tokens after them are special, with these names. */
export function createPieceTokenizer(
  pieces: readonly (string | Uint8Array)[],
  special: readonly string[] = [],
): GenerationTokenizer {
  const encoder = new TextEncoder();
  const bytes = pieces.map((piece) => (typeof piece === 'string' ? encoder.encode(piece) : piece));
  const nothing = new Uint8Array(0);
  return {
    encode: (text) => longestPieces(bytes, encoder.encode(text)),
    isSpecial: (token) => token >= bytes.length,
    tokenBytes: (token) => bytes[token] ?? nothing,
    // Deliberately not the text, as in real vocabularies.
    tokenText: (token) => special[token - bytes.length] ?? `Ġ${token}`,
    createStreamDecoder(options) {
      const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
      return {
        push(token) {
          const name = options?.skipSpecial ? undefined : special[token - bytes.length];
          return decoder.decode(name === undefined ? bytes[token] : encoder.encode(name), { stream: true });
        },
        end: () => decoder.decode(),
      };
    },
  };
}

/** At every place the longest piece that stands there; places without any are skipped. */
function longestPieces(pieces: readonly Uint8Array[], text: Uint8Array): number[] {
  const tokens: number[] = [];
  for (let at = 0; at < text.length; ) {
    let best = -1;
    pieces.forEach((piece, token) => {
      const fits =
        piece.length > (pieces[best]?.length ?? 0) && piece.every((byte, i) => byte === text[at + i]);
      if (fits) best = token;
    });
    if (best >= 0) tokens.push(best);
    at += pieces[best]?.length ?? 1;
  }
  return tokens;
}

export function createScriptedModel(
  vocabularySize: number,
  tokenizer: GenerationTokenizer | null = null,
  overrides: Partial<TokenModel> = {},
): TokenModel {
  const { endTokens = [] } = overrides;
  let masks: Masks | null = null;
  return {
    vocabularySize,
    tokenizer,
    endTokens,
    get masks() {
      if (tokenizer)
        masks ??= new Masks(
          new GrammarVocabulary({ ...tokenizer, vocabularySize }, vocabularySize, endTokens),
        );
      return masks;
    },
    contextLength: Infinity,
    recommended: {},
    ...overrides,
  };
}
