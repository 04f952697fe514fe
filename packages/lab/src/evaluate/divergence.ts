// How far a model (quantised, say) has moved from its original: both read the same tokens, and their
// next-token distributions are compared at every position. Mean KL divergence in nats, and how often the
// likeliest token is the same.
//
// Without a text the original writes one itself, by plain sampling at temperature 1: then the mean is an
// estimate of the divergence where the model actually goes, and models without a tokenizer can be compared
// too.
import { type Model, UsageError } from '@marimba/engine';
import { createRandom, type Random } from '@marimba/engine/measure';
import { type Interval, meanInterval, wilson } from '../statistics.ts';
import { divergence, likeliest, logSumExp } from './probabilities.ts';

/** How far two models' next-token distributions are apart. */
export interface DivergenceReport {
  /** Positions compared, those of all sequences together. */
  readonly positions: number;
  /** Mean of KL(original ‖ other) over positions, in nats. */
  readonly meanDivergence: number;
  /** 95 % interval of the mean, from the means of sequences. Its upper end is infinite for one sequence. */
  readonly divergenceInterval: Interval;
  /** Largest KL divergence at a single position, in nats. */
  readonly largestDivergence: number;
  /** 99 of 100 positions stay below this many nats. */
  readonly percentile99: number;
  /** Share of positions where both models' likeliest token is the same, with its 95 % interval. */
  readonly topAgreement: Interval & { readonly value: number };
  /** Mean negative log-likelihood of the tokens that follow, in nats: of the original, and of the other. */
  readonly losses: readonly [number, number];
}

/** What `compareDistributions` reads. */
export interface DivergenceOptions {
  /**
   * Token sequences to read, each at most a context long. Default: the original samples them itself at
   * temperature 1.
   */
  readonly sequences?: readonly (readonly number[])[] | undefined;
  /** Sequences to sample. Default 4. */
  readonly count?: number | undefined;
  /** Tokens per sampled sequence, cut at the model's context. Default 128. */
  readonly length?: number | undefined;
  /** Seeds the sampling. Default 1. */
  readonly seed?: number | undefined;
  /** Called after each sequence, with sequences done and their total. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** Stops at the next chunk of 32 tokens; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

const CHUNK = 32;

/**
 * Compares the next-token distributions of two models at every position of the same tokens: of a quantised
 * model and its original, say. Throws UsageError for different vocabulary sizes, or where no sequence has two
 * tokens.
 */
export async function compareDistributions(
  original: Model,
  other: Model,
  options: DivergenceOptions = {},
): Promise<DivergenceReport> {
  if (original.vocabularySize !== other.vocabularySize)
    throw new UsageError(
      `compare: expected two models with the same vocabulary, found ${original.vocabularySize} and ${other.vocabularySize} tokens`,
    );
  const sequences = options.sequences ?? (await writeSequences(original, options));
  if (!sequences.some((s) => s.length > 1))
    throw new UsageError('compare: expected sequences of at least two tokens, found none');
  const perSequence: { divergences: number[]; agreed: number; losses: [number, number]; scored: number }[] =
    [];
  for (const [i, tokens] of sequences.entries()) {
    perSequence.push(await compareOn(original, other, tokens, options.signal));
    options.onProgress?.(i + 1, sequences.length);
  }
  const all = Float64Array.from(perSequence.flatMap((s) => s.divergences)).sort();
  const sum = (of: (s: (typeof perSequence)[number]) => number) =>
    perSequence.reduce((total, s) => total + of(s), 0);
  const means = perSequence
    .filter((s) => s.divergences.length)
    .map((s) => s.divergences.reduce((a, b) => a + b, 0) / s.divergences.length);
  const { low, high } = meanInterval(means);
  const agreed = sum((s) => s.agreed);
  const scored = sum((s) => s.scored);
  return {
    positions: all.length,
    meanDivergence: all.reduce((a, b) => a + b, 0) / all.length,
    divergenceInterval: { low: Math.max(0, low), high },
    largestDivergence: all.at(-1)!,
    percentile99: all[Math.floor((all.length - 1) * 0.99)]!,
    topAgreement: { value: agreed / all.length, ...wilson(agreed, all.length) },
    losses: [sum((s) => s.losses[0]) / scored, sum((s) => s.losses[1]) / scored],
  };
}

async function compareOn(original: Model, other: Model, tokens: readonly number[], signal?: AbortSignal) {
  const v = original.vocabularySize;
  const sessions = [original.createSession(), other.createSession()] as const;
  const result = { divergences: [] as number[], agreed: 0, losses: [0, 0] as [number, number], scored: 0 };
  const options = { signal };
  try {
    for (let from = 0; from < tokens.length; from += CHUNK) {
      const chunk = tokens.slice(from, from + CHUNK);
      const [[first], [second]] = await Promise.all([
        original.step([{ session: sessions[0], tokens: chunk, logits: 'all' }], options),
        other.step([{ session: sessions[1], tokens: chunk, logits: 'all' }], options),
      ]);
      const [p, q] = [first!.logits!, second!.logits!];
      for (let k = 0; k < chunk.length; k++) {
        result.divergences.push(divergence(p, q, k * v, v));
        if (likeliest(p, k * v, v) === likeliest(q, k * v, v)) result.agreed++;
        const next = tokens[from + k + 1];
        if (next === undefined) continue;
        result.losses[0] += logSumExp(p, k * v, v) - p[k * v + next]!;
        result.losses[1] += logSumExp(q, k * v, v) - q[k * v + next]!;
        result.scored++;
      }
    }
    return result;
  } finally {
    for (const session of sessions) session.close();
  }
}

/** Sequences by the model itself, all at once, from the begin token or a random one. */
async function writeSequences(
  model: Model,
  { count = 4, length = 128, seed = 1, signal }: DivergenceOptions,
): Promise<number[][]> {
  const randoms = Array.from({ length: count }, (_, i) => createRandom(seed * 1000 + i));
  const sequences = randoms.map((random) => [
    model.spec.beginToken ?? Math.floor(random() * model.vocabularySize),
  ]);
  const sessions = sequences.map(() => model.createSession());
  try {
    for (let n = 1; n < Math.min(length, model.contextLength); n++) {
      const results = await model.step(
        sequences.map((s, i) => ({ session: sessions[i]!, tokens: [s.at(-1)!] })),
        { signal },
      );
      results.forEach(({ logits }, i) => sequences[i]!.push(drawToken(logits!, randoms[i]!)));
    }
    return sequences;
  } finally {
    for (const session of sessions) session.close();
  }
}

function drawToken(logits: Float32Array, random: Random): number {
  const total = logSumExp(logits, 0, logits.length);
  let left = random();
  for (let i = 0; i < logits.length; i++) {
    left -= Math.exp(logits[i]! - total);
    if (left < 0) return i;
  }
  return likeliest(logits, 0, logits.length);
}
