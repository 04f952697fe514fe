// Formats of 1 to 3 bits whose codes are rows of a codebook (codebooks.ts). Block layouts (bytes) of 256 elements, after
// ggml-common.h; a group is 32 elements, and every scale s counts in the odd numbers 2 s + 1:
//   IQ2_XXS  d f16, per group 4 indices u8, u32 of four 7-bit signs and s (top 4 bits)    d / 8 · (2 s + 1)
//   IQ2_XS   d f16, 32 × u16 (9-bit index, 7-bit signs), 16 nibbles s                     d / 8 · (2 s + 1)
//   IQ2_S    d f16, 32 low index bytes, 32 bytes of signs, 32 × 2 upper bits, 16 nibbles  d / 8 · (2 s + 1)
//   IQ3_XXS  d f16, 64 indices u8, per group u32 of four 7-bit signs and s                d / 4 · (2 s + 1)
//   IQ3_S    d f16, 64 low index bytes, 64 upper bits, 32 bytes of signs, 8 nibbles s     d · (2 s + 1)
//   IQ1_S    d f16, 32 low index bytes, per group u16: 4 × 3 upper bits, 3 bits s, sign   d · (2 s + 1), 8 groups
//   IQ1_M    32 low index bytes, 32 nibbles (3 upper bits, sign), 4 × u16                 d · (2 s + 1), 16 groups
// Signs are a bit per element; of seven the eighth makes their number even. IQ1's values −1, 0, 1 are moved by 1/8, up
// or down by the sign. Its u16 hold four scales of 3 bits, and in their top nibbles d. All products are exact in float32.

import { f16ToF32, readF16 } from '../half.ts';
import type { TensorType } from '../types.ts';
import {
  type Codebook,
  IQ1_CODEBOOK,
  IQ2_S_CODEBOOK,
  IQ2_XS_CODEBOOK,
  IQ2_XXS_CODEBOOK,
  IQ3_S_CODEBOOK,
  IQ3_XXS_CODEBOOK,
} from './codebooks.ts';

const u16 = (bytes: Uint8Array, at: number): number => bytes[at]! | (bytes[at + 1]! << 8);
const u32 = (bytes: Uint8Array, at: number): number => (u16(bytes, at) | (u16(bytes, at + 2) << 16)) >>> 0;
const nibble = (bytes: Uint8Array, at: number, index: number): number =>
  (bytes[at + (index >> 1)]! >> ((index & 1) * 4)) & 15;

/** Seven signs and the eighth, which makes the number of ones even. */
function eightSigns(seven: number): number {
  let parity = seven ^ (seven >> 4);
  parity ^= parity >> 2;
  parity ^= parity >> 1;
  return seven | ((parity & 1) << 7);
}

/** A row of the codebook times the scale, negative where `signs` has a one. */
function putRow(
  { values, width }: Codebook,
  row: number,
  scale: number,
  signs: number,
  out: Float32Array,
  to: number,
): void {
  for (let i = 0, from = row * width; i < width; i++) {
    const value = scale * values[from + i]!;
    out[to + i] = (signs >> i) & 1 ? -value : value;
  }
}

export function dequantizeIQ2_XXS(bytes: Uint8Array, blocks: number, out: Float32Array, to: number): void {
  for (let block = 0, at = 0; block < blocks; block++, at += 66) {
    const d = readF16(bytes, at) / 8;
    for (let group = at + 2; group < at + 66; group += 8) {
      const signs = u32(bytes, group + 4);
      const scale = d * (2 * (signs >>> 28) + 1);
      for (let i = 0; i < 4; i++, to += 8)
        putRow(IQ2_XXS_CODEBOOK, bytes[group + i]!, scale, eightSigns((signs >> (7 * i)) & 127), out, to);
    }
  }
}

export function dequantizeIQ2_XS(bytes: Uint8Array, blocks: number, out: Float32Array, to: number): void {
  for (let block = 0, at = 0; block < blocks; block++, at += 74) {
    const d = readF16(bytes, at) / 8;
    for (let i = 0; i < 32; i++, to += 8) {
      const code = u16(bytes, at + 2 + 2 * i);
      const scale = d * (2 * nibble(bytes, at + 66, i >> 1) + 1);
      putRow(IQ2_XS_CODEBOOK, code & 511, scale, eightSigns(code >> 9), out, to);
    }
  }
}

export function dequantizeIQ2_S(bytes: Uint8Array, blocks: number, out: Float32Array, to: number): void {
  for (let block = 0, at = 0; block < blocks; block++, at += 82) {
    const d = readF16(bytes, at) / 8;
    for (let i = 0; i < 32; i++, to += 8) {
      const upper = (bytes[at + 66 + (i >> 2)]! >> (2 * (i & 3))) & 3;
      const scale = d * (2 * nibble(bytes, at + 74, i >> 1) + 1);
      putRow(IQ2_S_CODEBOOK, bytes[at + 2 + i]! | (upper << 8), scale, bytes[at + 34 + i]!, out, to);
    }
  }
}

/** A row of four values: where it goes, the codebook's values, its place there, its scale s and four signs. */
type VisitRow = (element: number, values: Int8Array, row: number, scale: number, signs: number) => void;

/** All rows of a block of IQ3_XXS or IQ3_S. */
export function forEachRow(type: TensorType, block: Uint8Array, visit: VisitRow): void {
  if (type === 'IQ3_S') rowsOfIQ3_S(block, 0, visit);
  else rowsOfIQ3_XXS(block, 0, visit);
}

function rowsOfIQ3_XXS(bytes: Uint8Array, at: number, visit: VisitRow): void {
  const { values } = IQ3_XXS_CODEBOOK;
  for (let i = 0; i < 64; i++) {
    const packed = u32(bytes, at + 66 + 4 * (i >> 3));
    const signs = eightSigns((packed >> (7 * ((i >> 1) & 3))) & 127);
    visit(4 * i, values, bytes[at + 2 + i]!, packed >>> 28, signs >> (4 * (i & 1)));
  }
}

function rowsOfIQ3_S(bytes: Uint8Array, at: number, visit: VisitRow): void {
  const { values } = IQ3_S_CODEBOOK;
  for (let i = 0; i < 64; i++) {
    const row = bytes[at + 2 + i]! | (((bytes[at + 66 + (i >> 3)]! >> (i & 7)) & 1) << 8);
    visit(4 * i, values, row, nibble(bytes, at + 106, i >> 3), bytes[at + 74 + (i >> 1)]! >> (4 * (i & 1)));
  }
}

export function dequantizeIQ3_XXS(bytes: Uint8Array, blocks: number, out: Float32Array, to: number): void {
  for (let block = 0, at = 0; block < blocks; block++, at += 98, to += 256) {
    const d = readF16(bytes, at) / 4;
    rowsOfIQ3_XXS(bytes, at, (element, _, row, scale, signs) =>
      putRow(IQ3_XXS_CODEBOOK, row, d * (2 * scale + 1), signs, out, to + element),
    );
  }
}

export function dequantizeIQ3_S(bytes: Uint8Array, blocks: number, out: Float32Array, to: number): void {
  for (let block = 0, at = 0; block < blocks; block++, at += 110, to += 256) {
    const d = readF16(bytes, at);
    rowsOfIQ3_S(bytes, at, (element, _, row, scale, signs) =>
      putRow(IQ3_S_CODEBOOK, row, d * (2 * scale + 1), signs, out, to + element),
    );
  }
}

/** A row of IQ1's codebook, moved by an eighth. */
function putMoved(row: number, scale: number, down: boolean, out: Float32Array, to: number): void {
  const { values } = IQ1_CODEBOOK;
  const moved = down ? -0.125 : 0.125;
  for (let i = 0; i < 8; i++) out[to + i] = scale * (values[row * 8 + i]! + moved);
}

export function dequantizeIQ1_S(bytes: Uint8Array, blocks: number, out: Float32Array, to: number): void {
  for (let block = 0, at = 0; block < blocks; block++, at += 50) {
    const d = readF16(bytes, at);
    for (let i = 0; i < 32; i++, to += 8) {
      const packed = u16(bytes, at + 34 + 2 * (i >> 2));
      const row = bytes[at + 2 + i]! | (((packed >> (3 * (i & 3))) & 7) << 8);
      putMoved(row, d * (2 * ((packed >> 12) & 7) + 1), (packed & 0x8000) !== 0, out, to);
    }
  }
}

export function dequantizeIQ1_M(bytes: Uint8Array, blocks: number, out: Float32Array, to: number): void {
  for (let block = 0, at = 0; block < blocks; block++, at += 56) {
    let half = 0;
    for (let i = 0; i < 4; i++) half |= (bytes[at + 49 + 2 * i]! >> 4) << (4 * i);
    const d = f16ToF32(half);
    for (let i = 0; i < 32; i++, to += 8) {
      const high = nibble(bytes, at + 32, i);
      const scale = (u16(bytes, at + 48 + 2 * (i >> 3)) >> (3 * ((i >> 1) & 3))) & 7;
      putMoved(bytes[at + i]! | ((high & 7) << 8), d * (2 * scale + 1), (high & 8) !== 0, out, to);
    }
  }
}
