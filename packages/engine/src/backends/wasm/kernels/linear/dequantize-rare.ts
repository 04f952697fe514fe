// Decoders of the rarer block formats, one value at a time: see dequantize.ts, and formats/quants/*.ts for the
// pictures.
import { halfToFloat } from '../common/math';
import { halfSplat, spreadBits, storeScaled } from './dequantize-vectors';

/** The levels of IQ4_NL and IQ4_XS; twice the E2M1 values of MXFP4. */
const IQ4_LEVELS: usize = memory.data<i8>([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113]);
const MXFP4_LEVELS: usize = memory.data<i8>([0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12]);

// @inline
function put(to: usize, index: i32, value: f32): void {
  store<f32>(to + ((<usize>index) << 2), value);
}

export function dequantizeQ2K(from: usize, to: usize, end: usize): void {
  for (; to < end; from += 84) {
    const d = halfToFloat(load<u16>(from, 80));
    const dmin = halfToFloat(load<u16>(from, 82));
    for (let group = 0; group < 16; group++, to += 64) {
      const packed = <i32>load<u8>(from + <usize>group);
      const scale: f32 = d * <f32>(packed & 15);
      const min: f32 = dmin * <f32>(packed >> 4);
      const codes = from + 16 + <usize>((group >> 3) * 32 + (group & 1) * 16);
      for (let l = 0; l < 16; l++)
        put(to, l, scale * <f32>((<i32>load<u8>(codes + <usize>l) >> (group & 6)) & 3) - min);
    }
  }
}

/** Sixteen 6-bit scales in 12 bytes: low nibbles in bytes 0–7, upper two bits in bytes 8–11. */
// @inline
function scaleOfQ3(from: usize, group: i32): i32 {
  const low = (<i32>load<u8>(from + <usize>(group & 7)) >> ((group >> 3) * 4)) & 15;
  const high = (<i32>load<u8>(from + <usize>(group & 3), 8) >> ((group >> 2) * 2)) & 3;
  return (low | (high << 4)) - 32;
}

export function dequantizeQ3K(from: usize, to: usize, end: usize): void {
  for (; to < end; from += 110) {
    const d = halfToFloat(load<u16>(from, 108));
    for (let group = 0; group < 16; group++, to += 64) {
      const scale: f32 = d * <f32>scaleOfQ3(from + 96, group);
      const highs = from + <usize>((group & 1) * 16);
      const codes = from + 32 + <usize>((group >> 3) * 32 + (group & 1) * 16);
      for (let l = 0; l < 16; l++) {
        const low = (<i32>load<u8>(codes + <usize>l) >> (group & 6)) & 3;
        const high = (<i32>load<u8>(highs + <usize>l) >> (group >> 1)) & 1;
        put(to, l, scale * <f32>((low | (high << 2)) - 4));
      }
    }
  }
}

function decodeNibbles(from: usize, levels: usize, scale: f32, to: usize): void {
  for (let j = 0; j < 16; j++) {
    const pair = <usize>load<u8>(from + <usize>j);
    put(to, j, scale * <f32>(<i32>load<i8>(levels + (pair & 15))));
    put(to, j + 16, scale * <f32>(<i32>load<i8>(levels + (pair >> 4))));
  }
}

export function dequantizeIQ4NL(from: usize, to: usize, end: usize): void {
  for (; to < end; to += 128, from += 18) decodeNibbles(from + 2, IQ4_LEVELS, halfToFloat(load<u16>(from)), to);
}

export function dequantizeIQ4XS(from: usize, to: usize, end: usize): void {
  for (; to < end; from += 136) {
    const d = halfToFloat(load<u16>(from));
    const upper = <i32>load<u16>(from, 2);
    for (let group = 0; group < 8; group++, to += 128) {
      const low = (<i32>load<u8>(from + <usize>(group >> 1), 4) >> ((group & 1) * 4)) & 15;
      const scale: f32 = d * <f32>((low | (((upper >> (group * 2)) & 3) << 4)) - 32);
      decodeNibbles(from + 8 + <usize>(group * 16), IQ4_LEVELS, scale, to);
    }
  }
}

/** The scale 2^(e - 128) has the bits of an f32 exponent, or of a subnormal where e is 0 or 1. */
export function dequantizeMXFP4(from: usize, to: usize, end: usize): void {
  for (; to < end; to += 128, from += 17) {
    const e = <u32>load<u8>(from);
    const scale = reinterpret<f32>(e >= 2 ? (e - 1) << 23 : (<u32>0x200000) << e);
    decodeNibbles(from + 1, MXFP4_LEVELS, scale, to);
  }
}

export function dequantizeTQ2(from: usize, to: usize, end: usize): void {
  for (; to < end; from += 66) {
    const d = halfToFloat(load<u16>(from, 64));
    for (let group = 0; group < 8; group++, to += 128) {
      const codes = from + <usize>((group >> 2) * 32);
      const shift = (group & 3) * 2;
      for (let l = 0; l < 32; l++) put(to, l, d * <f32>(((<i32>load<u8>(codes + <usize>l) >> shift) & 3) - 1));
    }
  }
}

export function dequantizeTQ1(from: usize, to: usize, end: usize): void {
  for (; to < end; to += 1024, from += 54) {
    const d = halfToFloat(load<u16>(from, 52));
    decodeTernary(from, 32, 5, d, to);
    decodeTernary(from + 32, 16, 5, d, to + 640);
    decodeTernary(from + 48, 4, 4, d, to + 960);
  }
}

/** A byte is a fraction of 256 in base 3; digit n of all `count` bytes comes before digit n + 1. */
function decodeTernary(from: usize, count: i32, digits: i32, d: f32, to: usize): void {
  let power = 1;
  for (let n = 0; n < digits; n++) {
    for (let l = 0; l < count; l++) {
      const rest = (<i32>load<u8>(from + <usize>l) * power) & 255;
      put(to, n * count + l, d * <f32>(((rest * 3) >> 8) - 1));
    }
    power *= 3;
  }
}

/** The scale, E4M3 without sign, as f32 bits; a NaN is zero. The levels are doubled, so it is halved. */
// @inline
function halfOfE4M3(bits: u32): f32 {
  if (bits == 0x7f) return 0;
  const exponent = (bits >> 3) & 15;
  if (exponent == 0) return <f32>(bits & 7) * 0.0009765625;
  return reinterpret<f32>(((exponent + 119) << 23) | ((bits & 7) << 20));
}

/** Groups of 16 elements: byte j holds j and j + 8. */
export function dequantizeNVFP4(from: usize, to: usize, end: usize): void {
  const levels = v128.load(MXFP4_LEVELS);
  for (; to < end; from += 36) {
    for (let group: usize = 0; group < 4; group++, to += 64) {
      const pairs = v128.load64_zero(from + (group << 3), 4);
      const high = i16x8.shr_u(pairs, 4);
      const codes = v128.and(
        i8x16.shuffle(pairs, high, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23),
        i8x16.splat(15),
      );
      storeScaled(to, i8x16.swizzle(levels, codes), f32x4.splat(halfOfE4M3(load<u8>(from + group))));
    }
  }
}

export function dequantizeQ1(from: usize, to: usize, end: usize): void {
  for (; to < end; from += 18) {
    const d = halfSplat(from);
    // 0xff, minus one, where the bit is set: -1 - 2 x is 1 there and -1 elsewhere.
    for (let i: usize = 0; i < 16; i += 2, to += 64) {
      const set = spreadBits(load<u16>(from + i, 2));
      storeScaled(to, i8x16.sub(i8x16.splat(-1), i8x16.add(set, set)), d);
    }
  }
}

export function dequantizeQ2(from: usize, to: usize, end: usize): void {
  for (; to < end; to += 256, from += 18) {
    const d = halfToFloat(load<u16>(from));
    for (let l = 0; l < 64; l++)
      put(to, l, d * <f32>(((<i32>load<u8>(from + <usize>(l >> 2), 2) >> (2 * (l & 3))) & 3) - 1));
  }
}
