// One row of a packed matrix as f32, for embeddings that share their weights with the output head. The values are
// those of the file's dequantisation, bit for bit. A row is 1/16 of its tile, gathered 4 bytes at a time; no hot path.

import {
  PACKED_BASE,
  packedTileBytes,
  Q4_0,
  Q4_0_SCALES,
  Q4_K,
  Q4_K_BLOCK,
  Q4_K_HEADER,
  Q5_0,
  Q5_0_SCALES,
  Q5_K,
  Q5_K_BLOCK,
  Q6_K,
  Q6_K_BLOCK,
  Q6_K_GROUP,
  Q6_K_HEADER,
  Q6_K_PASS,
  Q8_0_SCALES,
  TILE_OUTPUTS,
} from './layouts.gen';
import { half } from './packed-dot';

/** Column c of 32: nibble, with bit 4 where the type has it. `codes` is where the 256 B of nibbles start. */
function code(codes: usize, r: usize, c: usize, bits: i32): i32 {
  const nibble = (<i32>load<u8>(codes + ((c & 15) >> 2) * 64 + r * 4 + (c & 3)) >> (c < 16 ? 0 : 4)) & 15;
  if (bits == 5) return nibble | (((<i32>load<u8>(codes + 256 + r * 4 + (c & 3)) >> <i32>(c >> 2)) & 1) << 4);
  return nibble;
}

/** The k-th of four 6-bit values in three bytes, `stride` apart from p on. */
function sixBits(p: usize, stride: usize, k: usize): i32 {
  if (k < 3) return <i32>load<u8>(p + k * stride) & 63;
  const first = <i32>load<u8>(p) >> 6,
    second = <i32>load<u8>(p + stride) >> 6,
    third = <i32>load<u8>(p + 2 * stride) >> 6;
  return first | (second << 2) | (third << 4);
}

/** The k-th of a row's sixteen 6-bit values: 8 scales, 8 minima. */
function sixBitScale(set: usize, r: usize, k: usize): i32 {
  return sixBits(set + (k >> 2) * 48 + r, 16, k & 3);
}

function embedBlocks32(type: i32, p: usize, r: usize, columns: i32, out: usize): void {
  const bits = type == Q4_0 ? 4 : 5;
  const offset = type == Q4_0 ? 8 : 16;
  const scales = type == Q4_0 ? Q4_0_SCALES : type == Q5_0 ? Q5_0_SCALES : Q8_0_SCALES;
  for (let b = columns >> 5; b > 0; b--) {
    const d = half(p + scales + r * 2);
    for (let c: usize = 0; c < 32; c++) {
      const q =
        scales == Q8_0_SCALES ? <i32>load<u8>(p + (c >> 2) * 64 + r * 4 + (c & 3)) - 128 : code(p, r, c, bits) - offset;
      store<f32>(out, d * <f32>q);
      out += 4;
    }
    p += scales + 32;
  }
}

function embedMinimum(type: i32, p: usize, r: usize, columns: i32, out: usize): void {
  const bits = type == Q4_K ? 4 : 5;
  const step = type == Q4_K ? Q4_K_BLOCK : Q5_K_BLOCK;
  for (let b = columns >> 8; b > 0; b--) {
    const d = half(p + r * 2),
      dmin = half(p + 32 + r * 2);
    for (let i: usize = 0; i < 8; i++) {
      const scale = d * <f32>sixBitScale(p + 64, r, i),
        minimum = dmin * <f32>sixBitScale(p + 64, r, i + 8);
      for (let c: usize = 0; c < 32; c++) {
        store<f32>(out, scale * <f32>code(p + Q4_K_HEADER + i * step, r, c, bits) - minimum);
        out += 4;
      }
    }
    p += Q4_K_HEADER + 8 * step;
  }
}

function embedQ6_K(p: usize, r: usize, columns: i32, out: usize): void {
  for (let b = columns >> 8; b > 0; b--) {
    const d = half(p + r * 2);
    for (let i: usize = 0; i < 8; i++) {
      for (let c: usize = 0; c < 32; c++) {
        const scale = d * <f32>(<i32>load<i8>(p + 32 + (2 * i + (c >> 4)) * 16 + r));
        const set = p + Q6_K_HEADER + i * Q6_K_BLOCK + (c >> 4) * Q6_K_PASS + r * 4 + (c & 3);
        store<f32>(out, scale * <f32>(sixBits(set, 64, (c & 15) >> 2) - 32));
        out += 4;
      }
    }
    p += Q6_K_GROUP;
  }
}

export function packedEmbedRow(table: usize, layout: i32, row: i32, columns: i32, out: usize): void {
  const type = layout - PACKED_BASE;
  const tile = table + <usize>(row / TILE_OUTPUTS) * packedTileBytes(type, columns);
  const r = <usize>(row % TILE_OUTPUTS);
  if (type == Q4_K || type == Q5_K) embedMinimum(type, tile, r, columns, out);
  else if (type == Q6_K) embedQ6_K(tile, r, columns, out);
  else embedBlocks32(type, tile, r, columns, out);
}
