// Writing the k-quants. Layouts: k-blocks.ts. Three steps per block of 256: fit scale (and minimum) of each
// group in float, round the groups' scales to their small integers times one half, then choose the codes for
// the scales as they will be read back. Every function encodes `blocks` blocks of `values` from its start to
// the start of `out`.

import { writeF16 } from '../half.ts';
import { type AffineFit, codeOf, extremeOf, fitAffine, fitSymmetric, roundToHalf } from './fit.ts';

const codes = new Uint8Array(256);
const groupScales = new Float64Array(16);
const groupMins = new Float64Array(16);
/** Integer scales and minimums as stored. */
const scaleCodes = new Int32Array(16);
const minCodes = new Int32Array(16);
const fit: AffineFit = { scale: 0, min: 0 };

interface AffineFormat {
  /** Groups per block. */
  readonly groups: number;
  readonly maxCode: number;
  readonly maxScaleCode: number;
  /** See fitAffine: the first stretch tried, in tenths of a code, and how many. */
  readonly stretchFrom: number;
  readonly steps: number;
}

const Q2: AffineFormat = { groups: 16, maxCode: 3, maxScaleCode: 15, stretchFrom: -5, steps: 16 };
const Q4: AffineFormat = { groups: 8, maxCode: 15, maxScaleCode: 63, stretchFrom: -10, steps: 21 };
/** From a code fewer: values of 16 levels, such as of a file that was quantised before, are found again. */
const Q5: AffineFormat = { groups: 8, maxCode: 31, maxScaleCode: 63, stretchFrom: -10, steps: 21 };

/** Fills codes, scaleCodes and minCodes; writes d and dmin at `at`. */
function affineBlock(
  values: Float32Array,
  from: number,
  format: AffineFormat,
  out: Uint8Array,
  at: number,
): void {
  const { groups, maxCode, maxScaleCode } = format;
  const count = 256 / groups;
  for (let group = 0; group < groups; group++) {
    fitAffine(values, from + group * count, count, maxCode, format.stretchFrom, format.steps, fit);
    groupScales[group] = fit.scale;
    groupMins[group] = fit.min;
  }
  const d = roundToHalf(Math.max(0, extremeOf(groupScales, 0, groups)) / maxScaleCode);
  const dmin = roundToHalf(extremeOf(groupMins, 0, groups) / maxScaleCode);
  writeF16(out, at, d);
  writeF16(out, at + 2, dmin);
  for (let group = 0; group < groups; group++) {
    scaleCodes[group] = codeOf(groupScales[group]!, d, 0, maxScaleCode);
    minCodes[group] = codeOf(groupMins[group]!, dmin, 0, maxScaleCode);
    const scale = Math.fround(d * scaleCodes[group]!);
    const min = Math.fround(dmin * minCodes[group]!);
    for (let i = group * count; i < (group + 1) * count; i++) {
      codes[i] = codeOf(values[from + i]! + min, scale, 0, maxCode);
    }
  }
}

/** Fills codes (offset by `half`) and scaleCodes for 16 groups of 16; writes d at `at`. */
function symmetricBlock(
  values: Float32Array,
  from: number,
  half: number,
  halfScale: number,
  out: Uint8Array,
  at: number,
): void {
  for (let group = 0; group < 16; group++)
    groupScales[group] = fitSymmetric(values, from + group * 16, 16, half);
  const d = roundToHalf(extremeOf(groupScales, 0, 16) / -halfScale);
  writeF16(out, at, d);
  for (let group = 0; group < 16; group++) {
    scaleCodes[group] = codeOf(groupScales[group]!, d, -halfScale, halfScale - 1);
    const scale = Math.fround(d * scaleCodes[group]!);
    for (let i = group * 16; i < (group + 1) * 16; i++) {
      codes[i] = codeOf(values[from + i]!, scale, -half, half - 1) + half;
    }
  }
}

/**
 * The lower two bits of all codes into 64 bytes: byte l of half h holds elements 128h + 32j + l in bits 2j.
 */
function packTwoBits(out: Uint8Array, at: number, shift: number): void {
  for (let half = 0; half < 2; half++) {
    for (let l = 0; l < 32; l++) {
      let byte = 0;
      for (let j = 0; j < 4; j++) byte |= ((codes[half * 128 + j * 32 + l]! >> shift) & 3) << (2 * j);
      out[at + half * 32 + l] = byte;
    }
  }
}

/** Bit `bit` of all codes into 32 bytes: byte l holds elements 32g + l in bits g. */
function packOneBit(out: Uint8Array, at: number, bit: number): void {
  for (let l = 0; l < 32; l++) {
    let byte = 0;
    for (let group = 0; group < 8; group++) byte |= ((codes[group * 32 + l]! >> bit) & 1) << group;
    out[at + l] = byte;
  }
}

export function quantizeQ2_K(values: Float32Array, blocks: number, out: Uint8Array): void {
  for (let from = 0, at = 0; from < blocks * 256; from += 256, at += 84) {
    affineBlock(values, from, Q2, out, at + 80);
    for (let group = 0; group < 16; group++) out[at + group] = scaleCodes[group]! | (minCodes[group]! << 4);
    packTwoBits(out, at + 16, 0);
  }
}

export function quantizeQ3_K(values: Float32Array, blocks: number, out: Uint8Array): void {
  for (let from = 0, at = 0; from < blocks * 256; from += 256, at += 110) {
    symmetricBlock(values, from, 4, 32, out, at + 108);
    packOneBit(out, at, 2);
    packTwoBits(out, at + 32, 0);
    const scales = at + 96;
    out.fill(0, scales, scales + 12);
    for (let group = 0; group < 16; group++) {
      const code = scaleCodes[group]! + 32;
      out[scales + (group & 7)]! |= (code & 15) << ((group >> 3) * 4);
      out[scales + 8 + (group & 3)]! |= (code >> 4) << ((group >> 2) * 2);
    }
  }
}

/** Eight 6-bit scales and minimums into 12 bytes; see scaleOfGroup. */
function packGroupScales(out: Uint8Array, at: number): void {
  for (let group = 0; group < 4; group++) {
    const scale = scaleCodes[group + 4]!;
    const min = minCodes[group + 4]!;
    out[at + group] = scaleCodes[group]! | ((scale >> 4) << 6);
    out[at + 4 + group] = minCodes[group]! | ((min >> 4) << 6);
    out[at + 8 + group] = (scale & 15) | ((min & 15) << 4);
  }
}

/** Lower nibbles into 128 bytes: byte 32c + l holds elements 64c + l (low) and 64c + 32 + l (high). */
function packNibblesBy64(out: Uint8Array, at: number): void {
  for (let i = 0; i < 128; i++) {
    const element = (i >> 5) * 64 + (i & 31);
    out[at + i] = (codes[element]! & 15) | ((codes[element + 32]! & 15) << 4);
  }
}

export function quantizeQ4_K(values: Float32Array, blocks: number, out: Uint8Array): void {
  for (let from = 0, at = 0; from < blocks * 256; from += 256, at += 144) {
    affineBlock(values, from, Q4, out, at);
    packGroupScales(out, at + 4);
    packNibblesBy64(out, at + 16);
  }
}

export function quantizeQ5_K(values: Float32Array, blocks: number, out: Uint8Array): void {
  for (let from = 0, at = 0; from < blocks * 256; from += 256, at += 176) {
    affineBlock(values, from, Q5, out, at);
    packGroupScales(out, at + 4);
    packOneBit(out, at + 16, 4);
    packNibblesBy64(out, at + 48);
  }
}

export function quantizeQ6_K(values: Float32Array, blocks: number, out: Uint8Array): void {
  for (let from = 0, at = 0; from < blocks * 256; from += 256, at += 210) {
    symmetricBlock(values, from, 32, 128, out, at + 208);
    for (let i = 0; i < 128; i++) {
      const element = (i >> 6) * 128 + (i & 63);
      out[at + i] = (codes[element]! & 15) | ((codes[element + 64]! & 15) << 4);
    }
    packTwoBits(out, at + 128, 4);
    for (let group = 0; group < 16; group++) out[at + 192 + group] = scaleCodes[group]! & 255;
  }
}
