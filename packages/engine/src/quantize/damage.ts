// Measures how far a quantised model's predictions are from the original's: at every position of a text, the
// Kullback–Leibler divergence of the two next-token distributions (in nats), and whether both rank the same
// token first.

/** Over the positions of a text. */
export interface Divergence {
  readonly positions: number;
  readonly meanKl: number;
  /** 99 % of positions are at most this. */
  readonly p99Kl: number;
  readonly maxKl: number;
  /** Share of positions where both rank the same token first. */
  readonly topAgreement: number;
  /** Of the text's own next tokens; null for random tokens. */
  readonly perplexity: { readonly original: number; readonly quantised: number } | null;
}

/** Collects one position at a time, as rows of logits [vocabulary]. */
export class DivergenceMeter {
  readonly #kl: number[] = [];
  #agreed = 0;
  #nll = { original: 0, quantised: 0, count: 0 };

  /** `next` is the token that follows in the text; null at its end. */
  add(original: Float32Array, quantised: Float32Array, next: number | null): void {
    const a = normaliser(original);
    const b = normaliser(quantised);
    let kl = 0;
    for (let i = 0; i < original.length; i++) {
      const p = original[i]! - a.logSum;
      kl += Math.exp(p) * (p - (quantised[i]! - b.logSum));
    }
    // Rounding can give a tiny negative number where both are equal.
    this.#kl.push(Math.max(0, kl));
    if (a.top === b.top) this.#agreed++;
    if (next === null) return;
    this.#nll.original += a.logSum - original[next]!;
    this.#nll.quantised += b.logSum - quantised[next]!;
    this.#nll.count++;
  }

  result(): Divergence {
    const sorted = [...this.#kl].sort((x, y) => x - y);
    const positions = sorted.length;
    const { original, quantised, count } = this.#nll;
    return {
      positions,
      meanKl: sorted.reduce((sum, kl) => sum + kl, 0) / positions,
      p99Kl: sorted[Math.min(positions - 1, Math.floor(positions * 0.99))]!,
      maxKl: sorted.at(-1)!,
      topAgreement: this.#agreed / positions,
      perplexity: count
        ? { original: Math.exp(original / count), quantised: Math.exp(quantised / count) }
        : null,
    };
  }
}

function normaliser(logits: Float32Array): { logSum: number; top: number } {
  let top = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i]! > logits[top]!) top = i;
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i]! - logits[top]!);
  return { logSum: logits[top]! + Math.log(sum), top };
}

/** The same tokens on every machine (mulberry32), for models without a tokenizer. */
export function seededTokens(count: number, vocabularySize: number, seed = 1): number[] {
  let state = seed >>> 0;
  return Array.from({ length: count }, () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % vocabularySize;
  });
}
