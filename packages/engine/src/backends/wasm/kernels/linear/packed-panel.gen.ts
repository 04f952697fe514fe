// A panel: one tile of 16 rows of a packed matrix, spread out for the tile kernel. Codes become bytes (step s of a
// block: 8 rows x columns 4s…4s+3), scales f32; rows 0…7 first over all blocks (at `a`), then rows 8…15 (at `b`). Made
// once per tile and used for every 4 rows of activations, in a scratch that stays in the second-level cache.
import { declare, each, F16, halves, load, numbered, stores } from '../build/vocabulary.ts';

/** Vectors 0, 1 are of rows 0…7, vectors 2, 3 of the others: `text` for each with where it goes. */
const toBoth = (text: (v: number, half: string, at: number) => string, a = 'a', b = 'b'): string =>
  each(4, (v) => text(v, v < 2 ? a : b, 16 * (v & 1)));
const put = (half: string, value: string, at: number): string => `v128.store(${half}, ${value}${at ? `, ${at}` : ''});`;

/** A step of 16 rows as nibbles, the low ones to a and b, the high ones `apart` bytes on. */
const splitNibbles = (a: string, b: string, apart: number): string => `
    ${declare('const', numbered('w', 4), (v) => load('w', 16 * v))}
    ${toBoth((v, half, at) => put(half, `v128.and(w${v}, nibbles)`, at), a, b)}
    ${toBoth((v, half, at) => put(half, `v128.and(i16x8.shr_u(w${v}, 4), nibbles)`, at + apart), a, b)}
    w += 64;`;

/** Adds bit 4 to the low nibbles' bytes, or to those of the high ones, 128 bytes on. */
const addBit = (apart: number): string =>
  toBoth((v, half, at) => {
    const bit = `v128.and(${apart ? `h${v}` : `i16x8.shl(h${v}, 4)`}, bit)`;
    return put(half, `v128.or(${load(half, at + apart)}, ${bit})`, at + apart);
  });

/** The panel of a type: blocks of `kind`; `block` spreads the one at w to a and b, and w goes on by `bytes`. */
const panel = (type: string, kind: string, block: string, bytes = `${type}_BLOCK`): string => `
function panel${type}(w: usize, panel: usize, blocks: i32): void {
  const nibbles = constant(NIBBLES);
  let a = panel, b = panel + <usize>blocks * panelBlockBytes(${kind});
  for (; blocks > 0; blocks--) {
    ${block}
    w += ${bytes};
    a += panelBlockBytes(${kind});
    b += panelBlockBytes(${kind});
  }
}`;

/** Q4_K and Q5_K: all 8 blocks' scales at once, into the panel's places by way of `room`. */
const panelMinimum = `
@inline function panelMinimum(bits: i32, w: usize, panel: usize, blocks: i32, room: usize): void {
  const nibbles = constant(NIBBLES);
  const step = bits == 4 ? Q4_K_BLOCK : Q5_K_BLOCK;
  let a = panel, b = panel + <usize>blocks * panelBlockBytes(MINIMUM);
  for (; blocks > 0; blocks -= 8) {
    spreadScales(w, room, bits == 4 ? 0 : 16);
    w += Q4_K_HEADER;
    for (let i: usize = 0; i < 8; i++) {
      spreadNibbles(w, a, b, nibbles);
      if (bits == 5) spreadFifthBits(w + 256, a, b);
      const from = room + i * 128;
      ${each(8, (v) => put('ab'[(v >> 1) & 1]!, load('from', 16 * v), 256 + 16 * (v & 1) + 32 * (v >> 2)))}
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
}`;

/** Q6_K: 16 columns and their factors after each other. */
const panelQ6_K = `
function panelQ6_K(w: usize, panel: usize, blocks: i32): void {
  const six = constant(SIX_BITS), top = constant(TOP_BITS);
  let a = panel, b = panel + <usize>blocks * panelBlockBytes(HALVES);
  for (; blocks > 0; blocks -= 8) {
    let codes = w + Q6_K_HEADER;
    for (let i: usize = 0; i < 8; i++) {
      spreadSix(codes, a, six, top);
      spreadSix(codes + 32, b, six, top);
      spreadSix(codes + Q6_K_PASS, a + 160, six, top);
      spreadSix(codes + Q6_K_PASS + 32, b + 160, six, top);
      const factors = w + 32 + i * 32;
      ${each(4, (v) => `spreadFactors(factors + ${8 * v}, ${'ab'[v & 1]} + ${128 + 160 * (v >> 1)});`)}
      splitScales(w, a + 320, b + 320);
      codes += Q6_K_BLOCK;
      a += panelBlockBytes(HALVES);
      b += panelBlockBytes(HALVES);
    }
    w += Q6_K_GROUP;
  }
}`;

export default `
/** Step q of 16 rows as nibbles: columns 4q… in the low, 16 + 4q… in the high ones. */
@inline function spreadNibbles(w: usize, a: usize, b: usize, nibbles: v128): void {
  for (let q: usize = 0; q < 4; q++) {
    ${splitNibbles('a', 'b', 128)}
    a += 32;
    b += 32;
  }
}

/** Adds bit 4 to the nibbles of a block: per 4 rows 16 bytes, bit q of a byte for step q, bit 4 + q for step 4 + q. */
@inline function spreadFifthBits(bits: usize, a: usize, b: usize): void {
  const bit = constant(BIT_4);
  ${declare('let', numbered('h', 4), (v) => load('bits', 16 * v))}
  for (let q = 0; q < 4; q++) {
    ${addBit(0)}
    ${addBit(128)}
    ${each(4, (v) => `h${v} = i16x8.shr_u(h${v}, 1);`)}
    a += 32;
    b += 32;
  }
}

@inline function splitScales(w: usize, a: usize, b: usize): void {
  ${F16}
  const h = v128.load(w), g = v128.load(w, 16);
  ${toBoth((v, half, at) => put(half, halves('hg'[v >> 1]!)[v & 1]!, at))}
}

/** Four steps of 8 rows: 6-bit codes of 16 columns. \`w\` and \`out\` are those rows'. */
@inline function spreadSix(w: usize, out: usize, six: v128, top: v128): void {
  ${each(3, (i) => declare('const', numbered('abc'[i]!, 2), (v) => load('w', 64 * i + 16 * v)))}
  ${stores(
    'out',
    [...'abc'].flatMap((set) => numbered(set, 2).map((codes) => `v128.and(${codes}, six)`)),
  )}
  ${stores(
    'out',
    [0, 1].map((v) => `fourthSix(a${v}, b${v}, c${v}, top)`),
    96,
  )}
}
${panel('Q4_0', 'OFFSET_8', 'spreadNibbles(w, a, b, nibbles); splitScales(w + Q4_0_SCALES, a + 256, b + 256);')}
${panel(
  'Q5_0',
  'OFFSET_16',
  `spreadNibbles(w, a, b, nibbles);
    spreadFifthBits(w + 256, a, b);
    splitScales(w + Q5_0_SCALES, a + 256, b + 256);`,
)}
${panel(
  'Q8_0',
  'TWO_NIBBLES',
  `for (let q: usize = 0; q < 8; q++) {
      const c = a + q * 32, d = b + q * 32;
      ${splitNibbles('c', 'd', 256)}
    }
    splitScales(w, a + 512, b + 512);`,
  '32',
)}
${panelMinimum}
${panelQ6_K}

/** Which kind of panel a type makes. */
@inline export function panelKind(type: i32): i32 {
  if (type == Q4_0) return OFFSET_8;
  if (type == Q5_0) return OFFSET_16;
  if (type == Q4_K) return MINIMUM;
  if (type == Q5_K) return MINIMUM_16;
  return type == Q6_K ? HALVES : TWO_NIBBLES;
}

/** Spreads the tile at \`w\` of \`blocks\` times 32 columns. \`room\` is SCALE_ROOM bytes. */
export function makePanel(type: i32, w: usize, panel: usize, blocks: i32, room: usize): void {
  if (type == Q4_0) panelQ4_0(w, panel, blocks);
  else if (type == Q4_K) panelQ4_K(w, panel, blocks, room);
  else if (type == Q5_0) panelQ5_0(w, panel, blocks);
  else if (type == Q5_K) panelQ5_K(w, panel, blocks, room);
  else if (type == Q6_K) panelQ6_K(w, panel, blocks);
  else panelQ8_0(w, panel, blocks);
}
`;
