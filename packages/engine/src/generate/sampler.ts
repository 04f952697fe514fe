// From the logits of one position to a token. The stages, in this order:
//
//   mask of the output format             leaves what may come, before any other stage sees the rest
//   penalties → DRY → logit bias          change single logits (order of llama.cpp, but for the bias, which comes last so
//                                         that no penalty rescales what the caller asked for)
//   temperature                           first of the rest as in transformers, vLLM and the OpenAI API, so that top-p and
//                                         the others see the tempered distribution; llama.cpp has it last by default
//   top-k → typical → top-p → min-p → XTC the order of llama.cpp; each renormalises what the one before it left
//
// Greedy (temperature 0) is a single scan after the logit changes: nothing that is cut off could be the
// maximum. Buffers are made once; a sampled token allocates a few small objects and never an array of the
// vocabulary's size.

import { ModelError, UsageError } from '../errors.ts';
import { type AllowedTokens, keepAllowed } from './allowed.ts';
import {
  type Candidates,
  collect,
  createCandidates,
  excludedTop,
  excludeTop,
  keepMinP,
  keepTopP,
  keepTypical,
  totalWeight,
} from './candidates.ts';
import { createDry, type DryTokenizer } from './dry.ts';
import { isToken, resolveSampling, type SamplingSettings } from './options.ts';
import { createPenalties, type HistoryStage } from './penalties.ts';
import { createRandom } from './random.ts';
import { vocabularyLimit } from './select.ts';
import type { SamplingOptions } from './types.ts';

export interface SampledToken {
  readonly token: number;
  /** Under the processed distribution from which it was drawn. */
  readonly probability: number;
}

export interface Sampler {
  /** The given seed, or the one that was chosen. */
  readonly seed: number;
  /** Adds a token of the prompt or of the answer to the history that penalties and DRY look at. */
  accept(token: number): void;
  /**
   * Draws a token, of those that are allowed where that is given, and leaves the logits as they are. Does not
   * accept it. Throws ModelError when nothing can be chosen.
   */
  sample(logits: Float32Array, allowed?: AllowedTokens | null): SampledToken;
  /**
   * Writes the exact distribution that `sample` draws from. With XTC, which acts on chance, it is the mixture
   * of both outcomes. Uses no random number.
   */
  probabilities(logits: Float32Array, out: Float32Array): void;
}

/** Throws UsageError for options that cannot mean anything. */
export function createSampler(
  options: SamplingOptions,
  vocabularySize: number,
  tokenizer: DryTokenizer | null,
): Sampler {
  if (!Number.isInteger(vocabularySize) || vocabularySize < 1 || vocabularySize > vocabularyLimit) {
    throw new UsageError(
      `vocabularySize: expected an integer from 1 to ${vocabularyLimit}, found ${vocabularySize}.`,
    );
  }
  const settings = resolveSampling(options, vocabularySize);
  const history = [createPenalties(settings), settings.dry && createDry(settings.dry, tokenizer)].filter(
    (stage) => stage !== null,
  );
  const process = createLogitProcessor(history, settings.logitBias, vocabularySize);
  const choose = settings.temperature === 0 ? createGreedy() : createChance(settings, vocabularySize);
  return {
    seed: settings.seed,
    accept(token) {
      if (!isToken(token, vocabularySize)) {
        throw new UsageError(`token: expected an id from 0 to ${vocabularySize - 1}, found ${token}.`);
      }
      for (const stage of history) stage.accept(token);
    },
    sample: (logits, allowed = null) => choose.sample(process(logits, allowed)),
    probabilities(logits, out) {
      if (out.length !== vocabularySize) throw lengthError('out', vocabularySize, out.length);
      choose.probabilities(process(logits, null), out.fill(0));
    },
  };
}

/** Chooses from processed logits. */
interface Choice {
  sample(logits: Float32Array): SampledToken;
  /** `out` is all zero before. */
  probabilities(logits: Float32Array, out: Float32Array): void;
}

/** Applies what changes single logits, on a copy; returns the logits themselves when nothing does. */
function createLogitProcessor(
  history: readonly HistoryStage[],
  bias: ReadonlyMap<number, number>,
  vocabularySize: number,
): (logits: Float32Array, allowed: AllowedTokens | null) => Float32Array {
  const changes = history.length + bias.size > 0;
  let copy: Float32Array | null = null;
  return (logits, allowed) => {
    if (logits.length !== vocabularySize) throw lengthError('logits', vocabularySize, logits.length);
    if (!changes && !allowed) return logits;
    copy ??= new Float32Array(vocabularySize);
    if (allowed) keepAllowed(logits, allowed, copy);
    else copy.set(logits);
    for (const stage of history) stage.apply(copy);
    for (const [token, change] of bias) copy[token] = change === -Infinity ? change : copy[token] + change;
    return copy;
  };
}

function createGreedy(): Choice {
  return {
    sample: (logits) => ({ token: likeliest(logits), probability: 1 }),
    probabilities(logits, out) {
      out[likeliest(logits)] = 1;
    },
  };
}

function createChance(settings: SamplingSettings, vocabularySize: number): Choice {
  const candidates = createCandidates(vocabularySize);
  const random = createRandom(settings.seed);
  const { xtc } = settings;
  const narrow = (logits: Float32Array) => {
    collect(candidates, logits, logits[likeliest(logits)], settings.topK, settings.temperature);
    if (settings.typicalP < 1) keepTypical(candidates, settings.typicalP);
    if (settings.topP < 1) keepTopP(candidates, settings.topP);
    if (settings.minP > 0) keepMinP(candidates, settings.minP);
  };
  return {
    sample(logits) {
      narrow(logits);
      if (xtc && random() < xtc.probability) {
        const excluded = excludedTop(candidates, xtc.threshold);
        if (excluded) excludeTop(candidates, excluded);
      }
      return draw(candidates, random());
    },
    probabilities(logits, out) {
      narrow(logits);
      const excluded = xtc && excludedTop(candidates, xtc.threshold);
      addShares(candidates, excluded ? 1 - xtc.probability : 1, out);
      if (!excluded) return;
      excludeTop(candidates, excluded);
      addShares(candidates, xtc.probability, out);
    },
  };
}

/** The token at the fraction `at` of the summed weights. */
function draw(candidates: Candidates, at: number): SampledToken {
  const total = totalWeight(candidates);
  const target = at * total;
  const last = candidates.count - 1;
  let index = 0;
  let sum = candidates.weights[0];
  while (sum <= target && index < last) sum += candidates.weights[++index];
  return { token: candidates.ids[index], probability: candidates.weights[index] / total };
}

function addShares(candidates: Candidates, share: number, out: Float32Array): void {
  const scale = share / totalWeight(candidates);
  for (let i = 0; i < candidates.count; i++) out[candidates.ids[i]] += candidates.weights[i] * scale;
}

/** The lowest id of the largest logit. */
function likeliest(logits: Float32Array): number {
  let best = -Infinity;
  let token = -1;
  for (let i = 0; i < logits.length; i++) {
    // "Not less or equal" also lets NaN in, so that looking for it costs nothing.
    if (!(logits[i] <= best)) {
      if (Number.isNaN(logits[i])) throw nanError(logits);
      best = logits[i];
      token = i;
    }
  }
  if (token < 0) {
    throw new ModelError(
      `logits: expected at least one above -Infinity, found none among ${logits.length}. Every token is forbidden: check logitBias, and whether the vocabulary can spell what option output wants.`,
    );
  }
  return token;
}

function nanError(logits: Float32Array): ModelError {
  const count = logits.reduce((sum, logit) => sum + (Number.isNaN(logit) ? 1 : 0), 0);
  return new ModelError(
    `logits: expected numbers, found ${count} NaN among ${logits.length}, the first at token ${logits.findIndex(Number.isNaN)}. ` +
      'The weights may be damaged: verify the file, or compare with the reference backend.',
  );
}

function lengthError(subject: string, expected: number, found: number): UsageError {
  return new UsageError(`${subject}: expected ${expected} values, one a token, found ${found}.`);
}
