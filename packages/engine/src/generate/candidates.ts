// The tokens that can still be chosen and their unnormalised probabilities, and the stages that cut this set
// down. Each stage keeps the order of the candidates, keeps at least one, and treats the ones before it as
// the whole distribution (what is left is renormalised), as llama.cpp and transformers do.

import { ascendingKey, descendingKey, keyIndex, selectTop } from './select.ts';

/** The first `count` entries of `ids` and `weights` are real; weights are positive and at most 1. */
export interface Candidates {
  readonly ids: Int32Array;
  readonly weights: Float64Array;
  /** Scratch for packed keys. */
  readonly keys: Float64Array;
  count: number;
}

export function createCandidates(vocabularySize: number): Candidates {
  return {
    ids: new Int32Array(vocabularySize),
    weights: new Float64Array(vocabularySize),
    keys: new Float64Array(vocabularySize),
    count: 0,
  };
}

/** All tokens, or the `topK` most likely ones when that is above 0; `max` is the largest of the logits. */
export function collect(
  c: Candidates,
  logits: Float32Array,
  max: number,
  topK: number,
  temperature: number,
): void {
  const { ids, weights, keys } = c;
  const limited = topK > 0 && topK < logits.length;
  const length = limited ? selectTop(logits, topK, keys) : logits.length;
  let count = 0;
  for (let i = 0; i < length; i++) {
    const id = limited ? keyIndex(keys[i]) : i;
    const logit = logits[id];
    // A logit of +Infinity takes everything, shared with its equals: Infinity − Infinity would be NaN.
    const weight = logit === max ? 1 : Math.exp((logit - max) / temperature);
    if (weight === 0) continue;
    ids[count] = id;
    weights[count++] = weight;
  }
  c.count = count;
}

/**
 * The fewest most likely candidates that hold the fraction `p` of the mass; ties go to the earlier candidate.
 */
export function keepTopP(c: Candidates, p: number): void {
  const target = p * totalWeight(c);
  const { boundary, mass } = boundaryBucket(c, target);
  // Only the bucket in which the sum crosses the target needs an order.
  let keyed = 0;
  for (let i = 0; i < c.count; i++) {
    if (bucketOf(c.weights[i]) === boundary) c.keys[keyed++] = descendingKey(c.weights[i], i);
  }
  const cutoff = cutoffKey(c, keyed, target - mass);
  retain(c, (weight, i) => {
    const bucket = bucketOf(weight);
    return bucket > boundary || (bucket === boundary && descendingKey(weight, i) <= cutoff);
  });
}

/**
 * The candidates whose surprise −ln p lies nearest the entropy, up to the fraction `p` of the mass (arXiv
 * 2202.00666).
 */
export function keepTypical(c: Candidates, p: number): void {
  const total = totalWeight(c);
  let entropy = 0;
  for (let i = 0; i < c.count; i++) entropy -= (c.weights[i] / total) * Math.log(c.weights[i] / total);
  const key = (weight: number, i: number) => ascendingKey(Math.abs(Math.log(weight / total) + entropy), i);
  for (let i = 0; i < c.count; i++) c.keys[i] = key(c.weights[i], i);
  const cutoff = cutoffKey(c, c.count, p * total);
  retain(c, (weight, i) => key(weight, i) <= cutoff);
}

/** The candidates at least `minP` times as likely as the most likely one. */
export function keepMinP(c: Candidates, minP: number): void {
  let best = 0;
  for (let i = 0; i < c.count; i++) if (c.weights[i] > best) best = c.weights[i];
  const least = minP * best;
  retain(c, (weight) => weight >= least);
}

/**
 * What "exclude top choices" would take out: every candidate at least `least` heavy but `spared`, the
 * lightest of these (the last among equals). Null when none is that likely.
 */
export function excludedTop(c: Candidates, threshold: number): { least: number; spared: number } | null {
  const least = threshold * totalWeight(c);
  let spared = -1;
  for (let i = 0; i < c.count; i++) {
    if (c.weights[i] < least) continue;
    if (spared < 0 || c.weights[i] <= c.weights[spared]) spared = i;
  }
  return spared < 0 ? null : { least, spared };
}

export function excludeTop(c: Candidates, excluded: { least: number; spared: number }): void {
  retain(c, (weight, i) => weight < excluded.least || i === excluded.spared);
}

export function totalWeight(c: Candidates): number {
  let total = 0;
  for (let i = 0; i < c.count; i++) total += c.weights[i];
  return total;
}

function retain(c: Candidates, keeps: (weight: number, index: number) => boolean): void {
  let kept = 0;
  for (let i = 0; i < c.count; i++) {
    if (!keeps(c.weights[i], i)) continue;
    c.ids[kept] = c.ids[i];
    c.weights[kept++] = c.weights[i];
  }
  c.count = kept;
}

/** Sorts the first `keyed` keys and returns the one at which their candidates' weights reach `target`. */
function cutoffKey(c: Candidates, keyed: number, target: number): number {
  const sorted = c.keys.subarray(0, keyed).sort();
  let mass = 0;
  for (const key of sorted) {
    mass += c.weights[keyIndex(key)];
    if (mass >= target) return key;
  }
  return Infinity;
}

// Four buckets an octave: the exponent and two leading fraction bits of the weight as float32; 1 is in bucket
// 508.
const bucketCount = 509;
const bucketMass = new Float64Array(bucketCount);
const floatView = new Float32Array(1);
const bitsView = new Uint32Array(floatView.buffer);

function bucketOf(weight: number): number {
  floatView[0] = weight;
  return bitsView[0] >>> 21;
}

/**
 * The bucket in which the mass, summed from the heaviest down, reaches the target, and the mass above that
 * bucket.
 */
function boundaryBucket(c: Candidates, target: number): { boundary: number; mass: number } {
  bucketMass.fill(0);
  for (let i = 0; i < c.count; i++) bucketMass[bucketOf(c.weights[i])] += c.weights[i];
  let mass = 0;
  for (let bucket = bucketCount - 1; bucket > 0; bucket--) {
    if (bucketMass[bucket] > 0 && mass + bucketMass[bucket] >= target) return { boundary: bucket, mass };
    mass += bucketMass[bucket];
  }
  return { boundary: 0, mass };
}
