// Writing the formats whose codes index a table of levels. Layouts: table-blocks.ts. For one scale the best code is the
// nearest level; for fixed codes the best scale is a weighted least-squares quotient: so a few scales are tried, and the
// one with the smallest weighted error stays. Every function encodes `blocks` blocks of `values` from its start to the
// start of `out`.

import { writeF16 } from '../half.ts';
import { clampRound, extremeOf, roundToHalf } from './fit.ts';
import { IQ4_LEVELS, MXFP4_LEVELS } from './table-blocks.ts';

const codes = new Uint8Array(32);

/** For every integer −128 … 127: the code of the nearest level. */
function nearestCodes(levels: Int8Array): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, i) => {
    let nearest = 0;
    for (let code = 1; code < 16; code++) {
      if (Math.abs(levels[code]! - (i - 128)) < Math.abs(levels[nearest]! - (i - 128))) nearest = code;
    }
    return nearest;
  });
}

const nearestIQ4 = nearestCodes(IQ4_LEVELS);

function levelCode(scaled: number): number {
  return nearestIQ4[clampRound(scaled, -128, 127) + 128]!;
}

/** Codes of 32 values as bytes of two nibbles: byte j holds codes j (low) and j + 16 (high). */
function packNibbles(out: Uint8Array, at: number): void {
  for (let j = 0; j < 16; j++) out[at + j] = codes[j]! | (codes[j + 16]! << 4);
}

function chooseIQ4(values: Float32Array, from: number, scale: number): void {
  for (let j = 0; j < 32; j++) codes[j] = levelCode(scale === 0 ? 0 : values[from + j]! / scale);
}

export function quantizeIQ4_NL(values: Float32Array, blocks: number, out: Uint8Array): void {
  for (let from = 0, at = 0; from < blocks * 32; from += 32, at += 18) {
    const d = roundToHalf(fitLevels(values, from));
    writeF16(out, at, d);
    chooseIQ4(values, from, d);
    packNibbles(out, at + 2);
  }
}

const groupScales = new Float64Array(8);

/** Scales of eight groups are −32 … 31 times one half; the group of largest scale gets −32, so both ends are used. */
export function quantizeIQ4_XS(values: Float32Array, blocks: number, out: Uint8Array): void {
  for (let from = 0, at = 0; from < blocks * 256; from += 256, at += 136) {
    for (let group = 0; group < 8; group++) groupScales[group] = fitLevels(values, from + group * 32);
    const d = roundToHalf(extremeOf(groupScales, 0, 8) / -32);
    writeF16(out, at, d);
    out.fill(0, at + 2, at + 8);
    for (let group = 0; group < 8; group++) {
      const scale = d === 0 ? 0 : clampRound(groupScales[group]! / d, -32, 31);
      const stored = scale + 32;
      out[at + 2 + (group >> 2)]! |= (stored >> 4) << (2 * (group & 3));
      out[at + 4 + (group >> 1)]! |= (stored & 15) << (4 * (group & 1));
      chooseIQ4(values, from + group * 32, d * scale);
      packNibbles(out, at + 8 + group * 16);
    }
  }
}

/** As fitSymmetric, weights included, with the table's levels for codes: the extreme value starts at level −127. */
function fitLevels(values: Float32Array, from: number): number {
  const extreme = extremeOf(values, from, 32);
  let square = 0;
  for (let i = from; i < from + 32; i++) square += values[i]! * values[i]!;
  const base = square / 32;
  let best = 0;
  let bestGain = 0;
  for (let stretch = -9; stretch <= 9; stretch++) {
    const inverse = (-127 - stretch * 3) / extreme;
    let sumXL = 0;
    let sumLL = 0;
    for (let i = from; i < from + 32; i++) {
      const x = values[i]!;
      const level = IQ4_LEVELS[levelCode(x * inverse)]!;
      const weighted = (base + x * x) * level;
      sumXL += weighted * x;
      sumLL += weighted * level;
    }
    const gain = sumLL > 0 ? (sumXL * sumXL) / sumLL : 0;
    if (gain > bestGain) {
      bestGain = gain;
      best = sumXL / sumLL;
    }
  }
  return best;
}

/** The code of the nearest E2M1 number of a doubled value; ties go to the even mantissa, as IEEE 754 rounds. */
function e2m1Code(doubled: number): number {
  const magnitude = Math.abs(doubled);
  const sign = doubled < 0 ? 8 : 0;
  if (magnitude <= 0.5) return 0;
  if (magnitude < 1.5) return sign | 1;
  if (magnitude <= 2.5) return sign | 2;
  if (magnitude < 3.5) return sign | 3;
  if (magnitude <= 5) return sign | 4;
  if (magnitude < 7) return sign | 5;
  return sign | (magnitude <= 10 ? 6 : 7);
}

/** Puts the codes for one scale into `codes`; the squared error. */
function chooseE2M1(values: Float32Array, from: number, count: number, scale: number): number {
  let error = 0;
  for (let j = 0; j < count; j++) {
    const x = values[from + j]!;
    const code = e2m1Code(x / scale);
    codes[j] = code;
    error += (x - scale * MXFP4_LEVELS[code]!) ** 2;
  }
  return error;
}

/**
 * A power of two for 32 values: that of the specification, with which the largest value lies between 4 and 8, or the next
 * one where rounding 6 … 8 down to 6 costs more. From 2^253 on both could overflow, and values saturate.
 */
export function quantizeMXFP4(values: Float32Array, blocks: number, out: Uint8Array): void {
  for (let from = 0, at = 0; from < blocks * 32; from += 32, at += 17) {
    const extreme = Math.abs(extremeOf(values, from, 32));
    const exponent = extreme === 0 ? 0 : clampRound(Math.floor(Math.log2(extreme)) - 2 + 127, 0, 251);
    // Stored e stands for 2^(e − 127); levels are doubled.
    const tight = chooseE2M1(values, from, 32, 2 ** (exponent - 128));
    const loose = chooseE2M1(values, from, 32, 2 ** (exponent - 127));
    const stored = loose < tight ? exponent + 1 : exponent;
    chooseE2M1(values, from, 32, 2 ** (stored - 128));
    out[at] = stored;
    packNibbles(out, at + 1);
  }
}
