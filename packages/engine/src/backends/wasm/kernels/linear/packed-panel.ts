// A panel: one tile of 16 rows of a packed matrix, spread out for the tile kernel. Codes become bytes (step s of a
// block: 8 rows x columns 4s…4s+3), scales f32; rows 0…7 first over all blocks, then rows 8…15. Made once per tile and
// used for every 4 rows of activations, in a scratch that stays in the second-level cache.

import {
  Q4_0,
  Q4_0_BLOCK,
  Q4_0_SCALES,
  Q4_K,
  Q4_K_BLOCK,
  Q4_K_HEADER,
  Q5_0,
  Q5_0_BLOCK,
  Q5_0_SCALES,
  Q5_K,
  Q5_K_BLOCK,
  Q6_K,
  Q6_K_BLOCK,
  Q6_K_GROUP,
  Q6_K_HEADER,
  Q6_K_PASS,
} from './layouts.gen';
import {
  BIT_4,
  constant,
  fourthSix,
  HALF_BIAS,
  HALF_LIMIT,
  highHalves,
  lowHalves,
  NIBBLES,
  SIGN,
  SIX_BITS,
  TOP_BITS,
} from './packed-dot';
import { spreadFactors, spreadMinimumScales } from './packed-scales';
import { HALVES, MINIMUM, MINIMUM_16, OFFSET_8, OFFSET_16, panelBlockBytes, TWO_NIBBLES } from './packed-sums';

/** Step q of 16 rows as nibbles: columns 4q… in the low, 16 + 4q… in the high ones. */
// @inline
function spreadNibbles(w: usize, a: usize, b: usize, nibbles: v128): void {
  for (let q: usize = 0; q < 4; q++) {
    const w0 = v128.load(w),
      w1 = v128.load(w, 16),
      w2 = v128.load(w, 32),
      w3 = v128.load(w, 48);
    v128.store(a, v128.and(w0, nibbles));
    v128.store(a, v128.and(w1, nibbles), 16);
    v128.store(b, v128.and(w2, nibbles));
    v128.store(b, v128.and(w3, nibbles), 16);
    v128.store(a, v128.and(i16x8.shr_u(w0, 4), nibbles), 128);
    v128.store(a, v128.and(i16x8.shr_u(w1, 4), nibbles), 144);
    v128.store(b, v128.and(i16x8.shr_u(w2, 4), nibbles), 128);
    v128.store(b, v128.and(i16x8.shr_u(w3, 4), nibbles), 144);
    w += 64;
    a += 32;
    b += 32;
  }
}

/** Adds bit 4 to the nibbles of a block: per 4 rows 16 bytes, bit q of a byte for step q, bit 4 + q for step 4 + q. */
// @inline
function spreadFifthBits(bits: usize, a: usize, b: usize): void {
  const bit = constant(BIT_4);
  let h0 = v128.load(bits),
    h1 = v128.load(bits, 16),
    h2 = v128.load(bits, 32),
    h3 = v128.load(bits, 48);
  for (let q = 0; q < 4; q++) {
    v128.store(a, v128.or(v128.load(a), v128.and(i16x8.shl(h0, 4), bit)));
    v128.store(a, v128.or(v128.load(a, 16), v128.and(i16x8.shl(h1, 4), bit)), 16);
    v128.store(b, v128.or(v128.load(b), v128.and(i16x8.shl(h2, 4), bit)));
    v128.store(b, v128.or(v128.load(b, 16), v128.and(i16x8.shl(h3, 4), bit)), 16);
    v128.store(a, v128.or(v128.load(a, 128), v128.and(h0, bit)), 128);
    v128.store(a, v128.or(v128.load(a, 144), v128.and(h1, bit)), 144);
    v128.store(b, v128.or(v128.load(b, 128), v128.and(h2, bit)), 128);
    v128.store(b, v128.or(v128.load(b, 144), v128.and(h3, bit)), 144);
    h0 = i16x8.shr_u(h0, 1);
    h1 = i16x8.shr_u(h1, 1);
    h2 = i16x8.shr_u(h2, 1);
    h3 = i16x8.shr_u(h3, 1);
    a += 32;
    b += 32;
  }
}

// @inline
function spreadScales(w: usize, a: usize, b: usize): void {
  const sign = constant(SIGN),
    bias = constant(HALF_BIAS),
    limit = constant(HALF_LIMIT);
  const h = v128.load(w),
    g = v128.load(w, 16);
  v128.store(a, lowHalves(h, sign, bias, limit));
  v128.store(a, highHalves(h, sign, bias, limit), 16);
  v128.store(b, lowHalves(g, sign, bias, limit));
  v128.store(b, highHalves(g, sign, bias, limit), 16);
}

function panelQ4_0(w: usize, panel: usize, blocks: i32): void {
  const nibbles = constant(NIBBLES);
  let a = panel,
    b = panel + <usize>blocks * panelBlockBytes(OFFSET_8);
  for (; blocks > 0; blocks--) {
    spreadNibbles(w, a, b, nibbles);
    spreadScales(w + Q4_0_SCALES, a + 256, b + 256);
    w += Q4_0_BLOCK;
    a += panelBlockBytes(OFFSET_8);
    b += panelBlockBytes(OFFSET_8);
  }
}

function panelQ5_0(w: usize, panel: usize, blocks: i32): void {
  const nibbles = constant(NIBBLES);
  let a = panel,
    b = panel + <usize>blocks * panelBlockBytes(OFFSET_16);
  for (; blocks > 0; blocks--) {
    spreadNibbles(w, a, b, nibbles);
    spreadFifthBits(w + 256, a, b);
    spreadScales(w + Q5_0_SCALES, a + 256, b + 256);
    w += Q5_0_BLOCK;
    a += panelBlockBytes(OFFSET_16);
    b += panelBlockBytes(OFFSET_16);
  }
}

function panelQ8_0(w: usize, panel: usize, blocks: i32): void {
  const nibbles = constant(NIBBLES);
  let a = panel,
    b = panel + <usize>blocks * panelBlockBytes(TWO_NIBBLES);
  for (; blocks > 0; blocks--) {
    for (let q: usize = 0; q < 8; q++) {
      const w0 = v128.load(w),
        w1 = v128.load(w, 16),
        w2 = v128.load(w, 32),
        w3 = v128.load(w, 48);
      const c = a + q * 32,
        d = b + q * 32;
      v128.store(c, v128.and(w0, nibbles));
      v128.store(c, v128.and(w1, nibbles), 16);
      v128.store(d, v128.and(w2, nibbles));
      v128.store(d, v128.and(w3, nibbles), 16);
      v128.store(c, v128.and(i16x8.shr_u(w0, 4), nibbles), 256);
      v128.store(c, v128.and(i16x8.shr_u(w1, 4), nibbles), 272);
      v128.store(d, v128.and(i16x8.shr_u(w2, 4), nibbles), 256);
      v128.store(d, v128.and(i16x8.shr_u(w3, 4), nibbles), 272);
      w += 64;
    }
    spreadScales(w, a + 512, b + 512);
    w += 32;
    a += panelBlockBytes(TWO_NIBBLES);
    b += panelBlockBytes(TWO_NIBBLES);
  }
}

/** Q4_K and Q5_K: all 8 blocks' scales at once, into the panel's places by way of `room`. */
// @inline
function panelMinimum(bits: i32, w: usize, panel: usize, blocks: i32, room: usize): void {
  const nibbles = constant(NIBBLES);
  const step = bits == 4 ? Q4_K_BLOCK : Q5_K_BLOCK;
  let a = panel,
    b = panel + <usize>blocks * panelBlockBytes(MINIMUM);
  for (; blocks > 0; blocks -= 8) {
    spreadMinimumScales(w, room, bits == 4 ? 0 : 16);
    w += Q4_K_HEADER;
    for (let i: usize = 0; i < 8; i++) {
      spreadNibbles(w, a, b, nibbles);
      if (bits == 5) spreadFifthBits(w + 256, a, b);
      const from = room + i * 128;
      v128.store(a, v128.load(from), 256);
      v128.store(a, v128.load(from, 16), 272);
      v128.store(b, v128.load(from, 32), 256);
      v128.store(b, v128.load(from, 48), 272);
      v128.store(a, v128.load(from, 64), 288);
      v128.store(a, v128.load(from, 80), 304);
      v128.store(b, v128.load(from, 96), 288);
      v128.store(b, v128.load(from, 112), 304);
      w += step;
      a += panelBlockBytes(MINIMUM);
      b += panelBlockBytes(MINIMUM);
    }
  }
}

function panelQ4_K(w: usize, panel: usize, blocks: i32, room: usize): void {
  panelMinimum(4, w, panel, blocks, room);
}

function panelQ5_K(w: usize, panel: usize, blocks: i32, room: usize): void {
  panelMinimum(5, w, panel, blocks, room);
}

/** Four steps of 8 rows: 6-bit codes of 16 columns. `w` and `out` are those rows'. */
// @inline
function spreadSix(w: usize, out: usize, six: v128, top: v128): void {
  const a0 = v128.load(w),
    a1 = v128.load(w, 16);
  const b0 = v128.load(w, 64),
    b1 = v128.load(w, 80);
  const c0 = v128.load(w, 128),
    c1 = v128.load(w, 144);
  v128.store(out, v128.and(a0, six));
  v128.store(out, v128.and(a1, six), 16);
  v128.store(out, v128.and(b0, six), 32);
  v128.store(out, v128.and(b1, six), 48);
  v128.store(out, v128.and(c0, six), 64);
  v128.store(out, v128.and(c1, six), 80);
  v128.store(out, fourthSix(a0, b0, c0, top), 96);
  v128.store(out, fourthSix(a1, b1, c1, top), 112);
}

function panelQ6_K(w: usize, panel: usize, blocks: i32): void {
  const six = constant(SIX_BITS),
    top = constant(TOP_BITS);
  let a = panel,
    b = panel + <usize>blocks * panelBlockBytes(HALVES);
  for (; blocks > 0; blocks -= 8) {
    let codes = w + Q6_K_HEADER;
    for (let i: usize = 0; i < 8; i++) {
      spreadSix(codes, a, six, top);
      spreadSix(codes + 32, b, six, top);
      spreadSix(codes + Q6_K_PASS, a + 160, six, top);
      spreadSix(codes + Q6_K_PASS + 32, b + 160, six, top);
      const factors = w + 32 + i * 32;
      spreadFactors(factors, a + 128);
      spreadFactors(factors + 8, b + 128);
      spreadFactors(factors + 16, a + 288);
      spreadFactors(factors + 24, b + 288);
      spreadScales(w, a + 320, b + 320);
      codes += Q6_K_BLOCK;
      a += panelBlockBytes(HALVES);
      b += panelBlockBytes(HALVES);
    }
    w += Q6_K_GROUP;
  }
}

/** Which kind of panel a type makes. */
// @inline
export function panelKind(type: i32): i32 {
  if (type == Q4_0) return OFFSET_8;
  if (type == Q5_0) return OFFSET_16;
  if (type == Q4_K) return MINIMUM;
  if (type == Q5_K) return MINIMUM_16;
  return type == Q6_K ? HALVES : TWO_NIBBLES;
}

/** Spreads the tile at `w` of `blocks` times 32 columns. `room` is SCALE_ROOM bytes. */
export function makePanel(type: i32, w: usize, panel: usize, blocks: i32, room: usize): void {
  if (type == Q4_0) panelQ4_0(w, panel, blocks);
  else if (type == Q4_K) panelQ4_K(w, panel, blocks, room);
  else if (type == Q5_0) panelQ5_0(w, panel, blocks);
  else if (type == Q5_K) panelQ5_K(w, panel, blocks, room);
  else if (type == Q6_K) panelQ6_K(w, panel, blocks);
  else panelQ8_0(w, panel, blocks);
}
