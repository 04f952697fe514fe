// The k-quants: 256 elements per block, in 16 groups of 16 or 8 of 32 whose scales are small integers times
// the block's float scale. Block layouts (bytes), after ggml-common.h:
//   Q2_K  scales 16 (low nibble scale, high nibble min), qs 64, d f16, dmin f16      value = d·sc · q − dmin·m
//   Q3_K  high bits 32, qs 64, scales 12 (16 × 6 bits, −32), d f16                   value = d·sc · q
//   Q4_K  d f16, dmin f16, scales 12 (8 × 6-bit scale and min), qs 128               value = d·sc · q − dmin·m
//   Q5_K  d f16, dmin f16, scales 12, high bits 32, qs 128                           value = d·sc · q − dmin·m
//   Q6_K  ql 128, qh 64, scales 16 × i8, d f16                                       value = d·sc · (q − 32)
// Two-bit fields: byte l of half h holds elements 128h + 32j + l in bits 2j. Nibbles of Q4_K and Q5_K: byte
// 32c + l holds element 64c + l (low) and 64c + 32 + l (high). d·sc and dmin·m are rounded to float32 before
// use, as the format's reference does; so is the product before the subtraction.

import { readF16 } from '../half.ts';

export function dequantizeQ2_K(bytes: Uint8Array, blocks: number, out: Float32Array, to: number): void {
  for (let block = 0, at = 0; block < blocks; block++, at += 84) {
    const d = readF16(bytes, at + 80);
    const dmin = readF16(bytes, at + 82);
    for (let group = 0; group < 16; group++, to += 16) {
      const packed = bytes[at + group]!;
      const scale = Math.fround(d * (packed & 15));
      const min = Math.fround(dmin * (packed >> 4));
      const qs = at + 16 + (group >> 3) * 32 + (group & 1) * 16;
      const shift = group & 6;
      for (let l = 0; l < 16; l++) out[to + l] = Math.fround(scale * ((bytes[qs + l]! >> shift) & 3)) - min;
    }
  }
}

export function dequantizeQ3_K(bytes: Uint8Array, blocks: number, out: Float32Array, to: number): void {
  for (let block = 0, at = 0; block < blocks; block++, at += 110) {
    const d = readF16(bytes, at + 108);
    for (let group = 0; group < 16; group++, to += 16) {
      const scale = Math.fround(d * scaleOfQ3(bytes, at + 96, group));
      const high = at + (group & 1) * 16;
      const highShift = group >> 1;
      const qs = at + 32 + (group >> 3) * 32 + (group & 1) * 16;
      const shift = group & 6;
      for (let l = 0; l < 16; l++) {
        const q = ((bytes[qs + l]! >> shift) & 3) | (((bytes[high + l]! >> highShift) & 1) << 2);
        out[to + l] = scale * (q - 4);
      }
    }
  }
}

/**
 * Sixteen 6-bit scales in 12 bytes: low nibbles in bytes 0–7 (groups 0–7 low, 8–15 high), upper bits in bytes
 * 8–11.
 */
function scaleOfQ3(bytes: Uint8Array, at: number, group: number): number {
  const low = (bytes[at + (group & 7)]! >> ((group >> 3) * 4)) & 15;
  const high = (bytes[at + 8 + (group & 3)]! >> ((group >> 2) * 2)) & 3;
  return (low | (high << 4)) - 32;
}

export function dequantizeQ4_K(bytes: Uint8Array, blocks: number, out: Float32Array, to: number): void {
  for (let block = 0, at = 0; block < blocks; block++, at += 144) {
    const d = readF16(bytes, at);
    const dmin = readF16(bytes, at + 2);
    for (let group = 0; group < 8; group++, to += 32) {
      const scale = Math.fround(d * scaleOfGroup(bytes, at + 4, group));
      const min = Math.fround(dmin * minOfGroup(bytes, at + 4, group));
      const qs = at + 16 + (group >> 1) * 32;
      const shift = (group & 1) * 4;
      for (let l = 0; l < 32; l++) out[to + l] = Math.fround(scale * ((bytes[qs + l]! >> shift) & 15)) - min;
    }
  }
}

export function dequantizeQ5_K(bytes: Uint8Array, blocks: number, out: Float32Array, to: number): void {
  for (let block = 0, at = 0; block < blocks; block++, at += 176) {
    const d = readF16(bytes, at);
    const dmin = readF16(bytes, at + 2);
    const high = at + 16;
    for (let group = 0; group < 8; group++, to += 32) {
      const scale = Math.fround(d * scaleOfGroup(bytes, at + 4, group));
      const min = Math.fround(dmin * minOfGroup(bytes, at + 4, group));
      const qs = at + 48 + (group >> 1) * 32;
      const shift = (group & 1) * 4;
      for (let l = 0; l < 32; l++) {
        const q = ((bytes[qs + l]! >> shift) & 15) | (((bytes[high + l]! >> group) & 1) << 4);
        out[to + l] = Math.fround(scale * q) - min;
      }
    }
  }
}

/**
 * Eight 6-bit scales and mins in 12 bytes. Groups 0–3: low six bits of bytes 0–3 (scale) and 4–7 (min).
 * Groups 4–7: nibbles of bytes 8–11, with the two upper bits at the top of bytes 0–3 and 4–7.
 */
export function scaleOfGroup(bytes: Uint8Array, at: number, group: number): number {
  if (group < 4) return bytes[at + group]! & 63;
  return (bytes[at + group + 4]! & 15) | ((bytes[at + group - 4]! >> 6) << 4);
}

export function minOfGroup(bytes: Uint8Array, at: number, group: number): number {
  if (group < 4) return bytes[at + group + 4]! & 63;
  return (bytes[at + group + 4]! >> 4) | ((bytes[at + group]! >> 6) << 4);
}

export function dequantizeQ6_K(bytes: Uint8Array, blocks: number, out: Float32Array, to: number): void {
  for (let block = 0, at = 0; block < blocks; block++, at += 210) {
    const d = readF16(bytes, at + 208);
    for (let group = 0; group < 16; group++, to += 16) {
      const scale = Math.fround(d * ((bytes[at + 192 + group]! << 24) >> 24));
      const half = group >> 3;
      const quarter = (group >> 1) & 3;
      const within = (group & 1) * 16;
      const ql = at + half * 64 + (quarter & 1) * 32 + within;
      const lowShift = (quarter >> 1) * 4;
      const qh = at + 128 + half * 32 + within;
      const highShift = quarter * 2;
      for (let l = 0; l < 16; l++) {
        const q = ((bytes[ql + l]! >> lowShift) & 15) | (((bytes[qh + l]! >> highShift) & 3) << 4);
        out[to + l] = scale * (q - 32);
      }
    }
  }
}
