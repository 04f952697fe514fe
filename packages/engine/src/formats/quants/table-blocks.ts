// Formats whose codes index a table of values (IQ4, MXFP4) or are ternary digits (TQ). Block layouts (bytes),
// after ggml-common.h and, for MXFP4, the OCP Microscaling Formats specification 1.0:
//   IQ4_NL  d f16, 16 × two nibbles                                    value = d · table[q]
//   IQ4_XS  d f16, upper scale bits u16, lower scale nibbles 4, qs 128   value = d·(sc − 32) · table[q], 8 groups of 32
//   MXFP4   exponent u8, 16 × two nibbles (E2M1)                       value = 2^(e − 128) · table[q] (table holds doubles)
//   TQ1_0   48 bytes of five base-3 digits, 4 bytes of four, d f16     value = d · (digit − 1)
//   TQ2_0   64 bytes of four two-bit digits, d f16                     value = d · (q − 1)
//   NVFP4   4 scales E4M3 without sign, 4 × 8 × two nibbles (E2M1)     value = scale / 2 · table[q], 4 groups of 16
//   Q1_0    d f16, 128 bits                                            value = d · (2 q − 1)
//   Q2_0    d f16, 64 two-bit digits                                   value = d · (q − 1)
// Nibbles of a group of n: byte j holds elements j (low) and j + n / 2 (high).

import { readF16 } from '../half.ts';

/** The 16 levels of IQ4_NL and IQ4_XS: finer near zero, where weights crowd. */
export const IQ4_LEVELS = Int8Array.of(
  -127,
  -104,
  -83,
  -65,
  -49,
  -35,
  -22,
  -10,
  1,
  13,
  25,
  38,
  53,
  69,
  89,
  113,
);

/** Twice the sixteen E2M1 values, so that they are integers. */
export const MXFP4_LEVELS = Int8Array.of(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12);

function decodeNibbles(
  bytes: Uint8Array,
  at: number,
  levels: Int8Array,
  scale: number,
  out: Float32Array,
  to: number,
  half: 8 | 16 = 16,
): void {
  for (let j = 0; j < half; j++) {
    const pair = bytes[at + j]!;
    out[to + j] = scale * levels[pair & 15]!;
    out[to + j + half] = scale * levels[pair >> 4]!;
  }
}

export function dequantizeIQ4_NL(bytes: Uint8Array, blocks: number, out: Float32Array, to: number): void {
  for (let block = 0, at = 0; block < blocks; block++, at += 18, to += 32) {
    decodeNibbles(bytes, at + 2, IQ4_LEVELS, readF16(bytes, at), out, to);
  }
}

export function dequantizeIQ4_XS(bytes: Uint8Array, blocks: number, out: Float32Array, to: number): void {
  for (let block = 0, at = 0; block < blocks; block++, at += 136) {
    const d = readF16(bytes, at);
    const upper = bytes[at + 2]! | (bytes[at + 3]! << 8);
    for (let group = 0; group < 8; group++, to += 32) {
      const low = (bytes[at + 4 + (group >> 1)]! >> ((group & 1) * 4)) & 15;
      const scale = Math.fround(d * ((low | (((upper >> (group * 2)) & 3) << 4)) - 32));
      decodeNibbles(bytes, at + 8 + group * 16, IQ4_LEVELS, scale, out, to);
    }
  }
}

export function dequantizeMXFP4(bytes: Uint8Array, blocks: number, out: Float32Array, to: number): void {
  for (let block = 0, at = 0; block < blocks; block++, at += 17, to += 32) {
    decodeNibbles(bytes, at + 1, MXFP4_LEVELS, 2 ** (bytes[at]! - 128), out, to);
  }
}

/**
 * Half of an E4M3 number (4 bits of exponent with a bias of 7, 3 of mantissa), since the table holds doubles. The sign
 * bit is not looked at; 0x7f, which is a NaN in E4M3, is 0, as in ggml.
 */
function halfOfE4M3(bits: number): number {
  if (bits === 0x7f) return 0;
  const exponent = (bits >> 3) & 15;
  const mantissa = bits & 7;
  return exponent === 0 ? mantissa * 2 ** -10 : (8 + mantissa) * 2 ** (exponent - 11);
}

export function dequantizeNVFP4(bytes: Uint8Array, blocks: number, out: Float32Array, to: number): void {
  for (let block = 0, at = 0; block < blocks; block++, at += 36) {
    for (let group = 0; group < 4; group++, to += 16)
      decodeNibbles(bytes, at + 4 + group * 8, MXFP4_LEVELS, halfOfE4M3(bytes[at + group]!), out, to, 8);
  }
}

export function dequantizeQ1_0(bytes: Uint8Array, blocks: number, out: Float32Array, to: number): void {
  for (let block = 0, at = 0; block < blocks; block++, at += 18, to += 128) {
    const d = readF16(bytes, at);
    for (let l = 0; l < 128; l++) out[to + l] = (bytes[at + 2 + (l >> 3)]! >> (l & 7)) & 1 ? d : -d;
  }
}

export function dequantizeQ2_0(bytes: Uint8Array, blocks: number, out: Float32Array, to: number): void {
  for (let block = 0, at = 0; block < blocks; block++, at += 18, to += 64) {
    const d = readF16(bytes, at);
    for (let l = 0; l < 64; l++) out[to + l] = d * (((bytes[at + 2 + (l >> 2)]! >> (2 * (l & 3))) & 3) - 1);
  }
}

export function dequantizeTQ2_0(bytes: Uint8Array, blocks: number, out: Float32Array, to: number): void {
  for (let block = 0, at = 0; block < blocks; block++, at += 66) {
    const d = readF16(bytes, at + 64);
    for (let group = 0; group < 8; group++, to += 32) {
      const qs = at + (group >> 2) * 32;
      const shift = (group & 3) * 2;
      for (let l = 0; l < 32; l++) out[to + l] = d * (((bytes[qs + l]! >> shift) & 3) - 1);
    }
  }
}

export function dequantizeTQ1_0(bytes: Uint8Array, blocks: number, out: Float32Array, to: number): void {
  for (let block = 0, at = 0; block < blocks; block++, at += 54, to += 256) {
    const d = readF16(bytes, at + 52);
    decodeTernary(bytes, at, 32, 5, d, out, to);
    decodeTernary(bytes, at + 32, 16, 5, d, out, to + 160);
    decodeTernary(bytes, at + 48, 4, 4, d, out, to + 240);
  }
}

/**
 * A byte is a fraction of 256 in base 3: times 3 its integer part is the first digit, and the rest (modulo
 * 256) goes on. Digit n of all `count` bytes comes before digit n + 1.
 */
function decodeTernary(
  bytes: Uint8Array,
  at: number,
  count: number,
  digits: number,
  d: number,
  out: Float32Array,
  to: number,
): void {
  let power = 1;
  for (let n = 0; n < digits; n++, power *= 3, to += count) {
    for (let l = 0; l < count; l++) {
      const rest = (bytes[at + l]! * power) & 255;
      out[to + l] = d * (((rest * 3) >> 8) - 1);
    }
  }
}
