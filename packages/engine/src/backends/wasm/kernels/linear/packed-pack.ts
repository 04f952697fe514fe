// Packs rows of a file into tiles of 16 while weights are loaded: the same bytes as layouts/, where the picture is.
// Four rows at a time: 16 bytes of each, transposed as 4 x 4 words, are four steps of four rows.

import {
  PACKED_BASE,
  packedTileBytes,
  Q4_0,
  Q4_0_GROUP,
  Q4_0_SCALES,
  Q4_K,
  Q4_K_BLOCK,
  Q4_K_GROUP,
  Q4_K_HEADER,
  Q5_0,
  Q5_0_GROUP,
  Q5_0_SCALES,
  Q5_K,
  Q5_K_BLOCK,
  Q5_K_GROUP,
  Q5_K_HEADER,
  Q6_K,
  Q6_K_BLOCK,
  Q6_K_GROUP,
  Q6_K_HEADER,
  Q6_K_PASS,
  Q8_0,
  Q8_0_GROUP,
  Q8_0_SCALES,
  TILE_OUTPUTS,
} from './layouts.gen';
import { BITS_45, constant, NIBBLES, SHIFTS, TOP_BITS } from './packed-dot';

/** A block of zeros: the rows that fill up the last tile. */
const ZEROS: usize = memory.data(224, 16);

// @inline
const NIBBLE: u32 = 0x0f0f0f0f;
// @inline
const SIX: u32 = 0x3f3f3f3f;
// @inline
const TWO: u32 = 0x03030303;

/** Word j of rows a, b, c, d to the vector at out + 64 j. */
// @inline
function storeSteps(a: v128, b: v128, c: v128, d: v128, out: usize): void {
  const ab = i8x16.shuffle(a, b, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
  const cd = i8x16.shuffle(c, d, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
  const ef = i8x16.shuffle(a, b, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
  const gh = i8x16.shuffle(c, d, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
  v128.store(out, i8x16.shuffle(ab, cd, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23));
  v128.store(out, i8x16.shuffle(ab, cd, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31), 64);
  v128.store(out, i8x16.shuffle(ef, gh, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23), 128);
  v128.store(out, i8x16.shuffle(ef, gh, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31), 192);
}

/** 32 bytes, each two columns of two blocks of 32: the low nibbles' block as our nibble order has it. */
// @inline
function lowBlock(p: usize): v128 {
  const nibble = i8x16.splat(15);
  return v128.or(v128.and(v128.load(p), nibble), i16x8.shl(v128.and(v128.load(p, 16), nibble), 4));
}

/** And the high nibbles' block. */
// @inline
function highBlock(p: usize): v128 {
  const nibble = i8x16.splat(15);
  return v128.or(v128.and(i16x8.shr_u(v128.load(p), 4), nibble), v128.andnot(v128.load(p, 16), nibble));
}

/** Every fourth bit of the low 29, as 8 bits. */
// @inline
function everyFourth(t: u32): u32 {
  t &= 0x11111111;
  t = (t | (t >> 3)) & 0x03030303;
  t = (t | (t >> 6)) & 0x000f000f;
  return (t | (t >> 12)) & 0xff;
}

/** Rows r…r+3 of a group of 32 columns. */
// @inline
function pack32(type: i32, a: usize, b: usize, c: usize, d: usize, r: usize, group: usize): void {
  if (type == Q8_0) {
    const flip = i8x16.splat(-128);
    for (let half: usize = 0; half < 2; half++) {
      const at: usize = 2 + half * 16;
      storeSteps(
        v128.xor(v128.load(a + at), flip),
        v128.xor(v128.load(b + at), flip),
        v128.xor(v128.load(c + at), flip),
        v128.xor(v128.load(d + at), flip),
        group + half * 256 + r * 4,
      );
    }
  } else {
    const at: usize = type == Q4_0 ? 2 : 6;
    storeSteps(v128.load(a + at), v128.load(b + at), v128.load(c + at), v128.load(d + at), group + r * 4);
  }
  if (type == Q5_0) {
    fifthBits(load<u32>(a, 2), group + 256 + r * 4);
    fifthBits(load<u32>(b, 2), group + 260 + r * 4);
    fifthBits(load<u32>(c, 2), group + 264 + r * 4);
    fifthBits(load<u32>(d, 2), group + 268 + r * 4);
  }
  const scales = group + (type == Q4_0 ? Q4_0_SCALES : type == Q5_0 ? Q5_0_SCALES : Q8_0_SCALES) + r * 2;
  store<u16>(scales, load<u16>(a));
  store<u16>(scales, load<u16>(b), 2);
  store<u16>(scales, load<u16>(c), 4);
  store<u16>(scales, load<u16>(d), 6);
}

// @inline
function fifthBits(h: u32, out: usize): void {
  store<u32>(
    out,
    everyFourth(h) | (everyFourth(h >> 1) << 8) | (everyFourth(h >> 2) << 16) | (everyFourth(h >> 3) << 24),
  );
}

/** Four 6-bit values (a byte each) of row r. */
// @inline
function storeSix(values: u32, out: usize): void {
  const top = values >> 24;
  store<u8>(out, (values & 63) | (top << 6));
  store<u8>(out, ((values >> 8) & 63) | ((top >> 2) << 6), 16);
  store<u8>(out, ((values >> 16) & 63) | ((top >> 4) << 6), 32);
}

/** d, dmin and the 12 bytes of scales and minima of row r. */
// @inline
function minimumScales(block: usize, r: usize, group: usize): void {
  store<u16>(group + r * 2, load<u16>(block));
  store<u16>(group + 32 + r * 2, load<u16>(block, 2));
  const u0 = load<u32>(block, 4),
    u1 = load<u32>(block, 8),
    u2 = load<u32>(block, 12);
  const out = group + 64 + r;
  storeSix(u0 & SIX, out);
  storeSix((u2 & NIBBLE) | (((u0 >> 6) & TWO) << 4), out + 48);
  storeSix(u1 & SIX, out + 96);
  storeSix(((u2 >> 4) & NIBBLE) | (((u1 >> 6) & TWO) << 4), out + 144);
}

/** Bit `shift` of each byte of 8 words from `p`, side by side: word k's at bit k. */
// @inline
function gatherBits(p: usize, shift: u32): u32 {
  let word: u32 = 0;
  for (let k = 0; k < 8; k++) word |= ((load<u32>(p + ((<usize>k) << 2)) >> shift) & 0x01010101) << k;
  return word;
}

// @inline
function packMinimum(type: i32, a: usize, b: usize, c: usize, d: usize, r: usize, group: usize): void {
  minimumScales(a, r, group);
  minimumScales(b, r + 1, group);
  minimumScales(c, r + 2, group);
  minimumScales(d, r + 3, group);
  const step = type == Q4_K ? Q4_K_BLOCK : Q5_K_BLOCK;
  const at: usize = type == Q4_K ? 16 : 48;
  let out = group + Q4_K_HEADER + r * 4;
  for (let pair: usize = 0; pair < 4; pair++) {
    const p = at + pair * 32;
    storeSteps(lowBlock(a + p), lowBlock(b + p), lowBlock(c + p), lowBlock(d + p), out);
    storeSteps(highBlock(a + p), highBlock(b + p), highBlock(c + p), highBlock(d + p), out + step);
    out += 2 * step;
  }
  if (type == Q4_K) return;
  out = group + Q5_K_HEADER + 256 + r * 4;
  for (let i = 0; i < 8; i++) {
    store<u32>(out, gatherBits(a + 16, i));
    store<u32>(out, gatherBits(b + 16, i), 4);
    store<u32>(out, gatherBits(c + 16, i), 8);
    store<u32>(out, gatherBits(d + 16, i), 12);
    out += Q5_K_BLOCK;
  }
}

/** d and 16 factors of row r of Q6_K. */
// @inline
function sixthScales(block: usize, r: usize, group: usize): void {
  store<u16>(group + r * 2, load<u16>(block, 208));
  for (let k: usize = 0; k < 16; k++) store<u8>(group + 32 + k * 16 + r, load<u8>(block + 192 + k));
}

/**
 * 16 columns of block i of a half of 128: low nibbles at ql, bits 4 and 5 at qh. Words 0…2, with two bits of word 3
 * above each.
 */
// @inline
function sixes(i: i32, ql: usize, qh: usize): v128 {
  const l = v128.load(ql),
    h = v128.load(qh);
  const low = v128.and(i < 2 ? l : i16x8.shr_u(l, 4), constant(NIBBLES));
  const high = i == 0 ? i16x8.shl(h, 4) : i == 1 ? i16x8.shl(h, 2) : i == 2 ? h : i16x8.shr_u(h, 2);
  const codes = v128.or(low, v128.and(high, constant(BITS_45)));
  const last = i8x16.shuffle(codes, codes, 12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15);
  // Shifts by 6, 4, 2 and out. Bytes of word 3 are below 64: what a product carries into the next byte is masked.
  return v128.or(codes, v128.and(i32x4.mul(last, constant(SHIFTS)), constant(TOP_BITS)));
}

/** Words 0…2 of rows a, b, c, d to the vectors at out + 64 j. */
// @inline
function storeThree(a: v128, b: v128, c: v128, d: v128, out: usize): void {
  const ab = i8x16.shuffle(a, b, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
  const cd = i8x16.shuffle(c, d, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
  const ef = i8x16.shuffle(a, b, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
  const gh = i8x16.shuffle(c, d, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
  v128.store(out, i8x16.shuffle(ab, cd, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23));
  v128.store(out, i8x16.shuffle(ab, cd, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31), 64);
  v128.store(out, i8x16.shuffle(ef, gh, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23), 128);
}

// @inline
function packSixth(a: usize, b: usize, c: usize, d: usize, r: usize, group: usize): void {
  sixthScales(a, r, group);
  sixthScales(b, r + 1, group);
  sixthScales(c, r + 2, group);
  sixthScales(d, r + 3, group);
  let out = group + Q6_K_HEADER + r * 4;
  for (let half: usize = 0; half < 2; half++) {
    const ql = half * 64,
      qh: usize = 128 + half * 32;
    packSixes(0, a, b, c, d, ql, qh, out);
    packSixes(1, a, b, c, d, ql + 32, qh, out + Q6_K_BLOCK);
    packSixes(2, a, b, c, d, ql, qh, out + 2 * Q6_K_BLOCK);
    packSixes(3, a, b, c, d, ql + 32, qh, out + 3 * Q6_K_BLOCK);
    out += 4 * Q6_K_BLOCK;
  }
}

// @inline
function packSixes(i: i32, a: usize, b: usize, c: usize, d: usize, ql: usize, qh: usize, out: usize): void {
  const l = ql + 16,
    h = qh + 16;
  storeThree(
    sixes(i, a + ql, a + qh),
    sixes(i, b + ql, b + qh),
    sixes(i, c + ql, c + qh),
    sixes(i, d + ql, d + qh),
    out,
  );
  storeThree(
    sixes(i, a + l, a + h),
    sixes(i, b + l, b + h),
    sixes(i, c + l, c + h),
    sixes(i, d + l, d + h),
    out + Q6_K_PASS,
  );
}

/** One whole tile; rows from `count` on are zero. */
// @inline
function packTile(type: i32, raw: usize, rowBytes: usize, block: usize, count: i32, out: usize): void {
  const groups = rowBytes / block;
  for (let g: usize = 0; g < groups; g++) {
    for (let r = 0; r < TILE_OUTPUTS; r += 4) {
      const p = raw + g * block + <usize>r * rowBytes;
      const a = r < count ? p : ZEROS;
      const b = r + 1 < count ? p + rowBytes : ZEROS;
      const c = r + 2 < count ? p + 2 * rowBytes : ZEROS;
      const d = r + 3 < count ? p + 3 * rowBytes : ZEROS;
      if (type == Q4_0 || type == Q5_0 || type == Q8_0) pack32(type, a, b, c, d, r, out);
      else if (type == Q4_K || type == Q5_K) packMinimum(type, a, b, c, d, r, out);
      else packSixth(a, b, c, d, r, out);
    }
    out += block * TILE_OUTPUTS;
  }
}

function packQ4_0(raw: usize, rowBytes: usize, count: i32, out: usize): void {
  packTile(Q4_0, raw, rowBytes, Q4_0_GROUP / TILE_OUTPUTS, count, out);
}
function packQ5_0(raw: usize, rowBytes: usize, count: i32, out: usize): void {
  packTile(Q5_0, raw, rowBytes, Q5_0_GROUP / TILE_OUTPUTS, count, out);
}
function packQ8_0(raw: usize, rowBytes: usize, count: i32, out: usize): void {
  packTile(Q8_0, raw, rowBytes, Q8_0_GROUP / TILE_OUTPUTS, count, out);
}
function packQ4_K(raw: usize, rowBytes: usize, count: i32, out: usize): void {
  packTile(Q4_K, raw, rowBytes, Q4_K_GROUP / TILE_OUTPUTS, count, out);
}
function packQ5_K(raw: usize, rowBytes: usize, count: i32, out: usize): void {
  packTile(Q5_K, raw, rowBytes, Q5_K_GROUP / TILE_OUTPUTS, count, out);
}
function packQ6_K(raw: usize, rowBytes: usize, count: i32, out: usize): void {
  packTile(Q6_K, raw, rowBytes, Q6_K_GROUP / TILE_OUTPUTS, count, out);
}

/**
 * Packs `rowCount` rows in the file's format at `raw` as rows rowStart… of the packed matrix at `out`. `rowStart` must
 * be a multiple of 16, and `rowCount` too unless these rows are the matrix's last. `layout` is the packed layout's id.
 */
export function packRows(layout: i32, raw: usize, rowStart: i32, rowCount: i32, columns: i32, out: usize): void {
  const type = layout - PACKED_BASE;
  const tileBytes = packedTileBytes(type, columns);
  const rowBytes = tileBytes / TILE_OUTPUTS;
  out += <usize>(rowStart / TILE_OUTPUTS) * tileBytes;
  for (let row = 0; row < rowCount; row += TILE_OUTPUTS) {
    const count = min(TILE_OUTPUTS, rowCount - row);
    if (type == Q4_0) packQ4_0(raw, rowBytes, count, out);
    else if (type == Q5_0) packQ5_0(raw, rowBytes, count, out);
    else if (type == Q8_0) packQ8_0(raw, rowBytes, count, out);
    else if (type == Q4_K) packQ4_K(raw, rowBytes, count, out);
    else if (type == Q5_K) packQ5_K(raw, rowBytes, count, out);
    else packQ6_K(raw, rowBytes, count, out);
    raw += 16 * rowBytes;
    out += tileBytes;
  }
}
