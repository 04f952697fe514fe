// The scales inside a group of 256 columns of K-quants, spread out to one f32 or i16 pair per row.

import { declare, each, extended, F16, halves, load, numbered, plus, stores, widened } from '../build/vocabulary.ts';
import { LAYOUTS, type Layout } from '../layouts/index.ts';

interface Part {
  readonly name: string;
  readonly parameters: string;
  /** Vectors of 4 rows. */
  readonly vectors: 2 | 4;
  /** Loads f16 d as h (and g), and minus f16 dmin as k (and l): the sign is flipped while it is still an f16. */
  readonly loadScales: string;
  readonly loadMinima: string;
  /** Where the 6-bit values are, and how those of one column are loaded. */
  readonly set: (at: number) => string;
  readonly load: (p: string, at?: number) => string;
}

/**
 * Q4_K and Q5_K: the group at `w` (f16 d, f16 dmin, 6-bit values) to out[block][0…rows) = d * scale,
 * out[block][rows…2 rows) = -dmin * minimum. With `offset` 16, for codes whose products start at -16 * sum, 16 scales
 * are added to the latter.
 */
function spreadGroup({ name, parameters, vectors, loadScales, loadMinima, set, load: loaded }: Part): string {
  const row = 16 * vectors;
  const factors = (d: string) => numbered(d, vectors).join(', ');
  const declareFactors = (d: string, h: string) =>
    declare('const', numbered(d, vectors), (i) => halves(h[i >> 1]!)[i & 1]!);
  const spread = (d: string, from: number, to: number) =>
    `scaleSet${name}(${set(from)}, ${factors(d)}, ${plus('out', to)});`;
  return `
@inline function scaleBytes${name}(v: v128, ${factors('d').replace(/\w+/g, '$&: v128')}, out: usize): void {
  ${extended('v', vectors / 2)}
  ${each(vectors, (i) => `const y${i} = f32x4.mul(${widened('v', i)}, d${i});`)}
  ${stores('out', numbered('y', vectors))}
}

/**
 * Four 6-bit values (48 B at \`set\`) times d. A loop: with out + 128 and so on as constants, neighbouring stores have
 * different bases, and the 256-bit pass leaves them apart.
 */
@inline function scaleSet${name}(set: usize, ${factors('d').replace(/\w+/g, '$&: v128')}, out: usize): void {
  const six = constant(SIX_BITS);
  let p = set;
  const end = set + 48;
  do {
    scaleBytes${name}(v128.and(${loaded('p')}, six), ${factors('d')}, out);
    p += 16;
    out += ${2 * row};
  } while (p < end);
  ${declare('const', numbered('v', 3), (i) => loaded('set', 16 * i))}
  scaleBytes${name}(fourthSix(v0, v1, v2, constant(TOP_BITS)), ${factors('d')}, out);
}

@inline export function spreadScales${name}(w: usize, ${parameters}out: usize, offset: i32): void {
  ${F16}
  ${loadScales}
  ${declareFactors('d', 'hg')}
  ${spread('d', 0, 0)}
  ${spread('d', 48, 8 * row)}
  ${loadMinima}
  ${declareFactors('m', 'kl')}
  ${spread('m', 96, row)}
  ${spread('m', 144, 9 * row)}
  if (offset == 0) return;
  const sixteen = f32x4.splat(16);
  for (let end = out + ${16 * row}; out < end; out += ${2 * row}) {
    ${each(
      vectors,
      (i) => `const y${i} = f32x4.add(f32x4.mul(${load('out', 16 * i)}, sixteen), ${load('out', row + 16 * i)});`,
    )}
    ${stores('out', numbered('y', vectors), row)}
  }
}`;
}

const ALL_ROWS: Part = {
  name: '',
  parameters: '',
  vectors: 4,
  loadScales: 'const h = v128.load(w), g = v128.load(w, 16);',
  loadMinima: `
  const flip = constant(HALF_SIGN);
  const k = v128.xor(v128.load(w, 32), flip), l = v128.xor(v128.load(w, 48), flip);`,
  set: (at) => `w + ${64 + at}`,
  load,
};

const HALF_THE_ROWS: Part = {
  name: 'Half',
  parameters: 'half: usize, ',
  vectors: 2,
  loadScales: `
  const d = w + half * 16, m = w + 32 + half * 16, set = w + 64 + half * 8;
  const h = v128.load(d), k = v128.xor(v128.load(m), constant(HALF_SIGN));`,
  loadMinima: '',
  set: (at) => plus('set', at),
  load: (p, at = 0) => `v128.load64_zero(${p}${at ? `, ${at}` : ''})`,
};

/** Scales of types whose groups have levels. */
function spreadLevels({ type, factor = 1 }: Layout): string {
  const times = (d: string) => (factor === 1 ? d : `f32x4.mul(${d}, f32x4.splat(${factor}))`);
  return `
/** out[block][0…16) = d * (scale - 32), times the type's factor. */
export function spread${type}(w: usize, out: usize): void {
  ${F16}
  const h = v128.load(w), g = v128.load(w, 16);
  ${declare('const', numbered('d', 4), (i) => times(halves('hg'[i >> 1]!)[i & 1]!))}
  unpackSigned(w + 32, 2, out + 896);
  for (let from = out + 896, end = out + 1024; from < end; from += 16) {
    const v = v128.load(from), low = i16x8.extend_low_i8x16_s(v), high = i16x8.extend_high_i8x16_s(v);
    ${each(4, (i) => `const y${i} = f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_${i % 2 ? 'high' : 'low'}_i16x8_s(${i < 2 ? 'low' : 'high'})), d${i});`)}
    ${stores('out', numbered('y', 4))}
    out += 64;
  }
}
`;
}

export default `
/** Bytes that spreadScales fills: 8 blocks x (16 scales, 16 minima) f32. */
export const SCALE_ROOM: usize = 1024;
${spreadGroup(ALL_ROWS)}
${spreadGroup(HALF_THE_ROWS)}

/** 16 f16 as f32. */
@inline export function spreadHalves(w: usize, out: usize): void {
  ${F16}
  const h = v128.load(w), g = v128.load(w, 16);
  ${declare('const', numbered('d', 4), (i) => halves('hg'[i >> 1]!)[i & 1]!)}
  ${stores('out', numbered('d', 4))}
}

/** Q6_K: 8 rows' int8 factors, each twice as i16. */
@inline export function doubledBytes(p: usize): v128 {
  const v = v128.load64_zero(p);
  return i8x16.shuffle(v, v, ${each(8, (i) => `${i}, ${i}`, ', ')});
}

/** The factors of 16 columns, 8 rows at \`from\`: f32, or i16 pairs for accumulators of i16. */
@inline export function spreadFactors(from: usize, to: usize): void {
  if (!PAIR_DOT) {
    const h = v128.load_ext<i8>(from);
    v128.store(to, f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(h)));
    v128.store(to, f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(h)), 16);
    return;
  }
  const v = doubledBytes(from);
  v128.store(to, i16x8.extend_low_i8x16_s(v));
  v128.store(to, i16x8.extend_high_i8x16_s(v), 16);
}

/** Q4_K and Q5_K: a group's 6-bit values as bytes: out[block][0…16) scales, out[8 + block][0…16) minima. */
@inline export function unpackScales(w: usize, out: usize): void {
  ${each(4, (i) => `unpackSet(w + ${64 + 48 * i}, out + ${64 * i});`)}
}

/** Four of them, of 16 rows, 16 bytes apart. */
@inline function unpackSet(set: usize, out: usize): void {
  const six = constant(SIX_BITS);
  ${declare('const', ['a', 'b', 'c'], (i) => load('set', 16 * i))}
  ${stores('out', [...[...'abc'].map((p) => `v128.and(${p}, six)`), 'fourthSix(a, b, c, constant(TOP_BITS))'])}
}

/** Sets of 6-bit values, less 32: as int8, out[value][0…16). */
@inline function unpackSigned(set: usize, sets: i32, out: usize): void {
  const six = constant(SIX_BITS), top = constant(TOP_BITS), less = constant(THIRTY_TWO);
  for (; sets > 0; sets--) {
    ${declare('const', ['a', 'b', 'c'], (i) => load('set', 16 * i))}
    ${stores(
      'out',
      [...[...'abc'].map((p) => `v128.and(${p}, six)`), 'fourthSix(a, b, c, top)'].map((v) => `i8x16.sub(${v}, less)`),
    )}
    set += 48;
    out += 64;
  }
}

/** Where the headers of 16 rows put an int8 for every 16 columns, [value][16 rows], behind d. */
@inline export const FACTORS: usize = 64;
/** And of minima: as the file has them, unsigned, then -dmin as f32. */
@inline export const MINIMA: usize = 320;
@inline export const MINIMUM_SCALES: usize = 576;
/** Left over. */
@inline export const SPARE_ROOM: usize = 704;

export function spreadQ3_K(w: usize, room: usize): void {
  spreadHalves(w, room);
  unpackSigned(w + 32, 4, room + FACTORS);
}

export function spreadQ2_K(w: usize, room: usize): void {
  const nibbles = constant(NIBBLES);
  spreadHalves(w, room);
  ${F16}
  const flip = constant(HALF_SIGN);
  const k = v128.xor(v128.load(w, 32), flip), l = v128.xor(v128.load(w, 48), flip);
  ${declare('const', numbered('m', 4), (v) => [...halves('k'), ...halves('l')][v]!)}
  const scales = room + MINIMUM_SCALES;
  ${stores('scales', numbered('m', 4))}
  for (let end = w + 256; w < end; w += 16) {
    const v = v128.load(w, 64);
    v128.store(room, v128.and(v, nibbles), FACTORS);
    v128.store(room, v128.and(i16x8.shr_u(v, 4), nibbles), MINIMA);
    room += 16;
  }
}

@inline export function spreadQ6_K(w: usize, room: usize): void {
  spreadHalves(w, room);
}

/** One scale for all blocks. */
@inline export function spreadTQ2_0(w: usize, room: usize): void {
  spreadHalves(w, room);
}

${LAYOUTS.filter(({ levels, scale }) => levels && scale === 'group')
  .map(spreadLevels)
  .join('')}
`;
