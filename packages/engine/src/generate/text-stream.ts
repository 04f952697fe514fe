// From sampled tokens to the text that can be shown: whole characters only, special tokens left out, nothing
// that may yet turn out to be a stop string.

import { UsageError } from '../errors.ts';
import { createStopMatcher, type StopMatch } from './stop-matcher.ts';
import type { GenerationTokenizer } from './types.ts';

export interface TextStream {
  push(token: number): StopMatch;
  /**
   * The rest: what was held back, and what an unfinished character leaves. May still complete a stop string.
   */
  end(): StopMatch;
}

/**
 * Without a tokenizer every text is ''. Throws UsageError when there are stop strings that nothing could
 * match.
 */
export function createTextStream(
  tokenizer: GenerationTokenizer | null,
  stops: readonly string[],
): TextStream {
  if (!tokenizer) {
    if (stops.length > 0) {
      throw new UsageError(
        `option stop: expected none for a model without a tokenizer, found ${stops.length}. Use stopTokens.`,
      );
    }
    const nothing = { text: '', stop: null };
    return { push: () => nothing, end: () => nothing };
  }
  const stream = tokenizer.createStreamDecoder({ skipSpecial: true, continues: true });
  const matcher = createStopMatcher(stops);
  const end = () => {
    const { text, stop } = matcher.push(stream.end());
    return { text: text + matcher.end(), stop };
  };
  return {
    push(token) {
      // A special token has no text of its own here, but callers do name one (`<|im_end|>`) as a stop string.
      const name = stops.length > 0 && tokenizer.isSpecial(token) ? tokenizer.tokenText(token) : '';
      if (name !== '' && stops.includes(name)) return { text: end().text, stop: name };
      return matcher.push(stream.push(token));
    },
    end,
  };
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** A token on its own: U+FFFD for bytes that are no whole character, its name for a special token. */
export function textOfToken(tokenizer: GenerationTokenizer | null, token: number): string {
  if (!tokenizer) return '';
  return tokenizer.isSpecial(token)
    ? tokenizer.tokenText(token)
    : decoder.decode(tokenizer.tokenBytes(token));
}
