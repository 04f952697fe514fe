// Checking drafted tokens so that the result is distributed exactly as without a draft (Leviathan et al. 2023, arXiv
// 2211.17192 §2.3 and appendix A; Chen et al. 2023, arXiv 2302.01318).
//
// A draft that was looked up rather than sampled is certain of its token. The rule then says: accept it with its
// probability p(token), otherwise draw from p without it. Drawing a token from p and asking whether it is the drafted
// one is the same thing: it is with probability p(token), and given that it is not, it is distributed as p without it.
// `verifyDraft` does this. It costs nothing beyond ordinary sampling, takes one draw a token in the same order, and so
// gives, for a seed, the very tokens that undrafted generation gives; greedy needs no case of its own.

import type { Random } from './random.ts';
import type { Sampler } from './sampler.ts';

export interface VerifiedDraft {
  /** How many drafted tokens stand. The session must be rewound to just after them. */
  readonly accepted: number;
  /** These, and one more: the correction of the first refused one, or the token after a wholly accepted draft. */
  readonly tokens: number[];
}

/**
 * Samples along a draft until it departs from it. `logitsAt(i)` are the logits at which draft[i] is predicted; for
 * i = draft.length, those after the whole draft. All returned tokens have been accepted by the sampler.
 */
export function verifyDraft(
  sampler: Sampler,
  draft: readonly number[],
  logitsAt: (index: number) => Float32Array,
): VerifiedDraft {
  const tokens: number[] = [];
  for (let index = 0; ; index++) {
    const { token } = sampler.sample(logitsAt(index));
    sampler.accept(token);
    tokens.push(token);
    if (index >= draft.length || token !== draft[index]) return { accepted: index, tokens };
  }
}

/**
 * One token that a smaller model sampled from `drafted`, checked against `target`, the exact distribution
 * (`Sampler.probabilities`): kept with probability min(1, target / drafted), otherwise replaced by a draw from the
 * positive part of target − drafted. Either way the returned token is distributed as `target`.
 */
export function verifySampled(
  target: Float32Array,
  drafted: Float32Array,
  token: number,
  random: Random,
): { accepted: boolean; token: number } {
  if (random() * drafted[token] < target[token]) return { accepted: true, token };
  let total = 0;
  for (let i = 0; i < target.length; i++) total += Math.max(0, target[i] - drafted[i]);
  let left = random() * total;
  let last = token;
  for (let i = 0; i < target.length; i++) {
    const excess = target[i] - drafted[i];
    if (excess <= 0) continue;
    last = i;
    left -= excess;
    if (left < 0) break;
  }
  return { accepted: false, token: last };
}
