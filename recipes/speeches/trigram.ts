// The yardstick: an interpolated trigram model with modified Kneser-Ney smoothing (Chen & Goodman 1999, "An empirical study
// of smoothing techniques for language modeling", section 3.3) over the same tokens, trained on the same text.
//   p(w | u v) = max(c(u v w) - D, 0) / c(u v ·) + γ(u v) p(w | v)
// where lower orders count in how many different contexts an n-gram was seen, D is D1, D2 or D3+ by the count, estimated
// from the numbers of n-grams that occur one to four times, and the lowest order is mixed with the uniform distribution.
// Documents begin with two begin marks, which are context but are never predicted.

/** N-grams of one order: discounted probability mass by context. */
interface Order {
  readonly counts: ReadonlyMap<number, number>;
  /** Of each context: the sum of its counts, and how many words have a count of 1, 2, and 3 or more. */
  readonly contexts: ReadonlyMap<number, Float64Array>;
  readonly discounts: readonly [number, number, number, number];
}

export class Trigram {
  readonly #base: number;
  readonly #orders: readonly [Order, Order, Order];

  /** `documents` are token ids from 0 to `vocabularySize` - 1. */
  constructor(documents: Iterable<readonly number[]>, vocabularySize: number) {
    // One id more: the begin mark. Three of them in one number stay exact up to vocabularies of 200,000.
    this.#base = vocabularySize + 1;
    const trigrams = new Map<number, number>();
    for (const document of documents) {
      let [u, v] = [vocabularySize, vocabularySize];
      for (const w of document) {
        const key = (u * this.#base + v) * this.#base + w;
        trigrams.set(key, (trigrams.get(key) ?? 0) + 1);
        u = v;
        v = w;
      }
    }
    if (!trigrams.size) throw new Error('trigram: expected text to count, found none');
    const bigrams = continuations(trigrams, this.#base ** 2);
    const unigrams = continuations(bigrams, this.#base);
    this.#orders = [order(unigrams, this.#base), order(bigrams, this.#base), order(trigrams, this.#base)];
  }

  /** p(w | u v). */
  probability(u: number, v: number, w: number): number {
    const uniform = 1 / (this.#base - 1);
    const one = smoothed(this.#orders[0], 0, w, uniform);
    const two = smoothed(this.#orders[1], v, v * this.#base + w, one);
    const context = u * this.#base + v;
    return smoothed(this.#orders[2], context, context * this.#base + w, two);
  }

  /** Negative log-likelihood, in nats, of a document's tokens from `from` on. */
  loss(document: readonly number[], from = 0): number {
    const begin = this.#base - 1;
    let sum = 0;
    for (let i = from; i < document.length; i++)
      sum -= Math.log(this.probability(document[i - 2] ?? begin, document[i - 1] ?? begin, document[i]!));
    return sum;
  }
}

/** In how many different contexts each shorter n-gram was seen: the first word of each key is dropped. */
function continuations(counts: ReadonlyMap<number, number>, modulus: number): Map<number, number> {
  const shorter = new Map<number, number>();
  for (const key of counts.keys()) shorter.set(key % modulus, (shorter.get(key % modulus) ?? 0) + 1);
  return shorter;
}

function order(counts: ReadonlyMap<number, number>, base: number): Order {
  const contexts = new Map<number, Float64Array>();
  const occurring = [0, 0, 0, 0, 0];
  for (const [key, count] of counts) {
    const context = Math.floor(key / base);
    let sums = contexts.get(context);
    if (!sums) contexts.set(context, (sums = new Float64Array(4)));
    sums[0]! += count;
    sums[Math.min(count, 3)]!++;
    if (count <= 4) occurring[count]!++;
  }
  const [, n1 = 0, n2 = 0, n3 = 0, n4 = 0] = occurring;
  // Chen & Goodman's estimates; a text too small to estimate from gets 0.5, 1, 1.5.
  const y = n1 / (n1 + 2 * n2);
  const estimate = (k: number, more: number, fewer: number) =>
    fewer && more ? Math.min(k, Math.max(0.1, k - (k + 1) * y * (more / fewer))) : k / 2;
  return { counts, contexts, discounts: [0, estimate(1, n2, n1), estimate(2, n3, n2), estimate(3, n4, n3)] };
}

function smoothed(
  { counts, contexts, discounts }: Order,
  context: number,
  key: number,
  lower: number,
): number {
  const sums = contexts.get(context);
  if (!sums) return lower;
  const count = counts.get(key) ?? 0;
  const kept = Math.max(0, count - discounts[Math.min(count, 3)]!);
  const freed = discounts[1] * sums[1]! + discounts[2] * sums[2]! + discounts[3] * sums[3]!;
  return (kept + freed * lower) / sums[0]!;
}
