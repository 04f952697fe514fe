// Log-probabilities under the unprocessed logits (log-softmax at temperature 1): what the model thinks,
// whatever the sampling options made of it, as the OpenAI API and transformers' `compute_transition_scores`
// on raw logits report.

import { type AllowedTokens, keepAllowed } from './allowed.ts';
import { keyIndex, selectTop } from './select.ts';

export interface LogprobReader {
  /** Reads one position; `alternatives` most likely tokens, best first. */
  read(logits: Float32Array, token: number): { logprob: number; top: { token: number; logprob: number }[] };
}

export function createLogprobReader(alternatives: number, vocabularySize: number): LogprobReader {
  // Sized for the heap of `selectTop`, which never holds more than it returns.
  const keys = new Float64Array(Math.min(alternatives, vocabularySize));
  return {
    read(logits, token) {
      const normaliser = logSumExp(logits);
      const count = alternatives > 0 ? selectTop(logits, alternatives, keys) : 0;
      const top = Array.from(keys.subarray(0, count), (key) => {
        const id = keyIndex(key);
        return { token: id, logprob: logits[id] - normaliser };
      });
      return { logprob: logits[token] - normaliser, top };
    },
  };
}

/** ln of the probability of all allowed tokens. */
export function allowedLogprob(logits: Float32Array, allowed: AllowedTokens): number {
  const kept = new Float32Array(logits.length);
  keepAllowed(logits, allowed, kept);
  return logSumExp(kept) - logSumExp(logits);
}

/** ln Σ exp(logit), summed in double around the maximum. */
export function logSumExp(logits: Float32Array): number {
  let max = -Infinity;
  for (let i = 0; i < logits.length; i++) if (logits[i] > max) max = logits[i];
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i] - max);
  return max + Math.log(sum);
}
