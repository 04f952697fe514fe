// Writing plain floats and the formats with 32 elements per block. Layouts: simple-blocks.ts. The scale is rounded to a half first and codes are chosen for the rounded scale, so its
// rounding costs nothing twice. Every function encodes `blocks` blocks of `values` from its start to the
// start of `out`.

import { f32ToBf16, f32ToF16, writeF16 } from '../half.ts';
import { codeOf, extremeOf, roundToHalf } from './fit.ts';

export function quantizeF32(values: Float32Array, blocks: number, out: Uint8Array): void {
  out.set(new Uint8Array(values.buffer, values.byteOffset, blocks * 4));
}

export function quantizeF16(values: Float32Array, blocks: number, out: Uint8Array): void {
  for (let i = 0; i < blocks; i++) writeBits(out, i * 2, f32ToF16(values[i]!));
}

export function quantizeBf16(values: Float32Array, blocks: number, out: Uint8Array): void {
  for (let i = 0; i < blocks; i++) writeBits(out, i * 2, f32ToBf16(values[i]!));
}

function writeBits(out: Uint8Array, at: number, bits: number): void {
  out[at] = bits & 255;
  out[at + 1] = bits >> 8;
}

export function quantizeQ8_0(values: Float32Array, blocks: number, out: Uint8Array): void {
  for (let from = 0, at = 0; from < blocks * 32; from += 32, at += 34) {
    const d = roundToHalf(Math.abs(extremeOf(values, from, 32)) / 127);
    writeF16(out, at, d);
    for (let j = 0; j < 32; j++) out[at + 2 + j] = codeOf(values[from + j]!, d, -127, 127) & 255;
  }
}

const codes = new Uint8Array(32);

export function quantizeQ4_0(values: Float32Array, blocks: number, out: Uint8Array): void {
  for (let from = 0, at = 0; from < blocks * 32; from += 32, at += 18) {
    writeF16(out, at, symmetricCodes(values, from, 8));
    packNibbles(out, at + 2);
  }
}

export function quantizeQ5_0(values: Float32Array, blocks: number, out: Uint8Array): void {
  for (let from = 0, at = 0; from < blocks * 32; from += 32, at += 22) {
    writeF16(out, at, symmetricCodes(values, from, 16));
    packFifthBits(out, at + 2);
    packNibbles(out, at + 6);
  }
}

export function quantizeQ4_1(values: Float32Array, blocks: number, out: Uint8Array): void {
  for (let from = 0, at = 0; from < blocks * 32; from += 32, at += 20) {
    rangeCodes(values, from, 15, out, at);
    packNibbles(out, at + 4);
  }
}

export function quantizeQ5_1(values: Float32Array, blocks: number, out: Uint8Array): void {
  for (let from = 0, at = 0; from < blocks * 32; from += 32, at += 24) {
    rangeCodes(values, from, 31, out, at);
    packFifthBits(out, at + 4);
    packNibbles(out, at + 8);
  }
}

/**
 * Codes around `half`; the extreme value gets code 0, the only side with a full `half` of steps. Returns the
 * scale.
 */
function symmetricCodes(values: Float32Array, from: number, half: number): number {
  const d = roundToHalf(extremeOf(values, from, 32) / -half);
  for (let j = 0; j < 32; j++) codes[j] = codeOf(values[from + j]!, d, -half, half - 1) + half;
  return d;
}

/** Codes from the smallest value up; writes scale and minimum. */
function rangeCodes(values: Float32Array, from: number, maxCode: number, out: Uint8Array, at: number): void {
  let low = Infinity;
  let high = -Infinity;
  for (let j = from; j < from + 32; j++) {
    if (values[j]! < low) low = values[j]!;
    if (values[j]! > high) high = values[j]!;
  }
  const min = roundToHalf(low);
  const d = roundToHalf((high - low) / maxCode);
  writeF16(out, at, d);
  writeF16(out, at + 2, min);
  for (let j = 0; j < 32; j++) codes[j] = codeOf(values[from + j]! - min, d, 0, maxCode);
}

/** Byte j holds codes j (low) and j + 16 (high). */
function packNibbles(out: Uint8Array, at: number): void {
  for (let j = 0; j < 16; j++) out[at + j] = (codes[j]! & 15) | ((codes[j + 16]! & 15) << 4);
}

function packFifthBits(out: Uint8Array, at: number): void {
  for (let byte = 0; byte < 4; byte++) {
    let bits = 0;
    for (let bit = 0; bit < 8; bit++) bits |= (codes[byte * 8 + bit]! >> 4) << bit;
    out[at + byte] = bits;
  }
}
