// Likelihoods from rows of logits, in double precision.

/** log Σ exp(logits) of one row. */
export function logSumExp(logits: Float32Array, from: number, count: number): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (let i = from; i < from + count; i++) if (logits[i]! > largest) largest = logits[i]!;
  let sum = 0;
  for (let i = from; i < from + count; i++) sum += Math.exp(logits[i]! - largest);
  return largest + Math.log(sum);
}

/** Index of the largest, the first of equals. */
export function likeliest(logits: Float32Array, from: number, count: number): number {
  let best = 0;
  for (let i = 1; i < count; i++) if (logits[from + i]! > logits[from + best]!) best = i;
  return best;
}

/** KL(p ‖ q) in nats of the distributions that two rows of logits stand for. */
export function divergence(p: Float32Array, q: Float32Array, from: number, count: number): number {
  const logP = logSumExp(p, from, count);
  const logQ = logSumExp(q, from, count);
  let sum = 0;
  for (let i = from; i < from + count; i++) {
    const log = p[i]! - logP;
    const probability = Math.exp(log);
    if (probability > 0) sum += probability * (log - (q[i]! - logQ));
  }
  // Rounding can leave a tiny negative number where the two are equal.
  return Math.max(0, sum);
}
