// DRY, "don't repeat yourself": a token that would continue a verbatim repetition of n tokens loses
// multiplier · base^(n − allowedLength) (text-generation-webui pull request 5677, also in llama.cpp).
// Repetitions do not reach across sequence breakers, so that the markup of a chat may recur.
//
// A breaker is text, not a token: the position whose token completes a breaker's text ends the sequence,
// whether the tokenizer makes it one token, part of one, or several, even when it cuts a character. Text is
// compared as UTF-8 bytes.

import { UsageError } from '../errors.ts';
import type { DrySettings } from './options.ts';
import type { HistoryStage } from './penalties.ts';
import type { GenerationTokenizer } from './types.ts';

const defaultBreakers = ['\n', ':', '"', '*'];

/**
 * Beyond this exponent base^n leaves float32 (ln of its largest number), so longer matches need no counting.
 */
const largestLog = 88.7;

export type DryTokenizer = Pick<GenerationTokenizer, 'tokenBytes' | 'tokenText' | 'isSpecial'>;

/** Throws UsageError when breakers are named but no tokenizer can find them. */
export function createDry(settings: DrySettings, tokenizer: DryTokenizer | null): HistoryStage {
  const isBreaker = createBreakerDetector(settings.breakers, tokenizer);
  const history: number[] = [];
  const breaks: boolean[] = [];
  /** For each position the previous one of the same token, or −1: the places where a repetition can end. */
  const previous: number[] = [];
  const latest = new Map<number, number>();
  const longest = new Map<number, number>();
  let lastBreak = -1;
  return {
    accept(token) {
      const position = history.length;
      const breaksHere = isBreaker(token);
      if (breaksHere) lastBreak = position;
      history.push(token);
      breaks.push(breaksHere);
      previous.push(latest.get(token) ?? -1);
      latest.set(token, position);
    },
    apply(logits) {
      const start = settings.window < 0 ? 0 : Math.max(0, history.length - settings.window);
      const last = history.length - 1;
      const limit = Math.min(matchLimit(settings), last - Math.max(lastBreak, start - 1));
      if (limit < settings.allowedLength) return;
      longest.clear();
      for (let end = previous[last]; end >= start; end = previous[end]) {
        if (breaks[end + 1]) continue;
        const length = matchLength(history, end, start, limit);
        if (length > (longest.get(history[end + 1]) ?? 0)) longest.set(history[end + 1], length);
      }
      for (const [token, length] of longest) {
        if (length < settings.allowedLength) continue;
        logits[token] -= settings.multiplier * settings.base ** (length - settings.allowedLength);
      }
    },
  };
}

/** How many tokens that end at `end` equal the ones that end the history; the last one is known to. */
function matchLength(history: readonly number[], end: number, start: number, limit: number): number {
  const last = history.length - 1;
  let length = 1;
  while (length < limit && end - length >= start && history[end - length] === history[last - length])
    length++;
  return length;
}

/** The match length at which the penalty can grow no further. */
function matchLimit({ base, allowedLength }: DrySettings): number {
  return base === 1 ? allowedLength : allowedLength + Math.floor(largestLog / Math.log(base));
}

/** Called with each token in turn, tells which complete the text of a breaker. */
function createBreakerDetector(
  named: readonly string[] | null,
  tokenizer: DryTokenizer | null,
): (token: number) => boolean {
  const breakers = named ?? (tokenizer ? defaultBreakers : []);
  if (breakers.length === 0) return () => false;
  if (!tokenizer) {
    throw new UsageError(
      `option dry.breakers: expected none for a model without a tokenizer, found ${breakers.length}. Leave them out or pass [].`,
    );
  }
  const needles = breakers.map((breaker) => byteString(encoder.encode(breaker)));
  const reach = Math.max(...needles.map((needle) => needle.length)) - 1;
  let tail = '';
  return (token) => {
    const bytes = tokenizer.isSpecial(token)
      ? encoder.encode(tokenizer.tokenText(token))
      : tokenizer.tokenBytes(token);
    const seen = tail + byteString(bytes);
    const completes = needles.some((needle) =>
      seen.includes(needle, Math.max(0, tail.length - needle.length + 1)),
    );
    tail = reach > 0 ? seen.slice(-reach) : '';
    return completes;
  };
}

const encoder = new TextEncoder();

/** One UTF-16 unit a byte. */
function byteString(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}
