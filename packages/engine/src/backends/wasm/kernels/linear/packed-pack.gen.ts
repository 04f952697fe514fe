// Packs rows of a file into tiles of 16 while weights are loaded: the same bytes as layouts/, where the picture is.
// Four rows a, b, c, d at a time: 16 bytes of each, transposed as 4 x 4 words, are four steps of four rows.
import { each, plus, types } from '../build/vocabulary.ts';
import { LAYOUTS, type Layout } from '../layouts/index.ts';

const ROWS = [...'abcd'];
/** `text` for each of the four rows. */
const ofRows = (text: (row: string, i: number) => string, between = '\n'): string => ROWS.map(text).join(between);
const list = (text: (row: string) => string): string => ofRows(text, ', ');
const ADDRESSES = list((row) => `${row}: usize`);

/** Words of two vectors: 0…3 are the first one's. */
const shuffle = (v: string, w: string, words: readonly number[]): string =>
  `i8x16.shuffle(${v}, ${w}, ${words.flatMap((word) => [0, 1, 2, 3].map((i) => 4 * word + i)).join(', ')})`;

/** Words 0…count - 1 of each row to the vectors at out + 64 j. */
const transpose = (name: string, count: number): string => `
@inline function ${name}(${list((row) => `${row}: v128`)}, out: usize): void {
  const ab = ${shuffle('a', 'b', [0, 4, 1, 5])}, cd = ${shuffle('c', 'd', [0, 4, 1, 5])};
  const ef = ${shuffle('a', 'b', [2, 6, 3, 7])}, gh = ${shuffle('c', 'd', [2, 6, 3, 7])};
  ${each(count, (j) => {
    const [first, second] = j < 2 ? ['ab', 'cd'] : ['ef', 'gh'];
    const word = shuffle(first!, second!, j % 2 ? [2, 3, 6, 7] : [0, 1, 4, 5]);
    return `v128.store(out, ${word}${j ? `, ${64 * j}` : ''});`;
  })}
}`;

/** Rows r…r + 3 of a group of 32 columns, of blocks whose scales come first, then the fifth bits, then codes. */
function packOwn({ type, bits, scale, minimum, file }: Layout): string {
  const { codes, high } = file!;
  const steps = [...Array(bits === 8 ? 2 : 1).keys()].map((half) => {
    const read = (row: string) => {
      const vector = `v128.load(${row}, ${codes + 16 * half})`;
      return bits === 8 ? `v128.xor(${vector}, flip)` : vector;
    };
    return `storeSteps(${list(read)}, ${plus('group', 256 * half + (high === undefined ? 0 : 64))} + r * 4);`;
  });
  const fifth = (row: string, i: number) => `fifthBits(load<u32>(${row}, ${high}), group + ${4 * i} + r * 4);`;
  const at = (i: number) => (i ? `, ${i}` : '');
  const half = (place: number) => (row: string, i: number) =>
    `store<u16>(scales, load<u16>(${row}${at(place)})${at(16 * place + 2 * i)});`;
  return `
@inline function own${type}(${ADDRESSES}, r: usize, group: usize): void {
  ${bits === 8 ? 'const flip = i8x16.splat(-128);' : ''}
  ${steps.join('\n')}
  ${high === undefined ? '' : ofRows(fifth)}
  const scales = group + ${type}_SCALES + r * ${scale === 'exponent' ? 1 : 2};
  ${scale === 'exponent' ? ofRows((row, i) => `store<u8>(scales, load<u8>(${row})${at(i)});`) : ofRows(half(0))}
  ${minimum ? ofRows(half(2)) : ''}
}`;
}
const own = LAYOUTS.filter(({ file }) => file);
const packGroup = (layout: Layout): string => {
  const { type, bits, levels, file } = layout;
  if (file) return `own${type}(a, b, c, d, r, out);`;
  if (levels) return 'packIQ4_XSGroup(a, b, c, d, r, out);';
  if (bits < 4) return `pack${type}Group(a, b, c, d, r, out);`;
  return bits === 6 ? 'packSixth(a, b, c, d, r, out);' : `packMinimum(${type}, a, b, c, d, r, out);`;
};

const packers = types.map(
  (type) => `
function pack${type}(raw: usize, rowBytes: usize, count: i32, out: usize): void {
  packTile(${type}, raw, rowBytes, ${type}_GROUP / TILE_OUTPUTS, count, out);
}`,
);
const packByType = types
  .map((type, i) => `${i < types.length - 1 ? `if (type == ${type}) ` : ''}pack${type}(raw, rowBytes, count, out);`)
  .join(' else ');

export default `
/** A block of zeros: the rows that fill up the last tile. */
const ZEROS: usize = memory.data(224, 16);

@inline const NIBBLE: u32 = 0x0f0f0f0f;
@inline const SIX: u32 = 0x3f3f3f3f;
@inline const TWO: u32 = 0x03030303;
${transpose('storeSteps', 4)}
${transpose('storeThree', 3)}

/** 32 bytes, each two columns of two blocks of 32: the low nibbles' block as our nibble order has it. */
@inline function lowBlock(p: usize): v128 {
  const nibble = i8x16.splat(15);
  return v128.or(v128.and(v128.load(p), nibble), i16x8.shl(v128.and(v128.load(p, 16), nibble), 4));
}

/** And the high nibbles' block. */
@inline function highBlock(p: usize): v128 {
  const nibble = i8x16.splat(15);
  return v128.or(v128.and(i16x8.shr_u(v128.load(p), 4), nibble), v128.andnot(v128.load(p, 16), nibble));
}

/** Every fourth bit of the low 29, as 8 bits. */
@inline function everyFourth(t: u32): u32 {
  t &= 0x11111111;
  t = (t | (t >> 3)) & 0x03030303;
  t = (t | (t >> 6)) & 0x000f000f;
  return (t | (t >> 12)) & 0xff;
}

@inline function fifthBits(h: u32, out: usize): void {
  store<u32>(out, ${each(4, (i) => (i ? `(everyFourth(h >> ${i}) << ${8 * i})` : 'everyFourth(h)'), ' | ')});
}

${own.map(packOwn).join('\n')}

/** Four 6-bit values (a byte each) of row r. */
@inline function storeSix(values: u32, out: usize): void {
  const top = values >> 24;
  store<u8>(out, (values & 63) | (top << 6));
  store<u8>(out, ((values >> 8) & 63) | ((top >> 2) << 6), 16);
  store<u8>(out, ((values >> 16) & 63) | ((top >> 4) << 6), 32);
}

/** d, dmin and the 12 bytes of scales and minima of row r. */
@inline function minimumScales(block: usize, r: usize, group: usize): void {
  store<u16>(group + r * 2, load<u16>(block));
  store<u16>(group + 32 + r * 2, load<u16>(block, 2));
  const u0 = load<u32>(block, 4), u1 = load<u32>(block, 8), u2 = load<u32>(block, 12);
  const out = group + 64 + r;
  storeSix(u0 & SIX, out);
  storeSix((u2 & NIBBLE) | (((u0 >> 6) & TWO) << 4), out + 48);
  storeSix(u1 & SIX, out + 96);
  storeSix(((u2 >> 4) & NIBBLE) | (((u1 >> 6) & TWO) << 4), out + 144);
}

/** Bit \`shift\` of each byte of 8 words from \`p\`, side by side: word k's at bit k. */
@inline function gatherBits(p: usize, shift: u32): u32 {
  let word: u32 = 0;
  for (let k = 0; k < 8; k++) word |= ((load<u32>(p + ((<usize>k) << 2)) >> shift) & 0x01010101) << k;
  return word;
}

@inline function packMinimum(type: i32, ${ADDRESSES}, r: usize, group: usize): void {
  ${ofRows((row, i) => `minimumScales(${row}, ${plus('r', i)}, group);`)}
  const step = type == Q4_K ? Q4_K_BLOCK : Q5_K_BLOCK;
  const at: usize = type == Q4_K ? 16 : 48;
  let out = group + Q4_K_HEADER + (type == Q4_K ? 0 : 64) + r * 4;
  for (let pair: usize = 0; pair < 4; pair++) {
    const p = at + pair * 32;
    storeSteps(${list((row) => `lowBlock(${row} + p)`)}, out);
    storeSteps(${list((row) => `highBlock(${row} + p)`)}, out + step);
    out += 2 * step;
  }
  if (type == Q4_K) return;
  out = group + Q5_K_HEADER + r * 4;
  for (let i = 0; i < 8; i++) {
    ${ofRows((row, i) => `store<u32>(out, gatherBits(${row} + 16, i)${i ? `, ${4 * i}` : ''});`)}
    out += Q5_K_BLOCK;
  }
}

/** d and 16 factors of row r of Q6_K. */
@inline function sixthScales(block: usize, r: usize, group: usize): void {
  store<u16>(group + r * 2, load<u16>(block, 208));
  for (let k: usize = 0; k < 16; k++) store<u8>(group + 32 + k * 16 + r, load<u8>(block + 192 + k));
}

/**
 * 16 columns of block i of a half of 128: low nibbles at ql, bits 4 and 5 at qh. Words 0…2, with two bits of word 3
 * above each.
 */
@inline function sixes(i: i32, ql: usize, qh: usize): v128 {
  const l = v128.load(ql), h = v128.load(qh);
  const low = v128.and(i < 2 ? l : i16x8.shr_u(l, 4), constant(NIBBLES));
  const high = i == 0 ? i16x8.shl(h, 4) : i == 1 ? i16x8.shl(h, 2) : i == 2 ? h : i16x8.shr_u(h, 2);
  const codes = v128.or(low, v128.and(high, constant(BITS_45)));
  const last = ${shuffle('codes', 'codes', [3, 3, 3, 3])};
  // Shifts by 6, 4, 2 and out. Bytes of word 3 are below 64: what a product carries into the next byte is masked.
  return v128.or(codes, v128.and(i32x4.mul(last, constant(SHIFTS)), constant(TOP_BITS)));
}

@inline function packSixth(${ADDRESSES}, r: usize, group: usize): void {
  ${ofRows((row, i) => `sixthScales(${row}, ${plus('r', i)}, group);`)}
  let out = group + Q6_K_HEADER + r * 4;
  for (let half: usize = 0; half < 2; half++) {
    const ql = half * 64, qh: usize = 128 + half * 32;
    ${each(4, (i) => {
      const to = i ? `out + ${i} * Q6_K_BLOCK` : 'out';
      return `packSixes(${i}, a, b, c, d, ${plus('ql', 32 * (i % 2))}, qh, ${to});`;
    })}
    out += 4 * Q6_K_BLOCK;
  }
}

@inline function packSixes(i: i32, ${ADDRESSES}, ql: usize, qh: usize, out: usize): void {
  const l = ql + 16, h = qh + 16;
  storeThree(${list((row) => `sixes(i, ${row} + ql, ${row} + qh)`)}, out);
  storeThree(${list((row) => `sixes(i, ${row} + l, ${row} + h)`)}, out + Q6_K_PASS);
}

/** d of row r at the group's start, from \`at\` in its block. */
@inline function packD(block: usize, at: usize, r: usize, group: usize): void {
  store<u16>(group + r * 2, load<u16>(block + at));
}

@inline function packIQ4_XSGroup(${ADDRESSES}, r: usize, group: usize): void {
  ${ofRows((row, i) => `scalesIQ4_XS(${row}, ${plus('r', i)}, group);`)}
  let out = group + IQ4_XS_HEADER + r * 4;
  for (let at: usize = 8; at < 136; at += 16) {
    storeSteps(${list((row) => `v128.load(${row} + at)`)}, out);
    out += IQ4_XS_BLOCK;
  }
}
@inline function scalesIQ4_XS(block: usize, r: usize, group: usize): void {
  packD(block, 0, r, group);
  const upper = <u32>load<u16>(block, 2), lower = load<u32>(block, 4);
  for (let set: u32 = 0; set < 2; set++) {
    const low = lower >> (16 * set), high = upper >> (8 * set);
    const nibbles = (low & 15) | ((low & 0xf0) << 4) | ((low & 0xf00) << 8) | ((low & 0xf000) << 12);
    const tops = (high & 3) | ((high & 12) << 6) | ((high & 48) << 12) | ((high & 192) << 18);
    storeSix(nibbles | (tops << 4), group + 32 + <usize>set * 48 + r);
  }
}

/**
 * 16 columns of four rows of two-bit fields, field j of which is of block j of four: transposed, so that a byte holds four
 * steps of one block. \`step\` is the bytes of a block.
 */
@inline function storeQuarters(${list((row) => `${row}: v128`)}, out: usize, step: usize): void {
  const ab = ${shuffle('a', 'b', [0, 4, 1, 5])}, cd = ${shuffle('c', 'd', [0, 4, 1, 5])};
  const ef = ${shuffle('a', 'b', [2, 6, 3, 7])}, gh = ${shuffle('c', 'd', [2, 6, 3, 7])};
  let p = ${shuffle('ab', 'cd', [0, 1, 4, 5])}, q = ${shuffle('ab', 'cd', [2, 3, 6, 7])};
  let s = ${shuffle('ef', 'gh', [0, 1, 4, 5])}, t = ${shuffle('ef', 'gh', [2, 3, 6, 7])};
  const nibbles = constant(NIBBLES), pairs = i8x16.splat(0x33);
  let x = v128.and(v128.xor(i16x8.shr_u(p, 4), s), nibbles), y = v128.and(v128.xor(i16x8.shr_u(q, 4), t), nibbles);
  p = v128.xor(p, i16x8.shl(x, 4));
  s = v128.xor(s, x);
  q = v128.xor(q, i16x8.shl(y, 4));
  t = v128.xor(t, y);
  x = v128.and(v128.xor(i16x8.shr_u(p, 2), q), pairs);
  y = v128.and(v128.xor(i16x8.shr_u(s, 2), t), pairs);
  v128.store(out, v128.xor(p, i16x8.shl(x, 2)));
  v128.store(out + step, v128.xor(q, x));
  v128.store(out + 2 * step, v128.xor(s, i16x8.shl(y, 2)));
  v128.store(out + 3 * step, v128.xor(t, y));
}

/** The 2-bit codes of a group, from \`at\` in the file's block on. */
@inline function packQuarters(${ADDRESSES}, at: usize, out: usize, step: usize): void {
  for (let half: usize = 0; half < 2; half++) {
    storeQuarters(${list((row) => `v128.load(${row} + at)`)}, out, step);
    at += 16;
    storeQuarters(${list((row) => `v128.load(${row} + at)`)}, out + 64, step);
    at += 16;
    out += 4 * step;
  }
}
@inline function packTQ2_0Group(${ADDRESSES}, r: usize, group: usize): void {
  ${ofRows((row, i) => `packD(${row}, 64, ${plus('r', i)}, group);`)}
  packQuarters(a, b, c, d, 0, group + TQ2_0_HEADER + r * 4, TQ2_0_BLOCK);
}
@inline function packQ2_KGroup(${ADDRESSES}, r: usize, group: usize): void {
  ${ofRows((row, i) => `packD(${row}, 80, ${plus('r', i)}, group); packD(${row}, 82, ${plus('r', i)}, group + 32);`)}
  for (let k: usize = 0; k < 16; k++) {
    const out = group + 64 + k * 16 + r;
    ${ofRows((row, i) => `store<u8>(out, load<u8>(${row} + k)${i ? `, ${i}` : ''});`)}
  }
  packQuarters(a, b, c, d, 16, group + Q2_K_HEADER + r * 4, Q2_K_BLOCK);
}
@inline function packQ3_KGroup(${ADDRESSES}, r: usize, group: usize): void {
  ${ofRows((row, i) => `packD(${row}, 108, ${plus('r', i)}, group); scalesQ3_K(${row}, ${plus('r', i)}, group);`)}
  packQuarters(a, b, c, d, 32, group + Q3_K_HEADER + r * 4, Q3_K_BLOCK);
  let out = group + Q3_K_HEADER + 128 + r * 4;
  for (let i = 0; i < 8; i++) {
    ${ofRows((row, i) => `store<u32>(out, gatherBits(${row}, i)${i ? `, ${4 * i}` : ''});`)}
    out += Q3_K_BLOCK;
  }
}
@inline function scalesQ3_K(block: usize, r: usize, group: usize): void {
  const u0 = load<u32>(block, 96), u1 = load<u32>(block, 100), u2 = load<u32>(block, 104);
  const out = group + 32 + r;
  storeSix((u0 & NIBBLE) | ((u2 & TWO) << 4), out);
  storeSix((u1 & NIBBLE) | (((u2 >> 2) & TWO) << 4), out + 48);
  storeSix(((u0 >> 4) & NIBBLE) | (((u2 >> 4) & TWO) << 4), out + 96);
  storeSix(((u1 >> 4) & NIBBLE) | (((u2 >> 6) & TWO) << 4), out + 144);
}

/** One whole tile; rows from \`count\` on are zero. */
@inline function packTile(type: i32, raw: usize, rowBytes: usize, block: usize, count: i32, out: usize): void {
  const groups = rowBytes / block;
  for (let g: usize = 0; g < groups; g++) {
    for (let r = 0; r < TILE_OUTPUTS; r += 4) {
      const p = raw + g * block + <usize>r * rowBytes;
      const a = r < count ? p : ZEROS;
      const b = r + 1 < count ? p + rowBytes : ZEROS;
      const c = r + 2 < count ? p + 2 * rowBytes : ZEROS;
      const d = r + 3 < count ? p + 3 * rowBytes : ZEROS;
      ${LAYOUTS.map((layout, i) => `${i < LAYOUTS.length - 1 ? `if (type == ${layout.type}) ` : ''}${packGroup(layout)}`).join('\n      else ')}
    }
    out += block * TILE_OUTPUTS;
  }
}
${packers.join('')}

/**
 * Packs \`rowCount\` rows in the file's format at \`raw\` as rows rowStart… of the packed matrix at \`out\`. \`rowStart\`
 * must be a multiple of 16, and \`rowCount\` too unless these rows are the matrix's last. \`layout\` is the packed one's
 * id.
 */
export function packRows(layout: i32, raw: usize, rowStart: i32, rowCount: i32, columns: i32, out: usize): void {
  const type = layout - PACKED_BASE;
  const tileBytes = packedTileBytes(type, columns);
  const rowBytes = tileBytes / TILE_OUTPUTS;
  out += <usize>(rowStart / TILE_OUTPUTS) * tileBytes;
  for (let row = 0; row < rowCount; row += TILE_OUTPUTS) {
    const count = min(TILE_OUTPUTS, rowCount - row);
    ${packByType}
    raw += 16 * rowBytes;
    out += tileBytes;
  }
}
`;
