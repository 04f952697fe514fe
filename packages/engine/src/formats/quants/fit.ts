// Finding the scale (and minimum) with which a short run of values is best rounded to integer codes. For
// fixed codes the best scale and minimum are a weighted least-squares line; for a fixed line the best codes
// are the nearest ones. So: try a few slightly stretched scales, round, solve for the line, keep the line
// with the smallest weighted error. The idea is that of the k-quants of llama.cpp (pull request 1684);
// weights make large values count more, since they move a product more.

import { f16ToF32, f32ToF16 } from '../half.ts';

const LARGEST_HALF = 65504;

/** Rounds to a half; out of range saturates, so that huge values stay finite. */
export function roundToHalf(value: number): number {
  return f16ToF32(f32ToF16(Math.max(-LARGEST_HALF, Math.min(LARGEST_HALF, value))));
}

export function clampRound(value: number, low: number, high: number): number {
  const code = Math.round(value);
  return code < low ? low : code > high ? high : code;
}

/** `value / step` as a code; a step that rounded to zero means that everything is zero. */
export function codeOf(value: number, step: number, low: number, high: number): number {
  return step === 0 ? 0 : clampRound(value / step, low, high);
}

/** The value of largest magnitude, with its sign. */
export function extremeOf(values: Float32Array | Float64Array, from: number, count: number): number {
  let extreme = 0;
  for (let i = from; i < from + count; i++) {
    if (Math.abs(values[i]!) > Math.abs(extreme)) extreme = values[i]!;
  }
  return extreme;
}

/** Values and weights of the group at hand, copied once so that the search's inner loop reads doubles. */
const xs = new Float64Array(32);
const weights = new Float64Array(32);

/**
 * The scale s for which the codes −half … half − 1 times s come nearest to the values, weighted by their
 * squares and the mean square: with the squares alone small values fare worse than large ones gain. The extreme
 * value gets the code −half (there is no +half), so s has the opposite sign.
 */
export function fitSymmetric(values: Float32Array, from: number, count: number, half: number): number {
  const extreme = extremeOf(values, from, count);
  if (extreme === 0) return 0;
  let squares = 0;
  for (let i = from; i < from + count; i++) squares += values[i]! * values[i]!;
  const base = squares / count;
  for (let i = 0; i < count; i++) {
    const x = values[from + i]!;
    xs[i] = x;
    weights[i] = base + x * x;
  }
  let best = 0;
  let bestGain = 0;
  for (let stretch = -9; stretch <= 9; stretch++) {
    const inverse = -(half + stretch * 0.1) / extreme;
    let sumXL = 0;
    let sumLL = 0;
    for (let i = 0; i < count; i++) {
      // |x · inverse| < half + 1, so the sum is above −1/2 and truncation rounds it.
      let code = (xs[i]! * inverse + (half + 0.5)) | 0;
      if (code > 2 * half - 1) code = 2 * half - 1;
      code -= half;
      const weighted = weights[i]! * code;
      sumXL += weighted * xs[i]!;
      sumLL += weighted * code;
    }
    // The error is Σ w x² − gain, so the largest gain wins.
    const gain = sumLL > 0 ? (sumXL * sumXL) / sumLL : 0;
    if (gain > bestGain) {
      bestGain = gain;
      best = sumXL / sumLL;
    }
  }
  return best;
}

export interface AffineFit {
  scale: number;
  /** What is subtracted; never negative, because the formats store it unsigned. */
  min: number;
}

/**
 * The line value ≈ scale · code − min, codes 0 … maxCode. `stretchFrom` is how much wider than the full range
 * of codes (in tenths of a code) the first of `steps` tries is.
 */
export function fitAffine(
  values: Float32Array,
  from: number,
  count: number,
  maxCode: number,
  stretchFrom: number,
  steps: number,
  fit: AffineFit,
): void {
  let low = 0;
  let high = -Infinity;
  let squares = 0;
  for (let i = from; i < from + count; i++) {
    const x = values[i]!;
    if (x < low) low = x;
    if (x > high) high = x;
    squares += x * x;
  }
  fit.scale = 0;
  fit.min = -low;
  if (high <= low) return;
  const base = Math.sqrt(squares / count);
  moments.w = 0;
  moments.x = 0;
  moments.xx = 0;
  for (let i = 0; i < count; i++) {
    const x = values[from + i]!;
    const w = base + Math.abs(x);
    xs[i] = x - low;
    weights[i] = w;
    moments.w += w;
    moments.x += w * (x - low);
    moments.xx += w * (x - low) * (x - low);
  }
  let bestError = Infinity;
  for (let step = 0; step < steps; step++) {
    const inverse = (maxCode + (stretchFrom + step) / 10) / (high - low);
    const error = solveLine(count, maxCode, low, inverse);
    if (error < bestError) {
      bestError = error;
      fit.scale = line.scale;
      fit.min = line.min;
    }
  }
}

const line: AffineFit = { scale: 0, min: 0 };
/** Weighted sums of xs, which do not depend on the codes. */
const moments = { w: 0, x: 0, xx: 0 };

/**
 * Rounds xs (values above `low`) with one scale, puts the least-squares line for those codes into `line` and
 * returns its weighted error.
 */
function solveLine(count: number, maxCode: number, low: number, inverse: number): number {
  let sumL = 0;
  let sumLL = 0;
  let sumXL = 0;
  for (let i = 0; i < count; i++) {
    let code = (xs[i]! * inverse + 0.5) | 0;
    if (code > maxCode) code = maxCode;
    const weighted = weights[i]! * code;
    sumL += weighted;
    sumLL += weighted * code;
    sumXL += weighted * xs[i]!;
  }
  if (sumLL === 0) return Infinity;
  const { w, x, xx } = moments;
  const determinant = w * sumLL - sumL * sumL;
  // With one code for all values any line through them fits; the one without an offset is as good.
  const offset = determinant > 0 ? (sumLL * x - sumL * sumXL) / determinant : -low;
  const bounded = Math.min(offset, -low);
  const scale = (sumXL - bounded * sumL) / sumLL;
  line.scale = scale;
  line.min = -(bounded + low);
  return (
    scale * scale * sumLL +
    2 * scale * bounded * sumL +
    bounded * bounded * w -
    2 * (scale * sumXL + bounded * x) +
    xx
  );
}
