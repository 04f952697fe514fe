// Decoders of the formats whose codes are rows of a codebook, 16 values at a time: see dequantize.ts, and
// formats/quants/codebook-blocks.ts for the pictures.
import { halfToFloat } from '../common/math';
import { IQ1_ROWS, IQ2_S_ROWS, IQ2_XS_ROWS, IQ2_XXS_ROWS, IQ3_S_ROWS, IQ3_XXS_ROWS } from './codebooks.gen';
import { storeScaled, storeSigned } from './dequantize-vectors';

/** Two rows of eight. */
// @inline
function eights(book: usize, first: u32, second: u32): v128 {
  return v128.load64_lane(book + ((<usize>second) << 3), v128.load64_zero(book + ((<usize>first) << 3)), 1);
}

/** Four rows of four. */
// @inline
function fours(book: usize, a: u32, b: u32, c: u32, d: u32): v128 {
  const two = v128.load32_lane(book + ((<usize>b) << 2), v128.load32_zero(book + ((<usize>a) << 2)), 1);
  const three = v128.load32_lane(book + ((<usize>c) << 2), two, 2);
  return v128.load32_lane(book + ((<usize>d) << 2), three, 3);
}

/** Twice seven signs, each with an eighth that makes their number even. */
// @inline
function signsOf(first: u32, second: u32): u32 {
  return first | ((popcnt(first) & 1) << 7) | (second << 8) | ((popcnt(second) & 1) << 15);
}

// @inline
function oddScale(d: f32, scale: u32): f32 {
  return d * <f32>((scale << 1) | 1);
}

// @inline
function nibble(from: usize, index: usize): u32 {
  return (<u32>load<u8>(from + (index >> 1)) >> ((<u32>index & 1) << 2)) & 15;
}

export function dequantizeIQ2XXS(from: usize, to: usize, end: usize): void {
  for (; to < end; from += 66) {
    const d = halfToFloat(load<u16>(from)) * 0.125;
    for (let group: usize = 0; group < 64; group += 8) {
      let rows = load<u32>(from + group, 2);
      let signs = load<u32>(from + group, 6);
      const scale = f32x4.splat(oddScale(d, signs >> 28));
      for (let half = 0; half < 2; half++, rows >>= 16, signs >>= 14, to += 64) {
        const values = eights(IQ2_XXS_ROWS, rows & 255, (rows >> 8) & 255);
        storeSigned(to, values, signsOf(signs & 127, (signs >> 7) & 127), scale);
      }
    }
  }
}

export function dequantizeIQ2XS(from: usize, to: usize, end: usize): void {
  for (; to < end; from += 74) {
    const d = halfToFloat(load<u16>(from)) * 0.125;
    for (let i: usize = 0; i < 16; i++, to += 64) {
      const pair = load<u32>(from + (i << 2), 2);
      const values = eights(IQ2_XS_ROWS, pair & 511, (pair >> 16) & 511);
      const scale = f32x4.splat(oddScale(d, nibble(from + 66, i)));
      storeSigned(to, values, signsOf((pair >> 9) & 127, pair >> 25), scale);
    }
  }
}

export function dequantizeIQ2S(from: usize, to: usize, end: usize): void {
  for (; to < end; from += 82) {
    const d = halfToFloat(load<u16>(from)) * 0.125;
    for (let i: usize = 0; i < 16; i++, to += 64) {
      const low = <u32>load<u16>(from + (i << 1), 2);
      const high = nibble(from + 66, i);
      const values = eights(IQ2_S_ROWS, (low & 255) | ((high & 3) << 8), (low >> 8) | ((high >> 2) << 8));
      storeSigned(to, values, load<u16>(from + (i << 1), 34), f32x4.splat(oddScale(d, nibble(from + 74, i))));
    }
  }
}

export function dequantizeIQ3XXS(from: usize, to: usize, end: usize): void {
  for (; to < end; from += 98) {
    const d = halfToFloat(load<u16>(from)) * 0.25;
    for (let i: usize = 0; i < 16; i++, to += 64) {
      const rows = load<u32>(from + (i << 2), 2);
      const packed = load<u32>(from + ((i >> 1) << 2), 66);
      const values = fours(IQ3_XXS_ROWS, rows & 255, (rows >> 8) & 255, (rows >> 16) & 255, rows >> 24);
      const signs = packed >> (<u32>(i & 1) * 14);
      storeSigned(to, values, signsOf(signs & 127, (signs >> 7) & 127), f32x4.splat(oddScale(d, packed >> 28)));
    }
  }
}

export function dequantizeIQ3S(from: usize, to: usize, end: usize): void {
  for (; to < end; from += 110) {
    const d = halfToFloat(load<u16>(from));
    for (let i: usize = 0; i < 16; i++, to += 64) {
      const rows = load<u32>(from + (i << 2), 2);
      const high = nibble(from + 66, i);
      const a = (rows & 255) | ((high & 1) << 8),
        b = ((rows >> 8) & 255) | ((high & 2) << 7),
        c = ((rows >> 16) & 255) | ((high & 4) << 6),
        e = (rows >> 24) | ((high & 8) << 5);
      const scale = f32x4.splat(oddScale(d, nibble(from + 106, i >> 1)));
      storeSigned(to, fours(IQ3_S_ROWS, a, b, c, e), load<u16>(from + (i << 1), 74), scale);
    }
  }
}

/** One or minus one, as bytes, in the lower and the upper half. */
// @inline
function moves(firstDown: u32, secondDown: u32): v128 {
  return v128.or(i8x16.splat(1), i64x2(firstDown ? -1 : 0, secondDown ? -1 : 0));
}

export function dequantizeIQ1S(from: usize, to: usize, end: usize): void {
  for (; to < end; from += 50) {
    const d = halfToFloat(load<u16>(from)) * 0.125;
    for (let group: usize = 0; group < 8; group++) {
      const low = load<u32>(from + (group << 2), 2);
      const packed = <u32>load<u16>(from + (group << 1), 34);
      const scale = f32x4.splat(oddScale(d, (packed >> 12) & 7));
      const move = moves(packed >> 15, packed >> 15);
      const first = eights(IQ1_ROWS, (low & 255) | ((packed & 7) << 8), ((low >> 8) & 255) | ((packed & 0x38) << 5));
      const second = eights(
        IQ1_ROWS,
        ((low >> 16) & 255) | ((packed & 0x1c0) << 2),
        (low >> 24) | ((packed & 0xe00) >> 1),
      );
      storeScaled(to, i8x16.add(first, move), scale);
      storeScaled(to + 64, i8x16.add(second, move), scale);
      to += 128;
    }
  }
}

export function dequantizeIQ1M(from: usize, to: usize, end: usize): void {
  for (; to < end; from += 56) {
    const tops = load<u64>(from, 48);
    const half = ((tops >> 12) & 15) | ((tops >> 24) & 0xf0) | ((tops >> 36) & 0xf00) | ((tops >> 48) & 0xf000);
    const d = halfToFloat(<u32>half) * 0.125;
    for (let i: usize = 0; i < 16; i++, to += 64) {
      const low = <u32>load<u16>(from + (i << 1));
      const high = <u32>load<u8>(from + i, 32);
      const scale = <u32>(load<u16>(from + ((i >> 2) << 1), 48) >> (3 * (<u16>i & 3))) & 7;
      const values = eights(IQ1_ROWS, (low & 255) | ((high & 7) << 8), (low >> 8) | ((high & 0x70) << 4));
      storeScaled(to, i8x16.add(values, moves(high & 8, high & 0x80)), f32x4.splat(oddScale(d, scale)));
    }
  }
}
