// The few statistics that reports state: intervals for means and proportions, and paired tests of two systems
// on the same items. All deterministic; the bootstrap takes its seed.
import { createRandom } from '@marimba/engine/measure';

/** Ends of an interval, 95 % unless said otherwise. */
export interface Interval {
  /** −∞ where a single value says nothing about the spread. */
  readonly low: number;
  /** +∞ where a single value says nothing about the spread. */
  readonly high: number;
}

/** A mean with Student's t interval. */
export interface Mean extends Interval {
  /** Arithmetic mean; NaN of no values. */
  readonly mean: number;
  /** Sample standard deviation; 0 for one value. */
  readonly deviation: number;
  /** Number of values. */
  readonly count: number;
}

export const average = (values: readonly number[]): number =>
  values.reduce((sum, v) => sum + v, 0) / values.length;

/** Student's t interval for the mean. Of one value nothing is known: the interval is infinite. */
export function meanInterval(values: readonly number[], confidence = 0.95): Mean {
  const count = values.length;
  const mean = average(values);
  if (count < 2)
    return { mean, deviation: 0, count, low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY };
  const deviation = Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (count - 1));
  const half = (studentQuantile(0.5 + confidence / 2, count - 1) * deviation) / Math.sqrt(count);
  return { mean, deviation, count, low: mean - half, high: mean + half };
}

/**
 * Wilson's score interval for a proportion (Wilson 1927): sound for few items and for shares near 0 and 1.
 */
export function wilson(successes: number, trials: number, z = 1.959_963_984_540_054): Interval {
  if (trials === 0) return { low: 0, high: 1 };
  const p = successes / trials;
  const denominator = 1 + (z * z) / trials;
  const centre = (p + (z * z) / (2 * trials)) / denominator;
  const half = (z * Math.sqrt((p * (1 - p)) / trials + (z * z) / (4 * trials * trials))) / denominator;
  // At the ends the formula is exact up to rounding.
  return {
    low: successes === 0 ? 0 : Math.max(0, centre - half),
    high: successes === trials ? 1 : Math.min(1, centre + half),
  };
}

/**
 * McNemar's exact test: of the items that only one of two systems got right, `onlyFirst` were the first's.
 * The probability of a split at least this uneven when both are equally good (two-sided).
 */
export function mcNemarExact(onlyFirst: number, onlySecond: number): number {
  const n = onlyFirst + onlySecond;
  if (n === 0) return 1;
  let tail = 0;
  for (let k = 0; k <= Math.min(onlyFirst, onlySecond); k++) tail += Math.exp(logChoose(n, k) - n * Math.LN2);
  return Math.min(1, 2 * tail);
}

/** Percentile bootstrap of the mean of paired differences (Efron 1979). */
export function pairedBootstrap(
  differences: readonly number[],
  options: { samples?: number; seed?: number; confidence?: number } = {},
): Interval & { mean: number } {
  const { samples = 2000, seed = 1, confidence = 0.95 } = options;
  const n = differences.length;
  if (n === 0) return { mean: 0, low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY };
  const random = createRandom(seed);
  const means = Float64Array.from({ length: samples }, () => {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += differences[Math.floor(random() * n)]!;
    return sum / n;
  }).sort();
  const at = (q: number) => means[Math.min(samples - 1, Math.max(0, Math.round(q * (samples - 1))))]!;
  return { mean: average(differences), low: at((1 - confidence) / 2), high: at((1 + confidence) / 2) };
}

const logChoose = (n: number, k: number): number => logGamma(n + 1) - logGamma(k + 1) - logGamma(n - k + 1);

/** Stirling's series after shifting the argument beyond 10: good to 1e-13. */
function logGamma(x: number): number {
  let shift = 0;
  while (x < 10) shift -= Math.log(x++);
  const inverse = 1 / (x * x);
  const series = (1 / 12 - inverse * (1 / 360 - inverse * (1 / 1260 - inverse / 1680))) / x;
  return shift + (x - 0.5) * Math.log(x) - x + Math.log(2 * Math.PI) / 2 + series;
}

/**
 * The value that Student's t with `freedom` degrees of freedom stays below with this probability (0.5 … 1).
 */
export function studentQuantile(probability: number, freedom: number): number {
  let low = 0;
  let high = 1;
  while (studentBelow(high, freedom) < probability && high < 1e9) high *= 2;
  for (let i = 0; i < 100; i++) {
    const middle = (low + high) / 2;
    if (studentBelow(middle, freedom) < probability) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

function studentBelow(t: number, freedom: number): number {
  return 1 - incompleteBeta(freedom / (freedom + t * t), freedom / 2, 0.5) / 2;
}

/**
 * Regularised incomplete beta function by its continued fraction (Abramowitz & Stegun 26.5.8), Lentz's
 * method.
 */
function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
  const front =
    Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log(1 - x)) / a;
  let c = 1;
  let d = 1 / (1 - ((a + b) * x) / (a + 1));
  let result = d;
  for (let m = 1; m < 300; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / (1 + even * d);
    c = 1 + even / c;
    result *= c * d;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / (1 + odd * d);
    c = 1 + odd / c;
    result *= c * d;
    if (Math.abs(c * d - 1) < 1e-14) break;
  }
  return front * result;
}
